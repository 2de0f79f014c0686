/** The loops of grouped aggregation: accumulate and settle, with everything they need to know of the aggregates. */
import { WeightOverflowError } from '../src/base/errors.js'
import { fromUnits, toUnits } from '../src/base/exact-sum.js'
import {
  type Column,
  flatLayout,
  type Layout,
  layoutFingerprint,
  type RowSchema,
  rowSchema,
} from '../src/schema/schema.js'
import type { Batch } from '../src/zset/batch.js'
import type { GroupTable, Present, Spill } from '../src/zset/groups.js'
import { type RecordLayout, type Records, recordLayout, usedLanes } from '../src/zset/records.js'
import { hashLanes } from '../src/zset/slots.js'
import { compareGerman, copyString } from '../src/zset/strings.js'
import { $addFloat, $addInt, $addRow, fetchGroups, pairsAccumulate, scanAccumulate } from '../templates/accumulate.js'
import { $compareColumns, comparePayload } from '../templates/compare.js'
import { $copyRow } from '../templates/copy.js'
import { $write, present, settle } from '../templates/settle.js'
import type { Statics } from './build.js'
import { moveString } from './kernels.js'
import type { RowOutput } from './rows.js'
import { external } from './specialise/types.js'
import { type CodeContext, loopStatics, make, makeLazily, type PipelineSpec, pipelineKey, SourceList } from './steps.js'

export interface AggregateCode {
  readonly fn: 'count' | 'sum' | 'avg' | 'min' | 'max'
  readonly kind: 'count' | 'int' | 'float' | 'extreme'
  /** The argument may be NULL. */
  readonly counted: boolean
  /** Output of the row program that is the argument; -1 for count(*). */
  readonly argument: number
  /** Output column. */
  readonly column: Column
}

export interface ReduceSpec {
  /** Outputs of the pipeline: group columns first, then arguments. */
  readonly pipeline: PipelineSpec
  /** The key of groups over the pipeline's schema. */
  readonly keyLayout: Layout
  readonly keyCount: number
  readonly schema: RowSchema
  readonly aggregates: readonly AggregateCode[]
}

const NO_SPILL: Spill = Object.freeze({ units: 0n, nan: 0n, plus: 0n, minus: 0n })

/** Statics of one aggregate: constants for the templates, helpers for the slow paths. */
function aggregateStatics(spec: AggregateCode, index: number, output: RowOutput | null, record: RecordLayout) {
  const isBigInt = output !== null && ['i64', 'u64', 'time', 'timestamp', 'timestamptz'].includes(output.type)
  const at = record.fields[index]
  const values = spec.counted ? at.valid : record.count
  const add = spec.kind === 'int' ? spillInt(index) : spillFloat(index)
  return {
    ...spec,
    index,
    argument: output,
    isBigInt,
    isUnsigned: output?.type === 'u64',
    at,
    /** The word that counts the rows with a value. */
    values,
    spill: external(add, 'addExactly'),
    fits: external(fits(index, values), 'fits'),
    result: external(exactResult(spec, index, values), 'exactResult'),
  }
}

/** sum += w * x with a bigint: any weight, any size. Moves what the fast path holds into the spill as needed. */
function spillInt(a: number) {
  return (table: GroupTable, slot: number, w: bigint, x: number | bigint): void => {
    const { record, records } = table
    const sum = slot * record.words + record.fields[a].sum
    const spill = table.spillOf(a, slot, false)?.units ?? 0n
    const total = records.ints[sum] + spill + w * BigInt(x)
    const fits = BigInt.asIntN(64, total) === total
    records.ints[sum] = fits ? total : 0n
    if (!fits || spill !== 0n) table.setSpill(a, slot, fits ? undefined : { ...NO_SPILL, units: total })
  }
}

