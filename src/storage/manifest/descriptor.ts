/**
 * Table descriptors: what the manifest says of a table, enough to read its shards and its part of the log without
 * any other source. A descriptor is kept as canonical JSON.
 */

import { xxh3 } from '../../base/checksum.js'
import { FormatError, GnitzError, quote } from '../../base/errors.js'
import { arrangedLayout, type Layout, rowSchema } from '../../schema/schema.js'
import { knownType } from '../../schema/types.js'
import {
  type EarlierVersion,
  MIN_VALUE_THRESHOLD,
  type PolicyName,
  type TableDescriptor,
  VALUE_THRESHOLD,
} from '../types.js'

const encoder = new TextEncoder()

/** The descriptor of a table whose rows lie in `layout`. */
export function describe(
  layout: Layout,
  policy: PolicyName,
  weights: TableDescriptor['weights'] = 'any',
  valueThreshold?: number | null,
): TableDescriptor {
  const { schema, key } = layout
  const name = (index: number) => schema.columns[index].name
  return {
    name: schema.name,
    columns: schema.columns.map(c => ({ name: c.name, type: c.type, nullable: c.nullable })),
    key: key.columns.map(name),
    order: layout.order.map(o => ({ column: o.column.name, descending: o.descending })),
    policy,
    weights,
    ...(valueThreshold === undefined || valueThreshold === VALUE_THRESHOLD ? {} : { valueThreshold }),
  }
}

/** Strings and bytes of more bytes than this go to a value log; null: none do. */
export function thresholdOf({ valueThreshold }: TableDescriptor): number | null {
  return valueThreshold === undefined ? VALUE_THRESHOLD : valueThreshold
}

/**
 * The layout a descriptor stands for. `file` is where it was found.
 * Throws FormatError if it names unknown types or columns, or if it is not canonical.
 */
export function layoutOf(descriptor: TableDescriptor, file: string): Layout {
  const problem = (what: string) => new FormatError(file, null, `table ${quote(descriptor.name)}: ${what}`)
  const columns = descriptor.columns.map(({ name, type, nullable }) => {
    const known = knownType(type)
    if (known === null) throw problem(`column ${quote(name)} has the unknown type ${quote(type)}`)
    return { name, type: known, nullable }
  })
  const place = new Map(columns.map((c, index) => [c.name, index]))
  const index = (name: string): number => {
    const at = place.get(name)
    if (at === undefined) throw problem(`its key or order names ${quote(name)}, which is no column`)
    return at
  }
  try {
    const key = descriptor.key.map(index)
    const order = descriptor.order.map(o => ({ index: index(o.column), descending: o.descending }))
    if (new Set(key).size !== key.length) throw problem('a key column is listed twice')
    const layout = arrangedLayout(rowSchema(descriptor.name, columns), key, order)
    if (
      canonical(describe(layout, descriptor.policy, descriptor.weights, descriptor.valueThreshold)) !==
      canonical(present(descriptor))
    ) {
      throw problem('its order of rows is not one that this version can have written')
    }
    return layout
  } catch (error) {
    if (error instanceof GnitzError && error.code !== 'FORMAT') throw problem(error.message)
    throw error
  }
}

/** The descriptor as text: keys in one order, no spaces. Equal descriptors have equal texts. */
export function canonical(descriptor: TableDescriptor): string {
  const { name, columns, key, order, policy, weights, valueThreshold, earlier } = descriptor
  return JSON.stringify({
    name,
    columns: columns.map(c => ({ name: c.name, type: c.type, nullable: c.nullable, fill: c.fill })),
    key,
    order: order.map(o => ({ column: o.column, descending: o.descending })),
    policy,
    weights,
    valueThreshold,
    earlier: earlier?.map(e => ({ tableId: e.tableId, columns: e.columns })),
  })
}

/** The same without what it says of earlier versions: how rows lie now. */
export function present(descriptor: TableDescriptor): TableDescriptor {
  const { earlier: _earlier, columns, ...rest } = descriptor
  return { ...rest, columns: columns.map(({ name, type, nullable }) => ({ name, type, nullable })) }
}

