/** Code for arithmetic, rounding and casts of decimals; what a 64-bit integer does not hold goes to bigints (`long.ts`). */
import type { Expression } from 'estree'
import type { CallExpr } from '../../src/circuit/expr.js'
import { toDecimal as castToDecimal } from '../../src/circuit/scalar/cast.js'
import {
  computeDecimal,
  convertDecimal,
  type DecimalOp,
  decimalToNumber,
  type Rounding,
  roundedDecimal as roundExactly,
} from '../../src/circuit/scalar.js'
import { opCanFail } from '../../src/circuit/substitute.js'
import { powerOfTen } from '../../src/schema/decimal.js'
import { decimalShape, isDecimal, isFloat, isNumberType, TYPES, type TypeName } from '../../src/schema/types.js'
import { asInt } from '../access.js'
import { bin, call, ifStmt, lit, logic, member, unary } from '../ast.js'
import { anyNull, compile, operands, plainZero } from './compile.js'
import { integerToInteger, wideToDouble } from './convert.js'
import { type Cell, compute, fill, growth, type Long, longOf, wholeAsLong, within } from './long.js'
import { and, type Operand, type Scope } from './scope.js'

/** A value times 10^n, or by any other literal. */
function times(value: Expression, factor: bigint): Expression {
  if (factor === 1n) return value
  const known = value.type === 'Literal' && 'bigint' in value ? BigInt(value.bigint) : null
  return known === null ? asInt(bin('*', value, lit(factor)), true) : lit(known * factor)
}

const i64 = (op: '+' | '-' | '*' | '/' | '%' | '>>' | '^' | '&', a: Expression, b: Expression): Expression =>
  asInt(bin(op, a, b), true)

interface Size {
  readonly precision: number
  readonly scale: number
}

const sizeOf = (type: TypeName): Size => decimalShape(type) ?? { precision: 0, scale: 0 }

interface Fast {
  readonly test: Expression
  readonly bits: number
  readonly write: (scope: Scope) => Expression
}

/** add, sub, mul, div, rem, neg */
export function decimalArithmetic(expr: CallExpr, scope: Scope): Operand {
  const args = operands(expr, scope)
  const { type, op } = expr
  const longs = args.map((arg, n) => longOf(arg, scope, n === 0 ? 'left' : 'right'))
  const { test, bits, write } = op === 'neg' ? negation(longs[0]) : FAST[op as DecimalOp](expr, longs)
  const types = expr.args.map(arg => arg.type)
  const slow =
    op === 'neg'
      ? (a: bigint, cell: Cell) => fill(cell, -a)
      : (a: bigint, b: bigint, cell: Cell) => fill(cell, computeDecimal(op as DecimalOp, type, types, a, b))
  const base = { type, isNull: anyNull(args), hint: HINT[op as DecimalOp] ?? 'negated', args }
  return compute({ ...base, test, bits, fast: write, slow, canFail: opCanFail(expr) }, scope)
}

const HINT: Record<DecimalOp, string> = {
  ...{ add: 'sum', sub: 'difference', mul: 'product', div: 'quotient', rem: 'remainder' },
}

function negation(a: Long): Fast {
  return { test: within(a, 63), bits: Math.min(64, a.bits + 1), write: () => asInt(unary('-', a.value), true) }
}

const FAST: Record<DecimalOp, (expr: CallExpr, longs: readonly Long[]) => Fast> = {
  add: (expr, longs) => aligned(expr, longs, (a, b) => i64('+', a, b)),
  sub: (expr, longs) => aligned(expr, longs, (a, b) => i64('-', a, b)),
  rem: (expr, [a, b]) => {
    const { test, ...rest } = aligned(expr, [a, b], (x, y) => i64('%', x, y))
    return { ...rest, test: and(test, isNotZero(b)) }
  },
  mul: product,
  div: quotient,
}

