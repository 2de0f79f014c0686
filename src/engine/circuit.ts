/**
 * The physical circuit of a database: its operators in order, and the arrangements that views share. Views are built
 * into it and taken out of it here; what they are called is the database's business.
 */

import type { Mode } from '../../codegen/build.js'
import { kernelsOf } from '../../codegen/kernels.js'
import type { CodeContext } from '../../codegen/steps.js'
import { limitsOf, type Signal } from '../circuit/bounds.js'
import { planOf } from '../circuit/optimise.js'
import type { AggregateRel, Rel, Relation, TableDefinition, ViewDefinition, Waterline } from '../circuit/rel.js'
import { arrangedLayout, flatLayout, type Layout, type RowSchema, rowSchema } from '../schema/schema.js'
import type { Batch } from '../zset/batch.js'
import { Store } from '../zset/store.js'
import { arrangeRowsOf } from './arranging.js'
import { backfill, type Progress } from './backfill.js'
import { Scheduler, upstream } from './epoch.js'
import type { ArrangeOperator } from './operators/arrange.js'
import type { KeysOperator } from './operators/keys.js'
import type { Operator, Producer } from './operators/operator.js'
import { ReduceOperator } from './operators/reduce.js'
import { ScreenOperator } from './operators/screen.js'
import { SinkOperator } from './operators/sink.js'
import { SourceOperator, type TableState } from './operators/source.js'
import { WaterlineOperator } from './operators/waterline.js'
import { Planner } from './planner.js'
import type { Catalog } from './planning.js'
import { groupReader, type Reader, storeLayout, storeReader } from './read.js'
import type { OwnSide, SharedArrangement } from './sharing.js'

/** A table in the circuit. */
export interface BuiltTable {
  readonly operator: SourceOperator
  /** What the operator holds, or is to hold. */
  readonly state: TableState
  readonly reader: Reader
  /** Of its store. */
  readonly layout: Layout
  /** Makes a consolidated run of it, of flat rows or of rows that have the layout already. */
  arrange(flat: Batch): Batch
  rearrange(raw: Batch): Batch
}

/** A view in the circuit. */
export interface BuiltView {
  readonly root: SinkOperator | ReduceOperator
  /** What keeps late rows out. */
  readonly screen: ScreenOperator | null
  readonly reader: Reader
  /** Time to compile it. */
  readonly milliseconds: number
  /** What of it keeps rows for ever although they are late at some time. */
  readonly warnings: readonly string[]
}

/** What the circuit asks of the database. */
export interface CircuitHost {
  producerOf(relation: Relation): Producer
  waterlineOf(signal: Signal): WaterlineOperator
  /** Tells relations apart, in this process and later ones. */
  numberOf(relation: Relation): number
}

export interface StateKeeper {
  /** Gives new operators the state they had; false if they have none, and are to catch up. */
  bind(operators: readonly Operator[]): boolean
  release(operators: Iterable<Operator>): void
  /** Called while a view catches up, when memory may be short. */
  relieve(): void
}

export class Circuit {
  readonly scheduler = new Scheduler()
  /** While a table is altered: gives new operators what others hold; false if they are to begin otherwise. */
  heir: ((operators: readonly Operator[]) => boolean) | null = null
  private readonly keyTables = new Map<string, KeysOperator>()
  private readonly arrangements = new Map<string, { operator: ArrangeOperator; shared: SharedArrangement | null }>()

  constructor(
    readonly mode: Mode,
    private readonly host: CircuitHost,
    /** Where operators' state lasts; null if it does not. */
    private readonly state: StateKeeper | null,
  ) {}

  contextOf({ kind, schema }: Relation): CodeContext {
    return { mode: this.mode, unit: schema.name, provenance: [`${kind} ${schema.name}`] }
  }

  addTable(definition: TableDefinition, key: readonly number[]): BuiltTable {
    const { operator, built } = this.tableOf(definition, key, null)
    this.scheduler.add([operator])
    return built
  }

