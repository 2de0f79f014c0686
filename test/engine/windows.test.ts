/** Window functions: results that one can follow, bad input, and large partitions. */
import { describe, expect, test } from 'vitest'
import {
  avg,
  count,
  cumeDist,
  date,
  denseRank,
  f64,
  firstValue,
  i32,
  i64,
  lag,
  lastValue,
  lead,
  max,
  min,
  nthValue,
  ntile,
  open,
  over,
  percentRank,
  rank,
  rowNumber,
  string,
  sum,
  table,
  timestamp,
  u64,
  view,
} from '../../src/index.js'
import { contents, expectError, expectExact, expectRefused, picker } from './support.js'

const scores = table('scores', { team: string(), points: i64(), name: string() })

describe('values', () => {
  test('ranks, with ties', () => {
    const ranked = view('ranked', q =>
      q
        .from(scores)
        .window(
          { partitionBy: s => ({ team: s.team }), orderBy: [{ by: s => s.points, desc: true }] },
          { n: rowNumber(), r: rank(), d: denseRank(), p: percentRank(), c: cumeDist(), half: ntile(2) },
        ),
    )
    const db = open()
    const live = db.createView(ranked)
    db.insert(scores, [
      { team: 'a', points: 5, name: 'x' },
      { team: 'a', points: 9, name: 'y' },
      { team: 'a', points: 5, name: 'w' },
      { team: 'a', points: 1, name: 'z' },
      { team: 'b', points: 7, name: 'v' },
    ])
    const rows = () => live.rows().map(({ name, n, r, d, p, c, half }) => [name, n, r, d, p, c, half])
    const byPlace = () => rows().sort((a, b) => Number(a[1]) - Number(b[1]))
    expect(byPlace().filter(([name]) => name !== 'v')).toEqual([
      ['y', 1n, 1n, 1n, 0, 0.25, 1n],
      ['w', 2n, 2n, 2n, 1 / 3, 0.75, 1n],
      ['x', 3n, 2n, 2n, 1 / 3, 0.75, 2n],
      ['z', 4n, 4n, 3n, 1, 1, 2n],
    ])
    db.delete(scores, { team: 'a', points: 9, name: 'y' })
    expect(byPlace().filter(([name]) => name !== 'v')).toEqual([
      ['w', 1n, 1n, 1n, 0, 2 / 3, 1n],
      ['x', 2n, 1n, 1n, 0, 2 / 3, 1n],
      ['z', 3n, 3n, 2n, 1, 1, 2n],
    ])
    expect(byPlace().filter(([name]) => name === 'v')).toEqual([['v', 1n, 1n, 1n, 0, 1, 1n]])
  })

  test('equal rows get numbers of their own, and are one row where nothing tells them apart', () => {
    const db = open()
    const numbered = db.createView(view('numbered', q => q.from(scores).window({}, { n: rowNumber() })))
    const ranked = db.createView(view('ranks', q => q.from(scores).window({}, { r: rank(), all: count() })))
    db.transact(tx =>
      tx.insert(
        scores,
        [1, 2, 3].map(() => ({ team: 'a', points: 1, name: 'same' })),
      ),
    )
    expect(numbered.rows().map(r => r.n)).toEqual([1n, 2n, 3n])
    expect(ranked.entries().map(e => [e.row.r, e.row.all, e.weight])).toEqual([[1n, 3n, 3n]])
  })

  test('lag and lead, with defaults, steps and NULLs passed over', () => {
    const readings = table('readings', { at: i32().primaryKey(), value: f64().nullable() })
    const db = open()
    const live = db.createView(
      view('steps', q =>
        q.from(readings).window(
          { orderBy: [{ by: r => r.at }] },
          {
            before: lag(r => r.value),
            known: lag(r => r.value, { ignoreNulls: true }),
            next: lead(r => r.at, { offset: 2, default: r => -r.at }),
          },
        ),
      ),
    )
    db.insert(
      readings,
      [1, 2, 3, 4].map(at => ({ at, value: at % 2 === 0 ? null : at / 2 })),
    )
    expect(live.rows().map(r => [r.at, r.before, r.known, r.next])).toEqual([
      [1, null, null, 3],
      [2, 0.5, 0.5, 4],
      [3, null, 0.5, -3],
      [4, 1.5, 1.5, -4],
    ])
  })

  test('frames of time', () => {
    const visits = table('visits', { at: timestamp().primaryKey(), pages: i32() })
    const db = open()
    const live = db.createView(
      view('recent', q =>
        q.from(visits).window(
          { orderBy: [{ by: v => v.at }], frame: { range: [{ preceding: { hours: 1 } }, 'current'] } },
          {
            total: over(
              sum(v => v.pages),
              { rows: ['unbounded', 'current'] },
            ),
            visits: count(),
            most: max(v => v.pages),
            first: firstValue(v => v.pages),
            others: over(
              min(v => v.pages),
              { range: ['unbounded', 'unbounded'], exclude: 'current' },
            ),
          },
        ),
      ),
    )
    const at = (time: string) => `2024-05-01T${time}:00`
    const rows = () => live.rows().map(v => [v.pages, v.total, v.visits, v.most, v.first, v.others])
    db.insert(visits, { at: at('10:00'), pages: 3 })
    expect(rows()).toEqual([[3, 3, 1n, 3, 3, null]])
    db.insert(visits, [
      { at: at('10:59'), pages: 1 },
      { at: at('12:01'), pages: 2 },
      { at: at('11:00'), pages: 5 },
    ])
    expect(rows()).toEqual([
      [3, 3, 1n, 3, 3, 1],
      [1, 4, 2n, 3, 3, 2],
      [5, 9, 3n, 5, 3, 1],
      [2, 11, 1n, 2, 2, 1],
    ])
    db.delete(visits, { at: at('10:59'), pages: 1 })
    expectExact(db)
  })
})

