/**
 * Altering a table in place. The circuit stays: operators know the columns of a table by their place, and new ones come
 * last, so the table's own operator goes on with another store, and what reads it does not notice. Rows in memory and in
 * shards are shown with the new columns and not written again (`zset/widen.ts`). Indexes and constraints are made anew,
 * since they show whole rows; their arrangements go on with the rows of those that there were in the same way.
 *
 * Everything is done first and undone if it does not come to be: between `begin` and `finish`, the catalog is written.
 */

import { writeValue } from '../../../codegen/expr/plain.js'
import type { TableDefinition } from '../../circuit/rel.js'
import { flatLayout, type Layout } from '../../schema/schema.js'
import type { Tree } from '../../storage/tree.js'
import { Batch } from '../../zset/batch.js'
import type { Store } from '../../zset/store.js'
import { type Fill, fillAt, Widening } from '../../zset/widen.js'
import type { BuiltTable } from '../circuit.js'
import type { ForeignKey } from '../constraints/foreign-key.js'
import { ArrangedGroups } from '../constraints/groups.js'
import type { TableRules } from '../constraints/table-rules.js'
import type { Definitions } from '../definitions.js'
import type { Durability } from '../durable/durability.js'
import { buildIndex } from '../indexes/build.js'
import { ArrangeOperator } from '../operators/arrange.js'
import type { Operator } from '../operators/operator.js'
import { constraintsOf, type Defined, indexesOf, type TableEntry, type ViewEntry } from '../registry.js'
import { keyOrAll } from '../tables.js'
import { rebase } from './rename.js'
import { referringTo, renamedConstraint, renamedIndex } from './spec.js'

/** Rows that are copied at once where all have to be. */
const CHUNK_ROWS = 1 << 16

export class Alteration {
  /** What the catalog is to forget, and to hold. */
  readonly before: Defined[] = []
  readonly after: Defined[] = []
  private readonly undos: (() => void)[] = []
  private readonly endings: (() => void)[] = []

  /** Use `begin`. */
  private constructor(
    private readonly definitions: Definitions,
    private readonly entry: TableEntry,
    private readonly old: TableDefinition,
    private readonly now: TableDefinition,
  ) {}

  /**
   * Makes a table what `now` says. `next`: the table of the directory that its new rows belong to, if it is there
   * already. Throws IoError, UsageError; then nothing has changed. `finish` or `undo` must follow.
   */
  static begin(definitions: Definitions, entry: TableEntry, now: TableDefinition, next: Tree | null): Alteration {
    const alteration = new Alteration(definitions, entry, entry.definition, now)
    definitions.durability?.hold(true)
    try {
      alteration.make(next)
      return alteration
    } catch (error) {
      alteration.undo()
      throw error
    }
  }

  /** Lets go of what was. */
  finish(): void {
    for (const ending of this.endings) ending()
    this.definitions.durability?.hold(false)
    this.definitions.collect()
  }

  /** Takes everything back. */
  undo(): void {
    for (const undo of this.undos.reverse()) undo()
    this.definitions.durability?.hold(false)
    this.definitions.collect()
  }

  private make(next: Tree | null): void {
    const { definitions, entry, old, now } = this
    const { registry } = definitions
    if (now.schema.name !== entry.name) registry.mustBeFree(now.schema.name)
    const { rules } = entry
    const referring = rules.parents.filter(k => k.table !== rules)
    const readers = registry.viewsOver(entry)
    // What a view says names the table: of one that keeps its name, nothing changes in the catalog.
    const renamed = now.schema.name === entry.name ? [] : readers
    this.list(this.before, referring, renamed)
    const given = { indexes: indexesOf(entry), constraints: constraintsOf(entry) }
    const own = new Set(rules.children.filter(k => k.parentTable === rules).map(k => k.definition.name))
    this.become(next)
    for (const view of readers) this.undos.push(rebase(definitions, view, old, now))
    for (const { handle, definition } of given.indexes) this.remakeIndex(handle, definition)
    this.detach(rules)
    for (const { definition } of given.constraints) {
      const renamed = renamedConstraint(definition, now.schema)
      const changed = own.has(definition.name) ? referringTo(renamed, old, now) : renamed
      const groups = rules.uniques.find(u => u.definition.name === definition.name)?.groups
      this.inheriting(groups instanceof ArrangedGroups ? groups.operator : null, () =>
        definitions.rules.addConstraint(entry.rules, changed, true),
      )
    }
    for (const { table, definition } of referring) {
      definitions.rules.addConstraint(table, referringTo(definition, old, now), true)
    }
    this.list(
      this.after,
      entry.rules.parents.filter(k => k.table !== entry.rules),
      renamed,
    )
  }

