/** Constraints: what they refuse and in which words, when they are looked at, actions, and what can be done to them. */
import { describe, expect, it } from 'vitest'
import {
  ConstraintError,
  checkConstraints,
  checkIndexes,
  i64,
  open,
  string,
  type TraceEvent,
  table,
  u8,
  u64,
  view,
} from '../../../src/index.js'
import { expectError, expectRefused } from '../support.js'

const customers = table(
  'customers',
  { id: u64().primaryKey({ unique: true }), email: string().nullable(), region: string() },
  {
    constraints: {
      email: { unique: ['email'] },
      region: { check: c => c.region !== '' },
      lower: { check: c => c.email === null || c.email.toLowerCase() === c.email, deferrable: 'deferred' },
    },
  },
)
const orders = table(
  'orders',
  { id: u64().primaryKey({ unique: true }), customer: u64().nullable(), amount: i64() },
  { constraints: { customer: { foreignKey: ['customer'], references: customers } } },
)
const ann = { id: 1, email: 'ann', region: 'north' }
const bob = { id: 2, email: null, region: 'south' }

function opened() {
  const db = open()
  const handle = db.createTable(orders)
  db.insert(customers, [ann, bob])
  db.insert(orders, [
    { id: 1, customer: 1, amount: 5 },
    { id: 2, amount: 5 },
  ])
  return { db, handle }
}