function spillFloat(a: number) {
  return (table: GroupTable, slot: number, w: bigint, x: number): void => {
    const { record, records } = table
    const base = slot * record.words
    const { high, low } = record.fields[a]
    const old = table.spillOf(a, slot, false) ?? NO_SPILL
    let { units, nan, plus, minus } = old
    if (Number.isNaN(x)) nan += w
    else if (x === Infinity) plus += w
    else if (x === -Infinity) minus += w
    else {
      units += toUnits(records.floats[base + high]) + toUnits(records.floats[base + low]) + w * toUnits(x)
      records.floats[base + high] = 0
      records.floats[base + low] = 0
    }
    const empty = units === 0n && nan === 0n && plus === 0n && minus === 0n
    if (!empty || old !== NO_SPILL) table.setSpill(a, slot, empty ? undefined : { units, nan, plus, minus })
  }
}

function exactFloat(high: number, low: number, spill: Spill | undefined): number {
  if (spill === undefined) return high + low
  const { nan, plus, minus } = spill
  const rises = plus > 0n || minus < 0n
  const falls = plus < 0n || minus > 0n
  if (nan !== 0n || (rises && falls)) return Number.NaN
  if (rises) return Infinity
  if (falls) return -Infinity
  return fromUnits(spill.units + toUnits(high) + toUnits(low))
}

function exactInt(table: GroupTable, a: number, records: Records, base: number, slot: number, old: boolean): bigint {
  return records.ints[base + table.record.fields[a].sum] + (table.spillOf(a, slot, old)?.units ?? 0n)
}

/** Returns 0 if an integer sum of some values is beyond i64, else 1. */
function fits(a: number, values: number) {
  return (table: GroupTable, records: Records, base: number, slot: number, old: boolean): number => {
    if (records.ints[base + values] === 0n) return 1
    const total = exactInt(table, a, records, base, slot, old)
    return BigInt.asIntN(64, total) === total ? 1 : 0
  }
}

/** Writes a sum or average into row k of `out`, what has spilled included. REQUIRES: there are values; it fits. */
function exactResult({ fn, kind, column }: AggregateCode, a: number, values: number) {
  return (
    table: GroupTable,
    records: Records,
    base: number,
    slot: number,
    old: boolean,
    out: Batch,
    k: number,
  ): void => {
    const { high, low } = table.record.fields[a]
    const sum =
      kind === 'float'
        ? exactFloat(records.floats[base + high], records.floats[base + low], table.spillOf(a, slot, old))
        : exactInt(table, a, records, base, slot, old)
    out.columns[column.index][k] = fn === 'avg' ? Number(sum) / Number(records.ints[base + values]) + 0 : sum
  }
}

/** What the code of an aggregation depends on, beside its pipeline. */
function aggregateKey({ aggregates, keyCount, keyLayout }: ReduceSpec): unknown[] {
  return [
    keyCount,
    usedLanes(keyLayout.key),
    ...aggregates.map(a => [a.fn, a.kind, a.counted, a.argument, a.column.index]),
  ]
}

const recordOf = ({ keyLayout, aggregates }: ReduceSpec): RecordLayout =>
  recordLayout(usedLanes(keyLayout.key), aggregates)

/** Parts of an output row: the group columns, and what the table keeps beside its records. */
function parts({ schema, keyCount, aggregates }: ReduceSpec) {
  const flat = flatLayout(schema)
  const extremes = aggregates.filter(a => a.kind === 'extreme').map(a => a.column)
  return {
    flat,
    group: { ...flat, stored: schema.columns.slice(0, keyCount) },
    extremes: { ...flat, stored: extremes },
  }
}

