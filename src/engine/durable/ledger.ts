/**
 * The ledger keeps the catalog and the database in step. Definitions that a program makes or drops become rows of the
 * catalog; rows of the catalog that come out of a directory, or are taken back, become definitions.
 */
import { GnitzError, quote } from '../../base/errors.js'
import type { Udf } from '../../circuit/expr.js'
import type { Relation } from '../../circuit/rel.js'
import { circuitText } from '../../circuit/serialise/circuit.js'
import type { Change, Storage } from '../../storage/storage.js'
import type { Tree } from '../../storage/tree.js'
import { appendRows } from '../../zset/append.js'
import { Batch } from '../../zset/batch.js'
import { Alteration } from '../alter/alteration.js'
import { renameView } from '../alter/rename.js'
import type { Definitions } from '../definitions.js'
import {
  type ConstraintEntry,
  constraintsOf,
  type Defined,
  type IndexEntry,
  indexesOf,
  type TableEntry,
} from '../registry.js'
import {
  CATALOG,
  type ConstraintRow,
  columnRows,
  constraintOf,
  constraintRow,
  type IndexRow,
  indexOf,
  indexRow,
  sourcesOf,
  type TableRow,
  tableOf,
  tableRow,
  type ViewRow,
  viewOf,
  viewRow,
} from './catalog.js'

export class Ledger {
  private readonly tables: TableEntry
  private readonly views: TableEntry
  private readonly columns: TableEntry
  private readonly indexes: TableEntry
  private readonly constraints: TableEntry

  /** REQUIRES: the tables of the catalog are there. */
  constructor(
    private readonly definitions: Definitions,
    private readonly storage: Storage,
    private readonly udfs: ReadonlyMap<string, Udf>,
  ) {
    const own = (definition: Relation): TableEntry => {
      const entry = definitions.registry.find(definition)
      if (entry?.kind !== 'table') throw new GnitzError('INTERNAL', `${definition.schema.name} is not there`)
      return entry
    }
    this.tables = own(CATALOG.tables)
    this.views = own(CATALOG.views)
    this.columns = own(CATALOG.columns)
    this.indexes = own(CATALOG.indexes)
    this.constraints = own(CATALOG.constraints)
  }

  /** Writes what was made and what goes as rows; returns the tables they are pending in. `clear` must follow. */
  write(created: readonly Defined[], removed: readonly Defined[]): TableEntry[] {
    for (const entry of removed) this.put(entry, -1n)
    for (const entry of created) this.put(entry, 1n)
    return this.own
  }

  private get own(): TableEntry[] {
    return [this.tables, this.views, this.columns, this.indexes, this.constraints]
  }

  private put(entry: Defined, weight: bigint): void {
    if (entry.kind === 'index') return put(this.indexes, [indexRow(entry.table.id, entry.definition)], weight)
    if (entry.kind === 'constraint') {
      return put(this.constraints, [constraintRow(entry.table.id, entry.definition)], weight)
    }
    const { id, definition } = entry
    if (entry.kind === 'table') {
      put(this.tables, [tableRow(id, entry.tree?.tableId ?? 0, entry.definition)], weight)
    } else put(this.views, [viewRow(id, entry.definition)], weight)
    put(this.columns, columnRows(id, definition), weight)
  }

  /** Forgets the rows that were written. */
  clear(): void {
    for (const { pending } of this.own) pending.clear()
  }

  /** Does a table of the directory hold part of the catalog? */
  isCatalog(tableId: number): boolean {
    return this.own.some(t => t.tree?.tableId === tableId)
  }

  /** The entry whose rows are in a table of the directory. */
  entryOf(tableId: number): TableEntry | undefined {
    for (const entry of this.definitions.registry.all()) {
      if (entry.kind === 'table' && entry.tree?.tableId === tableId) return entry
    }
    return undefined
  }

  /** The same, if such changes are part of the catalog. */
  followChanges(changes: readonly Change[]): void {
    if (changes.some(c => this.isCatalog(c.table.tableId))) this.follow()
  }

  /** Makes the database have the tables and views that the catalog lists, and no others. */
  follow(): void {
    const { registry } = this.definitions
    const tables = this.tables.handle.rows() as TableRow[]
    const views = (this.views.handle.rows() as ViewRow[]).sort((a, b) => a.id - b.id)
    const listed = new Set([...tables, ...views].map(row => row.id))
    const gone = registry.all().filter(e => !(e.kind === 'table' && e.isSystem) && !listed.has(e.id))
    for (const entry of gone) this.definitions.unregister(entry)
    this.definitions.remove(gone)
    const known = new Set(registry.all().map(e => e.id))
    for (const row of tables) if (known.has(row.id)) this.alterTable(row)
    for (const { id, name } of views) {
      const view = registry.all().find(e => e.id === id)
      if (view?.kind === 'view' && view.name !== name) renameView(this.definitions, view, name)
    }
    for (const row of tables) if (!known.has(row.id)) this.addTable(row)
    this.followIndexes(tables)
    this.followConstraints(tables)
    this.addViews(views.filter(row => !known.has(row.id)))
  }

