/**
 * The aggregates of the builder: `count()`, `sum(r => …)` and all others.
 *
 * An argument that is NULL does not take part. Where no row takes part the value is NULL (for counts 0), which can only
 * be where an argument is nullable, the aggregate is filtered, or it is global. Weights count: a row that is there twice
 * takes part twice.
 */
import type { Interval } from '../../schema/interval.js'
import { type Aggregate, makeAggregate, mustBeAggregate } from './aggregates.js'
import type { Cell, Context, Ctx, NoContext } from './types.js'

type NullIf<T> = T extends null | undefined ? null : never
type Int = number | bigint | null | undefined
/** Decimals are text; an aggregate of other text is refused when the view is compiled. */
type Num = Int | string
type Summable = Num | Interval
type SumOf<T> =
  | (T extends number
      ? number
      : T extends bigint
        ? bigint
        : T extends string
          ? string
          : T extends Interval
            ? Interval
            : never)
  | NullIf<T>
type MeanOf<T> =
  | (T extends string ? string : T extends number | bigint ? number : T extends Interval ? Interval : never)
  | NullIf<T>
/** A value of the argument's type. */
type Same<T> = T extends boolean
  ? boolean
  : T extends number
    ? number
    : T extends bigint
      ? bigint
      : T extends string
        ? string
        : T extends null | undefined
          ? null
          : T

/** The number of rows, or of rows where the argument is not NULL. */
export function count<R>(): Aggregate<R, bigint, true>
export function count<R, C extends Context = NoContext>(
  arg: (row: R, ctx: Ctx<C>) => Cell,
  ctx?: C,
): Aggregate<R, bigint, true>
export function count<R>(arg?: (row: R, ctx: never) => Cell, ctx?: Context): Aggregate<R, bigint, true> {
  return makeAggregate('count', arg === undefined ? [] : [arg], { ctx })
}

/** The number of different values, exactly: `distinct(count(…))`. */
export function countDistinct<R, C extends Context = NoContext>(
  arg: (row: R, ctx: Ctx<C>) => Cell,
  ctx?: C,
): Aggregate<R, bigint, true> {
  return makeAggregate('count', [arg], { ctx, distinct: true })
}

/**
 * The sum of numbers (a number), bigints (a bigint, which fails its group beyond i64), decimals (a decimal of 38
 * digits, which fails its group beyond them) or intervals (part by part). Integer columns of up to 32 bits are summed exactly as i64 and given as
 * the nearest double, floats are summed exactly and rounded once.
 */
export function sum<R, T extends Summable, C extends Context = NoContext>(
  arg: (row: R, ctx: Ctx<C>) => T,
  ctx?: C,
): Aggregate<R, SumOf<T>> {
  return makeAggregate('sum', [arg], { ctx })
}

/** The least value, of any type. */
export function min<R, T extends Cell, C extends Context = NoContext>(
  arg: (row: R, ctx: Ctx<C>) => T,
  ctx?: C,
): Aggregate<R, Same<T>> {
  return makeAggregate('min', [arg], { ctx })
}

/** The greatest value, of any type. */
export function max<R, T extends Cell, C extends Context = NoContext>(
  arg: (row: R, ctx: Ctx<C>) => T,
  ctx?: C,
): Aggregate<R, Same<T>> {
  return makeAggregate('max', [arg], { ctx })
}

/** An aggregate of one number, itself a number; `Empty` is what it is where there are too few values. */
type OfNumber<Empty = never> = <R, T extends Num, C extends Context = NoContext>(
  arg: (row: R, ctx: Ctx<C>) => T,
  ctx?: C,
) => Aggregate<R, number | NullIf<T> | Extract<Empty, null>>

const ofNumber =
  <Empty>(fn: Parameters<typeof makeAggregate>[0]): OfNumber<Empty> =>
  (arg, ctx) =>
    makeAggregate(fn, [arg], { ctx })

/**
 * The mean: of numbers and bigints a number, the exact sum, rounded and divided; of decimals a decimal of at least six
 * digits after the point where 38 digits have room, rounded half away from zero; of intervals the sum, divided.
 */
export function avg<R, T extends Summable, C extends Context = NoContext>(
  arg: (row: R, ctx: Ctx<C>) => T,
  ctx?: C,
): Aggregate<R, MeanOf<T>> {
  return makeAggregate('avg', [arg], { ctx })
}

