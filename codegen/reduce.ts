/** The loops of grouped aggregation: accumulate and settle, with everything they need to know of the aggregates. */
import { WeightOverflowError } from '../src/base/errors.js'
import { aggregateKey } from '../src/circuit/nodes.js'
import { flatLayout, type Layout, layoutFingerprint, type RowSchema, rowSchema } from '../src/schema/schema.js'
import { decimalShape, isDecimal, type TypeName } from '../src/schema/types.js'
import type { Batch } from '../src/zset/batch.js'
import type { Present } from '../src/zset/groups.js'
import { type RecordLayout, recordLayout, usedLanes } from '../src/zset/records.js'
import { hashLanes } from '../src/zset/slots.js'
import { compareGerman, copyString } from '../src/zset/strings.js'
import {
  $addBin,
  $addBits,
  $addCount,
  $addFloat,
  $addFloatProduct,
  $addInt,
  $addIntProduct,
  $addRow,
  $addTo,
  $addXor,
  $expand,
  fetchGroups,
  pairsAccumulate,
  scanAccumulate,
} from '../templates/accumulate.js'
import { $compareColumns, comparePayload } from '../templates/compare.js'
import { $copyRow } from '../templates/copy.js'
import { $write, present, settle } from '../templates/settle.js'
import { type AccumulatorCode, type AggregateCode, problemOf, resultOf, spillOf } from './accumulators.js'
import type { Statics } from './build.js'
import { LONG_PRECISION } from './expr/scope.js'
import { moveString } from './kernels.js'
import type { RowOutput } from './rows.js'
import { external } from './specialise/types.js'
import { type CodeContext, loopStatics, make, makeLazily, type PipelineSpec, pipelineKey, SourceList } from './steps.js'

export type { AccumulatorCode, AggregateCode }

export interface ReduceSpec {
  /** Outputs of the pipeline: group columns first, then arguments. */
  readonly pipeline: PipelineSpec
  /** The key of groups over the pipeline's schema. */
  readonly keyLayout: Layout
  readonly keyCount: number
  readonly schema: RowSchema
  /** The output that tells whether a row counts for the existence of its group; -1 if all do. */
  readonly counts: number
  readonly accumulators: readonly AccumulatorCode[]
  readonly aggregates: readonly AggregateCode[]
}

const BIG: readonly TypeName[] = ['i64', 'u64', 'time', 'timestamp', 'timestamptz']

/** Statics of one accumulator. */
function accumulatorStatics(spec: AccumulatorCode, index: number, outputs: readonly RowOutput[], record: RecordLayout) {
  const [first, second = null] = spec.arguments.map(n => outputs[n])
  const spill = spillOf(spec.kind, index)
  return {
    ...spec,
    at: record.fields[index],
    first,
    second,
    isBigInt: BIG.includes(first.type) || isDecimal(first.type),
    isWide: (decimalShape(first.type)?.precision ?? 0) > LONG_PRECISION,
    isSecondBigInt: second !== null && BIG.includes(second.type),
    isUnsigned: first.type === 'u64',
    isSecondUnsigned: second?.type === 'u64',
    spill: spill === null ? null : external(spill as (...args: never[]) => unknown, 'addExactly'),
  }
}

/** Accumulators by the output that must not be NULL. Those that get NULL only, from this feed, are left out. */
function guardsOf({ accumulators, pipeline }: ReduceSpec, outputs: readonly RowOutput[], record: RecordLayout) {
  const guards: { nullable: boolean; test: RowOutput; accumulators: ReturnType<typeof accumulatorStatics>[] }[] = []
  accumulators.forEach((spec, index) => {
    if (spec.kind === 'tally') return
    const [at] = spec.arguments
    const expr = pipeline.exprs[at]
    if (expr.kind === 'literal' && expr.value === null) return
    const test = outputs[at]
    let guard = guards.find(g => g.test === test)
    if (guard === undefined) {
      guard = { nullable: test.nullable, test, accumulators: [] }
      guards.push(guard)
    }
    guard.accumulators.push(accumulatorStatics(spec, index, outputs, record))
  })
  return guards
}

