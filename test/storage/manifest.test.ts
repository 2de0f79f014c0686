/** The manifest: what is written is read back, and nothing else is ever read. */
import { describe, expect, test } from 'vitest'
import { loadChecksum } from '../../src/base/checksum.js'
import { CorruptionError, FormatError } from '../../src/base/errors.js'
import { Prng } from '../../src/base/prng.js'
import { layoutFingerprint } from '../../src/schema/schema.js'
import { canonical, describe as describeLayout, layoutOf, schemaHash } from '../../src/storage/manifest/descriptor.js'
import { decodeManifest, encodeManifest } from '../../src/storage/manifest/format.js'
import { AMPLIFICATION_THRESHOLD, keyRanges, ShardRegistry } from '../../src/storage/manifest/registry.js'
import type { Manifest, ShardEntry, TableDescriptor, TableEntry } from '../../src/storage/types.js'
import { LAYOUTS } from '../zset/support.js'

await loadChecksum()

function tableOf(tableId: number, descriptor: TableDescriptor): TableEntry {
  return { tableId, kind: 'durable', schemaHash: schemaHash(descriptor), flushedLsn: BigInt(tableId), descriptor }
}

function shard(fileId: bigint, tableId: number, minKey: bigint, maxKey: bigint, level = 0): ShardEntry {
  return {
    fileId,
    tableId,
    level,
    rowCount: 10,
    sizeBytes: 4096,
    minKey,
    maxKey,
    minLsn: fileId,
    maxLsn: fileId + 5n,
    checksum: 0xfedc_ba98_7654_3210n ^ fileId,
    weightBound: 12n,
  }
}

const tables = LAYOUTS.map((layout, t) => tableOf(t + 1, describeLayout(layout, t % 2 ? 'read-heavy' : 'write-heavy')))
const manifest: Manifest = {
  version: 2,
  generation: 7n,
  globalMaxLsn: 123456789012345n,
  nextFileId: 40n,
  nextTableId: 1000,
  logEnd: { lsn: 123456789012399n, segment: 123456789012346n, offset: 2 ** 40 },
  tables,
  shards: [shard(3n, 1, 0n, (1n << 64n) - 1n), shard(39n, 2, 1n << 100n, (1n << 128n) - 1n, 3)],
}

describe('bytes', () => {
  test('round trip', () => {
    expect(decodeManifest(encodeManifest(manifest), 'M')).toEqual(manifest)
    const numbers = { version: 2, generation: 1n, globalMaxLsn: 0n, nextFileId: 1n, nextTableId: 1 }
    const empty: Manifest = { ...numbers, logEnd: null, tables: [], shards: [] }
    expect(decodeManifest(encodeManifest(empty), 'M')).toEqual(empty)
    expect(encodeManifest(empty)).toHaveLength(96)
    const first: Manifest = { ...manifest, version: 1, nextTableId: tables.length + 1, logEnd: null }
    expect(decodeManifest(encodeManifest(first), 'M')).toEqual(first)
    expect(encodeManifest({ ...empty, version: 1 })).toHaveLength(64)
  })

  test('every flipped bit is found, and so is every cut', () => {
    const bytes = encodeManifest({ ...manifest, tables: tables.slice(0, 2) })
    for (let at = 0; at < bytes.length; at++) {
      const copy = bytes.slice()
      copy[at] ^= 1 << (at & 7)
      expect(() => decodeManifest(copy, 'M'), `byte ${at}`).toThrow(/^M, byte \d+: /)
    }
    for (let length = 0; length < bytes.length; length++) {
      expect(() => decodeManifest(bytes.subarray(0, length), 'M')).toThrow(CorruptionError)
    }
  })

  test('random bytes under a good header are refused, never believed', () => {
    const prng = new Prng(5)
    const bytes = encodeManifest(manifest)
    for (let round = 0; round < 500; round++) {
      const copy = bytes.slice()
      for (let n = prng.below(8); n >= 0; n--) copy[prng.below(copy.length)] = prng.below(256)
      try {
        expect(decodeManifest(copy, 'M')).toEqual(manifest)
      } catch (error) {
        expect(error instanceof CorruptionError || error instanceof FormatError).toBe(true)
      }
    }
  })

  test('other files and versions are named', () => {
    const bytes = encodeManifest(manifest)
    bytes[8] = 9
    expect(() => decodeManifest(bytes, 'M')).toThrow('M, byte 8: expected manifest version 1 to 3, found version 9')
    bytes[0] = 0
    expect(() => decodeManifest(bytes, 'M')).toThrow(FormatError)
  })

  test('an end of the log that cannot be', () => {
    const end = { lsn: 9n, segment: 5n, offset: 70 }
    for (const part of [{ segment: 10n }, { segment: 0n }, { offset: 0 }]) {
      const bytes = encodeManifest({ ...manifest, logEnd: { ...end, ...part } })
      expect(() => decodeManifest(bytes, 'M')).toThrow('M, byte 64: transaction 9 cannot be the last one')
    }
  })

  test('a shard of no table, a file twice, a file beyond the next', () => {
    const wrong = (shards: ShardEntry[], nextFileId = 40n) => encodeManifest({ ...manifest, shards, nextFileId })
    expect(() => wrong([shard(3n, 99, 0n, 1n)])).toThrow('belongs to table 99')
    expect(() => wrong([shard(3n, 1, 0n, 1n), shard(3n, 1, 2n, 3n)])).toThrow('listed twice')
    expect(() => wrong([shard(3n, 1, 0n, 1n)], 3n)).toThrow('is not below the next file')
    expect(() => encodeManifest({ ...manifest, nextTableId: 2 })).toThrow('is not below the next table')
  })
})