/** A literal divisor is not zero, or the operator fails on every row, which is the slow path's business. */
function isNotZero({ value }: Long): Expression {
  return value.type === 'Literal' ? lit(value.value !== 0n) : bin('!==', value, lit(0n))
}

/** Both operands in units of the greater scale. */
function aligned(
  { args }: CallExpr,
  [a, b]: readonly Long[],
  combine: (a: Expression, b: Expression) => Expression,
): Fast {
  const scales = args.map(arg => sizeOf(arg.type).scale)
  const [up, upOther] = scales.map(scale => Math.max(...scales) - scale)
  const test = and(within(a, 63 - growth(up)), within(b, 63 - growth(upOther)))
  const bits = Math.max(Math.min(63, a.bits + growth(up)), Math.min(63, b.bits + growth(upOther))) + 1
  return {
    test,
    bits,
    write: scope =>
      combine(
        scope.bind(times(a.value, powerOfTen(up)), 'left'),
        scope.bind(times(b.value, powerOfTen(upOther)), 'right'),
      ),
  }
}

/** Factors of 64 bits together. */
function product(_: CallExpr, [a, b]: readonly Long[]): Fast {
  const least = Math.min(a.bits, b.bits)
  const [limitA, limitB] =
    a.bits + b.bits <= 64 ? [64, 64] : least > 40 ? [32, 32] : a.bits === least ? [64, 64 - least] : [64 - least, 64]
  const test = and(within(a, limitA), within(b, limitB))
  const bits = Math.min(64, a.bits + b.bits - 1)
  return { test, bits, write: () => i64('*', a.value, b.value) }
}

function quotient({ type, args }: CallExpr, [a, b]: readonly Long[]): Fast {
  const [x, y] = args.map(arg => sizeOf(arg.type))
  const up = sizeOf(type).scale + y.scale - x.scale
  const test = and(and(within(a, 62 - growth(up)), within(b, 62)), isNotZero(b))
  return {
    test,
    bits: 63,
    write: scope => divided(scope.bind(times(a.value, powerOfTen(up)), 'dividend'), b.value, scope),
  }
}

/** Rounded half away from zero. REQUIRES: both have at most 62 bits. */
function divided(a: Expression, b: Expression, scope: Scope): Expression {
  const whole = scope.bind(i64('/', a, b), 'whole')
  const rest = scope.bind(i64('-', a, i64('*', whole, b)), 'rest')
  return i64('+', whole, i64('/', i64('+', rest, rest), b))
}

/** decimalRound, decimalFloor, decimalCeil, decimalTrunc, decimalAbs; null for other functions. */
export function roundedDecimal(expr: CallExpr, scope: Scope): Operand | null {
  const { type, detail } = expr
  if (detail === 'decimalAbs') return absolute(expr, scope)
  const how = ROUNDINGS[detail ?? '']
  if (how === undefined) return null
  const from = expr.args[0].type
  const slow = (a: bigint, cell: Cell): boolean => fill(cell, roundExactly(how, from, type, a))
  return rescaled(expr, compile(expr.args[0], scope), from, how, slow, scope)
}

const ROUNDINGS: Partial<Record<string, Rounding>> = {
  ...{ decimalRound: 'round', decimalFloor: 'floor', decimalCeil: 'ceil', decimalTrunc: 'trunc' },
}

function absolute({ type, args }: CallExpr, scope: Scope): Operand {
  const operand = compile(args[0], scope)
  const a = longOf(operand, scope, 'value')
  const fast = (inner: Scope): Expression => {
    const sign = inner.bind(i64('>>', a.value, lit(63n)), 'sign')
    return i64('-', i64('^', a.value, sign), sign)
  }
  const slow = (value: bigint, cell: Cell): boolean => fill(cell, value < 0n ? -value : value)
  const base = { type, isNull: operand.isNull, hint: 'absolute', args: [operand] }
  return compute({ ...base, test: within(a, 63), bits: a.bits, fast, slow, canFail: false }, scope)
}

