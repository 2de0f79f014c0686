/**
 * What `alterTable` makes of a definition: columns are added at the end, columns and the table get other names. Columns
 * are known by their place, so everything that names some by place (circuits, constraints, indexes) stays as it is, but
 * for names that it shows.
 */
import { quote, SchemaError, show, UsageError } from '../../base/errors.js'
import { type ColumnBuilders, columnSpecs, type RowOf, type Simplify } from '../../circuit/columns.js'
import type { Expr } from '../../circuit/expr.js'
import type { ConstraintDefinition, IndexDefinition, IndexTerm, TableDefinition } from '../../circuit/rel.js'
import { replaceColumns } from '../../circuit/substitute.js'
import { type ColumnSpec, type TableSchema, tableSchema } from '../../schema/schema.js'
import { normalise, Problem } from '../../schema/values.js'

/** Other names for some of the columns of `R`. */
export type Renames<R> = { readonly [K in keyof R]?: string }

/** A change of a table. `R`: its rows; `I`: rows as they are inserted. */
export interface AlterTable<R, I, A extends ColumnBuilders = ColumnBuilders, M extends Renames<R> = Renames<R>> {
  /** New columns, which come last. Each is nullable or has a default: that is what rows have which are there. */
  readonly add?: A
  /** Old names and new ones. */
  readonly rename?: M
  /** Other defaults, of columns by their old names, for rows to come; undefined: none any more. */
  readonly defaults?: { readonly [K in keyof I]?: I[K] | undefined }
  /** Another name for the table. */
  readonly name?: string
}

/** `T` with keys renamed as `M` says. */
export type Renamed<T, M> = {
  [K in keyof T as K extends keyof M ? (M[K] extends string ? M[K] : K) : K]: T[K]
}
/** Rows of an altered table. */
export type Altered<T, M, Added> = Simplify<Renamed<T, M> & Added>
export type { RowOf }

const PARTS = ['add', 'rename', 'defaults', 'name']
const COPY = 'make a table of another name and copy the rows'

/** Throws SchemaError on what a table cannot become, and UsageError on what is no change. */
export function alteredDefinition(old: TableDefinition, change: AlterTable<object, object>): TableDefinition {
  const what = `alterTable: table ${quote(old.schema.name)}`
  checkParts(what, change)
  const { add = {}, rename = {}, defaults = {}, name = old.schema.name } = change
  const kept = old.schema.columns.map((column): ColumnSpec => {
    const { type, nullable, defaultValue } = column
    return { name: column.name, type, nullable, ...(defaultValue === undefined ? {} : { defaultValue }) }
  })
  for (const [column, value] of entriesOf(`${what}: defaults`, defaults)) {
    const at = placeOf(what, old.schema, column)
    kept[at] = withDefault(what, kept[at], value)
  }
  for (const [column, to] of entriesOf(`${what}: rename`, rename)) {
    const at = placeOf(what, old.schema, column)
    if (typeof to !== 'string')
      throw new UsageError(`${what}: expected another name for ${quote(column)}, found ${show(to)}`)
    kept[at] = { ...kept[at], name: to }
  }
  const added = columnSpecs(what, add)
  for (const [column, builder] of Object.entries(add)) mustFill(what, column, builder, old.stream)
  if (typeof name !== 'string') throw new UsageError(`${what}: expected a name, found ${show(name)}`)
  const key = old.schema.primaryKey.map(k => kept[k].name)
  const schema = tableSchema(name, [...kept, ...added], key)
  const { indexes: _indexes, constraints: _constraints, ...rest } = old
  return Object.freeze({ ...rest, schema })
}

function checkParts(what: string, change: object): void {
  if (typeof change !== 'object' || change === null) {
    throw new UsageError(`${what}: expected { add, rename, defaults, name }, found ${show(change)}`)
  }
  const names = Object.keys(change)
  if (names.includes('drop')) throw new SchemaError(`${what}: a column cannot be dropped; ${COPY}`)
  const unknown = names.find(n => !PARTS.includes(n))
  if (unknown !== undefined) throw new UsageError(`${what}: expected ${PARTS.join(', ')}, found ${quote(unknown)}`)
}

function entriesOf(what: string, given: object): [string, unknown][] {
  if (typeof given === 'object' && given !== null && !Array.isArray(given)) return Object.entries(given)
  throw new UsageError(`${what}: expected an object by column, found ${show(given)}`)
}

function placeOf(what: string, { columns }: TableSchema, name: string): number {
  const found = columns.find(c => c.name === name)
  if (found !== undefined) return found.index
  throw new SchemaError(`${what} has no column ${quote(name)}; it has ${columns.map(c => quote(c.name)).join(', ')}`)
}

function withDefault(what: string, spec: ColumnSpec, value: unknown): ColumnSpec {
  const { name, type, nullable } = spec
  if (value === undefined) return { name, type, nullable }
  const canonical = value === null ? new Problem('expected a value, found null') : normalise(type, value)
  if (canonical instanceof Problem) throw new SchemaError(`${what}: default of ${quote(name)}: ${canonical.message}`)
  return { name, type, nullable, defaultValue: canonical }
}

function mustFill(what: string, name: string, builder: ColumnBuilders[string], stream: boolean): void {
  const column = `column ${quote(name)}`
  if (builder.isPrimaryKey) throw new SchemaError(`${what}: ${column}: the primary key cannot be changed; ${COPY}`)
  if (builder.maxLateness !== null) throw new SchemaError(`${what}: ${column}: a waterline cannot be added; ${COPY}`)
  if (stream || builder.isNullable || builder.hasDefault) return
  throw new SchemaError(
    `${what}: ${column}: expected .nullable() or .default(…): rows that are there have no value for it`,
  )
}

// ---- what refers to columns

/** The definition of an index, or a constraint, of a table of which columns were renamed. */
export function renamedIndex(index: IndexDefinition, schema: TableSchema): IndexDefinition {
  return Object.freeze({ ...index, terms: index.terms.map(t => renamedTerm(t, schema)) })
}

function renamedTerm(term: IndexTerm, schema: TableSchema): IndexTerm {
  const name = term.expr.kind === 'column' ? schema.columns[term.expr.index].name : term.name
  return Object.freeze({ ...term, name, expr: renamedExpr(term.expr, schema) })
}

const renamedExpr = (expr: Expr, { columns }: TableSchema): Expr =>
  replaceColumns(expr, column => Object.freeze({ ...column, name: columns[column.index].name }))

export function renamedConstraint(constraint: ConstraintDefinition, schema: TableSchema): ConstraintDefinition {
  switch (constraint.kind) {
    case 'check':
      return Object.freeze({ ...constraint, condition: renamedExpr(constraint.condition, schema) })
    case 'unique':
      return Object.freeze({ ...constraint, terms: constraint.terms.map(t => renamedTerm(t, schema)) })
    default:
      return constraint
  }
}

/** A foreign key to a table that is altered from `old` to `now`. */
export function referringTo(
  constraint: ConstraintDefinition,
  old: TableDefinition,
  now: TableDefinition,
): ConstraintDefinition {
  if (constraint.kind !== 'foreignKey') return constraint
  const places = constraint.parentColumns?.map(c => old.schema.columns.findIndex(({ name }) => name === c)) ?? null
  return Object.freeze({
    ...constraint,
    parent: typeof constraint.parent === 'string' ? now.schema.name : now,
    parentColumns: places?.map(p => now.schema.columns[p].name) ?? null,
  })
}
