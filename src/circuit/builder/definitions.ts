/** Views as a program writes them: `view(name, q => …)`. */
import { CompileError, quote, SchemaError, show } from '../../base/errors.js'
import { type RowSchema, rowSchema } from '../../schema/schema.js'
import type { JoinRel, Rel, ViewDefinition } from '../rel.js'
import { Grouped, Query, relOf } from './query.js'
import type { Source, ViewDef } from './types.js'

/** What the callback of `view` gets. */
export interface QueryRoot {
  /** Begins a query with a table, a view, or a handle of one; may be called several times. */
  from<R>(source: Source<R>): Query<R>
}

const ROOT: QueryRoot = Object.freeze({
  from: <R>(source: Source<R>): Query<R> => new Query<R>(relOf(source, 'from')),
})

export interface ViewOptions<Name extends string = string> {
  /** Columns that `get` and `range` go by, and the order of `rows()`. */
  readonly key?: readonly Name[]
}

/**
 * Defines a view. Its key, unless given: the grouping columns of an aggregate; the primary key of the table, where
 * filters, maps and the like carry all of it along; of a join, the key of the left side (the right side of a right join) likewise; else all columns.
 * Throws CompileError on lambdas and circuits outside the language, SchemaError on a wrong name or key.
 */
export function view<R>(
  name: string,
  build: (q: QueryRoot) => Query<R>,
  options: ViewOptions<keyof R & string> = {},
): ViewDef<R> {
  if (typeof name !== 'string' || name === '')
    throw new SchemaError(`a view needs a non-empty name, found ${show(name)}`)
  if (typeof build !== 'function') {
    throw new CompileError(`view ${quote(name)}: expected a function q => q.from(…), found ${show(build)}`)
  }
  const query: unknown = build(ROOT)
  if (!(query instanceof Query)) refuseResult(name, query)
  const rel: Rel = query.rel
  const { columns } = rel.schema
  const schema = rowSchema(
    name,
    columns.map(c => ({ name: c.name, type: c.type, nullable: c.nullable })),
  )
  const key = options.key === undefined ? (keyOf(rel) ?? columns.map(c => c.index)) : givenKey(schema, options.key)
  const definition: ViewDefinition = Object.freeze({ kind: 'view', schema, rel, key: Object.freeze([...key]) })
  // The row type exists in types only.
  return definition as ViewDef<R>
}

function refuseResult(name: string, found: unknown): never {
  const hint =
    found instanceof Grouped
      ? 'a grouped query needs .aggregate({ … }) or .top(…)'
      : found === undefined
        ? 'is a return missing?'
        : 'begin with q.from(…)'
  const what = found instanceof Grouped ? 'a grouped query' : show(found)
  throw new CompileError(`view ${quote(name)}: expected the callback to return a query, found ${what}`, { hint })
}

function givenKey(schema: RowSchema, key: readonly string[]): number[] {
  if (!Array.isArray(key) || key.length === 0) {
    throw new SchemaError(`view ${quote(schema.name)}: expected at least one key column, found ${show(key)}`)
  }
  const indexes = key.map((name: string) => {
    const column = schema.columns.find(c => c.name === name)
    if (column === undefined) {
      const there = schema.columns.map(c => quote(c.name)).join(', ')
      throw new SchemaError(`view ${quote(schema.name)}: key column ${label(name)} does not exist; there are ${there}`)
    }
    return column.index
  })
  if (new Set(indexes).size !== indexes.length) {
    throw new SchemaError(`view ${quote(schema.name)}: a key column is listed twice`)
  }
  return indexes
}

const label = (name: unknown): string => (typeof name === 'string' ? quote(name) : show(name))

/** The columns that a result is naturally looked up by, or null. */
function keyOf(rel: Rel): readonly number[] | null {
  switch (rel.kind) {
    case 'source': {
      const { relation } = rel
      const key = relation.kind === 'table' ? relation.schema.primaryKey : relation.key
      return key.length > 0 ? key : null
    }
    case 'filter':
    case 'distinct':
    case 'negate':
    case 'clamp':
    case 'topK':
    case 'window':
      return keyOf(rel.input)
    case 'map': {
      const below = keyOf(rel.input)
      if (below === null) return null
      const carried = below.map(k => rel.exprs.findIndex(e => e.kind === 'column' && e.index === k))
      return carried.includes(-1) ? null : carried
    }
    case 'aggregate':
      return rel.keys.length > 0 ? rel.keys.map((_, i) => i) : null
    case 'join':
      return joinKey(rel)
    case 'set':
      return rel.op === 'union' ? null : keyOf(rel.left)
    case 'plus':
      return null
  }
}

/** Rows of a join go by the key of the side that is always there, if it is carried along. It need not be unique. */
function joinKey(rel: JoinRel): readonly number[] | null {
  if (rel.type === 'full') return null
  if (rel.type === 'semi' || rel.type === 'anti') return keyOf(rel.left)
  const side = rel.type === 'right' ? 1 : 0
  const below = keyOf(side === 0 ? rel.left : rel.right)
  if (below === null) return null
  const carried = below.map(k => rel.exprs.findIndex(e => e.kind === 'column' && e.input === side && e.index === k))
  return carried.includes(-1) ? null : carried
}
