/**
 * Making and removing tables, views, indexes and constraints, with whatever they bring along: what a view reads, what an
 * index implies, who follows them, operators that nothing needs any more. When that may be is the database's business.
 */
import type { Mode } from '../../codegen/build.js'
import { GnitzError, quote, UsageError } from '../base/errors.js'
import { type Signal, signalsOf } from '../circuit/bounds.js'
import { sourceOwners } from '../circuit/builder/sources.js'
import type { ViewDef } from '../circuit/builder/types.js'
import type { Udf } from '../circuit/expr.js'
import { nodesOf } from '../circuit/nodes.js'
import { isClock } from '../circuit/now.js'
import type {
  ConstraintDefinition,
  IndexDefinition,
  Rel,
  Relation,
  TableDefinition,
  ViewDefinition,
} from '../circuit/rel.js'
import { circuitOf, circuitText, udfsIn } from '../circuit/serialise/circuit.js'
import type { RowSchema } from '../schema/schema.js'
import type { Tree } from '../storage/tree.js'
import type { Progress } from './backfill.js'
import type { Changes } from './changes.js'
import { Circuit } from './circuit.js'
import { impliedBy, mustBeUnreferred, Rules } from './constraints/rules.js'
import type { TableRules } from './constraints/table-rules.js'
import type { Database } from './database.js'
import { SYSTEM_PREFIX } from './durable/catalog.js'
import type { Durability } from './durable/durability.js'
import { Followers } from './followers.js'
import { ViewHandle } from './handles/view.js'
import { buildIndex } from './indexes/build.js'
import { IndexHandle } from './indexes/handle.js'
import { LateChanges } from './late.js'
import {
  constraintsOf,
  type Defined,
  type Entry,
  type IndexEntry,
  indexesOf,
  label,
  producerOf,
  Registry,
  type TableEntry,
  type ViewEntry,
} from './registry.js'
import { RelationReader } from './relation.js'
import { type Stored, Tables } from './tables.js'
import type { History } from './transactions/history.js'

export class Definitions {
  readonly registry = new Registry()
  readonly followers = new Followers()
  readonly circuit: Circuit
  readonly tables: Tables
  readonly rules: Rules
  /** Tables are made without their indexes and constraints: rows that have been there before come one by one. */
  rowsOnly = false
  /** Operators that nothing needs stay for now: what has been dropped may come back. */
  keepsAll = false
  /** The database whose handles views may have been made of. */
  owner: object

  constructor(
    private readonly database: Database,
    mode: Mode,
    /** Internal: null in memory. */
    readonly durability: Durability | null,
    /** Internal. */
    readonly history: History,
  ) {
    this.owner = database
    this.circuit = new Circuit(mode, this.registry, durability)
    this.tables = new Tables(database, this.registry, this.circuit, durability)
    this.rules = new Rules(this.circuit, parent => this.parentOf(parent))
  }

  /** Makes a table of the catalog, which is there before anything else. */
  addSystemTable(definition: TableDefinition, id: number, tree: Tree): void {
    this.addTable(definition, [], { id, tree, isSystem: true }).unclaimed = false
  }

  /**
   * Makes a table with its indexes; `created` lists all of it. `stored`: it is in the directory already; its indexes come by
   * themselves. Throws UsageError if the name is taken, and IoError.
   */
  addTable(definition: TableDefinition, created: Defined[], stored: Stored | null = null): TableEntry {
    const entry = this.makeTable(definition, stored)
    this.registry.add(entry)
    this.followers.add(entry)
    created.push(entry)
    if (stored !== null || this.rowsOnly) return entry
    for (const index of definition.indexes ?? []) created.push(this.addIndex(entry, index))
    const implied = (definition.indexes ?? []).flatMap(impliedBy)
    const given = definition.constraints ?? []
    for (const constraint of [...implied.filter(i => !given.some(g => g.name === i.name)), ...given]) {
      this.addConstraint(entry, constraint, created)
    }
    return entry
  }

  /**
   * Puts a constraint on a table; what it refers to is created if it is not there yet. Throws UsageError if the name is
   * taken, and ConstraintError if rows that are there break it.
   */
  addConstraint(table: TableEntry, definition: ConstraintDefinition, created: Defined[]): void {
    if (definition.kind === 'foreignKey' && typeof definition.parent === 'object') {
      if (this.registry.find(definition.parent) === undefined) this.addTable(definition.parent, created)
    }
    try {
      this.rules.addConstraint(table.rules, definition)
    } catch (error) {
      this.collect()
      throw error
    }
    created.push({ kind: 'constraint', name: definition.name, table, definition, handle: { dropped: false } })
  }

