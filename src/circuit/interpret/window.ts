/**
 * Window functions by definition: the rows of a partition are written out, one by one and in order; for each row, the
 * rows of its frame are found by asking every row of the partition whether it belongs.
 */
import { ExactSum } from '../../base/exact-sum.js'
import { isDecimal, isFloat, type Value } from '../../schema/types.js'
import { canonicalFloat, compareNumbers, compareValues } from '../../schema/values.js'
import { AGGREGATES } from '../aggregates/index.js'
import { decimalMean, sumFits, sumOverflow } from '../aggregates/sums.js'
import { windowInputs } from '../nodes.js'
import type { AggregateSpec, WindowRel } from '../rel.js'
import { Failure, fail, laterBy } from '../scalar.js'
import { literal } from '../substitute.js'
import { type Bound, type Frame, isOffset, isRank, isValue, signOf, type WindowSpec, windowExprs } from '../window.js'
import type { Term } from './aggregates.js'
import type { Context } from './context.js'
import { aggregateValue } from './groups.js'
import { addRow, type Row, rowText, type ZSet } from './zset.js'

/** More rows of one partition than this are not written out: the case counts as one that nothing can hold. */
const MOST_ROWS = 1500n
/** The same where aggregates are computed of every frame anew. */
const MOST_AGGREGATED = 400n

/** One of the rows of a partition. */
interface Member {
  readonly row: Row
  readonly order: Row
  /** The values of each function's expressions. */
  readonly values: readonly Row[]
}

export function interpretWindow(rel: WindowRel, input: ZSet, context: Context): ZSet {
  const partitions = new Map<string, { member: Member; weight: bigint }[]>()
  for (const { row, weight } of input.values()) {
    const values = context.evaluateAll(windowInputs(rel), weight, row)
    if (values === null || weight <= 0n) continue
    const key = rowText(values.splice(0, rel.partition.length))
    const order = values.splice(0, rel.order.length)
    const member = { row, order, values: rel.functions.map(f => values.splice(0, windowExprs(f).length)) }
    partitions.set(key, [...(partitions.get(key) ?? []), { member, weight }])
  }
  const result: ZSet = new Map()
  const most = rel.functions.some(f => f.aggregate !== undefined) ? MOST_AGGREGATED : MOST_ROWS
  for (const entries of partitions.values()) {
    if (entries.reduce((sum, e) => sum + e.weight, 0n) > most) {
      context.overflow = true
      continue
    }
    entries.sort((a, b) => compareOrder(rel, a.member, b.member) || compareRows(rel, a.member.row, b.member.row))
    const members = entries.flatMap(({ member, weight }) => new Array<Member>(Number(weight)).fill(member))
    const partition = new Partition(rel, members)
    for (const [i, { row }] of members.entries()) {
      const outputs = partition.outputs(i, context)
      if (outputs !== null) addRow(result, [...row, ...outputs], 1n)
    }
  }
  return result
}

function compareOrder(rel: WindowRel, a: Member, b: Member): number {
  for (const [i, { expr, descending, nullsFirst }] of rel.order.entries()) {
    const [x, y] = [a.order[i], b.order[i]]
    const c = compareValues(expr.type, x, y)
    if (c !== 0) return x === null || y === null ? (nullsFirst ? c : -c) : descending ? -c : c
  }
  return 0
}

function compareRows(rel: WindowRel, a: Row, b: Row): number {
  for (const { index, type } of rel.input.schema.columns) {
    const c = compareValues(type, a[index], b[index])
    if (c !== 0) return c
  }
  return 0
}

/** The rows of one partition in order; a row is its place among them. */
class Partition {
  /** Per row, which group of peers it is in. */
  private readonly groups: number[] = []

  constructor(
    private readonly rel: WindowRel,
    private readonly members: readonly Member[],
  ) {
    for (let i = 0, group = 0; i < members.length; i++) {
      if (i > 0 && compareOrder(rel, members[i - 1], members[i]) !== 0) group++
      this.groups.push(group)
    }
  }

