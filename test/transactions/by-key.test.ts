/** Writes by primary key, on tables with keys of several kinds, against a map from keys to rows. */
import { describe, expect, it } from 'vitest'
import { Prng } from '../../src/base/prng.js'
import { count, i64, open, string, type Transaction, table, u64, view } from '../../src/index.js'
import { type AnyRow, anyTable, expectError, expectExact, expectRefused } from '../engine/support.js'

const LONG = 'a text that is longer than its cell'
const items = table('items', { id: u64().primaryKey(), name: string(), stock: i64().nullable() })
const perName = view('perName', q =>
  q
    .from(items)
    .groupBy(r => ({ name: r.name }))
    .aggregate({ n: count() }),
)

function opened() {
  const db = open()
  db.createTable(items)
  db.createView(perName)
  return db
}

describe('by key', () => {
  it('upserts, updates, deletes, and puts on conditions', () => {
    const db = opened()
    const h = db.table(items)
    expect(db.upsert(items, { id: 1, name: 'a', stock: 5 }).lsn).toBe(1n)
    h.upsert([
      { id: 1, name: LONG, stock: 6 },
      { id: 2, name: 'b' },
      { id: 2, name: 'c', stock: 1 },
    ])
    expect(h.rows()).toEqual([
      { id: 1n, name: LONG, stock: 6n },
      { id: 2n, name: 'c', stock: 1n },
    ])
    expect(h.update(1, { stock: null })?.lsn).toBe(3n)
    expect(h.update({ id: 2 }, old => ({ id: 3, name: `${old.name}!` }))?.lsn).toBe(4n)
    expect([h.update(2, { stock: 1 }), h.deleteKey(2), h.putIfAbsent({ id: 3, name: 'x' }), db.lsn]).toEqual([
      null,
      null,
      null,
      4n,
    ])
    expect(h.putIfUnchanged({ id: 3, name: 'd', stock: 2 }, { stock: 2 })).toBe(null)
    expect(h.putIfUnchanged({ id: 4, name: 'd' }, () => true)).toBe(null)
    expect(h.putIfUnchanged({ id: 3, name: 'd', stock: 2 }, { name: 'c!', stock: 1 })?.lsn).toBe(5n)
    expect(h.putIfUnchanged({ id: 3, name: 'e', stock: 3 }, old => old.stock === 2n)?.lsn).toBe(6n)
    expect(h.putIfAbsent({ id: 9, name: 'new' })?.lsn).toBe(7n)
    expect(h.deleteKey(1)?.lsn).toBe(8n)
    expect(h.rows()).toEqual([
      { id: 3n, name: 'e', stock: 3n },
      { id: 9n, name: 'new', stock: null },
    ])
    expectExact(db)
  })

  it('takes the place of all that is under a key, whatever its weight', () => {
    const db = opened()
    db.insert(items, [
      { id: 1, name: 'a' },
      { id: 1, name: LONG },
    ])
    db.transact(tx => {
      tx.add(items, { id: 1, name: 'b' }, 3)
      tx.add(items, { id: 2, name: 'gone' }, -2)
    })
    db.upsert(items, [
      { id: 1, name: 'one' },
      { id: 2, name: 'two' },
    ])
    expect(db.table(items).entries()).toEqual([
      { row: { id: 1n, name: 'one', stock: null }, weight: 1n },
      { row: { id: 2n, name: 'two', stock: null }, weight: 1n },
    ])
    expectExact(db)
  })

  it('shows a transaction what it has written, in every kind of read', () => {
    const db = opened()
    db.insert(
      items,
      [1, 2, 3, 4].map(id => ({ id, name: `n${id}` })),
    )
    db.transact(tx => {
      tx.deleteKey(items, 2)
      tx.update(items, 3, { name: LONG })
      tx.ingest(items, { columns: { id: [7n], name: ['columns'] } })
      tx.upsert(items, { id: 5, name: 'five' })
      expect([tx.get(items, 2), tx.get(items, 3)?.name, tx.getAll(items, 7).length]).toEqual([undefined, LONG, 1])
      const names = (rows: Iterable<{ name: string }>) => Array.from(rows, r => r.name)
      expect(names(tx.range(items, { from: 2, limit: 2 }))).toEqual([LONG, 'n4'])
      expect(names(tx.range(items, { after: 4, reverse: true }))).toEqual([LONG, 'n1'])
      expect(names(tx.range(items, { to: 5, after: 3 }))).toEqual(['n4', 'five'])
      expect(names(tx.rows(items))).toEqual(['n1', LONG, 'n4', 'five', 'columns'])
      expect([tx.size(items), tx.count(items), tx.entries(items).length]).toEqual([5, 5n, 5])
      // Views show what was there before.
      expect([tx.size(perName), tx.get(perName, 'n2')?.n, tx.get(perName, 'five')]).toEqual([4, 1n, undefined])
    })
    expectExact(db)
  })

  it('lets a transaction write to what it iterates over', () => {
    const db = opened()
    db.insert(
      items,
      Array.from({ length: 20 }, (_, id) => ({ id, name: 'old', stock: id })),
    )
    const seen: bigint[] = []
    db.transact(tx => {
      for (const row of tx.range(items)) {
        seen.push(row.id)
        row.stock = -1n
        tx.update(items, row.id, { name: 'new' })
        if (row.id === 5n) tx.deleteKey(items, 6)
        if (row.id === 7n) tx.insert(items, { id: 100, name: 'ahead' })
        if (row.id === 100n) tx.insert(items, { id: 0, name: 'behind' })
      }
    })
    expect(seen).toEqual([0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 100].map(BigInt))
    expect(db.table(items).get(3)).toEqual({ id: 3n, name: 'new', stock: 3n })
    expectExact(db)
  })

  it('refuses what cannot be', () => {
    const db = opened()
    const bag = table('bag', { a: i64() })
    const stream = table('stream', { a: i64().primaryKey() }, { stream: true })
    db.createTable(bag)
    db.createTable(stream)
    db.insert(items, { id: 1, name: 'a' })
    const calls: [(tx: Transaction) => unknown, 'USAGE' | 'ROW', string][] = [
      [tx => tx.upsert(bag, { a: 1 }), 'USAGE', 'no primary key'],
      [tx => tx.deleteKey(bag, 1 as never), 'USAGE', 'no primary key'],
      [tx => tx.update(stream, 1, {}), 'USAGE', 'stream'],
      [tx => tx.get(stream, 1), 'USAGE', 'stream'],
      [tx => tx.deleteKey(items, 'x' as never), 'USAGE', 'key column "id"'],
      [tx => tx.update(items, 1, { name: 7 as never }), 'ROW', '"name"'],
      [tx => tx.update(items, 1, { nope: 7 } as never), 'ROW', 'no such column'],
      [tx => tx.update(items, 1, (() => 5) as never), 'ROW', 'return an object'],
      [tx => tx.update(items, 1, (async () => ({})) as never), 'ROW', 'return an object'],
      [tx => tx.putIfUnchanged(items, { id: 1, name: 'b' }, { nope: 1 } as never), 'ROW', 'no such column'],
      [tx => tx.putIfUnchanged(items, { id: 1, name: 'b' }, 5 as never), 'ROW', 'function of the row'],
      [tx => tx.putIfAbsent(items, [] as never), 'ROW', 'one row'],
      [tx => tx.upsert(items, [{ id: 5, name: 'ok' }, { id: 6 } as never]), 'ROW', 'row 1'],
      [tx => tx.get(perName, 5), 'USAGE', 'key column "name"'],
      [tx => tx.rows(table('other', { a: i64() })), 'USAGE', 'expected a table or view of this database'],
      [tx => tx.upsert(perName as never, {}), 'USAGE', 'expected a table of this database'],
    ]
    for (const [call, code, text] of calls) expectRefused(db, () => db.transact(tx => void call(tx)), code, text)
    // What an update throws is the caller's; nothing was written by then.
    db.transact(tx => {
      expect(() =>
        tx.update(items, 1, () => {
          throw new RangeError('mine')
        }),
      ).toThrow('mine')
      tx.update(items, 1, old => ({ stock: tx.size(items), name: old.name }))
    })
    expect(db.table(items).get(1)?.stock).toBe(1n)
    expectError(() => db.table(items).deleteKey(null as never), 'USAGE', 'key')
  })
})