  private addTable(row: TableRow): void {
    this.definitions.addTable(tableOf(row), [], { id: row.id, tree: this.treeOf(row) })
  }

  private treeOf({ name, store }: TableRow): Tree {
    const tree = this.storage.tables.find(t => t.tableId === store)
    if (tree === undefined) throw new GnitzError('CORRUPT', `table ${quote(name)} has lost its table ${store}`)
    return tree
  }

  /** Makes a table what the catalog says of it, if it is not. */
  private alterTable(row: TableRow): void {
    const entry = this.definitions.registry.all().find(e => e.id === row.id)
    if (entry?.kind !== 'table' || entry.tree?.tableId === row.store) return
    Alteration.begin(this.definitions, entry, tableOf(row), this.treeOf(row)).finish()
  }

  private followIndexes(tables: readonly TableRow[]): void {
    const rows = this.indexes.handle.rows() as IndexRow[]
    for (const { id, name } of tables) {
      const table = this.definitions.registry.named(name)
      if (table?.kind !== 'table') continue
      const listed = new Map(rows.filter(r => r.table === id).map(r => [r.name, r]))
      const isListed = (i: IndexEntry) => listed.get(i.name)?.definition === circuitText(i.definition)
      const gone = indexesOf(table).filter(i => !isListed(i))
      for (const index of gone) this.definitions.unregister(index)
      for (const [index, row] of listed) {
        if (!table.handle.indexMap.has(index))
          this.definitions.addIndex(
            table,
            indexOf(row, name => this.udfs.get(name)),
          )
      }
      // Afterwards: one that goes by another name now has the same rows.
      this.definitions.remove(gone)
    }
  }

  /** Keys that are referred to come before what refers to them. */
  private followConstraints(tables: readonly TableRow[]): void {
    const { registry } = this.definitions
    const relation = (name: string): Relation => {
      const entry = registry.named(name)
      if (entry !== undefined) return entry.definition
      throw new GnitzError('CORRUPT', `a constraint refers to ${quote(name)}, which the catalog does not list`)
    }
    const known = { relation, udf: (name: string) => this.udfs.get(name) }
    const rows = this.constraints.handle.rows() as ConstraintRow[]
    const missing: { readonly table: TableEntry; readonly row: ConstraintRow }[] = []
    for (const { id, name } of tables) {
      const table = registry.named(name)
      if (table?.kind !== 'table') continue
      const listed = rows.filter(r => r.table === id)
      const isListed = (c: ConstraintEntry) =>
        listed.some(r => r.name === c.name && r.definition === circuitText(c.definition))
      const gone = constraintsOf(table).filter(c => !isListed(c))
      for (const constraint of gone.reverse()) this.definitions.unregister(constraint)
      this.definitions.remove(gone)
      const there = table.rules.definitions.map(d => d.name)
      for (const row of listed) if (!there.includes(row.name)) missing.push({ table, row })
    }
    missing.sort((a, b) => Number(a.row.kind === 'foreignKey') - Number(b.row.kind === 'foreignKey'))
    for (const { table, row } of missing) {
      this.definitions.rules.addConstraint(table.rules, constraintOf(row, known), true)
    }
  }

  /** What a view reads comes first, whatever the numbers are. */
  private addViews(rows: readonly ViewRow[]): void {
    const { registry } = this.definitions
    const waiting = new Map(rows.map(row => [row.name, row]))
    const add = (row: ViewRow): void => {
      waiting.delete(row.name)
      for (const source of sourcesOf(row)) {
        const first = waiting.get(source)
        if (first !== undefined) add(first)
      }
      const relation = (name: string): Relation => {
        const entry = registry.named(name)
        if (entry === undefined) {
          throw new GnitzError(
            'CORRUPT',
            `view ${quote(row.name)} reads ${quote(name)}, which the catalog does not list`,
          )
        }
        return entry.definition
      }
      const definition = viewOf(row, { relation, udf: name => this.udfs.get(name) })
      this.definitions.addView(definition, undefined, [], { id: row.id, tree: null })
    }
    for (const row of rows) if (waiting.has(row.name)) add(row)
  }

  /** What undoes changes of tables. */
  negated(changes: readonly Change[]): (readonly [TableEntry, Batch])[] {
    const byTable = new Map<TableEntry, Batch>()
    for (const { table, delta } of changes) {
      const entry = this.entryOf(table.tableId)
      if (entry === undefined) continue
      const all = byTable.get(entry) ?? new Batch(delta.layout)
      appendRows(delta, 0, delta.length, all)
      byTable.set(entry, all)
    }
    return [...byTable].map(([entry, all]) => {
      for (let i = 0; i < all.length; i++) all.weights[i] = -all.weights[i]
      return [entry, entry.rearrange(all)] as const
    })
  }
}

function put(entry: TableEntry, rows: readonly unknown[], weight: bigint): void {
  entry.pending.reserve(rows.length)
  entry.pending.length = entry.encode(rows as never, entry.pending, weight)
}
