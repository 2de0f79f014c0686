/** The present time in expressions. It stands in filters alone, which become gates. */
import type { CallExpr, Expr } from './expr.js'
import type { Relation } from './rel.js'
import { detailed } from './substitute.js'

/** Of the stream that the clock is: see `clock.ts`. */
export const CLOCK_NAME = 'gnitz_clock'

/** Is it the clock, perhaps as a directory has it? */
export const isClock = (relation: Relation): boolean => relation.schema.name === CLOCK_NAME

export const nowExpr = (): CallExpr => detailed('function', 'now', [], 'timestamptz')

export const isNow = (expr: Expr): boolean => expr.kind === 'call' && expr.op === 'function' && expr.detail === 'now'

const known = new WeakMap<Expr, boolean>()

export function mentionsNow(expr: Expr): boolean {
  let mentions = known.get(expr)
  if (mentions === undefined) {
    mentions = isNow(expr) || (expr.kind === 'call' && expr.args.some(mentionsNow))
    known.set(expr, mentions)
  }
  return mentions
}
