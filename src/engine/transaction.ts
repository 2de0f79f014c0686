/** One transaction: rows are checked and collected per table; nothing reaches the circuit before the end. */
import type { EncodeRows } from '../../codegen/encode.js'
import { RowError, UsageError, show } from '../base/errors.js'
import type { Batch } from '../zset/batch.js'
import type { TableDef } from '../circuit/columns.js'
import type { TableHandle } from './handles.js'
import { checkWeight } from './ingest.js'

/** A table as a transaction takes it: definition, handle, or name. */
export type TableRef<R, I> = TableDef<R, I> | TableHandle<R, I>

/** What a transaction writes to. */
export interface PendingTable {
  readonly name: string
  readonly encode: EncodeRows
  /** Rows of the running transaction. */
  readonly pending: Batch
  /** Holds one row while it is encoded. */
  readonly single: unknown[]
}

export class Transaction {
  private open = true
  readonly touched: PendingTable[] = []

  constructor(private readonly resolve: (table: unknown) => PendingTable) {}

  /** Adds rows with weight +1. Throws RowError on the first that does not fit; then the transaction is given up. */
  insert<R, I>(table: TableRef<R, I>, rows: I | readonly I[]): void {
    this.write(table, rows, 1n)
  }

  /** Adds rows with weight -1: retracts rows equal to these. */
  delete<R, I>(table: TableRef<R, I>, rows: I | readonly I[]): void {
    this.write(table, rows, -1n)
  }

  /** Adds rows with any weight: a 64-bit integer. */
  add<R, I>(table: TableRef<R, I>, rows: I | readonly I[], weight: number | bigint): void {
    this.write(table, rows, checkWeight(this.resolve(table).name, null, weight))
  }

  private write(table: unknown, rows: unknown, weight: bigint): void {
    if (!this.open) throw new UsageError('this transaction has ended')
    const target = this.resolve(table)
    if (rows === undefined || rows === null) {
      throw new RowError(target.name, null, null, `expected a row or an array of rows, found ${show(rows)}`)
    }
    let list: readonly unknown[]
    if (Array.isArray(rows)) list = rows
    else {
      target.single[0] = rows
      list = target.single
    }
    if (target.pending.length === 0 && !this.touched.includes(target)) this.touched.push(target)
    target.pending.reserve(list.length)
    target.encode(list, target.pending, weight)
  }

  /** Internal. */
  end(): void {
    this.open = false
  }
}
