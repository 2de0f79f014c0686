/** One transaction: rows are checked and collected per table; nothing reaches the circuit before the end. */
import { ConflictError, RowError, TransactionTooOldError, UsageError } from '../base/errors.js'
import type { Value } from '../schema/types.js'
import { Batch } from '../zset/batch.js'
import type { ColumnsInput } from './ingest.js'
import type { PrimaryKey } from './keys.js'
import { type KvRef, KvTransaction, type KvWriter, kvOf } from './kv/store.js'
import type { RelationReader } from './relation.js'
import {
  encoded,
  encodedBriefly,
  isAsExpected,
  keyOfRow,
  mustHaveKey,
  replace,
  replaceAll,
  retract,
  updated,
} from './transactions/by-key.js'
import type { History, Pin } from './transactions/history.js'
import { collect, type PendingTable, pendingRows, putColumns, putRows, putWeighted } from './transactions/pending.js'
import { type Access, type Layered, mustHaveBeen, type Readable, Reads, type TableRef } from './transactions/reads.js'
import { Seen } from './transactions/seen.js'

/** What a transaction needs of its database. */
export interface TransactionHost {
  readonly history: History
  /** Throws UsageError unless it is a table of the database. */
  writable(table: unknown): PendingTable
  /** Throws UsageError unless it is a table or view of the database. */
  readable(relation: unknown): Readable
  /** Throws ConstraintError if what the transaction has written so far breaks a constraint that is not deferred. */
  judge(tx: Transaction): void
}

type AnyReader = RelationReader<unknown>

/** How a row changes: columns that get a new value, or a function of the row that was that gives them. */
export type Change<R, I> = Partial<I> | ((old: R) => Partial<I>)
/** What a row must be: columns and their values, or a predicate. */
export type Expected<R, I> = Partial<I> | ((old: R) => boolean)

export class Transaction extends Reads {
  /** `ended` says how, for messages. */
  private state: 'open' | 'writing' | 'ended' = 'open'
  private ending = 'has ended'
  /** Why the transaction cannot be committed, whatever became of the error. */
  failure: unknown = null
  readonly touched: PendingTable[] = []
  private seen: Map<AnyReader, Seen> | null = null
  /** Keeps the snapshot, of a transaction that is not alone. */
  private pin: Pin | null = null

  constructor(protected readonly host: TransactionHost) {
    super()
  }

  /**
   * Adds rows with weight +1; in a table with `upsert`, in place of all rows that have their keys. Throws RowError on the
   * first that does not fit; then the transaction is given up.
   */
  insert<R, I>(table: TableRef<R, I>, rows: I | readonly I[]): void {
    this.write(table, putInserted, rows, this)
  }

  /** Adds rows with weight -1: retracts rows equal to these; in a table with `upsert`, all rows that have their keys. */
  delete<R, I>(table: TableRef<R, I>, rows: I | readonly I[]): void {
    this.write(table, putDeleted, rows, this)
  }

  /** Adds rows with any weight: a 64-bit integer. Throws UsageError in a table with `upsert`. */
  add<R, I>(table: TableRef<R, I>, rows: I | readonly I[], weight: number | bigint): void {
    this.write(table, putWeighted, rows, weight)
  }

  /**
   * Adds rows as objects, with weight +1, or as columns. Typed arrays of a column's own class are read where they lie
   * if they are all that the transaction writes to the table: leave them alone until it has ended.
   */
  ingest<R, I>(table: TableRef<R, I>, input: readonly I[] | ColumnsInput<keyof R & string>): void {
    if (Array.isArray(input)) this.write(table, putInserted, input, this)
    else this.write(table, this.exclusive ? putColumns : copyColumns, input as ColumnsInput, null)
  }

  /**
   * Holds what the transaction has written so far against all constraints that are not deferred, as its commit will;
   * rows of others count as they are now. Throws ConstraintError; the transaction may then go on and mend it.
   */
  check(): void {
    if (this.state === 'ended') throw new UsageError(`this transaction ${this.ending}`)
    if (this.state === 'writing') throw new UsageError('a row of this transaction is being read; it must not check')
    this.host.judge(this)
  }

