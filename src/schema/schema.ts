/**
 * Row schemas and arrangement layouts.
 *
 * A `RowSchema` names and types the columns of a relation: a table, a view, or any intermediate result.
 * A `Layout` says how its rows lie in a `Batch`: *flat* (columns only, in the order they came) or *arranged*
 * (a u64 or u128 key region first, rows sorted by key and then by the remaining columns).
 *
 * An arranged key is either `packed`: the key columns' order-preserving images side by side, at most 128 bits,
 * the columns themselves not stored again; or `hash`: a 128-bit hash of the key columns, all columns kept, and
 * equality always confirmed on them, so that a collision is slow and never wrong.
 */
import { assert, quote, SchemaError } from '../base/errors.js'
import { knownType, TYPES, type TypeInfo, type TypeName, type Value } from './types.js'

export interface Column {
  readonly name: string
  readonly index: number
  readonly type: TypeName
  readonly info: TypeInfo
  readonly nullable: boolean
  /** Bit in the row's null words, counted over nullable columns in order; -1 if the column is not nullable. */
  readonly nullBit: number
  /** What a row that is inserted without it gets, canonical; undefined: NULL, or it must be there. */
  readonly defaultValue: Value | undefined
}

export interface RowSchema {
  /** Table, view or operator name; used in messages and in generated code. */
  readonly name: string
  readonly columns: readonly Column[]
  /** 64-bit words per row that hold null bits: ceil(nullable columns / 64). A set bit means NULL. */
  readonly nullWords: number
}

export interface TableSchema extends RowSchema {
  /** Column indexes of the primary key; empty if none was declared. */
  readonly primaryKey: readonly number[]
}

export interface ColumnSpec {
  readonly name: string
  readonly type: TypeName
  readonly nullable: boolean
  readonly defaultValue?: Value
}

export const MAX_COLUMNS = 4096

/**
 * Builds a row schema. Throws SchemaError on no or too many columns, and on empty or duplicate names.
 */
export function rowSchema(name: string, specs: readonly ColumnSpec[]): RowSchema {
  if (typeof name !== 'string' || name === '') throw new SchemaError('a relation needs a non-empty name')
  if (specs.length > MAX_COLUMNS) {
    throw new SchemaError(`${quote(name)}: expected at most ${MAX_COLUMNS} columns, found ${specs.length}`)
  }
  const seen = new Set<string>()
  let nullBits = 0
  const columns = specs.map((spec, index): Column => {
    if (typeof spec.name !== 'string' || spec.name === '') {
      throw new SchemaError(`${quote(name)}: column ${index} has an empty name`)
    }
    if (seen.has(spec.name)) throw new SchemaError(`${quote(name)}: two columns are called ${quote(spec.name)}`)
    seen.add(spec.name)
    const info = knownType(spec.type) === null ? undefined : TYPES[spec.type]
    if (info === undefined) throw new SchemaError(`${quote(name)}: column ${quote(spec.name)} has no known type`)
    return Object.freeze({
      name: spec.name,
      index,
      type: spec.type,
      info,
      nullable: spec.nullable,
      nullBit: spec.nullable ? nullBits++ : -1,
      defaultValue: spec.defaultValue,
    })
  })
  return Object.freeze({ name, columns: Object.freeze(columns), nullWords: Math.ceil(nullBits / 64) })
}

/** Builds a table schema. Throws SchemaError also if a key column does not exist or is nullable. */
export function tableSchema(name: string, specs: readonly ColumnSpec[], primaryKey: readonly string[]): TableSchema {
  const row = rowSchema(name, specs)
  if (row.columns.length === 0) throw new SchemaError(`table ${quote(name)} has no columns`)
  const key = primaryKey.map(k => {
    const column = row.columns.find(c => c.name === k)
    if (column === undefined) throw new SchemaError(`table ${quote(name)}: key column ${quote(k)} does not exist`)
    if (column.nullable) throw new SchemaError(`table ${quote(name)}: key column ${quote(k)} must not be nullable`)
    return column.index
  })
  if (new Set(key).size !== key.length) throw new SchemaError(`table ${quote(name)}: a key column is listed twice`)
  return Object.freeze({ ...row, primaryKey: Object.freeze(key) })
}

