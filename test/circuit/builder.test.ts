/** The builder: circuits as nodes, and what is refused. */
import { describe, expect, test } from 'vitest'
import { CompileError, SchemaError } from '../../src/base/errors.js'
import {
  avg,
  bool,
  count,
  date,
  f64,
  fn,
  i8,
  i32,
  i64,
  max,
  min,
  Query,
  sourceOwners,
  string,
  sum,
  table,
  u16,
  u64,
  u128,
  view,
} from '../../src/circuit/index.js'
import { interpret } from '../../src/circuit/interpret.js'
import type { JoinRel, Rel, SourceRel, TableDefinition } from '../../src/circuit/rel.js'

const orders = table('orders', {
  id: u64().primaryKey(),
  customer: u64(),
  amount: i64(),
  quantity: i32(),
  note: string().nullable(),
})
const customers = table('customers', { id: u64().primaryKey(), region: string(), parent: u64().nullable() })

const columns = (rel: { schema: Rel['schema'] }) =>
  rel.schema.columns.map(c => `${c.name}: ${c.type}${c.nullable ? '?' : ''}`)
const keyNames = (v: { schema: Rel['schema']; key: readonly number[] }) => v.key.map(k => v.schema.columns[k].name)
const message = (build: () => unknown): string => {
  try {
    build()
  } catch (thrown) {
    if (thrown instanceof CompileError || thrown instanceof SchemaError) return thrown.message
    throw thrown
  }
  throw new Error('expected a refusal')
}
/** Builds a view over `orders` for its refusal. */
const refusal = (
  build: (q: Query<{ id: bigint; customer: bigint; amount: bigint; quantity: number; note: string | null }>) => unknown,
) => message(() => view('v', q => build(q.from(orders)) as Query<object>))

describe('table', () => {
  test('columns, keys, options', () => {
    expect(orders).toMatchObject({ kind: 'table', stream: false })
    expect(columns(orders)).toEqual(['id: u64', 'customer: u64', 'amount: i64', 'quantity: i32', 'note: string?'])
    expect(orders.schema.primaryKey).toEqual([0])
    const pair = table('pair', { a: u64(), b: u64(), c: i8() }, { primaryKey: ['b', 'a'], stream: true })
    expect(pair.schema.primaryKey).toEqual([1, 0])
    expect(pair.stream).toBe(true)
    expect(table('k', { a: u64().primaryKey(), b: u64().primaryKey() }).schema.primaryKey).toEqual([0, 1])
    expect(Object.isFrozen(orders) && Object.isFrozen(u64()) && Object.isFrozen(orders.schema.columns)).toBe(true)
    expect(
      table('h', { ['__proto__']: u64(), constructor: i64(), '"*/\n': bool(), '😀': date() }).schema.columns,
    ).toHaveLength(4)
  })

  test('refused', () => {
    expect(message(() => table('', { a: u64() }))).toContain('non-empty name')
    expect(message(() => table('t', {}))).toContain('no columns')
    expect(message(() => table('t', { a: u64().nullable() }, { primaryKey: ['a'] }))).toContain('must not be nullable')
    expect(message(() => table('t', { a: u64().primaryKey().nullable() }))).toContain('must not be nullable')
    expect(message(() => table('t', { a: u64().primaryKey() }, { primaryKey: ['a'] }))).toContain('not both')
    expect(message(() => table('t', { a: u64() }, { primaryKey: ['b' as 'a'] }))).toContain(
      'key column "b" does not exist',
    )
    expect(message(() => table('t', { a: u64 as unknown as ReturnType<typeof u64> }))).toContain('is `()` missing?')
    expect(message(() => table('t', { a: 'u64' as unknown as ReturnType<typeof u64> }))).toContain(
      'found the string "u64"',
    )
    expect(message(() => table('t', null as unknown as Record<string, never>))).toContain(
      'expected an object of columns',
    )
    expect(message(() => table(5 as unknown as string, { a: u64() }))).toContain('non-empty name')
  })
})

