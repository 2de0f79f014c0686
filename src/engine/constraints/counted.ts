/**
 * UNIQUE by counting: how many rows have a key is all that has to be known, unless the transaction is refused. Then the
 * other row is found by its primary key, which the count of a single row comes with.
 *
 * A count says nothing of which row goes. Where the primary key is unique, that rule has seen to it that only rows go
 * that are there; elsewhere they are looked up in the table, of transactions that retract.
 */
import { readRow, readValue, writeRow } from '../../../codegen/expr/plain.js'
import { kernelsOf } from '../../../codegen/kernels.js'
import { type ConstraintError, quote } from '../../base/errors.js'
import { ofBits } from '../../circuit/aggregates/linear.js'
import { isInteger } from '../../circuit/aggregates/types.js'
import { allOf } from '../../circuit/conditions.js'
import { evaluate } from '../../circuit/eval.js'
import { filterOf, mapOf } from '../../circuit/nodes.js'
import type { AggregateRel, AggregateSpec, TableDefinition, UniqueDefinition } from '../../circuit/rel.js'
import { call, canFail, columnOf } from '../../circuit/substitute.js'
import type { Value } from '../../schema/types.js'
import { compareValues } from '../../schema/values.js'
import { Batch } from '../../zset/batch.js'
import type { Circuit } from '../circuit.js'
import { rowsOf } from '../indexes/build.js'
import type { KeysOperator } from '../operators/keys.js'
import { specOf, uniqueSchema } from '../plan-aggregate.js'
import { consolidated } from '../read.js'
import { groupRows, type NetRow } from './describe.js'
import { hasRetractions } from './foreign.js'
import { type TableRules, uniqueError } from './table-rules.js'
import type { UniqueRule } from './unique.js'

type Key = readonly Value[]

/** What counts the keys of a constraint, or null: their rows cannot be found by a primary key of integers. */
export function countedKeys(
  circuit: Circuit,
  table: TableDefinition,
  definition: UniqueDefinition,
): KeysOperator | null {
  const { schema } = table
  const primary = schema.primaryKey.map(c => schema.columns[c])
  const { terms } = definition
  if (primary.length === 0 || primary.some(c => c.nullable || !isInteger(c.type))) return null
  if (terms.some(t => canFail(t.expr))) return null
  const purpose = `constraint ${quote(definition.name)} of table ${quote(schema.name)}`
  const { nullsNotDistinct } = definition
  const what = { table, primaryKey: schema.primaryKey, terms: terms.map(t => t.expr), nullsNotDistinct }
  return circuit.addKeys(table, purpose, keyCounts(table, definition), what)
}

/** The rows in groups by the terms, each with all bits of the primary keys. Rows that are in no group are left out. */
function keyCounts(table: TableDefinition, { terms, nullsNotDistinct }: UniqueDefinition): AggregateRel {
  const { schema } = table
  const source = rowsOf(table)
  const nullable = nullsNotDistinct ? [] : terms.filter(t => t.expr.nullable)
  const present = nullable.map(t => call('not', [call('isNull', [t.expr], 'bool')], 'bool'))
  const primary = schema.primaryKey.map(c => columnOf(schema, c))
  const specs = [
    ...terms.map(t => specOf(t.expr, t.name)),
    ...primary.map(c => specOf(c, `row's ${schema.columns[c.index].name}`)),
  ]
  const input = mapOf(
    present.length === 0 ? source : filterOf(source, allOf(present)),
    [...terms.map(t => t.expr), ...primary],
    uniqueSchema(schema.name, specs),
  )
  const columns = input.schema.columns.map(c => columnOf(input.schema, c.index))
  const aggregates = columns.slice(terms.length).map(
    (column): AggregateSpec => ({
      ...{ fn: 'bitXor', args: [column], name: input.schema.columns[column.index].name, filter: null },
      ...{ distinct: false, order: [], detail: null },
    }),
  )
  return { kind: 'aggregate', input, keys: columns.slice(0, terms.length), aggregates, schema: input.schema }
}

export class CountedRule implements UniqueRule {
  readonly groups = null

  constructor(
    readonly definition: UniqueDefinition,
    readonly keys: KeysOperator,
    private readonly table: TableRules,
  ) {}

  get touched(): number {
    return this.table.touched ? this.keys.table.touchedCount : 0
  }

  refusal(): ConstraintError | null {
    const { table, keys } = this
    if (!table.touched) return null
    keys.ahead()
    const strays = table.uniques.some(u => u.definition.isPrimaryKey) ? NO_ROWS : strayRows(table)
    if (strays.length === 0 && keys.isSound) return null
    const wrong = strays.flatMap(row => this.keyOf(row) ?? [])
    for (const slot of keys.broken(true)) wrong.push(this.keyAt(slot))
    return wrong.length === 0 ? null : this.describe(wrong.reduce((a, b) => (this.compare(b, a) < 0 ? b : a)))
  }

