/** The end of a view's circuit: the view's rows, kept in a store. What it appended in an epoch is the view's delta. */
import type { Layout } from '../../schema/schema.js'
import type { Store } from '../../zset/store.js'
import { ErrorSet } from '../errors.js'
import { ErrorPart } from '../state/errors.js'
import { type StatePart, storePart } from '../state/part.js'
import { type Feed, feedInputs, feedSources, runFeeds } from './feed.js'
import { type Delta, type Operator, Producer, type StateSize } from './operator.js'

export class SinkOperator extends Producer {
  readonly kind = 'view'
  readonly errors = new ErrorSet()
  feeds: Feed[] = []
  /** Counts committed epochs that changed the view, and moves of its rows. */
  version = 0
  private start = 0

  constructor(
    readonly store: Store,
    readonly name: string,
  ) {
    super()
  }

  describe(): string[] {
    const { schema, key } = this.store.layout
    return [
      `${this.name}, kept by ${key.columns.map(c => schema.columns[c].name).join(', ')}`,
      ...this.feeds.flatMap(feed => feed.describe()),
    ]
  }

  inputs(): readonly Operator[] {
    return feedInputs(this.feeds)
  }

  step(): void {
    this.rowsIn += runFeeds(this.feeds)
    const { tail } = this.store
    if (tail.length === this.start) return
    this.start = this.store.prepare(this.start)
    this.rowsOut += tail.length - this.start
    this.wakeConsumers()
  }

  get layout(): Layout {
    return this.store.tail.layout
  }

  protected current(): Delta | null {
    const { tail } = this.store
    return tail.length === this.start ? null : { batch: tail, from: this.start, to: tail.length }
  }

  contents(whole: boolean): Delta[] {
    const batches = this.store.contents(whole)
    this.start = this.store.tail.length
    return batches.map(batch => ({ batch, from: 0, to: batch.length }))
  }

  commit(): void {
    if (this.store.tail.length !== this.start) this.version++
    this.store.commit()
    this.start = this.store.tail.length
    this.errors.commit()
  }

  abort(): void {
    this.store.truncate(this.start)
    this.start = this.store.tail.length
    this.errors.abort()
  }

  /** The store was flushed by a reader: the next delta begins where the tail now ends. */
  flushed(): void {
    this.start = this.store.tail.length
  }

  /** A checkpoint has flushed the store and moved its rows. */
  private moved(): void {
    this.version++
    this.flushed()
  }

  parts(): StatePart[] {
    return [storePart('rows', this.store, () => this.moved()), new ErrorPart('errors', this.errors)]
  }

  override sources(): ReadonlyMap<string, string> {
    return new Map([
      ...feedSources(this.feeds),
      ...((this.store.kernels as { sources?: ReadonlyMap<string, string> }).sources ?? []),
    ])
  }

  override state(): StateSize {
    const { store } = this
    return {
      rows: store.trace.rowCount + store.tail.length,
      usedBytes: store.usedBytes,
      allocatedBytes: store.allocatedBytes,
    }
  }
}
