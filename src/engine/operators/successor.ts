/**
 * Each row with the next (or previous) value of its group, from an arrangement by (group, value) in which no two rows of
 * a group have one value. A row that comes or goes changes what it and the row before it see: for each row of a delta
 * these two are looked at, before and after.
 */
import type { ProjectRow } from '../../../codegen/decode.js'
import { readValue, writeValue } from '../../../codegen/expr/plain.js'
import type { Column, Layout, RowSchema } from '../../schema/schema.js'
import { flatLayout } from '../../schema/schema.js'
import { Batch } from '../../zset/batch.js'
import { sameCell } from '../../zset/cells.js'
import type { Kernels } from '../../zset/kernels.js'
import type { ArrangeOperator } from './arrange.js'
import { type Delta, NO_PARTS, type Operator, Producer } from './operator.js'
import { MergeWalk } from './walk.js'

export interface SuccessorShape {
  /** The value's column in the arrangement. */
  readonly value: Column
  readonly backwards: boolean
  /** Of what comes out: the arrangement's columns, and the neighbour's value. */
  readonly schema: RowSchema
}

/** A row where it lies. */
interface Ref {
  readonly batch: Batch
  readonly row: number
}

/** The nearest row of the same group with another value. */
class NeighbourWalk extends MergeWalk {
  private from: Ref | null = null

  constructor(
    kernels: Kernels,
    private readonly value: Column,
  ) {
    super(kernels)
  }

  protected override inside(run: Batch, row: number): boolean {
    const { from } = this
    return from !== null && this.kernels.compareGroups(run, row, from.batch, from.row) === 0
  }

  find(from: Ref, runs: readonly Batch[], backwards: boolean): Ref | null {
    this.from = from
    this.reset(backwards)
    for (const run of runs) {
      const at = placeOf(this.kernels, run, from)
      const row = backwards ? at - 1 : at
      if (row >= 0 && row < run.length && this.inside(run, row)) this.enter(run, row)
    }
    while (this.next()) {
      const { run, row, value } = this
      if (run === null || this.sign <= 0) continue
      if (!sameCell(run, value, row, from.batch, value, from.row)) return { batch: run, row }
    }
    return null
  }
}

/** The first row of a run that is not before the given one: a search by key, and then within the group. */
function placeOf(kernels: Kernels, run: Batch, { batch, row }: Ref): number {
  let low = kernels.seek(run, 0, batch, row)
  let high = low
  for (let step = 1; high < run.length && kernels.compareRows(run, high, batch, row) < 0; step *= 2) {
    low = high + 1
    high += step
  }
  high = Math.min(high, run.length)
  while (low < high) {
    const middle = (low + high) >>> 1
    if (kernels.compareRows(run, middle, batch, row) < 0) low = middle + 1
    else high = middle
  }
  return low
}

export class SuccessorOperator extends Producer {
  readonly kind = 'successor'
  private readonly out: Batch
  private readonly walk: NeighbourWalk

  constructor(
    private readonly input: ArrangeOperator,
    private readonly shape: SuccessorShape,
    private readonly project: ProjectRow,
    private readonly text: ReadonlyMap<string, string>,
  ) {
    super()
    this.out = new Batch(flatLayout(shape.schema))
    this.walk = new NeighbourWalk(input.kernels, shape.value)
  }

  describe(): string[] {
    return [`${this.shape.backwards ? 'previous' : 'next'} ${this.shape.value.name}`]
  }

  inputs(): readonly Operator[] {
    return [this.input]
  }

  step(): void {
    const delta = this.input.delta()
    if (delta === null) return
    this.rowsIn += delta.length
    const before = this.input.before()
    const after = [...before, delta]
    for (const ref of this.reached(delta, before, after)) {
      this.emit(ref, before, -1n)
      this.emit(ref, after, 1n)
    }
    this.rowsOut += this.out.length
    if (this.out.length > 0) this.wakeConsumers()
  }

  /** The rows of the delta and, before and after it, those that look at them; each once. */
  private reached(delta: Batch, before: readonly Batch[], after: readonly Batch[]): Ref[] {
    const { walk, shape, input } = this
    const refs: Ref[] = []
    const add = (ref: Ref | null): void => {
      if (ref !== null) refs.push(ref)
    }
    for (let row = 0; row < delta.length; row++) {
      const ref = { batch: delta, row }
      add(ref)
      add(walk.find(ref, before, !shape.backwards))
      add(walk.find(ref, after, !shape.backwards))
    }
    const { kernels } = input
    refs.sort((a, b) => kernels.compareRows(a.batch, a.row, b.batch, b.row))
    return refs.filter(
      (ref, i) => i === 0 || kernels.compareRows(ref.batch, ref.row, refs[i - 1].batch, refs[i - 1].row) !== 0,
    )
  }

  /** The row with its neighbour among `runs`, with its weight there times `sign`, if that weight is above 0. */
  private emit(ref: Ref, runs: readonly Batch[], sign: bigint): void {
    const { out, shape, walk } = this
    const weight = this.weightOf(ref, runs)
    if (weight <= 0n) return
    const neighbour = walk.find(ref, runs, shape.backwards)
    out.reserve(1)
    const k = out.length
    this.project(ref.batch, ref.row, out, k)
    const { columns } = shape.schema
    const value = neighbour === null ? null : readValue(neighbour.batch, shape.value, neighbour.row)
    writeValue(out, columns[columns.length - 1], k, value)
    out.weights[k] = weight * sign
    out.length = k + 1
  }

  private weightOf(ref: Ref, runs: readonly Batch[]): bigint {
    const { kernels } = this.input
    let weight = 0n
    for (const run of runs) {
      const at = placeOf(kernels, run, ref)
      if (at < run.length && kernels.compareRows(run, at, ref.batch, ref.row) === 0) weight += run.weights[at]
    }
    return BigInt.asIntN(64, weight)
  }

  get layout(): Layout {
    return this.out.layout
  }

  protected current(): Delta | null {
    return this.out.length === 0 ? null : { batch: this.out, from: 0, to: this.out.length }
  }

  contents(): Delta[] {
    return []
  }

  commit(): void {
    this.out.clear()
  }

  abort(): void {
    this.out.clear()
  }

  parts(): typeof NO_PARTS {
    return NO_PARTS
  }

  override sources(): ReadonlyMap<string, string> {
    return this.text
  }
}
