/**
 * Indexes and constraints as a program writes them, with a table or later: types, and their compilation to plain
 * definitions (`IndexDefinition`, `ConstraintDefinition`). Lambdas become expressions here, as in queries.
 */
import { quote, SchemaError, show } from '../../base/errors.js'
import type { RowSchema, TableSchema } from '../../schema/schema.js'
import type { Expr } from '../expr.js'
import { conditionLambda, valueLambda } from '../lambda/index.js'
import { printExpr } from '../print.js'
import type {
  CheckDefinition,
  ConstraintDefinition,
  ForeignKeyDefinition,
  IndexDefinition,
  IndexTerm,
  ReferentialAction,
  TableDefinition,
  UniqueDefinition,
} from '../rel.js'
import { columnOf } from '../substitute.js'
import type { Cell, Context, Ctx } from './types.js'

/** A lambda with the object that it gets as its last parameter; see `withContext`. */
export interface WithContext<R, T> {
  readonly lambda: (row: R, ctx: never) => T
  readonly ctx: Context
}

/** A lambda over a row, with or without a context object. */
export type RowLambda<R, T> = ((row: R) => T) | WithContext<R, T>

/** Gives a lambda of an index or constraint its context object: values and functions, as in queries. */
export function withContext<R, T, C extends Context>(lambda: (row: R, ctx: Ctx<C>) => T, ctx: C): WithContext<R, T> {
  return Object.freeze({ lambda, ctx })
}

/** A term of an index: a column, an expression, or either with its direction and a name. */
export type Term<R> =
  | (keyof R & string)
  | RowLambda<R, Cell>
  | {
      readonly by: (keyof R & string) | RowLambda<R, Cell>
      readonly desc?: boolean
      /** What an expression is called in bounds and messages. */
      readonly name?: string
    }

/** An index as a program writes it. */
export interface IndexSpec<R> {
  /** What the rows are sorted by, most significant first. */
  readonly on: readonly Term<R>[]
  /** No two rows may agree in all terms. */
  readonly unique?: boolean
  /** For a unique index: two NULLs count as equal. */
  readonly nullsNotDistinct?: boolean
}

interface Deferrable {
  /** `'deferred'`: checked at commit alone, also where `tx.check()` is called before. */
  readonly deferrable?: 'immediate' | 'deferred'
}

/** Every row must satisfy it: TRUE or NULL, as in SQL. */
export interface CheckSpec<R> extends Deferrable {
  readonly check: RowLambda<R, boolean | null | undefined>
}

/** No two rows agree in all terms, and none is there twice. A row with a NULL among them is free. */
export interface UniqueSpec<R> extends Deferrable {
  readonly unique: readonly Term<R>[]
  readonly nullsNotDistinct?: boolean
}

/** A row, unless one of the columns is NULL, needs a row of another table (or its own) with these values. */
export interface ForeignKeySpec<R> extends Deferrable {
  readonly foreignKey: readonly (keyof R & string)[]
  /** A table, or the name of one: of this table itself, for instance. */
  readonly references: TableDefinition | string
  /** Columns of that table which are unique together; its primary key, if left out. */
  readonly columns?: readonly string[]
  /** What becomes of the row when its parent goes; `'restrict'` if left out. */
  readonly onDelete?: ReferentialAction
  /** What becomes of the row when its parent's key changes; `'restrict'` if left out. */
  readonly onUpdate?: ReferentialAction
}

export type ConstraintSpec<R> = CheckSpec<R> | UniqueSpec<R> | ForeignKeySpec<R>

/** Compiles an index. Throws SchemaError or CompileError. */
export function indexDefinition(schema: RowSchema, name: string, spec: IndexSpec<never>): IndexDefinition {
  const what = `index ${quote(checkedName(name, 'an index'))} of table ${quote(schema.name)}`
  if (typeof spec !== 'object' || spec === null) {
    throw new SchemaError(`${what}: expected { on: ['column', …] }, found ${show(spec)}`)
  }
  refuseUnknown(what, spec, ['on', 'unique', 'nullsNotDistinct'])
  const terms = termList(schema, what, spec.on)
  return Object.freeze({
    name,
    terms,
    unique: spec.unique === true,
    nullsNotDistinct: spec.nullsNotDistinct === true,
  })
}

