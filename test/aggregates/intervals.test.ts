/** Sums and means of intervals, and aggregates of decimals that give doubles. `postgres.ts` compares them with PostgreSQL's. */
import { describe, expect, it } from 'vitest'
import * as g from '../../src/index.js'

const t = g.table('t', {
  id: g.i32().primaryKey(),
  k: g.string(),
  wait: g.interval().nullable(),
  price: g.decimal(10, 2),
})
type Row = g.RowType<typeof t>
const row = (id: number, k: string, wait: string | null, price = '1.00') => ({ id, k, wait, price })

describe('intervals', () => {
  const waits = g.view('waits', q =>
    q
      .from(t)
      .groupBy(r => ({ k: r.k }))
      .aggregate({
        n: g.count(),
        total: g.sum(r => r.wait),
        mean: g.avg(r => r.wait),
        late: g.filtered(
          g.sum((r: Row) => r.wait),
          r => r.id > 1,
        ),
      }),
  )

  it('are summed part by part, and come and go with their rows', () => {
    const db = g.open()
    const view = db.createView(waits)
    db.insert(t, [row(1, 'a', '1 month 3 days'), row(2, 'a', '-1 days 02:00:00'), row(3, 'b', null), row(4, 'a', null)])
    const two = { months: 1, days: 2, micros: 7_200_000_000n }
    const late = { months: 0, days: -1, micros: 7_200_000_000n }
    expect(view.rows()).toEqual([
      { k: 'a', n: 3n, total: two, mean: { months: 0, days: 16, micros: 3_600_000_000n }, late },
      { k: 'b', n: 1n, total: null, mean: null, late: null },
    ])
    db.delete(t, row(2, 'a', '-1 days 02:00:00'))
    const one = { months: 1, days: 3, micros: 0n }
    expect(view.get('a')).toEqual({ k: 'a', n: 2n, total: one, mean: one, late: null })
  })

  it('beyond their range fail their group', () => {
    const db = g.open()
    const view = db.createView(waits)
    db.insert(t, [row(1, 'a', '2147483647 months'), row(2, 'a', '1 month')])
    expect(view.errors()).toMatchObject([{ view: 'waits', operator: 'aggregate "total"' }])
    db.delete(t, row(2, 'a', '1 month'))
    expect(view.get('a')?.total).toEqual({ months: 2147483647, days: 0, micros: 0n })
  })

  it('are not summed distinct', () => {
    const distinct = () => g.view('v', q => q.from(t).aggregate({ d: g.distinct(g.sum((r: Row) => r.wait)) }))
    expect(distinct).toThrow('aggregate "d": sum: distinct intervals cannot be added up')
  })
})

it('decimals are the nearest doubles to aggregates that give numbers, in groups and frames', () => {
  const db = g.open()
  const price = (r: Row) => r.price
  const all = db.createView(
    g.view('all', q =>
      q.from(t).aggregate({
        spread: g.varPop(price),
        middle: g.median(price),
        third: g.percentileCont(0.25, price),
        with: g.corr(price, (r: Row) => r.id),
      }),
    ),
  )
  const framed = db.createView(
    g.view('framed', q => q.from(t).window({ orderBy: [{ by: r => r.id }] }, { middle: g.median(price) })),
  )
  db.insert(
    t,
    ['0.10', '0.20', '0.40'].map((p, i) => row(i, 'a', null, p)),
  )
  const [found] = all.rows()
  expect(found.spread).toBeCloseTo(0.14 / 9, 15)
  expect([found.middle, found.third]).toEqual([0.2, 0.1 + (0.2 - 0.1) / 2])
  expect(found.with).toBeCloseTo(0.9819805, 6)
  expect(framed.rows().map(r => r.middle)).toEqual([0.1, 0.1 + (0.2 - 0.1) / 2, 0.2])
})
