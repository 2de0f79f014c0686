/** Values in value logs: rows are what they were, compaction moves no value, and garbage goes. */
import { expect, test } from 'vitest'
import { kernelsOf } from '../../codegen/kernels.js'
import { CorruptionError, FormatError, GnitzError, IoError, UsageError } from '../../src/base/errors.js'
import { Prng } from '../../src/base/prng.js'
import { CountingEnv } from '../../src/env/counting.js'
import { SimulatedCrash, SimulatedEnv } from '../../src/env/simulated.js'
import { arrangedLayout } from '../../src/schema/schema.js'
import type { Tree } from '../../src/storage/tree.js'
import { verifyDirectory } from '../../src/storage/verify.js'
import { Batch } from '../../src/zset/batch.js'
import { decodeBytes } from '../../src/zset/strings.js'
import { contents, MODES, runOf, schemaOf, sumOf, type Weighted } from '../zset/support.js'
import {
  bytes,
  commit,
  DIRECTORY,
  DOCS,
  diskOf,
  docRow,
  filledDisk,
  longText,
  minus,
  openAt,
  optionsOf,
  plus,
  readAll,
} from './values-support.js'

const isLog = (path: string) => path.endsWith('.gnv')
const logBytes = (env: SimulatedEnv) =>
  env.files().reduce((sum, { path, bytes: { length } }) => (isLog(path) ? sum + length : sum), 0)

test.each(MODES)(
  '%s kernels: rows that tie in what pointers know, through cancellation, compaction, reopening',
  async mode => {
    const prng = new Prng(3)
    const env = new SimulatedEnv()
    const options = {
      kernelsOf: (layout: Parameters<typeof kernelsOf>[0]) => kernelsOf(layout, mode),
      memTableBytes: 9000,
    }
    let storage = await openAt(env, options)
    // Keys that are hashes of long values, and a descending column.
    const layout = arrangedLayout(
      schemaOf('texts', 'name:string', 'n:i32', 'note:bytes?'),
      [0],
      [{ index: 2, descending: true }],
    )
    storage.createTable(layout)
    let live: Weighted[] = []
    const rowOf = (): Weighted['row'] => {
      const length = prng.pick([3, 60, 64, 65, 300])
      const note = prng.pick([null, bytes('short'), bytes(longText(prng.below(3), 100 + prng.below(2)))])
      return [longText(prng.below(4), length), prng.below(2), note]
    }
    for (let step = 0; step < 60; step++) {
      const delta = Array.from({ length: 1 + prng.below(12) }, () =>
        live.length > 0 && prng.chance(0.5) ? minus(prng.pick(live).row) : plus(rowOf()),
      )
      commit(storage, delta, 'texts')
      live = contents(runOf(layout, [...live, ...delta]))
      if (prng.chance(0.15)) storage.checkpoint()
      if (prng.chance(0.1)) storage.compact()
      if (!prng.chance(0.1)) continue
      await storage.close({ checkpoint: prng.chance(0.5) })
      storage = await openAt(env, options)
    }
    expect(readAll(storage, 'texts')).toEqual(sumOf(live))
    const table = storage.table('texts') as Tree
    const out = new Batch(layout, 1)
    for (const { row } of live) {
      table.get(runOf(layout, [plus(row)]), 0, out)
      expect(sumOf(contents(out))).toEqual(sumOf(live.filter(r => r.row[0] === row[0])))
    }
    await storage.close()
    expect(env.files().some(file => isLog(file.path))).toBe(true)
    expect((await verifyDirectory(optionsOf(env, options))).faults).toEqual([])
  },
)

test('compaction reads and writes pointers, never values', async () => {
  const env = new CountingEnv(new SimulatedEnv())
  const storage = await openAt(env, { amplificationThreshold: 4, valueFileBytes: 1 << 20 })
  storage.createTable(DOCS)
  for (let part = 0; part < 4; part++) {
    const rows = Array.from({ length: 20 }, (_, n) => plus(docRow(n * 4 + part)))
    // The title of an earlier row changes: its long values have equal hashes in two records.
    commit(storage, rows)
    storage.checkpoint()
  }
  const expected = readAll(storage)
  const table = storage.table('docs') as Tree
  expect(table.stats().shards).toBe(4)
  env.reset()
  storage.compact()
  expect(table.stats().shards).toBe(1)
  expect(env.reads.filter(({ path }) => isLog(path))).toEqual([])
  // 80 rows of 72 bytes and two pointers each at most, against 6,000 bytes of values.
  expect(env.writtenBytes).toBeLessThan(80 * (72 + 2 * 64) + 1000)
  expect(readAll(storage)).toEqual(expected)
  await storage.close()
})

