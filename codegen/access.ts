/**
 * Reading the columns of a row in generated code.
 *
 * A stored column is an element of its array, which is hoisted out of the loop under the name `<batch>_<column>`.
 * A column that lives in a packed key is taken out of the key's lanes with constant shifts and masks: unsigned
 * integers as they are, signed ones with the sign bit turned over, floats with the sign bit turned over (if it was
 * clear) or with all bits turned over (if it was set), booleans as 0 and 1.
 *
 * REQUIRES of the batches: NULL cells hold zeros, floats are in canonical form, unused bytes of short strings are 0.
 */
import type { Expression, Identifier } from 'estree'
import type { Column, KeyField, Layout } from '../src/schema/schema.js'
import { decimalShape } from '../src/schema/types.js'
import { uuidFromWords } from '../src/schema/values.js'
import { decodeBytes, decodeString } from '../src/zset/strings.js'
import { assign, bin, call, cond, exprStmt, index, lit, member, unary } from './ast.js'
import { decimalOfWords, LONG_PRECISION, longBits, type Operand, type Place, Scope, scratchView } from './expr/scope.js'
import type { ExpandContext } from './specialise/types.js'

const SIGN = 0x80000000

/** The value of a column as `TYPES[type].js`; zero, empty or false where it is NULL. */
export function readColumn(
  layout: Layout,
  batch: Expression,
  columnIndex: number,
  at: Expression,
  ctx: ExpandContext,
): Expression {
  const place = { layout, batch, at }
  const scope = new Scope(ctx, { places: [place], status: null, shared: new Set() })
  return scope.valueOf(readOperand(place, columnIndex, scope))
}

/** Whether a column is NULL; the literal false if it cannot be. */
export function readIsNull(
  layout: Layout,
  batch: Expression,
  columnIndex: number,
  at: Expression,
  ctx: ExpandContext,
): Expression {
  return nullTest({ layout, batch, at }, layout.schema.columns[columnIndex], ctx) ?? lit(false)
}

/** A column of a row as an operand of expressions. May emit statements to `scope` (floats in a packed key). */
export function readOperand(place: Place, columnIndex: number, scope: Scope): Operand {
  const column = place.layout.schema.columns[columnIndex]
  const source = nullSource(place, column, scope.ctx)
  const base = {
    type: column.type,
    isNull: nullTest(place, column, scope.ctx),
    stored: true,
    ...(source && { nullSource: source }),
  }
  const field = place.layout.key.fields.find(f => f.column.index === columnIndex)
  return { ...base, ...(field === undefined ? stored(place, column, scope) : packed(place, field, scope)) }
}

type Reading = Pick<Operand, 'value' | 'german' | 'words' | 'decode' | 'lanes' | 'cell' | 'long'>

function stored(place: Place, column: Column, scope: Scope): Reading {
  const { ctx } = scope
  // A hoisted path that nothing uses is dropped again.
  const array = region(place, column, 'columns', ctx)
  const lanes = region(place, column, 'lanes', ctx)
  const cell = index(array, place.at)
  switch (column.info.storage) {
    case 'german':
      return storedGerman(place, column, lanes, ctx)
    case 'w128': {
      const lane = (n: number) => index(lanes, element(place.at, 4, n))
      const words = { low: index(array, element(place.at, 2, 0)), high: index(array, element(place.at, 2, 1)) }
      return { ...wide(column, words, rowName(place)), lanes: [0, 1, 2, 3].map(lane) }
    }
    case 'u8':
      return { value: column.type === 'bool' ? bin('!==', cell, lit(0)) : cell, cell }
    case 'i64':
    case 'u64':
    case 'f64': {
      const lane = (n: number) => index(lanes, element(place.at, 2, n))
      return { value: cell, cell, lanes: [lane(0), lane(1)] }
    }
    case 'f32':
      return { value: cell, cell, lanes: [index(lanes, place.at)] }
    default:
      return { value: cell, cell }
  }
}

