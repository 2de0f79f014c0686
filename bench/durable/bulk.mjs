// Loading with six views, and changes of a state that is larger than the
// memory it may take: in a directory against in memory.
import { join } from 'node:path'
import { open } from '../../dist/src/index.js'
import { inDirectory } from '../lib/directory.mjs'
import { Lcg } from '../lib/rng.mjs'
import { inTurns, ratioAtLeast, seconds } from '../storage/figures.mjs'
import { BATCH, define, ordersOf, rowAt } from './data.mjs'

const LOAD_SHARE = 0.6
const STATE_SHARE = 1 / 3
/** The state is so many times the memory for it. */
const TIMES_MEMORY = 4
/** Transactions that may wait for the disk. */
const AHEAD = 2

/** Batches of 10,000 rows as columns; every one is durable when the clock stops. */
export async function bulkLoad(quick) {
  const rows = quick ? 200_000 : 2_000_000
  const batches = batchesOf(rows)
  const run = db => seconds(() => ingest(db, batches))
  const found = await inTurns(quick ? 1 : 3, {
    memory: async () => {
      const db = open()
      await define(db)
      return run(db)
    },
    durable: () =>
      inDirectory('gnitz-bench-durable-', async directory => {
        const db = await open(directory)
        await define(db)
        const spent = await run(db)
        await db.close()
        return spent
      }),
  })
  const note = `in memory ${(rows / found.memory / 1000).toFixed(0)} k`
  return [
    ratioAtLeast(
      'load, six views',
      rows / found.durable,
      'rows/s',
      found.memory / found.durable,
      LOAD_SHARE,
      'in memory',
      note,
    ),
  ]
}

const batchesOf = rows =>
  Array.from({ length: Math.ceil(rows / BATCH) }, (_, n) => ordersOf(n * BATCH, Math.min(rows, (n + 1) * BATCH)))

async function ingest(db, batches) {
  const waiting = []
  for (const columns of batches) {
    waiting.push(db.ingest('orders', { columns }))
    if (waiting.length > AHEAD) await waiting.shift()
  }
  for (const commit of waiting) await commit
}

/** Transactions that insert 500 orders and delete 500 that came at random before. */
export async function largeState(quick) {
  const rows = quick ? 200_000 : 2_000_000
  const changes = quick ? 100 : 200
  const memory = open()
  await define(memory)
  await ingest(memory, batchesOf(rows))
  const bytes = stateBytes(memory)
  const budget = Math.floor(bytes / TIMES_MEMORY)
  return inDirectory('gnitz-bench-durable-', async directory => {
    const db = await open(join(directory, 'db'), { memory: budget })
    await define(db)
    await ingest(db, batchesOf(rows))
    db.checkpoint()
    let spent = { memory: 0, durable: 0 }
    const batches = changesOf(rows, changes)
    for (const [n, { inserted, deleted }] of batches.entries()) {
      const apply = database => () =>
        database.transact(tx => {
          tx.insert('orders', inserted)
          tx.delete('orders', deleted)
        })
      const [a, b] = [await seconds(apply(memory)), await seconds(apply(db))]
      // The first fifth warms up.
      if (n * 5 >= batches.length) spent = { memory: spent.memory + a, durable: spent.durable + b }
    }
    const per = (batches.length * 0.8 * 1000) / spent.durable
    const note = `${mb(bytes)} of state in ${mb(budget)}, in memory ${((batches.length * 0.8) / spent.memory).toFixed(0)} batches/s`
    await db.close()
    return [
      ratioAtLeast(
        'changes of a large state',
        per,
        'changes/s',
        spent.memory / spent.durable,
        STATE_SHARE,
        'in memory',
        note,
      ),
    ]
  })
}

const mb = bytes => `${(bytes / 2 ** 20).toFixed(0)} MiB`

function stateBytes(db) {
  const operators = db.views.flatMap(view => view.stats().operators)
  return [...new Map(operators.map(o => [o.id, o])).values()].reduce((sum, o) => sum + o.stateBytes, 0)
}

function changesOf(rows, count) {
  const rng = new Lcg(17)
  const fresh = ordersOf(rows, rows + count * 500)
  const gone = new Set()
  const old = new Map()
  const pick = () => {
    for (;;) {
      const i = rng.below(rows)
      if (gone.has(i)) continue
      gone.add(i)
      const first = i - (i % BATCH)
      if (!old.has(first)) old.set(first, ordersOf(first, Math.min(rows, first + BATCH)))
      return rowAt(old.get(first), i - first)
    }
  }
  return Array.from({ length: count }, (_, n) => ({
    inserted: Array.from({ length: 500 }, (_, i) => rowAt(fresh, n * 500 + i)),
    deleted: Array.from({ length: 500 }, pick),
  }))
}
