/** Single faults at the worst moment: what the simulation has found, or could not find often enough. */
import { beforeEach, describe, expect, test } from 'vitest'
import { kernelsOf } from '../../codegen/kernels.js'
import { IoError, NoSpaceError } from '../../src/base/errors.js'
import { Prng } from '../../src/base/prng.js'
import { NO_FAULTS } from '../../src/env/faults.js'
import { SimulatedEnv } from '../../src/env/simulated.js'
import { arrangedLayout, type Layout } from '../../src/schema/schema.js'
import { Storage, type StorageOptions } from '../../src/storage/storage.js'
import type { Tree } from '../../src/storage/tree.js'
import { Batch } from '../../src/zset/batch.js'
import { contents, runOf, schemaOf } from '../zset/support.js'

const layout = arrangedLayout(schemaOf('t', 'id:u64', 'v:i32'), [0])
const other = arrangedLayout(schemaOf('t', 'id:u64', 'name:string', 'v:i64'), [0])

let env: SimulatedEnv
beforeEach(() => {
  env = new SimulatedEnv({ seed: 1 })
})

const open = (world: SimulatedEnv, more: Partial<StorageOptions> = {}) =>
  Storage.open({ env: world, directory: '/a/b', kernelsOf: (l: Layout) => kernelsOf(l, 'compiled'), ...more })

const change = (table: Tree, id: number, weight = 1n) => ({
  table,
  delta: runOf(layout, [{ row: [BigInt(id), 0], weight }]),
})
const put = async (storage: Storage, id: number, weight = 1n) =>
  storage.commit([change(storage.table('t') as Tree, id, weight)]).durable

/** Keys and weights of the table. */
function read(storage: Storage): (readonly [number, bigint])[] {
  const found: (readonly [number, bigint])[] = []
  const cursor = (storage.table('t') as Tree).cursor()
  for (let batch = cursor.next(); batch !== null; batch = cursor.next()) {
    found.push(...contents(batch).map(({ row, weight }) => [Number(row[0]), weight] as const))
  }
  cursor.close()
  return found
}

/** Every outcome of a power cut is as good as any other. */
async function afterEveryCut(check: (storage: Storage) => void, world = env): Promise<void> {
  for (let seed = 0; seed < 8; seed++) {
    const storage = await open(world.crash(new Prng(seed), { rates: NO_FAULTS }))
    check(storage)
    await storage.close()
  }
}

describe('power cuts', () => {
  test('a new directory has a name that lasts', async () => {
    const storage = await open(env)
    storage.createTable(layout)
    await put(storage, 1)
    await afterEveryCut(again => expect(read(again)).toEqual([[1, 1n]]))
  })

  test('a manifest that a killed process left is made durable before anything it replaced goes', async () => {
    for (let at = 1; at < 60; at++) {
      env = new SimulatedEnv({ seed: at })
      const storage = await open(env)
      storage.createTable(layout)
      await put(storage, 1)
      storage.checkpoint()
      await put(storage, 2)
      env.schedule.push({ at: env.operations + at, fault: 'crash' })
      try {
        storage.checkpoint()
      } catch {
        // The process was killed here.
      }
      const second = env.processCrash()
      const found = read(await open(second))
      expect(found).toEqual([
        [1, 1n],
        [2, 1n],
      ])
      await afterEveryCut(again => expect(read(again)).toEqual(found), second)
    }
  })
})

describe('syncs that fail', () => {
  test('a shard whose sync has failed is written again before a manifest names it', async () => {
    const storage = await open(env)
    storage.createTable(layout)
    for (let id = 0; id < 50; id++) await put(storage, id)
    env.rates = { ...NO_FAULTS, syncError: 1 }
    expect(() => storage.checkpoint()).toThrow(IoError)
    env.rates = NO_FAULTS
    storage.checkpoint()
    await afterEveryCut(again => expect(read(again)).toHaveLength(50))
  })

  test('a log that has failed is let go of, and what is there is found when the directory is opened again', async () => {
    const storage = await open(env)
    storage.createTable(layout)
    await put(storage, 1)
    env.rates = { ...NO_FAULTS, syncError: 1 }
    await expect(put(storage, 2)).rejects.toThrow(IoError)
    await expect(put(storage, 3)).rejects.toThrow(IoError)
    await expect(storage.close()).rejects.toThrow(IoError)
    env.rates = NO_FAULTS
    const again = await open(env)
    expect(read(again)[0]).toEqual([1, 1n])
    await again.close()
  })
})

test('a transaction that was cut off by a failed sync does not come back after a recovery without it', async () => {
  for (let seed = 1; seed < 16; seed++) {
    env = new SimulatedEnv({ seed })
    const storage = await open(env)
    storage.createTable(layout)
    await put(storage, 1)
    const { operations } = env
    env.schedule = [
      { at: operations + 1, fault: 'short' },
      { at: operations + 3, fault: 'error' },
    ]
    const both = [put(storage, 2), put(storage, 3)]
    for (const { status } of await Promise.allSettled(both)) expect(status).toBe('rejected')
    await expect(storage.close()).rejects.toThrow(IoError)
    const found = read(await open(env))
    await afterEveryCut(again => expect(read(again)).toEqual(found))
  }
})

