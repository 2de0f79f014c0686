/**
 * From expressions to code: the table of operators, and the one way that serves all of them.
 *
 * Operators that have no code of their own, or not for these types, call the function that they are in the interpreter,
 * found when the code is made (`called`). An operator gets code of its own by an entry in `operators`.
 */
import type { Expression } from 'estree'
import type { CallExpr, Expr, LiteralExpr, Op } from '../../src/circuit/expr.js'
import { exprKey, canFail as mayFail } from '../../src/circuit/substitute.js'
import { isDecimal, TYPES, type TypeName, type Value } from '../../src/schema/types.js'
import { canonicalFloat, uuidToWords } from '../../src/schema/values.js'
import { readOperand } from '../access.js'
import { bin, call, lit, member } from '../ast.js'
import { arithmetic } from './arithmetic.js'
import { called } from './called.js'
import { comparison, distinctness } from './compare.js'
import { cast } from './convert.js'
import { datePart } from './dates.js'
import { decimalCast, roundedDecimal } from './decimals.js'
import { choice, coalesce, junction, negation } from './logic.js'
import { toU128 } from './plain.js'
import { rangeFunction } from './ranges.js'
import { eitherNull, type Operand, type Scope, zeroExpression } from './scope.js'
import { text } from './text.js'
import { windowFunction } from './windows.js'

/** Writes code for one operator; null if it has none for these operands. */
export type Operator = (expr: CallExpr, scope: Scope) => Operand | null

const operators: Partial<Record<Op, Operator>> = {
  ...fill(['add', 'sub', 'mul', 'div', 'rem', 'neg', 'pow'], (expr, scope) => arithmetic(expr, scope)),
  ...fill(['eq', 'ne', 'lt', 'le', 'gt', 'ge'], (expr, scope) => comparison(expr, scope)),
  ...fill(['is', 'isnt'], (expr, scope) => distinctness(expr, scope)),
  ...fill(['and', 'or'], (expr, scope) => junction(expr, scope)),
  not: (expr, scope) => negation(expr, scope),
  if: (expr, scope) => choice(expr, scope),
  coalesce: (expr, scope) => coalesce(expr, scope),
  ...fill(
    ['concat', 'startsWith', 'endsWith', 'includes', 'slice', 'length', 'upper', 'lower', 'trim', 'prefix'],
    (expr, scope) => text(expr, scope),
  ),
  isNull: (expr, scope) => ({ type: 'bool', isNull: null, value: compile(expr.args[0], scope).isNull ?? lit(false) }),
  math: (expr, scope) => {
    const args = operands(expr, scope)
    const value = call(member('Math', expr.detail ?? ''), ...args.map(a => plainZero(a, scope)))
    return { type: 'f64', isNull: anyNull(args), value, negativeZero: true }
  },
  cast: (expr, scope) => decimalCast(expr, scope) ?? cast(expr, scope),
  datePart: (expr, scope) => datePart(expr, scope),
  function: (expr, scope) => windowFunction(expr, scope) ?? rangeFunction(expr, scope) ?? roundedDecimal(expr, scope),
}

function fill(ops: readonly Op[], operator: Operator): Partial<Record<Op, Operator>> {
  return Object.fromEntries(ops.map(op => [op, operator]))
}

/**
 * Writes code for `expr` into `scope` and says what it has become. What occurs more than once is computed once.
 * REQUIRES: columns refer to `scope.frame.places`; `scope.frame.status` is there if `canFail(expr)`.
 */
export function compile(expr: Expr, scope: Scope): Operand {
  if (expr.kind === 'literal') return literalOperand(expr)
  if (expr.kind === 'column') return readOperand(scope.frame.places[expr.input], expr.index, scope)
  if (!scope.frame.shared.has(exprKey(expr))) return compileCall(expr, scope)
  return scope.once(`call ${exprKey(expr)}`, () => settled(compileCall(expr, scope), expr.op, scope))
}

function compileCall(expr: CallExpr, scope: Scope): Operand {
  return operators[expr.op]?.(expr, scope) ?? called(expr, scope)
}

/** The operand with its value and null test computed now, under names made from `hint`. */
export function settled(operand: Operand, hint: string, scope: Scope): Operand {
  // Words stay where they are.
  const value = operand.value === null && operand.words ? null : scope.bind(scope.valueOf(operand), hint)
  return { ...operand, value, isNull: operand.isNull && scope.bind(operand.isNull, `${hint}_null`) }
}

/** Keys of the calls that occur more than once in `exprs`, which may share objects. */
export function sharedCalls(exprs: readonly Expr[]): ReadonlySet<string> {
  const seen = new Set<string>()
  const shared = new Set<string>()
  const visit = (expr: Expr): void => {
    if (expr.kind !== 'call') return
    const key = exprKey(expr)
    if (seen.has(key)) shared.add(key)
    else {
      seen.add(key)
      expr.args.forEach(visit)
    }
  }
  exprs.forEach(visit)
  return shared
}

/** The operands of an operator that evaluates all of them, from left to right. */
export function operands(expr: CallExpr, scope: Scope): Operand[] {
  return expr.args.map(arg => compile(arg, scope))
}

/** NULL if any is. */
export function anyNull(args: readonly Operand[]): Expression | null {
  return args.reduce<Expression | null>((test, arg) => eitherNull(test, arg.isNull), null)
}

/** The value of a float, -0 made +0: needed where a function or a division can tell them apart. */
export function plainZero(operand: Operand, scope: Scope): Expression {
  const value = scope.valueOf(operand)
  return operand.negativeZero === true ? bin('+', value, lit(0)) : value
}

function literalOperand({ type, value }: LiteralExpr): Operand {
  if (value === null)
    return { type, isNull: lit(true), value: zeroExpression(type), literal: null, ...longOfNull(type) }
  if (value instanceof Uint8Array) {
    const decode = (scope: Scope) => scope.ctx.constant(value, 'literal')
    return { type, isNull: null, value: null, decode, literal: value }
  }
  const plain = typeof value === 'number' ? canonicalFloat(value) : value
  if (typeof plain === 'bigint' && plain < 0n) {
    const decode = (scope: Scope) => scope.negative(plain)
    return { type, isNull: null, value: null, decode, literal: plain, ...literalWords(plain, type) }
  }
  return { type, isNull: null, value: lit(plain), literal: plain, ...literalWords(plain, type) }
}

const longOfNull = (type: TypeName): Pick<Operand, 'long'> => (isDecimal(type) ? { long: 1 } : {})

function literalWords(value: Exclude<Value, null | Uint8Array>, type: LiteralExpr['type']): Pick<Operand, 'words'> {
  if (type === 'uuid' && typeof value === 'string') {
    const [low, high] = uuidToWords(value)
    return { words: { low: lit(low), high: lit(high) } }
  }
  if (TYPES[type].storage !== 'w128' || typeof value !== 'bigint') return {}
  const stored = toU128(type, value)
  return { words: { low: lit(BigInt.asUintN(64, stored)), high: lit(stored >> 64n) } }
}

const failing = new WeakMap<CallExpr, boolean>()

/** Whether evaluating `expr` can fail, as far as generated code is concerned. */
export function canFail(expr: Expr): boolean {
  if (expr.kind !== 'call') return false
  let fails = failing.get(expr)
  if (fails === undefined) {
    fails = mayFail(expr) || LENGTHENING.includes(expr.op) || expr.args.some(canFail)
    failing.set(expr, fails)
  }
  return fails
}

/** These fail on results longer than a string may be. */
const LENGTHENING: readonly Op[] = ['concat', 'upper', 'lower']
