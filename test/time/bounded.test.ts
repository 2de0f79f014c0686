/** State behind waterlines goes: what is kept does not grow with time, and views are what they would be without. */
import { describe, expect, it } from 'vitest'
import { SimulatedEnv } from '../../src/env/simulated.js'
import {
  arrayAgg,
  avg,
  count,
  type Database,
  denseRank,
  type FrameSpec,
  firstValue,
  fn,
  i64,
  lag,
  lead,
  max,
  median,
  min,
  open,
  over,
  rank,
  rowNumber,
  string,
  stringAgg,
  sum,
  table,
  timestamp,
  u64,
  type ViewDef,
  view,
} from '../../src/index.js'
import { checkCircuits } from '../../src/testing/index.js'
import { picker } from '../engine/support.js'

const bids = table('bids', { at: timestamp().lateness('5 seconds'), who: u64(), price: i64() }, { stream: true })
const asks = table('asks', { at: timestamp().lateness('5 seconds'), who: u64(), price: i64() }, { stream: true })
const users = table('users', { id: u64().primaryKey(), name: string() })

/** The views, all of whose state is bounded. */
const bounded: Record<string, ViewDef<unknown>> = {
  tumbling: view('tumbling', q =>
    q
      .from(bids)
      .tumble(b => b.at, '10 seconds')
      .groupBy(b => ({ windowStart: b.windowStart, who: b.who }))
      .aggregate({
        bids: count(),
        total: sum(b => b.price),
        best: max(b => b.price),
        prices: stringAgg(b => `${b.price}`, ','),
      }),
  ),
  hopping: view('hopping', q =>
    q
      .from(bids)
      .hop(b => b.at, '10 seconds', '5 seconds')
      .groupBy(b => ({ windowEnd: b.windowEnd }))
      .aggregate({ bids: count(), low: min(b => b.price), mean: avg(b => b.price) }),
  ),
  sessions: view('sessions', q =>
    q
      .from(bids)
      .session(b => b.at, '2 seconds', { by: b => ({ who: b.who }) })
      .groupBy(b => ({ who: b.who, start: b.windowStart, end: b.windowEnd }))
      .aggregate({ bids: count() }),
  ),
  band: view('band', q =>
    q.from(bids).join(
      asks,
      (b, a, { near }) => b.who === a.who && near(a.at, b.at, 3_000_000n),
      (b, a) => ({ who: b.who, bid: b.price, ask: a.price }),
      { near: fn.near },
    ),
  ),
  outer: view('outer', q =>
    q.from(bids).leftJoin(
      asks,
      (b, a, { near }) => b.who === a.who && near(a.at, b.at, 1_000_000n),
      (b, a) => ({ who: b.who, at: b.at, ask: a.price }),
      { near: fn.near },
    ),
  ),
  asOf: view('asOf', q =>
    q.from(bids).asOfLeftJoin(
      asks,
      (b, a) => b.who === a.who && a.at <= b.at,
      (b, a) => ({ who: b.who, at: b.at, ask: a.price }),
    ),
  ),
  keyed: view('keyed', q =>
    q
      .from(bids)
      .tumble(b => b.at, '10 seconds')
      .join(
        q.from(asks).tumble(a => a.at, '10 seconds'),
        (b, a) => b.windowStart === a.windowStart && b.who === a.who,
        (b, a) => ({ start: b.windowStart, bid: b.price, ask: a.price }),
      ),
  ),
  distinct: view('distinct', q =>
    q
      .from(bids)
      .map(b => ({ at: b.at, who: b.who }))
      .distinct(),
  ),
  top: view('top', q =>
    q
      .from(bids)
      .tumble(b => b.at, '10 seconds')
      .groupBy(b => ({ start: b.windowStart }))
      .top(2, { by: b => b.price, desc: true }),
  ),
  ranked: view('ranked', q =>
    q
      .from(bids)
      .tumble(b => b.at, '10 seconds')
      .window(
        { partitionBy: b => ({ start: b.windowStart }), orderBy: [{ by: b => b.at }] },
        { place: rowNumber(), before: lag(b => b.price) },
      ),
  ),
  neighbours: view('neighbours', q =>
    q.from(bids).window(
      { partitionBy: b => ({ who: b.who }), orderBy: [{ by: b => b.at }] },
      {
        before: lag(b => b.price, { offset: 2 }),
        after: lead(b => b.price),
        around: over(
          sum(b => b.price),
          { rows: [{ preceding: 3 }, { following: 1 }] },
        ),
      },
    ),
  ),
  numbered: view('numbered', q =>
    q.from(bids).window(
      { partitionBy: b => ({ who: b.who }), orderBy: [{ by: b => b.at }] },
      {
        place: rowNumber(),
        rank: rank(),
        bids: count(),
        opening: firstValue(b => b.price),
        before: lag(b => b.price),
      },
    ),
  ),
  lastRows: view('lastRows', q =>
    q
      .from(bids)
      .rolling({ at: b => b.at, by: b => ({ who: b.who }), rows: 3 }, { mean: avg(b => b.price) })
      // What comes out is behind the waterline, too.
      .tumble(b => b.at, '5 seconds')
      .groupBy(b => ({ end: b.windowEnd }))
      .aggregate({ best: max(b => b.mean) }),
  ),
}

