/** What was written is what is read: every layout, mapped and read, whole and in windows. */
import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { kernelsOf } from '../../codegen/kernels.js'
import { loadChecksum, xxh3 } from '../../src/base/checksum.js'
import { CorruptionError, FormatError, GnitzError, IoError, NoSpaceError, UsageError } from '../../src/base/errors.js'
import { joinPath } from '../../src/env/env.js'
import { arrangedLayout, flatLayout, type Layout } from '../../src/schema/schema.js'
import type { Value } from '../../src/schema/types.js'
import { Shard } from '../../src/storage/shard/reader.js'
import { verifyShard } from '../../src/storage/shard/verify.js'
import { writeShard } from '../../src/storage/shard/writer.js'
import { Batch } from '../../src/zset/batch.js'
import {
  batchOf,
  contents,
  LAYOUTS,
  layoutAndRows,
  MODES,
  runOf,
  schemaOf,
  twoHashes,
  type Weighted,
} from '../zset/support.js'
import { IOS, MemoryEnv, openBytes, PATH, shardBytes, TABLE, withDirectory } from './shard-support.js'

beforeAll(loadChecksum)

const PEOPLE = arrangedLayout(schemaOf('people', 'id:u64', 'name:string', 'note:string?', 'n:i32'), [0])

/** `count` people with ids 10, 20, 30, … */
function people(count: number): Weighted[] {
  return Array.from({ length: count }, (_, i) => ({
    row: [BigInt(i * 10 + 10), `name ${i}`, i % 3 === 0 ? null : `a note too long for its cell, of ${i}`, i],
    weight: BigInt(i % 5 === 0 ? -2 : 1),
  }))
}

function allRows(shard: Shard): Weighted[] {
  return contents(shard.rows())
}

const hash = (value: Value) => `${(value as Uint8Array).length} ${xxh3(value as Uint8Array)}`

function isHashed(layout: Layout): boolean {
  return layout.key.kind === 'hash'
}

