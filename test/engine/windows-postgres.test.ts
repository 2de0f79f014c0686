/**
 * Window functions give what PostgreSQL gives, on random tables and after changes. More queries:
 * `WINDOW_QUERIES=2000 npx vitest run test/engine/windows-postgres.test.ts`.
 *
 * What differs on purpose (docs/windows.md): ties stand in the order of the whole row, where PostgreSQL leaves their order
 * open, so queries whose results depend on it are ordered by a unique column at the end; a sum of bigints must fit i64.
 */
import type { PGlite } from '@electric-sql/pglite'
import { beforeAll, expect, test } from 'vitest'
import type { ColumnExpr } from '../../src/circuit/expr.js'
import type { WindowRel } from '../../src/circuit/rel.js'
import type { Bound, Frame, WindowFn } from '../../src/circuit/window.js'
import { type Database, open, type Value } from '../../src/index.js'
import { formatInterval, type Interval } from '../../src/schema/interval.js'
import { isDecimal } from '../../src/schema/types.js'
import * as n from '../../src/testing/nodes.js'
import { emptyPostgres } from '../pglite.js'
import { picker } from './support.js'

const QUERIES = Number(process.env.WINDOW_QUERIES ?? 20)

/** As gnitz and PostgreSQL call the types. */
const COLUMNS = [
  ['id', 'i32', false, 'int4'],
  ['g', 'i32', true, 'int4'],
  ['k', 'i32', true, 'int4'],
  ['b', 'i64', true, 'int8'],
  ['x', 'f64', true, 'float8'],
  ['m', 'decimal(20,2)', true, 'numeric(20,2)'],
  ['d', 'date', true, 'date'],
  ['at', 'timestamp', true, 'timestamp'],
  ['name', 'string', true, 'text COLLATE "C"'],
  ['flag', 'bool', true, 'bool'],
  ['v', 'interval', true, 'interval'],
] as const
const t = n.table(
  't',
  COLUMNS.map(([name, type, nullable]) => [name, type, nullable]),
)
const source = n.source(t)
const column = (name: string): ColumnExpr =>
  n.column(
    source.schema,
    COLUMNS.findIndex(c => c[0] === name),
  )

let postgres: PGlite
beforeAll(async () => {
  postgres = await emptyPostgres()
  await postgres.exec(`CREATE TABLE t (${COLUMNS.map(([name, , , type]) => `${name} ${type}`).join(', ')})`)
}, 60_000)

const pick = picker(7)
const oneOf = <T>(items: readonly T[]): T => items[pick(items.length)]

type TestRow = Record<string, Value>

function randomRow(id: number): TestRow {
  const or = <T extends Value>(value: T): T | null => (pick(6) === 0 ? null : value)
  return {
    id,
    g: or(pick(3)),
    k: or(pick(7) - 3),
    b: or(BigInt(pick(9)) - 4n),
    x: or(oneOf([0.5, 1, 1.5, 2, -1, 4.25, Number.NaN, Number.POSITIVE_INFINITY])),
    m: or(oneOf(['1.50', '-0.01', '123456789012345678.00', '2.00'])),
    // From the end of January 2024 on, days and months apart.
    d: or(19_752 + pick(6) + 29 * pick(4)),
    at: or(1_706_572_800_000_000n + BigInt(pick(8)) * 1_800_000_000n),
    name: or(oneOf(['a', 'b', 'Z', 'é', 'ab'])),
    flag: or(pick(2) === 0),
    v: or(oneOf(['1 mon', '1 year 1 mon -2 days', '5 days 00:00:00.000001', '-02:00:00', '-3 days']) as never),
  }
}

function literal(name: string, value: Value): string {
  if (value === null) return 'NULL'
  if (name === 'd') return `DATE '1970-01-01' + ${value}`
  if (name === 'at') return `TIMESTAMP '1970-01-01' + INTERVAL '${(value as bigint) / 1_000_000n} seconds'`
  return typeof value === 'string' || name === 'x' ? `'${value}'` : String(value)
}

