/**
 * Single cells of any type, by schema: for the few places that touch one value now and then and need no code of
 * their own.
 */
import type { Column } from '../schema/schema.js'
import { type Batch, stride } from './batch.js'
import { Heap } from './heap.js'
import { compareGerman, copyString } from './strings.js'

export function cellIsNull(batch: Batch, column: Column, row: number): boolean {
  if (!column.nullable) return false
  const at = row * batch.layout.schema.nullWords * 2 + (column.nullBit >> 5)
  return (batch.nulls32[at] & (1 << (column.nullBit & 31))) !== 0
}

export function setCellNull(batch: Batch, column: Column, row: number, isNull: boolean): void {
  const at = row * batch.layout.schema.nullWords * 2 + (column.nullBit >> 5)
  const bit = 1 << (column.nullBit & 31)
  if (isNull) batch.nulls32[at] |= bit
  else batch.nulls32[at] &= ~bit
}

/** Copies a stored value (not its null bit). REQUIRES: both columns are stored and of one storage class. */
export function copyCell(from: Batch, column: Column, row: number, to: Batch, target: Column, k: number): void {
  const source = from.columns[column.index]
  const sink = to.columns[target.index]
  switch (column.info.storage) {
    case 'german':
      copyString(from.lanes[column.index], row * 4, from.heap, to.lanes[target.index], k * 4, to.heap)
      break
    case 'w128':
      sink[k * 2] = source[row * 2]
      sink[k * 2 + 1] = source[row * 2 + 1]
      break
    default:
      sink[k] = source[row]
  }
}

/** Makes a cell zeros, as that of a NULL is. REQUIRES: the column is stored. */
export function clearCell(batch: Batch, { index, info }: Column, row: number): void {
  const column = batch.columns[index]
  const width = stride(info.storage)
  if (column instanceof BigInt64Array || column instanceof BigUint64Array)
    column.fill(0n, row * width, (row + 1) * width)
  else column.fill(0, row * width, (row + 1) * width)
}

/** Makes a cell NULL: the bit, and nothing left of the value. REQUIRES: the column is stored and nullable. */
export function makeNull(batch: Batch, column: Column, row: number): void {
  setCellNull(batch, column, row, true)
  clearCell(batch, column, row)
}

/** Orders two stored values that are not NULL. REQUIRES: as for copyCell. */
export function compareCells(a: Batch, column: Column, i: number, b: Batch, other: Column, j: number): number {
  switch (column.info.storage) {
    case 'german':
      return compareGerman(a.lanes[column.index], i * 4, a.heap, b.lanes[other.index], j * 4, b.heap)
    case 'w128':
      return compareLanes(a.lanes[column.index], i * 4, b.lanes[other.index], j * 4, 4, false)
    case 'i64':
    case 'u64':
      return compareLanes(a.lanes[column.index], i * 2, b.lanes[other.index], j * 2, 2, column.info.storage === 'i64')
    default: {
      const x = a.columns[column.index][i] as number
      const y = b.columns[other.index][j] as number
      if (x < y) return -1
      if (x > y) return 1
      return x === y ? 0 : Number.isNaN(x) ? (Number.isNaN(y) ? 0 : 1) : -1
    }
  }
}

function compareLanes(a: Uint32Array, i: number, b: Uint32Array, j: number, lanes: number, signed: boolean): number {
  for (let l = lanes - 1; l >= 0; l--) {
    const x = a[i + l]
    const y = b[j + l]
    if (x !== y) return (signed && l === lanes - 1 ? (x | 0) < (y | 0) : x < y) ? -1 : 1
  }
  return 0
}

/** Equality of two cells, NULL equal to NULL. REQUIRES: as for copyCell. */
export function sameCell(a: Batch, column: Column, i: number, b: Batch, other: Column, j: number): boolean {
  const p = cellIsNull(a, column, i)
  const q = cellIsNull(b, other, j)
  if (p || q) return p && q
  return compareCells(a, column, i, b, other, j) === 0
}

/** A heap smaller than this is not worth tidying. */
const TIDY_BYTES = 1 << 16

/**
 * Tidies the heap of rows that are overwritten in place, which leaves bytes behind that no cell refers to. Returns the
 * length of the heap at which to do it again: twice what is in use. REQUIRES: no other batch's cells refer to the heap.
 */
export function tidyHeap(batch: Batch, rows: number): number {
  const { heap } = batch
  const fresh = new Heap()
  for (const { info, index } of batch.layout.stored) {
    if (info.storage !== 'german') continue
    const lanes = batch.lanes[index]
    for (let i = 0; i < rows; i++) copyString(lanes, i * 4, heap, lanes, i * 4, fresh)
  }
  heap.bytes = fresh.bytes
  heap.length = fresh.length
  return Math.max(TIDY_BYTES, fresh.length * 2)
}
