/**
 * Conversions between types. A cast never loses anything silently: it fails out of range, on a fraction where an
 * integer is wanted, and on text that does not parse. The two exceptions are what conversions of this kind mean:
 * a float gets the nearest double (f32: the nearest single of that), and a timestamp becomes its date or time.
 */
import { assert } from '../../base/errors.js'
import { daysOfMicros, MICROS_PER_DAY, microsOfDay } from '../../schema/calendar.js'
import { fitsPrecision, parseDecimal, rescale } from '../../schema/decimal.js'
import { unpackJson } from '../../schema/nested.js'
import { decimalShape, isDecimal, type Part, type PlainTypeName, TYPES, type TypeName } from '../../schema/types.js'
import type { NonNullValue } from '../../schema/values.js'
import { formatValue, inRange, normalise, Problem, showValue, uuidFromU128, uuidToU128 } from '../../schema/values.js'
import { convertDecimal, decimalToNumber } from './decimals.js'
import { fail } from './failure.js'

const INTEGERS: readonly TypeName[] = ['i8', 'i16', 'i32', 'i64', 'u8', 'u16', 'u32', 'u64', 'u128']
const FLOATS: readonly TypeName[] = ['f32', 'f64']
const NUMERIC: readonly TypeName[] = [...INTEGERS, ...FLOATS]
const TIMES: readonly TypeName[] = ['date', 'time', 'timestamp', 'timestamptz']

/** What each plain type can be made from, besides itself and json. A date counts as days, times and timestamps as µs. */
const SOURCES: Readonly<Record<PlainTypeName, readonly TypeName[]>> = Object.freeze({
  ...(Object.fromEntries(NUMERIC.map(t => [t, [...NUMERIC, 'bool', 'string', ...TIMES]])) as unknown as Record<
    PlainTypeName,
    readonly TypeName[]
  >),
  u128: [...NUMERIC, 'bool', 'string', 'uuid', ...TIMES],
  bool: [...NUMERIC, 'string'],
  uuid: ['string', 'u128'],
  string: Object.keys(TYPES) as TypeName[],
  bytes: ['string'],
  date: [...INTEGERS, 'string', 'timestamp', 'timestamptz'],
  time: [...INTEGERS, 'string', 'timestamp', 'timestamptz'],
  timestamp: [...INTEGERS, 'string', 'date', 'timestamptz'],
  timestamptz: [...INTEGERS, 'string', 'date', 'timestamp'],
  interval: ['string'],
  json: [],
})

/** Whether there is a cast between the types at all. */
export function castable(from: TypeName, to: TypeName): boolean {
  if (from === to) return true
  if (from === 'json') return to !== 'bytes'
  if (isDecimal(to)) return isDecimal(from) || from === 'string' || NUMERIC.includes(from)
  if (isDecimal(from)) return to === 'string' || NUMERIC.includes(to)
  const shapes = [TYPES[from].shape, TYPES[to].shape]
  if (to === 'string') return true
  if (shapes.some(s => s !== null && s.kind !== 'json' && s.kind !== 'interval')) return sameBytes(from, to)
  return SOURCES[to as PlainTypeName].includes(from)
}

/** Whether nested types differ in nothing but what may be NULL, more of it in `to`. */
function sameBytes(from: TypeName, to: TypeName): boolean {
  const [a, b] = [TYPES[from].shape, TYPES[to].shape]
  const part = (x: Part, y: Part): boolean =>
    (y.nullable || !x.nullable) && (x.type === y.type || sameBytes(x.type, y.type))
  if (a?.kind === 'array' && b?.kind === 'array') return part(a.element, b.element)
  if (a?.kind === 'map' && b?.kind === 'map') return a.key === b.key && part(a.value, b.value)
  if (a?.kind !== 'struct' || b?.kind !== 'struct' || a.fields.length !== b.fields.length) return false
  return a.fields.every((f, i) => f.name === b.fields[i].name && part(f, b.fields[i]))
}

/**
 * The value as one of type `to`. Fails with `cannot cast <value> to <type>`. REQUIRES: castable(from, to).
 */
export function cast(from: TypeName, to: TypeName, value: NonNullValue): NonNullValue {
  assert(castable(from, to), `${from} can be cast to ${to}`)
  if (from === to) return value
  if (from === 'json') return castJson(to, value as Uint8Array)
  const result = convert(from, to, value)
  return result ?? fail(`cannot cast ${showValue(from, value)} to ${to}`)
}

/**
 * What JSON says of a value of the type: text by parsing, except for types that JSON has; as a string, text itself and
 * anything else as JSON text.
 */
function castJson(to: TypeName, value: Uint8Array): NonNullValue {
  const json = unpackJson(value)
  const refuse = (): never => fail(`cannot cast ${showValue('json', value)} to ${to}`)
  if (to === 'string') return typeof json === 'string' ? json : JSON.stringify(json)
  if (TYPES[to].js === 'boolean') return typeof json === 'boolean' ? json : refuse()
  const numeric = NUMERIC.includes(to) || isDecimal(to)
  if (numeric && typeof json === 'number') return convert('f64', to, json) ?? refuse()
  if (numeric || typeof json !== 'string') {
    const result = typeof json === 'string' || numeric ? new Problem('') : normalise(to, json)
    return result instanceof Problem ? refuse() : result
  }
  return convert('string', to, json) ?? refuse()
}

function convert(from: TypeName, to: TypeName, value: NonNullValue): NonNullValue | null {
  if (isDecimal(from)) return fromDecimal(from, to, value as bigint)
  if (isDecimal(to) && from !== 'string') return toDecimal(to, value as number | bigint)
  if (TYPES[to].storage === 'german' && TYPES[from].storage === 'german' && TYPES[to].shape !== null) {
    if (from !== 'string' && from !== 'json') return value
  }
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

function fromDecimal(from: TypeName, to: TypeName, value: bigint): NonNullValue | null {
  if (isDecimal(to)) return convertDecimal(from, to, value)
  const text = formatValue(from, value)
  if (to === 'string') return text
  if (to === 'f64') return decimalToNumber(from, value)
  if (to === 'f32') return toF32(decimalToNumber(from, value))
  // A fraction of zeros is none.
  const [whole, fraction = ''] = text.split('.')
  return /[1-9]/.test(fraction) ? null : toInteger(to, BigInt(whole))
}

/** Rounded to the digits that the type has after the point; a double counts as its shortest text. */
export function toDecimal(to: TypeName, value: number | bigint | string): bigint | null {
  const parsed = typeof value === 'bigint' ? { units: value, scale: 0 } : parseDecimal(String(value).trim())
  const shape = decimalShape(to)
  if (parsed === null || shape === null) return null
  const units = rescale(parsed.units, parsed.scale, shape.scale)
  return fitsPrecision(units, shape.precision) ? units : null
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
  if (isDecimal(to)) return toDecimal(to, trimmed)
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
    case 'timestamptz':
    case 'interval': {
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
