/** Copying ranges of rows between batches of one layout, column by column. */
import { type Batch, type ColumnArray, stride } from './batch.js'
import { copyString } from './strings.js'

/**
 * Appends rows from..to of `source` to `target`, weights included.
 * REQUIRES: the same columns are stored in both. ENSURES: `target.order` is raw.
 */
export function appendRows(source: Batch, from: number, to: number, target: Batch): void {
  const n = to - from
  if (n <= 0) return
  target.reserve(n)
  const at = target.length
  const { key, schema, stored } = target.layout
  copyPart(source.keys, from * key.words, to * key.words, target.keys, at * key.words)
  copyPart(source.weights, from, to, target.weights, at)
  const words = schema.nullWords
  copyPart(source.nulls, from * words, to * words, target.nulls, at * words)
  for (const column of stored) {
    const { storage } = column.info
    if (storage === 'german') {
      const lanes = source.lanes[column.index]
      const into = target.lanes[column.index]
      for (let i = 0; i < n; i++) copyString(lanes, (from + i) * 4, source.heap, into, (at + i) * 4, target.heap)
    } else {
      const s = stride(storage)
      copyPart(source.columns[column.index], from * s, to * s, target.columns[column.index], at * s)
    }
  }
  target.length = at + n
  target.order = 'raw'
}

/** A few elements are copied one by one: making a subarray costs more. */
const LOOP_ELEMENTS = 32

function copyPart(source: ColumnArray, from: number, to: number, target: ColumnArray, at: number): void {
  if (to - from <= LOOP_ELEMENTS) {
    for (let i = from, k = at; i < to; i++, k++) target[k] = source[i]
  } else {
    ;(target as { set(part: unknown, at: number): void }).set(source.subarray(from, to), at)
  }
}
