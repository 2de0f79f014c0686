/**
 * Lowering of joins to inner joins of columns. With L and R the sides, their keys computed once each:
 *
 *     inner = L ⋈ R
 *     semi  = L ⋈ P             P = one(π_keys R), if there is no residual
 *     semi  = L ⋈ M             on all columns, with M the rows of L that have a match, if there is one
 *     anti  = L − semi
 *     left  = inner + null-extended anti; right and full alike
 *
 * A row has a match iff the weights of the other side's rows that pass with it add up to more than 0. For M with a
 * residual that cannot fail: M = one(π_L(nonzero(L) ⋈ R)), the weight of L's row being kept out of the sum. If it
 * can fail, it must be evaluated exactly once for each pair, with the pair's weight, for the failures to be
 * recorded once: J = L ⋈ R is computed once and serves the inner part, too; the sign of L's weight l is then taken
 * out of l · Σr by M = one((one L − one(−L)) ⋈ π_L(J)).
 *
 * L keeps rows whose NULL key matches nothing (anti and outer joins want them); only what is joined drops them.
 */
import { assert, CompileError, quote } from '../base/errors.js'
import { isNumberType, TYPES, type TypeName } from '../schema/types.js'
import { bandJoin } from './band.js'
import { allOf } from './conditions.js'
import type { ColumnExpr, Expr } from './expr.js'
import {
  clampOf,
  conform,
  filterOf,
  joinOf,
  mapOf,
  minus,
  negateOf,
  plusOf,
  project,
  schemaOf,
  specsOf,
  withColumns,
} from './nodes.js'
import type { JoinRel, Rel } from './rel.js'
import {
  allColumns,
  call,
  canFail,
  columnOf,
  FALSE,
  literal,
  onto,
  replaceAll,
  replaceColumns,
  sameExpr,
  TRUE,
  usedColumns,
  zeroOf,
} from './substitute.js'

/** One side of a join, numbered as in expressions over pairs. */
interface Side {
  readonly input: 0 | 1
  /** All rows without failing keys, with a column for each key. */
  readonly all: Rel
  /** Those that can match; same columns, keys as nullable as the other side's. */
  readonly joined: Rel
  /** The key columns of `joined`. */
  readonly keys: readonly number[]
}

type Pair = readonly [left: Expr, right: Expr]

/** The join in primitives over sides that are lowered already. */
export function lowerJoin(original: JoinRel, leftRel: Rel, rightRel: Rel): Rel {
  const whole: JoinRel = { ...original, left: leftRel, right: rightRel }
  const join = whole.residual !== null && whole.type !== 'inner' ? cutSides(whole, whole.residual) : whole
  const [left, right] = sidesOf(join)
  const matching = new Matching(join, left, right)
  switch (join.type) {
    case 'inner':
      return matching.inner()
    case 'semi':
      return matching.semi()
    case 'anti':
      return mapOf(matching.unmatched(left), retyped(join, left.all, null), join.schema)
    default: {
      const parts = [conform(matching.inner(), join.schema)]
      if (join.type !== 'right') parts.push(matching.nullExtended(left, right))
      if (join.type !== 'left') parts.push(matching.nullExtended(right, left))
      return plusOf(parts, join.schema)
    }
  }
}

/**
 * The same join over the sides' columns that it reads: where matched rows are found again by all columns, the fewer
 * the better. Rows that become one have the same matches.
 */
function cutSides(join: JoinRel, residual: Expr): JoinRel {
  const read = [...join.on.flat(), ...join.exprs, residual]
  const keep = ([0, 1] as const).map(input => {
    const used = new Set(read.flatMap(e => [...usedColumns(e)[input]]))
    return used.size === 0 ? [0] : [...used].sort((a, b) => a - b)
  })
  const [left, right] = [join.left, join.right].map((rel, input) => {
    return keep[input].length === rel.schema.columns.length ? rel : project(rel, keep[input])
  })
  const move = (c: ColumnExpr): ColumnExpr => ({ ...c, index: keep[c.input].indexOf(c.index) })
  const on = join.on.map(([a, b]) => [replaceColumns(a, move), replaceColumns(b, move)] as const)
  return { ...join, left, right, on, residual: replaceColumns(residual, move), exprs: replaceAll(join.exprs, move) }
}

