/**
 * Writes that find their rows by primary key. A key is no uniqueness constraint: what lies under it, be it no row or
 * several, is retracted as a whole, and one row comes in its place.
 */
import { readValue } from '../../../codegen/expr/plain.js'
import { quote, RowError, show, UsageError } from '../../base/errors.js'
import type { Value } from '../../schema/types.js'
import { compareValues, normalise, Problem } from '../../schema/values.js'
import { appendRows } from '../../zset/append.js'
import { Batch } from '../../zset/batch.js'
import type { RowRef } from '../read.js'
import type { RelationReader } from '../relation.js'
import { collect, encodeRows, mustRetract, type PendingTable } from './pending.js'

/** Throws UsageError unless rows of the table can be found by primary key. */
export function mustHaveKey({ definition, name }: PendingTable, call: string): void {
  if (definition.stream) throw new UsageError(`${call}: table ${quote(name)} is a stream: its rows are not kept`)
  if (definition.schema.primaryKey.length > 0) return
  throw new UsageError(
    `${call}: table ${quote(name)} has no primary key to find rows by; give it one, or write whole rows with insert ` +
      'and delete',
  )
}

/** The primary key of row k of a flat batch. */
export function keyOfRow({ definition: { schema } }: PendingTable, batch: Batch, k: number): Value[] {
  return schema.primaryKey.map(c => readValue(batch, schema.columns[c], k))
}

/** Rows of the user's in the table's columns, checked, weight 1 each. */
export function encoded(target: PendingTable, rows: unknown): Batch {
  const batch = new Batch(target.pending.layout)
  encodeRows(target, rows, batch, 1n)
  return batch
}

/** The same in memory that is used again: good until the next call. */
export function encodedBriefly(target: PendingTable, rows: unknown): Batch {
  target.scratch ??= new Batch(target.pending.layout)
  const { scratch } = target
  scratch.clear()
  if (scratch.capacity > KEPT_ROWS) scratch.release()
  encodeRows(target, rows, scratch, 1n)
  return scratch
}

/** More memory than this is given back. */
const KEPT_ROWS = 1024

/** Retracts all rows under a key, as `seen` has them; returns whether there were any. */
export function retract(target: PendingTable, seen: RelationReader<unknown>, key: readonly Value[]): boolean {
  collect(target)
  const before = target.pending.length
  copyNegated(target, seen, key, target.pending)
  return target.pending.length > before
}

/** Appends all rows under a key to flat ones, with the opposite weights. */
function copyNegated(target: PendingTable, seen: RelationReader<unknown>, key: readonly Value[], flat: Batch): void {
  for (const { batch, row, weight } of seen.find(key)) {
    mustRetract(target)
    flat.reserve(1)
    const k = flat.length
    seen.project(batch, row, flat, k)
    flat.weights[k] = BigInt.asIntN(64, -weight)
    flat.length = k + 1
  }
}

/** Puts row k of `rows` in place of what is under a key. */
export function replace(
  target: PendingTable,
  seen: RelationReader<unknown>,
  key: readonly Value[],
  rows: Batch,
  k: number,
): void {
  collect(target)
  const { length } = target.pending
  retract(target, seen, key)
  if (target.pending.length === length + 1) target.updates.push(length)
  appendRows(rows, k, k + 1, target.pending)
}

/**
 * Puts rows in place of what is under their keys; of several with one key the last. `seenAt` reads what is under a key: all
 * of it before anything is written, since a transaction that reads what it has written sorts that first.
 */
export function replaceAll(
  target: PendingTable,
  rows: Batch,
  seenAt: (key: readonly Value[]) => RelationReader<unknown>,
): void {
  const last = new Map<string, number>()
  for (let k = 0; k < rows.length; k++) last.set(keyText(keyOfRow(target, rows, k)), k)
  const replaced = new Batch(target.pending.layout)
  const steps: { readonly k: number; readonly end: number }[] = []
  for (const k of last.values()) {
    const key = keyOfRow(target, rows, k)
    copyNegated(target, seenAt(key), key, replaced)
    steps.push({ k, end: replaced.length })
  }
  collect(target)
  const { pending } = target
  let from = 0
  for (const { k, end } of steps) {
    if (end - from === 1) target.updates.push(pending.length)
    appendRows(replaced, from, end, pending)
    appendRows(rows, k, k + 1, pending)
    from = end
  }
}

/** Different for different keys of one table. */
function keyText(key: readonly Value[]): string {
  if (key.length === 1 && !(key[0] instanceof Uint8Array)) return String(key[0])
  const texts = key.map(value => (value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : String(value)))
  return texts.map(text => `${text.length} ${text}`).join('')
}

/** The row that an update makes: the old one with the columns of `change`, an object or a function of the old row. */
export function updated(table: string, old: object, change: unknown): object {
  const given: unknown = typeof change === 'function' ? (change as (old: object) => unknown)({ ...old }) : change
  const isPlain =
    typeof given === 'object' && given !== null && typeof (given as { then?: unknown }).then !== 'function'
  if (!isPlain || Array.isArray(given)) {
    const what = typeof change === 'function' ? 'the update to return an object of columns' : 'an object of columns'
    throw new RowError(table, null, null, `expected ${what}, found ${show(given)}`)
  }
  return { ...old, ...given }
}

/**
 * Is every row under a key, and there is one, as expected? `expected` is an object of some columns, all of which must
 * be equal, or a predicate on the row.
 */
export function isAsExpected(
  target: PendingTable,
  seen: RelationReader<unknown>,
  key: readonly Value[],
  expected: unknown,
): boolean {
  if (typeof expected === 'function') {
    const rows = seen.all(key)
    return rows.length > 0 && rows.every(row => (expected as (row: unknown) => unknown)(row) === true)
  }
  const wanted = wantedOf(target, expected)
  let found = false
  for (const ref of seen.find(key)) {
    if (!wanted.every(({ column, value }) => isEqual(target, ref, column, value))) return false
    found = true
  }
  return found
}

function isEqual({ definition }: PendingTable, { batch, row }: RowRef, column: number, value: Value): boolean {
  const { schema } = definition
  return compareValues(schema.columns[column].type, readValue(batch, schema.columns[column], row), value) === 0
}

function wantedOf(
  { name, definition: { schema } }: PendingTable,
  expected: unknown,
): { column: number; value: Value }[] {
  if (typeof expected !== 'object' || expected === null) {
    throw new RowError(
      name,
      null,
      null,
      `expected an object of columns or a function of the row, found ${show(expected)}`,
    )
  }
  return Object.entries(expected).map(([columnName, value]: [string, unknown]) => {
    const column = schema.columns.find(c => c.name === columnName)
    if (column === undefined) {
      const names = schema.columns.map(c => quote(c.name)).join(', ')
      throw new RowError(name, columnName, null, `the table has no such column; it has ${names}`)
    }
    if (value === null || value === undefined) return { column: column.index, value: null }
    const canonical = normalise(column.type, value)
    if (canonical instanceof Problem) throw new RowError(name, columnName, null, canonical.message)
    return { column: column.index, value: canonical }
  })
}
