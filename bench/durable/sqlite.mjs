// The same tables, indexes and views in gnitz and in better-sqlite3, both
// durable when a transaction is acknowledged: WAL and synchronous = FULL there,
// triggers that keep a table per view. What both hold is compared at the end.
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { open } from '../../dist/src/index.js'
import { inDirectory } from '../lib/directory.mjs'
import { median, ratioAtLeast, seconds } from '../storage/figures.mjs'
import { BATCH, define, ordersOf, rowAt, rowsOfCustomers, views } from './data.mjs'

const require = createRequire(import.meta.url)
const CACHE_KIB = 256 * 1024
const CHANGES = 1000

/** One table per view, and what keeps it: each trigger sees one row. `NEW` comes with sign 1, `OLD` with -1. */
const SCHEMA = `
CREATE TABLE customers (id INTEGER PRIMARY KEY, region TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE orders (id INTEGER PRIMARY KEY, customer INTEGER NOT NULL, kind INTEGER NOT NULL, amount INTEGER NOT NULL);
CREATE INDEX orders_customer ON orders (customer);
CREATE INDEX orders_kind ON orders (kind, amount);
CREATE TABLE large (id INTEGER PRIMARY KEY, customer INTEGER, amount INTEGER);
CREATE TABLE by_customer (customer INTEGER PRIMARY KEY, orders INTEGER, total INTEGER);
CREATE TABLE by_kind (kind INTEGER PRIMARY KEY, orders INTEGER, total INTEGER);
CREATE TABLE by_region (region TEXT PRIMARY KEY, orders INTEGER, total INTEGER) WITHOUT ROWID;
CREATE TABLE extremes (kind INTEGER PRIMARY KEY, least INTEGER, most INTEGER);
CREATE TABLE pairs (customer INTEGER, kind INTEGER, n INTEGER, PRIMARY KEY (customer, kind)) WITHOUT ROWID;
CREATE TRIGGER inserted AFTER INSERT ON orders BEGIN
  INSERT INTO large SELECT NEW.id, NEW.customer, NEW.amount WHERE NEW.amount > 9800;
  INSERT INTO by_customer VALUES (NEW.customer, 1, NEW.amount)
    ON CONFLICT DO UPDATE SET orders = orders + 1, total = total + excluded.total;
  INSERT INTO by_kind VALUES (NEW.kind, 1, NEW.amount)
    ON CONFLICT DO UPDATE SET orders = orders + 1, total = total + excluded.total;
  INSERT INTO by_region SELECT region, 1, NEW.amount FROM customers WHERE id = NEW.customer
    ON CONFLICT DO UPDATE SET orders = orders + 1, total = total + excluded.total;
  INSERT INTO extremes VALUES (NEW.kind, NEW.amount, NEW.amount)
    ON CONFLICT DO UPDATE SET least = min(least, excluded.least), most = max(most, excluded.most);
  INSERT INTO pairs VALUES (NEW.customer, NEW.kind, 1) ON CONFLICT DO UPDATE SET n = n + 1;
END;
CREATE TRIGGER deleted AFTER DELETE ON orders BEGIN
  DELETE FROM large WHERE id = OLD.id;
  UPDATE by_customer SET orders = orders - 1, total = total - OLD.amount WHERE customer = OLD.customer;
  DELETE FROM by_customer WHERE customer = OLD.customer AND orders = 0;
  UPDATE by_kind SET orders = orders - 1, total = total - OLD.amount WHERE kind = OLD.kind;
  DELETE FROM by_kind WHERE kind = OLD.kind AND orders = 0;
  UPDATE by_region SET orders = orders - 1, total = total - OLD.amount
    WHERE region = (SELECT region FROM customers WHERE id = OLD.customer);
  DELETE FROM by_region WHERE orders = 0 AND region = (SELECT region FROM customers WHERE id = OLD.customer);
  UPDATE extremes SET least = (SELECT min(amount) FROM orders WHERE kind = OLD.kind) WHERE kind = OLD.kind AND least = OLD.amount;
  UPDATE extremes SET most = (SELECT max(amount) FROM orders WHERE kind = OLD.kind) WHERE kind = OLD.kind AND most = OLD.amount;
  DELETE FROM extremes WHERE kind = OLD.kind AND least IS NULL;
  UPDATE pairs SET n = n - 1 WHERE customer = OLD.customer AND kind = OLD.kind;
  DELETE FROM pairs WHERE customer = OLD.customer AND kind = OLD.kind AND n = 0;
END;`

const QUERIES = {
  large: 'SELECT id, customer, amount FROM large',
  by_customer: 'SELECT customer, orders, total FROM by_customer',
  by_kind: 'SELECT kind, orders, total FROM by_kind',
  by_region: 'SELECT region, orders, total FROM by_region',
  extremes: 'SELECT kind, least, most FROM extremes',
  pairs: 'SELECT customer, kind FROM pairs',
}

