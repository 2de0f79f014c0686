/**
 * Groups of an aggregate that are not in its group table: each is one row of a Z-set, with the group's record as columns,
 * arranged by the group's key. The table is then a cache above it: a group is fetched when its key is first met, and
 * those that changed are written as the difference to what the Z-set holds of them.
 *
 *     [group columns …] [words of the record, from the count on …] [MIN and MAX …] [aside]
 */
import { readValue, writeRow, writeValue } from '../../../codegen/expr/plain.js'
import { assert } from '../../base/errors.js'
import { arrangedLayout, type Column, type ColumnSpec, type Layout, rowSchema } from '../../schema/schema.js'
import type { Value } from '../../schema/types.js'
import { Arranger } from '../../zset/arrange.js'
import { Batch } from '../../zset/batch.js'
import { cellIsNull, clearCell, copyCell, sameCell, setCellNull } from '../../zset/cells.js'
import type { Cold } from '../../zset/cold.js'
import type { GroupSource, GroupTable, Spill } from '../../zset/groups.js'
import type { Kernels } from '../../zset/kernels.js'
import { decodeString, encodeString } from '../../zset/strings.js'
import type { StatePart } from './part.js'

/** What a group has beside its record, as JSON. */
interface Aside {
  /** Per accumulator that has spilled: its number, then units, nan, plus and minus, and why there is no value. */
  readonly spills: readonly (readonly [number, string, string, string, string, string?])[]
  /** Why the group fails, if it does. */
  readonly failure: string | null
}

/** What the operator keeps by slot: failures of groups. */
export interface Failures {
  failureOf(slot: number): string | null
  setFailure(slot: number, message: string): void
  /** Slots mean nothing any more. */
  forgotten(): void
}

const groupColumns = (table: GroupTable): readonly Column[] =>
  table.rows.layout.schema.columns.slice(0, table.groupColumns)

/** The layout of a table's groups as rows. */
export function groupLayout(table: GroupTable): Layout {
  const groups = groupColumns(table)
  const specs: ColumnSpec[] = groups.map(({ name, type, nullable }) => ({ name: `key ${name}`, type, nullable }))
  for (let w = table.record.count; w < table.record.words; w++) {
    specs.push({ name: `word ${w}`, type: 'i64', nullable: false })
  }
  for (const { name, type } of table.extremes) specs.push({ name: `extreme ${name}`, type, nullable: true })
  specs.push({ name: 'aside', type: 'string', nullable: true })
  return arrangedLayout(
    rowSchema(table.rows.layout.schema.name, specs),
    groups.map((_, g) => g),
  )
}

/** The groups of a table as a part of an operator's state. */
export class GroupPart implements StatePart {
  readonly layout: Layout
  state: GroupState | null = null

  constructor(
    readonly name: string,
    private readonly table: GroupTable,
    /** The only group of a global aggregate is there even if there are no rows. */
    private readonly isGlobal: boolean,
    private readonly failures: Failures,
  ) {
    this.layout = groupLayout(table)
  }

  get hotBytes(): number {
    return this.table.allocatedBytes
  }

  attach(cold: Cold, kernels: Kernels): void {
    this.state = new GroupState(this.table, this.isGlobal, this.failures, kernels, cold)
    this.table.source = this.state
  }

  takeHot(): Batch | null {
    return this.state?.difference() ?? null
  }

  settled(): void {
    this.state?.settled()
  }

  /** The table still has everything. */
  putBack(): void {}

  relieve(): void {
    if (this.isGlobal || this.table.capacity <= KEPT_SLOTS) return
    this.state?.forget()
    this.failures.forgotten()
  }

  /** Puts the only group there is into the table. */
  fetchOnly(key: Uint32Array): void {
    if (this.state === null || this.state.rowCount === 0) return
    this.state.fetch(this.table.addKey(key, 0))
    this.table.seeded = true
  }
}

/** A small table is not worth forgetting. */
const KEPT_SLOTS = 1024

export class GroupState implements GroupSource {
  private readonly probe: Batch
  private readonly found: Batch
  /** Columns of the state's rows, and the group columns of the table. */
  private readonly groups: readonly Column[]
  private readonly tableGroups: readonly Column[]
  private readonly words: readonly Column[]
  private readonly extremes: readonly Column[]
  private readonly aside: Column
  private readonly arranger: Arranger
  /** Slots that differ from what the Z-set holds of them. */
  private dirty: number[] = []
  private isDirty = new Uint8Array(0)
  /** The version of `cold` all of whose groups are in the table. */
  private complete = -1

