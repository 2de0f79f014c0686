/** Blocks: rows of every layout through the log's bytes, and bytes whose checksums hold but whose rows cannot be. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { kernelsOf } from '../../codegen/kernels.js'
import { xxh3 } from '../../src/base/checksum.js'
import { CorruptionError, GnitzError, UsageError } from '../../src/base/errors.js'
import { Prng } from '../../src/base/prng.js'
import { arrangedLayout, type Layout } from '../../src/schema/schema.js'
import { BlockBuffer, blockFrom, parseHeader } from '../../src/storage/wal/block.js'
import { isUtf8, type PackedRows, slabBatch, unpackRows } from '../../src/storage/wal/rows.js'
import { scanSegment } from '../../src/storage/wal/scan.js'
import { readGroups } from '../../src/storage/wal/tail.js'
import { Batch } from '../../src/zset/batch.js'
import { batchOf, contents, layoutAndRows, MODES, runOf, schemaOf } from '../zset/support.js'
import { MemoryEnv } from './wal-memory-env.js'
import { openWal, randomGroup, tablesOf } from './wal-support.js'

const RUNS = { numRuns: 60, seed: 6 }

/** Recomputes the checksums of the block at `at`, straight from the description of the format. */
function reseal(bytes: Uint8Array, at: number, bodyBytes: number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  view.setBigUint64(at + 16, xxh3(bytes.subarray(at + 32, at + 32 + bodyBytes)), true)
  const flags = view.getBigUint64(at + 24, true) & ((1n << 34n) - 1n)
  view.setBigUint64(at + 24, flags, true)
  const check = xxh3(bytes.subarray(at, at + 32)) & ((1n << 30n) - 1n)
  view.setBigUint64(at + 24, flags | (check << 34n), true)
}

describe('rows of every layout', () => {
  test('come back from the log, written and read by either kind of kernels', () => {
    fc.assert(
      fc.property(layoutAndRows(2), fc.constantFrom(...MODES), fc.constantFrom(...MODES), (sample, write, read) => {
        const { layout, lists } = sample
        const env = new MemoryEnv()
        const tableOf = tablesOf(write, [layout])
        const { wal } = openWal('/w', { env, tableOf })
        lists.forEach((rows, i) => {
          wal.append(BigInt(i + 1), [{ tableId: 1, batch: runOf(layout, rows) }])
        })
        wal.sync()
        const found = [...readGroups({ env, dir: '/w', tableOf: tablesOf(read, [layout]), after: 0n })]
        expect(found.map(g => contents(g.parts[0].batch))).toEqual(lists.map(rows => contents(runOf(layout, rows))))
        for (const { parts } of found) {
          const [{ batch }] = parts
          expect(batch.order).toBe('consolidated')
          // It grows like any other batch.
          const before = contents(batch)
          batch.reserve(3)
          expect(contents(batch)).toEqual(before)
        }
      }),
      RUNS,
    )
  })

  test('are cut into blocks that keep to the size', () => {
    fc.assert(
      fc.property(layoutAndRows(1, 60), fc.integer({ min: 1, max: 2000 }), ({ layout, lists: [rows] }, target) => {
        const kernels = kernelsOf(layout)
        const batch = runOf(layout, rows)
        const back = new Batch(layout)
        let next = 0
        while (next < batch.length) {
          const block = blockFrom(1, kernels, batch, next, target)
          expect(block.from).toBe(next)
          expect(block.to).toBeGreaterThan(next)
          next = block.to
          const entries = (block.to - block.from) * kernels.packedStride
          if (block.to - block.from > 1) expect(entries + block.tailBytes).toBeLessThanOrEqual(target)
          const buffer = new BlockBuffer()
          buffer.addRows(7n, block, true)
          const bytes = buffer.contents()
          expect(bytes.length).toBe(32 + entries + block.tailBytes)
          const sealed = bytes.slice()
          reseal(sealed, 0, bytes.length - 32)
          expect(sealed).toEqual(bytes)
          buffer.contents(true)
          const view = new DataView(bytes.buffer, bytes.byteOffset)
          expect(parseHeader(view, 0)).toMatchObject({ lsn: 7n, tableId: 1, more: true, synced: true })
          const count = block.to - block.from
          back.reserve(count)
          unpackRows(kernels, { view, at: 32, count, tailBytes: block.tailBytes, file: 'f', offset: 32 }, back)
        }
        expect(next).toBe(batch.length)
        expect(contents(back)).toEqual(contents(batch))
      }),
      RUNS,
    )
  })

  test('a row beyond the limit is refused before anything is written', () => {
    const names = Array.from({ length: 5 }, (_, n) => `s${n}:string`)
    const layout = arrangedLayout(schemaOf('large', 'id:u64', ...names), [0])
    const batch = batchOf(layout, [{ row: [1n, '', '', '', '', ''], weight: 1n }])
    for (let c = 1; c <= 5; c++) batch.lanes[c][0] = 2 ** 28
    batch.order = 'consolidated'
    const { wal } = openWal('/w', { env: new MemoryEnv(), tableOf: tablesOf('compiled', [layout]) })
    expect(() => wal.append(1n, [{ tableId: 1, batch }])).toThrow(UsageError)
    expect(() => wal.append(1n, [{ tableId: 1, batch }])).toThrow(/table "large", row 0: expected at most 1073740800/)
    expect(wal.sizeBytes).toBe(0)
    batch.lanes[1].fill(0)
    batch.lanes[2].fill(0)
    for (let c = 3; c <= 5; c++) batch.lanes[c][0] = 0
    wal.append(1n, [{ tableId: 1, batch }])
  })
})

