/** The loops of grouped aggregation: accumulate and settle, with everything they need to know of the aggregates. */
import { WeightOverflowError } from '../src/base/errors.js'
import { fromUnits, toUnits } from '../src/base/exact-sum.js'
import { type Column, flatLayout, type Layout, layoutFingerprint, type RowSchema } from '../src/schema/schema.js'
import type { Batch } from '../src/zset/batch.js'
import { setCellNull } from '../src/zset/cells.js'
import type { GroupTable, Spill } from '../src/zset/groups.js'
import { hashLanes } from '../src/zset/slots.js'
import { compareGerman, copyString } from '../src/zset/strings.js'
import { $addFloat, $addInt, $addRow, pairsAccumulate, scanAccumulate } from '../templates/accumulate.js'
import { $compareColumns, comparePayload } from '../templates/compare.js'
import { $copyRow, copyRow } from '../templates/copy.js'
import { $write, settle } from '../templates/settle.js'
import { moveString } from './kernels.js'
import type { RowOutput } from './rows.js'
import { external, type Macro } from './specialise/types.js'
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
function aggregateStatics(spec: AggregateCode, index: number, output: RowOutput | null) {
  const isBigInt = output !== null && ['i64', 'u64', 'time', 'timestamp', 'timestamptz'].includes(output.type)
  const add = spec.kind === 'int' ? spillInt(index) : spillFloat(index)
  return {
    ...spec,
    index,
    argument: output,
    isBigInt,
    isUnsigned: output?.type === 'u64',
    spill: external(add, 'addExactly'),
    result: external(exactResult(spec, index), 'exactResult'),
    average: external(average(spec, index), 'average'),
  }
}

/** sum += w * x with a bigint: any weight, any size. Moves what the fast path holds into the spill as needed. */
function spillInt(a: number) {
  return (table: GroupTable, slot: number, w: bigint, x: number | bigint): void => {
    const spill = table.spills[a].get(slot)?.units ?? 0n
    const total = table.sums[a][slot] + spill + w * BigInt(x)
    const fits = BigInt.asIntN(64, total) === total
    table.sums[a][slot] = fits ? total : 0n
    table.setSpill(a, slot, fits ? undefined : { ...NO_SPILL, units: total })
  }
}

function spillFloat(a: number) {
  return (table: GroupTable, slot: number, w: bigint, x: number): void => {
    const old = table.spills[a].get(slot) ?? NO_SPILL
    let { units, nan, plus, minus } = old
    if (Number.isNaN(x)) nan += w
    else if (x === Infinity) plus += w
    else if (x === -Infinity) minus += w
    else {
      units += toUnits(table.highs[a][slot]) + toUnits(table.lows[a][slot]) + w * toUnits(x)
      table.highs[a][slot] = 0
      table.lows[a][slot] = 0
    }
    const empty = units === 0n && nan === 0n && plus === 0n && minus === 0n
    table.setSpill(a, slot, empty ? undefined : { units, nan, plus, minus })
  }
}

function exactFloat(table: GroupTable, a: number, slot: number): number {
  const high = table.highs[a][slot]
  const low = table.lows[a][slot]
  const spill = table.spills[a].get(slot)
  if (spill === undefined) return high + low
  const { nan, plus, minus } = spill
  const rises = plus > 0n || minus < 0n
  const falls = plus < 0n || minus > 0n
  if (nan !== 0n || (rises && falls)) return Number.NaN
  if (rises) return Infinity
  if (falls) return -Infinity
  return fromUnits(spill.units + toUnits(high) + toUnits(low))
}

const exactInt = (table: GroupTable, a: number, slot: number): bigint =>
  table.sums[a][slot] + (table.spills[a].get(slot)?.units ?? 0n)

const valuesOf = (spec: AggregateCode, table: GroupTable, a: number, slot: number): bigint =>
  spec.counted ? table.valid[a][slot] : table.counts[slot]

/** Writes sum or avg where sums have spilled. Returns 0 if an integer sum is beyond i64. */
function exactResult(spec: AggregateCode, a: number) {
  return (table: GroupTable, rows: Batch, slot: number): number => {
    if (spec.fn === 'avg') {
      average(spec, a)(table, rows, slot)
      return 1
    }
    const cells = rows.columns[spec.column.index]
    if (spec.kind === 'float') {
      cells[slot] = exactFloat(table, a, slot)
      return 1
    }
    const total = exactInt(table, a, slot)
    cells[slot] = total
    return BigInt.asIntN(64, total) === total ? 1 : 0
  }
}

function average(spec: AggregateCode, a: number) {
  return (table: GroupTable, rows: Batch, slot: number): void => {
    const count = Number(valuesOf(spec, table, a, slot))
    const sum = spec.kind === 'float' ? exactFloat(table, a, slot) : Number(exactInt(table, a, slot))
    rows.columns[spec.column.index][slot] = sum / count + 0
    if (spec.column.nullable) setCellNull(rows, spec.column, slot, false)
  }
}

