/**
 * Arithmetic of decimals: exact, with the result's precision and scale known from the operands' types (`typing`), and
 * failing where a result has more digits than its type. Division and rounding round half away from zero.
 */
import { divideRounded, fitsPrecision, formatDecimal, powerOfTen, rescale } from '../../schema/decimal.js'
import { decimalOf, decimalShape, MAX_PRECISION, type TypeName } from '../../schema/types.js'
import { fail } from './failure.js'

interface Size {
  readonly precision: number
  readonly scale: number
}

/** Decimal digits of the integer types: what they are next to decimals. */
const INTEGER_DIGITS: Readonly<Partial<Record<TypeName, number>>> = {
  ...{ i8: 3, u8: 3, i16: 5, u16: 5, i32: 10, u32: 10, i64: 19, u64: 20 },
}

/** The decimal type that holds all values of a decimal or integer type, or null. */
export function asDecimalType(type: TypeName): TypeName | null {
  if (decimalShape(type) !== null) return type
  const digits = INTEGER_DIGITS[type]
  return digits === undefined ? null : decimalOf(digits, 0)
}

export type DecimalOp = 'add' | 'sub' | 'mul' | 'div' | 'rem'

/** Digits that a quotient has after the point beyond those of its operands. */
const QUOTIENT_DIGITS = 6

/** The sizes of two decimal types, their greater scale, and how many digits the greater one has before the point. */
function sizesOf(left: TypeName, right: TypeName) {
  const [a, b] = [left, right].map(t => decimalShape(t) as Size)
  return { a, b, scale: Math.max(a.scale, b.scale), whole: Math.max(a.precision - a.scale, b.precision - b.scale) }
}

/**
 * The type of `a op b`, or null if its scale would exceed 38:
 * + and - have the greater scale and one digit more, * the sum of scales and of precisions, % the greater scale, and /
 * six digits more than the greater scale. Precision ends at 38.
 */
export function decimalResult(op: DecimalOp, left: TypeName, right: TypeName): TypeName | null {
  const { a, b, scale, whole } = sizesOf(left, right)
  switch (op) {
    case 'add':
    case 'sub':
      return decimalOf(Math.min(MAX_PRECISION, whole + 1 + scale), scale)
    case 'mul': {
      const sum = a.scale + b.scale
      return sum > MAX_PRECISION ? null : decimalOf(Math.min(MAX_PRECISION, a.precision + b.precision), sum)
    }
    case 'rem':
      return decimalOf(Math.min(MAX_PRECISION, whole + scale), scale)
    case 'div':
      return decimalOf(MAX_PRECISION, Math.min(MAX_PRECISION, scale + QUOTIENT_DIGITS))
  }
}

/** The type that holds all values of both, or null if there is none. */
export function commonDecimal(left: TypeName, right: TypeName): TypeName | null {
  const { scale, whole } = sizesOf(left, right)
  return whole + scale > MAX_PRECISION ? null : decimalOf(whole + scale, scale)
}

const SIGNS: Readonly<Record<DecimalOp, string>> = { add: '+', sub: '-', mul: '*', div: '/', rem: '%' }

/** `a op b` as a value of `type`. REQUIRES: `type` is `decimalResult` of the operands' types. */
export function decimalArithmetic(
  op: DecimalOp,
  type: TypeName,
  types: readonly TypeName[],
  a: bigint,
  b: bigint,
): bigint {
  if ((op === 'div' || op === 'rem') && b === 0n) return fail('division by zero')
  const units = computeDecimal(op, type, types, a, b)
  if (units !== null) return units
  const [x, y] = types.map(t => decimalShape(t) as Size)
  return fail(`${type} overflow in ${formatDecimal(a, x.scale)} ${SIGNS[op]} ${formatDecimal(b, y.scale)}`)
}

