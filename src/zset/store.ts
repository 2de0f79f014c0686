/**
 * A store: the integral of a table's or a view's deltas, kept for reading. New rows are appended to a raw tail,
 * which costs a few nanoseconds a row; the tail is arranged into the trace when it has grown, or when someone reads.
 * Steps never read a store, so nothing has to be sorted while deltas stream in.
 */
import { flatLayout, type Layout } from '../schema/schema.js'
import { appendRows } from './append.js'
import { Arranger } from './arrange.js'
import { Batch } from './batch.js'
import type { Cold } from './cold.js'
import type { Kernels } from './kernels.js'
import { HEAD_ROWS, Trace, weightBound } from './trace.js'

/** Sums of absolute weights below this cannot overflow an i64. */
const SAFE_BOUND = 2 ** 62
/** A tail with more room than this gives it back when it is empty. */
const KEPT_ROWS = 1 << 12
/** Fewer rows of a tail are copied into the trace's head. */
const SMALL_ROWS = HEAD_ROWS >> 2
/** Rows of a tail that is arranged at the next commit. */
export const TAIL_ROWS = 1 << 16

/** Puts rows from..to of a flat batch into a raw batch of an arranged layout: computes keys, copies columns. */
export type ArrangeRows = (flat: Batch, from: number, to: number, raw: Batch) => void

export class Store {
  readonly trace: Trace
  /** Flat rows in the order they came; a step's new rows are the end of it. */
  readonly tail: Batch
  private readonly arranger: Arranger
  /** A few rows on their way into the trace, which copies them. */
  private readonly small: Batch
  private bound = 0

  constructor(
    readonly kernels: Kernels,
    private readonly arrangeRows: ArrangeRows,
    name: string,
  ) {
    this.tail = new Batch(flatLayout(kernels.layout.schema))
    // Nobody searches it while deltas stream in, so merging can wait.
    this.trace = new Trace(kernels, name, 2)
    this.arranger = new Arranger(kernels)
    this.small = new Batch(kernels.layout)
  }

  get layout(): Layout {
    return this.kernels.layout
  }

  /** Copies rows to the tail. REQUIRES: same columns. */
  append(batch: Batch, from: number, to: number): void {
    appendRows(batch, from, to, this.tail)
  }

  /**
   * Checks the tail's rows from `from` on before they are committed; returns where they begin now (older rows may
   * have been arranged). Throws WeightOverflowError if a row's integrated weight would leave i64.
   */
  prepare(from: number): number {
    this.bound += weightBound(this.tail, from)
    if (this.bound + this.trace.weightBound < SAFE_BOUND) return from
    const rest = new Batch(this.tail.layout)
    appendRows(this.tail, from, this.tail.length, rest)
    this.truncate(from)
    this.flush()
    const delta = this.arrangeAll(rest)
    this.trace.prepare(delta)
    this.append(rest, 0, rest.length)
    this.bound = weightBound(rest)
    return 0
  }

  /** Drops the tail's rows from `length` on: a step that was given up. */
  truncate(length: number): void {
    if (this.tail.length > length) this.tail.length = length
  }

  /** To be called when a step has succeeded. */
  commit(): void {
    if (this.tail.length >= TAIL_ROWS) this.flush()
  }

  /** Arranges the tail into the trace. */
  flush(): void {
    const { tail } = this
    if (tail.length > 0) {
      const isSmall = tail.length <= SMALL_ROWS
      this.small.clear()
      const run = this.arrangeAll(tail, isSmall ? this.small : new Batch(this.layout))
      this.trace.prepare(run)
      this.trace.insert(run, !isSmall)
      tail.clear()
      if (tail.capacity > KEPT_ROWS) tail.release()
    }
    this.bound = 0
  }

  /** Adds rows that lie in shards. */
  attach(cold: Cold): void {
    this.trace.attach(cold)
  }

  /** Takes out all rows that are not cold; see `Trace.takeHot`. */
  takeHot(): Batch | null {
    this.flush()
    return this.trace.takeHot()
  }

  /** All rows that are not cold, as one consolidated run that never changes; null if there are none. */
  hotRun(): Batch | null {
    this.flush()
    return this.trace.compactHot()
  }

  /** All rows, arranged: the runs of the trace, or one that is the sum of them. */
  contents(whole: boolean): readonly Batch[] {
    this.flush()
    if (!whole) return this.trace.batches()
    const all = this.trace.compact()
    return all === null ? [] : [all]
  }

  /** Flat rows as a consolidated run of the store's layout, which does not get them. */
  arrange(flat: Batch): Batch {
    return this.arrangeAll(flat)
  }

  /** The same for rows that have the layout, in any order. */
  rearrange(rows: Batch): Batch {
    const { raw } = this.arranger
    const run = new Batch(this.kernels.layout)
    appendRows(rows, 0, rows.length, raw)
    this.arranger.arrange(run)
    raw.clear()
    return run
  }

  private arrangeAll(flat: Batch, run = new Batch(this.layout)): Batch {
    const { raw } = this.arranger
    raw.reserve(flat.length)
    if (raw.length === 0 && flat.length > HEAD_ROWS && flat.heap.length > 0) raw.shareHeap(flat)
    try {
      this.arrangeRows(flat, 0, flat.length, raw)
      this.arranger.arrange(run)
    } finally {
      // Also after an overflow: the next rows must not meet these.
      raw.clear()
      if (raw.capacity > KEPT_ROWS) raw.resize(0)
    }
    return run
  }

  get usedBytes(): number {
    return this.trace.usedBytes + this.tail.usedBytes
  }

  /** Memory of the rows that are not cold. */
  get hotBytes(): number {
    return this.trace.hotBytes + this.tail.usedBytes
  }

  get allocatedBytes(): number {
    return this.trace.allocatedBytes + this.tail.allocatedBytes
  }
}
