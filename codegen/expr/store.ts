/**
 * Writing a row of operands into a batch.
 *
 * ENSURES what readers rely on: a NULL cell holds zeros, floats are in canonical form, unused bytes of short strings
 * are zero; so equal rows have equal bytes.
 */
import type { Expression, Statement } from 'estree'
import type { Column } from '../../src/schema/schema.js'
import { isDecimal, TYPES } from '../../src/schema/types.js'
import { copyString, encodeBytes, encodeString } from '../../src/zset/strings.js'
import { element, heapOf, nameOf } from '../access.js'
import { assign, bin, call, cond, exprStmt, id, ifStmt, index, lit, member } from '../ast.js'
import { plainZero } from './compile.js'
import { keyLanes, storedWords } from './lanes.js'
import { decimalWords } from './long.js'
import { not, type Operand, type Place, type Scope } from './scope.js'

/** Writes key, null words and stored columns. `operands` by column index; a column without one is left alone. */
export function storeRow(to: Place, operands: (column: number) => Operand | null, scope: Scope): void {
  const { layout } = to
  if (layout.key.kind !== 'none') storeKey(to, operands, scope)
  storeNulls(to, operands, scope)
  for (const column of layout.stored) {
    const operand = operands(column.index)
    if (operand !== null) storeCell(to, column, operand, scope)
  }
}

function storeKey(to: Place, operands: (column: number) => Operand | null, scope: Scope): void {
  const keys = scope.ctx.hoist(member(to.batch, 'keys32'), `${nameOf(to.batch)}_keys32`)
  const given = (column: number): Operand => {
    const operand = operands(column)
    if (operand === null) throw new Error(`the key column ${to.layout.schema.columns[column].name} is not given`)
    return operand
  }
  keyLanes(to.layout, given, scope).forEach((lane, n) => {
    scope.emit(exprStmt(assign(index(keys, element(to.at, to.layout.key.words * 2, n)), lane)))
  })
}

/** Every null word of the row, the bits of columns that are not given as 0. */
function storeNulls(to: Place, operands: (column: number) => Operand | null, scope: Scope): void {
  const { columns, nullWords } = to.layout.schema
  if (nullWords === 0) return
  const nulls = scope.ctx.hoist(member(to.batch, 'nulls32'), `${nameOf(to.batch)}_nulls32`)
  for (let lane = 0; lane < nullWords * 2; lane++) {
    const within = columns.filter(c => c.nullable && c.nullBit >> 5 === lane)
    const target = index(nulls, element(to.at, nullWords * 2, lane))
    scope.emit(exprStmt(assign(target, nullLane(within, operands))))
  }
}

/** Bits that move together from one lane by one distance are moved by one shift. */
function nullLane(columns: readonly Column[], operands: (column: number) => Operand | null): Expression {
  const moved = new Map<string, { lane: Expression; mask: number; by: number }>()
  const terms: Expression[] = []
  for (const column of columns) {
    const operand = operands(column.index)
    const bit = column.nullBit & 31
    if (operand === null || operand.isNull === null) continue
    if (operand.nullSource === undefined) {
      terms.push(cond(operand.isNull, lit(1 << bit), lit(0)))
      continue
    }
    const by = bit - operand.nullSource.bit
    const key = `${operand.nullSource.key} ${by}`
    const group = moved.get(key) ?? { lane: operand.nullSource.lane, mask: 0, by }
    group.mask |= 1 << operand.nullSource.bit
    moved.set(key, group)
  }
  for (const { lane, mask, by } of moved.values()) {
    const bits = bin('&', lane, lit(mask))
    terms.push(by === 0 ? bits : by > 0 ? bin('<<', bits, lit(by)) : bin('>>>', bits, lit(-by)))
  }
  return terms.length === 0 ? lit(0) : terms.reduce((a, b) => bin('|', a, b))
}

