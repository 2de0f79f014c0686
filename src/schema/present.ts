/**
 * Between what users see and canonical values, for the types where these differ (`TypeInfo.shape`):
 *
 *     decimal   text like '-12.50'; taken are also bigints, and numbers, for what their shortest text says
 *     interval  { months, days, micros }, parts that are 0 may be left out; taken is also text
 *     array     an array           map      a Map; taken are also entries, and objects where keys are strings
 *     struct    an object          json     what JSON.parse gives
 *
 * Also taken are canonical bytes, as a Uint8Array, which are checked. NULL is null, in parts as well; undefined too.
 */
import { show } from '../base/errors.js'
import { BadBytes } from './bytes.js'
import { fitsPrecision, formatDecimal, parseDecimal, rescaleExactly } from './decimal.js'
import {
  decodeInterval,
  encodeInterval,
  formatInterval,
  type Interval,
  intervalFits,
  parseInterval,
} from './interval.js'
import {
  elementsOf,
  entriesOf,
  fieldsOf,
  type JsonValue,
  type MapEntry,
  packArray,
  packJson,
  packMap,
  packStruct,
  unpackJson,
} from './nested.js'
import { MAX_STRING_BYTES, type Part, type Shape, TYPES, type TypeName, type Value } from './types.js'
import { loneSurrogateAt } from './utf8.js'

type NonNull = Exclude<Value, null>

/** What is wrong with a value; callers add table, column and row. */
export class Problem {
  readonly message: string
  constructor(message: string) {
    this.message = message
  }
}

/** `normalise` of `values.ts`, which knows all types. */
export type Normalise = (type: TypeName, value: unknown) => NonNull | Problem

/** What a column of this type takes, as it reads after "expected ". */
export function describeShape(type: TypeName, shape: Shape): string {
  switch (shape.kind) {
    case 'decimal':
      return `a ${type}: text like '12.50', a bigint, or a number`
    case 'interval':
      return "an interval: { months, days, micros }, or text like '1 month 2 days 03:04:05'"
    case 'array':
      return `an array of ${shape.element.type}`
    case 'map':
      return `a Map from ${shape.key} to ${shape.value.type}`
    case 'struct':
      return `an object with ${shape.fields.map(f => JSON.stringify(f.name)).join(', ')}`
    case 'json':
      return 'a JSON value'
  }
}

/** Deepest json that is taken, so that no stack runs out. */
export const MAX_JSON_DEPTH = 200

/** The canonical value for user input, or the problem with it. */
export function normaliseShape(type: TypeName, shape: Shape, value: unknown, normalise: Normalise): NonNull | Problem {
  const mismatch = (): Problem => new Problem(`expected ${describeShape(type, shape)}, found ${show(value)}`)
  if (shape.kind === 'decimal') return normaliseDecimal(type, shape, value) ?? mismatch()
  const bytes = value instanceof Uint8Array ? checkedBytes(type, value, normalise) : pack(type, shape, value, normalise)
  if (bytes === null) return mismatch()
  if (bytes instanceof Problem || bytes.length <= MAX_STRING_BYTES) return bytes
  return new Problem(`expected at most ${MAX_STRING_BYTES} bytes, found ${bytes.length} bytes`)
}

function pack(type: TypeName, shape: Shape, value: unknown, normalise: Normalise): Uint8Array | Problem | null {
  switch (shape.kind) {
    case 'interval':
      return packInterval(value)
    case 'array':
      return Array.isArray(value) ? packElements(type, shape.element, value, normalise) : null
    case 'map':
      return packEntries(type, shape, value, normalise)
    case 'struct':
      return packFields(type, shape.fields, value, normalise)
    default: {
      const checked = checkedJson(value, MAX_JSON_DEPTH)
      return checked instanceof Problem ? checked : checked === null ? null : packJson(checked)
    }
  }
}

function normaliseDecimal(type: TypeName, shape: Shape & { kind: 'decimal' }, value: unknown): bigint | Problem | null {
  const { precision, scale } = shape
  const parsed =
    typeof value === 'bigint'
      ? { units: value, scale: 0 }
      : typeof value === 'string' || typeof value === 'number'
        ? parseDecimal(String(value))
        : null
  if (parsed === null) return null
  const units = rescaleExactly(parsed.units, parsed.scale, scale)
  if (units === null) return new Problem(`expected a ${type}, at most ${scale} digits after the point, found ${value}`)
  return fitsPrecision(units, precision) ? units : new Problem(`expected a ${type}, found ${value}`)
}

