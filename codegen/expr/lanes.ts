/** The 32-bit words of values in generated code, and what is built from them: packed keys and hashed keys. */
import type { Expression } from 'estree'
import type { Column, Layout } from '../../src/schema/schema.js'
import { isDecimal, TYPES, type TypeName } from '../../src/schema/types.js'
import {
  finishHash,
  HASH_LANES,
  hashBytes,
  hashGerman,
  hashNull,
  hashText,
  hashWord,
  newHash,
  startHash,
  wordsOf,
} from '../../src/zset/hash.js'
import { assign, bin, call, cond, exprStmt, ifStmt, index, lit } from '../ast.js'
import { plainZero } from './compile.js'
import { decimalLanes } from './long.js'
import { type Operand, type Scope, scratchView } from './scope.js'

const SIGN = 0x80000000
const NAN_HIGH = { f32: 0x7fc00000, f64: 0x7ff80000 } as const

/**
 * The words of a fixed-width value as a column stores it, less significant first; integers of less than 32 bits
 * give one word. Each may be signed or unsigned: `>>> 0` makes it unsigned. REQUIRES: the value is not NULL.
 */
export function storedWords(operand: Operand, scope: Scope, hint: string): Expression[] {
  if (operand.lanes !== undefined) return [...operand.lanes]
  const { storage } = TYPES[operand.type]
  if (storage === 'german') throw new Error('a string has no words')
  if (isDecimal(operand.type)) return decimalLanes(operand, scope, hint)
  if (storage === 'w128') return wideWords(operand, scope, hint)
  if (storage === 'f64' || storage === 'f32') return floatWords(operand, storage, scope, hint)
  const value = scope.valueOf(operand)
  if (storage === 'i64' || storage === 'u64') return scope.split(value, storage, hint)
  return [operand.type === 'bool' ? cond(value, lit(1), lit(0)) : value]
}

function wideWords(operand: Operand, scope: Scope, hint: string): Expression[] {
  const words = scope.ctx.constant(new Uint32Array(4), `${hint}_words`)
  const { type } = operand
  const helper = (value: string | bigint, to: Uint32Array): void => to.set(wordsOf(type, value))
  scope.emit(exprStmt(call(scope.ctx.constant(helper, `${type}Words`), scope.valueOf(operand), words)))
  return [0, 1, 2, 3].map(n => index(words, n))
}

/** Through shared memory; a NaN that was computed may have any of many bit patterns and gets the usual one. */
function floatWords(operand: Operand, storage: 'f32' | 'f64', scope: Scope, hint: string): Expression[] {
  const value = scope.bind(plainZero(operand, scope), hint)
  scope.emit(exprStmt(assign(index(scratchView(scope.ctx, storage), 0), value)))
  const view = scratchView(scope.ctx, 'u32')
  const top = storage === 'f64' ? 1 : 0
  if (operand.stored !== true) {
    const canonical = [exprStmt(assign(index(view, top), lit(NAN_HIGH[storage])))]
    if (top === 1) canonical.unshift(exprStmt(assign(index(view, 0), lit(0))))
    scope.emit(ifStmt(bin('!==', value, value), canonical))
  }
  const word = (n: number, name: string) => scope.bind(index(view, n), `${hint}_${name}`)
  return top === 0 ? [word(0, 'bits')] : [word(0, 'low'), word(1, 'high')]
}

/** A piece of at most 32 bits of a packed key: `from` counts from the least significant bit. */
interface Piece {
  readonly from: number
  readonly bits: number
  readonly expr: Expression
}

/** The lanes of the layout's key, low first, as unsigned numbers. `operands` by column index of `layout.schema`. */
export function keyLanes(layout: Layout, operands: (column: number) => Operand, scope: Scope): Expression[] {
  return layout.key.kind === 'packed' ? packKey(layout, operands, scope) : hashKey(layout, operands, scope)
}

/** The packed key, see `codegen/access.ts` for the images. */
export function packKey(layout: Layout, operands: (column: number) => Operand, scope: Scope): Expression[] {
  const { key } = layout
  const parts: Expression[][] = Array.from({ length: key.words * 2 }, () => [])
  for (const { column, fromBit, bits } of key.fields) {
    const operand = operands(column.index)
    const from = key.words * 64 - fromBit - bits
    for (const piece of imagePieces(column, operand, from, scope)) place(piece, parts, scope)
    if (column.nullable) {
      const flag = operand.isNull === null ? lit(1) : cond(operand.isNull, lit(0), lit(1))
      place({ from: from + bits, bits: 1, expr: flag }, parts, scope)
    }
  }
  return parts.map(joinLane)
}