const second = 1_000_000n
/** A stream of bids and asks, some of them late, for `seconds` from `from` on. */
function run(db: Database, from: number, seconds: number, perSecond = 4): void {
  for (let s = from; s < from + seconds; s++) {
    const rows = Array.from({ length: perSecond }, (_, i) => {
      const back = BigInt((s * 7 + i * 3) % 9)
      return { at: (BigInt(s) - back) * second, who: (s + i) % 3, price: (s * i) % 50 }
    })
    db.transact(tx => {
      tx.insert(bids, rows)
      tx.insert(asks, rows.slice(1))
    })
  }
}

/** Rows that operators hold, the results apart. */
function heldRows(db: Database, v: ViewDef<unknown>): number {
  const { operators } = db.view(v).stats()
  return operators.filter(o => o.operator !== 'view').reduce((n, o) => n + o.stateRows, 0)
}

describe('state behind waterlines', () => {
  it.each(Object.keys(bounded))('does not grow with time: %s', name => {
    const db = open()
    for (const each of [bids, asks]) db.createTable(each)
    const v = db.createView(bounded[name])
    expect(v.warnings).toEqual([])
    expect(v.plan()).toContain('bounded: ')
    const counts: number[] = []
    for (let n = 0; n < 3; n++) {
      run(db, 100 + n * 60, 60)
      db.cutOff(true)
      counts.push(heldRows(db, bounded[name]))
    }
    expect(v.size).toBeGreaterThan(20)
    expect(Math.max(...counts)).toBeLessThan(120)
  })

  it('is what it would be without, of as-of joins in both directions', () => {
    const plain = [bids, asks].map(t => table(t.schema.name, { at: timestamp(), who: u64(), price: i64() }))
    const joins = ([b, a]: readonly (typeof bids)[]) =>
      [
        (q: Parameters<Parameters<typeof view>[1]>[0]) =>
          q.from(b).asOfLeftJoin(
            a,
            (l, r) => l.who === r.who && r.at <= l.at,
            (l, r) => ({ at: l.at, who: l.who, ask: r.price }),
          ),
        (q: Parameters<Parameters<typeof view>[1]>[0]) =>
          q.from(b).asOfJoin(
            a,
            (l, r) => r.at < l.at,
            (l, r) => ({ at: l.at, who: r.who, ask: r.price }),
          ),
        (q: Parameters<Parameters<typeof view>[1]>[0]) =>
          q.from(b).asOfLeftJoin(
            a,
            (l, r) => l.who === r.who && r.at >= l.at,
            (l, r) => ({ at: l.at, who: l.who, ask: r.price }),
          ),
        (q: Parameters<Parameters<typeof view>[1]>[0]) =>
          q
            .from(b)
            .asOfLeftJoin(
              a,
              (l, r) => l.who === r.who && r.at <= l.at,
              (l, r) => ({ at: l.at, ask: r.price }),
            )
            .tumble(r => r.at, '10 seconds')
            .groupBy(r => ({ start: r.windowStart }))
            .aggregate({ pairs: count(), most: max(r => r.ask), total: sum(r => r.ask) }),
      ].map((make, i) => view(`join${i}`, make as never))
    const [db, all] = [open(), open()]
    const [cut, whole] = [
      joins([bids, asks]).map(v => db.createView(v)),
      joins(plain as never).map(v => all.createView(v)),
    ]
    const next = picker(13)
    for (let s = 0; s < 60; s++) {
      const rows = () =>
        Array.from({ length: next(4) }, () => ({ at: BigInt(s + 6 - next(6)) * second, who: next(3), price: next(50) }))
      // A row goes again while it may: the waterline is at s at most.
      const [b, a] = [rows(), rows()]
      const undo = a.filter(r => r.at > BigInt(s + 3) * second)
      for (const [into, [l, r]] of [
        [db, [bids, asks]],
        [all, plain],
      ] as const) {
        into.transact(tx => {
          tx.insert(l as typeof bids, b)
          tx.insert(r as typeof bids, a)
        })
        if (s % 3 === 0) into.delete(r as typeof bids, undo)
      }
      db.cutOff(true)
      for (const [i, v] of cut.entries()) expect(v.entries(), `join${i} after ${s} s`).toEqual(whole[i].entries())
    }
    expect(db.table(bids).late.count).toBe(0)
  })

  it('is what frames read that end before their row, or are wider than that of another function', () => {
    const db = open()
    const plain = table('plain', { id: u64(), at: i64() })
    const timed = table('timed', { id: u64(), at: i64() }, { waterline: { column: 'at' } })
    const [cut, whole] = [timed, plain].map(source =>
      db.createView(
        view(`over ${source.schema.name}`, q =>
          q.from(source).window(
            { orderBy: [{ by: r => r.at }] },
            {
              before: over(
                sum(r => r.id),
                { range: [{ preceding: 6n }, { preceding: 4n }] },
              ),
              after: over(
                sum(r => r.id),
                { range: [{ following: 3n }, { following: 5n }] },
              ),
            },
          ),
        ),
      ),
    )
    expect(cut.plan()).toContain('bounded: at >= subSaturated(waterline(timed.at), 11)')
    for (let id = 1; id < 30; id++) {
      for (const source of [timed, plain]) db.insert(source, { id, at: id })
      db.cutOff(true)
      expect(cut.rows()).toEqual(whole.rows())
    }
  })

  it.each(['asc', 'desc'])('is the last rows where frames are counted in rows, %s', direction => {
    const db = open()
    const columns = { at: i64(), who: u64(), price: i64() }
    const sources = [table('timed', columns, { waterline: { column: 'at', lateness: 3n } }), table('plain', columns)]
    const desc = direction === 'desc'
    type Row = { at: bigint; who: bigint; price: bigint }
    const price = (r: Row) => r.price
    const last: FrameSpec = { rows: desc ? ['current', { following: 2 }] : [{ preceding: 2 }, 'current'] }
    const near: FrameSpec = { range: desc ? ['current', { following: 4n }] : [{ preceding: 4n }, 'current'] }
    const functions = {
      lags: { before: lag(price, { offset: 2 }), first: over(firstValue(price), { rows: ['current', 'current'] }) },
      leads: { next: lead(price), third: lead(price, { offset: 3 }), before: lag(price) },
      frames: {
        all: over(sum(price), { rows: [{ preceding: 2 }, { following: 2 }] }),
        others: over(arrayAgg(price), { rows: [{ preceding: 1 }, { following: 2 }], exclude: 'group' }),
        far: over(max(price), { rows: [{ following: 1 }, { following: 3 }] }),
      },
      mixed: {
        rows: over(median(price), last),
        range: over(count(), near),
      },
    }
    const earlier = {
      place: rowNumber(),
      rank: rank(),
      all: count(),
      first: firstValue(price),
      upTo: over(count(), { rows: ['unbounded', { preceding: 2 }] }),
      before: over(count(), { range: ['unbounded', { preceding: 3n }] }),
      ...functions.mixed,
    }
    // In the other order, all rows change with a new one.
    Object.assign(functions, desc ? {} : { earlier, numbers: { place: rowNumber() } })
    const names = Object.keys(functions) as (keyof typeof functions)[]
    const views = names.map(name =>
      sources.map(source =>
        db.createView(
          view(`${name} of ${source.schema.name}`, q =>
            q
              .from(source)
              .window(
                { partitionBy: r => ({ who: r.who }), orderBy: [{ by: r => r.at, desc }] },
                functions[name] as never,
              ),
          ),
        ),
      ),
    )
    for (const [cut] of views)
      expect(cut.plan()).toMatch(/bounded: at >= .*waterline\(timed.at\).*, or (one of )?the last/)
    const pick = picker(5)
    let rows: Row[] = []
    for (let now = 10; now < 35; now++) {
      const there = rows.filter(r => r.at >= now - 4)
      const gone = there.filter(() => pick(4) === 0)
      // Twice the same row now and then, and one that was not there.
      const come = Array.from({ length: pick(4) }, () => {
        return { at: BigInt(now - pick(4)), who: BigInt(pick(2)), price: BigInt(pick(3)) }
      })
      rows = [...rows, ...come]
      for (const source of sources) {
        db.transact(tx => {
          tx.insert(source, come)
          tx.delete(source, gone)
        })
      }
      db.cutOff(true)
      for (const [i, [cut, whole]] of views.entries())
        expect(cut.entries(), `${names[i]} at ${now}`).toEqual(whole.entries())
    }
    expect(db.table(sources[0]).late.count).toBe(0)
    const held = views.map(([cut]) => cut.stats().operators.find(o => o.operator === 'arrange')?.stateRows)
    for (const count of held) expect(count).toBeLessThan(40)
  })

  it('goes by itself, after a while', () => {
    const db = open()
    db.createTable(asks)
    db.createView(bounded.tumbling)
    run(db, 100, 500, 20)
    // 10,000 rows came, of which about 60 are needed.
    expect(heldRows(db, bounded.tumbling)).toBeLessThan(3 * 1100)
  })

  it('is said of each operator in plans, and what is not bounded is warned of', () => {
    const db = open()
    const v = db.createView(bounded.tumbling)
    expect(v.plan()).toContain('bounded: windowStart >= windowStart(waterline(bids.at), 00:00:10, 00:00:00)')
    const totals = db.createView(
      view('totals', q =>
        q
          .from(bids)
          .groupBy(b => ({ who: b.who }))
          .aggregate({ bids: count() }),
      ),
    )
    expect(totals.warnings).toEqual(['the groups of aggregate by (who): count()'])
    expect(totals.plan()).toContain('not bounded by any waterline')
    const named = db.createView(
      view('named', q =>
        q.from(bids).join(
          users,
          (b, u) => b.who === u.id,
          (b, u) => ({ name: u.name, price: b.price }),
        ),
      ),
    )
    // A user may come, or get another name, at any time.
    expect(named.warnings.map(w => w.slice(0, 13))).toEqual(['the left side'])
    // Each view is told, also of what it shares with others.
    for (const [name, ranked] of Object.entries({
      row: denseRank(),
      before: lag((b: { price: bigint }) => b.price, { ignoreNulls: true }),
    })) {
      const over = {
        partitionBy: (b: { who: bigint }) => ({ who: b.who }),
        orderBy: [{ by: (b: { at: bigint }) => b.at }],
      }
      const { warnings } = db.createView(view(name, q => q.from(bids).window(over, { ranked })))
      expect(warnings.map(w => w.slice(0, 40))).toEqual(['the input of window of (who) by (at): ra'])
    }
    // Tables without waterlines are nobody's business.
    const plain = view('plain', q => q.from(users).distinct())
    expect(db.createView(plain).warnings).toEqual([])
  })

  it('may be in files: it goes there, too, and stays gone after a crash', async () => {
    let env = new SimulatedEnv({ seed: 3 })
    const options = () => ({ env, checkpointMs: Number.POSITIVE_INFINITY })
    const views = [bounded.tumbling, bounded.sessions, bounded.numbered]
    const mirror = open()
    let db = await open('/db', options())
    for (const each of [db, mirror]) {
      each.createTable(asks)
      each.createTable(users)
      for (const one of views) each.createView(one)
    }
    for (let n = 0; n < 4; n++) {
      for (const each of [db, mirror]) run(each, 100 + n * 30, 30)
      db.cutOff(true)
      if (n % 2 === 0) db.checkpoint()
      db.cutOff(true)
      await Promise.resolve()
      for (const each of [db, mirror]) await each.insert(users, { id: n, name: 'x' })
      env = env.processCrash()
      db = await open('/db', options())
      for (const one of views) expect(db.view(one).entries()).toEqual(mirror.view(one).entries())
    }
  })

  it('waits until no transaction can be taken back', async () => {
    const env = new SimulatedEnv({ seed: 4 })
    const db = await open('/db', { env, checkpointMs: Number.POSITIVE_INFINITY })
    const [v, w] = [db.createView(bounded.tumbling), db.createView(bounded.sessions)]
    db.createTable(users)
    const row = (at: number) => ({ at: BigInt(at) * second, who: 1, price: 1 })
    await db.insert(bids, [row(100), row(101)])
    const before = [v.entries(), w.entries()]
    env.capacityBytes = env.usedBytes
    // What it brings is behind the waterline that it brings, and has to be taken back all the same.
    const commit = db.transact(tx => {
      tx.insert(bids, [row(102), row(1000)])
      tx.insert(users, { id: 1, name: 'x'.repeat(1 << 20) })
    })
    db.cutOff(true)
    await expect(commit).rejects.toThrow('disk is full')
    expect([v.entries(), w.entries()]).toEqual(before)
    env.capacityBytes = Number.POSITIVE_INFINITY
    // The waterline stays where it was seen.
    await db.insert(bids, row(102))
    expect(db.table(bids).late.count).toBe(1)
    await db.insert(bids, row(996))
    db.cutOff(true)
    await db.insert(bids, row(997))
    expect(v.rows()).toMatchObject([
      { windowStart: 100n * second, bids: 2n },
      { windowStart: 990n * second, bids: 2n },
    ])
    await db.close()
  })

  it('is not missed: random circuits over tables with waterlines', () => {
    checkCircuits({ runs: 3, seed: 4, waterlines: true, maxDepth: 3, maxSteps: 4 })
  })
})