test('values are read when somebody looks at them', async () => {
  const env = new CountingEnv(await filledDisk(20))
  const storage = await openAt(env)
  const table = storage.table('docs') as Tree
  env.reset()
  const cursor = table.cursor()
  const batch = cursor.next() as Batch
  expect(batch.length).toBe(20)
  expect(env.bytesRead()).toBeGreaterThan(0)
  expect(env.reads.filter(({ path }) => isLog(path))).toEqual([])
  expect(decodeBytes(batch.lanes[2], 4 * 7, batch.heap)).toEqual(bytes(longText(7)))
  expect(new Set(env.reads.filter(({ path }) => isLog(path)).map(read => read.path)).size).toBe(1)
  cursor.close()
  // A row that was deleted: its key is found, its values are not read.
  commit(storage, [minus(docRow(8))])
  storage.checkpoint()
  env.reset()
  const out = new Batch(DOCS, 1)
  expect(table.get(runOf(DOCS, [plus(docRow(9))]), 0, out)).toBe(1)
  expect(contents(out)).toEqual([plus(docRow(9))])
  await storage.close()
})

test('garbage goes: a log of which little is live is emptied and removed, and a reader keeps what it sees', async () => {
  const env = new SimulatedEnv()
  const storage = await openAt(env, { amplificationThreshold: 2 })
  storage.createTable(DOCS, { policy: 'read-heavy' })
  const rows = (seed: number) => Array.from({ length: 12 }, (_, id) => docRow(id, seed * 100 + id))
  commit(storage, rows(0).map(plus))
  storage.checkpoint()
  const snapshot = (storage.table('docs') as Tree).snapshot()
  for (let seed = 1; seed <= 9; seed++) {
    commit(storage, [...rows(seed - 1).map(minus), ...rows(seed).map(plus)])
    storage.checkpoint()
    storage.compact()
    storage.checkpoint()
  }
  const { liveBytes, diskBytes } = storage.valueStats
  expect(liveBytes).toBe(17 * 4096)
  expect(readAll(storage)).toEqual(sumOf(rows(9).map(plus)))
  // The snapshot's file is still there: all of its rows can be read.
  expect(sumOf(...snapshot.runs().map(contents))).toEqual(sumOf(rows(0).map(plus)))
  expect(diskBytes).toBeGreaterThan(liveBytes * 2)
  snapshot.release()
  commit(storage, [plus(docRow(50))])
  storage.compact()
  storage.checkpoint()
  expect(logBytes(env)).toBe(storage.valueStats.diskBytes)
  expect(logBytes(env)).toBeLessThan(liveBytes * 2 + 64 * 1024 + 4096)
  await storage.close()
  expect((await verifyDirectory(optionsOf(env))).faults).toEqual([])
})

test('what a live ratio of 1 moves stays what it was', async () => {
  const env = await filledDisk(30, { valueFileBytes: 20_000 })
  const storage = await openAt(env, { valueLiveRatio: 1, valueFileBytes: 20_000 })
  const gone = [0, 7, 14, 21, 28].map(id => docRow(id))
  commit(storage, gone.map(minus))
  storage.checkpoint()
  for (let n = 0; n < 5; n++) {
    commit(storage, [plus(docRow(100 + n))])
    storage.checkpoint()
  }
  storage.compact()
  storage.checkpoint()
  const kept = [...Array(30).keys(), 100, 101, 102, 103, 104]
    .map(id => docRow(id))
    .filter(r => !gone.some(g => g[0] === r[0]))
  expect(readAll(storage)).toEqual(sumOf(kept.map(plus)))
  await storage.close()
  expect((await verifyDirectory(optionsOf(env))).faults).toEqual([])
})

test('values that a compaction under way has moved stay, whatever is published meanwhile', async () => {
  const env = new SimulatedEnv()
  const options = {
    valueLiveRatio: 1,
    valueFileBytes: 20_000,
    guardBytes: 500,
    windowRows: 2,
    amplificationThreshold: 2,
  }
  let storage = await openAt(env, options)
  const table = storage.createTable(DOCS)
  const rows = Array.from({ length: 40 }, (_, id) => plus(docRow(id)))
  for (let n = 0; n < 40; n += 10) {
    commit(storage, rows.slice(n, n + 10))
    storage.checkpoint()
  }
  const left = rows.filter((_, id) => id % 3 === 1)
  commit(
    storage,
    rows.filter(r => !left.includes(r)).map(r => minus(r.row)),
  )
  storage.checkpoint()
  let slices = 0
  while (!table.compact(1)) {
    storage.checkpoint()
    slices++
  }
  expect(slices).toBeGreaterThan(10)
  storage.checkpoint()
  expect(readAll(storage)).toEqual(sumOf(left))
  await storage.close()
  storage = await openAt(env, options)
  expect(readAll(storage)).toEqual(sumOf(left))
  await storage.close()
  expect((await verifyDirectory(optionsOf(env))).faults).toEqual([])
})