  /** The functions' values for row i; null, with the failure recorded, if one of them fails. */
  outputs(i: number, context: Context): Value[] | null {
    const outputs: Value[] = []
    for (const [f, spec] of this.rel.functions.entries()) {
      try {
        outputs.push(this.value(spec, f, i))
      } catch (problem) {
        if (!(problem instanceof Failure)) throw problem
        context.fail(problem.message, 1n)
        return null
      }
    }
    return outputs
  }

  private value(spec: WindowSpec, f: number, i: number): Value {
    if (isRank(spec.fn)) return this.rank(spec, i)
    if (isOffset(spec.fn)) return this.offset(spec, f, i)
    const frame = [...this.members.keys()].filter(j => this.isIn(spec.frame, i, j))
    if (spec.aggregate !== undefined) return this.aggregate(spec.aggregate, f, frame)
    const values = frame.map(j => (spec.arg === null ? true : this.members[j].values[f][0]))
    return isValue(spec.fn) ? pick(spec, values) : aggregate(spec, values)
  }

  /** The aggregate as it is in groups, over the rows of the frame. Throws Failure. */
  private aggregate(spec: AggregateSpec, f: number, frame: readonly number[]): Value {
    const { filter, args, order, distinct } = spec
    const byPlace = order.length === 0 && !distinct && isInFrameOrder(spec)
    const weights = new Map<Member, { place: bigint; weight: bigint }>()
    for (const j of frame) {
      const seen = weights.get(this.members[j])
      weights.set(this.members[j], { place: seen?.place ?? BigInt(j), weight: (seen?.weight ?? 0n) + 1n })
    }
    const terms = [...weights].flatMap(([member, { place, weight }]): Term[] => {
      const values = [...member.values[f]]
      if (filter !== null && values.shift() !== true) return []
      return [{ values: values.slice(0, args.length), order: byPlace ? [place] : values.slice(args.length), weight }]
    })
    return aggregateValue(byPlace ? { ...spec, order: [{ expr: literal('i64', 0n), descending: false }] } : spec, terms)
  }

  private rank({ fn, n }: WindowSpec, i: number): Value {
    const { groups } = this
    const count = groups.length
    const before = groups.filter(g => g < groups[i]).length
    const upTo = groups.filter(g => g <= groups[i]).length
    switch (fn) {
      case 'rowNumber':
        return BigInt(i + 1)
      case 'rank':
        return BigInt(before + 1)
      case 'denseRank':
        return BigInt(groups[i] + 1)
      case 'percentRank':
        return count === 1 ? 0 : before / (count - 1)
      case 'cumeDist':
        return upTo / count
      default:
        return BigInt(bucket(i, count, n))
    }
  }

  private offset({ fn, n, ignoreNulls, fallback }: WindowSpec, f: number, i: number): Value {
    const step = fn === 'lag' ? -1 : 1
    let left = n
    let j = i
    while (left > 0) {
      j += step
      if (j < 0 || j >= this.members.length) return fallback === null ? null : this.members[i].values[f][1]
      if (!ignoreNulls || this.members[j].values[f][0] !== null) left--
    }
    return this.members[j].values[f][0]
  }

  private isIn(frame: Frame, i: number, j: number): boolean {
    const { groups } = this
    const peers = groups[i] === groups[j]
    if (frame.exclude === 'current' && i === j) return false
    if (frame.exclude === 'group' && peers) return false
    if (frame.exclude === 'ties' && peers && i !== j) return false
    if (frame.mode === 'range') return this.notBefore(frame.start, i, j) && this.notAfter(frame.end, i, j)
    const distance = frame.mode === 'rows' ? j - i : groups[j] - groups[i]
    return (
      (frame.start === null || distance >= Number(frame.start)) && (frame.end === null || distance <= Number(frame.end))
    )
  }

  /** Whether row j is not before the bound of a RANGE frame of row i. */
  private notBefore(bound: Bound, i: number, j: number): boolean {
    if (bound === null) return true
    const order = this.compareToBound(bound, i, j)
    return order === null ? this.groups[j] >= this.groups[i] : order >= 0
  }

