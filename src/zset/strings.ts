/**
 * German strings: text and bytes in 16-byte column cells.
 *
 * A cell is four 32-bit lanes starting at `at` (= 4 * row): the length in bytes, the first four bytes, then either
 * eight more bytes (length <= 12, unused bytes are zero) or the 64-bit offset of all bytes in the batch's heap. Bytes
 * lie in memory order, so the first byte of a lane is its low byte (the regions are little-endian, like every machine
 * that runs V8). Equal short values have equal cells; NULL and the empty value are four zero lanes. A shard may have
 * cells whose values lie in a value log (remote.ts).
 *
 * Order is by unsigned bytes, which for UTF-8 is the order of code points, not of UTF-16 units.
 */
import { type Heap, INLINE_BYTES } from './heap.js'
import { compareRemote, copyRemote, equalRemote, isRemote, POINTER_PREFIX_AT, readRemote } from './remote.js'

const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
const encoder = new TextEncoder()
/** Above this many bytes the platform's coders beat a loop. */
const LOOP_BYTES = 32

/** A larger scratch is not kept for the next value. */
const KEEP_BYTES = 1 << 20
let scratch = new Uint8Array(256)

/** The byte at position `k` of the value in the cell at `at`. */
function byteAt(lanes: Uint32Array, at: number, heapBytes: Uint8Array, k: number): number {
  return lanes[at] > INLINE_BYTES ? heapBytes[lanes[at + 2] + k] : (lanes[at + 1 + (k >> 2)] >>> ((k & 3) << 3)) & 255
}

/** A lane's four bytes as a number that orders as they do. */
export function bytesOrder(lane: number): number {
  const swapped = ((lane << 8) & 0xff00ff00) | ((lane >>> 8) & 0x00ff00ff)
  return ((swapped << 16) | (swapped >>> 16)) >>> 0
}

/** Bytes 4 to 8 of a cell as a number that orders as they do; zero beyond the end. */
export function secondWord(lanes: Uint32Array, at: number, heap: Heap): number {
  if (lanes[at] <= INLINE_BYTES) return bytesOrder(lanes[at + 2])
  const { bytes } = heap
  const from = lanes[at + 2] + (isRemote(lanes, at) ? POINTER_PREFIX_AT : 0) + 4
  return ((bytes[from] << 24) | (bytes[from + 1] << 16) | (bytes[from + 2] << 8) | bytes[from + 3]) >>> 0
}

/** Orders two cells by their bytes: negative, zero or positive. */
export function compareGerman(
  a: Uint32Array,
  atA: number,
  heapA: Heap,
  b: Uint32Array,
  atB: number,
  heapB: Heap,
): number {
  if (a[atA + 1] !== b[atB + 1]) return bytesOrder(a[atA + 1]) < bytesOrder(b[atB + 1]) ? -1 : 1
  const lengthA = a[atA]
  const lengthB = b[atB]
  if (lengthA <= INLINE_BYTES && lengthB <= INLINE_BYTES) {
    if (a[atA + 2] !== b[atB + 2]) return bytesOrder(a[atA + 2]) < bytesOrder(b[atB + 2]) ? -1 : 1
    if (a[atA + 3] !== b[atB + 3]) return bytesOrder(a[atA + 3]) < bytesOrder(b[atB + 3]) ? -1 : 1
    return lengthA - lengthB
  }
  if (isRemote(a, atA) || isRemote(b, atB)) return compareRemote(a, atA, heapA, b, atB, heapB)
  const bytesA = heapA.bytes
  const bytesB = heapB.bytes
  const shared = Math.min(lengthA, lengthB)
  for (let k = 4; k < shared; k++) {
    const difference = byteAt(a, atA, bytesA, k) - byteAt(b, atB, bytesB, k)
    if (difference !== 0) return difference
  }
  return lengthA - lengthB
}

/** Whether two cells hold the same bytes. */
export function equalGerman(
  a: Uint32Array,
  atA: number,
  heapA: Heap,
  b: Uint32Array,
  atB: number,
  heapB: Heap,
): boolean {
  const length = a[atA]
  if (length !== b[atB] || a[atA + 1] !== b[atB + 1]) return false
  if (length <= INLINE_BYTES) return a[atA + 2] === b[atB + 2] && a[atA + 3] === b[atB + 3]
  if ((a[atA + 3] | b[atB + 3]) !== 0) return equalRemote(a, atA, heapA, b, atB, heapB)
  const bytesA = heapA.bytes
  const bytesB = heapB.bytes
  const fromA = a[atA + 2]
  const fromB = b[atB + 2]
  for (let k = 4; k < length; k++) if (bytesA[fromA + k] !== bytesB[fromB + k]) return false
  return true
}

/** The text in the cell at `at`. */
export function decodeString(lanes: Uint32Array, at: number, heap: Heap): string {
  const length = lanes[at]
  if (length > INLINE_BYTES) {
    if (lanes[at + 3] !== 0) return decoder.decode(readRemote(lanes, at, heap))
    return decodeLong(heap.bytes, lanes[at + 2], length)
  }
  const first = lanes[at + 1]
  const second = lanes[at + 2]
  const third = lanes[at + 3]
  if (((first | second | third) & 0x80808080) !== 0) return decodeInline(lanes, at, length)
  if (length <= 4) return asciiWord(first, length)
  if (length <= 8) return asciiWord(first, 4) + asciiWord(second, length - 4)
  return asciiWord(first, 4) + asciiWord(second, 4) + asciiWord(third, length - 8)
}

