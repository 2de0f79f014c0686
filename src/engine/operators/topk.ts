/**
 * The first rows of each group: top-k with boundary maintenance. Input rows are arranged by (group, order); for each
 * group the last row that made it (the boundary) is remembered, and a delta beyond it is ignored without a look at
 * the state. Otherwise the first k rows before and after the step are read off the runs, and the difference goes out.
 */
import type { Layout } from '../../schema/schema.js'
import { flatLayout } from '../../schema/schema.js'
import { Batch } from '../../zset/batch.js'
import { tidyHeap } from '../../zset/cells.js'
import { extend, SlotIndex } from '../../zset/slots.js'
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

/** How much of a weight is among the first, with so many places left. */
function cut(weight: bigint, left: bigint): bigint {
  if (weight <= 0n) return 0n
  return weight < left ? weight : left
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
    this.walk.begin()
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
    let slot = boundaries.find(delta.keys32, at, s => kernels.compareGroups(delta, from, boundaries.rows, s) === 0)
    if (slot >= 0 && boundaries.totals[slot] === limit && kernels.compareRows(delta, from, boundaries.rows, slot) > 0) {
      return
    }
    if (slot < 0) {
      boundaries.makeRoom()
      slot = boundaries.add(delta.keys32, at)
      // The key must be there for `find` to confirm it, also before the boundary is committed.
      kernels.copyRow(delta, from, boundaries.rows, slot)
    }
    this.rank(delta, from, slot)
  }

  /**
   * One walk over the group as it was and as it will be: a row's old weight is its new one less the delta's. Each is
   * cut where its own first k end; what differs goes out.
   */
  private rank(delta: Batch, from: number, slot: number): void {
    const { walk, limit } = this
    let oldLeft = this.boundaries.totals[slot] === 0 ? 0n : BigInt(limit)
    let newLeft = BigInt(limit)
    let last: Batch | null = null
    let lastRow = 0
    walk.start(this.input.before(), delta, delta, from)
    while ((oldLeft > 0n || newLeft > 0n) && walk.nextRow() && walk.run !== null) {
      const now = walk.weight
      const old = oldLeft > 0n ? now - walk.weightIn(delta) : 0n
      const before = cut(old, oldLeft)
      const after = cut(now, newLeft)
      oldLeft -= before
      newLeft -= after
      if (after > 0n) {
        last = walk.run
        lastRow = walk.row
      }
      if (after !== before) this.emit(walk.run, walk.row, after - before)
    }
    this.stageBoundary(slot, last, lastRow, BigInt(limit) - newLeft)
  }

  private emit(run: Batch, row: number, weight: bigint): void {
    const { out } = this
    out.reserve(1)
    this.project(run, row, out, out.length)
    out.weights[out.length] = weight
    out.length++
  }

  private stageBoundary(slot: number, last: Batch | null, row: number, total: bigint): void {
    const { boundaries, stagedRows } = this
    this.staged.push({ slot, total: Number(total) })
    stagedRows.reserve(1)
    if (last === null) this.input.kernels.copyRow(boundaries.rows, slot, stagedRows, stagedRows.length)
    else this.input.kernels.copyRow(last, row, stagedRows, stagedRows.length)
    stagedRows.length++
  }

  get layout(): Layout {
    return this.out.layout
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
    this.boundaries.tidy()
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