function joinLane(parts: readonly Expression[]): Expression {
  if (parts.length === 0) return lit(0)
  const all = parts.reduce((a, b) => bin('|', a, b))
  return isUnsigned(all) ? all : bin('>>>', all, lit(0))
}

/** An element of a Uint32Array, a literal, or the result of `>>>`. */
function isUnsigned(expr: Expression): boolean {
  if (expr.type === 'BinaryExpression') return expr.operator === '>>>'
  return expr.type === 'MemberExpression' || (expr.type === 'Literal' && typeof expr.value === 'number')
}

function place(piece: Piece, parts: Expression[][], scope: Scope): void {
  const lane = piece.from >> 5
  const shift = piece.from & 31
  if (shift === 0) {
    parts[lane].push(piece.expr)
    return
  }
  const expr = scope.bind(piece.expr, 'key_part')
  parts[lane].push(bin('<<', expr, lit(shift)))
  if (shift + piece.bits > 32) parts[lane + 1].push(bin('>>>', expr, lit(32 - shift)))
}

function imagePieces(column: Column, operand: Operand, from: number, scope: Scope): Piece[] {
  const { storage, keyBits } = column.info
  const width = Math.min(32, keyBits)
  const words = keyImage(operand, storage, scope, column.name)
  const guarded = words.map(word => (operand.isNull === null ? word : cond(operand.isNull, lit(0), word)))
  return guarded.map((expr, n) => ({ from: from + n * 32, bits: width, expr }))
}

/** The order-preserving image of a value that is not NULL, in words of 32 bits or, for narrower types, one of theirs. */
export function keyImage(
  operand: Operand,
  storage: (typeof TYPES)[TypeName]['storage'],
  scope: Scope,
  hint: string,
): Expression[] {
  const words = storedWords(operand, scope, hint)
  switch (storage) {
    case 'i8':
    case 'i16':
      return [bin('+', words[0], lit(storage === 'i8' ? 0x80 : 0x8000))]
    case 'i32':
      return [bin('^', words[0], lit(SIGN))]
    case 'i64':
      return [words[0], bin('^', words[1], lit(SIGN))]
    case 'f32':
    case 'f64': {
      const top = scope.bind(words[words.length - 1], `${hint}_sign`)
      // All ones for a negative number, else just the sign bit.
      const mask = scope.bind(bin('>>', top, lit(31)), `${hint}_mask`)
      const image = bin('^', top, bin('|', mask, lit(SIGN)))
      return words.length === 1 ? [image] : [bin('^', words[0], mask), image]
    }
    default:
      return words
  }
}

/** The hash of the key columns. */
export function hashKey(layout: Layout, operands: (column: number) => Operand, scope: Scope): Expression[] {
  return hashOf(layout.key.columns.map(operands), scope)
}

/** The hash of values, as unsigned words. */
export function hashOf(operands: readonly Operand[], scope: Scope): Expression[] {
  const state = scope.ctx.constant(HASH_STATE, 'hash')
  scope.emit(helperCall(scope, startHash, state))
  for (const operand of operands) hashOperand(operand, state, scope)
  scope.emit(helperCall(scope, finishHash, state))
  return Array.from({ length: HASH_LANES }, (_, n) => scope.bind(bin('>>>', index(state, n), lit(0)), `hash_${n}`))
}

const HASH_STATE = newHash()

function helperCall(scope: Scope, helper: (...args: never[]) => void, ...args: Expression[]) {
  return exprStmt(call(scope.ctx.constant(helper, helper.name), ...args))
}

function hashOperand(operand: Operand, state: Expression, scope: Scope): void {
  const inner = scope.child()
  if (TYPES[operand.type].storage === 'german') {
    const { german } = operand
    const [helper, args] = german
      ? ([hashGerman, [german.lanes, german.at, german.heap]] as const)
      : ([operand.type === 'string' ? hashText : hashBytes, [inner.valueOf(operand)]] as const)
    inner.emit(helperCall(inner, helper, state, ...args))
  } else {
    for (const word of storedWords(operand, inner, 'key')) inner.emit(helperCall(inner, hashWord, state, word))
  }
  if (operand.isNull === null) scope.splice(inner)
  else scope.emit(ifStmt(operand.isNull, [helperCall(scope, hashNull, state)], inner.body))
}
