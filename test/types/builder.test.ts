/** What TypeScript infers from table definitions and lambdas, and what it refuses. Checked by tsc. */
import { expect, expectTypeOf, test } from 'vitest'
import {
  approxCountDistinct,
  argMax,
  arrayAgg,
  avg,
  bitOr,
  bool,
  boolAnd,
  boolOr,
  bytes,
  count,
  countDistinct,
  date,
  decimal,
  distinct,
  filtered,
  fn,
  type InsertType,
  i32,
  i64,
  last,
  max,
  median,
  min,
  mode,
  type RowType,
  regrCount,
  regrSlope,
  stddevPop,
  string,
  stringAgg,
  sum,
  table,
  timestamptz,
  u64,
  udf,
  varPop,
  varSamp,
  view,
} from '../../src/circuit/index.js'
import { open } from '../../src/index.js'

const orders = table('orders', {
  id: u64().primaryKey(),
  customer: u64(),
  amount: i64().nullable(),
  quantity: i32(),
  note: string().nullable(),
  paid: bool(),
  day: date(),
  at: timestamptz(),
  raw: bytes(),
})
const customers = table('customers', { id: u64().primaryKey(), region: string() })
type Order = RowType<typeof orders>

test('rows and inserted rows', () => {
  expectTypeOf<Order>().toEqualTypeOf<{
    id: bigint
    customer: bigint
    amount: bigint | null
    quantity: number
    note: string | null
    paid: boolean
    day: number
    at: bigint
    raw: Uint8Array
  }>()
  expectTypeOf<InsertType<typeof orders>>().toEqualTypeOf<{
    id: bigint | number
    customer: bigint | number
    quantity: number
    paid: boolean
    day: number | string | Date
    at: bigint | number | string | Date
    raw: Uint8Array
    amount?: bigint | number | null
    note?: string | null
  }>()
  // @ts-expect-error a nullable column cannot be the key
  expect(() => table('t', { a: u64().nullable().primaryKey() })).not.toThrow()
  // @ts-expect-error no such column
  expect(() => table('t', { a: u64() }, { primaryKey: ['b'] })).toThrow()
})

test('keys', () => {
  const seats = table('seats', { hall: string(), row: u64(), price: i32() }, { primaryKey: ['hall', 'row'] })
  const plain = table('plain', { a: u64() })
  const db = open()
  const [order, seat, none] = [db.createTable(orders), db.createTable(seats), db.createTable(plain)]
  order.get(1)
  order.get({ id: 1n })
  order.getAll([1])
  seat.get({ hall: 'a', row: 1 })
  seat.get(['a', 1n])
  Array.from(seat.range({ from: { hall: 'a' }, to: 'b', after: ['a', 3] }))
  none.get(5)
  db.update(orders, 1, { quantity: 2 })
  db.update(seat, { hall: 'a', row: 1 }, old => ({ price: old.price + 1 }))
  db.transact(tx => {
    expectTypeOf(tx.get(orders, 1)).toEqualTypeOf<Order | undefined>()
    expectTypeOf(tx.rows(seat)[0]).toEqualTypeOf<RowType<typeof seats>>()
    expectTypeOf(tx.deleteKey(seats, ['a', 1])).toEqualTypeOf<boolean>()
  })
  const refused = (call: () => unknown) => expect(call).toThrow()
  // @ts-expect-error the key is a u64
  refused(() => order.get('x'))
  // @ts-expect-error not the key
  refused(() => db.transact(tx => tx.get(orders, { customer: 1 })))
  // @ts-expect-error a key of two columns
  refused(() => seat.get('a'))
  // @ts-expect-error the row is missing
  refused(() => db.deleteKey(seats, { hall: 'a' }))
  // @ts-expect-error no primary key
  refused(() => db.deleteKey(plain, 5))
  // @ts-expect-error no such column
  refused(() => db.update(orders, 1, { nope: 2 }) ?? db.update(none, 5 as never, {}))
})

