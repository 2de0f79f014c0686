/**
 * Transactions that others come in between. Such a one reads from a snapshot of the moment it began, plus what it has
 * written; when it commits, what it has read must still be so, or it is refused with ConflictError. So whatever commits
 * is as if it had run alone, at the moment of its commit.
 *
 * Views are read as of the snapshot too: they do not show what the transaction has written.
 */
import { Transaction, type TransactionHost } from '../transaction.js'
import type { Pin } from './history.js'

/** What commits transactions. */
export interface Committer<C> extends TransactionHost {
  /** Applies a transaction or throws; it has ended then, unless the database is busy with another one. */
  commit(tx: Transaction): C
}

/** A transaction as `db.begin()` gives it. */
export class InteractiveTransaction<C> extends Transaction {
  constructor(
    private readonly committer: Committer<C>,
    pin: Pin,
  ) {
    super(committer)
    this.detach(pin)
  }

  /** The transaction whose state this one reads. */
  get lsn(): bigint {
    return this.snapshotLsn as bigint
  }

  /**
   * Applies everything or nothing. Throws ConflictError if what the transaction has read, or a key it has written, was
   * changed meanwhile: begin again then. The transaction has ended, whatever comes of it; only if the database is busy
   * (a subscriber is being called) does it stay open.
   */
  commit(): C {
    return this.committer.commit(this)
  }

  /** Gives the transaction up. Does nothing if it has ended. */
  rollback(): void {
    this.end('was rolled back')
  }

  /** `using tx = db.begin()`: rolls back what was not committed. */
  [Symbol.dispose](): void {
    this.rollback()
  }
}