  private notAfter(bound: Bound, i: number, j: number): boolean {
    if (bound === null) return true
    const order = this.compareToBound(bound, i, j)
    return order === null ? this.groups[j] <= this.groups[i] : order <= 0
  }

  /** Where row j stands to the value of row i plus the bound; null where only groups decide. */
  private compareToBound(bound: NonNullable<Bound>, i: number, j: number): number | null {
    if (signOf(bound) === 0) return null
    const [{ expr, descending }] = this.rel.order
    const [x] = this.members[i].order
    const [y] = this.members[j].order
    if (x === null || y === null) return null
    if (typeof bound === 'object') {
      const { months, micros } = bound
      const by = descending ? { months: -months, micros: -micros } : bound
      const distance = BigInt(y as number | bigint) - laterBy(expr.type, x as number | bigint, by)
      const order = distance < 0n ? -1 : distance > 0n ? 1 : 0
      return descending ? -order : order
    }
    if (typeof x === 'bigint') {
      const limit = x + (descending ? -BigInt(bound) : BigInt(bound))
      const order = (y as bigint) < limit ? -1 : (y as bigint) > limit ? 1 : 0
      return descending ? -order : order
    }
    const limit = (x as number) + (descending ? -Number(bound) : Number(bound))
    const order = compareNumbers(y as number, limit)
    return descending ? -order : order
  }
}

/** Buckets of sizes that differ by 1 at most, the larger ones first; from 1. */
function bucket(i: number, count: number, buckets: number): number {
  const size = Math.floor(count / buckets)
  const larger = count % buckets
  if (i < larger * (size + 1)) return Math.floor(i / (size + 1)) + 1
  return larger + Math.floor((i - larger * (size + 1)) / size) + 1
}

function pick({ fn, n, ignoreNulls }: WindowSpec, frame: readonly Value[]): Value {
  const values = ignoreNulls ? frame.filter(v => v !== null) : frame
  const at = fn === 'firstValue' ? 0 : fn === 'lastValue' ? values.length - 1 : n - 1
  return values[at] ?? null
}

function isInFrameOrder({ fn }: AggregateSpec): boolean {
  const { plan } = AGGREGATES[fn]
  return plan.kind === 'ordered' && plan.inFrameOrder === true
}

function aggregate({ fn, arg, name }: WindowSpec, frame: readonly Value[]): Value {
  const values = frame.filter(v => v !== null)
  if (fn === 'count') return BigInt(values.length)
  if (values.length === 0 || arg === null) return null
  const { type } = arg
  switch (fn) {
    case 'sum': {
      const total = sum(values, isFloat(type))
      return typeof total === 'bigint' && !sumFits(type, total) ? fail(sumOverflow('sum', type, name)) : total
    }
    case 'avg':
      return isDecimal(type)
        ? decimalMean(type, sum(values, false) as bigint, BigInt(values.length))
        : canonicalFloat(Number(sum(values, isFloat(type))) / values.length)
    case 'min':
      return values.reduce((a, b) => (compareValues(type, a, b) <= 0 ? a : b))
    case 'max':
      return values.reduce((a, b) => (compareValues(type, a, b) >= 0 ? a : b))
    case 'boolAnd':
      return values.every(v => v === true)
    case 'boolOr':
      return values.some(v => v === true)
    default:
      return bits(fn, values)
  }
}

function sum(values: readonly Value[], float: boolean): bigint | number {
  if (!float) return values.reduce((total: bigint, v) => total + BigInt(v as number | bigint), 0n)
  const total = new ExactSum()
  for (const value of values) total.add(value as number, 1n)
  return total.result()
}

function bits(fn: WindowSpec['fn'], values: readonly Value[]): Value {
  const all = values.map(v => BigInt(v as number | bigint))
  const result = all.reduce((a, b) => (fn === 'bitAnd' ? a & b : fn === 'bitOr' ? a | b : a ^ b))
  return typeof values[0] === 'number' ? Number(result) : result
}
