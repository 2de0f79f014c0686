/**
 * Subscriptions that have a name, and outlive the process: up to which transaction each has been told is a row of the
 * catalog. Whoever subscribes under a name hears first what was missed: the difference between the relation as it was then
 * and as it is, which time travel gives as long as the log is kept; else `reset`, with everything.
 *
 * Delivery is at least once, and in order. A subscriber hears of a transaction when it is acknowledged, never before it is
 * durable. What it has been told is written with some later transaction, so after a crash it may hear again of the last
 * ones, as one difference; a subscriber that keeps the LSN with what it does can say where it is (`after`), and then hears
 * of nothing twice.
 */
import { GnitzError, quote, show, UsageError } from '../../base/errors.js'
import { encodeValues } from '../../circuit/serialise/values.js'
import { type Entry as Listed, label, type TableEntry } from '../registry.js'
import type { Changes, Entry, RelationReader } from '../relation.js'
import type { Snapshot } from '../transactions/snapshot.js'
import type { SubscriptionRow } from './catalog.js'

/** What a subscriber with a name gets. */
export interface NamedChanges<R> extends Changes<R> {
  /** The transaction up to which it had heard of everything: `changes` lead from there to `lsn`. */
  readonly from: bigint
  /** Forget what you have: `changes` are all rows as of `lsn`. */
  readonly reset: boolean
  /**
   * Says that everything up to `lsn` is taken care of. Done for you when the subscriber returns, or its promise resolves,
   * unless `manual`.
   */
  acknowledge(): void
}

export interface NamedOptions {
  /** Unique in the database. */
  readonly name: string
  /** Where the subscriber is, if it knows better than the database: the `lsn` of the last event it has taken care of. */
  readonly after?: bigint
  /** It calls `event.acknowledge()` itself. */
  readonly manual?: boolean
  /**
   * Told what the subscriber threw, or its promise was rejected with; it is subscribed no more then, and
   * `db.subscriptions` says why. What it throws itself is not told to anybody.
   */
  readonly onError?: (error: unknown) => void
}

export const NAMED_OPTIONS: readonly (keyof NamedOptions)[] = ['name', 'after', 'manual', 'onError']

/** A subscription as `db.subscriptions` lists it. */
export interface SubscriptionInfo {
  readonly name: string
  readonly relation: string
  /** Everything up to this transaction is taken care of. */
  readonly acknowledged: bigint
  /** Somebody is subscribed under the name now. */
  readonly attached: boolean
  /** What the last subscriber threw, which ended it; null if it did not. */
  readonly failure: unknown
}

/** What can be subscribed to. */
export interface Followed {
  readonly name: string
  readonly relation: RelationReader<unknown>
  entries(): Entry<unknown>[]
}

/** What subscriptions ask of the database. */
export interface SubscriptionHost {
  readonly lsn: bigint
  snapshotAt(lsn: bigint): Snapshot
  entryOf(handle: Followed): Listed
  /** When the last transaction is acknowledged; null: it is. */
  readonly durable: PromiseLike<unknown> | null
  /** Makes everything durable that has been committed. */
  sync(): void
  /** Makes what is pending in the table of subscriptions a durable transaction. */
  write(table: TableEntry): void
  hold(lsn: bigint): () => void
  /** Length of the log. */
  readonly logBytes: number
}

/** Beyond this, the log is not kept for subscriptions that nobody is subscribed to. */
const HELD_BYTES = 1 << 28
/** Transactions after which it is written down what a subscriber has been told. */
const EVERY = 100n

interface Known {
  readonly name: string
  readonly relation: number
  /** Taken care of, and what of that is in the catalog. */
  acknowledged: bigint
  recorded: bigint
  live: Live | null
  failure: unknown
  release: () => void
}

export class Subscriptions {
  private readonly known = new Map<string, Known>()

  constructor(
    private readonly host: SubscriptionHost,
    private readonly table: TableEntry,
  ) {
    for (const row of table.handle.rows() as SubscriptionRow[]) this.add(row)
  }

