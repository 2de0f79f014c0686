/**
 * Tables as a program writes them: column builders and `table()`.
 *
 * The types of rows are inferred from the columns. A row that is read has every column (`T | null` if nullable). A
 * row that is inserted must have every column that is not nullable and has no default; a column that is left out gets
 * its default, or else NULL.
 */
import { CompileError, quote, SchemaError, show } from '../base/errors.js'
import type { Interval } from '../schema/interval.js'
import type { JsonValue } from '../schema/nested.js'
import type { IntervalInput } from '../schema/present.js'
import { type ColumnSpec, type RowSchema, type TableSchema, tableSchema } from '../schema/schema.js'
import { arrayOf, decimalOf, mapOf, type Part, structOf, TYPES, type TypeName, type Value } from '../schema/types.js'
import { normalise, Problem } from '../schema/values.js'
import {
  type ConstraintSpec,
  columnTerms,
  constraintDefinition,
  type IndexSpec,
  impliedUnique,
  indexDefinition,
} from './builder/rules.js'
import { isTimeType, type Span, spanOf } from './builder/spans.js'
import type { ConstraintDefinition, IndexDefinition, TableDefinition, Waterline } from './rel.js'

/** Type-level only: the row, the inserted row, and the value of things that carry them. Never there at run time. */
export declare const ROW: unique symbol
export declare const INSERT: unique symbol
export declare const VALUE: unique symbol
export declare const KEY: unique symbol

/** Written out, so that editors show the columns and not the machinery. */
export type Simplify<T> = { [K in keyof T]: T[K] } & {}

/**
 * A column of a table: its type and what it allows. Frozen; each method gives a new builder.
 * `T` is a value that is read, `Input` one that is inserted, both without null.
 */
export class ColumnBuilder<
  T,
  Nullable extends boolean = false,
  Input = T,
  Key extends boolean = boolean,
  Optional extends boolean = boolean,
> {
  declare readonly [VALUE]: T
  declare readonly [INSERT]: Input
  readonly type: TypeName
  readonly isNullable: Nullable
  readonly isPrimaryKey: Key
  readonly isUniqueKey: boolean
  readonly hasDefault: Optional
  /** Canonical; undefined if there is none. */
  readonly defaultValue: Value | undefined
  /** How late rows may come, by this column; null if nobody minds. */
  readonly maxLateness: Span | null

  constructor(
    type: TypeName,
    isNullable: Nullable,
    isPrimaryKey: Key,
    isUniqueKey = false,
    defaultValue: Value | undefined = undefined,
    maxLateness: Span | null = null,
  ) {
    this.type = type
    this.isNullable = isNullable
    this.isPrimaryKey = isPrimaryKey
    this.isUniqueKey = isUniqueKey
    this.hasDefault = (defaultValue !== undefined) as Optional
    this.defaultValue = defaultValue
    this.maxLateness = maxLateness
    Object.freeze(this)
  }

  /**
   * Makes the column (part of) the primary key; on several columns the key is composite, in their order. It says how
   * rows are found. With `unique` on one of its columns the key is also a constraint: no two rows share it.
   */
  primaryKey(
    this: ColumnBuilder<T, false, Input, boolean, Optional>,
    options: { readonly unique?: boolean } = {},
  ): ColumnBuilder<T, false, Input, true, Optional> {
    return new ColumnBuilder<T, false, Input, true, Optional>(
      ...([this.type, false, true, options.unique === true, this.defaultValue, this.maxLateness] as const),
    )
  }

  /** Allows NULL. A primary key column cannot be nullable: `table` refuses it. */
  nullable(): ColumnBuilder<T, true, Input, Key, Optional> {
    const { type, isPrimaryKey, isUniqueKey, defaultValue, maxLateness } = this
    return new ColumnBuilder<T, true, Input, Key, Optional>(
      ...([type, true, isPrimaryKey, isUniqueKey, defaultValue, maxLateness] as const),
    )
  }

  /**
   * A row that is inserted without the column gets this value, and so do rows that are there when the column is added
   * (`db.alterTable`). Throws SchemaError if the column cannot hold it.
   */
  default(value: Input): ColumnBuilder<T, Nullable, Input, Key, true> {
    const canonical = value === null || value === undefined ? undefined : normalise(this.type, value)
    if (canonical === undefined || canonical instanceof Problem) {
      const problem = canonical?.message ?? `expected a value, found ${show(value)}`
      throw new SchemaError(`default of a ${this.type} column: ${problem}`)
    }
    const { type, isNullable, isPrimaryKey, isUniqueKey, maxLateness } = this
    return new ColumnBuilder<T, Nullable, Input, Key, true>(
      ...([type, isNullable, isPrimaryKey, isUniqueKey, canonical, maxLateness] as const),
    )
  }

  /**
   * Makes the column a time that goes on: changes of rows that are more than `span` behind the greatest time seen are
   * late, and dropped. See docs/time.md. `table` refuses it on nullable columns, and on types that are no times.
   */
  lateness(
    this: ColumnBuilder<T, false, Input, Key, Optional>,
    span: Span,
  ): ColumnBuilder<T, false, Input, Key, Optional> {
    const { type, isNullable, isPrimaryKey, isUniqueKey, defaultValue } = this
    return new ColumnBuilder<T, false, Input, Key, Optional>(
      ...([type, isNullable, isPrimaryKey, isUniqueKey, defaultValue, span] as const),
    )
  }
}

