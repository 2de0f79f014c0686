/**
 * Reading a relation with a small Z-set laid over it: the state of a snapshot, or what a transaction sees. A store
 * under a packed key just has more runs then. Anything else is read in order as it is, and merged with the overlay
 * row by row.
 */
import { readValue } from '../../codegen/expr/plain.js'
import type { CompiledKernels } from '../../codegen/kernels.js'
import type { Column } from '../schema/schema.js'
import type { Value } from '../schema/types.js'
import { compareValues } from '../schema/values.js'
import { Batch } from '../zset/batch.js'
import { type Bounds, EVERYTHING, keyColumns, type Reader, type RowRef, runsReader, StoreReader } from './read.js'

/** Rows that lie over a relation: runs, asked for by every reading. */
export interface Layer {
  readonly kernels: CompiledKernels
  /** The columns that the relation is read by. */
  readonly key: readonly number[]
  runs(): readonly Batch[]
  /** Counts changes of the runs and of the relation below. */
  version(): number
  /** What is seen may change; else runs and relation move, but their sum stays as it is. */
  readonly written: boolean
}

/** The sum of what `base` and the layer hold. REQUIRES: `base` is read by the layer's key. */
export function readOver(base: Reader, layer: Layer): Reader {
  if (base instanceof StoreReader) return base.with(() => layer.runs())
  return new MergedReader(base, readLayer(layer), layer)
}

/** A layer alone. */
export function readLayer(layer: Layer): Reader {
  const { kernels, key } = layer
  return runsReader(
    kernels,
    key,
    () => layer.runs(),
    () => merged(kernels, layer.runs()),
    () => layer.version(),
  )
}

/** All runs as one consolidated batch. */
function merged(kernels: CompiledKernels, runs: readonly Batch[]): Batch | null {
  let rows = 0
  for (const run of runs) rows += run.length
  if (rows === 0) return null
  const out = new Batch(kernels.layout, rows)
  kernels.mergeAll(runs, out, new Int32Array(runs.length), new Int32Array(runs.length))
  out.order = 'consolidated'
  return out
}

/** Compares whole rows of any layouts by columns in this order: what all readers of a relation sort by. */
export function compareRows(columns: readonly Column[], a: RowRef, b: RowRef): number {
  for (const column of columns) {
    const order = compareValues(column.type, readValue(a.batch, column, a.row), readValue(b.batch, column, b.row))
    if (order !== 0) return order
  }
  return 0
}

class MergedReader implements Reader {
  private readonly columns: readonly Column[]

  constructor(
    private readonly base: Reader,
    private readonly over: Reader,
    { kernels, key }: Layer,
  ) {
    const { schema } = kernels.layout
    this.columns = keyColumns(
      schema,
      key.map(c => schema.columns[c]),
    )
  }

  range(bounds: Bounds): Generator<RowRef> {
    return this.merge(this.base.range(bounds), this.over.range(bounds), bounds.reverse ? -1 : 1)
  }

  find(key: readonly Value[]): Generator<RowRef> {
    return this.merge(this.base.find(key), this.over.find(key), 1)
  }

  private *merge(below: Generator<RowRef>, above: Generator<RowRef>, step: number): Generator<RowRef> {
    let a = below.next()
    let b = above.next()
    while (!a.done && !b.done) {
      const order = compareRows(this.columns, a.value, b.value) * step
      if (order < 0) {
        yield a.value
        a = below.next()
      } else if (order > 0) {
        yield b.value
        b = above.next()
      } else {
        const weight = BigInt.asIntN(64, a.value.weight + b.value.weight)
        if (weight !== 0n) yield { ...a.value, weight }
        a = below.next()
        b = above.next()
      }
    }
    for (; !a.done; a = below.next()) yield a.value
    for (; !b.done; b = above.next()) yield b.value
  }

  size(): { rows: number; weight: bigint } {
    let rows = 0
    let weight = 0n
    for (const ref of this.range(EVERYTHING)) {
      rows++
      weight += ref.weight
    }
    return { rows, weight }
  }
}
