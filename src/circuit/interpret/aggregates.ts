/**
 * What each aggregate means, in the plainest way: from all the rows of a group that take part, each with its weight,
 * which may be negative. Sums take weights as factors; what is about values and their order looks at the values whose
 * weights add up to more than 0.
 */
import { quote } from '../../base/errors.js'
import { ExactSum, fromUnits, toUnits } from '../../base/exact-sum.js'
import { hashText, valueText } from '../../base/value-hash.js'
import { decodeInterval } from '../../schema/interval.js'
import { packArray, packJson } from '../../schema/nested.js'
import { jsonOf, present as shown } from '../../schema/present.js'
import { arrayOf, isDecimal, isFloat, TYPES, type TypeName, type Value } from '../../schema/types.js'
import { canonicalFloat, compareValues, formatValue } from '../../schema/values.js'
import type { UserAggregate } from '../aggregates/definition.js'
import { meanInterval } from '../aggregates/intervals.js'
import { estimate } from '../aggregates/sketches.js'
import { decimalMean } from '../aggregates/sums.js'
import type { AggregateFn, AggregateSpec } from '../rel.js'
import { summedInterval } from '../scalar/temporal.js'
import { callUdf } from '../scalar/udf.js'
import { addRow, type Row, type ZSet } from './zset.js'

/** A row of the group: the values of the arguments, those of the order, and its weight. */
export interface Term {
  readonly values: Row
  readonly order: Row
  readonly weight: bigint
}

export type Meaning = (terms: readonly Term[], spec: AggregateSpec) => Value

const total = (terms: readonly Term[]): bigint => terms.reduce((sum, t) => sum + t.weight, 0n)
const typeOf = (spec: AggregateSpec, at = 0): TypeName => spec.args[at].type
const present = (terms: readonly Term[], ...at: number[]): Term[] =>
  terms.filter(t => at.every(i => t.values[i] !== null))

/** The terms without a NULL among `at`; NULL if their weights add up to 0. */
const overPresent =
  (at: readonly number[], meaning: Meaning): Meaning =>
  (terms, spec) => {
    const own = present(terms, ...at)
    return total(own) === 0n ? null : meaning(own, spec)
  }

const sumOf = (terms: readonly Term[], at: number): bigint =>
  terms.reduce((sum, t) => sum + BigInt(t.values[at] as number | bigint) * t.weight, 0n)

function floatSum(terms: readonly Term[], at: number): number {
  const sum = new ExactSum()
  for (const { values, weight } of terms) sum.add(values[at] as number, weight)
  return sum.result()
}

const sum: Meaning = (terms, spec) => (isFloat(typeOf(spec)) ? floatSum(terms, 0) : sumOf(terms, 0))

function intervalSum(terms: readonly Term[], what: string): Uint8Array {
  const sum = { months: 0n, days: 0n, micros: 0n }
  for (const { values, weight } of terms) {
    const { months, days, micros } = decodeInterval(values[0] as Uint8Array)
    sum.months += BigInt(months) * weight
    sum.days += BigInt(days) * weight
    sum.micros += micros * weight
  }
  return summedInterval(sum.months, sum.days, sum.micros, what)
}

const mean =
  (at: number): Meaning =>
  (terms, spec) =>
    isDecimal(typeOf(spec, at))
      ? decimalMean(typeOf(spec, at), sumOf(terms, at), total(terms))
      : canonicalFloat(
          (isFloat(typeOf(spec, at)) ? floatSum(terms, at) : Number(sumOf(terms, at))) / Number(total(terms)),
        )

/** The weight of the rows with a value of the first argument for which `test` holds. */
const weightWhere = (terms: readonly Term[], test: (value: Value) => boolean): bigint =>
  total(terms.filter(t => test(t.values[0])))

