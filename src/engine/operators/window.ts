/**
 * Window functions. The input is arranged by partition and order; what a step changes is found from the changed rows:
 * around each, the rows whose outputs it can reach are read off the runs (`window/assembly.ts`), together with what
 * their frames hold, and computed as they were and as they are. The difference goes out.
 *
 * A row of weight n counts as n rows. Rows of negative weight are not there: they are kept apart (`PositivePart`), so
 * that counts and totals may be added up over runs.
 */
import { readRow } from '../../../codegen/expr/plain.js'
import type { WindowCode } from '../../../codegen/window.js'
import { quote } from '../../base/errors.js'
import { calledName } from '../../circuit/aggregates/index.js'
import type { RowSchema } from '../../schema/schema.js'
import { flatLayout } from '../../schema/schema.js'
import { PositivePart } from '../../zset/positive.js'
import { type Cuttable, goneRows, type Threshold } from '../bounded.js'
import { ErrorSet, failureColumns } from '../errors.js'
import { ErrorPart } from '../state/errors.js'
import { type StatePart, TracePart } from '../state/part.js'
import type { ArrangeOperator } from './arrange.js'
import { BatchProducer, type Operator, type StateSize } from './operator.js'
import { Assembly } from './window/assembly.js'
import type { Outputs } from './window/outputs.js'
import { Partition } from './window/partition.js'
import type { WindowPlan } from './window/plan.js'
import type { Section } from './window/section.js'
import { sparing } from './window/sparing.js'
import type { WindowWalk } from './window/stretch.js'

export interface WindowSpecs {
  readonly plan: WindowPlan
  readonly code: WindowCode<WindowWalk>
  /** Of the rows that come out. */
  readonly schema: RowSchema
  readonly view: string
  readonly describe: () => string[]
}

export class WindowOperator extends BatchProducer implements Cuttable {
  readonly kind = 'window'
  readonly errors = new ErrorSet()
  private readonly positive: PositivePart
  private readonly assembly: Assembly

  constructor(
    private readonly input: ArrangeOperator,
    private readonly specs: WindowSpecs,
  ) {
    super(flatLayout(specs.schema))
    this.positive = new PositivePart(input.kernels, `a window of view ${JSON.stringify(specs.view)}`)
    this.assembly = new Assembly(input.kernels, specs, (old, now, outputs) => this.emit(old, now, outputs))
  }

  describe(): string[] {
    return this.specs.describe()
  }

  inputs(): readonly Operator[] {
    return [this.input]
  }

  step(): void {
    const delta = this.input.delta()
    if (delta === null) return
    this.rowsIn += delta.length
    const before = this.input.before()
    const changed = this.positive.change(before, delta)
    const corrections = this.positive.rows.batches()
    const runs = corrections.length === 0 ? before : [...before, ...corrections]
    this.assembly.begin(runs)
    for (let from = 0; from < changed.length; ) {
      let to = from + 1
      while (to < changed.length && this.input.kernels.compareGroups(changed, to, changed, from) === 0) to++
      const { plan } = this.specs
      const { totalled, extremal } = this.assembly
      this.assembly.run(new Partition(this.input.kernels, plan, totalled, extremal, runs, changed, from, to))
      from = to
    }
    this.assembly.touch(runs, changed)
    this.assembly.end()
    this.rowsOut += this.out.length
    if (this.out.length > 0) this.wakeConsumers()
  }

  /** Puts out what differs between the outputs of a section before the step and after it. */
  private emit(old: Section, now: Section, outputs: readonly (readonly [Outputs, Outputs])[]): void {
    for (let k = 0; k < old.coreTo - old.coreFrom; k++) {
      const place = old.stretch.sequence[old.coreFrom + k]
      const [from, to] = [old.firstUnit[k], old.firstUnit[k + 1]]
      const [fromNow, toNow] = [now.firstUnit[k], now.firstUnit[k + 1]]
      const common = Math.min(to - from, toNow - fromNow)
      for (let i = 0; i < common; i++) this.emitUnit(place, old, from + i, now, fromNow + i, outputs)
      for (let u = from + common; u < to; u++) this.put(place, old, u, outputs, 0, -old.weights[u])
      for (let u = fromNow + common; u < toNow; u++) this.put(place, now, u, outputs, 1, now.weights[u])
    }
  }

