/**
 * Aggregates of the builder that look at the order of their rows, keep less than the rows, or are the user's own. As in
 * `aggregate-functions.ts`, NULL does not take part unless something else is said.
 */
import { quote, SchemaError, show, showWhole } from '../../base/errors.js'
import { optionsProblem } from '../../base/options.js'
import { knownType, type TypeName } from '../../schema/types.js'
import { ColumnBuilder } from '../columns.js'
import type { JsOf, UdfType } from '../lambda/functions.js'
import type { AggregateFn } from '../rel.js'
import { type Aggregate, makeAggregate } from './aggregates.js'
import type { Cell, Context, Ctx, NoContext } from './types.js'

type NullIf<T> = T extends null | undefined ? null : never
/** Decimals are text; other text is refused when the view is compiled. */
type Num = number | bigint | string | null | undefined
type Value<T> = T extends undefined ? null : T extends boolean ? boolean : T extends number ? number : T
type Lambda<R, C, T> = (row: R, ctx: Ctx<C>) => T

/** One term of the order of rows: least first, unless `desc`; NULL first, unless `desc`. */
export interface By<R, C extends Context = NoContext> {
  readonly by: Lambda<R, C, Cell>
  readonly desc?: boolean
  readonly ctx?: C
}

/** The first argument of the row where the second is least (of several such rows, the least value). NULL may come out. */
export function argMin<R, T extends Cell, C extends Context = NoContext>(
  value: Lambda<R, C, T>,
  by: Lambda<R, C, Cell>,
  ctx?: C,
): Aggregate<R, Value<T> | null> {
  return makeAggregate('argMin', [value, by], { ctx })
}

/** The first argument of the row where the second is greatest (of several such rows, the greatest value). */
export function argMax<R, T extends Cell, C extends Context = NoContext>(
  value: Lambda<R, C, T>,
  by: Lambda<R, C, Cell>,
  ctx?: C,
): Aggregate<R, Value<T> | null> {
  return makeAggregate('argMax', [value, by], { ctx })
}

type Ordered = <R, T extends Cell, C extends Context = NoContext>(
  value: Lambda<R, NoContext, T>,
  ...order: readonly By<R, C>[]
) => Aggregate<R, Value<T>>

const orderedBy =
  (fn: AggregateFn): Ordered =>
  (value, ...order) =>
    makeAggregate(fn, [value], { order: order as never })

/** The value of the first row, NULL or not, in the order given and then by value. */
export const first = orderedBy('first')
/** The value of the last row. */
export const last = orderedBy('last')

/** The value that occurs most often; of several, the least. */
export function mode<R, T extends Cell, C extends Context = NoContext>(
  arg: Lambda<R, C, T>,
  ctx?: C,
): Aggregate<R, Value<T>> {
  return makeAggregate('mode', [arg], { ctx })
}

/** What is wrong with a fraction, or null. */
const fractionProblem = (fraction: unknown): string | null =>
  typeof fraction === 'number' && fraction >= 0 && fraction <= 1
    ? null
    : `expected a fraction from 0 to 1, found ${show(fraction)}`

/** The value at a fraction of the ordered values, between two of them if need be: 0.5 is the median. */
export function percentileCont<R, T extends Num, C extends Context = NoContext>(
  fraction: number,
  arg: Lambda<R, C, T>,
  ctx?: C,
): Aggregate<R, number | NullIf<T>> {
  return makeAggregate('percentileCont', [arg], { ctx, detail: fraction, problem: fractionProblem(fraction) })
}

/** The first of the ordered values, of any type, at or below which that fraction of them lies. */
export function percentileDisc<R, T extends Cell, C extends Context = NoContext>(
  fraction: number,
  arg: Lambda<R, C, T>,
  ctx?: C,
): Aggregate<R, Value<T>> {
  return makeAggregate('percentileDisc', [arg], { ctx, detail: fraction, problem: fractionProblem(fraction) })
}

/** `percentileCont(0.5, …)` */
export function median<R, T extends Num, C extends Context = NoContext>(
  arg: Lambda<R, C, T>,
  ctx?: C,
): Aggregate<R, number | NullIf<T>> {
  return makeAggregate('median', [arg], { ctx })
}

