/**
 * Arithmetic. Floats follow IEEE; integers are exact and fail outside their type's range.
 *
 * 64-bit integers stay machine integers: every result goes through `BigInt.asIntN`, overflow is told from the signs,
 * and a product of operands that both fit 32 bits needs no further check.
 */
import type { Expression } from 'estree'
import type { CallExpr, Op } from '../../src/circuit/expr.js'
import { isDecimal, isFloat, isNumberType, TYPES, type TypeName } from '../../src/schema/types.js'
import { asInt } from '../access.js'
import { bin, call, ifStmt, lit, logic, member, unary } from '../ast.js'
import { anyNull, operands, plainZero } from './compile.js'
import { decimalArithmetic } from './decimals.js'
import { type Cell, compute, fill, longOf, within } from './long.js'
import { and, not, type Operand, or, type Scope } from './scope.js'

const SYMBOL = { add: '+', sub: '-', mul: '*', div: '/', rem: '%', pow: '**' } as const
type Binary = keyof typeof SYMBOL

const NAME: Partial<Record<Op, string>> = {
  add: 'sum',
  sub: 'difference',
  mul: 'product',
  div: 'quotient',
  rem: 'remainder',
  neg: 'negated',
}

/** add, sub, mul, div, rem, neg, pow. Null for instants and durations, and for what does not fit its type. */
export function arithmetic(expr: CallExpr, scope: Scope): Operand | null {
  const { type } = expr
  const numbers = expr.args.every(arg => isNumberType(arg.type))
  if (isDecimal(type)) return decimalArithmetic(expr, scope)
  if (isFloat(type)) return numbers ? float(expr, operands(expr, scope), scope) : null
  if (expr.op === 'pow') return null
  if (isNumberType(type)) return numbers && !expr.args.some(a => isFloat(a.type)) ? small(expr, scope) : null
  const { storage } = TYPES[type]
  if ((storage !== 'i64' && storage !== 'u64') || type === 'time') return null
  const fits = expr.args.every(arg =>
    arg.kind === 'literal' && typeof arg.value === 'bigint'
      ? inRange(type, arg.value)
      : TYPES[arg.type].storage === storage,
  )
  if (fits) return wide(expr, scope)
  return type === 'i64' && expr.args.every(arg => arg.type === 'i64' || arg.type === 'u64') ? mixed(expr, scope) : null
}

/** i64 with u64: as i64 while both are that, and small. */
function mixed(expr: CallExpr, scope: Scope): Operand {
  const { type, op } = expr
  const args = operands(expr, scope)
  const [a, b] = args.map((arg, n) => longOf(arg, scope, n === 0 ? 'left' : 'right'))
  const divides = op === 'div' || op === 'rem'
  const small = op === 'mul' ? 32 : 63
  const both = and(within(a, small), within(b, small))
  const test = divides ? and(both, bin('!==', b.value, lit(0n))) : both
  const exactly = EXACTLY[op as keyof typeof EXACTLY]
  const slow = (x: bigint, y: bigint, cell: Cell): boolean => {
    const result = divides && y === 0n ? null : exactly(x, y)
    return fill(cell, result !== null && inRange(type, result) ? result : null)
  }
  const fast = (): Expression => asInt(bin(SYMBOL[op as Binary], a.value, b.value), true)
  const base = { type, isNull: anyNull(args), hint: NAME[op] ?? op, args }
  return compute({ ...base, test, bits: 64, fast, slow, canFail: true }, scope)
}

const EXACTLY = {
  add: (x: bigint, y: bigint) => x + y,
  sub: (x: bigint, y: bigint) => x - y,
  mul: (x: bigint, y: bigint) => x * y,
  div: (x: bigint, y: bigint) => x / y,
  rem: (x: bigint, y: bigint) => x % y,
} as const

function inRange(type: TypeName, value: bigint): boolean {
  const { min, max } = TYPES[type]
  return min !== null && max !== null && value >= min && value <= max
}

function float(expr: CallExpr, args: readonly Operand[], scope: Scope): Operand {
  const isNull = anyNull(args)
  const [a, b] = args.map(arg => scope.valueOf(arg))
  const rounded = (value: Expression) => (expr.type === 'f32' ? call(member('Math', 'fround'), value) : value)
  if (expr.op === 'neg') return { type: expr.type, isNull, value: rounded(unary('-', a)), negativeZero: true }
  // Only a divisor and a base make something else of -0 than of +0.
  const x = expr.op === 'pow' ? plainZero(args[0], scope) : a
  const y = expr.op === 'div' ? plainZero(args[1], scope) : b
  const additive = expr.op === 'add' || expr.op === 'sub'
  const negativeZero = !additive || args.some(arg => arg.negativeZero === true)
  return { type: expr.type, isNull, value: rounded(bin(SYMBOL[expr.op as Binary], x, y)), negativeZero }
}

