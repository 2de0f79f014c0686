/** Every stretch of a heap is judged as the platform's decoder judges it. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isUtf8, Utf8Index } from '../../src/storage/shard/utf8.js'

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function decodes(bytes: Uint8Array): boolean {
  try {
    decoder.decode(bytes)
    return true
  } catch {
    return false
  }
}

/** Pieces of text, cut characters, and bytes at the borders of what may follow what. */
const piece = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 6 }).map(text => [...Buffer.from(text)]),
  fc.constantFrom(
    ...[
      [0xc3],
      [0xa9],
      [0x80],
      [0xbf],
      [0xc0, 0x80],
      [0xc1, 0xbf],
      [0xc2, 0x80],
      [0xe0, 0x9f, 0x80],
      [0xe0, 0xa0, 0x80],
    ],
    ...[
      [0xed, 0x9f, 0xbf],
      [0xed, 0xa0, 0x80],
      [0xef, 0xbb, 0xbf],
      [0xf0, 0x8f, 0xbf, 0xbf],
      [0xf0, 0x90, 0x80, 0x80],
    ],
    ...[[0xf4, 0x8f, 0xbf, 0xbf], [0xf4, 0x90, 0x80, 0x80], [0xf5], [0xff], [0xe2, 0x82], [0xf0, 0x9f, 0x98]],
  ),
  fc.constant([...Buffer.from('plain text, longer than a word')]),
)

test('all stretches', () => {
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), fc.nat(7), (pieces, offset) => {
      const all = pieces.flat()
      // At any address: the scan for plain text reads words where it can.
      const bytes = new Uint8Array(all.length + offset).subarray(offset)
      bytes.set(all)
      const index = new Utf8Index(bytes)
      const wrong: number[][] = []
      for (let from = 0; from < bytes.length; from++) {
        for (let to = from + 1; to <= bytes.length; to++) {
          const expected = decodes(bytes.subarray(from, to))
          if (index.isText(from, to - from) !== expected || isUtf8(bytes, from, to) !== expected) wrong.push([from, to])
        }
      }
      expect(wrong).toEqual([])
    }),
    { numRuns: 60 },
  )
})
