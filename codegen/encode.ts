/**
 * Between a user's values and batches: row objects and column arrays in, row objects out. Encoders are generated
 * per table; what they refuse is looked at again here, slowly, to say what is wrong.
 */
import { quote, RowError, show } from '../src/base/errors.js'
import type { Column, RowSchema } from '../src/schema/schema.js'
import { MAX_STRING_BYTES, type TypeName, type Value } from '../src/schema/types.js'
import { normalise, Problem } from '../src/schema/values.js'
import type { Batch } from '../src/zset/batch.js'
import { INLINE_BYTES } from '../src/zset/heap.js'
import { encodeString } from '../src/zset/strings.js'
import { Texts } from '../src/zset/texts.js'
import { $put, encodeRows } from '../templates/rows.js'
import { type Built, build, type Mode } from './build.js'
import { writeValue } from './expr/plain.js'
import { external, type Template } from './specialise/types.js'

/** Returns the batch's new length. */
export type EncodeRows = (rows: readonly unknown[], batch: Batch, weight: bigint) => number

/** What `encodeRows` needs to know of a column at compile time. */
function columnStatics(column: Column) {
  const { info } = column
  const isSmallInteger = info.js === 'number' && info.min !== null && column.type !== 'date'
  return {
    name: column.name,
    index: column.index,
    type: column.type,
    storage: info.storage,
    nullable: column.nullable,
    nullBit: column.nullBit,
    isSmallInteger,
    isTimestamp: column.type === 'timestamp' || column.type === 'timestamptz',
    min: isSmallInteger ? Number(info.min) : 0,
    max: isSmallInteger ? Number(info.max) : 0,
    // A name that every object seems to have is looked for on the row itself.
    inherited: column.name in {},
    hasDefault: column.defaultValue !== undefined,
    put: $put,
  }
}

const encoders = {
  compiled: new WeakMap<RowSchema, Built<EncodeRows>>(),
  generic: new WeakMap<RowSchema, Built<EncodeRows>>(),
}

/**
 * The encoder of a table, made once for a schema: throws RowError on the first row that does not fit, leaving the batch's
 * length alone.
 */
export function rowEncoder(schema: RowSchema, mode: Mode = 'compiled'): Built<EncodeRows> {
  let encoder = encoders[mode].get(schema)
  if (encoder === undefined) {
    encoder = makeEncoder(schema, mode)
    encoders[mode].set(schema, encoder)
  }
  return encoder
}

function makeEncoder(schema: RowSchema, mode: Mode): Built<EncodeRows> {
  const unit = { name: schema.name, provenance: ['row objects to columns'] }
  const built = build<EncodeRows>(mode, unit, 'encodeRows', encodeRows as unknown as Template, {
    $columns: schema.columns.map(columnStatics),
    $nullWords: schema.nullWords,
    $ownProperty: external(ownProperty),
    $putString: external(putString),
    $putOther: external(putOther),
    $putDefault: external(putDefault),
    $countNames: external(countNames),
    $check: external((rows: readonly unknown[], i: number) => checkRow(schema, rows, i), 'checkRow'),
    $reject: external((rows: readonly unknown[], i: number) => reject(schema, rows, i), 'reject'),
  })
  const hasText = schema.columns.some(c => c.type === 'string')
  return hasText ? { ...built, fn: textsTogether(built.fn) } : built
}

/** From so many rows on, long strings are encoded together. */
const TOGETHER = 16

/** Where long strings of the rows that are being encoded go; null: into their cells. */
let texts: Texts | null = null

/** `texts` is set for the call alone: reading a row may run code of the user's that encodes other rows. */
function textsTogether(encode: EncodeRows): EncodeRows {
  return (rows, batch, weight) => {
    const outer = texts
    texts = batch.texts ?? (rows.length < TOGETHER ? null : new Texts(batch))
    try {
      const length = encode(rows, batch, weight)
      if (batch.texts === null) texts?.settle(null)
      return length
    } finally {
      texts = outer
    }
  }
}

function ownProperty(row: object, name: string): unknown {
  return Object.hasOwn(row, name) ? (row as Record<string, unknown>)[name] : undefined
}

