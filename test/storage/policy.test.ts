/** Compaction policies bring any set of shards into shape, in few steps, and leave one in shape alone. */
import { describe, expect, test } from 'vitest'
import { Prng } from '../../src/base/prng.js'
import { pickCompaction } from '../../src/storage/compaction/policy.js'
import { keyRanges } from '../../src/storage/manifest/registry.js'
import type { PolicyName, ShardEntry } from '../../src/storage/types.js'

function shard(fileId: number, minKey: number, maxKey: number, level = 0): ShardEntry {
  return {
    fileId: BigInt(fileId),
    tableId: 1,
    level,
    rowCount: maxKey - minKey + 1,
    sizeBytes: 1,
    minKey: BigInt(minKey),
    maxKey: BigInt(maxKey),
    minLsn: BigInt(fileId),
    maxLsn: BigInt(fileId),
    checksum: 0n,
    weightBound: 1n,
  }
}

const depth = (shards: readonly ShardEntry[]) => keyRanges(shards).reduce((most, r) => Math.max(most, r.depth), 0)

/** What a merge makes of its inputs: guards of at most 50 keys that do not overlap. */
function merged(inputs: readonly ShardEntry[], level: number, nextId: () => number): ShardEntry[] {
  const from = Number(inputs.reduce((least, s) => (s.minKey < least ? s.minKey : least), inputs[0].minKey))
  const to = Number(inputs.reduce((most, s) => (s.maxKey > most ? s.maxKey : most), 0n))
  const guards: ShardEntry[] = []
  const minLsn = inputs.reduce((least, s) => (s.minLsn < least ? s.minLsn : least), inputs[0].minLsn)
  const maxLsn = inputs.reduce((most, s) => (s.maxLsn > most ? s.maxLsn : most), 0n)
  for (let key = from; key <= to; key += 50) {
    guards.push({ ...shard(nextId(), key, Math.min(to, key + 49), level), minLsn, maxLsn })
  }
  return guards
}

describe.each(['write-heavy', 'read-heavy'] as PolicyName[])('%s', policy => {
  test('nothing to do for no shards, one shard, and shards side by side at a guard level', () => {
    expect(pickCompaction(policy, [], 4)).toBeNull()
    for (const threshold of [1, 4]) expect(pickCompaction(policy, [shard(1, 0, 9)], threshold)).toBeNull()
    const guards = Array.from({ length: 20 }, (_, n) => shard(n + 1, n * 10, n * 10 + 9, 1))
    expect(pickCompaction(policy, guards, 4)).toBeNull()
  })

  test('a stream of random shards stays in shape', () => {
    const prng = new Prng(3)
    let id = 0
    let shards: ShardEntry[] = []
    let written = 0
    let rounds = 0
    for (let n = 0; n < 300; n++) {
      const from = prng.below(500)
      shards.push(shard(++id, from, from + prng.below(400)))
      for (let step = 0; ; step++) {
        expect(step, 'compaction comes to an end').toBeLessThan(20)
        const job = pickCompaction(policy, shards, 4)
        if (job === null) break
        rounds++
        expect(new Set(job.inputs).size).toBe(job.inputs.length)
        expect(job.inputs.length).toBeGreaterThan(1)
        written += job.inputs.reduce((rows, s) => rows + s.rowCount, 0)
        shards = [...shards.filter(s => !job.inputs.includes(s)), ...merged(job.inputs, job.level, () => ++id)]
      }
      const levels = new Set(shards.map(s => s.level))
      for (const level of levels) expect(depth(shards.filter(s => s.level === level))).toBeLessThan(4)
      if (policy === 'read-heavy') expect(depth(shards)).toBeLessThanOrEqual(2)
    }
    expect(rounds).toBeGreaterThan(20)
    expect(written).toBeGreaterThan(0)
  })
})

test('tiers rewrite less than guards do', () => {
  const cost = (policy: PolicyName) => {
    let id = 0
    let shards: ShardEntry[] = []
    let rows = 0
    for (let n = 0; n < 256; n++) {
      shards.push({ ...shard(++id, 0, 999), rowCount: 100 })
      for (let job = pickCompaction(policy, shards, 4); job !== null; job = pickCompaction(policy, shards, 4)) {
        const { inputs, level } = job
        const sum = inputs.reduce((total, s) => total + s.rowCount, 0)
        rows += sum
        shards = [...shards.filter(s => !inputs.includes(s)), { ...shard(++id, 0, 999, level), rowCount: sum }]
      }
    }
    return rows
  }
  expect(cost('write-heavy') * 4).toBeLessThan(cost('read-heavy'))
})
