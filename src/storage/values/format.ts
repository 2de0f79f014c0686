/**
 * The bytes of a value log (FORMAT.md, "Value log"): a header of one block, then records, each a header, a value and
 * zeros up to the next block; and the pointers that cells of shards lead to.
 */
import { xxh3 } from '../../base/checksum.js'
import { crc32c } from '../../base/crc32c.js'
import { CorruptionError, FormatError } from '../../base/errors.js'
import { POINTER_BYTES, POINTER_HASH_AT, POINTER_PREFIX_AT, PREFIX_BYTES } from '../../zset/remote.js'
import { type FileCipher, SEAL_BYTES, type Sealing } from '../crypt/keyring.js'
import type { TableId } from '../types.js'

/** The bytes `GNITZVAL` as a little-endian u64. */
const MAGIC = 0x4c41565a54494e47n
const VERSION = 1n
/** The bytes `GVAL` as a little-endian u32. */
const RECORD_MAGIC = 0x4c415647
/** Everything begins at a multiple of this. */
export const BLOCK_BYTES = 4096
export const RECORD_HEADER_BYTES = 32
const SALT_AT = 32
const CHECKSUM_AT = 48
/** Where the header of a sealed record has its count. */
const COUNT_AT = 16
/** Where the checked part of a record begins. */
const CHECKED_FROM = 8

export function alignBlock(bytes: number): number {
  return Math.ceil(bytes / BLOCK_BYTES) * BLOCK_BYTES
}

/** Bytes of a record without its padding. */
export function usedBytes(length: number, isSealed: boolean): number {
  return RECORD_HEADER_BYTES + length + (isSealed ? SEAL_BYTES : 0)
}

/** Bytes that a value takes up in its file. */
export function recordBytes(length: number, isSealed: boolean): number {
  return alignBlock(usedBytes(length, isSealed))
}

export function encodeFileHeader(fileId: number, sealing: Sealing | null): Uint8Array {
  const bytes = new Uint8Array(BLOCK_BYTES)
  const view = new DataView(bytes.buffer)
  view.setBigUint64(0, MAGIC, true)
  view.setBigUint64(8, VERSION, true)
  view.setBigUint64(16, BigInt(fileId), true)
  if (sealing !== null) {
    view.setUint32(24, sealing.keyId, true)
    bytes.set(sealing.salt, SALT_AT)
  }
  view.setBigUint64(CHECKSUM_AT, xxh3(bytes.subarray(0, CHECKSUM_AT)), true)
  return bytes
}

/**
 * How a file is encrypted; null: it is in the clear. Throws FormatError, CorruptionError. `bytes`: the first block, as
 * much of it as there is.
 */
