/**
 * Exact arithmetic on numbers m × 2^e: what sums and products of doubles are. Nothing is rounded but by `nearest`,
 * once, to the double nearest to a quotient (ties to even), so a result depends on the values alone.
 */

export interface Dyadic {
  readonly m: bigint
  readonly e: number
}

export const ZERO: Dyadic = Object.freeze({ m: 0n, e: 0 })

const scratch = new DataView(new ArrayBuffer(8))

/** A finite double. REQUIRES: x is finite. */
export function ofDouble(x: number): Dyadic {
  if (x === 0) return ZERO
  if (Number.isSafeInteger(x)) return { m: BigInt(x), e: 0 }
  scratch.setFloat64(0, x)
  const high = scratch.getUint32(0)
  const exponent = (high >>> 20) & 0x7ff
  const fraction = (BigInt(high & 0xfffff) << 32n) | BigInt(scratch.getUint32(4))
  const m = exponent === 0 ? fraction : fraction | (1n << 52n)
  return { m: x < 0 ? -m : m, e: Math.max(exponent, 1) - 1075 }
}

export const ofInteger = (m: bigint): Dyadic => ({ m, e: 0 })

export function add(a: Dyadic, b: Dyadic): Dyadic {
  if (a.m === 0n) return b
  if (b.m === 0n) return a
  if (a.e === b.e) return { m: a.m + b.m, e: a.e }
  return a.e > b.e ? { m: (a.m << BigInt(a.e - b.e)) + b.m, e: b.e } : { m: a.m + (b.m << BigInt(b.e - a.e)), e: a.e }
}

export const negate = (a: Dyadic): Dyadic => ({ m: -a.m, e: a.e })
export const subtract = (a: Dyadic, b: Dyadic): Dyadic => add(a, negate(b))
export const multiply = (a: Dyadic, b: Dyadic): Dyadic => ({ m: a.m * b.m, e: a.e + b.e })
export const times = (a: Dyadic, n: bigint): Dyadic => ({ m: a.m * n, e: a.e })
export const signOf = (a: Dyadic): number => (a.m > 0n ? 1 : a.m < 0n ? -1 : 0)

/** The double nearest to a / b, ties to even; beyond the largest double ±Infinity; never -0. REQUIRES: b is not 0. */
export function nearest(a: Dyadic, b: Dyadic = ONE): number {
  if (a.m === 0n) return 0
  const negative = a.m < 0n !== b.m < 0n
  let n = a.m < 0n ? -a.m : a.m
  let d = b.m < 0n ? -b.m : b.m
  let e = a.e - b.e
  // Bits of the quotient below its top: a double has 53, fewer where it is subnormal.
  const top = bitLength(n) - bitLength(d) + e
  const shift = Math.max(top - 54, -1075) - e
  if (shift < 0) n <<= BigInt(-shift)
  else d <<= BigInt(shift)
  e += shift
  let quotient = n / d
  // What was cut off counts as half a unit or less, or more: one more bit says which.
  if (quotient * d !== n) quotient = (quotient << 1n) | 1n
  else quotient <<= 1n
  return round(quotient, e - 1, negative)
}
const ONE: Dyadic = ofInteger(1n)

/** magnitude × 2^e as a double. The last bit is sticky. */
function round(magnitude: bigint, e: number, negative: boolean): number {
  const drop = Math.max(bitLength(magnitude) - 53, -1074 - e, 0)
  let kept = magnitude >> BigInt(drop)
  if (drop > 0) {
    const rest = magnitude - (kept << BigInt(drop))
    const half = 1n << BigInt(drop - 1)
    if (rest > half || (rest === half && (kept & 1n) === 1n)) kept += 1n
  }
  const result = scale(Number(kept), e + drop)
  return negative && result !== 0 ? -result : result
}

/** x × 2^e for an integer x of up to 53 bits, where the result is a double. */
function scale(x: number, e: number): number {
  if (e > 971) return e > 1100 ? Infinity : x * 2 ** 971 * 2 ** (e - 971)
  return e < -1022 ? x * 2 ** (e + 60) * 2 ** -60 : x * 2 ** e
}

function bitLength(magnitude: bigint): number {
  if (magnitude < 0x20000000000000n) {
    const x = Number(magnitude)
    return x < 4294967296 ? 32 - Math.clz32(x) : 64 - Math.clz32(Math.floor(x / 4294967296))
  }
  const digits = magnitude.toString(16)
  return (digits.length - 1) * 4 + 32 - Math.clz32(Number.parseInt(digits[0], 16))
}
