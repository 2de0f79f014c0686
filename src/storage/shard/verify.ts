/**
 * Checks everything about a shard that can be checked without knowing how its rows came about: what readers check, and
 * what they leave out because it is dear or harmless (the gaps, the order of rows of one key, NULL cells, values out of
 * their type's range).
 */
import { CorruptionError } from '../../base/errors.js'
import type { Column, KeyField } from '../../schema/schema.js'
import { inRange } from '../../schema/values.js'
import type { Batch } from '../../zset/batch.js'
import { cellIsNull, compareCells } from '../../zset/cells.js'
import { sameKey } from '../../zset/keys.js'
import { isRemote, readRemote } from '../../zset/remote.js'
import type { Fault } from './content.js'
import { compareChecksums, refuse } from './faults.js'
import { headBytes, type Region, regionName } from './format.js'
import type { Shard } from './reader.js'
import { isUtf8 } from './utf8.js'

/**
 * Throws CorruptionError with the place of the first fault, IoError. The file itself is looked at, whatever was read of
 * it before; its rows are read into memory if they cannot be mapped. Of a shard that is encrypted with a key that was not
 * given, only keys, weights and checksums are checked.
 */
export function verifyShard(shard: Shard): void {
  const { file, regions, path } = shard
  let end = headBytes(regions.length)
  for (const region of regions) {
    checkGap(shard, end, region)
    compareChecksums(path, region, file.checksum(region.offset, region.sizeBytes))
    end = region.offset + region.sizeBytes
  }
  // Without a key, that the bytes are the ones that were written is all that can be said of the rest.
  if (shard.isLocked) {
    checkKeys(path, regions[0], shard.keys())
    return
  }
  const rows = shard.rows()
  for (const region of regions) {
    switch (region.kind) {
      case 'keys':
        checkKeys(path, region, rows)
        break
      case 'nulls':
        refuse(path, region, findNullFault(rows))
        break
      case 'column':
        refuse(path, region, findColumnFault(rows, region.column as Column))
        refuse(path, region, findRemoteFault(rows, region.column as Column))
        break
      default:
        break
    }
  }
  checkOrder(path, regions, rows)
}

/** Between regions there are zeros. */
function checkGap({ file, path }: Shard, from: number, region: Region): void {
  const gap = file.take(from, region.offset - from)
  const at = gap.findIndex(byte => byte !== 0)
  if (at < 0) return
  const problem = `expected zero between regions, before ${regionName(region)}, found ${gap[at]}`
  throw new CorruptionError(path, from + at, problem)
}

/** The bits of a packed key that belong to no column are zero, and what flags say agrees with the null words. */
function checkKeys(path: string, region: Region, rows: Batch): void {
  const { key } = rows.layout
  if (key.kind !== 'packed') return
  const total = key.words * 64
  const first = key.fields[0]
  const unused = first.fromBit - (first.column.nullable ? 1 : 0)
  for (let i = 0; i < rows.length; i++) {
    const image = key.words === 1 ? rows.keys[i] : (rows.keys[i * 2 + 1] << 64n) | rows.keys[i * 2]
    if (unused > 0 && image >> BigInt(total - unused) !== 0n) {
      refuse(path, region, { row: i, problem: 'expected zeros in the bits of the key that no column uses' })
    }
    for (const field of key.fields) {
      const problem = fieldProblem(rows, i, field, image, total)
      if (problem !== null) refuse(path, region, { row: i, problem })
    }
  }
}

export function fieldProblem(rows: Batch, i: number, field: KeyField, image: bigint, total: number): string | null {
  const { column, fromBit, bits } = field
  const value = BigInt.asUintN(bits, image >> BigInt(total - fromBit - bits))
  if (column.type === 'bool' && value > 1n) return `column "${column.name}": expected a bool, found ${value}`
  if (!column.nullable) return null
  const isNull = ((image >> BigInt(total - fromBit)) & 1n) === 0n
  if (isNull !== cellIsNull(rows, column, i)) return `column "${column.name}": key and null words disagree about NULL`
  return isNull && value !== 0n ? `column "${column.name}": expected zeros for NULL` : null
}

/** Bits that belong to no column are zero. */
export function findNullFault(rows: Batch): Fault | null {
  const { schema } = rows.layout
  const used = schema.columns.filter(c => c.nullable).length % 64
  if (used === 0) return null
  const mask = ~((1n << BigInt(used)) - 1n)
  for (let i = 0; i < rows.length; i++) {
    const last = rows.nulls[(i + 1) * schema.nullWords - 1]
    if ((last & mask) !== 0n) return { row: i, problem: 'expected zeros in the null bits that no column uses' }
  }
  return null
}

/** A NULL cell holds zeros, a bool 0 or 1, a time one that is less than a day. */
export function findColumnFault(rows: Batch, column: Column): Fault | null {
  const array = rows.columns[column.index]
  const { sizeBytes } = column.info
  const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength)
  for (let i = 0; i < rows.length; i++) {
    if (cellIsNull(rows, column, i)) {
      for (let at = i * sizeBytes; at < (i + 1) * sizeBytes; at++) {
        if (bytes[at] !== 0) return { row: i, problem: 'expected zeros in the cell of a NULL' }
      }
    } else if ((column.type === 'bool' || column.type === 'time') && !isOf(column.type, BigInt(array[i]))) {
      return { row: i, problem: `expected a ${column.type}, found ${array[i]}` }
    }
  }
  return null
}

/** Values that lie in a value log can be read, and are UTF-8 where they are text. Throws what reading them throws. */
function findRemoteFault(rows: Batch, { index, info, type }: Column): Fault | null {
  if (info.storage !== 'german' || rows.heap.remote === null) return null
  const lanes = rows.lanes[index]
  for (let i = 0; i < rows.length; i++) {
    if (!isRemote(lanes, i * 4)) continue
    const value = readRemote(lanes, i * 4, rows.heap)
    if (type === 'string' && !isUtf8(value, 0, value.length)) return { row: i, problem: 'expected UTF-8' }
  }
  return null
}

const isOf = (type: 'bool' | 'time', n: bigint) => (type === 'bool' ? n <= 1n : inRange(type, n))

/** Every row comes after the one before it. */
function checkOrder(path: string, regions: readonly Region[], rows: Batch): void {
  for (let i = 1; i < rows.length; i++) {
    if (!sameKey(rows, i, rows, i - 1)) continue
    const order = comparePayload(rows, i - 1, i)
    if (order < 0) continue
    const problem = order === 0 ? `expected rows once, found row ${i - 1} again` : `expected it after row ${i - 1}`
    refuse(path, regions[0], { row: i, problem })
  }
}

/** The order of rows with one key: column by column, NULL first or, in a descending column, last. */
function comparePayload(rows: Batch, i: number, j: number): number {
  for (const { column, descending } of rows.layout.order) {
    const p = cellIsNull(rows, column, i)
    const q = cellIsNull(rows, column, j)
    const order = p !== q ? (p ? -1 : 1) : p ? 0 : compareCells(rows, column, i, rows, column, j)
    if (order !== 0) return descending ? -order : order
  }
  return 0
}
