// Point look-ups in a table of four shards that all have to be asked.
import { Batch } from '../../dist/src/zset/batch.js'
import { Lcg } from '../lib/rng.mjs'
import { aim, deltaOf, inDirectory, layout, openStorage, probeOf, rowAt, rowsOf, scattered } from './data.mjs'
import { atLeast, median, plain } from './figures.mjs'

const SHARDS = 4
const LEAST_LOOKUPS = 500_000

export async function lookup(quick) {
  const rows = quick ? 400_000 : 5_000_000
  const figures = []
  await inDirectory(async directory => {
    const whole = { walBytes: 2 ** 40, memTableBytes: 2 ** 29, amplificationThreshold: SHARDS + 1 }
    const { storage, table } = await openStorage(directory, whole)
    const each = rows / SHARDS
    for (let s = 0; s < SHARDS; s++) {
      for (let i = s * each; i < (s + 1) * each; i += 50_000) {
        await storage.commit([{ table, delta: deltaOf(rowsOf(i, i + 50_000)) }]).durable
      }
      storage.checkpoint()
    }
    const found = table.stats().shards
    if (found !== SHARDS) throw new Error(`lookup: expected ${SHARDS} shards, found ${found}`)
    await storage.close()
    const note = `${rows / 1e6} M rows in ${SHARDS} shards, values read`
    for (const io of ['map', 'read']) {
      const again = await openStorage(directory, { ...whole, io })
      const count = quick ? 100_000 : 1_000_000
      const hits = median([1, 2, 3].map(run => lookUp(again.table, count, rows, run, true)))
      figures.push(atLeast(`look-ups, ${io}`, hits, '1/s', LEAST_LOOKUPS, note))
      const misses = median([1, 2, 3].map(run => lookUp(again.table, count, rows, run, false)))
      figures.push(plain(`look-ups of absent keys, ${io}`, misses, '1/s'))
      await again.storage.close()
    }
  })
  return figures
}

/** Look-ups a second of keys anywhere: of rows that are there, or of rows that are not. */
function lookUp(table, count, rows, seed, there) {
  const rng = new Lcg(seed)
  const ids = Array.from({ length: count }, () => scattered(there ? rng.below(rows) : rows + rng.below(rows)))
  const probe = probeOf()
  const out = new Batch(layout, 4)
  let hits = 0
  let sum = 0
  const start = performance.now()
  for (const id of ids) {
    aim(probe, id)
    if (table.get(probe, 0, out) === 0) continue
    hits++
    sum += rowAt(out, 0).amount
  }
  const spent = (performance.now() - start) / 1000
  if (hits !== (there ? count : 0) || !Number.isFinite(sum)) throw new Error(`lookup: found ${hits} of ${count}`)
  return count / spent
}