interface Query {
  readonly rel: WindowRel
  readonly sql: string
}

/** Differences of the order column: as gnitz has them, and as SQL. */
const OFFSETS: Readonly<Record<string, readonly (readonly [NonNullable<Bound>, string])[]>> = {
  k: [
    [1, '1'],
    [2, '2'],
  ],
  b: [
    [1n, '1'],
    [3n, '3'],
  ],
  x: [
    [0.5, '0.5'],
    [2, '2'],
  ],
  d: [
    [1, "INTERVAL '1 day'"],
    [3, "INTERVAL '3 days'"],
    [{ months: 1, micros: 0n }, "INTERVAL '1 month'"],
    [{ months: 14, micros: 86_400_000_000n }, "INTERVAL '1 year 2 months 1 day'"],
  ],
  at: [
    [1_800_000_000n, "INTERVAL '30 minutes'"],
    [5_400_000_000n, "INTERVAL '90 minutes'"],
    [{ months: 1, micros: 3_600_000_000n }, "INTERVAL '1 month 1 hour'"],
  ],
}

const opposite = (bound: NonNullable<Bound>): Bound =>
  typeof bound === 'object' ? { months: -bound.months, micros: -bound.micros } : -bound

type BoundText = readonly [bound: Bound, text: string]

function randomBound(mode: Frame['mode'], by: string | undefined, isEnd: boolean): BoundText {
  const unbounded = (): BoundText => [null, isEnd ? 'UNBOUNDED FOLLOWING' : 'UNBOUNDED PRECEDING']
  const kind = pick(4)
  const ranged = by === undefined ? undefined : OFFSETS[by]
  if (kind === 0) return unbounded()
  if (kind === 1 || (mode === 'range' && ranged === undefined)) return [0, 'CURRENT ROW']
  const [offset, text] = mode === 'range' && ranged !== undefined ? oneOf(ranged) : ([1, '1'] as const)
  const rows = mode === 'range' ? null : 1 + pick(3)
  const distance = rows ?? offset
  return kind === 2 ? [opposite(distance), `${rows ?? text} PRECEDING`] : [distance, `${rows ?? text} FOLLOWING`]
}

function randomFrame(modes: readonly Frame['mode'][], by: string | undefined): { frame: Frame; sql: string } {
  const mode = by === undefined ? oneOf(modes.filter(m => m !== 'groups')) : oneOf(modes)
  for (;;) {
    const [start, startText] = randomBound(mode, by, false)
    const [end, endText] = randomBound(mode, by, true)
    const rank = (text: string) => (text.endsWith('PRECEDING') ? 0 : text.endsWith('ROW') ? 1 : 2)
    const beforeEnd = start === null || end === null || rank(startText) <= rank(endText)
    if (!beforeEnd) continue
    const exclude = oneOf<Frame['exclude']>(['none', 'none', 'current', 'group', 'ties'])
    const text = { none: 'NO OTHERS', current: 'CURRENT ROW', group: 'GROUP', ties: 'TIES' }[exclude]
    const sql = `${mode.toUpperCase()} BETWEEN ${startText} AND ${endText} EXCLUDE ${text}`
    return { frame: { mode, start, end, exclude }, sql }
  }
}

const RANKS = [
  ['rank', 'rank'],
  ['denseRank', 'dense_rank'],
  ['percentRank', 'percent_rank'],
  ['cumeDist', 'cume_dist'],
] as const
const NUMBERS = [
  ['rowNumber', 'row_number'],
  ['ntile', 'ntile'],
] as const
const VALUES = [
  ['firstValue', 'first_value'],
  ['lastValue', 'last_value'],
  ['nthValue', 'nth_value'],
] as const
const OFFSET_FNS = ['lag', 'lead'] as const
const AGGREGATES = [
  ['count', 'count', ['k', 'name', 'flag']],
  ['sum', 'sum', ['k', 'b', 'x', 'm']],
  ['avg', 'avg', ['k', 'b', 'x', 'm']],
  ['intervalSum', 'sum', ['v']],
  ['intervalAvg', 'avg', ['v']],
  ['min', 'min', ['k', 'b', 'x', 'd', 'at', 'name']],
  ['max', 'max', ['k', 'b', 'x', 'd', 'at', 'name']],
  ['boolAnd', 'bool_and', ['flag']],
  ['boolOr', 'bool_or', ['flag']],
  ['bitAnd', 'bit_and', ['k', 'b']],
  ['bitOr', 'bit_or', ['k', 'b']],
  ['bitXor', 'bit_xor', ['k', 'b']],
] as const

