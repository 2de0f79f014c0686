/**
 * The first rows of each group: top-k with boundary maintenance. Input rows are arranged by (group, order); for each
 * group the last row that made it (the boundary) is remembered, and a delta beyond it is ignored without a look at
 * the state. Otherwise the first k rows before and after the step are read off the runs, and the difference goes out.
 */
import { flatLayout } from '../../schema/schema.js'
import { appendRows } from '../../zset/append.js'
import { Batch } from '../../zset/batch.js'
import { SlotIndex } from '../../zset/slots.js'
import type { ArrangeOperator } from './arrange.js'
import { type Delta, type Operator, Producer, type StateSize } from './operator.js'
import { GroupWalk } from './walk.js'

/** Copies row i of an arranged batch to row k of a flat one, columns beyond the flat schema left out. */
export type ProjectRow = (from: Batch, i: number, to: Batch, k: number) => void

/** Slots of groups with their boundary rows. */
class Boundaries extends SlotIndex {
  readonly rows: Batch
  /** Total weight among the first k. */
  totals = new Float64Array(0)

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
    this.growKeys(capacity)
    const totals = new Float64Array(capacity)
    totals.set(this.totals)
    this.totals = totals
  }

  get bytes(): number {
    return this.rows.allocatedBytes + this.indexBytes + this.totals.byteLength
  }
}

/** One of the first k rows of a group. */
interface Ranked {
  readonly run: Batch
  readonly row: number
  readonly weight: bigint
}

export class TopKOperator extends Producer {
  readonly kind = 'topK'
  private readonly out: Batch
  private readonly boundaries: Boundaries
  private readonly walk: GroupWalk
  /** Boundaries of this epoch, not yet committed. */
  private staged: { slot: number; total: number }[] = []
  private readonly stagedRows: Batch

  constructor(
    private readonly input: ArrangeOperator,
    private readonly project: ProjectRow,
    private readonly limit: number,
    schema: Batch['layout']['schema'],
    private readonly text: ReadonlyMap<string, string>,
  ) {
    super()
    this.out = new Batch(flatLayout(schema))
    this.boundaries = new Boundaries(input)
    this.stagedRows = new Batch(input.kernels.layout)
    this.walk = new GroupWalk(input.kernels)
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
    const { kernels } = this.input
    this.rowsIn += delta.length
    for (let from = 0; from < delta.length; ) {
      let to = from + 1
      while (to < delta.length && kernels.compareGroups(delta, to, delta, from) === 0) to++
      this.stepGroup(delta, from)
      from = to
    }
    this.rowsOut += this.out.length
    if (this.out.length > 0) this.wakeConsumers()
  }

  /** `from` is the first row in order of a group of the delta. */
  private stepGroup(delta: Batch, from: number): void {
    const { boundaries, input, limit } = this
    const { kernels } = input
    const at = from * boundaries.keyWords * 2
    let slot = boundaries.find(delta.keys32, at, (s) => kernels.compareGroups(delta, from, boundaries.rows, s) === 0)
    if (slot >= 0 && boundaries.totals[slot] === limit && kernels.compareRows(delta, from, boundaries.rows, slot) > 0) {
      return
    }
    if (slot < 0) {
      boundaries.makeRoom()
      slot = boundaries.add(delta.keys32, at)
      // The key must be there for `find` to confirm it, also before the boundary is committed.
      kernels.copyRow(delta, from, boundaries.rows, slot)
    }
    const before = boundaries.totals[slot] === 0 ? [] : this.first(null, delta, from)
    const after = this.first(delta, delta, from)
    this.emitDifference(before, after)
    this.stageBoundary(slot, after)
  }

  private first(extra: Batch | null, probe: Batch, row: number): Ranked[] {
    const { walk, limit } = this
    const ranked: Ranked[] = []
    let left = BigInt(limit)
    walk.start(this.input.before(), extra, probe, row)
    while (left > 0n && walk.nextPositive() && walk.run !== null) {
      const weight = walk.weight < left ? walk.weight : left
      ranked.push({ run: walk.run, row: walk.row, weight })
      left -= weight
    }
    return ranked
  }

  private emitDifference(before: readonly Ranked[], after: readonly Ranked[]): void {
    const { kernels } = this.input
    let b = 0
    let a = 0
    while (b < before.length || a < after.length) {
      const old = before[b]
      const now = after[a]
      const order =
        b === before.length ? 1 : a === after.length ? -1 : kernels.compareRows(old.run, old.row, now.run, now.row)
      if (order < 0) this.emit(old, -old.weight)
      else if (order > 0) this.emit(now, now.weight)
      else if (old.weight !== now.weight) this.emit(now, now.weight - old.weight)
      if (order <= 0) b++
      if (order >= 0) a++
    }
  }

  private emit(ranked: Ranked, weight: bigint): void {
    const { out } = this
    out.reserve(1)
    this.project(ranked.run, ranked.row, out, out.length)
    out.weights[out.length] = weight
    out.length++
  }

  private stageBoundary(slot: number, after: readonly Ranked[]): void {
    const last = after[after.length - 1]
    let total = 0n
    for (const { weight } of after) total += weight
    this.staged.push({ slot, total: Number(total) })
    if (last === undefined) {
      const { boundaries } = this
      appendRows(boundaries.rows, slot, slot + 1, this.stagedRows)
    } else appendRows(last.run, last.row, last.row + 1, this.stagedRows)
  }

  protected current(): Delta | null {
    return this.out.length === 0 ? null : { batch: this.out, from: 0, to: this.out.length }
  }

  contents(): Delta[] {
    return []
  }

  commit(): void {
    this.staged.forEach(({ slot, total }, s) => {
      this.input.kernels.copyRow(this.stagedRows, s, this.boundaries.rows, slot)
      this.boundaries.totals[slot] = total
    })
    this.finish()
  }

  abort(): void {
    this.finish()
  }

  private finish(): void {
    if (this.staged.length > 0) {
      this.staged = []
      this.stagedRows.clear()
    }
    this.out.clear()
  }

  override sources(): ReadonlyMap<string, string> {
    return this.text
  }

  override state(): StateSize {
    const { boundaries } = this
    const bytes = boundaries.bytes
    return { rows: boundaries.size, usedBytes: bytes, allocatedBytes: bytes }
  }
}
