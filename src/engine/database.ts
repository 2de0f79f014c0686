/**
 * The database: tables, views over them, and transactions that move both. In memory.
 *
 * Every transaction is one epoch with its own LSN. Views of one LSN become visible together: readers run between
 * epochs, never during one.
 */
import { type EncodeRows, rowEncoder } from '../../codegen/encode.js'
import { kernelsOf } from '../../codegen/kernels.js'
import { type CodeContext, storeCode } from '../../codegen/steps.js'
import { GnitzError, UsageError, quote, show } from '../base/errors.js'
import type { TableDef } from '../circuit/columns.js'
import { sourceOwners } from '../circuit/builder/sources.js'
import type { ViewDef } from '../circuit/builder/types.js'
import { lower } from '../circuit/lower.js'
import { nodesOf } from '../circuit/nodes.js'
import { optimise } from '../circuit/optimise.js'
import type { Rel, Relation, TableDefinition, ViewDefinition } from '../circuit/rel.js'
import { allColumns } from '../circuit/substitute.js'
import { type Layout, type RowSchema, flatLayout } from '../schema/schema.js'
import { Batch } from '../zset/batch.js'
import { Store } from '../zset/store.js'
import { type Progress, backfill } from './backfill.js'
import { Scheduler } from './epoch.js'
import { SILENT } from './errors.js'
import { TableHandle, ViewHandle, upstream } from './handles.js'
import { type ColumnsInput, columnsBatch } from './ingest.js'
import { type DumpView, dumpViews } from './inspect.js'
import type { ArrangeOperator } from './operators/arrange.js'
import type { ScanStore } from './operators/feed.js'
import type { Operator, Producer } from './operators/operator.js'
import { ReduceOperator } from './operators/reduce.js'
import { SinkOperator } from './operators/sink.js'
import { SourceOperator } from './operators/source.js'
import { type Catalog, Planner } from './planner.js'
import { type Reader, batchReader, storeLayout, storeReader } from './read.js'
import { RelationReader } from './relation.js'
import { type PendingTable, type TableRef, Transaction } from './transaction.js'

export interface OpenOptions {
  /** Run the templates as they stand instead of compiled code: slow, for comparing. */
  readonly mode?: 'compiled' | 'generic'
}

export interface CreateViewOptions {
  /** Called while the view catches up with rows that are there already. */
  readonly onProgress?: Progress
}

/** What a transaction gives back. */
export interface Commit {
  readonly lsn: bigint
}

interface TableState extends PendingTable {
  readonly handle: TableHandle<unknown, unknown>
  readonly flat: Layout
}

type State = 'idle' | 'transaction' | 'epoch' | 'notifying' | 'closed'

const BUSY: Readonly<Record<Exclude<State, 'idle'>, string>> = {
  transaction: 'a transaction is running; use its tx object',
  epoch: 'the database is in the middle of a step',
  notifying: 'a subscriber is being called; it must not write: collect what to write and do it afterwards',
  closed: 'the database is closed',
}

/** Opens an empty database in memory. */
export function open(options: OpenOptions = {}): Database {
  return new Database(options)
}

export class Database {
  private readonly byDefinition = new Map<Relation, TableState | ViewHandle<unknown>>()
  private readonly byName = new Map<string, TableState | ViewHandle<unknown>>()
  private readonly arrangements = new Map<string, ArrangeOperator>()
  private readonly numbers = new WeakMap<Relation, number>()
  private readonly scheduler = new Scheduler()
  private readonly mode: 'compiled' | 'generic'
  private state: State = 'idle'
  private currentLsn = 0n
  private relationCount = 0
  private readonly followed: { capture(): boolean; deliver(failures: unknown[]): void }[] = []

  /** Use `open`. */
  constructor(options: OpenOptions) {
    this.mode = options.mode ?? 'compiled'
  }

  /** The LSN of the last transaction; 0 before the first. */
  get lsn(): bigint {
    return this.currentLsn
  }

  get tables(): TableHandle<unknown, unknown>[] {
    return [...this.byName.values()].filter((r): r is TableState => !(r instanceof ViewHandle)).map((t) => t.handle)
  }

  get views(): ViewHandle<unknown>[] {
    return [...this.byName.values()].filter((r): r is ViewHandle<unknown> => r instanceof ViewHandle)
  }

  // ---- definitions