describe('constraints', () => {
  it('name themselves, the table, the columns and the rows', () => {
    const { db } = opened()
    const error = expectError(
      () => db.insert(customers, { id: 3, email: 'ann', region: 'x' }),
      'CONSTRAINT',
      'table "customers", constraint "email": row { id: 3n, email: "ann", region: "x" } and row { id: 1n, email: "ann", ' +
        'region: "north" } have the same email',
    ) as ConstraintError
    expect(error).toBeInstanceOf(ConstraintError)
    expect(error).toMatchObject({
      constraint: 'email',
      kind: 'unique',
      table: 'customers',
      columns: ['email'],
      row: { id: 3n, email: 'ann', region: 'x' },
      other: { id: 1n, email: 'ann', region: 'north' },
      parent: null,
    })
    const orphan = expectError(
      () => db.insert(orders, { id: 9, customer: 7, amount: 1 }),
      'CONSTRAINT',
    ) as ConstraintError
    expect(orphan).toMatchObject({
      row: { id: 9n, customer: 7n, amount: 1n },
      parent: { table: 'customers', key: { id: 7n } },
    })
    expect(orphan.message).toContain('refers to "customers" (id: 7n), which is not there')
  })

  it('refuse whole transactions and leave nothing behind', () => {
    const { db } = opened()
    const totals = db.createView(view('regions', q => q.from(customers).map(c => ({ region: c.region }))))
    const refused = (write: () => unknown, text: string) => expectRefused(db, write, 'CONSTRAINT', text)
    refused(() => db.insert(customers, { ...ann, id: 5 }), '"email"')
    refused(() => db.insert(customers, { ...ann, email: 'x' }), '"primary key"')
    refused(() => db.insert(customers, ann), '"primary key"')
    refused(() => db.delete(customers, { ...bob, region: 'x' }), 'is not there, so it cannot be deleted')
    refused(() => db.transact(tx => tx.add(customers, { id: 8, region: 'x' }, 2)), 'would be there 2 times')
    refused(() => db.insert(customers, { id: 5, region: '' }), 'region !== "" is false')
    refused(() => db.delete(customers, ann), 'of "customers" goes, but rows refer to it (id: 1n)')
    refused(
      () =>
        db.transact(tx => {
          tx.insert(orders, { id: 7, customer: 2, amount: 1 })
          tx.delete(customers, bob)
        }),
      'refers to "customers" (id: 2n), which is not there',
    )
    expect(totals.rows()).toEqual([{ region: 'north' }, { region: 'south' }])
    db.insert(customers, { id: 5, email: 'eve', region: 'east' })
    expect(totals.count()).toBe(3n)
  })

  it('are judged on the net change, whatever the order of writes', () => {
    const { db } = opened()
    db.transact(tx => {
      tx.insert(orders, { id: 3, customer: 3, amount: 1 })
      tx.insert(customers, { id: 3, email: 'ann', region: '' })
      tx.delete(customers, { id: 3, email: 'ann', region: '' })
      tx.insert(customers, { id: 3, email: 'ann', region: 'west' })
      tx.insert(customers, { id: 1, email: 'ben', region: 'north' })
      tx.delete(customers, ann)
    })
    expect(db.table(customers).get(1)?.email).toBe('ben')
    // NULLs are distinct, and no reference is one.
    db.insert(customers, { id: 4, region: 'east' })
    db.insert(orders, { id: 4, customer: null, amount: 1 })
  })

  it('are looked at when a transaction asks for it, unless they are deferred', () => {
    const { db } = opened()
    db.transact(tx => {
      tx.insert(orders, { id: 3, customer: 3, amount: 1 })
      expectError(() => tx.check(), 'CONSTRAINT', 'refers to')
      tx.insert(customers, { id: 3, email: 'UPPER', region: 'west' })
      tx.check()
      tx.delete(customers, { id: 3, email: 'UPPER', region: 'west' })
      tx.insert(customers, { id: 3, email: 'upper', region: 'west' })
    })
    expectRefused(db, () => db.insert(customers, { id: 4, email: 'UPPER', region: 'x' }), 'CONSTRAINT', '"lower"')
    const open = db.begin()
    open.insert(customers, { id: 3, region: 'again' })
    expectError(() => open.check(), 'CONSTRAINT', '"primary key"')
    open.rollback()
    expect(db.table(orders).get(3)?.customer).toBe(3n)
  })

  it('can be added to loaded tables, which name the rows that break them, and dropped', () => {
    const { db } = opened()
    db.insert(orders, [
      { id: 3, customer: 2, amount: -1 },
      { id: 4, customer: 2, amount: -2 },
    ])
    const error = expectError(
      () => db.addConstraint(orders, 'positive', { check: o => o.amount > 0n }),
      'CONSTRAINT',
      'it cannot be added: rows that are there break it: { id: 3n, customer: 2n, amount: -1n }, { id: 4n',
    ) as ConstraintError
    expect(error.violations.map(v => v.row.id)).toEqual([3n, 4n])
    expectError(() => db.addConstraint(orders, 'one', { unique: ['customer'] }), 'CONSTRAINT', 'break it')
    const lines = table('lines', { order: u64(), line: u8() })
    db.createTable(lines)
    db.insert(lines, { order: 9, line: 1 })
    const key = { foreignKey: ['order'], references: orders } as const
    const orphan = expectError(
      () => db.addConstraint(lines, 'order', key),
      'CONSTRAINT',
      '{ order: 9n }',
    ) as ConstraintError
    expect(orphan.parent).toEqual({ table: 'orders', key: { id: 9n } })
    db.delete(lines, { order: 9, line: 1 })
    db.addConstraint(lines, 'order', key)
    expectError(
      () => db.dropConstraint(orders, 'primary key'),
      'USAGE',
      'is needed by constraint "order" of table "lines"',
    )
    expectError(() => db.dropTable(orders), 'USAGE', 'is referred to by constraint "order" of table "lines"')
    db.dropConstraint(lines, 'order')
    db.insert(lines, { order: 9, line: 1 })
    db.dropConstraint(orders, 'primary key')
    db.insert(orders, { id: 1, customer: 2, amount: 9 })
    expect(db.table(orders).getAll(1).length).toBe(2)
    expectError(() => db.dropConstraint(orders, 'x'), 'USAGE', 'its constraints: "customer"')
  })

  it('refuse definitions that cannot be', () => {
    const db = open()
    db.createTable(customers)
    const schema = (constraints: object) => () => table('t', { a: u64(), s: string() }, { constraints } as never)
    expectError(schema({ x: {} }), 'SCHEMA', 'expected one of check, unique and foreignKey')
    expectError(schema({ x: { unique: ['b'] } }), 'SCHEMA', 'there is no column "b"; there are "a", "s"')
    expectError(schema({ x: { check: (t: { a: bigint }) => t.a } }), 'COMPILE')
    expectError(schema({ x: { foreignKey: ['a'], references: 'p', onDelete: 'setNull' } }), 'SCHEMA', 'is not nullable')
    expectError(schema({ x: { foreignKey: ['a'], references: 'p', onDelete: 'x' } }), 'SCHEMA', 'as onDelete')
    const create = (definition: object, text: string) => {
      const t = table('t', { a: u64(), s: string() }, { constraints: { x: definition } } as never)
      expectError(() => db.createTable(t), /there is no/.test(text) || /UNIQUE/.test(text) ? 'USAGE' : 'SCHEMA', text)
      expect(db.tables.map(h => h.name)).toEqual(['customers'])
    }
    create({ foreignKey: ['a'], references: 'nowhere' }, 'there is no table "nowhere"')
    create({ foreignKey: ['s'], references: customers }, 'column "s" is string, but "id" of the parent is u64')
    create(
      { foreignKey: ['a'], references: customers, columns: ['region'] },
      'expected a UNIQUE constraint on "region"',
    )
  })
})

