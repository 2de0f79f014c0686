/**
 * The database: tables, views over them, and transactions that move both; in memory, or durable in a directory (`open`).
 *
 * Every transaction is one epoch with its own LSN. Views of one LSN become visible together: readers run between
 * epochs, never during one.
 */
import { GnitzError, quote, show, UsageError } from '../base/errors.js'
import { type ConstraintSpec, constraintDefinition, type IndexSpec, indexDefinition } from '../circuit/builder/rules.js'
import type { RowType, ViewDef } from '../circuit/builder/types.js'
import { CLOCK } from '../circuit/clock.js'
import type { ColumnBuilders, InsertOf, RowOf, TableDef } from '../circuit/columns.js'
import { isClock } from '../circuit/now.js'
import type { IndexDefinition, TableDefinition, ViewDefinition } from '../circuit/rel.js'
import type { Change } from '../storage/storage.js'
import type { Batch } from '../zset/batch.js'
import { Alteration } from './alter/alteration.js'
import { describes, differenceOf, mustAgree } from './alter/difference.js'
import { renameView } from './alter/rename.js'
import { type Altered, type AlterTable, alteredDefinition, type Renamed, type Renames } from './alter/spec.js'
import type { Progress } from './backfill.js'
import { type AdvanceOptions, type ClockOptions, clockTime, maxRowsOf, nextStop, Ticker } from './clock.js'
import { Commit, type Committed } from './commit.js'
import { impliedBy, type Reservation } from './constraints/rules.js'
import { type Changes, Definitions } from './definitions.js'
import { CATALOG } from './durable/catalog.js'
import type { Durability, Owner } from './durable/durability.js'
import type { Ledger } from './durable/ledger.js'
import { type NamedChanges, type NamedOptions, type SubscriptionInfo, Subscriptions } from './durable/subscriptions.js'
import type { TableHandle, ViewHandle } from './handles.js'
import type { IndexHandle, IndexRead } from './indexes/handle.js'
import { type DumpView, dumpViews } from './inspect.js'
import { type KvDef, type KvKeys, type KvTypes, type KvValues, kv } from './kv/definition.js'
import { Kv, type KvRef, kvOf } from './kv/store.js'
import type { LateGate } from './late.js'
import { metricsOf } from './metrics.js'
import { GateOperator } from './operators/gate.js'
import { type Defined, type Entry, type IndexEntry, label, type TableEntry } from './registry.js'
import type { RelationReader } from './relation.js'
import { Transaction } from './transaction.js'
import { History } from './transactions/history.js'
import { type Committer, InteractiveTransaction } from './transactions/interactive.js'
import type { Recomputed } from './transactions/past.js'
import type { PendingTable } from './transactions/pending.js'
import type { Readable, TableRef } from './transactions/reads.js'
import { begun, retriesOf, settle, type TransactOptions } from './transactions/retry.js'
import type { Snapshot, SnapshotOptions } from './transactions/snapshot.js'
import { type SnapshotStats, Snapshots, type SnapshotTarget } from './transactions/snapshots.js'
import { Writes } from './transactions/writes.js'

export interface OpenOptions {
  /** Run the templates as they stand instead of compiled code: slow, for comparing. */
  readonly mode?: 'compiled' | 'generic'
  /** How many rows may change while a transaction is open: 1,000,000 unless said otherwise. Older ones are given up. */
  readonly historyRows?: number
  /** Moves the clock of `now()` on by itself; without it only `advance` does. */
  readonly clock?: ClockOptions
}

export interface CreateViewOptions {
  /** Called while the view catches up with rows that are there already. It must not write to the database. */
  readonly onProgress?: Progress
}

/** What `Database.trace` shows. */
export type TraceEvent = Reservation | IndexRead

type State = 'idle' | 'transaction' | 'epoch' | 'notifying' | 'building' | 'closed'

const BUSY: Readonly<Record<Exclude<State, 'idle'>, string>> = {
  transaction: 'a transaction is running; use its tx object',
  epoch: 'the database is in the middle of a step',
  notifying: 'a subscriber is being called; it must not write: collect what to write and do it afterwards',
  building: 'a view is being created',
  closed: 'the database is closed',
}