/** Where a key column's image lies in a packed key, as bits of a 64- or 128-bit number, counted from the top. */
export interface KeyField {
  readonly column: Column
  /** First bit of the image, 0 = most significant. For a nullable column the flag bit lies at `fromBit - 1`. */
  readonly fromBit: number
  readonly bits: number
}

export interface Key {
  readonly kind: 'none' | 'packed' | 'hash'
  /** Column indexes, in key order. */
  readonly columns: readonly number[]
  /** 64-bit words per row in the key region: 0 (`none`), 1 or 2; of two words the less significant comes first. */
  readonly words: 0 | 1 | 2
  /** For `packed` only. */
  readonly fields: readonly KeyField[]
}

export interface SortColumn {
  readonly column: Column
  readonly descending: boolean
}

export interface Layout {
  readonly schema: RowSchema
  readonly key: Key
  /** Columns that are stored, in region order. All of them unless the key is packed. */
  readonly stored: readonly Column[]
  /** Order of rows after the key: every stored column once. NULL first (last if descending). Empty if flat. */
  readonly order: readonly SortColumn[]
}

const NO_KEY: Key = Object.freeze({ kind: 'none', columns: [], words: 0, fields: [] })

/** The layout of a delta between operators, and of what a user hands in: columns only. */
export function flatLayout(schema: RowSchema): Layout {
  return Object.freeze({ schema, key: NO_KEY, stored: schema.columns, order: [] })
}

/**
 * The layout of a relation arranged by `keyColumns`; `order` lists columns that follow the key in the order (for
 * extremes and top-k), the other columns come after in schema order.
 * REQUIRES: indexes exist; a key may have a column twice. With no key columns the key is the hash of nothing: one group.
 */
export function arrangedLayout(
  schema: RowSchema,
  keyColumns: readonly number[],
  order: readonly { index: number; descending: boolean }[] = [],
): Layout {
  const key = makeKey(schema, keyColumns)
  const stored = key.kind === 'packed' ? schema.columns.filter(c => !keyColumns.includes(c.index)) : schema.columns
  const sort: SortColumn[] = []
  const add = (index: number, descending: boolean) => {
    const column = schema.columns[index]
    if (stored.includes(column) && !sort.some(s => s.column === column)) sort.push({ column, descending })
  }
  // A hashed key is confirmed on its columns, so rows of one key must lie together even when hashes collide.
  if (key.kind === 'hash') for (const k of keyColumns) add(k, false)
  for (const o of order) add(o.index, o.descending)
  for (const c of schema.columns) add(c.index, false)
  return Object.freeze({ schema, key, stored: Object.freeze(stored), order: Object.freeze(sort) })
}

function makeKey(schema: RowSchema, columns: readonly number[]): Key {
  const fields: KeyField[] = []
  let bits = 0
  let packable = columns.length > 0
  for (const index of columns) {
    const column = schema.columns[index]
    assert(column !== undefined, `key column ${index} of ${schema.name} exists`)
    if (column.info.keyBits === 0) packable = false
    const flag = column.nullable ? 1 : 0
    fields.push({ column, fromBit: bits + flag, bits: column.info.keyBits })
    bits += flag + column.info.keyBits
  }
  if (!packable || bits > 128) {
    return Object.freeze({ kind: 'hash', columns: Object.freeze([...columns]), words: 2, fields: [] })
  }
  const words = bits <= 64 ? 1 : 2
  // Right-aligned, so that a small integer key is a small number (radix passes skip constant digits).
  const shift = words * 64 - bits
  const shifted = fields.map(f => Object.freeze({ ...f, fromBit: f.fromBit + shift }))
  return Object.freeze({ kind: 'packed', columns: Object.freeze([...columns]), words, fields: Object.freeze(shifted) })
}

/** Text that two schemas share exactly if the same code serves both. Used for caches and provenance. */
export function layoutFingerprint(layout: Layout): string {
  const columns = layout.schema.columns.map(c => `${JSON.stringify(c.name)}:${c.type}${c.nullable ? '?' : ''}`)
  const order = layout.order.map(o => `${o.column.index}${o.descending ? 'd' : ''}`)
  return `${columns.join(',')}|${layout.key.kind}:${layout.key.columns.join(',')}|${order.join(',')}`
}
