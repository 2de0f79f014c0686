/** Random operators that go by time: windows of it, sessions, and rows that wait for a waterline or the clock. */
import type { Bound } from '../circuit/bounds.js'
import type { ColumnExpr, Expr } from '../circuit/expr.js'
import type { Rel } from '../circuit/rel.js'
import { arrayOf, TYPES, type TypeName } from '../schema/types.js'
import * as n from './nodes.js'
import { columnsOf, groupKey, renamed, type Surroundings } from './surroundings.js'

const TIMED: readonly TypeName[] = ['i64', 'timestamp', 'i32', 'u64', 'date', 'u8', 'i8', 'timestamptz']

/** Columns that follow from waterlines, so that state goes behind them. */
export function boundedColumns(c: Surroundings, input: Rel): ColumnExpr[] {
  if (!c.tables.some(t => t.waterlines !== undefined)) return []
  return columnsOf(input).filter(column => n.boundOf(input, column.index) !== null)
}

/** A time: a column, if there is one of the right type, that is not NULL. */
function aTime(c: Surroundings, input: Rel): Expr {
  const columns = columnsOf(input)
  const bounded = boundedColumns(c, input)
  const among = bounded.length > 0 && c.choices.oneIn(2) ? bounded : columns
  const own = among.filter(column => TIMED.includes(column.type))
  const expr = own.length > 0 && !c.choices.oneIn(5) ? c.choices.pick(own) : c.computed(columns)
  const time = TIMED.includes(expr.type) ? expr : c.expression(c.choices.pick(TIMED), columns)
  return time.nullable ? n.call('coalesce', time.type, time, n.literal(time.type, wholeOf(time.type, 0))) : time
}

const wholeOf = (type: TypeName, value: number): number | bigint =>
  TYPES[type].js === 'number' ? value : BigInt(value)

export function timeWindowOperator(c: Surroundings, depth: number): Rel {
  const { choices } = c
  const input = c.relation(depth)
  const columns = columnsOf(input)
  const at = aTime(c, input)
  const { type } = at
  const [size, step] = [choices.pick([1, 3, 10, 100]), choices.pick([1, 2, 7])]
  const whole = (value: number): Expr => n.literal(type, wholeOf(type, value))
  switch (choices.below(4)) {
    case 0: {
      const start = n.fn('windowStart', type, at, whole(size), whole(choices.below(size)))
      return n.map(input, [...c.outputs(columns).slice(0, 3), ['windowStart', start]])
    }
    case 1: {
      const starts = n.fn(
        'windowStarts',
        arrayOf({ type, nullable: false }),
        at,
        whole(size),
        whole(Math.min(size, step)),
        whole(0),
      )
      return renamed(n.unnest(renamed(input), starts, 'start', false, false))
    }
    default: {
      const keys = Array.from({ length: choices.below(2) }, () => groupKey(c, columns))
      return renamed(n.session(renamed(input), keys, at, BigInt(size)))
    }
  }
}

/** Rows that pass once they are final, or until the clock passes them; the input itself, if there is neither. */
export function gateOperator(c: Surroundings, depth: number): Rel {
  const input = c.relation(depth)
  const columns = columnsOf(input)
  const clock = c.tables.find(t => t.waterlines?.length === 1 && t.schema.columns.length === 1)
  const bounded = boundedColumns(c, input)
  if (bounded.length > 0 && c.choices.oneIn(2)) {
    const key = c.choices.pick(bounded)
    return n.gate(input, key, 'lt', n.boundOf(input, key.index) as Bound)
  }
  if (clock === undefined) return input
  const { type } = clock.schema.columns[0]
  const own = columns.filter(column => column.type === type && !column.nullable)
  const key = own.length > 0 ? c.choices.pick(own) : n.literal(type, wholeOf(type, c.choices.below(24)))
  const by = n.literal(type, wholeOf(type, c.choices.below(8)))
  const name = c.choices.pick(['addSaturated', 'subSaturated'] as const)
  const threshold = n.waterlineBound(clock, 0, now => n.fn(name, type, now, by))
  return n.gate(input, key, c.choices.pick(['ge', 'lt', 'gt', 'le'] as const), threshold)
}
