/**
 * What a database in a directory writes down besides its tables, in tables of the system: its definitions, and how far
 * subscriptions with a name have been told. And what its log makes it do: go through transactions again, and take back
 * those that the log has refused.
 */
import type { GnitzError } from '../../base/errors.js'
import type { Change } from '../../storage/storage.js'
import type { Batch } from '../../zset/batch.js'
import type { Commit } from '../commit.js'
import type { Definitions } from '../definitions.js'
import type { Epochs } from '../epochs.js'
import type { Defined, Entry, TableEntry } from '../registry.js'
import type { Snapshot } from '../transactions/snapshot.js'
import type { Snapshots } from '../transactions/snapshots.js'
import { CATALOG } from './catalog.js'
import type { Durability, Owner } from './durability.js'
import type { Ledger } from './ledger.js'
import { type Followed, type SubscriptionHost, Subscriptions } from './subscriptions.js'

export class Bookkeeping implements Owner, SubscriptionHost {
  /** Subscriptions that have a name; null until the directory has been opened. */
  subscriptions: Subscriptions | null = null
  /** Keeps the catalog; set when the directory is opened. */
  ledger: Ledger | null = null

  constructor(
    private readonly definitions: Definitions,
    private readonly epochs: Epochs,
    private readonly snapshots: Snapshots,
    private readonly durability: Durability,
  ) {}

  // ---- opening

  /** An epoch of rows that are in the log already. */
  replay(lsn: bigint, parts: readonly (readonly [TableEntry, Batch])[]): void {
    this.epochs.replay(lsn, parts)
  }

  /** All of the log has been gone through. */
  goOnFrom(lsn: bigint): void {
    this.epochs.currentLsn = lsn
    this.subscriptions = new Subscriptions(this, this.definitions.registry.find(CATALOG.subscriptions) as TableEntry)
  }

  // ---- transactions

  /** Applies what a transaction has written, as one epoch, and with it what subscribers have taken care of. */
  apply(touched: readonly TableEntry[]): Commit {
    const { epochs, subscriptions } = this
    const own = subscriptions === null || touched.length === 0 ? [] : subscriptions.offer(false)
    if (own.length === 0) return epochs.epoch(epochs.offer(touched))
    let committed = false
    try {
      const commit = epochs.step(epochs.offer([...touched, ...own]))
      committed = true
      subscriptions?.settle(true)
      const failure = epochs.notify()
      if (failure !== null) throw failure
      return commit
    } finally {
      if (!committed) subscriptions?.settle(false)
    }
  }

  /** Puts a change of definitions into the catalog, durably. Returns what a subscriber of the catalog threw. */
  record(created: readonly Defined[], removed: readonly Defined[]): GnitzError | null {
    const { epochs, durability, ledger, subscriptions } = this
    if (ledger === null || durability.silent) return null
    if (created.length + removed.length === 0) return null
    try {
      const kept = new Set(created.flatMap(e => ('id' in e ? [e.id] : [])))
      const gone = new Set(removed.flatMap(e => ('id' in e && !kept.has(e.id) ? [e.id] : [])))
      const own = subscriptions?.forget(gone) ?? []
      epochs.step(epochs.offer([...ledger.write(created, removed), ...own]))
      durability.sync()
      subscriptions?.settle(true)
    } finally {
      ledger.clear()
      subscriptions?.settle(false)
    }
    return epochs.notify()
  }

  /** An epoch that undoes transactions which the log has refused after all. */
  takeBack(changes: readonly Change[], lsns: readonly bigint[]): void {
    const { ledger, epochs } = this
    const { state } = epochs
    const { screens } = this.definitions.registry
    if (ledger === null) return
    try {
      let rows = 0
      for (const gate of screens) gate.undo(lsns)
      for (const [entry, batch] of ledger.negated(changes)) {
        entry.handle.operator.offer(batch)
        rows += batch.length
      }
      epochs.step(rows)
      // The step is over: following reads the catalog.
      epochs.state = 'building'
      ledger.followChanges(changes)
      // Nobody is there who could be told of an error.
      epochs.notify()
    } finally {
      for (const gate of screens) gate.endUndo()
      epochs.state = state
    }
  }

  // ---- what the directory asks

  get isIdle(): boolean {
    return this.epochs.state === 'idle'
  }

  listen(call: () => unknown): unknown {
    return this.epochs.listen(call)
  }

  // ---- subscriptions

  /** Writes down what subscribers have taken care of. */
  writeProgress(): void {
    for (const entry of this.subscriptions?.offer(true) ?? []) this.write(entry)
  }

  write(table: TableEntry): void {
    const { epochs, durability } = this
    let committed = false
    epochs.state = 'building'
    try {
      epochs.step(epochs.offer([table]))
      durability.sync()
      committed = true
    } finally {
      // What the log has refused is taken back first: the table then says what there is.
      durability.settle()
      this.subscriptions?.settle(committed)
      epochs.state = 'idle'
    }
    const failure = epochs.notify()
    epochs.state = 'idle'
    if (failure !== null) throw failure
  }

  get lsn(): bigint {
    return this.epochs.currentLsn
  }

  get durable(): Promise<void> | null {
    return this.epochs.durable
  }

  get logBytes(): number {
    return this.durability.storage.walBytes
  }

  entryOf(handle: Followed): Entry {
    return this.definitions.registry.find(handle) as Entry
  }

  snapshotAt(lsn: bigint): Snapshot {
    this.epochs.mustBeReadable()
    return this.snapshots.at(this.epochs.currentLsn, lsn)
  }

  sync(): void {
    this.durability.sync()
    this.durability.settle()
  }

  hold(lsn: bigint): () => void {
    return this.durability.storage.holdLog(lsn)
  }
}
