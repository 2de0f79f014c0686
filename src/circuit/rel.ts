/**
 * The relational IR: what the builder (and later SQL) produces, frozen plain nodes with a `kind`.
 * The oracle (`interpret.ts`) evaluates these nodes directly; the compiler first lowers them (`lower.ts`) to the
 * few primitives that have kernels: source, filter, map, negate, plus, join (inner), clamp, aggregate, topK, window,
 * session, fixpoint.
 */
import type { RowSchema, TableSchema } from '../schema/schema.js'
import type { UserAggregate } from './aggregates/definition.js'
import type { AggregateFn } from './aggregates/index.js'
import type { Bound } from './bounds.js'
import type { Expr } from './expr.js'
import type { WindowOrder, WindowSpec } from './window.js'

/** A table as a definition: its schema and how it is kept. */
export interface TableDefinition {
  readonly kind: 'table'
  readonly schema: TableSchema
  /** A stream is not stored: its deltas pass through views and are forgotten. */
  readonly stream: boolean
  /** Columns of times behind which no rows come any more: see `Waterline`. */
  readonly waterlines?: readonly Waterline[]
  /** An insertion takes the place of the rows that have its key. */
  readonly upsert?: boolean
  /** Rows are never retracted. */
  readonly appendOnly?: boolean
  /** What the table is created with. */
  readonly indexes?: readonly IndexDefinition[]
  readonly constraints?: readonly ConstraintDefinition[]
}

/**
 * The waterline of a column is the greatest value that was ever inserted there, less the lateness. A transaction's
 * changes of rows below the waterline, as it was before the transaction, are late: they are dropped.
 */
export interface Waterline {
  readonly column: number
  /** In the unit of the column: µs, days, or whole numbers. */
  readonly lateness: bigint
}

/** One term of an index: an expression over a row of the table, and which way it is sorted. */
export interface IndexTerm {
  readonly expr: Expr
  readonly descending: boolean
  /** The column's name, or what stands for it in bounds and messages. */
  readonly name: string
}

/** A secondary index: the rows of a table in the order of some terms. A unique one implies a constraint of its name. */
export interface IndexDefinition {
  readonly name: string
  readonly terms: readonly IndexTerm[]
  readonly unique: boolean
  readonly nullsNotDistinct: boolean
}

interface ConstraintBase {
  readonly name: string
  /** Looked at when the transaction commits, and not when it is asked to check itself. */
  readonly deferred: boolean
}

/** Holds for every row on which the condition is not FALSE. */
export interface CheckDefinition extends ConstraintBase {
  readonly kind: 'check'
  readonly condition: Expr
}

/** No two rows agree in all terms, and none is there twice. */
export interface UniqueDefinition extends ConstraintBase {
  readonly kind: 'unique'
  readonly terms: readonly IndexTerm[]
  /** Two NULLs count as equal. Otherwise a row with a NULL among its terms never collides. */
  readonly nullsNotDistinct: boolean
  /** The terms are the primary key. */
  readonly isPrimaryKey: boolean
}

export type ReferentialAction = 'restrict' | 'cascade' | 'setNull'

/** Rows of the table, unless one of the columns is NULL, need a row of the parent with these values. */
export interface ForeignKeyDefinition extends ConstraintBase {
  readonly kind: 'foreignKey'
  readonly columns: readonly number[]
  /** A table, or the name of one of the same database. */
  readonly parent: TableDefinition | string
  /** Columns of the parent that are unique together, by name; null stands for its primary key. */
  readonly parentColumns: readonly string[] | null
  readonly onDelete: ReferentialAction
  readonly onUpdate: ReferentialAction
}

export type ConstraintDefinition = CheckDefinition | UniqueDefinition | ForeignKeyDefinition

/** A view as a definition: a name and a circuit. */
export interface ViewDefinition {
  readonly kind: 'view'
  readonly schema: RowSchema
  readonly rel: Rel
  /** As of tables: what the circuit makes below one of them is late, and not there. */
  readonly waterlines?: readonly Waterline[]
  /** Columns that `view.get(key)` and range reads go by, and the order of `rows()`. */
  readonly key: readonly number[]
}

