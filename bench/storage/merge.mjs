// Merging: transmutation of a MemTable and compaction of shards, in rows a
// second and in bytes against memcpy; and the memory that a compaction takes.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { loadChecksum } from '../../dist/src/base/checksum.js'
import { NodeEnv } from '../../dist/src/env/node.js'
import { boundOf, Compaction } from '../../dist/src/storage/compaction/compaction.js'
import { MemTable } from '../../dist/src/storage/memtable/memtable.js'
import { Shard } from '../../dist/src/storage/shard/reader.js'
import { writeShard } from '../../dist/src/storage/shard/writer.js'
import { loadStringHash } from '../../dist/src/storage/strings.js'
import { shardFile } from '../../dist/src/storage/types.js'
import { ValueLog } from '../../dist/src/storage/values/log.js'
import { ascending, BATCH, deltaOf, inDirectory, kernels, layout, ROW_BYTES, rowsOf, scattered } from './data.mjs'
import { atLeast, inTurns, ratioAtLeast, ratioAtMost, ratioOnly, seconds } from './figures.mjs'

const LEAST_ROWS = 10e6
const MEMCPY_PART = 0.4
const INPUTS = 4
const GROWTH = 1.25

/** Bytes of as many rows, copied to memory that is in use already, and to new memory. */
function copies(rows) {
  const from = new Uint8Array(rows * ROW_BYTES).fill(1)
  const to = new Uint8Array(rows * ROW_BYTES).fill(2)
  return {
    memcpy: () => seconds(() => to.set(from)),
    fresh: () => seconds(() => new Uint8Array(from.length).set(from)),
  }
}

function judged(name, rows, found) {
  const bandwidth = (rows * ROW_BYTES) / found.gnitz / 1e6
  return [
    atLeast(name, rows / found.gnitz, 'rows/s', LEAST_ROWS),
    ratioAtLeast(`${name}: bytes`, bandwidth, 'MB/s', found.memcpy / found.gnitz, MEMCPY_PART, 'memcpy'),
    ratioOnly(`${name}: bytes`, bandwidth, 'MB/s', found.fresh / found.gnitz, 'memcpy to new memory'),
  ]
}

/** A full MemTable to one batch laid out like a shard, and the same with the shard's file. */
export async function transmute(quick) {
  await Promise.all([loadChecksum(), loadStringHash()])
  const rows = Math.floor((16 * 2 ** 20) / ROW_BYTES / BATCH) * BATCH
  const figures = []
  for (const [name, idOf] of [
    ['transmute', scattered],
    ['transmute, ascending ids', ascending],
  ]) {
    const gnitz = () => {
      const table = new MemTable(kernels, { capacityBytes: 2 ** 30 })
      for (let i = 0; i < rows; i += BATCH) table.insert(deltaOf(rowsOf(i, i + BATCH, idOf)), BigInt(i + 1), true)
      table.seal()
      return seconds(() => table.transmute())
    }
    figures.push(...judged(name, rows, await inTurns(quick ? 5 : 15, { gnitz, ...copies(rows) })))
  }
  return figures
}

/** Writes `inputs` shards of `rows` rows each; returns their entries. */
function makeShards(directory, rows, idOf) {
  const env = new NodeEnv()
  return Array.from({ length: INPUTS }, (_, s) => {
    const batch = deltaOf(rowsOf(s * rows, (s + 1) * rows, idOf))
    const fileId = BigInt(s + 1)
    const summary = writeShard(env, join(directory, shardFile(fileId)), 1, batch, { sync: false })
    const lsn = BigInt(s + 1)
    return { ...summary, fileId, tableId: 1, level: 0, minLsn: lsn, maxLsn: lsn, weightBound: boundOf(batch) }
  })
}

/** A compaction of these shards, to be stepped. */
function compactionOf(env, directory, entries, io) {
  let next = BigInt(entries.length)
  const inputs = entries.map(entry => {
    const path = join(directory, shardFile(entry.fileId))
    return { entry, shard: Shard.open(new NodeEnv(), path, 1, layout, entry, io) }
  })
  const newFileId = () => ++next
  const separation = {
    values: new ValueLog({ env, directory, newFileId, keys: null, fileBytes: 2 ** 30, liveRatio: 0 }),
    tableId: 1,
    threshold: null,
    stale: new Set(),
  }
  const options = { env, directory, kernels, tableId: 1, inputs, level: 1, newFileId, separation, keys: null }
  const work = new Compaction(options)
  const release = () => {
    for (const { shard } of inputs) shard.release()
  }
  return { work, release }
}

