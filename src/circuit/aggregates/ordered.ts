/**
 * Aggregates that read their group's rows in an order. Rows of negative weight are not there for them, and a row of
 * weight n is n rows. Values that are equal in the order are told apart by all that the aggregate reads, so results never
 * depend on history.
 */

import { packArray, packJson } from '../../schema/nested.js'
import { jsonOf, present } from '../../schema/present.js'
import { arrayOf, MAX_STRING_BYTES, type TypeName, type Value } from '../../schema/types.js'
import { canonicalFloat, encodeUtf8, formatValue } from '../../schema/values.js'
import type { Expr } from '../expr.js'
import { filterOf, mapOf, schemaOf } from '../nodes.js'
import type { AggregateRel, AggregateSpec, Rel } from '../rel.js'
import { fail } from '../scalar/failure.js'
import { callUdf } from '../scalar/udf.js'
import { call, columnOf, literal } from '../substitute.js'
import type { AggregateDefinition, Ordered, RankReader, UserAggregate, WalkedRow } from './definition.js'
import { ANY, NUMBERS, TEXT } from './types.js'

const BY_VALUE = [{ at: 0, descending: false }]
const typeOfFirst = ([type]: readonly TypeName[]): TypeName => type

const extreme = (read: 'first' | 'last'): AggregateDefinition => ({
  args: [ANY],
  type: typeOfFirst,
  plan: { kind: 'ordered', required: [0], terms: BY_VALUE, read, value: 0 },
})

/** The least value, over those whose weights add up to more than 0. */
export const min = extreme('first')
/** The greatest. */
export const max = extreme('last')

const firstIsNullable = (spec: AggregateSpec): boolean => spec.args[0].nullable

/** The value (argument 0) of the row with the least or greatest argument 1; among equals, of the least or greatest value. */
const extremeBy = (read: 'first' | 'last'): AggregateDefinition => ({
  args: [ANY, ANY],
  type: typeOfFirst,
  nullable: firstIsNullable,
  plan: {
    ...{ kind: 'ordered', required: [1], read, value: 0 },
    terms: [
      { at: 1, descending: false },
      { at: 0, descending: false },
    ],
  },
})
export const argMin = extremeBy('first')
export const argMax = extremeBy('last')

/** The value of the first or last row by the user's order; among equals, the least or greatest value. */
const endOf = (read: 'first' | 'last'): AggregateDefinition => ({
  args: [ANY],
  type: typeOfFirst,
  nullable: firstIsNullable,
  plan: { kind: 'ordered', required: [], terms: BY_VALUE, inFrameOrder: true, read, value: 0 },
})
export const first = endOf('first')
export const last = endOf('last')

const ranked = (read: RankReader, isNumber: boolean): AggregateDefinition => ({
  args: [isNumber ? NUMBERS : ANY],
  type: isNumber ? () => 'f64' : typeOfFirst,
  plan: { kind: 'ordered', required: [0], terms: BY_VALUE, read, value: 0 },
})

/** The place, counted from 0, of the first of n values at or above the fraction. */
export const discreteRank = (fraction: number, n: number): number => Math.max(Math.ceil(fraction * n), 1) - 1

/** Places between which a fraction of n values lies, and how far between. */
export function continuousRank(fraction: number, n: number): { low: number; high: number; between: number } {
  const place = fraction * (n - 1)
  const low = Math.floor(place)
  return { low, high: Math.ceil(place), between: place - low }
}

export const interpolate = (low: number, high: number, between: number): number =>
  canonicalFloat(between === 0 || low === high ? low : low + between * (high - low))

const discrete: RankReader = {
  ranks: (n, detail) => [discreteRank(detail as number, n)],
  finish: ([value]) => value,
}
const continuous = (fractionOf: (detail: unknown) => number): RankReader => ({
  ranks: (n, detail) => {
    const { low, high } = continuousRank(fractionOf(detail), n)
    return low === high ? [low] : [low, high]
  },
  finish: ([low, high = low], n, detail) =>
    interpolate(Number(low), Number(high), continuousRank(fractionOf(detail), n).between),
})

