/**
 * Entries of a block, checked and unpacked. What comes out of `unpackRows` can be given to any kernel: the offsets of
 * its strings lie in its heap, its texts are UTF-8, its cells are the ones that the writer's values have.
 *
 * Long strings must lie in the tail one after the other in the order of their cells. That is how they are written, and
 * it bounds what a block can unpack to: no byte of the tail is used twice.
 */
import { CorruptionError } from '../../base/errors.js'
import type { Layout } from '../../schema/schema.js'
import { Batch } from '../../zset/batch.js'
import { INLINE_BYTES } from '../../zset/heap.js'
import type { Kernels } from '../../zset/kernels.js'

/** Where a block's entries lie in memory and in the file. */
export interface PackedRows {
  /** Memory that holds entries and tail. */
  readonly view: DataView
  /** First byte of the entries in `view`. */
  readonly at: number
  readonly count: number
  readonly tailBytes: number
  readonly file: string
  /** Byte of the file at which the entries begin. */
  readonly offset: number
}

/** An empty batch with room for just so many rows and bytes of long strings. */
export function slabBatch(layout: Layout, rowCount: number, heapBytes: number): Batch {
  const batch = new Batch(layout)
  batch.layOut(rowCount, heapBytes)
  return batch
}

/**
 * Appends the rows to `batch`. REQUIRES: the block's checksum holds; `batch` has room. Throws CorruptionError; then
 * nothing is added.
 */
export function unpackRows(kernels: Kernels, rows: PackedRows, batch: Batch): void {
  const { view, at, count, tailBytes } = rows
  checkCells(planOf(kernels.layout), kernels.packedStride, rows)
  const tailAt = view.byteOffset + at + count * kernels.packedStride
  const tail = tailBytes === 0 ? NO_BYTES : new Uint8Array(view.buffer, tailAt, tailBytes)
  kernels.decodePacked(view, at, count, tail, batch)
}

const NO_BYTES = new Uint8Array(0)

/** First row from `first` on that is not after the one before it, or has weight zero; -1 if they are consolidated. */
export function firstOutOfOrder(kernels: Kernels, batch: Batch, first = 0): number {
  const words = batch.weights32
  for (let i = first; i < batch.length; i++) {
    if (words[i * 2] === 0 && words[i * 2 + 1] === 0) return i
    if (i > first && kernels.compareRows(batch, i - 1, batch, i) >= 0) return i
  }
  return -1
}

/** Places of a packed row that can hold what no writer writes. */
interface Plan {
  /** 32-bit words of null bits: where they lie, and the bits that no column has. */
  readonly nulls: readonly { readonly offset: number; readonly unused: number }[]
  readonly bools: readonly number[]
  readonly strings: readonly { readonly offset: number; readonly isText: boolean }[]
}

const plans = new WeakMap<Layout, Plan>()

function planOf(layout: Layout): Plan {
  let plan = plans.get(layout)
  if (plan === undefined) {
    plan = makePlan(layout)
    plans.set(layout, plan)
  }
  return plan
}

function makePlan({ schema, key, stored }: Layout): Plan {
  let offset = key.words * 8 + 8
  const bits = schema.columns.filter(c => c.nullable).length
  const nulls: { offset: number; unused: number }[] = []
  for (let first = 0; first < schema.nullWords * 64; first += 32) {
    const used = Math.min(Math.max(bits - first, 0), 32)
    if (used < 32) nulls.push({ offset, unused: (-1 << used) >>> 0 })
    offset += 4
  }
  const bools: number[] = []
  const strings: { offset: number; isText: boolean }[] = []
  for (const { type, info } of stored) {
    if (type === 'bool') bools.push(offset)
    if (info.storage === 'german') strings.push({ offset, isText: type === 'string' })
    offset += info.sizeBytes
  }
  return { nulls, bools, strings }
}

function checkCells(plan: Plan, stride: number, rows: PackedRows): void {
  const { view, at, count, tailBytes } = rows
  const { nulls, bools, strings } = plan
  const tailAt = at + count * stride
  let used = 0
  for (let i = 0, p = at; i < count; i++, p += stride) {
    for (const { offset, unused } of nulls) {
      if ((view.getUint32(p + offset, true) & unused) !== 0)
        throw wrong(rows, p + offset, 'null bits beyond the columns')
    }
    for (const offset of bools) {
      if (view.getUint8(p + offset) > 1) throw wrong(rows, p + offset, 'a bool that is neither 0 nor 1')
    }
    for (const { offset, isText } of strings) {
      const cell = p + offset
      const length = view.getUint32(cell, true)
      if (length <= INLINE_BYTES) {
        if (!isInline(view, cell, length)) throw wrong(rows, cell, 'bytes after the end of a short string')
        if (isText && !isUtf8(view, cell + 4, length)) throw wrong(rows, cell, 'text that is not UTF-8')
        continue
      }
      const from = view.getUint32(cell + 8, true)
      if (from !== used || view.getUint32(cell + 12, true) !== 0 || length > tailBytes - used) {
        throw wrong(rows, cell, `a string of ${length} bytes that is not at byte ${used} of a tail of ${tailBytes}`)
      }
      if (view.getUint32(cell + 4, true) !== view.getUint32(tailAt + used, true)) {
        throw wrong(rows, cell, 'a prefix that differs from its string')
      }
      if (isText && !isUtf8(view, tailAt + used, length)) throw wrong(rows, cell, 'text that is not UTF-8')
      used += length
    }
  }
  if (used !== tailBytes) throw wrong(rows, tailAt + used, `${tailBytes - used} bytes of tail that no string has`)
}

function wrong({ file, offset, at }: PackedRows, place: number, what: string): CorruptionError {
  return new CorruptionError(file, offset + place - at, `the checksum holds, but there is ${what}`)
}

/** Whether the bytes of a short cell after its string are zero. */
function isInline(view: DataView, cell: number, length: number): boolean {
  for (let word = 0; word < 3; word++) {
    const kept = length - word * 4
    if (kept >= 4) continue
    const bits = view.getUint32(cell + 4 + word * 4, true)
    if (kept <= 0 ? bits !== 0 : bits >>> (kept * 8) !== 0) return false
  }
  return true
}

/** Whether bytes are well-formed UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF. */
export function isUtf8(view: DataView, at: number, length: number): boolean {
  const end = at + length
  let p = at
  while (p < end) {
    while (p + 4 <= end && (view.getUint32(p, true) & 0x80808080) === 0) p += 4
    if (p === end) return true
    const first = view.getUint8(p++)
    if (first < 0x80) continue
    // How many bytes follow, and the range of the first of them.
    let follow = 1
    let low = 0x80
    let high = 0xbf
    if (first < 0xc2 || first > 0xf4) return false
    if (first >= 0xf0) {
      follow = 3
      if (first === 0xf0) low = 0x90
      if (first === 0xf4) high = 0x8f
    } else if (first >= 0xe0) {
      follow = 2
      if (first === 0xe0) low = 0xa0
      if (first === 0xed) high = 0x9f
    }
    if (p + follow > end) return false
    for (; follow > 0; follow--) {
      const byte = view.getUint8(p++)
      if (byte < low || byte > high) return false
      low = 0x80
      high = 0xbf
    }
  }
  return true
}