export class Database extends Writes<Commit> {
  /** Internal: tables and views by name. */
  readonly definitions: Definitions
  /** Internal: open snapshots, and where older states are found. */
  readonly snapshots: Snapshots
  private readonly history: History
  private readonly host: Committer<Commit>
  /** Internal: told of readings of indexes. */
  tracer: ((event: TraceEvent) => void) | null = null
  private readonly tracers = new Set<(event: TraceEvent) => void>()
  private state: State = 'idle'
  private currentLsn = 0n
  /** Some subscriber is to be called after the running epoch. */
  private captured = false
  private readonly ticker: Ticker | null
  /** Tables of the running transaction that kept late rows out, and those whose late rows somebody is to be told of. */
  private readonly screened: LateGate[] = []
  private readonly belated: LateGate[] = []
  private closing: Promise<void> = Promise.resolve()
  /** Subscriptions that have a name; null in memory. */
  private named: Subscriptions | null = null
  /** When the last transaction is acknowledged; null: it is. */
  private durable: Promise<void> | null = null
  /** Keeps the catalog of a durable database; set by `open`. */
  private ledger: Ledger | null = null

  /** Use `open`. */
  constructor(
    options: OpenOptions,
    /** Internal: null in memory. */
    readonly durability: Durability | null = null,
  ) {
    super()
    const mode = options.mode ?? 'compiled'
    this.ticker = options.clock === undefined ? null : new Ticker(options.clock, (time, o) => this.tick(time, o))
    this.history = new History(options.historyRows, open => {
      for (const view of this.views) view.observe(open)
    })
    this.definitions = new Definitions(this, mode, durability, this.history)
    this.host = {
      history: this.history,
      writable: table => this.writable(table),
      readable: relation => this.readable(relation),
      commit: tx => this.commitOpen(tx),
      judge: tx => this.judge(tx),
    }
    this.snapshots = new Snapshots(this.host, () => recomputed(new Database({ mode }), this.definitions.owner))
  }

  /** The LSN of the last transaction; 0 before the first. */
  get lsn(): bigint {
    return this.currentLsn
  }

  get tables(): TableHandle<unknown, unknown>[] {
    return this.entries.flatMap(e => (e.kind === 'table' && !e.isSystem && !isClock(e.definition) ? [e.handle] : []))
  }

  get views(): ViewHandle<unknown>[] {
    return this.entries.flatMap(e => (e.kind === 'view' ? [e.handle] : []))
  }

  private get entries(): Entry[] {
    return this.definitions.registry.all()
  }

  // ---- definitions

  /**
   * Creates a table. Throws UsageError if the name is taken. A durable database gives the table of that name that its
   * directory holds; throws SchemaError, naming the differences, if that one has another definition.
   */
  createTable<R, I, K>(definition: TableDef<R, I, K>): TableHandle<R, I, K> {
    this.mustBeIdle('createTable')
    if (definition?.kind !== 'table') throw new UsageError(`createTable: expected a table, found ${show(definition)}`)
    const { registry } = this.definitions
    if (registry.unclaimedLike(definition) !== undefined) return this.table(definition)
    const entry = this.define(({ created }) => this.definitions.addTable(definition, created))
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
    this.mustBeIdle('createIndex')
    const entry = this.tableEntry(table, 'createIndex')
    const definition = indexDefinition(entry.definition.schema, name, spec as IndexSpec<never>)
    if (entry.definition.stream) throw new UsageError(`createIndex: ${quote(entry.name)} is a stream: it keeps no rows`)
    return this.addIndexTo(entry, definition, options).handle as unknown as IndexHandle<R>
  }

  private addIndexTo(entry: TableEntry, definition: IndexDefinition, options: CreateViewOptions = {}): IndexEntry {
    return this.define(({ created }) => {
      for (const implied of impliedBy(definition)) this.definitions.addConstraint(entry, implied, created)
      const made = this.definitions.addIndex(entry, definition, options.onProgress)
      created.push(made)
      return made
    })
  }

  /** Drops an index, and its rows unless a view or constraint needs them. Throws UsageError if there is none. */
  dropIndex<R, I>(table: TableRef<R, I> | string, name: string): void {
    this.mustBeIdle('dropIndex')
    const entry = this.tableEntry(table, 'dropIndex')
    const handle = entry.handle.index(name)
    this.define(({ removed }) => {
      const index = { kind: 'index', name, table: entry, definition: handle.definition, handle } as const
      removed.push(...this.definitions.unregister(index))
    })
  }

  /**
   * Puts a constraint on a table. Throws ConstraintError, listing the first rows, if rows that are there break it;
   * SchemaError, CompileError or UsageError if it cannot be.
   */
  addConstraint<R, I>(table: TableRef<R, I> | string, name: string, spec: ConstraintSpec<R>): void {
    this.mustBeIdle('addConstraint')
    const entry = this.tableEntry(table, 'addConstraint')
    const constraint = constraintDefinition(entry.definition.schema, name, spec as ConstraintSpec<never>)
    if (entry.definition.stream && constraint.kind !== 'check') {
      throw new UsageError(`addConstraint: ${quote(entry.name)} is a stream: it can only have CHECK constraints`)
    }
    this.define(({ created }) => this.definitions.addConstraint(entry, constraint, created))
  }

