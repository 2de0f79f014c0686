/**
 * The state of a grouped aggregation: one slot per group, found by hashing its key words, with accumulators in
 * typed arrays and the group's current output row.
 *
 * `rows` holds the output rows by slot; weight 1 = the group exists, 0 = it does not (a ghost slot, reused when the
 * group comes back). Sums are exact. An integer sum is `sums[a][slot]` plus, once that would overflow, a bigint in
 * `spill[a]`; a float sum is `high + low` (two doubles) plus a bigint in units of 2^-1074 in `spill[a]`.
 *
 * What a step changes can be undone: the first touch of a slot in a step saves its accumulators and its row.
 */
import { flatLayout, type RowSchema } from '../schema/schema.js'
import { Batch } from './batch.js'
import { tidyHeap } from './cells.js'
import { extend, MIN_CAPACITY, SlotIndex } from './slots.js'

/** How an aggregate accumulates. `extreme`: MIN or MAX, whose value comes from a trace. */
export type AccumulatorKind = 'count' | 'int' | 'float' | 'extreme'

export interface AccumulatorSpec {
  readonly kind: AccumulatorKind
  /** The argument can be NULL, so rows with a value are counted apart. */
  readonly counted: boolean
}

/** What a spilled sum holds beside the typed arrays; immutable. */
export interface Spill {
  /** Integers: the value. Floats: in units of 2^-1074. */
  readonly units: bigint
  readonly nan: bigint
  readonly plus: bigint
  readonly minus: bigint
}

export class GroupTable extends SlotIndex {
  readonly rows: Batch
  /** Sum of weights per slot. */
  counts = new BigInt64Array(0)
  /** Per aggregate, per slot: sum of the weights of rows with a value (if counted). */
  readonly valid: BigInt64Array[]
  readonly sums: BigInt64Array[]
  readonly highs: Float64Array[]
  readonly lows: Float64Array[]
  readonly spills: Map<number, Spill>[]
  /** Per aggregate: how many slots have spilled. */
  readonly spillCounts: Int32Array
  /** Per slot: 1 + its position in `touched` during a step, else 0. */
  touchedAt = new Int32Array(0)
  touched = new Int32Array(0)
  touchedCount = 0
  undoCounts = new BigInt64Array(0)
  readonly undoValid: BigInt64Array[]
  readonly undoSums: BigInt64Array[]
  readonly undoHighs: Float64Array[]
  readonly undoLows: Float64Array[]
  /** Output rows as they were, by position in `touched`; shares the heap of `rows`. */
  readonly undoRows: Batch
  /** One row: the group columns of the row at hand, where a hashed key has to be confirmed. */
  readonly scratch: Batch
  /** Length of the rows' heap at which it is tidied: texts that were replaced are still there. */
  private heapLimit = 1 << 16
  private undoSpills: { aggregate: number; slot: number; spill: Spill | undefined }[] = []

  constructor(
    keyWords: number,
    schema: RowSchema,
    readonly accumulators: readonly AccumulatorSpec[],
    /** Is a touched group's output row saved too? Not where it follows from the accumulators and nobody compares. */
    private readonly savesRows: () => boolean = () => true,
  ) {
    super(keyWords)
    this.rows = new Batch(flatLayout(schema))
    this.undoRows = new Batch(flatLayout(schema))
    this.undoRows.heap = this.rows.heap
    this.scratch = new Batch(flatLayout(schema), 1)
    const none = () => new BigInt64Array(0)
    this.valid = accumulators.map(none)
    this.sums = accumulators.map(none)
    this.highs = accumulators.map(() => new Float64Array(0))
    this.lows = accumulators.map(() => new Float64Array(0))
    this.spills = accumulators.map(() => new Map<number, Spill>())
    this.spillCounts = new Int32Array(accumulators.length)
    this.undoValid = accumulators.map(none)
    this.undoSums = accumulators.map(none)
    this.undoHighs = accumulators.map(() => new Float64Array(0))
    this.undoLows = accumulators.map(() => new Float64Array(0))
    this.grow(MIN_CAPACITY)
    this.growTouched(MIN_CAPACITY)
  }

  /** Read by the loops when they begin; it does not change during an epoch. */
  get keepsRows(): boolean {
    return this.savesRows()
  }

  /** Makes room for at least one more slot and one more touched group. */
  makeRoom(): void {
    if (this.size === this.capacity) this.grow(Math.max(this.size + 1, Math.ceil(this.capacity * 1.25)))
    if (this.touchedCount === this.touched.length) this.growTouched(this.touched.length * 2)
  }