const make =
  <T, Input = T>(type: TypeName) =>
  (): ColumnBuilder<T, false, Input, false, false> =>
    new ColumnBuilder<T, false, Input, false, false>(type, false, false)

type Integer64 = bigint | number
type Instant = bigint | number | string | Date

export const bool = make<boolean>('bool')
export const i8 = make<number>('i8')
export const i16 = make<number>('i16')
export const i32 = make<number>('i32')
export const u8 = make<number>('u8')
export const u16 = make<number>('u16')
export const u32 = make<number>('u32')
export const f32 = make<number>('f32')
export const f64 = make<number>('f64')
/** 64 bits and more are read as bigint; safe integers may be inserted as numbers. */
export const i64 = make<bigint, Integer64>('i64')
export const u64 = make<bigint, Integer64>('u64')
export const u128 = make<bigint, Integer64>('u128')
export const uuid = make<string>('uuid')
export const string = make<string>('string')
export const bytes = make<Uint8Array>('bytes')
/** Days since 1970-01-01. */
export const date = make<number, number | string | Date>('date')
/** Microseconds since midnight. */
export const time = make<bigint, bigint | number | string>('time')
/** Microseconds since 1970-01-01T00:00:00, without a zone. */
export const timestamp = make<bigint, Instant>('timestamp')
/** Microseconds since 1970-01-01T00:00:00Z. */
export const timestamptz = make<bigint, Instant>('timestamptz')

/** Months, days and microseconds. Taken is also text like `1 month 2 days 03:04:05`. */
export const interval = make<Interval, IntervalInput | string>('interval')
/** JSON, of any shape or, as far as TypeScript is concerned, of the shape `T`, which nothing checks at run time. */
export const json = <T = JsonValue>(): ColumnBuilder<T, false, T> => make<T>('json')()

/**
 * Exact numbers of at most `precision` (up to 38) digits, `scale` of them after the point, read as text like `12.50`.
 * Throws SchemaError unless 1 <= precision <= 38 and 0 <= scale <= precision.
 */
export function decimal(precision: number, scale = 0): ColumnBuilder<string, false, string | number | bigint> {
  return make<string, string | number | bigint>(checkedType('decimal', () => decimalOf(precision, scale)))()
}

type Element<C> = C extends ColumnBuilder<infer T, infer N, unknown> ? (N extends true ? T | null : T) : never
type ElementInput<C> =
  C extends ColumnBuilder<unknown, infer N, infer I> ? (N extends true ? I | null | undefined : I) : never
type AnyColumn = ColumnBuilder<unknown, boolean, unknown>

/** Arrays: `array(string())`, or with NULL among the elements `array(string().nullable())`. */
export function array<C extends AnyColumn>(
  element: C,
): ColumnBuilder<readonly Element<C>[], false, readonly ElementInput<C>[]> {
  return make<readonly Element<C>[], readonly ElementInput<C>[]>(arrayOf(partOf('array', element)))()
}

