/** The types of time operators. Checked by tsc. */
import { expect, expectTypeOf, test } from 'vitest'
import { count, date, fn, i32, open, type RowType, string, sum, table, timestamp, u64, view } from '../../src/index.js'

const bids = table('bids', { id: u64(), who: string(), at: timestamp().nullable(), day: date(), n: i32() })

test('columns of windows', () => {
  const tumbling = view('tumbling', q => q.from(bids).tumble(b => b.at, '1 minute'))
  expectTypeOf<RowType<typeof tumbling>>().toEqualTypeOf<{
    id: bigint
    who: string
    at: bigint | null
    day: number
    n: number
    readonly windowStart: bigint
    readonly windowEnd: bigint
  }>()
  const hopping = view('hopping', q =>
    q
      .from(bids)
      .hop(b => b.day, '7 days', 1, { start: 'from', end: 'to' })
      .map(b => ({ from: b.from, to: b.to })),
  )
  expectTypeOf<RowType<typeof hopping>>().toEqualTypeOf<{ from: number; to: number }>()
  const sessions = view('sessions', q =>
    q
      .from(bids)
      .session((b, { i32 }) => i32(b.n + 1), 3, { by: b => ({ who: b.who }), ctx: { i32: fn.i32 }, end: 'to' }),
  )
  expectTypeOf<RowType<typeof sessions>['to']>().toEqualTypeOf<number>()
  expect([tumbling, hopping].map(v => v.schema.columns.length)).toEqual([7, 2])
  // @ts-expect-error -- text is no time
  expect(() => view('bad', q => q.from(bids).tumble(b => b.who, 1))).toThrow('found a string (column "who")')
  void sessions
})

test('a waterline of a view', () => {
  const timed = view('timed', q => q.from(bids), { waterline: { column: 'day', lateness: 1 } })
  const { late } = open().createView(timed)
  expectTypeOf<ReturnType<typeof late.entries>[number]['row']['day']>().toEqualTypeOf<number>()
  // @ts-expect-error -- there is no such column
  expect(() => view('bad', q => q.from(bids), { waterline: { column: 'days' } })).toThrow('there is no such column')
})

test('columns of rolling aggregates, late rows, and what emitFinal leaves', () => {
  const times = table('times', { at: timestamp().lateness('1 s'), n: i32() })
  const rolling = view('rolling', q =>
    q
      .from(times)
      .rolling({ at: t => t.at, range: '1 minute' }, { total: sum(t => t.n), rows: count() })
      .map(t => ({ total: t.total, rows: t.rows })),
  )
  expectTypeOf<RowType<typeof rolling>>().toEqualTypeOf<{ total: number; rows: bigint }>()
  const final = view('final', q =>
    q
      .from(times)
      .emitFinal(t => t.at)
      .map(t => ({ at: t.at })),
  )
  expectTypeOf<RowType<typeof final>>().toEqualTypeOf<{ at: bigint }>()
  const db = open()
  const { late } = db.createTable(times)
  expectTypeOf(late.entries()).toEqualTypeOf<{ readonly row: { at: bigint; n: number }; readonly weight: bigint }[]>()
  // @ts-expect-error -- there is no such column
  expect(() => db.table(times).waterline('m')).toThrow('has no waterline "m"')
  // @ts-expect-error -- a nullable column has no waterline
  expect(() => table('bad', { at: timestamp().nullable().lateness('1 s') })).toThrow('found a nullable one')
})
