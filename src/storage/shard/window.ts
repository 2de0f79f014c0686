/**
 * Windows of a shard that is neither mapped nor present: rows from..to are read into memory of their own, which does
 * not grow with the shard. A checksum covers a whole region, so each region is read through once, in pieces, before
 * any of it is used.
 */
import type { Column, Layout } from '../../schema/schema.js'
import { Batch, type ColumnArray } from '../../zset/batch.js'
import { Heap, INLINE_BYTES } from '../../zset/heap.js'
import { POINTER_BYTES, type RemoteValues } from '../../zset/remote.js'
import { findCellFault, findKeyFault, findWeightFault, HeapView, longFault } from './content.js'
import { refuse } from './faults.js'
import type { Region } from './format.js'
import type { RegionReader } from './regions.js'
import { bytesOf } from './views.js'

/** Strings are read a page at a time, because neighbours lie together more often than not. */
const PAGE_BYTES = 1 << 16
const PAGES = 16
/** For fewer rows than this each string is read by itself. */
const PAGED_ROWS = 64
/** Up to this many bytes are copied one by one: making a subarray costs more. */
const LOOP_BYTES = 64

export class WindowReader {
  private readonly heapRegion: Region
  /** Batches whose memory belongs to this reader. */
  private readonly owned = new WeakSet<Batch>()
  private readonly pages: { number: number; bytes: Uint8Array }[] = []

  constructor(
    private readonly reader: RegionReader,
    private readonly layout: Layout,
    private readonly regions: readonly Region[],
    private readonly remote: RemoteValues | null,
  ) {
    this.heapRegion = regions[regions.length - 1]
  }

  /** Throws CorruptionError, IoError. REQUIRES: 0 ≤ from ≤ to ≤ number of rows. */
  read(from: number, to: number, into: Batch | undefined): Batch {
    const batch = into !== undefined && this.owned.has(into) ? into : new Batch(this.layout)
    this.owned.add(batch)
    const rows = to - from
    batch.clear()
    batch.heap.remote = this.remote
    batch.reserve(rows, true)
    for (const region of this.regions) {
      if (region.kind === 'heap') continue
      // Also when there is nothing to read: what is empty has a checksum, too.
      this.reader.verify(region)
      const array = vectorOf(batch, region)
      this.reader.readInto(bytesOf(array, rows * region.bytesPerRow), region, from * region.bytesPerRow)
    }
    batch.length = rows
    const { path } = this.reader
    refuse(path, this.regions[0], findKeyFault(batch.keys32, this.layout.key.words, rows), from)
    refuse(path, this.regions[1], findWeightFault(batch.weights32, rows), from)
    this.readStrings(batch, from)
    batch.order = 'consolidated'
    return batch
  }

  /** Brings the bytes of long strings, and checks all cells. */
  private readStrings(batch: Batch, from: number): void {
    const texts = this.regions.filter(region => region.column?.info.storage === 'german')
    let longBytes = 0
    for (const region of texts) longBytes += this.measure(batch, from, region)
    if (longBytes > this.heapRegion.plainBytes) {
      // Many cells share their bytes: the whole region takes less than the copies would.
      batch.heap = new Heap()
      batch.heap.remote = this.remote
      batch.heap.bytes = this.reader.take(this.heapRegion)
      batch.heap.length = this.heapRegion.plainBytes
    } else {
      batch.heap.reserve(longBytes)
      for (const region of texts) this.copyStrings(batch, region)
    }
    const heap = new HeapView(batch.heap.bytes.subarray(0, batch.heap.length), this.remote !== null)
    for (const region of texts) {
      const isText = region.column?.type === 'string'
      refuse(this.reader.path, region, findCellFault(laneOf(batch, region), batch.length, heap, isText), from)
    }
  }

  /** Sum of the lengths of a column's long strings. Throws CorruptionError if one leaves the heap. */
  private measure(batch: Batch, from: number, region: Region): number {
    const lanes = laneOf(batch, region)
    const heap = { sizeBytes: this.heapRegion.plainBytes, hasPointers: this.remote !== null }
    let sum = 0
    for (let i = 0, at = 0; i < batch.length; i++, at += 4) {
      const length = lanes[at]
      if (length <= INLINE_BYTES) continue
      refuse(this.reader.path, region, longFault(lanes, i, heap), from)
      sum += lanes[at + 3] === 0 ? length : POINTER_BYTES
    }
    return sum
  }

  private copyStrings(batch: Batch, region: Region): void {
    const lanes = laneOf(batch, region)
    const { heap } = batch
    for (let i = 0, at = 0; i < batch.length; i++, at += 4) {
      if (lanes[at] <= INLINE_BYTES) continue
      const length = lanes[at + 3] === 0 ? lanes[at] : POINTER_BYTES
      if (batch.length < PAGED_ROWS || length > PAGE_BYTES) {
        const into = heap.bytes.subarray(heap.length, heap.length + length)
        this.reader.readInto(into, this.heapRegion, lanes[at + 2])
      } else {
        this.copyPaged(lanes[at + 2], length, heap)
      }
      lanes[at + 2] = heap.length
      heap.length += length
    }
  }

  /** Puts a string's bytes at the heap's end. REQUIRES: room for them. */
  private copyPaged(offset: number, length: number, heap: Heap): void {
    for (let done = 0; done < length; ) {
      const page = this.page(Math.floor((offset + done) / PAGE_BYTES))
      const within = (offset + done) % PAGE_BYTES
      const count = Math.min(page.length - within, length - done)
      const to = heap.length + done
      if (count <= LOOP_BYTES) for (let k = 0; k < count; k++) heap.bytes[to + k] = page[within + k]
      else heap.bytes.set(page.subarray(within, within + count), to)
      done += count
    }
  }

  private page(number: number): Uint8Array {
    const slot = number % PAGES
    const cached = this.pages[slot]
    if (cached !== undefined && cached.number === number) return cached.bytes
    const from = number * PAGE_BYTES
    const bytes = new Uint8Array(Math.min(PAGE_BYTES, this.heapRegion.plainBytes - from))
    this.reader.readInto(bytes, this.heapRegion, from)
    this.pages[slot] = { number, bytes }
    return bytes
  }
}

function vectorOf(batch: Batch, { kind, column }: Region): ColumnArray {
  if (kind === 'keys') return batch.keys
  if (kind === 'weights') return batch.weights
  return column === null ? batch.nulls : batch.columns[column.index]
}

function laneOf(batch: Batch, { column }: Region): Uint32Array {
  return batch.lanes[(column as Column).index]
}