const bits =
  (isSet: (weight: bigint, n: bigint) => boolean): Meaning =>
  (terms, spec) => {
    const { sizeBytes, min, js } = TYPES[typeOf(spec)]
    let result = 0n
    for (let b = 0n; b < BigInt(sizeBytes * 8); b++) {
      const weight = weightWhere(terms, v => (BigInt.asUintN(64, BigInt(v as bigint)) >> b) % 2n === 1n)
      if (isSet(weight, total(terms))) result += 1n << b
    }
    const value = min === 0n ? result : BigInt.asIntN(sizeBytes * 8, result)
    return js === 'number' ? Number(value) : value
  }

/** Distinct rows of values whose weights add up to more than 0, in order. */
function ordered(terms: readonly Term[], spec: AggregateSpec, by: 'order' | 'values'): Term[] {
  const net: ZSet = new Map()
  for (const { values, order, weight } of terms) addRow(net, [...order, ...values], weight)
  const split = spec.order.length
  const rows = [...net.values()].filter(e => e.weight > 0n)
  const types = [...spec.order.map(o => o.expr.type), ...spec.args.map(a => a.type)]
  const sign = (i: number) => (i < split && spec.order[i].descending ? -1 : 1)
  const places = by === 'order' ? [...types.keys()] : [...types.keys()].slice(split)
  rows.sort((a, b) => {
    for (const i of places) {
      const c = compareValues(types[i], a.row[i], b.row[i]) * sign(i)
      if (c !== 0) return c
    }
    return 0
  })
  return rows.map(({ row, weight }) => ({ order: row.slice(0, split), values: row.slice(split), weight }))
}

/** Values of one argument, net, ascending. */
const netValues = (terms: readonly Term[], spec: AggregateSpec): Term[] => {
  const [arg] = spec.args
  const alone = terms.map(t => ({ ...t, values: [t.values[0]], order: [] }))
  return ordered(alone, { ...spec, args: [arg], order: [] }, 'values')
}

const MOMENT_SHIFT = 1074n

/** Sums of products of two arguments in units of 2^-2148, or null if a value is not finite. */
interface Moments {
  readonly n: bigint
  readonly sx: bigint
  readonly sy: bigint
  readonly x2: bigint
  readonly xy: bigint
  readonly y2: bigint
}

/** y is argument 0, x the last one. */
function moments(terms: readonly Term[], spec: AggregateSpec): Moments | null {
  const x = spec.args.length - 1
  const mixed = spec.args.some(a => isFloat(a.type))
  // Non-finite values count with their weights; what was taken back again does not.
  const odd = (at: number) => {
    const seen = new Map<string, bigint>()
    for (const { values, weight } of terms) {
      const v = values[at]
      if (typeof v === 'number' && !Number.isFinite(v)) seen.set(String(v), (seen.get(String(v)) ?? 0n) + weight)
    }
    return [...seen.values()].some(w => w !== 0n)
  }
  const pairs = (a: number, b: number) => {
    const isOdd = terms.filter(t => [a, b].some(i => typeof t.values[i] === 'number' && !Number.isFinite(t.values[i])))
    return total(isOdd) !== 0n
  }
  if (odd(0) || odd(x) || pairs(0, 0) || pairs(x, x) || pairs(0, x)) return null
  const units = (value: Value): bigint => {
    if (mixed) return Number.isFinite(Number(value)) ? toUnits(Number(value)) : 0n
    return BigInt(value as number | bigint) << MOMENT_SHIFT
  }
  const result = { n: 0n, sx: 0n, sy: 0n, x2: 0n, xy: 0n, y2: 0n }
  for (const { values, weight } of terms) {
    const [vy, vx] = [units(values[0]), units(values[x])]
    result.n += weight
    result.sx += vx * weight
    result.sy += vy * weight
    result.x2 += vx * vx * weight
    result.y2 += vy * vy * weight
    result.xy += vx * vy * weight
  }
  return result
}

