/** Tables that get columns and names while they hold rows, and are read, indexed, constrained and followed. */
import { beforeAll, describe, expect, expectTypeOf, it } from 'vitest'
import { Prng } from '../../src/base/prng.js'
import { checkDatabase } from '../../src/engine/durable/check.js'
import { openLoaded } from '../../src/engine/open.js'
import { SimulatedEnv } from '../../src/env/simulated.js'
import {
  bool,
  type ConstraintError,
  count,
  type Database,
  f64,
  i32,
  i64,
  json,
  open,
  string,
  sum,
  table,
  u32,
  u64,
  view,
} from '../../src/index.js'
import { loadStorage } from '../../src/storage/open.js'

beforeAll(loadStorage)

const orders = table('orders', { id: u64().primaryKey(), customer: u64(), amount: i64(), note: string().nullable() })
const all = view('all', q => q.from(orders))
const totals = view('totals', q =>
  q
    .from(orders)
    .filter(o => o.amount > 0n)
    .groupBy(o => ({ customer: o.customer }))
    .aggregate({ orders: count(), total: sum(o => o.amount) }),
)
const customers = table(
  'customers',
  { id: u64().primaryKey({ unique: true }), name: string() },
  { constraints: { named: { check: (c: { name: string }) => c.name !== '' } } },
)
const pairs = view('pairs', q =>
  q.from(orders).join(
    customers,
    (o, c) => o.customer === c.id,
    (o, c) => ({ id: o.id, name: c.name, note: o.note }),
  ),
)
const order = (id: number, amount = id * 10) => ({
  id,
  customer: id % 3,
  amount,
  note: id % 2 === 0 ? null : `no. ${id}`,
})

/** A database in memory, or in a directory that is closed or killed and opened again. */
abstract class Place {
  abstract db: Database
  /** Rows go where they lie longest. */
  settle(): void {
    this.db.checkpoint()
  }
  again(_how: 'kill' | 'close' = 'kill'): void {}
}
class Memory extends Place {
  db = open()
}
class Directory extends Place {
  env = new SimulatedEnv({ seed: 3 })
  db = this.open()

  private open(): Database {
    return openLoaded('/db', { env: this.env, checkpointMs: Number.POSITIVE_INFINITY })
  }

  override again(how: 'kill' | 'close' = 'kill'): void {
    if (how === 'close') this.db.checkpoint()
    this.db.durability?.sync()
    this.env = this.env.processCrash()
    this.db = this.open()
  }
}

const sound = (db: Database) => expect(checkDatabase(db).findings).toEqual([])

