/**
 * Conditions and failures: taking conjunctions apart and together, and the two laws by which expressions move
 * without changing which rows fail, and with which message.
 *
 * 1. A conjunct may run before, and away from, the others if it cannot fail and neither hides failures of the
 *    ones before it nor of the ones after it (`separable`).
 * 2. An expression list may be substituted into another if every failure it can have still happens, first and in
 *    the same order (`keepsFailures`); if not, failures can be *forced* by a condition that runs before.
 */
import type { Expr } from './expr.js'
import { call, callsUdf, canFail, countUses, exprKey, literal, sizeOf, TRUE } from './substitute.js'

/** The conditions whose conjunction `expr` is, in order of evaluation. */
export function conjuncts(expr: Expr): Expr[] {
  return expr.kind === 'call' && expr.op === 'and' ? expr.args.flatMap(conjuncts) : [expr]
}

/** All conditions in one `and`, evaluated in order. */
export function allOf(conditions: readonly Expr[]): Expr {
  if (conditions.length === 0) return TRUE
  return conditions.reduceRight((rest, c) => call('and', [c, rest], 'bool'))
}

/**
 * One filter for several, applied in order. `and` goes on after NULL where a filter drops the row, so a nullable
 * condition in front of something that can fail is made FALSE first. Repetitions are dropped.
 */
export function conjoin(filters: readonly Expr[]): Expr {
  const seen = new Set<string>()
  const parts = filters
    .map(filter => allOf(conjuncts(filter).filter(c => !isTrue(c) && addTo(seen, exprKey(c)))))
    .filter(part => !isTrue(part))
  if (parts.length === 0) return TRUE
  return parts.reduceRight((rest, c) => call('and', [c.nullable && canFail(rest) ? isTrueTest(c) : c, rest], 'bool'))
}

const addTo = (set: Set<string>, key: string): boolean => !set.has(key) && set.add(key) !== undefined

const isTrueTest = (condition: Expr): Expr => call('is', [condition, TRUE], 'bool')

export const isTrue = (expr: Expr): boolean => expr.kind === 'literal' && expr.value === true
/** FALSE or NULL: as a filter, nothing passes. */
export const isNever = (expr: Expr): boolean => expr.kind === 'literal' && (expr.value === false || expr.value === null)

/** A condition that is TRUE on every row on which `expr` does not fail, and fails where it fails. */
export function force(expr: Expr): Expr {
  return call('or', [call('isNull', [expr], 'bool'), TRUE], 'bool')
}

/** What `force` forces, or null. */
export function forced(expr: Expr): Expr | null {
  if (expr.kind !== 'call' || expr.op !== 'or') return null
  const [test, always] = expr.args
  return isTrue(always) && test.kind === 'call' && test.op === 'isNull' ? test.args[0] : null
}

/**
 * Splits a condition into conjuncts that may be applied before the rest, and the rest. REQUIRES: both are applied
 * as filters. ENSURES: filtering by the first and then by the rest passes the same rows and has the same failures.
 */
export function separable(condition: Expr, wanted: (conjunct: Expr) => boolean): { moved: Expr[]; rest: Expr } {
  const all = conjuncts(condition)
  const firstFailing = all.findIndex(canFail)
  const moved: Expr[] = []
  const rest: Expr[] = []
  all.forEach((c, i) => {
    // In front of a conjunct that can fail, FALSE stops the evaluation, but NULL would not have.
    const free = firstFailing === -1 || (i < firstFailing && !c.nullable)
    if (free && wanted(c)) moved.push(c)
    else rest.push(c)
  })
  return { moved, rest: allOf(rest) }
}

/**
 * Whether evaluating `outer` with its columns (of input 0) replaced by `inner` fails on the same rows with the
 * same message as evaluating all of `inner` in order and then `outer`.
 */
export function keepsFailures(inner: readonly Expr[], outer: readonly Expr[]): boolean {
  const failing = inner.flatMap((e, i) => (canFail(e) ? [i] : []))
  let reached = 0
  const pending = () => reached < failing.length
  /** False if something fails out of turn. Only what is evaluated on every row counts as reached. */
  const visit = (expr: Expr): boolean => {
    if (!pending()) return true
    if (expr.kind === 'literal') return true
    if (expr.kind === 'column') {
      const at = expr.input === 0 ? failing.indexOf(expr.index) : -1
      if (at === reached) reached++
      return at < reached
    }
    const lazy = expr.op === 'and' || expr.op === 'or' || expr.op === 'if' || expr.op === 'coalesce'
    if (!lazy) return expr.args.every(visit) && (!pending() || !failsItself(expr))
    const [first, ...others] = expr.args
    if (!visit(first)) return false
    return !pending() || others.every(o => !mayFailWith(o, failing.slice(reached)))
  }
  return outer.every(visit) && !pending()
}

const failsItself = (expr: Expr): boolean =>
  expr.kind === 'call' && canFail({ ...expr, args: expr.args.map(a => literal(a.type, null)) })

function mayFailWith(expr: Expr, failing: readonly number[]): boolean {
  if (canFail(expr)) return true
  const uses = countUses([expr])
  return failing.some(f => uses.has(f))
}

/** Forces every expression of the list that can fail, in order. */
export function forceAll(exprs: readonly Expr[]): Expr[] {
  return exprs.filter(canFail).map(force)
}

// How many operators a merge may repeat before two passes over the rows are the better deal.
const REPEATED_OPERATORS = 24

/** Whether substituting `inner` into `outer` repeats little work and no user function. */
export function mergeIsCheap(inner: readonly Expr[], outer: readonly Expr[]): boolean {
  let repeated = 0
  for (const [index, uses] of countUses(outer)) {
    const expr = inner[index]
    if (expr === undefined || uses <= 1) continue
    if (callsUdf(expr)) return false
    repeated += (uses - 1) * sizeOf(expr)
  }
  return repeated <= REPEATED_OPERATORS
}