/** A pair of key expressions of one type. */
interface KeyPair {
  readonly exprs: Pair
  /** Whether NULL matches NULL. */
  readonly nullSafe: boolean
}

/** The pairs with both sides brought to one type. Never empty. */
function keyPairs(join: JoinRel): KeyPair[] {
  const all = join.on.flatMap(([left, right], i) =>
    sameType(left, right).map(exprs => ({ exprs, nullSafe: join.nullSafe[i] })),
  )
  const same = (a: KeyPair, b: KeyPair): boolean => a.exprs.every((e, input) => sameExpr(e, b.exprs[input]))
  // What is said twice is said once; if NULL matches nothing in one of them, it does not.
  const pairs = all
    .filter((pair, i) => all.findIndex(p => same(p, pair)) === i)
    .map(pair => ({ ...pair, nullSafe: all.every(p => p.nullSafe || !same(p, pair)) }))
  return pairs.length > 0 ? pairs : [{ exprs: [TRUE, TRUE], nullSafe: false }]
}

const castTo = (expr: Expr, type: TypeName): Expr => (expr.type === type ? expr : call('cast', [expr], type))

/** Pairs of one type each that are equal iff the two values are. */
function sameType(left: Expr, right: Expr): Pair[] {
  if (left.type === right.type) return [[left, right]]
  // Every 32-bit number is an f64.
  if (isNumeric(left) && isNumeric(right) && isNumberType(left.type) && isNumberType(right.type)) {
    return [[castTo(left, 'f64'), castTo(right, 'f64')]]
  }
  const types = [left.type, right.type]
  if (!types.every(t => t === 'i64' || t === 'u64' || t === 'u128')) {
    const text = `cannot join a key of type ${left.type} with one of type ${right.type}`
    throw new CompileError(text, { hint: `convert one of them, as in ${left.type}(x)` })
  }
  const wide = types.includes('u128') ? 'u128' : 'u64'
  if (!types.includes('i64')) return [[castTo(left, wide), castTo(right, wide)]]
  return left.type === 'i64' ? unsignedPairs(left, right, wide) : unsignedPairs(right, left, wide).map(swap)
}

const isNumeric = (expr: Expr): boolean => expr.type !== 'date' && TYPES[expr.type].js === 'number'
const swap = ([a, b]: Pair): Pair => [b, a]

/** A signed key against an unsigned one: the magnitudes are equal, and the signed one is not negative. */
function unsignedPairs(signed: Expr, unsigned: Expr, type: TypeName): Pair[] {
  const negative = call('lt', [signed, literal('i64', 0n)], 'bool')
  const magnitude = call('if', [negative, zeroOf(type), call('cast', [signed], type)], type)
  return [
    [magnitude, castTo(unsigned, type)],
    [call('coalesce', [negative, FALSE], 'bool'), FALSE],
  ]
}

/** Computes the keys of each side in one map, so that a key that fails does so once, and drops what cannot match. */
function sidesOf(join: JoinRel): [Side, Side] {
  const pairs = keyPairs(join)
  const keyed = [join.left, join.right].map((rel, input) => {
    const own = pairs.map(p => replaceColumns(p.exprs[input], c => columnOf(rel.schema, c.index)))
    return apart(withColumns(rel, own, 'key'))
  })
  const never = nullsThatNeverMatch(pairs, keyed)
  const side = (input: 0 | 1): Side => {
    const { rel: all, at: keys } = keyed[input]
    return { input, all, joined: withoutNulls(all, never[input]), keys }
  }
  return [side(0), side(1)]
}

