import type { RowSchema } from '../../schema/schema.js'
import type { ROW, Simplify } from '../columns.js'
import { columnsLambda, conditionLambda } from '../lambda/index.js'
import type { Rel, SetRel } from '../rel.js'
import type { Aggregates, GlobalValues } from './aggregates.js'
import { aggregateRel, mapRel, type Order, sampleRel, topQuery, type UnnestOptions, unnestRel } from './calls.js'
import { notInRel, type TopOptions } from './compound.js'
import type { Distance, FrameSpec } from './frames.js'
import { filterRel, finalRel } from './gates.js'
import { Grouped } from './grouped.js'
import { asOfRel, JOIN_NAMES, type JoinType, joinRel } from './joins.js'
import { type PrivacyOptions, type PrivateAggregates, type PrivateValues, privateRel } from './privacy.js'
import type { SampleOptions } from './sample.js'
import { alignSchemas } from './sets.js'
import { refuseSource, sourceRel } from './sources.js'
import type { Span } from './spans.js'
import {
  hopRel,
  type InWindow,
  type RollingFrame,
  type RollingOptions,
  rollingRel,
  type SessionOptions,
  sessionRel,
  type TumbleOptions,
  tumbleRel,
} from './time-windows.js'
import type { Alike, Both, Cells, Context, Ctx, Joined, NoContext, Nullable, RowFrom, Source } from './types.js'
import { type WindowFunctions, type WindowOptions, type WithWindow, windowRel } from './windows.js'

/** The relation that `source` stands for. Throws CompileError if it is none. */
export function relOf(source: unknown, what: string): Rel {
  return source instanceof Query ? source.rel : (sourceRel(source) ?? refuseSource(what, source))
}

/** A query with rows `R`. Made by `q.from(…)` inside `view(name, q => …)`. */
export class Query<R> {
  declare readonly [ROW]: R
  readonly kind = 'query'
  readonly rel: Rel

  constructor(rel: Rel) {
    this.rel = Object.freeze(rel)
    Object.freeze(this)
  }

  /** Names and types of the columns. */
  get schema(): RowSchema {
    return this.rel.schema
  }

  /**
   * Keeps the rows for which `predicate` is true (not false, not NULL). It may compare times with the database's clock:
   * `.filter((r, { ago }) => r.at >= ago('1 hour'), { ago: fn.ago })`; rows come and leave as the clock goes on.
   */
  filter<C extends Context = NoContext>(
    predicate: (row: R, ctx: Ctx<C>) => boolean | null | undefined,
    ctx?: C,
  ): Query<R> {
    const { rel } = this
    const condition = conditionLambda({ fn: predicate, ctx, rows: [rel.schema], what: 'filter', now: true })
    return new Query<R>(filterRel(rel, condition))
  }

  /** Makes a new row of each: `r => ({ ...r, total: r.price * r.quantity })`. */
  map<S extends Cells, C extends Context = NoContext>(make: (row: R, ctx: Ctx<C>) => S, ctx?: C): Query<RowFrom<S>> {
    return new Query<RowFrom<S>>(
      mapRel(this.rel, columnsLambda({ fn: make, ctx, rows: [this.rel.schema], what: 'map' })),
    )
  }

  /** Negates all weights. */
  negate(): Query<R> {
    return new Query<R>({ kind: 'negate', input: this.rel, schema: this.rel.schema })
  }

  /** Each row once, if its weight is positive. */
  distinct(): Query<R> {
    return new Query<R>({ kind: 'distinct', input: this.rel, schema: this.rel.schema })
  }

  /** All rows of both: weights add. Columns are matched by name here and in all set operations. */
  unionAll<S extends Alike<R>>(other: Source<S>): Query<Joined<R, S>> {
    const [left, right, schema] = alignSchemas(this.rel, relOf(other, 'unionAll'), 'unionAll')
    return new Query<Joined<R, S>>({ kind: 'plus', inputs: Object.freeze([left, right]), schema })
  }

  /** Weights of `other` are subtracted; they may become negative. */
  minus<S extends Alike<R>>(other: Source<S>): Query<Joined<R, S>> {
    const [left, right, schema] = alignSchemas(this.rel, relOf(other, 'minus'), 'minus')
    const negated: Rel = Object.freeze({ kind: 'negate', input: right, schema: right.schema })
    return new Query<Joined<R, S>>({ kind: 'plus', inputs: Object.freeze([left, negated]), schema })
  }

  /** Rows that are in either, each once. */
  union<S extends Alike<R>>(other: Source<S>): Query<Joined<R, S>> {
    return this.#set('union', other)
  }

