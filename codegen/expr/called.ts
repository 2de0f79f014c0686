/**
 * Operators that are functions: of text and dates as text, of nested values, of intervals, and the user's own. The code
 * tests for NULL and calls the function of the operator for these types; nothing is looked up per row.
 */
import { operatorOf } from '../../src/circuit/eval.js'
import type { CallExpr } from '../../src/circuit/expr.js'
import { Failure, functionNamed } from '../../src/circuit/scalar.js'
import { decimalShape, isFloat, type Value } from '../../src/schema/types.js'
import { asInt } from '../access.js'
import { assign, bin, call, cond, exprStmt, ifStmt, lit, variable } from '../ast.js'
import { anyNull, canFail, operands, plainZero } from './compile.js'
import { isLit, LONG_PRECISION, longBits, not, type Operand, type Scope, zeroExpression } from './scope.js'

type Helper = (...values: never[]) => Value | undefined

/** Any operator whose operands are all evaluated. */
export function called(expr: CallExpr, scope: Scope): Operand {
  const args = operands(expr, scope)
  const fails = scope.frame.status !== null && canFail(expr)
  const operator = operatorOf(expr) as Helper
  const helper = scope.ctx.constant(fails ? guarded(operator) : operator, hintOf(expr))
  const strict = expr.op !== 'udf' && !(expr.op === 'function' && functionNamed(expr.detail).nulls === 'total')
  const isNull = strict ? anyNull(args) : null
  const inner = scope.child()
  const values = args.map(arg => {
    const value = plainZero(arg, isNull === null ? scope : inner)
    return strict || arg.isNull === null ? value : cond(arg.isNull, lit(null), value)
  })
  const name = scope.ctx.fresh(expr.udf?.name ?? expr.detail ?? expr.op)
  const mayBeNull = expr.nullable && (!strict || mayGiveNull(expr))
  const found = mayBeNull ? scope.ctx.fresh(`${name.name}_null`) : null
  const zero = exprStmt(assign(name, zeroExpression(expr.type)))
  inner.emit(exprStmt(assign(name, call(helper, ...values))))
  if (fails) inner.emit(ifStmt(bin('===', name, lit(undefined)), [scope.fail(), zero]))
  if (found !== null) {
    inner.emit(exprStmt(assign(found, bin('===', name, lit(null)))))
    inner.emit(ifStmt(found, [zero]))
  }
  scope.emit(variable(name, zeroExpression(expr.type)))
  if (found !== null) scope.emit(variable(found, isNull ?? lit(false)))
  if (isNull === null) scope.splice(inner)
  else if (!isLit(isNull, true)) scope.emit(ifStmt(not(found ?? isNull), inner.body))
  return {
    type: expr.type,
    isNull: found ?? isNull,
    value: name,
    negativeZero: isFloat(expr.type),
    ...long(expr, name),
  }
}

function hintOf({ op, detail, udf, type, args }: CallExpr): string {
  if (udf !== null) return `call_${udf.name}`
  return op === 'cast' ? `${args[0].type}_to_${type}` : (detail ?? op)
}

const mayGiveNull = ({ op, detail }: CallExpr): boolean =>
  op === 'function' && functionNamed(detail).nulls === 'partial'

/** A decimal of few digits is one of 64 bits to others. */
function long({ type }: CallExpr, name: Operand['value']): Partial<Operand> {
  const precision = decimalShape(type)?.precision
  if (name === null || precision === undefined || precision > LONG_PRECISION) return {}
  return { value: asInt(name, true), long: longBits(precision) }
}

/** Undefined where it fails. */
function guarded(operator: Helper): Helper {
  return (...values) => {
    try {
      return operator(...values)
    } catch (failure) {
      if (failure instanceof Failure) return undefined
      throw failure
    }
  }
}
