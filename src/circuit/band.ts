/**
 * Joins by ranges. A residual with a comparison `small <= big` between the sides need not be tried on every pair: the
 * side with *points* p is kept in the order of p, the side with *intervals* [lo, hi] in that of lo, and a changed row
 * meets just the rows of a range.
 *
 *     lo <= p && p <= hi     a.x between b.lo and b.hi; or |a.t - b.t| <= d, with lo = a.t - d and hi = a.t + d
 *     lo <= p                any inequality: hi is the greatest value there is
 *
 * An interval finds its points between lo and hi. A point cannot find its intervals by lo alone, since long ones begin
 * far away. So intervals are kept by *level* first: at level n the images of lo and hi are less than 2^n apart, and
 * those that hold p begin in (p - 2^n, p]. There are few levels in practice, and of the rows found in a level most
 * match if intervals are spread evenly.
 *
 * Both sides are arranged by (equal columns, level, value) in a packed key of 128 bits: at most 56 bits of equal columns
 * (if they need more, 32 bits of their hash), 8 bits of level (0 for points), 64 bits of value. What is found is a
 * superset of the matches; the residual, with the equalities where they were hashed, still decides.
 *
 * Only conditions that cannot fail, and that are reached before any that can, are used: which failures are recorded does
 * not change.
 */
import { isNumberType, TYPES, type TypeName } from '../schema/types.js'
import { allOf, conjuncts } from './conditions.js'
import type { CallExpr, Expr, LiteralExpr } from './expr.js'
import { filterOf, withColumns } from './nodes.js'
import type { JoinRel, Rel } from './rel.js'
import {
  call,
  canFail,
  columnOf,
  detailed,
  literal,
  replaceColumns,
  sameExpr,
  usedColumns,
  zeroOf,
} from './substitute.js'

type Pair = readonly [left: Expr, right: Expr]
type Input = 0 | 1

/** The parts of a join by range: `on` holds the equal columns, then the levels, then the values. */
export interface BandParts {
  readonly left: Rel
  readonly right: Rel
  readonly on: readonly Pair[]
  readonly residual: Expr
  readonly band: NonNullable<JoinRel['band']>
}

/** A conjunct `small <= big`, or `<`, between the sides, as values of one type of 64 bits. */
interface Order {
  readonly conjunct: Expr
  readonly op: 'le' | 'lt'
  readonly small: Expr
  readonly big: Expr
  readonly smallInput: Input
  readonly type: TypeName
}

interface Range {
  /** The side with points. */
  readonly point: Input
  readonly value: Expr
  readonly lo: Expr
  readonly hi: Expr
  readonly level: Expr
  /** What says lo <= p, and what says p <= hi. */
  readonly from: Order
  readonly to: Order | null
}

/**
 * The join as one by range, or null if its residual has no condition to go by. REQUIRES: `on` pairs columns; it is empty
 * where every row may meet every other one.
 */
export function bandJoin(left: Rel, right: Rel, on: readonly Pair[], residual: Expr): BandParts | null {
  const range = findRange(residual)
  if (range === null) return null
  const direct = fitsKey(on)
  const equal = direct ? on : [hashes(on)]
  const sides = [left, right].map((rel, input) => {
    const isPoint = input === range.point
    const values = isPoint ? [literal('u8', 0), range.value] : [range.level, range.lo, range.hi]
    const keys = equal.map(pair => pair[input])
    return withValues(rel, keys, values)
  })
  const at = (input: Input, n: number): Expr => columnOf(sides[input].rel.schema, sides[input].at[n], input)
  const n = equal.length
  const interval = (1 - range.point) as Input
  const [value, lo, hi] = [at(range.point, n + 1), at(interval, n + 1), at(interval, n + 2)]
  const conditions = conjuncts(residual).map(c => {
    if (c === range.from.conjunct) return call(range.from.op, [lo, value], 'bool')
    return c === range.to?.conjunct ? call(range.to.op, [value, hi], 'bool') : c
  })
  return {
    left: sides[0].rel,
    right: sides[1].rel,
    on: Array.from({ length: n + 2 }, (_, k): Pair => [at(0, k), at(1, k)]),
    residual: allOf([...(direct ? [] : on.map(pair => call('is', pair, 'bool'))), ...conditions]),
    band: Object.freeze({ point: range.point, hi }),
  }
}

/** Bits of the key that are left beside level and value. */
const EQUAL_BITS = 56

function fitsKey(on: readonly Pair[]): boolean {
  const bits = on.map(([{ type, nullable }]) =>
    TYPES[type].keyBits === 0 ? Infinity : TYPES[type].keyBits + (nullable ? 1 : 0),
  )
  return bits.reduce((sum, b) => sum + b, 0) <= EQUAL_BITS
}