/**
 * Variance and standard deviation, of a population and of a sample (NULL for one value), as the double nearest. Decimals
 * count as the doubles nearest to them, here and in all aggregates that give numbers.
 */
export const varPop = ofNumber<never>('varPop')
export const varSamp = ofNumber<null>('varSamp')
export const stddevPop = ofNumber<never>('stddevPop')
export const stddevSamp = ofNumber<null>('stddevSamp')

/** An aggregate of pairs y, x (in this order, as in SQL) without a NULL. */
type OfPair<Empty = never> = <R, Y extends Num, X extends Num, C extends Context = NoContext>(
  y: (row: R, ctx: Ctx<C>) => Y,
  x: (row: R, ctx: Ctx<C>) => X,
  ctx?: C,
) => Aggregate<R, number | NullIf<Y> | NullIf<X> | Extract<Empty, null>>

const ofPair =
  <Empty>(fn: Parameters<typeof makeAggregate>[0]): OfPair<Empty> =>
  (y, x, ctx) =>
    makeAggregate(fn, [y, x], { ctx })

export const covarPop = ofPair<never>('covarPop')
export const covarSamp = ofPair<null>('covarSamp')
/** Pearson's coefficient, from -1 to 1; NULL where one of the two does not vary. */
export const corr = ofPair<null>('corr')
/** Least squares of y over x: slope, intercept, r²; NULL where x does not vary. */
export const regrSlope = ofPair<null>('regrSlope')
export const regrIntercept = ofPair<null>('regrIntercept')
export const regrR2 = ofPair<null>('regrR2')
export const regrAvgX = ofPair<never>('regrAvgX')
export const regrAvgY = ofPair<never>('regrAvgY')
/** Sums of squares and of products about the means. */
export const regrSxx = ofPair<never>('regrSxx')
export const regrSyy = ofPair<never>('regrSyy')
export const regrSxy = ofPair<never>('regrSxy')

/** The number of pairs without a NULL. */
export function regrCount<R, C extends Context = NoContext>(
  y: (row: R, ctx: Ctx<C>) => Num,
  x: (row: R, ctx: Ctx<C>) => Num,
  ctx?: C,
): Aggregate<R, bigint, true> {
  return makeAggregate('regrCount', [y, x], { ctx })
}

type OfBits = <R, T extends Int, C extends Context = NoContext>(
  arg: (row: R, ctx: Ctx<C>) => T,
  ctx?: C,
) => Aggregate<R, Same<T>>

const ofBits =
  (fn: 'bitAnd' | 'bitOr' | 'bitXor'): OfBits =>
  (arg, ctx) =>
    makeAggregate(fn, [arg], { ctx })

/** Bits of integer columns: set in all rows, in some, in an odd number of them. */
export const bitAnd = ofBits('bitAnd')
export const bitOr = ofBits('bitOr')
export const bitXor = ofBits('bitXor')

type OfBoolean = <R, T extends boolean | null | undefined, C extends Context = NoContext>(
  arg: (row: R, ctx: Ctx<C>) => T,
  ctx?: C,
) => Aggregate<R, boolean | NullIf<T>>

const ofBoolean =
  (fn: 'boolAnd' | 'boolOr'): OfBoolean =>
  (arg, ctx) =>
    makeAggregate(fn, [arg], { ctx })

/** Is it true for all rows, for some? */
export const boolAnd = ofBoolean('boolAnd')
export const every = boolAnd
export const boolOr = ofBoolean('boolOr')

/** The aggregate over the rows for which `predicate` is true (SQL: FILTER). */
export function filtered<R, T, Total extends boolean, C extends Context = NoContext>(
  aggregate: Aggregate<R, T, Total>,
  predicate: (row: R, ctx: Ctx<C>) => boolean | null | undefined,
  ctx?: C,
): Aggregate<R, Total extends true ? T : T | null, Total> {
  mustBeAggregate('filtered', aggregate)
  const { fn, lambdas, filters, ...parts } = aggregate
  return makeAggregate(fn, lambdas, { ...parts, filters: [...filters, { predicate, ctx }] })
}

/** The aggregate over its different arguments, each once (SQL: DISTINCT). */
export function distinct<A extends Aggregate<never, unknown, boolean>>(aggregate: A): A {
  mustBeAggregate('distinct', aggregate)
  const { fn, lambdas, ...parts } = aggregate
  return makeAggregate(fn, lambdas, { ...parts, distinct: true })
}
