/** Relocation of long strings: every content once, in a heap that fits, whatever column it came from. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { hashString } from '../../src/base/string-hash.js'
import { arrangedLayout } from '../../src/schema/schema.js'
import type { Value } from '../../src/schema/types.js'
import { hasStrings, loadStringHash, longBytes, relocate } from '../../src/storage/strings.js'
import { Batch } from '../../src/zset/batch.js'
import { batchOf, contents, layoutAndRows, runOf, schemaOf, type Weighted } from '../zset/support.js'

const layout = arrangedLayout(schemaOf('notes', 'id:u64', 'a:string', 'b:bytes?', 'c:string?'), [0])

function rowsOf(texts: readonly (readonly (string | null)[])[]): Weighted[] {
  return texts.map(([a, b, c], n) => {
    const row: Value[] = [BigInt(n), a, b === null ? null : new TextEncoder().encode(b), c]
    return { row, weight: 1n }
  })
}

/** The bytes that distinct long values take. */
function distinctBytes(rows: readonly Weighted[]): number {
  const long = new Set<string>()
  for (const { row } of rows) {
    for (const value of row) {
      if (typeof value !== 'string' && !(value instanceof Uint8Array)) continue
      const bytes = Buffer.from(value as string)
      if (bytes.length > 12) long.add(bytes.toString('latin1'))
    }
  }
  return [...long].reduce((sum, text) => sum + text.length, 0)
}

function checkRelocated(batch: Batch, expectedBytes: number): void {
  const before = contents(batch)
  const { heap } = batch
  const old = heap.bytes.slice()
  relocate(batch)
  expect(contents(batch)).toEqual(before)
  expect(batch.heap).not.toBe(heap)
  expect(batch.heap.length).toBe(expectedBytes)
  expect(batch.heap.bytes.length).toBe(expectedBytes)
  // Others may refer to the old heap.
  expect(heap.bytes).toEqual(old)
}

describe('relocate', () => {
  const text = fc.constantFrom(
    '',
    'short',
    'twelve bytes',
    'thirteen byte',
    'shared prefix, then a',
    'shared prefix, then b',
    'shared prefix, then',
    `${'x'.repeat(300)}é`,
    'x'.repeat(300),
    'y'.repeat(1100),
    `${'y'.repeat(1099)}z`,
  )

  const property = fc.property(fc.array(fc.tuple(text, fc.option(text), fc.option(text)), { maxLength: 30 }), texts => {
    const rows = rowsOf(texts)
    const batch = batchOf(layout, rows)
    // Bytes that nobody refers to are left behind.
    batch.heap.append(new Uint8Array(100), 0, 100)
    checkRelocated(batch, distinctBytes(rows))
  })

  test('keeps values, drops what is not referred to, stores contents once across columns', async () => {
    fc.assert(property, { numRuns: 30, seed: 5 })
    await loadStringHash()
    await loadStringHash()
    fc.assert(property, { numRuns: 15, seed: 6 })
  })

  test('of all layouts', () => {
    fc.assert(
      fc.property(layoutAndRows(1, 30), ({ layout, lists: [rows] }) => {
        const batch = runOf(layout, rows)
        const before = contents(batch)
        const { heap } = batch
        relocate(batch)
        expect(contents(batch)).toEqual(before)
        expect(batch.heap.length).toBeLessThanOrEqual(longBytes(batch))
        expect(batch.heap.bytes.length).toBe(hasStrings(layout) ? batch.heap.length : heap.bytes.length)
        expect(batch.heap === heap).toBe(!hasStrings(layout))
      }),
      { numRuns: 30, seed: 7 },
    )
  })

  test('thousands of different strings, each twice', () => {
    const texts = Array.from({ length: 3000 }, (_, n) => [
      `a string with the number ${n}`,
      null,
      `the number ${n >> 1}…`,
    ])
    const rows = rowsOf(texts)
    checkRelocated(batchOf(layout, rows), distinctBytes(rows))
  })

  test('cells may share bytes already, and a heap may be a window into another buffer', () => {
    const batch = batchOf(
      layout,
      rowsOf([
        ['some text that is long', null, null],
        ['x', null, 'another text that is long'],
      ]),
    )
    const shifted = new Uint8Array(batch.heap.length + 5)
    shifted.set(batch.heap.bytes.subarray(0, batch.heap.length), 5)
    batch.heap.bytes = shifted.subarray(5)
    batch.lanes[1].set(batch.lanes[1].slice(0, 4), 4)
    const before = contents(batch)
    relocate(batch)
    expect(contents(batch)).toEqual(before)
    expect(batch.heap.length).toBe('some text that is long'.length + 'another text that is long'.length)
  })

  test('a cell that points outside is found out', () => {
    const batch = batchOf(layout, rowsOf([['some text that is long', null, null]]))
    batch.lanes[1][2] = 1
    expect(() => relocate(batch)).toThrow('lies within its heap')
  })

  test('nothing to relocate', () => {
    const numbers = arrangedLayout(schemaOf('numbers', 'k:u64', 'v:i32'), [0])
    const batch = new Batch(numbers, 3)
    const { heap } = batch
    relocate(batch)
    expect(batch.heap).toBe(heap)
    const empty = new Batch(layout)
    relocate(empty)
    expect(empty.heap.length).toBe(0)
  })
})

test('the hash depends on every bit and on the length, for short strings and long ones', async () => {
  await loadStringHash()
  for (const length of [13, 14, 15, 16, 17, 23, 24, 64, 1023, 1024, 1500]) {
    const bytes = new Uint8Array(length + 9).fill(7)
    const view = new DataView(bytes.buffer, 3)
    const plain = hashString(view, 2, length)
    const seen = new Set([plain, hashString(view, 2, length + 1)])
    const bits = Math.min(length, 70) * 8
    for (let bit = 0; bit < bits; bit++) {
      bytes[5 + (bit >> 3)] ^= 1 << (bit & 7)
      seen.add(hashString(view, 2, length))
      bytes[5 + (bit >> 3)] ^= 1 << (bit & 7)
    }
    expect(seen.size).toBe(bits + 2)
    expect(hashString(view, 2, length)).toBe(plain)
  }
})