test('a refused transaction is not in a checkpoint that comes at once', async () => {
  const storage = await open(env)
  storage.createTable(layout)
  await put(storage, 1)
  const refused = put(storage, 2)
  env.schedule = [{ at: env.operations + 1, fault: 'error' }]
  expect(() => storage.checkpoint()).toThrow(IoError)
  storage.checkpoint()
  await expect(refused).rejects.toThrow(IoError)
  expect(read(storage)).toEqual([[1, 1n]])
  await afterEveryCut(again => expect(read(again)).toEqual([[1, 1n]]))
})

test('operator state that builds on a refused transaction goes with it', async () => {
  const storage = await open(env)
  storage.createTable(layout)
  const state = storage.createTable(arrangedLayout(schemaOf('s', 'id:u64', 'v:i32'), [0]), { kind: 'ephemeral' })
  const derived = (weight: bigint) => ({ table: state, delta: runOf(state.layout, [{ row: [7n, 0], weight }]) })
  const base = change(storage.table('t') as Tree, 1)
  env.schedule = [{ at: env.operations + 1, fault: 'error' }]
  const first = storage.commit([base, derived(1n)]).durable
  const second = storage.commit([derived(-1n)]).durable
  await expect(first).rejects.toThrow(IoError)
  await expect(second).rejects.toThrow(IoError)
  expect(read(storage)).toEqual([])
  const runs = state.snapshot().runs()
  expect(runs.flatMap(run => contents(run))).toEqual([])
  await storage.commit([derived(2n)]).durable
  expect(state.stats().rowCount).toBeGreaterThan(0)
})

test('a drop that fails anywhere leaves a table that can be written to', async () => {
  for (let skip = 0; ; skip++) {
    env = new SimulatedEnv({ seed: skip })
    const storage = await open(env)
    const table = storage.createTable(layout)
    await put(storage, 1)
    env.schedule = [{ at: env.operations + 1 + skip, fault: 'error' }]
    try {
      storage.dropTable(table)
      expect(skip).toBeGreaterThan(15)
      break
    } catch (error) {
      expect(error).toBeInstanceOf(IoError)
    }
    env.schedule = []
    expect(storage.table('t')).toBe(table)
    await put(storage, 2)
    const expected = [
      [1, 1n],
      [2, 1n],
    ]
    expect(read(storage)).toEqual(expected)
    const next = await open(env.processCrash())
    expect(read(next)).toEqual(expected)
  }
})

test('a table in place of one that was dropped may have another shape', async () => {
  const storage = await open(env)
  const first = storage.createTable(layout)
  await put(storage, 1)
  storage.dropTable(first)
  const second = storage.createTable(other)
  const row = { row: [1n, 'a name that is long enough for the heap', 5n], weight: 1n }
  await storage.commit([{ table: second, delta: runOf(other, [row]) }]).durable
  await storage.close({ checkpoint: false })
  const again = await open(env)
  const cursor = (again.table('t') as Tree).cursor()
  expect(contents(cursor.next() as Batch)).toEqual([row])
})

test('weights whose parts leave i64 on the way to a sum within it', async () => {
  const big = 2n ** 62n + 5n
  const storage = await open(env, { memTableBytes: 1, amplificationThreshold: 3 })
  const table = storage.createTable(layout)
  let net = 0n
  for (const weight of [big, -big, -big, -big + 12n, big, big, big - 12n, 7n]) {
    await put(storage, 1, weight)
    net += weight
    const expected = net === 0n ? [] : [[1, net]]
    expect(read(storage)).toEqual(expected)
    const out = new Batch(layout, 1)
    table.get(runOf(layout, [{ row: [1n, 0], weight: 1n }]), 0, out)
    expect(contents(out).map(r => r.weight)).toEqual(expected.map(([, w]) => w))
  }
  storage.compact()
  storage.checkpoint()
  expect(read(storage)).toEqual([[1, net]])
})

test('a key with more rows than a guard may have does not keep compaction busy for ever', async () => {
  const wide = arrangedLayout(schemaOf('t', 'g:i32', 'v:i64'), [0])
  const storage = await open(env, { memTableBytes: 1, guardBytes: 200, amplificationThreshold: 2, windowRows: 4 })
  const table = storage.createTable(wide)
  for (let part = 0; part < 6; part++) {
    const rows = Array.from({ length: 40 }, (_, n) => ({ row: [1, BigInt(part * 40 + n)], weight: 1n }))
    await storage.commit([{ table, delta: runOf(wide, rows) }]).durable
  }
  storage.compact()
  const cursor = table.cursor()
  expect(cursor.next()?.length).toBe(240)
})

test('a full disk: writes fail with a clear error, reads go on, and writing resumes when there is room', async () => {
  const storage = await open(env, { memTableBytes: 500, segmentBytes: 3000 })
  storage.createTable(layout)
  for (let id = 0; id < 20; id++) await put(storage, id)
  env.capacityBytes = env.usedBytes + 10
  // What fits into the zeros that the log has written ahead is taken.
  let count = 20
  for (let full = false; !full; ) {
    full = await put(storage, count).then(
      () => false,
      () => true,
    )
    if (!full) count++
  }
  expect(count).toBeLessThan(60)
  let failed = 0
  for (let id = 100; id < 140; id++) {
    try {
      await put(storage, id)
    } catch (error) {
      expect(error).toBeInstanceOf(NoSpaceError)
      failed++
    }
    expect(read(storage)).toHaveLength(count)
  }
  expect(failed).toBe(40)
  env.capacityBytes = Number.POSITIVE_INFINITY
  await put(storage, 200)
  expect(read(storage)).toHaveLength(count + 1)
  storage.checkpoint()
  await afterEveryCut(again => expect(read(again)).toHaveLength(count + 1))
})
