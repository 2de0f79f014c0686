/** Rows of windows that no row still to come will reach, where what is reached is counted in rows. */
import type { Batch } from '../../../zset/batch.js'
import type { Kernels } from '../../../zset/kernels.js'
import { type Threshold, timeReader } from '../../bounded.js'

/**
 * The weights of rows when those with a time below `least` go, but for the last ones of each partition that are there,
 * `rows` of them. If they are `counted`, the earliest stays with the weight of all that go. REQUIRES: consolidated rows of an
 * arrangement whose order, after the key, begins with the column of the threshold.
 */
export function sparing(
  kernels: Kernels,
  batch: Batch,
  { column, least, rows = 0, counted = false }: Threshold,
): BigInt64Array {
  const weights = batch.weights.slice(0, batch.length)
  const timeAt = timeReader(batch, batch.layout.schema.columns[column])
  const descending = batch.layout.order.some(o => o.column.index === column && o.descending)
  // From the latest rows of a partition to the earliest.
  const step = descending ? 1 : -1
  const begin = descending ? 0 : batch.length - 1
  let [left, gone, earliest] = [rows, 0n, -1]
  const close = (): void => {
    if (counted && earliest >= 0) weights[earliest] = gone
    left = rows
    gone = 0n
    earliest = -1
  }
  for (let i = 0, row = begin; i < batch.length; i++, row += step) {
    if (i > 0 && kernels.compareGroups(batch, row, batch, row - step) !== 0) close()
    const weight = weights[row]
    if (timeAt(row) >= least) continue
    if (weight > 0n && left > 0) {
      left -= Number(weight)
      continue
    }
    weights[row] = 0n
    if (weight <= 0n) continue
    gone += weight
    earliest = row
  }
  close()
  return weights
}
