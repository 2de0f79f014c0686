/**
 * Walking through rows in order across the runs of a trace, with weights summed: for readers, of any layout
 * (`MergeWalk`), and for the walks through groups that `templates/walk.js` does in every step (`GroupWalk`).
 */
import type { Batch } from '../../zset/batch.js'
import type { Kernels } from '../../zset/kernels.js'

/** A merge of cursors, forwards or backwards, over the rows for which `inside` holds. */
export class MergeWalk {
  /** The row of the last `next`: its batch, its position, and its net weight over all runs. */
  run: Batch | null = null
  row = 0
  /** Sign of the net weight: -1, 0 or 1. */
  sign = 0
  protected step = 1
  /** Cursors by position: active ones first, ordered so that the next row is the last of them. */
  private readonly runs: Batch[] = []
  private readonly at: number[] = []
  private active = 0
  /** Cursors behind the active ones that stand on the current row. */
  private used = 0
  private sum = 0n

  constructor(protected readonly kernels: Kernels) {}

  /** Is this row still part of the walk? Asked in the direction of the walk; the first no ends the run. */
  protected inside(_run: Batch, _row: number): boolean {
    return true
  }

  protected reset(backwards: boolean): void {
    this.step = backwards ? -1 : 1
    this.active = 0
    this.used = 0
  }

  /** Net weight of the current row. */
  get weight(): bigint {
    const { run, row } = this
    return this.used > 1 || run === null ? this.sum : run.weights[row]
  }

  /** Puts a cursor in its place among the active ones. REQUIRES: the row is inside. */
  protected enter(run: Batch, at: number): void {
    const { runs, kernels, step } = this
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
    while (this.nextRow()) if (this.sign !== 0) return true
    return false
  }

  /** Moves to the next row, whatever its net weight. */
  nextRow(): boolean {
    this.advance()
    if (this.active === 0) return false
    this.take()
    return true
  }

  /** Moves the cursors that stood on the last row. */
  private advance(): void {
    const { used, active, step } = this
    this.used = 0
    if (used === 1) this.move(this.runs[active], this.at[active] + step)
    else if (used > 1) {
      const runs = this.runs.slice(active, active + used)
      const at = this.at.slice(active, active + used)
      for (let u = 0; u < used; u++) this.move(runs[u], at[u] + step)
    }
  }

  private move(run: Batch, at: number): void {
    if (at >= 0 && at < run.length && this.inside(run, at)) this.enter(run, at)
  }

  /** Takes the next row off the cursors, with its weight over all of them. */
  private take(): void {
    const { kernels, runs, at } = this
    const c = --this.active
    const run = runs[c]
    const row = at[c]
    this.run = run
    this.row = row
    this.used = 1
    if (c === 0 || kernels.compareRows(runs[c - 1], at[c - 1], run, row) !== 0) {
      this.sign = signOf(run.weights32, row)
      return
    }
    let sum = run.weights[row]
    while (this.active > 0) {
      const other = runs[this.active - 1]
      const there = at[this.active - 1]
      if (kernels.compareRows(other, there, run, row) !== 0) break
      sum += other.weights[there]
      this.active--
      this.used++
    }
    // Runs laid over a trace may wrap, the sum of all of them does not.
    this.sum = BigInt.asIntN(64, sum)
    this.sign = this.sum > 0n ? 1 : this.sum < 0n ? -1 : 0
  }
}

function signOf(weights32: Uint32Array, row: number): number {
  const high = weights32[row * 2 + 1] | 0
  if (high !== 0) return high < 0 ? -1 : 1
  return weights32[row * 2] === 0 ? 0 : 1
}

/** The state of a walk through a group, over the runs of a trace and a delta; see templates/walk.js. */
export class GroupWalk {
  /** The row that was found. */
  run: Batch
  row = 0
  /** Cursors: batches and rows in them. */
  readonly runs: Batch[] = []
  at = new Int32Array(0)
  /** Per run of the trace: where the last search ended. */
  lows = new Int32Array(0)
  /** Weights of the row at hand: over all runs, and in the delta; `lanes` is the same memory. */
  readonly sums = new BigInt64Array(2)
  readonly lanes = new Uint32Array(this.sums.buffer)

  constructor(private readonly nothing: Batch) {
    this.run = nothing
  }

  /** To be called before the first walk of every step, with the number of runs. Groups come in ascending order then. */
  begin(runs: number): void {
    this.lows.fill(0)
    if (runs < this.at.length) return
    // One cursor more than there are runs, for the delta; and room to spare.
    this.at = new Int32Array(runs + 8)
    this.lows = new Int32Array(runs + 8)
    while (this.runs.length < this.at.length) this.runs.push(this.nothing)
  }

  /** To be called after the last: holds on to no batch that the trace gives up. */
  end(): void {
    this.run = this.nothing
    this.runs.fill(this.nothing)
  }
}

/** Groups of a delta that have to be walked; see templates/groups.js. */
export class Reached {
  count = 0
  /** Rows of the delta, and slots of the groups. */
  rows = new Int32Array(0)
  slots = new Int32Array(0)
  /** For extremes: 1 where the whole group has to be looked at. */
  whole = new Uint8Array(0)
  /** For top-k: the total weight of the new first rows. */
  totals = new Float64Array(0)

  /** Makes room for `groups`. */
  reserve(groups: number): void {
    if (groups <= this.rows.length) return
    const room = Math.max(groups, this.rows.length * 2, 16)
    this.rows = new Int32Array(room)
    this.slots = new Int32Array(room)
    this.whole = new Uint8Array(room)
    this.totals = new Float64Array(room)
  }
}
