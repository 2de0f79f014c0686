/**
 * Column types: how a value looks in TypeScript, how it lies in memory and on disk, and how it becomes an
 * order-preserving key. To add a type, add a row to `TYPES`, a conversion in `schema/values.ts`, and, if its
 * storage is new, a storage class here and in the templates.
 *
 * A type is known by its name. Types with parameters carry them there: `decimal(10,2)`, `array(i64)`,
 * `map(string,f64?)`, `struct("a":i64,"b":string?)`; `?` says that elements, values or fields may be NULL. Their rows
 * in `TYPES` are made when they are first named, by the constructors below or by `knownType`.
 */

/** Types without parameters: the enumerable keys of `TYPES`. */
export type PlainTypeName =
  | 'bool'
  | 'i8'
  | 'i16'
  | 'i32'
  | 'i64'
  | 'u8'
  | 'u16'
  | 'u32'
  | 'u64'
  | 'u128'
  | 'f32'
  | 'f64'
  | 'uuid'
  | 'string'
  | 'bytes'
  | 'date'
  | 'time'
  | 'timestamp'
  | 'timestamptz'
  | 'interval'
  | 'json'

export type TypeName =
  | PlainTypeName
  | `decimal(${string})`
  | `array(${string})`
  | `map(${string})`
  | `struct(${string})`

/**
 * Physical storage of a column, one element per row unless said otherwise.
 * `w128`: BigUint64Array, 2 elements per row, low 64 bits first.
 * `german`: Uint32Array, 4 elements per row: length in bytes, first 4 bytes, then 8 more bytes if the length is
 * at most 12, else the 64-bit offset of all bytes in the batch's heap (low word first).
 */
export type Storage = 'u8' | 'i8' | 'u16' | 'i16' | 'u32' | 'i32' | 'f32' | 'f64' | 'i64' | 'u64' | 'w128' | 'german'

export interface TypeInfo {
  readonly name: TypeName
  readonly storage: Storage
  /** Bytes per row in its region. */
  readonly sizeBytes: number
  /** Bits of its order-preserving key image, or 0 if it has none of fixed width. */
  readonly keyBits: number
  /** The JavaScript type of a canonical value, which is what expressions and kernels work on. */
  readonly js: 'boolean' | 'number' | 'bigint' | 'string' | 'Uint8Array'
  /**
   * Set where users see something else than the canonical value (`present` in `values.ts`): decimals are text to them
   * and units of the last place in here; the others are arrays and objects to them and canonical bytes in here, whose
   * order as bytes is the order of the values (`encoding.ts`).
   */
  readonly shape: Shape | null
  /** Inclusive range of integers (also bool as 0..1 is not listed), else null. */
  readonly min: bigint | null
  readonly max: bigint | null
}

/** A part of a nested type. */
export interface Part {
  readonly type: TypeName
  readonly nullable: boolean
}

export type Shape =
  | { readonly kind: 'json' }
  | { readonly kind: 'interval' }
  /** At most `precision` digits, `scale` of them after the point. */
  | { readonly kind: 'decimal'; readonly precision: number; readonly scale: number }
  | { readonly kind: 'array'; readonly element: Part }
  /** Keys are never NULL and all different. */
  | { readonly kind: 'map'; readonly key: TypeName; readonly value: Part }
  | { readonly kind: 'struct'; readonly fields: readonly (Part & { readonly name: string })[] }

function info(
  name: TypeName,
  storage: Storage,
  sizeBytes: number,
  js: TypeInfo['js'],
  range: readonly [bigint, bigint] | null = null,
  shape: Shape | null = null,
): TypeInfo {
  const keyBits = storage === 'german' ? 0 : sizeBytes * 8
  const [min, max] = range ?? [null, null]
  return Object.freeze({ name, storage, sizeBytes, keyBits, js, shape, min, max })
}

const signed = (bits: bigint) => [-(1n << (bits - 1n)), (1n << (bits - 1n)) - 1n] as const
const unsigned = (bits: bigint) => [0n, (1n << bits) - 1n] as const

