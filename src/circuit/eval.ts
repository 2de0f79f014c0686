/**
 * The expression interpreter: the meaning of every operator, in the plainest form. The oracle evaluates with it,
 * and so does generated code when it runs generically or has to say why a row failed.
 *
 * Rules that hold for all operators:
 * - `and`, `or`, `coalesce` and `if` evaluate their operands from left to right and only as far as needed.
 *   All others evaluate every operand first, from left to right, so that the leftmost failure is the one reported;
 *   then, if an operand is NULL, the result is NULL (`is`, `isnt` and `isNull` excepted, and user functions).
 * - Floats are canonical after every operator: there is no -0 anywhere, hence 1 / (0 * -1) is +Infinity.
 */
import { assert } from '../base/errors.js'
import { isDecimal, TYPES, type TypeName, type Value } from '../schema/types.js'
import { canonicalFloat, formatValue, type NonNullValue } from '../schema/values.js'
import { type CallExpr, type DatePart, type Expr, ORIGIN } from './expr.js'
import * as scalar from './scalar.js'

/**
 * The value of `expr` on a row, or on a pair of rows. Throws `Failure` where it has none.
 * REQUIRES: rows hold canonical values of the columns' types; `right` is given if the expression mentions input 1.
 */
export function evaluate(expr: Expr, left: readonly Value[], right: readonly Value[] = []): Value {
  switch (expr.kind) {
    case 'literal':
      return canonical(expr.value)
    case 'column': {
      const value = (expr.input === 0 ? left : right)[expr.index]
      assert(value !== undefined, `column ${expr.index} of input ${expr.input} is in the row`)
      return value
    }
    case 'call':
      return evaluateCall(expr, left, right)
  }
}

const canonical = (value: Value): Value => (typeof value === 'number' ? canonicalFloat(value) : value)

function evaluateCall(expr: CallExpr, left: readonly Value[], right: readonly Value[]): Value {
  const { args } = expr
  switch (expr.op) {
    case 'and':
    case 'or':
      return junction(args, expr.op === 'or', left, right)
    case 'coalesce':
      for (const arg of args) {
        const value = evaluate(arg, left, right)
        if (value !== null) return value
      }
      return null
    case 'if':
      return evaluate(evaluate(args[0], left, right) === true ? args[1] : args[2], left, right)
    default:
      return originated(
        expr,
        args.map(arg => evaluate(arg, left, right)),
      )
  }
}

/** `strict`; a failure says whose it is. */
function originated(expr: CallExpr, values: readonly Value[]): Value {
  try {
    return strict(expr, values)
  } catch (failure) {
    if (failure instanceof scalar.Failure) failure.origin ??= expr[ORIGIN] ?? null
    throw failure
  }
}

/** AND and OR of three-valued operands; `decisive` is the value that decides. */
function junction(args: readonly Expr[], decisive: boolean, left: readonly Value[], right: readonly Value[]): Value {
  let unknown = false
  for (const arg of args) {
    const value = evaluate(arg, left, right)
    if (value === decisive) return decisive
    if (value === null) unknown = true
  }
  return unknown ? null : !decisive
}

/** Operators that see the values of all operands. */
function strict(expr: CallExpr, values: readonly Value[]): Value {
  switch (expr.op) {
    case 'is':
      return distinctFrom(values[0], values[1]) === false
    case 'isnt':
      return distinctFrom(values[0], values[1])
    case 'isNull':
      return values[0] === null
    case 'udf':
      assert(expr.udf !== null, 'a call of a user function carries it')
      return scalar.callUdf(
        expr.udf,
        expr.type,
        expr.nullable,
        values,
        expr.args.map(a => a.type),
      )
    case 'function':
      return canonical(
        scalar.callFunction(expr.detail, values, { args: expr.args.map(a => a.type), result: expr.type }),
      )
    default: {
      for (const value of values) if (value === null) return null
      return canonical(apply(expr, values as readonly NonNullValue[]))
    }
  }
}

/**
 * The operator of a call as a function of its operands' values, with all that follows from their types done. A strict
 * one must not be given NULL, and its result may be -0. Throws `Failure`. REQUIRES: it evaluates all its operands.
 */
export function operatorOf(expr: CallExpr): (...values: Value[]) => Value {
  const types = { args: expr.args.map(a => a.type), result: expr.type }
  const [from] = types.args
  switch (expr.op) {
    case 'is':
    case 'isnt':
    case 'isNull':
    case 'udf':
      return (...values) => strict(expr, values)
    case 'function': {
      const evaluate = scalar.functionNamed(expr.detail).evaluate as (v: readonly Value[], t: typeof types) => Value
      return fixed(expr.args.length, values => evaluate(values, types))
    }
    case 'cast':
      if (expr.type === 'string' && from !== 'bytes' && from !== 'json')
        return value => formatValue(from, present(value))
      return value => scalar.cast(from, expr.type, present(value))
    default:
      return fixed(expr.args.length, values => apply(expr, values as readonly NonNullValue[]))
  }
}