  /** Creates a table. Throws UsageError if the name is taken. */
  createTable<R, I>(definition: TableDef<R, I>): TableHandle<R, I> {
    this.mustBeIdle('createTable')
    if (definition?.kind !== 'table') throw new UsageError(`createTable: expected a table, found ${show(definition)}`)
    this.mustBeFree(definition.schema.name)
    const { schema } = definition
    const context = this.contextOf(schema.name, `table ${schema.name}`)
    const store = definition.stream ? null : this.storeOf(schema, keyOrAll(schema, schema.primaryKey), context)
    const operator = new SourceOperator(schema.name, store)
    const reader: Reader = store === null ? NOTHING : this.readerOf(store, operator, keyOrAll(schema, schema.primaryKey))
    const flat = flatLayout(schema)
    const relation = new RelationReader<R>(`table ${quote(schema.name)}`, schema, keyOrAll(schema, schema.primaryKey), context, reader, flat)
    const handle = new TableHandle<R, I>(this, definition, operator, relation)
    const encode: { fn: EncodeRows | null } = { fn: null }
    const table: TableState = {
      name: schema.name,
      handle: handle as TableHandle<unknown, unknown>,
      flat,
      pending: new Batch(flat),
      single: [null],
      encode: (rows, batch, weight) => {
        encode.fn ??= rowEncoder(schema, this.mode).fn
        encode.fn(rows, batch, weight)
      },
    }
    this.scheduler.add([operator])
    this.register(definition, table)
    this.follow(operator, relation)
    return handle
  }

  /**
   * Compiles a view and brings it up to date. Tables and views it reads are created if they are not there yet.
   * Throws CompileError or UsageError, and changes nothing then.
   */
  createView<R>(definition: ViewDef<R>, options: CreateViewOptions = {}): ViewHandle<R> {
    this.mustBeIdle('createView')
    if (definition?.kind !== 'view') throw new UsageError(`createView: expected a view, found ${show(definition)}`)
    this.mustBeFree(definition.schema.name)
    this.mustBeOwn(definition.rel, definition.schema.name)
    this.createSources(definition.rel, definition.schema.name)
    const started = performance.now()
    const rel = optimise(lower(definition.rel))
    const context = this.contextOf(definition.schema.name, `view ${definition.schema.name}`)
    const added: string[] = []
    const planner = new Planner(this.catalog(added), context, rel)
    const root = this.rootOf(planner, rel, definition, context)
    const compileMilliseconds = performance.now() - started
    try {
      backfill(this.scheduler, planner.operators, options.onProgress)
    } catch (error) {
      this.discard(new Set(planner.operators), added)
      throw error
    }
    this.scheduler.add(planner.operators)
    const relation = this.viewReader<R>(definition, root, context)
    const handle = new ViewHandle<R>(this, definition, root, relation, compileMilliseconds)
    this.register(definition, handle as ViewHandle<unknown>)
    this.follow(root, relation)
    return handle
  }

  private rootOf(planner: Planner, rel: Rel, definition: ViewDefinition, context: CodeContext): SinkOperator | ReduceOperator {
    if (rel.kind === 'aggregate') {
      const producer = planner.producerOf(rel)
      if (producer instanceof ReduceOperator) return producer
    }
    const feeds = planner.feedsOf(rel)
    const sink = new SinkOperator(this.storeOf(definition.schema, definition.key, context), definition.schema.name)
    const { tail } = sink.store
    planner.attachBatch(sink, feeds, definition.schema, tail.layout, tail, sink.errors, sink.feeds)
    planner.finish(sink)
    return sink
  }

  private viewReader<R>(definition: ViewDefinition, root: SinkOperator | ReduceOperator, context: CodeContext): RelationReader<R> {
    const { schema, key } = definition
    const reader =
      root instanceof SinkOperator
        ? this.readerOf(root.store, root, key)
        : batchReader(root.table.rows, key, () => root.version)
    return new RelationReader<R>(`view ${quote(schema.name)}`, schema, key, context, reader, flatLayout(schema))
  }

  private readerOf(store: Store, operator: SinkOperator | SourceOperator, key: readonly number[]): Reader {
    return storeReader(store, kernelsOf(store.layout, this.mode), key, () => operator.version, () => operator.flushed())
  }

