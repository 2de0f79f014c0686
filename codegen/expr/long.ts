/**
 * Decimals, which have 128 bits, as 64-bit integers where they fit.
 *
 * A decimal of up to 18 digits always does: it is an i64 to generated code (`Operand.long`). One of more digits is the
 * two stored words, in memory: those of a column, or a *cell* of two words that belongs to the operator. An operator
 * takes the low word, tests that it is the whole value (`Long`) and small enough for a result of 64 bits, and computes
 * with that; else it calls a function that computes with bigints and fills the cell.
 */
import type { Expression } from 'estree'
import { DECIMAL_OFFSET } from '../../src/schema/decimal.js'
import { decimalShape, TYPES, type TypeName } from '../../src/schema/types.js'
import { asInt } from '../access.js'
import { assign, bin, call, exprStmt, ifStmt, index, lit, member } from '../ast.js'
import { and, isLit, LONG_PRECISION, longBits, not, type Operand, type Scope, scratchView } from './scope.js'

/** An integer as an i64: of `bits` bits, its sign included, if `whole` holds (null: always). */
export interface Long {
  readonly value: Expression
  readonly bits: number
  readonly whole: Expression | null
}

/** Bits of a signed integer that holds the value. */
export const bitsOf = (value: bigint): number => (value < 0n ? ~value : value).toString(2).length + 1

/** Bits that a product with 10^n has more than its other factor. */
export const growth = (n: number): number => (n === 0 ? 0 : (10n ** BigInt(n)).toString(2).length)

/** A decimal, or an integer of 64 bits. */
export function longOf(operand: Operand, scope: Scope, hint: string): Long {
  const { literal, long, lanes, words, type } = operand
  if (typeof literal === 'bigint') {
    const bits = bitsOf(literal)
    return bits > 64 ? NEVER : { value: scope.valueOf(operand), bits, whole: null }
  }
  if (long !== undefined || TYPES[type].storage === 'i64') {
    return { value: scope.bind(scope.valueOf(operand), hint), bits: long ?? 64, whole: null }
  }
  if (words !== undefined && lanes !== undefined) {
    const sign = bin('>>', lanes[1], lit(31))
    const whole = and(
      bin('===', bin('|', lanes[2], lit(0)), sign),
      bin('===', bin('^', lanes[2], lanes[3]), lit(-(2 ** 31))),
    )
    return { value: scope.bind(asInt(words.low, true), hint), bits: 64, whole }
  }
  const given = scope.bind(scope.valueOf(operand), hint)
  const value = scope.bind(asInt(given, true), `${hint}_low`)
  return {
    value,
    bits: 64,
    whole: TYPES[type].storage === 'u64' ? bin('>=', value, lit(0n)) : bin('===', value, given),
  }
}

const NEVER: Long = { value: lit(0n), bits: 1, whole: lit(false) }

/** Whether the value is an integer of `bits` bits. */
export function within({ value, bits, whole }: Long, limit: number): Expression {
  if (limit < 1) return lit(false)
  const small = bits <= limit ? lit(true) : bin('===', asInt(value, true, limit), value)
  return whole === null ? small : and(whole, small)
}

/** Both stored words of a decimal. */
export function decimalWords(operand: Operand, scope: Scope, hint: string): { low: Expression; high: Expression } {
  if (operand.words !== undefined) return operand.words
  const value = scope.bind(scope.valueOf(operand), hint)
  if (operand.long === undefined) {
    const stored = scope.bind(bin('+', value, lit(DECIMAL_OFFSET)), `${hint}_stored`)
    return { low: asInt(stored, false), high: bin('>>', stored, lit(64n)) }
  }
  return { low: value, high: asInt(bin('^', bin('>>', value, lit(63n)), lit(1n << 63n)), false) }
}

