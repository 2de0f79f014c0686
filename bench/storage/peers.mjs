// The stores that are compared, behind one interface: rows go in and come out
// as plain objects. `durable` asks for writes that are on disk when they are
// acknowledged; without it they are in the hands of the operating system.
//
//   { open(directory, durable) → store }
//   store: { batch(rows), single(row), settle(), get(id) → row, scan() → { count, sum }, range(id, n) → count, close() }
//
// Every call may return a promise. Each store uses what its makers recommend:
// prepared statements, a transaction per batch, caches that hold the table.
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { Batch } from '../../dist/src/zset/batch.js'
import { aim, deltaOf, layout, openStorage, probeOf, rowAt } from './data.mjs'

const require = createRequire(import.meta.url)
const CACHE_BYTES = 256 * 2 ** 20

const gnitz = {
  async open(directory, durable) {
    const { storage, table } = await openStorage(directory, { durability: durable ? 'commit' : 'none' })
    const probe = probeOf()
    const out = new Batch(layout, 4)
    const write = rows => storage.commit([{ table, delta: deltaOf(rows) }]).durable
    return {
      batch: write,
      single: row => write([row]),
      settle: () => storage.checkpoint(),
      get(id) {
        aim(probe, id)
        return table.get(probe, 0, out) === 0 ? undefined : rowAt(out, 0)
      },
      scan: () => sumOf(table.cursor(), Number.POSITIVE_INFINITY),
      range(id, n) {
        aim(probe, id)
        return sumOf(table.cursor({ from: probe }), n).count
      },
      close: () => storage.close(),
    }
  },
}

/** Reads up to n rows, each as an object. */
function sumOf(cursor, n) {
  let count = 0
  let sum = 0
  for (let batch = cursor.next(); batch !== null && count < n; batch = cursor.next()) {
    const last = Math.min(batch.length, n - count)
    for (let i = 0; i < last; i++) sum += digest(rowAt(batch, i))
    count += last
    if (count === n) break
  }
  cursor.close()
  return { count, sum }
}

const digest = row => row.amount + row.user + row.kind

const sqlite = {
  open(directory, durable) {
    const Database = require('better-sqlite3')
    const db = new Database(join(directory, 'events.db'))
    db.pragma('journal_mode = WAL')
    db.pragma(`synchronous = ${durable ? 'FULL' : 'OFF'}`)
    db.pragma(`cache_size = ${-CACHE_BYTES / 1024}`)
    db.pragma(`mmap_size = ${2 ** 30}`)
    db.exec('CREATE TABLE events (id INTEGER PRIMARY KEY, user INTEGER, kind INTEGER, amount REAL, ts INTEGER)')
    const insert = db.prepare('INSERT INTO events VALUES (?, ?, ?, ?, ?)')
    const one = db.prepare('SELECT id, user, kind, amount, ts FROM events WHERE id = ?')
    const all = db.prepare('SELECT id, user, kind, amount, ts FROM events ORDER BY id')
    const some = db.prepare('SELECT id, user, kind, amount, ts FROM events WHERE id >= ? ORDER BY id LIMIT ?')
    const single = row => insert.run(row.id, row.user, row.kind, row.amount, row.ts)
    return {
      batch: db.transaction(rows => rows.forEach(single)),
      single,
      settle: () => db.pragma('wal_checkpoint(TRUNCATE)'),
      get: id => one.get(id),
      scan() {
        let count = 0
        let sum = 0
        for (const row of all.iterate()) {
          count++
          sum += digest(row)
        }
        return { count, sum }
      },
      range(id, n) {
        let sum = 0
        const rows = some.all(id, n)
        for (const row of rows) sum += digest(row)
        return Number.isFinite(sum) ? rows.length : 0
      },
      close: () => db.close(),
    }
  },
}

const VALUE_BYTES = 4 + 1 + 8 + 8
const SCAN_ROWS = 1000

/** Keys of 8 bytes, most significant first, so that they are in order; values of 21. */
const level = {
  async open(directory, durable) {
    const { ClassicLevel } = require('classic-level')
    const encoding = { keyEncoding: 'buffer', valueEncoding: 'buffer' }
    const sizes = { cacheSize: CACHE_BYTES, writeBufferSize: 16 * 2 ** 20, compression: false }
    const db = new ClassicLevel(join(directory, 'level'), { ...encoding, ...sizes })
    await db.open()
    const options = { sync: durable }
    const read = async (iterator, n) => {
      let count = 0
      let sum = 0
      while (count < n) {
        const entries = await iterator.nextv(Math.min(SCAN_ROWS, n - count))
        if (entries.length === 0) break
        for (const [key, value] of entries) sum += digest(levelRow(key, value))
        count += entries.length
      }
      await iterator.close()
      return { count, sum }
    }
    return {
      batch(rows) {
        const batch = db.batch()
        for (const row of rows) batch.put(levelKey(row.id), levelValue(row))
        return batch.write(options)
      },
      single: row => db.put(levelKey(row.id), levelValue(row), options),
      settle: () => db.compactRange(levelKey(0), levelKey(2 ** 40)),
      get(id) {
        const key = levelKey(id)
        const value = db.getSync(key)
        return value === undefined ? undefined : levelRow(key, value)
      },
      scan: () => read(db.iterator({ highWaterMarkBytes: 2 ** 20 }), Number.POSITIVE_INFINITY),
      range: async (id, n) => (await read(db.iterator({ gte: levelKey(id), limit: n }), n)).count,
      close: () => db.close(),
    }
  },
}

function levelKey(id) {
  const key = Buffer.allocUnsafe(8)
  key.writeUInt32BE(id / 2 ** 32, 0)
  key.writeUInt32BE(id >>> 0, 4)
  return key
}

function levelValue({ user, kind, amount, ts }) {
  const value = Buffer.allocUnsafe(VALUE_BYTES)
  value.writeUInt32LE(user, 0)
  value[4] = kind
  value.writeDoubleLE(amount, 5)
  value.writeUInt32LE(ts >>> 0, 13)
  value.writeInt32LE(Math.floor(ts / 2 ** 32), 17)
  return value
}

function levelRow(key, value) {
  return {
    id: key.readUInt32BE(0) * 2 ** 32 + key.readUInt32BE(4),
    user: value.readUInt32LE(0),
    kind: value[4],
    amount: value.readDoubleLE(5),
    ts: value.readUInt32LE(13) + value.readInt32LE(17) * 2 ** 32,
  }
}

export const STORES = { gnitz, 'better-sqlite3': sqlite, 'classic-level': level }
