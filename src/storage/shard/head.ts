/** The first bytes of a shard's file: is it the shard that is meant? */
import { xxh3 } from '../../base/checksum.js'
import { CorruptionError, FormatError } from '../../base/errors.js'
import type { Layout } from '../../schema/schema.js'
import type { ShardSummary, TableId } from '../types.js'
import { hex } from './faults.js'
import {
  checkMagic,
  checkTable,
  countRegions,
  HEADER_BYTES,
  headBytes,
  MAX_DIRECTORY_END,
  REGION_ALIGNMENT,
  regionSpecs,
} from './format.js'
import type { Source } from './source.js'

/**
 * The bytes of header and directory. Throws FormatError if this is no shard, or one of another version, table or schema;
 * CorruptionError if the file is not the one that `expected` was written for.
 */
export function readHead(source: Source, tableId: TableId, layout: Layout, expected: ShardSummary | null): Uint8Array {
  const { path, sizeBytes } = source
  if (sizeBytes < HEADER_BYTES) {
    const problem = `expected a shard of at least ${HEADER_BYTES} bytes, found ${sizeBytes} bytes`
    throw new CorruptionError(path, sizeBytes, problem)
  }
  const header = source.take(0, HEADER_BYTES)
  checkMagic(header, path)
  checkTable(header, path, tableId)
  const needed = headBytes(regionSpecs(layout).length)
  if (sizeBytes < needed) {
    throw new CorruptionError(path, sizeBytes, `expected a directory up to byte ${needed}, found the end`)
  }
  const head = source.take(0, needed)
  if (expected === null) return head
  checkSize(path, sizeBytes, expected)
  const found = xxh3(head)
  if (found !== expected.checksum) {
    checkRegionCount(source, head.length, expected.checksum)
    const problem = `checksum of header and directory: expected ${hex(expected.checksum)}, found ${hex(found)}`
    throw new CorruptionError(path, 0, problem)
  }
  const rows = new DataView(head.buffer, head.byteOffset, head.length).getBigUint64(16, true)
  if (rows !== BigInt(expected.rowCount)) {
    throw new CorruptionError(path, 16, `expected ${expected.rowCount} rows, found ${rows}`)
  }
  return head
}

/** Throws CorruptionError if a shard's file is not as long as it was written. */
export function checkSize(path: string, sizeBytes: number, expected: ShardSummary): void {
  if (sizeBytes === expected.sizeBytes) return
  const problem = `expected ${expected.sizeBytes} bytes, found ${sizeBytes} bytes`
  throw new CorruptionError(path, Math.min(sizeBytes, expected.sizeBytes), problem)
}

/** Is the checksum right for a directory of another length? Then the shard is sound and its schema is another. */
function checkRegionCount(source: Source, headSizeBytes: number, checksum: bigint): void {
  const first = source.take(HEADER_BYTES, 8)
  const offset = new DataView(first.buffer, first.byteOffset, 8).getBigUint64(0, true)
  if (offset > BigInt(Math.min(source.sizeBytes, MAX_DIRECTORY_END))) return
  const end = Number(offset)
  for (let found = countRegions(end); found > 0 && headBytes(found) > end - REGION_ALIGNMENT; found--) {
    if (headBytes(found) === headSizeBytes || xxh3(source.take(0, headBytes(found))) !== checksum) continue
    const expected = countRegions(headSizeBytes)
    const problem = `expected ${expected} regions, found ${found}: not a shard of this schema`
    throw new FormatError(source.path, HEADER_BYTES, problem)
  }
}