test('months are as long as the calendar says', () => {
  const sales = table('sales', { day: date().primaryKey(), amount: i32() })
  const db = open()
  const live = db.createView(
    view('month', q =>
      q
        .from(sales)
        .window(
          { orderBy: [{ by: s => s.day }], frame: { range: [{ preceding: { months: 1 } }, 'current'] } },
          { total: sum(s => s.amount) },
        ),
    ),
  )
  db.insert(sales, [
    { day: '2023-02-27', amount: 1 },
    { day: '2023-02-28', amount: 2 },
    { day: '2023-03-31', amount: 4 },
    { day: '2023-04-30', amount: 8 },
    { day: '2023-05-31', amount: 16 },
  ])
  expect(live.rows().map(r => r.total)).toEqual([1, 3, 6, 12, 24])
  db.delete(sales, { day: '2023-02-28', amount: 2 })
  expect(live.rows().map(r => r.total)).toEqual([1, 4, 12, 24])
  expectExact(db)
})

test('where months end, later times of an earlier day may reach further', () => {
  const t = table('t', { id: u64().primaryKey(), at: timestamp(), value: i64() })
  const db = open()
  db.createView(
    view('spans', q =>
      q.from(t).window(
        { orderBy: [{ by: r => r.at }], frame: { range: [{ preceding: { months: 1 } }, { following: '1 month' }] } },
        {
          total: sum(r => r.value),
          most: max(r => r.value),
          upTo: over(
            sum(r => r.value),
            { range: ['unbounded', { following: { years: 1, months: 1, hours: 12 } }], exclude: 'ties' },
          ),
        },
      ),
    ),
  )
  const next = picker(11)
  const days = ['2024-01-28', '2024-01-29', '2024-01-30', '2024-01-31', '2024-02-28', '2024-02-29', '2024-03-01']
  const row = (id: number) => ({
    id,
    at: `${days[next(7)]}T${String(next(24)).padStart(2, '0')}:00:00`,
    value: 1n << BigInt(id),
  })
  for (let round = 0; round < 10; round++) {
    db.insert(
      t,
      Array.from({ length: 4 }, (_, i) => row(round * 4 + i)),
    )
    expectExact(db)
    if (round % 3 === 2) db.deleteKey(t, { id: next(round * 4) })
    expectExact(db)
  }
})

