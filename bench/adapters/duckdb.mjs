// @duckdb/node-api, in memory, default settings (it uses every core).
// The query runs again after each batch; the result is fetched as column
// chunks and no row objects are made.
import { DuckDBInstance } from '@duckdb/node-api'

export const pkg = '@duckdb/node-api'

export const variants = {
  'duckdb-recompute': { supports: ['W1', 'W2', 'W3', 'W4', 'W5', 'W6', 'W7'] },
}

const EVENTS = `CREATE TABLE events(id BIGINT NOT NULL, "user" INTEGER NOT NULL, kind INTEGER NOT NULL, amount DOUBLE NOT NULL, ts BIGINT NOT NULL)`
const ORDERS = `CREATE TABLE orders(id BIGINT NOT NULL, customer_id INTEGER NOT NULL, amount DOUBLE NOT NULL)`
const CUSTOMERS = `CREATE TABLE customers(id INTEGER NOT NULL, region INTEGER NOT NULL)`

const WL = {
  W1: [[EVENTS], `SELECT id, "user", amount * 2 FROM events WHERE kind = 3 AND amount > 500`],
  W2: [[EVENTS], `SELECT "user", COUNT(*), SUM(amount) FROM events GROUP BY "user"`],
  W3: [[ORDERS, CUSTOMERS], `SELECT o.id, c.region, o.amount FROM orders o JOIN customers c ON o.customer_id = c.id`],
  W4: [
    [ORDERS, CUSTOMERS],
    `SELECT c.region, COUNT(*), SUM(o.amount) FROM orders o JOIN customers c ON o.customer_id = c.id GROUP BY c.region`,
  ],
  W5: [[EVENTS], `SELECT "user", MIN(amount), MAX(amount) FROM events GROUP BY "user"`],
  W6: [
    [ORDERS],
    `SELECT customer_id, id, amount FROM orders
    QUALIFY ROW_NUMBER() OVER (PARTITION BY customer_id ORDER BY amount DESC, id) <= 3`,
  ],
  W7: [
    ['CREATE TABLE edges(src INTEGER NOT NULL, dst INTEGER NOT NULL)'],
    `WITH RECURSIVE r(x, y) AS (SELECT src, dst FROM edges UNION SELECT r.x, e.dst FROM r JOIN edges e ON e.src = r.y) SELECT x, y FROM r`,
  ],
}

export async function create(w) {
  const instance = await DuckDBInstance.create(':memory:')
  const db = await instance.connect()
  const [ddl, query] = WL[w.name]
  for (const q of ddl) await db.run(q)
  const table = w.shape === 'events' ? 'events' : w.shape === 'edges' ? 'edges' : 'orders'

  const append = {
    events: (a, r) => {
      a.appendBigInt(BigInt(r.id))
      a.appendInteger(r.user)
      a.appendInteger(r.kind)
      a.appendDouble(r.amount)
      a.appendBigInt(BigInt(r.ts))
      a.endRow()
    },
    orders: (a, r) => {
      a.appendBigInt(BigInt(r.id))
      a.appendInteger(r.customer_id)
      a.appendDouble(r.amount)
      a.endRow()
    },
    edges: (a, r) => {
      a.appendInteger(r.src)
      a.appendInteger(r.dst)
      a.endRow()
    },
    customers: (a, r) => {
      a.appendInteger(r.id)
      a.appendInteger(r.region)
      a.endRow()
    },
  }
  const appendAll = async (name, rows) => {
    if (rows.length === 0) return
    const a = await db.createAppender(name)
    const put = append[name]
    for (const r of rows) put(a, r)
    a.flushSync()
    a.closeSync()
  }
  const write = async b => {
    await db.run('BEGIN')
    if (b.del.length) {
      if (w.shape === 'edges') {
        for (const r of b.del) await db.run(`DELETE FROM edges WHERE src = ${r.src} AND dst = ${r.dst}`)
      } else {
        await db.run(`DELETE FROM ${table} WHERE id IN (${b.del.map(r => r.id).join(',')})`)
      }
    }
    if (b.custUpd.length) {
      const values = b.custUpd.map(u => `(${u.new.id},${u.new.region})`).join(',')
      await db.run(
        `UPDATE customers SET region = u.region FROM (VALUES ${values}) u(id, region) WHERE customers.id = u.id`,
      )
    }
    await db.run('COMMIT')
    await appendAll('customers', b.custIns)
    await appendAll(table, b.ins)
  }
  let chunks = []
  const recompute = async () => {
    // Planned anew each time: a statement prepared on an empty table keeps that
    // table's statistics and returns wrong results later (seen in v1.5.6).
    const result = await db.run(query)
    chunks = await result.fetchAllChunks()
  }
  const apply = async b => {
    await write(b)
    await recompute()
  }
  return {
    load: w.name === 'W1' ? apply : write,
    loaded: w.name === 'W1' ? undefined : recompute,
    loadMode: w.name === 'W1' ? 'recomputed per batch' : 'bulk, then one query',
    apply,
    rows: () => chunks.flatMap(c => c.getRows()).map(r => r.map(Number)),
    close: () => db.closeSync(),
  }
}
