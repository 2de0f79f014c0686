/**
 * The database: tables, views over them, and transactions that move both; in memory, or durable in a directory (`open`).
 *
 * Every transaction is one epoch with its own LSN. Views of one LSN become visible together: readers run between
 * epochs, never during one.
 */
import { UsageError } from '../base/errors.js'
import { isClock } from '../circuit/now.js'
import { Changing } from './changes.js'
import { type AdvanceOptions, Clock, type ClockOptions } from './clock.js'
import type { Commit, Committed } from './commit.js'
import type { Reservation } from './constraints/rules.js'
import { Defining } from './defining.js'
import { Definitions } from './definitions.js'
import { Bookkeeping } from './durable/bookkeeping.js'
import type { Durability } from './durable/durability.js'
import type { NamedChanges, NamedOptions, SubscriptionInfo } from './durable/subscriptions.js'
import { Epochs } from './epochs.js'
import type { TableHandle } from './handles/table.js'
import type { ViewHandle } from './handles/view.js'
import type { IndexRead } from './indexes/handle.js'
import { type DumpView, dumpViews } from './inspect.js'
import { type KvKeys, type KvTypes, type KvValues, kv } from './kv/definition.js'
import { Kv, type KvRef, kvOf } from './kv/store.js'
import { metricsOf } from './metrics.js'
import { Recomputation } from './recomputed.js'
import { type Entry, label } from './registry.js'
import { Transacting } from './transacting.js'
import type { Transaction } from './transaction.js'
import { History } from './transactions/history.js'
import type { InteractiveTransaction } from './transactions/interactive.js'
import type { TransactOptions } from './transactions/retry.js'
import type { Snapshot, SnapshotOptions } from './transactions/snapshot.js'
import { type SnapshotStats, Snapshots, type SnapshotTarget } from './transactions/snapshots.js'

export interface OpenOptions {
  /** Run the templates as they stand instead of compiled code: slow, for comparing. */
  readonly mode?: 'compiled' | 'generic'
  /** How many rows may change while a transaction is open: 1,000,000 unless said otherwise. Older ones are given up. */
  readonly historyRows?: number
  /** Moves the clock of `now()` on by itself; without it only `advance` does. */
  readonly clock?: ClockOptions
}

/** What `Database.trace` shows. */
export type TraceEvent = Reservation | IndexRead

export class Database extends Defining {
  /** Internal: tables and views by name. */
  readonly definitions: Definitions
  /** Internal: open snapshots, and where older states are found. */
  readonly snapshots: Snapshots
  /** Internal: what is written down besides tables; null in memory. */
  readonly books: Bookkeeping | null
  protected readonly epochs: Epochs
  protected readonly changes: Changing
  private readonly history: History
  private readonly transacting: Transacting
  /** Internal: told of readings of indexes. */
  tracer: ((event: TraceEvent) => void) | null = null
  private readonly tracers = new Set<(event: TraceEvent) => void>()
  private readonly clock: Clock
  private closing: Promise<void> = Promise.resolve()

  /** Use `open`. */
  constructor(
    options: OpenOptions,
    /** Internal: null in memory. */
    readonly durability: Durability | null = null,
  ) {
    super()
    const mode = options.mode ?? 'compiled'
    this.history = new History(options.historyRows, open => {
      for (const view of this.views) view.observe(open)
    })
    this.definitions = new Definitions(this, mode, durability, this.history)
    this.epochs = new Epochs(this.definitions, this.history, durability)
    this.transacting = new Transacting(this, this.history, this.epochs, durability)
    this.snapshots = new Snapshots(this.transacting, () => new Recomputation(new Database({ mode }), this.definitions))
    this.books = durability === null ? null : new Bookkeeping(this.definitions, this.epochs, this.snapshots, durability)
    this.transacting.books = this.books
    this.changes = new Changing(this.definitions, this.epochs, this.books)
    this.clock = new Clock(this, this.epochs, options.clock)
  }

  /** The LSN of the last transaction; 0 before the first. */
  get lsn(): bigint {
    return this.epochs.currentLsn
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
    return this.transacting.run(write, options)
  }

  protected override once(write: (tx: Transaction) => void): Commit {
    return this.transacting.run(write, undefined) as Commit
  }

  /**
   * Begins a transaction that others may come in between: `commit` or `rollback` ends it. It reads from a snapshot plus
   * what it has written, and commits only if what it has read is still so.
   */
  begin(): InteractiveTransaction<Commit> {
    return this.transacting.begin()
  }

  // ---- subscriptions that have a name

