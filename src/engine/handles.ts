/** Tables and views of an open database, as users hold them. */

import { ExpressionError, quote, UsageError } from '../base/errors.js'
import { mustBeOptions } from '../base/options.js'
import type { ViewDef } from '../circuit/builder/types.js'
import type { AnyKey, TableDef } from '../circuit/columns.js'
import type { TableDefinition, ViewDefinition } from '../circuit/rel.js'
import type { RowSchema } from '../schema/schema.js'
import type { Commit } from './commit.js'
import type { Database } from './database.js'
import { NAMED_OPTIONS, type NamedChanges, type NamedOptions } from './durable/subscriptions.js'
import type { ErrorSet, FailureEntry } from './errors.js'
import type { IndexHandle } from './indexes/handle.js'
import { type PlanFormat, renderView, sourceOf } from './inspect.js'
import type { KeyInput, PrimaryKey, RangeOptions, TableBound, TableKey } from './keys.js'
import type { Late, LateGate, LateRows } from './late.js'
import type { Operator, OperatorStats } from './operators/operator.js'
import type { ReduceOperator } from './operators/reduce.js'
import type { SinkOperator } from './operators/sink.js'
import type { SourceOperator } from './operators/source.js'
import type { Entry, RelationReader, Subscriber } from './relation.js'
import type { Change, Expected } from './transaction.js'
import type { TableRef } from './transactions/reads.js'
import { errorText, presentErrors, type ViewError } from './view-errors.js'

export interface SubscribeOptions {
  /** Call once at once with everything the relation holds now. */
  readonly initial?: boolean
}

function checkSubscribe(options: SubscribeOptions | NamedOptions): void {
  const isNamed = typeof options === 'object' && options !== null && 'name' in options
  mustBeOptions('subscribe', options, isNamed ? NAMED_OPTIONS : ['initial', 'name'])
}

/** The failed rows of an operator. */
type FailuresOf = (errors: ErrorSet) => readonly FailureEntry[]

const presentFailures: FailuresOf = errors => errors.list()

/** Reading and following, the same for tables and views. */
abstract class Relation<R, Key = KeyInput, Bound = KeyInput> {
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

/** What a handle shows of its table. */
export interface TableFace<R, I, K> {
  readonly definition: TableDef<R, I, K> & TableDefinition
  readonly reader: RelationReader<R>
  readonly createdAt: bigint
}

/** A table of a database. */
export class TableHandle<R, I = R, K = AnyKey> extends Relation<R, TableKey<K>, TableBound<K>> {
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

  /** What was dropped for being late. Throws UsageError if the table has no waterline. */
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