type MapInput<K, V> =
  | ReadonlyMap<K, V>
  | readonly (readonly [K, V])[]
  | (K extends string ? { readonly [k: string]: V } : never)

/** Maps: `map(string(), i64())`. Keys are not NULL. Throws SchemaError on nullable keys. */
export function map<K extends ColumnBuilder<unknown, false, unknown>, V extends AnyColumn>(
  key: K,
  value: V,
): ColumnBuilder<ReadonlyMap<Element<K>, Element<V>>, false, MapInput<ElementInput<K>, ElementInput<V>>> {
  const { type, nullable } = partOf('map', key)
  if (nullable) throw new SchemaError('map: expected keys that are not nullable')
  const name = mapOf(type, partOf('map', value))
  return make<ReadonlyMap<Element<K>, Element<V>>, MapInput<ElementInput<K>, ElementInput<V>>>(name)()
}

/** Records: `struct({ street: string(), number: u32().nullable() })`. Throws SchemaError if there is no field. */
export function struct<C extends ColumnBuilders>(fields: C): ColumnBuilder<Simplify<RowOf<C>>, false, InsertOf<C>> {
  const given = typeof fields === 'object' && fields !== null ? Object.entries(fields) : []
  const parts = given.map(([name, field]) => ({ name, ...partOf('struct', field) }))
  return make<Simplify<RowOf<C>>, InsertOf<C>>(checkedType('struct', () => structOf(parts)))()
}

function partOf(what: string, column: unknown): Part {
  if (column instanceof ColumnBuilder) return { type: column.type, nullable: column.isNullable }
  throw new SchemaError(`${what}: expected a column like string(), found ${show(column)}`)
}

function checkedType(what: string, makeType: () => TypeName): TypeName {
  try {
    return makeType()
  } catch (problem) {
    if (problem instanceof RangeError) throw new SchemaError(`${what}: ${problem.message}`)
    throw problem
  }
}

export type ColumnBuilders = Readonly<Record<string, ColumnBuilder<unknown, boolean, unknown>>>

type ReadValue<C> = C extends ColumnBuilder<infer T, infer N, unknown> ? (N extends true ? T | null : T) : never
type InputValue<C> = C extends ColumnBuilder<unknown, boolean, infer I> ? I : never
type NullableNames<C> = { [K in keyof C]: C[K] extends ColumnBuilder<unknown, true, unknown> ? K : never }[keyof C]
type DefaultNames<C> = {
  [K in keyof C]: C[K] extends { readonly hasDefault: infer D } ? (true extends D ? K : never) : never
}[keyof C]

/** A row as it is read from a table with these columns. */
export type RowOf<C> = { -readonly [K in keyof C]: ReadValue<C[K]> }
/** A row as it may be inserted into a table with these columns. */
export type InsertOf<C> = Simplify<
  { -readonly [K in Exclude<keyof C, NullableNames<C> | DefaultNames<C>>]: InputValue<C[K]> } & {
    -readonly [K in NullableNames<C>]?: InputValue<C[K]> | null
  } & { -readonly [K in Exclude<DefaultNames<C>, NullableNames<C>>]?: InputValue<C[K]> }
>

type KeyNames<C> = {
  [K in keyof C]: C[K] extends { readonly isPrimaryKey: infer P } ? (true extends P ? K : never) : never
}[keyof C]

/** The key columns of a table as they may be given to find a row: none if it has no primary key. */
export type KeyOf<C, Names extends readonly string[]> = Simplify<{
  -readonly [K in (KeyNames<C> | Names[number]) & keyof C]: InputValue<C[K]>
}>

/** The key of a table of which the type checker does not know the columns. */
export type AnyKey = Readonly<Record<string, unknown>>

/** A table definition that knows its row types, and the values of its primary key by column. */
export interface TableDef<R, I = R, K = AnyKey> extends TableDefinition {
  readonly [ROW]: R
  readonly [INSERT]: I
  readonly [KEY]: K
}

export interface TableOptions<
  R = { [column: string]: unknown },
  Key extends readonly (keyof R & string)[] = readonly (keyof R & string)[],