describe.each([
  ['in memory', () => new Memory()],
  ['in a directory', () => new Directory()],
])('%s', (_, place) => {
  it('adds columns: rows that are there have the default or NULL', () => {
    const at = place()
    at.db.createTable(orders)
    for (let id = 1; id <= 60; id++) at.db.insert(orders, order(id))
    at.settle()
    at.db.createIndex(orders, 'by amount', { on: ['amount'] })
    at.db.insert(orders, order(1000))
    const begun = at.db.durability?.parts.begun
    const altered = at.db.alterTable(orders, {
      add: {
        paid: bool().default(false),
        rate: f64().default(1.5),
        text: string().default('a default that does not fit into a cell'),
        place: u32().nullable(),
        about: json().default({ a: [1] }),
      },
    })
    expectTypeOf<ReturnType<typeof altered.rows>[number]['place']>().toEqualTypeOf<number | null>()
    // The index has its rows as well.
    expect(at.db.durability?.parts.begun).toBe(begun)
    const added = {
      paid: false,
      rate: 1.5,
      text: 'a default that does not fit into a cell',
      place: null,
      about: { a: [1] },
    }
    const read = (id: bigint) => at.db.table('orders').get({ id } as never)
    expect(read(7n)).toEqual({ id: 7n, customer: 1n, amount: 70n, note: 'no. 7', ...added })
    altered.insert([
      { id: 2000, customer: 1, amount: 1, paid: true, place: 4 },
      { id: 2001, customer: 1, amount: 2 },
    ])
    at.again()
    expect(read(1000n)).toEqual({ id: 1000n, customer: 1n, amount: 10000n, note: null, ...added })
    expect(read(2000n)).toEqual({ id: 2000n, customer: 1n, amount: 1n, note: null, ...added, paid: true, place: 4 })
    expect(at.db.table('orders').size).toBe(63)
    expect(
      at.db
        .table('orders')
        .index('by amount')
        .find(70n as never),
    ).toEqual([read(7n)])
    sound(at.db)
    at.settle()
    at.again('close')
    expect(read(2001n)).toMatchObject({ amount: 2n, ...added })
    expect(at.db.table('orders').size).toBe(63)
    at.db.alterTable('orders', { add: { more: i32().default(-1) } as never })
    at.again()
    expect(read(7n)).toMatchObject({ ...added, more: -1 })
    sound(at.db)
  })

  it('leaves views as they are, and their state where it is', () => {
    const at = place()
    for (const each of [all, totals, pairs]) at.db.createView(each)
    at.db.insert(
      customers,
      [0, 1, 2].map(id => ({ id, name: `customer ${id}` })),
    )
    for (let id = 1; id <= 20; id++) at.db.insert(orders, order(id))
    at.settle()
    const before = [all, totals, pairs].map(v => at.db.view(v.schema.name).rows())
    const seen: unknown[] = []
    at.db.view(totals).subscribe(({ changes }) => seen.push(...changes))
    at.db.table(orders).subscribe(({ changes }) => seen.push(...changes))
    at.db.alterTable(orders, { add: { paid: bool().default(false) }, rename: { note: 'remark' } })
    expect([all, totals, pairs].map(v => at.db.view(v.schema.name).rows())).toEqual(before)
    at.db.table('orders').insert({ id: 21, customer: 0, amount: 5, remark: 'new' } as never)
    expect(seen).toHaveLength(3)
    expect(seen[2]).toEqual({ row: { id: 21n, customer: 0n, amount: 5n, remark: 'new', paid: false }, weight: 1n })
    expect(at.db.view(all).get(21n)).toEqual({ id: 21n, customer: 0n, amount: 5n, note: 'new' })
    expect(at.db.view(pairs).get(21n)).toEqual({ id: 21n, name: 'customer 0', note: 'new' })
    sound(at.db)
    at.again()
    if (at.db.durability !== null) expect(at.db.durability.parts).toMatchObject({ begun: 0 })
    expect(at.db.view<object>('all').get(21n)).toEqual({ id: 21n, customer: 0n, amount: 5n, note: 'new' })
    const wider = table('orders', {
      id: u64().primaryKey(),
      customer: u64(),
      amount: i64(),
      remark: string().nullable(),
      paid: bool().default(false),
    })
    const again = view('totals', q =>
      q
        .from(wider)
        .filter(o => o.amount > 0n)
        .groupBy(o => ({ customer: o.customer }))
        .aggregate({ orders: count(), total: sum(o => o.amount) }),
    )
    if (at.db.durability !== null) {
      expect(at.db.createView(again).rows()).toHaveLength(3)
      expect(at.db.durability.parts).toMatchObject({ begun: 0 })
      const whole = at.db.createView(view('all', q => q.from(wider)))
      expect(whole.get(21n)).toEqual({ id: 21n, customer: 0n, amount: 5n, remark: 'new', paid: false })
    } else {
      expect(() => at.db.createView(view('other', q => q.from(orders)))).toThrow('column "remark" is stored')
      expect(at.db.createView(view('other', q => q.from(wider))).get(21n)).toMatchObject({ paid: false })
    }
    sound(at.db)
  })

  it('keeps indexes and constraints, also of tables that refer to it', async () => {
    const at = place()
    const lines = table(
      'lines',
      { id: u64().primaryKey({ unique: true }), customer: u64(), boss: u64().nullable() },
      {
        constraints: {
          customer: { foreignKey: ['customer'], references: customers, onDelete: 'cascade' },
          boss: { foreignKey: ['boss'], references: 'lines' },
          other: { unique: ['customer', 'id'] },
        },
        indexes: { 'by customer': { on: ['customer'] } },
      },
    )
    at.db.createTable(lines)
    at.db.insert(
      customers,
      [1, 2].map(id => ({ id, name: `customer ${id}` })),
    )
    at.db.insert(lines, [
      { id: 1, customer: 1 },
      { id: 2, customer: 2, boss: 1 },
    ])
    at.settle()
    const refused = (call: () => unknown) => {
      let name: string | undefined
      try {
        call()
      } catch (error) {
        name = (error as ConstraintError).constraint
      }
      return name
    }
    at.db.alterTable(customers, { add: { region: string().default('north') }, rename: { id: 'key' }, name: 'clients' })
    at.db.alterTable(lines, { add: { size: i32().nullable() }, rename: { customer: 'client' } })
    for (let n = 0; n < 2; n++) {
      const clients = at.db.table('clients')
      const own = at.db.table('lines')
      expect(clients.get({ key: 1n } as never)).toEqual({ key: 1n, name: 'customer 1', region: 'north' })
      expect(refused(() => own.insert({ id: 3, client: 9 } as never))).toBe('customer')
      expect(refused(() => own.insert({ id: 3, client: 1, boss: 9 } as never))).toBe('boss')
      expect(refused(() => own.insert({ id: 1, client: 2 } as never))).toBe('primary key')
      expect(refused(() => clients.insert({ key: 1, name: 'x' } as never))).toBe('primary key')
      expect(refused(() => clients.insert({ key: 5, name: '' } as never))).toBe('named')
      if (n === 1 && at.db.durability !== null) expect(at.db.durability.parts.begun).toBeLessThan(4)
      expect(own.index('by customer').find(2n as never)).toEqual([{ id: 2n, client: 2n, boss: 1n, size: null }])
      sound(at.db)
      at.again()
    }
    at.db.deleteKey(at.db.table('clients') as never, { key: 2n } as never)
    expect(at.db.table('lines').rows()).toEqual([{ id: 1n, client: 1n, boss: null, size: null }])
    expect(() => at.db.dropTable('clients')).toThrow('is referred to by constraint "customer" of table "lines"')
    sound(at.db)
    at.settle()
    at.again()
    sound(at.db)
  })

  it('renames tables, which views then read by the new name', () => {
    const at = place()
    at.db.createView(totals)
    at.db.insert(orders, [order(1), order(2)])
    const renamed = at.db.alterTable(orders, { name: 'sales' })
    expect(renamed.name).toBe('sales')
    expect(at.db.createTable(orders).rows()).toEqual([])
    at.db.insert(orders, order(9))
    renamed.insert(order(3))
    for (let n = 0; n < 2; n++) {
      expect(at.db.view<object>('totals').rows()).toHaveLength(3)
      expect(new Map(at.db.tables.map(t => [t.name, t.size]))).toEqual(
        new Map([
          ['orders', 1],
          ['sales', 3],
        ]),
      )
      expect(() => at.db.dropTable('sales')).toThrow('is read by view "totals"')
      sound(at.db)
      at.settle()
      at.again()
    }
  })

  it('writes rows of tables without a primary key again', () => {
    const at = place()
    const plain = table('plain', { a: u32(), b: u32() })
    at.db.createTable(plain)
    at.db.insert(plain, [
      { a: 1, b: 2 },
      { a: 1, b: 2 },
      { a: 2, b: 1 },
    ])
    at.settle()
    at.db.insert(plain, { a: 3, b: 3 })
    at.db.alterTable(plain, { add: { c: u32().default(7), d: string().nullable() } })
    for (let n = 0; n < 2; n++) {
      expect(at.db.table('plain').entries()).toEqual([
        { row: { a: 1, b: 2, c: 7, d: null }, weight: 2n },
        { row: { a: 2, b: 1, c: 7, d: null }, weight: 1n },
        { row: { a: 3, b: 3, c: 7, d: null }, weight: 1n },
      ])
      at.again()
      at.settle()
      at.again()
    }
    at.db.delete('plain' as never, { a: 1, b: 2, c: 7, d: null } as never)
    expect(at.db.table('plain').size).toBe(3)
  })

  it('refuses what cannot be, and changes nothing', async () => {
    const at = place()
    at.db.createView(totals)
    at.db.insert(orders, order(1))
    const alter = (change: object) => () => at.db.alterTable(orders, change as never)
    expect(alter({ add: { a: u32() } })).toThrow('column "a": expected .nullable() or .default(…)')
    expect(alter({ add: { a: u32().primaryKey() } })).toThrow('the primary key cannot be changed')
    expect(alter({ add: { note: u32().nullable() } })).toThrow('two columns are called "note"')
    expect(alter({ rename: { notes: 'x' } })).toThrow('has no column "notes"; it has "id"')
    expect(alter({ rename: { note: 'amount' } })).toThrow('two columns are called "amount"')
    expect(alter({ drop: ['note'] })).toThrow('a column cannot be dropped; make a table of another name')
    expect(alter({ change: {} })).toThrow('expected add, rename, defaults, name, found "change"')
    expect(alter({ name: 'totals' })).toThrow('the name "totals" is taken by a view')
    expect(alter({ defaults: { amount: 'x' } })).toThrow('default of "amount": expected i64')
    const tx = at.db.begin()
    expect(alter({ name: 'other' })).toThrow('cannot be altered while 1 transactions are open')
    tx.rollback()
    const snapshot = at.db.snapshot()
    at.db.insert(orders, order(2))
    at.db.alterTable(orders, { defaults: { note: 'none' } })
    expect(() => snapshot.rows(at.db.table('orders') as never)).toThrow('table "orders" was altered after transaction')
    expect(snapshot.rows(at.db.view(totals))).toHaveLength(1)
    snapshot.release()
    at.db.table('orders').insert({ id: 3, customer: 3, amount: 3 } as never)
    at.again()
    expect(at.db.table('orders').get({ id: 3n } as never)).toMatchObject({ note: 'none' })
    sound(at.db)
  })
})

