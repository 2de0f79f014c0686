/**
 * Aggregates next to PostgreSQL's (PGlite, in this process) on random tables with duplicates, NULLs and equal values,
 * after insertions and deletions. What differs on purpose:
 *
 * - sums and means of floats are exact here; PostgreSQL's depend on the order of rows, so they are compared roughly, and
 *   so are variance, covariance, regression and percentiles of floats;
 * - the mean of decimals has at least six digits after the point, PostgreSQL's about sixteen digits in all;
 * - `first` and `last` by order are (array_agg(x ORDER BY …))[1] there; NULL comes first here, so NULLS FIRST is said;
 * - of several most frequent values PostgreSQL's mode() takes any, the least is taken here: its order makes it so there too.
 */
import type { PGlite } from '@electric-sql/pglite'
import { Prng } from '../../src/base/prng.js'
import * as g from '../../src/index.js'
import { emptyPostgres } from '../pglite.js'

const t = g.table('t', {
  k: g.i32().nullable(),
  h: g.string(),
  i: g.i32().nullable(),
  b: g.i64(),
  x: g.f64().nullable(),
  y: g.f64(),
  f: g.bool().nullable(),
  s: g.string().nullable(),
  m: g.decimal(30, 4).nullable(),
  v: g.interval().nullable(),
})
type Row = g.InsertType<typeof t>

/** Months, days and microseconds of an interval. */
const partsOf = (interval: string): string => {
  const part = (name: string) => `extract(${name} from ${interval})`
  const micros = `${part('hour')} * 3600000000 + ${part('minute')} * 60000000 + ${part('microseconds')}`
  const parts = `array[${part('year')} * 12 + ${part('month')}, ${part('day')}, ${micros}]::float8[]`
  return `case when ${interval} is not null then ${parts} end`
}

/** Name, ours, PostgreSQL's. */
const AGGREGATES = {
  n: [g.count(), 'count(*)'],
  ni: [g.count((r: R) => r.i), 'count(i)'],
  di: [g.countDistinct((r: R) => r.i), 'count(distinct i)'],
  sb: [g.sum((r: R) => r.b), 'sum(b)'],
  dsb: [g.distinct(g.sum((r: R) => r.b)), 'sum(distinct b)'],
  fsb: [
    g.filtered(
      g.sum((r: R) => r.b),
      (r: R) => r.f,
    ),
    'sum(b) filter (where f)',
  ],
  fn: [g.filtered(g.count(), (r: R) => r.y > 1), 'count(*) filter (where y > 1)'],
  sx: [g.sum((r: R) => r.x), 'sum(x)'],
  ax: [g.avg((r: R) => r.x), 'avg(x)'],
  ai: [g.avg((r: R) => r.i), 'avg(i)'],
  sm: [g.sum((r: R) => r.m), 'sum(m)'],
  amm: [g.avg((r: R) => r.m), 'round(sum(m)::numeric(60, 20) / nullif(count(m), 0), 6)'],
  dsm: [g.distinct(g.sum((r: R) => r.m)), 'sum(distinct m)'],
  vm: [g.varPop((r: R) => r.m), 'var_pop(m)'],
  sdm: [g.stddevSamp((r: R) => r.m), 'stddev_samp(m)'],
  mm: [g.median((r: R) => r.m), 'percentile_cont(0.5) within group (order by m)'],
  sv: [g.sum((r: R) => r.v), partsOf('sum(v)')],
  av: [g.avg((r: R) => r.v), partsOf('avg(v)')],
  fsv: [
    g.filtered(
      g.sum((r: R) => r.v),
      (r: R) => r.f,
    ),
    partsOf('sum(v) filter (where f)'),
  ],
  dsv: [g.distinct(g.sum((r: R) => r.v)), partsOf('sum(distinct v)')],
  dav: [g.distinct(g.avg((r: R) => r.v)), partsOf('avg(distinct v)')],
  mi: [g.min((r: R) => r.s), 'min(s collate "C")'],
  ma: [g.max((r: R) => r.x), 'max(x)'],
  vp: [g.varPop((r: R) => r.x), 'var_pop(x)'],
  vs: [g.varSamp((r: R) => r.i), 'var_samp(i)'],
  sp: [g.stddevPop((r: R) => r.b), 'stddev_pop(b)'],
  ss: [g.stddevSamp((r: R) => r.x), 'stddev_samp(x)'],
  cp: [
    g.covarPop(
      (r: R) => r.y,
      (r: R) => r.x,
    ),
    'covar_pop(y, x)',
  ],
  cs: [
    g.covarSamp(
      (r: R) => r.y,
      (r: R) => r.x,
    ),
    'covar_samp(y, x)',
  ],
  co: [
    g.corr(
      (r: R) => r.y,
      (r: R) => r.x,
    ),
    'corr(y, x)',
  ],
  rc: [
    g.regrCount(
      (r: R) => r.y,
      (r: R) => r.x,
    ),
    'regr_count(y, x)',
  ],
  rax: [
    g.regrAvgX(
      (r: R) => r.y,
      (r: R) => r.x,
    ),
    'regr_avgx(y, x)',
  ],
  ray: [
    g.regrAvgY(
      (r: R) => r.y,
      (r: R) => r.x,
    ),
    'regr_avgy(y, x)',
  ],
  rxx: [
    g.regrSxx(
      (r: R) => r.y,
      (r: R) => r.x,
    ),
    'regr_sxx(y, x)',
  ],
  ryy: [
    g.regrSyy(
      (r: R) => r.y,
      (r: R) => r.x,
    ),
    'regr_syy(y, x)',
  ],
  rxy: [
    g.regrSxy(
      (r: R) => r.y,
      (r: R) => r.x,
    ),
    'regr_sxy(y, x)',
  ],
  rs: [
    g.regrSlope(
      (r: R) => r.y,
      (r: R) => r.x,
    ),
    'regr_slope(y, x)',
  ],
  ri: [
    g.regrIntercept(
      (r: R) => r.y,
      (r: R) => r.x,
    ),
    'regr_intercept(y, x)',
  ],
  rr: [
    g.regrR2(
      (r: R) => r.y,
      (r: R) => r.x,
    ),
    'regr_r2(y, x)',
  ],
  ba: [g.bitAnd((r: R) => r.b), 'bit_and(b)'],
  bo: [g.bitOr((r: R) => r.i), 'bit_or(i)'],
  bx: [g.bitXor((r: R) => r.b), 'bit_xor(b)'],
  fa: [g.boolAnd((r: R) => r.f), 'bool_and(f)'],
  fo: [g.boolOr((r: R) => r.f), 'bool_or(f)'],
  mo: [g.mode((r: R) => r.i), 'mode() within group (order by i)'],
  pc: [g.percentileCont(0.3, (r: R) => r.x), 'percentile_cont(0.3) within group (order by x)'],
  pd: [g.percentileDisc(0.7, (r: R) => r.i), 'percentile_disc(0.7) within group (order by i)'],
  me: [g.median((r: R) => r.y), 'percentile_cont(0.5) within group (order by y)'],
  st: [
    g.stringAgg((r: R) => r.s, '|', { by: (r: R) => r.b, desc: true }),
    `string_agg(s, '|' order by b desc, s collate "C")`,
  ],
  aa: [g.arrayAgg((r: R) => r.i, { by: (r: R) => r.b }), 'array_agg(i order by b, i nulls first)'],
  ja: [g.jsonAgg((r: R) => r.i), 'json_agg(i order by i nulls first)'],
  fi: [g.first((r: R) => r.i, { by: (r: R) => r.b }), '(array_agg(i order by b, i nulls first))[1]'],
  la: [g.last((r: R) => r.i, { by: (r: R) => r.b }), '(array_agg(i order by b desc, i desc nulls last))[1]'],
  am: [
    g.argMin(
      (r: R) => r.i,
      (r: R) => r.x,
    ),
    '(array_agg(i order by x, i nulls first) filter (where x is not null))[1]',
  ],
} as const
type R = g.RowType<typeof t>

