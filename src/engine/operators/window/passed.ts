/** Rows of windows that no row still to come will reach, where what is reached is counted in rows. */
import type { Layout } from '../../../schema/schema.js'
import type { Batch } from '../../../zset/batch.js'
import type { Kernels } from '../../../zset/kernels.js'
import { type Threshold, timeReader } from '../../bounded.js'

/**
 * Marks rows with a time below `least`, but for the last of each partition that are there, `spared` of them. REQUIRES:
 * consolidated rows of an arrangement whose order begins with the time.
 */
export function passedRows(
  kernels: Kernels,
  rows: Batch,
  { column, descending }: Layout['order'][number],
  { least, rows: spared = 0 }: Threshold,
): Uint8Array {
  const passed = new Uint8Array(rows.length)
  const timeAt = timeReader(rows, column)
  // From the latest rows of a partition to the earliest.
  const step = descending ? 1 : -1
  const begin = descending ? 0 : rows.length - 1
  let left = spared
  for (let i = 0, row = begin; i < rows.length; i++, row += step) {
    if (i > 0 && kernels.compareGroups(rows, row, rows, row - step) !== 0) left = spared
    if (timeAt(row) >= least) continue
    const weight = rows.weights[row]
    if (weight > 0n && left > 0) left -= Number(weight)
    else passed[row] = 1
  }
  return passed
}
