/**
 * Arranging: raw rows of an arranged layout (keys filled in, any order) become a consolidated run.
 */
import { Batch } from './batch.js'
import type { Kernels } from './kernels.js'
import { Sorter } from './sort.js'

/** Of more rows than this the strings stay where they are; of fewer they are copied, so that memory is used again. */
const COPIED_ROWS = 256

/** One sorter serves all: arranging never nests. */
const sorter = new Sorter()

export class Arranger {
  /** Where the rows to arrange are put; emptied by `arrange`. */
  readonly raw: Batch
  private readonly compare: (i: number, j: number) => number

  constructor(readonly kernels: Kernels) {
    const raw = new Batch(kernels.layout)
    this.raw = raw
    this.compare = (i, j) => kernels.compareRows(raw, i, raw, j)
  }

  /**
   * Sorts and consolidates `raw` into `out`. `raw` keeps its rows until `raw.clear()`; `out` may share its heap.
   * REQUIRES: `out` is empty, of the same layout. ENSURES: `out` is consolidated.
   */
  arrange(out: Batch): void {
    const { raw, kernels } = this
    const n = raw.length
    out.reserve(n, true)
    if (n === 1) {
      if (raw.weights32[0] !== 0 || raw.weights32[1] !== 0) {
        kernels.copyRow(raw, 0, out, 0)
        out.length = 1
      }
    } else if (n > 1) {
      if (n > COPIED_ROWS && raw.heap.length > 0) out.shareHeap(raw)
      sorter.sort(raw.keys32, kernels.layout.key.words * 2, n, this.compare)
      kernels.consolidate(raw, sorter.permutation, n, out)
    }
    out.order = 'consolidated'
  }
}