const ours = Object.fromEntries(Object.entries(AGGREGATES).map(([name, [aggregate]]) => [name, aggregate])) as Record<
  string,
  g.Aggregate<R, unknown, boolean>
>
const theirs = Object.entries(AGGREGATES).map(([name, [, sql]]) => `${sql} as ${name}`)

/** Each with what groups it in SQL. */
const SHAPES = [
  [
    g.view('grouped', q =>
      q
        .from(t)
        .groupBy(r => ({ k: r.k, h: r.h }))
        .aggregate(ours),
    ),
    'k, h',
    'group by k, h',
  ],
  [g.view('everything', q => q.from(t).aggregate(ours)), '', ''],
  [
    g.view('rolled', q =>
      q
        .from(t)
        .groupBy(r => ({ k: r.k, h: r.h }))
        .rollup()
        .aggregate({ ...ours, level: g.grouping('k', 'h') }),
    ),
    'k, h, grouping(k, h) as level',
    'group by rollup (k, h)',
  ],
] as const

function randomRow(random: Prng): Row {
  const orNull = <T>(value: T): T | null => (random.chance(0.15) ? null : value)
  return {
    k: orNull(random.below(3)),
    h: random.pick(['a', 'b']),
    i: orNull(random.below(9) - 4),
    b: BigInt(random.below(20) - 9),
    x: orNull(random.pick([0, 1, 1, 2.5, -3, 0.1, 1e3])),
    y: random.below(5) / 2,
    f: orNull(random.chance(0.5)),
    s: orNull(random.pick(['', 'a', 'B', 'é', 'ab'])),
    m: orNull(random.pick(['0.0000', '1.5000', '-0.0001', '12345678901234567890.1234', '-99999999999999999999.9999'])),
    v: orNull(
      random.pick([{ months: 1 }, { months: 13, days: -2 }, { days: 5, micros: 1n }, { micros: -7_200_000_000n }]),
    ),
  }
}

