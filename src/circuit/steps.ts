/**
 * Joins with *steps*: rows that hold from their time on until the next one of their key (`lower-asof.ts`). A row that is
 * new among them ends the one before it at its own time. The left rows before that time meet what they met: of two rows,
 * one that goes and one that comes in the same epoch, which differ in nothing but where they end.
 */

import { TYPES } from '../schema/types.js'
import { conjuncts } from './conditions.js'
import type { ColumnExpr, Expr } from './expr.js'
import type { JoinRel, SuccessorRel } from './rel.js'
import { allColumns, replaceColumns, usedColumns } from './substitute.js'

export interface StepJoin {
  /** The left column that says when. */
  readonly time: ColumnExpr
  readonly steps: SuccessorRel
}

/** What a join is as one with steps; null if it is none, or if it tells where steps end. */
export function stepJoin(rel: JoinRel): StepJoin | null {
  const { right } = rel
  const steps = right.kind === 'map' ? right.input : right
  if (steps.kind !== 'successor' || steps.backwards || steps.order.kind !== 'column' || rel.residual === null)
    return null
  const exprs = right.kind === 'map' ? right.exprs : allColumns(right.schema)
  const ofSteps = exprs.map(e => replaceColumns(e, c => ({ ...c, input: 1 })))
  const expand = (e: Expr): Expr => replaceColumns(e, c => (c.input === 0 ? c : ofSteps[c.index]))
  const beyond = steps.schema.columns.length - 1
  const endless = (e: Expr): boolean => !usedColumns(expand(e))[1].has(beyond)
  // The level and the value of a range are no equalities: the residual says all of them.
  const on = rel.band ? rel.on.slice(0, -2) : rel.on
  if (!on.every(([, r]) => endless(r)) || !rel.exprs.every(endless)) return null
  const conditions = conjuncts(rel.residual).map(expand)
  const { index } = steps.order
  const time = conditions.flatMap(c => timeOf(c, index) ?? [])[0]
  if (time === undefined || !conditions.every(c => endsLater(c, time, beyond) || !usedColumns(c)[1].has(beyond)))
    return null
  return { time, steps }
}

const isColumn = (e: Expr, input: 0 | 1, index: number): e is ColumnExpr =>
  e.kind === 'column' && e.input === input && e.index === index

/** The left column of `step <= column` or `step < column`. */
function timeOf(e: Expr, step: number): ColumnExpr | null {
  if (e.kind !== 'call' || (e.op !== 'le' && e.op !== 'lt')) return null
  const [small, big] = e.args
  const fits = isColumn(small, 1, step) && big.kind === 'column' && big.input === 0 && big.type === small.type
  return fits ? big : null
}

/** Whether a condition holds for all steps that end later than `time`, or never. */
function endsLater(e: Expr, time: ColumnExpr, beyond: number): boolean {
  const isBeyond = (x: Expr): boolean => isColumn(x, 1, beyond)
  if (e.kind !== 'call') return false
  if (e.op === 'or') {
    const [a, b] = e.args
    const never = a.kind === 'call' && a.op === 'isNull' && isBeyond(a.args[0])
    return e.args.length === 2 && never && isAtMost(b, time, isBeyond)
  }
  return (
    e.op === 'le' &&
    isAtMost(e, time, x => {
      if (x.kind !== 'call' || x.op !== 'coalesce' || x.args.length !== 2) return false
      const [end, last] = x.args
      return isBeyond(end) && last.kind === 'literal' && isGreatest(last)
    })
  )
}

function isAtMost(e: Expr, { index }: ColumnExpr, isEnd: (x: Expr) => boolean): boolean {
  return e.kind === 'call' && (e.op === 'le' || e.op === 'lt') && isColumn(e.args[0], 0, index) && isEnd(e.args[1])
}

const isGreatest = ({ type, value }: Expr & { readonly kind: 'literal' }): boolean =>
  Number.isNaN(value) ||
  (TYPES[type].max !== null && value !== null && BigInt(value as number | bigint) === TYPES[type].max)
