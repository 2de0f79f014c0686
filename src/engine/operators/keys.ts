/**
 * The keys of a table's rows, each with how many rows have it and with all bits of their primary keys, summed modulo 2:
 * where there is one row, that is its primary key. What UNIQUE is judged by where nobody needs the rows by that key: a
 * look into a group table, where an arrangement would be sorted, searched and merged.
 */
import { readValue } from '../../../codegen/expr/plain.js'
import type { Column } from '../../schema/schema.js'
import type { Batch } from '../../zset/batch.js'
import { cellIsNull, copyCell, sameCell } from '../../zset/cells.js'
import type { GroupTable } from '../../zset/groups.js'
import { ErrorSet } from '../errors.js'
import { ErrorPart } from '../state/errors.js'
import { GroupPart } from '../state/groups.js'
import type { StatePart } from '../state/part.js'
import { type Feed, feedInputs, feedSources, runFeeds } from './feed.js'
import { Operator, type StateSize } from './operator.js'

/** Tables of fewer keys are not looked through for keys that no row has. */
const SWEPT_KEYS = 4096

export class KeysOperator extends Operator {
  readonly kind = 'keys'
  readonly errors = new ErrorSet()
  readonly feeds: Feed[] = []
  /** The columns of the key, and those that may be NULL. */
  readonly columns: readonly Column[]
  private readonly nullable: readonly Column[]
  private readonly groups: GroupPart
  private isAhead = false
  private sweepAt = SWEPT_KEYS

  constructor(
    readonly table: GroupTable,
    readonly name: string,
  ) {
    super()
    this.columns = table.rows.layout.schema.columns.slice(0, table.groupColumns)
    this.nullable = this.columns.filter(c => c.nullable)
    const failures = { failureOf: () => null, setFailure: () => {}, forgotten: () => {} }
    this.groups = new GroupPart('groups', table, false, failures)
  }

  describe(): string[] {
    const names = this.columns.map(c => c.name)
    return [`of ${names.join(', ')}`, ...this.feeds.flatMap(feed => feed.describe())]
  }

  inputs(): readonly Operator[] {
    return feedInputs(this.feeds)
  }

  step(): void {
    this.ahead()
    this.rowsOut += this.table.touchedCount
  }

  /**
   * Counts the rows that the table was offered, before any step of the epoch: constraints are judged by it.
   * REQUIRES: the epoch follows and wakes this operator, or `abort` is called.
   */
  ahead(): void {
    if (this.isAhead) return
    this.isAhead = true
    this.rowsIn += runFeeds(this.feeds)
  }

  /** Slots from `from` on that have another number of rows than 0 or 1: all of the table's, or the touched ones. */
  *broken(touched: boolean): Generator<number> {
    const { table } = this
    if (!touched) table.source?.fetchAll()
    const slots = touched ? table.touchedCount : table.size
    for (let s = 0; s < slots; s++) {
      const slot = touched ? table.touched[s] : s
      if (!isSingle(table, slot)) yield slot
    }
  }

  /** Do all keys that the epoch touches have one row at most? */
  get isSound(): boolean {
    const { table } = this
    for (let t = 0; t < table.touchedCount; t++) if (!isSingle(table, table.touched[t])) return false
    return true
  }

  /** How many rows have the key of a slot, the running epoch's included. */
  countOf(slot: number): bigint {
    const { records, record } = this.table
    return records.ints[slot * record.words + record.count]
  }

  /**
   * Has the key that was touched as number t got rows, and has some now? Unless `all`, only if it had none. A key with a
   * NULL has none.
   */
  gains(t: number, all: boolean): boolean {
    const { table, nullable } = this
    const { words, count } = table.record
    const slot = table.touched[t]
    const now = table.records.ints[slot * words + count]
    const before = table.undo.ints[t * words + count]
    if (now <= 0n || now <= before || (before > 0n && !all)) return false
    for (let c = 0; c < nullable.length; c++) if (cellIsNull(table.rows, nullable[c], slot)) return false
    return true
  }

  /** Puts the key of a slot into row k of a batch of the key columns, arranged by all of them. */
  putKey(slot: number, out: Batch, k: number): void {
    const { table, columns } = this
    const { keyLanes, lanes } = table.record
    const { key, schema } = out.layout
    const all = key.words * 2
    for (let l = 0; l < all; l++) out.keys32[k * all + l] = l < keyLanes ? table.keys32[slot * lanes + l] : 0
    for (let w = 0; w < schema.nullWords; w++) {
      out.nulls[k * schema.nullWords + w] = table.rows.nulls[slot * schema.nullWords + w]
    }
    if (key.kind === 'packed') return
    for (let c = 0; c < columns.length; c++) copyCell(table.rows, columns[c], slot, out, schema.columns[c], k)
  }

  /** The slot of a row's key, or -1. REQUIRES: the row's batch is arranged by the same kind of key, in `columns`. */
  find(batch: Batch, row: number, columns: readonly Column[]): number {
    const { table } = this
    const { key } = batch.layout
    const same = (slot: number) => columns.every((c, n) => sameCell(batch, c, row, table.rows, this.columns[n], slot))
    const slot = table.find(batch.keys32, row * key.words * 2, key.kind === 'packed' ? null : same)
    if (slot >= 0 || table.source === null) return slot
    return table.source.lookup(columns.map(c => readValue(batch, c, row)))
  }

  /** The primary key of the row that had the key of a touched slot before the epoch, as bits; null if there was none. */
  rowBefore(slot: number): readonly bigint[] | null {
    const { table } = this
    if (!table.hadRows(slot)) return null
    const { words, fields } = table.record
    return fields.map(at => table.undo.ints[table.positionOf(slot) * words + at])
  }

  commit(): void {
    this.table.commit()
    this.errors.commit()
    this.isAhead = false
    if (this.table.size >= this.sweepAt) this.sweep()
  }

  abort(): void {
    this.table.abort()
    this.errors.abort()
    this.isAhead = false
  }

  /** Lets go of keys that no row has, where they are half of all. */
  private sweep(): void {
    const { table } = this
    const kept: number[] = []
    for (let slot = 0; slot < table.size; slot++) {
      if (!table.isEmpty(slot) || table.source?.isMarked(slot) === true) kept.push(slot)
    }
    if (kept.length * 2 <= table.size) {
      const slots = Int32Array.from(kept)
      table.keepOnly(slots)
      table.source?.renumber(slots)
    }
    this.sweepAt = Math.max(SWEPT_KEYS, table.size * 2)
  }

  parts(): StatePart[] {
    return [this.groups, new ErrorPart('errors', this.errors)]
  }

  override sources(): ReadonlyMap<string, string> {
    return feedSources(this.feeds)
  }

  override state(): StateSize {
    const { table } = this
    return { rows: table.size, usedBytes: table.usedBytes, allocatedBytes: table.allocatedBytes }
  }
}

/** Has the slot's key one row, or none? */
function isSingle({ records, record }: GroupTable, slot: number): boolean {
  const at = slot * record.lanes + record.count * 2
  return records.lanes32[at] <= 1 && records.lanes32[at + 1] === 0
}
