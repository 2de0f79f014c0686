/** Feeds as plans: what is fused into the loop that reads a producer's rows or a join's pairs. */
import { isNever, isTrue } from '../circuit/conditions.js'
import type { CallExpr, Expr } from '../circuit/expr.js'
import { nodeCanFail } from '../circuit/nodes.js'
import { fold } from '../circuit/optimise/fold.js'
import { printExpr } from '../circuit/print.js'
import type { JoinRel, Rel } from '../circuit/rel.js'
import { call, canFail, FALSE, replaceColumns, usedColumns } from '../circuit/substitute.js'
import type { RowSchema } from '../schema/schema.js'
import type { JoinOperator } from './operators/join.js'
import type { Producer } from './operators/operator.js'

/** What a feed does, before it is code. `exprs` and `filter` speak of the producer's rows (or of the join's pairs). */
export interface FeedPlan {
  readonly producer: Producer | null
  readonly join: JoinOperator | null
  readonly filter: Expr | null
  readonly exprs: readonly Expr[]
  readonly negate: boolean
}

/** Filter, then predicate on what passed: the second is not evaluated where the first is not TRUE. */
function both(filter: Expr, predicate: Expr): CallExpr {
  return call('if', [filter, predicate, FALSE], 'bool')
}

/** The feed with a filter on top. */
export function filtered(feed: FeedPlan, predicate: Expr): FeedPlan {
  const own = onto(predicate, feed.exprs)
  const folded = fold(own)
  if (isTrue(folded)) return feed
  return { ...feed, filter: feed.filter === null ? (isNever(folded) ? folded : own) : both(feed.filter, own) }
}

/** Nothing comes through: one of several feeds whose rows are told apart by a constant, seen by a reader of the others. */
export const isClosed = ({ filter }: FeedPlan): boolean => filter !== null && isNever(filter)

/** An expression over a map's output, as one over the map's input. */
export function onto(expr: Expr, exprs: readonly Expr[]): Expr {
  return replaceColumns(expr, column => exprs[column.index])
}

/** The columns of the producer that a feed reads; null for all, since a row that fails is told as a whole. */
export function columnsRead({ filter, exprs }: FeedPlan): ReadonlySet<number> | null {
  const read = filter === null ? exprs : [filter, ...exprs]
  return read.some(canFail) ? null : new Set(read.flatMap(e => [...usedColumns(e)[0]]))
}

/** Can this linear part fail anywhere above the next stateful node? */
export function reachesFailure(rel: Rel): boolean {
  if (nodeCanFail(rel)) return true
  switch (rel.kind) {
    case 'filter':
    case 'map':
    case 'negate':
      return reachesFailure(rel.input)
    case 'plus':
      return rel.inputs.some(reachesFailure)
    default:
      return false
  }
}

/** What brings the rows of a join together. */
export function describeJoin({ on, band }: JoinRel): string[] {
  const equal = (band ? on.slice(0, -2) : on).map(([l, r]) => `${printExpr(l)} = ${printExpr(r)}`)
  if (!band) return equal
  const [left, right] = on[on.length - 1].map(e => printExpr(e))
  const [point, lo] = band.point === 0 ? [left, right] : [right, left]
  return [...equal, `${band.point === 0 ? 'left' : 'right'} ${point} from ${lo} to ${printExpr(band.hi)}`]
}

export function describeFeed(feed: FeedPlan, schema: RowSchema): string[] {
  const lines: string[] = []
  if (feed.negate) lines.push('negated')
  if (feed.filter !== null) lines.push(`filter ${printExpr(feed.filter)}`)
  const columns = schema.columns.map((c, n) => {
    const text = printExpr(feed.exprs[n])
    return text === c.name || text.endsWith(`.${c.name}`) ? text : `${c.name} = ${text}`
  })
  lines.push(`columns ${columns.join(', ')}`)
  return lines
}