const present = (value: Value): NonNullValue => value as NonNullValue

/** A function of so many values from one of their list. */
function fixed(count: number, of: (values: readonly Value[]) => Value): (...values: Value[]) => Value {
  if (count === 1) return a => of([a])
  return count === 2 ? (a, b) => of([a, b]) : (...values) => of(values)
}

function distinctFrom(a: Value, b: Value): boolean {
  return a === null || b === null ? a !== b : scalar.compareScalars(a, b) !== 0
}

/** Operators that never see NULL. */
function apply(expr: CallExpr, values: readonly NonNullValue[]): Value {
  const [a, b] = values
  switch (expr.op) {
    case 'add':
    case 'sub':
    case 'mul':
    case 'div':
    case 'rem':
    case 'neg':
    case 'pow':
      return arithmetic(expr, values)
    case 'eq':
      return scalar.compareScalars(a, b) === 0
    case 'ne':
      return scalar.compareScalars(a, b) !== 0
    case 'lt':
      return scalar.compareScalars(a, b) < 0
    case 'le':
      return scalar.compareScalars(a, b) <= 0
    case 'gt':
      return scalar.compareScalars(a, b) > 0
    case 'ge':
      return scalar.compareScalars(a, b) >= 0
    case 'not':
      return a !== true
    case 'math':
      return scalar.callMath(expr.detail ?? '', values.map(Number))
    case 'cast':
      return scalar.cast(expr.args[0].type, expr.type, a)
    case 'datePart':
      return scalar.datePart(expr.detail as DatePart, expr.args[0].type, a as number | bigint)
    default:
      return text(expr, values)
  }
}

function arithmetic(expr: CallExpr, values: readonly NonNullValue[]): Value {
  if (expr.type === 'f64' || expr.type === 'f32') {
    const x = float(expr, values.map(Number))
    return expr.type === 'f32' ? Math.fround(x) : x
  }
  const types = expr.args.map(arg => arg.type)
  if (isDecimal(expr.type)) return decimal(expr, types, values as readonly bigint[])
  if (types.includes('interval')) return temporal(expr, types, values as readonly (number | bigint | Uint8Array)[])
  const [a, b] = values.map(v => BigInt(v as number | bigint))
  const result = integer(expr, a, b)
  return TYPES[expr.type].js === 'bigint' ? result : Number(result)
}

function decimal(expr: CallExpr, types: readonly TypeName[], [a, b]: readonly bigint[]): bigint {
  return expr.op === 'neg' ? -a : scalar.decimalArithmetic(expr.op as scalar.DecimalOp, expr.type, types, a, b)
}

function temporal(
  expr: CallExpr,
  types: readonly TypeName[],
  [a, b]: readonly (number | bigint | Uint8Array)[],
): Value {
  return expr.op === 'neg' ? scalar.negateInterval(a as Uint8Array) : scalar.temporalArithmetic(expr.op, types, a, b)
}

function float(expr: CallExpr, [a, b]: readonly number[]): number {
  switch (expr.op) {
    case 'add':
      return a + b
    case 'sub':
      return a - b
    case 'mul':
      return a * b
    case 'div':
      return a / b
    case 'rem':
      return a % b
    case 'neg':
      return -a
    default:
      return a ** b
  }
}

function integer(expr: CallExpr, a: bigint, b: bigint): bigint {
  switch (expr.op) {
    case 'add':
      return scalar.addInteger(expr.type, a, b)
    case 'sub':
      return scalar.subtractInteger(expr.type, a, b)
    case 'mul':
      return scalar.multiplyInteger(expr.type, a, b)
    case 'div':
      return scalar.divideInteger(expr.type, a, b)
    case 'rem':
      return scalar.remainderInteger(expr.type, a, b)
    case 'neg':
      return scalar.negateInteger(expr.type, a)
    default:
      assert(false, `${expr.op} has a meaning for ${expr.type}`)
  }
}

/** String operators. */
function text(expr: CallExpr, values: readonly NonNullValue[]): Value {
  const [a, b] = values as readonly string[]
  switch (expr.op) {
    case 'concat':
      return (values as readonly string[]).reduce(scalar.concat)
    case 'startsWith':
      return a.startsWith(b)
    case 'endsWith':
      return a.endsWith(b)
    case 'includes':
      return a.includes(b)
    case 'slice':
      return scalar.slice(a, values[1] as number, values[2] as number | undefined)
    case 'length':
      return scalar.lengthOf(values[0] as string | Uint8Array)
    case 'upper':
      return scalar.upper(a)
    case 'lower':
      return scalar.lower(a)
    case 'trim':
      return a.trim()
    case 'prefix':
      return scalar.prefix(expr.args[0].type, values[0] as string | Uint8Array | bigint)
    default:
      assert(false, `the operator ${expr.op} is known`)
  }
}
