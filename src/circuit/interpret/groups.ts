/** Grouping operators by definition: collect the rows of each group, then compute its output from all of them. */
import { ExactSum } from '../../base/exact-sum.js'
import { isFloat, type Value } from '../../schema/types.js'
import { canonicalFloat, compareValues } from '../../schema/values.js'
import type { Expr } from '../expr.js'
import type { AggregateRel, AggregateSpec, TopKRel } from '../rel.js'
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

const total = (members: readonly Member[]): bigint => members.reduce((sum, m) => sum + m.weight, 0n)

export function interpretAggregate(rel: AggregateRel, input: ZSet, context: Context): ZSet {
  const args = rel.aggregates.map(spec => spec.arg ?? ALWAYS)
  const all = groups(input, rel.keys, args, context)
  if (rel.keys.length === 0 && all.size === 0) all.set('', { key: [], members: [] })
  const result: ZSet = new Map()
  for (const { key, members } of all.values()) {
    const weight = total(members)
    if (!fitsI64(weight)) context.overflow = true
    if (weight <= 0n && rel.keys.length > 0) continue
    const outputs = aggregateAll(rel.aggregates, members, context)
    if (outputs !== null) addRow(result, [...key, ...outputs], 1n)
  }
  return result
}

const ALWAYS: Expr = { kind: 'literal', value: true, type: 'bool', nullable: false }

/** The aggregates of a group, or null if one of them overflows, which is recorded. */
function aggregateAll(specs: readonly AggregateSpec[], members: readonly Member[], context: Context): Value[] | null {
  const outputs: Value[] = []
  for (const [i, spec] of specs.entries()) {
    const terms = members.map(m => ({ value: m.values[i], weight: m.weight })).filter(t => t.value !== null)
    const output = aggregate(spec, terms)
    if (typeof output === 'bigint' && spec.fn === 'count' && !fitsI64(output)) context.overflow = true
    if (typeof output === 'bigint' && spec.fn === 'sum' && !fitsI64(output)) {
      context.fail(sumOverflow(spec.name), 1n)
      return null
    }
    outputs.push(output)
  }
  return outputs
}

/** The message of a group whose integer sum left the i64 range. */
export const sumOverflow = (name: string): string => `i64 overflow in sum ${JSON.stringify(name)}`

interface Term {
  readonly value: Value
  readonly weight: bigint
}

function aggregate(spec: AggregateSpec, terms: readonly Term[]): Value {
  const count = terms.reduce((sum, t) => sum + t.weight, 0n)
  const type = spec.arg?.type ?? 'bool'
  switch (spec.fn) {
    case 'count':
      return count
    case 'sum':
      return count === 0n ? null : isFloat(type) ? floatSum(terms) : integerSum(terms)
    case 'avg': {
      if (count === 0n) return null
      const sum = isFloat(type) ? floatSum(terms) : Number(integerSum(terms))
      return canonicalFloat(sum / Number(count))
    }
    case 'min':
    case 'max': {
      const present = presentValues(terms).sort((a, b) => compareValues(type, a, b))
      return (spec.fn === 'min' ? present[0] : present[present.length - 1]) ?? null
    }
  }
}

function floatSum(terms: readonly Term[]): number {
  const sum = new ExactSum()
  for (const { value, weight } of terms) sum.add(value as number, weight)
  return sum.result()
}

const integerSum = (terms: readonly Term[]): bigint =>
  terms.reduce((sum, t) => sum + BigInt(t.value as number | bigint) * t.weight, 0n)

/** The values whose net weight is > 0. */
function presentValues(terms: readonly Term[]): Value[] {
  const net: ZSet = new Map()
  for (const { value, weight } of terms) addRow(net, [value], weight)
  return [...net.values()].filter(e => e.weight > 0n).map(e => e.row[0])
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
