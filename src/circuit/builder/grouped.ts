import type { ROW, Simplify } from '../columns.js'
import type { NamedExpr } from '../lambda/index.js'
import type { Rel } from '../rel.js'
import type { Aggregates, GlobalValues, GroupValues } from './aggregates.js'
import { aggregateRel, type Order, sampleRel, topQuery } from './calls.js'
import type { TopOptions } from './compound.js'
import { cubeOf, groupingSetsRel, rollupOf } from './grouping.js'
import { type PrivacyOptions, type PrivateAggregates, type PrivateValues, privateRel } from './privacy.js'
import { Query } from './query.js'
import type { SampleOptions } from './sample.js'
import type { Context, NoContext, Nullable } from './types.js'

/** A grouped query: becomes a query again by `aggregate` or `top`. */
export class Grouped<R, K> {
  declare readonly [ROW]: readonly [R, K]
  readonly kind = 'grouped'
  readonly #rel: Rel
  readonly #keys: readonly NamedExpr[]

  constructor(rel: Rel, keys: readonly NamedExpr[]) {
    this.#rel = rel
    this.#keys = keys
    Object.freeze(this)
  }

  /** One row a group: its keys and the aggregates. */
  aggregate<A extends Aggregates<R>>(aggregates: A): Query<Simplify<K & GroupValues<A>>> {
    return new Query<Simplify<K & GroupValues<A>>>(aggregateRel(this.#rel, this.#keys, aggregates))
  }

  /** Aggregates of every prefix of the keys, down to none: totals, subtotals and details. */
  rollup(): GroupingSets<R, K> {
    return new GroupingSets<R, K>(this.#rel, this.#keys, rollupOf(this.#names))
  }

  /** Aggregates of every subset of the keys. */
  cube(): GroupingSets<R, K> {
    return new GroupingSets<R, K>(this.#rel, this.#keys, cubeOf(this.#names))
  }

  /** Aggregates of each of these sets of keys: `.sets(['region', 'day'], ['region'], [])`. */
  sets(...sets: readonly (readonly (keyof K & string)[])[]): GroupingSets<R, K> {
    return new GroupingSets<R, K>(this.#rel, this.#keys, sets)
  }

  get #names(): string[] {
    return this.#keys.map(k => k.name)
  }

  /** One row a group, with noise on its counts and sums: see docs/privacy.md. */
  privateAggregate<A extends PrivateAggregates<R>>(
    aggregates: A,
    options: PrivacyOptions<R>,
  ): Query<Simplify<K & PrivateValues<A>>> {
    return new Query<Simplify<K & PrivateValues<A>>>(privateRel(this.#rel, this.#keys, aggregates, options))
  }

  /** A random sample of `limit` rows of each group. */
  sample(limit: number, options: SampleOptions = {}): Query<R> {
    return new Query<R>(sampleRel(this.#rel, this.#keys, limit, options))
  }

  /** The first rows of each group, as for `query.top`. */
  top<C extends Context = NoContext>(limit: number | TopOptions, ...order: readonly Order<R, C>[]): Query<R> {
    return new Query<R>(topQuery(this.#rel, this.#keys, limit, order))
  }
}

/** Several groupings of one query: becomes a query by `aggregate`. */
export class GroupingSets<R, K> {
  declare readonly [ROW]: readonly [R, K]
  readonly kind = 'groupingSets'
  readonly #rel: Rel
  readonly #keys: readonly NamedExpr[]
  readonly #sets: readonly (readonly string[])[]

  constructor(rel: Rel, keys: readonly NamedExpr[], sets: readonly (readonly string[])[]) {
    this.#rel = rel
    this.#keys = keys
    this.#sets = sets
    Object.freeze(this)
  }

  /** One row a group of each set; keys that are not in the set are NULL. */
  aggregate<A extends Aggregates<R>>(aggregates: A): Query<Simplify<Nullable<K> & GlobalValues<A>>> {
    return new Query<Simplify<Nullable<K> & GlobalValues<A>>>(
      groupingSetsRel(this.#rel, this.#keys, this.#sets, aggregates, aggregateRel),
    )
  }
}
