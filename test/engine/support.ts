/** What the tests of the engine share: errors by code, tables made up at run time, and comparison with the oracle. */
import { expect } from 'vitest'
import type { ColumnBuilders } from '../../src/circuit/columns.js'
import { interpret, printZSet, type Row, type ZSet, zsetOf } from '../../src/circuit/interpret.js'
import type { Relation } from '../../src/circuit/rel.js'
import {
  type Database,
  type ErrorCode,
  GnitzError,
  type TableDef,
  type TableHandle,
  type TableOptions,
  table,
  type Value,
  type ViewHandle,
} from '../../src/index.js'
import type { RowSchema } from '../../src/schema/schema.js'

export const MAX_I64 = 2n ** 63n - 1n
export const MIN_I64 = -(2n ** 63n)

/** A row whose columns are not known to the type checker. */
export type AnyRow = Record<string, Value>

export function anyTable(name: string, columns: ColumnBuilders, options?: TableOptions): TableDef<AnyRow> {
  return table(name, columns, options) as unknown as TableDef<AnyRow>
}

/** Expects an error of gnitz with this code, whose message contains `text`; returns it. */
export function expectError(run: () => unknown, code: ErrorCode, text = ''): GnitzError {
  let caught: unknown
  try {
    run()
  } catch (error) {
    caught = error
  }
  expect(caught, `an error ${code} ${text}`).toBeInstanceOf(GnitzError)
  const error = caught as GnitzError
  expect({ code: error.code, message: error.message }).toEqual({ code, message: expect.stringContaining(text) })
  return error
}

type AnyHandle = TableHandle<unknown, unknown> | ViewHandle<unknown>

const rowOf = (schema: RowSchema, row: unknown): Row => schema.columns.map(c => (row as AnyRow)[c.name])

/** The Z-set of a table or view. */
export function contents(handle: AnyHandle): ZSet {
  return zsetOf(handle.entries().map(({ row, weight }) => ({ row: rowOf(handle.schema, row), weight })))
}

/** All that can be seen of a database: what must be the same after a transaction that was refused. */
export function snapshot(db: Database): unknown {
  const tables = db.tables.filter(t => !t.definition.stream)
  const views = db.views.map(v => [v.name, v.errors().length > 0 ? v.errors() : printZSet(contents(v))])
  return [db.lsn, tables.map(t => [t.name, printZSet(contents(t))]), views]
}

/** Expects `run` to be refused with `code`, and nothing to have changed. */
export function expectRefused(db: Database, run: () => unknown, code: ErrorCode, text = ''): void {
  const before = snapshot(db)
  expectError(run, code, text)
  expect(snapshot(db)).toEqual(before)
}

/** Expects every view without failed rows to be what the oracle computes from the tables. */
export function expectExact(db: Database): void {
  const inputs = new Map<Relation, ZSet>(db.tables.map(t => [t.definition, contents(t)]))
  for (const view of db.views) {
    const { rows, errors } = interpret(view.definition.rel, inputs)
    if (view.errors().length > 0) continue
    expect(printZSet(contents(view)), view.name).toBe(printZSet(rows))
    expect([...errors], view.name).toEqual([])
  }
}

/** Small pseudo-random numbers below `n`. */
export function picker(seed: number): (n: number) => number {
  let state = seed
  return n => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0
    return (state >>> 8) % n
  }
}
