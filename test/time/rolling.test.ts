/** Rolling aggregates, and what of them is kept. */
import { expect, it } from 'vitest'
import { avg, CompileError, count, i64, max, open, string, sum, table, timestamp, view } from '../../src/index.js'

const readings = table('readings', { at: timestamp().lateness('5 seconds'), sensor: string(), value: i64() })
const second = 1_000_000n
const reading = (at: number, value: number, sensor = 'a') => ({ at: BigInt(at) * second, sensor, value })

it('aggregates over the last rows of a key, by time and by number', () => {
  const db = open()
  const byTime = view('byTime', q =>
    q
      .from(readings)
      .rolling(
        { at: r => r.at, by: r => ({ sensor: r.sensor }), range: '10 seconds' },
        { total: sum(r => r.value), n: count() },
      ),
  )
  const byRows = view('byRows', q =>
    q.from(readings).rolling({ at: r => r.at, rows: 2 }, { mean: avg(r => Number(r.value)), top: max(r => r.value) }),
  )
  const [times, rows] = [db.createView(byTime), db.createView(byRows)]
  db.insert(readings, [reading(0, 1), reading(10, 2), reading(11, 4), reading(11, 8, 'b')])
  const totals = () => times.rows().map(r => `${r.sensor}${Number(r.at / second)}: ${r.total} of ${r.n}`)
  expect(totals()).toEqual(['a0: 1 of 1', 'a10: 3 of 2', 'a11: 6 of 2', 'b11: 8 of 1'])
  expect(rows.rows().map(r => [r.mean, r.top])).toEqual([
    [1, 1n],
    [1.5, 2n],
    [3, 4n],
    [6, 8n],
  ])
  db.delete(readings, reading(10, 2))
  expect(totals()).toEqual(['a0: 1 of 1', 'a11: 4 of 1', 'b11: 8 of 1'])
})

it('keeps the rows that late ones may still reach', () => {
  const db = open()
  const v = db.createView(
    view('v', q => q.from(readings).rolling({ at: r => r.at, range: '10 seconds' }, { total: sum(r => r.value) })),
  )
  expect(v.warnings).toEqual([])
  expect(v.plan()).toContain('bounded: at >= subSaturated(waterline(readings.at), 00:00:10)')
  for (let s = 0; s < 200; s++) db.insert(readings, reading(s - (s % 5), 1))
  const before = v.entries()
  db.cutOff(true)
  const held = v.stats().operators.find(o => o.operator === 'arrange')?.stateRows ?? Number.NaN
  // The waterline is 190: rows from 180 on, each five times.
  expect(held).toBe(4)
  expect(v.entries()).toEqual(before)
  db.insert(readings, reading(190, 5))
  expect(
    v
      .rows()
      .filter(r => r.at === 190n * second)
      .map(r => r.total),
  ).toEqual(Array.from({ length: 6 }, () => 20n))
  const rows = db.createView(
    view('rows', q => q.from(readings).rolling({ at: r => r.at, rows: 3 }, { total: sum(r => r.value) })),
  )
  expect(rows.warnings).toEqual([])
  expect(rows.plan()).toContain('bounded: at >= waterline(readings.at), or one of the last 2 rows before')
})

it('lets rows go together with what says of them that they are not there', () => {
  const t = table('t', { at: i64().lateness(0), value: i64() })
  const db = open()
  const v = db.createView(view('v', q => q.from(t).rolling({ at: r => r.at, range: 3 }, { total: sum(r => r.value) })))
  const add = (at: bigint, first: number, many: number, weight: bigint) =>
    db.transact(tx => {
      for (let n = 0; n < many; n++) tx.add(t, { at, value: BigInt(first + n) }, weight)
    })
  // So many of each that there is more to let go of the one than of the other.
  add(100n, 0, 1000, 1n)
  add(100n, 2000, 511, -1n)
  add(200n, 7, 1, 1n)
  add(200n, 9, 1, -1n)
  add(201n, 5, 1, 1n)
  expect(
    v
      .rows()
      .filter(r => r.at >= 200n)
      .map(r => r.total),
  ).toEqual([7n, 12n])
})

it('is refused where it says nothing, or too much', () => {
  const message = (options: object): string => {
    try {
      view('bad', q => q.from(readings).rolling({ at: r => r.at, ...options }, { n: count() }))
    } catch (error) {
      if (error instanceof CompileError) return error.message
      throw error
    }
    return 'no error'
  }
  expect(message({})).toContain('rolling: expected either range or rows')
  expect(message({ range: '1 s', rows: 1 })).toContain('expected either range or rows')
  expect(message({ rows: 0 })).toContain('expected rows of 1 or more, found 0')
  expect(message({ range: 'a while' })).toContain("expected a span like '90 minutes'")
})
