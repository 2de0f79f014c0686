/** How values, keys and sizes of a directory read. */
import { readKey, readRow, readValue } from '../../../codegen/expr/plain.js'
import type { Layout } from '../../schema/schema.js'
import { TYPES, type TypeName, type Value } from '../../schema/types.js'
import { formatValue, jsonOf } from '../../schema/values.js'
import { Batch } from '../../zset/batch.js'

/** A row with its weight, as JSON has it: values by column name. */
export interface JsonRow {
  readonly weight: bigint
  readonly row: Readonly<Record<string, unknown>>
}

export function jsonRow(batch: Batch, i: number): JsonRow {
  const { columns } = batch.layout.schema
  const values = readRow(batch, i)
  const entries = columns.map(({ name, type }, c) => [name, jsonValue(type, values[c])] as const)
  return { weight: batch.weights[i], row: Object.fromEntries(entries) }
}

/** Floats that JSON cannot say are text, like bytes and everything that has a text of its own. */
function jsonValue(type: TypeName, value: Value): unknown {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return value
  if (typeof value === 'number' && type !== 'date') return Number.isFinite(value) ? value : String(value)
  if (TYPES[type].shape !== null) return jsonOf(type, value)
  return type === 'bytes' ? valueText(type, value) : formatValue(type, value)
}

/** `+1 (7, "ann", NULL)` */
export function rowText(batch: Batch, i: number): string {
  const values = readRow(batch, i).map((value, c) => valueText(batch.layout.schema.columns[c].type, value))
  const weight = batch.weights[i]
  return `${weight > 0n ? '+' : ''}${weight} (${values.join(', ')})`
}

function valueText(type: TypeName, value: Value): string {
  if (value === null) return 'NULL'
  if (type === 'string') return JSON.stringify(value)
  return type === 'bytes' ? `0x${formatValue(type, value)}` : formatValue(type, value)
}

/** A key: its columns' values where they can be had from it, else the hash. */
export function keyText(layout: Layout, key: bigint): string {
  if (layout.key.kind !== 'packed') return `0x${key.toString(16).padStart(32, '0')}`
  const row = new Batch(layout, 1)
  row.length = 1
  row.keys[0] = BigInt.asUintN(64, key)
  if (layout.key.words === 2) row.keys[1] = key >> 64n
  const image = readKey(row, 0)
  const values = layout.key.fields.map(({ column, fromBit }) => {
    const flag = layout.key.words * 64 - fromBit
    if (column.nullable && ((image >> BigInt(flag)) & 1n) === 0n) return 'NULL'
    return valueText(column.type, readValue(row, column, 0))
  })
  return values.length === 1 ? values[0] : `(${values.join(', ')})`
}

export function keysText(layout: Layout, { minKey, maxKey }: { minKey: bigint; maxKey: bigint }): string {
  const from = keyText(layout, minKey)
  return minKey === maxKey ? from : `${from} … ${keyText(layout, maxKey)}`
}

/** Microseconds since 1970 as 2026-01-31T12:00:00.000Z; thousandths of what is shown are left out. */
export function timeText(microseconds: bigint): string {
  const milliseconds = Number(microseconds / 1000n)
  return milliseconds <= MAX_TIME ? new Date(milliseconds).toISOString() : `${microseconds} µs`
}

/** Milliseconds since 1970 of the last day that `Date` knows. */
const MAX_TIME = 8.64e15

export function hex(value: bigint): string {
  return `0x${value.toString(16).padStart(16, '0')}`
}

/** 1234567 → 1,234,567 */
export function integer(value: number | bigint): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ',')
}

export function bytesText(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  let value = bytes
  let unit = 0
  for (; value >= 1000 && unit < units.length - 1; unit++) value /= 1000
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`
}

export function plural(count: number | bigint, noun: string): string {
  return `${integer(count)} ${noun}${Number(count) === 1 ? '' : 's'}`
}

/** Lines of aligned columns under a heading; `>name` stands on the right. */
export function tableText(heading: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const right = heading.map(name => name.startsWith('>'))
  const all = [heading.map(name => name.replace(/^>/, '')), ...rows]
  const widths = heading.map((_, c) => all.reduce((most, row) => Math.max(most, row[c].length), 0))
  return all.map(row => {
    const cells = row.map((cell, c) => (right[c] ? cell.padStart(widths[c]) : cell.padEnd(widths[c])))
    return cells.join('  ').trimEnd()
  })
}