> {
  /** The key columns in order, instead of `.primaryKey()` on columns. */
  readonly primaryKey?: Key
  /** Makes the primary key a constraint, as `.primaryKey({ unique: true })` does. */
  readonly uniqueKey?: boolean
  /** The rows are not stored: they pass through the views and are forgotten. */
  readonly stream?: boolean
  /** As `.lateness(span)` on the column. */
  readonly waterline?: { readonly column: keyof R & string; readonly lateness?: Span }
  /** An insertion takes the place of the row that has its primary key, and a deletion goes by the key alone. */
  readonly upsert?: boolean
  /** Rows are never retracted: what would do so is refused. */
  readonly appendOnly?: boolean
  /** Secondary indexes by name. */
  readonly indexes?: Readonly<Record<string, IndexSpec<R>>>
  /** Constraints by name: CHECK, UNIQUE and foreign keys. */
  readonly constraints?: Readonly<Record<string, ConstraintSpec<R>>>
}

/**
 * Defines a table. Throws SchemaError on empty, duplicate or missing names, on a key column that is nullable or does
 * not exist, where the key is given in both ways, and on indexes and constraints that cannot be.
 */
export function table<C extends ColumnBuilders, const P extends readonly (keyof C & string)[] = readonly []>(
  name: string,
  columns: C,
  options: TableOptions<Simplify<RowOf<C>>, P> = {},
): TableDef<Simplify<RowOf<C>>, InsertOf<C>, KeyOf<C, P>> {
  const given = options as unknown as TableOptions<never>
  const schema = schemaOf(name, columns, given.primaryKey)
  const stream = options.stream === true
  const rules = rulesOf(schema, given.uniqueKey === true || isUniqueKey(columns), given)
  if (stream && (rules.indexes.length > 0 || rules.constraints.some(c => c.kind !== 'check'))) {
    throw new SchemaError(`table ${quote(name)} is a stream, which keeps no rows: it can only have CHECK constraints`)
  }
  const definition: TableDefinition = Object.freeze({
    kind: 'table',
    schema,
    stream,
    ...inputsOf(schema, columns, given),
    ...rules,
  })
  // The symbols that make the difference exist in types only.
  return definition as TableDef<Simplify<RowOf<C>>, InsertOf<C>, KeyOf<C, P>>
}

/** How rows come in. */
function inputsOf(
  schema: TableSchema,
  columns: ColumnBuilders,
  { waterline, upsert = false, appendOnly = false, stream = false }: TableOptions<never>,
): Pick<TableDefinition, 'waterlines' | 'upsert' | 'appendOnly'> {
  const what = `table ${quote(schema.name)}`
  const waterlines = waterlinesOf(schema, columns, waterline)
  if (upsert && (schema.primaryKey.length === 0 || stream || appendOnly)) {
    const found = stream ? 'a stream' : appendOnly ? 'appendOnly' : 'none'
    throw new SchemaError(`${what}: upsert: expected a primary key and rows that are kept and change, found ${found}`)
  }
  return {
    ...(waterlines.length > 0 ? { waterlines: Object.freeze(waterlines) } : {}),
    ...(upsert ? { upsert } : {}),
    ...(appendOnly ? { appendOnly } : {}),
  }
}

function waterlinesOf(schema: TableSchema, columns: ColumnBuilders, option: TableOptions['waterline']): Waterline[] {
  const marked = schema.columns.flatMap(({ name }) => {
    const span = columns[name].maxLateness
    return span === null ? [] : [{ name, span }]
  })
  const given = option === undefined ? [] : [{ name: option.column, span: option.lateness ?? null }]
  return [...marked, ...given].map(({ name, span }) => waterlineOf(`table ${quote(schema.name)}`, schema, name, span))
}

