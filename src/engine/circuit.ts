/**
 * The physical circuit of a database: its operators in order, and the arrangements that views share. Views are built
 * into it and taken out of it here; what they are called is the database's business.
 */

import type { Mode } from '../../codegen/build.js'
import { kernelsOf } from '../../codegen/kernels.js'
import type { CodeContext } from '../../codegen/steps.js'
import { lower } from '../circuit/lower.js'
import { optimise } from '../circuit/optimise.js'
import type { Rel, Relation, TableDefinition, ViewDefinition } from '../circuit/rel.js'
import { flatLayout, type RowSchema } from '../schema/schema.js'
import { Store } from '../zset/store.js'
import { arrangeRowsOf } from './arranging.js'
import { backfill, type Progress } from './backfill.js'
import { Scheduler } from './epoch.js'
import { upstream } from './handles.js'
import type { ArrangeOperator } from './operators/arrange.js'
import type { Operator, Producer } from './operators/operator.js'
import { ReduceOperator } from './operators/reduce.js'
import { SinkOperator } from './operators/sink.js'
import { SourceOperator } from './operators/source.js'
import { type Catalog, Planner } from './planner.js'
import { groupReader, type Reader, storeLayout, storeReader } from './read.js'
import type { SharedArrangement } from './sharing.js'

/** A view in the circuit. */
export interface BuiltView {
  readonly root: SinkOperator | ReduceOperator
  readonly reader: Reader
  /** Time to compile it. */
  readonly milliseconds: number
}

export class Circuit {
  readonly scheduler = new Scheduler()
  private readonly arrangements = new Map<string, { operator: ArrangeOperator; shared: SharedArrangement | null }>()
  private readonly numbers = new WeakMap<Relation, number>()
  private relationCount = 0

  constructor(
    readonly mode: Mode,
    private readonly producerOf: (relation: Relation) => Producer,
  ) {}

  contextOf({ kind, schema }: Relation): CodeContext {
    return { mode: this.mode, unit: schema.name, provenance: [`${kind} ${schema.name}`] }
  }

  addTable(definition: TableDefinition, key: readonly number[]): { operator: SourceOperator; reader: Reader } {
    const { schema, stream } = definition
    const store = stream ? null : this.storeOf(schema, key, this.contextOf(definition))
    const operator = new SourceOperator(schema.name, store, flatLayout(schema))
    this.scheduler.add([operator])
    return { operator, reader: store === null ? NOTHING : this.readerOf(store, operator, key) }
  }

  /** Compiles a view and brings it up to date. What it throws leaves the circuit as it was. */
  addView(definition: ViewDefinition, progress: Progress | undefined): BuiltView {
    const started = performance.now()
    const rel = optimise(lower(definition.rel))
    const context = this.contextOf(definition)
    const added: string[] = []
    const planner = new Planner(this.catalog(added), context, rel)
    try {
      const root = this.rootOf(planner, rel, definition, context)
      const milliseconds = performance.now() - started
      backfill(this.scheduler, planner.operators, progress)
      const reader = this.viewReader(definition, root)
      this.scheduler.add(planner.operators)
      return { root, reader, milliseconds }
    } catch (error) {
      this.discard(new Set(planner.operators), added)
      throw error
    }
  }

  /** Compiles an arrangement of a table and brings it up to date; `order` is what it is sorted by after the key. */
  addArrangement(
    table: TableDefinition,
    purpose: string,
    rel: Rel,
    key: readonly number[],
    order: readonly { index: number; descending: boolean }[],
    progress?: Progress,
  ): ArrangeOperator {
    const added: string[] = []
    const planner = new Planner(this.catalog(added), this.contextOf(table), rel)
    try {
      const operator = planner.arrangementOf(rel, key, order, false, purpose)
      backfill(this.scheduler, planner.operators, progress)
      this.scheduler.add(planner.operators)
      return operator
    } catch (error) {
      this.discard(new Set(planner.operators), added)
      throw error
    }
  }

  private rootOf(planner: Planner, rel: Rel, definition: ViewDefinition, context: CodeContext): BuiltView['root'] {
    if (rel.kind === 'aggregate') {
      const producer = planner.producerOf(rel)
      if (producer instanceof ReduceOperator) return producer
    }
    const feeds = planner.feedsOf(rel)
    const sink = new SinkOperator(this.storeOf(definition.schema, definition.key, context), definition.schema.name)
    const { tail } = sink.store
    planner.attachBatch(feeds, definition.schema, tail.layout, tail, sink.errors, sink.feeds)
    planner.finish(sink)
    return sink
  }

  private viewReader({ key }: ViewDefinition, root: BuiltView['root']): Reader {
    if (root instanceof SinkOperator) return this.readerOf(root.store, root, key)
    return groupReader(root.table, key, () => root.version)
  }

  private readerOf(store: Store, operator: SinkOperator | SourceOperator, key: readonly number[]): Reader {
    const version = () => operator.version
    return storeReader(store, kernelsOf(store.layout, this.mode), key, version, () => operator.flushed())
  }

  private storeOf(schema: RowSchema, key: readonly number[], context: CodeContext): Store {
    const layout = storeLayout(schema, key)
    return new Store(kernelsOf(layout, this.mode), arrangeRowsOf(schema, layout, context), `${context.provenance[0]}`)
  }

  private catalog(added: string[]): Catalog {
    return {
      producerOf: this.producerOf,
      numberOf: relation => this.numberOf(relation),
      findArrangement: key => this.arrangements.get(key)?.operator,
      sharedArrangements: () => [...this.arrangements.values()].flatMap(({ shared }) => shared ?? []),
      addArrangement: (key, operator, shared) => {
        this.arrangements.set(key, { operator, shared })
        added.push(key)
      },
    }
  }

  private numberOf(relation: Relation): number {
    let number = this.numbers.get(relation)
    if (number === undefined) {
      number = ++this.relationCount
      this.numbers.set(relation, number)
    }
    return number
  }

  /** Removes operators that none of these ends of tables and views needs. */
  collect(roots: readonly Operator[]): void {
    const needed = new Set(roots.flatMap(root => upstream(root)))
    const gone = new Set(this.scheduler.list().filter(o => !needed.has(o)))
    const keys = [...this.arrangements].flatMap(([key, { operator }]) => (gone.has(operator) ? [key] : []))
    this.discard(gone, keys)
  }

  private discard(operators: ReadonlySet<Operator>, arrangements: readonly string[]): void {
    for (const key of arrangements) this.arrangements.delete(key)
    for (const operator of operators) {
      for (const input of operator.inputs()) {
        const at = input.consumers.indexOf(operator)
        if (at >= 0) input.consumers.splice(at, 1)
      }
    }
    this.scheduler.remove(operators)
  }
}

/** Reading a stream: there is nothing. */
const NOTHING: Reader = {
  *range() {},
  *find() {},
  size: () => ({ rows: 0, weight: 0n }),
}