function hashes(on: readonly Pair[]): Pair {
  const hash = (input: Input): Expr => {
    const keys = on.map(pair => pair[input])
    return detailed('function', 'rangeHash', keys, 'u32')
  }
  return [hash(0), hash(1)]
}

/**
 * The relation with columns for keys and values, without the rows where a value is NULL: NULL is in no range. The
 * expressions speak of one side; `at` says where their columns are.
 */
function withValues(rel: Rel, keys: readonly Expr[], values: readonly Expr[]): { rel: Rel; at: readonly number[] } {
  const own = (e: Expr): Expr => replaceColumns(e, c => columnOf(rel.schema, c.index))
  const given = values.map(own)
  const present = given.filter(v => v.nullable).map(v => call('not', [call('isNull', [v], 'bool')], 'bool'))
  const input = present.length === 0 ? rel : filterOf(rel, allOf(present))
  const filled = given.map(v => (v.nullable ? call('coalesce', [v, zeroOf(v.type)], v.type) : v))
  return withColumns(input, [...keys.map(own), ...filled], 'range')
}

function findRange(residual: Expr): Range | null {
  const orders = usable(conjuncts(residual)).flatMap(c => orderOf(c) ?? [])
  for (const from of orders) {
    const to = orders.find(o => o.smallInput !== from.smallInput && sameExpr(o.small, from.big))
    if (to !== undefined) return rangeOf(from, to)
  }
  return orders.length === 0 ? null : rangeOf(orders[0], null)
}

/** Conjuncts that may be tried before all others: none of those before them fails, nor lets one after them fail. */
export function usable(all: readonly Expr[]): Expr[] {
  const failing = all.findIndex(canFail)
  return failing === -1 ? [...all] : all.slice(0, failing).filter(c => !c.nullable)
}

const TURNED = { lt: 'gt', le: 'ge', gt: 'lt', ge: 'le' } as const

function orderOf(conjunct: Expr): Order | null {
  if (conjunct.kind !== 'call' || !Object.hasOwn(TURNED, conjunct.op)) return null
  const turned = conjunct.op === 'gt' || conjunct.op === 'ge'
  const op = (turned ? TURNED[conjunct.op as 'gt'] : conjunct.op) as 'le' | 'lt'
  const [small, big] = turned ? [conjunct.args[1], conjunct.args[0]] : conjunct.args
  const smallInput = inputOf(small)
  const type = orderType(small.type, big.type)
  if (smallInput === null || inputOf(big) !== 1 - smallInput || type === null) return null
  return { conjunct, op, small: cast(small, type), big: cast(big, type), smallInput, type }
}

/** The side that an expression speaks of, if it is just one. */
function inputOf(expr: Expr): Input | null {
  const [left, right] = usedColumns(expr)
  if (left.size > 0 && right.size > 0) return null
  return left.size > 0 ? 0 : right.size > 0 ? 1 : null
}

/** The type of 64 bits in which values are kept, or null. */
function orderType(a: TypeName, b: TypeName): TypeName | null {
  if (isNumberType(a) && isNumberType(b)) return 'f64'
  const { storage } = TYPES[a]
  return a === b && (storage === 'i64' || storage === 'u64') ? a : null
}

const cast = (expr: Expr, type: TypeName): Expr => (expr.type === type ? expr : call('cast', [expr], type))

/** Levels: the number of bits of the distance between the images of lo and hi. */
const TOP_LEVEL = 64

function rangeOf(from: Order, to: Order | null): Range {
  const point = (1 - from.smallInput) as Input
  const { type } = from
  const lo = from.small
  const hi = to === null ? greatest(type) : to.big
  return { point, value: from.big, lo, hi, level: to === null ? literal('u8', TOP_LEVEL) : levelOf(lo, hi), from, to }
}

/** NaN is the greatest of all numbers. */
const greatest = (type: TypeName): LiteralExpr => literal(type, type === 'f64' ? NaN : TYPES[type].max)

function levelOf(lo: Expr, hi: Expr): Expr {
  const [a, b] = [shiftOf(lo, 'subSaturated'), shiftOf(hi, 'addSaturated')]
  if (a !== null && b !== null && sameExpr(a.base, b.base) && a.by >= 0n && b.by >= 0n) {
    return literal('u8', (a.by + b.by).toString(2).length)
  }
  return detailed('function', 'rangeLevel', [lo, hi], 'u8')
}

/** What an integer bound is made of: a value, and a constant distance. */
function shiftOf(expr: Expr, name: string): { base: Expr; by: bigint } | null {
  if (TYPES[expr.type].js !== 'bigint') return null
  if (!isShift(expr, name)) return { base: expr, by: 0n }
  const [base, by] = expr.args
  return by.kind === 'literal' && typeof by.value === 'bigint' ? { base, by: by.value } : null
}

const isShift = (expr: Expr, name: string): expr is CallExpr =>
  expr.kind === 'call' && expr.op === 'function' && expr.detail === name