describe('referential actions', () => {
  it('go through cycles, chains and several keys of one row', () => {
    const people = table(
      'people',
      { id: u64().primaryKey({ unique: true }), boss: u64().nullable(), friend: u64().nullable() },
      {
        constraints: {
          boss: { foreignKey: ['boss'], references: 'people', onDelete: 'cascade', onUpdate: 'cascade' },
          friend: { foreignKey: ['friend'], references: 'people', onDelete: 'setNull', onUpdate: 'cascade' },
        },
      },
    )
    const db = open()
    const handle = db.createTable(people)
    const count = 300
    db.insert(
      people,
      Array.from({ length: count }, (_, i) => ({ id: i, boss: i === 0 ? null : i - 1, friend: (i + 7) % count })),
    )
    db.update(people, 10, { id: 9999 })
    expect(handle.get(11)?.boss).toBe(9999n)
    expect(handle.get(3)?.friend).toBe(9999n)
    db.deleteKey(people, 5)
    expect(handle.rows().map(r => [r.id, r.friend])).toEqual([
      [0n, null],
      [1n, null],
      [2n, null],
      [3n, null],
      [4n, null],
    ])
    db.insert(people, { id: 100, boss: 100, friend: 0 })
    db.deleteKey(people, 100)
    expect(handle.count()).toBe(5n)
  })

  it('are one transaction, which views see as one', () => {
    const parents = table('parents', { id: string().primaryKey({ unique: true }) })
    const children = table(
      'children',
      { name: string(), parent: string().nullable() },
      { constraints: { parent: { foreignKey: ['parent'], references: parents, onDelete: 'setNull' } } },
    )
    const db = open()
    db.createTable(children)
    const free = db.createView(view('free', q => q.from(children).filter(c => c.parent === null)))
    db.insert(parents, [{ id: 'a' }, { id: 'a name that is long' }])
    db.insert(children, [
      { name: 'x', parent: 'a' },
      { name: 'y', parent: 'a name that is long' },
    ])
    const seen: unknown[] = []
    free.subscribe(({ lsn, changes }) => seen.push([lsn, changes.length]))
    const { lsn } = db.delete(parents, [{ id: 'a' }, { id: 'a name that is long' }])
    expect(seen).toEqual([[lsn, 2]])
    expect(free.rows().map(r => r.name)).toEqual(['x', 'y'])
  })
})

describe('diagnostics', () => {
  it('recompute constraints and indexes, and find what is wrong', () => {
    const { db, handle } = opened()
    db.createIndex(orders, 'byAmount', { on: [{ by: 'amount', desc: true }, 'id'], unique: true })
    expect([checkConstraints(db), checkIndexes(db)]).toEqual([[], []])
    // Past the constraints, as no program can.
    const rules = db.definitions.registry.find(handle)
    if (rules?.kind !== 'table') throw new Error('the table is there')
    const { pending } = rules
    pending.reserve(2)
    pending.length = rules.encode([{ id: 1, customer: 8, amount: 5 }], pending, 1n)
    handle.operator.offer(pending)
    db.definitions.circuit.scheduler.run(1, { published() {} }, 1n)
    expect(checkConstraints(db).map(f => `${f.table} ${f.name}`)).toEqual([
      'orders primary key',
      'orders byAmount',
      'orders customer',
    ])
    handle.index('byAmount').operator.trace.insert(handle.index('byAmount').operator.trace.compact() as never, false)
    expect(checkIndexes(db).every(f => f.name === 'byAmount' && f.problem.includes('in the table 1'))).toBe(true)
    expect(checkIndexes(db).length).toBe(3)
  })

  it('show reservations of keys and readings of indexes', () => {
    const { db, handle } = opened()
    db.createIndex(orders, 'byAmount', { on: ['amount'] })
    const events: TraceEvent[] = []
    const end = db.trace({ constraints: true }, event => void events.push(event))
    db.insert(orders, { id: 3, customer: 1, amount: 7 })
    handle.index('byAmount').find(7)
    end()
    db.insert(orders, { id: 4, customer: 1, amount: 7 })
    const key = { kind: 'unique', table: 'orders', constraint: 'primary key', keys: 1 }
    expect(events).toEqual([
      { ...key, operation: 'reserve' },
      { ...key, operation: 'keep' },
      { kind: 'index', operation: 'find', table: 'orders', index: 'byAmount', key: 7 },
    ])
  })
})
