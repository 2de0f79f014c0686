/**
 * Merging ranges of runs for a compaction. Rows of fixed width whose weights cannot overflow have a short way: a range that
 * is alone is copied, a column at a time, and others are merged four at a time by a kernel of their own; of more than four,
 * the four shortest are merged first. Everything else goes through the tournament.
 */
import { appendRows } from '../../zset/append.js'
import { Batch } from '../../zset/batch.js'
import type { Kernels } from '../../zset/kernels.js'
import { hasStrings } from '../strings.js'
import { Ranges } from './cursor.js'

/** Runs that the kernel merges at once. */
const FEW = 4

interface Range {
  readonly run: Batch
  readonly from: number
  readonly to: number
}

export class Merger extends Ranges {
  private readonly isSimple: boolean
  private readonly none: Range

  /** REQUIRES: the runs are consolidated. `weightsFit`: no sum of weights of any of their rows leaves i64. */
  constructor(kernels: Kernels, runs: Batch[], weightsFit: boolean) {
    super(kernels, runs)
    this.isSimple = weightsFit && !hasStrings(kernels.layout)
    this.none = { run: new Batch(kernels.layout), from: 0, to: 0 }
  }

  override mergeInto(out: Batch, limit: number): void {
    const { at, ends, kernels } = this
    const ranges = this.runs.map((run, r): Range => ({ run, from: at[r], to: ends[r] })).filter(r => r.from < r.to)
    if (!this.isSimple || out.length + rowsOf(ranges) > limit) return super.mergeInto(out, limit)
    while (ranges.length > FEW) {
      ranges.sort((a, b) => b.to - b.from - (a.to - a.from))
      const merged = new Batch(kernels.layout)
      this.mergeFew(ranges.splice(-FEW), merged)
      ranges.push({ run: merged, from: 0, to: merged.length })
    }
    this.mergeFew(ranges, out)
    at.set(ends)
  }

  /** Appends the merge of at most four ranges. */
  private mergeFew(ranges: readonly Range[], out: Batch): void {
    if (ranges.length === 1) {
      appendRows(ranges[0].run, ranges[0].from, ranges[0].to, out)
    } else {
      const four = Array.from({ length: FEW }, (_, r) => ranges[r] ?? this.none)
      out.reserve(rowsOf(ranges))
      this.kernels.mergeFour(
        four.map(range => range.run),
        Int32Array.from(four, range => range.from),
        Int32Array.from(four, range => range.to),
        out,
      )
    }
    out.order = 'consolidated'
  }
}

function rowsOf(ranges: readonly Range[]): number {
  return ranges.reduce((rows, { from, to }) => rows + to - from, 0)
}