const COLUMNS = t.schema.columns.map(c => c.name)

/** What there is to compare: numbers roughly, everything else exactly. */
function same(a: unknown, b: unknown): boolean {
  if (typeof a === 'number' && typeof b === 'number') {
    return Math.abs(a - b) <= 1e-9 * Math.max(1, Math.abs(a), Math.abs(b)) || (Number.isNaN(a) && Number.isNaN(b))
  }
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((x, i) => same(x, b[i]))
  return a === b
}

const isInterval = (value: unknown): value is { months: number; days: number; micros: bigint } =>
  typeof value === 'object' && value !== null && 'micros' in value

const plain = (value: unknown): unknown => {
  if (typeof value === 'bigint') return Number(value)
  if (Array.isArray(value)) return value.map(plain)
  if (isInterval(value)) return [value.months, value.days, Number(value.micros)]
  return typeof value === 'string' && /^-?\d+(\.\d+)?(e[+-]?\d+)?$/.test(value) ? Number(value) : value
}

/** Compares on random tables; throws an Error that names what differs. One server serves any number of cases; `shapes` of the groupings are
 * compared.
 */
export async function compareWithPostgres(
  seed: number,
  cases: number,
  shapes: number = SHAPES.length,
  changes = 40,
): Promise<number> {
  const pg = await emptyPostgres()
  await pg.exec(
    `create table t (id int, k int, h text, i int, b bigint, x float8, y float8, f boolean, s text, m numeric(30, 4), v interval)`,
  )
  let compared = 0
  for (let c = 0; c < cases; c++) compared += await oneCase(pg, new Prng(seed + c), shapes, changes, `seed ${seed + c}`)
  return compared
}

async function oneCase(pg: PGlite, random: Prng, shapes: number, changes: number, where: string): Promise<number> {
  await pg.exec('delete from t')
  const db = g.open()
  const views = SHAPES.slice(0, shapes).map(([view]) => db.createView(view as g.ViewDef<Record<string, unknown>>))
  const held: { id: number; row: Row }[] = []
  let nextId = 0
  let compared = 0
  for (let step = 0; step < 2; step++) {
    const gone = Array.from({ length: Math.floor(held.length / 3) }, () => held.splice(random.below(held.length), 1)[0])
    const come = Array.from({ length: random.below(changes) }, () => ({ id: nextId++, row: randomRow(random) }))
    held.push(...come)
    db.transact(tx => {
      tx.delete(t, gone.map(h => h.row) as never)
      tx.insert(
        t,
        come.map(h => h.row),
      )
    })
    await pg.query('delete from t where id = any($1)', [gone.map(h => h.id)])
    if (come.length > 0) await insert(pg, come)
    for (const [n, [, select, group]] of SHAPES.slice(0, shapes).entries()) {
      const { rows } = await pg.query<Record<string, unknown>>(
        `select ${[select, ...theirs].filter(p => p !== '').join(', ')} from t ${group}`,
      )
      compared += compareRows(`${where}, step ${step}`, views[n].rows(), rows)
    }
  }
  db.close()
  return compared
}

function insert(pg: PGlite, rows: readonly { id: number; row: Row }[]) {
  const width = COLUMNS.length + 1
  const places = rows.map((_, r) => `(${Array.from({ length: width }, (_c, c) => `$${r * width + c + 1}`).join()})`)
  const parameters = rows.flatMap(({ id, row }) => [id, ...COLUMNS.map(c => parameter(row, c))])
  return pg.query(`insert into t (id, ${COLUMNS.join()}) values ${places.join()}`, parameters)
}

const parameter = (row: Row, column: string): unknown => {
  const value = (row as Record<string, unknown>)[column]
  if (column === 'v' && value !== null) {
    const { months = 0, days = 0, micros = 0n } = value as { months?: number; days?: number; micros?: bigint }
    return `${months} months ${days} days ${micros} microseconds`
  }
  return typeof value === 'bigint' ? String(value) : value
}

function compareRows(
  where: string,
  found: readonly Record<string, unknown>[],
  expected: readonly Record<string, unknown>[],
): number {
  const key = (row: Record<string, unknown>) => JSON.stringify([row.k ?? null, row.h ?? null, plain(row.level ?? null)])
  const rest = new Map(expected.map(row => [key(row), row]))
  if (found.length !== expected.length) throw new Error(`${where}: ${found.length} rows, expected ${expected.length}`)
  for (const row of found) {
    const other = rest.get(key(row))
    if (other === undefined) throw new Error(`${where}: PostgreSQL has no row ${key(row)}`)
    for (const [name, value] of Object.entries(row)) {
      const texts = typeof value === 'string' && typeof other[name] === 'string'
      if (texts ? value === other[name] : same(plain(value), plain(other[name]))) continue
      throw new Error(
        `${where}, group ${key(row)}, ${name}: found ${String(value)}, PostgreSQL has ${String(other[name])}`,
      )
    }
  }
  return found.length
}