test('maps, joins, groups', () => {
  const mapped = view('m', q =>
    q.from(orders).map(o => ({ ...o, kind: 'x', twice: o.quantity * 2, len: o.note?.length })),
  )
  expectTypeOf<RowType<typeof mapped>>().toEqualTypeOf<{
    id: bigint
    customer: bigint
    amount: bigint | null
    quantity: number
    note: string | null
    paid: boolean
    day: number
    at: bigint
    raw: Uint8Array
    kind: string
    twice: number
    len: number | null
  }>()

  const joined = view('j', q =>
    q.from(orders).leftJoin(
      customers,
      (o, c) => o.customer === c.id,
      (o, c) => ({ id: o.id, region: c.region }),
    ),
  )
  expectTypeOf<RowType<typeof joined>>().toEqualTypeOf<{ id: bigint; region: string | null }>()

  const names = table('names', { nr: u64(), name: string() })
  const both = view('b', q => q.from(customers).fullJoin(names, (c, n) => c.id === n.nr))
  expectTypeOf<RowType<typeof both>>().toEqualTypeOf<{
    id: bigint | null
    region: string | null
    nr: bigint | null
    name: string | null
  }>()

  const grouped = view('g', q =>
    q
      .from(orders)
      .groupBy(o => ({ customer: o.customer, big: o.quantity > 10 }))
      .aggregate({
        n: count(),
        notes: count(o => o.note),
        amount: sum(o => o.amount),
        pieces: sum(o => o.quantity),
        mean: avg(o => o.quantity),
        first: min(o => o.day),
        last: max(o => o.note),
      }),
  )
  expectTypeOf<RowType<typeof grouped>>().toEqualTypeOf<{
    customer: bigint
    big: boolean
    n: bigint
    notes: bigint
    amount: bigint | null
    pieces: number
    mean: number
    first: number
    last: string | null
  }>()

  const global = view('a', q => q.from(orders).aggregate({ n: count(), pieces: sum(o => o.quantity) }))
  expectTypeOf<RowType<typeof global>>().toEqualTypeOf<{ n: bigint; pieces: number | null }>()

  const again = view('v', q => q.from(grouped).filter(r => r.n > 1n), { key: ['customer', 'big'] })
  expectTypeOf<RowType<typeof again>>().toEqualTypeOf<RowType<typeof grouped>>()

  const handle = { definition: customers, database: {} }
  const fromHandle = view('h', q => q.from(handle).semiJoin(orders, (c, o) => c.id === o.customer))
  expectTypeOf<RowType<typeof fromHandle>>().toEqualTypeOf<{ id: bigint; region: string }>()
  expectTypeOf<RowType<typeof handle>>().toEqualTypeOf<{ id: bigint; region: string }>()
  const outside = view('outside', q => q.from(customers).notIn(orders, (c, o) => c.id === o.customer))
  expectTypeOf<RowType<typeof outside>>().toEqualTypeOf<{ id: bigint; region: string }>()
  const star = view('star', q =>
    q.joinAll(
      [customers, orders, customers],
      [c => ({ id: c.id }), o => ({ id: o.customer }), c => ({ id: c.id })],
      (c, o, d, { x }) => ({ region: c.region, customer: o.customer, again: d.id, x }),
      { x: 1 },
    ),
  )
  expectTypeOf<RowType<typeof star>>().toEqualTypeOf<{ region: string; customer: bigint; again: bigint; x: number }>()
  const page = view('page', q => q.from(customers).top({ limit: 3, offset: 2, ties: true }, { by: c => c.region }))
  expectTypeOf<RowType<typeof page>>().toEqualTypeOf<{ id: bigint; region: string }>()
})

test('sums and means of decimals are decimals', () => {
  const prices = table('prices', { id: u64().primaryKey(), price: decimal(10, 2), rebate: decimal(4, 1).nullable() })
  const totals = view('totals', q =>
    q.from(prices).aggregate({ total: sum(p => p.price), mean: avg(p => p.price), rebate: avg(p => p.rebate) }),
  )
  expectTypeOf<RowType<typeof totals>>().toEqualTypeOf<{
    total: string | null
    mean: string | null
    rebate: string | null
  }>()
  const db = open()
  const handle = db.createView(totals)
  db.insert(prices, [
    { id: 1, price: '1.00', rebate: null },
    { id: 2, price: '0.01' },
    { id: 3, price: 10.5 },
  ])
  expect(handle.rows()).toEqual([{ total: '11.51', mean: '3.836667', rebate: null }])
  expect(totals.schema.columns.map(c => c.type)).toEqual(['decimal(38,2)', 'decimal(38,6)', 'decimal(38,6)'])
})

test('set operations join nullability', () => {
  const strict = table('strict', { id: u64(), region: string() })
  const loose = table('loose', { region: string().nullable(), id: u64() })
  const both = view('u', q => q.from(strict).unionAll(loose))
  expectTypeOf<RowType<typeof both>>().toEqualTypeOf<{ id: bigint; region: string | null }>()
  const same = view('s', q => q.from(loose).except(q.from(strict)))
  expectTypeOf<RowType<typeof same>>().toEqualTypeOf<{ id: bigint; region: string | null }>()
})

