/**
 * What a recursion knows of the rows of one of its variables: whether they are there, since which iteration, and how
 * many derivations support them.
 *
 * A row that is there *came in* an iteration, and is *supported* by its derivations from earlier iterations: those all of
 * whose rows came before it (a variable without delay: not after it). The invariant at the end of every epoch is
 *
 *     a row is there  iff  it has a derivation        and        every row that is there is supported.
 *
 * The first part says that nothing is missing. The second says that nothing is too much: iterations cannot descend for ever, so each
 * row rests on rows from outside, however it is entangled in circles. That is well-founded support. It does not ask
 * that a row came in the first iteration in which it could have: a new, shorter way to a row that is there already
 * changes a count and nothing else. (Differential dataflow keeps the first iteration, and pays when that changes.)
 */
import type { CompiledKernels } from '../../../codegen/kernels.js'
import { Batch } from '../../zset/batch.js'
import { tidyHeap } from '../../zset/cells.js'
import { extend, SlotIndex } from '../../zset/slots.js'

export class Facts extends SlotIndex {
  /** By slot: the row. */
  readonly rows: Batch
  /** 0 if the row is not there, else 1 + the iteration in which it came. */
  levels = new Uint32Array(0)
  /** The weight of the derivations that support the row; if it is not there, of all of them. */
  support = new Float64Array(0)
  /** Of a row that is not there: no derivation is from a later iteration. */
  latest = new Uint32Array(0)
  /** Slots that this epoch has changed, and what they were before. */
  readonly touched: number[] = []
  private readonly oldLevels: number[] = []
  private readonly oldSupport: number[] = []
  private readonly oldLatest: number[] = []
  private marks = new Uint32Array(0)
  private mark = 1
  private heapLimit = 1 << 16
  /** By slot: the level that lasts already, where it is another; null if nothing lasts. */
  private changed: Map<number, number> | null = null

  constructor(private readonly kernels: CompiledKernels) {
    super(kernels.layout.key.words)
    this.rows = new Batch(kernels.layout)
  }

  /** Makes room for so many new rows. */
  reserve(rows: number): void {
    const need = this.size + rows
    if (need <= this.capacity) return
    const capacity = Math.max(16, need, Math.ceil(this.capacity * 1.5))
    this.rows.length = this.size
    this.rows.resize(capacity)
    this.growKeys(capacity, extend(this.keys32, new Uint32Array(capacity * this.keyLanes)))
    this.levels = extend(this.levels, new Uint32Array(capacity))
    this.support = extend(this.support, new Float64Array(capacity))
    this.latest = extend(this.latest, new Uint32Array(capacity))
    this.marks = extend(this.marks, new Uint32Array(capacity))
  }

  /** A slot for row i of `batch`, which has none. REQUIRES: room. */
  addRow(batch: Batch, i: number): number {
    const slot = this.add(batch.keys32, i * this.keyWords * 2)
    this.kernels.copyRow(batch, i, this.rows, slot)
    return slot
  }

  /** To be called before a slot is changed. */
  touch(slot: number): void {
    if (this.marks[slot] === this.mark) return
    this.marks[slot] = this.mark
    this.touched.push(slot)
    this.oldLevels.push(this.levels[slot])
    this.oldSupport.push(this.support[slot])
    this.oldLatest.push(this.latest[slot])
  }

  /** How the row of `touched[t]` has changed in this epoch: 1 it has come, -1 it has gone, 0 neither. */
  change(t: number): number {
    return Math.min(this.levels[this.touched[t]], 1) - Math.min(this.oldLevels[t], 1)
  }

  /** Appends a slot's row to a batch of the same layout; the weight is the caller's. */
  copyTo(slot: number, out: Batch): number {
    const k = out.length
    out.reserve(1)
    this.kernels.copyRow(this.rows, slot, out, k)
    out.length = k + 1
    return k
  }

