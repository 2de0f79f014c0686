// Writing: ingestion without waiting for the disk against a plain write of the
// same bytes, and transactions that wait against the bare sync.
import { closeSync, fdatasyncSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import {
  ascending,
  BATCH,
  deltaOf,
  inDirectory,
  NotingEnv,
  openStorage,
  ROW_BYTES,
  rowsOf,
  scattered,
} from './data.mjs'
import { atLeast, inTurns, median, plain, ratioAtLeast, ratioOnly, seconds } from './figures.mjs'

const LEAST_ROWS = 1_500_000
const PLAIN_FACTOR = 3
const SYNC_FACTOR = 1.3
const CALLERS = 64

/** Ingestion of rows with ids in any order; of ids that ascend; and from row objects, arranged inside the clock. */
export async function ingest(quick) {
  const rows = quick ? 400_000 : 4_000_000
  return [
    ...(await ingestOne('ingest', rows, scattered, false)),
    ...(await ingestOne('ingest, ascending ids', rows, ascending, false)),
    ...(await ingestOne('ingest, from row objects', rows, scattered, true)),
  ]
}

async function ingestOne(name, rows, idOf, fromObjects) {
  let notes = []
  const gnitz = () =>
    inDirectory(async directory => {
      const env = new NotingEnv()
      const { storage, table } = await openStorage(directory, { env })
      env.notes.length = 0
      let spent = 0
      for (let i = 0; i < rows; i += BATCH) {
        const objects = rowsOf(i, i + BATCH, idOf)
        const prepared = fromObjects ? null : deltaOf(objects)
        spent += await seconds(() => storage.commit([{ table, delta: prepared ?? deltaOf(objects) }]).durable)
      }
      notes = [...env.notes]
      await storage.close()
      return spent
    })
  const turns = { gnitz, plain: () => plainWrite(notes) }
  const found = await inTurns(3, turns)
  const bytes = notes.reduce((sum, n) => sum + Math.max(n, 0), 0)
  const note = `${(bytes / rows).toFixed(0)} bytes written a row, of ${ROW_BYTES}`
  return [
    atLeast(name, rows / found.gnitz, 'rows/s', LEAST_ROWS),
    ratioAtLeast(
      `${name}: bytes`,
      bytes / found.gnitz / 1e6,
      'MB/s',
      found.plain / found.gnitz,
      1 / PLAIN_FACTOR,
      'a plain write',
      note,
    ),
  ]
}

/** The same writes and syncs, one after the other to one file. */
function plainWrite(notes) {
  return inDirectory(directory => {
    const bytes = Buffer.alloc(Math.max(...notes), 1)
    const fd = openSync(join(directory, 'plain'), 'w')
    const spent = seconds(() => {
      for (const length of notes) {
        if (length < 0) fdatasyncSync(fd)
        else writeSync(fd, bytes, 0, length)
      }
    })
    closeSync(fd)
    return spent
  })
}

/**
 * Transactions of one row, durable when acknowledged: one caller, and many at a time that share syncs. Many callers are
 * judged by their transactions; how the syncs of their groups follow each other is told besides.
 */
export async function commit(quick) {
  const rounds = quick ? 5 : 15
  return [...(await commitOne(1, rounds, 200)), ...(await commitOne(CALLERS, rounds, 100))]
}

async function commitOne(callers, rounds, each) {
  return inDirectory(async directory => {
    const env = new NotingEnv()
    const { storage, table } = await openStorage(directory, { env, durability: 'commit' })
    let next = 0
    const caller = async () => {
      for (let n = 0; n < each; n++) {
        const delta = deltaOf(rowsOf(next, ++next))
        await storage.commit([{ table, delta }]).durable
      }
    }
    const all = () => Promise.all(Array.from({ length: callers }, caller))
    await all()
    const path = join(directory, 'bare')
    const fd = openSync(path, 'w')
    env.notes.length = 0
    const ratios = []
    const rates = []
    for (let round = 0; round < rounds; round++) {
      const ours = await seconds(all)
      const writes = env.notes.filter(n => n >= 0)
      const length = Math.round((writes.reduce((a, b) => a + b, 0) / (callers * each)) * callers)
      const bytes = Buffer.alloc(length, 1)
      const bare = await seconds(() => {
        for (let n = 0; n < each; n++) {
          writeSync(fd, bytes, 0, length)
          fdatasyncSync(fd)
        }
      })
      env.notes.length = 0
      ratios.push(bare / ours)
      rates.push((callers * each) / ours)
    }
    closeSync(fd)
    rmSync(path)
    await storage.close()
    const found = median(rates)
    const ratio = median(ratios)
    if (callers === 1)
      return [ratioAtLeast('commit, 1 caller', found, 'tx/s', ratio, 1 / SYNC_FACTOR, 'write + fdatasync')]
    const name = `commit, ${callers} callers`
    return [
      ratioAtLeast(name, found, 'tx/s', ratio * callers, 1 / SYNC_FACTOR, 'write + fdatasync'),
      ratioOnly(`${name}: groups`, found / callers, 'groups/s', ratio, `a write of ${callers} + fdatasync`),
    ]
  })
}

/** Recovery of a log that no checkpoint has shortened, by the size of its transactions. */
export async function recovery(quick) {
  const rows = quick ? 200_000 : 2_000_000
  const figures = []
  for (const size of [BATCH, 100, 1]) {
    const count = size === 1 ? rows / 10 : rows
    const rate = await recoverOne(count, size)
    const name = `recovery, transactions of ${size.toLocaleString('en')}`
    figures.push(size === BATCH ? atLeast(name, rate, 'rows/s', 1e6) : plain(name, rate, 'rows/s'))
  }
  return figures
}

async function recoverOne(rows, size) {
  return inDirectory(async directory => {
    const options = { walBytes: 2 ** 40 }
    const { storage, table } = await openStorage(directory, options)
    for (let i = 0; i < rows; i += size) {
      const { durable } = storage.commit([{ table, delta: deltaOf(rowsOf(i, i + size)) }])
      if (i % BATCH === 0) await durable
    }
    await storage.close({ checkpoint: false })
    const times = []
    for (let run = 0; run < 3; run++) {
      let again
      times.push(
        await seconds(async () => {
          again = await openStorage(directory, options)
        }),
      )
      const found = again.storage.recovery.rows
      if (found !== rows) throw new Error(`recovery: expected ${rows} rows, found ${found}`)
      await again.storage.close({ checkpoint: false })
    }
    return rows / median(times)
  })
}