const PLAIN: Readonly<Record<PlainTypeName, TypeInfo>> = {
  bool: info('bool', 'u8', 1, 'boolean'),
  i8: info('i8', 'i8', 1, 'number', signed(8n)),
  i16: info('i16', 'i16', 2, 'number', signed(16n)),
  i32: info('i32', 'i32', 4, 'number', signed(32n)),
  i64: info('i64', 'i64', 8, 'bigint', signed(64n)),
  u8: info('u8', 'u8', 1, 'number', unsigned(8n)),
  u16: info('u16', 'u16', 2, 'number', unsigned(16n)),
  u32: info('u32', 'u32', 4, 'number', unsigned(32n)),
  u64: info('u64', 'u64', 8, 'bigint', unsigned(64n)),
  u128: info('u128', 'w128', 16, 'bigint', unsigned(128n)),
  f32: info('f32', 'f32', 4, 'number'),
  f64: info('f64', 'f64', 8, 'number'),
  uuid: info('uuid', 'w128', 16, 'string'),
  string: info('string', 'german', 16, 'string'),
  bytes: info('bytes', 'german', 16, 'Uint8Array'),
  /** Days since 1970-01-01. */
  date: info('date', 'i32', 4, 'number', signed(32n)),
  /** Microseconds since midnight. */
  time: info('time', 'i64', 8, 'bigint', [0n, 86_399_999_999n]),
  /** Microseconds since 1970-01-01T00:00:00, without a zone. */
  timestamp: info('timestamp', 'i64', 8, 'bigint', signed(64n)),
  /** Microseconds since 1970-01-01T00:00:00Z. */
  timestamptz: info('timestamptz', 'i64', 8, 'bigint', signed(64n)),
  /** Months, days and microseconds, which do not convert into each other. */
  interval: info('interval', 'german', 16, 'Uint8Array', null, Object.freeze({ kind: 'interval' })),
  json: info('json', 'german', 16, 'Uint8Array', null, Object.freeze({ kind: 'json' })),
}

/** Every type that has been named so far. Those with parameters are not enumerable. */
export const TYPES: Readonly<Record<TypeName, TypeInfo>> = { ...PLAIN }

function intern<T extends TypeName>(name: T, make: () => TypeInfo): T {
  if (!Object.hasOwn(TYPES, name)) Object.defineProperty(TYPES, name, { value: make() })
  return name
}

export const MAX_PRECISION = 38

/** Throws RangeError unless 1 <= precision <= 38 and 0 <= scale <= precision. */
export function decimalOf(precision: number, scale: number): TypeName {
  const fits = Number.isInteger(precision) && precision >= 1 && precision <= MAX_PRECISION
  if (!fits || !Number.isInteger(scale) || scale < 0 || scale > precision) {
    throw new RangeError(`expected decimal(1..${MAX_PRECISION}, 0..precision), found decimal(${precision}, ${scale})`)
  }
  const name = `decimal(${precision},${scale})` as const
  // Stored with an offset of 2^127, so that the order of the words is that of the values.
  return intern(name, () =>
    info(name, 'w128', 16, 'bigint', null, Object.freeze({ kind: 'decimal', precision, scale })),
  )
}

const partName = ({ type, nullable }: Part): string => (nullable ? `${type}?` : type)
const bytesInfo = (name: TypeName, shape: Shape): TypeInfo =>
  info(name, 'german', 16, 'Uint8Array', null, Object.freeze(shape))

/** Arrays of elements of one type. */
export function arrayOf(element: Part): TypeName {
  const name = `array(${partName(element)})` as const
  return intern(name, () => bytesInfo(name, { kind: 'array', element: Object.freeze({ ...element }) }))
}

/** Maps from keys to values. */
export function mapOf(key: TypeName, value: Part): TypeName {
  const name = `map(${key},${partName(value)})` as const
  return intern(name, () => bytesInfo(name, { kind: 'map', key, value: Object.freeze({ ...value }) }))
}