describe.each(IOS)('%s', io => {
  test('random batches of every layout come back, also after colliding hashes', () => {
    withDirectory((env, directory) => {
      let n = 0
      fc.assert(
        fc.property(layoutAndRows(1), fc.boolean(), ({ layout, lists: [rows] }, collide) => {
          const run = runOf(layout, rows, collide && isHashed(layout) ? twoHashes : null)
          const path = joinPath(directory, `${n++}`)
          const summary = writeShard(env, path, TABLE, run, { sync: n === 1 })
          const shard = Shard.open(env, path, TABLE, layout, summary, io)
          expect(shard.isMapped).toBe(io === 'map')
          expect(shard.rowCount).toBe(run.length)
          expect(allRows(shard)).toEqual(contents(run))
          expect(shard.rows().keys32).toEqual(run.keys32.subarray(0, run.length * layout.key.words * 2))
          verifyShard(shard)
          expect(env.stat(path)?.sizeBytes).toBe(summary.sizeBytes)
          shard.discard()
          shard.release()
          expect(env.stat(path)).toBeNull()
        }),
        { numRuns: 60 },
      )
    })
  })

  test('windows hold the rows they are asked for, whatever held them before', () => {
    fc.assert(
      fc.property(
        layoutAndRows(1, 60),
        fc.array(fc.tuple(fc.nat(60), fc.nat(60), fc.boolean())),
        ({ layout, lists: [rows] }, picks) => {
          const run = runOf(layout, rows)
          const { bytes, summary } = shardBytes(run)
          const shard = openBytes(bytes, layout, io, summary)
          const expected = contents(run)
          let window: Batch | undefined
          for (const [a, b, again] of picks) {
            const from = Math.min(a, b, run.length)
            const to = Math.min(Math.max(a, b), run.length)
            window = shard.readRows(from, to, again ? window : undefined)
            expect(window.order).toBe('consolidated')
            expect(contents(window)).toEqual(expected.slice(from, to))
            expect(window.keys32.length).toBeGreaterThanOrEqual((to - from) * layout.key.words * 2)
          }
        },
      ),
      { numRuns: 60 },
    )
  })

  describe.each(MODES)('kernels %s', mode => {
    test('work on shards as they do on batches', () => {
      fc.assert(
        fc.property(layoutAndRows(3), ({ layout, lists }) => {
          const kernels = kernelsOf(layout, mode)
          const runs = lists.map(rows => runOf(layout, rows))
          const shards = runs.map(run => openBytes(shardBytes(run).bytes, layout, io).rows())
          const merged = [runs, shards].map(inputs => {
            const out = new Batch(layout, 200)
            kernels.mergeAll(inputs, out, new Int32Array(3), new Int32Array(3))
            return contents(out)
          })
          expect(merged[1]).toEqual(merged[0])
          for (let p = 0; p < runs[0].length; p++) {
            expect(kernels.seek(shards[1], 0, runs[0], p)).toBe(kernels.seek(runs[1], 0, runs[0], p))
          }
        }),
        { numRuns: 40 },
      )
    })
  })

  test('no rows', () => {
    for (const layout of LAYOUTS) {
      const { bytes, summary } = shardBytes(runOf(layout, []))
      const shard = openBytes(bytes, layout, io, summary)
      expect(allRows(shard)).toEqual([])
      expect([shard.minKey, shard.maxKey, shard.rowCount]).toEqual([0n, 0n, 0])
      expect(shard.find(shard.keys(), 0)).toBe(-1)
      expect(shard.readRows(0, 0).length).toBe(0)
      verifyShard(shard)
    }
  })

  test('smallest and largest key, of one and of two words, also without a summary', () => {
    const wide = arrangedLayout(schemaOf('wide', 'a:u64', 'b:u64'), [0, 1])
    const rows = [
      [3n, 9n],
      [3n, 2n ** 64n - 1n],
      [2n ** 64n - 1n, 5n],
    ].map(row => ({ row, weight: 1n }))
    const { bytes, summary } = shardBytes(runOf(wide, rows))
    for (const expected of [summary, null]) {
      const shard = openBytes(bytes, wide, io, expected)
      expect(shard.minKey).toBe((3n << 64n) | 9n)
      expect(shard.maxKey).toBe(((2n ** 64n - 1n) << 64n) | 5n)
      expect(shard.checksum).toBe(summary.checksum)
    }
    const narrow = openBytes(shardBytes(runOf(PEOPLE, people(4))).bytes, PEOPLE, io)
    expect([narrow.minKey, narrow.maxKey]).toEqual([10n, 40n])
  })

  test('columns appear one by one', () => {
    const shard = openBytes(shardBytes(runOf(PEOPLE, people(9))).bytes, PEOPLE, io)
    expect(shard.presentRegions).toEqual([])
    expect(shard.keys().length).toBe(9)
    expect(shard.presentRegions).toEqual(['PK', 'W'])
    expect(shard.column(0)).toBe(shard.keys())
    expect(shard.column(3).columns[3][8]).toBe(8)
    expect(shard.presentRegions).toEqual(['PK', 'W', 'C3'])
    shard.column(2)
    expect(shard.presentRegions).toEqual(['PK', 'W', 'N', 'C2', 'C3', 'B'])
    expect(shard.rows()).toBe(shard.keys())
    expect(shard.presentRegions).toEqual(['PK', 'W', 'N', 'C1', 'C2', 'C3', 'B'])
  })

  test('strings of all lengths around the cell, at every place in a page of the heap', () => {
    const layout = arrangedLayout(schemaOf('texts', 'id:u32', 'text:string', 'raw:bytes'), [0])
    const rows = Array.from({ length: 300 }, (_, i) => ({
      row: [i, 'é'.repeat(i % 20), new Uint8Array(i === 150 ? 1_200_000 : i * 7).fill(i)],
      weight: 1n,
    }))
    const run = runOf(layout, rows)
    const shard = openBytes(shardBytes(run).bytes, layout, io)
    const texts = (batch: Batch) => contents(batch).map(({ row: [id, text, raw] }) => `${id} ${text} ${hash(raw)}`)
    expect(texts(shard.readRows(0, 300))).toEqual(texts(run))
    expect(texts(shard.readRows(149, 152))).toEqual(texts(run).slice(149, 152))
    expect(texts(shard.rows())).toEqual(texts(run))
  })

  test('many cells that share their bytes do not multiply them', () => {
    const layout = arrangedLayout(schemaOf('shared', 'id:u32', 'text:string'), [0])
    const run = runOf(
      layout,
      Array.from({ length: 500 }, (_, i) => ({ row: [i, `${i % 2} ${'long '.repeat(100)}`], weight: 1n })),
    )
    const [even, odd] = [run.lanes[1].slice(0, 4), run.lanes[1].slice(4, 8)]
    for (let i = 0; i < 500; i++) run.lanes[1].set(i % 2 === 0 ? even : odd, i * 4)
    run.heap.length = 1004
    const shard = openBytes(shardBytes(run).bytes, layout, io)
    const window = shard.readRows(100, 400)
    expect(contents(window)).toEqual(contents(run).slice(100, 400))
    expect(window.heap.length).toBe(1004)
    expect(contents(shard.readRows(3, 4, window))).toEqual(contents(run).slice(3, 4))
    verifyShard(shard)
  })

  test('a window is used again only where it came from', () => {
    const { bytes } = shardBytes(runOf(PEOPLE, people(100)))
    const one = openBytes(bytes, PEOPLE, io)
    const two = openBytes(bytes, PEOPLE, io)
    const window = one.readRows(0, 50)
    const other = two.readRows(50, 100, window)
    expect(other).not.toBe(window)
    expect(one.readRows(0, 50, window)).toBe(window)
    expect(contents(window)).toEqual(contents(one.rows()).slice(0, 50))
    expect(() => one.readRows(0, 101)).toThrow(/rows 0 to 101/)
    expect(() => one.readRows(3, 2)).toThrow(/rows 3 to 2/)
  })

  test('the file goes with the last holder', () => {
    const env = new MemoryEnv()
    const shard = openBytes(shardBytes(runOf(PEOPLE, people(5))).bytes, PEOPLE, io, null, env)
    const rows = shard.rows()
    shard.retain().discard()
    shard.release()
    expect(env.removals).toEqual([])
    expect(allRows(shard)).toHaveLength(5)
    shard.release()
    expect(env.removals).toEqual([PATH])
    expect(env.openFiles).toBe(0)
    // What a reader still holds stays as it was.
    expect(contents(rows)).toEqual(contents(runOf(PEOPLE, people(5))))
    for (const use of [() => shard.keys(), () => shard.release(), () => shard.retain(), () => shard.readRows(0, 1)]) {
      expect(use).toThrow(UsageError)
    }
  })

  test('a file that cannot be removed is left behind', () => {
    const env = new MemoryEnv()
    const shard = openBytes(shardBytes(runOf(PEOPLE, people(5))).bytes, PEOPLE, io, null, env)
    env.failRemove = true
    shard.discard()
    shard.release()
    expect(env.files.size).toBe(1)
    expect(env.openFiles).toBe(0)
  })

  test('a file that is not there', () => {
    withDirectory((env, directory) => {
      expect(() => Shard.open(env, joinPath(directory, 'none'), TABLE, PEOPLE, null, io)).toThrow(IoError)
    })
  })

  test('what is refused at once, with its reason', () => {
    const { bytes, summary } = shardBytes(runOf(PEOPLE, people(5)))
    const changed = (at: number, ...values: number[]) => {
      const copy = bytes.slice()
      copy.set(values, at)
      return copy
    }
    const open = (file: Uint8Array, layout = PEOPLE, expected = null as typeof summary | null) =>
      openBytes(file, layout, io, expected)
    const refusal = (call: () => unknown): GnitzError => {
      try {
        call()
      } catch (error) {
        if (error instanceof GnitzError) return error
        throw error
      }
      throw new Error('expected an error')
    }
    const cases: [() => unknown, typeof CorruptionError | typeof FormatError, number, string][] = [
      [() => open(new Uint8Array(0)), CorruptionError, 0, 'expected a shard of at least 64 bytes, found 0 bytes'],
      [() => open(bytes.slice(0, 63)), CorruptionError, 63, 'found 63 bytes'],
      [() => open(bytes.slice(0, 100)), CorruptionError, 100, 'expected a directory up to byte 232'],
      [() => open(changed(0, 0)), FormatError, 0, 'another kind of file'],
      [() => open(changed(8, 4)), FormatError, 8, 'expected version 2 or 3, found 4'],
      [() => open(changed(32, 9)), FormatError, 32, 'expected a shard of table 7, found one of table 9'],
      [() => open(changed(23, 255)), CorruptionError, 16, 'expected at most 268435455 rows'],
      [() => open(changed(16, 6)), CorruptionError, 16, 'expected 40 bytes of weights to be those of 6 rows'],
      [() => open(changed(24, 65)), CorruptionError, 24, 'expected the directory at byte 64, found 65'],
      [() => open(changed(63, 1)), CorruptionError, 63, 'reserved'],
      [() => open(changed(88, 1)), CorruptionError, 88, 'expected a multiple of 64'],
      [() => open(changed(91, 1)), CorruptionError, 88, 'beyond the end of the file'],
      [() => open(changed(95, 255)), CorruptionError, 88, 'beyond the end of the file'],
      [() => open(changed(88, 0)), CorruptionError, 88, 'expected it at byte'],
      [() => open(bytes.slice(0, -1)), CorruptionError, 208, 'beyond the end of the file'],
      [() => open(new Uint8Array([...bytes, 0])), CorruptionError, bytes.length, 'to end with region B'],
      [() => open(bytes.slice(0, -1), PEOPLE, summary), CorruptionError, bytes.length - 1, `expected ${bytes.length}`],
      [() => open(changed(88, 0), PEOPLE, summary), CorruptionError, 0, 'checksum of header and directory'],
    ]
    for (const [call, kind, offset, text] of cases) {
      const error = refusal(call)
      expect(error.message).toContain(text)
      expect(error).toBeInstanceOf(kind)
      expect((error as CorruptionError).offset).toBe(offset)
    }
    const another = arrangedLayout(schemaOf('people', 'id:u64', 'name:string', 'note:string?', 'n:i64'), [0])
    expect(refusal(() => open(bytes, another, summary)).message).toContain('not a shard of this schema')
    const wider = arrangedLayout(schemaOf('people', 'id:u64', 'name:string', 'note:string?', 'n:i32', 'm:i32'), [0])
    expect(refusal(() => open(bytes, wider, summary))).toBeInstanceOf(FormatError)
    const narrower = arrangedLayout(schemaOf('people', 'id:u64', 'name:string', 'note:string?'), [0])
    expect(refusal(() => open(bytes, narrower, summary))).toBeInstanceOf(FormatError)
  })

  test('a summary that belongs to another shard', () => {
    const { bytes, summary } = shardBytes(runOf(PEOPLE, people(5)))
    const shard = openBytes(bytes, PEOPLE, io, { ...summary, minKey: 11n })
    expect(() => shard.keys()).toThrow(/expected keys from 11 to 50, found 10 to 50/)
    const miscounted = { ...summary, rowCount: 6 }
    expect(() => openBytes(bytes, PEOPLE, io, miscounted)).toThrow(/expected 6 rows, found 5/)
    const other = shardBytes(runOf(PEOPLE, people(6)))
    expect(() => openBytes(bytes, PEOPLE, io, other.summary)).toThrow(CorruptionError)
  })
})