/** The least value at or below which the fraction of all values lies. */
export const percentileDisc = ranked(discrete, false)
/** The same between two values, by linear interpolation. */
export const percentileCont = ranked(
  continuous(detail => detail as number),
  true,
)
export const median = ranked(
  continuous(() => 0.5),
  true,
)

/**
 * A percentile of values rounded to buckets that grow by the factor (1 + a) / (1 - a), where a is the relative error
 * allowed (DDSketch, Masson et al. 2019). Buckets are counted, so what is kept does not grow with the values.
 */
export const approxPercentile: AggregateDefinition = {
  args: [NUMBERS],
  type: () => 'f64',
  plan: {
    ...{ kind: 'ordered', required: [0], terms: BY_VALUE, value: 0 },
    columns: ([x], detail) => [bucketOf(x, (detail as readonly number[])[1])],
    read: { ...discrete, ranks: (n, detail) => [discreteRank((detail as readonly number[])[0], n)] },
  },
}

/** The value that stands for the bucket of x: sign(x) 2 g^i / (g + 1) with i = ceil(log_g |x|); 0, NaN, ±∞ for themselves. */
function bucketOf(x: Expr, error: number): Expr {
  const growth = (1 + error) / (1 - error)
  const number = x.type === 'f64' ? x : call('cast', [x], 'f64')
  const f64 = (value: number) => literal('f64', value)
  const math = (fn: string, ...args: Expr[]): Expr => ({ ...call('math', args, 'f64'), detail: fn })
  const size = math('abs', number)
  const index = math('ceil', call('div', [math('log', size), f64(Math.log(growth))], 'f64'))
  const value = call('mul', [f64(2 / (growth + 1)), call('pow', [f64(growth), index], 'f64')], 'f64')
  const signed = call('mul', [math('sign', number), value], 'f64')
  // Where the bucket is beyond doubles (zeros, infinities, NaN), the value stands for itself.
  const isPlain = call('and', [call('gt', [size, f64(1e-300)], 'bool'), call('lt', [size, f64(1e300)], 'bool')], 'bool')
  return call('if', [isPlain, signed, number], 'f64')
}

/** The value that occurs most often; of several, the least. */
export const mode: AggregateDefinition = {
  args: [ANY],
  type: typeOfFirst,
  plan: { ...(first.plan as Ordered), required: [0] },
  source: (rows, keys, spec) => {
    const counted = countedValues(rows, keys, spec)
    const [value, n] = [keys, keys + 1].map(i => columnOf(counted.schema, i))
    const order = [{ expr: n, descending: true }]
    return { rel: counted, spec: { ...spec, fn: 'first', args: [value], filter: null, order } }
  },
  framePlan: { kind: 'ordered', required: [0], terms: BY_VALUE, read: { walk: mostFrequent }, value: 0 },
}

/** REQUIRES: each value stands once. */
function mostFrequent(rows: Iterable<WalkedRow>): Value {
  let [most, found] = [0n, null as Value]
  for (const { values, weight } of rows) if (weight > most) [most, found] = [weight, values[0]]
  return found
}

/** Group columns, each value that is not NULL, and how often it is there. */
function countedValues(rows: Rel, keys: number, spec: AggregateSpec): Rel {
  const [value] = spec.args
  const present = value.nullable ? [call('not', [call('isNull', [value], 'bool')], 'bool')] : []
  const conditions = [...(spec.filter === null ? [] : [spec.filter]), ...present]
  const taking = conditions.reduce((rel: Rel, c) => filterOf(rel, c), rows)
  const columns = [...Array.from({ length: keys }, (_, k) => columnOf(rows.schema, k)), value]
  const specs = columns.map((c, i) => ({
    name: i < keys ? rows.schema.columns[i].name : 'value',
    type: c.type,
    nullable: c.nullable,
  }))
  const own = schemaOf('values', specs)
  const counted: AggregateRel = {
    kind: 'aggregate',
    input: mapOf(taking, columns, own),
    keys: columns.map((_, i) => columnOf(own, i)),
    aggregates: [{ fn: 'count', args: [], name: 'n', filter: null, distinct: false, order: [], detail: null }],
    schema: schemaOf('values', [...specs, { name: 'n', type: 'i64', nullable: false }]),
  }
  return counted
}

