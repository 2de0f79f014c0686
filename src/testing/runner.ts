/**
 * What the laws need of a database: tables that take changes, views that can be read, followed and dropped. The
 * engine is one such runner; the naive one recomputes everything and tests the laws themselves.
 */
import type { SignalValue } from '../circuit/bounds.js'
import type { Row, ZSet } from '../circuit/interpret.js'
import { addRow, addZSet, difference, interpret, rowText, zsetOf } from '../circuit/interpret.js'
import { nodesOf } from '../circuit/nodes.js'
import type { Rel, Relation, TableDefinition, ViewDefinition, Waterline } from '../circuit/rel.js'
import { TYPES, type Value } from '../schema/types.js'
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

/** The contents of tables as the oracle reads them: without changes that were late. */
export class Tables {
  readonly contents = new Map<Relation, ZSet>()
  /** By table and column: the greatest value that came. */
  private readonly greatest = new Map<TableDefinition, Map<number, Value>>()

  apply(step: Step): void {
    for (const table of new Set(step.map(change => change.table))) {
      const net: ZSet = new Map()
      const changes = step.flatMap(c => (c.table === table ? { ...c, row: canonicalRow(table, c.row) } : []))
      for (const { row, weight } of this.accepted(table, changes)) addRow(net, row, weight)
      const zset = this.contents.get(table) ?? new Map()
      this.contents.set(table, zset)
      addZSet(zset, net)
      this.raise(table, net)
    }
  }

  private accepted(table: TableDefinition, changes: Step): Step {
    const { waterlines = [], schema } = table
    const isLate = ({ row, weight }: Step[number]): boolean =>
      weight !== 0n && waterlines.some(w => isBelow(row[w.column], this.waterline(table, w)))
    const keyOf = (row: Row): string => rowText(schema.primaryKey.map(k => row[k]))
    const keys = new Set(changes.filter(isLate).map(c => keyOf(c.row)))
    return changes.filter(c => (schema.primaryKey.length > 0 ? !keys.has(keyOf(c.row)) : !isLate(c)))
  }

  /** Waterlines as circuits see them. */
  readonly signals: SignalValue = ({ table, column }) => {
    if (table.kind === 'view') return null
    const waterline = table.waterlines?.find(w => w.column === column)
    const value = waterline === undefined ? null : this.waterline(table, waterline)
    return value !== null && TYPES[table.schema.columns[column].type].js === 'number' ? Number(value) : value
  }

  private waterline(table: TableDefinition, { column, lateness }: Waterline): bigint | null {
    const greatest = this.greatest.get(table)?.get(column) ?? null
    return greatest === null ? null : BigInt(greatest as bigint) - lateness
  }

  private raise(table: TableDefinition, net: ZSet): void {
    const greatest = this.greatest.get(table) ?? new Map<number, Value>()
    this.greatest.set(table, greatest)
    for (const { column } of table.waterlines ?? []) {
      for (const { row, weight } of net.values()) {
        const known = greatest.get(column) ?? null
        if (weight > 0n && (known === null || (row[column] as bigint) > (known as bigint))) {
          greatest.set(column, row[column])
        }
      }
    }
  }
}

const isBelow = (value: Value, least: bigint | null): boolean => least !== null && BigInt(value as bigint) < least

/** Recomputes every view after every transaction with the oracle. */
export class NaiveRunner implements Runner {
  private readonly tables = new Tables()
  private readonly followers = new Set<() => void>()

  apply(step: Step): void {
    this.tables.apply(step)
    for (const follow of this.followers) follow()
  }

  createView(view: ViewDefinition): RunningView {
    let current = interpret(view.rel, this.tables.contents, this.tables.signals)
    const integral = zsetOf(current.rows.values())
    const follow = (): void => {
      const next = interpret(view.rel, this.tables.contents, this.tables.signals)
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
