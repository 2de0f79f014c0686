/**
 * Single values: from what a user hands in to the canonical value of a column type, their total order, and the
 * conversions that storage needs.
 *
 * Canonical values, by type: bool boolean; i8…u32, f32, f64 and date (days) number; i64, u64, u128, time and
 * timestamps (µs) bigint; uuid lower-case text with dashes; string a well-formed string; bytes Uint8Array; decimals
 * bigint, in units of their last place; interval, json, arrays, maps and structs Uint8Array (`nested.ts`).
 * There is no -0 and one NaN. NULL is not a value of any type here: callers decide about it first.
 *
 * Order: NULL first; false < true; numbers by size with NaN greatest and equal to itself; strings by their UTF-8
 * bytes, which is by code points; bytes by bytes.
 */
import { quote, show } from '../base/errors.js'
import { formatDate, formatTime, formatTimestamp, parseDate, parseTime, parseTimestamp } from './calendar.js'
import type { JsonValue } from './nested.js'
import { describeShape, formatShape, jsonOf as jsonOfShape, normaliseShape, Problem } from './present.js'
import { MAX_STRING_BYTES, TYPES, type TypeName, type Value } from './types.js'
import { loneSurrogateAt, utf8Length } from './utf8.js'

export { Problem, parseJson, present } from './present.js'
export { loneSurrogateAt, utf8Length } from './utf8.js'

export type NonNullValue = Exclude<Value, null>

/** What a column of this type takes, as it reads after "expected ". */
export function describe(type: TypeName): string {
  const { js, min, max, shape } = TYPES[type]
  if (shape !== null) return describeShape(type, shape)
  switch (type) {
    case 'bool':
      return 'a boolean'
    case 'f32':
    case 'f64':
      return 'a number'
    case 'uuid':
      return "a uuid like '123e4567-e89b-12d3-a456-426614174000'"
    case 'string':
      return 'a string'
    case 'bytes':
      return 'a Uint8Array'
    case 'date':
      return "a date: 'YYYY-MM-DD', a Date at midnight UTC, or days since 1970-01-01"
    case 'time':
      return "a time: 'HH:MM:SS.ffffff', or microseconds since midnight as a bigint or safe integer"
    case 'timestamp':
    case 'timestamptz':
      return `a ${type}: 'YYYY-MM-DDTHH:MM:SS.ffffff', a Date, or microseconds since 1970 as a bigint or safe integer`
    default:
      return `${type}, ${js === 'bigint' ? 'a bigint or safe integer' : 'an integer'} from ${min} to ${max}`
  }
}

const mismatch = (type: TypeName, value: unknown): Problem =>
  new Problem(`expected ${describe(type)}, found ${show(value)}`)

/**
 * The canonical value for user input, or the problem with it. Accepts everything `describe(type)` says.
 * ENSURES: a Uint8Array is returned as it is, not copied.
 */
export function normalise(type: TypeName, value: unknown): NonNullValue | Problem {
  const { shape } = TYPES[type]
  if (shape !== null) return normaliseShape(type, shape, value, normalise)
  switch (type) {
    case 'bool':
      return typeof value === 'boolean' ? value : mismatch(type, value)
    case 'f64':
      return typeof value === 'number' ? canonicalFloat(value) : mismatch(type, value)
    case 'f32':
      return normaliseF32(value)
    case 'string':
      return normaliseString(value)
    case 'bytes':
      if (!(value instanceof Uint8Array)) return mismatch(type, value)
      return value.length <= MAX_STRING_BYTES ? value : tooLong(value.length)
    case 'uuid':
      return typeof value === 'string' && isUuid(value) ? value.toLowerCase() : mismatch(type, value)
    case 'date':
      return normaliseDate(value)
    case 'time':
      return typeof value === 'string' ? (parseTime(value) ?? mismatch(type, value)) : normaliseBigInt(type, value)
    case 'timestamp':
    case 'timestamptz':
      return normaliseTimestamp(type, value)
    case 'i64':
    case 'u64':
    case 'u128':
      return normaliseBigInt(type, value)
    default:
      return normaliseInteger(type, value)
  }
}