  // ---- by primary key

  /** Puts rows in place of all rows that have their keys. */
  upsert<R, I>(table: TableRef<R, I>, rows: I | readonly I[]): void {
    this.write(table, putUpserted, rows, this)
  }

  /**
   * Changes columns of the row with this key; if there are several, one row comes in their place. Returns false if
   * there is none.
   */
  update<R, I, K>(table: TableRef<R, I, K>, key: NoInfer<PrimaryKey<K>>, change: Change<R, I>): boolean {
    const { target, reader, values } = this.keyed(table, 'update', key)
    const old = reader.first(values)
    if (old === undefined) return false
    // Called before anything is written: it may read, and what it throws gives nothing up.
    const row = updated(target.name, old as object, change)
    this.write(table, putUpdated, row, { seen: reader, key: values })
    return true
  }

  /** Retracts all rows with this key. Returns false if there is none. */
  deleteKey<R, I, K>(table: TableRef<R, I, K>, key: NoInfer<PrimaryKey<K>>): boolean {
    const { reader, values } = this.keyed(table, 'deleteKey', key)
    return this.write(table, takeKey, values, reader)
  }

  /** Inserts a row unless there is one with its key. Returns whether it did. */
  putIfAbsent<R, I>(table: TableRef<R, I>, row: I): boolean {
    return this.putIf(table, 'putIfAbsent', row, (_, seen, key) => seen.find(key).next().done === true)
  }

  /**
   * Puts a row in place of the one with its key, if that is as expected: equal in the columns given, or such that the
   * function says true. Returns whether it did.
   */
  putIfUnchanged<R, I>(table: TableRef<R, I>, row: I, expected: Expected<R, I>): boolean {
    return this.putIf(table, 'putIfUnchanged', row, (target, seen, key) => isAsExpected(target, seen, key, expected))
  }

  private putIf(
    table: unknown,
    call: string,
    row: unknown,
    condition: (target: PendingTable, seen: AnyReader, key: readonly Value[]) => boolean,
  ): boolean {
    const target = this.keyedTable(table, call)
    const rows = this.write(table, encodedRow, row, null)
    const key = keyOfRow(target, rows, 0)
    const reader = this.readKey(target, key)
    if (!condition(target, reader, key)) return false
    this.write(table, putReplaced, rows, reader)
    return true
  }

  private keyed(table: unknown, call: string, key: unknown) {
    const target = this.keyedTable(table, call)
    const values = target.handle.relation.keyOf(key as Value, true)
    return { target, values, reader: this.readKey(target, values) }
  }

  private keyedTable(table: unknown, call: string): PendingTable {
    this.mustBeOpen()
    const target = this.host.writable(table)
    mustHaveKey(target, call)
    return target
  }

  /** Internal: the table as this transaction sees it; the key counts as read. */
  readKey(target: PendingTable, key: readonly Value[]): RelationReader<unknown> {
    const { reader, reads } = this.seenOf(target.handle.relation)
    reads.addKey(key, this.exclusive)
    return reader
  }

  /** A key-value store, to be read and written by this transaction. Throws UsageError if there is none. */
  override kv<K, V>(store: KvRef<K, V>): KvTransaction<K, V> {
    const definition = kvOf('kv', store)
    return new KvTransaction(definition, () => this.kvAccess(definition), this as unknown as KvWriter)
  }

  // ---- state

  /** A function and its arguments rather than a closure: one-row transactions feel the difference. */
  private write<I, W, T>(
    table: unknown,
    put: (target: PendingTable, input: I, detail: W) => T,
    input: I,
    detail: W,
  ): T {
    if (this.state !== 'open' || this.pin !== null) this.mustBeOpen()
    this.state = 'writing'
    try {
      const target = this.pendingOf(this.host.writable(table))
      return put(target, input, detail)
    } catch (error) {
      this.failure ??= error
      throw error
    } finally {
      this.state = 'open'
    }
  }

