/** Materialised linear pipelines: filter, map, negate and union all, where more than one consumer wants the result. */
import { flatLayout, type Layout, type RowSchema } from '../../schema/schema.js'
import { Batch } from '../../zset/batch.js'
import { ErrorSet } from '../errors.js'
import { ErrorPart } from '../state/errors.js'
import type { StatePart } from '../state/part.js'
import { type Feed, feedInputs, feedSources, runFeeds } from './feed.js'
import { type Delta, type Operator, Producer } from './operator.js'

export class LinearOperator extends Producer {
  readonly kind: string = 'linear'
  readonly out: Batch
  readonly errors = new ErrorSet()
  feeds: Feed[] = []

  constructor(schema: RowSchema) {
    super()
    this.out = new Batch(flatLayout(schema))
  }

  describe(): string[] {
    return this.feeds.flatMap(feed => feed.describe())
  }

  inputs(): readonly Operator[] {
    return feedInputs(this.feeds)
  }

  step(): void {
    this.rowsIn += runFeeds(this.feeds)
    this.rowsOut += this.out.length
    if (this.out.length > 0) this.wakeConsumers()
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

  override advance(): void {
    this.out.clear()
  }

  commit(): void {
    this.out.clear()
    this.errors.commit()
  }

  abort(): void {
    this.out.clear()
    this.errors.abort()
  }

  parts(): StatePart[] {
    return [new ErrorPart('errors', this.errors)]
  }

  override sources(): ReadonlyMap<string, string> {
    return feedSources(this.feeds)
  }
}
