/**
 * Exact sums of doubles, on big integers: the reference for the engine's faster accumulators.
 *
 * Every finite double is a whole number of units of 2^-1074, so a sum of weighted doubles is an integer: additions
 * and retractions cancel exactly, in any order, and only `result` rounds. Infinities and NaN are counted.
 */

const FRACTION_BITS = 52n
const FRACTION_MASK = (1n << FRACTION_BITS) - 1n
const MAX_EXPONENT = 0x7ff

const scratch = new DataView(new ArrayBuffer(8))

/** A finite double in units of 2^-1074. REQUIRES: x is finite. */
export function toUnits(x: number): bigint {
  scratch.setFloat64(0, x)
  const bits = scratch.getBigUint64(0)
  const exponent = (bits >> FRACTION_BITS) & 0x7ffn
  const fraction = bits & FRACTION_MASK
  const magnitude = exponent === 0n ? fraction : (fraction | (1n << FRACTION_BITS)) << (exponent - 1n)
  return bits >> 63n === 1n ? -magnitude : magnitude
}

/**
 * The double nearest to n units of 2^-1074, ties to even; beyond the largest double ±Infinity. 0 gives +0.
 */
export function fromUnits(n: bigint): number {
  const negative = n < 0n
  const magnitude = negative ? -n : n
  const excess = bitLength(magnitude) - 53
  // Up to 53 bits the number is exact: subnormals and the first binades have the units' own spacing.
  const shift = Math.max(excess, 0)
  let fraction = magnitude >> BigInt(shift)
  if (shift > 0) fraction += roundsUp(magnitude, BigInt(shift), fraction) ? 1n : 0n
  // The hidden bit of a normal number carries into the exponent field and makes it shift + 1; so does rounding up.
  const bits = (BigInt(shift) << FRACTION_BITS) + fraction
  if (bits >> FRACTION_BITS >= BigInt(MAX_EXPONENT)) return negative ? -Infinity : Infinity
  scratch.setBigUint64(0, bits)
  return negative ? -scratch.getFloat64(0) : scratch.getFloat64(0)
}

function roundsUp(magnitude: bigint, shift: bigint, kept: bigint): boolean {
  const rest = magnitude & ((1n << shift) - 1n)
  const half = 1n << (shift - 1n)
  return rest > half || (rest === half && (kept & 1n) === 1n)
}

function bitLength(magnitude: bigint): number {
  const digits = magnitude.toString(16)
  const leadingBits = 32 - Math.clz32(Number.parseInt(digits[0], 16))
  return (digits.length - 1) * 4 + leadingBits
}

/** A sum of weighted doubles. Any order of the same additions gives the same state and the same result. */
export class ExactSum {
  /** The finite part, in units of 2^-1074. */
  private units = 0n
  private positiveInfinities = 0n
  private negativeInfinities = 0n
  private nans = 0n

  /** Adds x `weight` times; a negative weight takes it away. */
  add(x: number, weight: bigint): void {
    if (Number.isFinite(x)) this.units += toUnits(x) * weight
    else if (x === Infinity) this.positiveInfinities += weight
    else if (x === -Infinity) this.negativeInfinities += weight
    else this.nans += weight
  }

  /** The double nearest to the exact sum (ties to even); never -0. */
  result(): number {
    if (this.nans !== 0n) return Number.NaN
    const infinities = times(Infinity, this.positiveInfinities) + times(-Infinity, this.negativeInfinities)
    return infinities === 0 ? fromUnits(this.units) : infinities
  }
}

/** An infinity taken `weight` times. */
const times = (infinity: number, weight: bigint): number => (weight === 0n ? 0 : weight > 0n ? infinity : -infinity)
