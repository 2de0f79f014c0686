/** The types of window functions. Checked by tsc. */
import { expect, expectTypeOf, test } from 'vitest'
import {
  argMin,
  arrayAgg,
  avg,
  count,
  countDistinct,
  denseRank,
  firstValue,
  type Interval,
  i32,
  i64,
  interval,
  lag,
  lead,
  max,
  median,
  mode,
  nthValue,
  over,
  percentRank,
  type RowType,
  rowNumber,
  string,
  sum,
  table,
  timestamp,
  u64,
  varSamp,
  view,
} from '../../src/circuit/index.js'

const trades = table('trades', {
  id: u64().primaryKey(),
  symbol: string(),
  price: i64(),
  size: i32().nullable(),
  wait: interval().nullable(),
  at: timestamp(),
})

test('columns of functions', () => {
  const all = view('all', q =>
    q.from(trades).window(
      { partitionBy: t => ({ symbol: t.symbol }), orderBy: [{ by: t => t.at, desc: true, nulls: 'last' }] },
      {
        place: rowNumber(),
        dense: denseRank(),
        share: percentRank(),
        previous: lag(t => t.price),
        next: lead(t => t.price, { offset: 2, default: () => 0n }),
        sizeBefore: lag(t => t.size, { default: () => 0 }),
        first: firstValue(t => t.symbol),
        third: nthValue(t => t.price, 3),
        total: sum(t => t.price),
        sizes: sum(t => t.size),
        waits: sum(t => t.wait),
        wait2: over(
          avg(t => t.wait),
          { rows: [{ preceding: 1 }, 'current'] },
        ),
        trades: count(),
      },
    ),
  )
  expectTypeOf<RowType<typeof all>>().toEqualTypeOf<{
    id: bigint
    symbol: string
    price: bigint
    size: number | null
    wait: Interval | null
    at: bigint
    place: bigint
    dense: bigint
    share: number
    previous: bigint | null
    next: bigint
    sizeBefore: number | null
    first: string
    third: bigint | null
    total: bigint
    sizes: number | null
    waits: Interval | null
    wait2: Interval | null
    trades: bigint
  }>()
})

test('frames that may be empty make values that may be NULL', () => {
  const before = view('before', q =>
    q.from(trades).window(
      { orderBy: [{ by: t => t.at }], frame: { rows: ['unbounded', { preceding: 1 }] } },
      {
        most: max(t => t.price),
        trades: count(),
        mean: over(
          avg(t => t.price),
          { range: [{ preceding: { days: 1 } }, 'current'] },
        ),
        others: over(
          firstValue(t => t.price),
          { groups: ['unbounded', 'unbounded'], exclude: 'group' },
        ),
      },
    ),
  )
  expectTypeOf<RowType<typeof before>>().toMatchTypeOf<{
    most: bigint | null
    trades: bigint
    mean: number
    others: bigint | null
  }>()
  expectTypeOf<RowType<typeof before>['most']>().toEqualTypeOf<bigint | null>()
  expectTypeOf<RowType<typeof before>['mean']>().toEqualTypeOf<number>()
  expectTypeOf<RowType<typeof before>['others']>().toEqualTypeOf<bigint | null>()
})

test('aggregates have the types that they have in groups', () => {
  const all = view('all', q =>
    q.from(trades).window(
      { orderBy: [{ by: t => t.at }] },
      {
        prices: arrayAgg(t => t.price),
        middle: median(t => t.size),
        spread: varSamp(t => t.price),
        first: over(
          argMin(
            t => t.symbol,
            t => t.price,
          ),
          { rows: ['current', { following: 2 }] },
        ),
        different: countDistinct(t => t.symbol),
        before: over(
          mode(t => t.symbol),
          { rows: ['unbounded', { preceding: 1 }] },
        ),
      },
    ),
  )
  expectTypeOf<
    Pick<RowType<typeof all>, 'prices' | 'middle' | 'spread' | 'first' | 'different' | 'before'>
  >().toEqualTypeOf<{
    prices: readonly bigint[]
    middle: number | null
    spread: number | null
    first: string | null
    different: bigint
    before: string | null
  }>()
})

test('what is refused', () => {
  view('refused', q => {
    // @ts-expect-error: there is no such column
    expect(() => q.from(trades).window({ orderBy: [{ by: t => t.none }] }, { place: rowNumber() })).toThrow()
    // @ts-expect-error: a bound is 'unbounded', 'current', or a distance
    expect(() => q.from(trades).window({ frame: { rows: ['all', 'current'] } }, { trades: count() })).toThrow()
    // @ts-expect-error: the default is of another type
    expect(() => q.from(trades).window({}, { previous: lag(t => t.price, { default: () => 'none' }) })).toThrow()
    return q.from(trades)
  })
})