/** Key columns once each: one that stands in several pairs has copies. */
function apart({ rel, at }: { rel: Rel; at: number[] }): { rel: Rel; at: number[] } {
  const copies = at.filter((column, i) => at.indexOf(column) !== i)
  if (copies.length === 0) return { rel, at }
  const all = allColumns(rel.schema)
  const exprs = [...all, ...copies.map(c => all[c])]
  const schema = schemaOf(
    rel.schema.name,
    exprs.map(({ name, type, nullable }) => ({ name, type, nullable })),
  )
  let next = all.length
  return { rel: mapOf(rel, exprs, schema), at: at.map((c, i) => (at.indexOf(c) === i ? c : next++)) }
}

/**
 * For each side the nullable key columns whose NULL matches nothing. A column may stand in several pairs; if one of
 * them excludes NULL, then NULL finds nothing in the others either.
 */
function nullsThatNeverMatch(pairs: readonly KeyPair[], keyed: readonly { rel: Rel; at: number[] }[]): Set<number>[] {
  const never = [new Set<number>(), new Set<number>()]
  const canBeNull = (input: number, key: number): boolean =>
    keyed[input].rel.schema.columns[key].nullable && !never[input].has(key)
  let before = -1
  while (before !== never[0].size + never[1].size) {
    before = never[0].size + never[1].size
    pairs.forEach(({ nullSafe }, i) => {
      const keys = [keyed[0].at[i], keyed[1].at[i]]
      if (nullSafe && keys.every((key, input) => canBeNull(input, key))) return
      keys.forEach((key, input) => {
        if (canBeNull(input, key)) never[input].add(key)
      })
    })
  }
  return never
}

/** The rows whose `columns` are not NULL, those columns now not nullable. */
function withoutNulls(rel: Rel, columns: ReadonlySet<number>): Rel {
  if (columns.size === 0) return rel
  const all = allColumns(rel.schema)
  const present = [...columns].map(c => call('not', [call('isNull', [all[c]], 'bool')], 'bool'))
  const exprs = all.map(c => (columns.has(c.index) ? call('coalesce', [c, zeroOf(c.type)], c.type) : c))
  const specs = all.map(c => ({ name: c.name, type: c.type, nullable: c.nullable && !columns.has(c.index) }))
  return mapOf(filterOf(rel, allOf(present)), exprs, schemaOf(rel.schema.name, specs))
}

/** The join's output expressions over one side alone; columns of the absent other side are NULL. */
function retyped(join: JoinRel, rel: Rel, absent: 0 | 1 | null): Expr[] {
  return replaceAll(join.exprs, c => (c.input === absent ? literal(c.type, null) : columnOf(rel.schema, c.index)))
}

/** The pairs of a join, and which rows of a side have a match; everything computed at most once. */
class Matching {
  private readonly join: JoinRel
  private readonly left: Side
  private readonly right: Side
  private readonly residual: Expr | null
  private pairsRel: Rel | null = null

  constructor(join: JoinRel, left: Side, right: Side) {
    this.join = join
    this.left = left
    this.right = right
    this.residual = join.residual === null ? null : replaceColumns(join.residual, this.onJoined())
  }

  private onJoined() {
    return onto([this.left.joined.schema, this.right.joined.schema])
  }

  /** Joins (stand-ins of) the sides on the keys. */
  private joinSides(left: Rel, right: Rel, residual: Expr | null, exprs: readonly Expr[], schema = this.join.schema) {
    const on = this.left.keys.map((k, i): Pair => {
      return [columnOf(left.schema, k, 0), columnOf(right.schema, this.right.keys[i], 1)]
    })
    const ranged = residual === null ? null : bandJoin(left, right, this.join.on.length === 0 ? [] : on, residual)
    if (ranged !== null) return joinOf({ ...ranged, on: agreed(ranged.on), exprs, schema })
    return joinOf({ left, right, on: agreed(on), residual, exprs, schema })
  }

  private get sharesPairs(): boolean {
    return this.residual !== null && canFail(this.residual) && this.join.type !== 'inner'
  }

  /** All columns of both sides for every pair that passes: the one place where a residual that fails is evaluated. */
  private pairs(): Rel {
    if (this.pairsRel === null) {
      const { left, right } = this
      const exprs = [...allColumns(left.joined.schema, 0), ...allColumns(right.joined.schema, 1)]
      const schema = schemaOf(this.join.schema.name, specsOf(exprs, String))
      this.pairsRel = this.joinSides(left.joined, right.joined, this.residual, exprs, schema)
    }
    return this.pairsRel
  }