  /** `kernels`: of `groupLayout(table)`. */
  constructor(
    private readonly table: GroupTable,
    private readonly isGlobal: boolean,
    private readonly failures: Failures,
    private readonly kernels: Kernels,
    private readonly cold: Cold,
  ) {
    const { columns } = kernels.layout.schema
    this.tableGroups = groupColumns(table)
    const at = this.tableGroups.length
    const words = table.record.words - table.record.count
    this.groups = columns.slice(0, at)
    this.words = columns.slice(at, at + words)
    this.extremes = columns.slice(at + words, -1)
    this.aside = columns[columns.length - 1]
    this.probe = new Batch(kernels.layout, 1)
    this.found = new Batch(kernels.layout)
    this.arranger = new Arranger(kernels)
  }

  get rowCount(): number {
    return this.cold.rowCount
  }

  fetch(slot: number): void {
    if (this.find(slot)) this.load(this.found, 0, slot)
  }

  /** Looks for the row of a slot's group; it is then row 0 of `found`. */
  private find(slot: number): boolean {
    if (this.cold.rowCount === 0) return false
    const { probe, found } = this
    probe.heap.clear()
    this.putKey(slot, probe, 0)
    const rows = this.cold.get(probe, 0, found)
    assert(rows <= 1, `a group of ${this.kernels.layout.schema.name} is one row`)
    return rows === 1
  }

  /** Puts a group's key words and columns into row k. */
  private putKey(slot: number, out: Batch, k: number): void {
    const { table } = this
    const { keyLanes, lanes } = table.record
    const { words, kind } = this.kernels.layout.key
    for (let l = 0; l < words * 2; l++) {
      out.keys32[k * words * 2 + l] = l < keyLanes ? table.records.lanes32[slot * lanes + l] : 0
    }
    for (const [g, column] of this.groups.entries()) {
      const from = this.tableGroups[g]
      const isNull = cellIsNull(table.rows, from, slot)
      if (column.nullable) setCellNull(out, column, k, isNull)
      if (kind === 'packed') continue
      if (isNull) clearCell(out, column, k)
      else copyCell(table.rows, from, slot, out, column, k)
    }
  }

  /** Gives a slot the state of a row. */
  private load(from: Batch, row: number, slot: number): void {
    const { table } = this
    const { count, words } = table.record
    for (const [w, column] of this.words.entries()) {
      table.records.ints[slot * words + count + w] = from.columns[column.index][row] as bigint
    }
    for (const [e, column] of table.extremes.entries()) {
      const isNull = cellIsNull(from, this.extremes[e], row)
      if (column.nullable) setCellNull(table.rows, column, slot, isNull)
      if (!isNull) copyCell(from, this.extremes[e], row, table.rows, column, slot)
    }
    if (cellIsNull(from, this.aside, row)) return
    const { spills, failure } = JSON.parse(decodeString(from.lanes[this.aside.index], row * 4, from.heap)) as Aside
    for (const [a, units, nan, plus, minus, message] of spills) {
      const spill: Spill = { units: BigInt(units), nan: BigInt(nan), plus: BigInt(plus), minus: BigInt(minus) }
      table.spills[a].set(slot, message === undefined ? spill : { ...spill, message })
    }
    if (failure !== null) this.failures.setFailure(slot, failure)
  }

  fetchAll(): void {
    const { cold, kernels } = this
    if (this.complete === cold.version) return
    const runs = cold.runs()
    if (runs.length === 1) this.enterAll(runs[0])
    else if (runs.length > 1) {
      const rows = runs.reduce((n, run) => n + run.length, 0)
      const all = new Batch(kernels.layout, rows)
      kernels.mergeAll(runs, all, new Int32Array(runs.length), new Int32Array(runs.length))
      this.enterAll(all)
    }
    this.complete = cold.version
  }

  private enterAll(rows: Batch): void {
    for (let row = 0; row < rows.length; row++) this.enter(rows, row)
  }

  lookup(key: readonly Value[]): number {
    const { probe, cold, found } = this
    if (cold.rowCount === 0) return -1
    probe.heap.clear()
    writeRow(probe, 0, key)
    return cold.get(probe, 0, found) === 0 ? -1 : this.enter(found, 0)
  }

  /** The slot of a row's group, a new one if it has none. */
  private enter(from: Batch, row: number): number {
    const { table, groups, tableGroups } = this
    const { key } = this.kernels.layout
    const at = row * key.words * 2
    const same = (slot: number) => groups.every((c, g) => sameCell(from, c, row, table.rows, tableGroups[g], slot))
    const known = table.find(from.keys32, at, key.kind === 'packed' ? null : same)
    if (known >= 0) return known
    const slot = table.addKey(from.keys32, at)
    for (const [g, column] of groups.entries()) {
      writeValue(table.rows, tableGroups[g], slot, readValue(from, column, row))
    }
    this.load(from, row, slot)
    return slot
  }

