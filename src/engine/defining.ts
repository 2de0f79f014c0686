/**
 * What a database is asked to define: tables, views, indexes, constraints and key-value stores made, altered and dropped.
 * Each is all or nothing, and a durable transaction of its own.
 */
import { quote, show, UsageError } from '../base/errors.js'
import { type ConstraintSpec, constraintDefinition, type IndexSpec, indexDefinition } from '../circuit/builder/rules.js'
import type { RowType, ViewDef } from '../circuit/builder/types.js'
import type { ColumnBuilders, InsertOf, RowOf, TableDef } from '../circuit/columns.js'
import type { IndexDefinition, TableDefinition, ViewDefinition } from '../circuit/rel.js'
import { Alteration } from './alter/alteration.js'
import { describes, differenceOf, mustAgree } from './alter/difference.js'
import { renameView } from './alter/rename.js'
import { type Altered, type AlterTable, alteredDefinition, type Renamed, type Renames } from './alter/spec.js'
import type { Progress } from './backfill.js'
import type { Changing } from './changes.js'
import type { Commit } from './commit.js'
import { impliedBy } from './constraints/rules.js'
import type { Definitions } from './definitions.js'
import type { Bookkeeping } from './durable/bookkeeping.js'
import type { Epochs } from './epochs.js'
import type { TableHandle } from './handles/table.js'
import type { ViewHandle } from './handles/view.js'
import type { IndexHandle } from './indexes/handle.js'
import type { KvDef } from './kv/definition.js'
import { type Entry, type IndexEntry, label, type TableEntry } from './registry.js'
import type { TableRef } from './transactions/reads.js'
import { Writes } from './transactions/writes.js'

export interface CreateViewOptions {
  /** Called while the view catches up with rows that are there already. It must not write to the database. */
  readonly onProgress?: Progress
}

export abstract class Defining extends Writes<Commit> {
  /** Internal: tables and views by name. */
  abstract readonly definitions: Definitions
  protected abstract readonly epochs: Epochs
  /** Internal: what is written down besides tables; null in memory. */
  abstract readonly books: Bookkeeping | null
  protected abstract readonly changes: Changing

  /**
   * Creates a table. Throws UsageError if the name is taken. A durable database gives the table of that name that its
   * directory holds; throws SchemaError, naming the differences, if that one has another definition.
   */
  createTable<R, I, K>(definition: TableDef<R, I, K>): TableHandle<R, I, K> {
    this.epochs.mustBeIdle('createTable')
    if (definition?.kind !== 'table') throw new UsageError(`createTable: expected a table, found ${show(definition)}`)
    const { registry } = this.definitions
    if (registry.unclaimedLike(definition) !== undefined) return this.table(definition)
    this.epochs.mustBeWritable('createTable')
    const entry = this.changes.define(({ created }) => this.definitions.addTable(definition, created))
    return entry.handle as unknown as TableHandle<R, I, K>
  }

  /**
   * Adds a secondary index to a table, which may hold rows: the index catches up with them in chunks. Throws
   * SchemaError, CompileError or UsageError, and changes nothing then.
   */
  createIndex<R, I>(
    table: TableRef<R, I> | string,
    name: string,
    spec: IndexSpec<R>,
    options: CreateViewOptions = {},
  ): IndexHandle<R> {
    this.epochs.mustBeWritable('createIndex')
    const entry = this.tableEntry(table, 'createIndex')
    const definition = indexDefinition(entry.definition.schema, name, spec as IndexSpec<never>)
    if (entry.definition.stream) throw new UsageError(`createIndex: ${quote(entry.name)} is a stream: it keeps no rows`)
    return this.addIndexTo(entry, definition, options).handle as unknown as IndexHandle<R>
  }

  private addIndexTo(entry: TableEntry, definition: IndexDefinition, options: CreateViewOptions = {}): IndexEntry {
    return this.changes.define(({ created }) => {
      for (const implied of impliedBy(definition)) this.definitions.addConstraint(entry, implied, created)
      const made = this.definitions.addIndex(entry, definition, options.onProgress)
      created.push(made)
      return made
    })
  }