  /** What a table becomes that gets another definition; `operator.become(state)` makes it so. */
  alteredTable(operator: SourceOperator, definition: TableDefinition, key: readonly number[]): BuiltTable {
    return this.tableOf(definition, key, operator).built
  }

  private tableOf(definition: TableDefinition, key: readonly number[], old: SourceOperator | null) {
    const { schema, stream } = definition
    const store = this.storeOf(schema, key, this.contextOf(definition))
    const layout = this.state === null ? flatLayout(schema) : store.layout
    const state: TableState = { name: schema.name, store: stream ? null : store, layout }
    const operator = old ?? new SourceOperator(state.name, state.store, layout)
    const reader = stream ? NOTHING : this.readerOf(store, operator, key)
    const built: BuiltTable = {
      operator,
      state,
      reader,
      layout: store.layout,
      arrange: flat => store.arrange(flat),
      rearrange: raw => store.rearrange(raw),
    }
    return { operator, built }
  }

  /** The waterline of a column of a table, which goes on from where it was. */
  addWaterline(table: TableDefinition, source: SourceOperator, waterline: Waterline): WaterlineOperator {
    const operator = this.waterlineOf(table, source, waterline)
    source.consumers.push(operator)
    this.catchUp([operator], undefined)
    this.scheduler.add([operator])
    return operator
  }

  private waterlineOf(relation: Relation, rows: Producer, { column, lateness }: Waterline): WaterlineOperator {
    const { name, columns } = relation.schema
    const { type } = columns[column]
    const layout = arrangedLayout(rowSchema('waterline', [{ name: columns[column].name, type, nullable: false }]), [0])
    const operator = new WaterlineOperator(rows, name, column, lateness, kernelsOf(layout, this.mode))
    operator.stateName = () => `waterline ${this.host.numberOf(relation)} ${column}`
    return operator
  }

  /** Compiles a view and brings it up to date. What it throws leaves the circuit as it was. */
  addView(definition: ViewDefinition, progress: Progress | undefined): BuiltView {
    const started = performance.now()
    const rel = planOf(definition)
    const context = this.contextOf(definition)
    const added: string[] = []
    const planner = new Planner(this.catalog(added), context, rel, definition)
    try {
      const screen = this.screenOf(planner, rel, definition)
      const root = this.rootOf(planner, rel, definition, context, screen)
      const milliseconds = performance.now() - started
      this.catchUp(planner.operators, progress)
      const reader = this.viewReader(definition, root)
      this.scheduler.add(planner.operators)
      return { root, screen, reader, milliseconds, warnings: planner.warnings }
    } catch (error) {
      this.discard(new Set(planner.operators), added)
      throw error
    }
  }

  /** New operators go on from the state that they find, or see what is there as if it had just come in. */
  private catchUp(operators: readonly Operator[], progress: Progress | undefined): void {
    if (this.heir?.(operators) === true) return
    const { state } = this
    if (state?.bind(operators) === true) return
    backfill(this.scheduler, operators, (done, total) => {
      state?.relieve()
      progress?.(done, total)
    })
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
    return this.added(table, rel, progress, planner => planner.arrangementOf(rel, key, order, false, purpose))
  }

  /** The same for an arrangement that may have more columns: one that exists serves too. */
  addSide(table: TableDefinition, purpose: string, rel: Rel, key: readonly number[]): OwnSide {
    return this.added(table, rel, undefined, planner => planner.sideOf(rel, key, purpose))
  }

  /** Is there an arrangement already that `addSide` would give? */
  hasSide(table: TableDefinition, rel: Rel, key: readonly number[]): boolean {
    return new Planner(this.catalog([]), this.contextOf(table), rel, table).sharedSide(rel, key) !== null
  }

  isArranged(table: TableDefinition, rel: Rel, key: readonly number[]): boolean {
    return new Planner(this.catalog([]), this.contextOf(table), rel, table).isArranged(rel, key)
  }

