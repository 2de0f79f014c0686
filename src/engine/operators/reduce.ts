/**
 * Grouped aggregation. COUNT, SUM and AVG are linear and live in a group table; MIN and MAX read an arrangement
 * ordered by (group, value), but only for groups whose extreme may have changed.
 */
import { readValue } from '../../../codegen/expr/plain.js'
import type { Column, Layout, RowSchema } from '../../schema/schema.js'
import { flatLayout } from '../../schema/schema.js'
import { Batch } from '../../zset/batch.js'
import { copyCell, makeNull, setCellNull } from '../../zset/cells.js'
import type { GroupTable } from '../../zset/groups.js'
import { type Cuttable, goneRows, type Threshold } from '../bounded.js'
import { ErrorSet, type Failure, failureColumns } from '../errors.js'
import { ErrorPart } from '../state/errors.js'
import { GroupPart } from '../state/groups.js'
import { type StatePart, TracePart } from '../state/part.js'
import type { ArrangeOperator } from './arrange.js'
import { type Feed, feedInputs, feedSources, runFeeds } from './feed.js'
import { type Delta, type Operator, Producer, type StateSize } from './operator.js'
import type { Ranked } from './ranked.js'
import { GroupWalk, Reached } from './walk.js'

/** Collects groups that have no row because a value does not exist, and why. */
export interface ProblemSink {
  add(slot: number, message: string): void
}

export interface ReduceCode {
  /** Returns the new length of `out`. */
  readonly settle: (table: GroupTable, out: Batch, emit: boolean, problems: ProblemSink) => number
  /** Values may not exist although nothing has spilled. */
  readonly checks: boolean
  readonly sources: ReadonlyMap<string, string>
}

/** Lists the groups of a delta whose extremes may move. */
export type ReachExtremes = (delta: Batch, table: GroupTable, minimums: Reached, maximums: Reached) => void
/** Finds the extreme of one group; returns 1 if there is one. */
export type FindExtreme = (walk: GroupWalk, runs: readonly Batch[], delta: Batch, p: number, whole: number) => number

export interface ExtremeCode {
  readonly reached: ReachExtremes
  readonly first: FindExtreme
  readonly last: FindExtreme
  readonly sources: ReadonlyMap<string, string>
}

/** MIN and MAX columns that are read from one arrangement by (group, value). */
export class Extreme {
  readonly walk: GroupWalk
  readonly minimums = new Reached()
  readonly maximums = new Reached()

  constructor(
    readonly arrangement: ArrangeOperator,
    /** The value's column in the arrangement. */
    readonly value: Column,
    readonly mins: readonly Column[],
    readonly maxs: readonly Column[],
    readonly code: ExtremeCode,
  ) {
    this.walk = new GroupWalk(new Batch(arrangement.kernels.layout))
  }
}

export interface ReduceShape {
  readonly schema: RowSchema
  /** Group columns: the first columns of `schema`. */
  readonly keyCount: number
  /** No group columns: one group that always exists, with these key words. */
  readonly globalKey: Uint32Array | null
  describe(): string[]
}

export class ReduceOperator extends Producer implements Cuttable {
  readonly kind = 'aggregate'
  readonly errors = new ErrorSet()
  readonly extremes: Extreme[] = []
  readonly ranked: Ranked[] = []
  feeds: Feed[] = []
  /** Someone wants the delta although no operator consumes it. */
  observed = false
  /** Counts committed epochs that touched the table. */
  version = 0
  /** Where groups lie that are not in the table, in a durable database. */
  groups: GroupPart | null = null
  private readonly out: Batch
  private readonly failed = new Map<number, Failure>()
  private failing = new Map<number, Failure>()
  private readonly problems: ProblemSink = {
    add: (slot, message) => {
      if (!this.failing.has(slot)) this.failing.set(slot, this.failureOf(slot, message))
    },
  }

  constructor(
    readonly table: GroupTable,
    private readonly code: ReduceCode,
    private readonly shape: ReduceShape,
  ) {
    super()
    this.out = new Batch(flatLayout(shape.schema))
  }

  describe(): string[] {
    return this.shape.describe()
  }

  inputs(): readonly Operator[] {
    return [...feedInputs(this.feeds), ...this.arrangements]
  }

  /** What ordered aggregates read. */
  get arrangements(): ArrangeOperator[] {
    return [...this.extremes, ...this.ranked].map(reader => reader.arrangement)
  }

  step(): void {
    const { table, shape } = this
    if (shape.globalKey !== null) table.seed(shape.globalKey)
    this.rowsIn += runFeeds(this.feeds)
    if (table.touchedCount === 0) return
    for (let e = 0; e < this.extremes.length; e++) this.stepExtreme(this.extremes[e])
    for (let r = 0; r < this.ranked.length; r++) this.ranked[r].step(table)
    const emit = this.emits
    if (emit) this.out.reserve(table.touchedCount * 2)
    // A record is enough until somebody reads; but a value that does not exist fails its group at once.
    if (emit || table.spilled || this.code.checks) {
      this.out.length = this.code.settle(table, this.out, emit, this.problems)
    }
    if (this.failed.size > 0 || this.failing.size > 0) this.stepFailures()
    this.rowsOut += emit ? this.out.length : table.touchedCount
    if (this.out.length > 0) this.wakeConsumers()
  }