test('the first rows, NULL first or last', () => {
  const marks = table('marks', { id: i32().primaryKey(), value: i32().nullable() })
  const db = open()
  db.createTable(marks)
  const ids = (desc: boolean, nulls?: 'first' | 'last') => {
    const name = `${desc} ${nulls}`
    const top = view(name, q => q.from(marks).top(2, { by: m => m.value, desc, ...(nulls && { nulls }) }))
    return db
      .createView(top)
      .rows()
      .map(r => r.id)
  }
  db.insert(
    marks,
    [null, 5, null, 9, 7].map((value, id) => ({ id, value })),
  )
  expect([ids(false), ids(false, 'first'), ids(false, 'last')]).toEqual([
    [0, 2],
    [0, 2],
    [1, 4],
  ])
  expect([ids(true), ids(true, 'first'), ids(true, 'last')]).toEqual([
    [3, 4],
    [0, 2],
    [3, 4],
  ])
  expectError(() => ids(true, 'none' as never), 'COMPILE', "top order: expected nulls: 'first' or 'last'")
})

describe('bad input', () => {
  const t = table('t', { id: u64().primaryKey(), name: string(), n: i32(), x: f64(), day: date(), at: timestamp() })
  const refused = (make: Parameters<typeof view>[1], ...texts: string[]) => {
    for (const text of texts) expectError(() => view('refused', make), 'COMPILE', text)
  }

  test('a distance that does not fit the order', () => {
    const ranged = (by: (r: never) => string | number | bigint, preceding: unknown) =>
      view('refused', q =>
        q
          .from(t)
          .window(
            { orderBy: [{ by: by as never }], frame: { range: [{ preceding: preceding as number }, 'current'] } },
            { total: count() },
          ),
      )
    const name = (r: { name: string }) => r.name
    const n = (r: { n: number }) => r.n
    const x = (r: { x: number }) => r.x
    const day = (r: { day: number }) => r.day
    const at = (r: { at: bigint }) => r.at
    const check = (by: (r: never) => string | number | bigint, preceding: unknown, ...texts: string[]) => {
      for (const text of ['window "total": count', ...texts]) expectError(() => ranged(by, preceding), 'COMPILE', text)
    }
    check(name, 5, 'needs an order by a number, a date or a time', 'name')
    check(n, 1.5, 'a whole number', 'order n of type')
    check(n, -2, 'must not be negative')
    check(x, Number.NaN, 'a finite number', 'order x')
    check(day, { hours: 5 }, 'whole days', 'order day')
    check(day, { fortnights: 1 }, 'whole days')
    check(at, 5, 'a span like', 'order at')
    check(at, { months: 1.5 }, 'a span like')
    check(at, '1 month -1 day', 'a span like')
    check(at, { months: -1 }, 'must not be negative')
    check(day, { months: 1, hours: 5 }, 'whole days or months')
  })

  test('frames', () => {
    const framed = (frame: unknown) => (q: Parameters<Parameters<typeof view>[1]>[0]) =>
      q
        .from(t)
        .window({ orderBy: [{ by: r => r.n }], frame: frame as { rows: ['current', 'current'] } }, { total: count() })
    refused(framed({ rows: [{ preceding: -1 }, 'current'] }), 'window "total": count', 'must not be negative')
    refused(framed({ rows: [{ preceding: 1.5 }, 'current'] }), 'a whole number of rows')
    refused(framed({ rows: ['current', { preceding: 1 }] }), 'begins after its end')
    refused(framed({ groups: [{ following: 1 }, 'current'] }), 'begins after its end')
    refused(framed({ rows: ['current'] }), 'expected rows: [begin, end]')
    refused(framed({ rows: ['current', 'last'] }), "expected 'unbounded', 'current'")
    refused(framed({ days: ['current', 'current'] }), 'expected a frame like')
    refused(framed({ rows: ['current', 'current'], exclude: 'all' }), "expected exclude: 'current'")
    refused(
      q =>
        q
          .from(t)
          .window(
            { orderBy: [{ by: r => r.n }, { by: r => r.x }], frame: { range: [{ preceding: 1 }, 'current'] } },
            { total: count() },
          ),
      'needs an order by one column, found 2',
    )
  })

  test('functions and columns', () => {
    refused(q => q.from(t).window({}, { n: rank() }), '"n" is the name of a column already')
    refused(q => q.from(t).window({}, {}), 'expected functions')
    refused(
      q => q.from(t).window({}, { total: sum(r => r.name as never) }),
      'window "total": sum needs numbers',
      'string',
    )
    refused(q => q.from(t).window({}, { b: ntile(0) }), 'window "b": ntile', 'from 1')
    refused(q => q.from(t).window({}, { b: lag(r => r.n, { offset: -1 }) }), 'an offset from 0', 'found -1')
    refused(q => q.from(t).window({}, { b: nthValue(r => r.n, 0) }), 'a row number from 1')
    refused(q => q.from(t).window({}, { b: 7 as never }), 'expected a window function or an aggregate', 'found 7')
    refused(q => q.from(t).window({}, { b: over(rank(), { rows: ['current', 'current'] }) }), 'rank has no frame')
    const framed = over(count(), { rows: ['current', 'current'] })
    refused(
      q => q.from(t).window({}, { b: over(framed, { rows: ['unbounded', 'current'] }) }),
      'view "refused": window "b": count: over: the function has a frame of its own already',
    )
    refused(
      q => q.from(t).window({ orderBy: [{ by: r => r.n, nulls: 'no' as never }] }, { b: rank() }),
      "'first' or 'last'",
    )
  })
})

