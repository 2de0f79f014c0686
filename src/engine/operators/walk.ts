/**
 * Walking through rows in order across the runs of a trace, with weights summed. Only runs that hold rows of interest
 * take part after the first seek.
 */
import type { Batch } from '../../zset/batch.js'
import type { Kernels } from '../../zset/kernels.js'

/** A merge of cursors, forwards or backwards, over the rows for which `inside` holds. */
export class MergeWalk {
  /** The row of the last `next`: its batch, its position, and its net weight over all runs. */
  run: Batch | null = null
  row = 0
  weight = 0n
  protected step = 1
  private readonly runs: Batch[] = []
  private readonly at: number[] = []
  private active = 0

  constructor(protected readonly kernels: Kernels) {}

  /** Is this row still part of the walk? Asked in the direction of the walk; the first no ends the run. */
  protected inside(_run: Batch, _row: number): boolean {
    return true
  }

  protected reset(backwards: boolean): void {
    this.step = backwards ? -1 : 1
    this.active = 0
  }

  /** Puts a cursor in its place among the active ones; the next row is that of the last cursor. */
  protected enter(run: Batch, at: number): void {
    const { runs, kernels, step } = this
    if (at < 0 || at >= run.length || !this.inside(run, at)) return
    let c = this.active++
    while (c > 0 && kernels.compareRows(runs[c - 1], this.at[c - 1], run, at) * step < 0) {
      runs[c] = runs[c - 1]
      this.at[c] = this.at[c - 1]
      c--
    }
    runs[c] = run
    this.at[c] = at
  }

  /** Moves to the next row whose net weight is not 0. Returns false when there is none. */
  next(): boolean {
    const { kernels } = this
    while (this.active > 0) {
      const run = this.runs[this.active - 1]
      const row = this.at[this.active - 1]
      let weight = 0n
      while (this.active > 0) {
        const other = this.runs[this.active - 1]
        const at = this.at[this.active - 1]
        if ((other !== run || at !== row) && kernels.compareRows(other, at, run, row) !== 0) break
        weight += other.weights[at]
        this.active--
        this.enter(other, at + this.step)
      }
      if (weight !== 0n) {
        this.run = run
        this.row = row
        this.weight = weight
        return true
      }
    }
    return false
  }
}

/** The rows of one group, in order: what MIN, MAX and top-k read. */
export class GroupWalk extends MergeWalk {
  private probe: Batch | null = null
  private probeRow = 0

  /** Begins with the group of row p of `probe`; `extra` is one more run (this epoch's delta), or null. */
  start(runs: readonly Batch[], extra: Batch | null, probe: Batch, p: number, backwards = false): void {
    this.probe = probe
    this.probeRow = p
    this.reset(backwards)
    for (const run of runs) this.enterGroup(run)
    if (extra !== null) this.enterGroup(extra)
  }

  /** Moves to the next row with a net weight above 0. */
  nextPositive(): boolean {
    while (this.next()) if (this.weight > 0n) return true
    return false
  }

  protected override inside(run: Batch, row: number): boolean {
    return this.probe !== null && this.kernels.compareGroups(run, row, this.probe, this.probeRow) === 0
  }

  private enterGroup(run: Batch): void {
    const { kernels, probe, probeRow } = this
    if (probe === null) return
    let at = kernels.seek(run, 0, probe, probeRow)
    // Rows whose hash is the same but whose key is smaller come first.
    while (at < run.length && kernels.compareGroups(run, at, probe, probeRow) < 0) at++
    if (at === run.length || !this.inside(run, at)) return
    this.enter(run, this.step < 0 ? this.endOfGroup(run, at) - 1 : at)
  }

  /** First row after `from` that is not of the group; gallops. REQUIRES: row `from` is of the group. */
  private endOfGroup(run: Batch, from: number): number {
    let low = from + 1
    let high = low
    for (let step = 1; high < run.length && this.inside(run, high); step += step) {
      low = high + 1
      high += step
    }
    high = Math.min(high, run.length)
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.inside(run, middle)) low = middle + 1
      else high = middle
    }
    return low
  }
}
