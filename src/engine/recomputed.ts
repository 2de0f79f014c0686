/** Tables and views of a database once more, in one of their own: views are computed from what tables are said to hold. */
import type { TableDef } from '../circuit/columns.js'
import { nodesOf } from '../circuit/nodes.js'
import type { Relation, TableDefinition, ViewDefinition } from '../circuit/rel.js'
import type { Database } from './database.js'
import type { Definitions } from './definitions.js'
import type { Entry as Registered, ViewEntry } from './registry.js'
import type { Entry, RelationReader } from './relation.js'
import type { Recomputed } from './transactions/past.js'

export class Recomputation implements Recomputed {
  private readonly made = new Map<Registered, Registered>()

  /** Of tables and views that `own` defines, in a database that is empty. */
  constructor(
    readonly scratch: Database,
    private readonly own: Definitions,
  ) {
    scratch.definitions.rowsOnly = true
    scratch.definitions.owner = own.owner
  }

  readonly current = (view: ViewDefinition): ViewDefinition => {
    const entry = this.originalOf(view)
    return entry?.kind === 'view' ? entry.definition : view
  }

  /** A table or view may have several definitions: that of the directory, the program's, and earlier ones. */
  private originalOf(relation: Relation): Registered | undefined {
    const { registry } = this.own
    return registry.known(relation) ?? registry.named(relation.schema.name)
  }

  /** What stands here for a table or view. */
  private entryOf(relation: Relation, make: () => object): Registered {
    const { registry } = this.scratch.definitions
    const original = this.originalOf(relation)
    const entry = (original && this.made.get(original)) ?? (registry.find(make()) as Registered)
    registry.alias(relation, entry)
    if (original !== undefined) this.made.set(original, entry)
    return entry
  }

  load(table: TableDefinition, entries: Iterable<Entry<unknown>>): void {
    const { scratch } = this
    this.entryOf(table, () => {
      const target = scratch.createTable(table as TableDef<unknown>)
      scratch.transact(tx => {
        for (const { row, weight } of entries) tx.add(target, row, weight)
      })
      return target
    })
  }

  /** A view, over tables that were loaded. */
  viewOf(definition: ViewDefinition): ViewEntry {
    const entry = this.entryOf(definition, () => {
      const now = this.current(definition)
      for (const node of nodesOf(now.rel)) {
        if (node.kind === 'source' && node.relation.kind === 'view') this.viewOf(node.relation)
      }
      return this.scratch.createView(now)
    })
    return entry as ViewEntry
  }

  view(definition: ViewDefinition): RelationReader<unknown> {
    const { handle } = this.viewOf(definition)
    handle.check()
    return handle.relation
  }
}
