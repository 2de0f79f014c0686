/**
 * Late rows: changes of a table or view below one of its waterlines. Those of a table are kept out before constraints see
 * the transaction, so what is logged, and replayed, are the rows that were accepted; those of a view by an operator at its
 * end (`operators/screen.ts`). They are data: counted, listed as far as there is room, and handed to subscribers.
 */
import { quote, show, UsageError } from '../base/errors.js'
import type { Value } from '../schema/types.js'
import { appendRows } from '../zset/append.js'
import { Batch } from '../zset/batch.js'
import { lateRows, type ScreenOperator, spread } from './operators/screen.js'
import type { WaterlineOperator } from './operators/waterline.js'
import type { Changes, Entry, RelationReader, Subscriber } from './relation.js'
import { keyOfRow } from './transactions/by-key.js'
import type { PendingTable } from './transactions/pending.js'

/** Late rows that are listed; of older ones only their number is known. */
const KEPT_ROWS = 1000

/** The late rows of a table or view. Not durable: they begin anew with every opening of the database. */
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

/** Knows what was dropped for being late, and behind which waterlines. */
export abstract class Late {
  readonly late = new LateRows<unknown>()

  constructor(
    readonly waterlines: readonly WaterlineOperator[],
    protected relation: RelationReader<unknown>,
  ) {}

  /** The transaction was committed. Returns whether somebody is to be called. */
  abstract publish(lsn: bigint): boolean

  /** The transaction was not. */
  abstract forget(): void

  protected take(lsn: bigint, dropped: Batch): boolean {
    const changes = Array.from({ length: dropped.length }, (_, i) => {
      return { row: this.relation.decode(dropped, i), weight: dropped.weights[i] }
    })
    return this.late.take(lsn, changes)
  }

  /** The waterline of a column by name. Throws UsageError if it has none. */
  valueOf(name: string | undefined): Value {
    const { columns } = this.relation.schema
    const found = this.waterlines.find(w => name === undefined || columns[w.column].name === name)
    if (found !== undefined) return found.value
    throw new UsageError(`${this.relation.what} has no waterline ${quote(String(name))}`)
  }
}

/** The late rows of a view. */
export class LateChanges extends Late {
  /** Dropped by transactions that may still be taken back. */
  private open: { readonly lsn: bigint; readonly dropped: Batch }[] = []

  constructor(
    private readonly screen: ScreenOperator,
    relation: RelationReader<unknown>,
    /** May the log still refuse a transaction? */
    private readonly isOpen: (lsn: bigint) => boolean,
  ) {
    super(screen.waterlines, relation)
  }

  get hasDropped(): boolean {
    return this.screen.dropped !== null
  }

  override publish(lsn: bigint): boolean {
    const { dropped } = this.screen
    this.screen.dropped = null
    if (dropped === null) return false
    this.open = this.open.filter(o => this.isOpen(o.lsn))
    if (this.isOpen(lsn)) this.open.push({ lsn, dropped })
    return this.take(lsn, dropped)
  }

  override forget(): void {
    this.screen.dropped = null
  }

  /** The next epoch takes back these transactions: what they dropped is not there to be taken out. */
  undo(lsns: readonly bigint[]): void {
    this.screen.undone = this.open.flatMap(({ lsn, dropped }) => (lsns.includes(lsn) ? [dropped] : []))
    this.open = this.open.filter(({ lsn }) => !lsns.includes(lsn))
    if (this.screen.undone.length > 0) this.screen.dirty = true
  }

  /** That epoch is over. */
  endUndo(): void {
    this.screen.undone = null
  }
}

/** Keeps late rows out of a table. */
export class LateGate extends Late {
  /** Of the running transaction. */
  private dropped: Batch | null = null

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
    const late = lateRows(rows, this.waterlines)
    if (late === null) return { rows, updates }
    if (table.definition.schema.primaryKey.length > 0) spread(late, i => keyOfRow(table, rows, i))
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

  /** Takes note of rows that the log has: several transactions become one epoch, in which rows may cancel. */
  witness(rows: Batch): void {
    for (const waterline of this.waterlines) waterline.witness(rows)
  }

  override publish(lsn: bigint): boolean {
    const { dropped } = this
    this.dropped = null
    return dropped !== null && dropped.length > 0 && this.take(lsn, dropped)
  }

  override forget(): void {
    this.dropped = null
  }
}
