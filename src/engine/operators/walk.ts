/**
 * Walking through rows in order across the runs of a trace, with weights summed. Only runs that hold rows of interest
 * take part after the first seek, and a run moves on only when the walk does.
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

  /** The weight that one run gives to the current row. */
  weightIn(run: Batch): bigint {
    for (let u = this.active; u < this.active + this.used; u++) if (this.runs[u] === run) return run.weights[this.at[u]]
    return 0n
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
    this.sum = sum
    this.sign = sum > 0n ? 1 : sum < 0n ? -1 : 0
  }
}

function signOf(weights32: Uint32Array, row: number): number {
  const high = weights32[row * 2 + 1] | 0
  if (high !== 0) return high < 0 ? -1 : 1
  return weights32[row * 2] === 0 ? 0 : 1
}

/** The rows of one group, in order: what MIN, MAX and top-k read. */
export class GroupWalk extends MergeWalk {
  private probe: Batch | null = null
  private probeRow = 0
  /** Per run: where the last search ended. */
  private readonly lows: number[] = []
  private readonly hashed: boolean

  constructor(kernels: Kernels) {
    super(kernels)
    this.hashed = kernels.layout.key.kind === 'hash'
  }

  /** Forgets where earlier searches ended. REQUIRES: called before the first `start` of every step. */
  begin(): void {
    this.lows.fill(0)
  }

  /**
   * Begins with the group of row p of `probe`; `extra` is one more run (this epoch's delta), or null.
   * REQUIRES: since `begin`, the runs are the same and groups come in ascending order.
   */
  start(runs: readonly Batch[], extra: Batch | null, probe: Batch, p: number, backwards = false): void {
    this.probe = probe
    this.probeRow = p
    this.reset(backwards)
    while (this.lows.length <= runs.length) this.lows.push(0)
    for (let r = 0; r < runs.length; r++) this.enterGroup(runs[r], r, probe, p)
    if (extra !== null) this.enterGroup(extra, runs.length, probe, p)
  }

  /** Moves to the next row with a net weight above 0. */
  nextPositive(): boolean {
    while (this.next()) if (this.sign > 0) return true
    return false
  }

  protected override inside(run: Batch, row: number): boolean {
    return this.probe !== null && this.kernels.compareGroups(run, row, this.probe, this.probeRow) === 0
  }

  private enterGroup(run: Batch, r: number, probe: Batch, p: number): void {
    const { kernels } = this
    let at = kernels.seek(run, this.lows[r], probe, p)
    this.lows[r] = at
    // Rows whose hash is the same but whose key is smaller come first.
    if (this.hashed) while (at < run.length && kernels.compareGroups(run, at, probe, p) < 0) at++
    if (at === run.length || kernels.compareGroups(run, at, probe, p) !== 0) return
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