describe('incremental', () => {
  const t = table('events', { id: u64().primaryKey(), g: i32(), at: i64(), value: i64() })
  const all = view('all', q =>
    q.from(t).window(
      { partitionBy: e => ({ g: e.g }), orderBy: [{ by: e => e.at }] },
      {
        near: over(
          sum(e => e.value),
          { rows: [{ preceding: 2 }, { following: 2 }] },
        ),
        close: over(
          avg(e => e.value),
          { range: [{ preceding: 20 }, { following: 10 }] },
        ),
        before: lag(e => e.value),
        last: over(
          lastValue(e => e.value),
          { groups: ['current', { following: 1 }] },
        ),
      },
    ),
  )

  test('partitions of hundreds of rows, changed here and there', () => {
    const db = open()
    const live = db.createView(all)
    const n = 900
    const next = picker(5)
    const row = (id: number) => ({ id, g: id % 2, at: (id * 37) % 1000, value: id })
    db.insert(
      t,
      Array.from({ length: n }, (_, id) => row(id)),
    )
    const changes: number[] = []
    live.subscribe(({ changes: list }) => void changes.push(list.length))
    for (let round = 0; round < 12; round++) {
      db.transact(tx => {
        for (let i = 0; i < 3; i++) {
          const id = next(n) + round * 7
          const old = db.table(t).get({ id })
          if (old !== undefined) tx.delete(t, old)
          else tx.insert(t, row(id))
        }
      })
    }
    expectExact(db)
    // Only rows near to what changed are looked at and put out.
    expect(Math.max(...changes)).toBeLessThan(120)
  })

  test('each function alone, of few peers that change places in one transaction', () => {
    const t = table('peers', { x: i64(), id: u64() })
    const order = { orderBy: [{ by: (r: { x: bigint }) => r.x }] }
    const alone = {
      rowNumber: rowNumber(),
      rank: rank(),
      denseRank: denseRank(),
      percentRank: percentRank(),
      cumeDist: cumeDist(),
      ntile: ntile(3),
      lag: lag((r: { id: bigint }) => r.id, { offset: 2 }),
      count: count(),
      groups: over(count(), { groups: ['unbounded', { preceding: 1 }] }),
    }
    const db = open()
    for (const [name, f] of Object.entries(alone)) db.createView(view(name, q => q.from(t).window(order, { f })))
    db.createView(view('ties', q => q.from(t).top({ limit: 2, ties: true }, { by: r => r.x })))
    const next = picker(3)
    const rows: { x: bigint; id: bigint }[] = []
    for (let id = 0; id < 100; ) {
      db.transact(tx => {
        for (let changes = 2 + next(3); changes > 0; changes--) {
          if (rows.length > 3 && next(rows.length) > 3) tx.delete(t, rows.splice(next(rows.length), 1))
          else {
            const row = { x: BigInt(next(4)), id: BigInt(next(8) * 1000 + id++) }
            rows.push(row)
            tx.insert(t, row)
          }
        }
      })
      expectExact(db)
    }
  })

  test('running extremes, whose rows go and come back', () => {
    const db = open()
    const live = db.createView(
      view('extremes', q =>
        q.from(t).window(
          { orderBy: [{ by: e => e.id }] },
          {
            most: over(
              max(e => e.value),
              { rows: ['unbounded', 'current'] },
            ),
            least: over(
              min(e => e.value),
              { rows: [{ preceding: 1 }, 'unbounded'] },
            ),
            all: over(
              max(e => e.value),
              { rows: ['unbounded', 'unbounded'] },
            ),
          },
        ),
      ),
    )
    const next = picker(11)
    const rows = new Map<number, { id: number; g: number; at: number; value: number }>()
    for (let id = 0; id < 1200; id++) rows.set(id, { id, g: 1, at: 1, value: next(1000) })
    db.insert(t, [...rows.values()])
    const gone: { id: number; g: number; at: number; value: number }[] = []
    for (let step = 0; step < 60; step++) {
      const sorted = [...rows.values()].sort((a, b) => (step % 3 === 0 ? a.value - b.value : b.value - a.value))
      const back = step % 4 === 3 ? gone.shift() : undefined
      if (back !== undefined) {
        rows.set(back.id, back)
        db.insert(t, back)
      } else {
        const row = sorted[next(3)]
        rows.delete(row.id)
        gone.push(row)
        db.delete(t, row)
      }
      if (step % 6 !== 5) continue
      const ordered = [...rows.values()].sort((a, b) => a.id - b.id)
      const values = ordered.map(r => r.value)
      const most = values.map((_, i) => Math.max(...values.slice(0, i + 1)))
      const least = values.map((_, i) => Math.min(...values.slice(Math.max(0, i - 1))))
      const expected = ordered.map((r, i) => [r.id, most[i], least[i], Math.max(...values)].map(BigInt))
      expect(live.rows().map(r => [r.id, r.most, r.least, r.all])).toEqual(expected)
    }
  })

  test('too many equal rows for a number each are refused, and nothing has changed', () => {
    const many = table('many', { v: i32() })
    const db = open()
    db.createView(view('numbers', q => q.from(many).window({}, { n: rowNumber() })))
    db.insert(many, { v: 1 })
    expectRefused(db, () => db.transact(tx => tx.add(many, { v: 2 }, 2 ** 30)), 'USAGE', 'tells equal rows apart')
    expect(contents(db.view('numbers')).size).toBe(1)
  })

  test('a sum that leaves its type is a failure of its row, until the frame is smaller', () => {
    const db = open()
    const live = db.createView(
      view('sums', q =>
        q
          .from(t)
          .window(
            { orderBy: [{ by: e => e.id }], frame: { rows: [{ preceding: 1 }, 'current'] } },
            { s: sum(e => e.value) },
          ),
      ),
    )
    const big = { g: 1, at: 1, value: 2n ** 62n }
    db.insert(
      t,
      [1, 2, 3].map(id => ({ id, ...big })),
    )
    expect(live.errors().map(e => [e.message, e.weight])).toEqual([
      ['i64 overflow in sum "s"', 1n],
      ['i64 overflow in sum "s"', 1n],
    ])
    db.delete(t, { id: 2, ...big })
    expect(live.errors()).toHaveLength(1)
    db.delete(t, { id: 3, ...big })
    expect(live.rows().map(r => r.s)).toEqual([2n ** 62n])
  })
})