/** Compiles a constraint. Throws SchemaError or CompileError. */
export function constraintDefinition(
  schema: TableSchema,
  name: string,
  spec: ConstraintSpec<never>,
): ConstraintDefinition {
  const what = `constraint ${quote(checkedName(name, 'a constraint'))} of table ${quote(schema.name)}`
  const kinds = ['check', 'unique', 'foreignKey'] as const
  const found = typeof spec === 'object' && spec !== null ? kinds.filter(k => Object.hasOwn(spec, k)) : []
  if (found.length !== 1) {
    const seen = found.length > 1 ? found.join(' and ') : show(spec)
    throw new SchemaError(`${what}: expected one of check, unique and foreignKey, found ${seen}`)
  }
  const base = { name, deferred: deferred(what, (spec as Deferrable).deferrable) }
  if ('check' in spec) return checkOf(schema, what, base, spec)
  if ('unique' in spec) return uniqueOf(schema, what, base, spec)
  return foreignKeyOf(schema, what, base, spec)
}

type Base = Pick<ConstraintDefinition, 'name' | 'deferred'>

function checkOf(schema: RowSchema, what: string, base: Base, spec: CheckSpec<never>): CheckDefinition {
  refuseUnknown(what, spec, ['check', 'deferrable'])
  const condition = conditionLambda({ ...lambdaOf(spec.check), rows: [schema], what })
  return Object.freeze({ kind: 'check', ...base, condition })
}

function uniqueOf(schema: RowSchema, what: string, base: Base, spec: UniqueSpec<never>): UniqueDefinition {
  refuseUnknown(what, spec, ['unique', 'nullsNotDistinct', 'deferrable'])
  const terms = termList(schema, what, spec.unique)
  const nullsNotDistinct = spec.nullsNotDistinct === true
  return Object.freeze({ kind: 'unique', ...base, terms, nullsNotDistinct, isPrimaryKey: false })
}

/** The constraint that a unique index, or a unique primary key, implies. */
export function impliedUnique(name: string, terms: readonly IndexTerm[], isPrimaryKey: boolean, nulls = false) {
  const definition: UniqueDefinition = {
    kind: 'unique',
    name,
    deferred: false,
    terms,
    nullsNotDistinct: nulls,
    isPrimaryKey,
  }
  return Object.freeze(definition)
}

/** Plain columns as terms. */
export function columnTerms(schema: RowSchema, columns: readonly number[]): IndexTerm[] {
  return columns.map(c => Object.freeze({ expr: columnOf(schema, c), descending: false, name: schema.columns[c].name }))
}

const ACTIONS: readonly ReferentialAction[] = ['restrict', 'cascade', 'setNull']

function foreignKeyOf(schema: RowSchema, what: string, base: Base, spec: ForeignKeySpec<never>): ForeignKeyDefinition {
  refuseUnknown(what, spec, ['foreignKey', 'references', 'columns', 'onDelete', 'onUpdate', 'deferrable'])
  const { references: parent, columns: parentColumns = null } = spec
  const columns = columnList(schema, what, spec.foreignKey)
  const isTable = typeof parent === 'object' && parent !== null && parent.kind === 'table'
  if (!isTable && typeof parent !== 'string') {
    throw new SchemaError(`${what}: expected a table or its name as references, found ${show(parent)}`)
  }
  const action = (given: unknown, of: string): ReferentialAction => {
    const known = ACTIONS.find(a => a === (given ?? 'restrict'))
    if (known !== undefined) return known
    throw new SchemaError(`${what}: expected ${ACTIONS.map(a => `'${a}'`).join(', ')} as ${of}, found ${show(given)}`)
  }
  const actions = { onDelete: action(spec.onDelete, 'onDelete'), onUpdate: action(spec.onUpdate, 'onUpdate') }
  const fixed = columns.find(c => !schema.columns[c].nullable)
  if (fixed !== undefined && (actions.onDelete === 'setNull' || actions.onUpdate === 'setNull')) {
    throw new SchemaError(
      `${what}: column ${quote(schema.columns[fixed].name)} is not nullable, so 'setNull' cannot be`,
    )
  }
  return Object.freeze({ kind: 'foreignKey', ...base, columns, parent, parentColumns, ...actions })
}

