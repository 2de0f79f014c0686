/**
 * Lowering of windows: partition, order and what functions read become columns behind the row's own, which are taken off
 * again afterwards. Of an aggregate over frames (`WindowSpec.aggregate`), `columns` are what its definition makes of the
 * arguments: NULL in the first one, for linear aggregates, where a row takes no part, so that these have no FILTER.
 */
import type { Linear, Ordered } from './aggregates/definition.js'
import { AGGREGATES } from './aggregates/index.js'
import type { ColumnExpr, Expr } from './expr.js'
import { mapOf, schemaOf, windowInputs, withColumns } from './nodes.js'
import type { AggregateFn, AggregateSpec, Rel, WindowRel } from './rel.js'
import { call, columnOf, TRUE } from './substitute.js'
import { isFrameAggregate, type WindowOrder, type WindowSpec, within, withWindowExprs } from './window.js'

/** How an aggregate is computed over a frame. */
export const framePlanOf = (fn: AggregateFn): Linear | Ordered => AGGREGATES[fn].framePlan ?? AGGREGATES[fn].plan

export function lowerWindow(given: WindowRel, input: Rel): Rel {
  const rel: WindowRel = {
    ...given,
    order: naturalOrder(given.order),
    functions: given.functions.map(plainest),
  }
  const exprs = windowInputs(rel)
  const wide = withColumns(input, exprs, 'window')
  const columns = wide.at.map(i => columnOf(wide.rel.schema, i))
  const functions = overColumns(rel, columns)
  const made = functions.map(({ aggregate }) => (aggregate === undefined ? [] : columnsOf(aggregate)))
  const wider = withColumns(wide.rel, made.flat(), 'aggregate')
  let next = 0
  const take = (): ColumnExpr => columnOf(wider.rel.schema, wider.at[next++])
  const added = given.schema.columns.slice(input.schema.columns.length)
  const lowered: WindowRel = Object.freeze({
    ...rel,
    input: wider.rel,
    partition: columns.slice(0, rel.partition.length),
    order: rel.order.map((o, i) => Object.freeze({ ...o, expr: columns[rel.partition.length + i] })),
    functions: functions.map((f, i) => withMade(f, made[i].map(take))),
    schema: wider.rel === input ? given.schema : schemaOf('window', [...wider.rel.schema.columns, ...added]),
  })
  if (wider.rel === input) return lowered
  const width = wider.rel.schema.columns.length
  const kept = [...input.schema.columns.keys(), ...added.map((_, i) => width + i)]
  return mapOf(
    lowered,
    kept.map(i => columnOf(lowered.schema, i)),
    given.schema,
  )
}

/** Where NULL is to stand elsewhere than rows have it, a column that says whether it is NULL comes first in the order. */
function naturalOrder(order: readonly WindowOrder[]): WindowOrder[] {
  return order.flatMap(term => {
    const { expr, descending, nullsFirst } = term
    const natural: WindowOrder = { ...term, nullsFirst: !descending }
    if (!expr.nullable || nullsFirst === !descending) return [natural]
    const isNull = call('isNull', [expr], 'bool')
    return [{ expr: isNull, descending: nullsFirst, nullsFirst: !nullsFirst }, natural]
  })
}

/** Not changed by what is there twice. */
const IDEMPOTENT: readonly AggregateFn[] = ['min', 'max', 'boolAnd', 'boolOr', 'bitAnd', 'bitOr']

/** A function of one argument in place of an aggregate that is just that. */
function plainest(spec: WindowSpec): WindowSpec {
  const { aggregate, ...rest } = spec
  if (aggregate === undefined) return spec
  const { fn, args, filter, distinct, order } = aggregate
  if (isFrameAggregate(fn) && (!distinct || IDEMPOTENT.includes(fn))) {
    const [arg = filter === null ? null : TRUE] = args
    return { ...rest, fn, arg: arg && within(filter, arg) }
  }
  if ((fn !== 'first' && fn !== 'last') || distinct || filter !== null || order.length > 0) return spec
  return { ...rest, fn: fn === 'first' ? 'firstValue' : 'lastValue', arg: args[0] }
}

/** The functions over the columns that hold what they read. */
function overColumns({ partition, order, functions }: WindowRel, columns: readonly ColumnExpr[]): WindowSpec[] {
  let next = partition.length + order.length
  return functions.map(spec => withWindowExprs(spec, () => columns[next++]))
}

/** What a definition makes of the arguments, which are columns. */
function columnsOf(aggregate: AggregateSpec): readonly Expr[] {
  const { fn, args, filter, detail } = aggregate
  const plan = framePlanOf(fn)
  const given = args.length === 0 ? [TRUE] : args
  const own = plan.kind === 'linear' ? given.map(a => within(filter, a)) : given
  return plan.columns?.(own, detail) ?? own
}

function withMade(spec: WindowSpec, columns: readonly ColumnExpr[]): WindowSpec {
  const { aggregate } = spec
  if (aggregate === undefined) return spec
  const isLinear = framePlanOf(aggregate.fn).kind === 'linear'
  return Object.freeze({ ...spec, columns, aggregate: isLinear ? { ...aggregate, filter: null } : aggregate })
}
