/**
 * Comparisons. Numbers by size with NaN greatest and equal to itself, 64-bit integers as machine integers, 128-bit
 * values by their halves, stored strings by their lanes without being decoded.
 */
import type { BinaryOperator, Expression } from 'estree'
import type { CallExpr, Expr } from '../../src/circuit/expr.js'
import { compareScalars } from '../../src/circuit/scalar.js'
import { isDecimal, isFloat, TYPES } from '../../src/schema/types.js'
import { compareStrings } from '../../src/schema/values.js'
import { Heap, INLINE_BYTES } from '../../src/zset/heap.js'
import { compareGerman, encodeBytes, encodeString, equalGerman } from '../../src/zset/strings.js'
import { bin, call, index, lit, logic, unary } from '../ast.js'
import { anyNull, operands } from './compile.js'
import { decimalLanes, longOf } from './long.js'
import { and, type GermanCell, not, type Operand, or, type Scope } from './scope.js'

type Comparison = 'eq' | 'ne' | 'lt' | 'le' | 'gt' | 'ge'

const SYMBOL: Record<Comparison, BinaryOperator> = { eq: '===', ne: '!==', lt: '<', le: '<=', gt: '>', ge: '>=' }

/** eq, ne, lt, le, gt, ge: NULL if an operand is. */
export function comparison(expr: CallExpr, scope: Scope): Operand {
  const args = operands(expr, scope)
  return { type: 'bool', isNull: anyNull(args), value: compare(expr.op as Comparison, expr, args, scope) }
}

/** is, isnt: equality in which NULL equals NULL. */
export function distinctness(expr: CallExpr, scope: Scope): Operand {
  const args = operands(expr, scope)
  const value = same(expr, args, scope)
  return { type: 'bool', isNull: null, value: expr.op === 'is' ? value : not(value) }
}

function same(expr: CallExpr, args: readonly Operand[], scope: Scope): Expression {
  const [a, b] = args.map(arg => arg.isNull)
  if (expr.args[0].kind === 'literal' && expr.args[0].value === null) return b ?? lit(false)
  if (expr.args[1].kind === 'literal' && expr.args[1].value === null) return a ?? lit(false)
  const equal = compare('eq', expr, args, scope)
  if (a === null && b === null) return equal
  if (a === null || b === null) return and(not((a ?? b) as Expression), equal)
  const first = scope.bind(a, 'left_null')
  const second = scope.bind(b, 'right_null')
  return or(and(first, second), and(and(not(first), not(second)), equal))
}

function compare(op: Comparison, expr: CallExpr, args: readonly Operand[], scope: Scope): Expression {
  const [a, b] = args
  const [left, right] = [TYPES[a.type], TYPES[b.type]]
  if (left.js === 'number' && right.js === 'number') return numbers(op, expr.args, args, scope)
  if (isDecimal(a.type) && isDecimal(b.type)) return decimals(op, a, b, scope)
  if (a.words !== undefined && b.words !== undefined) return words(op, a.words, b.words)
  const lanes = left.storage === 'u64' && right.storage === 'u64' ? unsignedLanes(a, b) : null
  if (lanes !== null) return words(op, ...lanes)
  if (left.js === 'bigint' && right.js === 'bigint') return bin(SYMBOL[op], scope.valueOf(a), scope.valueOf(b))
  if (left.js === 'boolean' && right.js === 'boolean') return booleans(op, scope.valueOf(a), scope.valueOf(b))
  if (left.storage === 'german' && a.type === b.type && (a.german !== undefined || b.german !== undefined)) {
    const [x, y] = [cellOf(a, scope), cellOf(b, scope)]
    if (x !== null && y !== null) return germans(op, args, x, y, scope)
  }
  return values(op, args, scope)
}