/** A percentile within a relative error (default 0.01), of which a bounded number of buckets is kept per group. */
export function approxPercentile<R, T extends Num, C extends Context = NoContext>(
  fraction: number,
  arg: Lambda<R, C, T>,
  options: { readonly error?: number; readonly ctx?: C } = {},
): Aggregate<R, number | NullIf<T>> {
  const { error = 0.01, ctx } = options ?? {}
  const isFine = typeof error === 'number' && error >= 1e-4 && error <= 0.5
  const problem =
    fractionProblem(fraction) ??
    optionsProblem(options, ['error', 'ctx']) ??
    (isFine ? null : `expected an error from 0.0001 to 0.5, found ${show(error)}`)
  return makeAggregate('approxPercentile', [arg], { ctx, detail: [fraction, error], problem })
}

/**
 * About how many different values there are: within 1.04 / √2^bits of the exact number in two of three cases (default 11
 * bits, 2.3 %), of which at most 33 × 2^bits small rows are kept per group. `countDistinct` is exact.
 */
export function approxCountDistinct<R, C extends Context = NoContext>(
  arg: Lambda<R, C, Cell>,
  options: { readonly bits?: number; readonly ctx?: C } = {},
): Aggregate<R, bigint, true> {
  const { bits = 11, ctx } = options ?? {}
  const isFine = Number.isInteger(bits) && bits >= 4 && bits <= 16
  const problem =
    optionsProblem(options, ['bits', 'ctx']) ?? (isFine ? null : `expected 4 to 16 bits, found ${show(bits)}`)
  return makeAggregate('approxCountDistinct', [arg], { ctx, detail: bits, problem })
}

const MAX_BINS = 1000

/** Counts of values in equal parts of [low, high): first those below, last those above and NaN. */
export function histogram<R, C extends Context = NoContext>(
  arg: Lambda<R, C, Num>,
  options: { readonly low: number; readonly high: number; readonly bins: number; readonly ctx?: C },
): Aggregate<R, readonly bigint[] | null> {
  const problem = optionsProblem(options, ['low', 'high', 'bins', 'ctx'])
  if (problem !== null) return makeAggregate('histogram', [arg], { problem })
  const { low, high, bins, ctx } = options
  return makeAggregate('histogram', [arg], { ctx, detail: [low, high, bins], problem: binsProblem(low, high, bins) })
}

function binsProblem(low: unknown, high: unknown, bins: unknown): string | null {
  if (!(Number.isFinite(low) && Number.isFinite(high) && Number(low) < Number(high))) {
    return `expected finite low < high, found ${show(low)} and ${show(high)}`
  }
  const isFine = Number.isInteger(bins) && Number(bins) >= 1 && Number(bins) <= MAX_BINS
  return isFine ? null : `expected 1 to ${MAX_BINS} bins, found ${show(bins)}`
}

/** Strings joined by a separator, in the order given and then by themselves. */
export function stringAgg<R, T extends string | null | undefined, C extends Context = NoContext>(
  arg: Lambda<R, NoContext, T>,
  separator: string,
  ...order: readonly By<R, C>[]
): Aggregate<R, string | NullIf<T>> {
  const problem = typeof separator === 'string' ? null : `expected a separator, found ${show(separator)}`
  return makeAggregate('stringAgg', [arg], { order: order as never, detail: separator, problem })
}

/** All values, NULL included, as an array, in the order given and then by value. */
export function arrayAgg<R, T extends Cell, C extends Context = NoContext>(
  arg: Lambda<R, NoContext, T>,
  ...order: readonly By<R, C>[]
): Aggregate<R, readonly Value<T>[]> {
  return makeAggregate('arrayAgg', [arg], { order: order as never })
}

/** The same as JSON. */
export function jsonAgg<R, C extends Context = NoContext>(
  arg: Lambda<R, NoContext, Cell>,
  ...order: readonly By<R, C>[]
): Aggregate<R, JsOf<'json'>> {
  return makeAggregate('jsonAgg', [arg], { order: order as never })
}

type TypeOf<P> = P extends TypeName
  ? JsOf<P>
  : P extends ColumnBuilder<infer T, infer N, unknown>
    ? T | (N extends true ? null : never)
    : never

function resultType(what: string, type: UdfType): { type: TypeName; nullable: boolean } {
  if (type instanceof ColumnBuilder) return { type: type.type, nullable: type.isNullable }
  const known = typeof type === 'string' ? knownType(type) : null
  if (known !== null) return { type: known, nullable: false }
  throw new SchemaError(`${what}: expected a type like 'i64' or i64().nullable(), found ${show(type)}`)
}