/** Integers of at most 32 bits: doubles hold every sum and tell every product out of range. */
function small(expr: CallExpr, scope: Scope): Operand {
  const args = operands(expr, scope)
  const isNull = anyNull(args)
  const [a, b] = args.map(arg => scope.bind(scope.valueOf(arg), 'operand'))
  const { min, max } = TYPES[expr.type]
  const divides = expr.op === 'div' || expr.op === 'rem'
  const raw = expr.op === 'neg' ? bin('-', lit(0), a) : bin(SYMBOL[expr.op as Binary], a, b)
  const whole = expr.op === 'div' ? call(member('Math', 'trunc'), raw) : raw
  const plain = expr.op === 'add' || expr.op === 'sub' || expr.op === 'neg' ? whole : bin('+', whole, lit(0))
  const value = scope.bind(plain, NAME[expr.op] ?? expr.op)
  const outside = logic('||', bin('<', value, lit(Number(min))), bin('>', value, lit(Number(max))))
  scope.failIf(divides ? logic('||', bin('===', b, lit(0)), outside) : outside, isNull)
  return { type: expr.type, isNull, value }
}

function wide(expr: CallExpr, scope: Scope): Operand {
  const args = operands(expr, scope)
  const isNull = anyNull(args)
  const signed = TYPES[expr.type].storage === 'i64'
  if (expr.op === 'div' || expr.op === 'rem') return division(expr, args, isNull, scope)
  const [a, b] = bound(args, scope)
  const raw = expr.op === 'neg' ? unary('-', a) : bin(SYMBOL[expr.op as Binary], a, b)
  const value = scope.bind(asInt(raw, signed), NAME[expr.op] ?? expr.op)
  scope.failIf(overflow(expr.op, args, [a, b], value, signed, scope), isNull)
  return { type: expr.type, isNull, value }
}

const bound = (args: readonly Operand[], scope: Scope): Expression[] =>
  args.map((arg, n) => scope.bind(scope.valueOf(arg), n === 0 ? 'left' : 'right'))

/** Whether `value`, the low 64 bits of the result, is not the result. */
function overflow(
  op: Op,
  args: readonly Operand[],
  [a, b]: readonly Expression[],
  value: Expression,
  signed: boolean,
  scope: Scope,
): Expression {
  // Only the least integer keeps its sign. (To compare with that one V8 would put both on the heap.)
  if (op === 'neg') return signed ? isNegative(bin('&', a, value)) : bin('!==', a, lit(0n))
  if (op === 'mul') return productOverflow(args, [a, b], signed, scope)
  if (!signed) return op === 'add' ? bin('<', value, a) : bin('<', a, b)
  const known = args[1].literal
  // Adding what is not negative must not make it less.
  if (typeof known === 'bigint') return bin(known >= 0n === (op === 'add') ? '<' : '>', value, a)
  const changed = bin('^', a, value)
  const signs = op === 'add' ? bin('&', changed, bin('^', b, value)) : bin('&', bin('^', a, b), changed)
  return isNegative(signs)
}

const isNegative = (bits: Expression): Expression => bin('<', asInt(bits, true), lit(0n))

function productOverflow(
  args: readonly Operand[],
  [a, b]: readonly Expression[],
  signed: boolean,
  scope: Scope,
): Expression {
  const exact = scope.ctx.constant(signed ? overflowsI64 : overflowsU64, signed ? 'overflowsI64' : 'overflowsU64')
  const large = (arg: Operand, x: Expression) => (isSmall(arg) ? lit(false) : bin('!==', asInt(x, signed, 32), x))
  return and(or(large(args[0], a), large(args[1], b)), call(exact, a, b))
}

/** A literal that is known to fit 32 bits. */
const isSmall = ({ literal }: Operand): boolean =>
  typeof literal === 'bigint' && literal < 2n ** 31n && literal >= -(2n ** 31n)

const overflowsI64 = (a: bigint, b: bigint): boolean => BigInt.asIntN(64, a * b) !== a * b
const overflowsU64 = (a: bigint, b: bigint): boolean => BigInt.asUintN(64, a * b) !== a * b

/** Never divides by zero, which would throw; a failed or NULL row gets any value. */
function division(expr: CallExpr, args: readonly Operand[], isNull: Expression | null, scope: Scope): Operand {
  const signed = TYPES[expr.type].storage === 'i64'
  const [a, b] = bound(args, scope)
  const quotient = asInt(bin(SYMBOL[expr.op as Binary], a, b), signed)
  const divisor = args[1].literal
  if (typeof divisor === 'bigint' && divisor !== 0n && divisor !== -1n)
    return { type: expr.type, isNull, value: quotient }
  const name = NAME[expr.op] ?? expr.op
  const join = scope.join(expr.type, false, name)
  const good = scope.child()
  const value = good.bind(quotient, name)
  join.set(good, { type: expr.type, isNull: null, value })
  if (expr.op === 'div' && signed) good.failIf(isNegative(bin('&', bin('&', a, b), value)), isNull)
  const failing = isNull === null ? scope.fail() : ifStmt(not(isNull), [scope.fail()])
  scope.emit(ifStmt(bin('===', b, lit(0n)), [failing], good.body))
  return { ...join.operand, isNull }
}