  /** From now on `unsaved` tells what has changed. */
  track(): void {
    this.changed = new Map()
  }

  /** Slots whose level has changed since `saved`, with what it was then. */
  *unsaved(): Generator<{ slot: number; level: number }> {
    for (const [slot, level] of this.changed ?? []) if (this.levels[slot] !== level) yield { slot, level }
  }

  saved(): void {
    this.changed?.clear()
  }

  /** Adds rows with the iterations in which they came; a weight below 0 takes one back. */
  restore(run: Batch): void {
    const column = run.columns[run.layout.schema.columns.length - 1]
    const same = (i: number) => (slot: number) => this.kernels.compareGroups(run, i, this.rows, slot) === 0
    this.reserve(run.length)
    for (let i = 0; i < run.length; i++) {
      const known = this.find(run.keys32, i * this.keyWords * 2, same(i))
      const slot = known >= 0 ? known : this.addRow(run, i)
      // Runs may come in any order: levels are summed.
      this.levels[slot] += (Number(column[i]) + 1) * Number(run.weights[i])
    }
  }

  commit(): void {
    if (this.changed !== null) this.note(this.changed)
    this.finish()
    if (this.rows.heap.length > this.heapLimit) this.heapLimit = tidyHeap(this.rows, this.size)
  }

  private note(changed: Map<number, number>): void {
    this.touched.forEach((slot, t) => {
      if (!changed.has(slot)) changed.set(slot, this.oldLevels[t])
    })
  }

  abort(): void {
    this.touched.forEach((slot, t) => {
      this.levels[slot] = this.oldLevels[t]
      this.support[slot] = this.oldSupport[t]
      this.latest[slot] = this.oldLatest[t]
    })
    this.finish()
  }

  private finish(): void {
    for (const list of [this.touched, this.oldLevels, this.oldSupport, this.oldLatest]) list.length = 0
    if (++this.mark < 0xffffffff) return
    this.marks.fill(0)
    this.mark = 1
  }

  get bytes(): number {
    const perSlot = this.keyLanes * 4 + 20
    return this.rows.allocatedBytes + this.index.byteLength + this.capacity * perSlot
  }
}

/** The derivations of a row: iterations, ascending, and their weights. */
export class Derivations {
  length = 0
  times = new Uint32Array(16)
  weights = new Float64Array(16)

  /** Reads those of a slot's row off the runs of their arrangement. */
  read(facts: Facts, slot: number, kernels: CompiledKernels, runs: readonly Batch[]): void {
    const { rows } = facts
    const lanes = kernels.layout.key.words * 2
    const column = kernels.layout.schema.columns.length - 1
    this.length = 0
    for (let r = 0; r < runs.length; r++) {
      const run = runs[r]
      const times = run.columns[column]
      for (let at = kernels.seek(run, 0, rows, slot); at < run.length && sameKey(run, at, rows, slot, lanes); at++) {
        if (kernels.compareGroups(run, at, rows, slot) !== 0) continue
        const weight = (run.weights32[at * 2 + 1] | 0) * 4294967296 + run.weights32[at * 2]
        if (weight !== 0) this.add(times[at] as number, weight)
      }
    }
  }

  /** Runs have them in order, so a place is found near the end. */
  private add(time: number, weight: number): void {
    if (this.length === this.times.length) {
      this.times = extend(this.times, new Uint32Array(this.length * 2))
      this.weights = extend(this.weights, new Float64Array(this.length * 2))
    }
    const { times, weights } = this
    let at = this.length++
    for (; at > 0 && times[at - 1] > time; at--) {
      times[at] = times[at - 1]
      weights[at] = weights[at - 1]
    }
    times[at] = time
    weights[at] = weight
  }
}

function sameKey(run: Batch, at: number, rows: Batch, slot: number, lanes: number): boolean {
  for (let l = 0; l < lanes; l++) if (run.keys32[at * lanes + l] !== rows.keys32[slot * lanes + l]) return false
  return true
}