/** The waterline of a column of a table or view. Throws SchemaError if it cannot have one. */
export function waterlineOf(of: string, schema: RowSchema, name: unknown, span: Span | null): Waterline {
  const what = `${of}: waterline of column ${typeof name === 'string' ? quote(name) : show(name)}`
  const column = schema.columns.find(c => c.name === name)
  if (column === undefined) throw new SchemaError(`${what}: there is no such column`)
  if (column.nullable || !isTimeType(column.type)) {
    const found = column.nullable ? 'a nullable one' : column.type
    throw new SchemaError(
      `${what}: expected a timestamp, timestamptz, date or integer that is not NULL, found ${found}`,
    )
  }
  const lateness = span === null ? 0n : spanOrProblem(span, column.type, what)
  if (lateness < 0n) throw new SchemaError(`${what}: expected a lateness of 0 or more, found ${show(span)}`)
  return Object.freeze({ column: column.index, lateness })
}

function spanOrProblem(span: Span, type: TypeName, what: string): bigint {
  try {
    return spanOf(span, type, what)
  } catch (problem) {
    throw problem instanceof CompileError ? new SchemaError(problem.message) : problem
  }
}

/** The name of the constraint that a unique primary key is. */
export const PRIMARY_KEY = 'primary key'

function rulesOf(
  schema: TableSchema,
  uniqueKey: boolean,
  options: TableOptions<never>,
): { indexes: readonly IndexDefinition[]; constraints: readonly ConstraintDefinition[] } {
  const indexes = Object.entries(options.indexes ?? {}).map(([name, spec]) => indexDefinition(schema, name, spec))
  const constraints: ConstraintDefinition[] = []
  if (uniqueKey && schema.primaryKey.length === 0) {
    throw new SchemaError(`table ${quote(schema.name)}: uniqueKey: expected a primary key, found none`)
  }
  if (uniqueKey) constraints.push(impliedUnique(PRIMARY_KEY, columnTerms(schema, schema.primaryKey), true))
  for (const { name, terms, unique, nullsNotDistinct } of indexes) {
    if (unique) constraints.push(impliedUnique(name, terms, false, nullsNotDistinct))
  }
  for (const [name, spec] of Object.entries(options.constraints ?? {})) {
    if (constraints.some(c => c.name === name)) {
      throw new SchemaError(`table ${quote(schema.name)}: two constraints are called ${quote(name)}`)
    }
    constraints.push(constraintDefinition(schema, name, spec))
  }
  return { indexes: Object.freeze(indexes), constraints: Object.freeze(constraints) }
}

const isUniqueKey = (columns: ColumnBuilders): boolean =>
  Object.values(columns).some(c => c.isPrimaryKey && c.isUniqueKey)

/** Names and types of the columns. Throws SchemaError if one is no column. */
export function columnSpecs(what: string, columns: ColumnBuilders): ColumnSpec[] {
  return columnsOf(what, columns).map(([name, builder]) => specOf(name, builder))
}

function specOf(name: string, { type, isNullable, defaultValue }: ColumnBuilders[string]): ColumnSpec {
  const spec = { name, type, nullable: isNullable }
  return defaultValue === undefined ? spec : { ...spec, defaultValue }
}

function columnsOf(what: string, columns: ColumnBuilders) {
  if (typeof columns !== 'object' || columns === null) {
    throw new SchemaError(`${what}: expected an object of columns, found ${show(columns)}`)
  }
  const entries = Object.entries(columns)
  for (const [column, builder] of entries) {
    if (!(builder instanceof ColumnBuilder) || TYPES[builder.type] === undefined) {
      const found = typeof builder === 'function' ? 'a function (is `()` missing?)' : show(builder)
      throw new SchemaError(`${what}: column ${quote(column)}: expected a column like u64(), found ${found}`)
    }
  }
  return entries
}

function schemaOf(name: string, columns: ColumnBuilders, keyOption: readonly string[] | undefined): TableSchema {
  const entries = columnsOf(`table ${label(name)}`, columns)
  const marked = entries.filter(([, builder]) => builder.isPrimaryKey).map(([column]) => column)
  if (keyOption !== undefined && marked.length > 0) {
    throw new SchemaError(`table ${label(name)}: give the key either by .primaryKey() or by the option, not both`)
  }
  const specs = entries.map(([column, builder]) => specOf(column, builder))
  return tableSchema(name, specs, keyOption ?? marked)
}

const label = (name: unknown): string => (typeof name === 'string' ? quote(name) : show(name))
