/**
 * Each row with the next (or previous) value of its group, from an arrangement by (group, value), as one key if that fits,
 * in which no two rows of a group have one value. A row that comes or goes changes what it and the row before it see: for each row of a delta
 * these two are looked at, before and after.
 */
import type { ProjectRow } from '../../../codegen/decode.js'
import { readValue, writeValue } from '../../../codegen/expr/plain.js'
import { type Column, flatLayout, type Layout, type RowSchema, rowSchema } from '../../schema/schema.js'
import { Batch } from '../../zset/batch.js'
import { sameCell } from '../../zset/cells.js'
import type { Kernels } from '../../zset/kernels.js'
import { type Cuttable, goneRows, type Threshold, timeReader } from '../bounded.js'
import type { ArrangeOperator } from './arrange.js'
import { BatchProducer, NO_PARTS, type Operator } from './operator.js'
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

/**
 * Finds places, weights and neighbours of rows in runs. Rows are asked about in ascending order: a search goes on from
 * where the one before it ended.
 */
class Neighbours extends MergeWalk {
  /** By run: where the row is, or would be. */
  private places = new Int32Array(8)
  private searched: readonly Batch[] = NO_RUNS
  private from: Ref = NO_ROW
  /** Bits of the key that tell groups apart; null if the key has nothing else. */
  private readonly mask: Uint32Array | null

  constructor(
    kernels: Kernels,
    private readonly value: Column,
  ) {
    super(kernels)
    this.mask = groupMask(kernels.layout, value)
  }

  begin(runs: readonly Batch[]): void {
    this.searched = runs
    if (runs.length > this.places.length) this.places = new Int32Array(runs.length * 2)
    else this.places.fill(0)
  }

  end(): void {
    this.searched = NO_RUNS
    this.from = NO_ROW
  }

  /** What is asked about next. REQUIRES: no row before the last one. */
  moveTo(ref: Ref): void {
    this.from = ref
    const { searched: runs, places, kernels } = this
    for (let r = 0; r < runs.length; r++) places[r] = placeOf(kernels, runs[r], ref, places[r])
  }

  /** The row's weight over the first `count` runs. */
  weightIn(count: number): bigint {
    const { searched: runs, places, from } = this
    let weight = 0n
    for (let r = 0; r < count; r++) {
      const at = places[r]
      if (at < runs[r].length && this.kernels.compareRows(runs[r], at, from.batch, from.row) === 0) {
        weight += runs[r].weights[at]
      }
    }
    return BigInt.asIntN(64, weight)
  }

  /** The nearest row of the group with another value, and a weight above 0, in the first `count` runs. */
  find(count: number, backwards: boolean): Ref | null {
    const { searched: runs, places, from } = this
    this.reset(backwards)
    for (let r = 0; r < count; r++) {
      const row = backwards ? places[r] - 1 : places[r]
      if (row >= 0 && row < runs[r].length && this.inside(runs[r], row)) this.enter(runs[r], row)
    }
    while (this.next()) {
      const { run, row } = this
      if (run !== null && this.sign > 0 && !this.sameValue(run, row, from)) return { batch: run, row }
    }
    return null
  }

  protected override inside(run: Batch, row: number): boolean {
    return this.sameGroup(run, row, this.from.batch, this.from.row)
  }

  sameGroup(a: Batch, i: number, b: Batch, j: number): boolean {
    const { mask } = this
    if (mask === null) return this.kernels.compareGroups(a, i, b, j) === 0
    const lanes = mask.length
    for (let l = lanes - 1; l >= 0; l--) {
      if (((a.keys32[i * lanes + l] ^ b.keys32[j * lanes + l]) & mask[l]) !== 0) return false
    }
    return true
  }

  /** REQUIRES: rows of one group. */
  private sameValue(run: Batch, row: number, from: Ref): boolean {
    if (this.mask !== null) return this.kernels.compareGroups(run, row, from.batch, from.row) === 0
    return sameCell(run, this.value, row, from.batch, this.value, from.row)
  }
}

const NO_RUNS: readonly Batch[] = []
const NO_ROW: Ref = { batch: new Batch(flatLayout(rowSchema('none', []))), row: 0 }

