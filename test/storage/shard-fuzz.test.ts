/**
 * Shards that were damaged, cut, extended or mixed up: an error that says so, never a crash, a hang or memory without
 * end; and every flipped byte is found by `verifyShard`.
 */
import { beforeAll, describe, expect, test } from 'vitest'
import { loadChecksum, xxh3 } from '../../src/base/checksum.js'
import { CorruptionError, FormatError, GnitzError } from '../../src/base/errors.js'
import { Prng } from '../../src/base/prng.js'
import { arrangedLayout, type Layout } from '../../src/schema/schema.js'
import { ENTRY_BYTES, HEADER_BYTES, headBytes, regionSpecs } from '../../src/storage/shard/format.js'
import type { Shard } from '../../src/storage/shard/reader.js'
import { verifyShard } from '../../src/storage/shard/verify.js'
import type { ShardSummary } from '../../src/storage/types.js'
import type { Batch } from '../../src/zset/batch.js'
import { contents, runOf, schemaOf, type Weighted } from '../zset/support.js'
import { MemoryEnv, openBytes, shardBytes } from './shard-support.js'

beforeAll(loadChecksum)

const LAYOUTS = {
  plain: arrangedLayout(schemaOf('plain', 'id:u64', 'n:i32'), [0]),
  texts: arrangedLayout(schemaOf('texts', 'id:u64', 'a:string?', 'b:bytes', 'ok:bool?'), [0]),
  composite: arrangedLayout(schemaOf('composite', 'a:u16?', 'b:bool', 'at:time?', 'x:f64'), [0, 1]),
  wide: arrangedLayout(schemaOf('wide', 'id:uuid', 'v:u128', 'w:u8'), [0]),
  hashed: arrangedLayout(schemaOf('hashed', 'name:string', 'n:i64?'), [0]),
} as const

const ROWS: Record<keyof typeof LAYOUTS, Weighted['row'][]> = {
  plain: [
    [1n, 7],
    [1n, 8],
    [5n, -1],
  ],
  texts: [
    [3n, null, new Uint8Array(0), null],
    [4n, 'größer als zwölf', new Uint8Array(20).fill(200), true],
    [4n, 'short', new Uint8Array([255]), false],
    [9n, 'größer als zwölf', new Uint8Array(3), null],
  ],
  composite: [
    [null, true, null, 0.5],
    [7, false, 86_399_999_999n, -1],
    [7, false, 86_399_999_999n, 2],
  ],
  wide: [
    ['00000000-0000-0000-0000-000000000001', 5n, 1],
    ['ffffffff-0000-0000-0000-000000000001', 2n ** 127n, 255],
  ],
  hashed: [
    ['ann', 1n],
    ['a longer name than fits', null],
    ['bob', -4n],
  ],
}

type Name = keyof typeof LAYOUTS
const NAMES = Object.keys(LAYOUTS) as Name[]

function sample(
  name: Name,
  tableId?: number,
): { layout: Layout; run: Batch; bytes: Uint8Array; summary: ShardSummary } {
  const layout = LAYOUTS[name]
  const run = runOf(
    layout,
    ROWS[name].map((row, i) => ({ row, weight: BigInt(i % 2 === 0 ? 1 : -3) })),
  )
  return { layout, run, ...shardBytes(run, tableId) }
}

/** Reads everything that can be asked of a shard, and returns its rows. */
function readAll(shard: Shard): Weighted[] {
  const keys = shard.keys()
  for (let p = 0; p < Math.min(keys.length, 50); p++) shard.find(keys, p)
  const half = shard.rowCount >> 1
  const rows = [...contents(shard.readRows(0, half)), ...contents(shard.readRows(half, shard.rowCount))]
  expect(contents(shard.rows())).toEqual(rows)
  return rows
}

/** The error of a file that is refused, null if it is not. */
function refusal(call: () => unknown): CorruptionError | FormatError | null {
  try {
    call()
    return null
  } catch (error) {
    if (error instanceof CorruptionError || error instanceof FormatError) return error
    throw error
  }
}

/** Makes the checksums in the directory those of the regions, as far as they can be found. */
function withChecksums(bytes: Uint8Array, layout: Layout): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  for (let r = 0; r < regionSpecs(layout).length; r++) {
    const at = headBytes(r)
    if (at + ENTRY_BYTES > bytes.length) break
    const offset = view.getBigUint64(at, true)
    const size = view.getBigUint64(at + 8, true)
    if (offset + size > BigInt(bytes.length)) continue
    const from = Number(offset)
    view.setBigUint64(at + 16, xxh3(bytes.subarray(from, from + Number(size))), true)
  }
  return bytes
}