it('happens as a whole or not at all, whatever operation fails', () => {
  const lines = table(
    'lines',
    { id: u64().primaryKey({ unique: true }), size: i64() },
    { indexes: { 'by size': { on: ['size'], unique: true } } },
  )
  const sums = view('sums', q => q.from(lines).aggregate({ sum: sum(l => l.size) }))
  const names = ['id', 'size', 'more', 'text']
  // Every seventh of them, to save time.
  for (const [n, fault] of (['crash', 'error', 'no-space'] as const).entries()) {
    for (let skip = n * 2, done = false; !done; skip += 7) {
      const env = new SimulatedEnv({ seed: skip })
      const db = openLoaded('/db', { env, checkpointMs: Number.POSITIVE_INFINITY })
      db.createView(sums)
      db.insert(
        lines,
        [1, 2, 3].map(id => ({ id, size: id })),
      )
      db.checkpoint()
      db.insert(lines, { id: 4, size: 4 })
      db.durability?.sync()
      env.schedule.push({ at: env.operations + skip, fault })
      let isAltered = false
      try {
        db.alterTable(lines, {
          add: { more: i64().default(7n), text: string().default('longer than a cell has room') },
        })
        isAltered = true
      } catch {}
      done = env.schedule.length > 0
      env.schedule = []
      if (fault !== 'crash' && db.durability?.storage.failure === null) {
        expect(db.table('lines').schema.columns.map(c => c.name)).toEqual(names.slice(0, isAltered ? 4 : 2))
        sound(db)
        db.table('lines').insert({ id: 5, size: 5 } as never)
        db.durability.sync()
        db.checkpoint()
      }
      const again = openLoaded('/db', {
        env: env.crash(new Prng(skip), { rates: {} }),
        checkpointMs: Number.POSITIVE_INFINITY,
      })
      const columns = again.table('lines').schema.columns.map(c => c.name)
      if (isAltered) expect(columns).toEqual(names)
      else expect([2, 4]).toContain(columns.length)
      const added = columns.length === 4 ? { more: 7n, text: 'longer than a cell has room' } : {}
      expect(again.table('lines').get({ id: 1n } as never)).toEqual({ id: 1n, size: 1n, ...added })
      expect(again.table('lines').size).toBeGreaterThanOrEqual(4)
      sound(again)
      again.checkpoint()
      sound(again)
    }
  }
})