describe('descriptors', () => {
  test.each(LAYOUTS.map(layout => [layout.schema.name, layout] as const))('%s', (_, layout) => {
    const descriptor = describeLayout(layout, 'read-heavy')
    expect(layoutFingerprint(layoutOf(descriptor, 'M'))).toBe(layoutFingerprint(layout))
  })

  test('the hash is of what lies in files, not of names', () => {
    const descriptor = describeLayout(LAYOUTS[0], 'read-heavy')
    const renamed = { ...descriptor, name: 'other', policy: 'write-heavy' as const }
    expect(schemaHash(renamed)).toBe(schemaHash(descriptor))
    expect(new Set(LAYOUTS.map(l => schemaHash(describeLayout(l, 'read-heavy')))).size).toBe(LAYOUTS.length)
  })

  test('a descriptor that no layout has is refused', () => {
    const good = describeLayout(LAYOUTS[0], 'write-heavy')
    const bad: [Partial<TableDescriptor>, string][] = [
      [{ columns: [{ name: 'id', type: 'u65', nullable: false }] }, 'unknown type "u65"'],
      [{ key: ['nowhere'] }, 'is no column'],
      [{ key: ['id', 'id'] }, 'listed twice'],
      [{ order: [] }, 'order of rows'],
      [{ columns: [good.columns[0], ...good.columns] }, 'two columns are called'],
    ]
    for (const [part, message] of bad) {
      const manifestOf = () => layoutOf({ ...good, ...part }, 'M')
      expect(manifestOf).toThrow(FormatError)
      expect(manifestOf).toThrow(message)
    }
    expect(canonical(good)).not.toBe(canonical({ ...good, weights: 'nonNegative' }))
  })
})

describe('registry', () => {
  test('depth per key range', () => {
    const shards = [shard(1n, 1, 0n, 9n), shard(2n, 1, 5n, 14n), shard(3n, 1, 15n, 20n), shard(4n, 1, 30n, 30n)]
    expect(keyRanges(shards)).toEqual([
      { from: 0n, to: 4n, depth: 1 },
      { from: 5n, to: 9n, depth: 2 },
      { from: 10n, to: 20n, depth: 1 },
      { from: 30n, to: 30n, depth: 1 },
    ])
  })

  test('depth equals counting, for random shards', () => {
    const prng = new Prng(11)
    for (let round = 0; round < 200; round++) {
      const shards = Array.from({ length: prng.below(9) }, (_, n) => {
        const a = prng.below(40)
        const b = a + prng.below(12)
        return shard(BigInt(n + 1), 1, BigInt(a), BigInt(b))
      })
      const ranges = keyRanges(shards)
      for (let key = 0n; key < 55n; key++) {
        const depth = shards.filter(s => s.minKey <= key && s.maxKey >= key).length
        const range = ranges.filter(r => r.from <= key && r.to >= key)
        expect(range.map(r => r.depth)).toEqual(depth === 0 ? [] : [depth])
      }
    }
  })

  test('tables above the threshold are flagged, the worst first', () => {
    const registry = new ShardRegistry()
    const overlapping = (tableId: number, count: number) =>
      Array.from({ length: count }, (_, n) => shard(BigInt(tableId * 100 + n), tableId, 0n, 10n))
    registry.set(1, overlapping(1, AMPLIFICATION_THRESHOLD))
    registry.set(2, overlapping(2, AMPLIFICATION_THRESHOLD + 1))
    registry.set(3, overlapping(3, AMPLIFICATION_THRESHOLD + 3))
    expect(registry.flagged()).toEqual([3, 2])
    registry.set(3, [])
    expect(registry.flagged()).toEqual([2])
    expect(registry.amplification(1)).toBe(AMPLIFICATION_THRESHOLD)
  })
})
