/**
 * Aggregates over frames: each of them, over frames of all kinds, is what the oracle says, after every one of some changes.
 * More: `FRAME_VIEWS=1000 npx vitest run test/engine/frame-aggregates.test.ts`.
 */
import { expect, test } from 'vitest'
import { AGGREGATE_FNS, AGGREGATES, type AggregateFn } from '../../src/circuit/aggregates/index.js'
import type { ColumnExpr, Expr } from '../../src/circuit/expr.js'
import type { Row } from '../../src/circuit/interpret.js'
import { framePlanOf } from '../../src/circuit/lower-window.js'
import type { AggregateDetail } from '../../src/circuit/rel.js'
import type { Bound, Frame } from '../../src/circuit/window.js'
import {
  argMax,
  arrayAgg,
  corr,
  countDistinct,
  distinct,
  filtered,
  first,
  fold,
  i64,
  linear,
  median,
  open,
  over,
  semigroup,
  string,
  stringAgg,
  sum,
  table,
  u64,
  varPop,
  view,
} from '../../src/index.js'
import { encodeInterval } from '../../src/schema/interval.js'
import type { Value } from '../../src/schema/types.js'
import { engineRunner, LAWS } from '../../src/testing/index.js'
import * as n from '../../src/testing/nodes.js'
import { expectError, picker } from './support.js'

const VIEWS = Number(process.env.FRAME_VIEWS ?? 2)
const SEED = Number(process.env.FRAME_SEED ?? 1)

const t = n.table('t', [
  ['id', 'i32'],
  ['g', 'i32'],
  ['at', 'i64', true],
  ['k', 'i32', true],
  ['b', 'i64', true],
  ['x', 'f64', true],
  ['m', 'decimal(20,2)', true],
  ['s', 'string', true],
  ['flag', 'bool', true],
  ['v', 'interval', true],
])
const source = n.source(t)
const columns = source.schema.columns.map((_, i): ColumnExpr => n.column(source.schema, i))
const column = (name: string): ColumnExpr => columns.find(c => c.name === name) as ColumnExpr

const pick = picker(SEED)
const oneOf = <T>(items: readonly T[]): T => items[pick(items.length)]

function randomRow(id: number): Row {
  const or = <T extends Value>(value: T): T | null => (pick(5) === 0 ? null : value)
  return [
    ...[id, pick(2), or(BigInt(pick(12))), or(pick(5) - 2), or(BigInt(pick(7)) - 3n)],
    or(oneOf([0.1, 0.2, 1e300, -1e300, 1e-300, 1.5, 2 ** 60 + 1, Number.NaN, Infinity, -0, 3])),
    ...[or(oneOf(['1.50', '-0.01', '2.00'])), or(oneOf(['a', 'b', 'Z', 'a long one, out of line']))],
    or(pick(2) === 0),
    or(
      encodeInterval({ months: oneOf([1, -5, 2 ** 31 - 2]), days: pick(4) - 2, micros: BigInt(pick(3)) * 10n ** 12n }),
    ),
  ]
}

const text = (...values: readonly unknown[]): string => values.map(String).join()
const details: { readonly [fn in AggregateFn]?: () => AggregateDetail } = {
  linear: () => linear('rms', [], 'f64', (...sums: never[]) => sums.map(Number).reduce((a, b) => a * 2 + b)).detail,
  fold: () =>
    oneOf([
      fold('seen', [], 'string', { initial: () => '', step: (s: string, ...v) => s + text(v), finish: s => s }),
      semigroup(
        'greatest',
        (r: { k: number }) => r.k,
        'i64',
        (a, b) => (a > b ? a : b),
      ),
    ]).detail,
  percentileCont: () => oneOf([0.5, 0, 1, 0.3]),
  percentileDisc: () => oneOf([0.5, 0, 1, 0.3]),
  approxPercentile: () => [oneOf([0.5, 0.9]), 0.1],
  approxCountDistinct: () => 4,
  histogram: () => [-2, 2, 4],
  stringAgg: () => ', ',
}

const IN_ORDER: readonly AggregateFn[] = ['first', 'last', 'stringAgg', 'arrayAgg', 'jsonAgg', 'fold']

function randomAggregate(fn: AggregateFn) {
  const rules = AGGREGATES[fn].args
  const args = rules.map((rule): Expr => oneOf(columns.filter(c => rule.accepts(c.type))))
  const distinct = pick(3) === 0
  const order = Array.from({ length: IN_ORDER.includes(fn) ? pick(3) : 0 }, () => ({
    expr: distinct ? oneOf(args) : oneOf(columns),
    descending: pick(2) === 0,
  }))
  const filter = pick(3) === 0 ? n.call('gt', 'bool', column('at'), n.literal('i64', 3n)) : null
  return n.aggregateSpec(['w', fn, args, { distinct, filter, order, detail: details[fn]?.() ?? null }])
}

function randomFrame(): Frame {
  const mode = oneOf<Frame['mode']>(['rows', 'rows', 'range', 'groups'])
  const bound = (): Bound => (pick(3) === 0 ? null : mode === 'range' ? BigInt(pick(9)) - 4n : pick(9) - 4)
  const [start, end] = [bound(), bound()]
  const swapped = start !== null && end !== null && start > end
  const exclude = oneOf<Frame['exclude']>(['none', 'none', 'current', 'group', 'ties'])
  return { mode, start: swapped ? end : start, end: swapped ? start : end, exclude }
}

/** What has totals or best rows, and what reads its rows by rank or all of them, which needs more of the partition. */
const KINDS = [
  AGGREGATE_FNS.filter(fn => framePlanOf(fn).kind === 'linear'),
  ['median', 'arrayAgg', 'mode', 'fold', 'percentileCont', 'stringAgg', 'approxCountDistinct', 'jsonAgg'],
  ['argMin', 'first', 'max', 'last', 'argMax', 'min'],
  ['percentileDisc', 'approxPercentile', 'fold', 'stringAgg'],
] as const

