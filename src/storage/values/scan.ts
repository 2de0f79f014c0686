/** Walking through the records of a value log from end to end. */
import { CorruptionError } from '../../base/errors.js'
import type { EnvFile } from '../../env/env.js'
import type { TableId } from '../types.js'
import {
  BLOCK_BYTES,
  checkRecord,
  decodeFileHeader,
  decodeRecordHeader,
  RECORD_HEADER_BYTES,
  recordBytes,
  usedBytes,
} from './format.js'

/** A record, checked. */
export interface RecordInfo {
  readonly offset: number
  /** Of the value. */
  readonly length: number
  readonly tableId: TableId
  /** Header, value and padding. */
  readonly sizeBytes: number
}

/**
 * The records from byte `from` to byte `end`, in order; the header of the file is checked, too. Throws CorruptionError
 * and FormatError at the first byte that is not what was written, and IoError. REQUIRES: a record begins at `from`.
 */
export function* scanRecords(
  file: EnvFile,
  fileId: number,
  from: number,
  end: number,
): Generator<RecordInfo, void, void> {
  const { path } = file
  const block = read(file, 0, BLOCK_BYTES)
  const isSealed = decodeFileHeader(block, path, fileId) !== null
  refusePadding(block, USED_HEADER_BYTES, path, 0)
  for (let offset = from; offset < end; ) {
    const header = decodeRecordHeader(read(file, offset, RECORD_HEADER_BYTES), path, offset)
    const sizeBytes = recordBytes(header.length, isSealed)
    if (offset + sizeBytes > end) {
      throw new CorruptionError(path, offset, `a value of ${header.length} bytes reaches beyond the end at ${end}`)
    }
    const record = read(file, offset, sizeBytes)
    const used = usedBytes(header.length, isSealed)
    checkRecord(record.subarray(0, used), path, offset)
    refusePadding(record, used, path, offset)
    yield { offset, sizeBytes, ...header }
    offset += sizeBytes
  }
}

/** Bytes of the first block that mean something. */
const USED_HEADER_BYTES = 56

function read(file: EnvFile, offset: number, count: number): Uint8Array {
  const left = file.size() - offset
  if (left < count)
    throw new CorruptionError(file.path, file.size(), `expected ${count - left} more bytes, found the end`)
  const bytes = new Uint8Array(count)
  const got = file.read(bytes, offset)
  if (got === count) return bytes
  throw new CorruptionError(file.path, offset + got, `expected ${count - got} more bytes, found the end`)
}

function refusePadding(bytes: Uint8Array, from: number, path: string, offset: number): void {
  for (let at = from; at < bytes.length; at++) {
    if (bytes[at] !== 0)
      throw new CorruptionError(path, offset + at, `expected zero after a record, found ${bytes[at]}`)
  }
}
