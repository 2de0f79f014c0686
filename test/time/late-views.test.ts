/** Waterlines of views: what their queries make too late is not there, and what reads them lets go of state. */
import { beforeAll, describe, expect, it } from 'vitest'
import { openLoaded } from '../../src/engine/open.js'
import { SimulatedEnv } from '../../src/env/simulated.js'
import { count, type Database, i64, max, open, string, table, u64, view } from '../../src/index.js'
import { loadStorage } from '../../src/storage/open.js'
import { picker } from '../engine/support.js'

beforeAll(loadStorage)

const visits = table('visits', { id: u64().primaryKey(), page: u64(), at: i64() })
const pages = table('pages', { id: u64().primaryKey(), name: string() })

/** Times come from a table without a waterline: that they go on is said of the view. */
const named = (name: string, waterline?: { column: 'at'; lateness: number }) =>
  view(
    name,
    q =>
      q.from(visits).join(
        pages,
        (v, p) => v.page === p.id,
        (v, p) => ({ id: v.id, at: v.at, page: p.name }),
      ),
    waterline === undefined ? {} : { waterline },
  )

const timed = named('timed', { column: 'at', lateness: 5 })
const windows = view('windows', q =>
  q
    .from(timed)
    .tumble(v => v.at, 10n)
    .groupBy(v => ({ page: v.page, end: v.windowEnd }))
    .aggregate({ visits: count(), last: max(v => v.at) }),
)
const finals = view('finals', q => q.from(windows).emitFinal(w => w.end))
const visit = (id: number, at: number, page = 1) => ({ id, page, at })
const PAGES = [
  { id: 1, name: 'home' },
  { id: 2, name: 'news' },
]

function start(db = open()) {
  const v = db.createView(timed)
  const ids = () => v.rows().map(r => Number(r.id))
  db.insert(pages, PAGES)
  return { db, v, ids }
}

describe('a waterline of a view', () => {
  it('lets nothing in that is below it, and nothing out', () => {
    const { db, v, ids } = start()
    expect(v.waterline()).toBe(null)
    const told: string[] = []
    v.late.subscribe(({ lsn, changes }) => told.push(...changes.map(c => `${lsn}: ${c.weight} × ${c.row.id}`)))
    db.insert(visits, [visit(1, 20), visit(2, 3)])
    expect([ids(), v.waterline('at'), v.late.count]).toEqual([[1, 2], 15n, 0])
    db.insert(visits, [visit(3, 14), visit(4, 15), visit(5, 30)])
    expect([ids(), v.waterline(), v.late.entries().map(e => e.row.id)]).toEqual([[1, 2, 4, 5], 25n, [3n]])
    // What is behind the waterline stays as it is, whatever its tables say.
    db.delete(visits, [visit(3, 14), visit(4, 15)])
    expect(ids()).toEqual([1, 2, 4, 5])
    db.delete(pages, PAGES)
    expect(ids()).toEqual([1, 2, 4])
    expect(told).toEqual(['3: 1 × 3', '4: -1 × 3', '4: -1 × 4', '5: -1 × 1', '5: -1 × 2'])
    expect(v.late.count).toBe(5)
    expect(db.metrics()).toContain('gnitz_late_rows_total{view="timed"} 5')
  })

  it('treats changes of one key alike, so no update happens by half', () => {
    const db = open()
    const latest = db.createView(
      view(
        'latest',
        q =>
          q
            .from(visits)
            .groupBy(v => ({ page: v.page }))
            .aggregate({ last: max(v => v.at), visits: count() })
            .map(r => ({ page: r.page, last: r.last ?? 0n, visits: r.visits })),
        { key: ['page'], waterline: { column: 'last' } },
      ),
    )
    db.insert(visits, [visit(1, 10, 1), visit(2, 20, 2)])
    db.insert(visits, [visit(3, 30, 1), visit(4, 25, 2)])
    expect(latest.rows().map(r => [r.page, r.last])).toEqual([
      [1n, 10n],
      [2n, 25n],
    ])
    expect(latest.late.count).toBe(2)
  })

  it('is what state over the view is cut off by, and final results follow from', () => {
    const { db } = start()
    const [w, f] = [db.createView(windows), db.createView(finals)]
    expect(w.plan()).toContain('bounded: end >= addSaturated(windowStart(waterline(timed.at), 10, 0), 10)')
    expect(f.plan()).toContain('gate end < addSaturated(windowStart(waterline(timed.at), 10, 0), 10)')
    expect(w.warnings).toEqual([])
    for (let n = 0; n < 400; n++) db.insert(visits, [visit(n, n), visit(n + 1000, n - 4, 2)])
    db.cutOff(true)
    const held = w.stats().operators.find(o => o.operator === 'aggregate')?.stateRows
    expect(held).toBeLessThan(8)
    expect([w.size, f.size]).toEqual([81, 79])
    expect(f.get({ page: 'home', end: 100n })).toEqual({ page: 'home', end: 100n, visits: 10n, last: 99n })
    // A view that is made of what is there begins with all of it.
    const again = db.createView(named('again', { column: 'at', lateness: 5 }))
    expect([again.size, again.late.count, again.waterline()]).toEqual([800, 0, 394n])
  })

  it('is refused where there can be none', () => {
    const refused = (options: object) => expect(() => view('bad', q => q.from(pages), options))
    refused({ waterline: { column: 'at' } }).toThrow('view "bad": waterline of column "at": there is no such column')
    refused({ waterline: { column: 'name' } }).toThrow('expected a timestamp, timestamptz, date or integer that is not')
    refused({ waterline: { column: 'id', lateness: -1 } }).toThrow('expected a lateness of 0 or more, found -1')
    refused({ waterline: { column: 'id', late: 1 } }).toThrow('late')
    refused({ waterline: 5 }).toThrow('expected a waterline of { column, lateness? }, found 5')
    const db = open()
    const plain = db.createView(named('plain'))
    expect(() => plain.late).toThrow('view "plain" has no waterline')
  })
})