describe('cells that no writer writes', () => {
  const layout = arrangedLayout(schemaOf('t', 'id:u64', 'a:string', 'ok:bool?', 'raw:bytes?', 'b:string'), [0])
  const kernels = kernelsOf(layout)
  // A row: key 0, weight 8, nulls 16, a 24, ok 40, raw 41, b 57; 73 bytes.
  const rows = [
    { row: [1n, 'inline', true, Uint8Array.of(255), 'a text for the heap'], weight: 1n },
    { row: [2n, 'another text for the heap', null, null, 'twelve bytes'], weight: 1n },
  ]
  const batch = runOf(layout, rows)
  const block = blockFrom(1, kernels, batch, 0)
  const buffer = new BlockBuffer()

  function packed(change: (view: DataView) => void): PackedRows {
    buffer.clear()
    buffer.addRows(1n, block, false)
    const bytes = buffer.contents().slice()
    const view = new DataView(bytes.buffer)
    change(view)
    return { view, at: 32, count: 2, tailBytes: block.tailBytes, file: 'wal', offset: 1032 }
  }
  const unpack = (change: (view: DataView) => void) => () => {
    const out = slabBatch(layout, 2, block.tailBytes)
    unpackRows(kernels, packed(change), out)
    return out
  }

  test('the sample itself is sound', () => {
    expect(kernels.packedStride).toBe(73)
    expect(contents(unpack(() => {})())).toEqual(rows)
  })

  const second = 32 + 73
  const tail = 32 + 146
  const cases: [string, number, (view: DataView) => void, RegExp][] = [
    ['null bits', 16, v => v.setUint8(32 + 16, 4), /null bits beyond the columns/],
    ['high null bits', 20, v => v.setUint8(32 + 23, 128), /null bits beyond the columns/],
    ['a bool', 40, v => v.setUint8(32 + 40, 2), /a bool that is neither 0 nor 1/],
    ['padding', 24, v => v.setUint8(32 + 24 + 4 + 6, 1), /bytes after the end of a short string/],
    ['padding at the end', 24, v => v.setUint8(32 + 24 + 15, 1), /bytes after the end of a short string/],
    ['a short text', 24, v => v.setUint8(32 + 24 + 5, 0xc0), /text that is not UTF-8/],
    ['a long text', 73 + 24, v => v.setUint8(tail + 19 + 10, 0xff), /text that is not UTF-8/],
    ['the prefix', 57, v => v.setUint8(32 + 57 + 4, 65), /a prefix that differs/],
    ['the prefix in the tail', 57, v => v.setUint8(tail, 65), /a prefix that differs/],
    ['an offset', 57, v => v.setUint32(32 + 57 + 8, 1, true), /not at byte 0 of a tail of 44/],
    ['a far offset', 57, v => v.setUint32(32 + 57 + 12, 1, true), /not at byte 0 of a tail of 44/],
    ['a shared string', 73 + 24, v => v.setUint32(second + 24 + 8, 0, true), /not at byte 19 of a tail of 44/],
    ['a length', 57, v => v.setUint32(32 + 57, 4_000_000_000, true), /a string of 4000000000 bytes/],
    ['unused tail', 146 + 43, v => v.setUint32(second + 24, 24, true), /1 bytes of tail that no string has/],
  ]
  test.each(cases)('%s', (_, at, change, message) => {
    expect(unpack(change)).toThrow(CorruptionError)
    expect(unpack(change)).toThrow(message)
    expect(unpack(change)).toThrow(expect.objectContaining({ file: 'wal', offset: 1032 + at }))
  })

  test('any bytes at all: rows or CorruptionError', () => {
    const prng = new Prng(1)
    for (let round = 0; round < 2000; round++) {
      const run = unpack(view => {
        for (let n = 1 + prng.below(4); n > 0; n--)
          view.setUint8(32 + prng.below(view.byteLength - 32), prng.below(256))
      })
      try {
        expect(contents(run()).length).toBe(2)
      } catch (error) {
        if (!(error instanceof CorruptionError)) throw error
      }
    }
  })

  test('UTF-8 is what the platform says it is', () => {
    const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
    const isText = (bytes: Uint8Array) => {
      try {
        decoder.decode(bytes)
        return true
      } catch {
        return false
      }
    }
    const piece = fc.oneof(
      fc.constantFrom([0xc0, 0x80], [0xc1], [0xe0, 0x9f, 0xbf], [0xed, 0xa0, 0x80], [0xed, 0x9f, 0xbf], [0xf4, 0x90]),
      fc.constantFrom([0xf0, 0x8f, 0xbf, 0xbf], [0xf0, 0x90, 0x80, 0x80], [0xf4, 0x8f, 0xbf, 0xbf], [0xf5], [0x80]),
      fc.string({ unit: 'binary' }).map(text => [...Buffer.from(text)]),
      fc.array(fc.nat(255), { maxLength: 3 }),
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 5 }), pieces => {
        const bytes = Uint8Array.from(pieces.flat())
        expect(isUtf8(new DataView(bytes.buffer), 0, bytes.length)).toBe(isText(bytes))
      }),
      { numRuns: 2000, seed: 7 },
    )
  })
})