function userAggregate(kind: string, name: string, returns: UdfType, fn: (...args: never[]) => unknown) {
  if (typeof name !== 'string' || name === '') throw new SchemaError(`${kind}: expected a name, found ${show(name)}`)
  if (typeof fn !== 'function') throw new SchemaError(`${kind} ${quote(name)}: expected a function, found ${show(fn)}`)
  return Object.freeze({ kind: 'user' as const, name, fn, ...resultType(`${kind} ${quote(name)}`, returns) })
}

/**
 * An aggregate of your own that follows from sums: `linear('rms', [r => r.x * r.x], 'f64', (sum, n) => …)`. A change
 * costs by the change; `finish` gets the sums (of floats exact and then rounded; of integers bigints) and the number of
 * rows as a bigint. It must be pure.
 */
export function linear<R, P extends UdfType>(
  name: string,
  terms: readonly ((row: R) => Num)[],
  returns: P,
  finish: (...sums: never[]) => TypeOf<P>,
): Aggregate<R, TypeOf<P> | null> {
  mustBeList('linear', name, terms)
  return makeAggregate('linear', terms, { detail: userAggregate('linear', name, returns, finish) })
}

function mustBeList(kind: string, name: unknown, args: unknown): void {
  if (Array.isArray(args)) return
  throw new SchemaError(`${kind} ${quote(String(name))}: expected arguments like [r => r.x], found ${show(args)}`)
}

interface WeightedRow {
  readonly values: readonly unknown[]
  readonly weight: bigint
}

/** What a fold is made of: pure functions. */
export interface Fold<S, A extends readonly unknown[], T> {
  readonly initial: () => S
  readonly step: (state: S, ...values: A) => S
  readonly finish: (state: S) => T
}

/** Rows of so many copies are refused: a fold takes them one by one. */
const MAX_COPIES = 1_000_000n

/**
 * An aggregate of your own that goes through the group's rows in the order given and then by value. A change costs by
 * the group: where you can, use `linear`.
 */
export function fold<R, A extends readonly unknown[], S, P extends UdfType>(
  name: string,
  args: { readonly [K in keyof A]: (row: R) => A[K] },
  returns: P,
  functions: Fold<S, A, TypeOf<P>>,
  ...order: readonly By<R>[]
): Aggregate<R, TypeOf<P> | null> {
  mustBeList('fold', name, args)
  const { initial, step, finish } = functions ?? {}
  if ([initial, step, finish].some(f => typeof f !== 'function')) {
    const found = showWhole(functions)
    throw new SchemaError(`fold ${quote(String(name))}: expected functions { initial, step, finish }, found ${found}`)
  }
  const run = (rows: readonly WeightedRow[]): unknown => {
    let state = initial()
    for (const { values, weight } of rows) {
      if (weight > MAX_COPIES) throw new Error(`a row is there ${weight} times`)
      for (let w = 0n; w < weight; w++) state = step(state, ...(values as unknown as A))
    }
    return finish(state)
  }
  const detail = userAggregate('fold', name, returns, run as (...args: never[]) => unknown)
  return makeAggregate('fold', args as readonly unknown[], { detail, order: order as never })
}

/**
 * An aggregate of your own from a function of two partial results that is associative and commutative. Rows of weight n
 * are combined with log n steps. A change costs by the group's different values.
 */
export function semigroup<R, T, P extends UdfType>(
  name: string,
  arg: (row: R) => T,
  returns: P,
  combine: (a: NonNullable<T>, b: NonNullable<T>) => NonNullable<T>,
): Aggregate<R, TypeOf<P> | null> {
  type V = NonNullable<T>
  if (typeof combine !== 'function') {
    throw new SchemaError(`semigroup ${quote(String(name))}: expected a function (a, b) => …, found ${show(combine)}`)
  }
  const power = (value: V, n: bigint): V => {
    let result: V | undefined
    let square = value
    for (let rest = n; rest > 0n; rest >>= 1n) {
      if (rest % 2n === 1n) result = result === undefined ? square : combine(result, square)
      square = combine(square, square)
    }
    return result as V
  }
  const run = (rows: readonly WeightedRow[]): unknown => {
    const values = rows.filter(r => r.values[0] !== null).map(r => power(r.values[0] as V, r.weight))
    return values.length === 0 ? null : values.reduce(combine)
  }
  const detail = userAggregate('semigroup', name, returns, run as (...args: never[]) => unknown)
  return makeAggregate('fold', [arg], { detail: Object.freeze({ ...detail, nullable: true }) })
}
