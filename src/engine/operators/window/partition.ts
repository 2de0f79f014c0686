/**
 * One partition in one step: its runs, its changed rows, and which states of functions are not what they were in the
 * gaps between changed rows. Gap i lies behind the first i changed rows.
 */
import type { Batch } from '../../../zset/batch.js'
import type { Kernels } from '../../../zset/kernels.js'
import { groupEnd, groupStart, lowerRow, weightBetween } from '../../../zset/rank.js'
import type { FunctionPlan, WindowPlan } from './plan.js'
import type { RunTotals } from './totals.js'
import { weightOf } from './totals.js'

/** A function with totals over runs. */
export interface Totalled {
  readonly plan: FunctionPlan
  readonly runs: RunTotals
}

export class Partition {
  /** Groups that came less groups that went, among those that have been looked at. */
  groupChange = 0
  private readonly from: number[]
  private readonly to: number[]
  /** Per gap: whether the states before it, or after it, differ. */
  private readonly dirtyBefore: Uint8Array
  private readonly dirtyAfter: Uint8Array
  private allDirty = false
  /** Rows before the step and after it, if the plan asks for the size. */
  sizeBefore = 0
  sizeAfter = 0

  constructor(
    private readonly kernels: Kernels,
    private readonly plan: WindowPlan,
    totalled: readonly Totalled[],
    /** Of the trace, before the step. */
    readonly runs: readonly Batch[],
    readonly delta: Batch,
    /** The changed rows are these of `delta`. */
    readonly first: number,
    readonly end: number,
  ) {
    this.from = runs.map(() => -1)
    this.to = runs.map(() => -1)
    const gaps = end - first + 1
    this.dirtyBefore = new Uint8Array(gaps)
    this.dirtyAfter = new Uint8Array(gaps)
    this.markRows()
    for (const each of totalled) this.markTotals(each)
    this.markFar()
    if (plan.size) this.measure()
  }

  /** Where the partition begins in run r. */
  fromOf(r: number): number {
    if (this.from[r] < 0) this.from[r] = groupStart(this.kernels, this.runs[r], this.delta, this.first)
    return this.from[r]
  }

  toOf(r: number): number {
    if (this.to[r] < 0) this.to[r] = groupEnd(this.kernels, this.runs[r], this.fromOf(r), this.delta, this.first)
    return this.to[r]
  }

  /** Whether rows in a gap may change. */
  isDirty(gap: number): boolean {
    if (this.allDirty || this.dirtyBefore[gap] !== 0 || this.dirtyAfter[gap] !== 0) return true
    return this.plan.groupsBefore && this.groupChange !== 0
  }

  private markRows(): void {
    if (!this.plan.rowsBefore) return
    let change = 0
    for (let gap = 1; gap < this.dirtyBefore.length; gap++) {
      change += weightOf(this.delta, this.first + gap - 1)
      if (change !== 0) this.dirtyBefore[gap] = 1
    }
  }

  private markTotals({ plan, runs }: Totalled): void {
    const { delta, first, end, dirtyBefore, dirtyAfter } = this
    const gaps = end - first
    if (plan.before === 'total') {
      const total = runs.make()
      for (let gap = 1; gap <= gaps; gap++) {
        runs.addRows(delta, first + gap - 1, first + gap, 1, total)
        if (!total.isZero) dirtyBefore[gap] = 1
      }
    }
    if (plan.after === 'total') {
      const total = runs.make()
      for (let gap = gaps - 1; gap >= 0; gap--) {
        runs.addRows(delta, first + gap, first + gap + 1, 1, total)
        if (!total.isZero) dirtyAfter[gap] = 1
      }
    }
  }

  private markFar(): void {
    const { plan, dirtyBefore, dirtyAfter } = this
    for (const { before, after, spec } of plan.functions) {
      if (before === 'everything') dirtyBefore.fill(1, 1)
      if (after === 'everything') dirtyAfter.fill(1, 0, dirtyAfter.length - 1)
      const nth = spec.fn === 'nthValue' ? spec.n : 1
      if (before === 'row' && this.rowsBefore(this.first) < nth) this.allDirty = true
      if (after === 'row' && this.rowsAfter(this.end - 1) < 1) this.allDirty = true
    }
  }

  private measure(): void {
    for (let r = 0; r < this.runs.length; r++)
      this.sizeBefore += weightBetween(this.runs[r], this.fromOf(r), this.toOf(r))
    this.sizeAfter = this.sizeBefore + weightBetween(this.delta, this.first, this.end)
    if (this.sizeAfter !== this.sizeBefore) this.allDirty = true
  }

  /** Rows that were there before row p of the delta in the order. */
  private rowsBefore(p: number): number {
    let count = 0
    for (let r = 0; r < this.runs.length; r++) {
      const from = this.fromOf(r)
      count += weightBetween(
        this.runs[r],
        from,
        lowerRow(this.kernels, this.runs[r], from, this.toOf(r), this.delta, p),
      )
    }
    return count
  }

  private rowsAfter(p: number): number {
    let count = 0
    for (let r = 0; r < this.runs.length; r++) {
      const run = this.runs[r]
      const to = this.toOf(r)
      let at = lowerRow(this.kernels, run, this.fromOf(r), to, this.delta, p)
      if (at < to && this.kernels.compareRows(run, at, this.delta, p) === 0) at++
      count += weightBetween(run, at, to)
    }
    return count
  }
}