function randomView(v: number) {
  const order = [{ expr: column('at'), descending: pick(2) === 0, nullsFirst: pick(2) === 0 }]
  const partition = pick(2) === 0 ? [column('g')] : []
  const frame = randomFrame()
  const kind = KINDS[v % KINDS.length]
  const functions = Array.from({ length: 6 }, (_, i) => {
    const fn = kind[(v * 6 + i) % kind.length]
    return [`w${i}`, { fn, arg: null, aggregate: randomAggregate(fn), frame }] as const
  })
  return n.view(`v${v}`, n.window(source, partition, order, functions))
}

test(`${VIEWS} windows of aggregates`, () => {
  const views = Array.from({ length: VIEWS }, (_, v) => randomView(v))
  const rows = Array.from({ length: 24 }, (_, id) => randomRow(id))
  const change = (row: Row, weight: bigint) => ({ table: t, row, weight })
  const steps = [rows.map((row, i) => change(row, i < 3 ? 2n : 1n))]
  for (let step = 0; step < 3; step++) {
    const gone = rows.filter(() => pick(8) === 0).map(row => change(row, -1n))
    steps.push([...gone, change(randomRow(100 + step), 1n)])
  }
  LAWS[0].run(engineRunner(), { tables: [t], views, steps }, 0)
})

const trades = table('trades', { id: u64().primaryKey(), symbol: string(), price: i64(), note: string().nullable() })
const lastThree = { rows: [{ preceding: 2 }, 'current'] } as const
const trade = (id: number, symbol: string, price: number, note: string | null = null) => ({ id, symbol, price, note })

test('what the builder makes of aggregates, orders, filters and distinct values', () => {
  const db = open()
  const live = db.createView(
    view('v', q =>
      q.from(trades).window(
        { orderBy: [{ by: t => t.id }], frame: lastThree },
        {
          middle: median(t => t.price),
          spread: varPop(t => t.price),
          symbols: countDistinct(t => t.symbol),
          sumOfDifferent: distinct(sum(t => t.price)),
          dearest: argMax(
            t => t.symbol,
            t => t.price,
          ),
          asTheyCame: arrayAgg(t => t.price),
          byPrice: stringAgg(t => t.symbol, ' ', { by: t => t.price, desc: true }),
          notes: filtered(
            arrayAgg(t => t.note),
            t => t.price > 1n,
          ),
          opening: over(
            first(t => t.price),
            { rows: ['unbounded', 'current'] },
          ),
          trend: over(
            corr(
              t => t.price,
              t => t.id,
            ),
            { rows: ['unbounded', 'unbounded'], exclude: 'current' },
          ),
          most: semigroup(
            'most',
            t => t.price,
            'i64',
            (a, b) => (a > b ? a : b),
          ),
        },
      ),
    ),
  )
  db.insert(trades, [trade(1, 'a', 4), trade(2, 'b', 1, 'x'), trade(3, 'a', 4, 'y'), trade(4, 'c', 2)])
  const last = () => live.rows().at(-1)
  expect(last()).toMatchObject({
    ...{ id: 4n, middle: 2, spread: 14 / 9, symbols: 3n, sumOfDifferent: 7n, dearest: 'a', asTheyCame: [1n, 4n, 2n] },
    ...{ byPrice: 'a c b', notes: ['y', null], opening: 4n, most: 4n },
  })
  expect(last()?.trend).toBe(0)
  db.delete(trades, trade(3, 'a', 4, 'y'))
  expect(last()).toMatchObject({
    middle: 2,
    symbols: 3n,
    asTheyCame: [4n, 1n, 2n],
    byPrice: 'a c b',
    notes: [null, null],
  })
  expect(db.view('v').plan()).toContain('asTheyCame = arrayAgg(price) over rows 2 preceding to current')
})

test('a function of the user that fails is a failure of its row', () => {
  const db = open()
  const parts = {
    initial: () => 0n,
    step: (state: bigint, price: bigint) => {
      if (price < 0n) throw new Error('negative')
      return state * 10n + price
    },
    finish: (state: bigint) => state,
  }
  const live = db.createView(
    view('v', q =>
      q
        .from(trades)
        .window(
          { orderBy: [{ by: t => t.id }], frame: lastThree },
          { digits: fold('digits', [(t: { price: bigint }) => t.price], 'i64', parts) },
        ),
    ),
  )
  db.insert(trades, [trade(1, 'a', 1), trade(2, 'a', -2), trade(3, 'a', 3), trade(4, 'a', 4), trade(5, 'a', 5)])
  expect(live.errors().map(e => [e.message, e.weight])).toEqual(
    [1n, 1n, 1n].map(weight => ['function "digits" failed: negative', weight]),
  )
  db.delete(trades, trade(2, 'a', -2))
  expect(live.rows().map(r => r.digits)).toEqual([1n, 13n, 134n, 345n])
})

test('what does not fit is refused by name', () => {
  const refused = (of: object, text: string) =>
    expectError(() => view('v', q => q.from(trades).window({}, { m: of as never })), 'COMPILE', text)
  refused(
    median((t: { symbol: string }) => t.symbol as never),
    'window "m": median needs numbers, bigints or decimals',
  )
  refused(
    distinct(first((t: { symbol: string }) => t.symbol, { by: t => t.symbol.length })),
    'window "m": first: with distinct',
  )
  refused(
    corr((t: { price: bigint }) => t.price, undefined as never),
    'window "m": corr: expected 2 functions, found 1',
  )
})
