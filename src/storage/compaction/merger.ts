/**
 * Merging ranges of runs for a compaction. Rows of fixed width whose weights cannot overflow have short ways: a range
 * that is alone is copied, a column at a time, and two are merged by the two-way kernel. Everything else goes through
 * the tournament. (Merging more ranges in pairs, and then the pairs, costs as much: each level copies every row.)
 */
import { appendRows } from '../../zset/append.js'
import type { Batch } from '../../zset/batch.js'
import type { Kernels } from '../../zset/kernels.js'
import { hasStrings } from '../strings.js'
import { Ranges } from './cursor.js'

export class Merger extends Ranges {
  private readonly isSimple: boolean

  /** REQUIRES: the runs are consolidated. `weightsFit`: no sum of weights of any of their rows leaves i64. */
  constructor(kernels: Kernels, runs: Batch[], weightsFit: boolean) {
    super(kernels, runs)
    this.isSimple = weightsFit && !hasStrings(kernels.layout)
  }

  override mergeInto(out: Batch, limit: number): void {
    const { at, ends } = this
    let rows = 0
    let count = 0
    let first = -1
    let last = -1
    for (let r = 0; r < at.length; r++) {
      if (at[r] >= ends[r]) continue
      if (first < 0) first = r
      last = r
      rows += ends[r] - at[r]
      count++
    }
    if (!this.isSimple || count === 0 || count > 2 || out.length + rows > limit) return super.mergeInto(out, limit)
    if (count === 1) appendRows(this.runs[first], at[first], ends[first], out)
    else this.mergeTwo(first, last, out, rows)
    out.order = 'consolidated'
    at[first] = ends[first]
    at[last] = ends[last]
  }

  private mergeTwo(first: number, second: number, out: Batch, rows: number): void {
    const { at, ends } = this
    const [a, b] = [this.runs[first], this.runs[second]]
    const [aLength, bLength] = [a.length, b.length]
    out.reserve(rows)
    // The kernel reads to the end of its runs.
    a.length = ends[first]
    b.length = ends[second]
    try {
      this.kernels.merge(a, b, out, { i: at[first], j: at[second] }, rows)
    } finally {
      a.length = aLength
      b.length = bLength
    }
  }
}
