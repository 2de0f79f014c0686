/** Grouping operators by definition: collect the rows of each group, then compute its output from all of them. */
import type { Value } from '../../schema/types.js'
import { compareValues } from '../../schema/values.js'
import { AGGREGATES } from '../aggregates/index.js'
import { sumFits, sumOverflow } from '../aggregates/sums.js'
import { evaluate } from '../eval.js'
import type { Expr } from '../expr.js'
import type { AggregateRel, AggregateSpec, TopKRel } from '../rel.js'
import { Failure, fail } from '../scalar.js'
import { MEANINGS, type Term } from './aggregates.js'
import { type Context, fitsI64 } from './context.js'
import { addRow, type Row, rowText, type ZSet } from './zset.js'

/** A row with the values of the expressions it takes part with. */
interface Member {
  readonly row: Row
  readonly values: Row
  readonly weight: bigint
}

interface Group {
  readonly key: Row
  readonly members: Member[]
}

/** Rows by group. A row on which a key or another expression fails takes no part. */
function groups(input: ZSet, keys: readonly Expr[], exprs: readonly Expr[], context: Context): Map<string, Group> {
  const result = new Map<string, Group>()
  for (const { row, weight } of input.values()) {
    const values = context.evaluateAll([...keys, ...exprs], weight, row)
    if (values === null) continue
    const key = values.slice(0, keys.length)
    const text = rowText(key)
    let group = result.get(text)
    if (group === undefined) {
      group = { key, members: [] }
      result.set(text, group)
    }
    group.members.push({ row, values: values.slice(keys.length), weight })
  }
  return result
}

/** The rows of a group that take part in one aggregate. */
type Taking = readonly Term[]

export function interpretAggregate(rel: AggregateRel, input: ZSet, context: Context): ZSet {
  const all = new Map<string, { key: Row; weight: bigint; terms: Term[][] }>()
  const groupOf = (key: Row) => {
    let group = all.get(rowText(key))
    if (group === undefined) {
      group = { key, weight: 0n, terms: rel.aggregates.map(() => []) }
      all.set(rowText(key), group)
    }
    return group
  }
  if (rel.keys.length === 0) groupOf([])
  for (const { row, weight } of input.values()) {
    const key = context.evaluateAll(rel.keys, weight, row)
    const terms = key === null ? null : termsOf(rel.aggregates, row, weight, context)
    if (key === null || terms === null) continue
    const group = groupOf(key)
    const counts = rel.counts === undefined || evaluate(rel.counts, row) === true
    if (counts) group.weight += weight
    terms.forEach((term, i) => {
      // count(*) is about the rows that count.
      if (term !== null && (counts || rel.aggregates[i].args.length > 0)) group.terms[i].push(term)
    })
  }
  const result: ZSet = new Map()
  for (const { key, weight, terms } of all.values()) {
    if (!fitsI64(weight)) context.overflow = true
    if (weight <= 0n && rel.keys.length > 0) continue
    const outputs = aggregateAll(rel.aggregates, terms, context)
    if (outputs !== null) addRow(result, [...key, ...outputs], 1n)
  }
  return result
}

/** How a row takes part in each aggregate: not at all (null) if FILTER is not TRUE. Null for all if one fails. */
function termsOf(specs: readonly AggregateSpec[], row: Row, weight: bigint, context: Context): (Term | null)[] | null {
  const terms: (Term | null)[] = []
  for (const { filter, args, order } of specs) {
    const passes = filter === null ? [true] : context.evaluateAll([filter], weight, row)
    if (passes === null) return null
    const exprs = passes[0] === true ? [...args, ...order.map(o => o.expr)] : []
    const values = context.evaluateAll(exprs, weight, row)
    if (values === null) return null
    const [own, by] = [values.slice(0, args.length), values.slice(args.length)]
    terms.push(passes[0] === true ? { values: own, order: by, weight } : null)
  }
  return terms
}

/** The aggregates of a group, or null if one of them does not exist, which is recorded. */
function aggregateAll(specs: readonly AggregateSpec[], terms: readonly Taking[], context: Context): Value[] | null {
  const outputs: Value[] = []
  for (const [i, spec] of specs.entries()) {
    try {
      const output = aggregateValue(spec, terms[i])
      const isCount = typeof output === 'bigint' && AGGREGATES[spec.fn].total === true
      if (isCount && !fitsI64(output)) context.overflow = true
      outputs.push(output)
    } catch (problem) {
      if (!(problem instanceof Failure)) throw problem
      context.fail(problem.message, 1n)
      return null
    }
  }
  return outputs
}

/** The value of an aggregate. Throws Failure. */
export function aggregateValue(spec: AggregateSpec, terms: Taking): Value {
  const output = MEANINGS[spec.fn](spec.distinct ? distinctTerms(terms) : terms, spec)
  if ((spec.fn === 'sum' || spec.fn === 'avg') && typeof output === 'bigint') {
    const { type } = spec.args[0]
    if (!sumFits(type, output)) fail(sumOverflow(spec.fn, type, spec.name))
  }
  return output
}

/** Each list of values once, if its weights add up to more than 0. */
function distinctTerms(terms: Taking): Term[] {
  const net: ZSet = new Map()
  for (const { values, order, weight } of terms) addRow(net, [...values, ...order], weight)
  const width = terms[0]?.values.length ?? 0
  const rows = [...net.values()].filter(e => e.weight > 0n).map(e => e.row)
  return rows.map(row => ({ values: row.slice(0, width), order: row.slice(width), weight: 1n }))
}

export function interpretTopK(rel: TopKRel, input: ZSet, context: Context): ZSet {
  const order = rel.order.map(o => o.expr)
  const compare = (a: Member, b: Member): number => {
    for (const [i, { expr, descending }] of rel.order.entries()) {
      const c = compareValues(expr.type, a.values[i], b.values[i])
      if (c !== 0) return descending ? -c : c
    }
    return compareRows(rel, a.row, b.row)
  }
  const result: ZSet = new Map()
  for (const { members } of groups(input, rel.keys, order, context).values()) {
    let room = BigInt(rel.limit)
    for (const { row, weight } of members.filter(m => m.weight > 0n).sort(compare)) {
      const taken = weight < room ? weight : room
      addRow(result, row, taken)
      room -= taken
    }
  }
  return result
}

function compareRows(rel: TopKRel, a: Row, b: Row): number {
  for (const { index, type } of rel.schema.columns) {
    const c = compareValues(type, a[index], b[index])
    if (c !== 0) return c
  }
  return 0
}
