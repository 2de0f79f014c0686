/**
 * The catalog: what tables and views a directory has, as rows of tables of its own. They are logged, checkpointed and read
 * like any other, so a definition is as durable as the rows it defines, and a view may be made over them.
 */

import { GnitzError, quote, UsageError } from '../../base/errors.js'
import type { RowOf, TableDef } from '../../circuit/columns.js'
import { bool, string, table, u32, u64 } from '../../circuit/columns.js'
import type { Udf } from '../../circuit/expr.js'
import type {
  ConstraintDefinition,
  IndexDefinition,
  Rel,
  Relation,
  TableDefinition,
  ViewDefinition,
  Waterline,
} from '../../circuit/rel.js'
import {
  circuitOf,
  circuitText,
  namesIn,
  schemaFromJson,
  schemaJson,
  udfLabel,
} from '../../circuit/serialise/circuit.js'
import { fromJson, type Json, toJson } from '../../circuit/serialise/values.js'
import type { TableSchema } from '../../schema/schema.js'

/** Names that begin so are not for users. */
export const SYSTEM_PREFIX = 'gnitz_'

/** `store`: the number of its table in the directory. `definition`: everything else, as JSON. */
const TABLES = { id: u32().primaryKey(), name: string(), store: u32(), definition: string() }
const VIEWS = { id: u32().primaryKey(), name: string(), key: string(), circuit: string() }
/** `definition`: its terms, as JSON. */
const INDEXES = { table: u32().primaryKey(), name: string().primaryKey(), definition: string() }
/** `definition`: what it demands, as JSON. */
const CONSTRAINTS = { table: u32().primaryKey(), name: string().primaryKey(), kind: string(), definition: string() }
/** `lsn`: everything up to this transaction is taken care of. */
const SUBSCRIPTIONS = { name: string().primaryKey(), relation: u32(), lsn: u64() }
/** Columns of tables and views. */
const COLUMNS = {
  relation: u32().primaryKey(),
  position: u32().primaryKey(),
  name: string(),
  type: string(),
  nullable: bool(),
}

export type TableRow = RowOf<typeof TABLES>
export type ViewRow = RowOf<typeof VIEWS>
export type IndexRow = RowOf<typeof INDEXES>
export type ConstraintRow = RowOf<typeof CONSTRAINTS>
export type ColumnRow = RowOf<typeof COLUMNS>
export type SubscriptionRow = RowOf<typeof SUBSCRIPTIONS>

export const CATALOG = {
  tables: table('gnitz_tables', TABLES),
  views: table('gnitz_views', VIEWS),
  columns: table('gnitz_columns', COLUMNS),
  indexes: table('gnitz_indexes', INDEXES),
  constraints: table('gnitz_constraints', CONSTRAINTS),
  /** Not part of what is replayed as definitions: it goes with transactions of others. */
  subscriptions: table('gnitz_subscriptions', SUBSCRIPTIONS),
}

export const SYSTEM_TABLES: readonly TableDef<unknown, unknown>[] = Object.values(CATALOG) as never

export function tableRow(id: number, store: number, definition: TableDefinition): TableRow {
  const { kind: _kind, schema, indexes: _indexes, constraints: _constraints, ...rest } = definition
  const json = { schema: schemaJson(schema), rest: toJson(rest) }
  return { id, name: schema.name, store, definition: JSON.stringify(json) }
}

export function tableOf(row: TableRow): TableDefinition {
  const { schema, rest } = JSON.parse(row.definition) as { schema: Json; rest: Json }
  return Object.freeze({
    kind: 'table',
    schema: schemaFromJson(schema) as TableSchema,
    ...(fromJson(rest) as Omit<TableDefinition, 'kind' | 'schema'>),
  })
}

export function viewRow(id: number, { schema, key, rel, waterlines }: ViewDefinition): ViewRow {
  const late = waterlines === undefined ? {} : { waterlines: toJson(waterlines) }
  const named = { schema: schemaJson(schema), key: toJson(key), ...late }
  return { id, name: schema.name, key: JSON.stringify(named), circuit: circuitText(rel) }
}

/** What names in stored circuits stand for. */
export interface Known {
  relation(name: string): Relation
  /** By `udfKey`. */
  udf(key: string): Udf | undefined
}

/** Throws UsageError if the view calls a user function that is not known. */
export function viewOf(row: ViewRow, known: Known): ViewDefinition {
  const { schema, key, waterlines } = JSON.parse(row.key) as { schema: Json; key: Json; waterlines?: Json }
  const names = {
    relation: (name: string) => known.relation(name),
    udf: udfOr(`view ${quote(row.name)}`, known.udf),
  }
  const rel = circuitOf(row.circuit, names) as Rel
  const late = waterlines === undefined ? {} : { waterlines: fromJson(waterlines) as Waterline[] }
  return Object.freeze({ kind: 'view', schema: schemaFromJson(schema), rel, key: fromJson(key) as number[], ...late })
}

/** Names of the tables and views that a stored view reads. */
export const sourcesOf = (row: ViewRow): string[] => namesIn(row.circuit).relations

export const indexRow = (table: number, definition: IndexDefinition): IndexRow => ({
  table,
  name: definition.name,
  definition: circuitText(definition),
})

/** Throws UsageError if the index calls a user function that is not known. */
export function indexOf(row: IndexRow, udf: Known['udf']): IndexDefinition {
  const what = `index ${quote(row.name)}`
  const relation = (name: string): never => {
    throw new GnitzError('CORRUPT', `${what} refers to ${quote(name)}`)
  }
  return circuitOf(row.definition, { relation, udf: udfOr(what, udf) }) as IndexDefinition
}

export const constraintRow = (table: number, definition: ConstraintDefinition): ConstraintRow => ({
  table,
  name: definition.name,
  kind: definition.kind,
  definition: circuitText(definition),
})

/** Throws UsageError if the constraint calls a user function that is not known. */
export function constraintOf(row: ConstraintRow, known: Known): ConstraintDefinition {
  const names = {
    relation: (name: string) => known.relation(name),
    udf: udfOr(`constraint ${quote(row.name)}`, known.udf),
  }
  return circuitOf(row.definition, names) as ConstraintDefinition
}

/** Functions by key. Throws UsageError if there is none. */
const udfOr =
  (what: string, known: Known['udf']) =>
  (key: string): Udf => {
    const udf = known(key)
    if (udf !== undefined) return udf
    const label = udfLabel(key)
    const problem = `${what} calls ${label.what}, which is not known`
    throw new UsageError(`${problem}; give it to open as open(directory, { udfs: [${label.name}] })`)
  }

export function columnRows(id: number, { schema }: Relation): ColumnRow[] {
  return schema.columns.map(({ index, name, type, nullable }) => ({
    relation: id,
    position: index,
    name,
    type,
    nullable,
  }))
}
