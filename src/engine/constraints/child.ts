/**
 * The references of a foreign key, arranged by the parent's kind of key: what refers to nothing is left out, and what
 * is not nullable in the parent is not nullable here, so that key words of both sides can be compared.
 *
 * Where nothing has to be done to the rows that refer, it is enough to count them by their keys; they are arranged, by the
 * key columns alone, if there is such an arrangement anyway, or the parent's key is not one of its arrangement's key words.
 * Where rows are deleted or changed, the arrangement has all columns.
 */
import { kernelsOf } from '../../../codegen/kernels.js'
import { quote, SchemaError } from '../../base/errors.js'
import { allOf } from '../../circuit/conditions.js'
import type { Expr } from '../../circuit/expr.js'
import { filterOf, mapOf } from '../../circuit/nodes.js'
import type { AggregateRel, ForeignKeyDefinition, Rel, TableDefinition } from '../../circuit/rel.js'
import { call, columnOf, zeroOf } from '../../circuit/substitute.js'
import { arrangedLayout, type Column, type ColumnSpec } from '../../schema/schema.js'
import type { Circuit } from '../circuit.js'
import { rowsOf } from '../indexes/build.js'
import { specOf, uniqueSchema } from '../plan-aggregate.js'
import { ArrangedGroups, CountedGroups, type KeyGroups, type Touched } from './groups.js'

/** The groups of the child, and where in them the table's columns lie; null if only the key columns do. */
export interface ChildSide {
  readonly groups: ArrangedGroups | CountedGroups
  readonly columns: readonly number[] | null
}

export const hasActions = ({ onDelete, onUpdate }: ForeignKeyDefinition): boolean =>
  onDelete !== 'restrict' || onUpdate !== 'restrict'

/** `columns` are those of the child, in the order of the parent's key. */
export function childSide(
  circuit: Circuit,
  table: TableDefinition,
  definition: ForeignKeyDefinition,
  columns: readonly Column[],
  parent: KeyGroups,
  touched: Touched,
): ChildSide {
  const purpose = `foreign key ${quote(definition.name)} of table ${quote(table.schema.name)}`
  columns.forEach((column, n) => {
    const wanted = parent.columns[n]
    if (column.type === wanted.type) return
    throw new SchemaError(
      `${purpose}: column ${quote(column.name)} is ${column.type}, but ${quote(wanted.name)} of the parent is ${wanted.type}`,
    )
  })
  const whole = hasActions(definition)
  const { rel, key } = referring(table, columns, parent, whole)
  const { layout } = parent.kernels
  const words = layout.key.kind === 'packed' ? layout.key.columns.length : key.length
  const rest = key.slice(words).map(index => ({ index, descending: false }))
  if (!whole && rest.length === 0 && !circuit.hasSide(table, rel, key)) {
    const exprs = key.map(k => columnOf(rel.schema, k))
    const counts: AggregateRel = { kind: 'aggregate', input: rel, keys: exprs, aggregates: [], schema: rel.schema }
    const what = { table, columns: columns.map(c => c.index), nullable: parent.columns.map(c => c.nullable) }
    const operator = circuit.addKeys(table, purpose, counts, what)
    const kernels = kernelsOf(arrangedLayout(rel.schema, key), circuit.mode)
    return { groups: new CountedGroups(operator, kernels, touched), columns: null }
  }
  const side =
    rest.length === 0
      ? circuit.addSide(table, purpose, rel, key)
      : {
          operator: circuit.addArrangement(table, purpose, rel, key.slice(0, words), rest),
          columns: rel.schema.columns.map(c => c.index),
        }
  const { schema } = side.operator.kernels.layout
  const groups = new ArrangedGroups(
    side.operator,
    key.map(k => schema.columns[side.columns[k]]),
    touched,
  )
  return { groups, columns: whole ? side.columns.slice(0, table.schema.columns.length) : null }
}

function referring(
  table: TableDefinition,
  columns: readonly Column[],
  parent: KeyGroups,
  whole: boolean,
): { rel: Rel; key: number[] } {
  const source = rowsOf(table)
  const { schema } = table
  const base = whole ? schema.columns : []
  const alike = columns.every((column, n) => column.nullable === parent.columns[n].nullable)
  if (alike && whole) return { rel: source, key: columns.map(c => c.index) }
  const present = columns.filter((column, n) => column.nullable && !parent.columns[n].nullable)
  const conditions = present.map(c => call('not', [call('isNull', [columnOf(schema, c.index)], 'bool')], 'bool'))
  const exprs: Expr[] = base.map(c => columnOf(schema, c.index))
  const specs: ColumnSpec[] = exprs.map((e, n) => specOf(e, schema.columns[n].name))
  for (const column of columns) {
    const plain = columnOf(schema, column.index)
    exprs.push(present.includes(column) ? call('coalesce', [plain, zeroOf(column.type)], column.type) : plain)
    const { nullable } = parent.columns[exprs.length - 1 - base.length]
    specs.push({ name: column.name, type: column.type, nullable })
  }
  const input = conditions.length === 0 ? source : filterOf(source, allOf(conditions))
  return { rel: mapOf(input, exprs, uniqueSchema(schema.name, specs)), key: columns.map((_, n) => base.length + n) }
}
