/** Rows that come once they are final, and rows that come and leave with the clock. */
import { beforeAll, describe, expect, it } from 'vitest'
import { SimulatedEnv } from '../../src/env/simulated.js'
import {
  CompileError,
  count,
  cumeDist,
  type Database,
  fn,
  i64,
  lag,
  lead,
  open,
  type Query,
  type QueryRoot,
  type RowType,
  rowNumber,
  string,
  sum,
  table,
  timestamptz,
  u64,
  view,
} from '../../src/index.js'
import { loadStorage } from '../../src/storage/open.js'
import { checkCircuits } from '../../src/testing/index.js'
import { durableRunner } from '../durable/runner.js'

beforeAll(loadStorage)

const bids = table('bids', { at: timestamptz().lateness('5 seconds'), who: u64(), price: i64() })
type Bid = RowType<typeof bids>
const finals = view('finals', q =>
  q
    .from(bids)
    .tumble(b => b.at, '10 seconds')
    .groupBy(b => ({ start: b.windowStart, end: b.windowEnd }))
    .aggregate({ bids: count(), total: sum(b => b.price) })
    .emitFinal(w => w.end),
)
const recent = view('recent', q =>
  q.from(bids).filter((b, { ago, now }) => b.price > 1n && b.at >= ago('10 seconds') && b.at <= now(), fn),
)
const seconds = (n: number): bigint => BigInt(Math.round(n * 1e6))
const bid = (at: number, price = 2) => ({ at: seconds(at), who: 1, price })
const timesOf = (db: Database): number[] =>
  db
    .view(recent)
    .rows()
    .map(r => Number(r.at) / 1e6)

describe('emitFinal', () => {
  it('gives a window once, when its waterline has passed it', () => {
    const db = open()
    const v = db.createView(finals)
    const told: string[] = []
    v.subscribe(({ changes }) => {
      told.push(...changes.map(c => `${c.weight} × ${Number(c.row.end) / 1e6}: ${c.row.total}`))
    })
    db.insert(bids, [bid(1), bid(9), bid(11)])
    expect(v.rows()).toEqual([])
    // The waterline is at 10: windows that end later may still change, and so may rows at 10 exactly.
    db.insert(bids, [bid(15), bid(8)])
    expect(told).toEqual(['1 × 10: 6'])
    db.insert(bids, bid(9))
    expect(db.table(bids).late.count).toBe(1)
    db.insert(bids, [bid(40)])
    expect(told).toEqual(['1 × 10: 6', '1 × 20: 4'])
    // A view that comes later has what is final, too.
    const late = db.createView(view('late', q => q.from(v)))
    expect(late.rows()).toEqual(v.rows())
    expect(v.plan()).toContain('gate end < addSaturated(windowStart(waterline(bids.at), 00:00:10, 00:00:00), 00:00:10)')
    expect(v.warnings).toEqual([])
  })

  it('gives rows of a window that looks back in time, but not of one whose rows may all change', () => {
    const db = open()
    const by = { orderBy: [{ by: (b: Bid) => b.at }] }
    const v = db.createView(
      view('numbered', q =>
        q
          .from(bids)
          .window(by, { place: rowNumber(), total: sum(b => b.price), before: lag(b => b.price) })
          .emitFinal(b => b.at),
      ),
    )
    db.insert(bids, [bid(9, 1), bid(3, 2), bid(5, 3)])
    // The waterline is at 4.
    const finals = () => v.rows().map(({ place, total, before }) => [place, total, before])
    expect(finals()).toEqual([[1n, 2n, null]])
    db.insert(bids, [bid(4, 5), bid(12, 1)])
    expect(finals()).toEqual([
      [1n, 2n, null],
      [2n, 7n, 2n],
      [3n, 10n, 5n],
    ])
    for (const x of [cumeDist(), lead((b: Bid) => b.price)]) {
      const never = () =>
        view('never', q =>
          q
            .from(bids)
            .window(by, { x })
            .emitFinal(b => b.at),
        )
      expect(never).toThrow('column "at" may change for ever')
    }
  })

  it('needs a column that follows from a waterline', () => {
    const plain = table('plain', { at: timestamptz(), x: i64() })
    const bad = (make: (q: QueryRoot) => Query<unknown>) => () => view('bad', make)
    expect(bad(q => q.from(plain).emitFinal(r => r.at))).toThrow(
      'emitFinal: column "at" may change for ever: it follows from no waterline',
    )
    expect(bad(q => q.from(bids).emitFinal(r => r.price))).toThrow('column "price" may change for ever')
    expect(bad(q => q.from(bids).emitFinal(r => r.price + 1n))).toThrow('expected a column')
  })
})