function asciiWord(word: number, length: number): string {
  switch (length) {
    case 0:
      return ''
    case 1:
      return String.fromCharCode(word)
    case 2:
      return String.fromCharCode(word & 255, word >>> 8)
    case 3:
      return String.fromCharCode(word & 255, (word >>> 8) & 255, word >>> 16)
    default:
      return String.fromCharCode(word & 255, (word >>> 8) & 255, (word >>> 16) & 255, word >>> 24)
  }
}

function decodeLong(bytes: Uint8Array, from: number, length: number): string {
  return decoder.decode(bytes.subarray(from, from + length))
}

function decodeInline(lanes: Uint32Array, at: number, length: number): string {
  const start = lanes.byteOffset + (at + 1) * 4
  return decoder.decode(new Uint8Array(lanes.buffer, start, length))
}

/** A copy of the bytes in the cell at `at`. */
export function decodeBytes(lanes: Uint32Array, at: number, heap: Heap): Uint8Array {
  const length = lanes[at]
  if (isRemote(lanes, at)) return readRemote(lanes, at, heap).slice()
  if (length > INLINE_BYTES) return heap.bytes.slice(lanes[at + 2], lanes[at + 2] + length)
  const start = lanes.byteOffset + (at + 1) * 4
  return new Uint8Array(lanes.buffer, start, length).slice()
}

/** Writes `text` into the cell at `at`; a long one is appended to `heap`. Lone surrogates become U+FFFD. */
export function encodeString(text: string, lanes: Uint32Array, at: number, heap: Heap): void {
  const units = text.length
  if (units > INLINE_BYTES) {
    encodeLong(text, lanes, at, heap)
    return
  }
  let first = 0
  let second = 0
  let third = 0
  for (let k = 0; k < units; k++) {
    const unit = text.charCodeAt(k)
    if (unit > 127) {
      encodeLong(text, lanes, at, heap)
      return
    }
    const byte = unit << ((k & 3) << 3)
    if (k < 4) first |= byte
    else if (k < 8) second |= byte
    else third |= byte
  }
  lanes[at] = units
  lanes[at + 1] = first
  lanes[at + 2] = second
  lanes[at + 3] = third
}

function encodeLong(text: string, lanes: Uint32Array, at: number, heap: Heap): void {
  const length = toScratch(text)
  writeCell(scratch, length, lanes, at, heap)
}

/** Writes `bytes` into the cell at `at`; a long value is appended to `heap`. */
export function encodeBytes(bytes: Uint8Array, lanes: Uint32Array, at: number, heap: Heap): void {
  writeCell(bytes, bytes.length, lanes, at, heap)
}

function writeCell(bytes: Uint8Array, length: number, lanes: Uint32Array, at: number, heap: Heap): void {
  lanes[at] = length
  lanes[at + 1] = wordOf(bytes, 0, length)
  if (length <= INLINE_BYTES) {
    lanes[at + 2] = wordOf(bytes, 4, length)
    lanes[at + 3] = wordOf(bytes, 8, length)
    return
  }
  heap.reserve(length)
  const offset = heap.length
  if (length <= LOOP_BYTES) for (let k = 0; k < length; k++) heap.bytes[offset + k] = bytes[k]
  else heap.bytes.set(length === bytes.length ? bytes : bytes.subarray(0, length), offset)
  heap.length = offset + length
  lanes[at + 2] = offset
  lanes[at + 3] = 0
}

/** Bytes `from` to `from + 4` as a lane, zero from `end` on. */
export function wordOf(bytes: Uint8Array, from: number, end: number): number {
  let word = 0
  for (let k = 0; k < 4 && from + k < end; k++) word |= bytes[from + k] << (k << 3)
  return word
}

/** Copies a cell; the bytes of a long value are appended to `toHeap`, unless they are there. */
export function copyString(
  from: Uint32Array,
  at: number,
  heap: Heap,
  to: Uint32Array,
  toAt: number,
  toHeap: Heap,
): void {
  const length = from[at]
  to[toAt] = length
  to[toAt + 1] = from[at + 1]
  if (length <= INLINE_BYTES || heap === toHeap) {
    to[toAt + 2] = from[at + 2]
    to[toAt + 3] = from[at + 3]
  } else if (from[at + 3] !== 0) {
    copyRemote(from, at, heap, to, toAt, toHeap)
  } else {
    to[toAt + 2] = toHeap.append(heap.bytes, from[at + 2], length)
    to[toAt + 3] = 0
  }
}

/** Puts the UTF-8 bytes of `text` into `utf8Scratch()`; returns how many. They stay until the next call. */
export function toScratch(text: string): number {
  const units = text.length
  const need = units * 3
  if (scratch.length < need || scratch.length > KEEP_BYTES) scratch = new Uint8Array(Math.max(need, 256))
  if (units <= LOOP_BYTES) {
    let k = 0
    for (; k < units; k++) {
      const unit = text.charCodeAt(k)
      if (unit > 127) break
      scratch[k] = unit
    }
    if (k === units) return units
  }
  return encoder.encodeInto(text, scratch).written
}

/** Where `toScratch` put its bytes. */
export function utf8Scratch(): Uint8Array {
  return scratch
}
