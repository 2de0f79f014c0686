/** The reads that transactions and snapshots have in common. Tables and views are named by definition or handle. */

import { UsageError } from '../../base/errors.js'
import type { ViewDef } from '../../circuit/builder/types.js'
import type { TableDef } from '../../circuit/columns.js'
import type { Relation } from '../../circuit/rel.js'
import type { Batch } from '../../zset/batch.js'
import type { ErrorSet, FailureEntry } from '../errors.js'
import type { TableHandle } from '../handles/table.js'
import type { KeyInput, RangeOptions, TableBound, TableKey } from '../keys.js'
import type { KvDef } from '../kv/definition.js'
import { type KvAccess, KvReads, type KvRef, kvOf } from '../kv/store.js'
import type { Entry, RelationReader } from '../relation.js'
import { IndexView } from './index-view.js'
import type { ReadSet } from './read-set.js'

/** A `TableHandle` or `ViewHandle`, as far as types go. */
interface HandleOf<D> {
  readonly definition: D
  readonly database: object
}

/** A table: by definition or handle. `K` is the type of its primary key. */
export type TableRef<R, I, K = unknown> = TableDef<R, I, K> | HandleOf<TableDef<R, I, K>>
/** A view: by definition or handle. */
export type ViewRef<R> = ViewDef<R> | HandleOf<ViewDef<R>>
/** What can be read. */
export type ReadRef<R> = TableRef<R, unknown> | ViewRef<R>

/** A table or view as a database hands it to readers. */
export interface Readable {
  readonly definition: Relation
  readonly relation: RelationReader<unknown>
  /** The last transaction before the view was created, or the table altered; 0 for others, which begin empty. */
  readonly createdAt: bigint
  /** Throws where it cannot be read; `failuresOf` gives the failed rows of an operator at the time of reading. */
  check(failuresOf: (errors: ErrorSet) => readonly FailureEntry[]): void
}

/** Throws UsageError if a view, or how a table is now, is younger than a snapshot. */
export function mustHaveBeen({ definition, relation, createdAt }: Readable, lsn: bigint): void {
  if (createdAt <= lsn) return
  const change = definition.kind === 'table' ? 'altered' : 'created'
  throw new UsageError(
    `${relation.what} was ${change} after transaction ${createdAt}; a snapshot of transaction ${lsn} cannot show it`,
  )
}

/** How one relation is read. */
export interface Access {
  readonly reader: RelationReader<unknown>
  /** Where reads are remembered, if they are. */
  readonly reads: ReadSet | null
}

/** A relation as it is, and what lies over it to make it what is seen. */
export interface Layered {
  readonly handle: Readable
  readonly runs: readonly Batch[]
}

export abstract class Reads {
  /** A key-value store, to be read here. Throws UsageError if there is none. */
  kv<K, V>(store: KvRef<K, V>): KvReads<K, V> {
    const definition = kvOf('kv', store)
    return new KvReads(definition, () => this.kvAccess(definition))
  }

  protected kvAccess({ table }: KvDef<unknown, unknown>): KvAccess {
    const { reader, reads } = this.access(table)
    return { reader, reads, exclusive: this.exclusive }
  }

  /**
   * A secondary index of a table, as this sees it: the rows that were written show, those of others since do not. Throws
   * UsageError if there is no such table or index.
   */
  index<R>(table: TableRef<R, unknown>, name: string): IndexView<R> {
    this.access(table)
    const { handle } = this.layered(table)
    if (handle.definition.kind !== 'table') {
      throw new UsageError(`index: expected a table, found ${handle.relation.what}, which has no indexes`)
    }
    const index = (handle as unknown as TableHandle<R>).index(name)
    return new IndexView<R>(index, handle.relation, () => {
      const { reads } = this.access(table)
      return { reads, runs: this.layered(table).runs, exclusive: this.exclusive }
    })
  }

  /** Throws where the relation cannot be read. */
  protected abstract access(relation: unknown): Access
  /** REQUIRES: `access` does not throw. */
  protected abstract layered(relation: unknown): Layered
  /** Nobody else can write meanwhile. */
  protected abstract get exclusive(): boolean

  /** The first row with this key, or undefined. */
  get<R, K>(table: TableRef<R, unknown, K>, key: NoInfer<TableKey<K>>): R | undefined
  get<R>(view: ViewRef<R>, key: KeyInput): R | undefined
  get<R>(relation: unknown, key: KeyInput): R | undefined {
    const { reader, reads } = this.access(relation)
    const values = reader.keyOf(key, true)
    reads?.addKey(values, this.exclusive)
    return reader.first(values) as R | undefined
  }

  /** All rows with this key. */
  getAll<R, K>(table: TableRef<R, unknown, K>, key: NoInfer<TableKey<K>>): R[]
  getAll<R>(view: ViewRef<R>, key: KeyInput): R[]
  getAll<R>(relation: unknown, key: KeyInput): R[] {
    const { reader, reads } = this.access(relation)
    const values = reader.keyOf(key, true)
    reads?.addKey(values, this.exclusive)
    return reader.all(values) as R[]
  }

  /**
   * Rows by key, from `from` to `to` inclusive, or after `after`; a bound may give a prefix of the key. What is written
   * during the iteration shows in rows that it has not reached yet.
   */
  range<R, K>(table: TableRef<R, unknown, K>, options?: RangeOptions<NoInfer<TableBound<K>>>): IterableIterator<R>
  range<R>(view: ViewRef<R>, options?: RangeOptions): IterableIterator<R>
  range<R>(relation: unknown, options: RangeOptions = {}): IterableIterator<R> {
    const { reader, reads } = this.access(relation)
    const bounds = reader.boundsOf(options)
    const limit = reader.limitOf(options)
    const ended = limit === 0 ? undefined : reads?.addRange(bounds, this.exclusive)
    return reader.walk(bounds, limit, ended) as Generator<R>
  }

  /** All rows in key order, each as often as its weight says. */
  rows<R>(relation: ReadRef<R>): R[] {
    return this.whole(relation).rows() as R[]
  }

  /** The Z-set: distinct rows with their weights, in key order. */
  entries<R>(relation: ReadRef<R>): Entry<R>[] {
    return [...this.whole(relation).entries()] as Entry<R>[]
  }

  /** Number of distinct rows. */
  size(relation: ReadRef<unknown>): number {
    return this.whole(relation).size().rows
  }

  /** Sum of weights: the number of rows. */
  count(relation: ReadRef<unknown>): bigint {
    return this.whole(relation).size().weight
  }

  private whole(relation: unknown): RelationReader<unknown> {
    const { reader, reads } = this.access(relation)
    reads?.addEverything()
    return reader
  }
}
