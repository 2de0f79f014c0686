/** Transactions of one write each. */
import type { ColumnsInput } from '../ingest.js'
import type { PrimaryKey } from '../keys.js'
import type { Change, Expected, Transaction } from '../transaction.js'
import type { TableRef } from './reads.js'

/** `C` is what a transaction gives back. */
export abstract class Writes<C> {
  /** Runs `write` as a transaction, all of it or, if it throws, nothing. */
  protected abstract once(write: (tx: Transaction) => void): C

  /** One transaction that inserts rows. */
  insert<R, I>(table: TableRef<R, I>, rows: I | readonly I[]): C {
    return this.once(tx => tx.insert(table, rows))
  }

  /** One transaction that retracts rows. */
  delete<R, I>(table: TableRef<R, I>, rows: I | readonly I[]): C {
    return this.once(tx => tx.delete(table, rows))
  }

  /**
   * One transaction of many rows, as objects or as columns. Typed arrays of a column's own class are not copied on
   * the way in; they belong to the caller again when this returns.
   */
  ingest<R, I>(table: TableRef<R, I>, input: readonly I[] | ColumnsInput<keyof R & string>): C {
    return this.once(tx => tx.ingest(table, input))
  }

  /** One transaction that puts rows in place of all rows that have their primary keys. */
  upsert<R, I>(table: TableRef<R, I>, rows: I | readonly I[]): C {
    return this.once(tx => tx.upsert(table, rows))
  }

  /** One transaction that changes columns of the row with this key; null, and no transaction, if there is none. */
  update<R, I, K>(table: TableRef<R, I, K>, key: NoInfer<PrimaryKey<K>>, change: Change<R, I>): C | null {
    return this.onceIf(tx => tx.update<R, I, K>(table, key, change))
  }

  /** One transaction that retracts all rows with this key; null, and no transaction, if there is none. */
  deleteKey<R, I, K>(table: TableRef<R, I, K>, key: NoInfer<PrimaryKey<K>>): C | null {
    return this.onceIf(tx => tx.deleteKey<R, I, K>(table, key))
  }

  /** One transaction that inserts a row; null, and no transaction, if there is one with its key. */
  putIfAbsent<R, I>(table: TableRef<R, I>, row: I): C | null {
    return this.onceIf(tx => tx.putIfAbsent(table, row))
  }

  /** One transaction that puts a row in place of the one with its key; null, and none, unless that is as expected. */
  putIfUnchanged<R, I>(table: TableRef<R, I>, row: I, expected: Expected<R, I>): C | null {
    return this.onceIf(tx => tx.putIfUnchanged(table, row, expected))
  }

  /** A transaction that is given up if `write` says that there is nothing to do. */
  private onceIf(write: (tx: Transaction) => boolean): C | null {
    try {
      return this.once(tx => {
        if (!write(tx)) throw NOTHING_TO_DO
      })
    } catch (error) {
      if (error === NOTHING_TO_DO) return null
      throw error
    }
  }
}

/** Thrown through a transaction that turns out to have nothing to do. */
const NOTHING_TO_DO = Symbol('nothing to do')