  private grow(capacity: number): void {
    const old = this.capacity
    this.growKeys(capacity)
    this.counts = extend(this.counts, new BigInt64Array(capacity))
    this.touchedAt = extend(this.touchedAt, new Int32Array(capacity))
    this.accumulators.forEach(({ kind, counted }, a) => {
      if (counted) this.valid[a] = extend(this.valid[a], new BigInt64Array(capacity))
      if (kind === 'int') this.sums[a] = extend(this.sums[a], new BigInt64Array(capacity))
      if (kind === 'float') {
        this.highs[a] = extend(this.highs[a], new Float64Array(capacity))
        this.lows[a] = extend(this.lows[a], new Float64Array(capacity))
      }
    })
    this.rows.length = old
    this.rows.resize(capacity)
    this.rows.length = this.size
  }

  private growTouched(capacity: number): void {
    this.touched = extend(this.touched, new Int32Array(capacity))
    this.undoCounts = extend(this.undoCounts, new BigInt64Array(capacity))
    this.accumulators.forEach(({ kind, counted }, a) => {
      if (counted) this.undoValid[a] = extend(this.undoValid[a], new BigInt64Array(capacity))
      if (kind === 'int') this.undoSums[a] = extend(this.undoSums[a], new BigInt64Array(capacity))
      if (kind === 'float') {
        this.undoHighs[a] = extend(this.undoHighs[a], new Float64Array(capacity))
        this.undoLows[a] = extend(this.undoLows[a], new Float64Array(capacity))
      }
    })
    this.undoRows.length = this.undoRows.capacity
    this.undoRows.resize(capacity)
  }

  /** Replaces what an aggregate of a slot has spilled; undone with the step. */
  setSpill(aggregate: number, slot: number, spill: Spill | undefined): void {
    const spills = this.spills[aggregate]
    this.undoSpills.push({ aggregate, slot, spill: spills.get(slot) })
    this.putSpill(aggregate, slot, spill)
  }

  private putSpill(aggregate: number, slot: number, spill: Spill | undefined): void {
    const spills = this.spills[aggregate]
    if (spill === undefined) spills.delete(slot)
    else spills.set(slot, spill)
    this.spillCounts[aggregate] = spills.size
  }

  /** Ends a step: touched slots are ordinary again. */
  commit(): void {
    for (let t = 0; t < this.touchedCount; t++) this.touchedAt[this.touched[t]] = 0
    this.touchedCount = 0
    if (this.undoSpills.length > 0) this.undoSpills = []
    if (this.rows.heap.length > this.heapLimit) this.heapLimit = tidyHeap(this.rows, this.size)
  }

  /** Takes a step back. Slots it created stay as ghosts. `restoreRow(t, slot)` puts an undo row back into `rows`. */
  abort(restoreRow: (t: number, slot: number) => void): void {
    this.restoreAccumulators()
    for (let t = 0; t < this.touchedCount; t++) restoreRow(t, this.touched[t])
    this.commit()
  }

  /** Puts accumulators back; the output rows are the caller's, and `commit` ends the step. */
  restoreAccumulators(): void {
    for (let t = 0; t < this.touchedCount; t++) {
      const slot = this.touched[t]
      this.counts[slot] = this.undoCounts[t]
      this.accumulators.forEach(({ kind, counted }, a) => {
        if (counted) this.valid[a][slot] = this.undoValid[a][t]
        if (kind === 'int') this.sums[a][slot] = this.undoSums[a][t]
        if (kind === 'float') {
          this.highs[a][slot] = this.undoHighs[a][t]
          this.lows[a][slot] = this.undoLows[a][t]
        }
      })
    }
    for (const { aggregate, slot, spill } of this.undoSpills.reverse()) {
      this.putSpill(aggregate, slot, spill)
    }
  }

  get allocatedBytes(): number {
    let bytes = this.rows.allocatedBytes + this.indexBytes + this.counts.byteLength + this.touchedAt.byteLength
    for (const list of [this.valid, this.sums, this.highs, this.lows]) for (const a of list) bytes += a.byteLength
    for (const spills of this.spills) bytes += spills.size * SPILL_BYTES
    return bytes
  }

  get usedBytes(): number {
    return this.capacity === 0 ? 0 : Math.round((this.allocatedBytes * this.size) / this.capacity)
  }
}

/** Rough size of one map entry with its bigints. */
const SPILL_BYTES = 400