async function openGnitz(directory) {
  const db = await open(join(directory, 'gnitz'), { checkpointMs: Number.POSITIVE_INFINITY })
  await define(db)
  db.createIndex('orders', 'customer', { on: ['customer'] })
  db.createIndex('orders', 'kind', { on: ['kind', 'amount'] })
  return {
    change: (inserted, deleted) =>
      db.transact(tx => {
        if (inserted.length > 0) tx.insert('orders', inserted)
        if (deleted.length > 0) tx.delete('orders', deleted)
      }),
    rows: name => db.view(name).rows(),
    close: () => db.close(),
  }
}

function openSqlite(directory) {
  const Database = require('better-sqlite3')
  const db = new Database(join(directory, 'sqlite.db'))
  db.pragma('journal_mode = WAL')
  db.pragma('synchronous = FULL')
  db.pragma(`cache_size = ${-CACHE_KIB}`)
  db.pragma(`mmap_size = ${2 ** 30}`)
  db.exec(SCHEMA)
  const customer = db.prepare('INSERT INTO customers VALUES (?, ?)')
  db.transaction(() => {
    for (const { id, region } of rowsOfCustomers()) customer.run(id, region)
  })()
  const insert = db.prepare('INSERT INTO orders VALUES (?, ?, ?, ?)')
  const remove = db.prepare('DELETE FROM orders WHERE id = ?')
  const change = db.transaction((inserted, deleted) => {
    for (const { id, customer, kind, amount } of inserted) insert.run(id, customer, kind, amount)
    for (const { id } of deleted) remove.run(id)
  })
  return { change, rows: name => db.prepare(QUERIES[name]).all(), close: () => db.close() }
}

/** The same transactions go to both, in turns. */
export function sqlite(quick) {
  const rows = quick ? 50_000 : 500_000
  const [batches, singles] = quick ? [10, 200] : [50, 2000]
  return inDirectory('gnitz-bench-durable-', async directory => {
    const engines = { gnitz: await openGnitz(directory), sqlite: openSqlite(directory) }
    const times = { load: {}, batch: {}, single: {} }
    const apply = async (kind, inserted, deleted) => {
      for (const [name, engine] of Object.entries(engines)) {
        times[kind][name] ??= []
        times[kind][name].push(await seconds(() => engine.change(inserted, deleted)))
      }
    }
    const objects = (from, to) => {
      const columns = ordersOf(from, to)
      return Array.from({ length: to - from }, (_, i) => rowAt(columns, i))
    }
    for (let at = 0; at < rows; at += BATCH) await apply('load', objects(at, at + BATCH), [])
    let next = rows
    for (let n = 0; n < batches; n++) {
      // Batches of the load are made again, so the rows are equal to those that are there.
      const from = (n * BATCH) % rows
      const first = Math.floor((n * BATCH) / rows) * (CHANGES / 2)
      const old = objects(from, from + BATCH).slice(first, first + CHANGES / 2)
      await apply('batch', objects(next, next + CHANGES / 2), old)
      next += CHANGES / 2
    }
    for (let n = 0; n < singles; n++) await apply('single', objects(next, ++next), [])
    for (const { schema } of views) compare(schema.name, engines)
    for (const engine of Object.values(engines)) await engine.close()
    return [
      against('load, 10,000 rows a transaction', times.load, BATCH, 'rows/s'),
      against('1,000 changes a transaction', times.batch, CHANGES, 'changes/s'),
      against('one row a transaction', times.single, 1, 'tx/s'),
    ]
  })
}

function against(name, { gnitz, sqlite }, size, unit) {
  const [ours, theirs] = [median(gnitz), median(sqlite)]
  const note = `better-sqlite3 ${(size / theirs).toFixed(0)} ${unit}`
  return ratioAtLeast(name, size / ours, unit, theirs / ours, 1, 'better-sqlite3', note)
}

function compare(name, { gnitz, sqlite }) {
  const text = rows =>
    rows
      .map(row =>
        Object.entries(row)
          .map(([k, v]) => `${k}=${v}`)
          .sort()
          .join(' '),
      )
      .sort()
  const [ours, theirs] = [text(gnitz.rows(name)), text(sqlite.rows(name))]
  const at = ours.findIndex((row, i) => row !== theirs[i])
  if (ours.length === theirs.length && at < 0) return
  throw new Error(
    `sqlite: view ${name}: expected ${theirs[at] ?? `${theirs.length} rows`}, found ${ours[at] ?? `${ours.length} rows`}`,
  )
}
