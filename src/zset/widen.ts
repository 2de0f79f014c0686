/**
 * Rows of fewer columns as rows of more: those that are missing hold the same value in every row, NULL or another. Since
 * a column that is the same everywhere decides nothing, the rows stay in their order and consolidated, and nothing is
 * copied but what the new columns need.
 */
import { assert } from '../base/errors.js'
import type { Column, Layout } from '../schema/schema.js'
import { allocateColumn, type Batch, type ColumnArray, lanesOf, stride } from './batch.js'
import { Heap, INLINE_BYTES } from './heap.js'
import { encodeBytes } from './strings.js'

/**
 * What a column holds where it is missing: the bytes of its cell, of strings and the like those of the value; null: NULL.
 */
export type Fill = Uint8Array | null

/** A null bit that is elsewhere, or is set in every row. */
interface NullBits {
  readonly moved: readonly { readonly from: number; readonly to: number }[]
  /** By 32-bit word of a row. */
  readonly set: Uint32Array
}

export class Widening {
  private readonly bits: NullBits
  private readonly missing: readonly { readonly column: Column; readonly fill: Fill }[]

  /**
   * `columns[i]`: where column i of `from` is in `to`; `fills`: by column of `to`, of those that are missing.
   * REQUIRES: the keys of both are the same, and the columns that `from` has are in one order.
   */
  constructor(
    readonly from: Layout,
    readonly to: Layout,
    private readonly columns: readonly number[],
    fills: readonly Fill[],
  ) {
    assert(from.key.words === to.key.words && from.key.kind === to.key.kind, 'a key is not widened')
    this.missing = to.schema.columns.flatMap(column =>
      columns.includes(column.index) ? [] : [{ column, fill: fills[column.index] }],
    )
    this.bits = this.nullBits()
  }

  private nullBits(): NullBits {
    const { from, to, columns, missing } = this
    const moved = from.schema.columns.flatMap(({ index, nullBit }) =>
      nullBit < 0 ? [] : [{ from: nullBit, to: to.schema.columns[columns[index]].nullBit }],
    )
    const set = new Uint32Array(to.schema.nullWords * 2)
    for (const { column, fill } of missing) {
      if (fill === null) set[column.nullBit >> 5] |= 1 << (column.nullBit & 31)
    }
    return { moved, set }
  }

  /** Shows the keys and weights of `rows` in `wide`. */
  showKeys(rows: Batch, wide: Batch): void {
    wide.length = rows.length
    wide.capacity = rows.length
    wide.order = rows.order
    wide.keys = rows.keys
    wide.keys32 = rows.keys32
    wide.setWeights(rows.weights)
    wide.fences = rows.fences
  }

  /** Shows the rest. */
  showColumns(rows: Batch, wide: Batch): void {
    const { from, to, columns } = this
    wide.nulls = to.schema.nullWords === 0 ? rows.nulls : this.nullsOf(rows)
    wide.nulls32 = lanesOf(wide.nulls)
    for (const { index } of from.stored) wide.setColumn(columns[index], rows.columns[index])
    wide.heap = this.heapFor(rows.heap)
    for (const { column, fill } of this.missing)
      wide.setColumn(column.index, filled(column, fill, rows.length, wide.heap))
  }

  private nullsOf({ nulls32, length }: Batch): BigUint64Array {
    const { moved, set } = this.bits
    const narrow = this.from.schema.nullWords * 2
    const words = this.to.schema.nullWords * 2
    const out = new BigUint64Array(length * this.to.schema.nullWords)
    const out32 = lanesOf(out)
    const inPlace = moved.every(bit => bit.from === bit.to)
    for (let i = 0; i < length; i++) {
      const at = i * words
      for (let w = 0; w < words; w++) out32[at + w] = set[w]
      if (inPlace) {
        for (let w = 0; w < narrow && w < words; w++) out32[at + w] |= nulls32[i * narrow + w]
        continue
      }
      for (const bit of moved) {
        const isNull = (nulls32[i * narrow + (bit.from >> 5)] >>> (bit.from & 31)) & 1
        out32[at + (bit.to >> 5)] |= isNull << (bit.to & 31)
      }
    }
    return out
  }

  /** The heap of the rows itself, unless a value that is missing there has to go into one. */
  private heapFor(heap: Heap): Heap {
    const long = this.missing.some(({ fill, column }) => column.info.storage === 'german' && isLong(fill))
    if (!long) return heap
    const own = new Heap()
    own.remote = heap.remote
    own.append(heap.bytes, 0, heap.length)
    return own
  }
}

const isLong = (fill: Fill): boolean => fill !== null && fill.length > INLINE_BYTES

/** A column with one value in all rows. */
function filled({ info: { storage } }: Column, fill: Fill, rows: number, heap: Heap): ColumnArray {
  const column = allocateColumn(storage, rows)
  if (fill === null || rows === 0) return column
  if (storage === 'german') encodeBytes(fill, column as Uint32Array, 0, heap)
  else new Uint8Array(column.buffer, column.byteOffset, fill.length).set(fill)
  const width = stride(storage)
  for (let done = width; done < column.length; done *= 2)
    column.copyWithin(done, 0, Math.min(done, column.length - done))
  return column
}

/** The value that row `row` has in a column, as a fill. REQUIRES: the column is stored. */
export function fillAt(batch: Batch, column: Column, row: number): Uint8Array {
  const { storage, sizeBytes } = column.info
  const cells = batch.columns[column.index]
  if (storage !== 'german') {
    return new Uint8Array(cells.buffer, cells.byteOffset + row * sizeBytes, sizeBytes).slice()
  }
  const lanes = batch.lanes[column.index]
  const length = lanes[row * 4]
  if (length > INLINE_BYTES) return batch.heap.bytes.slice(lanes[row * 4 + 2], lanes[row * 4 + 2] + length)
  return new Uint8Array(cells.buffer, cells.byteOffset + row * 16 + 4, length).slice()
}