  /** The table that a foreign key refers to. */
  parentOf(parent: TableDefinition | string): TableRules {
    const found = this.registry.find(parent)
    if (found?.kind === 'table' && !found.isSystem) return found.rules
    throw new UsageError(`there is no table ${label(parent)}`)
  }

  /** Throws UsageError if a table or view of a directory cannot have this name, since the catalog may want it. */
  mustBeForUsers(kind: Entry['kind'], name: string): void {
    if (this.durability === null || !name.startsWith(SYSTEM_PREFIX)) return
    throw new UsageError(`${kind} ${quote(name)}: names that begin with ${SYSTEM_PREFIX} belong to the catalog`)
  }

  private makeTable(definition: TableDefinition, stored: Stored | null): TableEntry {
    const { name } = definition.schema
    this.registry.mustBeFree(name)
    if (stored === null && !isClock(definition)) this.mustBeForUsers('table', name)
    try {
      return this.tables.make(definition, stored)
    } catch (error) {
      this.collect()
      throw error
    }
  }

  /** Makes an index. Throws UsageError if the name is taken. */
  addIndex(table: TableEntry, definition: IndexDefinition, progress?: Progress): IndexEntry {
    const { name } = definition
    const { handle } = table
    if (handle.indexMap.has(name)) {
      throw new UsageError(`table ${quote(table.name)} has an index ${quote(name)} already`)
    }
    const version = () => handle.operator.version
    const index = new IndexHandle(
      handle,
      buildIndex<unknown>(this.circuit, table.definition, definition, version, progress),
    )
    handle.indexMap.set(name, index)
    return { kind: 'index', name, table, definition, handle: index }
  }

  /**
   * Makes a view, and what it reads if that is not there yet; `created` lists all of it, sources first. Throws what
   * compiling and catching up throw; then what is in `created` is to be removed.
   */
  addView(
    definition: ViewDefinition,
    progress: Progress | undefined,
    created: Defined[],
    stored: Stored | null = null,
  ): ViewEntry {
    const { schema, key, rel } = definition
    this.registry.mustBeFree(schema.name)
    if (stored === null) this.mustBeForUsers('view', schema.name)
    this.mustBeOwn(rel, schema.name)
    this.addSources(rel, schema.name, created)
    const id = this.registry.numbered(definition, stored?.id)
    const { root, screen, reader, milliseconds, warnings } = this.circuit.addView(definition, progress)
    const context = this.circuit.contextOf(definition)
    const relation = new RelationReader<unknown>(definition, key, context, reader, () => root.version)
    const gate =
      screen === null ? null : new LateChanges(screen, relation, lsn => this.durability?.isOpen(lsn) === true)
    const handle = new ViewHandle<unknown>(this.database, definition as ViewDef<unknown>, root, relation, {
      ...{ milliseconds, warnings, gate },
    })
    handle.createdAt = this.database.lsn
    handle.observe(this.history.isOpen)
    const unclaimed = stored !== null
    const entry: ViewEntry = { kind: 'view', id, unclaimed, definition, name: schema.name, handle, gate }
    this.registry.add(entry)
    this.followers.add(entry)
    created.push(entry)
    return entry
  }

  private addSources(rel: Rel, view: string, created: Defined[]): void {
    for (const node of nodesOf(rel)) {
      if (node.kind === 'gate') for (const signal of signalsOf(node.threshold)) this.addSignal(signal, created)
      if (node.kind !== 'source' || this.registry.find(node.relation) !== undefined) continue
      const { relation } = node
      if (relation.schema.name === view)
        throw new UsageError(`view ${quote(view)} and something it reads have one name`)
      if (relation.kind === 'view') this.addView(relation, undefined, created)
      else if (relation.kind === 'table') this.addTable(relation, created)
    }
  }

  /** A clock comes with the first view that looks at it. */
  private addSignal({ table }: Signal, created: Defined[]): void {
    if (table.kind === 'table' && this.registry.find(table) === undefined) this.addTable(table, created)
  }

  private mustBeOwn(rel: Rel, view: string): void {
    for (const node of nodesOf(rel)) {
      const owner = node.kind === 'source' ? sourceOwners.get(node) : undefined
      if (owner !== undefined && owner !== this.owner) {
        throw new UsageError(
          `view ${quote(view)} reads ${quote(node.schema.name)}, which is a handle of another database`,
        )
      }
    }
  }

  mustBeUnread(entry: Entry): void {
    if (entry.kind === 'table') mustBeUnreferred(entry.rules)
    const [reader] = this.registry.readersOf(entry)
    if (reader === undefined) return
    throw new UsageError(`${entry.kind} ${quote(entry.name)} is read by view ${quote(reader.name)}; drop that first`)
  }