const INTERESTING = [0, 1, 7, 12, 13, 127, 128, 255]

/** Changes a few bytes, cuts, extends, or moves parts about. */
function mutate(bytes: Uint8Array, random: Prng): Uint8Array {
  let out = bytes.slice()
  for (let n = 1 + random.below(3); n > 0; n--) {
    const at = random.below(Math.max(1, out.length))
    switch (random.below(7)) {
      case 0:
        out[at] ^= 1 << random.below(8)
        break
      case 1:
        out[at] = random.pick(INTERESTING)
        break
      case 2:
        out = out.slice(0, at)
        break
      case 3:
        out = new Uint8Array([...out, ...new Uint8Array(random.below(200)).fill(random.below(256))])
        break
      case 4:
        out.copyWithin(at, random.below(out.length + 1), random.below(out.length + 1))
        break
      case 5:
        if (out.length > 208) out[HEADER_BYTES + random.below(144)] = random.pick(INTERESTING)
        break
      default:
        if (out.length >= 8) {
          const word = out.subarray(at & ~7, (at & ~7) + 8)
          word.fill(random.pick([0, 255]))
        }
    }
  }
  return out
}

/** Every third byte; `EVERY_BYTE=1` damages every one. */
const STEP = process.env.EVERY_BYTE === undefined ? 3 : 1

describe.each(['map', 'read'] as const)('%s', io => {
  test('a flipped byte anywhere is found, and the place named lies at or before it', () => {
    for (const name of NAMES) {
      const { layout, bytes, summary } = sample(name)
      verifyShard(openBytes(bytes, layout, io, summary))
      for (const expected of [summary, null]) {
        for (let at = 0; at < bytes.length; at += STEP) {
          const damaged = bytes.slice()
          damaged[at] ^= 1 << (at % 8)
          const error = refusal(() => verifyShard(openBytes(damaged, layout, io, expected)))
          if (error === null) expect.fail(`${name}: nothing was found wrong at byte ${at}`)
          if (at >= headBytes(regionSpecs(layout).length)) {
            expect(error).toBeInstanceOf(CorruptionError)
            expect(error.offset).toBeLessThanOrEqual(at)
          }
        }
      }
    }
  })

  test('readers find every flipped byte but those between regions, which hold nothing', () => {
    for (const name of NAMES) {
      const { layout, bytes, summary, run } = sample(name)
      const { regions } = openBytes(bytes, layout, io)
      const used = (at: number) =>
        at < headBytes(regions.length) || regions.some(r => at >= r.offset && at < r.offset + r.sizeBytes)
      for (let at = 0; at < bytes.length; at += STEP) {
        const damaged = bytes.slice()
        damaged[at] ^= 0x10
        let rows: Weighted[] = []
        const error = refusal(() => {
          rows = readAll(openBytes(damaged, layout, io, summary))
        })
        expect(error !== null).toBe(used(at))
        if (error === null) expect(rows).toEqual(contents(run))
      }
    }
  })

  test('cut anywhere', () => {
    for (const name of NAMES) {
      const { layout, bytes } = sample(name)
      for (let size = 0; size < bytes.length; size += STEP) {
        expect(refusal(() => openBytes(bytes.slice(0, size), layout, io))).not.toBeNull()
      }
      expect(refusal(() => openBytes(new Uint8Array([...bytes, 0]), layout, io))).not.toBeNull()
    }
  })

  test('a shard of another schema or table is never read as this one', () => {
    for (const name of NAMES) {
      for (const other of NAMES) {
        if (other === name) continue
        const { bytes, summary } = sample(other)
        expect(refusal(() => openBytes(bytes, LAYOUTS[name], io))).not.toBeNull()
        expect(refusal(() => openBytes(bytes, LAYOUTS[name], io, summary))).toBeInstanceOf(FormatError)
        expect(refusal(() => openBytes(bytes, LAYOUTS[name], io, sample(name).summary))).not.toBeNull()
      }
      const { layout, bytes, summary } = sample(name, 8)
      expect(refusal(() => openBytes(bytes, layout, io, summary))).toBeInstanceOf(FormatError)
    }
  })

  test('random damage', () => {
    const random = new Prng(41)
    let read = 0
    for (let run = 0; run < 600; run++) {
      const { layout, bytes, summary } = sample(random.pick(NAMES))
      const damaged = mutate(bytes, random)
      const error = refusal(() => readAll(openBytes(damaged, layout, io, random.chance(0.5) ? summary : null)))
      if (error === null) read++
    }
    // Some changes fall into gaps or change nothing.
    expect(read).toBeLessThan(500)
  })

  test('random damage with checksums that are right', () => {
    const random = new Prng(42)
    let read = 0
    for (let run = 0; run < 600; run++) {
      const { layout, bytes } = sample(random.pick(NAMES))
      const damaged = withChecksums(mutate(bytes, random), layout)
      const env = new MemoryEnv()
      const error = refusal(() => {
        const shard = openBytes(damaged, layout, io, null, env)
        try {
          // Values may be wrong, but not such that kernels leave their memory.
          const rows = shard.rows()
          for (let i = 0; i < rows.length; i++)
            for (const c of layout.stored) expect(rows.columns[c.index].length).toBeGreaterThan(0)
          shard.readRows(0, shard.rowCount)
          verifyShard(shard)
          contents(rows)
          read++
        } finally {
          shard.release()
        }
      })
      expect(error === null || error instanceof GnitzError).toBe(true)
      expect(env.openFiles).toBe(0)
    }
    expect(read).toBeGreaterThan(50)
  })
})

