/**
 * Casts between numbers, the ones that loops are full of. They fail out of range and on fractions.
 *
 * Between a double and a 64-bit integer the value goes through eight bytes of memory that both look at, since
 * `Number(bigint)` and `BigInt(number)` allocate.
 */
import type { Expression } from 'estree'
import type { CallExpr } from '../../src/circuit/expr.js'
import { isFloat, isNumberType, TYPES, type TypeName } from '../../src/schema/types.js'
import { asInt } from '../access.js'
import { bin, call, cond, lit, logic, member, unary } from '../ast.js'
import { compile } from './compile.js'
import { castTimestamp } from './dates.js'
import { wholeAsLong } from './long.js'
import { and, not, type Operand, type Scope } from './scope.js'

const WRAP: Partial<Record<TypeName, (x: Expression) => Expression>> = {
  i8: x => bin('>>', bin('<<', x, lit(24)), lit(24)),
  i16: x => bin('>>', bin('<<', x, lit(16)), lit(16)),
  i32: x => bin('|', x, lit(0)),
  date: x => bin('|', x, lit(0)),
  u8: x => bin('&', x, lit(0xff)),
  u16: x => bin('&', x, lit(0xffff)),
  u32: x => bin('>>>', x, lit(0)),
}

const isWide = (type: TypeName): boolean => TYPES[type].storage === 'i64' || TYPES[type].storage === 'u64'

/** Null for conversions that are left to the interpreter. */
export function cast(expr: CallExpr, scope: Scope): Operand | null {
  const [arg] = expr.args
  const to = expr.type
  const from = arg.type
  if (from === to) return compile(arg, scope)
  if (isNumberType(from) && isNumberType(to)) {
    return to === 'date' && isFloat(from) ? null : numberToNumber(to, from, compile(arg, scope), scope)
  }
  if (from === 'bool' && isNumberType(to)) {
    const operand = compile(arg, scope)
    return { type: to, isNull: operand.isNull, value: cond(scope.valueOf(operand), lit(1), lit(0)) }
  }
  if (to === 'bool' && (isNumberType(from) || isWide(from))) return toBool(compile(arg, scope), scope)
  if (isWide(from) && to === 'f64') return wideToDouble(from, compile(arg, scope), scope)
  if ((from === 'timestamp' || from === 'timestamptz') && (to === 'date' || to === 'time')) {
    return castTimestamp(to, compile(arg, scope), scope)
  }
  if (from === 'date' || to === 'time') return null
  if (isWide(from) && (isWide(to) || (WRAP[to] !== undefined && to !== 'date')))
    return integerToInteger(to, from, compile(arg, scope), scope)
  if (isNumberType(from) && isWide(to)) return numberToWide(to, from, compile(arg, scope), scope)
  return null
}

/** 0 and 1 only. */
function toBool(operand: Operand, scope: Scope): Operand {
  const x = scope.bind(scope.valueOf(operand), 'number')
  const [zero, one] = TYPES[operand.type].js === 'bigint' ? [lit(0n), lit(1n)] : [lit(0), lit(1)]
  const value = scope.bind(bin('===', x, one), 'bool')
  scope.failIf(and(not(value), bin('!==', x, zero)), operand.isNull)
  return { type: 'bool', isNull: operand.isNull, value }
}

function covers(to: TypeName, from: TypeName): boolean {
  const [wide, narrow] = [TYPES[to], TYPES[from]]
  if (wide.min === null || wide.max === null || narrow.min === null || narrow.max === null) return false
  return wide.min <= narrow.min && wide.max >= narrow.max
}

function numberToNumber(to: TypeName, from: TypeName, operand: Operand, scope: Scope): Operand {
  const { isNull, negativeZero } = operand
  if (to === 'f64' || covers(to, from)) {
    return { type: to, isNull, value: scope.valueOf(operand), negativeZero }
  }
  const x = scope.bind(scope.valueOf(operand), 'number')
  const wrap = WRAP[to]
  if (wrap === undefined) {
    const value = scope.bind(call(member('Math', 'fround'), x), 'single')
    if (from === 'f64') {
      const finite = bin('===', bin('-', x, x), lit(0))
      scope.failIf(and(finite, bin('!==', bin('-', value, value), lit(0))), isNull)
    }
    return { type: to, isNull, value, negativeZero }
  }
  const value = scope.bind(wrap(x), to)
  scope.failIf(bin('!==', value, x), isNull)
  return { type: to, isNull, value }
}