  /** Rows that are in both, each once. */
  intersect<S extends Alike<R>>(other: Source<S>): Query<Joined<R, S>> {
    return this.#set('intersect', other)
  }

  /** Each row as often as in the side that has it less often. */
  intersectAll<S extends Alike<R>>(other: Source<S>): Query<Joined<R, S>> {
    return this.#set('intersectAll', other)
  }

  /** Rows that are here and not in `other`, each once. */
  except<S extends Alike<R>>(other: Source<S>): Query<Joined<R, S>> {
    return this.#set('except', other)
  }

  /** Each row as often as it is here, less as often as in `other`. */
  exceptAll<S extends Alike<R>>(other: Source<S>): Query<Joined<R, S>> {
    return this.#set('exceptAll', other)
  }

  #set<T>(op: SetRel['op'], other: unknown): Query<T> {
    const [left, right, schema] = alignSchemas(this.rel, relOf(other, op), op)
    return new Query<T>({ kind: 'set', op, left, right, schema })
  }

  /**
   * Pairs of rows for which `on` is true. Equalities `a.x === b.y` between the sides become keys, comparisons like
   * `a.x >= b.lo && a.x <= b.hi` ranges; a condition without either is tried on every pair. Without `select` a pair
   * has all columns of both.
   */
  join<S, C extends Context = NoContext>(
    right: Source<S>,
    on: (left: R, right: S, ctx: Ctx<C>) => boolean,
    select?: undefined,
    ctx?: C,
  ): Query<Both<R, S>>
  join<S, T extends Cells, C extends Context = NoContext>(
    right: Source<S>,
    on: (left: R, right: S, ctx: Ctx<C>) => boolean,
    select: (left: R, right: S, ctx: Ctx<C>) => T,
    ctx?: C,
  ): Query<RowFrom<T>>
  join(right: unknown, on: unknown, select?: unknown, ctx?: unknown): Query<never> {
    return this.#join('inner', right, on, select, ctx)
  }

  /** `join`, and rows of this side without a match, the other side's columns NULL. */
  leftJoin<S, C extends Context = NoContext>(
    right: Source<S>,
    on: (left: R, right: S, ctx: Ctx<C>) => boolean,
    select?: undefined,
    ctx?: C,
  ): Query<Both<R, Nullable<S>>>
  leftJoin<S, T extends Cells, C extends Context = NoContext>(
    right: Source<S>,
    on: (left: R, right: S, ctx: Ctx<C>) => boolean,
    select: (left: R, right: Nullable<S>, ctx: Ctx<C>) => T,
    ctx?: C,
  ): Query<RowFrom<T>>
  leftJoin(right: unknown, on: unknown, select?: unknown, ctx?: unknown): Query<never> {
    return this.#join('left', right, on, select, ctx)
  }

  /** `join`, and rows of the other side without a match, this side's columns NULL. */
  rightJoin<S, C extends Context = NoContext>(
    right: Source<S>,
    on: (left: R, right: S, ctx: Ctx<C>) => boolean,
    select?: undefined,
    ctx?: C,
  ): Query<Both<Nullable<R>, S>>
  rightJoin<S, T extends Cells, C extends Context = NoContext>(
    right: Source<S>,
    on: (left: R, right: S, ctx: Ctx<C>) => boolean,
    select: (left: Nullable<R>, right: S, ctx: Ctx<C>) => T,
    ctx?: C,
  ): Query<RowFrom<T>>
  rightJoin(right: unknown, on: unknown, select?: unknown, ctx?: unknown): Query<never> {
    return this.#join('right', right, on, select, ctx)
  }

  /** `join`, and rows of either side without a match. */
  fullJoin<S, C extends Context = NoContext>(
    right: Source<S>,
    on: (left: R, right: S, ctx: Ctx<C>) => boolean,
    select?: undefined,
    ctx?: C,
  ): Query<Both<Nullable<R>, Nullable<S>>>
  fullJoin<S, T extends Cells, C extends Context = NoContext>(
    right: Source<S>,
    on: (left: R, right: S, ctx: Ctx<C>) => boolean,
    select: (left: Nullable<R>, right: Nullable<S>, ctx: Ctx<C>) => T,
    ctx?: C,
  ): Query<RowFrom<T>>
  fullJoin(right: unknown, on: unknown, select?: unknown, ctx?: unknown): Query<never> {
    return this.#join('full', right, on, select, ctx)
  }

  /**
   * Each row with the nearest row of the other side: `(trade, quote) => trade.symbol === quote.symbol && quote.at <=
   * trade.at` finds the last quote before each trade; with `<` not one of the same time, with `>=` and `>` the first one
   * after it. Of several rows of that time it is the last in the order of all columns. NULL matches nothing.
   */
  asOfJoin<S, T extends Cells, C extends Context = NoContext>(
    right: Source<S>,
    on: (left: R, right: S, ctx: Ctx<C>) => boolean,
    select: (left: R, right: S, ctx: Ctx<C>) => T,
    ctx?: C,
  ): Query<RowFrom<T>> {
    const rel = relOf(right, 'asOfJoin')
    return new Query<RowFrom<T>>(asOfRel({ type: 'inner', left: this.rel, right: rel, on, select, ctx }))
  }

  /** `asOfJoin`, and rows without a match, the other side's columns NULL. */
  asOfLeftJoin<S, T extends Cells, C extends Context = NoContext>(
    right: Source<S>,
    on: (left: R, right: S, ctx: Ctx<C>) => boolean,
    select: (left: R, right: Nullable<S>, ctx: Ctx<C>) => T,
    ctx?: C,
  ): Query<RowFrom<T>> {
    const rel = relOf(right, 'asOfLeftJoin')
    return new Query<RowFrom<T>>(asOfRel({ type: 'left', left: this.rel, right: rel, on, select, ctx }))
  }

  /** Rows of this side that have a match. */
  semiJoin<S, C extends Context = NoContext>(
    right: Source<S>,
    on: (left: R, right: S, ctx: Ctx<C>) => boolean,
    ctx?: C,
  ): Query<R> {
    return this.#join('semi', right, on, undefined, ctx)
  }

  /** Rows of this side that have no match. */
  antiJoin<S, C extends Context = NoContext>(
    right: Source<S>,
    on: (left: R, right: S, ctx: Ctx<C>) => boolean,
    ctx?: C,
  ): Query<R> {
    return this.#join('anti', right, on, undefined, ctx)
  }

  /**
   * Rows for which SQL's `x NOT IN (SELECT y …)` is true: `(row, other) => row.x === other.y`. Unlike `antiJoin`, it
   * knows NULL: where the other side has one, no row is there, and a row whose x is NULL only if that side is empty.
   */
  notIn<S, C extends Context = NoContext>(
    right: Source<S>,
    on: (left: R, right: S, ctx: Ctx<C>) => boolean,
    ctx?: C,
  ): Query<R> {
    return new Query<R>(notInRel(this.rel, relOf(right, 'notIn'), on, ctx))
  }

  #join<T>(type: JoinType, right: unknown, on: unknown, select: unknown, ctx: unknown): Query<T> {
    return new Query<T>(joinRel({ type, left: this.rel, right: relOf(right, JOIN_NAMES[type]), on, select, ctx }))
  }

  /**
   * Each row once for every element of an array: `.unnest(r => r.tags, 'tag')` adds the column `tag`, and with
   * `ordinality: 'n'` the element's number, from 1. A row whose array is empty or NULL is dropped, or with `outer` kept
   * once with NULL for both.
   */
  unnest<
    T,
    const Name extends string,
    const N extends string = never,
    Outer extends boolean = false,
    C extends Context = NoContext,
  >(
    array: (row: R, ctx: Ctx<C>) => readonly T[] | null | undefined,
    as: Name,
    options: UnnestOptions<N, Outer> = {},
    ctx?: C,
  ): Query<Simplify<R & Record<Name, T | If<Outer>> & Record<N, number | If<Outer>>>> {
    return new Query(unnestRel(this.rel, array, as, options, ctx))
  }

  /** Groups by the columns of the object that `keys` makes: `r => ({ region: r.region })`. */
  groupBy<K extends Cells, C extends Context = NoContext>(
    keys: (row: R, ctx: Ctx<C>) => K,
    ctx?: C,
  ): Grouped<R, RowFrom<K>> {
    const { rel } = this
    return new Grouped<R, RowFrom<K>>(rel, columnsLambda({ fn: keys, ctx, rows: [rel.schema], what: 'groupBy' }))
  }

  /** Aggregates over all rows: one row, also if there is none to aggregate. */
  aggregate<A extends Aggregates<R>>(aggregates: A): Query<Simplify<GlobalValues<A>>> {
    return new Query<Simplify<GlobalValues<A>>>(aggregateRel(this.rel, [], aggregates))
  }

  /**
   * Every row with a column for each window function, over the rows of its partition:
   * `.window({ partitionBy: r => ({ region: r.region }), orderBy: [{ by: r => r.at }] }, { place: rank() })`.
   * Equal rows count as often as they are there; rows of negative weight are not.
   */
  window<
    const W extends WindowFunctions<R>,
    const F extends FrameSpec | undefined = undefined,
    C extends Context = NoContext,
  >(options: WindowOptions<R, F, C>, functions: W): Query<WithWindow<R, W, F>> {
    return new Query<WithWindow<R, W, F>>(windowRel(this.rel, options, functions))
  }

  /**
   * Each row with the window of `size` that it lies in: `.tumble(b => b.at, '10 seconds')` adds `windowStart` and
   * `windowEnd`. Rows without a time are dropped.
   */
  tumble<
    T extends number | bigint | null,
    const S extends string = 'windowStart',
    const E extends string = 'windowEnd',
    C extends Context = NoContext,
  >(at: (row: R, ctx: Ctx<C>) => T, size: Span, options: TumbleOptions<S, E, C> = {}): Query<InWindow<R, T, S, E>> {
    return new Query<InWindow<R, T, S, E>>(tumbleRel(this.rel, at, size, options))
  }

  /** Each row once for every window of `size` that it lies in, of those that begin every `step`. */
  hop<
    T extends number | bigint | null,
    const S extends string = 'windowStart',
    const E extends string = 'windowEnd',
    C extends Context = NoContext,
  >(
    at: (row: R, ctx: Ctx<C>) => T,
    size: Span,
    step: Span,
    options: TumbleOptions<S, E, C> = {},
  ): Query<InWindow<R, T, S, E>> {
    return new Query<InWindow<R, T, S, E>>(hopRel(this.rel, at, size, step, options))
  }

  /**
   * Each row with its session: rows of one key (`by: r => ({ user: r.user })`) that are at most `gap` apart, one after the
   * other. It begins with the first of them and ends `gap` after the last.
   */
  session<
    T extends number | bigint | null,
    const S extends string = 'windowStart',
    const E extends string = 'windowEnd',
    C extends Context = NoContext,
  >(at: (row: R, ctx: Ctx<C>) => T, gap: Span, options: SessionOptions<R, S, E, C> = {}): Query<InWindow<R, T, S, E>> {
    return new Query<InWindow<R, T, S, E>>(sessionRel(this.rel, at, gap, options))
  }

  /**
   * Every row with aggregates over the rows of its key shortly before it, itself included:
   * `.rolling({ at: t => t.at, by: t => ({ sensor: t.sensor }), range: '1 minute' }, { mean: avg(t => t.value) })`, or
   * `rows: 5` for the last five.
   */
  rolling<const W extends WindowFunctions<R>, C extends Context = NoContext>(
    options: RollingOptions<R, Distance, C>,
    functions: W,
  ): Query<WithWindow<R, W, RollingFrame>> {
    return new Query<WithWindow<R, W, RollingFrame>>(rollingRel(this.rel, options, functions))
  }

  /**
   * Rows that will not change any more: those whose column, the end of a window mostly, lies behind the waterline that it
   * follows from. They come once, when the waterline passes them. Throws CompileError if it follows from none.
   */
  emitFinal<C extends Context = NoContext>(column: (row: R, ctx: Ctx<C>) => number | bigint, ctx?: C): Query<R> {
    return new Query<R>(finalRel(this.rel, column, ctx))
  }

  /** One row with counts and sums of everything, with noise: see docs/privacy.md. */
  privateAggregate<A extends PrivateAggregates<R>>(
    aggregates: A,
    options: PrivacyOptions<R>,
  ): Query<Simplify<PrivateValues<A>>> {
    return new Query<Simplify<PrivateValues<A>>>(privateRel(this.rel, [], aggregates, options))
  }

  /**
   * A random sample of `limit` rows: always the same ones for the same rows and seed, without those that were retracted.
   */
  sample(limit: number, options: SampleOptions = {}): Query<R> {
    return new Query<R>(sampleRel(this.rel, [], limit, options))
  }

  /**
   * The first `limit` rows in the order given; ties go by all columns, ascending. `{ limit, offset, ties }` leaves out
   * some rows before them, and with `ties: true` takes in those that the order leaves level with the last.
   */
  top<C extends Context = NoContext>(limit: number | TopOptions, ...order: readonly Order<R, C>[]): Query<R> {
    return new Query<R>(topQuery(this.rel, [], limit, order))
  }
}

type If<Outer> = Outer extends true ? null : never