/** A decimal or an integer in units of another scale; checked where the type has no room for all of them. */
function rescaled(
  expr: CallExpr,
  operand: Operand,
  from: TypeName,
  how: Rounding,
  slow: (a: never, cell: Cell) => boolean,
  scope: Scope,
): Operand {
  const [{ scale }, to] = [sizeOf(from), sizeOf(expr.type)]
  const a = longOf(operand, scope, 'value')
  const up = to.scale - scale
  const fails = opCanFail(expr)
  const fast = (inner: Scope): Expression => {
    const value = up >= 0 ? times(a.value, powerOfTen(up)) : roundedBy(how, a.value, powerOfTen(-up), inner)
    if (!fails || to.precision > 18) return value
    const result = inner.bind(value, 'rescaled')
    inner.failIf(outside(result, powerOfTen(to.precision)), operand.isNull)
    return result
  }
  const test = up >= 0 ? within(a, 64 - growth(up)) : -up <= 18 ? within(a, 62) : lit(false)
  const bits = up >= 0 ? Math.min(64, a.bits + growth(up)) : Math.min(64, a.bits)
  const base = { type: expr.type, isNull: operand.isNull, hint: 'rescaled', args: [operand] }
  return compute({ ...base, test, bits, fast, slow, canFail: fails }, scope)
}

/** Whether an i64 has as many digits as `limit`, a power of ten below 2^62: one comparison, without a sign. */
function outside(value: Expression, limit: bigint): Expression {
  const most = limit - 1n
  return bin('>', asInt(bin('+', value, lit(most)), false), lit(2n * most))
}

/** REQUIRES: the value has at most 62 bits. */
function roundedBy(how: Rounding, value: Expression, unit: bigint, scope: Scope): Expression {
  if (how === 'round') return divided(value, lit(unit), scope)
  const whole = scope.bind(i64('/', value, lit(unit)), 'whole')
  if (how === 'trunc') return whole
  const rest = i64('-', value, i64('*', whole, lit(unit)))
  if (how === 'floor') return i64('+', whole, i64('>>', rest, lit(63n)))
  return i64('-', whole, i64('>>', asInt(unary('-', rest), true), lit(63n)))
}

/** Casts to and from decimals; null for others, and for those that go by text. */
export function decimalCast(expr: CallExpr, scope: Scope): Operand | null {
  const [{ type: from }] = expr.args
  const to = expr.type
  if (from === to || (!isDecimal(from) && !isDecimal(to))) return null
  if (isDecimal(to)) return toDecimal(expr, from, scope)
  if (to === 'f64' || to === 'f32') return toDouble(expr, scope)
  return TYPES[to].min !== null && to !== 'u128' && to !== 'u64' ? toInteger(expr, scope) : null
}

function toDecimal(expr: CallExpr, from: TypeName, scope: Scope): Operand | null {
  const to = expr.type
  if (isDecimal(from)) {
    const slow = (a: bigint, cell: Cell): boolean => fill(cell, convertDecimal(from, to, a))
    return rescaled(expr, compile(expr.args[0], scope), from, 'round', slow, scope)
  }
  if (isFloat(from)) return doubleToDecimal(expr, scope)
  if (TYPES[from].min === null || TYPES[from].storage === 'w128') return null
  const operand = compile(expr.args[0], scope)
  const { isNull } = operand
  const small = isNumberType(from)
  const whole = small ? asInt(call('BigInt', scope.valueOf(operand)), true) : null
  const given: Operand = whole === null ? operand : { type: to, isNull, value: whole, long: TYPES[from].keyBits + 1 }
  const slow = (a: bigint, cell: Cell): boolean => fill(cell, castToDecimal(to, a))
  return rescaled(expr, given, from, 'round', slow, scope)
}