/** The loops that feed a group table. */
export function accumulateCode(context: CodeContext, spec: ReduceSpec) {
  const sources = new SourceList()
  const { pipeline, keyLayout, keyCount, schema } = spec
  const flat = flatLayout(schema)
  const record = recordOf(spec)
  const keyOrder = schema.columns.slice(0, keyCount).map(column => ({ column, descending: false }))
  const key = (inputs: readonly Layout[]) => [
    ...pipelineKey(pipeline),
    [...inputs, keyLayout, flat].map(layoutFingerprint),
    aggregateKey(spec),
  ]
  const hashed = keyLayout.key.kind === 'hash'
  // Made here, not where the loop is: a loop that was made before still has to show it among its sources.
  const compareKeys = hashed
    ? external(
        make<Compare>(
          context,
          sources,
          'compareGroupColumns',
          comparePayload,
          [layoutFingerprint(flat), keyCount],
          () => compareStatics({ ...flat, order: keyOrder }),
        ),
        'compareGroupColumns',
      )
    : null
  const statics = (inputs: readonly Layout[]) => {
    const base = loopStatics(context, pipeline, inputs)
    const columns = keyOrder.map((_, k) => ({ output: k, target: k }))
    const $g = {
      ...parts(spec),
      record,
      key: base.$row.keyLanes(keyLayout),
      hashed,
      compareKeys,
      storeGroup: base.$row.storeColumns,
      groupColumns: { layout: flat, columns },
      aggregates: spec.aggregates.map((a, i) =>
        aggregateStatics(a, i, a.argument < 0 ? null : base.$row.outputs[a.argument], record),
      ),
      hash: external(hashLanes, 'hash'),
      overflow: external(() => {
        throw new WeightOverflowError(`a group of ${JSON.stringify(context.unit)}`)
      }, 'overflow'),
      copyRow: $copyRow,
      moveString: external(moveString),
      addRow: $addRow,
      addInt: $addInt,
      addFloat: $addFloat,
    }
    return { ...base, $g }
  }
  // Worth it only where a key costs next to nothing to compute twice.
  const fetches = !hashed && pipeline.exprs.slice(0, keyCount).every(e => e.kind === 'column')
  const fetchStatics = (input: Layout) => {
    const columns = pipeline.schema.columns.slice(0, keyCount)
    const exprs = pipeline.exprs.slice(0, keyCount)
    const keys = { filter: null, exprs, schema: rowSchema(schema.name, columns), negate: false }
    const { $row } = loopStatics(context, keys, [input])
    return { $row, $g: { record, key: $row.keyLanes(keyLayout), hash: external(hashLanes, 'hash') } }
  }
  return {
    get sources() {
      return sources.texts
    },
    scan: <F>(input: Layout): F =>
      make<F>(context, sources, 'accumulateRows', scanAccumulate, key([input]), () => statics([input])),
    /** A loop that brings the groups of rows nearer before they are added; null where that would not pay. */
    fetch: <F>(input: Layout): F | null =>
      fetches ? make<F>(context, sources, 'fetchGroups', fetchGroups, key([input]), () => fetchStatics(input)) : null,
    pairs: <F>(left: Layout, right: Layout): F =>
      make<F>(context, sources, 'accumulatePairs', pairsAccumulate, key([left, right]), () => statics([left, right])),
  }
}

type Compare = (a: Batch, i: number, b: Batch, j: number) => number

/** For comparing rows by the columns of `layout.order`. */
const compareStatics = (layout: Layout): Statics => ({
  $layout: layout,
  $compareColumns,
  $compareStrings: external(compareGerman),
})

/** What a group table gives out: the changes of a step, and rows for readers. */
export function settleCode<F>(context: CodeContext, spec: ReduceSpec) {
  const sources = new SourceList()
  const flat = flatLayout(spec.schema)
  const aggregateOrder = spec.aggregates.map(({ column }) => ({ column, descending: false }))
  const key = [layoutFingerprint(flat), aggregateKey(spec)]
  // Needed only where somebody wants the changes.
  const compare = makeLazily<Compare>(context, sources, 'compareAggregates', comparePayload, key, () =>
    compareStatics({ ...flat, order: aggregateOrder }),
  )
  const $g = {
    ...parts(spec),
    record: recordOf(spec),
    aggregates: spec.aggregates.map((a, i) => aggregateStatics(a, i, null, recordOf(spec))),
    always: spec.keyCount === 0,
    write: $write,
    sameRow: external(
      (a: Batch, i: number, b: Batch, j: number) => (compare()(a, i, b, j) === 0 ? 1 : 0),
      'sameAggregates',
    ),
    copyRow: $copyRow,
    copyString: external(copyString),
  }
  const lazyPresent = makeLazily<Present>(context, sources, 'present', present, key, () => ({ $g }))
  return {
    settle: make<F>(context, sources, 'settle', settle, key, () => ({ $g })),
    present: ((table, from, to) => lazyPresent()(table, from, to)) as Present,
    get sources() {
      return sources.texts
    },
  }
}
