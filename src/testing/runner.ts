/**
 * What the laws need of a database: tables that take changes, views that can be read, followed and dropped. The
 * engine is one such runner; the naive one recomputes everything and tests the laws themselves.
 */
import type { Row, ZSet } from '../circuit/interpret.js'
import { addRow, addZSet, difference, interpret, zsetOf } from '../circuit/interpret.js'
import { inputsOf } from '../circuit/nodes.js'
import type { Rel, Relation, TableDefinition, ViewDefinition } from '../circuit/rel.js'
import { normalise, Problem } from '../schema/values.js'
import type { Step } from './arbitraries.js'

export interface RunningView {
  /** The rows with their weights. */
  entries(): ZSet
  /** All deltas that were published since the view was made, its first contents included, added up. */
  integral(): ZSet
  /** Failed rows: message → sum of weights. */
  errors(): ReadonlyMap<string, bigint>
  drop(): void
}

export interface Runner {
  /** One transaction. Throws if it is refused. */
  apply(step: Step): void
  createView(view: ViewDefinition): RunningView
  close(): void
}

/** Makes an empty database with these tables. */
export type RunnerFactory = (tables: readonly TableDefinition[]) => Runner

/** The tables that a circuit reads, directly or through views, each once. */
export function tablesOf(rels: Iterable<Rel>): TableDefinition[] {
  const seen = new Set<Rel>()
  const tables = new Set<TableDefinition>()
  const visit = (rel: Rel): void => {
    if (seen.has(rel)) return
    seen.add(rel)
    if (rel.kind === 'source') {
      if (rel.relation.kind === 'table') tables.add(rel.relation)
      else visit(rel.relation.rel)
    }
    for (const input of inputsOf(rel)) visit(input)
  }
  for (const rel of rels) visit(rel)
  return [...tables]
}

/** The row with canonical values. Throws if a value does not fit its column. */
export function canonicalRow(table: TableDefinition, row: Row): Row {
  return table.schema.columns.map(({ index, name, type }) => {
    const value = row[index]
    if (value === null) return null
    const result = normalise(type, value)
    if (result instanceof Problem) throw new Error(`${table.schema.name}.${name}: ${result.message}`)
    return result
  })
}

/** The contents of tables as the oracle reads them. */
export class Tables {
  readonly contents = new Map<Relation, ZSet>()

  apply(step: Step): void {
    for (const { table, row, weight } of step) {
      let zset = this.contents.get(table)
      if (zset === undefined) {
        zset = new Map()
        this.contents.set(table, zset)
      }
      addRow(zset, canonicalRow(table, row), weight)
    }
  }
}

/** Recomputes every view after every transaction with the oracle. */
export class NaiveRunner implements Runner {
  private readonly tables = new Tables()
  private readonly followers = new Set<() => void>()

  apply(step: Step): void {
    this.tables.apply(step)
    for (const follow of this.followers) follow()
  }

  createView(view: ViewDefinition): RunningView {
    let current = interpret(view.rel, this.tables.contents)
    const integral = zsetOf(current.rows.values())
    const follow = (): void => {
      const next = interpret(view.rel, this.tables.contents)
      addZSet(integral, difference(next.rows, current.rows))
      current = next
    }
    this.followers.add(follow)
    return {
      entries: () => current.rows,
      integral: () => integral,
      errors: () => current.errors,
      drop: () => this.followers.delete(follow),
    }
  }

  close(): void {
    this.followers.clear()
  }
}
