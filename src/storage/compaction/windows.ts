/**
 * Merging inputs of which only windows are at hand: as many rows of each as are looked at together. A slice merges the rows
 * whose key is below the last key of every window that does not end its input, so the parts of one row always meet.
 */
import { Batch } from '../../zset/batch.js'
import type { Kernels } from '../../zset/kernels.js'
import { compareKeys } from '../../zset/keys.js'
import type { Ranges } from './cursor.js'

/** Rows that can be read a part at a time. */
export interface WindowInput {
  /** Rows from..to as a consolidated batch. */
  readRows(from: number, to: number): Batch
  /** Rows from..to of it are to be merged. */
  readonly from: number
  readonly to: number
}

/** An input and the part of it at hand. */
interface Source {
  readonly input: WindowInput
  window: Batch
  /** Row of the input where the window begins. */
  windowFrom: number
  /** First row of the input that is not yet merged. */
  from: number
  /** Rows of the next window; grows where one key has more rows than that. */
  rows: number
}

export class WindowMerge {
  private readonly sources: readonly Source[]
  private readonly ranges: Ranges

  /** `rangesOf` makes what merges the windows, of as many runs as there are inputs. */
  constructor(
    private readonly kernels: Kernels,
    inputs: readonly WindowInput[],
    windowRows: number,
    rangesOf: (runs: Batch[]) => Ranges,
  ) {
    const window = new Batch(kernels.layout)
    this.sources = inputs.map(input => ({ input, window, windowFrom: input.from, from: input.from, rows: windowRows }))
    this.ranges = rangesOf(inputs.map(() => window))
  }

  /**
   * Appends a slice of merged rows to `out`, at most up to `limit` rows; returns how many rows of the inputs it used up, 0 at
   * the end. Throws IoError, CorruptionError.
   */
  slice(out: Batch, limit: number): number {
    const { ranges, sources } = this
    for (const source of sources) refill(source)
    for (let bounding = this.setRanges(); !this.hasRange(); bounding = this.setRanges()) {
      if (bounding === null) return 0
      // The window that bounds the others holds rows of a single key.
      bounding.rows *= 2
      refill(bounding)
    }
    ranges.mergeInto(out, limit)
    let used = 0
    for (const [s, source] of sources.entries()) {
      const from = source.windowFrom + ranges.at[s]
      used += from - source.from
      source.from = from
    }
    return used
  }

  /** Sets the ranges that can be merged now; returns the source whose window bounds them, if one does. */
  private setRanges(): Source | null {
    const { ranges, sources, kernels } = this
    let bounding: Source | null = null
    for (const source of sources) {
      if (isLast(source)) continue
      const last = source.window.length - 1
      if (bounding === null || compareKeys(source.window, last, bounding.window, bounding.window.length - 1) < 0) {
        bounding = source
      }
    }
    for (const [s, { window, windowFrom, from }] of sources.entries()) {
      ranges.runs[s] = window
      ranges.at[s] = from - windowFrom
      ranges.ends[s] =
        bounding === null
          ? window.length
          : kernels.seek(window, ranges.at[s], bounding.window, bounding.window.length - 1)
    }
    return bounding
  }

  private hasRange(): boolean {
    return this.ranges.at.some((at, s) => at < this.ranges.ends[s])
  }
}

function isLast({ input, window, windowFrom }: Source): boolean {
  return windowFrom + window.length === input.to
}

/** Reads on when less than half a window is left. ENSURES: the window is not empty while rows are left. */
function refill(source: Source): void {
  const { input, window, windowFrom, from, rows } = source
  if (windowFrom + window.length - from > rows / 2 || (isLast(source) && window.length > 0)) return
  source.window = input.readRows(from, Math.min(input.to, from + rows))
  source.windowFrom = from
}
