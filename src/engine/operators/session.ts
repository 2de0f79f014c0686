/**
 * Session windows, over an arrangement by (keys, time). A row that comes or goes changes the sessions it can touch: from
 * its time, the times before and after it are read as long as no step is more than the gap, whether they were there
 * before the epoch or are there after it. What lies in between is cut into sessions as it was and as it is, and the
 * difference goes out. So a change costs by the rows of the sessions that it changes, as does what it puts out.
 */
import type { ProjectRow } from '../../../codegen/decode.js'
import { writeValue } from '../../../codegen/expr/plain.js'
import { sumSaturated } from '../../circuit/scalar/time-windows.js'
import type { Column, RowSchema } from '../../schema/schema.js'
import { flatLayout } from '../../schema/schema.js'
import { TYPES } from '../../schema/types.js'
import type { Batch } from '../../zset/batch.js'
import type { Kernels } from '../../zset/kernels.js'
import { type Cuttable, type Threshold, timeReader } from '../bounded.js'
import type { ArrangeOperator } from './arrange.js'
import { BatchProducer, NO_PARTS, type Operator } from './operator.js'
import type { Time } from './waterline.js'

export interface SessionShape {
  /** The time's column in the arrangement. */
  readonly at: Column
  readonly gap: bigint
  /** Of what comes out: the arrangement's first columns, start and end. */
  readonly schema: RowSchema
}

/** A row and its weights before the epoch and after it. */
interface Unit {
  readonly run: Batch
  readonly row: number
  old: bigint
  now: bigint
}

/** All rows of a key and a time, and whether the time counted before and counts after. */
interface Moment {
  readonly at: Time
  readonly units: readonly Unit[]
  readonly old: boolean
  readonly now: boolean
}

interface Window {
  readonly start: Time
  end: Time
}

/** Reads the times of one group off the runs, one after the other, from a place on. */
class Times {
  private readonly at: number[]

  constructor(
    private readonly kernels: Kernels,
    /** The delta last. */
    private readonly runs: readonly Batch[],
    /** By run: the time of a row. */
    private readonly timeAt: readonly ((row: number) => Time)[],
    /** A row of the group. */
    private readonly probe: Batch,
    private readonly row: number,
    from: Time,
    private readonly backwards: boolean,
  ) {
    this.at = new Array<number>(runs.length)
    for (let r = 0; r < runs.length; r++) this.at[r] = this.place(runs[r], timeAt[r], from) - (backwards ? 1 : 0)
  }

  private isIn(run: Batch, row: number): boolean {
    return row >= 0 && row < run.length && this.kernels.compareGroups(run, row, this.probe, this.row) === 0
  }

  /** The first row of the group in the run whose time is not before `from`, or the row behind the group. */
  private place(run: Batch, timeAt: (row: number) => Time, from: Time): number {
    let low = this.kernels.seek(run, 0, this.probe, this.row)
    // Hashed keys: other groups may share the words.
    while (low < run.length && this.kernels.compareGroups(run, low, this.probe, this.row) < 0) low++
    let high = low
    for (let step = 1; high < run.length && this.isIn(run, high) && timeAt(high) < from; step *= 2) {
      low = high + 1
      high += step
    }
    high = Math.min(high, run.length)
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.isIn(run, middle) && timeAt(middle) < from) low = middle + 1
      else high = middle
    }
    return low
  }

  /** The next time with its rows; null if there is none. */
  next(): Moment | null {
    const { runs, at, backwards } = this
    let nearest: Time | null = null
    for (let r = 0; r < runs.length; r++) {
      if (!this.isIn(runs[r], at[r])) continue
      const time = this.timeAt[r](at[r])
      if (nearest === null || (backwards ? time > nearest : time < nearest)) nearest = time
    }
    return nearest === null ? null : this.take(nearest)
  }

  private take(time: Time): Moment {
    const { runs, at, backwards, kernels, timeAt } = this
    const units: Unit[] = []
    for (let r = 0; r < runs.length; r++) {
      const run = runs[r]
      for (; this.isIn(run, at[r]) && timeAt[r](at[r]) === time; at[r] += backwards ? -1 : 1) {
        const weight = run.weights[at[r]]
        units.push({ run, row: at[r], old: r === runs.length - 1 ? 0n : weight, now: weight })
      }
    }
    if (units.length > 1) units.sort((a, b) => kernels.compareRows(a.run, a.row, b.run, b.row))
    return momentOf(kernels, time, units)
  }
}

/** REQUIRES: units in order; those of one row are put together. */
function momentOf(kernels: Kernels, at: Time, sorted: readonly Unit[]): Moment {
  const units: Unit[] = []
  for (const unit of sorted) {
    const last = units[units.length - 1]
    if (last !== undefined && kernels.compareRows(last.run, last.row, unit.run, unit.row) === 0) {
      last.old += unit.old
      last.now += unit.now
    } else units.push(unit)
  }
  let [old, now] = [0n, 0n]
  for (const unit of units) {
    // Runs may wrap, the sum of all of them does not.
    unit.old = BigInt.asIntN(64, unit.old)
    unit.now = BigInt.asIntN(64, unit.now)
    old += unit.old
    now += unit.now
  }
  return { at, units, old: old > 0n, now: now > 0n }
}

export class SessionOperator extends BatchProducer implements Cuttable {
  readonly kind = 'session'
  private readonly gap: Time