  /** All subscriptions that have a name, whether or not somebody is subscribed now. In memory there are none. */
  get subscriptions(): SubscriptionInfo[] {
    const nameOf = (id: number) => this.entries.find(e => e.id === id)?.name ?? `#${id}`
    return this.books?.subscriptions?.list(nameOf) ?? []
  }

  /** Forgets a subscription and up to where it was told. Throws UsageError if there is none of this name. */
  dropSubscription(name: string): void {
    this.epochs.mustBeWritable('dropSubscription')
    const named = this.books?.subscriptions
    if (named == null) throw new UsageError(`dropSubscription: there is no subscription ${label(name)}`)
    named.drop(name)
  }

  /** Internal: see `subscribe` of tables and views. */
  subscribeAs(
    handle: TableHandle<unknown, unknown> | ViewHandle<unknown>,
    subscriber: (event: NamedChanges<unknown>) => void,
    options: NamedOptions,
  ): () => void {
    this.epochs.mustBeWritable('subscribe')
    const named = this.books?.subscriptions
    if (named == null) throw new UsageError('subscribe: a subscription with a name needs a database in a directory')
    return named.attach(handle, subscriber, options)
  }

  // ---- the clock

  /** What `now()` says in filters: the time of the last `advance`, in microseconds since 1970; null before the first. */
  get now(): bigint | null {
    return this.clock.now
  }

  /**
   * Moves the clock on, which lets rows of filters with `now()` come and leave. With `maxRows` it does so in several
   * transactions, each with views as they are at some time in between. Returns the last of them. Throws UsageError if the
   * clock shows a later time already; then nothing has happened.
   */
  advance(to: Date | bigint | number | string, options: AdvanceOptions = {}): Commit {
    return this.clock.advance(to, options)
  }

  // ---- snapshots

  /** A read-only snapshot of the present state; it stays as it is until it is released. */
  snapshot(options: SnapshotOptions = {}): Snapshot {
    this.epochs.mustBeReadable()
    return this.snapshots.open(this.epochs.currentLsn, options)
  }

  /**
   * A snapshot of the state after an earlier transaction, or as it was at a time. It may be one that an open snapshot
   * shows, by LSN or by the name of the snapshot; in a directory, any that the log still has all changes since (`retain`).
   * Tables are then read as they are, less these changes, and views computed anew when they are read. Throws UsageError,
   * naming what can be reached, if it is neither.
   */
  snapshotAt(at: SnapshotTarget): Snapshot {
    this.epochs.mustBeReadable()
    return this.snapshots.at(this.epochs.currentLsn, at)
  }

  /** How many snapshots and transactions are open, and what is kept for them. */
  get openSnapshots(): SnapshotStats {
    return this.snapshots.stats()
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
    this.epochs.mustBeWritable('checkpoint')
    this.books?.writeProgress()
    this.durability?.checkpoint()
  }

  /**
   * Rewrites an encrypted directory with the current key of its provider (option `encryption`), and one in the clear that
   * was opened with that option. Resolves when no other key is needed any more. The log begins anew: earlier states are not
   * reached any more, and named subscriptions may begin anew, too. Throws UsageError while
   * snapshots of earlier states are open, KeyError, IoError; then some files have the new key, and it can be called again.
   */
  async rekey(): Promise<void> {
    this.epochs.mustBeWritable('rekey')
    if (this.durability === null) throw new UsageError('rekey: expected a database in a directory, found one in memory')
    await this.durability.rekey(() => {
      this.epochs.mustBeWritable('rekey')
      const { goingBack } = this.snapshots
      if (goingBack > 0) {
        throw new UsageError(`rekey: ${goingBack} open snapshots of earlier states need the log; release them first`)
      }
      this.books?.writeProgress()
      this.books?.subscriptions?.letGoOfLog()
    })
  }

  /** Ends the database. A durable one makes a checkpoint; others can still be read afterwards. Throws IoError. */
  close(): Promise<void> {
    if (this.epochs.state === 'closed') return this.closing
    this.epochs.mustBeIdle('close')
    if (this.durability?.storage.failure === null) this.books?.writeProgress()
    this.epochs.state = 'closed'
    this.clock.stop()
    if (this.durability !== null) this.closing = this.durability.close().finally(() => this.books?.subscriptions?.end())
    return this.closing
  }

  /** Internal: throws once the database is closed. */
  mustBeOpen(call: string): void {
    this.epochs.mustBeOpen(call)
  }

  /** Internal: throws while rows are half way in. */
  mustBeReadable(): void {
    this.epochs.mustBeReadable()
  }

  /** Internal: see `Epochs`. */
  cutOff(all = false): void {
    this.epochs.cutOff(all)
  }
}
