/** Sums and what follows from them: count, sum, avg, booleans, bits, and the user's own. */
import { add, nearest, ofInteger, ZERO } from '../../base/dyadic.js'
import { isDecimal, isFloat, TYPES, type TypeName, type Value } from '../../schema/types.js'
import { canonicalFloat } from '../../schema/values.js'
import type { Expr } from '../expr.js'
import { callUdf } from '../scalar/udf.js'
import { call, FALSE, literal, TRUE } from '../substitute.js'
import type { Accumulated, Accumulator, AggregateDefinition, Linear, UserAggregate } from './definition.js'
import { decimalMean, meanType, sumType } from './sums.js'
import { ANY, BOOLEANS, INTEGERS, isInteger, NUMBERS, SUMMABLE } from './types.js'

/** The kind of an exact sum of values of this type. */
export const sumKind = (type: TypeName): 'int' | 'float' => (isFloat(type) ? 'float' : 'int')
export const sumOf = (types: readonly TypeName[], at: number): Accumulator => ({ kind: sumKind(types[at]), at: [at] })

/** The sum of accumulator `i` as a double, rounded once. */
export function roundedSum(state: Accumulated, type: TypeName, i: number): number {
  if (isInteger(type)) return nearest(ofInteger(state.int(i)))
  const { finite, special } = state.real(i)
  return finite === null ? special : nearest(finite)
}

const sumPlan: Linear = {
  kind: 'linear',
  accumulators: types => [sumOf(types, 0)],
  finish: (state, [type]) => (isFloat(type) ? roundedSum(state, type, 0) : state.int(0)),
}

export const count: AggregateDefinition = {
  args: [ANY],
  optional: true,
  type: () => 'i64',
  total: true,
  plan: { kind: 'linear', accumulators: () => [], finish: state => state.n },
}

/** Exact; a sum of integers must fit i64, one of decimals 38 digits, a sum of floats is rounded once. */
export const sum: AggregateDefinition = {
  args: [SUMMABLE],
  type: ([type]) => sumType(type),
  plan: sumPlan,
  canFail: ([type]) => !isFloat(type),
}

/** The rounded sum, divided; of decimals the exact one. */
export const avg: AggregateDefinition = {
  args: [SUMMABLE],
  type: ([type]) => meanType(type),
  plan: {
    kind: 'linear',
    accumulators: types => [sumOf(types, 0)],
    finish: (state, [type]) =>
      isDecimal(type)
        ? decimalMean(type, state.int(0), state.n)
        : canonicalFloat(roundedSum(state, type, 0) / Number(state.n)),
  },
  // Weights below zero can make a mean greater than all values.
  canFail: ([type]) => isDecimal(type),
}

const when = (condition: Expr): Expr => call('if', [condition, TRUE, literal('bool', null)], 'bool')

/** Counts the rows with one of the truth values. */
const counting = (columns: (x: Expr) => Expr, decide: (n: bigint) => boolean): AggregateDefinition => ({
  args: [BOOLEANS],
  type: () => 'bool',
  plan: {
    kind: 'linear',
    columns: ([x]) => [x, when(columns(x))],
    accumulators: () => [{ kind: 'count', at: [1] }],
    finish: state => decide(state.int(0)),
  },
})

/** No row is false. */
export const boolAnd = counting(
  x => call('is', [x, FALSE], 'bool'),
  falses => falses <= 0n,
)
/** Some row is true. */
export const boolOr = counting(
  x => x,
  trues => trues > 0n,
)

/** Rows are counted bit by bit: `bits` of them decide each bit of the result. */
const bitwise = (isSet: (count: bigint, n: bigint) => boolean): AggregateDefinition => ({
  args: [INTEGERS],
  type: ([type]) => type,
  plan: {
    kind: 'linear',
    accumulators: () => [{ kind: 'bits', at: [0] }],
    finish: (state, [type]) => {
      let bits = 0n
      for (let b = 0; b < bitsOf(type); b++) if (isSet(state.bit(0, b), state.n)) bits |= 1n << BigInt(b)
      return ofBits(type, bits)
    },
  },
})

export const bitsOf = (type: TypeName): number => TYPES[type].sizeBytes * 8

/** An integer of a type by its bits. */
export function ofBits(type: TypeName, bits: bigint): Value {
  const value = TYPES[type].min === 0n ? BigInt.asUintN(bitsOf(type), bits) : BigInt.asIntN(bitsOf(type), bits)
  return TYPES[type].js === 'number' ? Number(value) : value
}

/** A bit is set if it is in every row. */
export const bitAnd = bitwise((c, n) => c >= n)
/** A bit is set if it is in some row. */
export const bitOr = bitwise(c => c > 0n)
/** A bit is set if it is in an odd number of rows. */
export const bitXor: AggregateDefinition = {
  args: [INTEGERS],
  type: ([type]) => type,
  plan: {
    kind: 'linear',
    accumulators: () => [{ kind: 'xor', at: [0] }],
    finish: (state, [type]) => ofBits(type, state.int(0)),
  },
}

/** The user's function of sums: exact while they are summed, doubles or bigints when they get there. */
export const linear: AggregateDefinition = {
  args: [NUMBERS],
  variadic: true,
  type: (_, detail) => (detail as UserAggregate).type,
  partial: true,
  plan: {
    kind: 'linear',
    columns: args => allOrNone(args),
    accumulators: types => types.map((_, at) => sumOf(types, at)),
    finish: (state, types, detail) => {
      const user = detail as UserAggregate
      const sums = types.map((type, i) => (isFloat(type) ? roundedSum(state, type, i) : state.int(i)))
      const sumTypes = types.map((type): TypeName => (isFloat(type) ? 'f64' : 'i64'))
      return callUdf(user, user.type, user.nullable, [...sums, state.n], [...sumTypes, 'i64'])
    },
  },
  canFail: () => true,
}

/** The arguments, all of them NULL where one is. */
export function allOrNone(args: readonly Expr[]): Expr[] {
  const missing = args.filter(a => a.nullable).map(a => call('isNull', [a], 'bool'))
  if (missing.length === 0 || args.length === 1) return [...args]
  const any = missing.length === 1 ? missing[0] : call('or', missing, 'bool')
  return args.map(a => call('if', [any, literal(a.type, null), a], a.type))
}

/** Sums of finite doubles, for those who need them exactly. */
export const finiteOf = (state: Accumulated, types: readonly TypeName[], at: number, i: number) =>
  isInteger(types[at]) ? ofInteger(state.int(i)) : (state.real(i).finite ?? null)
export { add, ZERO }
