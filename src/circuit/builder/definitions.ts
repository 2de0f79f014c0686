/** Views as a program writes them: `view(name, q => …)`. */
import { CompileError, quote, SchemaError, show } from '../../base/errors.js'
import { type RowSchema, rowSchema } from '../../schema/schema.js'
import { type ColumnBuilders, columnSpecs, type ROW, type RowOf, type Simplify, waterlineOf } from '../columns.js'
import { emptyOf } from '../nodes.js'
import type { JoinRel, Rel, ViewDefinition, Waterline } from '../rel.js'
import { checkOptions } from './check.js'
import { Grouped } from './grouped.js'
import { Query, relOf } from './query.js'
import { type RecursiveOptions, recursive } from './recursive.js'
import type { Span } from './spans.js'
import { starRel } from './star.js'
import type { Cells, Context, Ctx, NoContext, RowFrom, RowType, Source, ViewDef } from './types.js'

/** A table, view or query, or a handle of one, of any rows. */
type AnySource = { readonly [ROW]: unknown } | { readonly definition: { readonly [ROW]: unknown } }

/** What the callback of `view` gets. */
export interface QueryRoot {
  /** Begins a query with a table, a view, or a handle of one; may be called several times. */
  from<R>(source: Source<R>): Query<R>

  /**
   * Rows of several relations that agree in a key: `q.joinAll([bids, people, auctions], [b => ({ id: b.bidder }), p =>
   * ({ id: p.id }), a => ({ id: a.seller })], (b, p, a) => ({ … }))`. Keys are matched by name; two NULLs are equal.
   */
  joinAll<const Q extends readonly AnySource[], T extends Cells, C extends Context = NoContext>(
    sources: Q,
    keys: { readonly [I in keyof Q]: (row: RowType<Q[I]>, ctx: Ctx<C>) => Cells },
    select: (...rows: [...{ -readonly [I in keyof Q]: RowType<Q[I]> }, ctx: Ctx<C>]) => T,
    ctx?: C,
  ): Query<RowFrom<T>>

  /** A relation without rows: where a relation of a recursion begins that has no rows from outside. */
  empty<C extends ColumnBuilders>(columns: C): Query<Simplify<RowOf<C>>>

  /**
   * The least set that holds the rows of `base` and those that follow from it:
   *
   *     q.recursive(edges, reach => reach.join(edges, (r, e) => r.to === e.from, (r, e) => ({ from: r.from, to: e.to })))
   *
   * `step` may use the relation any number of times, in joins with itself too; each row is there once. Relations that are
   * defined by one another have names: `q.recursive({ a, b }, ({ a, b }) => ({ a: …, b: … }))`. Throws CompileError if a
   * relation depends on itself through an operator that is not monotone (an aggregate, `top`, the right side of
   * `antiJoin`, …), and names the cycle.
   */
  recursive<R>(base: Source<R>, step: (self: Query<R>) => Source<R>, options?: RecursiveOptions): Query<R>
  recursive<B extends Readonly<Record<string, unknown>>>(
    bases: { readonly [K in keyof B]: Source<B[K]> },
    step: (selves: { readonly [K in keyof B]: Query<B[K]> }) => { readonly [K in keyof B]: Source<B[K]> },
    options?: RecursiveOptions,
  ): { readonly [K in keyof B]: Query<B[K]> }
}

const ROOT: QueryRoot = Object.freeze({
  from: <R>(source: Source<R>): Query<R> => new Query<R>(relOf(source, 'from')),
  joinAll: (sources: unknown, keys: unknown, select: unknown, ctx?: unknown) => {
    if (!Array.isArray(sources)) throw new CompileError(`joinAll: expected an array of sources, found ${show(sources)}`)
    const rels = sources.map((source: unknown, i) => relOf(source, `joinAll, relation ${i + 1}`))
    return new Query<never>(starRel(rels, keys, select, ctx))
  },
  empty: <C extends ColumnBuilders>(columns: C) => {
    const specs = columnSpecs('empty', columns)
    if (specs.length === 0) throw new CompileError('empty: expected columns like { id: u64() }, found none')
    return new Query<Simplify<RowOf<C>>>(emptyOf(rowSchema('empty', specs)))
  },
  recursive: recursive as QueryRoot['recursive'],
})

export interface ViewOptions<Name extends string = string> {
  /** Columns that `get` and `range` go by, and the order of `rows()`. */
  readonly key?: readonly Name[]
  /**
   * As of tables: changes that the query makes below the greatest time that its rows had, less the lateness, are late, and
   * not in the view.
   */
  readonly waterline?: { readonly column: Name; readonly lateness?: Span }
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
  checkOptions(`view ${quote(name)}`, options, ['key', 'waterline'])
  const query: unknown = built(name, build)
  if (!(query instanceof Query)) refuseResult(name, query)
  const rel: Rel = query.rel
  const { columns } = rel.schema
  const schema = rowSchema(
    name,
    columns.map(c => ({ name: c.name, type: c.type, nullable: c.nullable })),
  )
  const key = options.key === undefined ? (keyOf(rel) ?? columns.map(c => c.index)) : givenKey(schema, options.key)
  const late =
    options.waterline === undefined ? {} : { waterlines: Object.freeze([givenWaterline(schema, options.waterline)]) }
  const definition: ViewDefinition = Object.freeze({ kind: 'view', schema, rel, key: Object.freeze([...key]), ...late })
  // The row type exists in types only.
  return definition as ViewDef<R>
}

/** What the callback returns. Operators do not know for which view they are, so their errors get its name here. */
function built(name: string, build: (q: QueryRoot) => unknown): unknown {
  try {
    return build(ROOT)
  } catch (error) {
    throw error instanceof CompileError ? error.within(`view ${quote(name)}`) : error
  }
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

function givenWaterline(schema: RowSchema, given: ViewOptions['waterline'] & object): Waterline {
  const what = `view ${quote(schema.name)}`
  if (typeof given !== 'object' || given === null) {
    throw new SchemaError(`${what}: expected a waterline of { column, lateness? }, found ${show(given)}`)
  }
  checkOptions(`${what}: waterline`, given, ['column', 'lateness'])
  return waterlineOf(what, schema, given.column, given.lateness ?? null)
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
      if (relation.kind === 'variable') return null
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
    case 'noise':
      return rel.keyCount > 0 ? Array.from({ length: rel.keyCount }, (_, i) => i) : null
    case 'aggregate':
      return rel.keys.length > 0 ? rel.keys.map((_, i) => i) : null
    case 'join':
      return joinKey(rel)
    case 'set':
      return rel.op === 'union' ? null : keyOf(rel.left)
    case 'asOf': {
      const below = keyOf(rel.left)
      const carried = below?.map(k => rel.exprs.findIndex(e => e.kind === 'column' && e.input === 0 && e.index === k))
      return carried === undefined || carried.includes(-1) ? null : carried
    }
    case 'successor':
    case 'session':
    case 'gate':
      return keyOf(rel.input)
    default:
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
