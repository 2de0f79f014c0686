/** What the builder says of wrong input: the operator, the column, what was expected and what was found. */
import { describe, expect, test } from 'vitest'
import { CompileError, GnitzError, showWhole } from '../../src/base/errors.js'
import * as gnitz from '../../src/index.js'

const t = gnitz.table('t', {
  id: gnitz.u64().primaryKey(),
  x: gnitz.f64(),
  s: gnitz.string(),
  f: gnitz.bool(),
  at: gnitz.timestamptz(),
  tags: gnitz.array(gnitz.string()),
})
const other = gnitz.table('other', { id2: gnitz.u64().primaryKey(), s2: gnitz.string() })

interface Row {
  readonly [column: string]: number
}
type Made = Readonly<Record<string, (...args: unknown[]) => Loose>>
/** The builder without types: what is wrong here does not compile. */
interface Loose extends Made {}
const g = gnitz as unknown as Record<string, (...args: unknown[]) => unknown>

const x = (r: Row) => r.x
const s = (r: Row) => r.s
const at = (r: Row) => r.at
const tags = (r: Row) => r.tags
const byS = (r: Row) => ({ s: r.s })
const never = 'unknown option "nope"; the options are '

const CASES: readonly (readonly [string, (q: Loose) => unknown])[] = [
  ['semiJoin: expected a query, a table, a view or a handle of one, found 5', q => q.from(t).semiJoin(5, s)],
  [
    'notIn: expected one equality of values of one type between the sides, found id > right.id2',
    q => q.from(t).notIn(other, (a: Row, b: Row) => a.id > b.id2),
  ],
  ['unnest "tag": expected an array, found a string (column "s")', q => q.from(t).unnest(s, 'tag')],
  [`unnest: ${never}ordinality, outer`, q => q.from(t).unnest(tags, 'tag', { nope: 1 })],
  ['unnest: expected options, found null', q => q.from(t).unnest(tags, 'tag', null)],
  ['unnest: expected outer: true or false, found 1', q => q.from(t).unnest(tags, 'tag', { outer: 1 })],
  [
    'aggregate: expected an object like { total: sum(r => r.amount) }, found [{…}]',
    q => q.from(t).aggregate([g.count()]),
  ],
  [
    'aggregate "a": sum needs numbers, bigints, decimals or intervals, found a string (column "s")',
    q => q.from(t).aggregate({ a: g.sum(s) }),
  ],
  ['aggregate: expected an object like', q => q.from(t).groupBy(byS).rollup().aggregate(null)],
  ['sets: the key "s" is twice in one set', q => q.from(t).groupBy(byS).sets(['s', 's']).aggregate({ n: g.count() })],
  ['top order: unknown option "descending"', q => q.from(t).top(5, { by: x, descending: true })],
  ['top order: expected desc: true or false, found 1', q => q.from(t).top(5, { by: x, desc: 1 })],
  [`top: ${never}limit, offset, ties`, q => q.from(t).top({ limit: 5, nope: true }, { by: x })],
  [`sample: ${never}seed`, q => q.from(t).sample(5, { nope: 1 })],
  ['sample: expected options, found null', q => q.from(t).sample(5, null)],
  [`recursive: ${never}limit`, q => q.recursive(t, (self: unknown) => self, { nope: 5 })],
  ['empty: expected columns like { id: u64() }, found none', q => q.empty({})],
  [`tumble: ${never}start, end, offset, ctx`, q => q.from(t).tumble(at, '1 hour', { nope: 'a' })],
  ['found { fortnights: 1 }', q => q.from(t).tumble(at, { fortnights: 1 })],
  [`session: ${never}start, end, by, ctx`, q => q.from(t).session(at, '1 hour', { nope: byS })],
]

const JOIN_ALL: typeof CASES = [
  [
    'joinAll: expected the key "k" to be of one type, found a u64 in relation 1 and a string in relation 2',
    q => q.joinAll([t, other], [(r: Row) => ({ k: r.id }), (r: Row) => ({ k: r.s2 })], (a: Row) => ({ id: a.id })),
  ],
  [
    'joinAll key of relation 2 lambda: the row has no column "zz"',
    q => q.joinAll([t, other], [(r: Row) => ({ k: r.id }), (r: Row) => ({ k: r.zz })], (a: Row) => ({ id: a.id })),
  ],
  ['joinAll, relation 2: expected a query', q => q.joinAll([t, 5], [], x)],
  ['joinAll: expected 2 lambdas for the keys, found [a function]', q => q.joinAll([t, other], [x], x)],
]

/** By aggregate. */
const AGGREGATES: readonly (readonly [string, () => unknown])[] = [
  ['percentileCont: expected a fraction from 0 to 1, found 2', () => g.percentileCont(2, x)],
  ['percentileDisc: expected a fraction from 0 to 1, found NaN', () => g.percentileDisc(Number.NaN, x)],
  ['approxPercentile: expected an error from 0.0001 to 0.5, found 3', () => g.approxPercentile(0.5, x, { error: 3 })],
  ['approxPercentile: expected options, found null', () => g.approxPercentile(0.5, x, null)],
  [`approxCountDistinct: ${never}bits, ctx`, () => g.approxCountDistinct(x, { nope: 9 })],
  ['approxCountDistinct: expected 4 to 16 bits, found 99', () => g.approxCountDistinct(x, { bits: 99 })],
  ['histogram: expected finite low < high, found 2 and 1', () => g.histogram(x, { low: 2, high: 1, bins: 3 })],
  ['histogram: expected 1 to 1000 bins, found -3', () => g.histogram(x, { low: 0, high: 1, bins: -3 })],
  ['histogram: expected options, found undefined', () => g.histogram(x)],
  ['stringAgg: expected a separator, found undefined', () => g.stringAgg(s)],
  ['stringAgg order: expected { by: row => …, desc? }, found null', () => g.stringAgg(s, ',', null)],
  [`arrayAgg order: ${never}by, desc, ctx`, () => g.arrayAgg(s, { by: x, nope: true })],
]

