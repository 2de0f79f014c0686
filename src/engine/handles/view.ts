/** A view of an open database, as users hold it: reading, its errors, and what is to be seen of its circuit. */
import { ExpressionError, quote, UsageError } from '../../base/errors.js'
import type { ViewDef } from '../../circuit/builder/types.js'
import type { ViewDefinition } from '../../circuit/rel.js'
import type { Database } from '../database.js'
import { upstream } from '../epoch.js'
import type { ErrorSet } from '../errors.js'
import { type PlanFormat, renderView, sourceOf } from '../inspect.js'
import type { Late } from '../late.js'
import type { Operator, OperatorStats } from '../operators/operator.js'
import type { ReduceOperator } from '../operators/reduce.js'
import type { SinkOperator } from '../operators/sink.js'
import type { RelationReader } from '../relation.js'
import { errorText, presentErrors, type ViewError } from '../view-errors.js'
import { type FailuresOf, presentFailures, RelationHandle } from './relation.js'

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
export class ViewHandle<R> extends RelationHandle<R> {
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

  protected waterlined(): Late {
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