/** Doubles below this are told apart by their first 15 digits. */
const DIGITS_15 = 1e15
/** 10^22 is the last power of ten that is a double. */
const EXACT_POWERS = 22

/**
 * A double counts as its shortest text. If a decimal of 15 digits is nearest to it, that is what the text says: two
 * such decimals are never one double.
 */
function doubleToDecimal(expr: CallExpr, scope: Scope): Operand {
  const { type } = expr
  const { precision, scale } = sizeOf(type)
  const operand = compile(expr.args[0], scope)
  const x = scope.bind(plainZero(operand, scope), 'number')
  const unit = lit(10 ** Math.min(scale, EXACT_POWERS))
  const units = scope.bind(call(member('Math', 'round'), bin('*', x, unit)), 'units')
  const limit = lit(Math.min(DIGITS_15, 10 ** precision - 1))
  const small = logic('&&', bin('<=', units, limit), bin('>=', units, unary('-', limit)))
  const test = scale > EXACT_POWERS ? lit(false) : logic('&&', small, bin('===', bin('/', units, unit), x))
  const slow = (value: number, cell: Cell): boolean => fill(cell, castToDecimal(type, value))
  const args = [{ ...operand, value: x, negativeZero: false }]
  const base = { type, isNull: operand.isNull, hint: 'decimal', args }
  return compute({ ...base, test, bits: 51, fast: s => wholeAsLong(units, s), slow, canFail: true }, scope)
}

/** The nearest double: a quotient of two that are exact is rounded once. */
function toDouble(expr: CallExpr, scope: Scope): Operand {
  const [{ type: from }] = expr.args
  const { scale } = sizeOf(from)
  const operand = compile(expr.args[0], scope)
  const { isNull } = operand
  const a = longOf(operand, scope, 'value')
  const test = scale > EXACT_POWERS ? lit(false) : within(a, 54)
  const exactly = (s: Scope): Expression => {
    const whole = s.valueOf(wideToDouble('i64', { type: 'i64', isNull: null, value: a.value }, s))
    return scale === 0 ? whole : bin('/', whole, lit(10 ** scale))
  }
  const join = scope.join('f64', false, 'nearest')
  const [good, slow] = [scope.child(), scope.child()]
  join.set(good, { type: 'f64', isNull: null, value: exactly(good) })
  const nearest = scope.ctx.constant((value: bigint) => decimalToNumber(from, value), 'decimalToNumber')
  join.set(slow, { type: 'f64', isNull: null, value: call(nearest, slow.valueOf(operand)) })
  scope.emit(ifStmt(test, good.body, slow.body))
  const value = join.operand.value as Expression
  return { type: expr.type, isNull, value: expr.type === 'f32' ? call(member('Math', 'fround'), value) : value }
}

/** By way of an i64, or null where that would be too narrow. Fails on a fraction. */
function toInteger(expr: CallExpr, scope: Scope): Operand | null {
  const [{ type: from }] = expr.args
  const { scale } = sizeOf(from)
  const operand = compile(expr.args[0], scope)
  const a = longOf(operand, scope, 'value')
  const unit = powerOfTen(scale)
  const fast = (inner: Scope): Expression => {
    if (scale === 0) return a.value
    const whole = inner.bind(i64('/', a.value, lit(unit)), 'whole')
    inner.failIf(bin('!==', i64('*', whole, lit(unit)), a.value), operand.isNull)
    return whole
  }
  const slow = (value: bigint, cell: Cell): boolean => {
    const whole = value / unit
    return fill(cell, whole * unit === value && BigInt.asIntN(64, whole) === whole ? whole : null)
  }
  const test = scale > 18 ? lit(false) : within(a, 64)
  const base = { type: 'i64' as const, isNull: operand.isNull, hint: 'whole', args: [operand] }
  const whole = compute({ ...base, test, bits: 64, fast, slow, canFail: true }, scope)
  return integerToInteger(expr.type, 'i64', whole, scope)
}
