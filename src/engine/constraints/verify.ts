/**
 * Constraints and indexes recomputed from the rows of their tables: for `gnitz check` and for tests. Plain and slow, and
 * independent of what enforces and keeps them: rows are read as objects, conditions are interpreted, keys are texts.
 */
import { quote, UsageError } from '../../base/errors.js'
import { evaluate } from '../../circuit/eval.js'
import type { Expr } from '../../circuit/expr.js'
import type { CheckDefinition, ForeignKeyDefinition, UniqueDefinition } from '../../circuit/rel.js'
import { Failure } from '../../circuit/scalar.js'
import type { RowSchema } from '../../schema/schema.js'
import type { Value } from '../../schema/types.js'
import { compareValues } from '../../schema/values.js'
import type { Database } from '../database.js'
import type { TableHandle } from '../handles/table.js'
import type { TableRules } from './table-rules.js'

/** What is wrong with a constraint or an index, in words. */
export interface Finding {
  readonly table: string
  /** The constraint or index. */
  readonly name: string
  readonly problem: string
}

interface Row {
  readonly values: readonly Value[]
  readonly weight: bigint
}

const textOf = (values: readonly Value[]): string =>
  JSON.stringify(values.map(v => [typeof v, v instanceof Uint8Array ? [...v].join() : String(v)]))

function rowsOf(table: TableHandle<unknown, unknown>): Row[] {
  const { columns } = table.schema
  return table.entries().map(({ row, weight }) => ({
    values: columns.map(c => (row as Readonly<Record<string, Value>>)[c.name]),
    weight,
  }))
}

function rulesOf(database: Database, table: TableHandle<unknown, unknown>): TableRules {
  const entry = database.definitions.registry.find(table)
  if (entry?.kind !== 'table') throw new UsageError(`there is no table ${quote(table.name)}`)
  return entry.rules
}

const isKept = (table: TableHandle<unknown, unknown>): boolean => !table.definition.stream

/** Every constraint against all rows. An empty list: all hold. */
export function checkConstraints(database: Database): Finding[] {
  const tables = database.tables.filter(isKept)
  const rows = new Map(tables.map(table => [table.name, rowsOf(table)]))
  return tables.flatMap(table => {
    const { definitions, children } = rulesOf(database, table)
    const own = rows.get(table.name) ?? []
    return definitions.flatMap(definition => {
      if (definition.kind === 'check') return checkFindings(table.schema, definition, own)
      if (definition.kind === 'unique') return uniqueFindings(table.schema, definition, own)
      const parent = children.find(k => k.definition === definition)?.parentTable.definition.schema
      return parent === undefined ? [] : keyFindings(table.schema, definition, own, parent, rows.get(parent.name) ?? [])
    })
  })
}

function checkFindings(schema: RowSchema, { name, condition }: CheckDefinition, rows: readonly Row[]): Finding[] {
  const found: Finding[] = []
  for (const { values, weight } of rows) {
    if (weight <= 0n) continue
    const result = cellOf(condition, values)
    if (result instanceof Failure) found.push(finding(schema, name, `${result.message}: row ${textOf(values)}`))
    else if (result === false) found.push(finding(schema, name, `row ${textOf(values)} does not satisfy it`))
  }
  return found
}

function uniqueFindings(schema: RowSchema, definition: UniqueDefinition, rows: readonly Row[]): Finding[] {
  const { name, terms, nullsNotDistinct } = definition
  const found: Finding[] = []
  const seen = new Map<string, Row>()
  for (const row of rows) {
    const key = keyOf(
      terms.map(t => t.expr),
      row,
    )
    if (key === null || (!nullsNotDistinct && key.includes(null))) continue
    const other = seen.get(textOf(key))
    seen.set(textOf(key), row)
    if (row.weight !== 1n) found.push(finding(schema, name, `row ${textOf(row.values)} has weight ${row.weight}`))
    if (other !== undefined) {
      found.push(finding(schema, name, `rows ${textOf(other.values)} and ${textOf(row.values)} have one key`))
    }
  }
  return found
}

