/**
 * One partition in one step: its runs, its changed rows, and which states of functions are not what they were in the
 * gaps between changed rows. Gap i lies behind the first i changed rows.
 */
import type { Batch } from '../../../zset/batch.js'
import type { Kernels } from '../../../zset/kernels.js'
import { groupEnd, groupStart, lowerRow, weightBetween } from '../../../zset/rank.js'
import type { FoundRow, RunExtremes } from './extremes.js'
import type { FunctionPlan, WindowPlan } from './plan.js'
import { type RunTotals, weightOf } from './run-totals.js'

/** A function that depends on the best row before it, or after it. */
export interface Extremal {
  readonly plan: FunctionPlan
  readonly runs: RunExtremes
}

/** A function with totals over runs. */
export interface Totalled {
  readonly plan: FunctionPlan
  readonly runs: RunTotals
}

/** Of more changed rows the best rows before and after each are not looked up: they count as changed. */
const MOST_LOOKED_UP = 64

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
    private readonly extremal: readonly Extremal[],
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
    for (const each of extremal) {
      if (end - first > MOST_LOOKED_UP) this.markAll(each.plan)
      else this.markWhole(each)
    }
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
    if (this.plan.groupsBefore && this.groupChange !== 0) return true
    return this.end - this.first <= MOST_LOOKED_UP && this.extremal.some(each => this.differs(each, gap))
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
    if (plan.before === 'total' && plan.after === 'total') {
      const total = runs.make()
      runs.addRows(delta, first, end, 1, total)
      if (!total.isZero) this.allDirty = true
      return
    }
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

  private markAll({ before, after }: FunctionPlan): void {
    if (before === 'extreme') this.dirtyBefore.fill(1, 1)
    if (after === 'extreme') this.dirtyAfter.fill(1, 0, this.dirtyAfter.length - 1)
  }

  /** Frames that are the whole partition: all rows change, or none. */
  private markWhole({ plan, runs }: Extremal): void {
    if (plan.before !== 'extreme' || plan.after !== 'extreme' || this.allDirty) return
    const places = this.runs.map((_, r) => [this.fromOf(r), this.toOf(r)] as const)
    if (!runs.same(...this.bestOf(runs, places, this.first, this.end))) this.allDirty = true
  }

  /** Whether the best row before a gap, or after it, is another than before the step. */
  private differs({ plan, runs }: Extremal, gap: number): boolean {
    const { first, end, kernels, delta } = this
    if (plan.before === 'extreme' && plan.after === 'extreme') return false
    if (plan.before === 'extreme' && gap > 0) {
      const last = first + gap - 1
      const places = this.runs.map((run, r) => {
        const from = this.fromOf(r)
        const at = lowerRow(kernels, run, from, this.toOf(r), delta, last)
        const holds = at < this.toOf(r) && kernels.compareRows(run, at, delta, last) === 0
        return [from, holds ? at + 1 : at] as const
      })
      return !runs.same(...this.bestOf(runs, places, first, last + 1))
    }
    if (plan.after === 'extreme' && first + gap < end) {
      const places = this.runs.map(
        (run, r) => [lowerRow(kernels, run, this.fromOf(r), this.toOf(r), delta, first + gap), this.toOf(r)] as const,
      )
      return !runs.same(...this.bestOf(runs, places, first + gap, end))
    }
    return false
  }

  /** The best of rows of the runs, and with rows of the delta too: before the step, and after it. */
  bestOf(
    extremes: RunExtremes,
    places: readonly (readonly [from: number, to: number])[],
    deltaFrom: number,
    deltaTo: number,
  ): [before: FoundRow | null, after: FoundRow | null] {
    const { runs, delta } = this
    const from = places.map(p => p[0])
    const to = places.map(p => p[1])
    const before = extremes.best({ runs, from, to }, runs, true)
    const all = [...runs, delta]
    const after = extremes.best({ runs: all, from: [...from, deltaFrom], to: [...to, deltaTo] }, all, false)
    return [before, after]
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
