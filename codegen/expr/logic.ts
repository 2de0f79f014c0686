/**
 * Three-valued logic and choices. What JavaScript's own `&&`, `||` and `?:` can say is said with them; an operand
 * that needs statements of its own goes into a real branch, so that nothing is evaluated that should not be.
 */
import type { Expression } from 'estree'
import type { CallExpr, Expr } from '../../src/circuit/expr.js'
import { exprKey } from '../../src/circuit/substitute.js'
import { isDecimal, TYPES, type TypeName } from '../../src/schema/types.js'
import { assign, cond, exprStmt, ifStmt, lit, variable } from '../ast.js'
import { canFail, compile } from './compile.js'
import { and, isLit, not, type Operand, or, type Scope } from './scope.js'

/** Code that is true iff `expr` is TRUE, neither FALSE nor NULL. */
export function truth(expr: Expr, scope: Scope): Expression {
  if (expr.kind === 'call' && !scope.frame.shared.has(exprKey(expr))) {
    if (expr.op === 'not') return falsity(expr.args[0], scope)
    // On NULL the operands after it are not evaluated here, which is only right if they cannot fail.
    if (expr.op === 'and' && mayStopAtNull(expr)) return chain(expr.args, truth, true, scope)
    if (expr.op === 'or') return chain(expr.args, truth, false, scope)
  }
  const { isNull, value } = decoded(compile(expr, scope), scope)
  return isNull === null ? value : and(not(isNull), value)
}

/** Code that is true iff `expr` is FALSE. */
export function falsity(expr: Expr, scope: Scope): Expression {
  if (expr.kind === 'call' && !scope.frame.shared.has(exprKey(expr))) {
    if (expr.op === 'not') return truth(expr.args[0], scope)
    if (expr.op === 'and') return chain(expr.args, falsity, false, scope)
    if (expr.op === 'or' && mayStopAtNull(expr)) return chain(expr.args, falsity, true, scope)
  }
  const { isNull, value } = decoded(compile(expr, scope), scope)
  return isNull === null ? not(value) : and(not(isNull), not(value))
}

const mayStopAtNull = ({ args }: CallExpr): boolean =>
  args.every((arg, n) => !arg.nullable || !args.slice(n + 1).some(canFail))

/** `test` of all args joined by `&&` (all) or `||`, stopping as soon as it is decided. */
function chain(args: readonly Expr[], test: typeof truth, all: boolean, scope: Scope): Expression {
  return args.slice(1).reduce(
    (decided, arg) => {
      const inner = scope.child()
      const next = test(arg, inner)
      if (inner.body.length === 0) return all ? and(decided, next) : or(decided, next)
      const name = scope.ctx.fresh(all ? 'all' : 'any')
      scope.emit(variable(name, decided))
      scope.emit(ifStmt(all ? name : not(name), [...inner.body, exprStmt(assign(name, next))]))
      return name
    },
    test(args[0], scope),
  )
}

interface Decoded {
  readonly isNull: Expression | null
  readonly value: Expression
}

const decoded = (operand: Operand, scope: Scope): Decoded => ({ isNull: operand.isNull, value: scope.valueOf(operand) })

/** not */
export function negation(expr: CallExpr, scope: Scope): Operand {
  const [arg] = expr.args
  if (!arg.nullable) return { type: 'bool', isNull: null, value: falsity(arg, scope) }
  const { isNull, value } = decoded(compile(arg, scope), scope)
  return { type: 'bool', isNull, value: not(value) }
}

/** and, or */
export function junction(expr: CallExpr, scope: Scope): Operand {
  const decisive = expr.op === 'or'
  if (!expr.args.some(arg => arg.nullable)) {
    return { type: 'bool', isNull: null, value: chain(expr.args, truth, !decisive, scope) }
  }
  return expr.args.slice(1).reduce((sofar, arg) => pair(sofar, arg, decisive, scope), compile(expr.args[0], scope))
}