describe('view', () => {
  test('the example of the documentation', () => {
    const spend = view('spend', q =>
      q
        .from(orders)
        .filter(o => o.amount > 100n && o.note !== null)
        .join(
          customers,
          (o, c) => o.customer === c.id,
          (o, c) => ({ region: c.region, amount: o.amount }),
        )
        .groupBy(r => ({ region: r.region }))
        .aggregate({ orders: count(), total: sum(r => r.amount) }),
    )
    expect(columns(spend)).toEqual(['region: string', 'orders: i64', 'total: i64'])
    expect(keyNames(spend)).toEqual(['region'])
    expect(spend.schema.name).toBe('spend')
    expect(spend.rel).toMatchObject({
      kind: 'aggregate',
      aggregates: [{ fn: 'count', args: [] }, { fn: 'sum' }],
      input: {
        kind: 'join',
        type: 'inner',
        nullSafe: [false],
        residual: null,
        left: { kind: 'filter', input: { kind: 'source' } },
      },
    })
  })

  test('keys', () => {
    const key = (build: Parameters<typeof view<object>>[1]) => keyNames(view('v', build))
    expect(key(q => q.from(orders))).toEqual(['id'])
    expect(
      key(q =>
        q
          .from(orders)
          .filter(o => o.amount > 0n)
          .map(o => ({ twice: o.amount * 2n, nr: o.id })),
      ),
    ).toEqual(['nr'])
    expect(key(q => q.from(orders).map(o => ({ customer: o.customer, amount: o.amount })))).toEqual([
      'customer',
      'amount',
    ])
    expect(key(q => q.from(orders).semiJoin(customers, (o, c) => o.customer === c.id))).toEqual(['id'])
    expect(
      key(q =>
        q
          .from(orders)
          .groupBy(o => ({ c: o.customer }))
          .aggregate({ n: sum(o => o.quantity) }),
      ),
    ).toEqual(['c'])
    expect(key(q => q.from(orders).aggregate({ n: count() }))).toEqual(['n'])
    const byCustomer = view('a', q => q.from(orders), { key: ['customer', 'amount'] })
    expect(keyNames(byCustomer)).toEqual(['customer', 'amount'])
    expect(key(q => q.from(byCustomer))).toEqual(['customer', 'amount'])
    expect(message(() => view('v', q => q.from(orders), { key: ['nope' as 'id'] }))).toMatch(
      /key column "nope" does not exist; there are "id"/,
    )
    expect(message(() => view('v', q => q.from(orders), { key: ['id', 'id'] }))).toContain('listed twice')
    expect(message(() => view('v', q => q.from(orders), { key: [] }))).toContain('at least one key column')
  })

  test('refused', () => {
    const bad = (result: unknown) => message(() => view('v', () => result as Query<object>))
    expect(bad(undefined)).toMatch(
      /view "v": expected the callback to return a query, found undefined\nhint: is a return missing/,
    )
    expect(bad(orders)).toContain('begin with q.from')
    expect(refusal(q => q.groupBy(o => ({ c: o.customer })))).toContain('needs .aggregate')
    expect(message(() => view('', q => q.from(orders)))).toContain('non-empty name')
    expect(message(() => view('v', null as never))).toContain('expected a function')
    expect(message(() => view('v', q => q.from({} as typeof orders)))).toContain('from: expected a query, a table')
  })

  test('handles remember their database', () => {
    const database = {}
    const built = view('v', q => q.from({ definition: orders, database }))
    expect(sourceOwners.get(built.rel as SourceRel)).toBe(database)
    expect(sourceOwners.get(view('w', q => q.from(orders)).rel as SourceRel)).toBe(undefined)
  })
})

