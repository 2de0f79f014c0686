/**
 * The state of a grouped aggregation: one slot per group, found by hashing its key words, with a record of
 * accumulators (`records.ts`). Sums are exact. An integer sum is a word of the record plus, once that would overflow,
 * a bigint in `spills[a]`; a float sum is two doubles (a sum of products four) plus a bigint in `spills[a]`.
 *
 * Of a group's output row, `rows` holds by slot what does not follow from its record: group columns, and what ordered
 * aggregates (MIN, MAX …) found. The
 * other columns, and the weight that tells whether the group exists, are written when somebody reads (`allRows`,
 * `rowOf`): steps neither read nor write them.
 *
 * What a step changes can be undone: the first touch of a slot in a step saves its record, and MIN and MAX.
 */
import { type Column, flatLayout, type RowSchema } from '../schema/schema.js'
import type { Value } from '../schema/types.js'
import { allocateColumn, Batch } from './batch.js'
import { copyCell, makeNull, setCellNull, tidyHeap } from './cells.js'
import { type AccumulatorSpec, type RecordLayout, Records, recordLayout } from './records.js'
import { extend, MIN_CAPACITY, SlotIndex } from './slots.js'

/** What a spilled sum holds beside the record; immutable. */
export interface Spill {
  /** Integers: the value. Floats: in units of 2^-1074, products of them 2^-2148. */
  readonly units: bigint
  readonly nan: bigint
  readonly plus: bigint
  readonly minus: bigint
  /** Why the value of an ordered aggregate does not exist. */
  readonly message?: string
}

/** Nothing. */
export const NO_SPILL: Spill = Object.freeze({ units: 0n, nan: 0n, plus: 0n, minus: 0n })

/** Writes weights and all columns that follow from the records, for slots from..to of `table.rows`. */
export type Present = (table: GroupTable, from: number, to: number) => void

/** Groups that are not in the table because they lie elsewhere; the table is then a cache of them. */
export interface GroupSource {
  /** Gives a new slot the state of its group. REQUIRES: the slot has its key and group columns. */
  fetch(slot: number): void
  /** The slot of the group with these values of the group columns, or -1; it may be a new slot. */
  lookup(key: readonly Value[]): number
  /** Brings all groups into the table. */
  fetchAll(): void
  /** Notes that a step has changed these slots. */
  mark(touched: Int32Array, count: number): void
  /** Has the group changed since it was last written? */
  isMarked(slot: number): boolean
  /** Only these slots are left, in this order. */
  renumber(kept: Int32Array): void
}

export class GroupTable extends SlotIndex {
  readonly record: RecordLayout
  records: Records
  readonly rows: Batch
  /** One row: the group columns of the row at hand, where a hashed key has to be confirmed. */
  readonly scratch: Batch
  readonly spills: Map<number, Spill>[]
  /** Where groups are that the table has no slot for; null if there are none. */
  source: GroupSource | null = null
  /** Has a step been committed? Until then a global aggregate's group does not exist. */
  seeded = false
  /**
   * The slots touched in this step. The mark in the record of `touched[t]` is `firstMark + t`. Marks of earlier steps are
   * less than `firstMark` and stay where they are.
   */
  touched = new Int32Array(0)
  firstMark = 1
  touchedCount = 0
  /** The records of touched slots as they were, by position in `touched`; keys are left out. */
  undo: Records
  /** Their MIN and MAX columns, and the null words; shares the heap of `rows`. */
  readonly undoRows: Batch
  /** Per accumulator: what touched slots had spilled before the step. */
  private readonly undoSpills: Map<number, Spill | undefined>[]
  /** Columns of `rows` that are there at all times, and those that are written when somebody reads. */
  private readonly kept: readonly Column[]
  private readonly derived: readonly Column[]
  /** All of `rows` is as it was after this number of steps. Derived columns have memory once somebody has read. */
  private presentedAt = -1
  private steps = 0
  /** Length of the rows' heap at which it is tidied: texts that were replaced are still there. */
  private heapLimit = 1 << 16

  constructor(
    keyLanes: number,
    schema: RowSchema,
    /** Group columns: the first of `schema`. */
    readonly groupColumns: number,
    readonly accumulators: readonly AccumulatorSpec[],
    /** Columns that do not follow from the record, in order. */
    readonly extremes: readonly Column[],
    private readonly present: Present = () => {},
  ) {
    const record = recordLayout(keyLanes, accumulators)
    super(keyLanes > 2 ? 2 : 1, keyLanes, record.lanes)
    this.record = record
    this.kept = schema.columns.filter(c => c.index < groupColumns || extremes.includes(c))
    this.derived = schema.columns.filter(c => !this.kept.includes(c))
    const flat = flatLayout(schema)
    this.rows = new Batch(flat)
    this.undoRows = new Batch(flat)
    this.undoRows.heap = this.rows.heap
    this.scratch = new Batch(flat, 1)
    this.spills = accumulators.map(() => new Map())
    this.undoSpills = accumulators.map(() => new Map())
    this.records = new Records(record, 0)
    this.undo = new Records(record, 0)
    this.grow(MIN_CAPACITY)
    this.growTouched(MIN_CAPACITY)
  }

