/**
 * How transactions are carried through: run alone or beside others, held against what has changed meanwhile, and applied
 * as one epoch, or given up with nothing done.
 */
import { quote, show, UsageError } from '../base/errors.js'
import { Commit, type Committed } from './commit.js'
import type { Database } from './database.js'
import type { Bookkeeping } from './durable/bookkeeping.js'
import type { Durability } from './durable/durability.js'
import type { Epochs } from './epochs.js'
import { type Registry, stranger, type TableEntry } from './registry.js'
import { Transaction } from './transaction.js'
import type { History } from './transactions/history.js'
import { type Committer, InteractiveTransaction } from './transactions/interactive.js'
import type { PendingTable } from './transactions/pending.js'
import type { Readable } from './transactions/reads.js'
import { begun, DEFAULT_RETRIES, retriesOf, settle, type TransactOptions } from './transactions/retry.js'

export class Transacting implements Committer<Commit> {
  /** Null in memory. */
  books: Bookkeeping | null = null
  private readonly registry: Registry

  constructor(
    private readonly database: Database,
    readonly history: History,
    private readonly epochs: Epochs,
    /** Null in memory. */
    private readonly durability: Durability | null,
  ) {
    this.registry = database.definitions.registry
  }

  /** See `Database.transact`. */
  run(write: (tx: Transaction) => unknown, options: TransactOptions | undefined): Commit | Promise<Committed> {
    this.epochs.mustBeWritable('transact')
    if (typeof write !== 'function') throw new UsageError(`transact: expected a function tx => …, found ${show(write)}`)
    const retries = options === undefined ? DEFAULT_RETRIES : retriesOf(options)
    this.durability?.mustHaveRoom()
    const tx = new Transaction(this)
    let goesOn = false
    this.epochs.state = 'transaction'
    try {
      const result = write(tx)
      if (result === undefined || !isPromise(result)) return this.apply(tx)
      tx.detach(this.history.pin(this.epochs.currentLsn, true))
      goesOn = true
      return settle(
        { tx, result },
        () => begun(this.begin(), write),
        open => this.commit(open),
        retries,
      )
    } finally {
      if (!goesOn) tx.end()
      this.epochs.state = 'idle'
      this.durability?.settle()
    }
  }

  /** See `Database.begin`. */
  begin(): InteractiveTransaction<Commit> {
    this.epochs.mustBeIdle('begin')
    return new InteractiveTransaction(this, this.history.pin(this.epochs.currentLsn, true))
  }

  commit(tx: Transaction): Commit {
    this.epochs.mustBeIdle('commit')
    this.epochs.state = 'transaction'
    try {
      tx.mustBeSound()
      // All that it has read was so at its snapshot.
      if (!tx.hasWritten) return new Commit(tx.snapshotLsn ?? this.epochs.currentLsn, null)
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
      this.epochs.state = 'idle'
      this.durability?.settle()
    }
  }

  /** Applies what a transaction has written, as one epoch. */
  private apply(tx: Transaction): Commit {
    tx.mustBeSound()
    const touched = tx.touched as unknown as readonly TableEntry[]
    return this.books === null ? this.epochs.epoch(this.epochs.offer(touched)) : this.books.apply(touched)
  }

  judge(tx: Transaction): void {
    this.epochs.judge(tx)
  }

  writable(table: unknown): PendingTable {
    if (this.epochs.isReadOnly) throw this.epochs.refusal('transaction')
    const found = this.registry.find(table)
    if (found?.kind === 'table' && !found.isSystem) return found
    const known = this.database.tables.map(t => quote(t.name)).join(', ') || 'none'
    throw new UsageError(
      `expected a table of this database, found ${stranger(table, this.database)}; its tables: ${known}`,
    )
  }

  readable(relation: unknown): Readable {
    const found = this.registry.find(relation)
    if (found !== undefined) return found.handle
    const all = this.registry.all().map(e => quote(e.name))
    throw new UsageError(
      `expected a table or view of this database, found ${stranger(relation, this.database)}; it has: ${all.join(', ') || 'none'}`,
    )
  }
}

function isPromise(result: unknown): result is PromiseLike<unknown> {
  // A commit, of another database, can be waited for as well.
  if (typeof result !== 'object' || result === null || result instanceof Commit) return false
  return typeof (result as { then?: unknown }).then === 'function'
}