describe('writing', () => {
  test('a batch that is not consolidated is refused', () => {
    const env = new MemoryEnv()
    const write = (batch: Batch, tableId = TABLE) => writeShard(env, PATH, tableId, batch, { sync: false })
    const raw = batchOf(PEOPLE, people(3))
    expect(() => write(raw)).toThrow(/expected a consolidated batch, found a raw one/)
    const flat = flatLayout(PEOPLE.schema)
    expect(() => write(new Batch(flat))).toThrow(/expected an arranged batch/)
    for (const id of [0, -1, 2 ** 32, 1.5]) {
      expect(() => write(runOf(PEOPLE, people(3)), id)).toThrow(/expected a table id from 1 to 4294967295/)
    }
    expect(env.files.size).toBe(0)
  })

  test('a batch that only claims to be consolidated is refused', () => {
    const broken = (spoil: (batch: Batch) => void) => () => {
      const batch = runOf(PEOPLE, people(3))
      spoil(batch)
      return shardBytes(batch)
    }
    expect(broken(b => b.keys.reverse())).toThrow(/expected keys to ascend/)
    expect(broken(b => b.weights.fill(0n, 1, 2))).toThrow(/row 1: expected a weight other than zero/)
    expect(broken(b => b.lanes[1].fill(255, 3, 4))).toThrow(/expected zeros after a text of 6 bytes/)
    expect(broken(b => b.lanes[1].fill(0xff656d61, 1, 2))).toThrow(/expected UTF-8/)
    expect(broken(b => b.lanes[2].fill(1000, 6, 7))).toThrow(/beyond its/)
    expect(broken(b => b.lanes[2].fill(1, 7, 8))).toThrow(/beyond its/)
    expect(broken(b => b.lanes[2].fill(0x20202020, 5, 6))).toThrow(/expected the first four bytes/)
    expect(broken(b => b.heap.bytes.fill(0xff, 20, 21))).toThrow(/row 1: expected UTF-8/)
    expect(broken(b => b.lanes[2].fill(2 ** 28 + 1, 4, 5))).toThrow(/at most 268435456 bytes/)
  })

  test('more memory than rows is not written', () => {
    const run = runOf(PEOPLE, people(3))
    const { bytes } = shardBytes(run)
    run.reserve(1000)
    run.heap.reserve(1000)
    expect(shardBytes(run).bytes).toEqual(bytes)
  })

  test('a full disk leaves nothing behind, and the next write works', () => {
    const env = new MemoryEnv()
    const run = runOf(PEOPLE, people(50))
    env.roomBytes = 100
    expect(() => writeShard(env, PATH, TABLE, run, { sync: true })).toThrow(NoSpaceError)
    expect(env.files.size).toBe(0)
    env.failRemove = true
    expect(() => writeShard(env, PATH, TABLE, run, { sync: true })).toThrow(NoSpaceError)
    expect(env.files.size).toBe(1)
    expect(() => writeShard(env, PATH, TABLE, run, { sync: true })).toThrow(/there is such a file/)
    expect(env.files.size).toBe(1)
    env.failRemove = false
    env.roomBytes = 1e6
    env.remove(PATH)
    writeShard(env, PATH, TABLE, run, { sync: true })
    expect(env.syncs).toBe(1)
    expect(env.openFiles).toBe(0)
    expect(allRows(Shard.open(env, PATH, TABLE, PEOPLE, null, 'read'))).toEqual(contents(run))
  })
})