/** Bytes that came from outside are only good if they are what their value is written as. */
function checkedBytes(type: TypeName, bytes: Uint8Array, normalise: Normalise): Uint8Array | null {
  try {
    const again = normalise(type, present(type, bytes))
    const same = again instanceof Uint8Array && again.length === bytes.length && again.every((b, i) => b === bytes[i])
    return same ? bytes : null
  } catch (problem) {
    if (problem instanceof BadBytes || problem instanceof RangeError) return null
    throw problem
  }
}

const INTERVAL_PARTS: readonly string[] = ['months', 'days', 'micros']

function packInterval(value: unknown): Uint8Array | null {
  if (typeof value === 'string') {
    const parsed = parseInterval(value)
    return parsed === null ? null : encodeInterval(parsed)
  }
  if (!isRecord(value) || Object.keys(value).some(k => !INTERVAL_PARTS.includes(k))) return null
  const { months = 0, days = 0, micros = 0n } = value
  const whole = typeof micros === 'number' && Number.isSafeInteger(micros) ? BigInt(micros) : micros
  if (typeof months !== 'number' || typeof days !== 'number' || typeof whole !== 'bigint') return null
  const interval = { months, days, micros: whole }
  return intervalFits(interval) ? encodeInterval(interval) : null
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Map)

/** A canonical part, or the problem with it, which says where in the whole it is. */
function partOf(part: Part, value: unknown, where: string, normalise: Normalise): Value | Problem {
  if (value === null || value === undefined) {
    return part.nullable ? null : new Problem(`${where}: expected a value, found ${value}`)
  }
  const result = normalise(part.type, value)
  return result instanceof Problem ? new Problem(`${where}: ${result.message}`) : result
}

function packElements(type: TypeName, part: Part, given: readonly unknown[], normalise: Normalise) {
  const elements: Value[] = []
  // Not `entries`: holes are undefined.
  for (let i = 0; i < given.length; i++) {
    const element = partOf(part, given[i], `element ${i}`, normalise)
    if (element instanceof Problem) return element
    elements.push(element)
  }
  return packArray(type, elements)
}

function packEntries(type: TypeName, shape: Shape & { kind: 'map' }, value: unknown, normalise: Normalise) {
  const given = value instanceof Map || Array.isArray(value) ? [...(value as Iterable<unknown>)] : null
  const pairs = given ?? (isRecord(value) && shape.key === 'string' ? Object.entries(value) : null)
  if (pairs === null) return null
  const entries: MapEntry[] = []
  for (const [i, pair] of pairs.entries()) {
    if (!Array.isArray(pair) || pair.length !== 2) return new Problem(`entry ${i}: expected [key, value]`)
    const key = partOf({ type: shape.key, nullable: false }, pair[0], `key ${i}`, normalise)
    const entry = partOf(shape.value, pair[1], `value ${i}`, normalise)
    if (key instanceof Problem) return key
    if (entry instanceof Problem) return entry
    entries.push([key as NonNull, entry])
  }
  return packMap(type, entries) ?? new Problem('expected different keys, found one twice')
}

function packFields(
  type: TypeName,
  fields: (Shape & { kind: 'struct' })['fields'],
  value: unknown,
  normalise: Normalise,
) {
  if (!isRecord(value)) return null
  const extra = Object.keys(value).find(name => !fields.some(f => f.name === name) && value[name] !== undefined)
  if (extra !== undefined) return new Problem(`field ${JSON.stringify(extra)}: the struct has no such field`)
  const values: Value[] = []
  for (const field of fields) {
    const given = Object.hasOwn(value, field.name) ? value[field.name] : undefined
    const part = partOf(field, given, `field ${JSON.stringify(field.name)}`, normalise)
    if (part instanceof Problem) return part
    values.push(part)
  }
  return packStruct(type, values)
}

/** Has no place: the path to it is long, and endless where a value is part of itself. */
class TooDeep extends Problem {
  constructor() {
    super(`expected JSON of at most ${MAX_JSON_DEPTH} levels, found more, or a value that is part of itself`)
  }
}

/** A value that JSON has. Members that are undefined are left out, as by JSON.stringify. */
function checkedJson(value: unknown, depth: number): JsonValue | Problem {
  if (depth === 0) return new TooDeep()
  if (value === null || typeof value === 'boolean') return value
  if (typeof value === 'string') {
    return loneSurrogateAt(value) < 0 ? value : new Problem('expected well-formed text, found a lone surrogate')
  }
  if (typeof value === 'number') return Number.isFinite(value) ? value : new Problem(`JSON has no number ${value}`)
  if (typeof value === 'bigint') {
    const number = Number(value)
    return BigInt(number) === value ? number : new Problem(`${value} is no number that JSON.parse gives`)
  }
  if (Array.isArray(value)) {
    const elements: JsonValue[] = []
    for (let i = 0; i < value.length; i++) {
      const element = checkedJson(value[i], depth - 1)
      if (element instanceof TooDeep) return element
      if (element instanceof Problem) return new Problem(`[${i}]: ${element.message}`)
      elements.push(element)
    }
    return elements
  }
  return isPlain(value) ? checkedMembers(value, depth) : new Problem(`expected a JSON value, found ${show(value)}`)
}