/** The same as 32-bit words, low first. */
export function decimalLanes(operand: Operand, scope: Scope, hint: string): Expression[] {
  if (operand.lanes !== undefined) return [...operand.lanes]
  if (typeof operand.literal === 'bigint') {
    const stored = operand.literal + DECIMAL_OFFSET
    return [0n, 32n, 64n, 96n].map(from => lit(Number(BigInt.asUintN(32, stored >> from))))
  }
  if (operand.long !== undefined) {
    const [low, high] = scope.split(scope.valueOf(operand), 'i64', hint)
    const sign = scope.bind(bin('>>', high, lit(31)), `${hint}_sign`)
    return [low, high, bin('>>>', sign, lit(0)), bin('>>>', bin('^', sign, lit(2 ** 31)), lit(0))]
  }
  const join = scope.join(operand.type, false, hint)
  join.set(scope, operand)
  return [...(join.operand.lanes as readonly Expression[])]
}

export type Cell = BigInt64Array | BigUint64Array

/** Puts a result where a slow path's caller looks for it; false if there is none. */
export function fill(cell: Cell, value: bigint | null): boolean {
  if (value === null) return false
  cell[0] = BigInt.asUintN(64, value)
  if (cell.length === 2) cell[1] = (value + DECIMAL_OFFSET) >> 64n
  return true
}

/** An integer result: fast where `test` holds, else by a call of `slow`. */
export interface Computation {
  readonly type: TypeName
  readonly isNull: Expression | null
  readonly hint: string
  readonly test: Expression
  /** Writes the fast path: a value of at most `bits` bits. */
  readonly fast: (scope: Scope) => Expression
  readonly bits: number
  /** Takes the operands, and the cell to fill; gives false where the operator fails. */
  readonly slow: (...args: never[]) => boolean
  readonly args: readonly Operand[]
  readonly canFail: boolean
}

/** Writes a computation. NULL operands take part in it only where its test is certain: their words mean nothing. */
export function compute(spec: Computation, scope: Scope): Operand {
  const { type, isNull, hint, test, bits } = spec
  const precision = decimalShape(type)?.precision ?? LONG_PRECISION + 1
  const long = precision > LONG_PRECISION ? bits : Math.min(bits, longBits(precision))
  if (isLit(test, true)) return { type, isNull, value: scope.bind(spec.fast(scope), hint), long }
  const join = scope.join(type, false, hint)
  const slow = scope.child()
  const values = spec.args.map(arg => slow.valueOf(arg))
  const done = call(scope.ctx.constant(spec.slow, `${hint}Exactly`), ...values, cellOf(join.operand))
  slow.emit(spec.canFail ? ifStmt(not(done), [scope.fail()]) : exprStmt(done))
  const good = scope.child()
  if (!isLit(test, false)) join.set(good, { type, isNull: null, value: good.bind(spec.fast(good), hint), long })
  const both = isLit(test, false) ? slow.body : [ifStmt(test, good.body, slow.body)]
  if (isNull === null) for (const statement of both) scope.emit(statement)
  else scope.emit(ifStmt(not(isNull), both))
  return { ...join.operand, isNull }
}

/** The array behind a cell's words, or behind the one word of a slot. */
function cellOf({ value, words }: Operand): Expression {
  const first = words?.low ?? value
  if (first?.type !== 'MemberExpression' || first.object.type === 'Super') throw new Error('a slot is an array')
  return first.object
}

/** A whole number in range as an integer of 64 bits, through memory: `BigInt(x)` would allocate. */
export function wholeAsLong(x: Expression, scope: Scope, as: 'i64' | 'u64' = 'i64'): Expression {
  const lanes = scratchView(scope.ctx, 'u32')
  const high = scope.bind(call(member('Math', 'floor'), bin('/', x, lit(2 ** 32))), 'high')
  scope.emit(exprStmt(assign(index(lanes, 0), bin('-', x, bin('*', high, lit(2 ** 32))))))
  scope.emit(exprStmt(assign(index(lanes, 1), high)))
  return scope.bind(index(scratchView(scope.ctx, as), 0), 'whole')
}