/** Stores a string if it is one, well formed and not too long. */
export function putString(value: unknown, batch: Batch, column: number, row: number): 0 | 1 {
  if (typeof value !== 'string' || value.length > MAX_STRING_BYTES || !isWellFormed(value)) return 0
  if (value.length * 3 > MAX_STRING_BYTES && Buffer.byteLength(value) > MAX_STRING_BYTES) return 0
  if (texts !== null && value.length > INLINE_BYTES) texts.put(value, column, row)
  else encodeString(value, batch.lanes[column], row * 4, batch.heap)
  return 1
}

/** False if the text has lone surrogates, which UTF-8 cannot say. Of ES2024, and in Node 20. */
const isWellFormed = (text: string): boolean => (text as string & { isWellFormed(): boolean }).isWellFormed()

function putOther(type: TypeName, value: unknown, batch: Batch, index: number, k: number): 0 | 1 {
  if (value === undefined || value === null) return 0
  const canonical = normalise(type, value)
  if (canonical instanceof Problem) return 0
  writeValue(batch, batch.layout.schema.columns[index], k, canonical)
  return 1
}

/** Stores the default of a column that a row was given without. */
function putDefault(batch: Batch, index: number, k: number): void {
  const column = batch.layout.schema.columns[index]
  writeValue(batch, column, k, column.defaultValue as Value)
}

function countNames(row: object): number {
  let count = 0
  for (const _ in row) count++
  return count
}

function reject(schema: RowSchema, rows: readonly unknown[], i: number): never {
  checkRow(schema, rows, i)
  throw new RowError(schema.name, null, i, 'the row changed while it was read')
}

/** Says what is wrong with a row, if anything is. */
function checkRow(schema: RowSchema, rows: readonly unknown[], i: number): void {
  const row = rows[i]
  if (typeof row !== 'object' || row === null) {
    throw new RowError(schema.name, null, i, `expected a row object, found ${show(row)}`)
  }
  for (const column of schema.columns) {
    const value = column.name in {} ? ownProperty(row, column.name) : (row as Record<string, unknown>)[column.name]
    const problem = problemOf(column, value)
    if (problem !== null) throw new RowError(schema.name, column.name, i, problem)
  }
  const known = new Set(schema.columns.map(c => c.name))
  for (const name in row) {
    if (!known.has(name) && (row as Record<string, unknown>)[name] !== undefined) {
      const names = schema.columns.map(c => quote(c.name)).join(', ')
      throw new RowError(schema.name, name, i, `the table has no such column; it has ${names}`)
    }
  }
}

function problemOf(column: Column, value: unknown): string | null {
  if (value === undefined || value === null) {
    if (column.nullable || (value === undefined && column.defaultValue !== undefined)) return null
    return value === null ? 'expected a value, found null in a column that is not nullable' : 'the column is missing'
  }
  const canonical = normalise(column.type, value)
  return canonical instanceof Problem ? canonical.message : null
}

/**
 * Writes a user's array, of any kind, into a column. `nulls[i]` = 1 and null are NULL, undefined is the default.
 * Throws RowError on the first value that does not fit. REQUIRES: null bits of the column are 0.
 */
export function encodeColumn(
  batch: Batch,
  column: Column,
  values: ArrayLike<unknown>,
  nulls: Uint8Array | null,
  rows: number,
): void {
  const { name } = batch.layout.schema
  for (let i = 0; i < rows; i++) {
    const value = nulls !== null && nulls[i] !== 0 ? null : values[i]
    if (value === null || value === undefined) {
      const problem = problemOf(column, value)
      if (problem !== null) throw new RowError(name, column.name, i, problem)
      writeValue(batch, column, i, value === undefined ? (column.defaultValue ?? null) : null)
      continue
    }
    const canonical =
      column.type === 'bool' && typeof value === 'number' ? boolOf(value) : normalise(column.type, value)
    if (canonical instanceof Problem) throw new RowError(name, column.name, i, canonical.message)
    writeValue(batch, column, i, canonical)
  }
}

/** In columns, 0 and 1 of a typed array stand for booleans. */
function boolOf(value: number): boolean | Problem {
  if (value === 0 || value === 1) return value === 1
  return new Problem(`expected a boolean, 0 or 1, found ${value}`)
}