describe('joins', () => {
  const join = (build: (q: Query<Order>) => Query<object>): JoinRel =>
    view('j', q => build(q.from(orders))).rel as JoinRel
  type Order = { id: bigint; customer: bigint; amount: bigint; quantity: number; note: string | null }

  test('equalities become keys, the rest a residual', () => {
    const rel = join(q =>
      q.join(
        customers,
        (o, c, { least }) => c.id === o.customer && o.amount > least && o.note === c.region && o.quantity === 3,
        (o, c) => ({ id: o.id, region: c.region }),
        { least: 5n },
      ),
    )
    expect(rel.on).toMatchObject([
      [
        { input: 0, name: 'customer' },
        { input: 1, name: 'id' },
      ],
      [
        { input: 0, name: 'note' },
        { input: 1, name: 'region' },
      ],
    ])
    expect(rel.nullSafe).toEqual([false, false])
    expect(rel.residual).toMatchObject({ op: 'and', args: [{ op: 'gt' }, { op: 'is' }] })
    expect(
      join(q =>
        q.join(
          customers,
          (o, c) => o.note === c.region && o.id === c.parent,
          o => ({ id: o.id }),
        ),
      ).residual,
    ).toBe(null)
    const nullable = view('n', q =>
      q.from(customers).join(
        customers,
        (a, b) => a.parent === b.parent,
        (a, b) => ({ a: a.id, b: b.id }),
      ),
    )
    expect((nullable.rel as JoinRel).nullSafe).toEqual([true])
  })

  test('keys of different types get a common one', () => {
    const left = table('l', { a: i8(), b: u64(), c: i64().nullable(), d: u64() })
    const right = table('r', { w: u16(), x: i64(), y: u64().nullable(), z: u128() })
    const rel = view('v', q =>
      q.from(left).join(
        right,
        (l, r) => l.a === r.w && l.b === r.x && l.c === r.y && l.d === r.z,
        l => ({ a: l.a }),
      ),
    ).rel as JoinRel
    expect(rel.on.map(([l, r]) => [l.type, r.type])).toEqual([
      ['f64', 'f64'],
      ['u64', 'u64'],
      ['u64', 'u64'],
      ['u128', 'u128'],
    ])
    expect(rel.nullSafe).toEqual([false, false, true, false])
    expect(rel.residual).toMatchObject({ op: 'is', args: [{ name: 'c' }, { name: 'y' }] })
  })

  test('columns of a side that may be absent are nullable', () => {
    const plain = table('p', { other: u64(), name: string() })
    const on = (o: { id: bigint }, p: { other: bigint }) => o.id === p.other
    expect(columns(view('v', q => q.from(orders).leftJoin(plain, on))).slice(-2)).toEqual([
      'other: u64?',
      'name: string?',
    ])
    expect(columns(view('v', q => q.from(orders).rightJoin(plain, on)))[0]).toBe('id: u64?')
    expect(
      columns(view('v', q => q.from(orders).fullJoin(plain, on, (o, p) => ({ a: o.id, b: p.name ?? '' })))),
    ).toEqual(['a: u64?', 'b: string'])
    expect(columns(view('v', q => q.from(orders).join(plain, on))).at(-1)).toBe('name: string')
    expect(view('v', q => q.from(orders).antiJoin(plain, on)).rel).toMatchObject({
      type: 'anti',
      schema: orders.schema,
    })
  })

  test('refused', () => {
    expect(refusal(q => q.join(customers, (o, c) => o.customer === c.id))).toContain('both sides have a column "id"')
    expect(
      refusal(q =>
        q.join(
          customers,
          (o, c) => o.customer === c.id && o.id === 5n,
          () => ({}),
        ),
      ),
    ).toContain('at least one column')
    expect(refusal(q => q.join(null as never, (o, c: { id: bigint }) => o.customer === c.id))).toContain(
      'join: expected a query',
    )
  })
})

describe('sets', () => {
  test('columns are matched by name; nullability is joined', () => {
    const other = table('o', { note: string(), amount: i64() })
    const rel = view('v', q =>
      q
        .from(orders)
        .map(o => ({ amount: o.amount, note: o.note }))
        .union(other),
    ).rel
    expect(columns(rel)).toEqual(['amount: i64', 'note: string?'])
    expect(rel).toMatchObject({
      kind: 'set',
      op: 'union',
      right: { kind: 'map', exprs: [{ index: 1 }, { index: 0 }] },
      left: { kind: 'map' },
    })
    const same = view('v', q => q.from(orders).unionAll(orders).minus(orders))
    expect(same.rel).toMatchObject({
      kind: 'plus',
      inputs: [{ kind: 'plus' }, { kind: 'negate', input: { kind: 'source' } }],
    })
    for (const op of ['intersect', 'intersectAll', 'except', 'exceptAll'] as const) {
      expect(view('v', q => q.from(orders)[op](orders)).rel).toMatchObject({ kind: 'set', op })
    }
  })

  test('refused', () => {
    type Any = Parameters<Query<object>['union']>[0]
    const set = (other: unknown) =>
      message(() => view('v', q => (q.from(customers) as Query<object>).union(other as Any)))
    expect(set(orders)).toContain(
      'union: expected two relations with the same columns: column "customer" is in the second one only',
    )
    expect(set(table('t', { id: u64() }))).toContain('column "region" is in the first one only')
    expect(set(table('t', { id: i64(), region: string(), parent: u64() }))).toContain(
      'column "id" is u64 in the first and i64 in the second',
    )
  })
})

