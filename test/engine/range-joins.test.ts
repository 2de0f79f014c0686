/** Joins by range and without any key, against counting by hand; the laws compare all kinds of them with the oracle. */
import { expect, test } from 'vitest'
import { f64, fn, i64, open, table, u64, view } from '../../src/index.js'
import { nodes as n, replay } from '../../src/testing/index.js'

const points = table('points', { id: u64().primaryKey(), k: u64(), at: f64() })
const spans = table('spans', { id: u64().primaryKey(), k: u64(), lo: f64(), hi: f64() })

function numbers(seed: number): () => number {
  let state = seed
  return () => {
    state = (state * 1103515245 + 12345) % 2147483648
    return state / 2147483648
  }
}

test('every match of a changing table, whichever side changes', () => {
  const inside = view('inside', q =>
    q.from(points).join(
      spans,
      (p, s) => p.at >= s.lo && p.at <= s.hi,
      (p, s) => ({ p: p.id, s: s.id }),
    ),
  )
  const own = view('own', q =>
    q.from(points).leftJoin(
      spans,
      (p, s) => p.k === s.k && p.at >= s.lo && p.at <= s.hi,
      (p, s) => ({ p: p.id, s: s.id }),
    ),
  )
  const before = view('before', q =>
    q.from(points).join(
      spans,
      (p, s) => p.at < s.lo,
      (p, s) => ({ p: p.id, s: s.id }),
    ),
  )
  const pairs = view('pairs', q =>
    q.from(points).join(
      spans,
      () => true,
      (p, s) => ({ p: p.id, s: s.id }),
    ),
  )
  const db = open()
  const [a, b, c, d] = [inside, own, before, pairs].map(v => db.createView(v))
  expect(String(a.plan())).toContain('left at from right.lo to right.hi')
  const random = numbers(7)
  const [ps, ss] = [[], []] as [
    { id: number; k: number; at: number }[],
    { id: number; k: number; lo: number; hi: number }[],
  ]
  for (let step = 0; step < 12; step++) {
    const newPoints = Array.from({ length: 20 }, (_, i) => {
      return { id: step * 100 + i, k: Math.floor(random() * 4), at: Math.floor(random() * 90) }
    })
    const newSpans = Array.from({ length: 20 }, (_, i) => {
      const lo = Math.floor(random() * 90)
      return { id: step * 100 + i, k: Math.floor(random() * 4), lo, hi: lo - 1 + Math.floor(random() ** 4 * 90) }
    })
    db.transact(tx => {
      tx.insert(points, newPoints)
      tx.insert(spans, newSpans)
      if (step > 2) tx.delete(points, ps.splice(0, 7))
      if (step > 2) tx.delete(spans, ss.splice(0, 9))
    })
    ps.push(...newPoints)
    ss.push(...newSpans)
    const holding = ps.map(p => ss.filter(s => p.at >= s.lo && p.at <= s.hi))
    const kept = ps.map((p, i) => Math.max(1, holding[i].filter(s => s.k === p.k).length))
    const sum = (counts: readonly number[]): bigint => BigInt(counts.reduce((x, y) => x + y, 0))
    expect(a.count()).toBe(sum(holding.map(h => h.length)))
    expect(b.count()).toBe(sum(kept))
    expect(c.count()).toBe(sum(ps.map(p => ss.filter(s => p.at < s.lo).length)))
    expect(d.count()).toBe(BigInt(ps.length * ss.length))
  }
})

test('a side that is known to be empty keeps the columns it had', () => {
  const t = n.table('t', [
    ['a', 'string', true],
    ['b', 'u128', false],
  ])
  const r = n.source(t)
  const out = (side: typeof r, index: number, input: 0 | 1 = 0) => n.column(side.schema, index, input)
  const twice = n.join('inner', r, r, [[out(r, 0), out(r, 0, 1), false]], null, [
    ['x', out(r, 1)],
    ['y', out(r, 0, 1)],
  ])
  const failing = n.filter(
    twice,
    n.call('includes', 'bool', n.call('concat', 'string', out(twice, 1), out(twice, 1)), out(twice, 1)),
  )
  const anti = n.join('anti', r, failing, [[out(r, 1), out(failing, 0, 1), false]], null, [['c', out(r, 1)]])
  const view0 = n.view('v', n.filter(anti, n.literal('bool', false)))
  const row = { table: t, row: ['a', 1n], weight: 1n }
  replay([view0], [[row], [{ ...row, weight: -1n }]], { shuffle: 1 })
})

