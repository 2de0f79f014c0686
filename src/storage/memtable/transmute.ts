/**
 * Transmutation: consolidated runs become one batch that is laid out like a shard, with survivors only, and with long
 * strings that lie in a heap of their own, each content once (specification §6.4 and §6.5).
 */
import { assert } from '../../base/errors.js'
import { appendRows } from '../../zset/append.js'
import { Batch, lanesOf, stride } from '../../zset/batch.js'
import type { Kernels } from '../../zset/kernels.js'
import { relocate } from '../strings.js'

/** One batch with the sum of `runs`, which stay as they are. REQUIRES: no sum of weights on the way leaves i64. */
export function transmute(kernels: Kernels, runs: readonly Batch[]): Batch {
  const out = mergeRuns(kernels, runs) ?? copyOf(kernels, runs)
  fit(out)
  relocate(out)
  assert(out.length === out.capacity && out.order === 'consolidated', 'transmuted rows fill their batch')
  return out
}

/** The sum of two or more runs, the smallest first, so that few rows move often; null if there are fewer. */
function mergeRuns(kernels: Kernels, runs: readonly Batch[]): Batch | null {
  if (runs.length < 2) return null
  const left = [...runs].sort((a, b) => b.length - a.length)
  while (left.length > 1) {
    const a = left.pop() as Batch
    const b = left.pop() as Batch
    const out = new Batch(kernels.layout, a.length + b.length)
    if (!join(kernels, a, b, out)) {
      const done = kernels.merge(a, b, out, { i: 0, j: 0 }, a.length + b.length)
      assert(done, 'a merge without a limit ends')
    }
    out.order = 'consolidated'
    let place = left.length
    while (place > 0 && left[place - 1].length < out.length) place--
    left.splice(place, 0, out)
  }
  return left[0]
}

/** Rows that came in the order of their keys need no merge: if one run ends before the other begins, appends both. */
function join(kernels: Kernels, a: Batch, b: Batch, out: Batch): boolean {
  if (a.length === 0 || b.length === 0) return false
  const [first, second] = kernels.compareRows(a, 0, b, 0) < 0 ? [a, b] : [b, a]
  if (kernels.compareRows(first, first.length - 1, second, 0) >= 0) return false
  appendRows(first, 0, first.length, out)
  appendRows(second, 0, second.length, out)
  return true
}

/** The only run again. Its regions, which never change, are shared; cells of strings will be relocated. */
function copyOf({ layout }: Kernels, runs: readonly Batch[]): Batch {
  const out = new Batch(layout)
  out.order = 'consolidated'
  if (runs.length === 0) return out
  cutTo(runs[0].length, runs[0], out)
  out.heap = runs[0].heap
  for (const { index, info } of layout.stored) {
    if (info.storage === 'german') out.setColumn(index, out.columns[index].slice())
  }
  return out
}

/** A batch that leaves more than this part of its memory unused is copied; else what is unused is only left out. */
const WASTE = 0.15

/** Makes the regions as long as the batch. */
function fit(batch: Batch): void {
  if (batch.length === batch.capacity) return
  if (batch.length < batch.capacity * (1 - WASTE)) batch.resize(batch.length)
  else cutTo(batch.length, batch, batch)
}

/** Makes the regions of `to` the first `rows` rows of those of `from`. */
function cutTo(rows: number, from: Batch, to: Batch): void {
  const { key, schema, stored } = from.layout
  to.keys = from.keys.subarray(0, rows * key.words)
  to.keys32 = lanesOf(to.keys)
  to.nulls = from.nulls.subarray(0, rows * schema.nullWords)
  to.nulls32 = lanesOf(to.nulls)
  to.setWeights(from.weights.subarray(0, rows))
  for (const { index, info } of stored) {
    to.setColumn(index, from.columns[index].subarray(0, rows * stride(info.storage)))
  }
  to.length = rows
  to.capacity = rows
}