describe('filters by the clock', () => {
  it('let rows come and leave as it goes on', () => {
    const db = open()
    const v = db.createView(recent)
    expect(db.now).toBe(null)
    db.insert(bids, [bid(100), bid(103, 1), bid(104), bid(112)])
    // Nothing has begun.
    expect(timesOf(db)).toEqual([])
    db.advance(seconds(104))
    expect(timesOf(db)).toEqual([100, 104])
    db.advance(new Date(110_000))
    expect([db.now, timesOf(db)]).toEqual([seconds(110), [100, 104]])
    db.advance('1970-01-01T00:01:50.000001Z')
    expect(timesOf(db)).toEqual([104])
    db.transact(tx => {
      tx.delete(bids, bid(112))
      tx.insert(bids, [bid(111), bid(111)])
    })
    db.advance(seconds(112))
    expect(timesOf(db)).toEqual([104, 111, 111])
    expect(() => db.advance(seconds(111))).toThrow('the clock shows')
    expect(v.plan()).toContain('gate at >= now() - interval(00:00:10)')
    expect(db.tables.map(t => t.name)).toEqual(['bids'])
  })

  it('go in bursts of so many rows, each of them a state in between', () => {
    const db = open()
    const v = db.createView(recent)
    db.advance(seconds(1000))
    db.insert(
      bids,
      Array.from({ length: 20 }, (_, i) => bid(995 + (i % 5), i + 2)),
    )
    const sizes: number[] = []
    v.subscribe(({ changes }) => {
      sizes.push(changes.length)
    })
    const { lsn } = db
    db.advance(seconds(1020), { maxRows: 5 })
    expect(v.size).toBe(0)
    // Four rows a second, which go together.
    expect(sizes).toEqual([4, 4, 4, 4, 4])
    expect(db.lsn - lsn).toBeGreaterThanOrEqual(5n)
    db.insert(bids, [bid(1019), bid(1019, 3), bid(1019, 4)])
    sizes.length = 0
    db.advance(seconds(1040), { maxRows: 1 })
    expect(sizes).toEqual([3])
    expect(() => db.advance(seconds(1050), { maxRows: 0 })).toThrow('maxRows of 1 or more')
  })

  it('go in such bursts the first time too', () => {
    const db = open()
    const due = db.createView(view('due', q => q.from(bids).filter((b, { now }) => b.at <= now(), fn)))
    db.insert(
      bids,
      Array.from({ length: 1000 }, (_, i) => bid(i / 10, i + 2)),
    )
    const sizes: number[] = []
    due.subscribe(({ changes }) => {
      sizes.push(changes.length)
    })
    db.advance(seconds(1000), { maxRows: 50 })
    expect(sizes).toEqual(Array.from({ length: 20 }, () => 50))
    expect(db.now).toBe(seconds(1000))
  })

  it('bound the state of what reads them', () => {
    const events = table('events', { at: timestamptz(), who: string() }, { stream: true })
    const perWho = view('perWho', q =>
      q
        .from(events)
        .filter((e, { ago }) => e.at >= ago('1 minute'), { ago: fn.ago })
        .map(e => ({ at: e.at, who: e.who }))
        .distinct(),
    )
    const db = open()
    const v = db.createView(perWho)
    expect(v.warnings).toEqual([])
    for (let s = 0; s < 300; s++) {
      db.insert(events, { at: seconds(s), who: `w${s % 3}` })
      db.advance(seconds(s))
    }
    db.cutOff(true)
    expect(v.size).toBe(61)
    const held = v.stats().operators.filter(o => o.operator === 'arrange' || o.operator === 'gate')
    expect(Math.max(...held.map(o => o.stateRows))).toBeLessThan(61 * 2 + 600)
  })

  it('are refused where they would have to be computed all the time', () => {
    const messageOf = (make: (q: QueryRoot) => Query<unknown>): string => {
      try {
        view('bad', make)
      } catch (error) {
        if (error instanceof CompileError) return error.message
        throw error
      }
      return 'no error'
    }
    expect(messageOf(q => q.from(bids).map((b, { now }) => ({ age: now() - b.at }), fn))).toContain(
      'now() can be used in comparisons of filters only',
    )
    expect(messageOf(q => q.from(bids).filter((b, { now }) => b.price > 1n || b.at > now(), fn))).toContain(
      'now() cannot stand here',
    )
    expect(messageOf(q => q.from(bids).filter((b, { now }) => b.at === now(), fn))).toContain('now() cannot stand here')
    expect(
      messageOf(q => q.from(bids).filter((b, { sub, now, interval }) => b.at > sub(now(), interval('1 month')), fn)),
    ).toContain('expected a function of now() that goes on with it')
  })

  it('go on by themselves, if they are told to', async () => {
    const db = open({ clock: { everyMs: 1, maxRows: 2 } })
    expect(db.now).toBe(null)
    const today = BigInt(Date.now()) * 1000n
    const v = db.createView(recent)
    db.insert(bids, [
      { at: today - seconds(1), who: 1, price: 2 },
      { at: today - seconds(99), who: 1, price: 3 },
    ])
    while (db.now === null) await new Promise(resolve => setTimeout(resolve, 1))
    expect(v.size).toBe(1)
    await db.close()
    const { now } = db
    await new Promise(resolve => setTimeout(resolve, 5))
    expect(db.now).toBe(now)
    expect(() => open({ clock: { everyMs: 0 } })).toThrow('option clock: expected')
  })

  it('last: the clock stands where it stood, also after a crash', async () => {
    for (const checkpoint of [true, false]) {
      let env = new SimulatedEnv({ seed: 5 })
      let db = await open('/db', { env })
      db.createView(recent)
      db.createView(finals)
      await db.insert(bids, [bid(100), bid(104), bid(112)])
      await db.advance(seconds(105))
      if (checkpoint) db.checkpoint()
      await db.advance(seconds(111))
      env = env.processCrash()
      db = await open('/db', { env })
      expect(db.now).toBe(seconds(111))
      expect(
        db
          .createView(recent)
          .rows()
          .map(r => r.at),
      ).toEqual([seconds(104)])
      await db.advance(seconds(112))
      expect(timesOf(db)).toEqual([104, 112])
      await db.insert(bids, bid(130))
      expect(
        db
          .createView(finals)
          .rows()
          .map(r => r.end),
      ).toEqual([seconds(110), seconds(120)])
      await db.close()
    }
  })
})

describe('random circuits', () => {
  it('over tables with waterlines and a clock obey the laws, in memory and in directories', () => {
    const counts = { checkpoints: 0, moves: 0, kills: 0, closings: 0, restored: 0 }
    checkCircuits({ runs: 2, seed: 11, waterlines: true, kinds: ['gate', 'aggregate', 'map', 'inner', 'session'] })
    checkCircuits({ runs: 2, seed: 12, waterlines: true, runner: durableRunner(5, counts), maxDepth: 3, maxSteps: 3 })
    expect(counts.restored).toBeGreaterThan(1)
  })
})