test('a range may be the step of a recursion', () => {
  const stops = table('stops', { id: u64().primaryKey(), at: i64() })
  const reached = view('reached', q =>
    q.recursive(
      q.from(stops).filter(s => s.id === 0n),
      here =>
        here.join(
          stops,
          (a, b, { near }) => near(a.at, b.at, 10n),
          (_, b) => ({ id: b.id, at: b.at }),
          { near: fn.near },
        ),
    ),
  )
  const db = open()
  const view0 = db.createView(reached)
  const places = [0, 7, 16, 30, 39, 48, -9]
  db.insert(
    stops,
    places.map((at, id) => ({ id, at })),
  )
  expect(view0.rows().map(r => r.at)).toEqual([0n, 7n, 16n, -9n])
  db.insert(stops, [{ id: 7, at: 23 }])
  expect(view0.rows().map(r => r.at)).toEqual([0n, 7n, 16n, 30n, 39n, 48n, -9n, 23n])
  db.delete(stops, [{ id: 1, at: 7 }])
  expect(view0.rows().map(r => r.at)).toEqual([0n, -9n])
})

test('the match of an as-of join goes, and the next one takes its place', () => {
  const trades = table('trades', { id: u64().primaryKey(), at: i64() })
  const quotes = table('quotes', { id: u64().primaryKey(), at: i64(), bid: f64() })
  const db = open()
  const bids = db.createView(
    view('bids', q =>
      q.from(trades).asOfLeftJoin(
        quotes,
        (t, b) => b.at <= t.at,
        (t, b) => ({ id: t.id, bid: b.bid }),
      ),
    ),
  )
  const of = () => bids.rows().map(r => r.bid)
  db.insert(trades, [
    { id: 1, at: 5 },
    { id: 2, at: 10 },
    { id: 3, at: 20 },
  ])
  expect(of()).toEqual([null, null, null])
  const [early, late, later] = [
    { id: 1, at: 6, bid: 1 },
    { id: 2, at: 10, bid: 2 },
    { id: 3, at: 10, bid: 3 },
  ]
  db.insert(quotes, [early, late, later])
  expect(of()).toEqual([null, 3, 3])
  db.delete(quotes, [later])
  expect(of()).toEqual([null, 2, 2])
  db.delete(quotes, [late])
  expect(of()).toEqual([null, 1, 1])
  db.delete(quotes, [early])
  expect(of()).toEqual([null, null, null])
})

test('keys that are NULL meet each other in as-of joins as in others', () => {
  const left = table('left', { k: i64().nullable(), s: i64(), t: i64() })
  const right = table('right', { k: i64().nullable(), s: i64().nullable(), t: i64() })
  const latest = view('latest', q =>
    q.from(left).asOfLeftJoin(
      right,
      (a, b) => a.k === b.k && b.t <= a.t,
      (a, b) => ({ k: a.k, t: a.t, found: b.t }),
    ),
  )
  // What cannot be NULL on one side meets no NULL of the other.
  const both = view('both', q =>
    q.from(left).asOfJoin(
      right,
      (a, b) => a.k === b.k && a.s === b.s && b.t < a.t,
      (a, b) => ({ k: a.k, t: a.t, found: b.t }),
    ),
  )
  const db = open()
  const [l, b] = [db.createView(latest), db.createView(both)]
  expect(String(l.plan())).toContain('===')
  const found = (v: typeof l | typeof b) => v.rows().map(r => [r.k, r.t, r.found])
  db.insert(left, [
    { k: null, s: 0n, t: 5n },
    { k: 0n, s: 0n, t: 5n },
  ])
  expect(found(l)).toEqual([
    [null, 5n, null],
    [0n, 5n, null],
  ])
  const nulls = [1n, 3n].map(t => ({ k: null, s: 0n, t }))
  db.insert(right, [...nulls, { k: 0n, s: 0n, t: 2n }, { k: null, s: null, t: 4n }])
  expect(found(l)).toEqual([
    [null, 5n, 4n],
    [0n, 5n, 2n],
  ])
  expect(found(b)).toEqual([
    [null, 5n, 3n],
    [0n, 5n, 2n],
  ])
  db.delete(right, [nulls[1]])
  expect(found(b)).toEqual([
    [null, 5n, 1n],
    [0n, 5n, 2n],
  ])
})
