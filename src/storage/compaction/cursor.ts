/** Reading runs that never change as one: net rows in order, a batch at a time, between two keys. */
import { Batch } from '../../zset/batch.js'
import type { Kernels } from '../../zset/kernels.js'
import type { RemoteValues } from '../../zset/remote.js'
import type { Cursor, KeyBounds } from '../zstore.js'
import { type WindowInput, WindowMerge } from './windows.js'

/** Rows in a cursor's batch. */
const CURSOR_ROWS = 1024

/** What the tournament needs besides the runs; `at` and `ends` are its ranges. */
export class Ranges {
  readonly at: Int32Array
  readonly ends: Int32Array
  private readonly heads: Uint32Array
  private readonly tree: Int32Array

  constructor(
    protected readonly kernels: Kernels,
    readonly runs: Batch[],
  ) {
    this.at = new Int32Array(runs.length)
    this.ends = Int32Array.from(runs, run => run.length)
    this.heads = new Uint32Array(runs.length * kernels.layout.key.words * 2)
    this.tree = new Int32Array(runs.length)
  }

  /** Appends merged rows until `out` has `limit` rows or the ranges are used up. REQUIRES: room for one more row. */
  mergeInto(out: Batch, limit: number): void {
    if (this.runs.length === 0) return
    this.kernels.tournament(this.runs, this.at, this.ends, this.heads, this.tree, out, limit)
    out.order = 'consolidated'
  }
}

export class MergeCursor implements Cursor {
  private readonly ranges: Ranges
  private readonly out: Batch

  /** `remote`: who reads the remote values of the runs; those in the cursor's batches are read when somebody looks. */
  constructor(kernels: Kernels, runs: readonly Batch[], bounds: KeyBounds = {}, remote: RemoteValues | null = null) {
    this.ranges = new Ranges(kernels, [...runs])
    this.out = new Batch(kernels.layout, CURSOR_ROWS + 1)
    this.out.heap.remote = remote
    runs.forEach((run, r) => {
      const { from, to } = boundsIn(kernels, run, bounds)
      this.ranges.at[r] = from
      this.ranges.ends[r] = to
    })
  }

  next(): Batch | null {
    this.out.clear()
    this.ranges.mergeInto(this.out, CURSOR_ROWS)
    return this.out.length > 0 ? this.out : null
  }

  close(): void {}
}

/** Rows from..to of a run that lie within bounds. */
export function boundsIn(kernels: Kernels, run: Batch, bounds: KeyBounds): { from: number; to: number } {
  let from = bounds.from === undefined ? 0 : firstOfGroup(kernels, run, bounds.from)
  if (bounds.after !== undefined) from = Math.max(from, firstAfterGroup(kernels, run, bounds.after))
  return { from, to: bounds.to === undefined ? run.length : firstOfGroup(kernels, run, bounds.to) }
}

/** The same of runs that are read a part at a time. */
export class WindowCursor implements Cursor {
  private readonly merge: WindowMerge
  private readonly out: Batch

  constructor(kernels: Kernels, inputs: readonly WindowInput[], remote: RemoteValues | null) {
    this.merge = new WindowMerge(kernels, inputs, CURSOR_ROWS, runs => new Ranges(kernels, runs))
    this.out = new Batch(kernels.layout, CURSOR_ROWS + 1)
    this.out.heap.remote = remote
  }

  next(): Batch | null {
    const { out, merge } = this
    out.clear()
    while (out.length < CURSOR_ROWS && merge.slice(out, CURSOR_ROWS) > 0) {
      // Rows that cancel leave nothing.
    }
    return out.length > 0 ? out : null
  }

  close(): void {}
}

/** First row whose key is not below that of row 0 of `probe`. */
function firstOfGroup(kernels: Kernels, run: Batch, probe: Batch): number {
  let row = kernels.seek(run, 0, probe, 0)
  // Keys that share only their hash are told apart by their columns.
  if (kernels.layout.key.kind === 'hash') {
    while (row < run.length && kernels.compareGroups(run, row, probe, 0) < 0) row++
  }
  return row
}

/** First row whose key is above that of row 0 of `probe`. */
function firstAfterGroup(kernels: Kernels, run: Batch, probe: Batch): number {
  let low = firstOfGroup(kernels, run, probe)
  let high = low
  for (let step = 1; high < run.length && kernels.compareGroups(run, high, probe, 0) === 0; step += step) {
    low = high + 1
    high += step
  }
  high = Math.min(high, run.length)
  while (low < high) {
    const middle = (low + high) >>> 1
    if (kernels.compareGroups(run, middle, probe, 0) === 0) low = middle + 1
    else high = middle
  }
  return low
}
