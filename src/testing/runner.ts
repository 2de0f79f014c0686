/**
 * What the laws need of a database: tables that take changes, views that can be read, followed and dropped. The
 * engine is one such runner; the naive one recomputes everything and tests the laws themselves.
 */
import type { Row, ZSet } from '../circuit/interpret.js'
import { addRow, addZSet, difference, interpret, zsetOf } from '../circuit/interpret.js'
import { nodesOf } from '../circuit/nodes.js'
import type { Rel, Relation, TableDefinition, ViewDefinition } from '../circuit/rel.js'
import { normalise, Problem } from '../schema/values.js'
import type { Step } from './arbitraries.js'

export interface RunningView {
  /** The rows with their weights. */
  entries(): ZSet
  /** All deltas that were published since the view was made, its first contents included, added up. */
  integral(): ZSet
  /** Rows that failed in the view itself, not in views it reads: message → sum of weights. */
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

/** The tables that circuits read, directly or through views, each once. */
export const tablesOf = (rels: Iterable<Rel>): TableDefinition[] => relationsOf(rels).filter(r => r.kind === 'table')

/** The views that circuits read, directly or through views, each once. */
export const viewsOf = (rels: Iterable<Rel>): ViewDefinition[] => relationsOf(rels).filter(r => r.kind === 'view')

function relationsOf(rels: Iterable<Rel>): Relation[] {
  const found = new Set<Relation>()
  const visit = (root: Rel): void => {
    for (const node of nodesOf(root)) {
      if (node.kind !== 'source' || node.relation.kind === 'variable' || found.has(node.relation)) continue
      found.add(node.relation)
      if (node.relation.kind === 'view') visit(node.relation.rel)
    }
  }
  for (const rel of rels) visit(rel)
  return [...found]
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

/** Adds weights up by message; without zeros. */
export function summed(errors: Iterable<readonly [message: string, weight: bigint]>): Map<string, bigint> {
  const sums = new Map<string, bigint>()
  for (const [message, weight] of errors) sums.set(message, (sums.get(message) ?? 0n) + weight)
  return new Map([...sums].filter(([, weight]) => weight !== 0n))
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
