/** Tables with waterlines, upsert and append-only tables. */
import { describe, expect, it } from 'vitest'
import { SimulatedEnv } from '../../src/env/simulated.js'
import {
  ConstraintError,
  type Database,
  date,
  i64,
  open,
  string,
  table,
  timestamp,
  UsageError,
  u8,
  u64,
  view,
} from '../../src/index.js'

const ticks = table('ticks', { at: i64().lateness(10), x: u8() })
const tick = (at: number, x = 0) => ({ at, x })
const total = view('total', q => q.from(ticks).map(t => ({ at: t.at })))
const times = (db: Database): number[] =>
  db
    .table(ticks)
    .rows()
    .map(t => Number(t.at))

describe('waterlines', () => {
  it('drop changes of rows that are late, and tell of them', () => {
    const db = open()
    const t = db.createTable(ticks)
    const v = db.createView(total)
    const told: string[] = []
    t.late.subscribe(({ lsn, changes }) => {
      told.push(`${lsn}: ${changes.map(c => `${c.weight} × ${c.row.at}`).join()}`)
    })
    expect(t.waterline()).toBe(null)
    // All rows of a transaction go by the waterline before it.
    db.insert(ticks, [tick(100), tick(1)])
    expect(t.waterline('at')).toBe(90n)
    db.insert(ticks, [tick(89), tick(90), tick(95)])
    db.transact(tx => {
      tx.delete(ticks, tick(1))
      tx.delete(ticks, tick(95))
    })
    expect(times(db)).toEqual([1, 90, 100])
    expect(v.rows().length).toBe(3)
    expect(told).toEqual(['2: 1 × 89', '3: -1 × 1'])
    expect(t.late.count).toBe(2)
    expect(t.late.entries()).toEqual([
      { row: { at: 89n, x: 0 }, weight: 1n },
      { row: { at: 1n, x: 0 }, weight: -1n },
    ])
    expect(db.metrics()).toContain('gnitz_late_rows_total{table="ticks"} 2')
  })

  it('stay where they are when a transaction fails, and count no late rows of it', () => {
    const db = open()
    const strict = table(
      'strict',
      { at: i64(), x: u8() },
      { waterline: { column: 'at', lateness: 5 }, constraints: { small: { check: r => r.x < 10 } } },
    )
    const t = db.createTable(strict)
    db.insert(strict, { at: 100, x: 0 })
    expect(() => db.insert(strict, [tick(200), tick(1), tick(200, 11)])).toThrow(ConstraintError)
    expect([t.waterline(), t.late.count]).toEqual([95n, 0])
    // Late rows meet no constraint.
    db.insert(strict, tick(1, 11))
    expect([t.waterline(), t.late.count, t.rows().length]).toEqual([95n, 1, 1])
  })

  it('take all changes of a key together', () => {
    const keyed = table('keyed', { id: u64().primaryKey({ unique: true }), at: timestamp().lateness('1 second') })
    const db = open()
    const t = db.createTable(keyed)
    db.insert(keyed, [
      { id: 1, at: 0 },
      { id: 2, at: 5_000_000 },
    ])
    // Neither is the late row retracted, nor does a second one come.
    db.upsert(keyed, [
      { id: 1, at: 6_000_000 },
      { id: 2, at: 6_000_000 },
    ])
    expect(t.rows().map(r => r.at)).toEqual([0n, 6_000_000n])
    expect(t.late.entries().map(e => e.weight)).toEqual([-1n, 1n])
    expect(t.deleteKey({ id: 1 })).not.toBe(null)
    expect(t.size).toBe(2)
  })

  it('are refused on columns that are no times', () => {
    expect(() => table('t', { a: string().lateness(1) })).toThrow('waterline of column "a": expected a timestamp')
    expect(() => table('t', { a: i64().lateness(1).nullable() })).toThrow('found a nullable one')
    expect(() => table('t', { a: date().lateness('5 hours') })).toThrow("expected whole days, like '7 days' or 7")
    expect(() => table('t', { a: date().lateness(-1) })).toThrow('a lateness of 0 or more')
    const plain = open().createTable(table('plain', { a: i64() }))
    expect(() => plain.late).toThrow('has no waterline')
  })

  it('last: the same rows are late after a restart, with and without a checkpoint', async () => {
    for (const checkpoint of [true, false]) {
      let env = new SimulatedEnv({ seed: 1 })
      const db = await open('/db', { env, durability: 'commit' })
      db.createTable(ticks)
      db.createView(total)
      await db.insert(ticks, [tick(100), tick(97)])
      await db.delete(ticks, tick(100))
      await db.insert(ticks, tick(3))
      if (checkpoint) db.checkpoint()
      // The process is killed.
      env = env.processCrash()
      const again = await open('/db', { env })
      expect(again.table(ticks).waterline()).toBe(90n)
      await again.insert(ticks, [tick(89), tick(91)])
      expect(times(again)).toEqual([91, 97])
      expect(again.table(ticks).late.count).toBe(1)
      await again.close()
      const other = table('ticks', { at: i64().lateness(11), x: u8() })
      const third = await open('/db', { env })
      expect(() => third.table(other)).toThrow('its waterlines are "at" less 11, stored as "at" less 10')
      await third.close()
    }
  })
})

describe('tables with upsert', () => {
  const users = table('users', { id: u64().primaryKey(), name: string() }, { upsert: true })
  const names = view('names', q => q.from(users).map(u => ({ name: u.name })))

  it('have one row a key', () => {
    const db = open()
    const t = db.createTable(users)
    const v = db.createView(names)
    const changes: string[] = []
    v.subscribe(c => {
      changes.push(...c.changes.map(x => `${x.weight} ${x.row.name}`))
    })
    db.insert(users, [
      { id: 1, name: 'ann' },
      { id: 2, name: 'ben' },
      { id: 1, name: 'amy' },
    ])
    db.insert(users, { id: 2, name: 'bob' })
    db.ingest(users, [{ id: 2, name: 'bob' }])
    db.delete(users, { id: 1, name: 'whoever' })
    db.delete(users, { id: 7, name: 'nobody' })
    expect(t.rows()).toEqual([{ id: 2n, name: 'bob' }])
    expect(changes).toEqual(['1 amy', '1 ben', '-1 ben', '1 bob', '-1 amy'])
    expect(() => db.transact(tx => tx.add(users, { id: 3, name: 'cid' }, 2))).toThrow(UsageError)
    expect(() => db.ingest(users, { columns: { id: [1], name: ['x'] } })).toThrow('give it rows as objects')
  })

  it('need a key', () => {
    expect(() => table('t', { a: u8() }, { upsert: true })).toThrow('upsert: expected a primary key')
  })
})

describe('append-only tables', () => {
  const log = table('log', { id: u64().primaryKey(), text: string() }, { appendOnly: true })

  it('refuse retractions', () => {
    const db = open()
    const t = db.createTable(log)
    const row = { id: 1, text: 'a' }
    db.insert(log, row)
    const refused = 'table "log" is append-only'
    expect(() => db.delete(log, row)).toThrow(refused)
    expect(() => db.transact(tx => tx.add(log, row, -1))).toThrow(refused)
    expect(() => db.upsert(log, { id: 1, text: 'b' })).toThrow(refused)
    expect(() => t.update({ id: 1n }, { text: 'b' })).toThrow(refused)
    expect(() => t.deleteKey({ id: 1n })).toThrow(refused)
    db.upsert(log, { id: 2, text: 'b' })
    expect(t.size).toBe(2)
  })
})
