/** The skip list's memory, byte by byte, and the arena under it. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { kernelsOf } from '../../codegen/kernels.js'
import { MAX_LEVELS as CODE_LEVELS } from '../../codegen/nodes.js'
import { arrangedLayout, type Layout } from '../../src/schema/schema.js'
import type { Value } from '../../src/schema/types.js'
import { Arena } from '../../src/storage/memtable/arena.js'
import { MAX_LEVELS, SkipList } from '../../src/storage/memtable/skiplist.js'
import { Batch } from '../../src/zset/batch.js'
import { Heap } from '../../src/zset/heap.js'
import type { Kernels } from '../../src/zset/kernels.js'
import {
  contents,
  flaw,
  LAYOUTS,
  layoutAndRows,
  MODES,
  runOf,
  schemaOf,
  sumOf,
  type Weighted,
} from '../zset/support.js'

const LIMIT = 1 << 20
const HEAD_BYTES = 64

interface Node {
  readonly at: number
  readonly weight: bigint
  readonly next: readonly number[]
  /** Key and payload. */
  readonly row: Uint8Array
}

/** Reads a node as FORMAT.md draws it, with nothing but a DataView. */
function nodeAt(list: SkipList, at: number): Node {
  const { view } = list
  expect(at % 16).toBe(0)
  const height = view.getUint8(at + 8)
  expect([view.getUint8(at + 9), view.getUint8(at + 10), view.getUint8(at + 11)]).toEqual([0, 0, 0])
  const next = Array.from({ length: height }, (_, level) => view.getUint32(at + 12 + level * 4, true))
  const key = Math.ceil((at + 12 + height * 4) / 16) * 16
  const row = new Uint8Array(view.buffer, key, list.kernels.nodeStride)
  return { at, weight: view.getBigInt64(at, true), next, row }
}

/** All nodes by the chain of level 0; checks that the other levels are parts of it, in the same order. */
function nodesOf(list: SkipList): Node[] {
  const nodes: Node[] = []
  for (let at = list.view.getUint32(12, true); at !== 0; at = nodes[nodes.length - 1].next[0]) {
    nodes.push(nodeAt(list, at))
    expect(nodes.length).toBeLessThanOrEqual(list.rows)
  }
  for (let level = 0; level < MAX_LEVELS; level++) {
    const chain: number[] = []
    for (let at = list.view.getUint32(12 + level * 4, true); at !== 0; at = nodeAt(list, at).next[level]) chain.push(at)
    expect(chain).toEqual(nodes.filter(n => n.next.length > level).map(n => n.at))
    if (level >= list.top) expect(chain).toEqual([])
  }
  return nodes
}

/** The rows of a run as packed bytes, without weights: what nodes hold. */
function packedRows(list: SkipList, run: Batch): Uint8Array[] {
  const { kernels } = list
  const view = new DataView(new ArrayBuffer(kernels.packedStride * run.length))
  kernels.encodePacked(run, 0, run.length, view, 0, new Heap())
  const keyBytes = kernels.layout.key.words * 8
  return Array.from({ length: run.length }, (_, i) => {
    const row = new Uint8Array(view.buffer, i * kernels.packedStride, kernels.packedStride)
    return Uint8Array.of(...row.subarray(0, keyBytes), ...row.subarray(keyBytes + 8))
  })
}

/** Zeroes the offsets of long strings, which are a matter of the heap. */
function withoutOffsets(layout: Layout, rows: readonly Uint8Array[]): Uint8Array[] {
  return rows.map(row => {
    const copy = row.slice()
    const view = new DataView(copy.buffer)
    let at = layout.key.words * 8 + layout.schema.nullWords * 8
    for (const { info } of layout.stored) {
      if (info.storage === 'german' && view.getUint32(at, true) > 12) view.setBigUint64(at + 8, 0n)
      at += info.sizeBytes
    }
    return copy
  })
}

