/** Migrations of several tables: all of them or none, whatever comes in between. */
import { beforeAll, describe, expect, it } from 'vitest'
import { Prng } from '../../src/base/prng.js'
import type { TableDefinition } from '../../src/circuit/rel.js'
import { checkDatabase } from '../../src/engine/durable/check.js'
import { openLoaded } from '../../src/engine/open.js'
import { SimulatedCrash, SimulatedEnv } from '../../src/env/simulated.js'
import {
  ConstraintError,
  type Database,
  i64,
  type OpenDirectoryOptions,
  open,
  string,
  sum,
  table,
  u64,
  view,
} from '../../src/index.js'
import { loadStorage } from '../../src/storage/open.js'

beforeAll(loadStorage)

const customers = table(
  'customers',
  { id: u64().primaryKey({ unique: true }), name: string() },
  { indexes: { names: { on: ['name'], unique: true } } },
)
const orders = table(
  'orders',
  { id: u64().primaryKey(), customer: u64(), amount: i64() },
  {
    indexes: { amounts: { on: ['amount'] } },
    constraints: { known: { foreignKey: ['customer'], references: customers } },
  },
)
const sums = view('sums', q =>
  q
    .from(orders)
    .groupBy(o => ({ customer: o.customer }))
    .aggregate({ amount: sum(o => o.amount) }),
)

/** Both tables with more columns, the index of names and the foreign key made anew, and one table that is new. */
const later = (check: (o: { amount: bigint }) => boolean): readonly TableDefinition[] => {
  const wider = table(
    'customers',
    { id: u64().primaryKey({ unique: true }), name: string(), city: string().default('?') },
    { indexes: { names: { on: ['name', 'city'], unique: true } } },
  )
  const longer = table(
    'orders',
    { id: u64().primaryKey(), customer: u64(), amount: i64(), note: string().nullable() },
    {
      indexes: { amounts: { on: ['amount', 'note'] }, 'per customer': { on: ['customer'] } },
      constraints: { known: { foreignKey: ['customer'], references: wider, onDelete: 'cascade' }, some: { check } },
    },
  )
  return [table('cities', { name: string() }), wider, longer]
}
const alone = table(
  'orders',
  { id: u64().primaryKey(), customer: u64(), amount: i64(), note: string().nullable() },
  { constraints: { some: { check: o => o.amount > 10n } } },
)
const sound = later(o => o.amount > 0n)
const broken = later(o => o.amount > 10n)

function fill(db: Database): Database {
  db.createView(sums)
  db.insert(
    customers,
    [1, 2, 3].map(id => ({ id, name: `no. ${id}` })),
  )
  db.insert(
    orders,
    [1, 2, 3].map(id => ({ id, customer: id, amount: id * 10 })),
  )
  return db
}

/** All that there is to see: rows, indexes with their rows, constraints. */
const shapeOf = (db: Database) =>
  db.tables
    .map(handle => {
      const entry = db.definitions.registry.named(handle.name)
      const rules = entry?.kind === 'table' ? entry.rules.definitions : []
      const actions = rules.map(d => `${d.name} ${d.kind} ${d.kind === 'foreignKey' ? d.onDelete : ''}`)
      const indexes = handle.indexes.map(
        i => `${i.definition.name} ${i.definition.terms.length} ${[...i.rows()].length}`,
      )
      return [handle.name, handle.rows(), indexes.sort(), actions.sort()]
    })
    .sort()

/** It can be used, and keeps what it promises. */
function works(db: Database): void {
  expect(checkDatabase(db).findings).toEqual([])
  expect(() => db.insert('orders' as never, { id: 9, customer: 99, amount: 1 } as never)).toThrow(ConstraintError)
}

const [before, after] = [[], sound].map(list => {
  const db = fill(open())
  db.migrateAll(list)
  return shapeOf(db)
})

it('makes all tables what they are to be', () => {
  expect(after).toMatchObject([
    ['cities', [], [], []],
    ['customers', [{ city: '?' }, {}, {}], ['names 2 3'], ['names unique ', 'primary key unique ']],
    [
      'orders',
      [{ note: null }, {}, {}],
      ['amounts 2 3', 'per customer 1 3'],
      ['known foreignKey cascade', 'some check '],
    ],
  ])
  expect(before).not.toEqual(after)
})

