/**
 * The database: tables, views over them, and transactions that move both. In memory.
 *
 * Every transaction is one epoch with its own LSN. Views of one LSN become visible together: readers run between
 * epochs, never during one.
 */
import { rowEncoder } from '../../codegen/encode.js'
import { GnitzError, quote, show, UsageError } from '../base/errors.js'
import { type IndexSpec, indexDefinition } from '../circuit/builder/rules.js'
import { sourceOwners } from '../circuit/builder/sources.js'
import type { RowType, ViewDef } from '../circuit/builder/types.js'
import type { TableDef } from '../circuit/columns.js'
import { nodesOf } from '../circuit/nodes.js'
import type { IndexDefinition, Rel, Relation, TableDefinition, ViewDefinition } from '../circuit/rel.js'
import type { RowSchema } from '../schema/schema.js'
import { Batch } from '../zset/batch.js'
import type { Progress } from './backfill.js'
import { Circuit } from './circuit.js'
import { TableHandle, ViewHandle } from './handles.js'
import { buildIndex } from './indexes/build.js'
import type { IndexHandle } from './indexes/handle.js'
import type { ColumnsInput } from './ingest.js'
import { type DumpView, dumpViews } from './inspect.js'
import type { Producer } from './operators/operator.js'
import { RelationReader } from './relation.js'
import { type PendingTable, type TableRef, Transaction } from './transaction.js'

export interface OpenOptions {
  /** Run the templates as they stand instead of compiled code: slow, for comparing. */
  readonly mode?: 'compiled' | 'generic'
}

export interface CreateViewOptions {
  /** Called while the view catches up with rows that are there already. It must not write to the database. */
  readonly onProgress?: Progress
}

/** What a transaction gives back. */
export interface Commit {
  readonly lsn: bigint
}

interface TableState extends PendingTable {
  readonly handle: TableHandle<unknown, unknown>
}

/** How the subscribers of a relation are served. */
interface Follower {
  readonly definition: Relation
  capture(): boolean
  deliver(failures: unknown[]): void
}

type Entry = TableState | ViewHandle<unknown>

type State = 'idle' | 'transaction' | 'epoch' | 'notifying' | 'building' | 'closed'

const BUSY: Readonly<Record<Exclude<State, 'idle'>, string>> = {
  transaction: 'a transaction is running; use its tx object',
  epoch: 'the database is in the middle of a step',
  notifying: 'a subscriber is being called; it must not write: collect what to write and do it afterwards',
  building: 'a view is being created',
  closed: 'the database is closed',
}

/** Opens an empty database in memory. */
export function open(options: OpenOptions = {}): Database {
  return new Database(options)
}

export class Database {
  private readonly byDefinition = new Map<Relation, Entry>()
  private readonly byName = new Map<string, Entry>()
  private readonly circuit: Circuit
  private readonly mode: 'compiled' | 'generic'
  private state: State = 'idle'
  private currentLsn = 0n
  private followed: Follower[] = []
  /** Some subscriber is to be called after the running epoch. */
  private captured = false

  /** Use `open`. */
  constructor(options: OpenOptions) {
    this.mode = options.mode ?? 'compiled'
    this.circuit = new Circuit(this.mode, relation => this.producerOf(relation))
  }

  /** The LSN of the last transaction; 0 before the first. */
  get lsn(): bigint {
    return this.currentLsn
  }

  get tables(): TableHandle<unknown, unknown>[] {
    return [...this.byName.values()].filter((r): r is TableState => !(r instanceof ViewHandle)).map(t => t.handle)
  }

  get views(): ViewHandle<unknown>[] {
    return [...this.byName.values()].filter((r): r is ViewHandle<unknown> => r instanceof ViewHandle)
  }

  // ---- definitions

  /** Creates a table. Throws UsageError if the name is taken. */
  createTable<R, I>(definition: TableDef<R, I>): TableHandle<R, I> {
    this.mustBeIdle('createTable')
    if (definition?.kind !== 'table') throw new UsageError(`createTable: expected a table, found ${show(definition)}`)
    return this.addTable(definition)
  }

