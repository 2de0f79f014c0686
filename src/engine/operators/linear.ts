/** Materialised linear pipelines: filter, map, negate and union all, where more than one consumer wants the result. */
import { flatLayout, type RowSchema } from '../../schema/schema.js'
import { ErrorSet } from '../errors.js'
import { ErrorPart } from '../state/errors.js'
import type { StatePart } from '../state/part.js'
import { type Feed, feedInputs, feedSources, runFeeds } from './feed.js'
import { BatchProducer, type Operator } from './operator.js'

export class LinearOperator extends BatchProducer {
  readonly kind: string = 'linear'
  readonly errors = new ErrorSet()
  feeds: Feed[] = []

  constructor(schema: RowSchema) {
    super(flatLayout(schema))
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

  override commit(): void {
    this.out.clear()
    this.errors.commit()
  }

  override abort(): void {
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