  /** What failed on the rows of a group is shown with the group's key. */
  private failureOf(slot: number, message: string): Failure {
    const { rows } = this.table
    const keys = rows.layout.schema.columns.slice(0, this.shape.keyCount)
    const row = keys.map(column => readValue(rows, column, slot))
    return { message, row, operator: 'aggregate', columns: failureColumns(keys) }
  }

  /** Groups that failed before are taken back, groups that fail now are recorded. */
  private stepFailures(): void {
    const { table, failed, failing } = this
    for (let t = 0; t < table.touchedCount; t++) {
      const slot = table.touched[t]
      const old = failed.get(slot)
      if (old !== undefined) this.errors.add(old, -1n)
      const now = failing.get(slot)
      if (now !== undefined) this.errors.add(now, 1n)
    }
  }

  /** Someone wants the changes. */
  get emits(): boolean {
    return this.observed || this.consumers.length > 0
  }

  private stepExtreme(extreme: Extreme): void {
    const delta = extreme.arrangement.delta()
    if (delta === null) return
    const { code, mins, maxs, minimums, maximums } = extreme
    minimums.reserve(delta.length)
    maximums.reserve(delta.length)
    code.reached(delta, this.table, minimums, maximums)
    if (minimums.count > 0) this.look(extreme, delta, minimums, code.first, mins)
    if (maximums.count > 0) this.look(extreme, delta, maximums, code.last, maxs)
  }

  /** Looks for the extremes of the groups listed in `reached` and writes them into `columns`. */
  private look(extreme: Extreme, delta: Batch, reached: Reached, find: FindExtreme, columns: readonly Column[]): void {
    const { table } = this
    const { walk } = extreme
    const runs = extreme.arrangement.before()
    walk.begin(runs.length)
    for (let g = 0; g < reached.count; g++) {
      const found = find(walk, runs, delta, reached.rows[g], reached.whole[g]) === 1
      const slot = reached.slots[g]
      for (const column of columns) {
        if (found) {
          copyCell(walk.run, extreme.value, walk.row, table.rows, column, slot)
          if (column.nullable) setCellNull(table.rows, column, slot, false)
        } else if (column.nullable) makeNull(table.rows, column, slot)
      }
    }
    walk.end()
  }

  get layout(): Layout {
    return this.out.layout
  }

  protected current(): Delta | null {
    return this.out.length === 0 ? null : { batch: this.out, from: 0, to: this.out.length }
  }

  contents(): Delta[] {
    return [{ batch: this.table.allRows(), from: 0, to: this.table.size }]
  }

  commit(): void {
    const { table, failed, failing } = this
    if (table.touchedCount > 0) this.version++
    if (failed.size > 0 || failing.size > 0) {
      for (let t = 0; t < table.touchedCount; t++) failed.delete(table.touched[t])
      for (const [slot, failure] of failing) failed.set(slot, failure)
      this.failing = new Map()
    }
    table.commit()
    for (let r = 0; r < this.ranked.length; r++) this.ranked[r].commit()
    this.out.clear()
    this.errors.commit()
  }

  abort(): void {
    this.table.abort()
    for (const ranked of this.ranked) ranked.abort()
    this.failing = new Map()
    this.out.clear()
    this.errors.abort()
  }

  get rowCount(): number {
    return Math.max(this.table.size, this.groups?.state?.rowCount ?? 0)
  }

  /** Groups go without a word: whoever reads this has their rows. REQUIRES: nobody reads the table itself. */
  cut(thresholds: readonly Threshold[]): void {
    const { table, failed } = this
    table.source?.fetchAll()
    const isGone = goneRows(table.rows, thresholds)
    const kept: number[] = []
    const one = new Int32Array(1)
    for (let slot = 0; slot < table.size; slot++) {
      if (isGone(slot)) {
        // What lies elsewhere is to be taken back there, and is kept until it has been.
        one[0] = slot
        if (!table.isEmpty(slot) || failed.has(slot)) table.source?.mark(one, 1)
        failed.delete(slot)
        table.empty(slot)
        if (table.source?.isMarked(slot) !== true) continue
      }
      kept.push(slot)
    }
    if (kept.length === table.size) return
    const slots = Int32Array.from(kept)
    const failures = kept.flatMap((slot, now) => {
      const failure = failed.get(slot)
      return failure === undefined ? [] : [[now, failure] as const]
    })
    failed.clear()
    for (const [slot, failure] of failures) failed.set(slot, failure)
    table.keepOnly(slots)
    table.source?.renumber(slots)
    this.version++
  }

  parts(): StatePart[] {
    this.groups ??= new GroupPart('groups', this.table, this.shape.globalKey !== null, {
      failureOf: slot => this.failed.get(slot)?.message ?? null,
      setFailure: (slot, message) => void this.failed.set(slot, this.failureOf(slot, message)),
      forgotten: () => {
        this.failed.clear()
        this.version++
      },
    })
    const negative = this.ranked.map(({ arrangement, positive }, r) => {
      return new TracePart(`negative ${r}`, arrangement.kernels.layout, positive.rows)
    })
    return [this.groups, ...negative, new ErrorPart('errors', this.errors)]
  }

  override restored(): void {
    if (this.shape.globalKey !== null) this.groups?.fetchOnly(this.shape.globalKey)
  }

  override sources(): ReadonlyMap<string, string> {
    const extremes = this.extremes.flatMap(e => [...e.code.sources])
    return new Map([...feedSources(this.feeds), ...extremes, ...this.code.sources])
  }

  override state(): StateSize {
    const { table } = this
    return { rows: table.size, usedBytes: table.usedBytes, allocatedBytes: table.allocatedBytes }
  }
}
