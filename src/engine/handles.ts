/** Tables and views of an open database, as users hold them. */

import { ExpressionError, quote, UsageError } from '../base/errors.js'
import type { ViewDef } from '../circuit/builder/types.js'
import type { TableDef } from '../circuit/columns.js'
import type { TableDefinition, ViewDefinition } from '../circuit/rel.js'
import type { RowSchema } from '../schema/schema.js'
import type { Database } from './database.js'
import type { Failure } from './errors.js'
import type { IndexHandle } from './indexes/handle.js'
import { type PlanFormat, renderView, sourceOf } from './inspect.js'
import type { KeyInput, RangeOptions } from './keys.js'
import type { Operator, OperatorStats } from './operators/operator.js'
import type { ReduceOperator } from './operators/reduce.js'
import type { SinkOperator } from './operators/sink.js'
import type { SourceOperator } from './operators/source.js'
import type { Entry, RelationReader, Subscriber } from './relation.js'

export interface SubscribeOptions {
  /** Call once at once with everything the relation holds now. */
  readonly initial?: boolean
}

/** Reading and following, the same for tables and views. */
abstract class Relation<R> {
  protected abstract readonly reader: RelationReader<R>
  abstract readonly database: Database

  /** Throws where the relation cannot be read: it was dropped, or holds failed rows, or a step runs. */
  protected abstract check(): void

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
  get(key: KeyInput): R | undefined {
    this.check()
    return this.reader.get(key)
  }

  /** All rows with this key. */
  getAll(key: KeyInput): R[] {
    this.check()
    return this.reader.getAll(key)
  }

  /**
   * Rows by key, from `from` to `to` inclusive, or after `after`; a bound may give a prefix of the key. The iteration
   * throws UsageError if the relation changes before it ends.
   */
  range(options: RangeOptions = {}): IterableIterator<R> {
    this.check()
    return this.reader.range(options)
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
   */
  subscribe(subscriber: Subscriber<R>, options: SubscribeOptions = {}): () => void {
    this.check()
    const end = this.reader.subscribe(subscriber)
    this.followed()
    if (options.initial !== true) return end
    try {
      subscriber({ lsn: this.database.lsn, changes: this.entries() })
    } catch (error) {
      end()
      throw error
    }
    return end
  }

  protected followed(): void {}
}

/** A table of a database. */
export class TableHandle<R, I = R> extends Relation<R> {
  dropped = false
  /** Internal: secondary indexes by name. */
  readonly indexMap = new Map<string, IndexHandle<R>>()

  constructor(
    readonly database: Database,
    readonly definition: TableDef<R, I> & TableDefinition,
    /** Internal: the table in the circuit. */
    readonly operator: SourceOperator,
    protected readonly reader: RelationReader<R>,
  ) {
    super()
  }

  get name(): string {
    return this.definition.schema.name
  }

  protected check(): void {
    if (this.dropped) throw new UsageError(`table ${quote(this.name)} was dropped`)
    this.database.mustBeReadable()
    if (this.definition.stream) {
      throw new UsageError(
        `table ${quote(this.name)} is a stream: its rows are not kept, only views over it can be read`,
      )
    }
  }

  override subscribe(subscriber: Subscriber<R>, options: SubscribeOptions = {}): () => void {
    if (this.definition.stream && options.initial !== true && !this.dropped) return this.reader.subscribe(subscriber)
    return super.subscribe(subscriber, options)
  }

  /** Internal: for the database. */
  get relation(): RelationReader<R> {
    return this.reader
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

/** A failed row as `view.errors()` lists it. */
export interface ViewError extends Failure {
  readonly operator: string
  readonly weight: bigint
}

/** A view of a database: always materialised, exact after every transaction. */
export class ViewHandle<R> extends Relation<R> {
  dropped = false
  /** All operators of the view, producers first. */
  private readonly operators: readonly Operator[]

  constructor(
    readonly database: Database,
    readonly definition: ViewDef<R> & ViewDefinition,
    /** Internal: the end of the view's circuit. */
    readonly root: SinkOperator | ReduceOperator,
    protected readonly reader: RelationReader<R>,
    private readonly compileMilliseconds: number,
  ) {
    super()
    this.operators = upstream(root)
  }

  get name(): string {
    return this.definition.schema.name
  }

  protected check(): void {
    if (this.dropped) throw new UsageError(`view ${quote(this.name)} was dropped`)
    this.database.mustBeReadable()
    const errors = this.errors()
    if (errors.length === 0) return
    const [first] = errors
    const more = errors.length > 1 ? ` and ${errors.length - 1} more; errors() lists them` : ''
    throw new ExpressionError(`view ${quote(this.name)} holds failed rows: ${first.message}${more}`)
  }

  protected override followed(): void {
    if ('observed' in this.root) this.root.observed = true
  }

  /** Internal: for the database. */
  get relation(): RelationReader<R> {
    return this.reader
  }

  /** Rows that failed, here or in a view this one reads; the view cannot be read until they are retracted. */
  errors(): ViewError[] {
    const found: ViewError[] = []
    for (const operator of this.operators) {
      const { errors } = operator as { errors?: { size: number; list(): (Failure & { weight: bigint })[] } }
      if (errors === undefined || errors.size === 0) continue
      for (const entry of errors.list()) found.push({ operator: `${operator.kind} ${operator.id}`, ...entry })
    }
    return found
  }

  /** Internal: failed rows of this view's own operators, those of views it reads left out. */
  ownErrors(isForeign: (operator: Operator) => boolean): ViewError[] {
    const own = new Set(upstream(this.root, isForeign).map(o => `${o.kind} ${o.id}`))
    return this.errors().filter(e => own.has(e.operator))
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
      compileMilliseconds: this.compileMilliseconds,
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
