/**
 * What is not asked for is not read: keys and weights come first and alone, and a key that is not there costs neither
 * a column nor the blob heap (the Ghost Property). And the point look-ups themselves.
 */
import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { kernelsOf } from '../../codegen/kernels.js'
import { loadChecksum } from '../../src/base/checksum.js'
import { CorruptionError } from '../../src/base/errors.js'
import { Prng } from '../../src/base/prng.js'
import { arrangedLayout } from '../../src/schema/schema.js'
import type { Region } from '../../src/storage/shard/format.js'
import { Probe } from '../../src/storage/shard/probe.js'
import { Batch } from '../../src/zset/batch.js'
import { batchOf, contents, MODES, runOf, schemaOf, type Weighted } from '../zset/support.js'
import { MemoryEnv, openBytes, PATH, type Read, shardBytes } from './shard-support.js'

beforeAll(loadChecksum)

const LAYOUT = arrangedLayout(schemaOf('events', 'id:u64', 'text:string', 'note:string?', 'n:f64'), [0])

const ROWS: Weighted[] = Array.from({ length: 200 }, (_, i) => ({
  row: [BigInt(i * 2), `text number ${i} is long`, i % 2 === 0 ? null : `note ${i} is long too`, i / 2],
  weight: i % 3 === 0 ? -1n : 2n,
}))

const keyOf = (id: bigint) => batchOf(LAYOUT, [{ row: [id, '', null, 0], weight: 1n }])

/** Labels of the regions that reads have touched. */
function touched(regions: readonly Region[], reads: readonly Read[]): string[] {
  return regions
    .filter(r => reads.some(read => read.from < r.offset + r.sizeBytes && read.to > r.offset))
    .map(r => r.label)
}

describe('reads', () => {
  const open = () => {
    const env = new MemoryEnv()
    const { bytes, summary } = shardBytes(runOf(LAYOUT, ROWS))
    const shard = openBytes(bytes, LAYOUT, 'read', summary, env)
    return { env, shard, regions: () => touched(shard.regions, env.reads) }
  }

  test('opening reads header and directory alone', () => {
    const { shard, regions, env } = open()
    expect([shard.rowCount, shard.minKey, shard.maxKey]).toEqual([200, 0n, 398n])
    expect(regions()).toEqual([])
    expect(Math.max(...env.reads.map(r => r.to))).toBe(64 + 7 * 24)
  })

  test('keys, and looking for what is not there, read no column and no blob', () => {
    const { shard, regions, env } = open()
    for (const id of [1n, 3n, 399n, 2n ** 64n - 1n]) expect(shard.find(keyOf(id), 0)).toBe(-1)
    expect(shard.find(keyOf(42n), 0)).toBe(21)
    expect(shard.keys().weights[21]).toBe(-1n)
    expect(regions()).toEqual(['PK', 'W'])
    const before = env.reads.length
    shard.find(keyOf(44n), 0)
    shard.keys()
    expect(env.reads).toHaveLength(before)
  })

  test('a column reads itself, a text column the blob as well', () => {
    const numbers = open()
    numbers.shard.column(3)
    expect(numbers.regions()).toEqual(['PK', 'W', 'C3'])
    const texts = open()
    texts.shard.column(1)
    expect(texts.regions()).toEqual(['PK', 'W', 'C1', 'B'])
    const nullable = open()
    nullable.shard.column(2)
    expect(nullable.regions()).toEqual(['PK', 'W', 'N', 'C2', 'B'])
  })

  test('each region is read once', () => {
    const { shard, env } = open()
    shard.rows()
    shard.rows()
    contents(shard.readRows(0, 200))
    shard.find(keyOf(4n), 0)
    const read = env.reads.reduce((sum, r) => sum + r.to - r.from, 0)
    expect(read).toBeLessThanOrEqual(env.bytesOf(PATH).length + 64)
  })

  test('a window reads through the file once, and then only its rows', () => {
    const { shard, env } = open()
    shard.readRows(0, 10)
    env.reads.length = 0
    expect(contents(shard.readRows(50, 60))).toEqual(contents(runOf(LAYOUT, ROWS)).slice(50, 60))
    const read = env.reads.reduce((sum, r) => sum + r.to - r.from, 0)
    expect(read).toBeLessThan(10 * (8 + 8 + 8 + 16 + 16 + 8 + 50))
    expect(shard.presentRegions).toEqual([])
  })

  test('a window without long strings leaves the blob alone', () => {
    const layout = arrangedLayout(schemaOf('short', 'id:u64', 'text:string'), [0])
    const rows = Array.from({ length: 40 }, (_, i) => ({
      row: [BigInt(i), i < 20 ? `short ${i}` : `too long for a cell: ${i}`],
      weight: 1n,
    }))
    const env = new MemoryEnv()
    const shard = openBytes(shardBytes(runOf(layout, rows)).bytes, layout, 'read', null, env)
    shard.readRows(0, 20)
    expect(touched(shard.regions, env.reads)).toEqual(['PK', 'W', 'C1'])
  })
})

