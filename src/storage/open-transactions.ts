/**
 * Transactions that are not acknowledged yet. One is seen as soon as it is in memory; if the log refuses it afterwards, it
 * is taken back by its negation, with what was built on it without a log.
 */
import { appendRows } from '../zset/append.js'
import { Batch } from '../zset/batch.js'
import type { Tree } from './tree.js'
import type { Lsn } from './types.js'
import type { Wal } from './wal/wal.js'

/** One table's part of a transaction. The batch belongs to the storage afterwards. */
export interface Change {
  readonly table: Tree
  /** Consolidated, in the table's layout. */
  readonly delta: Batch
}

interface OpenTransaction {
  /** The one that became visible before it. */
  previous: OpenTransaction | null
  /** Its changes, and those of unlogged transactions that came after it. */
  readonly parts: Change[]
  /** `pending`: not in memory yet. */
  state: 'pending' | 'visible' | 'refused' | 'told'
  /** Tells of its end. */
  durable: Promise<void>
}

/** What transactions are of. */
export interface TransactionHost {
  /** There is one where there are transactions. */
  readonly wal: Wal
  /** The LSN of the last transaction. */
  readonly lastLsn: () => Lsn
  /** Is the table still one of an open storage? */
  readonly isOpen: (table: Tree) => boolean
}

export class OpenTransactions {
  /** Logged transactions that nobody has been told about yet. */
  private readonly open = new Map<Lsn, OpenTransaction>()
  /** The last one that became visible. */
  private latest: OpenTransaction | null = null

  constructor(private readonly host: TransactionHost) {}

  /** Puts a transaction into the log and into memory. Throws what the log throws; then nothing has changed. */
  log(lsn: Lsn, parts: Change[], logged: readonly Change[]): Promise<void> {
    const transaction: OpenTransaction = { parts, state: 'pending', durable: Promise.resolve(), previous: null }
    this.open.set(lsn, transaction)
    try {
      this.host.wal.append(
        lsn,
        logged.map(p => ({ tableId: p.table.tableId, batch: p.delta })),
      )
    } catch (error) {
      this.open.delete(lsn)
      throw error
    }
    if (transaction.state !== 'refused') {
      for (const { table, delta } of parts) table.ingest(delta, lsn)
      transaction.state = 'visible'
      transaction.previous = this.latest
      this.latest = transaction
    }
    transaction.durable = this.acknowledge(lsn, transaction)
    return transaction.durable
  }

  /** A transaction without a log builds on what is in memory, so it shares the fate of the last one that is open. */
  follow(lsn: Lsn, parts: readonly Change[]): Promise<void> {
    for (const { table, delta } of parts) table.ingest(delta, lsn)
    // One that was refused is gone; the one before it may still be open.
    while (this.latest !== null && this.latest.state !== 'visible') this.latest = this.latest.previous
    this.latest?.parts.push(...parts)
    return this.latest?.durable ?? Promise.resolve()
  }

  private acknowledge(lsn: Lsn, transaction: OpenTransaction): Promise<void> {
    return this.host.wal.committed(lsn).then(
      () => {
        // Those before it have been told, too, or were refused.
        transaction.state = 'told'
        transaction.previous = null
        this.open.delete(lsn)
      },
      error => {
        this.takeBack(lsn)
        this.open.delete(lsn)
        throw error
      },
    )
  }

  /** Makes a refused transaction unseen, at once: a checkpoint that came first would make it durable. */
  takeBack(lsn: Lsn): void {
    const transaction = this.open.get(lsn)
    if (transaction === undefined || transaction.state === 'refused' || transaction.state === 'told') return
    if (transaction.state === 'visible') {
      for (const { table, delta } of transaction.parts) {
        if (this.host.isOpen(table)) table.ingest(negated(delta), this.host.lastLsn())
      }
    }
    transaction.state = 'refused'
  }
}

/** What takes a delta back. */
function negated(delta: Batch): Batch {
  const inverse = new Batch(delta.layout, delta.length)
  appendRows(delta, 0, delta.length, inverse)
  for (let i = 0; i < inverse.length; i++) inverse.weights[i] = -inverse.weights[i]
  inverse.order = 'consolidated'
  return inverse
}
