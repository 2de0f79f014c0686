/** String operators: on decoded text, except for what the lanes of a stored value can tell. */
import type { Expression } from 'estree'
import type { CallExpr } from '../../src/circuit/expr.js'
import { prefix, slice } from '../../src/circuit/scalar.js'
import { MAX_STRING_BYTES } from '../../src/schema/types.js'
import { utf8Length } from '../../src/schema/values.js'
import { bytesOrder, secondWord } from '../../src/zset/strings.js'
import { bin, call, cond, index, lit, logic, member } from '../ast.js'
import { anyNull, operands } from './compile.js'
import { and, type GermanCell, type Operand, type Scope } from './scope.js'

/** String operators; null for others. */
export function text(expr: CallExpr, scope: Scope): Operand | null {
  switch (expr.op) {
    case 'concat':
      return concat(expr, scope)
    case 'startsWith':
    case 'endsWith':
    case 'includes':
    case 'slice':
    case 'length':
    case 'trim':
      return plain(expr, operands(expr, scope), scope)
    case 'prefix':
      return prefixOf(expr, operands(expr, scope)[0], scope)
    default:
      return null
  }
}

/** Texts of so many units together are within bounds whatever their bytes. */
const SHORT = Math.floor(MAX_STRING_BYTES / 3)

/** Fails where the result is too long; only long texts have their bytes counted. */
function concat(expr: CallExpr, scope: Scope): Operand {
  const args = operands(expr, scope)
  const isNull = anyNull(args)
  const tooLong = scope.ctx.constant(exceeds, 'tooLong')
  const joined = args
    .map(arg => scope.valueOf(arg))
    .reduce((a, b) => {
      const [left, right] = [scope.bind(a, 'text'), scope.bind(b, 'text')]
      const size = bin('+', member(left, 'length'), member(right, 'length'))
      const long = scope.bind(and(bin('>', size, lit(SHORT)), call(tooLong, left, right)), 'long')
      scope.failIf(long, isNull)
      return cond(long, lit(''), bin('+', left, right))
    })
  return { type: 'string', isNull, value: scope.bind(joined, 'joined') }
}

function exceeds(a: string, b: string): boolean {
  return a.length + b.length > MAX_STRING_BYTES || utf8Length(a) + utf8Length(b) > MAX_STRING_BYTES
}

function plain(expr: CallExpr, args: readonly Operand[], scope: Scope): Operand {
  const isNull = anyNull(args)
  return { type: expr.type, isNull, value: valueFor(expr, args, scope) }
}

/** Of a stored value, straight from its words. */
function prefixOf(expr: CallExpr, operand: Operand, scope: Scope): Operand {
  const { german, isNull } = operand
  if (operand.words !== undefined) return { type: 'u64', isNull, value: operand.words.high }
  if (german === undefined) {
    const { type } = expr.args[0]
    const helper = (value: string | Uint8Array | bigint): bigint => prefix(type, value)
    return { type: 'u64', isNull, value: call(scope.ctx.constant(helper, 'prefix'), scope.valueOf(operand)) }
  }
  const second = call(scope.ctx.constant(secondWord, 'secondWord'), german.lanes, german.at, german.heap)
  const first = call(scope.ctx.constant(bytesOrder, 'bytesOrder'), index(german.lanes, bin('+', german.at, lit(1))))
  const lanes = [scope.bind(second, 'prefix_low'), scope.bind(first, 'prefix_high')]
  const big = (n: number) => call('BigInt', lanes[n])
  return { type: expr.type, isNull, value: bin('|', bin('<<', big(1), lit(32n)), big(0)), lanes }
}

function valueFor(expr: CallExpr, args: readonly Operand[], scope: Scope): Expression {
  const [first, second] = args
  if (expr.op === 'length' && first.type === 'bytes' && first.german !== undefined) {
    return index(first.german.lanes, first.german.at)
  }
  if (expr.op === 'startsWith' && first.german !== undefined && typeof second.literal === 'string') {
    const prefix = new TextEncoder().encode(second.literal)
    if (prefix.length > 0 && prefix.length <= 4) return startsWithBytes(first.german, prefix)
  }
  const [subject, ...rest] = args.map(arg => scope.valueOf(arg))
  if (expr.op === 'length') return member(subject, 'length')
  if (expr.op === 'slice') return call(scope.ctx.constant(slice, 'slice'), subject, ...rest)
  return call(member(subject, expr.op), ...rest)
}

function startsWithBytes({ lanes, at }: GermanCell, prefix: Uint8Array): Expression {
  const word = prefix.reduce((all, byte, n) => all | (byte << (n * 8)), 0)
  const first = index(lanes, bin('+', at, lit(1)))
  // The bitwise operators give signed numbers, on both sides.
  const bytes = prefix.length === 4 ? bin('|', first, lit(0)) : bin('&', first, lit(2 ** (prefix.length * 8) - 1))
  return logic('&&', bin('>=', index(lanes, at), lit(prefix.length)), bin('===', bytes, lit(word)))
}