  private add({ name, relation, lsn }: SubscriptionRow): Known {
    const known = {
      name,
      relation,
      acknowledged: lsn,
      recorded: lsn,
      live: null,
      failure: null,
      release: this.hold(lsn),
    }
    this.known.set(name, known)
    return known
  }

  /** What comes after a transaction is needed to tell the difference. Whoever has heard of nothing begins with everything. */
  private hold(lsn: bigint): () => void {
    return lsn === 0n ? () => {} : this.host.hold(lsn)
  }

  /** Forgets what came after; who has not heard of it begins with everything. */
  letGoOfLog(): void {
    for (const known of this.known.values()) known.release()
  }

  list(nameOf: (relation: number) => string): SubscriptionInfo[] {
    return [...this.known.values()].map(({ name, relation, acknowledged, live, failure }) => ({
      ...{ name, relation: nameOf(relation) },
      ...{ acknowledged, attached: live !== null, failure },
    }))
  }

  /** See `subscribe` of tables and views. Returns what ends it; the name stays. */
  attach(handle: Followed, subscriber: (event: NamedChanges<unknown>) => unknown, options: NamedOptions): () => void {
    const { name, after } = options
    if (typeof name !== 'string' || name === '') {
      throw new UsageError(`subscribe: expected a name that is not empty, found ${show(name)}`)
    }
    if (typeof subscriber !== 'function')
      throw new UsageError(`subscribe: expected a function, found ${show(subscriber)}`)
    // One that is ahead has heard of what a crash took back, and begins again.
    if (after !== undefined && !(typeof after === 'bigint' && after >= 0n)) {
      throw new UsageError(`subscribe: expected after to be the lsn of an event, a bigint, found ${show(after)}`)
    }
    const { id } = this.host.entryOf(handle)
    const old = this.known.get(name)
    if (old?.live != null) throw new UsageError(`subscribe: somebody is subscribed as ${quote(name)} already`)
    if (old !== undefined && old.relation !== id) {
      throw new UsageError(
        `subscribe: ${quote(name)} is a subscription of something else; drop it, or take another name`,
      )
    }
    if (id < 0)
      throw new UsageError(`subscribe: ${quote(handle.name)} belongs to the catalog: it has no named subscribers`)
    // Before it is known under its name.
    let taken = 0n
    const live = new Live(this.host, handle, subscriber, options, lsn => {
      if (lsn > taken) taken = lsn
      this.acknowledge(name, taken)
    })
    // What is told now must not be taken back.
    this.host.sync()
    live.begin(after ?? old?.acknowledged ?? null)
    const known = old ?? this.create({ name, relation: id, lsn: taken })
    known.live = live
    known.failure = null
    live.follow(failure => {
      if (known.live === live) known.live = null
      known.failure = failure
    })
    return () => live.end()
  }

  private create(row: SubscriptionRow): Known {
    this.put(row, 1n)
    this.host.write(this.table)
    return this.add(row)
  }

  private acknowledge(name: string, lsn: bigint): void {
    const known = this.known.get(name)
    if (known !== undefined && lsn > known.acknowledged) known.acknowledged = lsn
  }

  /** Removes a subscription for good. Throws UsageError if there is none. */
  drop(name: string): void {
    const known = this.known.get(name)
    if (known === undefined) throw new UsageError(`dropSubscription: there is no subscription ${label(name)}`)
    this.remove(known)
    this.host.write(this.table)
  }

  /** The database is closed: what nobody has heard of yet is heard of when they subscribe again. */
  end(): void {
    for (const { live } of this.known.values()) live?.end()
  }

  private remove(known: Known): void {
    known.live?.end()
    known.release()
    this.known.delete(known.name)
    this.putRow(known, -1n)
  }

  /** Subscriptions of what is dropped go with it: the rows are pending afterwards. */
  forget(relations: ReadonlySet<number>): TableEntry[] {
    const gone = [...this.known.values()].filter(known => relations.has(known.relation))
    for (const known of gone) this.remove(known)
    return gone.length === 0 ? [] : [this.table]
  }