  /**
   * Makes a view anew that the directory has with another circuit, and the views over it as they are stored. Throws
   * UsageError if its columns changed and another view reads them.
   */
  replaceView(definition: ViewDefinition, old: Entry, progress: Progress | undefined, changes: Changes): ViewEntry {
    const readers = this.registry.readersOf(old)
    if (readers.length > 0 && !sameColumns(definition.schema, old.definition.schema)) {
      throw new UsageError(
        `view ${quote(old.name)} has other columns now, and view ${quote(readers[0].name)} reads it; drop that first`,
      )
    }
    changes.removed.push(...this.unregister(old))
    const view = this.addView(definition, progress, changes.created)
    for (const reader of readers) {
      const rel = circuitOf(circuitText(reader.definition.rel), {
        relation: name => this.registry.named(name)?.definition as Relation,
        udf: name => udfIn(reader.definition.rel, name),
      }) as Rel
      const again = this.replaceView({ ...reader.definition, rel }, reader, undefined, changes)
      again.unclaimed = true
    }
    return view
  }

  /** Forgets relations that nothing reads, and operators that nothing needs any more. */
  remove(entries: readonly Defined[]): void {
    if (entries.length === 0) return
    for (const entry of entries) {
      entry.handle.dropped = true
      this.unregister(entry)
      if (entry.kind === 'table' || entry.kind === 'view') this.history.forget(entry.handle.relation)
      if (entry.kind === 'table' && entry.tree !== null) this.durability?.storage.doom(entry.tree)
    }
    this.collect()
  }

  /** Puts back what was only unregistered. */
  restore(entries: readonly Defined[]): void {
    for (const entry of entries) {
      if (entry.kind === 'index') entry.table.handle.indexMap.set(entry.name, entry.handle)
      else if (entry.kind === 'constraint') this.rules.restore(entry.table.rules, entry.definition)
      else {
        this.registry.add(entry)
        this.followers.add(entry)
      }
    }
  }

  /**
   * Takes a relation or index out of the database, a table with its indexes; returns all of that. Its operators stay until
   * `remove`, or until it is put back (`restore`).
   */
  unregister(entry: Defined): Defined[] {
    if (entry.kind === 'index') {
      // Another one may have the name by now.
      if (entry.table.handle.indexMap.get(entry.name) !== entry.handle) return [entry]
      const names = impliedBy(entry.definition).map(c => c.name)
      const implied = constraintsOf(entry.table).filter(c => names.includes(c.name))
      const removed = implied.flatMap(c => this.unregister(c))
      entry.table.handle.indexMap.delete(entry.name)
      return [entry, ...removed]
    }
    if (entry.kind === 'constraint') {
      const { rules } = entry.table
      if (rules.definitions.includes(entry.definition)) this.rules.dropConstraint(rules, entry.name)
      return [entry]
    }
    this.registry.remove(entry)
    this.followers.remove(entry)
    if (entry.kind === 'view') return [entry]
    const removed = [entry, ...indexesOf(entry), ...constraintsOf(entry)]
    for (const { name } of constraintsOf(entry)) this.rules.dropConstraint(entry.rules, name, true)
    return removed
  }

  /** Forgets operators that nothing needs any more. */
  collect(): void {
    if (this.keepsAll) return
    const entries = this.registry.all()
    const indexes = entries.flatMap(e => (e.kind === 'table' ? e.handle.indexes.map(i => i.operator) : []))
    const constraints = entries.flatMap(e => (e.kind === 'table' ? e.rules.operators : []))
    const waterlines = entries.flatMap(e => e.gate?.waterlines ?? [])
    this.circuit.collect([...entries.map(producerOf), ...indexes, ...constraints, ...waterlines])
  }

  get lsn(): bigint {
    return this.database.lsn
  }

  /** Lets a view stand for another definition of the same; earlier ones still find it. Returns what undoes it. */
  redefine(view: ViewEntry, definition: ViewDefinition): () => void {
    const before = view.definition
    const set = (now: ViewDefinition) => {
      view.definition = now
      view.handle.become(now as never)
      this.registry.alias(now, view)
    }
    set(definition)
    return () => set(before)
  }
}

export function udfIn(rel: Rel, key: string): Udf {
  const udf = udfsIn(rel).get(key)
  if (udf === undefined) throw new GnitzError('INTERNAL', `function ${key} is not there`)
  return udf
}

function sameColumns(a: RowSchema, b: RowSchema): boolean {
  const text = ({ columns }: RowSchema) => JSON.stringify(columns.map(c => [c.name, c.type, c.nullable]))
  return text(a) === text(b)
}
