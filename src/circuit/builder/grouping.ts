/**
 * Grouping sets: one aggregation for each of several sets of keys, side by side. A key that is not in a row's set is
 * NULL there; `grouping('key', …)` tells such NULLs from those of the data. The empty set gives a row also where there
 * is nothing to aggregate.
 */
import { CompileError, quote, show } from '../../base/errors.js'
import { type ColumnSpec, rowSchema } from '../../schema/schema.js'
import type { Expr } from '../expr.js'
import type { NamedExpr } from '../lambda/index.js'
import { mapOf, plusOf, withColumns } from '../nodes.js'
import type { Rel } from '../rel.js'
import { columnOf, literal } from '../substitute.js'
import type { Aggregate } from './aggregates.js'
import { mustBeObject } from './check.js'

/** Made by `grouping`. */
interface Grouping {
  readonly kind: 'grouping'
  readonly keys: readonly string[]
}

/** A number with a bit for each of the keys, the last one the lowest: 1 if the row's set is without that key. */
export function grouping<R>(...keys: readonly string[]): Aggregate<R, number, true> {
  const made: Grouping = Object.freeze({ kind: 'grouping', keys: Object.freeze(keys) })
  return made as unknown as Aggregate<R, number, true>
}

export const isGrouping = (given: unknown): given is Grouping =>
  typeof given === 'object' && given !== null && (given as { kind?: unknown }).kind === 'grouping'

const MAX_KEYS = 12

/** Every prefix of the keys, the longest first. */
export const rollupOf = (keys: readonly string[]): string[][] =>
  Array.from({ length: keys.length + 1 }, (_, n) => keys.slice(0, keys.length - n))

/** Every subset of the keys. Throws CompileError on more than 12 keys. */
export function cubeOf(keys: readonly string[]): string[][] {
  if (keys.length > MAX_KEYS) throw new CompileError(`cube: expected at most ${MAX_KEYS} keys, found ${keys.length}`)
  return Array.from({ length: 2 ** keys.length }, (_, set) => keys.filter((_key, k) => (set & (1 << k)) === 0))
}

/** One aggregation per set; `aggregate` makes it, for some of the keys and the aggregates that are not `grouping`. */
export function groupingSetsRel(
  input: Rel,
  keys: readonly NamedExpr[],
  sets: readonly (readonly string[])[],
  aggregates: Readonly<Record<string, unknown>>,
  aggregate: (input: Rel, keys: readonly NamedExpr[], aggregates: Readonly<Record<string, unknown>>) => Rel,
): Rel {
  checkSets(keys, sets)
  mustBeObject('aggregate', aggregates, 'an object like { total: sum(r => r.amount) }')
  // Keys are computed once, so that one that fails on a row fails once.
  const wide = withColumns(
    input,
    keys.map(k => k.expr),
    'key',
  )
  const known = keys.map((k, i): NamedExpr => ({ name: k.name, expr: columnOf(wide.rel.schema, wide.at[i]) }))
  const entries = Object.entries(aggregates)
  const own = Object.fromEntries(entries.filter(([, given]) => !isGrouping(given)))
  const parts = sets.map(set => {
    const chosen = known.filter(k => set.includes(k.name))
    // Of a set without keys and aggregates, the row alone counts.
    const rel = aggregate(wide.rel, chosen, own)
    const column = (name: string): Expr => {
      const at = rel.schema.columns.findIndex(c => c.name === name)
      return columnOf(rel.schema, at)
    }
    const outKeys = known.map(({ name, expr }) => (set.includes(name) ? column(name) : literal(expr.type, null)))
    const values = entries.map(([name, given]) => (isGrouping(given) ? bitsOf(name, given, known, set) : column(name)))
    return { rel, exprs: [...outKeys, ...values] }
  })
  const names = [...known.map(k => k.name), ...entries.map(([name]) => name)]
  const specs = names.map((name, i): ColumnSpec => {
    const exprs = parts.map(p => p.exprs[i])
    return { name, type: exprs[0].type, nullable: exprs.some(e => e.nullable) }
  })
  const schema = rowSchema('groupingSets', specs)
  return plusOf(
    parts.map(({ rel, exprs }) => mapOf(rel, exprs, schema)),
    schema,
  )
}

function bitsOf(name: string, { keys }: Grouping, known: readonly NamedExpr[], set: readonly string[]): Expr {
  let bits = 0
  if (keys.length === 0 || keys.length > 31) {
    throw new CompileError(`aggregate ${quote(name)}: grouping: expected 1 to 31 keys, found ${keys.length}`)
  }
  for (const key of keys) {
    if (!known.some(k => k.name === key)) {
      throw new CompileError(`aggregate ${quote(name)}: grouping: expected a key, found ${show(key)}`)
    }
    bits = bits * 2 + (set.includes(key) ? 0 : 1)
  }
  return literal('i32', bits)
}

function checkSets(keys: readonly NamedExpr[], sets: readonly (readonly string[])[]): void {
  if (sets.length === 0) throw new CompileError('sets: expected at least one set of keys, found none')
  for (const set of sets) {
    if (!Array.isArray(set)) throw new CompileError(`sets: expected lists of keys, found ${show(set)}`)
    const unknown = set.find(key => !keys.some(k => k.name === key))
    if (unknown !== undefined) {
      const names = keys.map(k => quote(k.name)).join(', ')
      throw new CompileError(`sets: ${show(unknown)} is not a key`, { hint: `the keys are ${names}` })
    }
    const twice = set.find((key, i) => set.indexOf(key) !== i)
    if (twice !== undefined) throw new CompileError(`sets: the key ${quote(twice)} is twice in one set`)
  }
}