function isPlain(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

function checkedMembers(value: Readonly<Record<string, unknown>>, depth: number): JsonValue | Problem {
  const members: [string, JsonValue][] = []
  for (const [name, given] of Object.entries(value)) {
    if (given === undefined) continue
    const member = loneSurrogateAt(name) < 0 ? checkedJson(given, depth - 1) : new Problem('a name that is no text')
    if (member instanceof TooDeep) return member
    if (member instanceof Problem) return new Problem(`${JSON.stringify(name)}: ${member.message}`)
    members.push([name, member])
  }
  return Object.fromEntries(members)
}

/** JSON text as a canonical json value, or the problem with it. The text `null` is NULL. */
export function parseJson(text: string): Uint8Array | Problem | null {
  try {
    const checked = checkedJson(JSON.parse(text), MAX_JSON_DEPTH)
    return checked instanceof Problem || checked === null ? checked : packJson(checked)
  } catch (thrown) {
    if (thrown instanceof SyntaxError || thrown instanceof RangeError) return new Problem('expected JSON text')
    throw thrown
  }
}

/** The value as users see it. REQUIRES: canonical. */
export function present(type: TypeName, value: Value): unknown {
  const { shape } = TYPES[type]
  if (shape === null || value === null) return value
  switch (shape.kind) {
    case 'decimal':
      return formatDecimal(value as bigint, shape.scale)
    case 'interval':
      return decodeInterval(value as Uint8Array)
    case 'array':
      return elementsOf(type, value as Uint8Array).map(e => present(shape.element.type, e))
    case 'map': {
      const entries = entriesOf(type, value as Uint8Array)
      return new Map(entries.map(([k, v]) => [present(shape.key, k), present(shape.value.type, v)]))
    }
    case 'struct': {
      const values = fieldsOf(type, value as Uint8Array)
      return Object.fromEntries(shape.fields.map((f, i) => [f.name, present(f.type, values[i])]))
    }
    case 'json':
      return unpackJson(value as Uint8Array)
  }
}

/** A value as text: nested ones as JSON, in which `format` says what JSON cannot. */
export function formatShape(type: TypeName, shape: Shape, value: NonNull, format: Format): string {
  if (shape.kind === 'decimal') return formatDecimal(value as bigint, shape.scale)
  if (shape.kind === 'interval') return formatInterval(decodeInterval(value as Uint8Array))
  return JSON.stringify(jsonOf(type, value, format))
}

export type Format = (type: TypeName, value: NonNull) => string

/**
 * A canonical value of any type as JSON: integers beyond 2^53, decimals, dates and the like as text, bytes in
 * hexadecimal, maps as objects if keys are strings and else as arrays of pairs, NaN and infinities as text.
 */
export function jsonOf(type: TypeName, value: Value, format: Format): JsonValue {
  if (value === null) return null
  const { shape, js } = TYPES[type]
  switch (shape?.kind) {
    case 'json':
      return unpackJson(value as Uint8Array)
    case 'array':
      return elementsOf(type, value as Uint8Array).map(e => jsonOf(shape.element.type, e, format))
    case 'struct': {
      const values = fieldsOf(type, value as Uint8Array)
      return Object.fromEntries(shape.fields.map((f, i) => [f.name, jsonOf(f.type, values[i], format)]))
    }
    case 'map': {
      const entries = entriesOf(type, value as Uint8Array)
      if (shape.key === 'string') {
        return Object.fromEntries(entries.map(([k, v]) => [k as string, jsonOf(shape.value.type, v, format)]))
      }
      return entries.map(([k, v]) => [jsonOf(shape.key, k, format), jsonOf(shape.value.type, v, format)])
    }
    case undefined:
      if (js === 'boolean' || type === 'string') return value as boolean | string
      if (js === 'number' && type !== 'date' && Number.isFinite(value)) return value as number
      if (js === 'bigint' && (type === 'i64' || type === 'u64') && Number.isSafeInteger(Number(value))) {
        return Number(value)
      }
      return format(type, value)
    default:
      return format(type, value)
  }
}

/** The parts of an interval as users may give them. */
export type IntervalInput = Partial<Omit<Interval, 'micros'>> & { readonly micros?: bigint | number }