  /** What the catalog says of the table, and of whatever names it. */
  private list(into: Defined[], keys: readonly ForeignKey[], views: readonly ViewEntry[]): void {
    const { entry, definitions } = this
    into.push({ ...entry }, ...indexesOf(entry), ...constraintsOf(entry), ...views.map(view => ({ ...view })))
    for (const { table, definition } of keys) {
      into.push({
        kind: 'constraint',
        name: definition.name,
        table: definitions.registry.ownerOf(table),
        definition,
        handle: { dropped: false },
      })
    }
  }

  /** The table itself. */
  private become(next: Tree | null): void {
    const { definitions, entry, now } = this
    const { circuit, registry, followers, durability } = definitions
    const { handle } = entry
    const { operator } = handle
    const built = circuit.alteredTable(operator, now, keyOrAll(now.schema))
    const before = { ...entry }
    const tree = durability === null ? null : this.treeFor(durability, built, next)
    if (built.state.store !== null) this.fill(built, built.state.store)
    const state = operator.become(built.state)
    this.undos.push(() => void operator.become(state))
    if (durability !== null && tree !== null) this.undos.push(durability.parts.rebind(operator, tree))
    const relation = definitions.tables.readerOf(now, built)
    relation.takeSubscribers(handle.relation)
    entry.gate?.show(relation)
    const face = handle.become({ definition: now as never, reader: relation, createdAt: definitions.lsn })
    const unclaimed = entry.unclaimed
    registry.remove(entry)
    Object.assign(entry, definitions.tables.partsOf(now, built, tree, handle, entry.gate), {
      unclaimed: true,
      scratch: undefined,
    })
    registry.add(entry)
    registry.numbered(now, entry.id)
    followers.renew(entry)
    this.undos.push(() => {
      handle.become(face)
      entry.gate?.show(face.reader)
      registry.remove(entry)
      Object.assign(entry, before, { unclaimed })
      registry.add(entry)
      followers.renew(entry)
    })
    this.endings.push(() => definitions.history.forget(face.reader as never))
  }

  /** The table of the directory: one that goes on with the shards there are, or an empty one if all rows are to be copied. */
  private treeFor({ storage }: Durability, built: BuiltTable, next: Tree | null): Tree {
    const { entry, definitions, now } = this
    const old = entry.tree as Tree
    const empty = next ?? storage.createTable(named(built.layout, definitions.tables.free(now.schema.name)))
    if (next === null) this.undos.push(() => storage.doom(empty))
    if (!this.isInPlace(built.layout)) {
      const tree = storage.retype(empty, built.layout, empty.name)
      this.undos.push(() => storage.doom(tree))
      this.endings.push(() => storage.doom(old))
      return tree
    }
    const name = now.schema.name === entry.name ? old.name : empty.name
    const wide = storage.successor(old, empty, built.layout, this.places, this.fills(now), name)
    this.undos.push(() => wide.close())
    this.endings.push(() => storage.succeed(wide, old, empty))
    return wide
  }

  /** Where the columns that there were are now. */
  private get places(): number[] {
    return this.old.schema.columns.map(c => c.index)
  }

  private fills({ schema }: TableDefinition): Fill[] {
    const row = new Batch(flatLayout(schema), 1)
    return schema.columns.map(column => {
      if (column.defaultValue === undefined) return null
      writeValue(row, column, 0, column.defaultValue)
      return fillAt(row, column, 0)
    })
  }

  /** Do the rows stay where and as they are? Not if the key has got more columns, since there is no primary key. */
  private isInPlace(layout: Layout): boolean {
    return goesOn(this.entry.layout, layout, this.places)
  }

  /** Rows in memory, as they will be; those in shards too, unless they are there already. */
  private fill(built: BuiltTable, store: Store): void {
    const { operator } = this.entry.handle
    const from = operator.store as Store
    if (this.isInPlace(built.layout)) {
      const hot = from.hotRun()
      operator.flushed()
      if (hot === null) return
      store.trace.putBack(widened(hot, store.layout, this.places, this.fills(this.now)))
      return
    }
    const { relation } = this.entry.handle
    const [narrow, wide] = [this.old, this.now].map(d => flatLayout(d.schema))
    const widening = new Widening(narrow, wide, this.places, this.fills(this.now))
    for (const { batch } of operator.contents(false)) {
      for (let at = 0; at < batch.length; at += CHUNK_ROWS) {
        const rows = Math.min(CHUNK_ROWS, batch.length - at)
        const flat = new Batch(narrow, rows)
        for (let i = 0; i < rows; i++) {
          relation.project(batch, at + i, flat, i)
          flat.weights[i] = batch.weights[at + i]
        }
        flat.length = rows
        store.append(shown(widening, flat, wide), 0, rows)
        store.prepare(0)
        store.flush()
      }
    }
  }