test('a power cut at any operation of a checkpoint loses nothing and leaves nothing behind', async () => {
  const first = await filledDisk(6)
  const start = first.files()
  const work = async (env: SimulatedEnv) => {
    const storage = await openAt(env, { amplificationThreshold: 2, valueFileBytes: 20_000 })
    commit(storage, [minus(docRow(1)), plus(docRow(40)), plus(docRow(41))])
    storage.checkpoint()
    storage.compact()
    await storage.close()
  }
  const whole = diskOf(start, f => f.bytes)
  await work(whole)
  const [before, after] = [
    [0, 1, 2, 3, 4, 5],
    [0, 2, 3, 4, 5, 40, 41],
  ].map(ids => sumOf(ids.map(id => plus(docRow(id)))))
  const total = whole.operations
  let cuts = 0
  for (let at = 1; at <= total; at += 3) {
    const env = diskOf(start, f => f.bytes)
    env.schedule.push({ at, fault: 'crash' })
    await work(env).catch(error => {
      if (!(error instanceof SimulatedCrash)) throw error
    })
    if (!env.crashed) continue
    cuts++
    const next = env.crash(new Prng(at))
    const storage = await openAt(next)
    const found = readAll(storage)
    expect([before, after]).toContainEqual(found)
    await storage.close()
    const { faults, notes } = await verifyDirectory(optionsOf(next))
    expect([...faults, ...notes]).toEqual([])
  }
  expect(cuts).toBeGreaterThan(10)
})

test('bytes behind the end, and logs that no manifest lists, go when the directory is opened', async () => {
  const disk = await filledDisk(4)
  const log = disk.files().find(({ path }) => isLog(path))
  const env = diskOf(disk.files(), ({ path, bytes: b }) => (isLog(path) ? new Uint8Array([...b, 1, 2, 3]) : b))
  env.plant(`${DIRECTORY}/vlog-00000000000000ff.gnv`, new Uint8Array(5000))
  const found = await verifyDirectory(optionsOf(env))
  expect(found.faults).toEqual([])
  expect(found.notes.map(note => note.problem)).toEqual([
    'bytes after the last checkpoint: a writer is at work, or a crash left them',
    'not in the manifest: a writer is at work on it, or a crash has left it',
  ])
  const storage = await openAt(env)
  expect(storage.recovery.leftovers).toEqual(['vlog-00000000000000ff.gnv'])
  await storage.close()
  expect(
    env
      .files()
      .filter(({ path }) => isLog(path))
      .map(f => f.bytes),
  ).toEqual([log?.bytes])
})

test('a sync that fails is made up for', async () => {
  const env = new SimulatedEnv()
  const storage = await openAt(env)
  storage.createTable(DOCS)
  commit(storage, [plus(docRow(1)), plus(docRow(2))])
  await storage.commit([]).durable
  env.rates = { ...env.rates, syncError: 1 }
  expect(() => storage.checkpoint()).toThrow(IoError)
  env.rates = { ...env.rates, syncError: 0 }
  const next = env.processCrash()
  const again = await openAt(next)
  again.checkpoint()
  expect(readAll(again)).toEqual(sumOf([plus(docRow(1)), plus(docRow(2))]))
  await again.close()
})

/** Opens, reads everything, and says what went wrong; null if every row is right. */
async function outcome(env: SimulatedEnv, expected: Map<string, bigint>): Promise<unknown> {
  try {
    const storage = await openAt(env)
    try {
      expect(readAll(storage)).toEqual(expected)
      return null
    } finally {
      await storage.close({ checkpoint: false })
    }
  } catch (error) {
    return error
  }
}

test('flipped bytes are found with file and place, by readers and by verify', async () => {
  const prng = new Prng(11)
  const disk = await filledDisk(6)
  const files = disk.files()
  const expected = sumOf([0, 1, 2, 3, 4, 5].map(id => plus(docRow(id))))
  const log = files.find(({ path }) => isLog(path)) as (typeof files)[number]
  let found = 0
  for (let n = 0; n < 100; n++) {
    const at = n < 40 ? 4096 + n : prng.below(log.bytes.length)
    const flipped = log.bytes.slice()
    flipped[at] ^= 1 << prng.below(8)
    const env = diskOf(files, f => (f === log ? flipped : f.bytes))
    const { faults } = await verifyDirectory(optionsOf(env))
    expect(faults[0]?.file).toBe(log.path)
    const error = await outcome(env, expected)
    if (error === null) continue
    found++
    expect(error instanceof CorruptionError || error instanceof FormatError ? error.file : error).toBe(log.path)
    expect((error as CorruptionError).offset).not.toBeNull()
  }
  expect(found).toBeGreaterThan(60)
})