  /** Throws UsageError if there is none of this name, or a foreign key needs it. */
  dropConstraint<R, I>(table: TableRef<R, I> | string, name: string): void {
    this.mustBeIdle('dropConstraint')
    const entry = this.tableEntry(table, 'dropConstraint')
    const definition = this.definitions.rules.constraintOf(entry.rules, name)
    this.define(({ removed }) => {
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
    this.mustBeIdle('createView')
    if (definition?.kind !== 'view') throw new UsageError(`createView: expected a view, found ${show(definition)}`)
    const { registry } = this.definitions
    const stored = registry.unclaimedLike(definition)
    if (stored !== undefined && registry.find(definition) === stored) return stored.handle as ViewHandle<RowType<D>>
    const entry = this.define(changes => {
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
    this.mustBeIdle('alterTable')
    const entry = this.tableEntry(table, 'alterTable')
    this.alter(entry, alteredDefinition(entry.definition, change as AlterTable<object, object>))
    return entry.handle as never
  }

  /** Gives a view another name; views that read it go on. Throws UsageError if the name is taken. */
  renameView<R>(view: ViewHandle<R> | ViewDefinition | string, name: string): ViewHandle<R> {
    this.mustBeIdle('renameView')
    const entry = this.definitions.registry.find(view)
    if (entry?.kind !== 'view') throw new UsageError(`renameView: there is no view ${label(view)}`)
    if (typeof name !== 'string' || name === '')
      throw new UsageError(`renameView: expected a name, found ${show(name)}`)
    let failure: GnitzError | null
    this.state = 'building'
    const renaming = (() => {
      try {
        return renameView(this.definitions, entry, name)
      } finally {
        this.state = 'idle'
      }
    })()
    try {
      failure = this.record(renaming.after, renaming.before)
    } catch (error) {
      renaming.undo()
      this.durability?.settle()
      throw error
    } finally {
      this.state = 'idle'
    }
    if (failure !== null) throw failure
    return entry.handle as ViewHandle<R>
  }

  /**
   * Gives an index another name, and the constraint that a unique one implies. Its rows stay. Throws UsageError if there is
   * none, the name is taken, or a foreign key needs the constraint.
   */
  renameIndex<R, I>(table: TableRef<R, I> | string, name: string, to: string): IndexHandle<R> {
    this.mustBeIdle('renameIndex')
    const entry = this.tableEntry(table, 'renameIndex')
    const handle = entry.handle.index(name)
    if (typeof to !== 'string' || to === '') throw new UsageError(`renameIndex: expected a name, found ${show(to)}`)
    const definition = Object.freeze({ ...handle.definition, name: to })
    const made = this.define(({ created, removed }) => {
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
    const open = this.history.pinned(true)
    if (open > 0) {
      throw new UsageError(
        `table ${quote(entry.name)} cannot be altered while ${open} transactions are open; end them first`,
      )
    }
    let failure: GnitzError | null
    this.state = 'building'
    let alteration: Alteration | null = null
    try {
      alteration = Alteration.begin(this.definitions, entry, definition, null)
      failure = this.record(alteration.after, alteration.before)
      alteration.finish()
    } catch (error) {
      alteration?.undo()
      this.durability?.settle()
      throw error
    } finally {
      this.state = 'idle'
    }
    this.named?.altered(entry.handle)
    if (failure !== null) throw failure
  }

  /**
   * Makes the table of the directory what a definition says, if that is safe: columns are added, renamed (where `rename`
   * says so: old names and new ones) and get other defaults; indexes and constraints that it declares are added, or made
   * anew. A table that is not there is created. Throws SchemaError, saying what can be done, if it is not safe;
   * ConstraintError if rows break a constraint. Each step is durable by itself: call it again to go on.
   */
  migrate<R, I, K>(
    definition: TableDef<R, I, K>,
    options: { readonly rename?: Readonly<Record<string, string>> } = {},
  ): TableHandle<R, I, K> {
    this.mustBeIdle('migrate')
    if (definition?.kind !== 'table') throw new UsageError(`migrate: expected a table, found ${show(definition)}`)
    const { registry, rules } = this.definitions
    if (registry.known(definition) !== undefined) return this.table(definition)
    const entry = registry.named(definition.schema.name)
    if (entry === undefined) return this.createTable(definition)
    if (entry.kind !== 'table' || isSystem(entry)) registry.mustBeFree(entry.name)
    const table = entry as TableEntry
    const { migration, obstacles } = differenceOf(definition, table, options.rename)
    if (obstacles.length > 0) mustAgree(definition, table, options.rename)
    const { rename, add, defaults, indexes, constraints } = migration
    if (Object.keys(rename).length + add.length + defaults.length > 0) {
      const { indexes: _indexes, constraints: _constraints, ...rest } = definition as TableDefinition
      this.alter(table, Object.freeze(rest))
    }
    for (const { definition: index, replaces } of indexes) {
      if (replaces) this.dropIndex(table.handle as never, index.name)
      this.addIndexTo(table, index)
    }
    for (const { definition: constraint } of constraints) {
      const there = rules.definitionOf(table.rules, constraint.name)
      if (there !== undefined && describes(there, constraint)) continue
      if (there !== undefined) this.dropConstraint(table.handle as never, constraint.name)
      this.define(({ created }) => this.definitions.addConstraint(table, constraint, created))
    }
    registry.adopt(definition, table)
    return table.handle as never
  }

  /** Runs a change of definitions: all of it or, if it throws, nothing. */
  private define<T>(change: (changes: Changes) => T): T {
    const changes: Changes = { created: [], removed: [] }
    const { created, removed } = changes
    let result: T
    let failure: GnitzError | null
    this.state = 'building'
    try {
      result = change(changes)
      failure = this.record(created, removed)
    } catch (error) {
      this.definitions.restore(removed)
      this.definitions.remove(created.reverse())
      this.durability?.settle()
      throw error
    } finally {
      this.state = 'idle'
    }
    this.definitions.remove(removed)
    if (failure !== null) throw failure
    return result
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
    this.mustBeIdle(call)
    const entry = this.definitions.registry.find(ref)
    if (entry?.kind !== kind || isSystem(entry)) throw new UsageError(`${call}: there is no ${kind} ${label(ref)}`)
    this.definitions.mustBeUnread(entry)
    this.define(({ removed }) => {
      removed.push(...this.definitions.unregister(entry))
    })
  }

  /** Puts a change of definitions into the catalog, durably. Returns what a subscriber of the catalog threw. */
  private record(created: readonly Defined[], removed: readonly Defined[]): GnitzError | null {
    if (this.ledger === null || this.durability === null || this.durability.silent) return null
    try {
      const kept = new Set(created.flatMap(e => ('id' in e ? [e.id] : [])))
      const gone = new Set(removed.flatMap(e => ('id' in e && !kept.has(e.id) ? [e.id] : [])))
      const own = this.named?.forget(gone) ?? []
      this.step(this.offer([...this.ledger.write(created, removed), ...own]))
      this.durability.sync()
      this.named?.settle(true)
    } finally {
      this.ledger.clear()
      this.named?.settle(false)
    }
    return this.notify()
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

  /**
   * The key-value store of a name, or of a definition made with `kv`; makes it if there is none. Throws UsageError if the
   * name is taken by something else, and SchemaError, naming the differences, if it has other types.
   */
  kv<K, V>(store: KvRef<K, V>): Kv<K, V, Commit>
  kv<K extends keyof KvKeys, V extends keyof KvValues>(
    name: string,
    types: KvTypes<K, V>,
  ): Kv<KvKeys[K], KvValues[V], Commit>
  kv(store: KvRef<unknown, unknown> | string, types?: KvTypes): Kv<unknown, unknown, Commit> {
    const definition = typeof store === 'string' ? kv(store, types as KvTypes) : kvOf('kv', store)
    const handle = this.kvTable(definition.table)
    const relation = handle.relation
    const layer = { kernels: relation.shape.kernels, key: relation.key, written: true } as const
    const reader = relation.over({ ...layer, runs: () => [], version: () => relation.version() })
    const open = () => {
      handle.check()
      return { reader, reads: null, exclusive: true }
    }
    return new Kv<unknown, unknown, Commit>(definition, open, this)
  }

  private kvTable(table: KvDef<unknown, unknown>['table']): TableHandle<unknown, unknown> {
    const { registry } = this.definitions
    const found = registry.find(table) ?? registry.named(table.schema.name)
    if (found === undefined) return this.createTable(table) as TableHandle<unknown, unknown>
    if (found.kind !== 'table' || found.isSystem) throw new UsageError(`kv: ${quote(found.name)} is a ${found.kind}`)
    mustAgree(table, found)
    registry.adopt(table, found)
    return found.handle
  }

  // ---- writing

  /**
   * Runs `write` and applies what it wrote as one epoch: all of it or, if `write` or any step throws, nothing.
   * Subscribers are called before it returns; if one throws, the transaction stays committed and the error says so.
   *
   * An async function makes it return a promise. Others may write while such a function waits, so it reads from a
   * snapshot, and is run again if what it has read was changed before it was done: it must have no other effects. After
   * `retries` more runs the promise is rejected with the last ConflictError.
   */
  transact(write: (tx: Transaction) => Promise<unknown>, options?: TransactOptions): Promise<Committed>
  transact(write: (tx: Transaction) => void): Commit
  transact(write: (tx: Transaction) => unknown, options?: TransactOptions): Commit | Promise<Committed> {
    this.mustBeIdle('transact')
    if (typeof write !== 'function') throw new UsageError(`transact: expected a function tx => …, found ${show(write)}`)
    const retries = retriesOf(options)
    this.durability?.mustHaveRoom()
    const tx = new Transaction(this.host)
    let goesOn = false
    this.state = 'transaction'
    try {
      const result = write(tx)
      if (!isPromise(result)) return this.apply(tx)
      tx.detach(this.history.pin(this.currentLsn, true))
      goesOn = true
      return settle({ tx, result }, () => begun(this.begin(), write), this.host.commit, retries)
    } finally {
      if (!goesOn) tx.end()
      this.state = 'idle'
      this.durability?.settle()
    }
  }

  protected override once(write: (tx: Transaction) => void): Commit {
    return this.transact(write)
  }

  /**
   * Begins a transaction that others may come in between: `commit` or `rollback` ends it. It reads from a snapshot plus
   * what it has written, and commits only if what it has read is still so.
   */
  begin(): InteractiveTransaction<Commit> {
    this.mustBeIdle('begin')
    return new InteractiveTransaction(this.host, this.history.pin(this.currentLsn, true))
  }

  private commitOpen(tx: Transaction): Commit {
    this.mustBeIdle('commit')
    this.state = 'transaction'
    try {
      tx.mustBeSound()
      // All that it has read was so at its snapshot.
      if (!tx.hasWritten) return new Commit(tx.snapshotLsn ?? this.currentLsn, null)
      this.durability?.mustHaveRoom()
      for (const { definition, handle, name } of tx.touched) {
        if (this.writable(definition).handle !== handle) {
          throw new UsageError(`commit: table ${quote(name)} was dropped after the transaction had written to it`)
        }
      }
      tx.validate()
      tx.release()
      return this.apply(tx)
    } finally {
      tx.end()
      this.state = 'idle'
      this.durability?.settle()
    }
  }

  /** Applies what a transaction has written, as one epoch. */
  private apply(tx: Transaction): Commit {
    tx.mustBeSound()
    const touched = tx.touched as unknown as readonly TableEntry[]
    const own = this.named === null || touched.length === 0 ? [] : this.named.offer(false)
    if (own.length === 0) return this.epoch(this.offer(touched))
    let committed = false
    try {
      const commit = this.step(this.offer([...touched, ...own]))
      committed = true
      this.named?.settle(true)
      const failure = this.notify()
      if (failure !== null) throw failure
      return commit
    } finally {
      if (!committed) this.named?.settle(false)
    }
  }

  // ---- subscriptions that have a name

  /** All subscriptions that have a name, whether or not somebody is subscribed now. In memory there are none. */
  get subscriptions(): SubscriptionInfo[] {
    return this.named?.list(id => this.entries.find(e => e.id === id)?.name ?? `#${id}`) ?? []
  }

  /** Forgets a subscription and up to where it was told. Throws UsageError if there is none of this name. */
  dropSubscription(name: string): void {
    this.mustBeIdle('dropSubscription')
    if (this.named === null) throw new UsageError(`dropSubscription: there is no subscription ${show(name)}`)
    this.named.drop(name)
  }

  /** Internal: see `subscribe` of tables and views. */
  subscribeAs(
    handle: TableHandle<unknown, unknown> | ViewHandle<unknown>,
    subscriber: (event: NamedChanges<unknown>) => void,
    options: NamedOptions,
  ): () => void {
    this.mustBeIdle('subscribe')
    if (this.named === null) {
      throw new UsageError('subscribe: a subscription with a name needs a database in a directory')
    }
    return this.named.attach(handle, subscriber, options)
  }

  /** Writes what is pending in the table of subscriptions. */
  private writeSubscriptions(entry: TableEntry): void {
    let committed = false
    this.state = 'building'
    try {
      this.step(this.offer([entry]))
      this.durability?.sync()
      committed = true
    } finally {
      this.named?.settle(committed)
      this.state = 'idle'
      this.durability?.settle()
    }
    const failure = this.notify()
    this.state = 'idle'
    if (failure !== null) throw failure
  }

  /** Writes down what subscribers have taken care of. */
  private writeProgress(): void {
    for (const entry of this.named?.offer(true) ?? []) this.writeSubscriptions(entry)
  }

  private writable(table: unknown): PendingTable {
    const found = this.definitions.registry.find(table)
    if (found?.kind === 'table' && !found.isSystem) return found
    const known = this.tables.map(t => quote(t.name)).join(', ') || 'none'
    throw new UsageError(`expected a table of this database, found ${label(table)}; its tables: ${known}`)
  }

  private readable(relation: unknown): Readable {
    const found = this.definitions.registry.find(relation)
    if (found !== undefined) return found.handle
    const known = this.entries.map(e => quote(e.name)).join(', ') || 'none'
    throw new UsageError(`expected a table or view of this database, found ${label(relation)}; it has: ${known}`)
  }

  // ---- the clock

  /** What `now()` says in filters: the time of the last `advance`, in microseconds since 1970; null before the first. */
  get now(): bigint | null {
    return (this.clock?.gate?.waterlines[0].value as bigint | null | undefined) ?? null
  }

  private get clock(): TableEntry | undefined {
    const found = this.definitions.registry.find(CLOCK)
    return found?.kind === 'table' ? found : undefined
  }

  /**
   * Moves the clock on, which lets rows of filters with `now()` come and leave. With `maxRows` it does so in several
   * transactions, each with views as they are at some time in between. Returns the last of them. Throws UsageError if the
   * clock shows a later time already; then nothing has happened.
   */
  advance(to: Date | bigint | number | string, options: AdvanceOptions = {}): Commit {
    this.mustBeIdle('advance')
    const [time, maxRows] = [clockTime(to), maxRowsOf(options)]
    const { now } = this
    if (now !== null && time < now) {
      throw new UsageError(`advance: the clock shows ${show(new Date(Number(now / 1000n)))} already`)
    }
    if (this.clock === undefined) this.createTable(CLOCK)
    for (;;) {
      const from = this.now
      const gates = this.definitions.circuit.scheduler.list().filter(o => o instanceof GateOperator && o.isTimed)
      const stop = from === null ? time : nextStop(gates as GateOperator[], from, time, maxRows)
      const commit = this.insert(CLOCK, { now: stop > time ? time : stop })
      if (stop >= time) return commit
    }
  }

  /** A tick that comes when something else goes on, or before a clock is wanted, is left out. */
  private tick(time: bigint, options: AdvanceOptions): void {
    if (this.state !== 'idle' || this.durability?.silent === true || this.clock === undefined) return
    if (this.now === null || this.now < time) this.advance(time, options)
  }

  // ---- snapshots

  /** A read-only snapshot of the present state; it stays as it is until it is released. */
  snapshot(options: SnapshotOptions = {}): Snapshot {
    this.mustBeReadable()
    return this.snapshots.open(this.currentLsn, options)
  }

  /**
   * A snapshot of the state after an earlier transaction, or as it was at a time. It may be one that an open snapshot
   * shows, by LSN or by the name of the snapshot; in a directory, any that the log still has all changes since (`retain`).
   * Tables are then read as they are, less these changes, and views computed anew when they are read. Throws UsageError,
   * naming what can be reached, if it is neither.
   */
  snapshotAt(at: SnapshotTarget): Snapshot {
    this.mustBeReadable()
    return this.snapshots.at(this.currentLsn, at)
  }

  /** How many snapshots and transactions are open, and what is kept for them. */
  get openSnapshots(): SnapshotStats {
    return this.snapshots.stats()
  }

  // ---- epochs

  /**
   * Hands the rows that a transaction wrote to the circuit, lets constraints judge them, and hands them to the log.
   * Returns how many there are. Throws WeightOverflowError and ConstraintError; then nothing was handed on.
   */
  private offer(entries: readonly TableEntry[]): number {
    const { rules, circuit } = this.definitions
    let rows = 0
    try {
      for (let e = 0; e < entries.length; e++) {
        rows += this.offerRows(entries[e])
      }
      rules.enforce(true)
    } catch (error) {
      circuit.scheduler.abort()
      rules.end(false)
      this.endScreening(null)
      throw error
    }
    if (this.durability !== null) rules.log()
    return rows
  }

  /** Offers what a transaction wrote to a table, without rows that are late; returns how many rows are left. */
  private offerRows(entry: TableEntry): number {
    const { rules } = this.definitions
    const { gate, updates } = entry
    const rows = entry.whole ?? entry.pending
    if (gate === null) {
      rules.offer(entry.rules, rows, updates)
      return rows.length
    }
    const kept = gate.screen(entry, rows, updates)
    if (kept.rows !== rows) this.screened.push(gate)
    rules.offer(entry.rules, kept.rows, kept.updates)
    return kept.rows.length
  }

  /** The running transaction's late rows are published, or forgotten with it. */
  private endScreening(lsn: bigint | null): void {
    for (const gate of this.screened.splice(0)) {
      if (lsn === null) gate.forget()
      else if (gate.publish(lsn)) this.belated.push(gate)
    }
  }

  /** Lets constraints that are not deferred judge a transaction that goes on. */
  private judge(tx: Transaction): void {
    if (this.state !== 'transaction') this.mustBeIdle('check')
    const { rules, circuit } = this.definitions
    try {
      for (const entry of tx.touched as unknown as readonly TableEntry[]) {
        this.offerRows(entry)
      }
      rules.enforce(false)
    } finally {
      this.endScreening(null)
      circuit.scheduler.abort()
      rules.end(false)
    }
  }

  private epoch(rows: number): Commit {
    const commit = this.step(rows)
    if (this.definitions.circuit.isDue) this.cutOff()
    const failure = this.notify()
    if (failure !== null) throw failure
    return commit
  }

  /**
   * Internal: lets go of state behind waterlines, of all of it or as far as it is due. What the log may still refuse is
   * made durable first: taking it back needs the state.
   */
  cutOff(all = false): void {
    const { durability } = this
    if (durability !== null && !durability.silent && !durability.isCertain()) return
    this.definitions.circuit.cut(all)
  }

  /** One epoch of the rows that were offered. Throws what a step or the log throws; then it has not happened. */
  private step(rows: number, lsn = this.nextLsn()): Commit {
    this.state = 'epoch'
    this.captured = false
    const { durability } = this
    let durable: Promise<void> | null = null
    try {
      this.definitions.circuit.scheduler.run(rows, () => {
        this.capture(lsn)
        if (durability !== null && !durability.silent) durable = durability.log(lsn)
      })
      this.currentLsn = lsn
      this.definitions.rules.end(true)
      if (this.screened.length > 0) this.endScreening(lsn)
    } catch (error) {
      this.definitions.rules.end(false)
      this.endScreening(null)
      this.captured = false
      this.history.discard()
      for (const follower of this.definitions.followers) follower.discard()
      throw error
    } finally {
      durability?.afterEpoch(rows)
    }
    if (this.history.isOpen) this.history.confirm()
    this.durable = durable
    return new Commit(lsn, durable)
  }

  /** A transaction that the log refused has used up its number. */
  private nextLsn(): bigint {
    return (this.durability?.lsn ?? this.currentLsn) + 1n
  }

  private capture(lsn: bigint): void {
    const { followers } = this.definitions
    for (let f = 0; f < followers.length; f++) if (followers[f].capture(lsn)) this.captured = true
    if (this.history.isOpen) this.history.stage(lsn, followers, this.definitions.circuit.scheduler.list())
  }

  /** Calls the subscribers of what the last epoch changed. Returns the error to throw if one of them throws. */
  private notify(): GnitzError | null {
    if (!this.captured && this.belated.length === 0) return null
    this.captured = false
    this.state = 'notifying'
    const failures: unknown[] = []
    for (const follower of this.definitions.followers) follower.deliver(failures)
    for (const gate of this.belated.splice(0)) gate.late.deliver(failures)
    if (failures.length === 0) return null
    const [cause] = failures
    const text = cause instanceof Error ? cause.message : show(cause)
    const message = `a subscriber threw after transaction ${this.currentLsn} was committed: ${text}`
    return new GnitzError('USAGE', message, { cause })
  }

  private mustBeIdle(call: string): void {
    if (this.state !== 'idle') throw new UsageError(`${call}: ${BUSY[this.state]}`)
  }

  /** Internal: throws while a step runs, when rows are half way in: only a user's function in a lambda can see that. */
  mustBeReadable(): void {
    if (this.state === 'epoch') throw new UsageError(`${BUSY.epoch}: nothing can be read now`)
  }

  /** Writes plans, generated source and statistics of every view into folders under `dir`. Returns the paths. */
  dump(dir: string): string[] {
    return dumpViews(dir, this.views as readonly DumpView[])
  }

  /**
   * Calls `listener` with what constraints and indexes do: keys that are reserved, kept or released, and readings of
   * indexes. It must not call the database. Returns what ends it.
   */
  trace(what: { readonly constraints: boolean }, listener: (event: TraceEvent) => void): () => void {
    if (what?.constraints !== true || typeof listener !== 'function') {
      throw new UsageError('trace: expected { constraints: true } and a function to call with events')
    }
    const own = (event: TraceEvent) => listener(event)
    this.tracers.add(own)
    const emit = (event: TraceEvent) => {
      for (const tracer of this.tracers) tracer(event)
    }
    const set = () => {
      this.tracer = this.tracers.size === 0 ? null : emit
      this.definitions.rules.listener = this.tracer
    }
    set()
    return () => {
      this.tracers.delete(own)
      set()
    }
  }

  /** Figures of tables, views and the directory, as Prometheus text. */
  metrics(): string {
    return metricsOf(this)
  }

  // ---- durability

  /**
   * Makes a checkpoint: what is in memory moves to the directory, and the next open replays only what comes after.
   * Throws IoError; then nothing is lost. In memory it does nothing.
   */
  checkpoint(): void {
    this.mustBeIdle('checkpoint')
    this.writeProgress()
    this.durability?.checkpoint()
  }

  /** Ends the database. A durable one makes a checkpoint; others can still be read afterwards. Throws IoError. */
  close(): Promise<void> {
    if (this.state === 'closed') return this.closing
    this.mustBeIdle('close')
    if (this.durability?.storage.failure === null) this.writeProgress()
    this.state = 'closed'
    this.ticker?.stop()
    if (this.durability !== null) this.closing = this.durability.close()
    return this.closing
  }

  /** Internal: what `open` connects. */
  connect(ledger: Ledger): Connection {
    this.ledger = ledger
    const isIdle = () => this.state === 'idle'
    return {
      get isIdle() {
        return isIdle()
      },
      takeBack: changes => this.takeBack(changes),
      replay: (lsn, parts) => this.replay(lsn, parts),
      setLsn: lsn => {
        this.currentLsn = lsn
        this.openSubscriptions()
      },
    }
  }

  private openSubscriptions(): void {
    const { registry } = this.definitions
    const table = registry.find(CATALOG.subscriptions) as TableEntry
    const lsn = () => this.currentLsn
    const durable = () => this.durable
    const logBytes = () => this.durability?.storage.walBytes ?? 0
    this.named = new Subscriptions(
      {
        get lsn() {
          return lsn()
        },
        get durable() {
          return durable()
        },
        get logBytes() {
          return logBytes()
        },
        snapshotAt: at => this.snapshotAt(at),
        entryOf: handle => registry.find(handle) as Entry,
        sync: () => {
          this.durability?.sync()
          this.durability?.settle()
        },
        write: () => this.writeSubscriptions(table),
        hold: at => this.durability?.storage.holdLog(at) ?? (() => {}),
      },
      table,
    )
  }

  /** An epoch of rows that are in the log already. */
  private replay(lsn: bigint, parts: readonly (readonly [TableEntry, Batch])[]): void {
    let rows = 0
    for (const [entry, batch] of parts) {
      entry.handle.operator.offer(batch)
      rows += batch.length
    }
    try {
      this.step(rows, lsn)
      if (this.definitions.circuit.isDue) this.cutOff()
    } finally {
      this.state = 'idle'
    }
  }

  /** An epoch that undoes transactions which the log has refused after all. */
  private takeBack(changes: readonly Change[]): void {
    const { ledger, state } = this
    if (ledger === null) return
    try {
      let rows = 0
      for (const [entry, batch] of ledger.negated(changes)) {
        entry.handle.operator.offer(batch)
        rows += batch.length
      }
      this.step(rows)
      ledger.followChanges(changes)
      // Nobody is there who could be told of an error.
      this.notify()
    } finally {
      this.state = state
    }
  }
}

/** What a durable database lets its directory do with it. */
export interface Connection extends Owner {
  replay(lsn: bigint, parts: readonly (readonly [TableEntry, Batch])[]): void
  setLsn(lsn: bigint): void
}

const isSystem = (entry: Entry): boolean => entry.kind === 'table' && entry.isSystem

function isPromise(result: unknown): result is PromiseLike<unknown> {
  // A commit, of another database, can be waited for as well.
  if (typeof result !== 'object' || result === null || result instanceof Commit) return false
  return typeof (result as { then?: unknown }).then === 'function'
}

/** A database of the past: made empty, for definitions that may have been made of handles of `owner`. */
function recomputed(scratch: Database, owner: object): Recomputed {
  scratch.definitions.rowsOnly = true
  scratch.definitions.owner = owner
  return {
    load: (table, entries) => {
      const target = scratch.createTable(table as TableDef<unknown>)
      scratch.transact(tx => {
        for (const { row, weight } of entries) tx.add(target, row, weight)
      })
    },
    view: definition => {
      const known = scratch.definitions.registry.find(definition)
      const handle = known === undefined ? scratch.createView(definition) : known.handle
      handle.check()
      return handle.relation as RelationReader<unknown>
    },
  }
}
