/**
 * Conversions between types. A cast never loses anything silently: it fails out of range, on a fraction where an
 * integer is wanted, and on text that does not parse. The two exceptions are what conversions of this kind mean:
 * a float gets the nearest double (f32: the nearest single of that), and a timestamp becomes its date or time.
 */
import { assert } from '../../base/errors.js'
import { daysOfMicros, MICROS_PER_DAY, microsOfDay } from '../../schema/calendar.js'
import { TYPES, type TypeName } from '../../schema/types.js'
import type { NonNullValue } from '../../schema/values.js'
import { formatValue, inRange, normalise, Problem, showValue, uuidFromU128, uuidToU128 } from '../../schema/values.js'
import { fail } from './failure.js'

const INTEGERS: readonly TypeName[] = ['i8', 'i16', 'i32', 'i64', 'u8', 'u16', 'u32', 'u64', 'u128']
const FLOATS: readonly TypeName[] = ['f32', 'f64']
const NUMERIC: readonly TypeName[] = [...INTEGERS, ...FLOATS]

/** What each type can be made from, besides itself. A date counts as days, times and timestamps as µs. */
const SOURCES: Readonly<Record<TypeName, readonly TypeName[]>> = Object.freeze({
  ...(Object.fromEntries(
    NUMERIC.map(t => [t, [...NUMERIC, 'bool', 'string', 'date', 'time', 'timestamp', 'timestamptz']]),
  ) as unknown as Record<TypeName, readonly TypeName[]>),
  u128: [...NUMERIC, 'bool', 'string', 'uuid', 'date', 'time', 'timestamp', 'timestamptz'],
  bool: [...NUMERIC, 'string'],
  uuid: ['string', 'u128'],
  string: Object.keys(TYPES) as TypeName[],
  bytes: ['string'],
  date: [...INTEGERS, 'string', 'timestamp', 'timestamptz'],
  time: [...INTEGERS, 'string', 'timestamp', 'timestamptz'],
  timestamp: [...INTEGERS, 'string', 'date', 'timestamptz'],
  timestamptz: [...INTEGERS, 'string', 'date', 'timestamp'],
})

/** Whether there is a cast between the types at all. */
export const castable = (from: TypeName, to: TypeName): boolean => from === to || SOURCES[to].includes(from)

/**
 * The value as one of type `to`. Fails with `cannot cast <value> to <type>`. REQUIRES: castable(from, to).
 */
export function cast(from: TypeName, to: TypeName, value: NonNullValue): NonNullValue {
  assert(castable(from, to), `${from} can be cast to ${to}`)
  if (from === to) return value
  const result = convert(from, to, value)
  return result ?? fail(`cannot cast ${showValue(from, value)} to ${to}`)
}

function convert(from: TypeName, to: TypeName, value: NonNullValue): NonNullValue | null {
  if (typeof value === 'string' && from === 'string') return parse(to, value)
  switch (to) {
    case 'string':
      return from === 'bytes' ? decode(value as Uint8Array) : formatValue(from, value)
    case 'uuid':
      return uuidFromU128(value as bigint)
    case 'bool':
      return toBool(Number(value))
    case 'f64':
      return Number(value)
    case 'f32':
      return toF32(Number(value))
    case 'date':
      return from === 'timestamp' || from === 'timestamptz' ? daysOfMicros(value as bigint) : toInteger(to, value)
    case 'time':
      return from === 'timestamp' || from === 'timestamptz' ? microsOfDay(value as bigint) : toInteger(to, value)
    case 'timestamp':
    case 'timestamptz':
      return toInteger(to, from === 'date' ? BigInt(value as number) * MICROS_PER_DAY : value)
    default:
      return toInteger(to, from === 'uuid' ? uuidToU128(value as string) : value)
  }
}

function toInteger(to: TypeName, value: NonNullValue): NonNullValue | null {
  if (typeof value === 'number' && !Number.isInteger(value)) return null
  const n = BigInt(value as number | bigint | boolean)
  if (!inRange(to, n)) return null
  return TYPES[to].js === 'bigint' ? n : Number(n)
}

const toBool = (x: number): boolean | null => (x === 0 ? false : x === 1 ? true : null)

function toF32(x: number): number | null {
  const rounded = Math.fround(x)
  return Number.isFinite(x) && !Number.isFinite(rounded) ? null : rounded + 0
}

const INTEGER_TEXT = /^[+-]?\d+$/
/** Enough for any 128-bit integer with leading zeros to spare; BigInt takes quadratic time on long text. */
const MAX_INTEGER_TEXT = 1000
const FLOAT_TEXT = /^[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|Infinity|NaN)$/

/** Text as a value: white space around it does not count (except for string and bytes). */
function parse(to: TypeName, text: string): NonNullValue | null {
  if (to === 'bytes') return new TextEncoder().encode(text)
  const trimmed = text.trim()
  switch (to) {
    case 'bool':
      return trimmed === 'true' ? true : trimmed === 'false' ? false : null
    case 'f32':
    case 'f64': {
      if (!FLOAT_TEXT.test(trimmed)) return null
      // Number() takes a sign before Infinity, but not before NaN, where it means nothing.
      const x = Number(trimmed.endsWith('NaN') ? NaN : trimmed) + 0
      return to === 'f32' ? toF32(x) : x
    }
    case 'uuid':
    case 'date':
    case 'time':
    case 'timestamp':
    case 'timestamptz': {
      const value = normalise(to, trimmed)
      return value instanceof Problem ? null : value
    }
    default:
      if (trimmed.length > MAX_INTEGER_TEXT || !INTEGER_TEXT.test(trimmed)) return null
      return toInteger(to, BigInt(trimmed.replace('+', '')))
  }
}

function decode(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return null
  }
}