/** Records with these fields, in this order. Throws RangeError if there is none, or a name occurs twice. */
export function structOf(fields: readonly (Part & { readonly name: string })[]): TypeName {
  if (fields.length === 0 || new Set(fields.map(f => f.name)).size !== fields.length) {
    throw new RangeError('expected a struct to have fields of different names')
  }
  const name = `struct(${fields.map(f => `${JSON.stringify(f.name)}:${partName(f)}`).join(',')})` as const
  return intern(name, () => bytesInfo(name, { kind: 'struct', fields: fields.map(f => Object.freeze({ ...f })) }))
}

/** The type of this name, or null if there is none: names come from files and users. */
export function knownType(name: string): TypeName | null {
  if (Object.hasOwn(TYPES, name)) return name as TypeName
  if (name.length > MAX_TYPE_NAME) return null
  try {
    const reader = { text: name, at: 0 }
    const type = readType(reader, MAX_TYPE_DEPTH)
    // One name for a type: no blanks, no leading zeros.
    return reader.at === name.length && type === name ? type : null
  } catch (problem) {
    if (problem instanceof RangeError || problem instanceof SyntaxError) return null
    throw problem
  }
}

const MAX_TYPE_NAME = 100_000
const MAX_TYPE_DEPTH = 32

interface TypeReader {
  readonly text: string
  at: number
}

const mismatch = (): never => {
  throw new RangeError('not the name of a type')
}

function take(reader: TypeReader, pattern: RegExp): string {
  pattern.lastIndex = reader.at
  const found = pattern.exec(reader.text)?.[0] ?? mismatch()
  reader.at += found.length
  return found
}

function readType(reader: TypeReader, depth: number): TypeName {
  if (depth === 0) mismatch()
  const name = take(reader, /[a-z][a-z0-9]*/y)
  if (reader.text[reader.at] !== '(') return Object.hasOwn(PLAIN, name) ? (name as TypeName) : mismatch()
  reader.at++
  const type = readParameters(reader, name, depth)
  take(reader, /\)/y)
  return type
}

function readParameters(reader: TypeReader, name: string, depth: number): TypeName {
  const comma = (): unknown => take(reader, /,/y)
  switch (name) {
    case 'decimal': {
      const precision = Number(take(reader, /\d{1,2}/y))
      comma()
      return decimalOf(precision, Number(take(reader, /\d{1,2}/y)))
    }
    case 'array':
      return arrayOf(readPart(reader, depth))
    case 'map': {
      const key = readType(reader, depth - 1)
      comma()
      return mapOf(key, readPart(reader, depth))
    }
    case 'struct': {
      const fields: (Part & { name: string })[] = []
      do {
        if (fields.length > 0) reader.at++
        const quoted = take(reader, /"(?:[^"\\]|\\.)*"(?=:)/y)
        reader.at++
        fields.push({ name: JSON.parse(quoted) as string, ...readPart(reader, depth) })
      } while (reader.text[reader.at] === ',')
      return structOf(fields)
    }
    default:
      return mismatch()
  }
}

function readPart(reader: TypeReader, depth: number): Part {
  const type = readType(reader, depth - 1)
  const nullable = reader.text[reader.at] === '?'
  if (nullable) reader.at++
  return { type, nullable }
}

/** The shape of a decimal type, or null. */
export function decimalShape(type: TypeName): (Shape & { kind: 'decimal' }) | null {
  const { shape } = TYPES[type]
  return shape?.kind === 'decimal' ? shape : null
}
export const isDecimal = (type: TypeName): boolean => TYPES[type].shape?.kind === 'decimal'

/** Types whose expressions are evaluated as JavaScript numbers. */
export const isNumberType = (t: TypeName): boolean => TYPES[t].js === 'number'
/** Types whose expressions are evaluated as JavaScript bigints. */
export const isBigIntType = (t: TypeName): boolean => TYPES[t].js === 'bigint' && TYPES[t].shape === null
export const isFloat = (t: TypeName): boolean => t === 'f32' || t === 'f64'

/** A canonical value, as kernels and expressions know it. `uuid` is lower-case text with dashes. */
export type Value = boolean | number | bigint | string | Uint8Array | null

/** Longest string or bytes value, in bytes: 2^28 (strings are measured in UTF-8). */
export const MAX_STRING_BYTES = 1 << 28