  private storeOf(schema: RowSchema, key: readonly number[], context: CodeContext): Store {
    const layout = storeLayout(schema, key)
    let arrange: ScanStore | null = null
    return new Store(
      kernelsOf(layout, this.mode),
      (flat, from, to, raw) => {
        const pipeline = { filter: null, exprs: allColumns(schema), schema, negate: false }
        arrange ??= storeCode(context, pipeline, layout, []).scan<ScanStore>(flat.layout)
        arrange(flat, from, to, raw, SILENT)
      },
      `${context.provenance[0]}`,
    )
  }

  private contextOf(unit: string, what: string): CodeContext {
    return { mode: this.mode, unit, provenance: [what] }
  }

  private catalog(added: string[]): Catalog {
    return {
      producerOf: (relation) => this.producerOf(relation),
      numberOf: (relation) => this.numberOf(relation),
      findArrangement: (key) => this.arrangements.get(key),
      addArrangement: (key, operator) => {
        this.arrangements.set(key, operator)
        added.push(key)
      },
    }
  }

  private producerOf(relation: Relation): Producer {
    const found = this.byDefinition.get(relation)
    if (found === undefined) throw new GnitzError('INTERNAL', `relation ${quote(relation.schema.name)} is not there`)
    return found instanceof ViewHandle ? found.root : found.handle.operator
  }

  private numberOf(relation: Relation): number {
    let number = this.numbers.get(relation)
    if (number === undefined) {
      number = ++this.relationCount
      this.numbers.set(relation, number)
    }
    return number
  }

  private createSources(rel: Rel, view: string): void {
    for (const node of nodesOf(rel)) {
      if (node.kind !== 'source' || this.byDefinition.has(node.relation)) continue
      const { relation } = node
      if (relation.schema.name === view) throw new UsageError(`view ${quote(view)} and something it reads have one name`)
      if (relation.kind === 'table') this.createTable(relation as TableDef<unknown, unknown>)
      else this.createView(relation as ViewDef<unknown>)
    }
  }

  private mustBeOwn(rel: Rel, view: string): void {
    for (const node of nodesOf(rel)) {
      const owner = node.kind === 'source' ? sourceOwners.get(node) : undefined
      if (owner !== undefined && owner !== this) {
        throw new UsageError(`view ${quote(view)} reads ${quote(node.schema.name)}, which is a handle of another database`)
      }
    }
  }

