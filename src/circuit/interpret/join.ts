/** Joins by definition: every left row against every right row of its key. */
import type { Expr } from '../expr.js'
import type { JoinRel } from '../rel.js'
import type { Context } from './context.js'
import { addRow, type Row, rowText, type ZSet } from './zset.js'

/** A row whose key could be evaluated. */
interface Keyed {
  readonly row: Row
  readonly weight: bigint
  /** Text of the key, or null if it holds a NULL that matches nothing. */
  readonly key: string | null
  /** The weights of the other side's rows that match this one, summed: it has a match iff that is > 0. */
  matches: bigint
}

export function interpretJoin(rel: JoinRel, left: ZSet, right: ZSet, context: Context): ZSet {
  const lefts = keyed(left, rel, 0, context)
  const rights = keyed(right, rel, 1, context)
  const result: ZSet = new Map()
  const emit = (weight: bigint, l: Row, r: Row): void => {
    const row = context.evaluateAll(rel.exprs, weight, l, r)
    if (row !== null) addRow(result, row, weight)
  }

  const producesPairs = rel.type !== 'semi' && rel.type !== 'anti'
  for (const [l, r] of matchingPairs(rel, lefts, rights, context)) {
    l.matches += r.weight
    r.matches += l.weight
    if (producesPairs) emit(l.weight * r.weight, l.row, r.row)
  }

  const absentLeft = rel.left.schema.columns.map(() => null)
  const absentRight = rel.right.schema.columns.map(() => null)
  for (const l of lefts) {
    const present = l.matches > 0n
    if (rel.type === 'semi' ? present : !present && rel.type !== 'inner' && rel.type !== 'right') {
      emit(l.weight, l.row, absentRight)
    }
  }
  if (rel.type === 'right' || rel.type === 'full') {
    for (const r of rights) if (r.matches <= 0n) emit(r.weight, absentLeft, r.row)
  }
  return result
}

function keyed(zset: ZSet, rel: JoinRel, side: 0 | 1, context: Context): Keyed[] {
  // The residual of a join by range says all of what its level and value only serve to find.
  const equal = rel.band ? rel.on.slice(0, -2) : rel.on
  const exprs: Expr[] = equal.map(pair => pair[side])
  const rows: Keyed[] = []
  for (const { row, weight } of zset.values()) {
    const values = side === 0 ? context.evaluateAll(exprs, weight, row) : context.evaluateAll(exprs, weight, [], row)
    if (values === null) continue
    const unmatchable = values.some((value, i) => value === null && !rel.nullSafe[i])
    rows.push({ row, weight, key: unmatchable ? null : keyText(values), matches: 0n })
  }
  return rows
}

/** The sides of a pair may be integers of different widths, number and bigint: their text must not show that. */
const keyText = (values: Row): string => rowText(values.map(v => (Number.isInteger(v) ? BigInt(v as number) : v)))

function* matchingPairs(
  rel: JoinRel,
  lefts: readonly Keyed[],
  rights: readonly Keyed[],
  context: Context,
): Generator<[Keyed, Keyed]> {
  const byKey = new Map<string, Keyed[]>()
  for (const r of rights) {
    if (r.key === null) continue
    const rows = byKey.get(r.key)
    if (rows === undefined) byKey.set(r.key, [r])
    else rows.push(r)
  }
  for (const l of lefts) {
    for (const r of (l.key === null ? undefined : byKey.get(l.key)) ?? []) {
      if (rel.residual === null || context.test(rel.residual, l.weight * r.weight, l.row, r.row)) yield [l, r]
    }
  }
}