describe('verifyShard names the row', () => {
  /** Spoils a region's bytes, puts the checksums right, and says what is found. */
  function found(name: Name, label: string, at: number, ...values: number[]): string {
    const { layout, bytes } = sample(name)
    const region = openBytes(bytes, layout, 'read').regions.find(r => r.label === label)
    if (region === undefined) throw new Error(`no region ${label}`)
    bytes.set(values, region.offset + at)
    const error = refusal(() => verifyShard(openBytes(withChecksums(bytes, layout), layout, 'read')))
    return error === null ? 'nothing' : `${(error.offset ?? 0) - region.offset}: ${error.message}`
  }

  test.each([
    ['plain', 'PK', 16, [0], '16: .*row 2: expected keys to ascend'],
    ['plain', 'W', 8, [0, 0, 0, 0, 0, 0, 0, 0], '8: .*row 1: expected a weight other than zero'],
    ['plain', 'C1', 0, [9], 'row 1: expected it after row 0'],
    ['plain', 'C1', 0, [8], 'row 1: expected rows once, found row 0 again'],
    ['texts', 'N', 8, [4], '8: .*row 1: expected zeros in the null bits'],
    ['texts', 'C1', 0, [0, 0, 0, 0, 1], '0: .*row 0: expected zeros after a text of 0 bytes'],
    ['texts', 'C1', 0, [1, 0, 0, 0, 65], '0: .*row 0: expected zeros in the cell of a NULL'],
    ['texts', 'C3', 1, [2], '1: .*row 1: expected a bool, found 2'],
    ['texts', 'B', 5, [0xff], 'row 1: expected UTF-8'],
    ['composite', 'C1', 8, [0, 0, 0, 0, 0, 0, 0, 127], '8: .*expected a time'],
    ['composite', 'PK', 23, [1], 'row 2: expected zeros in the bits of the key'],
    ['composite', 'PK', 0, [2], 'row 0: column "b": expected a bool, found 2'],
    ['composite', 'PK', 1, [1], 'row 0: column "a": expected zeros for NULL'],
    ['composite', 'N', 0, [2], 'row 0: column "a": key and null words disagree'],
  ] as const)('%s %s+%i', (name, label, at, values, expected) => {
    expect(found(name, label, at, ...values)).toMatch(new RegExp(expected))
  })

  test('a byte between regions', () => {
    const { layout, bytes } = sample('plain')
    const { regions } = openBytes(bytes, layout, 'read')
    const gap = regions[0].offset + regions[0].sizeBytes
    expect(gap).toBeLessThan(regions[1].offset)
    bytes[gap + 3] = 9
    const error = refusal(() => verifyShard(openBytes(bytes, layout, 'read')))
    expect(error?.offset).toBe(gap + 3)
    expect(error?.message).toContain('expected zero between regions')
  })
})