describe.each(MODES)('nodes, %s', mode => {
  test('lie as drawn, in order, with packed rows as payload', () => {
    fc.assert(
      fc.property(layoutAndRows(3, 30), ({ layout, lists }) => {
        const list = new SkipList(kernelsOf(layout, mode), LIMIT)
        for (const rows of lists) expect(list.insert(runOf(layout, rows))).toBe(true)
        const nodes = nodesOf(list)
        expect(nodes.length).toBe(list.rows)
        // Ghosts are nodes, too: give each a weight to see all rows in order.
        const all = new Batch(layout)
        const weights = nodes.map(n => n.weight)
        for (const n of nodes) list.quads[n.at / 8] = 1n
        list.scan(all)
        expect(flaw(layout, all)).toBeNull()
        expect(
          withoutOffsets(
            layout,
            nodes.map(n => n.row),
          ),
        ).toEqual(withoutOffsets(layout, packedRows(list, all)))
        nodes.forEach((n, i) => {
          list.quads[n.at / 8] = weights[i]
        })
        const rows = new Batch(layout)
        list.scan(rows)
        expect(flaw(layout, rows)).toBeNull()
        expect(rows.length).toBe(weights.filter(weight => weight !== 0n).length)
        expect(sumOf(contents(rows))).toEqual(sumOf(lists.flat()))
        list.clear()
        expect([list.rows, list.usedBytes, nodesOf(list)]).toEqual([0, 0, []])
        // The memory has old rows in it.
        list.insert(runOf(layout, lists[0]))
        nodesOf(list)
        const again = new Batch(layout)
        list.scan(again)
        expect(sumOf(contents(again))).toEqual(sumOf(lists[0]))
      }),
      { numRuns: 25, seed: 4 },
    )
  })
})

const numbers = arrangedLayout(schemaOf('numbers', 'k:u64', 'v:i64'), [0])
const kernels = kernelsOf(numbers)
const one = (k: number): Batch => runOf(numbers, [{ row: [BigInt(k), 1n], weight: 1n }])

describe('the list', () => {
  test('the tallest node fits the head, and code and storage agree on it', () => {
    expect(MAX_LEVELS).toBe(CODE_LEVELS)
    expect(Math.ceil((12 + MAX_LEVELS * 4) / 16) * 16).toBe(HEAD_BYTES)
  })

  test('a quarter of the nodes go up on each level', () => {
    const list = new SkipList(kernels, LIMIT)
    for (let n = 0; n < 2000; n++) list.insert(one((n * 7919) % 2003))
    const heights = nodesOf(list).map(n => n.next.length)
    const above = (level: number) => heights.filter(h => h > level).length
    expect(above(1)).toBeGreaterThan(420)
    expect(above(1)).toBeLessThan(580)
    expect(above(2)).toBeGreaterThan(80)
    expect(above(2)).toBeLessThan(170)
    expect(list.top).toBeLessThan(10)
  })

  test('the finger: neighbouring rows cost few comparisons, wherever they lie', () => {
    // Equal keys, so that every comparison asks for the order of payloads, which is counted.
    const layout = arrangedLayout(schemaOf('counted', 'k:u64', 'v:i64'), [0])
    const rows = (from: number, to: number, step: number) =>
      runOf(
        layout,
        Array.from({ length: Math.ceil((to - from) / step) }, (_, i): Weighted => {
          return { row: [7n, BigInt(from + i * step)], weight: 1n }
        }),
      )
    const own: { -readonly [K in keyof Kernels]: Kernels[K] } = kernelsOf(layout, 'generic')
    const list = new SkipList(own, LIMIT)
    list.insert(rows(0, 4000, 2))
    // Once more, so that the kernel is made before it is wrapped.
    list.insert(rows(0, 4000, 2))
    const { compareNode } = own
    let comparisons = 0
    own.compareNode = (...args) => {
      comparisons++
      return compareNode(...args)
    }
    list.insert(rows(1, 1001, 2))
    // One node is stepped over: two or three comparisons. From the head it would be about fifteen.
    expect(comparisons / 500).toBeLessThan(5)
    list.insert(rows(4000, 4001, 1))
    comparisons = 0
    for (let k = 4001; k < 4101; k++) list.insert(rows(k, k + 1, 1))
    expect(comparisons).toBe(100)
    expect(list.rows).toBe(2601)
  })

  test('takes batches that leave room for others, and refuses what does not fit without a change', () => {
    const texts = LAYOUTS.find(l => l.schema.name === 'text') as Layout
    const list = new SkipList(kernelsOf(texts), 4096)
    const row = (n: number, text: string): Weighted => ({ row: [text, BigInt(n)], weight: 1n })
    const few = runOf(texts, [row(1, 'a'), row(2, 'b')])
    expect(list.takes(few)).toBe(true)
    expect(
      list.takes(
        runOf(
          texts,
          Array.from({ length: 40 }, (_, n) => row(n, 'a')),
        ),
      ),
    ).toBe(false)
    expect(list.takes(runOf(texts, [row(1, 'x'.repeat(5000))]))).toBe(false)
    expect(list.insert(runOf(texts, [row(1, 'x'.repeat(5000))]))).toBe(false)
    let n = 0
    while (list.insert(runOf(texts, [row(n, 'a text of some length')]))) n++
    expect(n).toBeGreaterThan(10)
    expect(list.rows).toBe(n)
    const before = new Uint8Array(list.view.buffer).slice()
    expect(list.insert(few)).toBe(false)
    expect(new Uint8Array(list.view.buffer)).toEqual(before)
    list.clear()
    expect(list.insert(few)).toBe(true)
  })
})

