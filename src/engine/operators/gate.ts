/**
 * Gates: rows pass by their key and a threshold that only goes on. Of a row of the delta it is known at once whether it
 * passes. What is kept are rows whose time is yet to come, at which they will pass, or stop to, in the order of their keys:
 * when the threshold goes on, the rows between the old one and the new one are read off and forgotten. So a tick costs by
 * the rows that come or leave.
 */
import type { ProjectRow } from '../../../codegen/decode.js'
import { readValue } from '../../../codegen/expr/plain.js'
import type { CompiledKernels } from '../../../codegen/kernels.js'
import { type Bound, signalsOf, thresholdOf } from '../../circuit/bounds.js'
import { isClock } from '../../circuit/now.js'
import type { GateRel } from '../../circuit/rel.js'
import { flatLayout, type RowSchema } from '../../schema/schema.js'
import { Arranger } from '../../zset/arrange.js'
import { Batch } from '../../zset/batch.js'
import { Trace } from '../../zset/trace.js'
import { ErrorSet } from '../errors.js'
import { ErrorPart } from '../state/errors.js'
import { type StatePart, TracePart } from '../state/part.js'
import { type Feed, feedInputs, feedSources, runFeeds } from './feed.js'
import { BatchProducer, type Operator, type StateSize } from './operator.js'
import { MergeWalk } from './walk.js'
import type { Time, WaterlineOperator } from './waterline.js'

export interface GateShape {
  readonly op: GateRel['op']
  readonly bound: Bound
  /** The threshold with what the running epoch has brought; null if there is none yet. */
  readonly threshold: () => Time | null
  readonly waterlines: readonly WaterlineOperator[]
  /** Of the rows that come out. */
  readonly schema: RowSchema
  readonly text: string
}

/** The rows from a place on whose time has come. */
class DueRows extends MergeWalk {
  private until: (batch: Batch, row: number) => boolean = () => false

  protected override inside(run: Batch, row: number): boolean {
    return this.until(run, row)
  }

  /** `isPast`: rows of earlier times; `isDue`: those, and the rows to be read. Both hold of the first rows of a run. */
  begin(runs: readonly Batch[], isPast: typeof this.until, isDue: typeof this.until): void {
    this.until = isDue
    this.reset(false)
    for (const run of runs) {
      let [low, high] = [0, run.length]
      while (low < high) {
        const middle = (low + high) >>> 1
        if (isPast(run, middle)) low = middle + 1
        else high = middle
      }
      if (low < run.length && isDue(run, low)) this.enter(run, low)
    }
  }
}

export class GateOperator extends BatchProducer {
  readonly kind = 'gate'
  readonly errors = new ErrorSet()
  feeds: Feed[] = []
  /** Where feeds put their rows. */
  readonly raw: Batch
  private readonly trace: Trace
  private readonly keeper: Arranger
  private readonly due: DueRows
  private readonly opens: boolean
  private readonly isStrict: boolean
  /** The threshold that the trace is of; null if nobody knows, after a restart. */
  private last: Time | null = null
  private next: Time | null = null
  private change: Batch | null = null

  constructor(
    private readonly kernels: CompiledKernels,
    private readonly shape: GateShape,
    private readonly project: ProjectRow,
    private readonly text: ReadonlyMap<string, string>,
  ) {
    super(flatLayout(shape.schema))
    const { op } = shape
    this.opens = op === 'lt' || op === 'le'
    this.isStrict = op === 'lt' || op === 'ge'
    this.raw = new Batch(kernels.layout)
    this.trace = new Trace(kernels, 'rows whose time is to come')
    this.keeper = new Arranger(kernels)
    this.due = new DueRows(kernels)
  }

  describe(): string[] {
    return [this.shape.text, ...this.feeds.flatMap(feed => feed.describe())]
  }

  inputs(): readonly Operator[] {
    return [...feedInputs(this.feeds), ...this.shape.waterlines]
  }