  private register(definition: Relation, entry: TableState | ViewHandle<unknown>): void {
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
  dropView(view: ViewHandle<never> | ViewDefinition | string): void {
    this.mustBeIdle('dropView')
    const handle = this.find(view)
    if (!(handle instanceof ViewHandle)) throw new UsageError(`dropView: there is no view ${label(view)}`)
    this.mustBeUnread(handle.definition, 'view')
    this.forget(handle.definition)
    handle.dropped = true
    this.collect()
  }

  /** Drops a table. Throws UsageError if a view reads it. */
  dropTable(table: TableHandle<never, never> | TableDefinition | string): void {
    this.mustBeIdle('dropTable')
    const found = this.find(table)
    if (found === undefined || found instanceof ViewHandle) throw new UsageError(`dropTable: there is no table ${label(table)}`)
    this.mustBeUnread(found.handle.definition, 'table')
    this.forget(found.handle.definition)
    found.handle.dropped = true
    this.discard(new Set([found.handle.operator]), [])
  }

  private mustBeUnread(relation: Relation, kind: string): void {
    for (const view of this.views) {
      if (nodesOf(view.definition.rel).some((n) => n.kind === 'source' && n.relation === relation)) {
        throw new UsageError(`${kind} ${quote(relation.schema.name)} is read by view ${quote(view.name)}; drop that first`)
      }
    }
  }

  private forget(relation: Relation): void {
    this.byDefinition.delete(relation)
    this.byName.delete(relation.schema.name)
  }

  /** Removes operators that no view needs any more. */
  private collect(): void {
    const needed = new Set<Operator>(this.tables.map((t) => t.operator))
    for (const view of this.views) for (const operator of upstream(view.root)) needed.add(operator)
    const gone = new Set(this.scheduler.list().filter((o) => !needed.has(o)))
    const keys = [...this.arrangements].flatMap(([key, operator]) => (gone.has(operator) ? [key] : []))
    this.discard(gone, keys)
  }

  private discard(operators: ReadonlySet<Operator>, arrangements: readonly string[]): void {
    for (const key of arrangements) this.arrangements.delete(key)
    for (const operator of operators) {
      for (const input of operator.inputs()) {
        const at = input.consumers.indexOf(operator)
        if (at >= 0) input.consumers.splice(at, 1)
      }
    }
    this.scheduler.remove(operators)
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

  private find(ref: unknown): TableState | ViewHandle<unknown> | undefined {
    if (typeof ref === 'string') return this.byName.get(ref)
    if (ref instanceof ViewHandle || ref instanceof TableHandle) {
      return ref.database === this ? this.byDefinition.get(ref.definition) : undefined
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
    const tx = new Transaction((table) => this.pendingOf(table))
    this.state = 'transaction'
    try {
      const result: unknown = write(tx)
      if (isThenable(result)) throw new UsageError('transact: expected a function that is done when it returns, found an async one')
      let rows = 0
      for (const target of tx.touched) {
        ;(target as TableState).handle.operator.offer(target.pending)
        rows += target.pending.length
      }
      return this.epoch(rows)
    } finally {
      tx.end()
      for (const target of tx.touched) target.pending.clear()
      this.state = 'idle'
    }
  }

  /** One transaction that inserts rows. */
  insert<R, I>(table: TableRef<R, I>, rows: I | readonly I[]): Commit {
    return this.transact((tx) => tx.insert(table, rows))
  }

  /** One transaction that retracts rows. */
  delete<R, I>(table: TableRef<R, I>, rows: I | readonly I[]): Commit {
    return this.transact((tx) => tx.delete(table, rows))
  }

  /** One transaction of many rows, as objects or as columns. Typed arrays of a column's own class are not copied. */
  ingest<R, I>(table: TableRef<R, I>, input: readonly I[] | ColumnsInput<keyof R & string>): Commit {
    if (Array.isArray(input)) return this.insert(table, input as readonly I[])
    this.mustBeIdle('ingest')
    const target = this.pendingOf(table) as TableState
    if (typeof input !== 'object' || input === null) {
      throw new UsageError(`ingest: expected an array of rows or { columns }, found ${show(input)}`)
    }
    const batch = columnsBatch(target.flat, input as ColumnsInput)
    this.state = 'epoch'
    try {
      target.handle.operator.offer(batch)
      return this.epoch(batch.length)
    } finally {
      this.state = 'idle'
    }
  }

  private pendingOf(table: unknown): PendingTable {
    const found = this.find(table)
    if (found === undefined || found instanceof ViewHandle) {
      const known = this.tables.map((t) => quote(t.name)).join(', ') || 'none'
      throw new UsageError(`expected a table of this database, found ${label(table)}; its tables: ${known}`)
    }
    return found
  }

  private epoch(rows: number): Commit {
    this.state = 'epoch'
    const lsn = this.currentLsn + 1n
    let any = false
    this.scheduler.run(rows, () => {
      for (const relation of this.followed) if (relation.capture()) any = true
    })
    this.currentLsn = lsn
    if (any) this.notify(lsn)
    return { lsn }
  }

  private notify(lsn: bigint): void {
    this.state = 'notifying'
    const failures: unknown[] = []
    for (const relation of this.followed) relation.deliver(failures)
    if (failures.length === 0) return
    const [cause] = failures
    const text = cause instanceof Error ? cause.message : String(cause)
    throw new GnitzError('USAGE', `a subscriber threw after transaction ${lsn} was committed: ${text}`, { cause })
  }

  private follow<R>(producer: Producer, relation: RelationReader<R>): void {
    this.followed.push({
      capture: () => relation.isFollowed && relation.capture(producer.delta(), this.currentLsn + 1n),
      deliver: (failures) => relation.deliver(failures),
    })
  }

  private mustBeIdle(call: string): void {
    if (this.state !== 'idle') throw new UsageError(`${call}: ${BUSY[this.state]}`)
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

/** Reading a stream: there is nothing. */
const NOTHING: Reader = {
  *range() {},
  *find() {},
  size: () => ({ rows: 0, weight: 0n }),
}

function keyOrAll(schema: RowSchema, key: readonly number[]): readonly number[] {
  return key.length > 0 ? key : schema.columns.map((c) => c.index)
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

function isThenable(value: unknown): boolean {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
}