/** The 32-bit words, low first: from memory if the value lies there. */
function lanesOf(operand: Operand, from: TypeName, scope: Scope): readonly Expression[] {
  return operand.lanes ?? scope.split(scope.valueOf(operand), TYPES[from].storage === 'i64' ? 'i64' : 'u64', 'bits')
}

/** The nearest double. Rounds once, in the addition: the high part is exact. */
export function wideToDouble(from: TypeName, operand: Operand, scope: Scope): Operand {
  const [low, high] = lanesOf(operand, from, scope)
  const top = TYPES[from].storage === 'i64' ? bin('|', high, lit(0)) : bin('>>>', high, lit(0))
  const value = bin('+', bin('*', top, lit(2 ** 32)), unsigned(low))
  return { type: 'f64', isNull: operand.isNull, value }
}

/** Lanes are elements of unsigned arrays, or the results of bit operators. */
function unsigned(lane: Expression): Expression {
  return lane.type === 'BinaryExpression' ? bin('>>>', lane, lit(0)) : lane
}

/** From 64 bits to any number of them. */
export function integerToInteger(to: TypeName, from: TypeName, operand: Operand, scope: Scope): Operand {
  return isWide(to) ? wideToWide(to, from, operand, scope) : wideToSmall(to, from, operand, scope)
}

function wideToWide(to: TypeName, from: TypeName, operand: Operand, scope: Scope): Operand {
  const x = scope.bind(scope.valueOf(operand), 'wide')
  const { storage } = TYPES[to]
  if (storage === TYPES[from].storage) return { ...operand, type: to, value: x }
  const value = scope.bind(asInt(x, storage === 'i64'), to)
  scope.failIf(bin('<', storage === 'i64' ? value : x, lit(0n)), operand.isNull)
  return { type: to, isNull: operand.isNull, value }
}

function wideToSmall(to: TypeName, from: TypeName, operand: Operand, scope: Scope): Operand {
  const [low, high] = lanesOf(operand, from, scope).map((lane, n) => scope.bind(lane, n === 0 ? 'low' : 'high'))
  const value = scope.bind((WRAP[to] as (x: Expression) => Expression)(low), to)
  const signed = TYPES[to].min !== 0n
  // In range: the low word says it all, and the high word is its sign, or zero where there is no sign.
  const lowDiffers = bin('!==', bin('|', value, lit(0)), bin('|', low, lit(0)))
  const sign = TYPES[from].storage === 'i64' && signed ? bin('>>', low, lit(31)) : lit(0)
  const negative = TYPES[from].storage === 'u64' && signed ? [bin('<', bin('|', low, lit(0)), lit(0))] : []
  const tests = [lowDiffers, bin('!==', bin('|', high, lit(0)), sign), ...negative]
  scope.failIf(
    tests.reduce((all, test) => logic('||', all, test)),
    operand.isNull,
  )
  return { type: to, isNull: operand.isNull, value }
}

function numberToWide(to: TypeName, from: TypeName, operand: Operand, scope: Scope): Operand {
  const { isNull } = operand
  const signed = TYPES[to].storage === 'i64'
  const x = scope.bind(scope.valueOf(operand), 'number')
  if (!isFloat(from)) {
    const integer = call('BigInt', x)
    if (signed || TYPES[from].min === 0n) return { type: to, isNull, value: asInt(integer, signed) }
  }
  const least = signed ? -(2 ** 63) : 0
  const inside = logic('&&', bin('>=', x, lit(least)), bin('<', x, lit(signed ? 2 ** 63 : 2 ** 64)))
  const whole = bin('===', call(member('Math', 'floor'), x), x)
  scope.failIf(unary('!', logic('&&', inside, whole)), isNull)
  return { type: to, isNull, value: wholeAsLong(x, scope, signed ? 'i64' : 'u64') }
}