  /** Drops an index, and its rows unless a view or constraint needs them. Throws UsageError if there is none. */
  dropIndex<R, I>(table: TableRef<R, I> | string, name: string): void {
    this.epochs.mustBeWritable('dropIndex')
    this.dropIndexOf(this.tableEntry(table, 'dropIndex'), name)
  }

  private dropIndexOf(entry: TableEntry, name: string): void {
    const handle = entry.handle.index(name)
    this.changes.define(({ removed }) => {
      const index = { kind: 'index', name, table: entry, definition: handle.definition, handle } as const
      removed.push(...this.definitions.unregister(index))
    })
  }

  /**
   * Puts a constraint on a table. Throws ConstraintError, listing the first rows, if rows that are there break it;
   * SchemaError, CompileError or UsageError if it cannot be.
   */
  addConstraint<R, I>(table: TableRef<R, I> | string, name: string, spec: ConstraintSpec<R>): void {
    this.epochs.mustBeWritable('addConstraint')
    const entry = this.tableEntry(table, 'addConstraint')
    const constraint = constraintDefinition(entry.definition.schema, name, spec as ConstraintSpec<never>)
    if (entry.definition.stream && constraint.kind !== 'check') {
      throw new UsageError(`addConstraint: ${quote(entry.name)} is a stream: it can only have CHECK constraints`)
    }
    this.changes.define(({ created }) => this.definitions.addConstraint(entry, constraint, created))
  }

  /** Throws UsageError if there is none of this name, or a foreign key needs it. */
  dropConstraint<R, I>(table: TableRef<R, I> | string, name: string): void {
    this.epochs.mustBeWritable('dropConstraint')
    this.dropConstraintOf(this.tableEntry(table, 'dropConstraint'), name)
  }

  private dropConstraintOf(entry: TableEntry, name: string): void {
    const definition = this.definitions.rules.constraintOf(entry.rules, name)
    this.changes.define(({ removed }) => {
      const handle = { dropped: false }
      removed.push(...this.definitions.unregister({ kind: 'constraint', name, table: entry, definition, handle }))
    })
  }

  private tableEntry(table: unknown, call: string): TableEntry {
    const found = this.definitions.registry.find(table)
    if (found?.kind === 'table' && !found.isSystem) return found
    throw new UsageError(`${call}: there is no table ${label(table)}`)
  }

  /**
   * Compiles a view and brings it up to date. Tables and views it reads are created if they are not there yet. A durable
   * database gives the view of that name that its directory holds, and makes it anew if its circuit has changed.
   * Throws CompileError or UsageError, and changes nothing then.
   */
  createView<D extends ViewDefinition>(definition: D, options: CreateViewOptions = {}): ViewHandle<RowType<D>> {
    this.epochs.mustBeIdle('createView')
    if (definition?.kind !== 'view') throw new UsageError(`createView: expected a view, found ${show(definition)}`)
    const { registry } = this.definitions
    const stored = registry.unclaimedLike(definition)
    if (stored !== undefined && registry.find(definition) === stored) return stored.handle as ViewHandle<RowType<D>>
    this.epochs.mustBeWritable('createView')
    const entry = this.changes.define(changes => {
      if (stored !== undefined) return this.definitions.replaceView(definition, stored, options.onProgress, changes)
      return this.definitions.addView(definition, options.onProgress, changes.created)
    })
    return entry.handle as ViewHandle<RowType<D>>
  }

