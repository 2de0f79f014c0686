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
    expect(view.errors()).toMatchObject([{ view: 'waits', message: 'interval overflow in sum "total"' }])
    db.delete(t, row(2, 'a', '1 month'))
    expect(view.get('a')?.total).toEqual({ months: 2147483647, days: 0, micros: 0n })
  })

  it('are summed once each if they are distinct', () => {
    const db = g.open()
    const own = g.distinct(g.sum((r: Row) => r.wait))
    const view = db.createView(
      g.view('v', q => q.from(t).aggregate({ total: own, mean: g.distinct(g.avg((r: Row) => r.wait)) })),
    )
    // As long as a month, and not the same.
    db.insert(t, [row(1, 'a', '1 month'), row(2, 'a', '1 month'), row(3, 'b', '30 days'), row(4, 'b', null)])
    const mean = { months: 0, days: 30, micros: 0n }
    expect(view.rows()).toEqual([{ total: { months: 1, days: 30, micros: 0n }, mean }])
    db.delete(t, row(1, 'a', '1 month'))
    db.delete(t, row(3, 'b', '30 days'))
    expect(view.rows()).toEqual([
      { total: { months: 1, days: 0, micros: 0n }, mean: { months: 1, days: 0, micros: 0n } },
    ])
  })

  it('are summed over frames and in rolling windows', () => {
    const db = g.open()
    const wait = (r: Row) => r.wait
    const last = { rows: [{ preceding: 1 }, 'current'] } as const
    const view = db.createView(
      g.view('framed', q =>
        q
          .from(t)
          .window(
            { partitionBy: r => ({ k: r.k }), orderBy: [{ by: r => r.id }] },
            {
              total: g.sum(wait),
              two: g.over(g.avg(wait), last),
              late: g.filtered(g.sum(wait), r => r.id > 1),
              each: g.over(g.distinct(g.sum(wait)), last),
            },
          )
          .map(({ id, total, two, late, each }) => ({ id, total, two, late, each })),
      ),
    )
    const rolled = db.createView(
      g.view('rolled', q =>
        q
          .from(t)
          .rolling({ at: r => r.id, rows: 2 }, { sum: g.sum(wait) })
          .map(({ id, sum }) => ({ id, sum })),
      ),
    )
    db.insert(t, [row(1, 'a', '1 month'), row(2, 'a', '-1 days 02:00:00'), row(4, 'a', null), row(5, 'a', null)])
    const interval = (months: number, days: number, hours: number) => ({
      months,
      days,
      micros: BigInt(hours) * 3600_000_000n,
    })
    const second = {
      total: interval(1, -1, 2),
      two: { months: 0, days: 15, micros: -39_600_000_000n },
      late: interval(0, -1, 2),
      each: interval(1, -1, 2),
    }
    const month = interval(1, 0, 0)
    const one = interval(0, -1, 2)
    expect(view.rows()).toEqual([
      { id: 1, total: month, two: month, late: null, each: month },
      { id: 2, ...second },
      { id: 4, total: second.total, two: one, late: one, each: one },
      { id: 5, total: second.total, two: null, late: one, each: null },
    ])
    expect(rolled.rows().map(r => r.sum)).toEqual([month, second.total, one, null])
    db.insert(t, row(3, 'a', '-1 days 02:00:00'))
    expect(view.rows()[2]).toEqual({ id: 3, total: interval(1, -2, 4), two: one, late: interval(0, -2, 4), each: one })
  })

  it('beyond their range fail the rows of their frames', () => {
    const db = g.open()
    const view = db.createView(
      g.view('v', q => q.from(t).window({ orderBy: [{ by: r => r.id }] }, { total: g.sum((r: Row) => r.wait) })),
    )
    db.insert(t, [row(1, 'a', '2147483647 months'), row(2, 'a', '1 month')])
    expect(view.errors()).toMatchObject([
      { operator: 'window "total": sum', message: 'interval overflow in sum "total"', row: { id: 2 } },
    ])
    db.delete(t, row(1, 'a', '2147483647 months'))
    expect(view.rows().map(r => r.total)).toEqual([{ months: 1, days: 0, micros: 0n }])
    expect(view.errors()).toEqual([])
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
