/**
 * Joins next to PostgreSQL's (PGlite, in this process) on random tables with duplicates, NULLs and NaN, after insertions
 * and deletions: all kinds, over equalities (`=` and IS NOT DISTINCT FROM), ranges, intervals and other conditions, and
 * as-of joins next to the lateral query that they mean.
 *
 * PostgreSQL has FULL JOIN over plain equalities only; the others are put together there from a left join and NOT EXISTS.
 */
import type { PGlite } from '@electric-sql/pglite'
import { Prng } from '../../src/base/prng.js'
import type { ColumnExpr, Expr } from '../../src/circuit/expr.js'
import type { AsOfRel, JoinRel, Rel } from '../../src/circuit/rel.js'
import { open, type TypeName, type Value } from '../../src/index.js'
import { decimalOf } from '../../src/schema/types.js'
import * as n from '../../src/testing/nodes.js'
import { emptyPostgres } from '../pglite.js'

const COLUMNS = [
  ['k', 'i32', 'int4'],
  ['s', 'string', 'text COLLATE "C"'],
  ['a', 'i64', 'int8'],
  ['b', 'i64', 'int8'],
  ['d', 'date', 'date'],
  ['x', 'f64', 'float8'],
  ['m', decimalOf(10, 2), 'numeric(10,2)'],
] as const satisfies readonly (readonly [string, TypeName, string])[]
type Name = (typeof COLUMNS)[number][0]
const NAMES = COLUMNS.map(([name]) => name)

const tables = (['l', 'r'] as const).map(name =>
  n.table(
    name,
    COLUMNS.map(([column, type]) => [column, type, column !== 'a']),
    ['a'],
  ),
)
const [left, right] = tables.map(n.source) as [Rel, Rel]

const side = (input: 0 | 1): Rel => (input === 0 ? left : right)
const column = (name: Name, input: 0 | 1): ColumnExpr => {
  const at = NAMES.indexOf(name)
  return n.column(side(input).schema, at, input, side(input).schema.columns[at].nullable)
}

/** A condition, as an expression and as SQL. */
type Condition = readonly [expr: Expr, sql: string]

const SIGNS = { lt: '<', le: '<=', gt: '>', ge: '>=', ne: '<>' } as const

function comparison(random: Prng, a: Name, b: Name): Condition {
  const op = random.pick(['lt', 'le', 'gt', 'ge', 'ne'] as const)
  return [n.call(op, 'bool', column(a, 0), column(b, 1)), `l.${a} ${SIGNS[op]} r.${b}`]
}

const and = ([a, x]: Condition, [b, y]: Condition): Condition => [n.call('and', 'bool', a, b), `${x} AND ${y}`]

/** What is not an equality: one range, a distance, a point in an interval, or what no index helps with. */
function residual(random: Prng): Condition {
  const near = (from: 'addSaturated' | 'subSaturated'): Expr => n.fn(from, 'i64', column('a', 0), n.literal('i64', 2n))
  switch (random.below(5)) {
    case 0: {
      const by = random.pick(['b', 'd', 'x', 'm'] as const)
      return comparison(random, by, by)
    }
    case 1: {
      const low = n.call('le', 'bool', near('subSaturated'), column('b', 1))
      const high = n.call('ge', 'bool', near('addSaturated'), column('b', 1))
      return [n.call('and', 'bool', low, high), 'r.b BETWEEN l.a - 2 AND l.a + 2']
    }
    case 2: {
      const [from, to] = random.pick([
        ['a', 'b'],
        ['b', 'a'],
      ] as const)
      const low = n.call('le', 'bool', column(from, 1), column('b', 0))
      const high = n.call('lt', 'bool', column('b', 0), column(to, 1))
      return [n.call('and', 'bool', low, high), `r.${from} <= l.b AND l.b < r.${to}`]
    }
    case 3:
      return and(comparison(random, 'a', 'a'), comparison(random, 'x', 'x'))
    default:
      return comparison(random, 's', 's')
  }
}

interface JoinCondition {
  readonly on: readonly (readonly [Expr, Expr, boolean])[]
  readonly residual: Expr | null
  readonly sql: string
  /** Nothing but `=`. */
  readonly plain: boolean
}