/** Of one argument, and of pairs y, x. */
const STATISTICS = [
  ['varPop', 'var_pop'],
  ['varSamp', 'var_samp'],
  ['stddevPop', 'stddev_pop'],
  ['stddevSamp', 'stddev_samp'],
] as const
const PAIRS = [
  ['covarPop', 'covar_pop'],
  ['covarSamp', 'covar_samp'],
  ['corr', 'corr'],
  ['regrCount', 'regr_count'],
  ['regrAvgX', 'regr_avgx'],
  ['regrAvgY', 'regr_avgy'],
  ['regrSxx', 'regr_sxx'],
  ['regrSyy', 'regr_syy'],
  ['regrSxy', 'regr_sxy'],
  ['regrSlope', 'regr_slope'],
  ['regrIntercept', 'regr_intercept'],
  ['regrR2', 'regr_r2'],
] as const
/** In the order of the partition. */
const LISTS = [
  ['arrayAgg', 'array_agg(k)', 'k', null],
  ['jsonAgg', 'json_agg(k)', 'k', null],
  ['stringAgg', "string_agg(name, '; ')", 'name', '; '],
] as const

function randomQuery(): Query {
  const partition = oneOf([[], ['g'], ['g', 'flag']])
  const kind = pick(8)
  const by = pick(8) === 0 ? undefined : oneOf(['k', 'b', 'x', 'd', 'at', 'name'])
  /** Where ties would decide, a unique column ends the order. */
  const unique = kind === 1 || kind === 2 || kind === 3 || kind === 4
  const order = [...(by === undefined ? [] : [by]), ...(unique ? ['id'] : [])].map(name => ({
    ...{ name, descending: pick(2) === 0, nullsFirst: pick(2) === 0 },
  }))
  const orderSql = order.map(o => `${o.name} ${o.descending ? 'DESC' : 'ASC'} NULLS ${o.nullsFirst ? 'FIRST' : 'LAST'}`)
  const over = (frame: string) =>
    `OVER (${partition.length > 0 ? `PARTITION BY ${partition.join(', ')}` : ''} ${
      order.length > 0 ? `ORDER BY ${orderSql.join(', ')}` : ''
    } ${frame})`
  const build = (spec: n.WindowFunction, call: string, frame = ''): Query => ({
    rel: n.window(
      source,
      partition.map(column),
      order.map(o => ({ ...o, expr: column(o.name) })),
      [['w', spec]],
    ),
    sql: `SELECT id, (${call} ${over(frame)})::text AS w FROM t`,
  })
  const where = pick(3) === 0 ? n.call('gt', 'bool', column('k'), n.literal('i32', 0)) : null
  const framed = (given: n.AggregateOutput, call: string, { frame, sql }: ReturnType<typeof randomFrame>): Query => {
    const aggregate = { ...n.aggregateSpec(given), filter: where }
    const filter = where === null ? '' : ' FILTER (WHERE k > 0)'
    return build({ fn: aggregate.fn, arg: null, aggregate, frame }, `${call}${filter}`, sql)
  }
  switch (kind) {
    case 0: {
      const [fn, sql] = oneOf(RANKS)
      return build({ fn, arg: null }, `${sql}()`)
    }
    case 1: {
      const [fn, sql] = oneOf(NUMBERS)
      const buckets = 1 + pick(5)
      return build({ fn, arg: null, n: fn === 'ntile' ? buckets : 0 }, `${sql}(${fn === 'ntile' ? buckets : ''})`)
    }
    case 2: {
      const fn = oneOf(OFFSET_FNS)
      const [steps, withDefault] = [pick(4), pick(2) === 0]
      const fallback = withDefault ? n.literal('i32', 99) : null
      return build({ fn, arg: column('k'), n: steps, fallback }, `${fn}(k, ${steps}${withDefault ? ', 99' : ''})`)
    }
    case 3: {
      const [fn, sql] = oneOf(VALUES)
      const { frame, sql: frameSql } = randomFrame(['rows', 'groups'], by)
      const nth = fn === 'nthValue' ? 1 + pick(3) : 0
      const arg = oneOf(['k', 'name', 'b'])
      return build({ fn, arg: column(arg), n: nth, frame }, `${sql}(${arg}${nth > 0 ? `, ${nth}` : ''})`, frameSql)
    }
    case 4: {
      const [fn, sql, arg, detail] = oneOf(LISTS)
      return framed(['w', fn, column(arg), { detail }], sql, randomFrame(['rows', 'groups'], by))
    }
    case 5: {
      const [fn, sql] = oneOf(STATISTICS)
      const arg = oneOf(['k', 'b', 'x'])
      return framed(['w', fn, column(arg)], `${sql}(${arg})`, randomFrame(['range', 'groups'], by))
    }
    case 6: {
      const [fn, sql] = oneOf(PAIRS)
      const [y, x] = [oneOf(['k', 'b', 'x']), oneOf(['k', 'b', 'x'])]
      return framed(['w', fn, [column(y), column(x)]], `${sql}(${y}, ${x})`, randomFrame(['range', 'groups'], by))
    }
    default: {
      const [fn, sql, args] = oneOf(AGGREGATES)
      const arg: string = oneOf(args)
      // Rows of equal order come in any order in PostgreSQL, so ROWS is left to the other kinds.
      const given = randomFrame(['range', 'groups'], by)
      if (arg === 'v') return framed(['w', fn, column(arg)], `${sql}(${arg})`, given)
      const { frame, sql: frameSql } = given
      return build({ fn: fn as WindowFn, arg: column(arg), frame }, `${sql}(${arg})`, frameSql)
    }
  }
}

