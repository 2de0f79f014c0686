/** Operators that are made of others: NOT IN, and the first rows after some, or with those that are level with the last. */
import { CompileError, show } from '../../base/errors.js'
import { rowSchema } from '../../schema/schema.js'
import { allOf } from '../conditions.js'
import type { Expr } from '../expr.js'
import { conditionLambda } from '../lambda/index.js'
import { filterOf, mapOf, negateOf, plusOf, schemaOf } from '../nodes.js'
import { printExpr } from '../print.js'
import type { AggregateRel, AggregateSpec, DistinctRel, JoinRel, OrderTerm, Rel, WindowRel } from '../rel.js'
import { allColumns, call, columnOf, literal, replaceColumns } from '../substitute.js'
import { DEFAULT_FRAME, type WindowOrder, type WindowSpec } from '../window.js'
import { checkOptions, flagOf } from './check.js'
import { equalityOf } from './joins.js'

/**
 * The rows of `left` for which `x NOT IN (values)` is true, as SQL has it. With N the values, each once:
 *
 *     N is empty: every row        N has a NULL: none        else: rows whose x is not NULL and not in N
 *
 * Throws CompileError unless the condition is one equality between the sides.
 */
export function notInRel(left: Rel, right: Rel, on: unknown, ctx: unknown): Rel {
  const what = 'notIn'
  const condition = conditionLambda({ fn: on, ctx, rows: [left.schema, right.schema], what: `${what} condition` })
  const pair = equalityOf(condition)
  if (pair === null) {
    throw new CompileError(
      `${what}: expected one equality of values of one type between the sides, found ${printExpr(condition)}`,
      {
        hint: 'write it like (row, other) => row.id === other.id; antiJoin takes any condition',
      },
    )
  }
  const [x, y] = pair
  const value = replaceColumns(y, c => columnOf(right.schema, c.index))
  const schema = rowSchema(what, [{ name: 'value', type: y.type, nullable: y.nullable }])
  const values: DistinctRel = Object.freeze({ kind: 'distinct', input: mapOf(right, [value], schema), schema })
  const candidates = x.nullable || y.nullable ? candidatesOf(left, x, values) : left
  return joined(candidates, values, {
    type: 'anti',
    on: [[x, columnOf(schema, 0, 1)]],
    residual: null,
  })
}

/** The rows that are there if they match no value. */
function candidatesOf(left: Rel, x: Expr, values: Rel): Rel {
  const [value] = allColumns(values.schema)
  const count = (name: string, args: readonly Expr[]): AggregateSpec =>
    Object.freeze({ ...{ fn: 'count', name, args, filter: null, distinct: false, order: [], detail: null } })
  const counts: AggregateRel = Object.freeze({
    ...{ kind: 'aggregate', input: values, keys: [], aggregates: [count('all', []), count('known', [value])] },
    schema: rowSchema('notIn', [
      { name: 'all', type: 'i64', nullable: false },
      { name: 'known', type: 'i64', nullable: false },
    ]),
  })
  const [all, known] = allColumns(counts.schema)
  // Two facts, which change seldom, in place of counts.
  const facts = mapOf(
    counts,
    [call('is', [all, literal('i64', 0n)], 'bool'), call('is', [all, known], 'bool')],
    rowSchema('notIn', [
      { name: 'isEmpty', type: 'bool', nullable: false },
      { name: 'isKnown', type: 'bool', nullable: false },
    ]),
  )
  const [isEmpty, isKnown] = allColumns(facts.schema, 1)
  const isThere = x.nullable ? [call('not', [call('isNull', [x], 'bool')], 'bool')] : []
  const residual = call('or', [isEmpty, allOf([isKnown, ...isThere])], 'bool')
  return joined(left, facts, { type: 'inner', on: [], residual })
}

function joined(left: Rel, right: Rel, parts: Pick<JoinRel, 'type' | 'on' | 'residual'>): JoinRel {
  return Object.freeze({
    ...{ kind: 'join', left, right, nullSafe: parts.on.map(() => false), schema: left.schema },
    ...parts,
    exprs: Object.freeze(allColumns(left.schema)),
  })
}

/** How many rows: `{ limit: 10, offset: 20 }`; with `ties` also those that the order leaves level with the last. */
export interface TopOptions {
  readonly limit: number
  readonly offset?: number
  readonly ties?: boolean
}

/** Makes a `top` of so many rows; see `query.ts`. */
type MakeTop = (limit: number) => Extract<Rel, { kind: 'topK' }>

/** Throws CompileError on options that make no sense. */
export function topOfOptions(options: object, make: MakeTop): Rel {
  checkOptions('top', options, ['limit', 'offset', 'ties'])
  const { limit, offset = 0, ties } = options as Readonly<Record<keyof TopOptions, unknown>>
  if (typeof offset !== 'number' || !Number.isInteger(offset) || offset < 0) {
    throw new CompileError(`top: expected an offset from 0, found ${show(offset)}`)
  }
  const isTied = flagOf('top', 'ties', ties)
  // Judged by itself, so that the message names it.
  const own = make(limit as number)
  const whole = make(own.limit + offset)
  const rows = isTied ? withTies(whole) : whole
  if (offset === 0) return rows
  return plusOf([rows, negateOf(make(offset))], whole.schema)
}

/** Rows of a rank up to the limit. */
function withTies({ input, keys, order, limit }: ReturnType<MakeTop>): Rel {
  if (order.length === 0) throw new CompileError('top: expected an order, without which all rows are ties')
  const rank: WindowSpec = Object.freeze({
    ...{ fn: 'rank', name: 'rank', arg: null, fallback: null, n: 0, ignoreNulls: false, frame: DEFAULT_FRAME },
  })
  const term = ({ expr, descending }: OrderTerm): WindowOrder => ({ expr, descending, nullsFirst: !descending })
  const ranked: WindowRel = Object.freeze({
    ...{ kind: 'window', input, partition: keys, order: Object.freeze(order.map(term)), functions: [rank] },
    schema: schemaOf('top', [...input.schema.columns, { name: 'rank', type: 'i64', nullable: false }]),
  })
  const columns = allColumns(ranked.schema)
  const place = columns[columns.length - 1]
  const first = filterOf(ranked, call('le', [place, literal('i64', BigInt(limit))], 'bool'))
  return mapOf(first, columns.slice(0, -1), input.schema)
}