/** One step: unless the first operand is `decisive`, the second has a say. */
function pair(first: Operand, second: Expr, decisive: boolean, scope: Scope): Operand {
  const a = scope.bind(scope.valueOf(first), 'first')
  const aNull = first.isNull === null ? null : scope.bind(first.isNull, 'first_null')
  const join = scope.join('bool', true, decisive ? 'either' : 'both')
  const initial = exprStmt(assign(join.operand.value as Expression, lit(decisive)))
  scope.emit(initial)
  const undecided = decisive ? not(a) : a
  const inner = scope.child()
  const operand = compile(second, inner)
  const b = inner.bind(inner.valueOf(operand), 'second')
  // NULL if the second is NULL, or the first is and the second does not decide.
  const open = decisive ? not(b) : b
  const held = aNull === null ? null : and(aNull, open)
  const isNull = operand.isNull === null ? held : held === null ? operand.isNull : or(operand.isNull, held)
  join.set(inner, { type: 'bool', isNull, value: b })
  scope.emit(ifStmt(aNull === null ? undecided : or(aNull, undecided), inner.body))
  return join.operand
}

/** if: NULL counts as false. */
export function choice(expr: CallExpr, scope: Scope): Operand {
  const [condition, yes, no] = expr.args
  const test = truth(condition, scope)
  const whenTrue = scope.child()
  const whenFalse = scope.child()
  const a = compile(yes, whenTrue)
  const b = compile(no, whenFalse)
  return select(expr.type, test, [a, whenTrue], [b, whenFalse], scope, 'chosen')
}

/** coalesce: the first operand that is not NULL; later ones are not evaluated. */
export function coalesce(expr: CallExpr, scope: Scope): Operand {
  return rest(expr.type, expr.args, scope)
}

function rest(type: TypeName, args: readonly Expr[], scope: Scope): Operand {
  const first = compile(args[0], scope)
  if (args.length === 1 || first.isNull === null) return first
  const inner = scope.child()
  const second = rest(type, args.slice(1), inner)
  const present = { ...first, isNull: null }
  return select(type, not(first.isNull), [present, scope.child()], [second, inner], scope, 'coalesced')
}

type Branch = readonly [operand: Operand, scope: Scope]

function select(type: TypeName, test: Expression, yes: Branch, no: Branch, scope: Scope, hint: string): Operand {
  const [a, aScope] = yes
  const [b, bScope] = no
  if (isLit(test, true) && aScope.body.length === 0) return a
  const [x, y] = [ready(a, aScope), ready(b, bScope)]
  const nullable = a.isNull !== null || b.isNull !== null
  const plain = aScope.body.length + bScope.body.length === 0
  const negativeZero = a.negativeZero === true || b.negativeZero === true
  // A 64-bit bigint chosen by `?:` would be boxed.
  if (plain && TYPES[type].js !== 'bigint') {
    const which = nullable ? scope.bind(test, `${hint}_first`) : test
    const isNull = nullable ? choose(which, a.isNull ?? lit(false), b.isNull ?? lit(false)) : null
    return { type, isNull, value: cond(which, scope.valueOf(x), scope.valueOf(y)), negativeZero }
  }
  const join = scope.join(type, nullable, hint)
  join.set(aScope, x)
  join.set(bScope, y)
  scope.emit(ifStmt(test, aScope.body, bScope.body))
  return { ...join.operand, negativeZero }
}

/** The operand, decoded in its branch if it has to be; of decimals the words will do. */
const ready = (operand: Operand, scope: Scope): Operand =>
  isDecimal(operand.type) ? operand : { ...operand, value: scope.valueOf(operand) }

/** `test ? a : b` for booleans. */
function choose(test: Expression, a: Expression, b: Expression): Expression {
  if (isLit(a, false)) return and(not(test), b)
  if (isLit(b, false)) return and(test, a)
  return cond(test, a, b)
}
