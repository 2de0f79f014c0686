/**
 * Relocation of long strings (specification §6.5): what a batch's cells refer to is gathered into a heap of its own in
 * which every content lies once, whatever column it came from. That heap is region B of a shard.
 */
import { assert } from '../base/errors.js'
import { hashString } from '../base/string-hash.js'
import type { Layout } from '../schema/schema.js'
import type { Batch } from '../zset/batch.js'
import { Heap, INLINE_BYTES } from '../zset/heap.js'

export { loadStringHash } from '../base/string-hash.js'

/** A content is looked for in so many slots; beyond that it is stored again. Bounds what colliding hashes can cost. */
const MAX_PROBES = 32
const FIRST_SLOTS = 1024
/** A heap that would leave more than this part of its memory unused is copied. */
const WASTE = 0.15
/** Up to this many bytes are copied one by one: making a subarray costs more. */
const LOOP_BYTES = 32

/** Has the layout a column whose values may lie in the heap? */
export function hasStrings(layout: Layout): boolean {
  const { stored } = layout
  for (let c = 0; c < stored.length; c++) if (stored[c].info.storage === 'german') return true
  return false
}

/** Bytes that the long strings of a batch take up, one by one. */
export function longBytes(batch: Batch): number {
  const { stored } = batch.layout
  const end = batch.length * 4
  let bytes = 0
  // Asked for every single row that is inserted: an iterator would be garbage.
  for (let c = 0; c < stored.length; c++) {
    const column = stored[c]
    if (column.info.storage !== 'german') continue
    const lanes = batch.lanes[column.index]
    for (let at = 0; at < end; at += 4) if (lanes[at] > INLINE_BYTES) bytes += lanes[at]
  }
  return bytes
}

/**
 * Gives `batch` a new heap that fits: just the bytes that its cells refer to, equal contents once. Cells change in
 * place; the old heap stays as it is. Costs nothing if there are no columns of strings.
 * REQUIRES: the cells belong to this batch alone, and refer to bytes of its heap.
 */
export function relocate(batch: Batch): void {
  if (!hasStrings(batch.layout)) return
  const total = longBytes(batch)
  const heap = new Heap()
  if (total > 0) {
    const pool = new Pool(batch.heap, total)
    for (const { index, info } of batch.layout.stored) {
      if (info.storage === 'german') relocateCells(batch.lanes[index], batch.length, pool)
    }
    const fits = pool.end >= total * (1 - WASTE)
    heap.bytes = fits ? pool.bytes.subarray(0, pool.end) : pool.bytes.slice(0, pool.end)
    heap.length = pool.end
  }
  batch.heap = heap
}

function relocateCells(lanes: Uint32Array, rows: number, pool: Pool): void {
  for (let at = 0; at < rows * 4; at += 4) {
    if (lanes[at] > INLINE_BYTES) lanes[at + 2] = pool.place(lanes[at + 2], lanes[at])
  }
}

/** Distinct strings: their bytes one after the other, and an open hash table of where they lie. */
class Pool {
  readonly bytes: Uint8Array
  end = 0
  private readonly view: DataView
  private readonly source: Uint8Array
  private readonly sourceView: DataView
  private count = 0
  /** Per slot: hash, offset, length; a length of zero says that the slot is free. */
  private slots = new Uint32Array(FIRST_SLOTS * 3)
  private mask = FIRST_SLOTS - 1

  constructor(
    private readonly from: Heap,
    total: number,
  ) {
    assert(total < 2 ** 32, 'the long strings of a batch stay under 4 GiB')
    this.bytes = new Uint8Array(total)
    this.view = new DataView(this.bytes.buffer)
    this.source = from.bytes
    this.sourceView = new DataView(from.bytes.buffer, from.bytes.byteOffset, from.bytes.byteLength)
  }

  /** Where the string that lies at `from` in the source lies here. */
  place(from: number, length: number): number {
    assert(from + length <= this.from.length, 'a long string lies within its heap')
    const hash = hashString(this.sourceView, from, length)
    const { slots, mask } = this
    let slot = hash & mask
    for (let probe = 0; probe < MAX_PROBES; probe++) {
      const at = slot * 3
      if (slots[at + 2] === 0) return this.add(at, hash, from, length)
      if (slots[at] === hash && slots[at + 2] === length && this.same(slots[at + 1], from, length)) return slots[at + 1]
      slot = (slot + 1) & mask
    }
    return this.append(from, length)
  }

  private same(at: number, from: number, length: number): boolean {
    const { view, sourceView } = this
    let k = 0
    for (; k + 4 <= length; k += 4) if (view.getInt32(at + k) !== sourceView.getInt32(from + k)) return false
    for (; k < length; k++) if (view.getUint8(at + k) !== sourceView.getUint8(from + k)) return false
    return true
  }

  private add(at: number, hash: number, from: number, length: number): number {
    const { slots } = this
    const offset = this.append(from, length)
    slots[at] = hash
    slots[at + 1] = offset
    slots[at + 2] = length
    this.count++
    if (this.count * 2 > this.mask) this.grow()
    return offset
  }

  private append(from: number, length: number): number {
    const { bytes, source } = this
    const offset = this.end
    if (length <= LOOP_BYTES) for (let k = 0; k < length; k++) bytes[offset + k] = source[from + k]
    else bytes.set(source.subarray(from, from + length), offset)
    this.end = offset + length
    return offset
  }

  private grow(): void {
    const old = this.slots
    const mask = this.mask * 4 + 3
    const slots = new Uint32Array((mask + 1) * 3)
    for (let at = 0; at < old.length; at += 3) {
      if (old[at + 2] === 0) continue
      let slot = old[at] & mask
      while (slots[slot * 3 + 2] !== 0) slot = (slot + 1) & mask
      slots[slot * 3] = old[at]
      slots[slot * 3 + 1] = old[at + 1]
      slots[slot * 3 + 2] = old[at + 2]
    }
    this.slots = slots
    this.mask = mask
  }
}