  /** A table was altered: who follows it gets its rows as they are now. */
  altered(handle: Followed): void {
    for (const { live } of this.known.values()) if (live?.handle === handle) live.reset()
  }

  /**
   * Writes down what has been taken care of, if that is overdue or `all`: the rows are pending afterwards, and go with
   * the coming transaction. `settle` must follow.
   */
  offer(all: boolean): TableEntry[] {
    let written = false
    const isLong = this.host.logBytes > HELD_BYTES
    for (const known of this.known.values()) {
      if (isLong && known.live === null) known.release()
      if (known.live?.isIdle === true) known.acknowledged = this.host.lsn
      if (known.acknowledged - known.recorded < (all ? 1n : EVERY)) continue
      this.putRow(known, -1n)
      this.put({ name: known.name, relation: known.relation, lsn: known.acknowledged }, 1n)
      written = true
    }
    return written ? [this.table] : []
  }

  /** The transaction was committed, or it was not. */
  settle(committed: boolean): void {
    if (this.table.pending.length === 0) return
    this.table.pending.clear()
    for (const row of this.table.handle.relation.rows() as SubscriptionRow[]) {
      const known = this.known.get(row.name)
      if (known === undefined) {
        // It was not removed after all.
        if (!committed) this.add(row)
        continue
      }
      if (known.recorded === row.lsn) continue
      const { release } = known
      known.recorded = row.lsn
      known.release = this.hold(row.lsn)
      release()
    }
  }

  /** The row as it is in the catalog: a transaction that wrote it may have been taken back. */
  private putRow({ name }: Known, weight: bigint): void {
    const row = this.table.handle.relation.get({ name }) as SubscriptionRow | undefined
    if (row !== undefined) this.put(row, weight)
  }

  private put(row: SubscriptionRow, weight: bigint): void {
    const { pending } = this.table
    pending.reserve(1)
    pending.length = this.table.encode([row], pending, weight)
  }
}

/** Changes that somebody is to be told of. */
interface Event {
  readonly lsn: bigint
  changes: readonly Entry<unknown>[]
  readonly reset: boolean
  /** Of the transaction: nobody is told of one that is refused. */
  fate: 'open' | 'acknowledged' | 'refused'
}

/** Somebody who is subscribed now. */
class Live {
  private queue: Event[] = []
  /** The last event; everything up to it has been told. */
  private told = 0n
  private ended = false
  /** What the subscriber returned has not resolved yet: it hears of nothing more until then. */
  private waiting = false
  private stop: (failure: unknown) => void = () => {}

  constructor(
    private readonly host: SubscriptionHost,
    readonly handle: Followed,
    private readonly subscriber: (event: NamedChanges<unknown>) => unknown,
    private readonly options: NamedOptions,
    private readonly acknowledged: (lsn: bigint) => void,
  ) {}

  /** Everything that has happened has been told, and is taken care of by having been told. */
  get isIdle(): boolean {
    return this.queue.length === 0 && !this.waiting && this.options.manual !== true
  }

  /** Tells what has happened since a transaction, all at once. Throws what the subscriber throws. */
  begin(from: bigint | null): void {
    const { lsn } = this.host
    const missed = from === null ? null : this.since(from, lsn)
    if (missed === null) this.tell({ lsn, changes: this.handle.entries() }, from ?? 0n, true)
    else if (missed.length > 0) this.tell({ lsn, changes: missed }, from ?? 0n, false)
    else if (this.options.manual !== true) this.acknowledged(lsn)
    // Who has heard of nothing is where it was.
    this.told = missed?.length === 0 ? (from ?? lsn) : lsn
  }