  constructor(
    private readonly input: ArrangeOperator,
    private readonly shape: SessionShape,
    private readonly project: ProjectRow,
    private readonly text: ReadonlyMap<string, string>,
  ) {
    super(flatLayout(shape.schema))
    this.gap = TYPES[shape.at.type].js === 'number' ? Number(shape.gap) : shape.gap
  }

  describe(): string[] {
    return [`by ${this.shape.at.name}, gap ${this.shape.gap}`]
  }

  inputs(): readonly Operator[] {
    return [this.input]
  }

  step(): void {
    const delta = this.input.delta()
    if (delta === null) return
    this.rowsIn += delta.length
    const runs = [...this.input.before(), delta]
    const { kernels } = this.input
    const timeAt = runs.map(run => timeReader(run, this.shape.at))
    for (let row = 0; row < delta.length; ) {
      const end = this.stepFrom(runs, timeAt, delta, row)
      const first = row
      do row++
      while (
        row < delta.length &&
        kernels.compareGroups(delta, row, delta, first) === 0 &&
        timeAt[runs.length - 1](row) <= end
      )
    }
    this.rowsOut += this.out.length
    if (this.out.length > 0) this.wakeConsumers()
  }

  /** Puts out what changes around the first changed row that was not looked at; returns the time up to which it looked. */
  private stepFrom(
    runs: readonly Batch[],
    timeAt: readonly ((row: number) => Time)[],
    delta: Batch,
    row: number,
  ): Time {
    const { kernels } = this.input
    const time = timeAt[runs.length - 1](row)
    const before = this.reach(new Times(kernels, runs, timeAt, delta, row, time, true), time)
    const after = this.reach(new Times(kernels, runs, timeAt, delta, row, time, false), time)
    const region = [...before.reverse(), ...after].filter(m => m.old || m.now)
    const old = this.sessions(region, m => m.old)
    const now = this.sessions(region, m => m.now)
    for (const [m, moment] of region.entries()) {
      for (const unit of moment.units) this.emit(unit, old[m], now[m])
    }
    return after.length === 0 ? time : after[after.length - 1].at
  }

  /** The times from `edge` on, as far as none is further than the gap from the last one that counts. */
  private reach(times: Times, edge: Time): Moment[] {
    const moments: Moment[] = []
    for (let moment = times.next(); moment !== null; moment = times.next()) {
      const step = moment.at < edge ? this.between(moment.at, edge) : this.between(edge, moment.at)
      if (step > this.gap) break
      moments.push(moment)
      if (moment.old || moment.now) edge = moment.at
    }
    return moments
  }

  private between(a: Time, b: Time): Time {
    return (b as number) - (a as number)
  }

  /** The window of each moment that counts. */
  private sessions(region: readonly Moment[], counts: (moment: Moment) => boolean): (Window | null)[] {
    let window: Window | null = null
    let last: Time = 0
    return region.map(moment => {
      if (!counts(moment)) return null
      if (window === null || this.between(last, moment.at) > this.gap) window = { start: moment.at, end: 0 }
      last = moment.at
      window.end = sumSaturated(this.shape.at.type, last, this.shape.gap)
      return window
    })
  }

  private emit(unit: Unit, old: Window | null, now: Window | null): void {
    if (old !== null && now !== null && old.start === now.start && old.end === now.end) {
      this.put(unit, now, unit.now - unit.old)
      return
    }
    if (old !== null) this.put(unit, old, -unit.old)
    if (now !== null) this.put(unit, now, unit.now)
  }

  private put(unit: Unit, { start, end }: Window, weight: bigint): void {
    if (weight === 0n) return
    const { out } = this
    out.reserve(1)
    const k = out.length
    this.project(unit.run, unit.row, out, k)
    const { columns } = this.shape.schema
    writeValue(out, columns[columns.length - 2], k, start)
    writeValue(out, columns[columns.length - 1], k, end)
    out.weights[k] = weight
    out.length = k + 1
  }

  get rowCount(): number {
    return this.input.rowCount
  }

  /** Sessions that end below the threshold. REQUIRES: nobody else reads the arrangement. */
  cut([{ least }]: readonly Threshold[]): void {
    this.input.trace.cut(rows => {
      const gone = this.goneSessions(rows, least)
      return row => gone[row] === 1
    })
  }

  private goneSessions(rows: Batch, least: Time): Uint8Array {
    const { kernels } = this.input
    const { type } = this.shape.at
    const timeAt = timeReader(rows, this.shape.at)
    const gone = new Uint8Array(rows.length)
    let begin = 0
    let last: Time | null = null
    const close = (end: number): void => {
      const isOver = last === null || sumSaturated(type, last, this.shape.gap) < least
      // Rows at times that do not count go when no row can come beside them.
      for (let row = begin; row < end; row++) if (isOver && timeAt(row) < least) gone[row] = 1
      begin = end
      last = null
    }
    for (let row = 0; row < rows.length; ) {
      const time = timeAt(row)
      const first = row
      let weight = 0n
      const sameGroup = (): boolean => kernels.compareGroups(rows, row, rows, first) === 0
      for (; row < rows.length && sameGroup() && timeAt(row) === time; row++) weight += rows.weights[row]
      const begins = first === 0 || kernels.compareGroups(rows, first - 1, rows, first) !== 0
      if (begins || (last !== null && weight > 0n && this.between(last, time) > this.gap)) close(first)
      if (weight > 0n) last = time
    }
    close(rows.length)
    return gone
  }

  parts(): typeof NO_PARTS {
    return NO_PARTS
  }

  override sources(): ReadonlyMap<string, string> {
    return this.text
  }
}
