/**
 * The 128-bit hash behind keys that do not fit a packed key. Values enter as 32-bit words, one after the other; the
 * mixing is that of MurmurHash3 (x86, 128 bits), a word at a time.
 *
 * The state is five words: four of hash, one that counts. Text is its length in bytes and then its UTF-8 bytes in
 * fours, so that a value hashes the same wherever it is stored. Generated code and generic execution share these.
 */

import { DECIMAL_OFFSET } from '../schema/decimal.js'
import type { TypeName, Value } from '../schema/types.js'
import { isDecimal, TYPES } from '../schema/types.js'
import { uuidToU128 } from '../schema/values.js'
import { type Heap, INLINE_BYTES } from './heap.js'
import { readRemote } from './remote.js'
import { toScratch, utf8Scratch } from './strings.js'

export const HASH_LANES = 4
const COUNT = 4

const FIRST = Int32Array.of(0x239b961b, 0xab0e9789, 0x38b34ae5, 0xa1e38b93)
const SECOND = Int32Array.of(0xab0e9789, 0x38b34ae5, 0xa1e38b93, 0x239b961b)
const TURN_WORD = Int32Array.of(15, 16, 17, 18)
const TURN_HASH = Int32Array.of(19, 17, 15, 13)
const ADDED = Int32Array.of(0x561ccd1b, 0x0bcaa747, 0x96cd1c35, 0x32ac3b17)

/** What NULL enters as: a length that no text has, and a pair that numbers are unlikely to be. */
const NULL_WORDS = [0x9e3779b9, 0x7f4a7c15] as const

export function newHash(): Int32Array {
  return new Int32Array(5)
}

export function startHash(state: Int32Array): void {
  state[0] = 0
  state[1] = 0
  state[2] = 0
  state[3] = 0
  state[COUNT] = 0
}

const turn = (x: number, by: number): number => (x << by) | (x >>> (32 - by))

export function hashWord(state: Int32Array, word: number): void {
  const n = state[COUNT] & 3
  const mixed = Math.imul(turn(Math.imul(word, FIRST[n]), TURN_WORD[n]), SECOND[n])
  state[n] = Math.imul(turn(state[n] ^ mixed, TURN_HASH[n]) + state[(n + 1) & 3], 5) + ADDED[n]
  state[COUNT]++
}

export function hashNull(state: Int32Array): void {
  hashWord(state, NULL_WORDS[0])
  hashWord(state, NULL_WORDS[1])
}

/** The bytes of a stored value. */
export function hashGerman(state: Int32Array, lanes: Uint32Array, at: number, heap: Heap): void {
  const length = lanes[at]
  if (length > INLINE_BYTES) {
    if (lanes[at + 3] !== 0) hashBytes(state, readRemote(lanes, at, heap))
    else hashBytes(state, heap.bytes, lanes[at + 2], length)
    return
  }
  hashWord(state, length)
  for (let n = 0; n * 4 < length; n++) hashWord(state, lanes[at + 1 + n])
}

/** The UTF-8 bytes of `text`. */
export function hashText(state: Int32Array, text: string): void {
  const length = toScratch(text)
  hashBytes(state, utf8Scratch(), 0, length)
}

export function hashBytes(state: Int32Array, bytes: Uint8Array, from = 0, length = bytes.length): void {
  hashWord(state, length)
  const end = from + length
  let at = from
  for (; at + 4 <= end; at += 4) {
    hashWord(state, bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24))
  }
  if (at === end) return
  let word = 0
  for (let n = 0; at + n < end; n++) word |= bytes[at + n] << (n * 8)
  hashWord(state, word)
}

/** Makes every bit of the state depend on every other. Afterwards the hash is `state[0]` to `state[3]`. */
export function finishHash(state: Int32Array): void {
  const bytes = state[COUNT] * 4
  const b = state[1] ^ bytes
  const c = state[2] ^ bytes
  const d = state[3] ^ bytes
  const sum = ((state[0] ^ bytes) + b + c + d) | 0
  const mixed = avalanche(sum)
  const mixedB = avalanche((b + sum) | 0)
  const mixedC = avalanche((c + sum) | 0)
  const mixedD = avalanche((d + sum) | 0)
  const total = (mixed + mixedB + mixedC + mixedD) | 0
  state[0] = total
  state[1] = mixedB + total
  state[2] = mixedC + total
  state[3] = mixedD + total
}

function avalanche(hash: number): number {
  let h = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}

const bits = new DataView(new ArrayBuffer(16))

/** The 32-bit words of a fixed-width value as a column stores it, less significant first. */
export function wordsOf(type: TypeName, value: Exclude<Value, null>): number[] {
  switch (TYPES[type].storage) {
    case 'f32':
      bits.setFloat32(0, Number.isNaN(value) ? Number.NaN : (value as number), true)
      return readWords(1)
    case 'f64':
      bits.setFloat64(0, Number.isNaN(value) ? Number.NaN : (value as number), true)
      return readWords(2)
    case 'i64':
    case 'u64':
      bits.setBigUint64(0, value as bigint, true)
      return readWords(2)
    case 'w128': {
      const plain = type === 'uuid' ? uuidToU128(value as string) : (value as bigint)
      const number = isDecimal(type) ? plain + DECIMAL_OFFSET : plain
      bits.setBigUint64(0, number, true)
      bits.setBigUint64(8, number >> 64n, true)
      return readWords(4)
    }
    default:
      return [Number(value) | 0]
  }
}

function readWords(count: number): number[] {
  return Array.from({ length: count }, (_, n) => bits.getInt32(n * 4, true))
}

/** Adds a value of any type. */
export function hashValue(state: Int32Array, type: TypeName, value: Value): void {
  if (value === null) hashNull(state)
  else if (type === 'string') hashText(state, value as string)
  else if (TYPES[type].storage === 'german') hashBytes(state, value as Uint8Array)
  else for (const word of wordsOf(type, value)) hashWord(state, word)
}
