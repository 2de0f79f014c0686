/**
 * What must hold inside regions, beyond their checksums. The same checks stand before the writing and after the
 * reading, so that kernels may trust the vectors: an offset in a cell never leads out of the heap.
 */

import { MAX_STRING_BYTES } from '../../schema/types.js'
import { INLINE_BYTES } from '../../zset/heap.js'
import { POINTER_BYTES, POINTER_PREFIX_AT, PREFIX_BYTES, REMOTE } from '../../zset/remote.js'
import { isUtf8, Utf8Index } from './utf8.js'

/** What is wrong with a vector, and in which row. */
export interface Fault {
  readonly row: number
  readonly problem: string
}

/** The first key that is below the one before it. `keys32`: u32 lanes, `words` times two a row, least first. */
export function findKeyFault(keys32: Uint32Array, words: number, rowCount: number): Fault | null {
  const row = words === 1 ? descent1(keys32, rowCount) : descent2(keys32, rowCount)
  return row < 0 ? null : { row, problem: `expected keys to ascend, found a smaller one than in row ${row - 1}` }
}

function descent1(keys32: Uint32Array, rowCount: number): number {
  let low = 0
  let high = 0
  for (let i = 0, at = 0; i < rowCount; i++, at += 2) {
    const h = keys32[at + 1]
    const l = keys32[at]
    if (h < high || (h === high && l < low)) return i
    high = h
    low = l
  }
  return -1
}

function descent2(keys32: Uint32Array, rowCount: number): number {
  for (let i = 1, at = 4; i < rowCount; i++, at += 4) {
    let lane = 3
    while (lane >= 0 && keys32[at + lane] === keys32[at + lane - 4]) lane--
    if (lane >= 0 && keys32[at + lane] < keys32[at + lane - 4]) return i
  }
  return -1
}

/** The first weight that is zero. `weights32`: two u32 lanes a row. */
export function findWeightFault(weights32: Uint32Array, rowCount: number): Fault | null {
  for (let i = 0, at = 0; i < rowCount; i++, at += 2) {
    if ((weights32[at] | weights32[at + 1]) === 0) return { row: i, problem: 'expected a weight other than zero' }
  }
  return null
}

/** The first string cell that is not canonical. `lanes`: four u32 lanes a row. `text`: must it be UTF-8? */
export function findCellFault(lanes: Uint32Array, rowCount: number, heap: HeapView, text: boolean): Fault | null {
  const { bytes } = heap
  const heapBytes = bytes.length
  const cells = new Uint8Array(lanes.buffer, lanes.byteOffset, rowCount * 16)
  let index: Utf8Index | null = null
  for (let i = 0, at = 0; i < rowCount; i++, at += 4) {
    const length = lanes[at]
    const first = lanes[at + 1]
    const second = lanes[at + 2]
    const third = lanes[at + 3]
    if (length <= INLINE_BYTES) {
      if (!isPadded(length, first, second, third)) return fault(i, `expected zeros after a text of ${length} bytes`)
      if (text && ((first | second | third) & 0x80808080) !== 0 && !isUtf8(cells, at * 4 + 4, at * 4 + 4 + length)) {
        return fault(i, 'expected UTF-8')
      }
      continue
    }
    if (length > MAX_STRING_BYTES || third !== 0 || second + length > heapBytes) {
      const found = longFault(lanes, i, heap)
      if (found !== null) return found
    }
    const from = third === 0 ? second : second + POINTER_PREFIX_AT
    const word = bytes[from] | (bytes[from + 1] << 8) | (bytes[from + 2] << 16) | (bytes[from + 3] << 24)
    if (word !== (first | 0)) return fault(i, 'expected the first four bytes to be those in the heap')
    // Of a remote value they can be asked once it is read.
    if (text && third === 0) {
      index ??= heap.index()
      if (!index.isText(second, length)) return fault(i, 'expected UTF-8')
    }
  }
  return null
}

/** What is wrong with where the cell of row i says that its long string lies, if anything is. */
export function longFault(lanes: Uint32Array, i: number, { sizeBytes, hasPointers }: HeapShape): Fault | null {
  const length = lanes[i * 4]
  if (length > MAX_STRING_BYTES) return fault(i, `expected at most ${MAX_STRING_BYTES} bytes, found ${length}`)
  const isPointer = hasPointers && lanes[i * 4 + 3] === REMOTE
  if (isPointer && length <= PREFIX_BYTES) return fault(i, `a pointer to a value of ${length} bytes`)
  const offset = (isPointer ? 0 : lanes[i * 4 + 3] * 2 ** 32) + lanes[i * 4 + 2]
  const stored = isPointer ? POINTER_BYTES : length
  if (offset + stored <= sizeBytes) return null
  return fault(i, `${stored} bytes at byte ${offset} of the heap reach beyond its ${sizeBytes} bytes`)
}

/** What must be known of a heap to judge a cell that refers to it. */
export interface HeapShape {
  readonly sizeBytes: number
  /** Cells may lead to pointers. */
  readonly hasPointers: boolean
}

const fault = (row: number, problem: string): Fault => ({ row, problem })

/** Are all bytes from `length` to 12 zero? */
function isPadded(length: number, first: number, second: number, third: number): boolean {
  if (length >= 8) return length === 12 || third >>> ((length - 8) * 8) === 0
  if (third !== 0) return false
  return length >= 4 ? second >>> ((length - 4) * 8) === 0 : second === 0 && first >>> (length * 8) === 0
}

/** A heap's bytes, and what is known of them once somebody has asked. */
export class HeapView implements HeapShape {
  private utf8: Utf8Index | null = null

  constructor(
    readonly bytes: Uint8Array,
    readonly hasPointers = false,
  ) {}

  get sizeBytes(): number {
    return this.bytes.length
  }

  index(): Utf8Index {
    this.utf8 ??= new Utf8Index(this.bytes)
    return this.utf8
  }
}
