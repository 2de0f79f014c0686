/** What a call of a query becomes: nodes of the circuit, made of what the caller gave. */
import { CompileError, quote, show } from '../../base/errors.js'
import { type ColumnSpec, rowSchema } from '../../schema/schema.js'
import { TYPES } from '../../schema/types.js'
import type { Expr } from '../expr.js'
import { type NamedExpr, valueLambda } from '../lambda/index.js'
import { schemaOf } from '../nodes.js'
import type { AggregateRel, Rel, TopKRel, UnnestRel } from '../rel.js'
import { allColumns, call } from '../substitute.js'
import { type CompiledAggregate, compileAggregate } from './aggregates.js'
import { checkOptions, flagOf, foundText, mustBeObject } from './check.js'
import { topOfOptions } from './compound.js'
import { hashOrder, type SampleOptions } from './sample.js'
import type { Cell, Context, Ctx, NoContext } from './types.js'

/** One term of the order of `top`. NULL comes first, in descending order last, unless `nulls` says otherwise. */
export interface Order<R, C extends Context = NoContext> {
  readonly by: (row: R, ctx: Ctx<C>) => Cell
  readonly desc?: boolean
  readonly nulls?: 'first' | 'last'
  readonly ctx?: C
}

export interface UnnestOptions<N extends string = string, Outer extends boolean = boolean> {
  /** Name of a column for the element's number. */
  readonly ordinality?: N
  /** Keep rows without elements. */
  readonly outer?: Outer
}

export function sampleRel(input: Rel, keys: readonly NamedExpr[], limit: unknown, options: SampleOptions): TopKRel {
  return Object.freeze({ ...topRel(input, keys, limit, [], 'sample'), order: hashOrder(input, options) })
}

const specOf = ({ name, expr }: NamedExpr): ColumnSpec => ({ name, type: expr.type, nullable: expr.nullable })

export function mapRel(input: Rel, columns: readonly NamedExpr[], what = 'map'): Rel {
  const schema = rowSchema(what, columns.map(specOf))
  return Object.freeze({ kind: 'map', input, exprs: Object.freeze(columns.map(c => c.expr)), schema })
}

export function aggregateRel(input: Rel, keys: readonly NamedExpr[], aggregates: unknown): Rel {
  mustBeObject('aggregate', aggregates, 'an object like { total: sum(r => r.amount) }')
  const clash = keys.find(k => Object.hasOwn(aggregates, k.name))
  if (clash !== undefined) throw new CompileError(`aggregate: ${quote(clash.name)} is the name of a key already`)
  const compiled = Object.entries(aggregates).map(([name, given]) =>
    compileAggregate(name, given, input.schema, keys.length === 0),
  )
  if (keys.length + compiled.length === 0)
    throw new CompileError('aggregate: expected at least one aggregate, found none')
  const rel: AggregateRel = Object.freeze({
    kind: 'aggregate',
    input,
    keys: Object.freeze(keys.map(k => k.expr)),
    aggregates: Object.freeze(compiled.map(c => c.spec)),
    schema: schemaOf('aggregate', [...keys.map(specOf), ...compiled.map(c => c.column)]),
  })
  return compiled.some(c => c.finish !== null) ? finished(rel, keys, compiled) : rel
}

/** Aggregates that come as another type. */
function finished(rel: AggregateRel, keys: readonly NamedExpr[], compiled: readonly CompiledAggregate[]): Rel {
  const columns = allColumns(rel.schema)
  const values = compiled.map(({ column, finish }, i): NamedExpr => {
    const plain = columns[keys.length + i]
    return { name: column.name, expr: finish === null ? plain : finish(plain) }
  })
  const plain = keys.map(({ name }, i): NamedExpr => ({ name, expr: columns[i] }))
  return mapRel(rel, [...plain, ...values], 'aggregate')
}

export function unnestRel(input: Rel, fn: unknown, as: unknown, options: UnnestOptions, ctx: unknown): UnnestRel {
  checkOptions('unnest', options, ['ordinality', 'outer'])
  const { ordinality } = options
  const outer = flagOf('unnest', 'outer', options.outer)
  const names = [as, ...(ordinality === undefined ? [] : [ordinality])]
  for (const [i, name] of names.entries()) {
    if (typeof name !== 'string' || name === '')
      throw new CompileError(`unnest: expected the name of a column, found ${show(name)}`)
    if (input.schema.columns.some(c => c.name === name) || names.indexOf(name) !== i) {
      throw new CompileError(`unnest: there is a column ${quote(name)} already`)
    }
  }
  const array = valueLambda({ fn, ctx, rows: [input.schema], what: 'unnest' })
  const { shape } = TYPES[array.type]
  if (shape?.kind !== 'array')
    throw new CompileError(`unnest ${quote(as as string)}: expected an array, found ${foundText(array)}`)
  const { type, nullable } = shape.element
  const specs: ColumnSpec[] = [...input.schema.columns, { name: as as string, type, nullable: nullable || outer }]
  if (ordinality !== undefined) specs.push({ name: ordinality, type: 'u32', nullable: outer })
  return Object.freeze({
    ...{ kind: 'unnest', input, array, outer, ordinality: ordinality !== undefined },
    schema: rowSchema('unnest', specs),
  })
}

const MAX_LIMIT = 2 ** 31 - 1

export function topQuery(input: Rel, keys: readonly NamedExpr[], given: unknown, order: readonly unknown[]): Rel {
  if (typeof given !== 'object' || given === null) return topRel(input, keys, given, order)
  return topOfOptions(given, limit => topRel(input, keys, limit, order))
}

export function topRel(
  input: Rel,
  keys: readonly NamedExpr[],
  limit: unknown,
  order: readonly unknown[],
  what = 'top',
): TopKRel {
  if (typeof limit !== 'number' || !Number.isInteger(limit) || limit < 1 || limit > MAX_LIMIT) {
    throw new CompileError(`${what}: expected a limit from 1 to ${MAX_LIMIT}, found ${show(limit)}`)
  }
  const terms = order.flatMap((term): { expr: Expr; descending: boolean }[] => {
    mustBeObject(what, term, '{ by: row => …, desc?, nulls? }')
    checkOptions(`${what} order`, term, ['by', 'desc', 'nulls', 'ctx'])
    const { by, desc, nulls, ctx } = term as { by?: unknown; desc?: unknown; nulls?: unknown; ctx?: unknown }
    if (nulls !== undefined && nulls !== 'first' && nulls !== 'last') {
      throw new CompileError(`${what} order: expected nulls: 'first' or 'last', found ${show(nulls)}`)
    }
    const expr = valueLambda({ fn: by, ctx, rows: [input.schema], what: `${what} order` })
    const plain = Object.freeze({ expr, descending: flagOf(`${what} order`, 'desc', desc) })
    if (nulls === undefined || !expr.nullable || (nulls === 'first') !== plain.descending) return [plain]
    return [Object.freeze({ expr: call('isNull', [expr], 'bool'), descending: plain.descending }), plain]
  })
  return Object.freeze({
    kind: 'topK',
    input,
    keys: Object.freeze(keys.map(k => k.expr)),
    order: Object.freeze(terms),
    limit,
    schema: input.schema,
  })
}
