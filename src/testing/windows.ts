/** Random window functions: every one of them, over frames of all kinds. */
import { AGGREGATES } from '../circuit/aggregates/index.js'
import type { ColumnExpr, Expr } from '../circuit/expr.js'
import type { Rel } from '../circuit/rel.js'
import type { Frame, WindowOrder } from '../circuit/window.js'
import { isDecimal, TYPES, type TypeName } from '../schema/types.js'
import { aggregateArgument, anAggregate } from './aggregates.js'
import * as n from './nodes.js'
import { columnsOf, groupKey, renamed, type Surroundings } from './surroundings.js'
import { boundedColumns } from './times.js'

const RANGED: readonly TypeName[] = ['i32', 'i64', 'f64', 'u8', 'u64', 'f32', 'date', 'timestamp', 'time', 'i8']

export function windowOperator(c: Surroundings, depth: number): Rel {
  const { choices } = c
  const input = c.relation(depth)
  const columns = columnsOf(input)
  const partition = Array.from({ length: choices.pick([0, 1, 1, 2]) }, () => groupKey(c, columns))
  const order = windowOrder(c, input)
  const ranged = order.length === 1 && isRanged(order[0].expr) ? order[0].expr.type : null
  // One that is alone is not helped by what others have computed again.
  const count = choices.oneIn(2) ? 1 : 2 + choices.below(2)
  const functions = Array.from({ length: count }, (_, i) => {
    return [`w${i}`, windowFunction(c, columns, ranged)] as const
  })
  return renamed(n.window(input, partition, order, functions))
}

const isRanged = ({ type }: Expr): boolean => RANGED.includes(type) || isDecimal(type)

/** By a time behind which state goes, or something else that RANGE offsets may be taken of, or by anything. */
function windowOrder(c: Surroundings, input: Rel): WindowOrder[] {
  const { choices } = c
  const columns = columnsOf(input)
  const [times, ranged] = [boundedColumns(c, input), columns.filter(isRanged)]
  const first = [times, ranged].find(some => some.length > 0 && choices.oneIn(2))
  const more = choices.pick(first === undefined ? [0, 1, 2] : [0, 0, 1])
  const others = Array.from({ length: more }, () => groupKey(c, columns))
  const exprs = first === undefined ? others : [choices.pick(first), ...others]
  return exprs.map(expr => ({ expr, descending: choices.oneIn(2), nullsFirst: choices.oneIn(2) }))
}

const RANK_FNS = ['rowNumber', 'rank', 'denseRank', 'percentRank', 'cumeDist', 'ntile'] as const

const VALUE_FNS = ['lag', 'lead', 'firstValue', 'lastValue', 'nthValue'] as const

const FRAME_FNS = ['count', 'sum', 'min', 'max', 'avg', 'boolAnd', 'boolOr', 'bitAnd', 'bitOr', 'bitXor'] as const

/** `ranged`: the type of the one order column, if RANGE offsets may be taken of it. */
function windowFunction(c: Surroundings, columns: readonly ColumnExpr[], ranged: TypeName | null): n.WindowFunction {
  const { choices } = c
  const frame = windowFrame(c, ranged)
  switch (choices.below(4)) {
    case 0:
      return { fn: choices.pick(RANK_FNS), arg: null, n: 1 + choices.below(3) }
    case 1: {
      const fn = choices.pick(VALUE_FNS)
      const arg = groupKey(c, columns)
      const ignoreNulls = choices.oneIn(2)
      const offset = fn === 'lag' || fn === 'lead'
      const fallback = offset && choices.oneIn(2) ? c.expression(arg.type, columns) : null
      return {
        fn,
        arg,
        fallback,
        ignoreNulls,
        frame,
        n: fn === 'nthValue' || ignoreNulls ? 1 + choices.below(3) : choices.below(3),
      }
    }
    case 2: {
      const aggregate = n.aggregateSpec(anAggregate(c, 'framed', columns))
      return { fn: aggregate.fn, arg: null, aggregate, frame }
    }
    default: {
      const fn = choices.pick(FRAME_FNS)
      const { args, optional } = AGGREGATES[fn]
      const bare = optional === true && !choices.oneIn(2)
      return { fn, arg: bare ? null : aggregateArgument(c, args[0], columns), frame }
    }
  }
}

function windowFrame({ choices }: Surroundings, ranged: TypeName | null): Frame {
  const mode = choices.pick(['range', 'rows', 'groups'] as const)
  const exclude = choices.pick(['none', 'none', 'current', 'group', 'ties'] as const)
  const bound = (): number | null => (choices.oneIn(3) ? null : choices.below(5) - 2)
  const [a, b] = choices.oneIn(4) ? [null, 0] : [bound(), bound()]
  const [start, end] = a !== null && b !== null && a > b && !choices.oneIn(6) ? [b, a] : [a, b]
  if (mode !== 'range') return { mode, start, end, exclude }
  const unit = choices.pick([1, 1, 3, 100])
  const calendar = (ranged === 'date' || ranged === 'timestamp') && choices.oneIn(2)
  const offset = (x: number | null): Frame['start'] => {
    if (calendar && x !== null) return { months: x * unit, micros: BigInt(x) * 86_400_000_000n }
    if (ranged === null) return x === null ? null : 0
    return x !== null && TYPES[ranged].js === 'bigint' ? BigInt(x * unit) : x === null ? null : x * unit
  }
  return { mode, start: offset(start), end: offset(end), exclude }
}
