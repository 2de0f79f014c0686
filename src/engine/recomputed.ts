/** Databases of the past: what tables held, and views computed from it. */
import type { TableDef } from '../circuit/columns.js'
import { nodesOf } from '../circuit/nodes.js'
import type { Relation, ViewDefinition } from '../circuit/rel.js'
import type { Database } from './database.js'
import type { Definitions } from './definitions.js'
import type { Entry } from './registry.js'
import type { Recomputed } from './transactions/past.js'

/** Lets `scratch`, which is empty, stand for the past of the database with the definitions `own`. */
export function recomputed(scratch: Database, own: Definitions): Recomputed {
  const { registry } = scratch.definitions
  scratch.definitions.rowsOnly = true
  scratch.definitions.owner = own.owner
  const made = new Map<Entry, Entry>()
  /** What stands here for a table or view, which may have two definitions: that of the directory, and the program's. */
  const entryOf = (relation: Relation, make: () => object): Entry => {
    const original = own.registry.known(relation) ?? own.registry.named(relation.schema.name)
    const entry = (original && made.get(original)) ?? (registry.find(make()) as Entry)
    registry.alias(relation, entry)
    if (original !== undefined) made.set(original, entry)
    return entry
  }
  const viewOf = (definition: ViewDefinition): Entry =>
    entryOf(definition, () => {
      for (const node of nodesOf(definition.rel)) {
        if (node.kind === 'source' && node.relation.kind === 'view') viewOf(node.relation)
      }
      return scratch.createView(definition)
    })
  return {
    load: (table, entries) => {
      entryOf(table, () => {
        const target = scratch.createTable(table as TableDef<unknown>)
        scratch.transact(tx => {
          for (const { row, weight } of entries) tx.add(target, row, weight)
        })
        return target
      })
    },
    view: definition => {
      const { handle } = viewOf(definition)
      handle.check()
      return handle.relation
    },
  }
}