/** An Env whose new files keep nothing: what is left of a compaction is its own work. */
class ForgetfulEnv extends NodeEnv {
  open(path, mode) {
    if (mode !== 'create') return super.open(path, mode)
    const nothing = () => {}
    return { path, size: () => 0, read: () => 0, write: nothing, truncate: nothing, sync: nothing, close: nothing }
  }
}

/** Four overlapping shards to guards: with the files it writes, and without. */
export async function compact(quick) {
  await loadChecksum()
  const rows = quick ? 100_000 : 1_000_000
  const figures = []
  for (const [name, idOf, Env] of [
    ['compact', scattered, NodeEnv],
    ['compact, writes left out', scattered, ForgetfulEnv],
    ['compact, ascending ids', ascending, NodeEnv],
  ]) {
    const total = rows * INPUTS
    const gnitz = () =>
      inDirectory(async directory => {
        const entries = makeShards(directory, rows, idOf)
        const env = new Env()
        const { work, release } = compactionOf(env, directory, entries, 'auto')
        const spent = await seconds(() => work.step(Number.POSITIVE_INFINITY))
        const found = work.outputs.reduce((sum, entry) => sum + entry.rowCount, 0)
        if (found !== total) throw new Error(`compact: expected ${total} rows, found ${found}`)
        release()
        return spent
      })
    figures.push(...judged(name, total, await inTurns(quick ? 3 : 5, { gnitz, ...copies(total) })))
  }
  return [...figures, ...(await limit(rows))]
}

/** The same merge by hand-written C, from memory to memory: what no compaction is likely to pass. */
function limit(rows) {
  const source = fileURLToPath(new URL('../limits/merge.c', import.meta.url))
  return inDirectory(directory => {
    const exe = join(directory, 'merge')
    execFileSync('gcc', ['-O3', '-march=native', '-o', exe, source])
    return [
      ['C in memory', scattered],
      ['C in memory, ascending ids', ascending],
    ].map(([name, idOf]) => {
      const [merged, copied] = execFileSync(exe, [String(rows), String(idOf(1))], { encoding: 'utf8' }).split(' ')
      const note = `${((rows * INPUTS * 1e3) / merged).toFixed(1)} M rows/s`
      const bandwidth = (rows * INPUTS * ROW_BYTES * 1e3) / merged
      return ratioOnly(`${name}: bytes`, bandwidth, 'MB/s', copied / merged, 'memcpy', note)
    })
  })
}

/** Big integers through JSON. */
const replace = (_, value) => (typeof value === 'bigint' ? { big: String(value) } : value)
const revive = (_, value) => (typeof value?.big === 'string' ? BigInt(value.big) : value)

/** One compaction in this process; returns how much memory it took at most, in bytes. */
export async function memoryOf({ directory, entries, io }) {
  await loadChecksum()
  const env = new NodeEnv()
  const { work, release } = compactionOf(env, directory, JSON.parse(entries, revive), io)
  globalThis.gc?.()
  const before = { tracked: tracked(), anonymous: anonymous() }
  const most = { tracked: 0, anonymous: 0 }
  let done = false
  while (!done) {
    done = work.step(1 << 16)
    most.tracked = Math.max(most.tracked, tracked() - before.tracked)
    most.anonymous = Math.max(most.anonymous, anonymous() - before.anonymous)
  }
  release()
  return most
}

function tracked() {
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

/** Memory of this process that is no file's; 0 where the system does not tell. */
function anonymous() {
  try {
    return Number(/RssAnon:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? 0) * 1024
  } catch {
    return 0
  }
}

/** Peak memory of a compaction of shards 1× and 8× as long. `apart` runs `memoryOf` in a process of its own. */
export async function memory(quick, apart) {
  await loadChecksum()
  const rows = quick ? 250_000 : 500_000
  const figures = []
  for (const io of ['map', 'read']) {
    const peaks = []
    for (const times of [1, 8]) {
      peaks.push(
        await inDirectory(directory => {
          const entries = JSON.stringify(makeShards(directory, rows * times, scattered), replace)
          return apart({ memoryOf: { directory, entries, io } })
        }),
      )
    }
    const [one, eight] = peaks
    for (const kind of ['tracked', 'anonymous']) {
      const name = `compaction memory, ${io}: ${kind === 'tracked' ? 'heap and buffers' : 'anonymous pages'}`
      const note = `${(one[kind] / 2 ** 20).toFixed(1)} MB for ${(rows * INPUTS) / 1e6} M rows`
      figures.push(
        ratioAtMost(name, eight[kind] / 2 ** 20, 'MB', eight[kind] / one[kind], GROWTH, 'for shards 8× as long', note),
      )
    }
  }
  return figures
}
