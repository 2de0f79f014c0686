/** The types of time operators. Checked by tsc. */
import { expect, expectTypeOf, test } from 'vitest'
import { date, fn, i32, type RowType, string, table, timestamp, u64, view } from '../../src/circuit/index.js'

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
  expect(() => view('bad', q => q.from(bids).tumble(b => b.who, 1))).toThrow('column "who" is a string')
  void sessions
})
