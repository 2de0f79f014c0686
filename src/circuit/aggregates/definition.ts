/**
 * What an aggregate is, for everybody who has to do with it: the builder (types), lowering (which columns it needs),
 * the engine (what it keeps, and how its value follows from that). The oracle has definitions of its own
 * (`interpret/aggregates.ts`).
 *
 * A *linear* aggregate follows from sums over its rows, weights included, which live in the group's record. An
 * *ordered* one reads the group's rows in an order, from an arrangement.
 */
import type { Dyadic } from '../../base/dyadic.js'
import type { TypeName, Value } from '../../schema/types.js'
import type { AccumulatorKind } from '../../zset/records.js'
import type { Expr, Udf } from '../expr.js'
import type { AggregateDetail, AggregateSpec, Rel } from '../rel.js'

/** What an argument must be; `text` is for messages: "sum needs numbers or bigints". */
export interface ArgumentRule {
  readonly text: string
  readonly accepts: (type: TypeName) => boolean
}

/** One accumulator of a linear aggregate: its kind, and the columns it reads. */
export interface Accumulator {
  readonly kind: AccumulatorKind
  /** Indexes into the aggregate's columns: two for products, else one. */
  readonly at: readonly number[]
  /** For bins: how many. */
  readonly size?: number
}

/** An exact sum of doubles or of their products: a finite one, or what it is instead. */
export type Real =
  | { readonly finite: Dyadic; readonly special: null }
  | { readonly finite: null; readonly special: number }

/** What the accumulators of one group hold, by their position in `accumulators`. */
export interface Accumulated {
  /** Sum of the weights of the rows that take part. Not 0. */
  readonly n: bigint
  int(accumulator: number): bigint
  real(accumulator: number): Real
  /** Sum of the weights of the rows with this bit set, or in this bin. */
  bit(accumulator: number, bit: number): bigint
}

export interface Linear {
  readonly kind: 'linear'
  /** What the accumulators read, made of the arguments; cannot fail. NULL in column 0 = the row takes no part. */
  readonly columns?: (args: readonly Expr[], detail: AggregateDetail) => readonly Expr[]
  /** `types` are those of the columns. */
  readonly accumulators: (types: readonly TypeName[], detail: AggregateDetail) => readonly Accumulator[]
  /** The value, `name` being its column's; null is NULL. Never asked where no row takes part: that is NULL (0 for count). */
  readonly finish: (state: Accumulated, types: readonly TypeName[], detail: AggregateDetail, name: string) => Value
}

export interface Ordered {
  readonly kind: 'ordered'
  /** What the aggregate reads, made of the arguments; cannot fail. */
  readonly columns?: (args: readonly Expr[], detail: AggregateDetail) => readonly Expr[]
  /** Columns that must not be NULL for a row to take part. */
  readonly required: readonly number[]
  /** The order of the group's rows, after the user's own. */
  readonly terms: readonly { readonly at: number; readonly descending: boolean }[]
  /** The order ends with all of its columns. */
  readonly all?: boolean
  /** Over a frame the rows stand as they do in the partition, unless the user says otherwise. */
  readonly inFrameOrder?: boolean
  /** The value: a column of the first or last row; from rows by rank; or from all rows. */
  readonly read: 'first' | 'last' | RankReader | WalkReader
  /** The column that `first`, `last` and rank readers look at. */
  readonly value: number
}

/** Reads rows by rank: at n rows, which ones, counted from 0; and the value from those. */
export interface RankReader {
  readonly ranks: (n: number, detail: AggregateDetail) => readonly number[]
  readonly finish: (values: readonly Value[], n: number, detail: AggregateDetail) => Value
}

/** Reads all rows in order, each with its weight (> 0). Throws Failure where there is no value. */
export interface WalkReader {
  readonly walk: (
    rows: Iterable<WalkedRow>,
    detail: AggregateDetail,
    types: readonly TypeName[],
    result: TypeName,
  ) => Value
}
export interface WalkedRow {
  /** The aggregate's columns. */
  readonly values: readonly Value[]
  readonly weight: bigint
}

/** Rows that an aggregate reads in place of the group's own, and what it is over those. */
export interface Source {
  /** Group columns come first. */
  readonly rel: Rel
  readonly spec: AggregateSpec
}

export interface AggregateDefinition {
  /** How users call it, if that is not its name. */
  readonly called?: string
  /** By position; the last one stands for all that follow if `variadic`. */
  readonly args: readonly ArgumentRule[]
  readonly variadic?: boolean
  /** No argument is fine, too. */
  readonly optional?: boolean
  /** Of the result. */
  readonly type: (types: readonly TypeName[], detail: AggregateDetail, args: readonly Expr[]) => TypeName
  /** Has a value also where no row takes part. */
  readonly total?: boolean
  /** Is there NULL among the results even if no argument is, in a group that has rows? */
  readonly partial?: boolean
  /** The same, where it depends: on whether a value that is looked up is NULL, for instance. */
  readonly nullable?: (spec: AggregateSpec) => boolean
  readonly plan: Linear | Ordered
  /** What it is over other rows; `rows` has `keys` group columns, then what `spec` reads. */
  readonly source?: (rows: Rel, keys: number, spec: AggregateSpec) => Source
  /** What it is over the rows of a frame, which are its own, if that is not `plan`. */
  readonly framePlan?: Ordered
  /** May its value not exist? That fails the group. */
  readonly canFail?: (types: readonly TypeName[]) => boolean
}

/**
 * An aggregate of the user's own; like a user function it goes by its name where circuits are written down. `fn` of a
 * linear one gets the sums and the number of rows.
 */
export interface UserAggregate extends Udf {
  readonly kind: 'user'
  readonly type: TypeName
  readonly nullable: boolean
}
