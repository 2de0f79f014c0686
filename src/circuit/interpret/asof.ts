/** As-of joins by definition: every left row looks through all right rows of its keys. */
import type { Value } from '../../schema/types.js'
import { compareValues } from '../../schema/values.js'
import { evaluate } from '../eval.js'
import type { AsOfRel, SuccessorRel } from '../rel.js'
import type { Context } from './context.js'
import { addRow, type Entry, type Row, rowText, type ZSet } from './zset.js'

/** A row whose keys and time could be evaluated. */
interface Timed {
  readonly entry: Entry
  /** Text of the keys; null if one that matches nothing is NULL, or the time is. */
  readonly key: string | null
  readonly time: Value
}

const ACCEPTS = {
  le: (c: number) => c <= 0,
  lt: (c: number) => c < 0,
  ge: (c: number) => c >= 0,
  gt: (c: number) => c > 0,
} as const

export function interpretAsOf(rel: AsOfRel, left: ZSet, right: ZSet, context: Context): ZSet {
  const rights = timed(rel, 1, right, context).filter(r => r.key !== null && r.entry.weight > 0n)
  const { type } = rel.times[1]
  const back = rel.op === 'le' || rel.op === 'lt'
  const nearer = (a: Timed, b: Timed): boolean => {
    const c = compareValues(type, a.time, b.time)
    return c === 0 ? compareRows(rel, a.entry.row, b.entry.row) > 0 : back ? c > 0 : c < 0
  }
  const absent = rel.right.schema.columns.map(() => null)
  const result: ZSet = new Map()
  for (const { entry, key, time } of timed(rel, 0, left, context)) {
    const found = rights.filter(r => r.key === key && ACCEPTS[rel.op](compareValues(type, r.time, time)))
    const best = found.reduce<Timed | null>((b, r) => (b === null || nearer(r, b) ? r : b), null)
    if (best === null && rel.type === 'inner') continue
    const row = context.evaluateAll(rel.exprs, entry.weight, entry.row, best?.entry.row ?? absent)
    if (row !== null) addRow(result, row, entry.weight)
  }
  return result
}

function timed(rel: AsOfRel, side: 0 | 1, zset: ZSet, context: Context): Timed[] {
  const exprs = [...rel.on.map(pair => pair[side]), rel.times[side]]
  return [...zset.values()].flatMap(entry => {
    const { row, weight } = entry
    const values = side === 0 ? context.evaluateAll(exprs, weight, row) : context.evaluateAll(exprs, weight, [], row)
    if (values === null) return []
    const unmatchable = values.some((value, i) => value === null && rel.nullSafe[i] !== true)
    const key = unmatchable ? null : rowText(values.slice(0, -1))
    return [{ entry, key, time: values[values.length - 1] }]
  })
}

function compareRows(rel: AsOfRel, a: Row, b: Row): number {
  for (const { index, type } of rel.right.schema.columns) {
    const c = compareValues(type, a[index], b[index])
    if (c !== 0) return c
  }
  return 0
}

export function interpretSuccessor(rel: SuccessorRel, input: ZSet): ZSet {
  const { type } = rel.order
  const rows = [...input.values()].filter(e => e.weight > 0n)
  const placed = rows.map(e => ({
    ...{ entry: e, key: rowText(rel.keys.map(k => evaluate(k, e.row))) },
    value: evaluate(rel.order, e.row),
  }))
  const result: ZSet = new Map()
  for (const { entry, key, value } of placed) {
    const sign = rel.backwards ? -1 : 1
    const beyond = placed.filter(p => p.key === key && compareValues(type, p.value, value) * sign > 0)
    const values = beyond.map(p => p.value).sort((a, b) => compareValues(type, a, b) * sign)
    addRow(result, [...entry.row, values[0] ?? null], entry.weight)
  }
  return result
}