  /**
   * Adds columns to a table that may hold rows, or gives it, its columns or defaults other names or values. No row is
   * written again: the columns that are added hold their default, or NULL, in rows that are there (but see docs/alter.md
   * on tables without a primary key). Views keep the columns that they had. Handles, subscriptions, indexes and constraints
   * go on; definitions of the program that say otherwise stand for the table no more.
   *
   * Throws SchemaError on what cannot be, UsageError while transactions are open, IoError; then nothing has changed.
   */
  alterTable<
    R,
    I,
    K,
    const A extends ColumnBuilders = Record<never, never>,
    const M extends Renames<R> = Record<never, never>,
  >(
    table: TableRef<R, I, K> | string,
    change: AlterTable<R, I, A, M>,
  ): TableHandle<Altered<R, M, RowOf<A>>, Altered<I, M, InsertOf<A>>, Renamed<K, M>> {
    this.epochs.mustBeWritable('alterTable')
    const entry = this.tableEntry(table, 'alterTable')
    const altered = alteredDefinition(entry.definition, change as AlterTable<object, object>)
    if (altered.schema.name !== entry.name) this.definitions.mustBeForUsers('table', altered.schema.name)
    this.alter(entry, altered)
    return entry.handle as never
  }

  /** Gives a view another name; views that read it go on. Throws UsageError if the name is taken. */
  renameView<R>(view: ViewHandle<R> | ViewDefinition | string, name: string): ViewHandle<R> {
    this.epochs.mustBeWritable('renameView')
    const entry = this.definitions.registry.find(view)
    if (entry?.kind !== 'view') throw new UsageError(`renameView: there is no view ${label(view)}`)
    if (typeof name !== 'string' || name === '')
      throw new UsageError(`renameView: expected a name, found ${show(name)}`)
    this.definitions.mustBeForUsers('view', name)
    this.changes.carryOut(() => ({ result: null, finish: () => {}, ...renameView(this.definitions, entry, name) }))
    return entry.handle as ViewHandle<R>
  }

  /**
   * Gives an index another name, and the constraint that a unique one implies. Its rows stay. Throws UsageError if there is
   * none, the name is taken, or a foreign key needs the constraint.
   */
  renameIndex<R, I>(table: TableRef<R, I> | string, name: string, to: string): IndexHandle<R> {
    this.epochs.mustBeWritable('renameIndex')
    const entry = this.tableEntry(table, 'renameIndex')
    const handle = entry.handle.index(name)
    if (typeof to !== 'string' || to === '') throw new UsageError(`renameIndex: expected a name, found ${show(to)}`)
    const definition = Object.freeze({ ...handle.definition, name: to })
    const made = this.changes.define(({ created, removed }) => {
      for (const implied of impliedBy(definition)) this.definitions.addConstraint(entry, implied, created)
      const index = this.definitions.addIndex(entry, definition)
      created.push(index)
      const old = { kind: 'index', name, table: entry, definition: handle.definition, handle } as const
      removed.push(...this.definitions.unregister(old))
      return index
    })
    return made.handle as unknown as IndexHandle<R>
  }

  private alter(entry: TableEntry, definition: TableDefinition): void {
    const open = this.definitions.history.pinned(true)
    if (open > 0) {
      throw new UsageError(
        `table ${quote(entry.name)} cannot be altered while ${open} transactions are open; end them first`,
      )
    }
    this.changes.carryOut(() => {
      const alteration = Alteration.begin(this.definitions, entry, definition, null)
      const { before, after } = alteration
      const tell = () => this.books?.subscriptions?.altered(entry.handle)
      return { result: null, before, after, undo: () => alteration.undo(), finish: () => alteration.finish(), tell }
    })
  }

  /**
   * Makes the table of the directory what a definition says, if that is safe: columns are added, renamed (where `rename`
   * says so: old names and new ones) and get other defaults; indexes and constraints that it declares are added, or made
   * anew. A table that is not there is created. Throws SchemaError, saying what can be done, if it is not safe;
   * ConstraintError if rows break a constraint; then nothing has changed.
   */
  migrate<R, I, K>(
    definition: TableDef<R, I, K>,
    options: { readonly rename?: Readonly<Record<string, string>> } = {},
  ): TableHandle<R, I, K> {
    this.epochs.mustBeWritable('migrate')
    return this.changes.together(() => this.migrateTo(definition, options.rename)).handle as never
  }

  /** Internal: `migrate` of several tables, all of them or none. */
  migrateAll(definitions: readonly TableDefinition[]): void {
    this.epochs.mustBeWritable('migrate')
    this.changes.together(() => {
      for (const definition of definitions) this.migrateTo(definition)
    })
  }

