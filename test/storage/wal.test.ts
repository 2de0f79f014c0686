/** The log: what was appended comes back, in every mode, across segments, tables and openings. */
import { appendFileSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { CorruptionError, FormatError, GnitzError, IoError, NoSpaceError, UsageError } from '../../src/base/errors.js'
import { CountingEnv } from '../../src/env/counting.js'
import { NodeEnv } from '../../src/env/node.js'
import { arrangedLayout } from '../../src/schema/schema.js'
import { scanSegment } from '../../src/storage/wal/scan.js'
import { LogReader, readGroups } from '../../src/storage/wal/tail.js'
import type { Durability } from '../../src/storage/wal/wal.js'
import { Batch } from '../../src/zset/batch.js'
import { MODES, runOf, schemaOf } from '../zset/support.js'
import { MemoryEnv } from './wal-memory-env.js'
import {
  copyDirectory,
  fill,
  lineOf,
  lines,
  type Model,
  modelOf,
  newDirectory,
  openWal,
  PLAIN,
  Prng,
  randomGroup,
  randomPart,
  segmentsIn,
  TABLES,
  tablesOf,
} from './wal-support.js'

describe.each(MODES)('%s kernels', mode => {
  test.each<Durability>(['commit', 'interval', 'none'])('random transactions round-trip, %s', async durability => {
    const prng = new Prng(mode.length + durability.length)
    const dir = newDirectory()
    const options = { durability, intervalMs: 1, tableOf: tablesOf(mode), segmentBytes: 4000 }
    const written: Model[] = []
    for (let round = 0; round < 4; round++) {
      const { wal, groups } = openWal(dir, options)
      expect(lines(groups)).toEqual(lines(written))
      expect(wal.recovery).toMatchObject({ groups: written.length, lastLsn: wal.lastLsn, droppedBytes: 0, file: null })
      written.push(...(await fill(wal, written.length + 1, written.length + 15, prng)))
      if (round % 2 === 0) await wal.close()
      else if (durability === 'none') await wal.flush()
    }
    expect(segmentsIn(dir).length).toBeGreaterThan(3)
    const read = [...readGroups({ env: new NodeEnv(), dir, tableOf: tablesOf(mode), after: 0n })]
    expect(lines(read.map(modelOf))).toEqual(lines(written))
  })

  test('a transaction of many blocks comes back as one batch per table', async () => {
    const dir = newDirectory()
    const prng = new Prng(7)
    const { wal } = openWal(dir, { tableOf: tablesOf(mode) })
    const wide = new Batch(PLAIN, 60_000)
    for (let i = 0; i < wide.capacity; i++) {
      wide.keys[i] = BigInt(i)
      wide.columns[1][i] = i
      wide.columns[3][i] = i / 2
      wide.columns[2][i] = i & 1
    }
    wide.weights.fill(1n)
    wide.length = wide.capacity
    wide.order = 'consolidated'
    const parts = [{ tableId: 1, batch: wide }, randomPart(2, prng, 1).part, randomPart(3, prng, 40).part]
    wal.append(5n, parts)
    await wal.close()
    const blocks = [...scanSegment(new NodeEnv(), join(dir, segmentsIn(dir)[0]))]
    expect(blocks.length).toBeGreaterThan(4)
    expect(blocks.every(b => b.fault === null)).toBe(true)
    const groups = [...readGroups({ env: new NodeEnv(), dir, tableOf: tablesOf(mode), after: 0n })]
    expect(groups.map(g => g.lsn)).toEqual([5n])
    const [first, ...others] = groups[0].parts
    expect(lines([modelOf({ ...groups[0], parts: others })])).toEqual(
      lines([modelOf({ ...groups[0], parts: parts.slice(1) })]),
    )
    expect(first.tableId).toBe(1)
    expect(first.batch.length).toBe(wide.length)
    for (const region of ['keys', 'weights', 'nulls'] as const) {
      expect(first.batch[region].every((x, i) => x === wide[region][i])).toBe(true)
    }
    for (const c of [1, 2, 3]) {
      const [got, put] = [first.batch.columns[c], wide.columns[c]]
      expect(got.length).toBe(put.length)
      let same = true
      for (let i = 0; i < put.length; i++) same &&= got[i] === put[i]
      expect(same).toBe(true)
    }
  })
})

test('strings that are longer than a block', async () => {
  const dir = newDirectory()
  const layout = arrangedLayout(schemaOf('t', 'id:u64', 's:string', 'b:bytes'), [0])
  const tableOf = tablesOf('compiled', [layout])
  const rows = [1, 700_000, 2, 400_000, 5, 40_000, 40_000].map((n, i) => ({
    row: [BigInt(i), 'é'.repeat(n), new Uint8Array(n).fill(i)],
    weight: 1n,
  }))
  const batch = runOf(layout, rows)
  const { wal } = openWal(dir, { tableOf })
  wal.append(1n, [{ tableId: 1, batch }])
  wal.append(2n, [{ tableId: 1, batch: runOf(layout, []) }])
  await wal.close()
  const { groups } = openWal(dir, { tableOf })
  const group = (lsn: bigint, rows: Model['parts'][0]['rows']) => ({ lsn, parts: [{ tableId: 1, rows }] })
  expect(lines(groups)).toEqual(lines([group(1n, rows), group(2n, [])]))
})

test('opening and closing without writing changes nothing after the first time', async () => {
  const dir = newDirectory()
  const { wal } = openWal(dir)
  await wal.close()
  expect(segmentsIn(dir)).toEqual([])
  const next = openWal(dir)
  await fill(next.wal, 1, 3, new Prng(1))
  await next.wal.close()
  const path = join(dir, segmentsIn(dir)[0])
  const before = readFileSync(path)
  for (let i = 0; i < 3; i++) await openWal(dir).wal.close()
  expect(readFileSync(path).equals(before)).toBe(true)
  const last = openWal(dir)
  await fill(last.wal, 4, 4, new Prng(2))
  await last.wal.close()
  expect(openWal(dir).groups.map(g => g.lsn)).toEqual([1n, 2n, 3n, 4n])
})

test('what is in the shards is not replayed, whole segments of it are not read', async () => {
  const dir = newDirectory()
  const { wal } = openWal(dir, { segmentBytes: 2000 })
  const written = await fill(wal, 1, 40, new Prng(3))
  await wal.close()
  for (const after of [0n, 1n, 17n, 39n, 40n]) {
    const { wal, groups } = openWal(copyDirectory(dir), { afterLsn: after })
    expect(lines(groups)).toEqual(lines(written.filter(m => m.lsn > after)))
    expect(wal.lastLsn).toBe(40n)
  }
  const damaged = copyDirectory(dir)
  writeFileSync(join(damaged, segmentsIn(dir)[0]), 'nonsense')
  expect(openWal(damaged, { afterLsn: 38n }).groups.map(g => g.lsn)).toEqual([39n, 40n])
  expect(() => openWal(damaged, { endsAt: wal.end })).toThrow(CorruptionError)
})

test('transactions that are only in the shards leave a gap that a reader notices', async () => {
  const dir = newDirectory()
  const env = new NodeEnv()
  const tableOf = tablesOf('compiled')
  const { wal } = openWal(dir)
  await fill(wal, 1, 5, new Prng(4))
  await wal.close()
  const next = openWal(dir, { afterLsn: 9n })
  expect(next.groups).toEqual([])
  expect(next.wal.lastLsn).toBe(9n)
  const [written] = await fill(next.wal, 10, 10, new Prng(5))
  await next.wal.close()
  expect(segmentsIn(dir).length).toBe(2)
  expect(lines(openWal(dir, { afterLsn: 9n }).groups)).toEqual([lineOf(written)])
  expect(() => [...readGroups({ env, dir, tableOf, after: 3n })]).toThrow(/after 5, up to 9, are no longer in the log/)
  expect(() => openWal(dir, { afterLsn: 4n })).toThrow(/transactions after 5, up to 9/)
})

test('segments follow each other on demand, are pruned from the oldest, and none may be missing', async () => {
  const dir = newDirectory()
  const { wal } = openWal(dir, { durability: 'commit' })
  const written: Model[] = []
  for (const n of [1, 4, 7]) {
    written.push(...(await fill(wal, n, n + 2, new Prng(n))))
    wal.rotate()
  }
  expect(segmentsIn(dir)).toEqual(['wal-0000000000000001.log', 'wal-0000000000000004.log', 'wal-0000000000000007.log'])
  const gap = copyDirectory(dir)
  const env = new NodeEnv()
  env.remove(join(gap, 'wal-0000000000000004.log'))
  expect(() => openWal(gap)).toThrow(
    /wal-0000000000000007.log, byte 0: the log before it is missing: .* after 3, up to 6/,
  )
  expect(lines(openWal(gap, { afterLsn: 6n }).groups)).toEqual(lines(written.slice(6)))
  const size = wal.sizeBytes
  wal.prune(2n)
  expect(wal.sizeBytes).toBe(size)
  wal.prune(6n)
  expect(segmentsIn(dir)).toEqual(['wal-0000000000000007.log'])
  expect(wal.sizeBytes).toBe(statSync(join(dir, segmentsIn(dir)[0])).size)
  expect(() => openWal(copyDirectory(dir))).toThrow(/transactions after 0, up to 6/)
  wal.prune(9n)
  expect(wal.sizeBytes).toBe(0)
  await fill(wal, 12, 12, new Prng(12))
  wal.prune(12n)
  expect(segmentsIn(dir)).toEqual(['wal-000000000000000c.log'])
  await wal.close()
  expect(openWal(dir, { afterLsn: 9n }).groups.map(g => g.lsn)).toEqual([12n])
})

test('a table of another shape, or none, is refused', async () => {
  const dir = newDirectory()
  const { wal } = openWal(dir)
  await fill(wal, 1, 6, new Prng(6))
  await wal.close()
  const other = arrangedLayout(schemaOf('plain', 'id:u64', 'v:u32', 'ok:bool?', 'x:f64?'), [0])
  for (const mode of MODES) {
    const open = (layouts: typeof TABLES) => () => openWal(copyDirectory(dir), { tableOf: tablesOf(mode, layouts) })
    expect(open([other, TABLES[1], TABLES[2]])).toThrow(FormatError)
    expect(open([other, TABLES[1], TABLES[2]])).toThrow(/table 1 \("plain"\): expected rows of 37 bytes, shape/)
    expect(open([TABLES[0], TABLES[1]])).toThrow(/there is no table 3/)
    expect(open([TABLES[1], TABLES[0], TABLES[2]])).toThrow(FormatError)
  }
  const tableOf = tablesOf('compiled', [TABLES[0]])
  expect(openWal(dir, { tableOf, afterLsn: 6n }).groups).toEqual([])
})

test('files that were swapped, or are of something else, are refused', async () => {
  const dir = newDirectory()
  const { wal } = openWal(dir)
  await fill(wal, 1, 3, new Prng(6))
  wal.rotate()
  await fill(wal, 4, 6, new Prng(7))
  await wal.close()
  const [a, b] = segmentsIn(dir).map(name => join(dir, name))
  const [first, second] = [readFileSync(a), readFileSync(b)]
  writeFileSync(a, second)
  writeFileSync(b, first)
  expect(() => openWal(dir)).toThrow(/its name says that transaction 4 comes first, found 1/)
  writeFileSync(a, first)
  writeFileSync(b, Buffer.concat([second, first]))
  expect(() => openWal(dir)).toThrow(/expected transaction 7 or a later one, found 1/)
})

test('callers that run at the same time share a write', async () => {
  const dir = newDirectory()
  const env = new NodeEnv()
  let writes = 0
  let syncs = 0
  const open = env.open.bind(env)
  env.open = (path, mode) => {
    const file = open(path, mode)
    const write = file.write.bind(file)
    const syncLater = file.syncLater.bind(file)
    file.write = (bytes, at) => {
      writes++
      write(bytes, at)
    }
    file.syncLater = () => {
      syncs++
      return syncLater()
    }
    return file
  }
  const { wal } = openWal(dir, { durability: 'commit', env, aheadBytes: 0 })
  let lsn = 0n
  const prng = new Prng(9)
  const acknowledged: bigint[] = []
  const caller = async () => {
    for (let k = 0; k < 10; k++) {
      const mine = ++lsn
      wal.append(mine, randomGroup(mine, prng, 2).parts)
      await wal.committed(mine)
      expect(wal.durableLsn >= mine).toBe(true)
      acknowledged.push(mine)
    }
  }
  await Promise.all(Array.from({ length: 32 }, caller))
  expect(acknowledged).toEqual(Array.from({ length: 320 }, (_, i) => BigInt(i + 1)))
  expect(writes).toBe(10)
  expect(syncs).toBe(10)
  // Whoever comes while a sync is under way waits for the next one.
  const late: Promise<void>[] = []
  for (let k = 0; k < 5; k++) {
    const mine = ++lsn
    wal.append(mine, randomGroup(mine, prng, 2).parts)
    late.push(wal.committed(mine))
    await Promise.resolve()
  }
  await Promise.all(late)
  expect(writes).toBe(12)
  await wal.close()
  const found = [...scanSegment(env, join(dir, segmentsIn(dir)[0]))]
  expect(found.filter(b => b.kind === 'block' && b.synced).length).toBe(12)
})

test('a caller that is alone writes through to the disk, several at a time write and sync', async () => {
  const memory = new MemoryEnv()
  memory.now = () => 0
  const env = new CountingEnv(memory)
  const { wal } = openWal('/w', { durability: 'commit', env, aheadBytes: 50_000 })
  const prng = new Prng(4)
  const written: string[] = []
  const commit = async (count: number) => {
    const first = wal.lastLsn + 1n
    for (let k = 0n; k < count; k++) {
      const { parts, model } = randomGroup(first + k, prng, 3)
      written.push(lineOf(model))
      wal.append(first + k, parts)
    }
    await wal.committed(first + BigInt(count) - 1n)
    expect(wal.durableLsn).toBe(wal.lastLsn)
  }
  for (let k = 0; k < 20; k++) await commit(1)
  env.reset()
  for (let k = 0; k < 20; k++) await commit(1)
  const { write, writeThrough, sync, syncLater } = env.calls
  expect([write, sync, syncLater]).toEqual([0, 0, 0])
  expect(writeThrough).toBe(20)
  await commit(3)
  expect([env.calls.write, env.calls.syncLater]).toEqual([1, 1])
  for (let k = 0; k < 20; k++) await commit(1)
  expect(env.calls.writeThrough).toBeGreaterThan(30)
  await wal.close()
  expect(openWal('/w', { env }).groups.map(lineOf)).toEqual(written)
})

test('zeros that do not fit leave the room to others, and nothing is written through in front of them', async () => {
  const env = new MemoryEnv()
  env.capacity = 30_000
  env.now = () => 0
  const { wal } = openWal('/w', { durability: 'commit', env, aheadBytes: 50_000 })
  const { parts } = randomGroup(1n, new Prng(4), 3)
  let through = 0
  const commit = async () => {
    wal.append(wal.lastLsn + 1n, parts)
    await wal.committed(wal.lastLsn)
  }
  const { open } = env
  env.open = (path, mode) => {
    const file = open.call(env, path, mode)
    const writeThrough = file.writeThrough.bind(file)
    file.writeThrough = (bytes, at) => {
      through++
      writeThrough(bytes, at)
    }
    return file
  }
  for (let k = 0; k < 20; k++) await commit()
  expect(env.usedBytes).toBe(wal.sizeBytes)
  expect(through).toBe(0)
  // With the next segment there is room.
  env.capacity = 200_000
  wal.rotate()
  for (let k = 0; k < 20; k++) await commit()
  expect(through).toBeGreaterThan(10)
  expect(env.usedBytes).toBeGreaterThan(50_000)
  await wal.close()
  expect(openWal('/w', { env }).groups.length).toBe(40)
})

test('what cannot be written through for lack of space is undone, after another failure nobody knows', async () => {
  for (const errno of ['ENOSPC', 'EIO']) {
    const env = new MemoryEnv()
    env.now = () => 0
    let failing = false
    const { open } = env
    env.open = (path, mode) => {
      const file = open.call(env, path, mode)
      const writeThrough = file.writeThrough.bind(file)
      file.writeThrough = (bytes, at) => {
        writeThrough(failing ? bytes.subarray(0, 20) : bytes, at)
        if (!failing) return
        if (errno === 'ENOSPC') throw new NoSpaceError(path, 'no room')
        throw new IoError(path, errno, 'broken')
      }
      return file
    }
    const { wal } = openWal('/w', { durability: 'commit', env, aheadBytes: 50_000 })
    const { parts } = randomGroup(1n, new Prng(4), 3)
    const commit = () => {
      const lsn = wal.lastLsn + 1n
      wal.append(lsn, parts)
      return wal.committed(lsn)
    }
    for (let k = 0; k < 20; k++) await commit()
    failing = true
    await expect(commit()).rejects.toThrow(
      errno === 'ENOSPC' ? /no room/ : /broken; transactions after 20 may or may not/,
    )
    failing = false
    if (errno === 'ENOSPC') {
      await commit()
      await wal.close()
    } else await expect(async () => commit()).rejects.toThrow(/may or may not be in the log/)
    expect(openWal('/w', { env }).groups.length).toBe(errno === 'ENOSPC' ? 21 : 20)
  }
})

test('a disk that is slow now and then may hold up a caller that is alone, one that mostly is may not', async () => {
  const env = new MemoryEnv()
  let clock = 0
  let took = (_: number) => 0
  let rounds = 0
  let blocking = 0
  let turns = 0
  env.now = () => clock
  const soon = env.soon.bind(env)
  env.soon = callback => {
    turns++
    soon(callback)
  }
  const open = env.open.bind(env)
  env.open = (path, mode) => {
    const file = open(path, mode)
    const { sync, syncLater } = file
    // It ends in a sync.
    file.sync = () => {
      blocking++
      clock += took(rounds++)
      sync.call(file)
    }
    file.syncLater = () => {
      clock += took(rounds++)
      return syncLater.call(file)
    }
    return file
  }
  const { wal } = openWal('/w', { durability: 'commit', env })
  const { parts } = randomGroup(1n, new Prng(1), 1)
  let lsn = 0n
  /** Which part of so many rounds was waited for. */
  const share = async (count: number, duration: typeof took) => {
    took = duration
    blocking = 0
    for (let k = 0; k < count; k++) {
      wal.append(++lsn, parts)
      await wal.committed(lsn)
    }
    return blocking / count
  }
  expect(await share(160, () => 0)).toBeGreaterThan(0.85)
  expect(await share(160, n => (n % 4 === 0 ? 9 : 0))).toBeGreaterThan(0.5)
  await share(30, () => 5)
  expect(await share(100, () => 5)).toBe(0)
  await share(40, () => 1)
  // In between others have their turn, at least every two milliseconds.
  turns = 0
  expect(await share(100, () => 1)).toBe(1)
  expect(turns).toBeGreaterThanOrEqual(49)
  await wal.close()
})

test('a caller that is alone is not made to wait for another thread, and does not keep others from running', async () => {
  const env = new MemoryEnv()
  env.soon = callback => void setImmediate(callback)
  const calls = { sync: 0, syncLater: 0 }
  const open = env.open.bind(env)
  env.open = (path, mode) => {
    const file = open(path, mode)
    for (const name of ['sync', 'syncLater'] as const) {
      const call = file[name].bind(file)
      const counted = () => {
        calls[name]++
        return call()
      }
      Object.assign(file, { [name]: counted })
    }
    return file
  }
  const { wal } = openWal('/w', { durability: 'commit', env })
  const { parts } = randomGroup(1n, new Prng(1), 1)
  let turns = 0
  let running = true
  const other = () => {
    turns++
    if (running) setImmediate(other)
  }
  other()
  let lsn = 0n
  const commit = () => {
    wal.append(++lsn, parts)
    return wal.committed(lsn)
  }
  for (let k = 0; k < 320; k++) await commit()
  expect(calls.sync).toBeGreaterThan(310)
  expect(turns).toBeGreaterThan(30)
  // When others come, all share syncs in the background again, soon.
  const before = { ...calls }
  const another = async () => {
    for (let k = 0; k < 40; k++) {
      await new Promise(resolve => setTimeout(resolve, 0))
      await commit()
    }
  }
  await Promise.all([another(), another(), another(), another()])
  expect(calls.sync - before.sync + calls.syncLater - before.syncLater).toBeLessThan(160)
  // A slow disk holds nobody up.
  running = false
  await Promise.resolve()
  env.before = operation => {
    if (operation === 'sync') env.pass(50)
  }
  for (let k = 0; k < 20; k++) await commit()
  const slow = calls.sync
  for (let k = 0; k < 50; k++) await commit()
  expect(calls.sync).toBe(slow)
  await wal.close()
})

test('sync and flush make everything durable in every mode', async () => {
  for (const durability of ['commit', 'interval', 'none'] as const) {
    const { wal } = openWal(newDirectory(), { durability, intervalMs: 1e6, segmentBytes: 500 })
    const prng = new Prng(10)
    await fill(wal, 1, 5, prng)
    if (durability !== 'commit') expect(wal.durableLsn).toBe(0n)
    wal.append(6n, randomGroup(6n, prng).parts)
    const early = wal.committed(6n)
    if (durability !== 'none') await Promise.resolve()
    wal.sync()
    await early
    await wal.flush()
    expect(wal.durableLsn).toBe(6n)
    wal.append(7n, randomGroup(7n, prng).parts)
    await wal.flush()
    expect(wal.durableLsn).toBe(7n)
    await wal.close()
    await wal.close()
    expect(() => wal.append(8n, randomGroup(8n, prng).parts)).toThrow(UsageError)
    await expect(wal.committed(8n)).rejects.toThrow(UsageError)
  }
})

test('interval: durable after a while without being asked', async () => {
  const { wal } = openWal(newDirectory(), { durability: 'interval', intervalMs: 5 })
  await fill(wal, 1, 3, new Prng(1))
  expect(wal.durableLsn).toBe(0n)
  for (let k = 0; k < 400 && wal.durableLsn < 3n; k++) await new Promise(resolve => setTimeout(resolve, 5))
  expect(wal.durableLsn).toBe(3n)
  await wal.close()
})

test('what the caller owes is checked', async () => {
  const { wal } = openWal(newDirectory())
  const prng = new Prng(11)
  const { part } = randomPart(1, prng, 3)
  const raw = randomPart(1, prng, 3).part
  raw.batch.order = 'sorted'
  const wrong: [bigint, Parameters<typeof wal.append>[1]][] = [
    [0n, [part]],
    [2n ** 64n, [part]],
    [1n, []],
    [1n, [part, part]],
    [1n, [randomPart(2, prng, 1).part, part]],
    [1n, [raw]],
    [1n, [{ ...part, tableId: 0 }]],
    [1n, [{ ...part, tableId: 99 }]],
  ]
  for (const [lsn, parts] of wrong) expect(() => wal.append(lsn, parts)).toThrow(GnitzError)
  expect(wal.sizeBytes).toBe(0)
  wal.append(3n, [part])
  expect(() => wal.append(3n, [part])).toThrow(/transaction 3 comes after 3/)
  await wal.committed(3n)
  await expect(wal.committed(4n)).rejects.toThrow(/its last one is 3/)
  await wal.close()
})

test('a torn tail is reported and gone after the next opening', async () => {
  const dir = newDirectory()
  const { wal } = openWal(dir, { durability: 'commit', aheadBytes: 0 })
  const written = await fill(wal, 1, 3, new Prng(12))
  await wal.sync()
  const path = join(dir, segmentsIn(dir)[0])
  const size = statSync(path).size
  appendFileSync(path, Buffer.alloc(100, 7))
  const again = openWal(dir)
  expect(lines(again.groups)).toEqual(lines(written))
  expect(again.wal.recovery).toMatchObject({ droppedBytes: 100, file: path, offset: size })
  expect(again.wal.recovery.reason).toMatch(/no block header/)
  expect(statSync(path).size).toBe(size)
  expect(openWal(dir).wal.recovery).toMatchObject({ droppedBytes: 0, file: null, offset: null, reason: null })
})

test('in commit mode a segment is extended with zeros, which are its end, and go when it is left', async () => {
  const dir = newDirectory()
  const { wal } = openWal(dir, { durability: 'commit', aheadBytes: 5000, segmentBytes: 8000 })
  const written = await fill(wal, 1, 2, new Prng(14), 3)
  const path = join(dir, segmentsIn(dir)[0])
  const end = wal.end?.offset as number
  expect(statSync(path).size).toBeGreaterThan(end + 3000)
  expect(
    readFileSync(path)
      .subarray(end)
      .every(byte => byte === 0),
  ).toBe(true)
  // As a crash leaves it; with a part of a write, not the first, behind zeros; with less than a header of zeros.
  const again = openWal(copyDirectory(dir), { durability: 'commit' })
  expect(lines(again.groups)).toEqual(lines(written))
  expect(again.wal.recovery).toMatchObject({ droppedBytes: 0, file: null })
  const torn = copyDirectory(dir)
  const bytes = readFileSync(path)
  bytes[end + 700] = 1
  writeFileSync(join(torn, segmentsIn(dir)[0]), bytes)
  expect(openWal(torn).wal.recovery).toMatchObject({ offset: end, reason: 'zeros in the place of a block' })
  writeFileSync(join(torn, segmentsIn(dir)[0]), readFileSync(path).subarray(0, end + 9))
  const short = openWal(torn)
  expect(short.wal.recovery.droppedBytes).toBe(0)
  expect(lines(short.groups)).toEqual(lines(written))
  // A reader beside the writer sees what comes in the place of zeros.
  const reader = new LogReader({ env: new NodeEnv(), dir, tableOf: tablesOf('compiled'), after: 0n })
  const seen: string[] = []
  const look = () => {
    for (let group = reader.next(); group !== null; group = reader.next()) seen.push(...lines([modelOf(group)]))
  }
  look()
  for (let n = 3; n <= 60; n++) {
    written.push(...(await fill(wal, n, n, new Prng(n), 4)))
    if (n % 3 === 0) look()
  }
  look()
  reader.close()
  expect(seen).toEqual(lines(written))
  await wal.close()
  const sizes = segmentsIn(dir).map(name => statSync(join(dir, name)).size)
  expect(sizes.length).toBeGreaterThan(1)
  const blocks = segmentsIn(dir).flatMap(name => [...scanSegment(new NodeEnv(), join(dir, name))])
  expect(blocks.every(block => block.kind === 'block')).toBe(true)
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(blocks.reduce((sum, block) => sum + block.sizeBytes, 0))
})

test('transactions have a time, that of the writer', async () => {
  const dir = newDirectory()
  const env = new NodeEnv()
  let now = 1_700_000_000_000
  env.now = () => now
  const { wal } = openWal(dir, { env, aheadBytes: 0 })
  for (const [lsn, step] of [
    [1n, 0],
    [2n, 0],
    [3n, 5],
    [4n, 0],
    [5n, -3],
  ] as const) {
    now += step
    wal.append(lsn, randomGroup(lsn, new Prng(1)).parts)
    if (lsn === 3n) wal.rotate()
  }
  await wal.close()
  const times = [...readGroups({ env, dir, tableOf: tablesOf('compiled'), after: 0n })].map(g => g.time)
  const start = 1_700_000_000_000_000n
  expect(times).toEqual([start, start, start + 5000n, start + 5000n, start + 2000n])
})