/** The double nearest to a / b, ties to even. */
function quotient(a: bigint, b: bigint): number {
  const negative = a < 0n !== b < 0n
  const [n, d] = [(a < 0n ? -a : a) << MOMENT_SHIFT, b < 0n ? -b : b]
  const [q, rest] = [n / d, n % d]
  const magnitude = fromUnits(q + nudge(q, rest, d))
  return negative && magnitude !== 0 ? -magnitude : magnitude
}

/** What must be added to whole units so that `fromUnits`, which rounds them, rounds q + rest / d. */
function nudge(q: bigint, rest: bigint, d: bigint): bigint {
  if (rest === 0n) return 0n
  // Up to 53 bits, units are all that a double has.
  if (q < 1n << 53n) return 2n * rest > d || (2n * rest === d && q % 2n === 1n) ? 1n : 0n
  // An odd number of units is half way between doubles or further down: what is left over tips the scales.
  if (q < 1n << 54n) return q % 2n
  return q % 2n === 0n ? 1n : 0n
}

const unit = 1n << (MOMENT_SHIFT * 2n)

const moment = (finish: (m: Moments) => number | null): Meaning =>
  overPresent([0], (all, spec) => {
    const terms = present(all, spec.args.length - 1)
    const n = total(terms)
    if (n <= 0n) return null
    const found = moments(terms, spec)
    if (found !== null) return finish(found)
    // Is there a result at all?
    return finish({ n, sx: 0n, sy: 0n, x2: unit, xy: 0n, y2: unit }) === null ? null : Number.NaN
  })

const sxx = ({ n, sx, x2 }: Moments): bigint => n * x2 - sx * sx
const syy = ({ n, sy, y2 }: Moments): bigint => n * y2 - sy * sy
const sxy = ({ n, sx, sy, xy }: Moments): bigint => n * xy - sx * sy
const root = (x: number): number => canonicalFloat(Math.sqrt(x))

const user = (spec: AggregateSpec): UserAggregate => spec.detail as UserAggregate

