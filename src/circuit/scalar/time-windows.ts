/**
 * Arithmetic of time windows, on whole numbers of any width: times count their µs, dates their days. What the type cannot
 * hold becomes its least or greatest value, so that none of this fails.
 */
import { TYPES, type TypeName } from '../../schema/types.js'

type Whole = number | bigint

/** Sizes of windows are less than this: three of them fit 64 bits. */
export const MAX_WINDOW = 1n << 61n

/** The nearest value that the type has. */
export function saturate(type: TypeName, value: bigint): Whole {
  const { min, max, js } = TYPES[type]
  if (min === null || max === null) return value
  const held = value < min ? min : value > max ? max : value
  return js === 'number' ? Number(held) : held
}

/** The start of the window of `size` that `at` lies in, where one begins at `offset`. REQUIRES: 0 <= offset < size. */
export function windowStart(type: TypeName, at: Whole, size: Whole, offset: Whole): Whole {
  const [a, s, o] = [BigInt(at), BigInt(size), BigInt(offset)]
  return saturate(type, a - (((a % s) - o + 2n * s) % s))
}

export const sumSaturated = (type: TypeName, a: Whole, b: Whole): Whole => saturate(type, BigInt(a) + BigInt(b))
export const differenceSaturated = (type: TypeName, a: Whole, b: Whole): Whole => saturate(type, BigInt(a) - BigInt(b))

/**
 * The starts of the windows that hold `at`, latest first. Those that would begin below the least value of the type are
 * not there, but for the first, which begins at it. REQUIRES: size >= step.
 */
export function windowStarts(type: TypeName, at: Whole, size: Whole, step: Whole, offset: Whole): Whole[] {
  const least = TYPES[type].min as bigint
  const [a, z, s, o] = [BigInt(at), BigInt(size), BigInt(step), BigInt(offset)]
  const last = a - (((a % s) - o + 2n * s) % s)
  const starts = [saturate(type, last)]
  for (let start = last - s; start >= least && start + z > a; start -= s) starts.push(saturate(type, start))
  return starts
}