  /** What counts the rows of each key: the groups of `rel`. `what` tells the same in a few expressions over the table. */
  addKeys(table: TableDefinition, purpose: string, rel: AggregateRel, what: object): KeysOperator {
    return this.added(table, rel, undefined, planner => planner.keysOf(rel, purpose, what))
  }

  private added<T>(table: TableDefinition, rel: Rel, progress: Progress | undefined, plan: (p: Planner) => T): T {
    const added: string[] = []
    const planner = new Planner(this.catalog(added), this.contextOf(table), rel, table)
    try {
      const result = plan(planner)
      this.catchUp(planner.operators, progress)
      this.scheduler.add(planner.operators)
      return result
    } catch (error) {
      this.discard(new Set(planner.operators), added)
      throw error
    }
  }

  /** What keeps late rows out of a view; null if there are none. */
  private screenOf(planner: Planner, rel: Rel, definition: ViewDefinition): ScreenOperator | null {
    const { waterlines, key, schema } = definition
    if (waterlines === undefined) return null
    const screen = new ScreenOperator(schema, key)
    screen.stateName = () => `screen ${this.host.numberOf(definition)}`
    const layout = flatLayout(schema)
    planner.attachBatch(planner.feedsOf(rel), schema, layout, screen.out, screen.errors, screen.feeds)
    screen.waterlines.push(...waterlines.map(w => this.waterlineOf(definition, screen, w)))
    for (const operator of [screen, ...screen.waterlines]) planner.add(operator)
    return screen
  }

  private rootOf(
    planner: Planner,
    rel: Rel,
    definition: ViewDefinition,
    context: CodeContext,
    screen: ScreenOperator | null,
  ): BuiltView['root'] {
    // Groups that are cut off, or some of whose changes are late, cannot be what is read of the view.
    if (rel.kind === 'aggregate' && limitsOf(rel).length === 0 && screen === null) {
      const producer = planner.producerOf(rel)
      if (producer instanceof ReduceOperator) return producer
    }
    const feeds = screen === null ? planner.feedsOf(rel) : [planner.scan(screen, rel)]
    const sink = new SinkOperator(this.storeOf(definition.schema, definition.key, context), definition.schema.name)
    const { tail } = sink.store
    planner.attachBatch(feeds, definition.schema, tail.layout, tail, sink.errors, sink.feeds)
    planner.finish(sink, rel)
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
      producerOf: relation => this.host.producerOf(relation),
      numberOf: relation => this.host.numberOf(relation),
      waterlineOf: signal => this.host.waterlineOf(signal),
      findArrangement: key => this.arrangements.get(key)?.operator,
      sharedArrangements: () => [...this.arrangements.values()].flatMap(({ shared }) => shared ?? []),
      addArrangement: (key, operator, shared) => {
        this.arrangements.set(key, { operator, shared })
        added.push(key)
      },
      findKeys: key => this.keyTables.get(key),
      addKeys: (key, operator) => void this.keyTables.set(key, operator),
    }
  }

  /** Is there state that should be cut off? */
  get isDue(): boolean {
    const { cutters } = this.scheduler
    for (let c = 0; c < cutters.length; c++) if (cutters[c].isDue) return true
    return false
  }

  /** Cuts off state that is never needed again: as far as it is due, or all of it. REQUIRES: as for `Cutter.run`. */
  cut(all = false): void {
    for (const cutter of this.scheduler.cutters) if (all || cutter.isDue) cutter.run()
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
    for (const [key, operator] of this.keyTables) if (operators.has(operator)) this.keyTables.delete(key)
    for (const operator of operators) {
      for (const input of operator.waitsFor()) {
        const at = input.consumers.indexOf(operator)
        if (at >= 0) input.consumers.splice(at, 1)
      }
    }
    this.scheduler.remove(operators)
    this.state?.release(operators)
  }
}

/** Reading a stream: there is nothing. */
const NOTHING: Reader = {
  *range() {},
  *find() {},
  size: () => ({ rows: 0, weight: 0n }),
}