/** What the view should hold, from what its query gives without a waterline. */
class Model {
  readonly rows = new Map<string, { readonly at: bigint; weight: bigint }>()
  private before = new Map<string, bigint>()
  private greatest: bigint | null = null

  step(
    now: readonly {
      readonly row: { readonly id: bigint; readonly at: bigint; readonly page: string }
      readonly weight: bigint
    }[],
  ) {
    const waterline = this.greatest === null ? null : this.greatest - 5n
    const after = new Map(now.map(({ row, weight }) => [`${row.id} ${row.at} ${row.page}`, weight]))
    const changes = [...new Set([...this.before.keys(), ...after.keys()])].flatMap(text => {
      const weight = (after.get(text) ?? 0n) - (this.before.get(text) ?? 0n)
      return weight === 0n ? [] : [{ text, at: BigInt(text.split(' ')[1]), weight }]
    })
    const keyOf = (text: string) => text.split(' ')[0]
    const late = new Set(changes.filter(c => waterline !== null && c.at < waterline).map(c => keyOf(c.text)))
    for (const { text, at, weight } of changes) {
      if (late.has(keyOf(text))) continue
      const row = this.rows.get(text) ?? { at, weight: 0n }
      this.rows.set(text, row)
      row.weight += weight
      if (row.weight === 0n) this.rows.delete(text)
      if (weight > 0n && (this.greatest === null || at > this.greatest)) this.greatest = at
    }
    this.before = after
  }

  get text(): string[] {
    return [...this.rows].map(([text, { weight }]) => `${weight} × ${text}`).sort()
  }
}