export type { AggregateFn }

/** A relation inside a recursive program: one that it defines, or a parameter that stands for what it reads. */
export interface VariableDefinition {
  readonly kind: 'variable'
  readonly schema: RowSchema
}

/** A table or a view. */
export type Relation = TableDefinition | ViewDefinition

interface Base {
  readonly schema: RowSchema
}

export interface SourceRel extends Base {
  readonly kind: 'source'
  readonly relation: Relation | VariableDefinition
}
export interface FilterRel extends Base {
  readonly kind: 'filter'
  readonly input: Rel
  readonly predicate: Expr
}
/** `exprs[i]` gives column i of `schema`. */
export interface MapRel extends Base {
  readonly kind: 'map'
  readonly input: Rel
  readonly exprs: readonly Expr[]
}
export interface NegateRel extends Base {
  readonly kind: 'negate'
  readonly input: Rel
}
/** UNION ALL: weights add. */
export interface PlusRel extends Base {
  readonly kind: 'plus'
  readonly inputs: readonly Rel[]
}
/**
 * Equi-join. `on` pairs expressions over the left (input 0) and the right row (input 1; numbered 1 there too);
 * NULL keys never match, except where `nullSafe[i]` (from `===` on nullable operands) is true.
 * `residual` over both rows must be TRUE. `exprs` give the output row from both; for outer kinds the columns of
 * an absent side are NULL. `semi`/`anti` keep left rows (with their weight) that have / have not a match; their
 * `exprs` see the left row only.
 * A row *has a match* iff the weights of the other side's rows that pass `on` and `residual` with it add up to
 * more than 0 (for ordinary, non-negative data: iff there is such a row).
 */
export interface JoinRel extends Base {
  readonly kind: 'join'
  readonly type: 'inner' | 'left' | 'right' | 'full' | 'semi' | 'anti'
  readonly left: Rel
  readonly right: Rel
  readonly on: readonly (readonly [left: Expr, right: Expr])[]
  readonly nullSafe: readonly boolean[]
  readonly residual: Expr | null
  readonly exprs: readonly Expr[]
  /**
   * Made by lowering only: a join by range (`band.ts`). The last two pairs of `on` are not equalities, but level and
   * value; `point` is the side with points, and `hi` the column of the other where its intervals end.
   */
  readonly band?: { readonly point: 0 | 1; readonly hi: Expr } | null
}
/** Weight w of each whole row becomes 1 if w > 0, else the row is gone. */
export interface DistinctRel extends Base {
  readonly kind: 'distinct'
  readonly input: Rel
}
/**
 * With a, b the weights of a row in left and right, negative ones counting as 0:
 * union [a>0 or b>0], intersect [a>0 and b>0], intersectAll min(a,b), except [a>0 and b=0], exceptAll max(a-b,0).
 */
export interface SetRel extends Base {
  readonly kind: 'set'
  readonly op: 'union' | 'intersect' | 'intersectAll' | 'except' | 'exceptAll'
  readonly left: Rel
  readonly right: Rel
}
/**
 * Replaces the weight w of each whole row: `positive` max(w, 0); `one` 1 if w > 0, else 0; `nonzero` 1 if w is
 * not 0, else 0. Made by lowering only.
 */
export interface ClampRel extends Base {
  readonly kind: 'clamp'
  readonly input: Rel
  readonly mode: ClampMode
}
export type ClampMode = 'positive' | 'one' | 'nonzero'

/** One term of an order: NULL first (last if descending). */
export interface OrderTerm {
  readonly expr: Expr
  readonly descending: boolean
}

export interface AggregateSpec {
  /** What it computes: a row of `aggregates/index.ts`. */
  readonly fn: AggregateFn
  /** None for count(*). */
  readonly args: readonly Expr[]
  readonly name: string
  /** Only rows for which it is TRUE take part; evaluated before the arguments. */
  readonly filter: Expr | null
  /** Each different value (list of arguments) whose weights add up to more than 0 takes part once. */
  readonly distinct: boolean
  /** For the aggregates that have an order besides their arguments. */
  readonly order: readonly OrderTerm[]
  /** What the aggregate needs to know beside its arguments: a fraction, a separator, a number of bins. */
  readonly detail: AggregateDetail
}
export type AggregateDetail = null | number | string | readonly number[] | UserAggregate

