/**
 * The first rows of each group: top-k with boundary maintenance. Input rows are arranged by (group, order); for each
 * group the last row that made it (the boundary) is remembered, and a delta beyond it is ignored without a look at
 * the state. Otherwise the first k rows before and after the step are read off the runs, and the difference goes out.
 */
import type { RowSchema } from '../../schema/schema.js'
import { flatLayout } from '../../schema/schema.js'
import { Batch } from '../../zset/batch.js'
import { tidyHeap } from '../../zset/cells.js'
import { extend, SlotIndex } from '../../zset/slots.js'
import { type Cuttable, goneRows, type Threshold } from '../bounded.js'
import type { ArrangeOperator } from './arrange.js'
import { BatchProducer, NO_PARTS, type Operator, type StateSize } from './operator.js'
import { GroupWalk, Reached } from './walk.js'

/** Slots of groups with their boundary rows. */
export class Boundaries extends SlotIndex {
  readonly rows: Batch
  /** Total weight among the first k. */
  totals = new Float64Array(0)
  /** A group without a slot has no rows. */
  complete = true
  private heapLimit = 1 << 16

  constructor(input: ArrangeOperator) {
    super(input.kernels.layout.key.words)
    this.rows = new Batch(input.kernels.layout)
    this.makeRoom()
  }

  makeRoom(): void {
    if (this.size < this.capacity) return
    const capacity = Math.max(16, Math.ceil(this.capacity * 1.5))
    this.rows.length = this.capacity
    this.rows.resize(capacity)
    this.growKeys(capacity, extend(this.keys32, new Uint32Array(capacity * this.keyLanes)))
    this.totals = extend(this.totals, new Float64Array(capacity))
  }

  /** Texts of boundaries that were replaced are still in the heap: drops them now and then. */
  tidy(): void {
    if (this.rows.heap.length > this.heapLimit) this.heapLimit = tidyHeap(this.rows, this.size)
  }

  get bytes(): number {
    return this.rows.allocatedBytes + this.keys32.byteLength + this.index.byteLength + this.totals.byteLength
  }
}

export interface TopKCode {
  /** Lists the groups of a delta whose first rows may change. */
  reached(delta: Batch, boundaries: Boundaries, limit: number, reached: Reached): void
  /** Emits the change of one group's first rows; returns their total weight. */
  rank(
    walk: GroupWalk,
    runs: readonly Batch[],
    delta: Batch,
    p: number,
    oldPlaces: number,
    limit: number,
    out: Batch,
  ): number
  readonly sources: ReadonlyMap<string, string>
}

export class TopKOperator extends BatchProducer implements Cuttable {
  readonly kind = 'topK'
  private boundaries: Boundaries
  private readonly walk: GroupWalk
  private readonly reached = new Reached()
  /** Per reached group: its new boundary, not yet committed. */
  private readonly staged: Batch

  constructor(
    private readonly input: ArrangeOperator,
    private readonly code: TopKCode,
    private readonly limit: number,
    schema: RowSchema,
  ) {
    super(flatLayout(schema))
    this.boundaries = new Boundaries(input)
    this.staged = new Batch(input.kernels.layout)
    this.walk = new GroupWalk(new Batch(input.kernels.layout))
  }

  describe(): string[] {
    return [`first ${this.limit} of each group`]
  }

  inputs(): readonly Operator[] {
    return [this.input]
  }

  step(): void {
    const delta = this.input.delta()
    if (delta === null) return
    const { reached, code, boundaries, limit } = this
    this.rowsIn += delta.length
    reached.reserve(delta.length)
    code.reached(delta, boundaries, limit, reached)
    if (reached.count > 0) {
      this.rankAll(delta)
      this.walk.end()
    }
    this.rowsOut += this.out.length
    if (this.out.length > 0) this.wakeConsumers()
  }

  private rankAll(delta: Batch): void {
    const { reached, code, boundaries, walk, staged, limit, input } = this
    const runs = input.before()
    walk.begin(runs.length)
    staged.reserve(reached.count)
    for (let g = 0; g < reached.count; g++) {
      const from = reached.rows[g]
      if (reached.slots[g] < 0) reached.slots[g] = this.addGroup(delta, from)
      const slot = reached.slots[g]
      // Where no row is left, the boundary stays what it was.
      walk.run = boundaries.rows
      walk.row = slot
      const oldPlaces = boundaries.totals[slot] === 0 ? 0 : limit // -1: nobody knows
      reached.totals[g] = code.rank(walk, runs, delta, from, oldPlaces, limit, this.out)
      input.kernels.copyRow(walk.run, walk.row, staged, g)
      staged.length = g + 1
    }
  }

  /** A slot for the group of row `from`. */
  private addGroup(delta: Batch, from: number): number {
    const { boundaries, input } = this
    boundaries.makeRoom()
    const slot = boundaries.add(delta.keys32, from * boundaries.keyWords * 2)
    // The key must be there for the search to confirm it, also before the boundary is committed.
    input.kernels.copyRow(delta, from, boundaries.rows, slot)
    boundaries.totals[slot] = boundaries.complete ? 0 : -1
    return slot
  }

  override commit(): void {
    this.commitBoundaries()
    this.boundaries.tidy()
    this.finish()
  }

  private commitBoundaries(): void {
    const { reached, staged, boundaries } = this
    for (let g = 0; g < reached.count; g++) {
      const slot = reached.slots[g]
      this.input.kernels.copyRow(staged, g, boundaries.rows, slot)
      boundaries.totals[slot] = reached.totals[g]
    }
  }

  override abort(): void {
    this.finish()
  }

  private finish(): void {
    this.reached.count = 0
    this.staged.clear()
    this.out.clear()
  }

  get rowCount(): number {
    return this.boundaries.size
  }

  /** Groups that are gone have no rows, as groups without a boundary have none. */
  cut(thresholds: readonly Threshold[]): void {
    const { boundaries: old, input } = this
    const isGone = goneRows(old.rows, thresholds)
    const fresh = new Boundaries(input)
    fresh.complete = old.complete
    for (let slot = 0; slot < old.size; slot++) {
      if (isGone(slot)) continue
      fresh.makeRoom()
      const now = fresh.add(old.keys32, slot * old.keyWords * 2)
      input.kernels.copyRow(old.rows, slot, fresh.rows, now)
      fresh.totals[now] = old.totals[slot]
    }
    this.boundaries = fresh
  }

  /** Boundaries follow from the arrangement: a group without one is looked at as a whole. */
  parts(): typeof NO_PARTS {
    return NO_PARTS
  }

  override restored(): void {
    this.boundaries.complete = this.input.trace.rowCount === 0
  }

  override sources(): ReadonlyMap<string, string> {
    return this.code.sources
  }

  override state(): StateSize {
    const { boundaries } = this
    const bytes = boundaries.bytes
    return { rows: boundaries.size, usedBytes: bytes, allocatedBytes: bytes }
  }
}
