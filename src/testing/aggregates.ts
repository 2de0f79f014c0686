/** Random aggregates: every function, with FILTER, DISTINCT and orders, over groups or everything. */
import type { ArgumentRule, UserAggregate } from '../circuit/aggregates/definition.js'
import { AGGREGATE_FNS, AGGREGATES } from '../circuit/aggregates/index.js'
import type { ColumnExpr, Expr } from '../circuit/expr.js'
import type { AggregateFn, Rel } from '../circuit/rel.js'
import { ALL_TYPES } from './expressions.js'
import * as n from './nodes.js'
import { anOrder, columnsOf, groupKey, type Surroundings } from './surroundings.js'

export const aggregateOperator = (c: Surroundings, depth: number): Rel =>
  aggregateNode(c, depth, 1 + c.choices.below(2))

export const globalOperator = (c: Surroundings, depth: number): Rel => aggregateNode(c, depth, 0)

function aggregateNode(c: Surroundings, depth: number, keyCount: number): Rel {
  const input = c.relation(depth)
  const columns = columnsOf(input)
  const keys = Array.from({ length: keyCount }, (_, i): n.Output => [`k${i}`, groupKey(c, columns)])
  const aggregates = Array.from({ length: 1 + c.choices.below(3) }, (_, i) => anAggregate(c, `a${i}`, columns))
  return n.aggregate(input, keys, aggregates)
}

/** The plain ones are half of all. */
const PLAIN: readonly AggregateFn[] = ['count', 'sum', 'min', 'max', 'avg']

export function anAggregate(c: Surroundings, name: string, columns: readonly ColumnExpr[]): n.AggregateOutput {
  const fn = c.choices.pick(c.choices.oneIn(2) ? AGGREGATE_FNS : PLAIN)
  const { args: rules, optional } = AGGREGATES[fn]
  const bare = optional === true && !c.choices.oneIn(2)
  const args = bare ? [] : rules.map(rule => aggregateArgument(c, rule, columns))
  const filter = c.choices.oneIn(5) ? c.expression('bool', columns) : null
  const distinct = args.length > 0 && c.choices.oneIn(5)
  return [name, fn, args, { filter, distinct, ...aggregateDetail(c, fn, columns) }]
}

export function aggregateArgument(c: Surroundings, rule: ArgumentRule, columns: readonly ColumnExpr[]): Expr {
  const own = columns.filter(column => rule.accepts(column.type))
  if (own.length > 0 && !c.choices.oneIn(3)) return c.choices.pick(own)
  return c.expression(c.choices.pick(ALL_TYPES.filter(rule.accepts)), columns)
}

/** What some aggregates need besides. */
function aggregateDetail(c: Surroundings, fn: AggregateFn, columns: readonly ColumnExpr[]): n.AggregateOptions {
  switch (fn) {
    case 'linear':
      return { detail: WEIGHTED_SUMS }
    case 'fold':
      return { detail: TEXT_OF_ROWS }
    case 'percentileCont':
    case 'percentileDisc':
      return { detail: c.choices.pick([0.5, 0, 1, 0.25, 0.9]) }
    case 'approxPercentile':
      return { detail: [c.choices.pick([0.5, 0, 0.99]), 0.05] }
    case 'approxCountDistinct':
      return { detail: 4 }
    case 'histogram':
      return { detail: [-1, 2, 3] }
    case 'first':
    case 'last':
      return { order: anOrder(c, columns), distinct: false }
    case 'stringAgg':
      return { detail: ', ', order: anOrder(c, columns), distinct: false }
    case 'arrayAgg':
    case 'jsonAgg':
      return { order: anOrder(c, columns), distinct: false }
    default:
      return {}
  }
}

/** A fold of a user: everything it sees, as text. */
const TEXT_OF_ROWS: UserAggregate = Object.freeze({
  ...{ kind: 'user', name: 'texts', type: 'string', nullable: true },
  fn: (rows: readonly { values: readonly unknown[]; weight: bigint }[]) => {
    const text = rows.map(({ values, weight }) => `${values.map(String)} x ${weight}`).join()
    if (text.startsWith('0')) throw new Error('zero')
    return text.length > 20 ? null : `${text.length} ${text.replace(/[^ -~]/g, '?')}`
  },
} as const)

/** A linear aggregate of a user: fails now and then. */
const WEIGHTED_SUMS: UserAggregate = Object.freeze({
  ...{ kind: 'user', name: 'sums', type: 'f64', nullable: true },
  fn: (...sums: readonly (number | bigint)[]) => {
    const total = sums.reduce((sum: number, x) => sum * 2 + Number(x), 0)
    if (total === 3) throw new Error('three')
    return total === 1 ? null : total
  },
} as const)
