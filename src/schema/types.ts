/**
 * Column types: how a value looks in TypeScript, how it lies in memory and on disk, and how it becomes an
 * order-preserving key. To add a type, add a row to `TYPES`, a conversion in `schema/values.ts`, and, if its
 * storage is new, a storage class here and in the templates.
 */

export type TypeName =
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
  /** The TypeScript type of a value. */
  readonly js: 'boolean' | 'number' | 'bigint' | 'string' | 'Uint8Array'
  /** Inclusive range of integers (also bool as 0..1 is not listed), else null. */
  readonly min: bigint | null
  readonly max: bigint | null
}

function info(
  name: TypeName,
  storage: Storage,
  sizeBytes: number,
  js: TypeInfo['js'],
  range: readonly [bigint, bigint] | null = null,
): TypeInfo {
  const keyBits = storage === 'german' ? 0 : sizeBytes * 8
  return Object.freeze({ name, storage, sizeBytes, keyBits, js, min: range?.[0] ?? null, max: range?.[1] ?? null })
}

const signed = (bits: bigint) => [-(1n << (bits - 1n)), (1n << (bits - 1n)) - 1n] as const
const unsigned = (bits: bigint) => [0n, (1n << bits) - 1n] as const

export const TYPES: Readonly<Record<TypeName, TypeInfo>> = Object.freeze({
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
})

/** Types whose expressions are evaluated as JavaScript numbers. */
export const isNumberType = (t: TypeName): boolean => TYPES[t].js === 'number'
/** Types whose expressions are evaluated as JavaScript bigints. */
export const isBigIntType = (t: TypeName): boolean => TYPES[t].js === 'bigint'
export const isFloat = (t: TypeName): boolean => t === 'f32' || t === 'f64'

/** A column value in TypeScript. `uuid` is lower-case text with dashes. */
export type Value = boolean | number | bigint | string | Uint8Array | null

/** Longest string or bytes value, in bytes: 2^28 (strings are measured in UTF-8). */
export const MAX_STRING_BYTES = 1 << 28
