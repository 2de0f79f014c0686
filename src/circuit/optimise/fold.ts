/** Constant folding and simplification of single expressions. ENSURES: same value and same failure on every row. */
import { evaluate } from '../eval.js'
import type { CallExpr, Expr } from '../expr.js'
import { Failure } from '../scalar.js'
import { callsUdf, canFail, FALSE, literal, rebuild, TRUE } from '../substitute.js'

const done = new WeakMap<Expr, Expr>()

/** The simplified expression; itself if there is nothing to do. Its type stays, its nullability may shrink. */
export function fold(expr: Expr): Expr {
  if (expr.kind !== 'call') return expr
  let result = done.get(expr)
  if (result === undefined) {
    result = foldCall(rebuild(expr, expr.args.map(fold)))
    done.set(expr, result)
    done.set(result, result)
  }
  return result
}

function foldCall(expr: CallExpr): Expr {
  if (expr.args.every(a => a.kind === 'literal') && !callsUdf(expr)) return constant(expr)
  switch (expr.op) {
    case 'and':
      return junction(expr, false)
    case 'or':
      return junction(expr, true)
    case 'not': {
      const [inner] = expr.args
      return inner.kind === 'call' && inner.op === 'not' ? inner.args[0] : expr
    }
    case 'isNull':
      return !expr.args[0].nullable && !canFail(expr.args[0]) ? FALSE : expr
    case 'is':
      return isConstant(expr.args[1], true) && !expr.args[0].nullable ? expr.args[0] : expr
    case 'if': {
      const [condition, yes, no] = expr.args
      return condition.kind === 'literal' ? (condition.value === true ? yes : no) : expr
    }
    case 'coalesce':
      return coalesce(expr)
    case 'cast':
      return expr.args[0].type === expr.type ? expr.args[0] : expr
    default:
      return expr
  }
}

/** The value, unless there is none: an expression that always fails stays as it is. */
function constant(expr: CallExpr): Expr {
  try {
    return literal(expr.type, evaluate(expr, []))
  } catch (failure) {
    if (failure instanceof Failure) return expr
    throw failure
  }
}

const isConstant = (expr: Expr, value: boolean): boolean => expr.kind === 'literal' && expr.value === value

/** `and` (decisive FALSE) and `or` (decisive TRUE): neutral operands go; what follows a decisive one is not reached. */
function junction(expr: CallExpr, decisive: boolean): Expr {
  const args: Expr[] = []
  for (const arg of expr.args) {
    if (isConstant(arg, !decisive)) continue
    args.push(arg)
    if (isConstant(arg, decisive)) break
  }
  const last = args.at(-1)
  if (last === undefined) return decisive ? FALSE : TRUE
  if (isConstant(last, decisive) && !args.some(canFail)) return last
  if (args.length === 1) return last
  return args.length === expr.args.length ? expr : rebuild(expr, args)
}

function coalesce(expr: CallExpr): Expr {
  const args: Expr[] = []
  for (const arg of expr.args) {
    if (arg.kind === 'literal' && arg.value === null) continue
    args.push(arg)
    if (!arg.nullable) break
  }
  if (args.length === 0) return literal(expr.type, null)
  if (args.length === 1) return args[0]
  return args.length === expr.args.length ? expr : rebuild(expr, args)
}