export const MEANINGS: Readonly<Record<AggregateFn, Meaning>> = {
  count: (terms, spec) => total(spec.args.length === 0 ? terms : present(terms, 0)),
  sum: overPresent([0], sum),
  avg: overPresent([0], mean(0)),
  intervalSum: overPresent([0], (terms, { name }) => intervalSum(terms, `sum ${quote(name)}`)),
  intervalAvg: overPresent([0], (terms, { name }) => {
    return meanInterval(intervalSum(terms, `avg ${quote(name)}`), total(terms))
  }),
  min: overPositive((terms, spec) => netValues(terms, spec)[0]?.values[0] ?? null),
  max: overPositive((terms, spec) => netValues(terms, spec).at(-1)?.values[0] ?? null),
  boolAnd: overPresent([0], terms => weightWhere(terms, v => v === false) <= 0n),
  boolOr: overPresent([0], terms => weightWhere(terms, v => v === true) > 0n),
  bitAnd: overPresent(
    [0],
    bits((w, n) => w >= n),
  ),
  bitOr: overPresent(
    [0],
    bits(w => w > 0n),
  ),
  bitXor: overPresent(
    [0],
    bits(w => w % 2n !== 0n),
  ),
  varPop: moment(m => quotient(sxx(m), m.n * m.n * unit)),
  varSamp: moment(m => (m.n < 2n ? null : quotient(sxx(m), m.n * (m.n - 1n) * unit))),
  stddevPop: moment(m => root(quotient(sxx(m), m.n * m.n * unit))),
  stddevSamp: moment(m => (m.n < 2n ? null : root(quotient(sxx(m), m.n * (m.n - 1n) * unit)))),
  covarPop: moment(m => quotient(sxy(m), m.n * m.n * unit)),
  covarSamp: moment(m => (m.n < 2n ? null : quotient(sxy(m), m.n * (m.n - 1n) * unit))),
  corr: moment(m => {
    if (sxx(m) <= 0n || syy(m) <= 0n) return null
    const sign = sxy(m) > 0n ? 1 : sxy(m) < 0n ? -1 : 0
    return canonicalFloat(sign * Math.sqrt(quotient(sxy(m) ** 2n, sxx(m) * syy(m))))
  }),
  regrCount: (terms, spec) => total(present(terms, 0, spec.args.length - 1)),
  regrAvgX: overPresent([0, 1], mean(1)),
  regrAvgY: overPresent([0, 1], mean(0)),
  regrSxx: moment(m => quotient(sxx(m), m.n * unit)),
  regrSyy: moment(m => quotient(syy(m), m.n * unit)),
  regrSxy: moment(m => quotient(sxy(m), m.n * unit)),
  regrSlope: moment(m => (sxx(m) <= 0n ? null : quotient(sxy(m), sxx(m)))),
  regrIntercept: moment(m => (sxx(m) <= 0n ? null : quotient(m.sy * m.x2 - m.sx * m.xy, sxx(m) << MOMENT_SHIFT))),
  regrR2: moment(m => {
    if (sxx(m) <= 0n) return null
    return syy(m) <= 0n ? 1 : quotient(sxy(m) ** 2n, sxx(m) * syy(m))
  }),
  linear: (terms, spec) => {
    const own = present(terms, ...spec.args.keys())
    if (total(own) === 0n) return null
    const sums = spec.args.map((a, i) => (isFloat(a.type) ? floatSum(own, i) : sumOf(own, i)))
    const { type, nullable } = user(spec)
    const types = spec.args.map((a): TypeName => (isFloat(a.type) ? 'f64' : 'i64'))
    return callUdf(user(spec), type, nullable, [...sums, total(own)], [...types, 'i64'])
  },
  argMin: (terms, spec) => end(0, true)(terms, spec),
  argMax: (terms, spec) => end(-1, true)(terms, spec),
  first: (terms, spec) => end(0, false)(terms, spec),
  last: (terms, spec) => end(-1, false)(terms, spec),
  mode: (terms, spec) => {
    const values = netValues(present(terms, 0), spec)
    return values.reduce((best, t) => (t.weight > best.weight ? t : best), { values: [null], order: [], weight: 0n })
      .values[0]
  },
  percentileDisc: (terms, spec) => discrete(sortedValues(terms, spec), spec.detail as number),
  percentileCont: (terms, spec) => continuous(sortedValues(terms, spec), spec.detail as number),
  median: (terms, spec) => continuous(sortedValues(terms, spec), 0.5),
  approxPercentile: (terms, spec) => {
    const [fraction, error] = spec.detail as readonly number[]
    const f64: AggregateSpec = { ...spec, args: [{ kind: 'literal', value: 0, type: 'f64', nullable: true }] }
    const rounded = present(terms, 0).map(t => ({ ...t, values: [bucket(Number(t.values[0]), error)] }))
    return discrete(sortedValues(rounded, f64), fraction)
  },
  approxCountDistinct: (terms, spec) => {
    const values = netValues(present(terms, 0), spec).map(t => shown(typeOf(spec), t.values[0]))
    return hyperLogLog(values, spec.detail as number)
  },
  registers: (terms, spec) => {
    const m = 2 ** (spec.detail as number)
    const ranks = present(terms, 0)
    const sum = ranks.reduce((all, t) => all + Number(t.weight) * 2 ** -(t.values[0] as number), 0)
    return estimate(m, Number(total(ranks)), sum)
  },
  histogram: overPresent([0], (terms, spec) => {
    const [low, high, bins] = spec.detail as readonly number[]
    const counts = Array.from({ length: bins + 2 }, () => 0n)
    for (const { values, weight } of terms) {
      const x = Number(values[0])
      const inside = Math.min(Math.floor((x - low) / ((high - low) / bins)) + 1, bins)
      counts[x < low ? 0 : x < high ? inside : bins + 1] += weight
    }
    return packArray(arrayOf({ type: 'i64', nullable: false }), counts)
  }),
  stringAgg: (terms, spec) => {
    const texts = inOrder(present(terms, 0), spec).map(([text]) => text as string)
    return texts.length === 0 ? null : texts.join(spec.detail as string)
  },
  arrayAgg: (terms, spec) => {
    const values = inOrder(terms, spec).map(([value]) => value)
    const type = arrayOf({ type: typeOf(spec), nullable: spec.args[0].nullable })
    return values.length === 0 ? null : packArray(type, values)
  },
  jsonAgg: (terms, spec) => {
    const values = inOrder(terms, spec).map(([value]) => jsonOf(typeOf(spec), value, formatValue))
    return values.length === 0 ? null : packJson(values)
  },
  fold: (terms, spec) => {
    const rows = ordered(terms, spec, 'order').map(({ values, weight }) => {
      return { values: values.map((v, i) => shown(typeOf(spec, i), v)), weight }
    })
    const { type, nullable } = user(spec)
    return rows.length === 0 ? null : callUdf(user(spec), type, nullable, [rows as never], ['i64'])
  },
}