/** The example in FORMAT.md; `--` may be anything. */
const EXAMPLE = `
  00 00 00 00 00 00 00 00 00 00 00 00 80 00 00 00
  00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
  00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
  00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
  02 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00
  09 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00
  01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
  00 -- -- -- -- -- -- -- -- -- -- -- -- -- -- --
  00 00 00 00 00 00 00 00 01 00 00 00 c0 00 00 00
  05 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
  00 04 00 00 00 70 61 69 64 00 00 00 00 00 00 00
  00 -- -- -- -- -- -- -- -- -- -- -- -- -- -- --
  01 00 00 00 00 00 00 00 01 00 00 00 40 00 00 00
  07 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
  01 0d 00 00 00 64 75 65 20 00 00 00 00 00 00 00
  00 -- -- -- -- -- -- -- -- -- -- -- -- -- -- --`

test('the documented example', () => {
  const layout = arrangedLayout(schemaOf('notes', 'id:u64', 'open:bool', 'note:string?'), [0])
  const list = new SkipList(kernelsOf(layout), LIMIT)
  const add = (weight: bigint, row: Value[]) => list.insert(runOf(layout, [{ row, weight }]))
  add(2n, [9n, true, null])
  add(1n, [5n, false, 'paid'])
  add(1n, [7n, true, 'due on Monday'])
  add(-1n, [5n, false, 'paid'])
  const expected = EXAMPLE.trim().split(/\s+/)
  const found = [...new Uint8Array(list.view.buffer, 0, list.end)].map(byte => byte.toString(16).padStart(2, '0'))
  expect(found.map((byte, at) => (expected[at] === '--' ? '--' : byte))).toEqual(expected)
  expect(Buffer.from(list.blob.bytes.subarray(0, list.blob.length)).toString()).toBe('due on Monday')
})

describe('the arena', () => {
  test('grows by what is needed, keeps what is in it, and stops at its limit', () => {
    const arena = new Arena(1 << 16)
    expect(arena.capacityBytes).toBe(1 << 14)
    arena.words[5] = 77
    arena.end = 1 << 14
    expect(arena.reserve(0)).toBe(true)
    expect(arena.reserve(16)).toBe(true)
    expect([arena.capacityBytes, arena.words[5], arena.view.getUint32(20, true)]).toEqual([1 << 15, 77, 77])
    arena.end = 1 << 15
    expect(arena.reserve((1 << 15) + 16)).toBe(false)
    expect(arena.capacityBytes).toBe(1 << 15)
    expect(arena.reserve(1 << 15)).toBe(true)
    arena.end = 1 << 16
    arena.check()
    expect(arena.reserve(16)).toBe(false)
    arena.end += 16
    expect(() => arena.check()).toThrow('within its bounds')
  })

  test('its limit is sane', () => {
    for (const limit of [0, -16, 100, 2 ** 31]) expect(() => new Arena(limit)).toThrow('sane limit')
  })
})