test('a mapping that does not begin at a multiple of 64 is copied', () => {
  const env = new MemoryEnv()
  env.mapOffset = 3
  const run = runOf(PEOPLE, people(20))
  const shard = openBytes(shardBytes(run).bytes, PEOPLE, 'map', null, env)
  expect(allRows(shard)).toEqual(contents(run))
  expect(contents(shard.readRows(3, 9))).toEqual(contents(run).slice(3, 9))
  verifyShard(shard)
})

test('views of a mapped shard lie over its memory', () => {
  const shard = openBytes(shardBytes(runOf(PEOPLE, people(20))).bytes, PEOPLE, 'map')
  const rows = shard.rows()
  const window = shard.readRows(4, 8)
  expect(rows.keys.buffer).toBe(rows.columns[3].buffer)
  expect(window.weights.buffer).toBe(rows.keys.buffer)
  expect(window.heap).toBe(rows.heap)
})

test('where nothing can be mapped, `auto` reads and `map` says so', () => {
  const env = new MemoryEnv()
  env.map = () => null
  const { bytes } = shardBytes(runOf(PEOPLE, people(2)))
  env.files.set(PATH, bytes)
  expect(Shard.open(env, PATH, TABLE, PEOPLE, null, 'auto').isMapped).toBe(false)
  expect(() => Shard.open(env, PATH, TABLE, PEOPLE, null, 'map')).toThrow(/cannot be mapped/)
})