  inner(): Rel {
    const { left, right, join } = this
    if (!this.sharesPairs) {
      const exprs = replaceAll(join.exprs, this.onJoined())
      return this.joinSides(left.joined, right.joined, this.residual, exprs)
    }
    const rel = this.pairs()
    const shift = left.joined.schema.columns.length
    const exprs = replaceAll(join.exprs, c => columnOf(rel.schema, c.input === 0 ? c.index : c.index + shift))
    return mapOf(rel, exprs, join.schema)
  }

  /** The semijoin itself, with the join's output expressions. */
  semi(): Rel {
    const { left, join } = this
    if (this.residual !== null) {
      const rows = this.matched(left)
      return mapOf(rows, retyped(join, rows, null), join.schema)
    }
    return this.joinPresent(left, replaceAll(join.exprs, onto([left.joined.schema])), join.schema)
  }

  /** Rows of the side without a match, all its columns. */
  unmatched(side: Side): Rel {
    return minus(side.all, this.matched(side))
  }

  /** Rows of the side with a match, with their weight, all columns. */
  private matched(side: Side): Rel {
    const schema = side.joined.schema
    if (this.residual === null) return this.joinPresent(side, allColumns(schema), schema)
    const passing = this.passing(side, this.residual)
    return joinOnAll(side.joined, clampOf(passing, 'one'))
  }

  /** Rows of the side, each with a weight that is > 0 iff it has a match. Needs a residual. */
  private passing(side: Side, residual: Expr): Rel {
    const columns = allColumns(side.joined.schema)
    if (this.sharesPairs) {
      const shift = side.input === 0 ? 0 : this.left.joined.schema.columns.length
      const keep = columns.map(c => c.index + shift)
      const present = clampOf(side.joined, 'one')
      const sign = minus(present, clampOf(negateOf(side.joined), 'one'))
      return joinOnAll(sign, project(this.pairs(), keep))
    }
    const once = clampOf(side.joined, 'nonzero')
    const [left, right] = side.input === 0 ? [once, this.right.joined] : [this.left.joined, once]
    const exprs = allColumns(side.joined.schema, side.input)
    return this.joinSides(left, right, residual, exprs, side.joined.schema)
  }

  /** The side joined with the keys that the other side has. Expressions are over the side's rows as input 0. */
  private joinPresent(side: Side, exprs: readonly Expr[], schema = this.join.schema): Rel {
    const other = side.input === 0 ? this.right : this.left
    const present = clampOf(project(other.joined, other.keys), 'one')
    const on = side.keys.map((k, i): Pair => [columnOf(side.joined.schema, k, 0), columnOf(present.schema, i, 1)])
    return joinOf({ left: side.joined, right: present, on: agreed(on), residual: null, exprs, schema })
  }

  /** Output rows of the side's rows that have no match, the other side's columns NULL. */
  nullExtended(side: Side, other: Side): Rel {
    const rows = this.unmatched(side)
    return mapOf(rows, retyped(this.join, rows, other.input), this.join.schema)
  }
}

/** The left relation's rows that the right one has too; weights multiply. */
function joinOnAll(left: Rel, right: Rel): Rel {
  const on = left.schema.columns.map(
    (c): Pair => [columnOf(left.schema, c.index, 0), columnOf(right.schema, c.index, 1)],
  )
  return joinOf({ left, right, on: agreed(on), residual: null, exprs: allColumns(left.schema), schema: left.schema })
}

function agreed(on: readonly Pair[]): readonly Pair[] {
  for (const [a, b] of on) {
    const ok = a.type === b.type && a.nullable === b.nullable
    assert(ok, `join keys agree: ${quote(describe(a))} and ${quote(describe(b))}`)
  }
  return on
}

const describe = (e: Expr): string => `${e.type}${e.nullable ? ' | null' : ''}`