  private waterlined(): LateGate {
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

export interface ViewStats {
  readonly name: string
  readonly rowsIn: number
  readonly rowsOut: number
  readonly milliseconds: number
  /** Rows and bytes over all operators of the view; shared ones count fully in each view that uses them. */
  readonly stateRows: number
  readonly stateBytes: number
  readonly allocatedBytes: number
  /** Time to compile the view, in milliseconds. */
  readonly compileMilliseconds: number
  readonly operators: readonly OperatorStats[]
}

/** A view of a database: always materialised, exact after every transaction. */
export class ViewHandle<R> extends Relation<R> {
  dropped = false
  /** Internal: the last transaction before the view was created. */
  createdAt = 0n
  /** All operators of the view, producers first. */
  private readonly operators: readonly Operator[]

  private own: ViewDef<R> & ViewDefinition

  constructor(
    readonly database: Database,
    definition: ViewDef<R> & ViewDefinition,
    /** Internal: the end of the view's circuit. */
    readonly root: SinkOperator | ReduceOperator,
    private readonly contents: RelationReader<R>,
    private readonly compiled: {
      readonly milliseconds: number
      readonly warnings: readonly string[]
      readonly gate: Late | null
    },
  ) {
    super()
    this.own = definition
    this.operators = upstream(root)
  }

  get definition(): ViewDef<R> & ViewDefinition {
    return this.own
  }

  protected get reader(): RelationReader<R> {
    return this.contents
  }

  /** Internal: the same view by another name, or of sources by other names. */
  become(definition: ViewDef<R> & ViewDefinition): void {
    this.own = definition
  }

  /**
   * What of the view keeps rows for ever, although a table that they come from has a waterline: each in a few words.
   * `plan()` shows where. Empty if all of its state is bounded, or no table has a waterline.
   */
  get warnings(): readonly string[] {
    return this.compiled.warnings
  }

  /** What was dropped for being late. Throws UsageError if the view has no waterline. */
  get late(): LateRows<R> {
    return this.waterlined().late as LateRows<R>
  }

  /** The view's own waterline, as of tables; null before the first row. Throws UsageError if there is none. */
  waterline(column?: keyof R & string): number | bigint | null {
    return this.waterlined().valueOf(column) as number | bigint | null
  }

  private waterlined(): Late {
    const { gate } = this.compiled
    if (gate !== null) return gate
    throw new UsageError(`view ${quote(this.name)} has no waterline: give it the option waterline: { column: … }`)
  }

  get name(): string {
    return this.definition.schema.name
  }

  override check(failuresOf: FailuresOf = presentFailures): void {
    if (this.dropped) throw new UsageError(`view ${quote(this.name)} was dropped`)
    this.database.mustBeReadable()
    const errors = this.failed(failuresOf)
    if (errors.length === 0) return
    const [first] = errors
    const more = errors.length > 1 ? ` and ${errors.length - 1} more; errors() lists them` : ''
    throw new ExpressionError(`view ${quote(this.name)} holds failed rows: ${errorText(this.name, first)}${more}`)
  }

  protected override followed(): void {
    this.observe(true)
  }

  /** Internal: somebody wants all changes of the view, or nobody but its subscribers does any more. */
  observe(wanted: boolean): void {
    if ('observed' in this.root) this.root.observed = wanted || this.reader.isFollowed
  }

  /** Rows that failed, here or in a view this one reads; the view cannot be read until they are retracted. */
  errors(): ViewError[] {
    return this.failed(presentFailures)
  }

  private failed(failuresOf: FailuresOf, operators = this.operators): ViewError[] {
    const failing = operators.flatMap(operator => {
      const { errors } = operator as { errors?: ErrorSet }
      const entries = errors === undefined ? [] : failuresOf(errors)
      return entries.length === 0 ? [] : [{ operator, entries }]
    })
    return failing.flatMap(({ operator, entries }) => presentErrors(this.ownerOf(operator), entries))
  }

  /** The view that an operator is part of: of this one and those that it reads, the innermost. */
  private ownerOf(operator: Operator): ViewDefinition {
    const read = this.database.views.filter(v => v.root !== this.root && this.operators.includes(v.root))
    const inner = read.filter(v => v.operators.includes(operator))
    inner.sort((a, b) => a.operators.length - b.operators.length)
    return inner[0]?.definition ?? this.definition
  }

  /** Internal: failed rows of this view's own operators, those of views it reads left out. */
  ownErrors(isForeign: (operator: Operator) => boolean): ViewError[] {
    return this.failed(presentFailures, upstream(this.root, isForeign))
  }

  /** The operators of the view, sources first, as text, DOT or SVG. */
  plan(options: { readonly format?: PlanFormat } = {}): string {
    return renderView(this.operators, options.format ?? 'text')
  }

  /** The JavaScript that runs, as far as it has been needed, operator by operator. */
  source(): string {
    return sourceOf(this.name, this.operators)
  }

  stats(): ViewStats {
    const operators = this.operators.map(o => o.stats())
    const sum = (of: (s: OperatorStats) => number) => operators.reduce((total, s) => total + of(s), 0)
    const sources = operators.filter(o => o.operator === 'table')
    return {
      name: this.name,
      rowsIn: sources.reduce((total, s) => total + s.rowsOut, 0),
      rowsOut: this.root.rowsOut,
      milliseconds: sum(s => s.milliseconds),
      stateRows: sum(s => s.stateRows),
      stateBytes: sum(s => s.stateBytes),
      allocatedBytes: sum(s => s.allocatedBytes),
      compileMilliseconds: this.compiled.milliseconds,
      operators,
    }
  }
}

/** All operators that `root` depends on and itself, producers first. */
export function upstream(root: Operator, stop: (operator: Operator) => boolean = () => false): Operator[] {
  const seen = new Set<Operator>()
  const order: Operator[] = []
  const visit = (operator: Operator): void => {
    if (seen.has(operator)) return
    seen.add(operator)
    if (operator !== root && stop(operator)) return
    for (const input of operator.inputs()) visit(input)
    order.push(operator)
  }
  visit(root)
  return order
}
