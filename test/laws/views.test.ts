/** `checkIncremental` as users call it, on views of the builder and on tables with hostile names and all types. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { bool, count, date, f64, i64, max, min, string, sum, table, u64, view } from '../../src/index.js'
import { checkIncremental, nodes as n, PropertyFailure, replay, rowArb, schemaArb } from '../../src/testing/index.js'

const orders = table('orders', {
  id: u64().primaryKey(),
  customer: u64(),
  amount: i64(),
  price: f64().nullable(),
  note: string().nullable(),
  day: date(),
})
const customers = table('customers', { id: u64().primaryKey(), region: string(), active: bool() })

const spend = view('spend', q =>
  q
    .from(orders)
    .filter(o => o.amount > -5n && o.note !== null)
    .join(
      customers,
      (o, c) => o.customer === c.id,
      (o, c) => ({ region: c.region, amount: o.amount, price: o.price }),
    )
    .groupBy(r => ({ region: r.region }))
    .aggregate({ orders: count(), total: sum(r => r.amount), mean: sum(r => r.price), least: min(r => r.amount) }),
)

const absent = view('absent', q =>
  q.from(orders).antiJoin(
    q.from(customers).filter(c => c.active),
    (o, c) => o.customer === c.id,
  ),
)

const latest = view('latest', q =>
  q
    .from(orders)
    .groupBy(o => ({ total: o.amount }))
    .aggregate({ last: max(o => o.day) })
    .leftJoin(
      spend,
      (l, s) => l.total === s.total,
      (l, s) => ({ total: l.total, last: l.last, region: s.region }),
    ),
)

describe('checkIncremental', () => {
  it.each([spend, absent, latest])('$schema.name', definition => {
    checkIncremental(definition, { runs: 8, seed: 1 })
  })

  it('takes arbitraries for the rows of a table', () => {
    const rows = rowArb(customers.schema).map(row => [1n, ...row.slice(1)])
    let regions = 0
    checkIncremental(spend, {
      ...{ runs: 5, seed: 1, rows: { customers: rows } },
      onCase: ({ steps }) => {
        const changes = steps.flat().filter(c => c.table === customers)
        regions += changes.length
        expect(changes.every(c => c.row[0] === 1n)).toBe(true)
      },
    })
    expect(regions).toBeGreaterThan(0)
  })

  it('holds for tables of any types and names', () => {
    for (const definition of fc.sample(schemaArb('hostile "); throw 0; ("'), { numRuns: 12, seed: 1 })) {
      checkIncremental(n.distinct(n.source(definition)), { runs: 2, seed: 1 })
    }
  })

  it('throws what can be pasted', () => {
    const broken = (): never => {
      throw new Error('no')
    }
    expect(() => checkIncremental(spend, { runs: 1, seed: 1, runner: broken })).toThrow(PropertyFailure)
    expect(() => replay([spend], [[{ table: customers, row: [1n, 'a', true], weight: 1n }]])).not.toThrow()
  })
})
