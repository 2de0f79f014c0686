/** German strings against JavaScript's own coders and a comparison byte by byte. */
import { describe, expect, it } from 'vitest'
import { Heap } from '../../src/zset/heap.js'
import {
  compareGerman,
  copyString,
  decodeBytes,
  decodeString,
  encodeBytes,
  encodeString,
  equalGerman,
} from '../../src/zset/strings.js'

const ALPHABET = ['a', 'b', '\0', 'é', '€', '😀', '\u{ffff}', '\ufeff', '~']

/** All lengths around the borders, prefixes shared, one- to four-byte characters. */
const TEXTS: string[] = (() => {
  const texts = ['', '\ufeffbom', 'x'.repeat(1000), '😀'.repeat(300), `${'y'.repeat(999)}é`]
  let state = 7
  for (let n = 0; n < 150; n++) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0
    const length = (state >>> 8) % 40
    const ascii = n % 2 === 0
    const text = Array.from(
      { length },
      (_, k) => ALPHABET[k < 5 ? 0 : ((state >>> (k % 20)) + k) % (ascii ? 2 : ALPHABET.length)],
    )
    texts.push(text.join(''))
  }
  for (let length = 0; length <= 36; length++) texts.push('ab'.repeat(length).slice(0, length))
  return texts
})()

const utf8 = new TextEncoder()
const BYTES = TEXTS.map(t => utf8.encode(t))

interface Store {
  readonly lanes: Uint32Array
  readonly heap: Heap
}

function stored(): Store {
  const lanes = new Uint32Array(TEXTS.length * 4).fill(0xa5a5a5a5)
  const heap = new Heap()
  for (const [i, text] of TEXTS.entries()) encodeString(text, lanes, i * 4, heap)
  return { lanes, heap }
}

describe('german strings', () => {
  const { lanes, heap } = stored()

  it('give back what was put in', () => {
    TEXTS.forEach((text, i) => {
      expect(decodeString(lanes, i * 4, heap)).toBe(text)
      expect(decodeBytes(lanes, i * 4, heap)).toEqual(BYTES[i])
      expect(lanes[i * 4]).toBe(BYTES[i].length)
    })
  })

  it('are the same whether they come as text or as bytes, and put only long values on the heap', () => {
    const other = new Heap()
    const cells = new Uint32Array(lanes.length)
    for (const [i, bytes] of BYTES.entries()) encodeBytes(bytes, cells, i * 4, other)
    expect(cells).toEqual(lanes)
    expect(other.bytes.subarray(0, other.length)).toEqual(heap.bytes.subarray(0, heap.length))
    expect(heap.length).toBe(BYTES.reduce((sum, b) => sum + (b.length > 12 ? b.length : 0), 0))
  })

  it('order by bytes', () => {
    const wrong: string[][] = []
    TEXTS.forEach((a, i) => {
      TEXTS.forEach((b, j) => {
        const order = Math.sign(Buffer.compare(BYTES[i], BYTES[j]))
        const found = Math.sign(compareGerman(lanes, i * 4, heap, lanes, j * 4, heap))
        const equal = equalGerman(lanes, i * 4, heap, lanes, j * 4, heap)
        if (found !== order || equal !== (order === 0)) wrong.push([a, b])
      })
    })
    expect(wrong).toEqual([])
  })

  it('are copied from heap to heap', () => {
    const to = new Uint32Array(lanes.length)
    const other = new Heap()
    other.reserve(5)
    other.length = 5
    for (let i = TEXTS.length - 1; i >= 0; i--) copyString(lanes, i * 4, heap, to, i * 4, other)
    TEXTS.forEach((text, i) => {
      expect(decodeString(to, i * 4, other)).toBe(text)
      expect(compareGerman(lanes, i * 4, heap, to, i * 4, other)).toBe(0)
    })
  })

  it('have U+FFFD in place of half a character', () => {
    const cell = new Uint32Array(4)
    encodeString('a\ud83d', cell, 0, heap)
    expect(decodeString(cell, 0, heap)).toBe('a\ufffd')
  })
})