function storeCell(to: Place, column: Column, operand: Operand, scope: Scope): void {
  const { storage } = column.info
  const array = scope.ctx.hoist(index(member(to.batch, 'columns'), column.index), `${nameOf(to.batch)}_${column.name}`)
  if (storage === 'german') return storeGerman(to, column, operand, scope)
  const width = storage === 'w128' ? 2 : 1
  const targets = Array.from({ length: width }, (_, n) => index(array, element(to.at, width, n)))
  if (operand.cell !== undefined && operand.type === column.type) {
    scope.emit(exprStmt(assign(targets[0], operand.cell)))
    return
  }
  const inner = scope.child()
  const values = storage === 'w128' ? halves(operand, inner, column.name) : [cellValue(column, operand, inner)]
  const writes = targets.map((target, n) => exprStmt(assign(target, values[n])))
  if (operand.isNull === null) {
    scope.splice(inner)
    for (const write of writes) scope.emit(write)
    return
  }
  const small = TYPES[column.type].js !== 'bigint' && inner.body.length === 0 && width === 1
  if (small) {
    scope.emit(exprStmt(assign(targets[0], cond(operand.isNull, lit(0), values[0]))))
    return
  }
  const zero = storage === 'i64' || storage === 'u64' || storage === 'w128' ? lit(0n) : lit(0)
  const clear = targets.map(target => exprStmt(assign(target, zero)))
  scope.emit(choose(operand.isNull, clear, [...inner.body, ...writes]))
}

function choose(isNull: Expression, clear: Statement[], write: Statement[]): Statement {
  return isNull.type === 'UnaryExpression' ? ifStmt(not(isNull), write, clear) : ifStmt(isNull, clear, write)
}

function cellValue(column: Column, operand: Operand, scope: Scope): Expression {
  if (column.type === 'bool') return cond(scope.valueOf(operand), lit(1), lit(0))
  const value = plainZero(operand, scope)
  const float = column.info.storage === 'f64' || column.info.storage === 'f32'
  if (!float || operand.stored === true || operand.literal !== undefined) return value
  // A NaN that was computed may have any of many bit patterns.
  const x = scope.bind(value, column.name)
  return cond(bin('===', x, x), x, id('NaN'))
}

function halves(operand: Operand, scope: Scope, hint: string): Expression[] {
  if (isDecimal(operand.type)) {
    const { low, high } = decimalWords(operand, scope, hint)
    return [low, high]
  }
  if (operand.words !== undefined) return [operand.words.low, operand.words.high]
  if (operand.type === 'u128') {
    const value = scope.bind(scope.valueOf(operand), hint)
    return [value, bin('>>', value, lit(64n))]
  }
  const lanes = storedWords(operand, scope, hint)
  const big = (n: number) => call('BigInt', lanes[n])
  return [0, 2].map(n => bin('|', bin('<<', big(n + 1), lit(32n)), big(n)))
}

function storeGerman(to: Place, column: Column, operand: Operand, scope: Scope): void {
  const lanes = scope.ctx.hoist(
    index(member(to.batch, 'lanes'), column.index),
    `${nameOf(to.batch)}_${column.name}_lanes`,
  )
  const at = element(to.at, 4, 0)
  const { german } = operand
  if (german !== undefined) {
    const copy = scope.ctx.constant(copyString, 'copyString')
    scope.emit(exprStmt(call(copy, german.lanes, german.at, german.heap, lanes, at, heapOf(to.batch, scope.ctx))))
    return
  }
  const inner = scope.child()
  const [encode, name, zero] =
    column.type === 'string'
      ? ([encodeString, 'encodeString', lit('')] as const)
      : ([encodeBytes, 'encodeBytes', scope.ctx.constant(new Uint8Array(0), 'no_bytes')] as const)
  const value = inner.valueOf(operand)
  scope.splice(inner)
  const stored = operand.isNull === null ? value : cond(operand.isNull, zero, value)
  scope.emit(exprStmt(call(scope.ctx.constant(encode, name), stored, lanes, at, heapOf(to.batch, scope.ctx))))
}
