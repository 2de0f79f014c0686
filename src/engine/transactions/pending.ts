/** Rows that a transaction has written to a table, until it commits. */
import type { EncodeRows } from '../../../codegen/encode.js'
import { quote, RowError, show, UsageError } from '../../base/errors.js'
import type { TableDefinition } from '../../circuit/rel.js'
import type { Layout } from '../../schema/schema.js'
import { appendRows } from '../../zset/append.js'
import { Batch } from '../../zset/batch.js'
import { Texts } from '../../zset/texts.js'
import { type ColumnsInput, checkWeight, columnsBatch } from '../ingest.js'
import type { RelationReader } from '../relation.js'

/** What a transaction writes to. */
export interface PendingTable {
  readonly name: string
  readonly definition: TableDefinition
  readonly handle: { readonly relation: RelationReader<unknown> }
  encode: EncodeRows
  /** Rows of the running transaction. */
  pending: Batch
  /** The transaction's only rows of this table, over the arrays of the user; then `pending` is empty. */
  whole: Batch | null
  /** Rows of `pending` that are retracted and whose place the next row takes. */
  updates: number[]
  /** Holds one row while it is encoded. */
  readonly single: unknown[]
  /** Rows that take the place of others, while those are looked for. */
  scratch?: Batch
}

/** `isPassing`: of a stream, whose rows nobody has to keep; columns that nobody reads are not encoded. */
export function pendingRows(layout: Layout, isPassing: boolean): Batch {
  const rows = new Batch(layout)
  if (isPassing && layout.stored.some(c => c.info.storage === 'german')) rows.texts = new Texts(rows)
  return rows
}

export function putRows(target: PendingTable, rows: unknown, weight: bigint): void {
  if (weight < 0n) mustRetract(target)
  if (target.whole !== null) collect(target)
  encodeRows(target, rows, target.pending, weight)
}

/** Appends one row or an array of rows of the user's. Throws RowError on the first that does not fit. */
export function encodeRows(target: PendingTable, rows: unknown, into: Batch, weight: bigint): void {
  if (rows === undefined || rows === null) {
    throw new RowError(target.name, null, null, `expected a row or an array of rows, found ${show(rows)}`)
  }
  if (Array.isArray(rows)) {
    into.reserve(rows.length)
    into.length = target.encode(rows, into, weight)
    return
  }
  if (typeof rows === 'object' && Symbol.iterator in rows) {
    const hint = 'Array.from makes an array of what can be iterated'
    throw new RowError(target.name, null, null, `expected a row or an array of rows, found ${show(rows)}; ${hint}`)
  }
  const { single } = target
  single[0] = rows
  into.reserve(1)
  into.length = target.encode(single, into, weight)
}

/** Throws UsageError in a table whose rows stay. */
export function mustRetract({ definition, name }: PendingTable): void {
  if (definition.appendOnly !== true) return
  throw new UsageError(`table ${quote(name)} is append-only: its rows cannot be deleted, updated or replaced`)
}

export function putWeighted(target: PendingTable, rows: unknown, weight: number | bigint): void {
  if (target.definition.upsert === true) {
    throw new UsageError(`add: table ${quote(target.name)} has upsert: rows go by their keys, not by weights`)
  }
  putRows(target, rows, checkWeight(target.name, null, weight))
}

export function putColumns(target: PendingTable, input: ColumnsInput): void {
  const { pending, name, definition } = target
  if (typeof input !== 'object' || input === null) {
    throw new RowError(name, null, null, `expected an array of rows or { columns: { … } }, found ${show(input)}`)
  }
  const batch = columnsBatch(pending.layout, input)
  if (definition.upsert === true) {
    throw new UsageError(`ingest: table ${quote(name)} has upsert: give it rows as objects`)
  }
  if (definition.appendOnly === true && batch.weights.subarray(0, batch.length).some(w => w < 0n)) mustRetract(target)
  if (target.whole === null && pending.length === 0) {
    target.whole = batch
    return
  }
  collect(target)
  appendRows(batch, 0, batch.length, pending)
}

/** Rows over arrays of the user become ordinary rows: others will follow, or the arrays may change. */
export function collect(target: PendingTable): void {
  const { whole, pending } = target
  if (whole === null) return
  target.whole = null
  appendRows(whole, 0, whole.length, pending)
}