function storedGerman(place: Place, column: Column, lanes: Expression, ctx: ExpandContext): Reading {
  const cell = { lanes, at: element(place.at, 4, 0), heap: heapOf(place.batch, ctx) }
  const decode = (scope: Scope): Expression =>
    scope.once(`${rowName(place)}.${column.index}`, () => {
      const helper =
        column.type === 'string'
          ? scope.ctx.constant(decodeString, 'decodeString')
          : scope.ctx.constant(decodeBytes, 'decodeBytes')
      return scope.bind(call(helper, cell.lanes, cell.at, cell.heap), `${column.name}_${column.type}`)
    })
  return { value: null, german: cell, decode }
}

function wide(column: Column, words: { low: Expression; high: Expression }, row: string): Reading {
  const precision = decimalShape(column.type)?.precision
  if (precision !== undefined && precision <= LONG_PRECISION) {
    return { value: asInt(words.low, true), words, long: longBits(precision) }
  }
  const decode = (scope: Scope): Expression =>
    scope.once(`${row}.${column.index}`, () => {
      const value =
        column.type === 'uuid'
          ? call(scope.ctx.constant(uuidFromWords, 'uuidFromWords'), words.low, words.high)
          : precision !== undefined
            ? decimalOfWords(words)
            : bin('|', bin('<<', words.high, lit(64n)), words.low)
      return scope.bind(value, `${column.name}_${column.type}`)
    })
  return { value: null, words, decode }
}

function packed(place: Place, field: KeyField, scope: Scope): Reading {
  const { column, bits } = field
  const { storage } = column.info
  const { words } = place.layout.key
  const from = words * 64 - field.fromBit - bits
  const chunk = (n: number) => keyBits(place, from + n * 32, Math.min(32, bits), scope.ctx)
  if (storage === 'w128') {
    const keys = keyRegion(place, 'keys', scope.ctx)
    const half = { low: index(keys, element(place.at, 2, 0)), high: index(keys, element(place.at, 2, 1)) }
    return { ...wide(column, half, rowName(place)), lanes: [0, 1, 2, 3].map(chunk) }
  }
  if (storage === 'f64') return packedF64(column, chunk(0), chunk(1), scope)
  if (storage === 'f32') return packedF32(column, chunk(0), scope)
  if (storage === 'i64' || storage === 'u64') {
    const signed = storage === 'i64'
    const word = keyWord(place, from, scope.ctx)
    const flipped = signed ? asInt(bin('^', word, lit(0x8000000000000000n)), true) : word
    return { value: flipped, lanes: [chunk(0), signed ? flip(chunk(1)) : chunk(1)] }
  }
  if (column.type === 'bool') return { value: bin('!==', chunk(0), lit(0)) }
  return { value: signedChunk(chunk(0), storage.startsWith('i'), bits) }
}

/** An integer of at most 32 bits from its image. */
function signedChunk(chunk: Expression, signed: boolean, bits: number): Expression {
  if (!signed) return chunk
  if (bits === 32) return flip(chunk)
  return bin('-', chunk, lit(2 ** (bits - 1)))
}

const flip = (lane: Expression): Expression => bin('^', lane, lit(SIGN))

function packedF64(column: Column, low: Expression, high: Expression, scope: Scope): Reading {
  const top = scope.bind(high, `${column.name}_high`)
  const negative = bin('>=', bin('|', top, lit(0)), lit(0))
  const lanes = scratchView(scope.ctx, 'u32')
  scope.emit(exprStmt(assign(index(lanes, 0), cond(negative, unary('~', low), low))))
  scope.emit(exprStmt(assign(index(lanes, 1), cond(negative, unary('~', top), flip(top)))))
  const value = scope.bind(index(scratchView(scope.ctx, 'f64'), 0), column.name)
  return { value }
}

function packedF32(column: Column, image: Expression, scope: Scope): Reading {
  const bits = scope.bind(image, `${column.name}_image`)
  const negative = bin('>=', bin('|', bits, lit(0)), lit(0))
  const lanes = scratchView(scope.ctx, 'u32')
  scope.emit(exprStmt(assign(index(lanes, 0), cond(negative, unary('~', bits), flip(bits)))))
  return { value: scope.bind(index(scratchView(scope.ctx, 'f32'), 0), column.name) }
}

