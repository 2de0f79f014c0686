/**
 * The tables and views of a database: by name, by definition and by number, and which of them read which.
 *
 * What a durable database finds in its directory is *unclaimed* at first: the program has not named it yet. The program's
 * own definition object, when it turns up, is compared with the stored one and stands for the same table or view from
 * then on.
 */
import { GnitzError, quote, show, UsageError } from '../base/errors.js'
import type { Signal } from '../circuit/bounds.js'
import { nodesOf } from '../circuit/nodes.js'
import { planOf } from '../circuit/optimise.js'
import type {
  ConstraintDefinition,
  IndexDefinition,
  Relation,
  TableDefinition,
  ViewDefinition,
} from '../circuit/rel.js'
import { circuitText } from '../circuit/serialise/circuit.js'
import type { Layout } from '../schema/schema.js'
import type { Tree } from '../storage/tree.js'
import type { Batch } from '../zset/batch.js'
import { mustAgree } from './alter/difference.js'
import type { CircuitHost } from './circuit.js'
import type { TableRules } from './constraints/table-rules.js'
import { TableHandle } from './handles/table.js'
import { ViewHandle } from './handles/view.js'
import type { IndexHandle } from './indexes/handle.js'
import type { LateChanges, LateGate } from './late.js'
import type { Producer } from './operators/operator.js'
import type { WaterlineOperator } from './operators/waterline.js'
import { planKey } from './relkey.js'
import type { PendingTable } from './transactions/pending.js'

interface Registered {
  /** The number it has in the catalog, and in names of state. */
  readonly id: number
  /** No definition of the program stands for it yet. */
  unclaimed: boolean
}

/** What follows from a table's definition, and changes when it is altered. */
export interface TableParts extends PendingTable {
  name: string
  definition: TableDefinition
  readonly handle: TableHandle<unknown, unknown>
  /** Its table in the directory; null in memory. */
  tree: Tree | null
  /** Of its rows, in the log and in shards. */
  layout: Layout
  /** Its constraints. */
  rules: TableRules
  /** What keeps late rows out; null if there is none. */
  readonly gate: LateGate | null
  /** Flat rows as a consolidated run of that layout. */
  arrange(flat: Batch): Batch
  /** The same for rows that have the layout, in any order. */
  rearrange(raw: Batch): Batch
}

export interface TableEntry extends Registered, TableParts {
  readonly kind: 'table'
  /** It belongs to the catalog: users read it only. */
  readonly isSystem: boolean
}

export interface ViewEntry extends Registered {
  readonly kind: 'view'
  name: string
  definition: ViewDefinition
  readonly handle: ViewHandle<unknown>
  /** What lists its late rows; null if it has no waterline. */
  readonly gate: LateChanges | null
}

export type Entry = TableEntry | ViewEntry

/** A secondary index; it goes by its table. */
export interface IndexEntry {
  readonly kind: 'index'
  readonly name: string
  readonly table: TableEntry
  readonly definition: IndexDefinition
  readonly handle: IndexHandle<unknown>
}

/** A constraint; it goes by its table. */
export interface ConstraintEntry {
  readonly kind: 'constraint'
  readonly name: string
  readonly table: TableEntry
  readonly definition: ConstraintDefinition
  readonly handle: { dropped: boolean }
}

/** What can be made and dropped. */
export type Defined = Entry | IndexEntry | ConstraintEntry

export class Registry implements CircuitHost {
  private readonly byDefinition = new Map<Relation, Entry>()
  private readonly byName = new Map<string, Entry>()
  /** Numbers of relations, also of those that are being made. */
  private readonly numbers = new WeakMap<Relation, number>()
  private lastNumber = 0
  private listedScreens: readonly LateChanges[] | null = null

  all(): Entry[] {
    return [...this.byName.values()]
  }

  add(entry: Entry): void {
    this.byDefinition.set(entry.definition, entry)
    this.byName.set(entry.name, entry)
    this.listedScreens = null
  }

  remove(entry: Entry): void {
    for (const [definition, other] of this.byDefinition) if (other === entry) this.byDefinition.delete(definition)
    if (this.byName.get(entry.name) === entry) this.byName.delete(entry.name)
    this.listedScreens = null
  }

  /** Gives a relation a number: that which it has in the directory, or the next one. */
  numbered(definition: Relation, id = this.lastNumber + 1): number {
    this.lastNumber = Math.max(this.lastNumber, id)
    this.numbers.set(definition, id)
    return id
  }

  /** The number of a relation that is there, or that is being made. */
  numberOf(relation: Relation): number {
    const id = this.known(relation)?.id ?? this.numbers.get(relation) ?? this.find(relation)?.id
    if (id === undefined) throw new GnitzError('INTERNAL', `relation ${quote(relation.schema.name)} has no number`)
    return id
  }

  producerOf(relation: Relation): Producer {
    const found = this.find(relation)
    if (found === undefined) throw new GnitzError('INTERNAL', `relation ${quote(relation.schema.name)} is not there`)
    return producerOf(found)
  }

  waterlineOf({ table, column }: Signal): WaterlineOperator {
    const found = this.find(table)?.gate?.waterlines.find(w => w.column === column)
    if (found === undefined)
      throw new GnitzError('INTERNAL', `${table.kind} ${quote(table.schema.name)} has no such waterline`)
    return found
  }

  /** Of views whose changes may be late. */
  get screens(): readonly LateChanges[] {
    this.listedScreens ??= this.all().flatMap(e => (e.kind === 'view' && e.gate !== null ? [e.gate] : []))
    return this.listedScreens
  }

