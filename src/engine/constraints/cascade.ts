/**
 * CASCADE and SET NULL to a fixed point, before anything is stepped: what a transaction makes of rows that refer to keys
 * which are gone at its end. Each batch of keys that went away is an event; its action gives rows, which may take away
 * further keys. Rows so far lie in small traces over the state (`overlays`), so that every event costs by what it
 * touches, however long the chain.
 */
import { readValue, writeRow } from '../../../codegen/expr/plain.js'
import { GnitzError } from '../../base/errors.js'
import type { Column } from '../../schema/schema.js'
import type { Value } from '../../schema/types.js'
import { appendRows } from '../../zset/append.js'
import { Batch } from '../../zset/batch.js'
import { Trace } from '../../zset/trace.js'
import type { Fate } from './action.js'
import type { ForeignKey } from './foreign-key.js'
import type { KeyGroups } from './groups.js'
import { Successors } from './moves.js'
import type { Scratch } from './scratch.js'
import type { TableRules } from './table-rules.js'

/** Keys of a parent that are gone: rows of a batch of its arrangement. */
interface Event {
  readonly key: ForeignKey
  readonly batch: Batch
  readonly rows: readonly number[]
}

/** Far more than any chain of rows that fits into memory. */
const MAX_EVENTS = 10_000_000

export class Cascade {
  private readonly overlays = new Map<KeyGroups, Trace>()
  private readonly extra = new Map<TableRules, Batch>()
  private readonly successors = new Map<ForeignKey, Successors>()
  private readonly queue: Event[] = []

  constructor(private readonly scratch: Scratch) {}

  /** The rows to be added, by table; null if there are none. */
  run(tables: readonly TableRules[]): ReadonlyMap<TableRules, Batch> | null {
    for (const table of tables) {
      for (const key of table.parents) {
        const delta = key.hasActions ? key.rule.parent.ahead() : null
        if (delta !== null) this.lose(key, delta, null)
      }
    }
    for (let at = 0; at < this.queue.length; at++) {
      this.act(this.queue[at])
      if (at > MAX_EVENTS) throw new GnitzError('USAGE', 'referential actions of a transaction do not come to an end')
    }
    return this.extra.size === 0 ? null : this.extra
  }

  private lose(key: ForeignKey, delta: Batch, overlay: Trace | null): void {
    const rows = key.rule.lostKeys(delta, overlay, this.scratch)
    if (rows.length > 0) this.queue.push({ key, batch: delta, rows })
  }

  private overlayOf(groups: KeyGroups): Trace {
    let overlay = this.overlays.get(groups)
    if (overlay === undefined) {
      overlay = new Trace(groups.kernels, 'rows of a transaction')
      this.overlays.set(groups, overlay)
      const delta = groups.ahead()
      if (delta !== null) insert(overlay, delta, false)
    }
    return overlay
  }

  private act({ key, batch, rows }: Event): void {
    const { parent, child } = key.rule
    const fates = new Map<Fate, Value[][]>()
    for (const row of rows) {
      const old = parent.columns.map(column => readValue(batch, column, row))
      if (this.isThere(key, old)) continue
      const next = key.minds ? this.successorOf(key, old) : null
      const fate = next === null ? key.onDelete : key.onUpdate
      if (fate === null) continue
      const list = fates.get(fate) ?? []
      fates.set(fate, list)
      list.push(next !== null && fate === 'move' ? [...old, ...next] : old)
    }
    for (const [fate, keys] of fates) {
      const { rows: changes, old } = key.action(fate).run(keys, [...child.before(), ...this.overlayOf(child).batches()])
      if (changes.length > 0) this.apply(key.table, changes, old)
    }
  }

  private successorOf(key: ForeignKey, old: readonly Value[]): Value[] | null {
    let successors = this.successors.get(key)
    if (successors === undefined) {
      successors = new Successors(key.rule.parent.columns)
      this.successors.set(key, successors)
      successors.learn(key.parentTable)
    }
    return successors.of(old, values => this.isThere(key, values))
  }

  /** Has the parent a row with this key, as the transaction is so far? */
  private isThere(key: ForeignKey, values: readonly Value[]): boolean {
    const { parent } = key.rule
    const probe = new Batch(parent.kernels.layout, 1)
    const cells: (Value | undefined)[] = parent.kernels.layout.schema.columns.map(() => undefined)
    parent.columns.forEach((column: Column, n) => {
      cells[column.index] = values[n]
    })
    writeRow(probe, 0, cells)
    probe.weights[0] = 1n
    probe.length = 1
    return key.rule.parentCount(probe, this.overlayOf(parent), this.scratch) > 0n
  }

  /** Adds rows to a table: `old` retractions, and as many insertions of what they became unless they are gone. */
  private apply(table: TableRules, rows: Batch, old: number): void {
    let extra = this.extra.get(table)
    if (extra === undefined) {
      extra = new Batch(table.flat)
      this.extra.set(table, extra)
    }
    appendRows(rows, 0, rows.length, extra)
    if (rows.length > old) {
      for (const [key, successors] of this.successors) if (key.parentTable === table) successors.add(rows, old)
      table.moved.push({ rows, old })
    }
    const kept = table.parents.filter(k => k.hasActions)
    const groups = new Set([
      ...kept.map(k => k.rule.parent),
      ...table.children.flatMap(k => (k.hasActions ? [k.rule.child] : [])),
    ])
    for (const one of groups) {
      const overlay = this.overlayOf(one)
      const delta = one.arranged(rows)
      for (const key of kept) if (key.rule.parent === one) this.lose(key, delta, overlay)
      insert(overlay, delta, true)
    }
  }
}

function insert(trace: Trace, delta: Batch, owned: boolean): void {
  trace.prepare(delta)
  trace.insert(delta, owned)
}
