/**
 * How a program's definition of a table differs from the stored one, in words, and what makes them agree: a change that
 * `db.migrate` can make, or else advice.
 */
import { quote, SchemaError } from '../../base/errors.js'
import { printExpr } from '../../circuit/print.js'
import type { ConstraintDefinition, IndexDefinition, IndexTerm, TableDefinition } from '../../circuit/rel.js'
import { circuitText } from '../../circuit/serialise/circuit.js'
import type { Column, TableSchema } from '../../schema/schema.js'
import type { TableEntry } from '../registry.js'

/** What `db.migrate` does. */
export interface Migration {
  /** Old names and new ones. */
  readonly rename: Readonly<Record<string, string>>
  readonly add: readonly Column[]
  readonly defaults: readonly Column[]
  readonly indexes: readonly { readonly definition: IndexDefinition; readonly replaces: boolean }[]
  readonly constraints: readonly { readonly definition: ConstraintDefinition; readonly replaces: boolean }[]
}

export interface Difference {
  /** All that differs, in words; empty: they agree. */
  readonly words: readonly string[]
  /** Of these, what no migration can do. */
  readonly obstacles: readonly string[]
  /** Columns of other names in the places of stored ones: renamed, perhaps. */
  readonly perhaps: Readonly<Record<string, string>>
  readonly migration: Migration
}

/** Throws SchemaError, with what differs and what can be done, unless a definition is as the table is. */
export function mustAgree(
  given: TableDefinition,
  entry: TableEntry,
  renames: Readonly<Record<string, string>> = {},
): void {
  const difference = differenceOf(given, entry, renames)
  if (difference.words.length === 0) return
  const name = quote(given.schema.name)
  throw new SchemaError(
    `table ${name} is not as it is stored: ${difference.words.join('; ')} (${advice(given, difference)})`,
  )
}

/** `renames`: old names and new ones. */
export function differenceOf(
  given: TableDefinition,
  entry: TableEntry,
  renames: Readonly<Record<string, string>> = {},
): Difference {
  const columns = columnDifference(given.schema, entry.definition.schema, renames)
  const words = [...columns.words]
  const obstacles = [...columns.obstacles]
  const stored = entry.definition
  const key = keyOf(given.schema, (c: Column) => c.name)
  const oldKey = keyOf(stored.schema, c => renames[c.name] ?? c.name)
  if (key !== oldKey) obstacles.push(`the primary key is ${key}, stored as ${oldKey}`)
  if (given.stream !== stored.stream) obstacles.push(`it is ${given.stream ? '' : 'not '}a stream`)
  const [waterlines, oldWaterlines] = [given, stored].map(waterlinesText)
  if (waterlines !== oldWaterlines) obstacles.push(`its waterlines are ${waterlines}, stored as ${oldWaterlines}`)
  for (const option of ['upsert', 'appendOnly'] as const) {
    if ((given[option] === true) !== (stored[option] === true)) obstacles.push(`${option} is ${given[option] === true}`)
  }
  words.push(...obstacles.slice(columns.obstacles.length))
  const indexes = declared(
    given.indexes ?? [],
    entry.handle.indexes.map(i => i.definition),
    describeIndex,
    words,
    'index',
  )
  const constraints = declared(
    given.constraints ?? [],
    entry.rules.definitions,
    describeConstraint,
    words,
    'constraint',
  )
  return { words, obstacles, perhaps: columns.perhaps, migration: { ...columns.migration, indexes, constraints } }
}

const keyOf = ({ columns, primaryKey }: TableSchema, nameOf: (column: Column) => string): string =>
  primaryKey.map(k => quote(nameOf(columns[k]))).join(', ') || 'none'

const typeOf = ({ type, nullable }: Column): string => `${type}${nullable ? ', nullable' : ''}`

function columnDifference(given: TableSchema, stored: TableSchema, renames: Readonly<Record<string, string>>) {
  const words: string[] = []
  const obstacles: string[] = []
  const perhaps: Record<string, string> = {}
  const rename: Record<string, string> = {}
  const add: Column[] = []
  const defaults: Column[] = []
  const before = new Map(stored.columns.map(c => [renames[c.name] ?? c.name, c]))
  const say = (text: string, isObstacle: boolean) => {
    words.push(text)
    if (isObstacle) obstacles.push(text)
  }
  for (const column of given.columns) {
    const old = before.get(column.name)
    before.delete(column.name)
    const name = `column ${quote(column.name)}`
    if (old === undefined) {
      const isEmpty = !column.nullable && column.defaultValue === undefined
      const isLast = column.index >= stored.columns.length
      const why = isEmpty
        ? ': rows that are there need .nullable() or .default(…)'
        : isLast
          ? ''
          : ': new columns come last'
      say(`${name} (${typeOf(column)}) is new${why}`, isEmpty || !isLast)
      add.push(column)
      const other = stored.columns[column.index]
      if (other !== undefined && typeOf(other) === typeOf(column)) perhaps[other.name] = column.name
      continue
    }
    if (old.name !== column.name) {
      words.push(`${name} is stored as ${quote(old.name)}`)
      rename[old.name] = column.name
    }
    if (typeOf(old) !== typeOf(column)) say(`${name} is ${typeOf(column)}, stored as ${typeOf(old)}`, true)
    else if (old.index !== column.index) say(`${name} is number ${column.index + 1}, stored as ${old.index + 1}`, true)
    else if (old.defaultValue !== column.defaultValue && !sameBytes(old.defaultValue, column.defaultValue)) {
      words.push(`${name} has ${column.defaultValue === undefined ? 'no default' : 'another default'}`)
      defaults.push(column)
    }
  }
  for (const { name } of before.values()) say(`column ${quote(name)} is stored, and not defined`, true)
  return { words, obstacles, perhaps: stillThere(perhaps, before), migration: { rename, add, defaults } }
}