it('compares definitions with what is stored, and migrates', async () => {
  const at = new Directory()
  const stored = table(
    'orders',
    { id: u64().primaryKey(), amount: i64(), note: string().nullable() },
    { indexes: { 'by amount': { on: ['amount'] } }, constraints: { positive: { check: o => o.amount > 0n } } },
  )
  at.db.createTable(stored)
  at.db.insert(
    stored,
    [1, 2].map(id => ({ id, amount: id })),
  )
  at.again()
  const wider = table(
    'orders',
    {
      id: u64().primaryKey(),
      amount: i64(),
      note: string().nullable(),
      more: i64().default(1n),
      'and more': f64().nullable(),
    },
    {
      indexes: { 'by amount': { on: ['amount', 'note'] }, 'by note': { on: ['note'] } },
      constraints: { positive: { check: o => o.amount >= 0n } },
    },
  )
  expect(() => at.db.createTable(wider)).toThrow(
    'table "orders" is not as it is stored: column "more" (i64) is new; column "and more" (f64, nullable) is new; ' +
      'index "by amount" is on amount, note, stored as on amount; index "by note" is declared, and not stored; ' +
      'constraint "positive" is CHECK amount >= 0n, stored as CHECK amount > 0n (db.migrate(definition) makes it so; or call ' +
      'db.alterTable("orders", { add: { more: i64().default(…), "and more": f64().nullable() } }), ' +
      'db.dropIndex("orders", "by amount"), db.createIndex("orders", "by amount", …), db.createIndex("orders", "by note", …), ' +
      'db.dropConstraint("orders", "positive"), db.addConstraint("orders", "positive", …))',
  )
  const migrated = at.db.migrate(wider)
  expect(migrated.rows()[0]).toEqual({ id: 1n, amount: 1n, note: null, more: 1n, 'and more': null })
  expect(migrated.indexes.map(i => i.definition.terms.length)).toEqual([2, 1])
  migrated.insert({ id: 3, amount: 0 })
  expect(at.db.migrate(wider)).toBe(migrated)
  at.again()
  expect(at.db.createTable(wider).size).toBe(3)
  at.again()
  const other = table('orders', { id: u64().primaryKey(), total: i64(), note: string(), more: i64() })
  expect(() => at.db.migrate(other)).toThrow(
    'column "total" (i64) is new: rows that are there need .nullable() or .default(…); column "note" is string, stored as ' +
      'string, nullable; column "more" has no default; column "amount" is stored, and not defined; column "and more" is ' +
      'stored, and not defined (if columns were renamed, call db.migrate(definition, { rename: { amount: "total" } }); ' +
      'else define it as it is stored, or copy its rows to a table of another name)',
  )
  const renamed = table('orders', {
    id: u64().primaryKey(),
    total: i64(),
    note: string().nullable(),
    more: i64(),
    'and more': f64().nullable(),
  })
  expect(at.db.migrate(renamed, { rename: { amount: 'total' } }).get({ id: 2n })).toMatchObject({ total: 2n })
  at.again()
  expect(at.db.createTable(renamed).size).toBe(3)
  const last = table('orders', { ...columnsOfRenamed, last: i64().nullable() })
  const reopened = openLoaded('/db', { env: at.env.processCrash(), migrate: [last] })
  expect(reopened.table(last).rows()[2]).toMatchObject({ id: 3n, last: null })
  sound(reopened)
})