  /** Makes room for at least one more slot and one more touched group. */
  makeRoom(): void {
    const { size, capacity } = this
    if (size === capacity) this.grow(Math.ceil(capacity * (capacity < DOUBLING_CAPACITY ? 2 : 1.25)))
    if (this.touchedCount === this.touched.length) this.growTouched(this.touched.length * 2)
  }

  private grow(capacity: number): void {
    this.records = new Records(this.record, capacity, this.records)
    this.growKeys(capacity, this.records.lanes32)
    const { rows } = this
    rows.capacity = capacity
    rows.resizeNulls(capacity)
    for (const column of this.kept) rows.resizeColumn(column, capacity)
    // What a reader holds stays as it was presented.
    if (rows.weights.length > 0) this.resizeDerived(capacity)
  }

  private resizeDerived(capacity: number): void {
    const { rows } = this
    rows.setWeights(extend(rows.weights, new BigInt64Array(capacity)))
    for (const column of this.derived) rows.resizeColumn(column, capacity)
  }

  private growTouched(capacity: number): void {
    this.touched = extend(this.touched, new Int32Array(capacity))
    this.undo = new Records(this.record, capacity, this.undo)
    if (this.extremes.length === 0) return
    this.undoRows.length = this.touchedCount
    this.undoRows.resizeNulls(capacity)
    for (const column of this.extremes) this.undoRows.resizeColumn(column, capacity)
  }

  /** The rows of all groups; a group that does not exist has weight 0. */
  allRows(): Batch {
    this.source?.fetchAll()
    if (this.presentedAt === this.steps) return this.rows
    if (this.rows.weights.length === 0) this.resizeDerived(this.capacity)
    this.present(this, 0, this.size)
    this.presentedAt = this.steps
    return this.rows
  }

  /** The same where only the row of one slot will be read. */
  rowOf(slot: number): Batch {
    if (this.presentedAt === this.steps) return this.rows
    if (this.rows.weights.length === 0) this.resizeDerived(this.capacity)
    this.present(this, slot, slot + 1)
    return this.rows
  }

  /** Makes the one group of a global aggregate exist from the first step on. */
  seed(key: Uint32Array): void {
    if (this.seeded) return
    if (this.size === 0) this.addKey(key, 0)
    this.touch(0)
  }

  /** A new slot for a key that has none, without extremes; its group columns are still to be written. */
  addKey(keys: Uint32Array, at: number): number {
    this.makeRoom()
    const slot = this.add(keys, at)
    this.rows.length = this.size
    for (const column of this.extremes) if (column.nullable) setCellNull(this.rows, column, slot, true)
    this.presentedAt = -1
    return slot
  }

  /** Forgets all slots and their memory. REQUIRES: no step runs; `source` has every group that is not empty. */
  forget(): void {
    const { rows } = this
    this.size = 0
    this.capacity = 0
    this.index = new Int32Array(MIN_CAPACITY * 2)
    this.mask = MIN_CAPACITY * 2 - 1
    this.records = new Records(this.record, 0)
    rows.length = 0
    rows.capacity = 0
    rows.setWeights(new BigInt64Array(0))
    rows.nulls = new BigUint64Array(0)
    rows.nulls32 = new Uint32Array(0)
    for (const { index, info } of rows.layout.schema.columns) rows.setColumn(index, allocateColumn(info.storage, 0))
    rows.heap.clear()
    for (const spills of this.spills) spills.clear()
    this.presentedAt = -1
    this.grow(MIN_CAPACITY)
  }

  /**
   * Lets go of all slots but these, which get the numbers 0, 1, 2, …. REQUIRES: no step runs; `kept` ascends.
   */
  keepOnly(kept: Int32Array): void {
    const old = { keys: this.keys32, records: this.records, rows: this.keptCells(kept) }
    const spills = this.spills.map(map => new Map(map))
    this.forget()
    const { lanes, mark } = this.record
    for (let slot = 0; slot < kept.length; slot++) {
      this.addKey(old.keys, kept[slot] * lanes)
      old.records.copyState(kept[slot], this.records, slot)
      this.records.lanes32[slot * lanes + mark] = 0
      this.copyKept(old.rows, slot, this.rows, slot)
      spills.forEach((map, a) => {
        const spill = map.get(kept[slot])
        if (spill !== undefined) this.spills[a].set(slot, spill)
      })
    }
    this.firstMark = 1
  }

  /** What of `rows` follows from nothing else, of some slots. */
  private keptCells(slots: Int32Array): Batch {
    const out = new Batch(this.rows.layout, slots.length)
    for (let k = 0; k < slots.length; k++) this.copyKept(this.rows, slots[k], out, k)
    return out
  }

  private copyKept(from: Batch, i: number, to: Batch, k: number): void {
    const { nullWords } = from.layout.schema
    for (let w = 0; w < nullWords; w++) to.nulls[k * nullWords + w] = from.nulls[i * nullWords + w]
    for (const column of this.kept) copyCell(from, column, i, to, column, k)
  }

