/** UNIQUE by counting keys: what it finds in words, over state in shards, and where keys come and go. */
import { beforeAll, describe, expect, it } from 'vitest'
import { openLoaded } from '../../../src/engine/open.js'
import { SimulatedEnv } from '../../../src/env/simulated.js'
import {
  type ConstraintError,
  checkConstraints,
  type Database,
  i32,
  open,
  string,
  type TraceEvent,
  table,
  u64,
} from '../../../src/index.js'
import { loadStorage } from '../../../src/storage/open.js'
import { expectError } from '../support.js'

beforeAll(loadStorage)

const users = table(
  'users',
  { id: u64(), part: i32(), name: string().nullable(), code: u64() },
  {
    primaryKey: ['id', 'part'],
    constraints: { name: { unique: ['name'] }, code: { unique: [{ by: u => u.code % 1000n, name: 'code' }] } },
  },
)
const user = (id: number, name: string | null, code: number, part = -3) => ({ id, part, name, code })

const otherOf = (error: unknown): unknown => ((error as ConstraintError).other as { id: bigint } | null)?.id

/** The kinds of operators that are there. */
const kinds = (db: Database): string[] => db.definitions.circuit.scheduler.list().map(operator => operator.kind)

describe('keys that are counted', () => {
  it('lead to the row that has the key, by its primary key, and refuse rows that are not there', () => {
    const db = open()
    db.createTable(users)
    expect(kinds(db)).toEqual(['table', 'keys', 'keys'])
    db.insert(users, [user(1, 'ann', 1), user(2 ** 40, 'bob', 2), user(3, null, 3), user(3, null, 4)])
    const taken = expectError(() => db.insert(users, user(9, 'bob', 9)), 'CONSTRAINT', '"name"')
    expect(taken).toMatchObject({ row: { id: 9n, name: 'bob' }, other: { id: 2n ** 40n, part: -3, code: 2n } })
    expect(otherOf(expectError(() => db.insert(users, user(9, null, 3003)), 'CONSTRAINT', '"code"'))).toBe(3n)
    // There is no such row, although there is one of its key.
    const gone = 'is not there, so it cannot be deleted'
    expectError(() => db.delete(users, user(7, 'ann', 1)), 'CONSTRAINT', gone)
    const swap = () =>
      db.transact(tx => {
        tx.delete(users, user(1, 'ann', 5001))
        tx.insert(users, user(5, 'ann', 5))
      })
    expectError(swap, 'CONSTRAINT', gone)
    db.transact(tx => {
      tx.insert(users, user(5, 'ann', 1))
      tx.delete(users, user(1, 'ann', 1))
    })
    expect(otherOf(expectError(() => db.insert(users, user(6, 'ann', 6)), 'CONSTRAINT'))).toBe(5n)
    expect(checkConstraints(db)).toEqual([])
  })

  it('lists rows that are there twice when it is added', () => {
    const plain = table('plain', { id: u64().primaryKey(), name: string() })
    const db = open()
    db.createTable(plain)
    db.insert(
      plain,
      [0, 1, 2, 3, 4].map(id => ({ id, name: ['b', 'a', 'b', 'c', 'a'][id] })),
    )
    const text = 'break it: { id: 1n, name: "a" }, { id: 0n, name: "b" }'
    const error = expectError(() => db.addConstraint(plain, 'name', { unique: ['name'] }), 'CONSTRAINT', text)
    expect((error as ConstraintError).violations.map(v => v.other)).toEqual([
      { id: 4n, name: 'a' },
      { id: 2n, name: 'b' },
    ])
    expect(kinds(db)).toEqual(['table'])
    db.delete(plain, [
      { id: 0, name: 'b' },
      { id: 4, name: 'a' },
    ])
    db.addConstraint(plain, 'name', { unique: ['name'] })
    expectError(() => db.insert(plain, { id: 9, name: 'c' }), 'CONSTRAINT')
  })

  it('are found in shards, after a restart, and after columns were added', async () => {
    const env = new SimulatedEnv({ seed: 7 })
    const options = { env, checkpointMs: Number.POSITIVE_INFINITY, memory: '64KiB' } as const
    const at = (n: number) => user(n, `user number ${n}`, n)
    let db = openLoaded('/db', options)
    const wide = table('wide', { id: u64().primaryKey(), code: u64() }, { constraints: { code: { unique: ['code'] } } })
    db.createTable(users)
    db.createTable(wide)
    for (let batch = 0; batch < 10; batch++) {
      db.ingest(
        wide,
        Array.from({ length: 900 }, (_, n) => ({ id: batch * 900 + n, code: batch * 900 + n })),
      )
    }
    db.insert(
      users,
      Array.from({ length: 900 }, (_, n) => at(n)),
    )
    const duplicate = (id: number) =>
      expect(otherOf(expectError(() => db.insert(db.table('wide'), { id: 99_999, code: id }), 'CONSTRAINT'))).toBe(
        BigInt(id),
      )
    duplicate(77)
    db.delete(wide, { id: 77, code: 77 })
    db.insert(db.table('wide'), { id: 77_000, code: 77 })
    db.alterTable(wide, { add: { note: string().nullable() } })
    duplicate(8)
    const keys = () => db.definitions.circuit.scheduler.list().filter(o => o.kind === 'keys')
    expect(keys()).toHaveLength(3)
    await db.close()
    db = openLoaded('/db', options)
    // Nothing was counted again.
    expect(keys().map(o => o.rowsIn)).toEqual([0, 0, 0])
    duplicate(8999)
    expect(otherOf(expectError(() => db.insert(db.table('wide'), { id: 5, code: 77 }), 'CONSTRAINT'))).toBe(77_000n)
    expect(otherOf(expectError(() => db.insert(users, { ...at(8), id: 5 }), 'CONSTRAINT'))).toBe(8n)
  })

  it('do not stay when their rows have gone', () => {
    const db = open()
    const queue = table(
      'queue',
      { id: u64().primaryKey(), token: u64() },
      { constraints: { token: { unique: ['token'] } } },
    )
    const rows = (from: number) => Array.from({ length: 1000 }, (_, n) => ({ id: from + n, token: from + n }))
    db.createTable(queue)
    db.insert(queue, [{ id: 1_000_000, token: 1_000_000 }])
    for (let from = 0; from < 20_000; from += 1000) {
      db.insert(queue, rows(from))
      db.delete(queue, rows(from))
    }
    const keys = db.definitions.circuit.scheduler.list().find(o => o.kind === 'keys')
    expect(keys?.state().rows).toBeLessThan(8192)
    db.insert(queue, { id: 1, token: 1 })
    expectError(() => db.insert(queue, { id: 2, token: 1 }), 'CONSTRAINT')
    expectError(() => db.insert(queue, { id: 2, token: 1_000_000 }), 'CONSTRAINT')
  })

  it('serve foreign keys, which read the rows by them', () => {
    const db = open()
    const logins = table(
      'logins',
      { id: u64().primaryKey(), name: string() },
      { constraints: { user: { foreignKey: ['name'], references: users, columns: ['name'], onDelete: 'cascade' } } },
    )
    db.createTable(users)
    db.createTable(logins)
    db.insert(users, [user(1, 'ann', 1), user(2, 'bob', 2)])
    db.insert(logins, [{ id: 1, name: 'ann' }])
    expectError(() => db.insert(logins, { id: 2, name: 'eve' }), 'CONSTRAINT', 'refers to "users" (name: "eve")')
    db.delete(users, user(1, 'ann', 1))
    expect(db.table(logins).rows()).toEqual([])
    expectError(() => db.dropConstraint(users, 'name'), 'USAGE', 'is needed by constraint "user" of table "logins"')
    db.dropConstraint(logins, 'user')
    expect(kinds(db)).toEqual(['table', 'keys', 'keys', 'table'])
    db.dropConstraint(users, 'name')
    expect(kinds(db)).toEqual(['table', 'keys', 'table'])
  })

  it('are all that foreign keys need that only restrict, in memory and in shards', async () => {
    const env = new SimulatedEnv({ seed: 8 })
    const options = { env, checkpointMs: Number.POSITIVE_INFINITY, memory: '64KiB' } as const
    const teams = table('teams', { name: string().primaryKey({ unique: true }), code: u64() })
    const people = table(
      'people',
      { id: u64().primaryKey(), team: string().nullable() },
      { constraints: { team: { foreignKey: ['team'], references: teams } } },
    )
    const nameOf = (n: number) => `a team whose name is long, ${n}`
    let db = openLoaded('/db', options)
    db.createTable(people)
    expect(kinds(db).filter(kind => kind === 'keys' || kind === 'arrange')).toEqual(['keys'])
    for (let from = 0; from < 3000; from += 1000) {
      const numbers = Array.from({ length: 1000 }, (_, n) => from + n)
      db.insert(
        teams,
        numbers.map(n => ({ name: nameOf(n), code: n })),
      )
      db.insert(
        people,
        numbers.map(n => ({ id: n, team: n % 3 === 0 ? null : nameOf(n) })),
      )
    }
    const judged = () => {
      const goes = `of "teams" goes, but rows refer to it (name: "${nameOf(4)}")`
      expectError(() => db.delete(teams, { name: nameOf(4), code: 4 }), 'CONSTRAINT', goes)
      expectError(() => db.insert(people, { id: 9000, team: 'none' }), 'CONSTRAINT', 'refers to "teams" (name: "none")')
      const both = () =>
        db.transact(tx => {
          tx.insert(people, { id: 9000, team: nameOf(5) })
          tx.delete(teams, { name: nameOf(5), code: 5 })
        })
      expectError(both, 'CONSTRAINT', 'which is not there')
      // Another row of the key, one that takes the place of the last, and one nobody refers to.
      db.insert(people, { id: 9001, team: nameOf(4) })
      db.delete(people, { id: 9001, team: nameOf(4) })
      db.transact(tx => {
        tx.delete(teams, { name: nameOf(5), code: 5 })
        tx.insert(teams, { name: nameOf(5), code: 5 })
      })
      db.delete(teams, { name: nameOf(6), code: 6 })
      db.insert(teams, { name: nameOf(6), code: 6 })
    }
    judged()
    await db.close()
    db = openLoaded('/db', options)
    judged()
    db.transact(tx => {
      tx.delete(teams, { name: nameOf(7), code: 7 })
      tx.delete(people, { id: 7, team: nameOf(7) })
    })
    expect(checkConstraints(db)).toEqual([])
    db.delete(teams, { name: nameOf(9), code: 9 })
    expectError(() => db.addConstraint(people, 'code', { foreignKey: ['id'], references: teams }), 'SCHEMA')
  })

  it('go on being judged where somebody listens to reservations', () => {
    const db = open()
    const events: TraceEvent[] = []
    db.createTable(users)
    db.createIndex(users, 'byPart', { on: ['part'], unique: true })
    db.trace({ constraints: true }, event => void events.push(event))
    db.insert(users, user(1, 'ann', 1, 1))
    expect(events.map(e => e.kind === 'unique' && `${e.operation} ${e.constraint} ${e.keys}`)).toEqual([
      ...['reserve name 1', 'reserve code 1', 'reserve byPart 1'],
      ...['keep name 1', 'keep code 1', 'keep byPart 1'],
    ])
    db.insert(users, user(2, 'bob', 2, 2))
    expectError(() => db.insert(users, user(3, 'eve', 3, 2)), 'CONSTRAINT', '"byPart"')
    expect(db.table(users).index('byPart').find(2)).toHaveLength(1)
  })
})
