/**
 * Columns of a user as a batch. A typed array of the column's own storage class enters as it is, without a copy
 * (floats are scanned for -0 and NaN payloads first); anything else is converted value by value.
 */
import { encodeColumn } from '../../codegen/encode.js'
import { quote, RowError, show } from '../base/errors.js'
import type { Column, Layout, RowSchema } from '../schema/schema.js'
import type { Storage } from '../schema/types.js'
import { allocateColumn, Batch, type ColumnArray } from '../zset/batch.js'

/** A column as a user may give it. */
export type ColumnInput = ColumnArray | readonly unknown[]

export interface ColumnsInput<Names extends string = string> {
  readonly columns: Readonly<Partial<Record<Names, ColumnInput>>>
  /** One weight per row; +1 each if left out. */
  readonly weights?: BigInt64Array | Int32Array | readonly (number | bigint)[]
  /** Per nullable column: 1 where the value is NULL. */
  readonly nulls?: Readonly<Partial<Record<Names, Uint8Array>>>
}

const CLASS_OF: Readonly<Partial<Record<Storage, { new (n: number): ColumnArray }>>> = {
  u8: Uint8Array,
  i8: Int8Array,
  u16: Uint16Array,
  i16: Int16Array,
  u32: Uint32Array,
  i32: Int32Array,
  f32: Float32Array,
  f64: Float64Array,
  i64: BigInt64Array,
  u64: BigUint64Array,
}

let ones = new BigInt64Array(0)

/** Weights of +1, shared: nobody writes to them. */
function onesFor(rows: number): BigInt64Array {
  if (ones.length < rows) ones = new BigInt64Array(Math.max(rows, 1024)).fill(1n)
  return ones
}

/**
 * A flat batch over the user's arrays; valid as long as they are not changed.
 * Throws RowError naming table, column and row on anything that does not fit.
 */
export function columnsBatch(layout: Layout, input: ColumnsInput): Batch {
  const { schema } = layout
  if (typeof input.columns !== 'object' || input.columns === null) {
    throw new RowError(schema.name, null, null, `expected { columns: { … } }, found columns: ${show(input.columns)}`)
  }
  const given = new Map(Object.entries(input.columns))
  const flags = new Map(Object.entries(input.nulls ?? {}))
  refuseUnknown(schema, [...given.keys(), ...flags.keys()])
  const rows = rowCount(schema, given)
  const batch = new Batch(layout, 0)
  batch.capacity = rows
  if (schema.nullWords > 0) {
    batch.nulls = new BigUint64Array(rows * schema.nullWords)
    batch.nulls32 = new Uint32Array(batch.nulls.buffer)
  }
  batch.setWeights(weightsOf(schema, input.weights, rows))
  for (const column of schema.columns) {
    const nulls = flags.get(column.name) ?? null
    if (nulls !== null) checkNulls(schema, column, nulls, rows)
    placeColumn(batch, column, given.get(column.name), nulls, rows)
  }
  batch.length = rows
  return batch
}

function refuseUnknown(schema: RowSchema, names: readonly string[]): void {
  for (const name of names) {
    if (schema.columns.some(c => c.name === name)) continue
    const known = schema.columns.map(c => quote(c.name)).join(', ')
    throw new RowError(schema.name, name, null, `the table has no such column; it has ${known}`)
  }
}

function rowCount(schema: RowSchema, given: ReadonlyMap<string, ColumnInput | undefined>): number {
  let rows = -1
  let first = ''
  for (const [name, values] of given) {
    if (!Array.isArray(values) && (!ArrayBuffer.isView(values) || values instanceof DataView)) {
      throw new RowError(schema.name, name, null, `expected an array or typed array, found ${show(values)}`)
    }
    const { length } = values as ColumnArray
    if (rows < 0) {
      rows = length
      first = name
    } else if (rows !== length) {
      const found = `found ${length}`
      throw new RowError(schema.name, name, null, `expected ${rows} values, as many as ${quote(first)} has, ${found}`)
    }
  }
  return Math.max(rows, 0)
}