export function decodeFileHeader(bytes: Uint8Array, file: string, fileId: number): Sealing | null {
  if (bytes.length < BLOCK_BYTES) {
    const problem = `expected a header of ${BLOCK_BYTES} bytes, found ${bytes.length} bytes`
    throw new CorruptionError(file, bytes.length, problem)
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  if (view.getBigUint64(0, true) !== MAGIC) {
    throw new FormatError(file, 0, 'expected a value log of gnitz (GNITZVAL), found another kind of file')
  }
  const version = view.getBigUint64(8, true)
  if (version !== VERSION) {
    throw new FormatError(file, 8, `value log: expected version ${VERSION}, found ${version}`)
  }
  const [expected, found] = [view.getBigUint64(CHECKSUM_AT, true), xxh3(bytes.subarray(0, CHECKSUM_AT))]
  if (expected !== found) {
    throw new CorruptionError(file, CHECKSUM_AT, `checksum of the header: expected ${expected}, found ${found}`)
  }
  const found64 = view.getBigUint64(16, true)
  if (found64 !== BigInt(fileId)) {
    throw new CorruptionError(file, 16, `expected the value log number ${fileId}, found number ${found64}`)
  }
  const keyId = view.getUint32(24, true)
  const salt = bytes.slice(SALT_AT, CHECKSUM_AT)
  if (view.getUint32(28, true) !== 0 || (keyId === 0 && salt.some(byte => byte !== 0))) {
    throw new CorruptionError(file, 24, 'expected zeros in the header of a value log')
  }
  return keyId === 0 ? null : { keyId, salt }
}

/** What a record of a sealed file is encrypted with. */
export interface RecordSeal {
  readonly cipher: FileCipher
  /** No two records of a file have the same one. */
  readonly count: bigint
  /** Of the record in its file. */
  readonly offset: number
}

/** Writes a record to `into`, which holds zeros and has room for it. */
export function encodeRecord(into: Uint8Array, value: Uint8Array, tableId: TableId, seal: RecordSeal | null): void {
  const view = new DataView(into.buffer, into.byteOffset, into.length)
  view.setUint32(0, RECORD_MAGIC, true)
  view.setUint32(8, value.length, true)
  view.setUint32(24, tableId, true)
  let end = RECORD_HEADER_BYTES + value.length
  if (seal === null) into.set(value, RECORD_HEADER_BYTES)
  else {
    view.setBigUint64(COUNT_AT, seal.count, true)
    const aad = placeOf(into, seal.offset)
    seal.cipher.seal(0, seal.count, aad, value, into.subarray(RECORD_HEADER_BYTES))
    end += SEAL_BYTES
  }
  view.setUint32(4, crc32c(into.subarray(CHECKED_FROM, end)), true)
}

/** What a sealed value is bound to: its header, without magic and CRC, and its place in the file. */
function placeOf(record: Uint8Array, offset: number): Uint8Array {
  const place = new Uint8Array(RECORD_HEADER_BYTES)
  place.set(record.subarray(CHECKED_FROM, RECORD_HEADER_BYTES))
  new DataView(place.buffer).setBigUint64(RECORD_HEADER_BYTES - CHECKED_FROM, BigInt(offset), true)
  return place
}

/** The value in a record. Throws CorruptionError. REQUIRES: `checkRecord` did not throw. */
export function openRecord(record: Uint8Array, cipher: FileCipher | null, file: string, offset: number): Uint8Array {
  if (cipher === null) return record.subarray(RECORD_HEADER_BYTES)
  const count = new DataView(record.buffer, record.byteOffset, record.length).getBigUint64(COUNT_AT, true)
  const value = cipher.open(0, count, placeOf(record, offset), record.subarray(RECORD_HEADER_BYTES))
  if (value !== null) return value
  const problem = `this is not the value that was encrypted with key ${cipher.keyId} for this place`
  throw new CorruptionError(file, offset, problem)
}

/** What the header of a record says. */
export interface RecordHeader {
  readonly length: number
  readonly tableId: TableId
}

/** The header of the record at `offset` of the file. Throws CorruptionError. REQUIRES: 32 bytes. */
export function decodeRecordHeader(bytes: Uint8Array, file: string, offset: number): RecordHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  if (view.getUint32(0, true) !== RECORD_MAGIC) {
    throw new CorruptionError(file, offset, 'expected a record (GVAL), found other bytes')
  }
  return { length: view.getUint32(8, true), tableId: view.getUint32(24, true) }
}

/** Throws CorruptionError if a record is not what was written. REQUIRES: all of its bytes but padding. */
export function checkRecord(record: Uint8Array, file: string, offset: number): void {
  const expected = new DataView(record.buffer, record.byteOffset, record.length).getUint32(4, true)
  const found = crc32c(record.subarray(CHECKED_FROM))
  if (expected === found) return
  const hex = (n: number) => `0x${n.toString(16).padStart(8, '0')}`
  throw new CorruptionError(file, offset, `CRC32C of the record: expected ${hex(expected)}, found ${hex(found)}`)
}

/** Where a value lies, and what is known of it without reading it. */
export interface Pointer {
  readonly fileId: number
  readonly offset: number
  readonly hash: bigint
}

export function writePointer(into: Uint8Array, at: number, { fileId, offset, hash }: Pointer, value: Uint8Array): void {
  const view = new DataView(into.buffer, into.byteOffset + at, POINTER_BYTES)
  view.setBigUint64(0, BigInt(fileId), true)
  view.setBigUint64(8, BigInt(offset), true)
  view.setBigUint64(POINTER_HASH_AT, hash, true)
  into.set(value.subarray(0, PREFIX_BYTES), at + POINTER_PREFIX_AT)
}

/** REQUIRES: `POINTER_BYTES` bytes at `at`. */
export function readPointer(bytes: Uint8Array, at: number): Pointer {
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, POINTER_BYTES)
  const number = (from: number) => view.getUint32(from, true) + view.getUint32(from + 4, true) * 2 ** 32
  return { fileId: number(0), offset: number(8), hash: view.getBigUint64(POINTER_HASH_AT, true) }
}