/** Of a key that ends in the value: the bits before it. */
function groupMask({ key }: Layout, value: Column): Uint32Array | null {
  const last = key.fields[key.fields.length - 1]
  if (last?.column !== value) return null
  const below = last.bits + (value.nullable ? 1 : 0)
  return Uint32Array.from({ length: key.words * 2 }, (_, l) => {
    const cleared = Math.min(32, Math.max(0, below - l * 32))
    return cleared === 32 ? 0 : 0xffffffff << cleared
  })
}

/** The first row of a run that is not before the given one: a search by key from `low`, and then among equal keys. */
function placeOf(kernels: Kernels, run: Batch, { batch, row }: Ref, from: number): number {
  let low = kernels.seek(run, from, batch, row)
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

export class SuccessorOperator extends BatchProducer implements Cuttable {
  readonly kind = 'successor'
  private readonly walk: Neighbours

  constructor(
    private readonly input: ArrangeOperator,
    private readonly shape: SuccessorShape,
    private readonly project: ProjectRow,
    private readonly text: ReadonlyMap<string, string>,
  ) {
    super(flatLayout(shape.schema))
    this.walk = new Neighbours(input.kernels, shape.value)
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
    const runs = [...this.input.before(), delta]
    const before = runs.length - 1
    for (const run of runs) run.willSearch(delta.length)
    const { walk } = this
    const refs = this.reached(delta, runs)
    walk.begin(runs)
    for (const ref of refs) {
      walk.moveTo(ref)
      this.emit(ref, before, -1n)
      this.emit(ref, runs.length, 1n)
    }
    walk.end()
    this.rowsOut += this.out.length
    if (this.out.length > 0) this.wakeConsumers()
  }

  /** The rows of the delta and, before and after it, those that look at them; each once, in order. */
  private reached(delta: Batch, runs: readonly Batch[]): Ref[] {
    const { walk, shape, input } = this
    const refs: Ref[] = []
    walk.begin(runs)
    for (let row = 0; row < delta.length; row++) {
      const ref = { batch: delta, row }
      refs.push(ref)
      walk.moveTo(ref)
      const was = walk.find(runs.length - 1, !shape.backwards)
      const is = walk.find(runs.length, !shape.backwards)
      if (was !== null) refs.push(was)
      if (is !== null && (is.batch !== was?.batch || is.row !== was.row)) refs.push(is)
    }
    const { kernels } = input
    refs.sort((a, b) => kernels.compareRows(a.batch, a.row, b.batch, b.row))
    return refs.filter(
      (ref, i) => i === 0 || kernels.compareRows(ref.batch, ref.row, refs[i - 1].batch, refs[i - 1].row) !== 0,
    )
  }

  /** The row with its neighbour in the first `count` runs, with its weight there times `sign`, if that is above 0. */
  private emit(ref: Ref, count: number, sign: bigint): void {
    const { out, shape, walk } = this
    const weight = walk.weightIn(count)
    if (weight <= 0n) return
    const neighbour = walk.find(count, shape.backwards)
    out.reserve(1)
    const k = out.length
    this.project(ref.batch, ref.row, out, k)
    const { columns } = shape.schema
    const value = neighbour === null ? null : readValue(neighbour.batch, shape.value, neighbour.row)
    writeValue(out, columns[columns.length - 1], k, value)
    out.weights[k] = weight * sign
    out.length = k + 1
  }

  get rowCount(): number {
    return this.input.rowCount
  }

  /**
   * A row stays while no other of its group is between it and those to come: it is the neighbour of one of these.
   * REQUIRES: nobody else reads the arrangement.
   */
  cut(thresholds: readonly Threshold[]): void {
    const { input, shape, walk } = this
    const own = thresholds.find(t => t.column === shape.value.index)
    const groups = thresholds.filter(t => t !== own)
    input.trace.cut(rows => {
      const isGone = goneRows(rows, groups)
      const read = timeReader(rows, shape.value)
      const isPassed = (row: number): boolean =>
        own !== undefined &&
        row + 1 < rows.length &&
        rows.weights[row + 1] > 0n &&
        read(row + 1) < own.least &&
        walk.sameGroup(rows, row, rows, row + 1)
      return row => isGone(row) || isPassed(row)
    })
  }

  parts(): typeof NO_PARTS {
    return NO_PARTS
  }

  override sources(): ReadonlyMap<string, string> {
    return this.text
  }
}