function weightsOf(schema: RowSchema, weights: ColumnsInput['weights'], rows: number): BigInt64Array {
  if (weights === undefined) return onesFor(rows)
  if (weights?.length !== rows) {
    const found = typeof weights === 'object' && weights !== null ? `${weights.length}` : show(weights)
    throw new RowError(schema.name, null, null, `expected ${rows} weights, found ${found}`)
  }
  if (weights instanceof BigInt64Array) return weights
  const converted = new BigInt64Array(rows)
  if (weights instanceof Int32Array) {
    const lanes = new Int32Array(converted.buffer)
    for (let i = 0; i < rows; i++) {
      lanes[i * 2] = weights[i]
      lanes[i * 2 + 1] = weights[i] >> 31
    }
    return converted
  }
  for (let i = 0; i < rows; i++) converted[i] = checkWeight(schema.name, i, weights[i])
  return converted
}

/** A weight as i64. Throws RowError unless it is a bigint in range or a safe integer. */
export function checkWeight(table: string, row: number | null, weight: unknown): bigint {
  if (typeof weight === 'bigint' && BigInt.asIntN(64, weight) === weight) return weight
  if (typeof weight === 'number' && Number.isSafeInteger(weight)) return BigInt(weight)
  throw new RowError(table, null, row, `expected a weight: a 64-bit integer, found ${show(weight)}`)
}

function checkNulls({ name }: RowSchema, column: Column, nulls: Uint8Array, rows: number): void {
  if (!column.nullable) throw new RowError(name, column.name, null, 'null flags for a column that is not nullable')
  if (!(nulls instanceof Uint8Array) || nulls.length !== rows) {
    throw new RowError(name, column.name, null, `expected a Uint8Array of ${rows} null flags`)
  }
}

function placeColumn(
  batch: Batch,
  column: Column,
  values: ColumnInput | undefined,
  nulls: Uint8Array | null,
  rows: number,
): void {
  const { name } = batch.layout.schema
  const { storage, min } = column.info
  if (values === undefined) {
    if (column.defaultValue !== undefined && nulls === null) {
      batch.setColumn(column.index, allocateColumn(storage, rows))
      encodeColumn(batch, column, new Array(rows), null, rows)
      return
    }
    if (!column.nullable) throw new RowError(name, column.name, null, 'the column is missing')
    if (nulls?.includes(0))
      throw new RowError(name, column.name, nulls.indexOf(0), 'not NULL by its flag, but there are no values')
    batch.setColumn(column.index, allocateColumn(storage, rows))
    nullAll(batch, column, rows)
    return
  }
  const own = CLASS_OF[storage]
  const plain = own !== undefined && values instanceof own && nulls === null && isCanonical(column, values)
  if (plain && (min !== null || storage === 'f32' || storage === 'f64')) {
    batch.setColumn(column.index, values)
    return
  }
  batch.setColumn(column.index, allocateColumn(storage, rows))
  encodeColumn(batch, column, values, nulls, rows)
}

/** May the array enter as it is? Typed arrays are in range by their class, but for these cases. */
function isCanonical(column: Column, values: ColumnArray): boolean {
  if (column.type === 'f64' || column.type === 'f32') return areCanonical(values as Float64Array)
  return column.type !== 'time' && column.type !== 'bool'
}

/** Is there neither NaN nor -0? Four at a time, since a square above 0 says no to both; others are looked at singly. */
function areCanonical(values: Float64Array): boolean {
  const n = values.length
  for (let i = 0; i < n; ) {
    if (i + 3 < n) {
      const a = values[i]
      const b = values[i + 1]
      const c = values[i + 2]
      const d = values[i + 3]
      if (a * a > 0 && b * b > 0 && c * c > 0 && d * d > 0) {
        i += 4
        continue
      }
    }
    for (const end = Math.min(i + 4, n); i < end; i++) {
      const x = values[i]
      if (x !== x || (x === 0 && 1 / x < 0)) return false
    }
  }
  return true
}

function nullAll(batch: Batch, column: Column, rows: number): void {
  const words = batch.layout.schema.nullWords * 2
  for (let i = 0; i < rows; i++) batch.nulls32[i * words + (column.nullBit >> 5)] |= 1 << (column.nullBit & 31)
}
