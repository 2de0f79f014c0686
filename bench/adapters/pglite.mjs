// @electric-sql/pglite (PostgreSQL compiled to WebAssembly), in memory.
//  pglite-pg_ivm: the pg_ivm extension maintains the view (create_immv)
//  pglite-live:   live.incrementalQuery, PGlite's own live query: it runs the
//                 query again after each commit and diffs two result tables
import { PGlite } from '@electric-sql/pglite'

export const pkg = '@electric-sql/pglite'

export const variants = {
  'pglite-pg_ivm': {
    supports: ['W1', 'W2', 'W3', 'W4', 'W5'],
    why: { W6: 'pg_ivm refuses window functions, LIMIT and LATERAL top-k', W7: 'pg_ivm refuses WITH RECURSIVE' },
  },
  'pglite-live': {
    supports: ['W1', 'W2', 'W3', 'W4', 'W5', 'W6'],
    why: { W7: 'a live query needs one key column; the pairs have two' },
  },
}

const EVENTS = `CREATE TABLE events(id bigint PRIMARY KEY, "user" int NOT NULL, kind int NOT NULL, amount double precision NOT NULL, ts bigint NOT NULL);`
const ORDERS = `CREATE TABLE orders(id bigint PRIMARY KEY, customer_id int NOT NULL, amount double precision NOT NULL);`
const CUSTOMERS = `CREATE TABLE customers(id int PRIMARY KEY, region int NOT NULL);`

const WL = {
  W1: {
    base: EVENTS,
    view: `SELECT id, "user", amount * 2 AS amount2 FROM events WHERE kind = 3 AND amount > 500`,
    cols: ['id', 'user', 'amount2'],
    key: 'id',
  },
  W2: {
    base: EVENTS,
    view: `SELECT "user" AS usr, COUNT(*) AS n, SUM(amount) AS s FROM events GROUP BY "user"`,
    cols: ['usr', 'n', 's'],
    key: 'usr',
  },
  W3: {
    base: ORDERS + CUSTOMERS,
    index: `CREATE INDEX ON orders(customer_id);`,
    view: `SELECT o.id, c.region, o.amount FROM orders o JOIN customers c ON o.customer_id = c.id`,
    after: `CREATE INDEX ON v(id);`,
    cols: ['id', 'region', 'amount'],
    key: 'id',
  },
  W4: {
    base: ORDERS + CUSTOMERS,
    index: `CREATE INDEX ON orders(customer_id);`,
    view: `SELECT c.region, COUNT(*) AS n, SUM(o.amount) AS s FROM orders o JOIN customers c ON o.customer_id = c.id GROUP BY c.region`,
    cols: ['region', 'n', 's'],
    key: 'region',
  },
  W5: {
    base: EVENTS,
    index: `CREATE INDEX ON events("user", amount);`,
    view: `SELECT "user" AS usr, MIN(amount) AS mn, MAX(amount) AS mx FROM events GROUP BY "user"`,
    cols: ['usr', 'mn', 'mx'],
    key: 'usr',
  },
  W6: {
    base: ORDERS,
    index: `CREATE INDEX ON orders(customer_id, amount DESC, id);`,
    view: `SELECT customer_id, id, amount FROM (
      SELECT *, ROW_NUMBER() OVER (PARTITION BY customer_id ORDER BY amount DESC, id) AS r FROM orders) t WHERE r <= 3`,
    cols: ['customer_id', 'id', 'amount'],
    key: 'id',
  },
}

const copyLine = {
  events: r => `${r.id}\t${r.user}\t${r.kind}\t${r.amount}\t${r.ts}\n`,
  orders: r => `${r.id}\t${r.customer_id}\t${r.amount}\n`,
  customers: r => `${r.id}\t${r.region}\n`,
}

export async function create(w, variant) {
  const isLive = variant === 'pglite-live'
  const extensions = {}
  if (isLive) extensions.live = (await import('@electric-sql/pglite/live')).live
  else extensions.pg_ivm = (await import('@electric-sql/pglite-pg_ivm')).pg_ivm
  const pg = await PGlite.create({ extensions })
  if (!isLive) await pg.exec('CREATE EXTENSION pg_ivm')
  const wl = WL[w.name]
  await pg.exec(wl.base)
  const table = w.shape === 'events' ? 'events' : 'orders'

  const pick = (rows, f) => rows.map(f)
  const insertMany = async (tx, name, rows) => {
    if (rows.length === 0) return
    if (rows.length >= 200) {
      let text = ''
      const line = copyLine[name]
      for (const r of rows) text += line(r)
      await tx.query(`COPY ${name} FROM '/dev/blob'`, [], { blob: new Blob([text]) })
    } else if (name === 'events') {
      await tx.query(
        'INSERT INTO events SELECT * FROM unnest($1::bigint[], $2::int[], $3::int[], $4::float8[], $5::bigint[])',
        [
          pick(rows, r => r.id),
          pick(rows, r => r.user),
          pick(rows, r => r.kind),
          pick(rows, r => r.amount),
          pick(rows, r => r.ts),
        ],
      )
    } else if (name === 'orders') {
      await tx.query('INSERT INTO orders SELECT * FROM unnest($1::bigint[], $2::int[], $3::float8[])', [
        pick(rows, r => r.id),
        pick(rows, r => r.customer_id),
        pick(rows, r => r.amount),
      ])
    } else {
      await tx.query('INSERT INTO customers SELECT * FROM unnest($1::int[], $2::int[])', [
        pick(rows, r => r.id),
        pick(rows, r => r.region),
      ])
    }
  }
  const write = b =>
    pg.transaction(async tx => {
      if (b.del.length) await tx.query(`DELETE FROM ${table} WHERE id = ANY($1::bigint[])`, [pick(b.del, r => r.id)])
      await insertMany(tx, 'customers', b.custIns)
      await insertMany(tx, table, b.ins)
      if (b.custUpd.length) {
        await tx.query(
          'UPDATE customers SET region = u.region FROM unnest($1::int[], $2::int[]) AS u(id, region) WHERE customers.id = u.id',
          [pick(b.custUpd, u => u.new.id), pick(b.custUpd, u => u.new.region)],
        )
      }
    })

  let current = []
  let handle
  let wake
  const makeView = async () => {
    if (wl.index) await pg.exec(wl.index)
    await pg.exec('ANALYZE')
    if (isLive) {
      handle = await pg.live.incrementalQuery({
        query: `${wl.view} ORDER BY ${wl.key}`,
        params: [],
        key: wl.key,
        callback: r => {
          current = r.rows
          wake?.()
        },
      })
    } else {
      await pg.query(`SELECT pgivm.create_immv('v', $1)`, [wl.view])
      if (wl.after) await pg.exec(wl.after)
      await pg.exec('ANALYZE v')
    }
  }
  const apply = isLive
    ? async b => {
        const done = new Promise(resolve => (wake = resolve))
        await write(b)
        await done
      }
    : write
  const first = w.name === 'W1'
  if (first) await makeView()
  return {
    load: first ? apply : write,
    loaded: first ? undefined : makeView,
    loadMode: first ? 'maintained per batch' : 'bulk, then the view is created',
    apply,
    rows: async () => {
      if (isLive) {
        await handle.refresh()
        return current.map(r => wl.cols.map(c => Number(r[c])))
      }
      const res = await pg.query(`SELECT ${wl.cols.map(c => `"${c}"`).join(', ')} FROM v`)
      return res.rows.map(r => wl.cols.map(c => Number(r[c])))
    },
    close: () => pg.close(),
  }
}
