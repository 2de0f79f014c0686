/**
 * Integer arithmetic with range checks, and the comparison of values whose types may differ.
 * The `type` of a function is the type of its result; operands are mathematical integers.
 */

import type { TypeName } from '../../schema/types.js'
import { compareBytes, compareNumbers, compareStrings, inRange, type NonNullValue } from '../../schema/values.js'
import { fail } from './failure.js'

function checked(type: TypeName, result: bigint, a: bigint, sign: string, b: bigint): bigint {
  return inRange(type, result) ? result : fail(`${type} overflow in ${a} ${sign} ${b}`)
}

/** a + b; fails with `<type> overflow in a + b`. */
export const addInteger = (type: TypeName, a: bigint, b: bigint): bigint => checked(type, a + b, a, '+', b)

/** a - b; fails on overflow. */
export const subtractInteger = (type: TypeName, a: bigint, b: bigint): bigint => checked(type, a - b, a, '-', b)

/** a * b; fails on overflow. */
export const multiplyInteger = (type: TypeName, a: bigint, b: bigint): bigint => checked(type, a * b, a, '*', b)

/** a / b truncated toward zero; fails with `division by zero`, or on overflow (least i64 / -1). */
export const divideInteger = (type: TypeName, a: bigint, b: bigint): bigint =>
  b === 0n ? fail('division by zero') : checked(type, a / b, a, '/', b)

/** Remainder with the sign of a; fails with `division by zero`. */
export const remainderInteger = (type: TypeName, a: bigint, b: bigint): bigint =>
  b === 0n ? fail('division by zero') : checked(type, a % b, a, '%', b)

/** -a; fails with `<type> overflow in -(a)`. */
export const negateInteger = (type: TypeName, a: bigint): bigint =>
  inRange(type, -a) ? -a : fail(`${type} overflow in -(${a})`)

/**
 * Order of two non-null values of comparable types: negative, 0 or positive. Any two numbers or bigints compare as
 * the mathematical values they are, NaN greatest and equal to itself; text, bytes and booleans as in the row order.
 */
export function compareScalars(a: NonNullValue, b: NonNullValue): number {
  if (typeof a === 'number' && typeof b === 'number') return compareNumbers(a, b)
  if (typeof a === 'string' && typeof b === 'string') return compareStrings(a, b)
  if (a instanceof Uint8Array && b instanceof Uint8Array) return compareBytes(a, b)
  // JavaScript compares a number with a bigint exactly; only NaN needs care.
  if (typeof a === 'number' && Number.isNaN(a)) return 1
  if (typeof b === 'number' && Number.isNaN(b)) return -1
  return a < b ? -1 : a > b ? 1 : 0
}
