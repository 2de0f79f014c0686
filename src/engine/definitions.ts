/**
 * Making and removing tables and views: their operators in the circuit, their state in the directory, their handles. What
 * a definition is called and when it may be made is the database's business.
 */
import type { Mode } from '../../codegen/build.js'
import { rowEncoder } from '../../codegen/encode.js'
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
import { flatLayout, type Layout, type RowSchema } from '../schema/schema.js'
import type { Tree } from '../storage/tree.js'
import type { Progress } from './backfill.js'
import { type BuiltTable, Circuit } from './circuit.js'
import { impliedBy, mustBeUnreferred, Rules } from './constraints/rules.js'
import { TableRules } from './constraints/table-rules.js'
import type { Database } from './database.js'
import { SYSTEM_PREFIX } from './durable/catalog.js'
import type { Durability } from './durable/durability.js'
import { TableHandle, ViewHandle } from './handles.js'
import { buildIndex } from './indexes/build.js'
import { IndexHandle } from './indexes/handle.js'
import { LateChanges, LateGate } from './late.js'
import type { Producer } from './operators/operator.js'
import type { SourceOperator } from './operators/source.js'
import type { WaterlineOperator } from './operators/waterline.js'
import {
  type ConstraintEntry,
  type Defined,
  type Entry,
  type IndexEntry,
  label,
  Registry,
  type TableEntry,
  type TableParts,
  type ViewEntry,
} from './registry.js'
import { RelationReader } from './relation.js'
import type { History, Tracked } from './transactions/history.js'
import { pendingRows } from './transactions/pending.js'

/** How the subscribers of a relation are served, and its changes recorded. */
export interface Follower extends Tracked {
  readonly entry: Entry
  capture(lsn: bigint): boolean
  /** Forgets what was captured. */
  discard(): void
  deliver(failures: unknown[]): void
}

/** What the directory knows of a definition that is not new. */
export interface Stored {
  readonly id: number
  readonly tree: Tree | null
  readonly isSystem?: boolean
}

/** Changes of definitions, sources first: what was made, and what goes once everything else has succeeded. */
export interface Changes {
  readonly created: Defined[]
  readonly removed: Defined[]
}

export class Definitions {
  readonly registry = new Registry()
  readonly circuit: Circuit
  readonly rules: Rules
  /** Tables are made without their indexes and constraints: rows that have been there before come one by one. */
  rowsOnly = false
  /** Operators that nothing needs stay for now: what has been dropped may come back. */
  keepsAll = false
  followers: Follower[] = []
  /** The database whose handles views may have been made of. */
  owner: object
  private lastId = 0
  private listed: readonly LateChanges[] | null = null
  private readonly ids = new WeakMap<Relation, number>()

  constructor(
    private readonly database: Database,
    private readonly mode: Mode,
    /** Internal: null in memory. */
    readonly durability: Durability | null,
    /** Internal. */
    readonly history: History,
  ) {
    this.owner = database
    this.circuit = new Circuit(mode, {
      producerOf: relation => this.producerOf(relation),
      numberOf: relation => this.numberOf(relation),
      waterlineOf: signal => this.waterlineOf(signal),
      state: durability,
    })
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
    const { schema } = definition
    this.registry.mustBeFree(schema.name)
    const isSystem = stored?.isSystem === true
    if (stored === null && !isClock(definition)) this.mustBeForUsers('table', schema.name)
    const key = keyOrAll(schema, schema.primaryKey)
    const built = this.circuit.addTable(definition, key)
    const { operator, layout } = built
    const tree = this.treeOf(definition, layout, operator, stored)
    const relation = this.readerOf(definition, built)
    const id = this.numbered(definition, stored)
    const waterlines = (definition.waterlines ?? []).map(w => this.circuit.addWaterline(definition, operator, w))
    const gate = waterlines.length === 0 ? null : new LateGate(waterlines, relation)
    const handle = new TableHandle<unknown, unknown>(this.database, definition as never, operator, relation, gate)
    const entry: TableEntry = {
      kind: 'table',
      id,
      unclaimed: stored !== null,
      isSystem,
      ...this.partsOf(definition, built, tree, handle, gate),
    }
    this.registry.add(entry)
    this.follow(entry, operator, relation)
    return entry
  }

  /** Internal: reads a table. */
  readerOf(definition: TableDefinition, { operator, reader }: BuiltTable): RelationReader<unknown> {
    const { schema } = definition
    const key = keyOrAll(schema, schema.primaryKey)
    const context = this.circuit.contextOf(definition)
    return new RelationReader<unknown>(definition, key, context, reader, () => operator.version)
  }