  /** What has changed; null if that cannot be told any more. */
  private since(from: bigint, lsn: bigint): Entry<unknown>[] | null {
    if (from === lsn) return []
    if (from > lsn) return null
    try {
      const past = this.host.snapshotAt(from)
      try {
        return difference(past.entries(this.handle as never), this.handle.entries())
      } finally {
        past.release()
      }
    } catch (error) {
      // It says so where the log does not go back so far, or the relation was another one.
      if (error instanceof GnitzError && error.code === 'USAGE') return null
      throw error
    }
  }

  /** `ended` is told what the subscriber threw, or null. */
  follow(ended: (failure: unknown) => void): void {
    const stop = this.handle.relation.subscribe(delta => this.push(delta))
    this.stop = failure => {
      stop()
      ended(failure)
    }
  }

  private push({ lsn, changes }: Changes<unknown>): void {
    this.await({ lsn, changes, reset: false, fate: 'open' }, this.host.durable)
  }

  /** Everything again, after what is on its way. */
  reset(): void {
    this.await({ lsn: this.host.lsn, changes: this.handle.entries(), reset: true, fate: 'open' }, null)
  }

  private await(event: Event, durable: PromiseLike<unknown> | null): void {
    this.queue.push(event)
    const ends = (fate: Event['fate']) => () => {
      event.fate = fate
      this.flush()
    }
    if (durable === null) queueMicrotask(ends('acknowledged'))
    else durable.then(ends('acknowledged'), ends('refused'))
  }

  private flush(): void {
    try {
      while (!this.ended && !this.waiting && this.queue.length > 0) {
        const [event, next] = this.queue
        if (event.fate === 'open') return
        if (event.fate === 'refused') {
          // It is taken back by one that comes: of both, nothing is told.
          if (next === undefined) return
          if (!next.reset) next.changes = difference([], [...event.changes, ...next.changes])
        } else if (event.reset || event.changes.length > 0) this.tell(event, this.told, event.reset)
        this.queue.shift()
      }
    } catch (error) {
      this.fail(error)
    }
  }

  private fail(error: unknown): void {
    this.end(error)
    quietly(() => this.options.onError?.(error))
  }

  private tell({ lsn, changes }: Changes<unknown>, from: bigint, reset: boolean): void {
    const acknowledge = () => this.acknowledged(lsn)
    const result = this.subscriber({ lsn, changes, from, reset, acknowledge })
    this.told = lsn
    const done = () => {
      if (this.options.manual !== true) acknowledge()
    }
    if (isPromise(result)) this.waitFor(result, done)
    else done()
  }

  private waitFor(result: PromiseLike<unknown>, done: () => void): void {
    this.waiting = true
    const settled = (then: () => void) => {
      this.waiting = false
      then()
      this.flush()
    }
    result.then(
      () => settled(done),
      error => settled(() => this.fail(error)),
    )
  }

  end(failure: unknown = null): void {
    if (this.ended) return
    this.ended = true
    this.queue = []
    this.stop(failure)
  }
}

/** Calls what nobody waits for. What it throws is its own business; `db.subscriptions` says what came first. */
function quietly(call: () => unknown): void {
  try {
    const result = call()
    if (isPromise(result)) result.then(undefined, () => {})
  } catch {
    // Nobody would hear of it.
  }
}

const isPromise = (result: unknown): result is PromiseLike<unknown> =>
  typeof (result as { then?: unknown } | null | undefined)?.then === 'function'

/** What has to be added to the first to get the second. */
function difference(before: readonly Entry<unknown>[], after: readonly Entry<unknown>[]): Entry<unknown>[] {
  const textOf = ({ row }: Entry<unknown>) => encodeValues(Object.entries(row as object))
  const net = new Map<string, { row: unknown; weight: bigint }>()
  const add = (entry: Entry<unknown>, weight: bigint) => {
    const text = textOf(entry)
    const found = net.get(text)
    if (found === undefined) net.set(text, { row: entry.row, weight })
    else found.weight += weight
  }
  for (const entry of before) add(entry, -entry.weight)
  for (const entry of after) add(entry, entry.weight)
  return [...net.values()].filter(({ weight }) => weight !== 0n)
}
