/** Aggregates that keep less than the values: approximate distinct counts and histograms. Retractions are exact. */
import { hashText, valueText } from '../../base/value-hash.js'
import { packArray } from '../../schema/nested.js'
import { arrayOf, type Value } from '../../schema/types.js'
import type { CallExpr, Expr } from '../expr.js'
import { filterOf, mapOf, schemaOf } from '../nodes.js'
import type { AggregateDetail, AggregateRel, AggregateSpec, Rel } from '../rel.js'
import { call, columnOf, literal } from '../substitute.js'
import type { AggregateDefinition, WalkedRow } from './definition.js'
import { ANY, NUMBERS } from './types.js'

const f64 = (value: number): Expr => literal('f64', value)
const math = (fn: string, ...args: Expr[]): CallExpr => ({ ...call('math', args, 'f64'), detail: fn })

/** Functions of a value's hash, one pair for each number of register bits. */
const functions = new Map<number, { register: CallExpr['udf']; rank: CallExpr['udf'] }>()

function functionsFor(bits: number) {
  let pair = functions.get(bits)
  if (pair === undefined) {
    pair = {
      register: Object.freeze({ name: `register${bits}`, fn: (v: never) => hashText(valueText(v))[0] >>> (32 - bits) }),
      rank: Object.freeze({ name: `rank${bits}`, fn: (v: never) => Math.clz32(hashText(valueText(v))[1]) + 1 }),
    }
    functions.set(bits, pair)
  }
  return pair
}

const udf = (fn: CallExpr['udf'], arg: Expr): CallExpr => ({ ...call('udf', [arg], 'i32'), nullable: false, udf: fn })

/**
 * HyperLogLog (Flajolet et al. 2007): 2^bits registers hold the greatest rank of the hashes that fall into them. Each
 * register is a group of an ordinary MAX over (register, rank), where equal ranks are counted: so a retraction takes a
 * register back to where it was, and the estimate is that of a fresh count. What is kept is a row for each register and
 * rank that occurs, at most 33 × 2^bits of a group.
 */
export const approxCountDistinct: AggregateDefinition = {
  args: [ANY],
  type: () => 'i64',
  total: true,
  plan: { kind: 'linear', accumulators: () => [], finish: state => state.n },
  source: (rows, keys, spec) => {
    const bits = spec.detail as number
    const registers = registersOf(rows, keys, spec, functionsFor(bits))
    return {
      rel: registers,
      spec: { ...spec, fn: 'registers', args: [columnOf(registers.schema, keys + 1)], filter: null },
    }
  },
  framePlan: {
    kind: 'ordered',
    columns: ([value], detail) => {
      const { register, rank } = functionsFor(detail as number)
      return [register, rank].map(fn => ifPresent(value, udf(fn, value)))
    },
    required: [0],
    terms: [
      { at: 0, descending: false },
      { at: 1, descending: true },
    ],
    read: { walk: estimateOf },
    value: 0,
  },
}

const ifPresent = (value: Expr, then: Expr): Expr =>
  value.nullable ? call('if', [call('isNull', [value], 'bool'), literal(then.type, null), then], then.type) : then

/** The estimate from registers and ranks in order, the greatest rank of each register first. */
function estimateOf(rows: Iterable<WalkedRow>, detail: AggregateDetail): Value {
  let [used, sum] = [0, 0]
  let last: Value = null
  for (const { values } of rows) {
    if (values[0] === last) continue
    last = values[0]
    used++
    sum += 2 ** -(values[1] as number)
  }
  return estimate(2 ** (detail as number), used, sum)
}

function registersOf(
  rows: Rel,
  keys: number,
  spec: AggregateSpec,
  { register, rank }: ReturnType<typeof functionsFor>,
): Rel {
  const [value] = spec.args
  const taking = value.nullable ? filterOf(rows, call('not', [call('isNull', [value], 'bool')], 'bool')) : rows
  const groups = Array.from({ length: keys }, (_, k) => columnOf(rows.schema, k))
  const specs = rows.schema.columns.slice(0, keys)
  const i32 = (name: string, nullable = false) => ({ name, type: 'i32', nullable }) as const
  const hashed = schemaOf('registers', [...specs, i32('register'), i32('rank')])
  const input = mapOf(taking, [...groups, udf(register, value), udf(rank, value)], hashed)
  const order = [{ expr: columnOf(hashed, keys + 1), descending: false }]
  const greatest: AggregateSpec = {
    ...{ fn: 'max', args: [columnOf(hashed, keys + 1)], name: 'rank' },
    ...{ filter: null, distinct: false, order, detail: null },
  }
  const node: AggregateRel = {
    ...{ kind: 'aggregate', input, keys: Array.from({ length: keys + 1 }, (_, k) => columnOf(hashed, k)) },
    ...{ aggregates: [greatest], schema: schemaOf('registers', [...specs, i32('register'), i32('rank')]) },
  }
  return node
}

/** The estimate from the ranks of the registers that are not empty. Made by lowering only. */
export const registers: AggregateDefinition = {
  args: [ANY],
  type: () => 'i64',
  total: true,
  plan: {
    kind: 'linear',
    columns: ([rank]) => [rank, call('pow', [f64(2), call('neg', [call('cast', [rank], 'f64')], 'f64')], 'f64')],
    accumulators: () => [{ kind: 'float', at: [1] }],
    finish: (state, _, detail) => {
      const { finite } = state.real(0)
      const sum = finite === null ? 0 : Number(finite.m) * 2 ** finite.e
      return estimate(2 ** (detail as number), Number(state.n), sum)
    },
  },
}

/** `sum`: of 2^-rank over the `used` of m registers. */
export function estimate(m: number, used: number, sum: number): bigint {
  if (used <= 0) return 0n
  const empty = m - used
  const raw = ((0.7213 / (1 + 1.079 / m)) * m * m) / (sum + empty)
  // Few values: count the empty registers.
  const result = raw <= 2.5 * m && empty > 0 ? m * Math.log(m / empty) : raw
  return BigInt(Math.round(result))
}

/** Counts below, in each of `bins` equal parts of [low, high), and above (NaN too). */
export const histogram: AggregateDefinition = {
  args: [NUMBERS],
  type: () => arrayOf({ type: 'i64', nullable: false }),
  plan: {
    kind: 'linear',
    columns: ([x], detail) => [x, binOf(x, detail as readonly number[])],
    accumulators: (_, detail) => [{ kind: 'bins', at: [1], size: (detail as readonly number[])[2] + 2 }],
    finish: (state, _, detail) => {
      const size = (detail as readonly number[])[2] + 2
      return packArray(
        arrayOf({ type: 'i64', nullable: false }),
        Array.from({ length: size }, (_bin, b) => state.bit(0, b)),
      )
    },
  },
}

/** The bin of x as an f64: 0 below, 1 to `bins` inside, bins + 1 above. */
function binOf(x: Expr, [low, high, bins]: readonly number[]): Expr {
  const number = x.type === 'f64' ? x : call('cast', [x], 'f64')
  const part = call('div', [call('sub', [number, f64(low)], 'f64'), f64((high - low) / bins)], 'f64')
  const inside = math('min', call('add', [math('floor', part), f64(1)], 'f64'), f64(bins))
  const above = call('if', [call('lt', [number, f64(high)], 'bool'), inside, f64(bins + 1)], 'f64')
  const bin = call('if', [call('lt', [number, f64(low)], 'bool'), f64(0), above], 'f64')
  return ifPresent(x, bin)
}