/**
 * What decides how rows lie in files: types, nullability, key and order, not names. Tables with equal hashes have
 * interchangeable files. REQUIRES: `loadChecksum` resolved.
 */
export function schemaHash({ columns, key, order }: TableDescriptor): bigint {
  const place = new Map(columns.map((c, index) => [c.name, index]))
  const physical = {
    columns: columns.map(c => [c.type, c.nullable]),
    key: key.map(name => place.get(name)),
    order: order.map(o => [place.get(o.column), o.descending]),
  }
  return xxh3(encoder.encode(JSON.stringify(physical)))
}

/** Reads a descriptor's text. Throws FormatError if it is not one. */
export function parseDescriptor(text: string, file: string, offset: number): TableDescriptor {
  const problem = (what: string) => new FormatError(file, offset, `table descriptor: ${what}`)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw problem('expected JSON')
  }
  const record = asRecord(value)
  if (record === null) throw problem('expected an object')
  const { name, key, policy, weights, valueThreshold, earlier } = record
  if (typeof name !== 'string') throw problem('expected a name')
  if (policy !== 'write-heavy' && policy !== 'read-heavy') throw problem('expected a policy')
  if (weights !== 'any' && weights !== 'nonNegative') throw problem('expected what weights there can be')
  if (!Array.isArray(key) || !key.every(k => typeof k === 'string')) throw problem('expected names of key columns')
  const columns = asRecords(record.columns)?.map(({ name, type, nullable, fill }) =>
    fill === undefined ? { name, type, nullable } : { name, type, nullable, fill },
  )
  const order = asRecords(record.order)?.map(o => ({ column: o.column, descending: o.descending }))
  if (columns === undefined || order === undefined) throw problem('expected columns and order')
  for (const c of columns) {
    if (typeof c.name !== 'string' || typeof c.type !== 'string' || typeof c.nullable !== 'boolean') {
      throw problem('expected name, type and nullable of each column')
    }
    if (c.fill !== undefined && !(typeof c.fill === 'string' && /^([0-9a-f]{2})*$/.test(c.fill))) {
      throw problem('expected bytes in hexadecimal that fill a column')
    }
  }
  for (const o of order) {
    if (typeof o.column !== 'string' || typeof o.descending !== 'boolean') throw problem('expected an order of columns')
  }
  const versions = earlier === undefined ? {} : { earlier: versionsOf(earlier, problem) }
  if (valueThreshold === undefined) {
    return { name, columns, key, order, policy, weights, ...versions } as TableDescriptor
  }
  const isThreshold = Number.isSafeInteger(valueThreshold) && (valueThreshold as number) >= MIN_VALUE_THRESHOLD
  if (valueThreshold !== null && !isThreshold) throw problem('expected how long values are that go to a value log')
  return { name, columns, key, order, policy, weights, valueThreshold, ...versions } as TableDescriptor
}

function versionsOf(value: unknown, problem: (what: string) => FormatError): EarlierVersion[] {
  const isIndex = (n: unknown) => Number.isSafeInteger(n) && (n as number) >= 0
  const versions = asRecords(value)?.map(({ tableId, columns }) => ({ tableId, columns }))
  for (const { tableId, columns } of versions ?? []) {
    const isList = Array.isArray(columns) && columns.every(isIndex) && new Set(columns).size === columns.length
    if (!isIndex(tableId) || !isList) throw problem('expected number and columns of each earlier version')
  }
  if (versions === undefined || versions.length === 0) throw problem('expected earlier versions')
  return versions as EarlierVersion[]
}

function asRecord(value: unknown): Record<string, unknown> | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : null
}

function asRecords(value: unknown): Record<string, unknown>[] | undefined {
  if (!Array.isArray(value)) return undefined
  const records = value.map(asRecord)
  return records.includes(null) ? undefined : (records as Record<string, unknown>[])
}