/** Decoded values. */
function values(op: Comparison, args: readonly Operand[], scope: Scope): Expression {
  const [a, b] = args
  const [x, y] = args.map(arg => scope.valueOf(arg))
  if (TYPES[a.type].js === 'string' && TYPES[b.type].js === 'string') {
    if (op === 'eq' || op === 'ne' || a.type === 'uuid') return bin(SYMBOL[op], x, y)
    return bin(SYMBOL[op], call(scope.ctx.constant(compareStrings, 'compareStrings'), x, y), lit(0))
  }
  return bin(SYMBOL[op], call(scope.ctx.constant(compareScalars, 'compareScalars'), x, y), lit(0))
}

function booleans(op: Comparison, a: Expression, b: Expression): Expression {
  switch (op) {
    case 'lt':
      return and(not(a), b)
    case 'le':
      return or(not(a), b)
    case 'gt':
      return and(a, not(b))
    case 'ge':
      return or(a, not(b))
    default:
      return bin(SYMBOL[op], a, b)
  }
}

/** Whether a number may be NaN. */
function maybeNaN(expr: Expr): boolean {
  return isFloat(expr.type) && !(expr.kind === 'literal' && !Number.isNaN(expr.value))
}

function numbers(op: Comparison, exprs: readonly Expr[], args: readonly Operand[], scope: Scope): Expression {
  const [nanA, nanB] = exprs.map(maybeNaN)
  const twice = nanA && nanB
  const [a, b] = args.map((arg, n) => {
    const value = scope.valueOf(arg)
    return twice ? scope.bind(value, n === 0 ? 'left' : 'right') : value
  })
  switch (op) {
    case 'eq':
      return twice ? or(bin('===', a, b), and(bin('!==', a, a), bin('!==', b, b))) : bin('===', a, b)
    case 'ne':
      return twice ? and(bin('!==', a, b), or(bin('===', a, a), bin('===', b, b))) : bin('!==', a, b)
    case 'lt':
    case 'gt':
      return strict(op, a, b, nanA, nanB)
    default:
      return loose(op, a, b, nanA, nanB)
  }
}

const OPPOSITE = { lt: '>=', gt: '<=', le: '>', ge: '<' } as const

/** a < b or a > b where NaN is greatest. JavaScript says no if NaN takes part: wrong if only the greater is NaN. */
function strict(op: 'lt' | 'gt', a: Expression, b: Expression, nanA: boolean, nanB: boolean): Expression {
  const [nanLess, nanGreater] = op === 'lt' ? [nanA, nanB] : [nanB, nanA]
  if (!nanGreater) return bin(SYMBOL[op], a, b)
  if (!nanLess) return unary('!', bin(OPPOSITE[op], a, b))
  const [less, greater] = op === 'lt' ? [a, b] : [b, a]
  return or(bin(SYMBOL[op], a, b), and(bin('===', less, less), bin('!==', greater, greater)))
}

/** a <= b or a >= b where NaN is greatest: wrong if the greater is NaN. */
function loose(op: 'le' | 'ge', a: Expression, b: Expression, nanA: boolean, nanB: boolean): Expression {
  const [nanLess, nanGreater] = op === 'le' ? [nanA, nanB] : [nanB, nanA]
  if (!nanGreater) return bin(SYMBOL[op], a, b)
  if (!nanLess) return unary('!', bin(OPPOSITE[op], a, b))
  const greater = op === 'le' ? b : a
  return or(bin(SYMBOL[op], a, b), bin('!==', greater, greater))
}

type Words = NonNullable<Operand['words']>

/**
 * The halves of two u64 values as numbers, if both lie in memory or are literals: V8 puts bigints from 2^63 on the
 * heap to compare them. Lanes of memory are unsigned.
 */
function unsignedLanes(a: Operand, b: Operand): [Words, Words] | null {
  const [x, y] = [a, b].map(({ lanes, literal, stored }) => {
    if (typeof literal === 'bigint')
      return { low: lit(Number(literal & 0xffffffffn)), high: lit(Number(literal >> 32n)) }
    return stored === true && lanes !== undefined ? { low: lanes[0], high: lanes[1] } : null
  })
  return x !== null && y !== null ? [x, y] : null
}