describe.each(['map', 'read'] as const)('%s', io => {
  test('a damaged column does not stop those who do not want it', () => {
    const { bytes, summary } = shardBytes(runOf(LAYOUT, ROWS))
    const whole = openBytes(bytes, LAYOUT, io)
    for (const region of whole.regions.slice(2)) {
      const damaged = bytes.slice()
      damaged[region.offset + 5] ^= 4
      const shard = openBytes(damaged, LAYOUT, io, summary)
      expect(shard.find(keyOf(42n), 0)).toBe(21)
      for (const call of [() => shard.rows(), () => shard.rows(), () => shard.readRows(0, 200)]) {
        expect(call).toThrow(CorruptionError)
        expect(call).toThrow(`${PATH}, byte ${region.offset}: region ${region.label}`)
      }
      if (region.label !== 'C3') shard.column(3)
      expect(shard.find(keyOf(43n), 0)).toBe(-1)
    }
  })
})

test.each(['map', 'read'] as const)('long runs have fences, so that kernels find keys in them: %s', io => {
  const layout = arrangedLayout(schemaOf('numbers', 'id:u64', 'n:i32'), [0])
  const rows = Array.from({ length: 3000 }, (_, i) => ({ row: [BigInt(i * 3), i], weight: 1n }))
  const run = runOf(layout, rows)
  const shard = openBytes(shardBytes(run).bytes, layout, io)
  expect(shard.keys().fences.length).toBe(Math.ceil(3000 / 64))
  const probe = batchOf(layout, [{ row: [2000n, 0], weight: 1n }])
  for (const mode of MODES) {
    const kernels = kernelsOf(layout, mode)
    for (const from of [0, 600, 667]) expect(kernels.seek(shard.keys(), from, probe, 0)).toBe(667)
  }
})

describe('probe', () => {
  /** The first row with that key, found by looking at all of them. */
  function slowFind(run: Batch, probe: Batch, p: number): number {
    const { words } = run.layout.key
    for (let i = 0; i < run.length; i++) {
      let same = true
      for (let w = 0; w < words; w++) if (run.keys[i * words + w] !== probe.keys[p * words + w]) same = false
      if (same) return i
    }
    return -1
  }

  function runOfKeys(words: 1 | 2, keys: readonly bigint[]): Batch {
    const layout = arrangedLayout(schemaOf('k', words === 1 ? 'k:u64' : 'k:u128'), [0])
    const run = new Batch(layout, keys.length)
    keys.forEach((key, i) => {
      run.keys[i * words] = BigInt.asUintN(64, key)
      if (words === 2) run.keys[i * 2 + 1] = key >> 64n
    })
    run.length = keys.length
    run.buildFences()
    return run
  }

  const ascending = (keys: readonly bigint[]) => [...keys].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0))

  test.each([1, 2] as const)('finds the first row of any key: %s words', words => {
    const bits = BigInt(words * 64)
    const key = fc.oneof(
      fc.bigInt({ min: 0n, max: 2n ** bits - 1n }),
      fc.bigInt({ min: 0n, max: 40n }),
      fc.bigInt({ min: 2n ** (bits - 1n) - 9n, max: 2n ** (bits - 1n) + 9n }),
      fc.bigInt({ min: 0n, max: bits - 1n }).map(bit => 1n << bit),
    )
    fc.assert(
      fc.property(fc.array(key, { maxLength: 120 }), fc.array(key, { maxLength: 20 }), (present, others) => {
        const run = runOfKeys(words, ascending(present))
        const probe = runOfKeys(words, [...present, ...others])
        const index = new Probe(run)
        for (let p = 0; p < probe.length; p++) expect(index.find(probe, p)).toBe(slowFind(run, probe, p))
      }),
      { numRuns: 200 },
    )
  })

  test.each([1, 2] as const)('finds keys that crowd in one bucket, %s words', words => {
    const random = new Prng(words)
    const low = Array.from({ length: 6000 }, () => BigInt(random.below(9000)) * 3n)
    const run = runOfKeys(words, ascending([...low, 2n ** BigInt(words * 64) - 1n]))
    const first = new Map<bigint, number>()
    for (let i = run.length - 1; i >= 0; i--)
      first.set(words === 1 ? run.keys[i] : (run.keys[i * 2 + 1] << 64n) | run.keys[i * 2], i)
    const index = new Probe(run)
    const asked = Array.from({ length: 27_000 }, (_, n) => BigInt(n))
    const probe = runOfKeys(words, [...asked, 2n ** BigInt(words * 64) - 1n])
    for (let p = 0; p < asked.length; p++) expect(index.find(probe, p)).toBe(first.get(asked[p]) ?? -1)
    expect(index.find(probe, asked.length)).toBe(run.length - 1)
  })

  test('takes at most half a byte a row', () => {
    for (const rows of [10_000, 16_384, 16_385, 100_000]) {
      const run = runOfKeys(
        1,
        Array.from({ length: rows }, (_, i) => BigInt(i) * 1000n + 5n),
      )
      expect(new Probe(run).sizeBytes).toBeLessThanOrEqual(rows / 2 + 12)
    }
  })
})