/** What the code of an aggregation depends on, beside its pipeline. */
function aggregateKey({ aggregates, keyCount }: ReduceSpec): unknown[] {
  return [keyCount, ...aggregates.map(a => [a.fn, a.kind, a.counted, a.argument, a.column.index])]
}

/** The loops that feed a group table. */
export function accumulateCode(context: CodeContext, spec: ReduceSpec) {
  const sources = new SourceList()
  const { pipeline, keyLayout, keyCount, schema } = spec
  const flat = flatLayout(schema)
  const keyOrder = schema.columns.slice(0, keyCount).map(column => ({ column, descending: false }))
  const key = (inputs: readonly Layout[]) => [
    ...pipelineKey(pipeline),
    [...inputs, keyLayout, flat].map(layoutFingerprint),
    aggregateKey(spec),
  ]
  const hashed = keyLayout.key.kind === 'hash'
  // Announced here, not where the loop is: a loop that was made before still has to show it among its sources.
  const compareKeys = hashed
    ? lazyCompare(context, sources, 'compareGroupColumns', { ...flat, order: keyOrder }, [
        layoutFingerprint(flat),
        keyCount,
      ])
    : null
  const statics = (inputs: readonly Layout[]) => {
    const base = loopStatics(context, pipeline, inputs)
    const columns = keyOrder.map((_, k) => ({ output: k, target: k }))
    const $g = {
      words: keyLayout.key.words,
      key: base.$row.keyLanes(keyLayout),
      hashed,
      compareKeys,
      storeGroup: base.$row.storeColumns,
      groupColumns: { layout: flat, columns },
      aggregates: spec.aggregates.map((a, i) =>
        aggregateStatics(a, i, a.argument < 0 ? null : base.$row.outputs[a.argument]),
      ),
      hash: external(hashLanes, 'hash'),
      overflow: external(() => {
        throw new WeightOverflowError(`a group of ${JSON.stringify(context.unit)}`)
      }, 'overflow'),
      copyRow: $copyRow,
      flat,
      moveString: external(moveString),
      addRow: $addRow,
      addInt: $addInt,
      addFloat: $addFloat,
    }
    return { ...base, $g }
  }
  return {
    get sources() {
      return sources.texts
    },
    scan: <F>(input: Layout): F =>
      make<F>(context, sources, 'accumulateRows', scanAccumulate, key([input]), () => statics([input])),
    pairs: <F>(left: Layout, right: Layout): F =>
      make<F>(context, sources, 'accumulatePairs', pairsAccumulate, key([left, right]), () => statics([left, right])),
  }
}

type Compare = (a: Batch, i: number, b: Batch, j: number) => number

/** Comparison of rows by the columns of `layout.order`, compiled when two rows are first compared. */
function lazyCompare(
  context: CodeContext,
  sources: SourceList,
  name: string,
  layout: Layout,
  key: readonly unknown[],
): Compare & Macro {
  const compare = makeLazily<Compare>(context, sources, name, comparePayload, key, () => ({
    $layout: layout,
    $compareColumns,
    $compareStrings: external(compareGerman),
  }))
  return external((a: Batch, i: number, b: Batch, j: number) => compare()(a, i, b, j), name)
}

/** The end of a step: output rows of touched groups. */
export function settleCode<F, R extends Restore>(context: CodeContext, spec: ReduceSpec) {
  const sources = new SourceList()
  const flat = flatLayout(spec.schema)
  const aggregateOrder = spec.aggregates.map(({ column }) => ({ column, descending: false }))
  const key = [layoutFingerprint(flat), aggregateKey(spec)]
  // Announced here for the same reason as `compareKeys` above.
  const compare = lazyCompare(context, sources, 'compareAggregates', { ...flat, order: aggregateOrder }, key)
  const statics = () => ({
    $g: {
      aggregates: spec.aggregates.map((a, i) => aggregateStatics(a, i, null)),
      always: spec.keyCount === 0,
      flat,
      write: $write,
      compare,
      copyRow: $copyRow,
      copyString: external(copyString),
    },
  })
  const restore = makeLazily<R>(context, sources, 'restoreRow', copyRow, [layoutFingerprint(flat)], () => ({
    $layout: flat,
    $copyRow,
    $copyString: external(moveString),
  }))
  return {
    settle: make<F>(context, sources, 'settle', settle, key, statics),
    restoreRow: ((from, i, to, k) => restore()(from, i, to, k)) as R,
    get sources() {
      return sources.texts
    },
  }
}

type Restore = (from: Batch, i: number, to: Batch, k: number) => void
