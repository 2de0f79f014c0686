/** Hashed keys recomputed, for those who verify: the key words of a row must be the hash of its key columns. */
import type { Column } from '../../schema/schema.js'
import type { Batch } from '../../zset/batch.js'
import { cellIsNull } from '../../zset/cells.js'
import { finishHash, HASH_LANES, hashGerman, hashNull, hashWord, newHash, startHash } from '../../zset/hash.js'
import type { Fault } from './content.js'

/** The first row whose key is another one; null if there is none, or if the key is no hash. */
export function findHashFault(rows: Batch): Fault | null {
  const { key, schema } = rows.layout
  if (key.kind !== 'hash') return null
  const columns = key.columns.map(c => schema.columns[c])
  const state = newHash()
  for (let row = 0; row < rows.length; row++) {
    startHash(state)
    for (const column of columns) hashCell(state, rows, column, row)
    finishHash(state)
    for (let lane = 0; lane < HASH_LANES; lane++) {
      if (rows.keys32[row * HASH_LANES + lane] === state[lane] >>> 0) continue
      return { row, problem: 'expected the hash of the key columns, found another key' }
    }
  }
  return null
}

function hashCell(state: Int32Array, rows: Batch, column: Column, row: number): void {
  const { index, info } = column
  if (cellIsNull(rows, column, row)) return hashNull(state)
  if (info.storage === 'german') return hashGerman(state, rows.lanes[index], row * 4, rows.heap)
  if (info.sizeBytes < 4) return hashWord(state, Number(rows.columns[index][row]))
  const words = info.sizeBytes / 4
  for (let w = 0; w < words; w++) hashWord(state, rows.lanes[index][row * words + w])
}