/**
 * Output columns: the keys, then the aggregates. A group is there iff the sum of its rows' weights is > 0 (and a
 * global aggregate, with no keys, always). What each aggregate gives is said in `aggregates/`; a row takes part in it
 * if none of the arguments that must not be NULL is. Without rows that take part most are NULL.
 */
export interface AggregateRel extends Base {
  readonly kind: 'aggregate'
  readonly input: Rel
  readonly keys: readonly Expr[]
  readonly aggregates: readonly AggregateSpec[]
  /** Made by lowering only: the column that tells which rows count for the existence of their group. */
  readonly counts?: Expr
}
/**
 * The first `limit` rows of each group by `order` and then by all columns (ascending), each with its weight cut
 * so that the group's total is at most `limit`. Rows with net weight <= 0 do not count. Schema = input's.
 */
export interface TopKRel extends Base {
  readonly kind: 'topK'
  readonly input: Rel
  readonly keys: readonly Expr[]
  readonly order: readonly OrderTerm[]
  readonly limit: number
}
/**
 * Every row of the input, a row of weight n as n rows, with a column for each function over the rows of its partition
 * (`window.ts`). Rows with net weight <= 0 are not there. Where a sum of integers leaves i64, the row fails and is not
 * there. Schema = input's columns, then the functions'.
 */
export interface WindowRel extends Base {
  readonly kind: 'window'
  readonly input: Rel
  readonly partition: readonly Expr[]
  readonly order: readonly WindowOrder[]
  readonly functions: readonly WindowSpec[]
}

/**
 * Relations defined by one another: the least sets X with X[k] = distinct rows of bodies[k] over X, found by iterating
 * from empty sets. Made by `recursiveOf` (`recursion/program.ts`), which sees to it that bodies are monotone in X and that
 * parameters are sets.
 */
export interface RecursiveProgram {
  readonly names: readonly string[]
  /** What bodies read of the node's inputs, in the same order. */
  readonly parameters: readonly VariableDefinition[]
  readonly variables: readonly VariableDefinition[]
  readonly bodies: readonly Rel[]
  /** If X is not reached after so many iterations, all variables are empty, and that is recorded as a failure. */
  readonly limit: number
}
/** Variable `index` of a recursive program over `inputs`. */
export interface RecursiveRel extends Base {
  readonly kind: 'recursive'
  readonly inputs: readonly Rel[]
  readonly program: RecursiveProgram
  readonly index: number
}

/** What `fixpoint` solves; see `recursion/timed.ts`. */
export interface Loop {
  readonly program: RecursiveProgram
  /** Those of the program first. The last column of each tells the iteration of a row. */
  readonly variables: readonly VariableDefinition[]
  /** Whether a row comes one iteration after what it follows from (1), or in the same one (0). */
  readonly delays: readonly (0 | 1)[]
}
/**
 * A recursive program in primitives: `inputs[k]` holds what variable k follows from, each derivation with the iteration of
 * the latest row that it uses (0: none). No relation of its own: `result` takes one out. Made by lowering only.
 */
export interface FixpointRel extends Base {
  readonly kind: 'fixpoint'
  readonly inputs: readonly Rel[]
  readonly loop: Loop
}
/** Variable `index` of a fixpoint, without the iteration. Made by lowering only. */
export interface ResultRel extends Base {
  readonly kind: 'result'
  readonly input: FixpointRel
  readonly index: number
}

/** The failure of a recursion that goes on for ever. */
export function divergence({ names, limit }: RecursiveProgram): string {
  return `the recursion of ${names.map(n => JSON.stringify(n)).join(', ')} is not at its end after ${limit} iterations`
}
/**
 * As-of join: each left row (with its weight) and the one right row of its keys that is nearest in time among those
 * whose time is `op` its own: `le` and `lt` look back, `ge` and `gt` ahead. Of several right rows of that time it is the
 * last one in the order of rows. Right rows with weights <= 0 do not count, others once. NULL times match nothing, nor do
 * NULL keys, except where `nullSafe[i]`. A left row without a match is dropped, or, if `left`, there with NULL for the right side's columns. Times
 * are of one type.
 */
