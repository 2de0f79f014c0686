/**
 * The slow paths of aggregation, called by the templates: sums with bigints, for any weight and size, and the values of
 * aggregates that no template computes.
 */
import * as dyadic from '../src/base/dyadic.js'
import { fromUnits, toUnits } from '../src/base/exact-sum.js'
import type { Accumulated, Linear, Real } from '../src/circuit/aggregates/definition.js'
import { AGGREGATES } from '../src/circuit/aggregates/index.js'
import { decimalMean, sumFits, sumOverflow } from '../src/circuit/aggregates/sums.js'
import type { AggregateFn, AggregateSpec } from '../src/circuit/rel.js'
import { Failure } from '../src/circuit/scalar.js'
import type { Column } from '../src/schema/schema.js'
import { isDecimal, type TypeName, type Value } from '../src/schema/types.js'
import type { Batch } from '../src/zset/batch.js'
import { setCellNull } from '../src/zset/cells.js'
import { type GroupTable, NO_SPILL, type Spill } from '../src/zset/groups.js'
import type { AccumulatorSpec, RecordLayout, Records } from '../src/zset/records.js'
import { writeValue } from './expr/plain.js'

/** An accumulator of a group table: what it sums. */
export interface AccumulatorCode extends AccumulatorSpec {
  /** Outputs of the row program; two for products, none for a tally. */
  readonly arguments: readonly number[]
}

export interface AggregateCode {
  readonly fn: AggregateFn
  readonly spec: AggregateSpec
  /**
   * How its value is written: `count` the word that counts its rows; `int`, `float` a sum or mean; `linear` by its
   * definition; `stored` it is in the table's rows.
   */
  readonly kind: 'count' | 'int' | 'float' | 'linear' | 'stored'
  /** The accumulator that counts the rows which take part; -1 for all rows. */
  readonly values: number
  /** Its accumulators, as its definition lists them. Of stored ones: the tally that fails, or none. */
  readonly parts: readonly number[]
  /** Output column. */
  readonly column: Column
}

/** sum += w * x with a bigint: any weight, any size. Moves what the fast path holds into the spill as needed. */
function spillInt(a: number) {
  return (table: GroupTable, slot: number, w: bigint, x: number | bigint): void =>
    addInteger(table, a, slot, w * BigInt(x))
}

function spillIntProduct(a: number) {
  return (table: GroupTable, slot: number, w: bigint, x: number | bigint, y: number | bigint): void =>
    addInteger(table, a, slot, w * BigInt(x) * BigInt(y))
}

function addInteger(table: GroupTable, a: number, slot: number, term: bigint): void {
  const { record, records } = table
  const sum = slot * record.words + record.fields[a]
  const spill = table.spillOf(a, slot, false)?.units ?? 0n
  const total = records.ints[sum] + spill + term
  const fits = BigInt.asIntN(64, total) === total
  records.ints[sum] = fits ? total : 0n
  if (!fits || spill !== 0n) table.setSpill(a, slot, fits ? undefined : { ...NO_SPILL, units: total })
}

function spillFloat(a: number) {
  return (table: GroupTable, slot: number, w: bigint, x: number): void => {
    const old = table.spillOf(a, slot, false) ?? NO_SPILL
    let { units, nan, plus, minus } = old
    if (Number.isNaN(x)) nan += w
    else if (x === Infinity) plus += w
    else if (x === -Infinity) minus += w
    else units += takeFloats(table, a, slot, 2) + w * toUnits(x)
    setFloatSpill(table, a, slot, old, { units, nan, plus, minus })
  }
}

/** In units of 2^-2148; what is not finite counts as NaN. */
function spillFloatProduct(a: number) {
  return (table: GroupTable, slot: number, w: bigint, x: number, y: number): void => {
    const old = table.spillOf(a, slot, false) ?? NO_SPILL
    let { units, nan } = old
    if (!Number.isFinite(x) || !Number.isFinite(y)) nan += w
    else units += (takeFloats(table, a, slot, 4) << UNIT_BITS) + w * toUnits(x) * toUnits(y)
    setFloatSpill(table, a, slot, old, { ...old, units, nan })
  }
}
const UNIT_BITS = 1074n

