/**
 * Reading an index in its order. Bounds are values of the first terms. Where a walk begins is found by the key words
 * first (compiled `seek`), and by the terms themselves from there on: keys may hold but a prefix of what they stand for.
 */
import { keyLanesOf, readValue } from '../../../codegen/expr/plain.js'
import type { CompiledKernels } from '../../../codegen/kernels.js'
import { prefix } from '../../circuit/scalar.js'
import type { Value } from '../../schema/types.js'
import { compareValues } from '../../schema/values.js'
import { Batch } from '../../zset/batch.js'
import type { Trace } from '../../zset/trace.js'
import { MergeWalk } from '../operators/walk.js'
import { type Bounds, EVERYTHING, gallop, type Reader, type RowRef, sizeOf, walkRows } from '../read.js'
import type { IndexPlan, TermColumn } from './plan.js'

type Values = readonly Value[]

export class IndexReader implements Reader {
  private readonly probe: Batch

  constructor(
    private readonly trace: Trace,
    private readonly kernels: CompiledKernels,
    private readonly plan: IndexPlan,
  ) {
    this.probe = new Batch(kernels.layout, 1)
  }

  *range({ from, to, after, reverse }: Bounds): Generator<RowRef> {
    const turned = this.plan.reversed
    // In the direction of the arrangement.
    const backwards = reverse !== turned
    const [low, high] = turned ? [to, from] : [from, to]
    const walk = new IndexWalk(this.kernels, backwards, row => this.isBeyond(row, backwards ? low : high, backwards))
    for (const run of this.trace.batches()) walk.begin(run, this.startOf(run, low, high, after, backwards))
    yield* walkRows(walk)
  }

  find(key: Values): Generator<RowRef> {
    return this.range({ from: key, to: key, after: null, reverse: false })
  }

  size(): { rows: number; weight: bigint } {
    return sizeOf(this.range(EVERYTHING))
  }

  /** The first row of a run, in the direction of the walk, that is not before its bounds. */
  private startOf(
    run: Batch,
    low: Values | null,
    high: Values | null,
    after: Values | null,
    backwards: boolean,
  ): number {
    if (backwards) {
      const end = high === null ? run.length : this.position(run, high, true)
      return Math.min(end, after === null ? run.length : this.position(run, after, false)) - 1
    }
    const start = low === null ? 0 : this.position(run, low, false)
    return Math.max(start, after === null ? 0 : this.position(run, after, true))
  }

  /** How many rows of a run come before the bound; rows that begin with it count as well if `through`. */
  private position(run: Batch, bound: Values, through: boolean): number {
    const before = (row: number): boolean => {
      const order = this.compare({ run, row }, bound)
      return order < 0 || (through && order === 0)
    }
    this.probe.keys32.set(this.lanes(bound, through))
    const hint = this.kernels.seek(run, 0, this.probe, 0)
    return gallop(run.length, hint, before)
  }

  /** Key words of the bound; what it leaves open is all zeros or, `through`, all ones. */
  private lanes(bound: Values, through: boolean): number[] {
    const { layout } = this.kernels
    const { key, terms } = this.plan
    const values: Value[] = layout.schema.columns.map(() => null)
    const open = { bits: 0 }
    key.forEach((column, k) => {
      const field = layout.key.fields[k]
      const below = layout.key.words * 64 - field.fromBit
      if (k >= bound.length) open.bits ||= below + (field.column.nullable ? 1 : 0)
      else if (column === terms[k].index) values[column] = bound[k]
      else values[column] = prefixOf(layout.schema.columns[terms[k].index].type, bound[k])
    })
    const lanes = keyLanesOf(layout, values)
    if (through) {
      for (let bit = 0; bit < open.bits; bit++) lanes[bit >> 5] = (lanes[bit >> 5] | (1 << (bit & 31))) >>> 0
    }
    return lanes
  }

  /** Compares a row with the values of the first terms, in the arrangement's direction. */
  private compare({ run, row }: { run: Batch; row: number }, bound: Values): number {
    const { columns } = this.kernels.layout.schema
    for (let k = 0; k < bound.length; k++) {
      const { index, descending }: TermColumn = this.plan.terms[k]
      const order = compareValues(columns[index].type, readValue(run, columns[index], row), bound[k])
      if (order !== 0) return descending ? -order : order
    }
    return 0
  }

  private isBeyond(at: { run: Batch; row: number }, bound: Values | null, backwards: boolean): boolean {
    if (bound === null) return false
    const order = this.compare(at, bound)
    return backwards ? order < 0 : order > 0
  }
}

function prefixOf(type: Parameters<typeof prefix>[0], value: Value): Value {
  return value === null ? null : prefix(type, value as string | Uint8Array | bigint)
}

class IndexWalk extends MergeWalk {
  constructor(
    kernels: CompiledKernels,
    backwards: boolean,
    private readonly beyond: (at: { run: Batch; row: number }) => boolean,
  ) {
    super(kernels)
    this.reset(backwards)
  }

  begin(run: Batch, row: number): void {
    if (row >= 0 && row < run.length && this.inside(run, row)) this.enter(run, row)
  }

  protected override inside(run: Batch, row: number): boolean {
    return !this.beyond({ run, row })
  }
}