  /** The table whose constraints these are. */
  ownerOf(rules: TableRules): TableEntry {
    for (const entry of this.all()) if (entry.kind === 'table' && entry.rules === rules) return entry
    throw new GnitzError('INTERNAL', `table ${quote(rules.name)} is not there`)
  }

  /** Views that read a table or view. */
  readersOf(entry: Entry): ViewEntry[] {
    const reads = (view: ViewEntry) =>
      nodesOf(view.definition.rel).some(n => n.kind === 'source' && this.find(n.relation) === entry)
    return this.all().filter((e): e is ViewEntry => e.kind === 'view' && e !== entry && reads(e))
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

  /** What a definition stands for already: nothing is claimed. */
  known(definition: Relation): Entry | undefined {
    return this.byDefinition.get(definition)
  }

  named(name: string): Entry | undefined {
    return this.byName.get(name)
  }

  /** By definition, handle or name; undefined if there is none. Throws SchemaError if a stored definition differs. */
  find(ref: unknown): Entry | undefined {
    const known = this.byDefinition.get(ref as Relation)
    if (known !== undefined) return known
    if (typeof ref === 'string') return this.byName.get(ref)
    if (ref instanceof ViewHandle || ref instanceof TableHandle) {
      const entry = this.byDefinition.get(ref.definition)
      return entry?.handle === ref && !ref.dropped ? entry : undefined
    }
    return this.claim(ref)
  }

  /** The unclaimed entry that a definition of the program stands for; its circuit may be another now. */
  unclaimedLike(definition: Relation): Entry | undefined {
    const entry = this.byName.get(definition.schema.name)
    return entry?.unclaimed === true && entry.kind === definition.kind ? entry : undefined
  }

  private claim(ref: unknown): Entry | undefined {
    if (typeof ref !== 'object' || ref === null || !('schema' in ref) || !('kind' in ref)) return undefined
    const definition = ref as Relation
    if (definition.kind !== 'table' && definition.kind !== 'view') return undefined
    const entry = this.unclaimedLike(definition)
    if (entry === undefined) return undefined
    if (definition.kind === 'table' && entry.kind === 'table') mustAgree(definition, entry)
    else if (definition.kind === 'view' && entry.kind === 'view' && !this.agrees(definition, entry)) return undefined
    this.adopt(definition, entry)
    return entry
  }

  /** The same, of an entry that the program may not have named. */
  alias(definition: Relation, entry: Entry): void {
    this.byDefinition.set(definition, entry)
  }

  /** Lets a definition stand for an entry. */
  adopt(definition: Relation, entry: Entry): void {
    entry.unclaimed = false
    this.byDefinition.set(definition, entry)
  }

  /** The definition stands for the entry no more; `unclaimed`: nor does any other one of the program. */
  disown(definition: Relation, entry: Entry, unclaimed: boolean): void {
    if (entry.definition !== definition) this.byDefinition.delete(definition)
    entry.unclaimed = unclaimed
  }

  /** Is it the same view, over the same tables and views? */
  private agrees(definition: ViewDefinition, { definition: stored }: ViewEntry): boolean {
    const textOf = ({ key, waterlines = [] }: ViewDefinition) =>
      `${key} ${waterlines.map(w => `${w.column}-${w.lateness}`)}`
    const sameKey = textOf(definition) === textOf(stored)
    const text = ({ rel }: ViewDefinition) => circuitText(rel, r => this.nameOf(r))
    return sameKey && (text(definition) === text(stored) || this.isEquivalent(definition, stored))
  }

  /** Do both come to one plan? A table that has got columns since reads otherwise, and a view of others is the same. */
  private isEquivalent(definition: ViewDefinition, stored: ViewDefinition): boolean {
    const columns = ({ schema }: ViewDefinition) =>
      JSON.stringify(schema.columns.map(c => [c.name, c.type, c.nullable]))
    if (columns(definition) !== columns(stored)) return false
    const numberOf = (relation: Relation): number => this.find(relation)?.id ?? -1
    const key = (definition: ViewDefinition) => planKey(planOf(definition), numberOf)
    return key(definition) === key(stored)
  }

  /** A text that two definitions have in common if they stand for one entry. */
  private nameOf(relation: Relation): string {
    const entry = this.find(relation)
    return entry === undefined ? `new ${relation.schema.name}` : `${entry.id}`
  }

  mustBeFree(name: string): void {
    const taken = this.byName.get(name)
    if (taken !== undefined) throw new UsageError(`the name ${quote(name)} is taken by a ${taken.kind}`)
  }
}

/** What shows the changes of a table or view. */
export const producerOf = (entry: Entry): Producer =>
  entry.kind === 'view' ? entry.handle.root : entry.handle.operator

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

/** A reference that stands for nothing in a database, and why if that can be told. */
export function stranger(ref: unknown, database: object): string {
  if (!(ref instanceof ViewHandle || ref instanceof TableHandle)) return label(ref)
  if (ref.database !== database) return `${label(ref)}, which is a ${ref.definition.kind} of another database`
  return ref.dropped ? `${label(ref)}, which was dropped` : label(ref)
}

export function label(ref: unknown): string {
  if (typeof ref === 'string') return quote(ref)
  if (typeof ref === 'object' && ref !== null) {
    const { name, schema } = ref as { name?: unknown; schema?: { name?: unknown } }
    const found = typeof name === 'string' ? name : schema?.name
    if (typeof found === 'string') return quote(found)
  }
  return show(ref)
}