function condition(random: Prng): JoinCondition {
  const keys = Array.from({ length: random.pick([0, 1, 1, 2]) }, () => random.pick(['k', 's', 'b', 'd', 'm'] as const))
  const safe = keys.map(() => random.chance(0.3))
  const rest = keys.length === 0 || random.chance(0.5) ? residual(random) : null
  const equal = keys.map((k, i) => `l.${k} ${safe[i] ? 'IS NOT DISTINCT FROM' : '='} r.${k}`)
  return {
    on: keys.map((k, i) => [column(k, 0), column(k, 1), safe[i]] as const),
    residual: rest?.[0] ?? null,
    sql: [...equal, ...(rest === null ? [] : [rest[1]])].join(' AND '),
    plain: rest === null && !safe.includes(true),
  }
}

interface Query {
  readonly rel: Rel
  readonly sql: string
}

/** Columns of both sides, or of the left one, as outputs and as SQL; `nulls` says whose may be NULL by the join. */
function outputs(inputs: readonly (0 | 1)[], nulls: readonly boolean[]): (readonly [string, ColumnExpr])[] {
  return inputs.flatMap(input =>
    NAMES.map((name, at) => {
      const { nullable } = side(input).schema.columns[at]
      return [`${'lr'[input]}${name}`, n.column(side(input).schema, at, input, nullable || nulls[input])] as const
    }),
  )
}

const text = (table: 'l' | 'r', name: Name): string =>
  name === 'd' ? `(${table}.d - DATE '1970-01-01')::text` : `${table}.${name}::text`
const listOf = (table: 'l' | 'r'): string => NAMES.map(name => text(table, name)).join(', ')
const NOTHING = NAMES.map(() => 'NULL').join(', ')

const KINDS = ['inner', 'left', 'right', 'full', 'semi', 'anti'] as const satisfies readonly JoinRel['type'][]

function joinQuery(random: Prng): Query {
  const type = random.pick(KINDS)
  const { on, residual: rest, sql, plain } = condition(random)
  const alone = type === 'semi' || type === 'anti'
  const nulls = [type === 'right' || type === 'full', type === 'left' || type === 'full']
  const rel = n.join(type, left, right, on, rest, outputs(alone ? [0] : [0, 1], alone ? [false, false] : nulls))
  if (alone) {
    const exists = `${type === 'anti' ? 'NOT ' : ''}EXISTS (SELECT FROM r WHERE ${sql})`
    return { rel, sql: `SELECT ${listOf('l')} FROM l WHERE ${exists}` }
  }
  const both = `${listOf('l')}, ${listOf('r')}`
  if (type === 'full' && !plain) {
    const unmatched = `SELECT ${NOTHING}, ${listOf('r')} FROM r WHERE NOT EXISTS (SELECT FROM l WHERE ${sql})`
    return { rel, sql: `SELECT ${both} FROM l LEFT JOIN r ON ${sql} UNION ALL ${unmatched}` }
  }
  return { rel, sql: `SELECT ${both} FROM l ${type.toUpperCase()} JOIN r ON ${sql}` }
}

/** The nearest row, of several the last in the order of all columns, NULL being least. */
function asOfQuery(random: Prng): Query {
  const type = random.pick(['inner', 'left'] as const)
  const op: AsOfRel['op'] = random.pick(['le', 'lt', 'ge', 'gt'] as const)
  const time = random.pick(['a', 'b', 'd', 'x'] as const)
  const keys = Array.from({ length: random.below(3) }, () => random.pick(['k', 's', 'm'] as const))
  const equalities = keys.map(k => ({ k, nullSafe: random.chance(0.5) }))
  const on = equalities.map(({ k, nullSafe }) => [column(k, 0), column(k, 1), nullSafe] as const)
  const rel = n.asOf(type, op, left, right, on, [column(time, 0), column(time, 1)], outputs([0, 1], [false, true]))
  const equal = equalities.map(({ k, nullSafe }) => `l.${k} ${nullSafe ? 'IS NOT DISTINCT FROM' : '='} r.${k}`)
  const where = [...equal, `r.${time} ${SIGNS[op]} l.${time}`].join(' AND ')
  const nearest = `r.${time} ${op === 'le' || op === 'lt' ? 'DESC' : 'ASC'}`
  const order = [nearest, ...NAMES.map(name => `r.${name} DESC NULLS LAST`)].join(', ')
  const lateral = `LATERAL (SELECT * FROM r WHERE ${where} ORDER BY ${order} LIMIT 1) r ON true`
  const kind = type === 'left' ? 'LEFT JOIN' : 'JOIN'
  return { rel, sql: `SELECT ${listOf('l')}, ${listOf('r')} FROM l ${kind} ${lateral}` }
}

type Row = Record<Name, Value>