function normaliseInteger(type: TypeName, value: unknown): number | Problem {
  const { min, max } = TYPES[type]
  if (typeof value !== 'number' || !Number.isInteger(value)) return mismatch(type, value)
  return value >= Number(min) && value <= Number(max) ? value + 0 : mismatch(type, value)
}

function normaliseBigInt(type: TypeName, value: unknown): bigint | Problem {
  if (typeof value !== 'bigint' && !(typeof value === 'number' && Number.isSafeInteger(value))) {
    return mismatch(type, value)
  }
  const n = BigInt(value)
  return inRange(type, n) ? n : mismatch(type, value)
}

/** Whether an integer lies in the range of an integer, date or time type. REQUIRES: the type has a range. */
export function inRange(type: TypeName, n: bigint): boolean {
  const { min, max } = TYPES[type]
  return min !== null && max !== null && n >= min && n <= max
}

/** -0 becomes +0; every NaN is the one that JavaScript writes. */
export const canonicalFloat = (x: number): number => x + 0

function normaliseF32(value: unknown): number | Problem {
  if (typeof value !== 'number') return mismatch('f32', value)
  const rounded = Math.fround(value)
  if (Number.isFinite(value) && !Number.isFinite(rounded)) return new Problem(`${value} is out of range for f32`)
  return canonicalFloat(rounded)
}

function normaliseString(value: unknown): string | Problem {
  if (typeof value !== 'string') return mismatch('string', value)
  // A UTF-16 unit takes at least one byte: no need to look at all of them.
  if (value.length > MAX_STRING_BYTES) return tooLong(`at least ${value.length}`)
  const lone = loneSurrogateAt(value)
  if (lone >= 0) {
    const unit = value.charCodeAt(lone).toString(16).toUpperCase()
    return new Problem(`expected well-formed text, found the lone surrogate U+${unit} at position ${lone}`)
  }
  if (value.length * 3 > MAX_STRING_BYTES) {
    const bytes = utf8Length(value)
    if (bytes > MAX_STRING_BYTES) return tooLong(bytes)
  }
  return value
}

const tooLong = (bytes: number | string): Problem =>
  new Problem(`expected at most ${MAX_STRING_BYTES} bytes, found ${bytes} bytes`)

const MILLIS_PER_DAY = 86_400_000

function normaliseDate(value: unknown): number | Problem {
  if (typeof value === 'string') {
    const days = parseDate(value)
    return days !== null && inRange('date', BigInt(days)) ? days : mismatch('date', value)
  }
  if (value instanceof Date) {
    // A time of day would be lost, and a local midnight be off by one day: refuse rather than guess.
    const days = value.getTime() / MILLIS_PER_DAY
    return Number.isInteger(days) ? days + 0 : new Problem(`expected ${describe('date')}, found ${showDate(value)}`)
  }
  return normaliseInteger('date', value)
}

function normaliseTimestamp(type: 'timestamp' | 'timestamptz', value: unknown): bigint | Problem {
  if (typeof value === 'string') {
    const micros = parseTimestamp(value, type === 'timestamptz')
    return micros !== null && inRange(type, micros) ? micros : mismatch(type, value)
  }
  if (value instanceof Date) {
    const millis = value.getTime()
    if (Number.isNaN(millis)) return new Problem(`expected ${describe(type)}, found ${showDate(value)}`)
    return BigInt(millis) * 1000n
  }
  return normaliseBigInt(type, value)
}

const showDate = (date: Date): string =>
  Number.isNaN(date.getTime()) ? 'an invalid Date' : `the Date ${date.toISOString()}`

/** Order of two canonical values of one type, NULL first: negative, 0 or positive. */
export function compareValues(type: TypeName, a: Value, b: Value): number {
  if (a === null || b === null) return a === b ? 0 : a === null ? -1 : 1
  switch (TYPES[type].js) {
    case 'number':
      return compareNumbers(a as number, b as number)
    case 'string':
      return compareStrings(a as string, b as string)
    case 'Uint8Array':
      return compareBytes(a as Uint8Array, b as Uint8Array)
    default:
      return a < b ? -1 : a > b ? 1 : 0
  }
}