function words(op: Comparison, a: Words, b: Words): Expression {
  if (op === 'eq') return and(bin('===', a.low, b.low), bin('===', a.high, b.high))
  if (op === 'ne') return or(bin('!==', a.low, b.low), bin('!==', a.high, b.high))
  const strict = op === 'lt' || op === 'le' ? '<' : '>'
  return or(bin(strict, a.high, b.high), and(bin('===', a.high, b.high), bin(SYMBOL[op], a.low, b.low)))
}

/** As i64, or by their words of 32 bits. */
function decimals(op: Comparison, a: Operand, b: Operand, scope: Scope): Expression {
  const [x, y] = [longOf(a, scope, 'left'), longOf(b, scope, 'right')]
  if (x.whole === null && y.whole === null) return bin(SYMBOL[op], x.value, y.value)
  const [left, right] = [decimalLanes(a, scope, 'left'), decimalLanes(b, scope, 'right')]
  const equal = left.map((lane, n) => bin('===', lane, right[n]))
  if (op === 'eq') return equal.reduce(and)
  if (op === 'ne') return not(equal.reduce(and))
  const strict = op === 'lt' || op === 'le' ? '<' : '>'
  return [1, 2, 3].reduce(
    (below, n) => or(bin(strict, left[n], right[n]), and(equal[n], below)),
    bin(SYMBOL[op], left[0], right[0]),
  )
}

/** Where the bytes of a stored value or of a literal lie; null for a computed value. */
function cellOf(operand: Operand, scope: Scope): GermanCell | null {
  if (operand.german !== undefined) return operand.german
  const { literal } = operand
  if (typeof literal !== 'string' && !(literal instanceof Uint8Array)) return null
  const { lanes, heap } = literalCell(literal)
  return { lanes: scope.ctx.constant(lanes, 'literal'), at: lit(0), heap: scope.ctx.constant(heap, 'literal_heap') }
}

function literalCell(value: string | Uint8Array): { lanes: Uint32Array; heap: Heap } {
  const lanes = new Uint32Array(4)
  const heap = new Heap()
  if (typeof value === 'string') encodeString(value, lanes, 0, heap)
  else encodeBytes(value, lanes, 0, heap)
  return { lanes, heap }
}

function germans(op: Comparison, args: readonly Operand[], a: GermanCell, b: GermanCell, scope: Scope): Expression {
  if (op !== 'eq' && op !== 'ne') {
    const helper = scope.ctx.constant(compareGerman, 'compareGerman')
    return bin(SYMBOL[op], call(helper, a.lanes, a.at, a.heap, b.lanes, b.at, b.heap), lit(0))
  }
  const [first, second] = args
  const equal =
    second.literal !== undefined
      ? equalsLiteral(a, second.literal, b, scope)
      : first.literal !== undefined
        ? equalsLiteral(b, first.literal, a, scope)
        : call(scope.ctx.constant(equalGerman, 'equalGerman'), a.lanes, a.at, a.heap, b.lanes, b.at, b.heap)
  return op === 'eq' ? equal : unary('!', equal)
}

/** Length and first bytes decide most rows; `literal` is where all bytes of `value` lie. */
function equalsLiteral(cell: GermanCell, value: Operand['literal'], literal: GermanCell, scope: Scope): Expression {
  if (typeof value !== 'string' && !(value instanceof Uint8Array)) throw new Error('expected a text or bytes literal')
  const { lanes } = literalCell(value)
  const length = lanes[0]
  const long = length > INLINE_BYTES
  const compared = long ? 2 : 1 + Math.ceil(length / 4)
  const tests = Array.from({ length: compared }, (_, n) =>
    bin('===', index(cell.lanes, n === 0 ? cell.at : bin('+', cell.at, lit(n))), lit(lanes[n])),
  )
  const start = tests.reduce((all, test) => logic('&&', all, test))
  if (!long) return start
  const helper = scope.ctx.constant(equalGerman, 'equalGerman')
  return and(start, call(helper, cell.lanes, cell.at, cell.heap, literal.lanes, literal.at, literal.heap))
}