describe('a migration that fails at its end', () => {
  it('leaves nothing behind in memory', () => {
    const db = fill(open())
    expect(() => db.migrateAll(broken)).toThrow('constraint "some"')
    expect(shapeOf(db)).toEqual(before)
    works(db)
    db.migrateAll(sound)
    expect(shapeOf(db)).toEqual(after)
    works(db)
  })

  it('leaves those as they were who follow the tables', () => {
    const db = fill(open())
    const seen: unknown[] = []
    db.table(orders).subscribe(({ changes }) => seen.push(...changes))
    expect(() => db.migrate(alone)).toThrow(ConstraintError)
    const order = { id: 4n, customer: 1n, amount: 40n }
    using before = db.snapshot()
    db.insert(orders, order)
    expect(seen).toStrictEqual([{ row: order, weight: 1n }])
    expect(before.rows(orders)).toHaveLength(3)
    expect(db.snapshot().rows(orders)).toContainEqual(order)
  })

  it('leaves nothing behind in a directory, where it can be made after all', async () => {
    const env = new SimulatedEnv({ seed: 5 })
    const options: OpenDirectoryOptions = { env, checkpointMs: Number.POSITIVE_INFINITY }
    const db = fill(openLoaded('/db', options))
    db.checkpoint()
    db.insert(orders, { id: 4, customer: 1, amount: 40 })
    const state = shapeOf(db)
    for (let n = 0; n < 2; n++) {
      expect(() => db.migrateAll(broken)).toThrow('constraint "some"')
      expect(shapeOf(db)).toEqual(state)
      works(db)
      db.checkpoint()
    }
    expect(() => db.migrate(alone)).toThrow('constraint "some"')
    expect(shapeOf(db)).toEqual(state)
    await db.close()
    expect(() => openLoaded('/db', { ...options, migrate: broken })).toThrow('constraint "some"')
    const { lsn } = db
    const again = openLoaded('/db', { ...options, env: env.processCrash(), migrate: sound })
    expect(again.lsn).toBe(lsn + 1n)
    expect([...again.table('orders').rows()]).toHaveLength(4)
    works(again)
  })
})

it('is there as a whole or not at all after any crash', () => {
  const options = { checkpointMs: Number.POSITIVE_INFINITY }
  const first = new SimulatedEnv({ seed: 11 })
  const db = fill(openLoaded('/db', { ...options, env: first }))
  db.durability?.sync()
  const random = new Prng(1)
  const seen = new Set<string>()
  for (let crashAt = 1; ; crashAt += 1 + random.below(9)) {
    const env = first.processCrash({ crashAt })
    let crashed = false
    try {
      openLoaded('/db', { ...options, env, migrate: sound })
    } catch (error) {
      if (!(error instanceof SimulatedCrash)) throw error
      crashed = true
    }
    const found = openLoaded('/db', { ...options, env: env.crash(random) })
    const state = shapeOf(found)
    seen.add(`${state.length}`)
    expect(state, `crash at ${crashAt}`).toEqual(state.length === 2 ? before : after)
    works(found)
    found.migrateAll(sound)
    expect(shapeOf(found)).toEqual(after)
    if (!crashed) break
  }
  expect([...seen].sort()).toEqual(['2', '3'])
})

it('keeps to the memory that it may use, although tables change places meanwhile', () => {
  const limit = 256 * 1024
  const db = openLoaded('/db', { env: new SimulatedEnv({ seed: 2 }), durability: 'none', memory: limit })
  db.createTable(customers)
  db.insert(
    customers,
    Array.from({ length: 10_000 }, (_, id) => ({ id, name: `no. ${id}` })),
  )
  db.checkpoint()
  db.migrateAll([sound[1]])
  expect(db.table('customers').index('names').find('no. 77')).toMatchObject([{ id: 77n }])
  expect(db.durability?.parts.hotBytes).toBeLessThan(limit)
  expect(checkDatabase(db).findings).toEqual([])
})
