// Opening a directory with six views, of more and more rows: it costs by the
// end of the log that has to be replayed, which is empty here, and not by the rows.
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { open } from '../../dist/src/index.js'
import { inDirectory } from '../lib/directory.mjs'
import { median, plain, ratioAtMost, seconds } from '../storage/figures.mjs'
import { BATCH, define, ordersOf, views } from './data.mjs'

const MOST = 2
const TIMES = 9
const COLD = 3

export async function reopen(quick, apart) {
  const sizes = quick ? [20_000, 200_000] : [100_000, 2_000_000, 10_000_000]
  const figures = []
  let first
  for (const rows of sizes) {
    const { warm, cold, bytes, shards } = apart({ reopenOf: rows })
    first ??= { warm, cold }
    const note = `${shards} shards, ${(bytes / 2 ** 20).toFixed(0)} MiB`
    const name = `${rows.toLocaleString('en')} rows`
    if (rows === sizes[0]) {
      figures.push(plain(`reopen, ${name}`, warm * 1000, 'ms', note), plain('  in a new process', cold * 1000, 'ms'))
      continue
    }
    const against = `${sizes[0].toLocaleString('en')} rows`
    figures.push(
      ratioAtMost(`reopen, ${name}`, warm * 1000, 'ms', warm / first.warm, MOST, against, note),
      ratioAtMost('  in a new process', cold * 1000, 'ms', cold / first.cold, MOST, against),
    )
  }
  return figures
}

/** In a process of its own: loads that many rows, closes, and opens again and again. */
export function reopenOf(rows, apart) {
  return inDirectory('gnitz-bench-durable-', async directory => {
    const db = await open(directory, { durability: 'none' })
    await define(db)
    for (let from = 0; from < rows; from += BATCH) {
      await db.ingest('orders', { columns: ordersOf(from, Math.min(rows, from + BATCH)) })
    }
    await db.close()
    const warm = []
    for (let n = 0; n < TIMES; n++) warm.push(await openOnce(directory, rows))
    const cold = Array.from({ length: COLD }, () => apart({ openOf: { directory, rows } }))
    const files = readdirSync(directory)
    return {
      warm: median(warm),
      cold: median(cold),
      bytes: files.reduce((sum, file) => sum + statSync(join(directory, file)).size, 0),
      shards: files.filter(file => file.startsWith('shard')).length,
    }
  })
}

/** Seconds to open; what is there is looked at afterwards. */
export async function openOnce(directory, rows) {
  let db
  const spent = await seconds(async () => {
    db = await open(directory)
  })
  const found = db
    .view('by_kind')
    .rows()
    .reduce((sum, row) => sum + Number(row.orders), 0)
  const all = db.views.length
  await db.close()
  if (found !== rows || all !== views.length)
    throw new Error(`reopen: expected ${rows} rows in ${views.length} views, found ${found} in ${all}`)
  return spent
}