export interface AsOfRel extends Base {
  readonly kind: 'asOf'
  readonly type: 'inner' | 'left'
  readonly left: Rel
  readonly right: Rel
  readonly on: readonly (readonly [left: Expr, right: Expr])[]
  readonly nullSafe: readonly boolean[]
  readonly op: 'le' | 'lt' | 'ge' | 'gt'
  readonly times: readonly [left: Expr, right: Expr]
  readonly exprs: readonly Expr[]
}
/**
 * Rows of weight > 0 with the next (or the previous) value of `order` in their group behind their columns, NULL for the
 * last (first) one. Weights stay. Made by lowering only. REQUIRES: of rows with weight > 0, none two of a group have
 * one value.
 */
export interface SuccessorRel extends Base {
  readonly kind: 'successor'
  readonly input: Rel
  readonly keys: readonly Expr[]
  readonly order: Expr
  readonly backwards: boolean
}
/**
 * Session windows: each row (with its weight) with the start and the end of its session behind its columns. Times of one
 * key, at which the weights of the rows add up to more than 0, are in one session if no step from one to the next is more
 * than `gap`; it ends `gap` after the last of them. Rows at other times are in none, and not there.
 */
export interface SessionRel extends Base {
  readonly kind: 'session'
  readonly input: Rel
  readonly keys: readonly Expr[]
  /** Never NULL: whole numbers. */
  readonly at: Expr
  readonly gap: bigint
}
/**
 * The rows (with their weights) whose `key` compares as `op` with a threshold that follows from signals and never goes
 * back: with `lt` and `le` rows come when it passes them, with `gt` and `ge` they leave. Before there is a threshold, it is
 * less than everything.
 */
export interface GateRel extends Base {
  readonly kind: 'gate'
  readonly input: Rel
  /** Never NULL: a whole number of 64 bits at most. */
  readonly key: Expr
  readonly op: 'lt' | 'le' | 'gt' | 'ge'
  /** Of the key's type. */
  readonly threshold: Bound
}
/**
 * Lateral unnest: each row once for every element of its array, with the element behind its columns, and the element's
 * number, from 1, behind that if `ordinality`. A row whose array is empty or NULL is dropped, or, if `outer`, there once
 * with NULL for both.
 */
export interface UnnestRel extends Base {
  readonly kind: 'unnest'
  readonly input: Rel
  readonly array: Expr
  readonly ordinality: boolean
  readonly outer: boolean
}

/**
 * Differential privacy: the rows of groups, one a group, with noise on their values. A group's row is *released* whenever
 * it changes, with fresh noise, and stays as it was released until the next time; after `releases` times no more. What
 * is released depends on history, so the oracle knows the first release only.
 */
export interface NoiseRel extends Base {
  readonly kind: 'noise'
  /** Group columns, then one i64 or f64 for each noise, none NULL. */
  readonly input: Rel
  readonly keyCount: number
  readonly noises: readonly Noise[]
  readonly releases: number
  /** Of a generator that can be predicted, for tests; null for a secure one. */
  readonly seed: string | null
  /** What becomes of a group that may not be released any more: it fails, or stays as it was. */
  readonly exhausted: 'fail' | 'freeze'
}
export interface Noise {
  readonly mechanism: 'laplace' | 'gaussian'
  /** b of the Laplace distribution, sigma of the normal one. */
  readonly scale: number
  /** Everything is released in multiples of it: a power of 2. */
  readonly grid: number
}

export type Rel =
  | NoiseRel
  | SourceRel
  | FilterRel
  | MapRel
  | NegateRel
  | PlusRel
  | JoinRel
  | DistinctRel
  | SetRel
  | ClampRel
  | AggregateRel
  | TopKRel
  | WindowRel
  | RecursiveRel
  | FixpointRel
  | ResultRel
  | UnnestRel
  | AsOfRel
  | SuccessorRel
  | SessionRel
  | GateRel
