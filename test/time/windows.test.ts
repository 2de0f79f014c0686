/** Time windows: tumble, hop and session as the builder makes them. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  CompileError,
  count,
  date,
  i8,
  i64,
  max,
  open,
  type Query,
  type QueryRoot,
  string,
  table,
  timestamp,
  u8,
  u64,
  view,
} from '../../src/index.js'
import { checkIncremental } from '../../src/testing/index.js'

const bids = table('bids', { id: u64().primaryKey(), who: string(), at: timestamp().nullable(), price: i64() })
const at = (seconds: number): bigint => BigInt(Math.round(seconds * 1e6))
const bid = (id: number, seconds: number | null, who = 'ann') => ({
  ...{ id, who, price: 1 },
  at: seconds === null ? null : at(seconds),
})
const spans = (rows: readonly { id: bigint; windowStart: bigint; windowEnd: bigint }[]): string[] =>
  rows.map(r => `${r.id}: ${Number(r.windowStart) / 1e6}..${Number(r.windowEnd) / 1e6}`)

describe('tumbling windows', () => {
  it('begin at multiples of their size, before 1970 too, and leave out rows without a time', () => {
    const db = open()
    const v = db.createView(view('v', q => q.from(bids).tumble(b => b.at, '10 seconds')))
    db.insert(bids, [bid(1, 0), bid(2, 9.999999), bid(3, 10), bid(4, -0.000001), bid(5, null)])
    expect(spans(v.rows())).toEqual(['1: 0..10', '2: 0..10', '3: 10..20', '4: -10..0'])
  })

  it('begin at an offset, with names of their own, and are grouped by', () => {
    const db = open()
    const v = db.createView(
      view('v', q =>
        q
          .from(bids)
          .tumble(b => b.at, { seconds: 10 }, { offset: '-3 seconds', start: 'from', end: 'to' })
          .map(r => ({ id: r.id, windowStart: r.from, windowEnd: r.to })),
      ),
    )
    db.insert(bids, [bid(1, 6.9), bid(2, 7)])
    expect(spans(v.rows())).toEqual(['1: -3..7', '2: 7..17'])
  })

  it('count days of dates and units of integers, and stay within the type', () => {
    const t = table('t', { d: date(), n: i8(), m: u8(), id: u64().primaryKey() })
    const db = open()
    const v = db.createView(view('v', q => q.from(t).tumble(r => r.n, 100, { start: 'a', end: 'b' })))
    const w = db.createView(view('w', q => q.from(t).tumble(r => r.d, '7 days')))
    db.insert(t, { id: 1, d: '1970-01-09', n: -128, m: 0 })
    db.insert(t, { id: 2, d: '1969-12-31', n: 127, m: 0 })
    expect(v.rows().map(r => [r.a, r.b])).toEqual([
      [-128, -28],
      [100, 127],
    ])
    expect(w.rows().map(r => [r.windowStart, r.windowEnd])).toEqual([
      [7, 14],
      [-7, 0],
    ])
  })
})

describe('hopping windows', () => {
  const hops = (size: string, step: string) => {
    const db = open()
    const v = db.createView(view('v', q => q.from(bids).hop(b => b.at, size, step)))
    db.insert(bids, [bid(1, 12)])
    const rows = spans(v.rows()).sort()
    db.delete(bids, bid(1, 12))
    expect(v.rows()).toEqual([])
    return rows
  }

  it('hold a row once each', () => {
    expect(hops('10 seconds', '5 seconds')).toEqual(['1: 10..20', '1: 5..15'])
    expect(hops('10 seconds', '4 seconds')).toEqual(['1: 12..22', '1: 4..14', '1: 8..18'])
    expect(hops('2 seconds', '5 seconds')).toEqual([])
    expect(hops('3 seconds', '5 seconds')).toEqual(['1: 10..13'])
  })

  it('may be many', () => {
    const rows = hops('100 seconds', '1 second')
    expect(rows.length).toBe(100)
    expect(rows).toContain('1: -87..13')
    expect(rows).toContain('1: 12..112')
  })

  it('begin nowhere below the least value of the type', () => {
    const t = table('t', { at: u64() })
    const db = open()
    const few = db.createView(view('few', q => q.from(t).hop(r => r.at, 10, 5)))
    const many = db.createView(view('many', q => q.from(t).hop(r => r.at, 10, 1)))
    db.insert(t, [{ at: 3 }])
    expect(few.rows().map(r => r.windowStart)).toEqual([0n])
    expect(many.rows().map(r => r.windowStart)).toEqual([0n, 1n, 2n, 3n])
  })
})

describe('sessions', () => {
  it('grow, merge and split', () => {
    const db = open()
    const v = db.createView(view('v', q => q.from(bids).session(b => b.at, '5 seconds', { by: b => ({ who: b.who }) })))
    const changes: string[] = []
    v.subscribe(({ changes: all }) => {
      changes.push(...all.map(c => `${c.weight > 0n ? '+' : '-'}${spans([c.row])[0]}`))
    })
    db.insert(bids, [bid(1, 0), bid(2, 10), bid(3, 2, 'ben')])
    expect(spans(v.rows())).toEqual(['1: 0..5', '2: 10..15', '3: 2..7'])
    db.insert(bids, bid(4, 5))
    expect(spans(v.rows())).toEqual(['1: 0..15', '2: 0..15', '3: 2..7', '4: 0..15'])
    changes.length = 0
    db.delete(bids, bid(4, 5))
    expect(changes.sort()).toEqual(['+1: 0..5', '+2: 10..15', '-1: 0..15', '-2: 0..15', '-4: 0..15'])
    db.transact(tx => {
      tx.insert(bids, [bid(5, 4), bid(6, 8)])
      tx.delete(bids, bid(1, 0))
    })
    expect(spans(v.rows())).toEqual(['2: 4..15', '3: 2..7', '5: 4..15', '6: 4..15'])
  })

  it('obey the laws of views where times are close together', () => {
    const t = table('t', { k: u8().nullable(), at: i64(), x: u8() })
    const sessions = view('sessions', q => q.from(t).session(r => r.at, 2, { by: r => ({ k: r.k }) }))
    const row = fc.tuple(fc.option(fc.constantFrom(1, 2)), fc.bigInt(0n, 12n), fc.constantFrom(0, 1))
    checkIncremental(sessions, { runs: 6, seed: 7, maxRows: 12, rows: { t: row } })
    const grouped = view('grouped', q =>
      q
        .from(t)
        .session(r => r.at, 2)
        .groupBy(r => ({ start: r.windowStart, end: r.windowEnd }))
        .aggregate({ rows: count(), last: max(r => r.at) }),
    )
    checkIncremental(grouped, { runs: 4, seed: 8, maxRows: 12, rows: { t: row } })
  })
})

describe('windows that cannot be', () => {
  const texts = table('texts', { at: string(), n: i64(), windowEnd: i64() })
  const messageOf = (make: () => unknown): string => {
    try {
      make()
    } catch (error) {
      if (error instanceof CompileError) return error.message
      throw error
    }
    return 'no error'
  }

  it('are refused, naming operator and column', () => {
    expect(messageOf(() => view('v', q => q.from(texts).tumble(r => r.at as never, 1)))).toContain(
      'tumble: expected a time: a timestamp, timestamptz, date or integer, found a string (column "at")',
    )
    expect(messageOf(() => view('v', q => q.from(texts).tumble(r => r.n, 1)))).toContain(
      'tumble: there is a column "windowEnd" already',
    )
    const small = (call: (q: QueryRoot) => Query<unknown>) => messageOf(() => view('v', call))
    expect(small(q => q.from(bids).tumble(b => b.at, 10))).toContain('tumble: size: expected a span of fixed length')
    expect(small(q => q.from(bids).hop(b => b.at, '1 month', '1 day'))).toContain('found the string "1 month"')
    expect(small(q => q.from(bids).session(b => b.at, '0 seconds'))).toContain('session: expected a gap of more than 0')
    expect(small(q => q.from(bids).hop(b => b.at, '1 year', '1 s'))).toContain('found the string "1 year"')
    expect(small(q => q.from(bids).hop(b => b.at, '365 days', '1 s'))).toContain('in 31536000 windows')
    expect(small(q => q.from(texts).session(r => r.n, 'soon', { end: 'e' }))).toContain('expected a whole number')
  })
})