  /** Empties the record of a group. REQUIRES: no step runs. */
  empty(slot: number): void {
    const { words, count } = this.record
    this.records.ints.fill(0n, slot * words + count, (slot + 1) * words)
    for (const spills of this.spills) spills.delete(slot)
    for (const column of this.extremes) if (column.nullable) makeNull(this.rows, column, slot)
    this.presentedAt = -1
  }

  /** Is there nothing of the group but its key? */
  isEmpty(slot: number): boolean {
    const { words, count } = this.record
    for (let w = count; w < words; w++) if (this.records.ints[slot * words + w] !== 0n) return false
    return this.spills.every(spills => !spills.has(slot))
  }

  /** Position of a slot in `touched`, negative if it is not there. */
  positionOf(slot: number): number {
    return this.records.lanes32[slot * this.record.lanes + this.record.mark] - this.firstMark
  }

  /** Saves a slot as it is, unless that has been done in this step; the loops do the same. REQUIRES: room. */
  touch(slot: number): void {
    if (this.positionOf(slot) >= 0) return
    const t = this.touchedCount++
    this.touched[t] = slot
    this.records.lanes32[slot * this.record.lanes + this.record.mark] = this.firstMark + t
    this.records.copyState(slot, this.undo, t)
    this.copyExtremes(this.rows, slot, this.undoRows, t)
  }

  private copyExtremes(from: Batch, i: number, to: Batch, k: number): void {
    if (this.extremes.length === 0) return
    const { nullWords } = from.layout.schema
    for (let w = 0; w < nullWords; w++) to.nulls[k * nullWords + w] = from.nulls[i * nullWords + w]
    for (const column of this.extremes) copyCell(from, column, i, to, column, k)
  }

  /** Had the group any rows before this step? REQUIRES: it has been touched. */
  hadRows(slot: number): boolean {
    const { words, count } = this.record
    return this.undo.ints[this.positionOf(slot) * words + count] > 0n
  }

  /** Is there anything beside the records, or was there before this step? */
  get spilled(): boolean {
    const { spills, undoSpills } = this
    for (let a = 0; a < spills.length; a++) if (spills[a].size > 0 || undoSpills[a].size > 0) return true
    return false
  }

  /** What an accumulator of a slot has spilled, now or (`old`) before this step. */
  spillOf(accumulator: number, slot: number, old: boolean): Spill | undefined {
    const before = this.undoSpills[accumulator]
    return old && before.has(slot) ? before.get(slot) : this.spills[accumulator].get(slot)
  }

  /** Replaces what an accumulator of a slot has spilled; undone with the step. */
  setSpill(accumulator: number, slot: number, spill: Spill | undefined): void {
    const before = this.undoSpills[accumulator]
    if (!before.has(slot)) before.set(slot, this.spills[accumulator].get(slot))
    this.putSpill(accumulator, slot, spill)
  }

  private putSpill(accumulator: number, slot: number, spill: Spill | undefined): void {
    if (spill === undefined) this.spills[accumulator].delete(slot)
    else this.spills[accumulator].set(slot, spill)
  }

  /** Ends a step. */
  commit(): void {
    if (this.touchedCount > 0) {
      this.seeded = true
      if (this.source !== null) this.source.mark(this.touched, this.touchedCount)
    }
    this.finish()
  }

  /** Takes a step back. Slots it created stay as ghosts. */
  abort(): void {
    for (let t = 0; t < this.touchedCount; t++) {
      this.undo.copyState(t, this.records, this.touched[t])
      this.copyExtremes(this.undoRows, t, this.rows, this.touched[t])
    }
    this.undoSpills.forEach((before, a) => {
      for (const [slot, spill] of before) this.putSpill(a, slot, spill)
    })
    this.finish()
  }

  private finish(): void {
    if (this.touchedCount === 0) return
    this.firstMark += this.touchedCount
    if (this.firstMark > LAST_MARK) this.clearMarks()
    this.touchedCount = 0
    this.steps++
    const { undoSpills } = this
    for (let a = 0; a < undoSpills.length; a++) if (undoSpills[a].size > 0) undoSpills[a].clear()
    if (this.rows.heap.length > this.heapLimit) this.heapLimit = tidyHeap(this.rows, this.size)
  }

  /** Once in a billion touches. */
  private clearMarks(): void {
    const { lanes, mark } = this.record
    for (let slot = 0; slot < this.size; slot++) this.records.lanes32[slot * lanes + mark] = 0
    this.firstMark = 1
  }

  get allocatedBytes(): number {
    let bytes = this.rows.allocatedBytes + this.index.byteLength + this.records.bytes
    for (const spills of this.spills) bytes += spills.size * SPILL_BYTES
    return bytes
  }

  get usedBytes(): number {
    return this.capacity === 0 ? 0 : Math.round((this.allocatedBytes * this.size) / this.capacity)
  }
}

/** Smaller tables grow to twice their size. */
const DOUBLING_CAPACITY = 4096
/** A step that begins below it stays within 32 bits. */
const LAST_MARK = 2 ** 30
/** Rough size of one map entry with its bigints. */
const SPILL_BYTES = 400