/** The key columns of a table: names of types, and what values they take. */
const KEYS: [string, readonly string[], (random: Prng) => AnyRow][] = [
  ['a number', ['a'], r => ({ a: BigInt(r.below(30)) })],
  ['a text', ['s'], r => ({ s: `${'long '.repeat(r.below(5))}${r.below(8)}` })],
  ['both', ['a', 's'], r => ({ a: BigInt(r.below(3)), s: `s${r.below(10)}` })],
]

describe('a table by', () => {
  it.each(KEYS)('%s is what a map is', (_, primaryKey, keyOf) => {
    const random = new Prng(primaryKey.length + 1)
    const columns = { a: i64(), s: string(), v: i64() }
    const def = anyTable('t', columns, { primaryKey: [...primaryKey] })
    const db = open()
    const h = db.createTable(def)
    const model = new Map<string, AnyRow>()
    const id = (row: AnyRow) => primaryKey.map(k => String(row[k])).join('|')
    const rowOf = (): AnyRow => ({ a: 0n, s: '', v: BigInt(random.below(1000)), ...keyOf(random) })
    for (let round = 0; round < 60; round++) {
      db.transact(tx => {
        for (let n = random.below(12); n >= 0; n--) {
          const row = rowOf()
          const key = Object.fromEntries(primaryKey.map(k => [k, row[k]]))
          const old = model.get(id(row))
          switch (random.below(6)) {
            case 0:
            case 1:
              tx.upsert(def, row)
              model.set(id(row), row)
              break
            case 2:
              expect(tx.deleteKey(def, key)).toBe(model.delete(id(row)))
              break
            case 3:
              expect(tx.update(def, key, { v: row.v })).toBe(old !== undefined)
              if (old !== undefined) model.set(id(row), { ...old, v: row.v })
              break
            case 4:
              expect(tx.putIfAbsent(def, row)).toBe(old === undefined)
              if (old === undefined) model.set(id(row), row)
              break
            default:
              expect(tx.get(def, key)).toEqual(old)
          }
        }
        if (random.chance(0.3)) expect(tx.size(def)).toBe(model.size)
      })
    }
    const rows = h.rows()
    expect(rows.length).toBe(model.size)
    for (const row of rows) expect(model.get(id(row))).toEqual(row)
  })
})