/** What the doubles of an accumulator hold, in units of 2^-1074; they hold nothing afterwards. */
function takeFloats({ record, records }: GroupTable, a: number, slot: number, count: number): bigint {
  const at = slot * record.words + record.fields[a]
  let units = 0n
  for (let f = at; f < at + count; f++) {
    units += toUnits(records.floats[f])
    records.floats[f] = 0
  }
  return units
}

function setFloatSpill(table: GroupTable, a: number, slot: number, old: Spill, spill: Spill): void {
  const { units, nan, plus, minus } = spill
  const empty = units === 0n && nan === 0n && plus === 0n && minus === 0n
  if (!empty || old !== NO_SPILL) table.setSpill(a, slot, empty ? undefined : spill)
}

const SPILLS = {
  int: spillInt,
  intProduct: spillIntProduct,
  float: spillFloat,
  floatProduct: spillFloatProduct,
}

/** Adds what the fast path of accumulator `a` could not; null for kinds that have no limits. */
export function spillOf(kind: AccumulatorCode['kind'], a: number) {
  return kind === 'int' || kind === 'intProduct' || kind === 'float' || kind === 'floatProduct' ? SPILLS[kind](a) : null
}

/** The sum of doubles, or what it is if it is not finite. */
function special({ nan, plus, minus }: Spill): number | null {
  const rises = plus > 0n || minus < 0n
  const falls = plus < 0n || minus > 0n
  if (nan !== 0n || (rises && falls)) return Number.NaN
  if (rises) return Infinity
  return falls ? -Infinity : null
}

function exactFloat(high: number, low: number, spill: Spill | undefined): number {
  if (spill === undefined) return high + low
  return special(spill) ?? fromUnits(spill.units + toUnits(high) + toUnits(low))
}

/** The accumulators of one group, now or as they were before the step. */
export class GroupReader implements Accumulated {
  private records: Records
  private base = 0
  private slot = 0
  private old = false

  constructor(
    private readonly table: GroupTable,
    private readonly accumulators: readonly AccumulatorCode[],
    private readonly aggregate: AggregateCode,
  ) {
    this.records = table.records
  }

  at(records: Records, base: number, slot: number, old: boolean): this {
    this.records = records
    this.base = base
    this.slot = slot
    this.old = old
    return this
  }

  get n(): bigint {
    const { record } = this.table
    const { values } = this.aggregate
    return this.records.ints[this.base + (values < 0 ? record.count : record.fields[values])]
  }

  private word(part: number): number {
    return this.base + this.table.record.fields[this.aggregate.parts[part]]
  }

  int(part: number): bigint {
    const spill = this.table.spillOf(this.aggregate.parts[part], this.slot, this.old)
    return this.records.ints[this.word(part)] + (spill?.units ?? 0n)
  }

  real(part: number): Real {
    const a = this.aggregate.parts[part]
    const isProduct = this.accumulators[a].kind === 'floatProduct'
    const spill = this.table.spillOf(a, this.slot, this.old)
    let sum = dyadic.ZERO
    if (spill !== undefined) {
      const odd = special(spill)
      if (odd !== null) return { finite: null, special: odd }
      sum = { m: spill.units, e: isProduct ? -2148 : -1074 }
    }
    const at = this.word(part)
    for (let f = at; f < at + (isProduct ? 4 : 2); f++) sum = dyadic.add(sum, dyadic.ofDouble(this.records.floats[f]))
    return { finite: sum, special: null }
  }

  bit(part: number, bit: number): bigint {
    return this.records.ints[this.word(part) + bit]
  }
}

type Ask<T> = (table: GroupTable, records: Records, base: number, slot: number, old: boolean) => T

