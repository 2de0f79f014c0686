/**
 * Decimals: exact numbers with a fixed count of digits after the point. A canonical decimal(p, s) is a bigint that
 * counts units of 10^-s, below 10^p in size. Rounding is half away from zero, as PostgreSQL's.
 */

export interface ScaledInteger {
  readonly units: bigint
  readonly scale: number
}

const DECIMAL = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,4}))?$/
/** More digits than any decimal has, with zeros to spare; BigInt takes quadratic time on long text. */
const MAX_TEXT = 1000

const powers: bigint[] = [1n]

export function powerOfTen(n: number): bigint {
  while (powers.length <= n) powers.push(powers[powers.length - 1] * 10n)
  return powers[n]
}

/** The exact number that text like `-12.50` or `1e-3` says, or null. */
export function parseDecimal(text: string): ScaledInteger | null {
  const match = text.length > MAX_TEXT ? null : DECIMAL.exec(text)
  if (match === null) return null
  const [, sign, whole, fraction = '', exponent = '0'] = match
  if (whole === '' && fraction === '') return null
  const digits = BigInt(whole + fraction)
  const scale = fraction.length - Number(exponent)
  if (Math.abs(scale) > MAX_TEXT) return digits === 0n ? { units: 0n, scale: 0 } : null
  const units = sign === '-' ? -digits : digits
  return scale >= 0 ? { units, scale } : { units: units * powerOfTen(-scale), scale: 0 }
}

/** The number in units of 10^-to, rounded half away from zero. */
export function rescale(units: bigint, from: number, to: number): bigint {
  if (to >= from) return units * powerOfTen(to - from)
  return divideRounded(units, powerOfTen(from - to))
}

/** a / b, rounded half away from zero. REQUIRES: b is not 0. */
export function divideRounded(a: bigint, b: bigint): bigint {
  const [n, d] = b < 0n ? [-a, -b] : [a, b]
  return n < 0n ? -((-n * 2n + d) / (d * 2n)) : (n * 2n + d) / (d * 2n)
}

/** The number in units of 10^-to, or null if that loses digits. */
export function rescaleExactly(units: bigint, from: number, to: number): bigint | null {
  const result = rescale(units, from, to)
  return to >= from || result * powerOfTen(from - to) === units ? result : null
}

/** Whether the number has at most `precision` digits. */
export const fitsPrecision = (units: bigint, precision: number): boolean =>
  (units < 0n ? -units : units) < powerOfTen(precision)

/** `-12.50`: always `scale` digits after the point. */
export function formatDecimal(units: bigint, scale: number): string {
  const sign = units < 0n ? '-' : ''
  const digits = String(units < 0n ? -units : units).padStart(scale + 1, '0')
  if (scale === 0) return sign + digits
  return `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`
}

/** What is added to a decimal before it is stored as an unsigned 128-bit number. */
export const DECIMAL_OFFSET = 1n << 127n