/** What gnitz gives as PostgreSQL writes it, numbers apart. */
function plain(value: Value, type: string): Value {
  if (value === null || typeof value !== 'string') return value
  if (type === 'i64') return BigInt(value)
  if (type === 'bool') return value === 'true'
  if (type === 'date') return Date.parse(`${value}T00:00:00Z`) / 86_400_000
  if (type === 'timestamp') return BigInt(Date.parse(`${value.replace(' ', 'T')}Z`)) * 1000n
  if (type === 'json') return JSON.parse(value) as Value
  // An array of integers.
  if (value.startsWith('{'))
    return value
      .slice(1, -1)
      .split(',')
      .map(v => (v === 'NULL' ? null : Number(v))) as never
  return type === 'string' || type === 'interval' ? value : Number(value)
}

const isInterval = (cell: unknown): cell is Interval => typeof cell === 'object' && cell !== null && 'micros' in cell

async function compare(db: Database, query: Query, name: string): Promise<void> {
  const view = db.view(name)
  const found = new Map(view.rows().map(row => [(row as TestRow).id, (row as TestRow).w]))
  const { rows } = await postgres.query<{ id: number; w: string | null }>(query.sql)
  const { type } = query.rel.schema.columns[query.rel.schema.columns.length - 1]
  expect(found.size, query.sql).toBe(rows.length)
  for (const { id, w } of rows) {
    const expected = plain(w, type)
    const cell = found.get(id)
    const actual =
      isDecimal(type) && typeof cell === 'string' ? Number(cell) : isInterval(cell) ? formatInterval(cell) : cell
    const close = typeof expected === 'number' && typeof actual === 'number' && Number.isFinite(expected)
    if (close) expect(actual, `${query.sql}, id ${id}`).toBeCloseTo(expected, 9)
    else expect(actual, `${query.sql}, id ${id}`).toEqual(expected)
  }
}