it.each([1, 3])('holds what came in time, across restarts: seed %s', async seed => {
  const random = picker(seed)
  let env = new SimulatedEnv({ seed })
  const openAgain = (): Database => openLoaded('/data', { env, checkpointMs: Number.POSITIVE_INFINITY })
  let db = openAgain()
  const made = (): readonly [typeof timed, ReturnType<typeof named>] => [timed, named('plain')]
  for (const definition of [...made(), windows]) db.createView(definition)
  const model = new Model()
  const held: ReturnType<typeof visit>[] = []
  for (let step = 0; step < 30; step++) {
    db.transact(tx => {
      for (let n = random(4); n > 0; n--) {
        const row = visit(random(40), step + random(12) - 6, 1 + random(3))
        held.push(row)
        tx.insert(visits, row)
      }
      if (held.length > 5) tx.delete(visits, held.splice(random(held.length), 1)[0])
      if (random(3) === 0) tx.add(pages, PAGES[random(2)], random(2) === 0 ? 1n : -1n)
    })
    if (random(9) === 0) db.checkpoint()
    if (random(6) === 0) {
      if (random(2) === 0) await db.close()
      else {
        db.durability?.sync()
        env = env.processCrash()
      }
      db = openAgain()
      for (const definition of [...made(), windows]) db.createView(definition)
    }
    const [v, plain] = [db.view(timed), db.view<{ id: bigint; at: bigint; page: string }>('plain')]
    model.step(plain.entries())
    const found = v.entries().map(({ row, weight }) => `${weight} × ${row.id} ${row.at} ${row.page}`)
    expect(found.sort(), `after step ${step}`).toEqual(model.text)
  }
  expect(model.text.length).toBeGreaterThan(5)
})

it('takes back what the log refuses, with what was late', async () => {
  const env = new SimulatedEnv({ seed: 1 })
  const db = openLoaded('/data', { env })
  const { v, ids } = start(db)
  await db.insert(visits, [visit(1, 20), visit(2, 10)])
  const full = table('filler', { id: u64(), text: string() })
  db.createTable(full)
  env.capacityBytes = env.usedBytes
  const refused = db.transact(tx => {
    tx.insert(visits, [visit(3, 12), visit(4, 40)])
    tx.delete(visits, visit(2, 10))
    tx.insert(full, { id: 1, text: 'x'.repeat(1 << 22) })
  })
  expect([ids(), v.late.count]).toEqual([[1, 2, 4], 2])
  await expect(refused).rejects.toThrow('disk is full')
  expect(ids()).toEqual([1, 2])
  env.capacityBytes = Number.POSITIVE_INFINITY
  await db.insert(visits, visit(5, 36))
  expect([ids(), v.waterline()]).toEqual([[1, 2, 5], 35n])
})

it('a view with another lateness is made anew, and one of the same goes on', async () => {
  const env = new SimulatedEnv({ seed: 1 })
  const again = (lateness: number) =>
    openLoaded('/data', { env }).createView(named('timed', { column: 'at', lateness }))
  const { db } = start(openLoaded('/data', { env }))
  await db.insert(visits, [visit(1, 20)])
  await db.insert(visits, [visit(2, 1)])
  await db.close()
  const same = again(5)
  expect([same.rows().length, same.waterline(), same.late.count]).toEqual([1, 15n, 0])
  await same.database.close()
  const other = again(7)
  expect([other.rows().length, other.waterline(), other.database.views.length]).toEqual([2, 13n, 1])
})

it.each(['view', 'table'] as const)(
  'what follows from the waterline of a %s that gets another name goes on',
  async of => {
    const env = new SimulatedEnv({ seed: 1 })
    const lateness = 5
    const source = table(
      'v',
      { id: u64().primaryKey(), at: i64() },
      of === 'table' ? { waterline: { column: 'at', lateness } } : {},
    )
    const first = view('a', q => q.from(source), of === 'view' ? { waterline: { column: 'at', lateness } } : {})
    const second = view('b', q => q.from(first).filter(v => v.id > 0n))
    const last = view('c', q => q.from(second).emitFinal(v => v.at))
    let db = openLoaded('/data', { env })
    db.createView(last)
    await db.insert(source, [
      { id: 1, at: 1 },
      { id: 2, at: 10 },
    ])
    if (of === 'view') db.renameView('a', 'other')
    else db.alterTable(source, { name: 'other' })
    const over = (name: string) =>
      view(name, q =>
        q
          .from(db.view<{ id: bigint; at: bigint }>('c'))
          .groupBy(v => ({ at: v.at }))
          .aggregate({ n: count() }),
      )
    expect(db.createView(over('d')).size).toBe(1)
    await db.close()
    db = openLoaded('/data', { env })
    expect(db.createView(over('e')).size).toBe(1)
    await db.table(of === 'view' ? 'v' : 'other').insert({ id: 3, at: 20 })
    expect(['c', 'd', 'e'].map(name => db.view(name).size)).toEqual([2, 2, 2])
  },
)