  mark(touched: Int32Array, count: number): void {
    if (this.isDirty.length < this.table.size) {
      const longer = new Uint8Array(this.table.capacity)
      longer.set(this.isDirty)
      this.isDirty = longer
    }
    for (let t = 0; t < count; t++) {
      const slot = touched[t]
      if (this.isDirty[slot] === 1) continue
      this.isDirty[slot] = 1
      this.dirty.push(slot)
    }
  }

  isMarked(slot: number): boolean {
    return this.isDirty[slot] === 1
  }

  renumber(kept: Int32Array): void {
    const dirty = this.dirty.length
    const isDirty = new Uint8Array(this.table.capacity)
    const now: number[] = []
    for (let slot = 0; slot < kept.length; slot++) {
      if (this.isDirty[kept[slot]] !== 1) continue
      isDirty[slot] = 1
      now.push(slot)
    }
    assert(now.length === dirty, 'groups that changed are kept until they are written')
    this.dirty = now
    this.isDirty = isDirty
  }

  /** Are there groups that changed? */
  get isChanged(): boolean {
    return this.dirty.length > 0
  }

  /** What has to be added to the Z-set for it to hold the table's groups, consolidated; null if there is nothing. */
  difference(): Batch | null {
    const { dirty, arranger, found, kernels } = this
    if (dirty.length === 0) return null
    const { raw } = arranger
    for (const slot of dirty) {
      raw.reserve(2)
      if (this.find(slot)) {
        kernels.copyRow(found, 0, raw, raw.length)
        raw.weights[raw.length++] = -1n
      }
      if (this.store(slot, raw, raw.length)) raw.length++
    }
    const delta = new Batch(kernels.layout, raw.length)
    arranger.arrange(delta)
    raw.clear()
    raw.resize(0)
    return delta.length > 0 ? delta : null
  }

  /** The difference has been added. */
  settled(): void {
    for (const slot of this.dirty) this.isDirty[slot] = 0
    this.dirty = []
    // The table has whatever was added, so what was complete before is now.
    if (this.complete >= 0) this.complete = this.cold.version
  }

  /** Empties the table. REQUIRES: no group has changed since `settled`. */
  forget(): void {
    assert(this.dirty.length === 0, 'groups that changed are written before they are forgotten')
    this.table.forget()
    this.complete = -1
    this.isDirty = new Uint8Array(0)
  }

  /** Writes a group as row k, with weight 1; false if there is nothing to be kept of it. */
  private store(slot: number, out: Batch, k: number): boolean {
    const { table } = this
    const { count, words } = table.record
    const { nullWords } = out.layout.schema
    out.nulls.fill(0n, k * nullWords, (k + 1) * nullWords)
    let isEmpty = true
    for (const [w, column] of this.words.entries()) {
      const word = table.records.ints[slot * words + count + w]
      out.columns[column.index][k] = word
      if (word !== 0n) isEmpty = false
    }
    const aside = this.asideOf(slot)
    if (isEmpty && aside === null && !this.isGlobal) return false
    this.putKey(slot, out, k)
    out.weights[k] = 1n
    for (const [e, column] of table.extremes.entries()) {
      const to = this.extremes[e]
      const isNull = cellIsNull(table.rows, column, slot)
      setCellNull(out, to, k, isNull)
      if (isNull) clearCell(out, to, k)
      else copyCell(table.rows, column, slot, out, to, k)
    }
    setCellNull(out, this.aside, k, aside === null)
    if (aside === null) clearCell(out, this.aside, k)
    else encodeString(JSON.stringify(aside), out.lanes[this.aside.index], k * 4, out.heap)
    return true
  }

  private asideOf(slot: number): Aside | null {
    const spills: [number, string, string, string, string, string?][] = []
    for (const [a, map] of this.table.spills.entries()) {
      const spill = map.get(slot)
      if (spill === undefined) continue
      const { units, nan, plus, minus, message } = spill
      const numbers = [`${units}`, `${nan}`, `${plus}`, `${minus}`] as const
      spills.push(message === undefined ? [a, ...numbers] : [a, ...numbers, message])
    }
    const failure = this.failures.failureOf(slot)
    return spills.length === 0 && failure === null ? null : { spills, failure }
  }
}
