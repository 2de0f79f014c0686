/** Rows that fail say where: the view, the operator as it was written, and the columns that its author knows. */
import { describe, expect, it } from 'vitest'
import * as g from '../../src/index.js'

const t = g.table('t', { id: g.i64().primaryKey(), a: g.i64(), b: g.i64(), price: g.decimal(10, 2) })
const u = g.table('u', { id: g.i64().primaryKey(), x: g.i64() })
type Row = g.RowType<typeof t>
type Other = g.RowType<typeof u>

const BAD = { id: 1n, a: 6n, b: 0n, price: '12.50' }
const ratio = (r: Row) => r.a / r.b
const sameId = (r: Row, s: Other) => r.id === s.id

function opened(view: g.ViewDef<unknown>): g.ViewHandle<unknown> {
  const db = g.open()
  for (const table of [t, u]) db.createTable(table as g.TableDef<unknown, unknown>)
  const handle = db.createView(view)
  db.insert(u, { id: 1n, x: 3n })
  db.insert(t, BAD)
  return handle
}

type Build = (q: g.QueryRoot) => g.Query<unknown>
const CASES: readonly (readonly [operator: string, Build])[] = [
  ['filter', q => q.from(t).filter(r => r.a / r.b > 0n && r.id > 0n)],
  ['map "ratio"', q => q.from(t).map(r => ({ id: r.id, half: r.a / 2n, ratio: r.a / r.b }))],
  // Fused into one loop, or moved past one another.
  [
    'map "ratio"',
    q =>
      q
        .from(t)
        .map(r => ({ id: r.id, ratio: r.a / r.b }))
        .filter(r => r.ratio > 1n)
        .map(r => ({ next: r.ratio + 1n })),
  ],
  [
    'groupBy "k"',
    q =>
      q
        .from(t)
        .groupBy(r => ({ k: r.a / r.b }))
        .aggregate({ n: g.count() }),
  ],
  ['aggregate "total": sum', q => q.from(t).aggregate({ n: g.count(), total: g.sum(ratio) })],
  [
    'aggregate "most": max',
    q =>
      q
        .from(t)
        .groupBy(r => ({ id: r.id }))
        .aggregate({ most: g.max(ratio) }),
  ],
  [
    'aggregate "n": count filter',
    q => q.from(t).aggregate({ n: g.filtered(g.count<Row>(), (r: Row) => r.a / r.b > 0n) }),
  ],
  ['top order', q => q.from(t).top(2, { by: ratio })],
  ['window partitionBy', q => q.from(t).window({ partitionBy: r => ({ k: r.a / r.b }) }, { place: g.rank() })],
  ['window "before": lag', q => q.from(t).window({ orderBy: [{ by: r => r.id }] }, { before: g.lag(ratio) })],
  ['tumble "windowStart"', q => q.from(t).tumble(ratio, 5n)],
  [
    'join condition',
    q =>
      q.from(t).join(
        u,
        (r, s) => r.a / r.b === s.id,
        r => ({ id: r.id }),
      ),
  ],
  [
    'leftJoin condition',
    q =>
      q.from(t).leftJoin(
        u,
        (r, s) => r.a / r.b === s.id,
        r => ({ id: r.id }),
      ),
  ],
  ['semiJoin condition', q => q.from(t).semiJoin(u, (r, s) => r.a / r.b === s.id)],
  [
    'asOfJoin condition',
    q =>
      q.from(t).asOfJoin(
        u,
        (r, s) => r.a / r.b >= s.id,
        r => ({ id: r.id }),
      ),
  ],
]

describe('a failing row names', () => {
  it.each(CASES)('its view, its columns, and %s', (operator, build) => {
    const view = opened(g.view('v', build) as g.ViewDef<unknown>)
    expect(view.errors()).toEqual([{ view: 'v', operator, message: 'division by zero', row: BAD, weight: 1n }])
    expect(() => view.rows()).toThrow(`view "v" holds failed rows: ${operator}: division by zero`)
  })

  it('columns of both sides of a join', () => {
    const joined = g.view('v', q => q.from(t).join(u, sameId, (r, s) => ({ id: r.id, share: s.x / r.b })))
    const row = { ...BAD, 'right.id': 1n, x: 3n }
    expect(opened(joined as g.ViewDef<unknown>).errors()).toMatchObject([{ operator: 'join select "share"', row }])
  })

  it('no columns that the planner made', () => {
    const reached = g.view('v', q =>
      q.recursive(
        q.from(u).map(s => ({ k: s.id })),
        self =>
          self.join(
            t,
            (r, s) => r.k === s.id,
            (_, s) => ({ k: s.a / s.b }),
          ),
      ),
    )
    const [error] = opened(reached as g.ViewDef<unknown>).errors()
    expect(error).toMatchObject({ operator: 'join select "k"', row: { k: 1n, id: 1n, a: 6n, b: 0n } })
    const most = (r: Row) => r.a + 9_223_372_036_854_775_800n
    const sums = g.view('v', q => q.from(t).window({ orderBy: [{ by: r => r.id }] }, { total: g.sum(most) }))
    const view = opened(sums as g.ViewDef<unknown>)
    view.database.insert(t, { ...BAD, id: 2n, a: 5n })
    const row = { ...BAD, id: 2n, a: 5n }
    expect(view.errors()).toMatchObject([
      { operator: 'window "total": sum', message: 'i64 overflow in sum "total"', row },
    ])
  })
})

it('the view that failed is named where another one reads it', () => {
  const below = g.view('below', q => q.from(t).map(r => ({ id: r.id, ratio: r.a / r.b })))
  const above = g.view('above', q => q.from(below).aggregate({ n: g.count() }))
  const view = opened(above as g.ViewDef<unknown>)
  expect(view.errors()).toMatchObject([{ view: 'below', operator: 'map "ratio"' }])
  expect(() => view.rows()).toThrow('view "above" holds failed rows: view "below", map "ratio": division by zero')
})

it('what was written for one column is not named for another', () => {
  const ratios = g.view('v', q => q.from(t).map(r => ({ ratio: r.a / r.b })))
  const shares = g.view('v', q => q.from(t).map(r => ({ share: r.a / r.b })))
  const operators = [ratios, shares].map(view => opened(view as g.ViewDef<unknown>).errors()[0].operator)
  expect(operators).toEqual(['map "ratio"', 'map "share"'])
})
