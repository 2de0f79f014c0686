/**
 * What a table is made of: its operator in the circuit, its rows in the directory, and what reads, encodes and judges
 * them. An altered table gets the same things anew.
 */
import { rowEncoder } from '../../codegen/encode.js'
import type { TableDefinition } from '../circuit/rel.js'
import { flatLayout, type TableSchema } from '../schema/schema.js'
import type { Tree } from '../storage/tree.js'
import type { BuiltTable, Circuit } from './circuit.js'
import { TableRules } from './constraints/table-rules.js'
import type { Database } from './database.js'
import type { Durability } from './durable/durability.js'
import { TableHandle } from './handles/table.js'
import { LateGate } from './late.js'
import type { Registry, TableEntry, TableParts } from './registry.js'
import { RelationReader } from './relation.js'
import { pendingRows } from './transactions/pending.js'

/** What the directory knows of a definition that is not new. */
export interface Stored {
  readonly id: number
  readonly tree: Tree | null
  readonly isSystem?: boolean
}

export class Tables {
  constructor(
    private readonly database: Database,
    private readonly registry: Registry,
    private readonly circuit: Circuit,
    /** Null in memory. */
    private readonly durability: Durability | null,
  ) {}

  /** Makes a table that nobody knows yet. Throws IoError; then its operator is one that nothing needs. */
  make(definition: TableDefinition, stored: Stored | null): TableEntry {
    const built = this.circuit.addTable(definition, keyOrAll(definition.schema))
    const { operator } = built
    const tree = this.treeOf(definition, built, stored)
    const relation = this.readerOf(definition, built)
    const id = this.registry.numbered(definition, stored?.id)
    const waterlines = (definition.waterlines ?? []).map(w => this.circuit.addWaterline(definition, operator, w))
    const gate = waterlines.length === 0 ? null : new LateGate(waterlines, relation)
    const handle = new TableHandle<unknown, unknown>(this.database, definition as never, operator, relation, gate)
    return {
      kind: 'table',
      id,
      unclaimed: stored !== null,
      isSystem: stored?.isSystem === true,
      ...this.partsOf(definition, built, tree, handle, gate),
    }
  }

  /** Reads a table. */
  readerOf(definition: TableDefinition, { operator, reader }: BuiltTable): RelationReader<unknown> {
    const context = this.circuit.contextOf(definition)
    return new RelationReader(definition, keyOrAll(definition.schema), context, reader, () => operator.version)
  }

  /** What follows from the definition of a table. */
  partsOf(
    definition: TableDefinition,
    { operator, layout, arrange, rearrange }: BuiltTable,
    tree: Tree | null,
    handle: TableHandle<unknown, unknown>,
    gate: LateGate | null,
  ): TableParts {
    const { schema } = definition
    const { mode } = this.circuit
    const context = this.circuit.contextOf(definition)
    const rules = new TableRules(definition, operator, context, this.durability === null ? null : arrange)
    if (tree !== null) rules.log = rows => this.durability?.add(tree, rows)
    operator.isFollowed = () => handle.relation.isFollowed
    return {
      name: schema.name,
      definition,
      handle,
      tree,
      layout,
      rules,
      gate,
      pending: pendingRows(flatLayout(schema), definition.stream && this.durability === null && gate === null),
      whole: null,
      updates: [],
      single: [null],
      // Compiled with the first row.
      encode(rows, batch, weight) {
        this.encode = rowEncoder(schema, mode).fn
        return this.encode(rows, batch, weight)
      },
      arrange,
      rearrange,
    }
  }

  /** Where the table lies in the directory; null in memory. */
  private treeOf({ schema }: TableDefinition, { layout, operator }: BuiltTable, stored: Stored | null): Tree | null {
    if (this.durability === null) return null
    const { storage, parts } = this.durability
    const tree =
      stored?.tree ?? storage.createTable({ ...layout, schema: { ...layout.schema, name: this.free(schema.name) } })
    return parts.bindTable(operator, tree, layout)
  }

  /** A name that no table of the directory has: one that was dropped is there until the next checkpoint. */
  free(name: string): string {
    const taken = new Set(this.durability?.storage.tables.map(t => t.name))
    let free = name
    for (let n = 2; taken.has(free); n++) free = `${name} ${n}`
    return free
  }
}

/** The columns that rows are found by: all of them, if there is no primary key. */
export function keyOrAll({ primaryKey, columns }: TableSchema): readonly number[] {
  return primaryKey.length > 0 ? primaryKey : columns.map(c => c.index)
}
