/**
 * An arrangement: a relation sorted by a key and kept as a trace, shared by every join, clamp, extreme or top-k that
 * needs the same rows by the same key.
 */

import type { CompiledKernels } from '../../../codegen/kernels.js'
import { assert } from '../../base/errors.js'
import { Arranger } from '../../zset/arrange.js'
import { Batch } from '../../zset/batch.js'
import { HEAD_ROWS, Trace } from '../../zset/trace.js'
import { type Cuttable, goneRows, type Threshold } from '../bounded.js'
import { ErrorSet } from '../errors.js'
import { ErrorPart } from '../state/errors.js'
import { type StatePart, TracePart } from '../state/part.js'
import { type Feed, feedInputs, feedSources, runFeeds } from './feed.js'
import { Operator, type StateSize } from './operator.js'

const NO_BATCHES: readonly Batch[] = []

/** An arrangement as joins read it. */
export interface Arranged {
  readonly kernels: CompiledKernels
  /** The operator behind it. */
  readonly operator: Operator
  /** The sorted, consolidated delta of this epoch, or null. */
  delta(): Batch | null
  /** The runs of the trace as they were before this epoch. */
  before(): readonly Batch[]
}

export class ArrangeOperator extends Operator implements Arranged, Cuttable {
  readonly kind = 'arrange'
  readonly trace: Trace
  readonly errors = new ErrorSet()
  feeds: Feed[] = []
  /** Views that use it. */
  references = 0
  protected readonly arranger: Arranger
  /** Small deltas are sorted into here; they are copied into the trace's head. */
  protected readonly small: Batch
  protected current: Batch | null = null
  private replaying: Batch | null | undefined = undefined
  /** The epoch's rows were arranged before its steps. */
  private isAhead = false

  constructor(
    readonly kernels: CompiledKernels,
    readonly name: string,
  ) {
    super()
    this.trace = new Trace(kernels, name)
    this.arranger = new Arranger(kernels)
    this.small = new Batch(kernels.layout, HEAD_ROWS)
  }

  /** Where feeds put their rows: keys and stored columns, unsorted. */
  get raw(): Batch {
    return this.arranger.raw
  }

  describe(): string[] {
    const { schema, key, order } = this.kernels.layout
    const names = key.columns.map(c => schema.columns[c].name)
    const rest = order.map(o => `${o.column.name}${o.descending ? ' desc' : ''}`)
    return [
      `by ${names.length > 0 ? names.join(', ') : 'nothing'} (${key.kind} ${key.words * 64} bits)`,
      ...(rest.length > 0 ? [`then ${rest.join(', ')}`] : []),
      ...this.feeds.flatMap(feed => feed.describe()),
    ]
  }

  inputs(): readonly Operator[] {
    return feedInputs(this.feeds)
  }

  get operator(): Operator {
    return this
  }

  /** The sorted, consolidated delta of this epoch, or null. */
  delta(): Batch | null {
    return this.current
  }

  /** The runs of the trace as they were before this epoch. */
  before(): readonly Batch[] {
    return this.replaying === undefined ? this.trace.batches() : this.replaying === null ? NO_BATCHES : [this.replaying]
  }

  step(): void {
    if (!this.isAhead) this.gather()
    if (this.current === null) return
    this.receiver.prepare(this.current)
    this.rowsOut += this.current.length
    this.wakeConsumers()
  }

  /** Takes in and sorts what the producers hand out. */
  private gather(): void {
    this.rowsIn += runFeeds(this.feeds)
    const { raw } = this.arranger
    if (raw.length === 0) return
    const delta = raw.length <= HEAD_ROWS ? this.small : new Batch(this.kernels.layout, raw.length)
    this.arranger.arrange(delta)
    if (delta.length > 0) this.current = delta
  }

  /**
   * The delta of rows that tables were offered, before any step of the epoch: constraints are judged on it, and `step`
   * goes on from there. REQUIRES: the epoch follows and wakes this operator, or `abort` is called.
   */
  ahead(): Batch | null {
    if (!this.isAhead) {
      this.isAhead = true
      this.gather()
    }
    return this.current
  }

  /** Rows of the layout that the only producer has, sorted: what would be the delta of an epoch of just these. */
  arranged(rows: Batch): Batch {
    const raw = this.arranger.raw.length
    assert(raw === 0 || this.isAhead, 'rows are arranged between epochs, or ahead of one')
    this.arranger.raw.clear()
    for (const { target } of this.feeds) target.scan(rows, 0, rows.length)
    const out = new Batch(this.kernels.layout, this.arranger.raw.length)
    this.arranger.arrange(out)
    this.arranger.raw.clear()
    return out
  }

  get rowCount(): number {
    return this.trace.rowCount
  }

  cut(thresholds: readonly Threshold[]): void {
    this.trace.cut(rows => goneRows(rows, thresholds))
  }

  /** Where the delta will go. */
  protected get receiver(): Trace {
    return this.trace
  }

  commit(): void {
    if (this.current !== null) this.trace.insert(this.current, this.current !== this.small)
    this.errors.commit()
    this.finish()
  }

  abort(): void {
    this.errors.abort()
    this.finish()
  }

  protected finish(): void {
    this.isAhead = false
    this.current = null
    this.arranger.raw.clear()
    this.small.clear()
  }

  /**
   * While a new view catches up, an arrangement that exists already shows its whole content as the first delta
   * (`first`), and as state before the epoch from then on. `endReplay` ends that.
   */
  replay(first: boolean): void {
    const content = this.trace.compact()
    this.current = first ? content : null
    this.replaying = first ? null : content
  }

  endReplay(): void {
    this.current = null
    this.replaying = undefined
  }

  parts(): StatePart[] {
    return [new TracePart('rows', this.kernels.layout, this.trace), new ErrorPart('errors', this.errors)]
  }

  override sources(): ReadonlyMap<string, string> {
    return new Map([...feedSources(this.feeds), ...this.kernels.sources])
  }

  override state(): StateSize {
    const { trace } = this
    return {
      rows: trace.rowCount,
      usedBytes: trace.usedBytes,
      allocatedBytes: trace.allocatedBytes + this.arranger.raw.allocatedBytes + this.small.allocatedBytes,
    }
  }
}