test('ctx', () => {
  const typed = view('c', q =>
    q.from(orders).map((o, ctx) => ({ at: ctx.since, least: ctx.least, name: ctx.deep.name, id: o.id }), {
      least: 5n,
      since: new Date(0),
      deep: { name: 'x' },
    }),
  )
  expectTypeOf<RowType<typeof typed>>().toEqualTypeOf<{ at: bigint; least: bigint; name: string; id: bigint }>()
})

test('functions keep null', () => {
  const half = udf('half', ['f64', i64().nullable()], 'f64', (x, y) => x / Number(y ?? 2n))
  const typed = view('f', q =>
    q.from(orders).map(
      (o, { year, i32, half, f }) => ({
        y: year(o.at),
        m: f.month(o.amount === null ? null : o.at),
        small: i32(o.amount),
        half: half(o.quantity, o.amount),
        gap: half(o.quantity > 1 ? null : 1, 1n),
        text: f.coalesce(o.note, 'none'),
      }),
      { year: fn.year, i32: fn.i32, half, f: fn },
    ),
  )
  expectTypeOf<RowType<typeof typed>>().toEqualTypeOf<{
    y: number
    m: number | null
    small: number | null
    half: number
    gap: number | null
    text: string
  }>()
  expectTypeOf(half(1, 2n)).toEqualTypeOf<number>()
})

test('refused by TypeScript', () => {
  const refused = (build: () => unknown) => expect(build).toThrow()
  // @ts-expect-error no such column
  refused(() => view('v', q => q.from(orders).filter(o => o.nope === 1)))
  // @ts-expect-error a filter gives a boolean
  refused(() => view('v', q => q.from(orders).filter(o => o.quantity)))
  // @ts-expect-error number and bigint do not mix
  refused(() => view('v', q => q.from(orders).map(o => ({ x: o.quantity + o.id }))))
  // @ts-expect-error the columns of a set operation differ
  refused(() => view('v', q => q.from(orders).union(customers)))
  const text = table('text', { id: string(), region: string() })
  // @ts-expect-error the types of a set operation differ
  refused(() => view('v', q => q.from(customers).union(text)))
  refused(() => view('v', q => q.from(orders).aggregate({ x: sum(o => o.note) })))
  // @ts-expect-error not a column of the view
  refused(() => view('v', q => q.from(customers), { key: ['nope'] }))
  // @ts-expect-error a grouped query is not a query
  refused(() => view('v', q => q.from(customers).groupBy(c => ({ region: c.region }))))
  // @ts-expect-error nothing to read from
  refused(() => view('v', q => q.from({})))
})

test('aggregates', () => {
  const typed = view('a', q =>
    q
      .from(orders)
      .groupBy(o => ({ customer: o.customer }))
      .aggregate({
        notes: countDistinct(o => o.note),
        paid: filtered(
          sum(o => o.quantity),
          o => o.paid,
        ),
        paidRows: filtered(count(), o => o.paid),
        once: distinct(sum(o => o.amount)),
        spread: varSamp(o => o.quantity),
        deviation: stddevPop(o => o.amount),
        slope: regrSlope(
          o => o.quantity,
          o => o.amount,
        ),
        pairs: regrCount(
          o => o.quantity,
          o => o.amount,
        ),
        all: boolAnd(o => o.paid),
        bits: bitOr(o => o.amount),
        middle: median(o => o.quantity),
        often: mode(o => o.note),
        dearest: argMax(
          o => o.id,
          o => o.amount,
        ),
        latest: last(o => o.note, { by: o => o.at }),
        list: arrayAgg(o => o.id, { by: o => o.at, desc: true }),
        names: stringAgg(o => o.note, ', '),
        about: approxCountDistinct(o => o.note),
      }),
  )
  expectTypeOf<RowType<typeof typed>>().toEqualTypeOf<{
    customer: bigint
    notes: bigint
    paid: number | null
    paidRows: bigint
    once: bigint | null
    spread: number | null
    deviation: number | null
    slope: number | null
    pairs: bigint
    all: boolean
    bits: bigint | null
    middle: number
    often: string | null
    dearest: bigint | null
    latest: string | null
    list: readonly bigint[]
    names: string | null
    about: bigint
  }>()
  const refused = (build: () => unknown) => expect(build).toThrow()
  // Text is decimals to the types.
  refused(() => view('v', q => q.from(orders).aggregate({ x: varPop(o => o.note) })))
  // @ts-expect-error truth has no variance
  refused(() => view('v', q => q.from(orders).aggregate({ x: varPop(o => o.paid) })))
  // @ts-expect-error not a boolean
  refused(() => view('v', q => q.from(orders).aggregate({ x: boolOr(o => o.quantity) })))
})
