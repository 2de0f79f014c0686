/** Names that are syntax, properties of every object, file names, or nothing one can see. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { i32, i64, max, open, sum, table, view } from '../../src/index.js'
import { type AnyRow, anyTable, expectError, expectExact } from './support.js'

const names = [
  ...['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'then', 'length', 'arguments', 'if', '$row', 'weights'],
  ...['it\'s "quoted"', 'new\nline', '*/ throw 1 /*', '// x', '`', '\\', '${x}', '</a>', '😀', '\u2028', '\u202e'],
  ...['\u00010', '\u0010', '..', '../../etc', '1', 'a b', 'A B', 'x'.repeat(300), `${'x'.repeat(299)}y`],
]

const record = (value: (n: number) => AnyRow[string]): AnyRow => Object.fromEntries(names.map((c, n) => [c, value(n)]))

describe('hostile names', () => {
  it('of columns, all in one table, as rows and as columns', () => {
    for (const mode of ['compiled', 'generic'] as const) {
      const builders = Object.fromEntries([...names.map(c => [c, i64().nullable()]), ['key', i64().primaryKey()]])
      const t = anyTable('t', builders)
      const db = open({ mode })
      const h = db.createTable(t)
      db.createView(view('v', q => q.from(t).filter(r => r.key !== 0n)))
      db.insert(t, [{ ...record(n => BigInt(n)), key: 1n }, { ...record(() => null), key: 2n }, { key: 3n }])
      const columns = Object.fromEntries([
        ...names.map((c, n) => [c, BigInt64Array.of(BigInt(n), 7n)]),
        ['key', [4, 5]],
      ])
      const nulls = Object.fromEntries(names.map(c => [c, Uint8Array.of(0, 1)]))
      db.ingest(t, { columns, nulls } as never)
      const full = record(n => BigInt(n))
      const empty = record(() => null)
      expect(h.rows()).toEqual([full, empty, empty, full, empty].map((r, n) => ({ ...r, key: BigInt(n + 1) })))
      expect(Object.keys(h.rows()[0])).toEqual(Object.keys({ ...full, key: 1n }))
      expectError(() => db.insert(t, { key: 6n, constructor: 'x' } as never), 'ROW', '"constructor"')
      expectError(() => db.insert(t, { key: 6n, isPrototypeOf: 1n } as never), 'ROW', 'no such column')
      expectExact(db)
    }
  })

  it('of tables, views, groups, aggregates; in plans, sources and dumps', () => {
    const db = open()
    for (const name of names) {
      const t = anyTable(`table ${name}`, { [name]: i32(), other: i32() })
      db.createTable(table(name, { id: i32() }))
      // A property name of a lambda is a literal, so each name needs a lambda of its own.
      const text = JSON.stringify(name)
      const byName = new Function(`return r => ({ [${text}]: r[${text}] })`)() as (r: AnyRow) => AnyRow
      const total = sum(new Function(`return r => r[${text}]`)() as (r: AnyRow) => number)
      const groups = view(`view ${name}`, q =>
        q
          .from(t)
          .groupBy(byName)
          .aggregate({ [`n ${name}`]: total, other: max(r => r.other) }),
      )
      const v = db.createView(groups)
      const row = (value: number, other: number): AnyRow =>
        Object.fromEntries([
          [name, value],
          ['other', other],
        ])
      db.insert(t, [row(3, 4), row(3, 9)])
      const group = Object.fromEntries([
        [name, 3],
        [`n ${name}`, 6],
        ['other', 9],
      ])
      expect([v.rows(), v.get(Object.fromEntries([[name, 3]])), v.get(3)]).toEqual([[group], group, group])
      const modules = v.source().split(/(?=^\/\*\n \* gnitz)/m)
      expect(modules.length).toBeGreaterThan(3)
      for (const module of modules) expect(() => new Function('$constants', module)).not.toThrow()
    }
    const dir = mkdtempSync(join(tmpdir(), 'gnitz-'))
    try {
      expect(new Set(db.dump(dir)).size).toBe(names.length * 5)
      const folders = readdirSync(dir)
      expect(new Set(folders.map(f => f.toLowerCase())).size).toBe(names.length)
      const stats = folders.map(f => JSON.parse(readFileSync(join(dir, f, 'stats.json'), 'utf8')).name as string)
      expect(stats.sort()).toEqual(db.views.map(v => v.name).sort())
    } finally {
      rmSync(dir, { recursive: true })
    }
  })

  it('are told apart', () => {
    const db = open()
    for (const name of names) db.createTable(table(name, { id: i32() }))
    for (const name of names) expectError(() => db.createTable(table(name, { id: i32() })), 'USAGE', 'taken')
    expect(names.map(name => db.table(name).name)).toEqual(names)
    expectError(() => db.table('isPrototypeOf'), 'USAGE', 'no table')
  })
})
