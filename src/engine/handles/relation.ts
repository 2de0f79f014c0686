/** Reading and following tables and views of an open database, as users hold them. */
import { mustBeOptions } from '../../base/options.js'
import type { RowSchema } from '../../schema/schema.js'
import type { Database } from '../database.js'
import { NAMED_OPTIONS, type NamedChanges, type NamedOptions } from '../durable/subscriptions.js'
import type { ErrorSet, FailureEntry } from '../errors.js'
import type { KeyInput, RangeOptions } from '../keys.js'
import type { Late, LateRows } from '../late.js'
import type { Entry, RelationReader, Subscriber } from '../relation.js'

export interface SubscribeOptions {
  /** Call once at once with everything the relation holds now. */
  readonly initial?: boolean
}

/** Throws UsageError on options that cannot be. */
export function checkSubscribe(options: SubscribeOptions | NamedOptions): void {
  const isNamed = typeof options === 'object' && options !== null && 'name' in options
  mustBeOptions('subscribe', options, isNamed ? NAMED_OPTIONS : ['initial', 'name'])
}

/** The failed rows of an operator. */
export type FailuresOf = (errors: ErrorSet) => readonly FailureEntry[]

export const presentFailures: FailuresOf = errors => errors.list()

/** Reading and following, the same for tables and views. */
export abstract class RelationHandle<R, Key = KeyInput, Bound = KeyInput> {
  protected abstract get reader(): RelationReader<R>
  abstract readonly database: Database

  /**
   * Internal: throws where the relation cannot be read: it was dropped, or holds failed rows, or a step runs. Rows have
   * failed in an operator as `failuresOf` says.
   */
  abstract check(failuresOf?: FailuresOf): void

  /** Internal: for the database. */
  get relation(): RelationReader<R> {
    return this.reader
  }

  get schema(): RowSchema {
    return this.reader.schema
  }

  /** What was dropped for being late. Throws UsageError if there is no waterline. */
  get late(): LateRows<R> {
    return this.waterlined().late as LateRows<R>
  }

  /**
   * The waterline of a column, of the first that has one unless it is named; null before the first row. Changes of rows
   * below it are late. Throws UsageError if there is none.
   */
  waterline(column?: keyof R & string): number | bigint | null {
    return this.waterlined().valueOf(column) as number | bigint | null
  }

  /** Throws UsageError, which says how to have one, if there is no waterline. */
  protected abstract waterlined(): Late

  /** All rows in key order, each as often as its weight says. Throws ExpressionError if the view holds failed rows. */
  rows(): R[] {
    this.check()
    return this.reader.rows()
  }

  /** The Z-set: distinct rows with their weights, in key order. */
  entries(): Entry<R>[] {
    this.check()
    return [...this.reader.entries()]
  }

  /** The first row with this key, or undefined. */
  get(key: Key): R | undefined {
    this.check()
    return this.reader.get(key as KeyInput)
  }

  /** All rows with this key. */
  getAll(key: Key): R[] {
    this.check()
    return this.reader.getAll(key as KeyInput)
  }

  /**
   * Rows by key, from `from` to `to` inclusive, or after `after`; a bound may give a prefix of the key. The iteration
   * throws UsageError if the relation changes before it ends.
   */
  range(options: RangeOptions<Bound> = {}): IterableIterator<R> {
    this.check()
    return this.reader.range(options as RangeOptions)
  }

  [Symbol.iterator](): IterableIterator<R> {
    return this.range()
  }

  /** Sum of weights: the number of rows. */
  count(): bigint {
    this.check()
    return this.reader.size().weight
  }

  /** Number of distinct rows. */
  get size(): number {
    this.check()
    return this.reader.size().rows
  }

  /**
   * Calls `subscriber` with the consolidated change after every transaction that changes the relation; returns what
   * ends it. A subscriber must not write to the database.
   *
   * With a `name`, which only databases in directories have, the subscription outlives the process: see `NamedChanges`. Its
   * subscriber is called when a transaction is acknowledged, and may write. Throws UsageError if somebody else has the name.
   */
  subscribe(subscriber: (event: NamedChanges<R>) => void, options: NamedOptions): () => void
  subscribe(subscriber: Subscriber<R>, options?: SubscribeOptions): () => void
  subscribe(
    subscriber: Subscriber<R> | ((event: NamedChanges<R>) => void),
    options: SubscribeOptions | NamedOptions = {},
  ): () => void {
    checkSubscribe(options)
    this.check()
    this.database.mustBeOpen('subscribe')
    if ('name' in options) {
      const end = this.database.subscribeAs(this as never, subscriber as never, options)
      this.followed()
      return end
    }
    const plain = subscriber as Subscriber<R>
    const end = this.reader.subscribe(plain)
    this.followed()
    if (options.initial !== true) return end
    try {
      plain({ lsn: this.database.lsn, changes: this.entries() })
    } catch (error) {
      end()
      throw error
    }
    return end
  }

  protected followed(): void {}
}