  /** Has the row's time come? */
  private isPast(threshold: Time | null, batch: Batch, row: number): boolean {
    if (threshold === null) return false
    const key = this.keyOf(batch, row)
    return this.isStrict ? key < threshold : key <= threshold
  }

  private keyOf(batch: Batch, row: number): Time {
    const { schema, key } = batch.layout
    return readValue(batch, schema.columns[key.columns[0]], row) as Time
  }

  step(): void {
    const threshold = this.shape.threshold() ?? this.last
    this.rowsIn += runFeeds(this.feeds)
    this.next = threshold
    this.takeIn(threshold)
    if (threshold !== this.last) this.release(threshold)
    this.prepare()
    this.rowsOut += this.out.length
    if (this.out.length > 0) this.wakeConsumers()
  }

  private takeIn(threshold: Time | null): void {
    const { raw } = this
    for (let i = 0; i < raw.length; i++) {
      const weight = raw.weights[i]
      if (weight === 0n) continue
      const isPast = this.isPast(threshold, raw, i)
      if (isPast === this.opens) this.put(raw, i, weight)
      if (!isPast) this.keep(raw, i, weight)
    }
  }

  /** Puts out, or takes back, the rows that the threshold has passed. */
  private release(threshold: Time | null): void {
    const { due, last } = this
    due.begin(
      this.trace.batches(),
      (batch, row) => this.isPast(last, batch, row),
      (batch, row) => this.isPast(threshold, batch, row),
    )
    while (due.next()) {
      const { run, row, weight } = due
      if (run === null) continue
      this.put(run, row, this.opens ? weight : -weight)
      this.keep(run, row, -weight)
    }
  }

  private put(batch: Batch, row: number, weight: bigint): void {
    const { out } = this
    out.reserve(1)
    const k = out.length
    this.project(batch, row, out, k)
    out.weights[k] = weight
    out.length = k + 1
  }

  private keep(batch: Batch, row: number, weight: bigint): void {
    const { raw } = this.keeper
    raw.reserve(1)
    const k = raw.length
    this.kernels.copyRow(batch, row, raw, k)
    raw.weights[k] = weight
    raw.length = k + 1
  }

  private prepare(): void {
    const { raw } = this.keeper
    if (raw.length === 0) return
    const change = new Batch(this.kernels.layout, raw.length)
    this.keeper.arrange(change)
    this.trace.prepare(change)
    this.change = change
  }

  /** The key of the row that will be `n` rows from now, in the order in which they come or leave; null if it is none. */
  keyAhead(n: number): Time | null {
    const { due, last } = this
    due.begin(
      this.trace.batches(),
      (batch, row) => this.isPast(last, batch, row),
      () => true,
    )
    for (let k = 0; due.next(); k++) if (k === n && due.run !== null) return this.keyOf(due.run, due.row)
    return null
  }

  /** Would a row of this key have come or left once the table's waterline is at `value`? */
  reaches(key: Time, value: bigint): boolean {
    const threshold = thresholdOf(this.shape.bound, () => value)
    if (threshold === null) return false
    return this.isStrict ? key < threshold : key <= threshold
  }

  /** Does it go by the clock? */
  get isTimed(): boolean {
    return signalsOf(this.shape.bound).every(signal => isClock(signal.table))
  }

  override commit(): void {
    if (this.change !== null) this.trace.insert(this.change, true)
    this.last = this.next
    this.errors.commit()
    this.finish()
  }

  override abort(): void {
    this.errors.abort()
    this.finish()
  }

  private finish(): void {
    this.change = null
    this.raw.clear()
    this.keeper.raw.clear()
    this.out.clear()
  }

  parts(): StatePart[] {
    return [new TracePart('rows', this.kernels.layout, this.trace), new ErrorPart('errors', this.errors)]
  }

  override sources(): ReadonlyMap<string, string> {
    return new Map([...feedSources(this.feeds), ...this.text])
  }

  override state(): StateSize {
    const { trace } = this
    return { rows: trace.rowCount, usedBytes: trace.usedBytes, allocatedBytes: trace.allocatedBytes }
  }
}