/** The same, null where it fails. */
export function computeDecimal(
  op: DecimalOp,
  type: TypeName,
  [left, right]: readonly TypeName[],
  a: bigint,
  b: bigint,
): bigint | null {
  const [to, x, y] = [type, left, right].map(t => decimalShape(t) as Size)
  if ((op === 'div' || op === 'rem') && b === 0n) return null
  const units = compute(op, to.scale, a, x.scale, b, y.scale)
  return fitsPrecision(units, to.precision) ? units : null
}

/** Whether `a op b` has a value whatever the operands, a divisor of zero aside: its type was not cut to 38 digits. */
export function alwaysFits(op: DecimalOp, left: TypeName, right: TypeName): boolean {
  const { a, b, scale, whole } = sizesOf(left, right)
  switch (op) {
    case 'add':
    case 'sub':
      return whole + 1 + scale <= MAX_PRECISION
    case 'mul':
      return a.precision + b.precision <= MAX_PRECISION
    case 'rem':
      return true
    case 'div':
      // The greatest dividend by one unit of the last place of the divisor.
      return a.precision - a.scale + b.scale + Math.min(MAX_PRECISION, scale + QUOTIENT_DIGITS) <= MAX_PRECISION
  }
}

/** Whether every value of the decimal or integer type is one of decimal type `to`, if need be after rounding. */
export function holdsAll(to: TypeName, from: TypeName): boolean {
  const [x, y] = [asDecimalType(from), to].map(t => (t === null ? null : (decimalShape(t) as Size)))
  if (x === null || y === null) return false
  // Rounding may carry into one more digit.
  return y.precision - y.scale >= x.precision - x.scale + (y.scale < x.scale ? 1 : 0)
}

function compute(op: DecimalOp, scale: number, a: bigint, aScale: number, b: bigint, bScale: number): bigint {
  switch (op) {
    case 'add':
      return rescale(a, aScale, scale) + rescale(b, bScale, scale)
    case 'sub':
      return rescale(a, aScale, scale) - rescale(b, bScale, scale)
    case 'mul':
      return a * b
    case 'rem':
      return rescale(a, aScale, scale) % rescale(b, bScale, scale)
    case 'div':
      // a / 10^as over b / 10^bs, in units of 10^-scale.
      return divideRounded(a * powerOfTen(scale + bScale), b * powerOfTen(aScale))
  }
}

/** The value in another decimal type, rounded; null if it has too many digits for it. */
export function convertDecimal(from: TypeName, to: TypeName, value: bigint): bigint | null {
  const [x, y] = [from, to].map(t => decimalShape(t) as Size)
  const units = rescale(value, x.scale, y.scale)
  return fitsPrecision(units, y.precision) ? units : null
}

export type Rounding = 'round' | 'floor' | 'ceil' | 'trunc'

/** The value with the digits of `to` after the point. Fails if it then has too many before it. */
export function roundDecimal(how: Rounding, from: TypeName, to: TypeName, value: bigint): bigint {
  const units = roundedDecimal(how, from, to, value)
  return units ?? fail(`${to} overflow in ${how}(${formatDecimal(value, (decimalShape(from) as Size).scale)})`)
}

/** The same, null where it fails. */
export function roundedDecimal(how: Rounding, from: TypeName, to: TypeName, value: bigint): bigint | null {
  const [x, y] = [from, to].map(t => decimalShape(t) as Size)
  const units =
    y.scale >= x.scale ? rescale(value, x.scale, y.scale) : rounded(how, value, powerOfTen(x.scale - y.scale))
  return fitsPrecision(units, y.precision) ? units : null
}

function rounded(how: Rounding, value: bigint, unit: bigint): bigint {
  const whole = value / unit
  const rest = value % unit
  switch (how) {
    case 'round':
      return divideRounded(value, unit)
    case 'floor':
      return rest < 0n ? whole - 1n : whole
    case 'ceil':
      return rest > 0n ? whole + 1n : whole
    case 'trunc':
      return whole
  }
}

/** The nearest double. */
export const decimalToNumber = (type: TypeName, value: bigint): number =>
  Number(formatDecimal(value, (decimalShape(type) as Size).scale)) + 0