/** Whether two canonical values of one type are the same; NULL equals NULL. */
export function equalValues(type: TypeName, a: Value, b: Value): boolean {
  return a === b || compareValues(type, a, b) === 0
}

/** NaN is greatest and equal to itself; -0 equals +0. */
export function compareNumbers(a: number, b: number): number {
  if (a < b) return -1
  if (a > b) return 1
  if (a === b) return 0
  return (Number.isNaN(a) ? 1 : 0) - (Number.isNaN(b) ? 1 : 0)
}

/** Order by code points, which is the order of the UTF-8 bytes. REQUIRES: both are well-formed. */
export function compareStrings(a: string, b: string): number {
  const n = Math.min(a.length, b.length)
  for (let i = 0; i < n; i++) {
    const x = a.charCodeAt(i)
    const y = b.charCodeAt(i)
    if (x !== y) return codePointRank(x) - codePointRank(y)
  }
  return a.length - b.length
}

/** Moves surrogate units above U+E000–U+FFFF, where the code points lie that they stand for. */
const codePointRank = (unit: number): number => (unit < 0xd800 ? unit : unit < 0xe000 ? unit + 0x2000 : unit - 0x800)

export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const n = Math.min(a.length, b.length)
  for (let i = 0; i < n; i++) {
    if (a[i] !== b[i]) return a[i] - b[i]
  }
  return a.length - b.length
}

const encoder = new TextEncoder()

/** UTF-8 bytes of text, or the problem with it (lone surrogate, too long). */
export function encodeUtf8(text: string): Uint8Array | Problem {
  const checked = normaliseString(text)
  return checked instanceof Problem ? checked : encoder.encode(text)
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

export const isUuid = (text: string): boolean => UUID.test(text)

/** A uuid as a 128-bit number, the first hex digit most significant. REQUIRES: isUuid(text). */
export const uuidToU128 = (text: string): bigint => BigInt(`0x${text.replaceAll('-', '')}`)

/** Lower-case text with dashes. REQUIRES: 0 <= n < 2^128. */
export function uuidFromU128(n: bigint): string {
  const hex = n.toString(16).padStart(32, '0')
  const parts = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)]
  return parts.join('-')
}

/** The two words of a uuid as a column stores them: less significant first. REQUIRES: isUuid(text). */
export function uuidToWords(text: string): [low: bigint, high: bigint] {
  const digits = text.replaceAll('-', '')
  return [BigInt(`0x${digits.slice(16)}`), BigInt(`0x${digits.slice(0, 16)}`)]
}

/** Inverse of uuidToWords. */
export const uuidFromWords = (low: bigint, high: bigint): string => uuidFromU128((high << 64n) | low)

/**
 * A value as text, as a cast to string gives it; the text of every type but bytes parses back with `normalise` or a
 * cast. bytes are shown in hexadecimal here (a cast decodes them).
 */
export function formatValue(type: TypeName, value: NonNullValue): string {
  const { shape } = TYPES[type]
  if (shape !== null) return formatShape(type, shape, value, formatValue)
  switch (type) {
    case 'date':
      return formatDate(value as number)
    case 'time':
      return formatTime(value as bigint)
    case 'timestamp':
      return formatTimestamp(value as bigint)
    case 'timestamptz':
      return `${formatTimestamp(value as bigint)}Z`
    case 'bytes':
      return Array.from(value as Uint8Array, b => b.toString(16).padStart(2, '0')).join('')
    default:
      return String(value)
  }
}

/** A canonical value of any type as JSON: what JSON has no number for as text, bytes in hexadecimal. */
export const jsonOf = (type: TypeName, value: Value): JsonValue => jsonOfShape(type, value, formatValue)

/** Longest text of a nested value in a message. */
const MAX_SHOWN = 80

/** A value as it stands in a message about an expression: text is quoted and shortened. */
export function showValue(type: TypeName, value: Value): string {
  if (value === null) return 'NULL'
  if (type === 'bytes') return `${(value as Uint8Array).length} bytes`
  const text = formatValue(type, value)
  if (TYPES[type].storage === 'german' && TYPES[type].shape !== null) {
    return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN - 3)}...` : text
  }
  return TYPES[type].js === 'string' ? quote(text) : text
}