/** Do this feed's rows count for the existence of groups? */
function countsOf({ counts, pipeline }: ReduceSpec): 'always' | 'never' | 'ask' {
  if (counts < 0) return 'always'
  const expr = pipeline.exprs[counts]
  return expr.kind !== 'literal' ? 'ask' : expr.value === true ? 'always' : 'never'
}

/** Statics of one aggregate: constants for the templates, helpers for the slow paths. */
function aggregateStatics(spec: ReduceSpec, aggregate: AggregateCode, record: RecordLayout) {
  const { values, parts, kind } = aggregate
  const { check, problem } = problemOf(spec.accumulators, aggregate, record)
  return {
    ...aggregate,
    counted: values >= 0,
    /** The word that counts the rows with a value. */
    values: values < 0 ? record.count : record.fields[values],
    at: parts.length === 0 ? -1 : record.fields[parts[0]],
    check,
    problem: external(problem, 'problem'),
    result:
      kind === 'stored' || kind === 'count'
        ? null
        : external(resultOf(spec.accumulators, aggregate, record), 'exactResult'),
  }
}

/** What the code of an aggregation depends on, beside its pipeline. */
function reduceKey({ aggregates, accumulators, keyCount, keyLayout, counts }: ReduceSpec): unknown[] {
  return [
    keyCount,
    usedLanes(keyLayout.key),
    counts,
    ...accumulators.map(a => [a.kind, a.bits, a.arguments]),
    // Names are in messages, user functions go by identity.
    ...aggregates.map(a => [aggregateKey(a.spec), a.spec.name, a.kind, a.values, a.parts, a.column.index]),
  ]
}

const recordOf = ({ keyLayout, accumulators }: ReduceSpec): RecordLayout =>
  recordLayout(usedLanes(keyLayout.key), accumulators)

/** Parts of an output row: the group columns, and what the table keeps beside its records. */
function parts({ schema, keyCount, aggregates }: ReduceSpec) {
  const flat = flatLayout(schema)
  const extremes = aggregates.filter(a => a.kind === 'stored').map(a => a.column)
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
    reduceKey(spec),
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
      counts: countsOf(spec),
      counted: spec.counts < 0 ? null : base.$row.outputs[spec.counts],
      guards: guardsOf(spec, base.$row.outputs, record),
      hash: external(hashLanes, 'hash'),
      overflow: external(() => {
        throw new WeightOverflowError(`a group of ${JSON.stringify(context.unit)}`)
      }, 'overflow'),
      copyRow: $copyRow,
      moveString: external(moveString),
      addRow: $addRow,
      addTo: $addTo,
      addCount: $addCount,
      addInt: $addInt,
      addFloat: $addFloat,
      addIntProduct: $addIntProduct,
      addFloatProduct: $addFloatProduct,
      expand: external($expand, 'expand'),
      addBits: $addBits,
      addBin: $addBin,
      addXor: $addXor,
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
  const key = [layoutFingerprint(flat), reduceKey(spec)]
  // Needed only where somebody wants the changes.
  const compare = makeLazily<Compare>(context, sources, 'compareAggregates', comparePayload, key, () =>
    compareStatics({ ...flat, order: aggregateOrder }),
  )
  const $g = {
    ...parts(spec),
    record: recordOf(spec),
    aggregates: spec.aggregates.map(a => aggregateStatics(spec, a, recordOf(spec))),
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
    /** Are there values that may not exist, whether or not anything has spilled? */
    checks: $g.aggregates.some(a => a.check === 'always'),
    present: ((table, from, to) => lazyPresent()(table, from, to)) as Present,
    get sources() {
      return sources.texts
    },
  }
}