/** Over the terms whose first argument is not NULL. */
function overPositive(meaning: Meaning): Meaning {
  return (terms, spec) => meaning(present(terms, 0), spec)
}

/** The end of the rows in order; the order is that of argument 1 if `by`, else the user's. */
const end =
  (at: 0 | -1, by: boolean): Meaning =>
  (terms, spec) => {
    if (!by) return ordered(terms, spec, 'order').at(at)?.values[0] ?? null
    const turned = present(terms, 1).map(t => ({ ...t, values: [t.values[1], t.values[0]] }))
    const args = [spec.args[1], spec.args[0]]
    return ordered(turned, { ...spec, args }, 'values').at(at)?.values[1] ?? null
  }

/** Every single row in order. */
const unrolled = (terms: readonly Term[]): Row[] =>
  terms.flatMap(t => Array.from({ length: Number(t.weight) }, () => t.values))

/** The values of rows that are not NULL, one after the other. */
const sortedValues = (terms: readonly Term[], spec: AggregateSpec): Value[] =>
  unrolled(netValues(present(terms, 0), spec)).map(([v]) => v)

const discrete = (values: readonly Value[], fraction: number): Value =>
  values.length === 0 ? null : values[Math.max(Math.ceil(fraction * values.length), 1) - 1]

function continuous(values: readonly Value[], fraction: number): Value {
  if (values.length === 0) return null
  const place = fraction * (values.length - 1)
  const [low, high] = [Math.floor(place), Math.ceil(place)].map(k => Number(values[k]))
  const between = place - Math.floor(place)
  return canonicalFloat(between === 0 || low === high ? low : low + between * (high - low))
}

/** The middle of the bucket of x, as DDSketch has it. */
function bucket(x: number, error: number): number {
  const growth = (1 + error) / (1 - error)
  const size = Math.abs(x)
  if (!(size > 1e-300 && size < 1e300)) return x
  return Math.sign(x) * ((2 / (growth + 1)) * growth ** Math.ceil(Math.log(size) / Math.log(growth)))
}

/** HyperLogLog, as in the paper. */
function hyperLogLog(values: readonly unknown[], bits: number): bigint {
  const m = 2 ** bits
  const greatest = new Map<number, number>()
  for (const value of values) {
    const [low, high] = hashText(valueText(value))
    const register = Math.floor(low / 2 ** (32 - bits))
    greatest.set(register, Math.max(greatest.get(register) ?? 0, Math.clz32(high) + 1))
  }
  let sum = m - greatest.size
  for (const rank of greatest.values()) sum += 2 ** -rank
  if (greatest.size === 0) return 0n
  const raw = ((0.7213 / (1 + 1.079 / m)) * m * m) / sum
  const small = raw <= 2.5 * m && greatest.size < m
  return BigInt(Math.round(small ? m * Math.log(m / (m - greatest.size)) : raw))
}

/** The user's order, and then by value. */
const inOrder = (terms: readonly Term[], spec: AggregateSpec): Row[] => unrolled(ordered(terms, spec, 'order'))