describe('aggregates', () => {
  test('types and nullability', () => {
    const grouped = view('v', q =>
      q
        .from(orders)
        .map((o, { f64 }) => ({ ...o, price: f64(o.quantity) }), fn)
        .groupBy(o => ({ customer: o.customer }))
        .aggregate({
          n: count(),
          notes: count(o => o.note),
          total: sum(o => o.amount),
          pieces: sum(o => o.quantity),
          mean: avg(o => o.amount),
          least: min(o => o.note),
          most: max(o => o.price),
        }),
    )
    expect(columns(grouped)).toEqual([
      'customer: u64',
      'n: i64',
      'notes: i64',
      'total: i64',
      'pieces: f64',
      'mean: f64',
      'least: string?',
      'most: f64',
    ])
    const global = view('v', q =>
      q.from(orders).aggregate({ n: count(), total: sum(o => o.amount), pieces: sum(o => o.quantity) }),
    )
    expect(columns(global)).toEqual(['n: i64', 'total: i64?', 'pieces: f64?'])
    const minimum = view('v', q => q.from(orders).aggregate({ a: sum((o, { k }) => o.amount * k, { k: 2n }) }))
    expect(minimum.rel).toMatchObject({ aggregates: [{ args: [{ op: 'mul', type: 'i64' }] }] })
  })

  test('top', () => {
    const rel = view('v', q =>
      q
        .from(orders)
        .groupBy(o => ({ c: o.customer }))
        .top(3, { by: o => o.amount, desc: true }, { by: o => o.note }),
    ).rel
    expect(rel).toMatchObject({
      kind: 'topK',
      limit: 3,
      order: [{ descending: true }, { descending: false }],
      keys: [{ name: 'customer' }],
    })
    expect(view('v', q => q.from(orders).top(1)).rel).toMatchObject({ kind: 'topK', keys: [], order: [] })
  })

  test('refused', () => {
    expect(refusal(q => q.aggregate({}))).toContain('at least one aggregate')
    expect(refusal(q => q.aggregate({ n: 5 as never }))).toContain(
      'aggregate "n": expected an aggregate like sum(r => …), found 5',
    )
    expect(refusal(q => q.aggregate({ n: sum(o => o.note as never) }))).toContain(
      'aggregate "n": sum needs numbers, bigints, decimals or intervals, found a string',
    )
    expect(refusal(q => q.groupBy(o => ({ n: o.id })).aggregate({ n: count() }))).toContain('name of a key already')
    expect(refusal(q => q.groupBy(o => o.id as never))).toContain('expected an object of columns')
    expect(refusal(q => q.top(0))).toContain('expected a limit')
    expect(refusal(q => q.top(1.5))).toContain('expected a limit')
    expect(refusal(q => q.top(1, null as never))).toContain('expected { by:')
    expect(refusal(q => q.filter(o => o.amount as never))).toContain('filter needs a boolean, found an i64')
    expect(refusal(q => q.filter(o => o.amount > 0n, 5 as never))).toContain('expected the ctx object')
  })
})

test('circuits run in the oracle', () => {
  const spend = view('spend', q =>
    q
      .from(orders)
      .leftJoin(
        customers,
        (o, c) => o.customer === c.id,
        (o, c) => ({ region: c.region ?? '?', quantity: o.quantity }),
      )
      .groupBy(r => ({ region: r.region }))
      .aggregate({ orders: count(), pieces: sum(r => r.quantity) }),
  )
  const zset = (rows: (string | number | bigint | null)[][]) =>
    new Map(rows.map(row => [String(row), { row, weight: 1n }]))
  const inputs = new Map<TableDefinition, ReturnType<typeof zset>>([
    [
      orders,
      zset([
        [1n, 7n, 5n, 2, null],
        [2n, 7n, 5n, 3, null],
        [3n, 8n, 5n, 4, null],
      ]),
    ],
    [customers, zset([[7n, 'north', null]])],
  ])
  const result = interpret(spend.rel, inputs)
  expect([...result.rows.values()]).toEqual([
    { row: ['north', 2n, 5], weight: 1n },
    { row: ['?', 1n, 4], weight: 1n },
  ])
})

test('queries are immutable and may be used twice', () => {
  view('v', q => {
    const base = q.from(orders)
    expect(Object.isFrozen(base) && Object.isFrozen(base.rel)).toBe(true)
    expect(base).toBeInstanceOf(Query)
    return base.join(
      base,
      (a, b) => a.id === b.customer,
      (a, b) => ({ a: a.id, b: b.id, c: a.amount }),
    )
  })
  expect(f64().type).toBe('f64')
})