  private remakeIndex(handle: TableEntry['handle']['indexes'][number], definition: typeof handle.definition): void {
    const { definitions, entry, now } = this
    const { operator } = entry.handle
    const renamed = renamedIndex(definition, now.schema)
    const build = () => buildIndex<unknown>(definitions.circuit, now, renamed, () => operator.version)
    const face = handle.become(this.inheriting(handle.operator, build))
    this.undos.push(() => void handle.become(face))
  }

  /** Builds what shows whole rows; if it is an arrangement like `old`, it goes on with the rows of that. */
  private inheriting<T>(old: ArrangeOperator | null, build: () => T): T {
    const { circuit } = this.definitions
    // What views join with has to stay as it is.
    if (old === null || old.consumers.length > 0 || old.errors.list().length > 0) return build()
    circuit.heir = operators => this.inherit(old, operators)
    try {
      return build()
    } finally {
      circuit.heir = null
    }
  }

  private inherit(old: ArrangeOperator, operators: readonly Operator[]): boolean {
    const [heir] = operators
    if (operators.length !== 1 || !(heir instanceof ArrangeOperator)) return false
    const [from, to] = [old.kernels.layout, heir.kernels.layout]
    const added = to.schema.columns.length - from.schema.columns.length
    const count = this.old.schema.columns.length
    // Behind the columns of the table come those of the terms.
    const columns = from.schema.columns.map(({ index }) => (index < count ? index : index + added))
    if (added !== this.now.schema.columns.length - count || !goesOn(from, to, columns)) return false
    const fills = to.schema.columns.map(({ index }) => this.fills(this.now)[index] ?? null)
    const { durability } = this.definitions
    if (durability !== null) {
      const inherited = durability.parts.inherit(heir, old, columns, fills)
      this.undos.push(inherited.undo)
      this.endings.push(inherited.finish)
    }
    const hot = old.trace.compactHot()
    if (hot !== null) heir.trace.putBack(widened(hot, to, columns, fills))
    return true
  }

  /** Takes the foreign keys of a table, and those to it, out of the tables at their other ends. */
  private detach(rules: TableRules): void {
    const ends = new Set([...rules.children.map(k => k.parentTable), ...rules.parents.map(k => k.table)])
    for (const end of ends) {
      if (end === rules) continue
      const { children, parents, groups } = end
      this.undos.push(() => void Object.assign(end, { children, parents, groups }))
      const gone = children.filter(k => k.parentTable === rules).map(k => k.rule.child)
      end.children = children.filter(k => k.parentTable !== rules)
      end.groups = groups.filter(g => !gone.includes(g))
      for (const key of parents) if (key.table === rules) key.leaveParent()
    }
  }
}

/** Do rows of one layout, with more columns, lie as those of another? `columns`: where its columns are in that. */
function goesOn(from: Layout, to: Layout, columns: readonly number[]): boolean {
  const place = (index: number): number => columns[index]
  const shape = (layout: Layout, at: (index: number) => number) => {
    const { kind, words, columns: key } = layout.key
    const order = layout.order.filter(o => layout === from || columns.includes(o.column.index))
    const types = columns.map((to_, n) => layout.schema.columns[layout === from ? n : to_])
    return JSON.stringify([
      kind,
      words,
      key.map(at),
      order.map(o => [at(o.column.index), o.descending]),
      types.map(c => [c.type, c.nullable]),
    ])
  }
  return shape(from, place) === shape(to, index => index)
}

const named = (layout: Layout, name: string): Layout => ({ ...layout, schema: { ...layout.schema, name } })

function widened(run: Batch, layout: Layout, places: readonly number[], fills: readonly Fill[]): Batch {
  return shown(new Widening(run.layout, layout, places, fills), run, layout)
}

function shown(widening: Widening, rows: Batch, layout: Layout): Batch {
  const wide = new Batch(layout)
  widening.showKeys(rows, wide)
  widening.showColumns(rows, wide)
  return wide
}