function stillThere(perhaps: Record<string, string>, left: ReadonlyMap<string, Column>): Record<string, string> {
  return Object.fromEntries(Object.entries(perhaps).filter(([old]) => left.has(old)))
}

const sameBytes = (a: unknown, b: unknown): boolean =>
  a instanceof Uint8Array && b instanceof Uint8Array && a.length === b.length && a.every((byte, i) => byte === b[i])

/** Declared ones that are stored otherwise, or not at all. Others may be there: they were made by calls. */
function declared<D extends { readonly name: string }>(
  given: readonly D[],
  stored: readonly D[],
  describe: (definition: D) => string,
  words: string[],
  what: string,
): { definition: D; replaces: boolean }[] {
  return given.flatMap(definition => {
    const old = stored.find(d => d.name === definition.name)
    const name = `${what} ${quote(definition.name)}`
    if (old === undefined) words.push(`${name} is declared, and not stored`)
    else if (describes(old, definition)) return []
    else words.push(`${name} is ${describe(definition)}, stored as ${describe(old)}`)
    return [{ definition, replaces: old !== undefined }]
  })
}

function waterlinesText({ schema, waterlines = [] }: TableDefinition): string {
  return waterlines.map(w => `${quote(schema.columns[w.column].name)} less ${w.lateness}`).join(', ') || 'none'
}

/** Are two indexes, or two constraints, the same? */
export const describes = (a: object, b: object): boolean => textOf(a) === textOf(b)

/** Parents of foreign keys are compared by name. */
function textOf(definition: object): string {
  if (!('parent' in definition)) return circuitText(definition)
  const parent = definition.parent as TableDefinition | string
  return circuitText({ ...definition, parent: typeof parent === 'string' ? parent : parent.schema.name })
}

const termsText = (terms: readonly IndexTerm[]): string =>
  terms.map(t => `${printExpr(t.expr)}${t.descending ? ' descending' : ''}`).join(', ')

const describeIndex = ({ terms, unique, nullsNotDistinct }: IndexDefinition): string =>
  `on ${termsText(terms)}${unique ? ', unique' : ''}${nullsNotDistinct ? ', NULLs not distinct' : ''}`

function describeConstraint(definition: ConstraintDefinition): string {
  const deferred = definition.deferred ? ', deferred' : ''
  if (definition.kind === 'check') return `CHECK ${printExpr(definition.condition)}${deferred}`
  if (definition.kind === 'unique') {
    return `UNIQUE ${termsText(definition.terms)}${definition.nullsNotDistinct ? ', NULLs not distinct' : ''}${deferred}`
  }
  const { parent, parentColumns, columns, onDelete, onUpdate } = definition
  const table = typeof parent === 'string' ? parent : parent.schema.name
  const to = parentColumns === null ? '' : ` (${parentColumns.join(', ')})`
  const actions = `, on delete ${onDelete}, on update ${onUpdate}`
  return `a foreign key of columns ${columns.map(c => c + 1).join(', ')} to ${quote(table)}${to}${actions}${deferred}`
}

/** What can be done about a difference. */
export function advice(given: TableDefinition, { obstacles, perhaps, migration }: Difference): string {
  const table = quote(given.schema.name)
  if (obstacles.length === 0) return `db.migrate(definition) makes it so; or call ${calls(table, migration).join(', ')}`
  const copy = 'define it as it is stored, or copy its rows to a table of another name'
  const names = Object.entries(perhaps).map(([old, now]) => `${property(old)}: ${quote(now)}`)
  if (names.length === 0) return copy
  return `if columns were renamed, call db.migrate(definition, { rename: { ${names.join(', ')} } }); else ${copy}`
}

const property = (name: string): string => (/^[A-Za-z_$][\w$]*$/.test(name) ? name : quote(name))

function calls(table: string, { rename, add, defaults, indexes, constraints }: Migration): string[] {
  const list = (entries: string[]) => `{ ${entries.join(', ')} }`
  const parts: string[] = []
  if (add.length > 0) {
    const columns = add.map(c => `${property(c.name)}: ${c.type}()${c.nullable ? '.nullable()' : ''}${defaultText(c)}`)
    parts.push(`add: ${list(columns)}`)
  }
  const renames = Object.entries(rename).map(([old, now]) => `${property(old)}: ${quote(now)}`)
  if (renames.length > 0) parts.push(`rename: ${list(renames)}`)
  if (defaults.length > 0) {
    parts.push(
      `defaults: ${list(defaults.map(c => `${property(c.name)}: ${c.defaultValue === undefined ? 'undefined' : '…'}`))}`,
    )
  }
  const out = parts.length === 0 ? [] : [`db.alterTable(${table}, { ${parts.join(', ')} })`]
  for (const { definition, replaces } of indexes) {
    if (replaces) out.push(`db.dropIndex(${table}, ${quote(definition.name)})`)
    out.push(`db.createIndex(${table}, ${quote(definition.name)}, …)`)
  }
  for (const { definition, replaces } of constraints) {
    if (replaces) out.push(`db.dropConstraint(${table}, ${quote(definition.name)})`)
    out.push(`db.addConstraint(${table}, ${quote(definition.name)}, …)`)
  }
  return out
}

const defaultText = ({ defaultValue }: Column): string => (defaultValue === undefined ? '' : '.default(…)')