describe('blocks whose checksums hold', () => {
  /** A log of four transactions with these bytes of its one segment changed. */
  function changed(change: (bytes: Uint8Array, blocks: { at: number; body: number }[]) => Uint8Array): MemoryEnv {
    const env = new MemoryEnv()
    const prng = new Prng(2)
    const { wal } = openWal('/w', { env, durability: 'commit' })
    for (let n = 1n; n <= 4n; n++) {
      wal.append(n, randomGroup(n, prng, 4).parts)
      wal.sync()
    }
    const [[path, content]] = env.files
    const blocks = [...scanSegment(env, path)].map(b => ({ at: b.offset, body: b.sizeBytes - 32 }))
    content.bytes = change(content.bytes, blocks)
    return env
  }

  test('rows out of order, weights of zero', () => {
    const layout: Layout = arrangedLayout(schemaOf('t', 'id:u64', 'v:i32'), [0])
    const tableOf = tablesOf('compiled', [layout])
    const rows = [1n, 2n, 3n].map(id => ({ row: [id, 5], weight: 1n }))
    const changes: ((view: DataView, at: number) => void)[] = [
      (view, at) => view.setBigUint64(at + 20, 1n, true),
      (view, at) => view.setBigUint64(at + 40, 2n, true),
      (view, at) => view.setBigUint64(at, 9n, true),
      (view, at) => view.setBigUint64(at + 8, 0n, true),
    ]
    for (const change of changes) {
      const env = new MemoryEnv()
      const { wal } = openWal('/w', { env, tableOf })
      wal.append(1n, [{ tableId: 1, batch: runOf(layout, rows) }])
      wal.sync()
      const [{ bytes }] = env.files.values()
      const at = bytes.length - 32 - 60
      change(new DataView(bytes.buffer, bytes.byteOffset), at + 32)
      reseal(bytes, at, 60)
      expect(() => openWal('/w', { env, tableOf })).toThrow(/row \d of table 1 is out of order or has weight zero/)
    }
  })

  test('any change of any block, resealed: an error of ours, or rows', () => {
    const prng = new Prng(3)
    let refused = 0
    for (let round = 0; round < 300; round++) {
      const env = changed((bytes, blocks) => {
        const { at, body } = prng.pick(blocks)
        // The header's numbers or the body; lengths may then reach beyond the file or the next block.
        const place = prng.chance(0.5) ? at + prng.below(28) : at + 32 + prng.below(body)
        bytes[place] = prng.chance(0.5) ? prng.below(256) : bytes[place] ^ (1 << prng.below(8))
        reseal(bytes, at, body)
        return bytes
      })
      try {
        openWal('/w', { env, tableOf: tablesOf(prng.pick(MODES)) })
      } catch (error) {
        if (!(error instanceof GnitzError)) throw error
        expect(['CORRUPT', 'FORMAT']).toContain(error.code)
        refused++
      }
    }
    expect(refused).toBeGreaterThan(120)
  })

  test('blocks that are missing, doubled or in another order', () => {
    const cut = (bytes: Uint8Array, { at, body }: { at: number; body: number }) => bytes.slice(at, at + 32 + body)
    const prng = new Prng(4)
    for (let round = 0; round < 60; round++) {
      let last = 0
      let kind = ''
      const env = changed((bytes, blocks) => {
        last = blocks.length - 1
        const list = blocks.map(b => cut(bytes, b))
        const i = prng.below(last)
        kind = `${prng.pick(['missing', 'doubled', 'swapped'])} ${i}`
        if (kind.startsWith('missing')) list.splice(i, 1)
        else if (kind.startsWith('doubled')) list.splice(i, 0, list[i])
        else [list[i], list[i + 1]] = [list[i + 1], list[i]]
        return Uint8Array.from(list.flatMap(b => [...b]))
      })
      let found: unknown = null
      try {
        openWal('/w', { env })
      } catch (error) {
        found = error
      }
      // A block that somebody takes out of a group together with its bytes leaves a group.
      if (!kind.startsWith('missing') || found !== null) expect(found, kind).toBeInstanceOf(CorruptionError)
    }
  })

  test('another version is refused, and so is a segment that begins with something else', () => {
    const version = changed((bytes, [{ at, body }]) => {
      bytes[at + 32 + 8] = 4
      reseal(bytes, at, body)
      return bytes
    })
    expect(() => openWal('/w', { env: version })).toThrow(/byte 40: expected a log of version 1 to 3, found version 4/)
    const magic = changed((bytes, [{ at, body }]) => {
      bytes[at + 32] = 0
      reseal(bytes, at, body)
      return bytes
    })
    expect(() => openWal('/w', { env: magic })).toThrow(/found another magic number/)
    const stride = changed((bytes, [{ at, body }]) => {
      bytes[at + 32 + 32 + 4] = 3
      reseal(bytes, at, body)
      return bytes
    })
    expect(() => openWal('/w', { env: stride })).toThrow(/cannot have rows of 3 bytes/)
  })
})