function randomRow(random: Prng): Row {
  const orNull = <T extends Value>(value: T): T | null => (random.chance(0.15) ? null : value)
  return {
    k: orNull(random.below(4)),
    s: orNull(random.pick(['', 'a', 'B', 'é', 'ab', 'a longer text than fits a cell'])),
    a: BigInt(random.below(12)),
    b: orNull(BigInt(random.below(12))),
    d: orNull(random.below(5) - 2),
    x: orNull(random.pick([0, 1, -2.5, Number.NaN, Number.POSITIVE_INFINITY])),
    m: orNull(random.pick(['0.00', '1.50', '-99999999.99'])),
  }
}

/** Rows of both tables, and what PostgreSQL knows them by. */
interface Held {
  readonly id: number
  readonly table: 0 | 1
  readonly row: Row
}

/** Compares `queries` joins, half as many of them as-of joins, a table; gives the number of rows compared. */
export async function compareJoins(seed: number, cases: number, queries = 40, changes = 30): Promise<number> {
  const pg = await emptyPostgres()
  const list = COLUMNS.map(([name, , type]) => `${name} ${type}`).join(', ')
  await pg.exec(`CREATE TABLE l (id int, ${list}); CREATE TABLE r (id int, ${list})`)
  let compared = 0
  for (let c = 0; c < cases; c++) compared += await oneCase(pg, seed + c, queries, changes)
  return compared
}

async function oneCase(pg: PGlite, seed: number, count: number, changes: number): Promise<number> {
  const random = new Prng(seed)
  await pg.exec('DELETE FROM l; DELETE FROM r')
  const db = open()
  const queries = Array.from({ length: count }, (_, i) => (i % 3 === 2 ? asOfQuery(random) : joinQuery(random)))
  const views = queries.map(({ rel }, i) => db.createView(n.view(`v${i}`, rel) as never))
  const held: Held[] = []
  let [nextId, compared] = [0, 0]
  for (let step = 0; step < 3; step++) {
    const gone = Array.from({ length: Math.floor(held.length / 3) }, () => held.splice(random.below(held.length), 1)[0])
    const come = Array.from({ length: random.below(changes) + 5 }, (): Held => {
      // Equal rows, now and then.
      const row = held.length > 0 && random.chance(0.15) ? random.pick(held).row : randomRow(random)
      return { id: nextId++, table: random.pick([0, 1] as const), row }
    })
    held.push(...come)
    db.transact(tx => {
      for (const { table, row } of gone) tx.delete(tables[table] as never, row as never)
      for (const { table, row } of come) tx.insert(tables[table] as never, row as never)
    })
    await change(pg, gone, come)
    for (const [i, { sql }] of queries.entries()) {
      const { rows } = await pg.query<(string | null)[]>(sql, [], { rowMode: 'array' })
      const found = views[i].rows().map(row => JSON.stringify(Object.values(row as Row).map(plain)))
      expectSame(
        `seed ${seed}, step ${step}: ${sql}`,
        found,
        rows.map(row => JSON.stringify(row)),
      )
      compared += rows.length
    }
  }
  db.close()
  return compared
}

const plain = (value: Value): string | null => (value === null ? null : String(value))

async function change(pg: PGlite, gone: readonly Held[], come: readonly Held[]): Promise<void> {
  for (const table of [0, 1] as const) {
    const ids = gone.filter(h => h.table === table).map(h => h.id)
    await pg.query(`DELETE FROM ${'lr'[table]} WHERE id = ANY($1)`, [ids])
    const tuples = come
      .filter(h => h.table === table)
      .map(({ id, row }) => `(${[id, ...NAMES.map(c => literal(c, row[c]))]})`)
    if (tuples.length > 0) await pg.exec(`INSERT INTO ${'lr'[table]} VALUES ${tuples.join(', ')}`)
  }
}

function literal(name: Name, value: Value): string {
  if (value === null) return 'NULL'
  if (name === 'd') return `DATE '1970-01-01' + (${value})`
  return typeof value === 'string' || name === 'x' ? `'${value}'` : String(value)
}

/** The same rows as often. */
function expectSame(where: string, found: readonly string[], expected: readonly string[]): void {
  const counts = new Map<string, number>()
  for (const row of found) counts.set(row, (counts.get(row) ?? 0) + 1)
  for (const row of expected) counts.set(row, (counts.get(row) ?? 0) - 1)
  for (const [row, count] of counts) {
    if (count !== 0)
      throw new Error(`${where}\n${count > 0 ? 'found too often' : 'missing'}, ${Math.abs(count)} times: ${row}`)
  }
}