  private emitUnit(
    place: number,
    old: Section,
    u: number,
    now: Section,
    v: number,
    outputs: readonly (readonly [Outputs, Outputs])[],
  ): void {
    for (const [before, after] of outputs) {
      if (before.same(u, after, v)) continue
      this.put(place, old, u, outputs, 0, -old.weights[u])
      this.put(place, now, v, outputs, 1, now.weights[v])
      return
    }
    const change = now.weights[v] - old.weights[u]
    if (change !== 0) this.put(place, now, v, outputs, 1, change)
  }

  private put(
    place: number,
    { stretch }: Section,
    unit: number,
    outputs: readonly (readonly [Outputs, Outputs])[],
    side: 0 | 1,
    weight: number,
  ): void {
    for (let f = 0; f < outputs.length; f++) {
      const message = outputs[f][side].failure(unit)
      if (message !== null) {
        const { columns } = this.input.kernels.layout.schema
        const row = readRow(stretch.rows, place).slice(0, columns.length)
        const { fn, name } = this.specs.plan.functions[f].spec
        const operator = `window ${quote(name)}: ${calledName(fn)}`
        this.errors.add({ message, row, operator, columns: failureColumns(columns) }, BigInt(weight))
        return
      }
    }
    const { out } = this
    out.reserve(1)
    const k = out.length
    this.specs.code.rows.copyRow(stretch.rows, place, out, k)
    out.weights[k] = BigInt(weight)
    out.length = k + 1
    for (const output of outputs) output[side].write(unit, out, k)
  }

  override commit(): void {
    this.positive.commit()
    this.assembly.commit()
    this.errors.commit()
    this.out.clear()
  }

  override abort(): void {
    this.positive.abort()
    this.assembly.abort()
    this.errors.abort()
    this.out.clear()
  }

  get rowCount(): number {
    return this.state().rows + this.input.rowCount
  }

  /**
   * The arrangement and what is kept beside it at once: a row that one of them alone had would count. The partition's
   * columns come first in what is kept beside it. REQUIRES: nobody else reads the arrangement.
   */
  cut(thresholds: readonly Threshold[]): void {
    this.cutInput(thresholds)
    this.positive.rows.cut(rows => goneRows(rows, thresholds))
    const { columns } = this.input.kernels.layout.key
    for (const trace of this.assembly.traces) {
      const { key } = trace.kernels.layout
      const own = thresholds.map(t => ({ ...t, column: key.columns[columns.indexOf(t.column)] }))
      trace.cut(rows => goneRows(rows, own))
    }
  }

  /** Rows of negative weight are not there: none is spared here, and none in what is kept of them. */
  private cutInput(thresholds: readonly Threshold[]): void {
    const { trace, kernels } = this.input
    trace.reweigh(rows => {
      const isGone = goneRows(
        rows,
        thresholds.filter(t => t.rows === undefined),
      )
      const tail = thresholds.find(t => t.rows !== undefined)
      const weights = tail === undefined ? rows.weights : sparing(kernels, rows, tail)
      return row => (isGone(row) ? 0n : weights[row])
    })
  }

  /** What else there is, such as sums over runs, follows from the arrangement. */
  parts(): StatePart[] {
    const { layout } = this.input.kernels
    return [
      new TracePart('negative', layout, this.positive.rows),
      ...this.assembly.traces.map(trace => new TracePart('groups', trace.kernels.layout, trace)),
      new ErrorPart('errors', this.errors),
    ]
  }

  override sources(): ReadonlyMap<string, string> {
    return this.specs.code.sources
  }

  override state(): StateSize {
    const traces = [this.positive.rows, ...this.assembly.traces]
    return {
      rows: traces.reduce((sum, t) => sum + t.rowCount, 0),
      usedBytes: traces.reduce((sum, t) => sum + t.usedBytes, 0),
      allocatedBytes: traces.reduce((sum, t) => sum + t.allocatedBytes, this.assembly.allocatedBytes),
    }
  }
}