const WINDOWS: readonly (readonly [string, unknown, () => unknown])[] = [
  [`window: ${never}partitionBy, orderBy, frame, ctx`, { nope: byS }, () => g.rank()],
  [`window orderBy: ${never}by, desc, nulls, ctx`, { orderBy: [{ by: x, nope: true }] }, () => g.rank()],
  [`window "a": lag: ${never}offset, default, ignoreNulls, ctx`, {}, () => g.lag(s, { nope: 1 })],
  ['window "a": lag: expected options, found null', {}, () => g.lag(s, null)],
  ['window "a": firstValue: expected ignoreNulls: true or false', {}, () => g.firstValue(s, { ignoreNulls: 'yes' })],
  [
    'window "a": percentileCont: expected a fraction from 0 to 1, found 2',
    {},
    () => g.over(g.percentileCont(2, x), { rows: ['unbounded', 'current'] }),
  ],
  ['window "a": count: over: expected a frame, found undefined', {}, () => g.over(g.count())],
  ['over: expected a window function or an aggregate, found null', {}, () => g.over(null, {})],
  [
    'window "a": count: the frame begins after its end: { following: 1 }, then { preceding: 1 }',
    { frame: { rows: [{ following: 1 }, { preceding: 1 }] } },
    () => g.count(),
  ],
  [
    'window "a": count: range { fortnights: 1 } preceding does not fit order at of type timestamptz',
    { orderBy: [{ by: at }], frame: { range: [{ preceding: { fortnights: 1 } }, 'current'] } },
    () => g.count(),
  ],
  [`frame: ${never}rows, exclude`, { frame: { rows: ['unbounded', 'current'], nope: 1 } }, () => g.count()],
]

const ROLLING: typeof WINDOWS = [
  [`rolling: ${never}at, by, range, rows, ctx`, { at, rows: 5, nope: 1 }, () => g.count()],
  ['rolling "a": rank has no frame', { at, rows: 5 }, () => g.rank()],
  ['rolling "a": sum needs numbers', { at, rows: 5 }, () => g.sum(s)],
  ['rolling at lambda: expected a function, found undefined', { rows: 5 }, () => g.count()],
  ['rolling by lambda: expected an object of columns', { at, rows: 5, by: s }, () => g.count()],
]

function refusal(build: (q: Loose) => unknown): GnitzError {
  try {
    gnitz.view('v', build as never)
  } catch (thrown) {
    if (thrown instanceof GnitzError) return thrown
    throw thrown
  }
  throw new Error('the view was accepted')
}
const message = (build: (q: Loose) => unknown): string => refusal(build).message

describe('wrong input', () => {
  test.each([...CASES, ...JOIN_ALL])('%s', (expected, build) => {
    expect(message(build)).toContain(expected)
  })
  test.each(AGGREGATES)('%s', (expected, make) => {
    expect(message(q => q.from(t).aggregate({ a: make() }))).toContain(`aggregate "a": ${expected}`)
  })
  test.each(WINDOWS)('%s', (expected, options, make) => {
    expect(message(q => q.from(t).window(options, { a: make() }))).toContain(expected)
  })
  test.each(ROLLING)('%s', (expected, options, make) => {
    expect(message(q => q.from(t).rolling(options, { a: make() }))).toContain(expected)
  })

  test('of functions that change or make aggregates', () => {
    expect(() => g.filtered(5, x)).toThrow(
      new CompileError('filtered: expected an aggregate like sum(r => …), found 5'),
    )
    expect(() => g.distinct()).toThrow('distinct: expected an aggregate like sum(r => …), found undefined')
    expect(() => g.fold('f', x, 'f64', {})).toThrow('fold "f": expected arguments like [r => r.x], found a function')
    expect(() => g.fold('f', [x], 'f64', null)).toThrow('expected functions { initial, step, finish }, found null')
    expect(() => g.semigroup('f', x, 'f64')).toThrow('semigroup "f": expected a function (a, b) => …, found undefined')
    expect(() => g.linear('f', [x], 'f64')).toThrow('linear "f": expected a function, found undefined')
  })

  test('of views', () => {
    const wrong = { keys: ['id'] } as never
    expect(() => gnitz.view('v', q => q.from(t), wrong)).toThrow('view "v": unknown option "keys"; the options are key')
  })
})

test('values are shown with their parts', () => {
  expect(showWhole({ preceding: '1 hour', of: { n: 1 }, 'a b': [1] })).toBe(
    '{ preceding: "1 hour", of: {…}, "a b": […] }',
  )
  expect(showWhole([1, 2n, null, Number, {}, 6])).toBe('[1, 2n, null, a function, {…}, …]')
  expect([showWhole({}), showWhole(new Map()), showWhole('x')]).toEqual(['{}', 'an object (Map)', 'the string "x"'])
})

test('errors of a view name it and show the place in the program', () => {
  expect(message(q => q.from(t).filter((r: Row) => r.nope))).toMatch(/^view "v": filter lambda: /)
  function misplaced(q: Loose) {
    return q.from(t).top(0)
  }
  expect(refusal(misplaced).stack).toMatch(/^CompileError: view "v": top: .*\n(.*\n)*.*misplaced/)
})
