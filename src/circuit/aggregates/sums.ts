/**
 * What sums and means are, in groups and in frames: their types, their range, and how a mean of decimals is rounded.
 *
 * A sum of decimal(p, s) is a decimal(38, s), exactly, as in PostgreSQL; their mean has at least six digits after the
 * point where 38 digits leave room for them. Integers and floats give i64 and f64.
 */
import { divideRounded, fitsPrecision, powerOfTen } from '../../schema/decimal.js'
import { decimalOf, decimalShape, isFloat, MAX_PRECISION, type TypeName } from '../../schema/types.js'

const MEAN_SCALE = 6

export function sumType(type: TypeName): TypeName {
  const shape = decimalShape(type)
  if (shape !== null) return decimalOf(MAX_PRECISION, shape.scale)
  return isFloat(type) ? 'f64' : 'i64'
}

export function meanType(type: TypeName): TypeName {
  const shape = decimalShape(type)
  return shape === null ? 'f64' : decimalOf(MAX_PRECISION, meanScale(shape))
}

function meanScale({ precision, scale }: { precision: number; scale: number }): number {
  return Math.max(scale, Math.min(MEAN_SCALE, MAX_PRECISION - (precision - scale)))
}

/** The mean of `n` decimals, rounded half away from zero. REQUIRES: `type`, that of the values, is a decimal; n != 0. */
export function decimalMean(type: TypeName, sum: bigint, n: bigint): bigint {
  const shape = decimalShape(type)
  if (shape === null) throw new Error(`expected a decimal, found ${type}`)
  return divideRounded(sum * powerOfTen(meanScale(shape) - shape.scale), n)
}

/** Whether a sum, or a mean of decimals, is a value of its type. `type` is that of the argument. */
export const sumFits = (type: TypeName, value: bigint): boolean =>
  decimalShape(type) === null ? BigInt.asIntN(64, value) === value : fitsPrecision(value, MAX_PRECISION)

/** The message where it is not. */
export const sumOverflow = (fn: 'sum' | 'avg', type: TypeName, name: string): string =>
  `${decimalShape(type) === null ? 'i64' : 'decimal'} overflow in ${fn} ${JSON.stringify(name)}`