/** `count` (at most 32) bits of the key from bit `from` (0 = least significant), as an unsigned number. */
function keyBits(place: Place, from: number, count: number, ctx: ExpandContext): Expression {
  const lanes = keyRegion(place, 'keys32', ctx)
  const perRow = place.layout.key.words * 2
  const lane = (n: number) => index(lanes, element(place.at, perRow, n))
  const first = from >> 5
  const shift = from & 31
  if (count === 32) {
    if (shift === 0) return lane(first)
    const high = bin('<<', lane(first + 1), lit(32 - shift))
    return bin('>>>', bin('|', bin('>>>', lane(first), lit(shift)), high), lit(0))
  }
  const low = shift === 0 ? lane(first) : bin('>>>', lane(first), lit(shift))
  const spills = shift + count > 32
  const all = spills ? bin('|', low, bin('<<', lane(first + 1), lit(32 - shift))) : low
  return shift + count === 32 ? all : bin('&', all, lit(2 ** count - 1))
}

/** 64 bits of the key from bit `from`, as an unsigned bigint. */
function keyWord(place: Place, from: number, ctx: ExpandContext): Expression {
  const keys = keyRegion(place, 'keys', ctx)
  const { words } = place.layout.key
  if (from % 64 === 0) return index(keys, element(place.at, words, from / 64))
  const low = bin('>>', index(keys, element(place.at, 2, 0)), lit(BigInt(from)))
  const high = bin('<<', index(keys, element(place.at, 2, 1)), lit(BigInt(64 - from)))
  return asInt(bin('|', low, high), false)
}

/** `BigInt.asIntN(64, value)`, or `asUintN`: what keeps V8 on machine integers. */
export function asInt(value: Expression, signed: boolean, bits = 64): Expression {
  return call(member('BigInt', signed ? 'asIntN' : 'asUintN'), lit(bits), value)
}

function nullTest(place: Place, column: Column, ctx: ExpandContext): Expression | null {
  const source = nullSource(place, column, ctx)
  return source === null ? null : bin('!==', bin('&', source.lane, lit(1 << source.bit)), lit(0))
}

function nullSource(place: Place, column: Column, ctx: ExpandContext): NonNullable<Operand['nullSource']> | null {
  if (!column.nullable) return null
  const name = nameOf(place.batch)
  const nulls = ctx.hoist(member(place.batch, 'nulls32'), `${name}_nulls32`)
  const n = column.nullBit >> 5
  const lane = index(nulls, element(place.at, place.layout.schema.nullWords * 2, n))
  return { key: `${rowName(place)}.${n}`, lane, bit: column.nullBit & 31 }
}

const rowName = (place: Place): string => `${nameOf(place.batch)}[${nameOf(place.at)}]`

function region(place: Place, column: Column, kind: 'columns' | 'lanes', ctx: ExpandContext): Identifier {
  const hint = `${nameOf(place.batch)}_${column.name}${kind === 'lanes' ? '_lanes' : ''}`
  return ctx.hoist(index(member(place.batch, kind), column.index), hint)
}

function keyRegion(place: Place, kind: 'keys' | 'keys32', ctx: ExpandContext): Identifier {
  return ctx.hoist(member(place.batch, kind), `${nameOf(place.batch)}_${kind}`)
}

/** The heap object of a batch: it stays the same while its bytes move. */
export function heapOf(batch: Expression, ctx: ExpandContext): Expression {
  return ctx.hoist(member(batch, 'heap'), `${nameOf(batch)}_heap`)
}

/** `at * perRow + n`. */
export function element(at: Expression, perRow: number, n: number): Expression {
  const start = perRow === 1 ? at : bin('*', at, lit(perRow))
  return n === 0 ? start : bin('+', start, lit(n))
}

/** A name to build others from. */
export function nameOf(expr: Expression): string {
  if (expr.type === 'Identifier') return expr.name
  return expr.type === 'Literal' ? String(expr.value) : 'row'
}
