/**
 * Late rows: changes of a table below one of its waterlines. They are kept out before constraints see the transaction, so
 * what is logged, and replayed, are the rows that were accepted. They are data: counted, listed as far as there is room,
 * and handed to subscribers.
 */
import { quote, show, UsageError } from '../base/errors.js'
import type { Value } from '../schema/types.js'
import { appendRows } from '../zset/append.js'
import { Batch } from '../zset/batch.js'
import type { Time, WaterlineOperator } from './operators/waterline.js'
import type { Changes, Entry, RelationReader, Subscriber } from './relation.js'
import { keyOfRow } from './transactions/by-key.js'
import type { PendingTable } from './transactions/pending.js'

/** Late rows that are listed; of older ones only their number is known. */
const KEPT_ROWS = 1000

/** The late rows of a table. Not durable: they begin anew with every opening of the database. */
export class LateRows<R> {
  private readonly kept: Entry<R>[] = []
  private readonly subscribers = new Set<Subscriber<R>>()
  private total = 0
  private undelivered: Changes<R> | null = null

  /** How many changes were dropped since the database was opened. */
  get count(): number {
    return this.total
  }

  /** The last of them, up to 1,000, oldest first. A retraction has a negative weight. */
  entries(): Entry<R>[] {
    return [...this.kept]
  }

  /** Calls `subscriber` after every transaction that has late rows, with them; returns what ends it. */
  subscribe(subscriber: Subscriber<R>): () => void {
    if (typeof subscriber !== 'function') {
      throw new UsageError(`late.subscribe: expected a function, found ${show(subscriber)}`)
    }
    const own: Subscriber<R> = changes => subscriber(changes)
    this.subscribers.add(own)
    return () => void this.subscribers.delete(own)
  }

  /** Internal: takes the late rows of a transaction that was committed. Returns whether somebody is to be called. */
  take(lsn: bigint, changes: Entry<R>[]): boolean {
    this.total += changes.length
    this.kept.push(...changes.slice(-KEPT_ROWS))
    if (this.kept.length > KEPT_ROWS) this.kept.splice(0, this.kept.length - KEPT_ROWS)
    if (this.subscribers.size === 0) return false
    this.undelivered = { lsn, changes }
    return true
  }

  /** Internal. */
  deliver(failures: unknown[]): void {
    const { undelivered } = this
    this.undelivered = null
    if (undelivered === null) return
    for (const subscriber of this.subscribers) {
      try {
        subscriber(undelivered)
      } catch (error) {
        failures.push(error)
      }
    }
  }
}

export interface Screened {
  readonly rows: Batch
  readonly updates: number[]
}

/** Keeps late rows out of a table. */
export class LateGate {
  readonly late = new LateRows<unknown>()
  /** Of the running transaction. */
  private dropped: Batch | null = null

  constructor(
    readonly waterlines: readonly WaterlineOperator[],
    private relation: RelationReader<unknown>,
  ) {}

  /** Shows late rows as another reader does, from now on: of the table, when it was altered. */
  show(relation: RelationReader<unknown>): void {
    this.relation = relation
  }

  /**
   * A transaction's rows without those that are late, and which of them are followed by what takes their place. In a
   * table with a primary key, all changes of a key are late if one is: a row that is late stays as it is.
   */
  screen(table: PendingTable, rows: Batch, updates: number[]): Screened {
    this.dropped = null
    const late = this.lateRows(rows)
    if (late === null) return { rows, updates }
    if (table.definition.schema.primaryKey.length > 0) spread(table, rows, late)
    const kept = new Batch(rows.layout, rows.length)
    const dropped = new Batch(rows.layout)
    const moved: number[] = []
    for (let i = 0; i < rows.length; i++) {
      if (late[i] === 1) appendRows(rows, i, i + 1, dropped)
      else {
        if (updates.includes(i)) moved.push(kept.length)
        appendRows(rows, i, i + 1, kept)
      }
    }
    this.dropped = dropped
    return { rows: kept, updates: moved }
  }

  /** Which rows are late; null if none is. */
  private lateRows(rows: Batch): Uint8Array | null {
    let late: Uint8Array | null = null
    for (const { column, value } of this.waterlines) {
      if (value === null) continue
      const cells = rows.columns[column] as ArrayLike<Time>
      for (let i = 0; i < rows.length; i++) {
        if (cells[i] >= value || rows.weights[i] === 0n) continue
        late ??= new Uint8Array(rows.length)
        late[i] = 1
      }
    }
    return late
  }

  /** Takes note of rows that the log has: several transactions become one epoch, in which rows may cancel. */
  witness(rows: Batch): void {
    for (const waterline of this.waterlines) waterline.witness(rows)
  }

  /** The transaction was committed. Returns whether somebody is to be called. */
  publish(lsn: bigint): boolean {
    const { dropped, relation } = this
    this.dropped = null
    if (dropped === null || dropped.length === 0) return false
    const changes = Array.from({ length: dropped.length }, (_, i) => {
      return { row: relation.decode(dropped, i), weight: dropped.weights[i] }
    })
    return this.late.take(lsn, changes)
  }

  /** The transaction was not. */
  forget(): void {
    this.dropped = null
  }

  /** The waterline of a column by name. Throws UsageError if it has none. */
  valueOf(name: string | undefined): Value {
    const { columns } = this.relation.schema
    const found = this.waterlines.find(w => name === undefined || columns[w.column].name === name)
    if (found !== undefined) return found.value
    throw new UsageError(`${this.relation.what} has no waterline ${quote(String(name))}`)
  }
}

/** Marks all rows whose key has a late one. */
function spread(table: PendingTable, rows: Batch, late: Uint8Array): void {
  const textOf = (i: number): string => keyOfRow(table, rows, i).map(String).join('\u0000')
  const keys = new Set<string>()
  for (let i = 0; i < rows.length; i++) if (late[i] === 1) keys.add(textOf(i))
  for (let i = 0; i < rows.length; i++) if (late[i] === 0 && keys.has(textOf(i))) late[i] = 1
}
