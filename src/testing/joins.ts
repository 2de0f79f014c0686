/** Random joins: of every type, by equal columns, ranges and any other condition, and as-of joins. */
import type { ColumnExpr, Expr } from '../circuit/expr.js'
import type { JoinRel, Rel } from '../circuit/rel.js'
import * as n from './nodes.js'
import { columnsOf, type Surroundings } from './surroundings.js'

export function joinOperator(type: JoinRel['type']) {
  return (c: Surroundings, depth: number): Rel => {
    const left = c.relation(depth)
    const right = c.relation(depth)
    const [l, r] = [columnsOf(left), columnsOf(right, 1)]
    const count = c.choices.pick([1, 1, 1, 2, 2, 0])
    const on = Array.from({ length: count }, () => joinKey(c, l, r))
    const plain = c.choices.oneIn(3) || count === 0 ? c.expression('bool', l, r) : null
    const residual = c.choices.oneIn(4) || count === 0 ? rangeCondition(c, l, r, plain) : plain
    // The columns of a side that can be absent are NULL then.
    const outLeft = columnsOf(left, 0, type === 'right' || type === 'full')
    const outRight = columnsOf(right, 1, type === 'left' || type === 'full')
    const visible = type === 'semi' || type === 'anti' ? l : [...outLeft, ...outRight]
    return n.join(type, left, right, on, residual, c.outputs(visible, 2))
  }
}

/** Comparisons between the sides, one or two of them, before or after another condition. */
function rangeCondition(
  c: Surroundings,
  left: readonly ColumnExpr[],
  right: readonly ColumnExpr[],
  more: Expr | null,
): Expr {
  const [points, others] = c.choices.oneIn(2) ? [right, left] : [left, right]
  const point = c.choices.pick(points)
  const like = others.filter(o => o.type === point.type)
  const bound = (): Expr => (like.length > 0 ? c.choices.pick(like) : c.expression(point.type, others))
  const lower = n.call(c.choices.pick(['ge', 'gt'] as const), 'bool', point, bound())
  const range = c.choices.oneIn(3) ? lower : n.call('and', 'bool', lower, n.call('le', 'bool', point, bound()))
  if (more === null) return range
  return c.choices.oneIn(2) ? n.call('and', 'bool', more, range) : n.call('and', 'bool', range, more)
}

/** A pair of equal types: two columns where the sides have some, else computed. */
function joinKey(c: Surroundings, left: readonly ColumnExpr[], right: readonly ColumnExpr[]) {
  const common = left.filter(l => right.some(r => r.type === l.type))
  const nullSafe = c.choices.oneIn(3)
  if (common.length === 0 || c.choices.oneIn(5)) {
    const type = c.expressions(left, right).type()
    return [c.expression(type, left), c.expression(type, right), nullSafe] as const
  }
  const l = c.choices.pick(common)
  return [l, c.choices.pick(right.filter(r => r.type === l.type)), nullSafe] as const
}

export function asOfOperator(c: Surroundings, depth: number): Rel {
  const left = c.relation(depth)
  const right = c.relation(depth)
  const [l, r] = [columnsOf(left), columnsOf(right, 1)]
  const on = Array.from({ length: c.choices.pick([1, 0, 2]) }, () => joinKey(c, l, r))
  const type = c.choices.pick(['inner', 'left'] as const)
  const visible = [...l, ...columnsOf(right, 1, type === 'left')]
  const op = c.choices.pick(['le', 'lt', 'ge', 'gt'] as const)
  const [earlier, later] = joinKey(c, l, r)
  return n.asOf(type, op, left, right, on, [earlier, later], c.outputs(visible, 2))
}