  private addTable<R, I>(definition: TableDef<R, I>): TableHandle<R, I> {
    const { schema } = definition
    this.mustBeFree(schema.name)
    const [constraint] = definition.constraints ?? []
    if (constraint !== undefined) throw new UsageError(`table ${quote(schema.name)}: constraints cannot be kept yet`)
    const key = keyOrAll(schema, schema.primaryKey)
    const { operator, reader } = this.circuit.addTable(definition, key)
    const context = this.circuit.contextOf(definition)
    const relation = new RelationReader<R>(definition, key, context, reader, () => operator.version)
    const handle = new TableHandle<R, I>(this, definition, operator, relation)
    const entry: TableState = {
      name: schema.name,
      handle: handle as TableHandle<unknown, unknown>,
      pending: new Batch(operator.layout),
      whole: null,
      single: [null],
      // Compiled with the first row.
      encode: (rows, batch, weight) => {
        entry.encode = rowEncoder(schema, this.mode).fn
        return entry.encode(rows, batch, weight)
      },
    }
    this.register(definition, entry)
    this.follow(definition, operator, relation)
    try {
      for (const index of definition.indexes ?? []) this.addIndex(handle, index)
    } catch (error) {
      this.remove(definition)
      throw error
    }
    return handle
  }

  // ---- indexes

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
    const handle = this.handleOf(table, 'createIndex')
    const definition = indexDefinition(handle.definition.schema, name, spec as IndexSpec<never>)
    if (handle.definition.stream)
      throw new UsageError(`createIndex: ${quote(handle.name)} is a stream: it keeps no rows`)
    this.state = 'building'
    try {
      return this.addIndex(handle, definition, options.onProgress)
    } finally {
      this.state = 'idle'
    }
  }

  private addIndex<R, I>(handle: TableHandle<R, I>, definition: IndexDefinition, progress?: Progress): IndexHandle<R> {
    const { name } = definition
    if (handle.indexMap.has(name)) {
      throw new UsageError(`table ${quote(handle.name)} has an index ${quote(name)} already`)
    }
    const version = () => handle.operator.version
    const index = buildIndex<R>(this.circuit, handle.definition, handle, definition, version, progress)
    handle.indexMap.set(name, index)
    return index
  }

  /** Drops an index, and its rows unless a view or constraint needs them. Throws UsageError if there is none. */
  dropIndex<R, I>(table: TableRef<R, I> | string, name: string): void {
    this.mustBeIdle('dropIndex')
    const handle = this.handleOf(table, 'dropIndex')
    handle.index(name).dropped = true
    handle.indexMap.delete(name)
    this.collect()
  }

  private handleOf<R, I>(table: TableRef<R, I> | string, call: string): TableHandle<R, I> {
    const found = this.find(table)
    if (found !== undefined && !(found instanceof ViewHandle)) return found.handle as unknown as TableHandle<R, I>
    throw new UsageError(`${call}: there is no table ${label(table)}`)
  }

  /** Forgets operators that nothing needs any more. */
  private collect(): void {
    const indexes = this.tables.flatMap(t => t.indexes.map(i => i.operator))
    this.circuit.collect([...[...this.byName.values()].map(producerOf), ...indexes])
  }

  // ---- views

  /**
   * Compiles a view and brings it up to date. Tables and views it reads are created if they are not there yet.
   * Throws CompileError or UsageError, and changes nothing then.
   */
  createView<D extends ViewDefinition>(definition: D, options: CreateViewOptions = {}): ViewHandle<RowType<D>> {
    this.mustBeIdle('createView')
    if (definition?.kind !== 'view') throw new UsageError(`createView: expected a view, found ${show(definition)}`)
    const created: Relation[] = []
    this.state = 'building'
    try {
      return this.addView<RowType<D>>(definition as D & ViewDef<RowType<D>>, options.onProgress, created)
    } catch (error) {
      for (const relation of created.reverse()) this.remove(relation)
      throw error
    } finally {
      this.state = 'idle'
    }
  }

  /** `created` lists what came along, sources first. */
  private addView<R>(definition: ViewDef<R>, progress: Progress | undefined, created: Relation[]): ViewHandle<R> {
    const { schema, key, rel } = definition
    this.mustBeFree(schema.name)
    this.mustBeOwn(rel, schema.name)
    this.addSources(rel, schema.name, created)
    const { root, reader, milliseconds } = this.circuit.addView(definition, progress)
    const context = this.circuit.contextOf(definition)
    const relation = new RelationReader<R>(definition, key, context, reader, () => root.version)
    const handle = new ViewHandle<R>(this, definition, root, relation, milliseconds)
    this.register(definition, handle as ViewHandle<unknown>)
    this.follow(definition, root, relation)
    created.push(definition)
    return handle
  }

  private addSources(rel: Rel, view: string, created: Relation[]): void {
    for (const node of nodesOf(rel)) {
      if (node.kind !== 'source' || this.byDefinition.has(node.relation)) continue
      const { relation } = node
      if (relation.schema.name === view)
        throw new UsageError(`view ${quote(view)} and something it reads have one name`)
      if (relation.kind === 'view') this.addView(relation as ViewDef<unknown>, undefined, created)
      else {
        this.addTable(relation as TableDef<unknown, unknown>)
        created.push(relation)
      }
    }
  }

  private producerOf(relation: Relation): Producer {
    const found = this.byDefinition.get(relation)
    if (found === undefined) throw new GnitzError('INTERNAL', `relation ${quote(relation.schema.name)} is not there`)
    return producerOf(found)
  }

  private mustBeOwn(rel: Rel, view: string): void {
    for (const node of nodesOf(rel)) {
      const owner = node.kind === 'source' ? sourceOwners.get(node) : undefined
      if (owner !== undefined && owner !== this) {
        throw new UsageError(
          `view ${quote(view)} reads ${quote(node.schema.name)}, which is a handle of another database`,
        )
      }
    }
  }

  private register(definition: Relation, entry: Entry): void {
    this.byDefinition.set(definition, entry)
    this.byName.set(definition.schema.name, entry)
  }

  private mustBeFree(name: string): void {
    const taken = this.byName.get(name)
    if (taken !== undefined) {
      throw new UsageError(`the name ${quote(name)} is taken by a ${taken instanceof ViewHandle ? 'view' : 'table'}`)
    }
  }

  /** Drops a view and every operator that only it used. Throws UsageError if another view reads it. */
  dropView<R>(view: ViewHandle<R> | ViewDefinition | string): void {
    this.mustBeIdle('dropView')
    const handle = this.find(view)
    if (!(handle instanceof ViewHandle)) throw new UsageError(`dropView: there is no view ${label(view)}`)
    this.mustBeUnread(handle.definition, 'view')
    this.remove(handle.definition)
  }

  /** Drops a table. Throws UsageError if a view reads it. */
  dropTable<R, I>(table: TableHandle<R, I> | TableDefinition | string): void {
    this.mustBeIdle('dropTable')
    const found = this.find(table)
    if (found === undefined || found instanceof ViewHandle)
      throw new UsageError(`dropTable: there is no table ${label(table)}`)
    this.mustBeUnread(found.handle.definition, 'table')
    this.remove(found.handle.definition)
  }

  private mustBeUnread(relation: Relation, kind: string): void {
    for (const view of this.views) {
      if (nodesOf(view.definition.rel).some(n => n.kind === 'source' && n.relation === relation)) {
        throw new UsageError(
          `${kind} ${quote(relation.schema.name)} is read by view ${quote(view.name)}; drop that first`,
        )
      }
    }
  }

  /** Forgets a relation that nothing reads, and operators that nothing needs any more. */
  private remove(relation: Relation): void {
    const entry = this.byDefinition.get(relation)
    if (entry === undefined) return
    const handle = entry instanceof ViewHandle ? entry : entry.handle
    handle.dropped = true
    this.byDefinition.delete(relation)
    this.byName.delete(relation.schema.name)
    this.followed = this.followed.filter(f => f.definition !== relation)
    this.collect()
  }

  /** A table of this database by definition or name. Throws UsageError if there is none. */
  table<R, I>(table: TableDef<R, I> | string): TableHandle<R, I> {
    const found = this.find(table)
    if (found === undefined || found instanceof ViewHandle) throw new UsageError(`there is no table ${label(table)}`)
    return found.handle as unknown as TableHandle<R, I>
  }

  /** A view of this database by definition or name. Throws UsageError if there is none. */
  view<R>(view: ViewDef<R> | string): ViewHandle<R> {
    const found = this.find(view)
    if (!(found instanceof ViewHandle)) throw new UsageError(`there is no view ${label(view)}`)
    return found as ViewHandle<R>
  }

  private find(ref: unknown): Entry | undefined {
    if (typeof ref === 'string') return this.byName.get(ref)
    if (ref instanceof ViewHandle || ref instanceof TableHandle) {
      return ref.database === this && !ref.dropped ? this.byDefinition.get(ref.definition) : undefined
    }
    return this.byDefinition.get(ref as Relation)
  }

  // ---- writing

  /**
   * Runs `write` and applies what it wrote as one epoch: all of it or, if `write` or any step throws, nothing.
   * Subscribers are called before it returns; if one throws, the transaction stays committed and the error says so.
   */
  transact(write: (tx: Transaction) => void): Commit {
    this.mustBeIdle('transact')
    if (typeof write !== 'function') throw new UsageError(`transact: expected a function tx => …, found ${show(write)}`)
    const tx = new Transaction(this.resolve)
    this.state = 'transaction'
    try {
      refuseAsync(write(tx))
      if (tx.failure !== null) throw tx.failure
      let rows = 0
      for (let t = 0; t < tx.touched.length; t++) {
        const target = tx.touched[t]
        const batch = target.whole ?? target.pending
        ;(target as TableState).handle.operator.offer(batch)
        rows += batch.length
      }
      return this.epoch(rows)
    } finally {
      tx.end()
      this.state = 'idle'
    }
  }

  /** One transaction that inserts rows. */
  insert<R, I>(table: TableRef<R, I>, rows: I | readonly I[]): Commit {
    return this.transact(tx => tx.insert(table, rows))
  }

  /** One transaction that retracts rows. */
  delete<R, I>(table: TableRef<R, I>, rows: I | readonly I[]): Commit {
    return this.transact(tx => tx.delete(table, rows))
  }

  /**
   * One transaction of many rows, as objects or as columns. Typed arrays of a column's own class are not copied on
   * the way in; they belong to the caller again when this returns.
   */
  ingest<R, I>(table: TableRef<R, I>, input: readonly I[] | ColumnsInput<keyof R & string>): Commit {
    return this.transact(tx => tx.ingest(table, input))
  }

  private readonly resolve = (table: unknown): PendingTable => {
    const found = this.find(table)
    if (found === undefined || found instanceof ViewHandle) {
      const known = this.tables.map(t => quote(t.name)).join(', ') || 'none'
      throw new UsageError(`expected a table of this database, found ${label(table)}; its tables: ${known}`)
    }
    return found
  }

  private epoch(rows: number): Commit {
    this.state = 'epoch'
    const lsn = this.currentLsn + 1n
    this.captured = false
    this.circuit.scheduler.run(rows, this.capture)
    this.currentLsn = lsn
    if (this.captured) this.notify(lsn)
    return { lsn }
  }

  private readonly capture = (): void => {
    const { followed } = this
    for (let f = 0; f < followed.length; f++) if (followed[f].capture()) this.captured = true
  }

  private notify(lsn: bigint): void {
    this.state = 'notifying'
    const failures: unknown[] = []
    for (const relation of this.followed) relation.deliver(failures)
    if (failures.length === 0) return
    const [cause] = failures
    const text = cause instanceof Error ? cause.message : show(cause)
    throw new GnitzError('USAGE', `a subscriber threw after transaction ${lsn} was committed: ${text}`, { cause })
  }

  private follow<R>(definition: Relation, producer: Producer, relation: RelationReader<R>): void {
    this.followed.push({
      definition,
      capture: () => relation.isFollowed && relation.capture(producer.delta(), this.currentLsn + 1n),
      deliver: failures => relation.deliver(failures),
    })
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

  /** Ends the database; its handles can still be read. */
  close(): void {
    if (this.state !== 'closed') this.mustBeIdle('close')
    this.state = 'closed'
  }
}

const producerOf = (entry: Entry): Producer => (entry instanceof ViewHandle ? entry.root : entry.handle.operator)

function keyOrAll(schema: RowSchema, key: readonly number[]): readonly number[] {
  return key.length > 0 ? key : schema.columns.map(c => c.index)
}

function label(ref: unknown): string {
  if (typeof ref === 'string') return quote(ref)
  if (typeof ref === 'object' && ref !== null) {
    const { name, schema } = ref as { name?: unknown; schema?: { name?: unknown } }
    const found = typeof name === 'string' ? name : schema?.name
    if (typeof found === 'string') return quote(found)
  }
  return show(ref)
}

/** An async function would go on after the transaction has ended; what it throws then is reported here already. */
function refuseAsync(result: unknown): void {
  if (typeof result !== 'object' || result === null || typeof (result as { then?: unknown }).then !== 'function') return
  Promise.resolve(result).catch(() => undefined)
  throw new UsageError('transact: expected a function that is done when it returns, found an async one')
}
