/**
 * Long strings of many rows, encoded together. A call of the platform's encoder costs more than the bytes of a usual
 * string, so strings of a column are joined and encoded at once into the heap. Text that is not ASCII, whose bytes are
 * not its units, is encoded one by one. Columns that nobody reads need not be encoded at all.
 */
import type { Batch } from './batch.js'
import { encodeString, wordOf } from './strings.js'

const encoder = new TextEncoder()

/** Strings that are encoded together: some, so that one that is not ASCII holds up few others. */
const GROUP = 256

interface Waiting {
  readonly texts: string[]
  readonly rows: number[]
}

export class Texts {
  /** By column index. */
  private readonly columns: Waiting[]
  /** There is nothing to be settled. */
  isEmpty = true

  constructor(private readonly batch: Batch) {
    this.columns = batch.layout.schema.columns.map(() => ({ texts: [], rows: [] }))
  }

  /** Takes the text of a cell, which holds anything until `settle`. */
  put(text: string, column: number, row: number): void {
    const { texts, rows } = this.columns[column]
    texts.push(text)
    rows.push(row)
    this.isEmpty = false
  }

  /** Writes the cells of the columns that `isWanted` says, by index, or of all. The others stay as they are. */
  settle(isWanted: readonly boolean[] | null): void {
    if (this.isEmpty) return
    this.columns.forEach((column, index) => {
      if (isWanted !== null && !isWanted[index]) return
      for (let from = 0; from < column.texts.length; from += GROUP) this.encode(column, index, from)
    })
    this.clear()
  }

  clear(): void {
    if (this.isEmpty) return
    for (const { texts, rows } of this.columns) texts.length = rows.length = 0
    this.isEmpty = true
  }

  private encode({ texts, rows }: Waiting, index: number, from: number): void {
    const group = texts.slice(from, from + GROUP)
    const { heap } = this.batch
    const lanes = this.batch.lanes[index]
    const joined = group.join('')
    heap.reserve(joined.length)
    let at = heap.length
    const room = heap.bytes.subarray(at, at + joined.length)
    const { read, written } = encoder.encodeInto(joined, room)
    if (read !== joined.length || written !== joined.length) {
      group.forEach((text, i) => {
        encodeString(text, lanes, rows[from + i] * 4, heap)
      })
      return
    }
    for (let i = 0; i < group.length; i++) {
      const place = rows[from + i] * 4
      const { length } = group[i]
      lanes[place] = length
      lanes[place + 1] = wordOf(heap.bytes, at, at + length)
      lanes[place + 2] = at
      lanes[place + 3] = 0
      at += length
    }
    heap.length = at
  }
}