test(`${QUERIES} random queries`, async () => {
  const db = open()
  db.createTable(t as never)
  let rows = Array.from({ length: 40 }, (_, id) => randomRow(id))
  const insert = async (added: readonly TestRow[]) => {
    const tuples = added.map(row => `(${COLUMNS.map(([name]) => literal(name, row[name])).join(', ')})`)
    await postgres.exec(`INSERT INTO t VALUES ${tuples.join(', ')}`)
    db.insert(t as never, added as never)
  }
  await insert(rows)
  const queries = Array.from({ length: QUERIES }, randomQuery)
  for (const [i, query] of queries.entries()) db.createView(n.view(`q${i}`, query.rel) as never)
  const compareAll = async () => {
    for (const [i, query] of queries.entries()) await compare(db, query, `q${i}`)
  }
  await compareAll()
  const gone = rows.filter(() => pick(3) === 0)
  db.delete(t as never, gone as never)
  await postgres.exec(`DELETE FROM t WHERE id IN (${gone.map(r => r.id).join(', ')})`)
  rows = Array.from({ length: 12 }, (_, id) => randomRow(100 + id))
  await insert(rows)
  await compareAll()
}, 120_000)

/** The order column alone decides, so that every row has its frame from PostgreSQL. */
test.each([
  ['d', '2 months 3 days', { months: 2, micros: 259_200_000_000n }],
  ['at', '1 year 1 month 12 hours', { months: 13, micros: 43_200_000_000n }],
] as const)(
  'RANGE over %s by %s, where months have 28 to 31 days',
  async (by, text, span) => {
    const db = open()
    db.createTable(t as never)
    await postgres.exec('DELETE FROM t')
    // Midnights alone: those of a month's last days keep their order when months are added to them.
    const day = 86_400_000_000n
    const rows = Array.from({ length: 60 }, (_, i): TestRow => {
      const days = 19_382 + i * 7 + (i % 3)
      return { ...randomRow(i), g: i % 2, k: i, d: days, at: BigInt(days) * day }
    })
    const views = (['ASC', 'DESC'] as const).flatMap(direction =>
      [
        [opposite(span), 0, `INTERVAL '${text}' PRECEDING`, 'CURRENT ROW'] as const,
        [0, span, 'CURRENT ROW', `INTERVAL '${text}' FOLLOWING`] as const,
        [null, opposite(span), 'UNBOUNDED PRECEDING', `INTERVAL '${text}' PRECEDING`] as const,
        [span, null, `INTERVAL '${text}' FOLLOWING`, 'UNBOUNDED FOLLOWING'] as const,
      ].flatMap(([start, end, from, to]) =>
        (['sum', 'min'] as const).map((fn): Query => {
          const frame = { mode: 'range', start, end, exclude: 'none' } as const
          const order = [{ expr: column(by), descending: direction === 'DESC', nullsFirst: false }]
          const over = `(PARTITION BY g ORDER BY ${by} ${direction} RANGE BETWEEN ${from} AND ${to})`
          const rel = n.window(source, [column('g')], order, [['w', { fn, arg: column('k'), frame }]])
          return { rel, sql: `SELECT id, (${fn}(k) OVER ${over})::text AS w FROM t` }
        }),
      ),
    )
    for (const [i, { rel }] of views.entries()) db.createView(n.view(`m${i}`, rel) as never)
    for (const part of [rows.slice(0, 30), rows.slice(30, 31), rows.slice(31)]) {
      const tuples = part.map(row => `(${COLUMNS.map(([name]) => literal(name, row[name])).join(', ')})`)
      await postgres.exec(`INSERT INTO t VALUES ${tuples.join(', ')}`)
      db.insert(t as never, part as never)
      for (const [i, query] of views.entries()) await compare(db, query, `m${i}`)
    }
    db.delete(t as never, rows.filter((_, i) => i % 5 === 0) as never)
    await postgres.exec('DELETE FROM t WHERE id % 5 = 0')
    for (const [i, query] of views.entries()) await compare(db, query, `m${i}`)
  },
  60_000,
)
