/** The code of order-based aggregates: which groups of a delta to look at, and the walks through them. */
import { type Column, flatLayout, type Layout, layoutFingerprint, type RowSchema } from '../src/schema/schema.js'
import type { Batch } from '../src/zset/batch.js'
import type { RecordLayout } from '../src/zset/records.js'
import { hashLanes } from '../src/zset/slots.js'
import { compareGerman } from '../src/zset/strings.js'
import { $compareCells, $compareColumns, $comparePayload } from '../templates/compare.js'
import { $findSlot, $isNull, $reach, reachedExtremes, reachedGroups } from '../templates/groups.js'
import { $lowerBound } from '../templates/seek.js'
import { support } from '../templates/support.js'
import {
  $advance,
  $cut,
  $enter,
  $inGroup,
  $seekFirst,
  $seekLast,
  $skipDown,
  $skipUp,
  $take,
  firstPositive,
  rank,
} from '../templates/walk.js'
import { rowProjector } from './decode.js'
import { type CompiledKernels, isShort } from './kernels.js'
import { keyStatics } from './keys.js'
import { external } from './specialise/types.js'
import { type CodeContext, confirmColumns, make, SourceList } from './steps.js'

/** What every template here knows of the arrangement it reads. */
export function walkStatics(kernels: CompiledKernels, backwards: boolean) {
  const { layout } = kernels
  const compareGroups = (a: Batch, i: number, b: Batch, j: number) => kernels.compareGroups(a, i, b, j)
  const hashed = layout.key.kind === 'hash'
  const { $below, $equal, $notAbove } = keyStatics(layout)
  return {
    layout,
    words: layout.key.words,
    backwards,
    compareGroups: hashed ? external(compareGroups) : null,
    sameGroup: hashed
      ? external((a: Batch, i: number, b: Batch, j: number) => compareGroups(a, i, b, j) === 0, 'sameGroup')
      : null,
    inGroup: $inGroup,
    equal: $equal,
    below: $below,
    notAbove: $notAbove,
    lowerBound: $lowerBound,
    seek: backwards ? $seekLast : $seekFirst,
    skip: backwards ? $skipDown : $skipUp,
    enter: $enter,
    take: $take,
    advance: $advance,
    cut: $cut,
    comparePayload: $comparePayload,
    inlined: isShort(layout),
    compareColumns: $compareColumns,
    compareStrings: external(compareGerman),
    payload: external(
      (a: Batch, i: number, b: Batch, j: number) => kernels.comparePayload(a, i, b, j),
      'comparePayload',
    ),
    compareRows: external((a: Batch, i: number, b: Batch, j: number) => kernels.compareRows(a, i, b, j), 'compareRows'),
    findSlot: $findSlot,
    hash: external(hashLanes, 'hash'),
  }
}

/** Confirms a slot by the group columns, which are `columns` of the slots' rows. */
function confirmSlot({ key, schema }: Layout, rows: Layout, columns: readonly number[]) {
  if (key.kind !== 'hash') return null
  const pairs = key.columns.map((c, k): readonly [Column, Column] => [
    schema.columns[c],
    rows.schema.columns[columns[k]],
  ])
  return external(confirmColumns(pairs), 'sameGroup')
}

export interface ExtremeShape {
  readonly kernels: CompiledKernels
  /** The value's column in the arrangement. */
  readonly value: Column
  /** A column of the groups' rows with its minimum, or null; the same of its maximum. */
  readonly min: Column | null
  readonly max: Column | null
  /** Of the groups' rows: group columns first. */
  readonly schema: RowSchema
  /** Of the group table. */
  readonly record: RecordLayout
}

/** MIN and MAX over one arrangement. REQUIRES: its key columns are its first columns. */
export function extremeCode<Reached, Walk>(context: CodeContext, shape: ExtremeShape) {
  const { kernels, value, min, max, schema, record } = shape
  const { layout } = kernels
  const sources = new SourceList()
  const flat = flatLayout(schema)
  const key = [layoutFingerprint(layout)]
  const reachedKey = [...key, layoutFingerprint(flat), value.index, min?.index, max?.index, record.lanes]
  const walk = (name: string, backwards: boolean) =>
    make<Walk>(context, sources, name, firstPositive, key, () => ({ $w: walkStatics(kernels, backwards) }))
  return {
    reached: make<Reached>(context, sources, 'reachedExtremes', reachedExtremes, reachedKey, () => ({
      $w: {
        ...walkStatics(kernels, false),
        slotLanes: record.keyLanes,
        slotStride: record.lanes,
        confirm: confirmSlot(layout, flat, [...layout.key.columns.keys()]),
        value,
        min,
        max,
        nullWords: schema.nullWords,
        reach: $reach,
        isNull: $isNull,
        compareCells: $compareCells,
      },
    })),
    first: walk('firstPositive', false),
    last: walk('lastPositive', true),
    sources: sources.texts,
  }
}

/** Top-k over one arrangement; what goes out has the columns of `schema`, the first of the arrangement's. */
export function topKCode<Reached, Rank>(context: CodeContext, kernels: CompiledKernels, schema: RowSchema) {
  const { layout } = kernels
  const sources = new SourceList()
  const key = [layoutFingerprint(layout)]
  const project = rowProjector(context, layout, schema, sources)
  const emit = (run: Batch, row: number, out: Batch, change: number): void => {
    out.reserve(1)
    project(run, row, out, out.length)
    // As lanes: making a BigInt of a number takes a call.
    out.weights32[out.length * 2] = change
    out.weights32[out.length * 2 + 1] = Math.floor(change / 4294967296)
    out.length++
  }
  return {
    reached: make<Reached>(context, sources, 'reachedGroups', reachedGroups, key, () => ({
      $w: {
        ...walkStatics(kernels, false),
        slotLanes: layout.key.words * 2,
        slotStride: layout.key.words * 2,
        confirm: confirmSlot(layout, layout, layout.key.columns),
      },
    })),
    rank: make<Rank>(context, sources, 'rank', rank, [...key, layoutFingerprint(flatLayout(schema))], () => ({
      $w: { ...walkStatics(kernels, false), emit: external(emit) },
    })),
    sources: sources.texts,
  }
}

/**
 * Counts derivations of rows of a recursive relation, arranged by the row and then by their last column, the iteration.
 */
export function supportCode<F>(context: CodeContext, kernels: CompiledKernels, delay: 0 | 1) {
  const { layout } = kernels
  const sources = new SourceList()
  const fn = make<F>(context, sources, 'support', support, [layoutFingerprint(layout), delay], () => ({
    $w: {
      ...walkStatics(kernels, false),
      slotLanes: layout.key.words * 2,
      slotStride: layout.key.words * 2,
      confirm: confirmSlot(layout, layout, layout.key.columns),
      iteration: layout.schema.columns.at(-1),
      delay,
    },
  }))
  return { fn, sources: sources.texts }
}
