/**
 * Moments of one and two variables: variance, covariance, correlation, regression. All follow from exact sums of x, y,
 * x², xy and y², so a result is the double nearest to the exact one (a square root of that for stddev and corr), and
 * depends neither on the order of rows nor on what was there before.
 *
 * With n rows, sx = Σx and so on:  sxx = (n Σx² − sx²) / n,  sxy = (n Σxy − sx sy) / n.
 * Where a value is NaN or infinite, the result is NaN, as in PostgreSQL; without two values there is no sample.
 */
import { type Dyadic, multiply, nearest, ofInteger, signOf, subtract, times } from '../../base/dyadic.js'
import { isFloat, type TypeName } from '../../schema/types.js'
import { canonicalFloat } from '../../schema/values.js'
import type { Expr } from '../expr.js'
import { call } from '../substitute.js'
import type { Accumulated, Accumulator, AggregateDefinition } from './definition.js'
import { allOrNone, finiteOf, roundedSum, sumOf } from './linear.js'
import { isInteger, NUMBERS } from './types.js'

/** n times the sums of squares and products about the means; null where a value is not finite. */
interface Moments {
  readonly n: bigint
  readonly sx: Dyadic
  readonly sy: Dyadic
  /** Σx² and Σxy. */
  readonly x2: Dyadic
  readonly sxy: Dyadic
  /** n Σx² − (Σx)², and so on. */
  readonly xx: Dyadic
  readonly xy: Dyadic
  readonly yy: Dyadic
}

const product = (types: readonly TypeName[], a: number, b: number): Accumulator => ({
  kind: isInteger(types[a]) ? 'intProduct' : 'floatProduct',
  at: [a, b],
})

/** Integers stay integers unless they meet a float. */
function numbers(args: readonly Expr[]): Expr[] {
  const mixed = args.some(a => isFloat(a.type)) && args.some(a => !isFloat(a.type))
  return allOrNone(mixed ? args.map(a => (isFloat(a.type) ? a : call('cast', [a], 'f64'))) : args)
}

const oneVariable = (finish: (m: Moments) => number | null, partial = false): AggregateDefinition => ({
  args: [NUMBERS],
  type: () => 'f64',
  partial,
  plan: {
    kind: 'linear',
    accumulators: types => [sumOf(types, 0), product(types, 0, 0)],
    finish: (state, types) => {
      const sx = finiteOf(state, types, 0, 0)
      const x2 = finiteOf(state, types, 0, 1)
      if (state.n < 0n) return null
      if (sx === null || x2 === null) return finish(NOT_FINITE(state.n)) === null ? null : Number.NaN
      const xx = subtract(times(x2, state.n), multiply(sx, sx))
      return finish({ n: state.n, sx, sy: sx, x2, sxy: x2, xx, xy: xx, yy: xx })
    },
  },
})

/** Stands for moments that are not finite, to ask whether there is a result at all. */
const NOT_FINITE = (n: bigint): Moments => {
  const one = ofInteger(1n)
  return { n, sx: one, sy: one, x2: one, sxy: one, xx: one, xy: one, yy: one }
}

/** The arguments are y and x, in this order, as in SQL. */
const twoVariables = (finish: (m: Moments) => number | null, partial = false): AggregateDefinition => ({
  args: [NUMBERS, NUMBERS],
  type: () => 'f64',
  partial,
  plan: {
    kind: 'linear',
    columns: numbers,
    accumulators: types => [
      ...[sumOf(types, 0), sumOf(types, 1)],
      ...[product(types, 1, 1), product(types, 1, 0), product(types, 0, 0)],
    ],
    finish: (state, types) => {
      const { n } = state
      const [sy, sx, x2, sxy, y2] = [0, 1, 1, 1, 0].map((at, i) => finiteOf(state, types, at, i))
      if (n < 0n) return null
      if (sy === null || sx === null || x2 === null || sxy === null || y2 === null) {
        return finish(NOT_FINITE(n)) === null ? null : Number.NaN
      }
      return finish({
        ...{ n, sx, sy, x2, sxy },
        xx: subtract(times(x2, n), multiply(sx, sx)),
        xy: subtract(times(sxy, n), multiply(sx, sy)),
        yy: subtract(times(y2, n), multiply(sy, sy)),
      })
    },
  },
})

/** a / (n k) */
const over = (a: Dyadic, n: bigint, k: bigint): number => nearest(a, ofInteger(n * k))
const root = (x: number): number => canonicalFloat(Math.sqrt(x))

export const varPop = oneVariable(({ n, xx }) => over(xx, n, n))
export const varSamp = oneVariable(({ n, xx }) => (n < 2n ? null : over(xx, n, n - 1n)), true)
export const stddevPop = oneVariable(({ n, xx }) => root(over(xx, n, n)))
export const stddevSamp = oneVariable(({ n, xx }) => (n < 2n ? null : root(over(xx, n, n - 1n))), true)

export const covarPop = twoVariables(({ n, xy }) => over(xy, n, n))
export const covarSamp = twoVariables(({ n, xy }) => (n < 2n ? null : over(xy, n, n - 1n)), true)
export const corr = twoVariables(({ xx, xy, yy }) => {
  if (signOf(xx) <= 0 || signOf(yy) <= 0) return null
  return canonicalFloat(signOf(xy) * Math.sqrt(nearest(multiply(xy, xy), multiply(xx, yy))))
}, true)

export const regrSlope = twoVariables(({ xx, xy }) => (signOf(xx) <= 0 ? null : nearest(xy, xx)), true)
export const regrIntercept = twoVariables(({ sx, sy, x2, sxy, xx }) => {
  if (signOf(xx) <= 0) return null
  return nearest(subtract(multiply(sy, x2), multiply(sx, sxy)), xx)
}, true)
export const regrR2 = twoVariables(({ xx, xy, yy }) => {
  if (signOf(xx) <= 0) return null
  return signOf(yy) <= 0 ? 1 : nearest(multiply(xy, xy), multiply(xx, yy))
}, true)
export const regrSxx = twoVariables(({ n, xx }) => over(xx, n, 1n))
export const regrSyy = twoVariables(({ n, yy }) => over(yy, n, 1n))
export const regrSxy = twoVariables(({ n, xy }) => over(xy, n, 1n))

export const regrCount: AggregateDefinition = {
  args: [NUMBERS, NUMBERS],
  type: () => 'i64',
  total: true,
  plan: { kind: 'linear', columns: allOrNone, accumulators: () => [], finish: state => state.n },
}

const mean = (at: number): AggregateDefinition => ({
  args: [NUMBERS, NUMBERS],
  type: () => 'f64',
  plan: {
    kind: 'linear',
    columns: allOrNone,
    accumulators: types => [sumOf(types, at)],
    finish: (state: Accumulated, types) => canonicalFloat(roundedSum(state, types[at], 0) / Number(state.n)),
  },
})
export const regrAvgY = mean(0)
export const regrAvgX = mean(1)