const columnsOfRenamed = {
  id: u64().primaryKey(),
  total: i64(),
  note: string().nullable(),
  more: i64(),
  'and more': f64().nullable(),
}

describe.each([
  ['in memory', () => new Memory()],
  ['in a directory', () => new Directory()],
])('%s', (_, place) => {
  it('renames views and indexes', () => {
    const at = place()
    at.db.createView(totals)
    at.db.createView(view('grand', q => q.from(totals).aggregate({ total: sum(t => t.total) })))
    at.db.createIndex(orders, 'amounts', { on: ['amount'], unique: true })
    at.db.insert(orders, [order(1), order(2)])
    at.settle()
    const handle = at.db.renameView(totals, 'per customer')
    const begun = at.db.durability?.parts.begun
    at.db.renameIndex(orders, 'amounts', 'by amount')
    expect(at.db.durability?.parts.begun).toBe(begun)
    expect(handle.name).toBe('per customer')
    at.db.insert(orders, order(3))
    for (let n = 0; n < 3; n++) {
      expect(at.db.views.map(v => v.name).sort()).toEqual(['grand', 'per customer'])
      expect(at.db.view('grand').rows()).toEqual([{ total: 60n }])
      expect(at.db.view('per customer').size).toBe(3)
      expect(() => at.db.dropView('per customer')).toThrow('is read by view "grand"')
      expect(() => at.db.renameView('grand', 'orders')).toThrow('the name "orders" is taken by a table')
      expect(at.db.table('orders').indexes.map(i => i.name)).toEqual(['by amount'])
      expect(() => at.db.table('orders').insert({ ...order(9), amount: 10 } as never)).toThrow('constraint "by amount"')
      if (n === 1) at.settle()
      at.again()
      if (at.db.durability !== null) expect(at.db.durability.parts.begun).toBe(0)
      sound(at.db)
    }
    if (at.db.durability !== null) expect(at.db.createView(totals).name).toBe('totals')
  })
})