  private migrateTo(definition: TableDefinition, rename: Readonly<Record<string, string>> = {}): TableEntry {
    if (definition?.kind !== 'table') throw new UsageError(`migrate: expected a table, found ${show(definition)}`)
    const { registry, rules } = this.definitions
    const entry = registry.known(definition) ?? registry.named(definition.schema.name)
    if (entry === undefined) return this.changes.define(({ created }) => this.definitions.addTable(definition, created))
    if (entry.kind !== 'table' || isSystem(entry)) registry.mustBeFree(entry.name)
    const table = entry as TableEntry
    if (registry.known(definition) !== undefined) return table
    const { migration, obstacles } = differenceOf(definition, table, rename)
    if (obstacles.length > 0) mustAgree(definition, table, rename)
    // What the steps refer to may find the table by its definition, before all of them are done.
    const { unclaimed } = table
    const undo = () => registry.disown(definition, table, unclaimed)
    this.changes.carryOut(() => ({
      result: null,
      before: [],
      after: [],
      undo,
      finish: () => registry.adopt(definition, table),
    }))
    if (Object.keys(migration.rename).length + migration.add.length + migration.defaults.length > 0) {
      const { indexes: _indexes, constraints: _constraints, ...rest } = definition
      this.alter(table, Object.freeze(rest))
    }
    for (const { definition: index, replaces } of migration.indexes) {
      if (replaces) this.dropIndexOf(table, index.name)
      this.addIndexTo(table, index)
    }
    for (const { definition: constraint } of migration.constraints) {
      const there = rules.definitionOf(table.rules, constraint.name)
      if (there !== undefined && describes(there, constraint)) continue
      if (there !== undefined) this.dropConstraintOf(table, constraint.name)
      this.changes.define(({ created }) => this.definitions.addConstraint(table, constraint, created))
    }
    return table
  }

  /** Drops a view and every operator that only it used. Throws UsageError if another view reads it. */
  dropView<R>(view: ViewHandle<R> | ViewDefinition | string): void {
    this.drop('view', 'dropView', view)
  }

  /** Drops a table. Throws UsageError if a view reads it. */
  dropTable<R, I, K>(table: TableHandle<R, I, K> | TableDefinition | string): void {
    this.drop('table', 'dropTable', table)
  }

  private drop(kind: Entry['kind'], call: string, ref: unknown): void {
    this.epochs.mustBeWritable(call)
    const entry = this.definitions.registry.find(ref)
    if (entry?.kind !== kind || isSystem(entry)) throw new UsageError(`${call}: there is no ${kind} ${label(ref)}`)
    this.definitions.mustBeUnread(entry)
    this.changes.define(({ removed }) => {
      removed.push(...this.definitions.unregister(entry))
    })
  }

  /** A table of this database by definition or name. Throws UsageError if there is none. */
  table<R, I, K>(table: TableDef<R, I, K> | string): TableHandle<R, I, K> {
    const found = this.definitions.registry.find(table)
    if (found?.kind !== 'table') throw new UsageError(`there is no table ${label(table)}`)
    return found.handle as unknown as TableHandle<R, I, K>
  }

  /** A view of this database by definition or name. Throws UsageError if there is none. */
  view<R>(view: ViewDef<R> | string): ViewHandle<R> {
    const found = this.definitions.registry.find(view)
    if (found?.kind !== 'view') throw new UsageError(`there is no view ${label(view)}`)
    return found.handle as ViewHandle<R>
  }

  protected kvTable(table: KvDef<unknown, unknown>['table']): TableHandle<unknown, unknown> {
    const { registry } = this.definitions
    const found = registry.find(table) ?? registry.named(table.schema.name)
    if (found === undefined) return this.createTable(table) as TableHandle<unknown, unknown>
    if (found.kind !== 'table' || found.isSystem) throw new UsageError(`kv: ${quote(found.name)} is a ${found.kind}`)
    mustAgree(table, found)
    registry.adopt(table, found)
    return found.handle
  }
}

const isSystem = (entry: Entry): boolean => entry.kind === 'table' && entry.isSystem