test('logs and records that changed places, and logs that are short or gone, are found', async () => {
  const disk = await filledDisk(40, { valueFileBytes: 40_000 })
  const files = disk.files()
  const expected = sumOf(Array.from({ length: 40 }, (_, id) => plus(docRow(id))))
  const [a, b] = files.filter(({ path }) => isLog(path))
  const swapped = diskOf(files, f => (f === a ? b.bytes : f === b ? a.bytes : f.bytes))
  expect(String(await outcome(swapped, expected))).toMatch(
    /byte 16: expected the value log number \d+, found number \d+/,
  )
  const records = a.bytes.slice()
  records.set(a.bytes.subarray(8192, 12288), 4096)
  records.set(a.bytes.subarray(4096, 8192), 8192)
  const wrong = diskOf(files, f => (f === a ? records : f.bytes))
  expect(String(await outcome(wrong, expected))).toMatch(/expected the value of a pointer, found another/)
  expect((await verifyDirectory(optionsOf(wrong))).faults.length).toBeGreaterThan(0)
  const short = diskOf(files, f => (f === a ? f.bytes.slice(0, 9000) : f.bytes))
  expect(String(await outcome(short, expected))).toMatch(/expected \d+ bytes, found 9000 bytes/)
  const gone = diskOf(files, f => (f === a ? null : f.bytes))
  expect(String(await outcome(gone, expected))).toMatch(/found no such file/)
  expect((await verifyDirectory(optionsOf(gone))).faults.some(f => f.file === a.path)).toBe(true)
})

test('random changes to a log and a shard with pointers give rows or an error, nothing else', async () => {
  const prng = new Prng(12)
  const files = (await filledDisk(5)).files()
  for (let n = 0; n < 120; n++) {
    const victim = prng.pick(files.filter(({ path }) => /\.gn[vz]$/.test(path)))
    const changed = victim.bytes.slice()
    for (let k = 1 + prng.below(6); k > 0; k--) changed[prng.below(changed.length)] = prng.below(256)
    const env = diskOf(files, f =>
      f === victim ? changed.slice(0, prng.chance(0.2) ? prng.below(changed.length) : undefined) : f.bytes,
    )
    const error = await outcome(env, sumOf([0, 1, 2, 3, 4].map(id => plus(docRow(id)))))
    if (error !== null) expect(error).toBeInstanceOf(GnitzError)
  }
})

test('the threshold is an option of each table, and lasts', async () => {
  const env = new SimulatedEnv()
  const storage = await openAt(env, { valueThreshold: undefined })
  const layout = (name: string) => arrangedLayout(schemaOf(name, 'id:u64', 'text:string'), [0])
  for (const [name, valueThreshold] of [
    ['plain', undefined],
    ['low', 100],
    ['off', Infinity],
  ] as const) {
    storage.createTable(layout(name), { valueThreshold })
  }
  expect(() => storage.createTable(layout('odd'), { valueThreshold: 63 })).toThrow(UsageError)
  expect(() => storage.createTable(layout('low'), { valueThreshold: 200 })).toThrow(FormatError)
  await storage.close()
  const again = await openAt(env, { valueThreshold: 70 })
  for (const name of ['plain', 'low', 'off']) {
    commit(
      again,
      [1, 2].map(id => plus([BigInt(id), longText(id, id === 1 ? 200 : 5000)])),
      name,
    )
  }
  again.checkpoint()
  const records = (name: string) => again.table(name)?.entries[0].references?.[0].bytes
  expect(['plain', 'low', 'off'].map(records)).toEqual([8192, 4096 + 8192, undefined])
  for (const name of ['plain', 'low', 'off']) expect(readAll(again, name).size).toBe(2)
  await again.close()
  await expect(openAt(env, { valueThreshold: 12 })).rejects.toThrow('expected an integer from 64 on, or Infinity')
  await expect(openAt(env, { valueLiveRatio: 2 })).rejects.toThrow(UsageError)
})

test('a delta whose values are elsewhere is refused', async () => {
  const storage = await openAt(await filledDisk(3))
  const table = storage.table('docs') as Tree
  const cursor = table.cursor()
  const delta = cursor.next() as Batch
  expect(() => storage.commit([{ table, delta }])).toThrow(GnitzError)
  cursor.close()
  expect(readAll(storage)).toEqual(sumOf([0, 1, 2].map(id => plus(docRow(id)))))
  await storage.close()
})