  /** Internal: what follows from the definition of a table. */
  partsOf(
    definition: TableDefinition,
    { operator, layout, arrange, rearrange }: BuiltTable,
    tree: Tree | null,
    handle: TableHandle<unknown, unknown>,
    gate: LateGate | null,
  ): TableParts {
    const { schema } = definition
    const { mode } = this
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
  private treeOf(
    { schema }: TableDefinition,
    layout: Layout,
    operator: SourceOperator,
    stored: Stored | null,
  ): Tree | null {
    if (this.durability === null) return null
    const { storage, parts } = this.durability
    try {
      const tree =
        stored?.tree ?? storage.createTable({ ...layout, schema: { ...layout.schema, name: this.free(schema.name) } })
      return parts.bindTable(operator, tree, layout)
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

  /** A name that no table of the directory has: one that was dropped is there until the next checkpoint. */
  free(name: string): string {
    const taken = new Set(this.durability?.storage.tables.map(t => t.name))
    let free = name
    for (let n = 2; taken.has(free); n++) free = `${name} ${n}`
    return free
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
    const id = this.numbered(definition, stored)
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
    this.follow(entry, root, relation)
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

  numbered(definition: Relation, stored: Stored | null): number {
    const id = stored?.id ?? this.lastId + 1
    this.lastId = Math.max(this.lastId, id)
    this.ids.set(definition, id)
    return id
  }

  /** The number of a relation that is there, or that is being made. */
  numberOf(relation: Relation): number {
    const id = this.registry.known(relation)?.id ?? this.ids.get(relation) ?? this.registry.find(relation)?.id
    if (id === undefined) throw new GnitzError('INTERNAL', `relation ${quote(relation.schema.name)} has no number`)
    return id
  }

  private producerOf(relation: Relation): Producer {
    const found = this.registry.find(relation)
    if (found === undefined) throw new GnitzError('INTERNAL', `relation ${quote(relation.schema.name)} is not there`)
    return producerOf(found)
  }

  private waterlineOf({ table, column }: Signal): WaterlineOperator {
    const entry = this.registry.find(table)
    const found = entry?.gate?.waterlines.find(w => w.column === column)
    if (found === undefined)
      throw new GnitzError('INTERNAL', `${table.kind} ${quote(table.schema.name)} has no such waterline`)
    return found
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

  /** Views that read a table or view. */
  readersOf(entry: Entry): ViewEntry[] {
    const reads = (view: ViewEntry) =>
      nodesOf(view.definition.rel).some(n => n.kind === 'source' && this.registry.find(n.relation) === entry)
    return this.registry.all().filter((e): e is ViewEntry => e.kind === 'view' && e !== entry && reads(e))
  }

  /**
   * Views over a table or view, those over others of them as well, each after what it reads: bounds and `emitFinal`
   * name relations that a view reads through others.
   */
  viewsOver(entry: Entry): ViewEntry[] {
    const found = new Set<ViewEntry>()
    const visit = (below: Entry): void => {
      for (const reader of this.readersOf(below)) if (!found.has(reader)) visit(reader)
      if (below.kind === 'view' && below !== entry) found.add(below)
    }
    visit(entry)
    return [...found].reverse()
  }

  mustBeUnread(entry: Entry): void {
    if (entry.kind === 'table') mustBeUnreferred(entry.rules)
    const [reader] = this.readersOf(entry)
    if (reader === undefined) return
    throw new UsageError(`${entry.kind} ${quote(entry.name)} is read by view ${quote(reader.name)}; drop that first`)
  }

  /**
   * Makes a view anew that the directory has with another circuit, and the views over it as they are stored. Throws
   * UsageError if its columns changed and another view reads them.
   */
  replaceView(definition: ViewDefinition, old: Entry, progress: Progress | undefined, changes: Changes): ViewEntry {
    const readers = this.readersOf(old)
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
        this.follow(entry, producerOf(entry), entry.handle.relation)
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
    this.followers = this.followers.filter(f => f.entry !== entry)
    this.listed = null
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

  /** Of views whose changes may be late. */
  get screens(): readonly LateChanges[] {
    this.listed ??= this.registry.all().flatMap(e => (e.kind === 'view' && e.gate !== null ? [e.gate] : []))
    return this.listed
  }

  /** The table whose constraints these are. */
  entryOf(rules: TableRules): TableEntry {
    for (const entry of this.registry.all()) if (entry.kind === 'table' && entry.rules === rules) return entry
    throw new GnitzError('INTERNAL', `table ${quote(rules.name)} is not there`)
  }

  get lsn(): bigint {
    return this.database.lsn
  }

  /** A table is read by another reader from now on. */
  refollow(entry: TableEntry, operator: SourceOperator, relation: RelationReader<unknown>): void {
    this.followers = this.followers.filter(f => f.entry !== entry)
    this.follow(entry, operator, relation)
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

  private follow(entry: Entry, producer: Producer, relation: RelationReader<unknown>): void {
    this.listed = null
    this.followers.push({
      entry,
      relation,
      producer,
      kept: entry.kind === 'view' || !entry.definition.stream,
      capture: lsn => relation.capture(producer.delta(), lsn),
      discard: () => relation.discard(),
      deliver: failures => relation.deliver(failures),
    })
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

export const indexesOf = (table: TableEntry): IndexEntry[] =>
  table.handle.indexes.map(handle => ({
    kind: 'index',
    name: handle.definition.name,
    table,
    definition: handle.definition,
    handle,
  }))

/** Constraints of a table, foreign keys last. */
export const constraintsOf = (table: TableEntry): ConstraintEntry[] =>
  table.rules.definitions.map(definition => ({
    kind: 'constraint',
    name: definition.name,
    table,
    definition,
    handle: { dropped: false },
  }))

const producerOf = (entry: Entry): Producer => (entry.kind === 'view' ? entry.handle.root : entry.handle.operator)

export function keyOrAll(schema: RowSchema, key: readonly number[]): readonly number[] {
  return key.length > 0 ? key : schema.columns.map(c => c.index)
}
