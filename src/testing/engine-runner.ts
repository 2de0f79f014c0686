/** The engine as a runner of laws. */
import type { ViewDef } from '../circuit/builder/types.js'
import type { TableDef } from '../circuit/columns.js'
import { addRow, type Row, type ZSet, zsetOf } from '../circuit/interpret.js'
import type { TableDefinition, ViewDefinition } from '../circuit/rel.js'
import type { Database, OpenOptions } from '../engine/database.js'
import type { ViewHandle } from '../engine/handles/view.js'
import { open } from '../engine/open.js'
import type { RowSchema } from '../schema/schema.js'
import { TYPES, type Value } from '../schema/types.js'
import { normalise, Problem } from '../schema/values.js'
import type { Step } from './arbitraries.js'
import { type Runner, type RunnerFactory, type RunningView, summed } from './runner.js'

type RowObject = Readonly<Record<string, Value>>

/** Runs on `open(options)`. */
export const engineRunner =
  (options: OpenOptions = {}): RunnerFactory =>
  tables =>
    new EngineRunner(open(options), tables)

class EngineRunner implements Runner {
  private readonly database: Database
  private transactions = 0
  constructor(database: Database, tables: readonly TableDefinition[]) {
    this.database = database
    for (const table of tables) database.createTable(table as TableDef<RowObject>)
  }

  apply(step: Step): void {
    this.database.transact(tx => {
      for (const { table, row, weight } of step) {
        tx.add(table as TableDef<RowObject>, objectOf(table.schema, row), weight)
      }
    })
    // State behind waterlines goes at once, and not when there is enough of it; that of one operator now, of another later.
    this.transactions++
    const { cutters } = this.database.definitions.circuit.scheduler
    for (const [c, cutter] of cutters.entries()) if ((this.transactions * 5 + c * 3) % 7 < 4) cutter.run()
  }

  createView(definition: ViewDefinition): RunningView {
    // A view that another one reads may have been created along with that.
    const known = this.database.views.find(v => v.definition === definition)
    const handle = (known ?? this.database.createView(definition as ViewDef<RowObject>)) as ViewHandle<RowObject>
    return new EngineView(handle, this.database)
  }

  close(): void {
    this.database.close()
  }
}

class EngineView implements RunningView {
  private readonly handle: ViewHandle<RowObject>
  private readonly database: Database
  private readonly received: ZSet
  private readonly unsubscribe: () => void

  constructor(handle: ViewHandle<RowObject>, database: Database) {
    this.handle = handle
    this.database = database
    this.received = this.entries()
    // Subscribing too is refused while there are failed rows, but the laws follow every view.
    if ('observed' in handle.root) handle.root.observed = true
    this.unsubscribe = handle.relation.subscribe(({ changes }) => {
      for (const { row, weight } of changes) addRow(this.received, rowOf(handle.schema, row), weight)
    })
  }

  /** Read past the check for failed rows, which are compared on their own. */
  entries(): ZSet {
    const { schema, relation } = this.handle
    return zsetOf(Array.from(relation.entries(), ({ row, weight }) => ({ row: rowOf(schema, row), weight })))
  }

  integral(): ZSet {
    return this.received
  }

  errors(): ReadonlyMap<string, bigint> {
    const others = new Set<unknown>(this.database.views.filter(v => v !== this.handle).map(v => v.root))
    const own = this.handle.ownErrors(operator => others.has(operator))
    return summed(own.map(({ message, weight }) => [message, weight] as const))
  }

  drop(): void {
    this.unsubscribe()
    this.database.dropView(this.handle.definition)
  }
}

/** Own properties whatever the column's name, `__proto__` included. */
export const objectOf = (schema: RowSchema, row: Row): RowObject =>
  Object.fromEntries(schema.columns.map(c => [c.name, row[c.index]]))

/** The row with canonical values again. */
export const rowOf = (schema: RowSchema, row: RowObject): Row =>
  schema.columns.map(({ name, type }) => {
    const value = row[name]
    if (value === null || TYPES[type].shape === null) return value
    const canonical = normalise(type, value)
    if (canonical instanceof Problem) throw new Error(`${name} of a view: ${canonical.message}`)
    return canonical
  })