/** Lists the values of all rows, each as often as it is there. Fails beyond `limit` values. */
function* unrolled(rows: Iterable<WalkedRow>, limit: number, what: string): Generator<readonly Value[]> {
  let left = BigInt(limit)
  for (const { values, weight } of rows) {
    left -= weight
    if (left < 0n) fail(`${what} is too long`)
    for (let w = 0n; w < weight; w++) yield values
  }
}

/** More elements have no room in the bytes of one value. */
const MAX_ELEMENTS = MAX_STRING_BYTES / 4

const collecting = (
  rule: AggregateDefinition['args'][number],
  type: AggregateDefinition['type'],
  required: readonly number[],
  walk: (
    rows: Iterable<WalkedRow>,
    detail: AggregateSpec['detail'],
    types: readonly TypeName[],
    result: TypeName,
  ) => Value,
): AggregateDefinition => ({
  args: [rule],
  type,
  canFail: () => true,
  plan: { kind: 'ordered', required, terms: BY_VALUE, inFrameOrder: true, read: { walk }, value: 0 },
})

/** Strings in the user's order (else in their own), joined by a separator. NULL is left out. */
export const stringAgg = collecting(
  TEXT,
  () => 'string',
  [0],
  (rows, separator) => {
    const parts: string[] = []
    let units = 0
    for (const [text] of unrolled(rows, MAX_ELEMENTS, 'stringAgg')) {
      parts.push(text as string)
      units += (text as string).length + (separator as string).length
      if (units > MAX_STRING_BYTES) fail('stringAgg is too long')
    }
    const text = parts.join(separator as string)
    return encodeUtf8(text) instanceof Uint8Array ? text : fail('stringAgg is too long')
  },
)

const checked = (bytes: Uint8Array, what: string): Uint8Array =>
  bytes.length <= MAX_STRING_BYTES ? bytes : fail(`${what} is too long`)

/** All values, NULL included, in the user's order or else their own. */
export const arrayAgg = collecting(
  ANY,
  ([type], _, args) => arrayOf({ type, nullable: args[0].nullable }),
  [],
  (rows, _, __, result) =>
    checked(
      packArray(
        result,
        Array.from(unrolled(rows, MAX_ELEMENTS, 'arrayAgg'), ([value]) => value),
      ),
      'arrayAgg',
    ),
)

/** The same as a JSON array. */
export const jsonAgg = collecting(
  ANY,
  () => 'json',
  [],
  (rows, _, [type]) =>
    checked(
      packJson(Array.from(unrolled(rows, MAX_ELEMENTS, 'jsonAgg'), ([value]) => jsonOf(type, value, formatValue))),
      'jsonAgg',
    ),
)

/** The user's function of all rows in order; each row is the list of its arguments. */
export const fold: AggregateDefinition = {
  args: [ANY],
  variadic: true,
  type: (_, detail) => (detail as UserAggregate).type,
  partial: true,
  canFail: () => true,
  plan: {
    ...{ kind: 'ordered', required: [], terms: [], all: true, inFrameOrder: true, value: 0 },
    read: {
      walk: (rows, detail, types) => {
        const user = detail as UserAggregate
        // Rows are shown as users see values; the function makes one argument of them.
        return callUdf(user, user.type, user.nullable, [shown(rows, types) as never], ['i64'])
      },
    },
  },
}

function shown(rows: Iterable<WalkedRow>, types: readonly TypeName[]): unknown[] {
  return Array.from(rows, ({ values, weight }) => ({ values: values.map((v, i) => present(types[i], v)), weight }))
}
