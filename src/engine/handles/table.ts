/** A table of an open database, as users hold it: reading, writing, its indexes and late rows. */
import { quote, UsageError } from '../../base/errors.js'
import type { AnyKey, TableDef } from '../../circuit/columns.js'
import type { TableDefinition } from '../../circuit/rel.js'
import type { Commit } from '../commit.js'
import type { Database } from '../database.js'
import type { NamedChanges, NamedOptions } from '../durable/subscriptions.js'
import type { IndexHandle } from '../indexes/handle.js'
import type { PrimaryKey, TableBound, TableKey } from '../keys.js'
import type { LateGate } from '../late.js'
import type { OperatorStats } from '../operators/operator.js'
import type { SourceOperator } from '../operators/source.js'
import type { RelationReader, Subscriber } from '../relation.js'
import type { Change, Expected } from '../transaction.js'
import type { TableRef } from '../transactions/reads.js'
import { checkSubscribe, RelationHandle, type SubscribeOptions } from './relation.js'

/** What a handle shows of its table. */
export interface TableFace<R, I, K> {
  readonly definition: TableDef<R, I, K> & TableDefinition
  readonly reader: RelationReader<R>
  readonly createdAt: bigint
}

/** A table of a database. */
export class TableHandle<R, I = R, K = AnyKey> extends RelationHandle<R, TableKey<K>, TableBound<K>> {
  dropped = false
  /** Internal: secondary indexes by name. */
  readonly indexMap = new Map<string, IndexHandle<R>>()

  private face: TableFace<R, I, K>

  constructor(
    readonly database: Database,
    definition: TableDef<R, I, K> & TableDefinition,
    /** Internal: the table in the circuit. */
    readonly operator: SourceOperator,
    reader: RelationReader<R>,
    private readonly gate: LateGate | null,
  ) {
    super()
    this.face = { definition, reader, createdAt: 0n }
  }

  get definition(): TableDef<R, I, K> & TableDefinition {
    return this.face.definition
  }

  protected get reader(): RelationReader<R> {
    return this.face.reader
  }

  /** Internal: the last transaction before the table was altered; 0 if it never was: a table begins empty. */
  get createdAt(): bigint {
    return this.face.createdAt
  }

  protected waterlined(): LateGate {
    if (this.gate !== null) return this.gate
    throw new UsageError(`table ${quote(this.name)} has no waterline: give a column .lateness(…)`)
  }

  get name(): string {
    return this.definition.schema.name
  }

  /** Internal: shows a table that was altered; returns what it showed. */
  become(face: TableFace<R, I, K>): TableFace<R, I, K> {
    const before = this.face
    this.face = face
    return before
  }

  override check(): void {
    if (this.dropped) throw new UsageError(`table ${quote(this.name)} was dropped`)
    this.database.mustBeReadable()
    if (this.definition.stream) {
      throw new UsageError(
        `table ${quote(this.name)} is a stream: its rows are not kept, only views over it can be read`,
      )
    }
  }

  // ---- writing: transactions of their own, as `Database` has them

  insert(rows: I | readonly I[]): Commit {
    return this.database.insert(this.ref, rows)
  }

  delete(rows: I | readonly I[]): Commit {
    return this.database.delete(this.ref, rows)
  }

  upsert(rows: I | readonly I[]): Commit {
    return this.database.upsert(this.ref, rows)
  }

  update(key: PrimaryKey<K>, change: Change<R, I>): Commit | null {
    return this.database.update<R, I, K>(this, key, change)
  }

  deleteKey(key: PrimaryKey<K>): Commit | null {
    return this.database.deleteKey<R, I, K>(this, key)
  }

  putIfAbsent(row: I): Commit | null {
    return this.database.putIfAbsent(this.ref, row)
  }

  putIfUnchanged(row: I, expected: Expected<R, I>): Commit | null {
    return this.database.putIfUnchanged(this.ref, row, expected)
  }

  /** With a key of any type, which most writes do not care for. */
  private get ref(): TableRef<R, I> {
    return this as unknown as TableRef<R, I>
  }

  override subscribe(subscriber: (event: NamedChanges<R>) => void, options: NamedOptions): () => void
  override subscribe(subscriber: Subscriber<R>, options?: SubscribeOptions): () => void
  override subscribe(
    subscriber: Subscriber<R> | ((event: NamedChanges<R>) => void),
    options: SubscribeOptions | NamedOptions = {},
  ): () => void {
    checkSubscribe(options)
    const isPlain = !('name' in options) && options.initial !== true
    if (this.definition.stream && isPlain && !this.dropped) {
      this.database.mustBeOpen('subscribe')
      return this.reader.subscribe(subscriber as Subscriber<R>)
    }
    return super.subscribe(subscriber as Subscriber<R>, options as SubscribeOptions)
  }

  get indexes(): IndexHandle<R>[] {
    return [...this.indexMap.values()]
  }

  /** A secondary index. Throws UsageError if there is none of this name. */
  index(name: string): IndexHandle<R> {
    const found = this.indexMap.get(name)
    if (found !== undefined) return found
    const known = [...this.indexMap.keys()].map(quote).join(', ') || 'none'
    throw new UsageError(`table ${quote(this.name)} has no index ${quote(name)}; its indexes: ${known}`)
  }

  stats(): OperatorStats {
    return this.operator.stats()
  }
}
