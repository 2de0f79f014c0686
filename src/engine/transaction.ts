/** One transaction: rows are checked and collected per table; nothing reaches the circuit before the end. */
import type { EncodeRows } from '../../codegen/encode.js'
import { RowError, show, UsageError } from '../base/errors.js'
import type { TableDef } from '../circuit/columns.js'
import { appendRows } from '../zset/append.js'
import type { Batch } from '../zset/batch.js'
import type { TableHandle } from './handles.js'
import { type ColumnsInput, checkWeight, columnsBatch } from './ingest.js'

/** A table as a transaction takes it: definition, handle, or name. */
export type TableRef<R, I> = TableDef<R, I> | TableHandle<R, I>

/** What a transaction writes to. */
export interface PendingTable {
  readonly name: string
  encode: EncodeRows
  /** Rows of the running transaction. */
  readonly pending: Batch
  /** The transaction's only rows of this table, over the arrays of the user; then `pending` is empty. */
  whole: Batch | null
  /** Holds one row while it is encoded. */
  readonly single: unknown[]
}

export class Transaction {
  private state: 'open' | 'writing' | 'ended' = 'open'
  /** Why the transaction cannot be committed, whatever became of the error. */
  failure: unknown = null
  readonly touched: PendingTable[] = []

  constructor(private readonly resolve: (table: unknown) => PendingTable) {}

  /** Adds rows with weight +1. Throws RowError on the first that does not fit; then the transaction is given up. */
  insert<R, I>(table: TableRef<R, I>, rows: I | readonly I[]): void {
    this.write(table, putRows, rows, 1n)
  }

  /** Adds rows with weight -1: retracts rows equal to these. */
  delete<R, I>(table: TableRef<R, I>, rows: I | readonly I[]): void {
    this.write(table, putRows, rows, -1n)
  }

  /** Adds rows with any weight: a 64-bit integer. */
  add<R, I>(table: TableRef<R, I>, rows: I | readonly I[], weight: number | bigint): void {
    this.write(table, putWeighted, rows, weight)
  }

  /**
   * Adds rows as objects, with weight +1, or as columns. Typed arrays of a column's own class are read where they lie
   * if they are all that the transaction writes to the table: leave them alone until it has ended.
   */
  ingest<R, I>(table: TableRef<R, I>, input: readonly I[] | ColumnsInput<keyof R & string>): void {
    if (Array.isArray(input)) this.write(table, putRows, input, 1n)
    else this.write(table, putColumns, input as ColumnsInput, null)
  }

  /** A function and its arguments rather than a closure: one-row transactions feel the difference. */
  private write<I, W>(
    table: unknown,
    put: (target: PendingTable, input: I, weight: W) => void,
    input: I,
    weight: W,
  ): void {
    if (this.state === 'ended') throw new UsageError('this transaction has ended')
    // A getter of a row could get here.
    if (this.state === 'writing') throw new UsageError('a row of this transaction is being read; it must not write')
    this.state = 'writing'
    try {
      const target = this.resolve(table)
      if (!this.touched.includes(target)) this.touched.push(target)
      put(target, input, weight)
    } catch (error) {
      this.failure ??= error
      throw error
    } finally {
      this.state = 'open'
    }
  }

  /** Internal: forgets the rows; the object is of no use from here on. */
  end(): void {
    this.state = 'ended'
    const { touched } = this
    for (let t = 0; t < touched.length; t++) {
      touched[t].pending.clear()
      touched[t].whole = null
    }
  }
}

function putRows(target: PendingTable, rows: unknown, weight: bigint): void {
  if (rows === undefined || rows === null) {
    throw new RowError(target.name, null, null, `expected a row or an array of rows, found ${show(rows)}`)
  }
  collect(target)
  const { pending, single } = target
  if (Array.isArray(rows)) {
    pending.reserve(rows.length)
    pending.length = target.encode(rows, pending, weight)
    return
  }
  single[0] = rows
  pending.reserve(1)
  pending.length = target.encode(single, pending, weight)
}

function putWeighted(target: PendingTable, rows: unknown, weight: number | bigint): void {
  putRows(target, rows, checkWeight(target.name, null, weight))
}

function putColumns(target: PendingTable, input: ColumnsInput): void {
  const { pending, name } = target
  if (typeof input !== 'object' || input === null) {
    throw new RowError(name, null, null, `expected an array of rows or { columns: { … } }, found ${show(input)}`)
  }
  const batch = columnsBatch(pending.layout, input)
  if (target.whole === null && pending.length === 0) {
    target.whole = batch
    return
  }
  collect(target)
  appendRows(batch, 0, batch.length, pending)
}

/** Rows over arrays of the user become ordinary rows: others will follow. */
function collect(target: PendingTable): void {
  const { whole, pending } = target
  if (whole === null) return
  target.whole = null
  appendRows(whole, 0, whole.length, pending)
}