  forget(): void {
    this.keys.abort()
  }

  /** Rows of keys that break the rule as the table is: the first keys of them, by value. */
  *brokenGroups(): Generator<NetRow[]> {
    const { keys, table } = this
    const wrong = new Map<string, { key: Key; rows: NetRow[] }>()
    for (const slot of keys.broken(false)) {
      const key = this.keyAt(slot)
      wrong.set(textOf(key), { key, rows: [] })
    }
    if (wrong.size === 0) return
    for (const { batch, from, to } of table.operator.contents(true)) {
      for (let row = from; row < to; row++) {
        const ref = { batch, row, weight: batch.weights[row] }
        const key = this.keyOf(ref)
        if (key !== null) wrong.get(textOf(key[0]))?.rows.push(ref)
      }
    }
    for (const { rows } of [...wrong.values()].sort((a, b) => this.compare(a.key, b.key))) yield rows
  }

  /** In a list, the key of a row; null if it is in no group. */
  private keyOf({ batch, row }: NetRow): [Key] | null {
    const values = readRow(batch, row)
    const key = this.definition.terms.map(t => evaluate(t.expr, values))
    return !this.definition.nullsNotDistinct && key.includes(null) ? null : [key]
  }

  private keyAt(slot: number): Key {
    return this.keys.columns.map(column => readValue(this.keys.table.rows, column, slot))
  }

  private compare(a: Key, b: Key): number {
    for (const [n, { expr }] of this.definition.terms.entries()) {
      const order = compareValues(expr.type, a[n], b[n])
      if (order !== 0) return order
    }
    return 0
  }

  private describe(key: Key): ConstraintError {
    const { table, definition } = this
    const { schema } = table.definition
    const wanted = textOf(key)
    const ofKey = (row: NetRow) => {
      const own = this.keyOf(row)
      return own !== null && textOf(own[0]) === wanted
    }
    const changed = table.netRows().filter(ofKey)
    const all = new Batch(table.flat)
    for (const { batch, row, weight } of [...this.rowsBefore(wanted).filter(ofKey), ...changed]) {
      all.reserve(1)
      writeRow(all, all.length, readRow(batch, row))
      all.weights[all.length++] = weight
    }
    return uniqueError(definition, schema, consolidated(table.flat, all, 0, all.length), changed)
  }

  /** At least the row that had the key before the transaction, if there was one. */
  private rowsBefore(wanted: string): NetRow[] {
    const { keys, table } = this
    const { store } = table.operator
    const { columns, primaryKey } = table.definition.schema
    for (let t = 0; t < keys.table.touchedCount; t++) {
      const slot = keys.table.touched[t]
      if (textOf(this.keyAt(slot)) !== wanted) continue
      const bits = keys.rowBefore(slot)
      if (bits === null || store === null) return []
      const cells: (Value | undefined)[] = columns.map(() => undefined)
      primaryKey.forEach((c, n) => {
        cells[c] = ofBits(columns[c].type, bits[n])
      })
      const probe = new Batch(table.flat, 1)
      writeRow(probe, 0, cells)
      probe.weights[0] = 1n
      probe.length = 1
      const kernels = kernelsOf(store.layout, table.context.mode)
      return groupRows(kernels, () => true, store.arrange(probe), 0, runsOf(table))
    }
    return []
  }
}

/** The rows of the transaction that would be there less than never or more than once, if it retracts any. */
function strayRows(table: TableRules): NetRow[] {
  const { rows, operator } = table
  const { store } = operator
  if (rows === null || store === null || !hasRetractions(rows)) return NO_ROWS
  const delta = rows.layout === store.layout ? rows : store.arrange(rows)
  const sums = new BigInt64Array(delta.length)
  for (const run of runsOf(table)) store.kernels.lookup(delta, run, sums)
  const strays: NetRow[] = []
  for (let row = 0; row < delta.length; row++) {
    const weight = delta.weights[row]
    const after = sums[row] + weight
    if (after !== 0n && after !== 1n) strays.push({ batch: delta, row, weight })
  }
  return strays
}

/** The table's rows before the transaction. */
function runsOf({ operator }: TableRules): readonly Batch[] {
  const runs = operator.store?.contents(false) ?? []
  operator.flushed()
  return runs
}

const NO_ROWS: NetRow[] = []

const textOf = (key: Key): string =>
  JSON.stringify(key.map(v => [typeof v, v instanceof Uint8Array ? v.join() : String(v)]))