/** The value of an aggregate by its definition. Throws Failure. */
function definedValue(accumulators: readonly AccumulatorCode[], aggregate: AggregateCode): Ask<Value> {
  const { spec, fn } = aggregate
  const { plan, total } = AGGREGATES[fn]
  const { finish } = plan as Linear
  const types: TypeName[] = spec.args.map(a => a.type)
  let reader: GroupReader | null = null
  let of: GroupTable | null = null
  return (table, records, base, slot, old) => {
    // A function is shared by tables of one circuit and layout.
    if (of !== table || reader === null) reader = new GroupReader(table, accumulators, aggregate)
    of = table
    const state = reader.at(records, base, slot, old)
    return state.n === 0n && !total ? null : finish(state, types, spec.detail, spec.name)
  }
}

/** Writes the value of an aggregate into row k of `out`. REQUIRES: it exists; for sums and means, there are values. */
export function resultOf(accumulators: readonly AccumulatorCode[], aggregate: AggregateCode, record: RecordLayout) {
  return aggregate.kind === 'linear' ? linearResult(accumulators, aggregate) : sumResult(aggregate, record)
}

function linearResult(accumulators: readonly AccumulatorCode[], aggregate: AggregateCode) {
  const value = definedValue(accumulators, aggregate)
  const { index } = aggregate.column
  return (
    table: GroupTable,
    records: Records,
    base: number,
    slot: number,
    old: boolean,
    out: Batch,
    k: number,
  ): void => {
    // Of this very batch: the code is shared by all schemas that look alike.
    const column = out.layout.schema.columns[index]
    if (column.nullable) setCellNull(out, column, k, false)
    writeValue(out, column, k, value(table, records, base, slot, old))
  }
}

/** What has spilled included. */
function sumResult({ fn, kind, column, parts: [a], values }: AggregateCode, record: RecordLayout) {
  const at = record.fields[a]
  const count = values < 0 ? record.count : record.fields[values]
  return (
    table: GroupTable,
    records: Records,
    base: number,
    slot: number,
    old: boolean,
    out: Batch,
    k: number,
  ): void => {
    const spill = table.spillOf(a, slot, old)
    const sum =
      kind === 'float'
        ? exactFloat(records.floats[base + at], records.floats[base + at + 1], spill)
        : records.ints[base + at] + (spill?.units ?? 0n)
    out.columns[column.index][k] = fn === 'avg' ? Number(sum) / Number(records.ints[base + count]) + 0 : sum
  }
}

/** Whether an aggregate's value may not exist, and why it does not: null if it does. */
export function problemOf(
  accumulators: readonly AccumulatorCode[],
  aggregate: AggregateCode,
  record: RecordLayout,
): { check: 'never' | 'spilled' | 'always'; problem: Ask<string | null> } {
  const { fn, kind, spec, parts, values } = aggregate
  if (kind === 'stored' && parts.length > 0) {
    return {
      check: 'spilled',
      problem: (table, _r, _b, slot, old) => table.spillOf(parts[0], slot, old)?.message ?? null,
    }
  }
  const type = spec.args[0]?.type
  if ((fn === 'sum' && kind === 'int') || ((fn === 'sum' || fn === 'avg') && isDecimal(type))) {
    const at = record.fields[parts[0]]
    const count = values < 0 ? record.count : record.fields[values]
    const problem: Ask<string | null> = (table, records, base, slot, old) => {
      const n = records.ints[base + count]
      if (n === 0n) return null
      const total = records.ints[base + at] + (table.spillOf(parts[0], slot, old)?.units ?? 0n)
      const value = fn === 'sum' ? total : decimalMean(type, total, n)
      return sumFits(type, value) ? null : sumOverflow(fn, type, spec.name)
    }
    return { check: 'spilled', problem }
  }
  const canFail = AGGREGATES[fn].canFail?.(spec.args.map(a => a.type)) === true
  if (kind !== 'linear' || !canFail) return { check: 'never', problem: () => null }
  const value = definedValue(accumulators, aggregate)
  const problem: Ask<string | null> = (...at) => {
    try {
      value(...at)
      return null
    } catch (failure) {
      if (failure instanceof Failure) return failure.message
      throw failure
    }
  }
  return { check: 'always', problem }
}