function columnList(schema: RowSchema, what: string, names: unknown): readonly number[] {
  if (!Array.isArray(names) || names.length === 0) {
    throw new SchemaError(`${what}: expected an array of columns, found ${listText(names)}`)
  }
  const columns = names.map((name: unknown) => columnIndex(schema, what, name))
  if (new Set(columns).size !== columns.length) throw new SchemaError(`${what}: a column is listed twice`)
  return Object.freeze(columns)
}

const listText = (given: unknown): string => (Array.isArray(given) ? 'an empty one' : show(given))

function columnIndex(schema: RowSchema, what: string, name: unknown): number {
  const column = schema.columns.find(c => c.name === name)
  if (column !== undefined) return column.index
  const known = schema.columns.map(c => quote(c.name)).join(', ')
  const found = typeof name === 'string' ? quote(name) : show(name)
  throw new SchemaError(`${what}: there is no column ${found}; there are ${known}`)
}

function termList(schema: RowSchema, what: string, given: unknown): readonly IndexTerm[] {
  if (!Array.isArray(given) || given.length === 0) {
    throw new SchemaError(`${what}: expected an array of columns or lambdas, found ${listText(given)}`)
  }
  const terms = given.map((term: unknown) => termOf(schema, what, term))
  const names = terms.map(t => t.name)
  const twice = names.find((name, n) => names.indexOf(name) !== n)
  if (twice !== undefined) throw new SchemaError(`${what}: ${quote(twice)} is listed twice`)
  return Object.freeze(terms)
}

function termOf(schema: RowSchema, what: string, term: unknown): IndexTerm {
  const isPlain = typeof term === 'string' || typeof term === 'function' || isWithContext(term)
  if (!isPlain && (typeof term !== 'object' || term === null || !Object.hasOwn(term, 'by'))) {
    throw new SchemaError(`${what}: expected a column, a lambda or { by, desc }, found ${show(term)}`)
  }
  const { by, desc, name } = isPlain ? { by: term } : (term as { by: unknown; desc?: unknown; name?: unknown })
  const expr: Expr =
    typeof by === 'string'
      ? columnOf(schema, columnIndex(schema, what, by))
      : valueLambda({ ...lambdaOf(by), rows: [schema], what })
  const own = expr.kind === 'column' ? expr.name : printExpr(expr)
  return Object.freeze({ expr, descending: desc === true, name: typeof name === 'string' ? name : own })
}

function isWithContext(given: unknown): given is WithContext<never, unknown> {
  return typeof given === 'object' && given !== null && Object.hasOwn(given, 'lambda')
}

function lambdaOf(given: unknown): { fn: unknown; ctx: unknown } {
  return isWithContext(given) ? { fn: given.lambda, ctx: given.ctx } : { fn: given, ctx: undefined }
}

function checkedName(name: unknown, what: string): string {
  if (typeof name === 'string' && name !== '') return name
  throw new SchemaError(`${what} needs a non-empty name, found ${show(name)}`)
}

function deferred(what: string, given: unknown): boolean {
  if (given === undefined || given === 'immediate' || given === 'deferred') return given === 'deferred'
  throw new SchemaError(`${what}: expected 'immediate' or 'deferred' as deferrable, found ${show(given)}`)
}

function refuseUnknown(what: string, spec: object, known: readonly string[]): void {
  const odd = Object.keys(spec).find(k => !known.includes(k))
  if (odd !== undefined) throw new SchemaError(`${what}: there is no ${quote(odd)}; there are ${known.join(', ')}`)
}