  private mustBeOpen(): void {
    if (this.state === 'open' && this.pin === null) return
    if (this.state === 'ended') throw new UsageError(`this transaction ${this.ending}`)
    // A getter of a row could get here.
    if (this.state === 'writing') throw new UsageError('a row of this transaction is being read; it must not write')
    if (this.pin?.expired) throw new TransactionTooOldError(this.pin.lsn, this.host.history.limit)
  }

  /** The rows of this transaction in a table: those of the table itself while no other transaction can come in between. */
  private pendingOf(table: PendingTable): PendingTable {
    const { touched } = this
    if (this.pin === null) {
      if (!touched.includes(table)) touched.push(table)
      return table
    }
    const own = touched.find(t => t.handle.relation === table.handle.relation)
    if (own !== undefined) return own
    const fresh = apart(table, new Batch(table.pending.layout))
    touched.push(fresh)
    return fresh
  }

  protected override access(relation: unknown): Access {
    this.mustBeOpen()
    const { history } = this.host
    const readable = this.host.readable(relation)
    const { pin } = this
    if (pin !== null) mustHaveBeen(readable, pin.lsn)
    readable.check(errors => (pin === null ? errors.list() : history.failures(pin, errors)))
    return this.seenOf(readable.relation)
  }

  protected override layered(relation: unknown): Layered {
    const handle = this.host.readable(relation)
    return { handle, runs: this.seenOf(handle.relation).runs() }
  }

  protected override get exclusive(): boolean {
    return this.pin === null
  }

  private seenOf(live: RelationReader<unknown>): Seen {
    this.seen ??= new Map()
    let seen = this.seen.get(live)
    if (seen === undefined) {
      seen = new Seen(live, this)
      this.seen.set(live, seen)
    }
    return seen
  }

  /** Internal, for `Seen`. */
  since(relation: RelationReader<unknown>): readonly Batch[] {
    if (this.state === 'ended' || this.pin?.expired) this.mustBeOpen()
    return this.pin === null ? NOTHING : this.host.history.runs(this.pin, relation)
  }

  /** Internal, for `Seen`. */
  get sinceVersion(): number {
    // An iteration that goes on after the end is stopped here.
    if (this.state === 'ended' || this.pin?.expired) this.mustBeOpen()
    return this.pin === null ? 0 : this.host.history.version
  }

  /** Internal, for `Seen`. */
  written(relation: RelationReader<unknown>): PendingTable | undefined {
    const { touched } = this
    for (let t = 0; t < touched.length; t++) if (touched[t].handle.relation === relation) return touched[t]
    return undefined
  }

  /** Internal: from here on other transactions may come in between. REQUIRES: none has since this one began. */
  detach(pin: Pin): void {
    this.pin = pin
    const { history } = this.host
    abandoned.register(this, () => history.release(pin), this)
    const { touched } = this
    for (let t = 0; t < touched.length; t++) {
      const table = touched[t]
      collect(table)
      const own = table.pending
      table.pending = pendingRows(own.layout, own.texts !== null)
      own.texts?.settle(null)
      own.texts = null
      touched[t] = apart(table, own)
    }
  }

  /** Internal: the LSN of the snapshot; null if the transaction has the database to itself. */
  get snapshotLsn(): bigint | null {
    return this.pin?.lsn ?? null
  }

  /** Internal: has it written anything? */
  get hasWritten(): boolean {
    return this.touched.some(t => t.pending.length > 0 || t.whole !== null)
  }

  get hasEnded(): boolean {
    return this.state === 'ended'
  }

  /** Internal: throws what keeps the transaction from being committed. */
  mustBeSound(): void {
    if (this.state !== 'open' || this.pin !== null) this.mustBeOpen()
    if (this.failure !== null) throw this.failure
  }

