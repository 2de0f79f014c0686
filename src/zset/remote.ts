/**
 * Remote values: long strings whose bytes lie outside their batch, in a value log. The cell of one has the length and the
 * first four bytes like any other, but its last lane is `REMOTE`, and its offset leads to a *pointer* in the heap:
 *
 *     bytes 0–7    number of the file          16–23   hash of the value
 *           8–15   offset of its record        24–63   the value's first 40 bytes
 *
 * Only batches of shards, and what is made for a moment of them, have such cells; wherever rows are copied into a batch
 * that is not made to hold pointers, the bytes come along. Order and equality are decided by first bytes and hash where
 * that is possible: the value is read when they tie.
 */
import { assert } from '../base/errors.js'
import { type Heap, INLINE_BYTES } from './heap.js'

/** Last lane of a cell whose value is remote. An offset in a heap never has it: heaps are smaller than 4 GiB. */
export const REMOTE = 0x80000000
export const POINTER_BYTES = 64
export const POINTER_HASH_AT = 16
export const POINTER_PREFIX_AT = 24
/** First bytes of the value that its pointer has. Remote values are longer. */
export const PREFIX_BYTES = POINTER_BYTES - POINTER_PREFIX_AT

/** Where the bytes of remote values come from. */
export interface RemoteValues {
  /** The value of `length` bytes whose pointer lies at `at`. Read-only. Throws CorruptionError, IoError. */
  read(pointers: Uint8Array, at: number, length: number): Uint8Array
}

/** Is the value in the cell at `at` remote? */
export function isRemote(lanes: Uint32Array, at: number): boolean {
  return lanes[at] > INLINE_BYTES && lanes[at + 3] !== 0
}

/** The bytes of a remote value. REQUIRES: `isRemote`. */
export function readRemote(lanes: Uint32Array, at: number, heap: Heap): Uint8Array {
  const { remote } = heap
  assert(remote !== null, 'a heap with pointers knows who reads the values')
  return remote.read(heap.bytes, lanes[at + 2], lanes[at])
}

/** The bytes of any value; a view where they lie in the heap. */
function bytesOf(lanes: Uint32Array, at: number, heap: Heap): Uint8Array {
  const length = lanes[at]
  if (isRemote(lanes, at)) return readRemote(lanes, at, heap)
  if (length > INLINE_BYTES) return heap.bytes.subarray(lanes[at + 2], lanes[at + 2] + length)
  return new Uint8Array(lanes.buffer, lanes.byteOffset + (at + 1) * 4, length)
}

/** The first bytes of a value that are at hand: all of them, or those in its pointer. */
function knownBytes(lanes: Uint32Array, at: number, heap: Heap): Uint8Array {
  if (!isRemote(lanes, at)) return bytesOf(lanes, at, heap)
  const from = lanes[at + 2] + POINTER_PREFIX_AT
  return heap.bytes.subarray(from, from + PREFIX_BYTES)
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const shared = Math.min(a.length, b.length)
  for (let k = 0; k < shared; k++) if (a[k] !== b[k]) return a[k] - b[k]
  return 0
}

/** Do bytes from..to of two pointers agree? */
function samePart(a: Uint8Array, atA: number, b: Uint8Array, atB: number, from: number, to: number): boolean {
  for (let k = from; k < to; k++) if (a[atA + k] !== b[atB + k]) return false
  return true
}

/** Orders two cells of which one is remote at least, by all bytes of their values. */
export function compareRemote(
  a: Uint32Array,
  atA: number,
  heapA: Heap,
  b: Uint32Array,
  atB: number,
  heapB: Heap,
): number {
  const byPrefix = compareBytes(knownBytes(a, atA, heapA), knownBytes(b, atB, heapB))
  if (byPrefix !== 0) return byPrefix
  const lengthA = a[atA]
  const lengthB = b[atB]
  if (Math.min(lengthA, lengthB) <= PREFIX_BYTES) return lengthA - lengthB
  if (isRemote(a, atA) && isRemote(b, atB) && isSameRecord(a, atA, heapA, b, atB, heapB)) return lengthA - lengthB
  const order = compareBytes(bytesOf(a, atA, heapA), bytesOf(b, atB, heapB))
  return order !== 0 ? order : lengthA - lengthB
}

function isSameRecord(a: Uint32Array, atA: number, heapA: Heap, b: Uint32Array, atB: number, heapB: Heap): boolean {
  if (heapA.remote !== heapB.remote) return false
  return samePart(heapA.bytes, a[atA + 2], heapB.bytes, b[atB + 2], 0, POINTER_HASH_AT)
}

/** Whether two cells of which one is remote at least hold the same bytes. REQUIRES: their lengths are equal. */
export function equalRemote(
  a: Uint32Array,
  atA: number,
  heapA: Heap,
  b: Uint32Array,
  atB: number,
  heapB: Heap,
): boolean {
  if (isRemote(a, atA) && isRemote(b, atB)) {
    const [fromA, fromB] = [a[atA + 2], b[atB + 2]]
    if (!samePart(heapA.bytes, fromA, heapB.bytes, fromB, POINTER_HASH_AT, POINTER_PREFIX_AT)) return false
  }
  return compareRemote(a, atA, heapA, b, atB, heapB) === 0
}

/** Copies a remote value: its pointer into a heap that holds pointers, its bytes into any other. */
export function copyRemote(
  from: Uint32Array,
  at: number,
  heap: Heap,
  to: Uint32Array,
  toAt: number,
  toHeap: Heap,
): void {
  const keeps = toHeap.remote !== null && toHeap.remote === heap.remote
  const offset = keeps
    ? toHeap.append(heap.bytes, from[at + 2], POINTER_BYTES)
    : toHeap.append(readRemote(from, at, heap), 0, from[at])
  to[toAt] = from[at]
  to[toAt + 1] = from[at + 1]
  to[toAt + 2] = offset
  to[toAt + 3] = keeps ? REMOTE : 0
}