function keyFindings(
  schema: RowSchema,
  { name, columns, parentColumns }: ForeignKeyDefinition,
  rows: readonly Row[],
  parent: RowSchema & { readonly primaryKey?: readonly number[] },
  parents: readonly Row[],
): Finding[] {
  const there =
    parentColumns === null
      ? (parent.primaryKey ?? [])
      : parentColumns.map(c => parent.columns.findIndex(({ name: n }) => n === c))
  const kept = totals(parents, there)
  const found: Finding[] = []
  for (const [text, { key, weight }] of totals(rows, columns)) {
    if (weight <= 0n || (kept.get(text)?.weight ?? 0n) > 0n) continue
    found.push(finding(schema, name, `${textOf(key)} is not in table ${quote(parent.name)}`))
  }
  return found
}

/** Weights of keys without NULL. */
function totals(rows: readonly Row[], columns: readonly number[]) {
  const sums = new Map<string, { key: Value[]; weight: bigint }>()
  for (const { values, weight } of rows) {
    const key = columns.map(c => values[c])
    if (key.includes(null)) continue
    const text = textOf(key)
    sums.set(text, { key, weight: (sums.get(text)?.weight ?? 0n) + weight })
  }
  return sums
}

/** Every index against the rows of its table: the same rows, with the same weights, in its order. */
export function checkIndexes(database: Database): Finding[] {
  return database.tables.filter(isKept).flatMap(table => {
    const wanted = new Map(rowsOf(table).map(({ values, weight }) => [textOf(values), weight]))
    return table.indexes.flatMap(index => indexFindings(table, index, wanted))
  })
}

function indexFindings(
  table: TableHandle<unknown, unknown>,
  index: TableHandle<unknown, unknown>['indexes'][number],
  wanted: ReadonlyMap<string, bigint>,
): Finding[] {
  const { name, schema } = table
  const { terms } = index.definition
  const found: Finding[] = []
  const say = (problem: string) => found.push({ table: name, name: index.name, problem })
  const seen = new Set<string>()
  let last: readonly Value[] | null = null
  for (const { row, weight } of index.entries()) {
    const values = schema.columns.map(c => (row as Readonly<Record<string, Value>>)[c.name])
    const text = textOf(values)
    if (seen.has(text)) say(`row ${text} comes twice`)
    seen.add(text)
    if (wanted.get(text) !== weight) say(`row ${text} has weight ${weight}, in the table ${wanted.get(text) ?? 0n}`)
    const key = keyOf(
      terms.map(t => t.expr),
      { values },
    )
    if (key === null) say(`a term fails on row ${text}`)
    else if (last !== null && isAfter(last, key)) say(`row ${text} comes too late`)
    last = key ?? last
  }
  for (const text of wanted.keys()) if (!seen.has(text)) say(`row ${text} is missing`)
  return found

  function isAfter(a: readonly Value[], b: readonly Value[]): boolean {
    for (const [k, { expr, descending }] of terms.entries()) {
      const order = compareValues(expr.type, a[k], b[k])
      if (order !== 0) return descending ? order < 0 : order > 0
    }
    return false
  }
}

function keyOf(terms: readonly Expr[], { values }: Pick<Row, 'values'>): Value[] | null {
  const key: Value[] = []
  for (const term of terms) {
    const value = cellOf(term, values)
    if (value instanceof Failure) return null
    key.push(value)
  }
  return key
}

function cellOf(expr: Expr, values: readonly Value[]): Value | Failure {
  try {
    return evaluate(expr, values)
  } catch (failure) {
    if (failure instanceof Failure) return failure
    throw failure
  }
}

const finding = (schema: RowSchema, name: string, problem: string): Finding => ({ table: schema.name, name, problem })