  /** Internal: throws ConflictError if what it has read, or keys it has written, were changed since its snapshot. */
  validate(): void {
    const { pin } = this
    if (pin === null) return
    const { history } = this.host
    for (const [relation, { reads }] of this.seen ?? []) {
      const changes = history.changes(pin, relation)
      if (changes === null) continue
      const key = reads.conflict(changes.reader, ({ batch, row }) => relation.keyAt(batch, row))
      if (key !== null) throw conflict(relation, key, pin.lsn, changes.lsn, 'read')
    }
    for (const target of this.touched) {
      if (target.definition.schema.primaryKey.length === 0) continue
      const changes = history.changes(pin, target.handle.relation)
      const rows = target.whole ?? target.pending
      for (let k = 0; changes !== null && k < rows.length; k++) {
        const key = keyOfRow(target, rows, k)
        if (!changes.reader.find(key).next().done) {
          throw conflict(target.handle.relation, key, pin.lsn, changes.lsn, 'wrote')
        }
      }
    }
  }

  /** Internal: lets go of the snapshot. */
  release(): void {
    if (this.pin === null) return
    this.host.history.release(this.pin)
    abandoned.unregister(this)
  }

  /** Internal: forgets the rows; the object is of no use from here on. */
  end(ending?: string): void {
    if (this.state === 'ended') return
    this.state = 'ended'
    if (ending !== undefined) this.ending = ending
    const { touched } = this
    for (let t = 0; t < touched.length; t++) {
      touched[t].pending.clear()
      if (touched[t].updates.length > 0) touched[t].updates = []
      touched[t].whole = null
    }
    if (this.pin !== null) this.release()
  }
}

const NOTHING: readonly Batch[] = []

/** Snapshots of transactions that nobody holds any more, and nobody has ended, are let go. */
const abandoned = new FinalizationRegistry<() => void>(release => release())

/** A table for a transaction that is not alone: with rows of its own. */
function apart(table: PendingTable, pending: Batch): PendingTable {
  return { ...table, pending, whole: null, updates: [], single: [null], encode: (...args) => table.encode(...args) }
}

function putInserted(target: PendingTable, rows: unknown, tx: Transaction): void {
  if (target.definition.upsert === true) putUpserted(target, rows, tx)
  else putRows(target, rows, 1n)
}

function putDeleted(target: PendingTable, rows: unknown, tx: Transaction): void {
  if (target.definition.upsert !== true) return putRows(target, rows, -1n)
  const given = encodedBriefly(target, rows)
  for (let k = 0; k < given.length; k++) {
    const key = keyOfRow(target, given, k)
    retract(target, tx.readKey(target, key), key)
  }
}

function copyColumns(target: PendingTable, input: ColumnsInput): void {
  putColumns(target, input)
  collect(target)
}

function putUpserted(target: PendingTable, input: unknown, tx: Transaction): void {
  mustHaveKey(target, 'upsert')
  const rows = encodedBriefly(target, input)
  if (rows.length > 1) return replaceAll(target, rows, key => tx.readKey(target, key))
  for (let k = 0; k < rows.length; k++) {
    const key = keyOfRow(target, rows, k)
    replace(target, tx.readKey(target, key), key, rows, k)
  }
}

function putUpdated(
  target: PendingTable,
  row: object,
  { seen, key }: { seen: AnyReader; key: readonly Value[] },
): void {
  replace(target, seen, key, encodedBriefly(target, row), 0)
}

function takeKey(target: PendingTable, key: readonly Value[], seen: AnyReader): boolean {
  return retract(target, seen, key)
}

function encodedRow(target: PendingTable, row: unknown): Batch {
  const rows = encoded(target, row)
  if (rows.length !== 1) throw new RowError(target.name, null, null, `expected one row, found ${rows.length}`)
  return rows
}

function putReplaced(target: PendingTable, rows: Batch, seen: AnyReader): void {
  replace(target, seen, keyOfRow(target, rows, 0), rows, 0)
}

function conflict(
  relation: AnyReader,
  key: Value[],
  seen: bigint,
  changed: bigint,
  what: 'read' | 'wrote',
): ConflictError {
  const { name, columns } = relation.schema
  const named = Object.fromEntries(relation.key.map((c, k) => [columns[c].name, key[k]]))
  return new ConflictError(name, named, seen, changed, what)
}
