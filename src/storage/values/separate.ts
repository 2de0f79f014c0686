/**
 * Separation: the long values of rows that are about to become a shard go to the value log, and pointers take their place
 * in the heap (Lu and others, "WiscKey: Separating Keys from Values in SSD-conscious Storage", FAST 2016).
 */
import type { Batch } from '../../zset/batch.js'
import { Heap, INLINE_BYTES } from '../../zset/heap.js'
import { POINTER_BYTES, REMOTE } from '../../zset/remote.js'
import type { TableId, ValueReference } from '../types.js'
import { type Pointer, readPointer, writePointer } from './format.js'
import type { ValueLog } from './log.js'
import type { ValueReader } from './reader.js'

export interface Separation {
  readonly values: ValueLog
  readonly tableId: TableId
  /** Longer values are separated; null: none. */
  readonly threshold: number | null
  /** Files whose values are moved to the current one. */
  readonly stale: ReadonlySet<number>
}

/**
 * Moves the long values of a batch to the value log, and remote ones out of stale files. Cells and heap are changed; the
 * old heap stays as it is. Equal contents that share their bytes in the heap share a record.
 * REQUIRES: the cells belong to this batch alone. Throws IoError, CorruptionError; then the batch is of no use.
 */
export function separate(batch: Batch, separation: Separation): void {
  const { values } = separation
  if (moveStale(batch, separation)) values.drain()
  if (!hasLong(batch, separation.threshold)) return
  const mover = new Mover(batch.heap, separation)
  for (const lanes of stringLanes(batch)) mover.moveAll(lanes, batch.length)
  batch.heap = mover.heap
  values.drain()
}

function stringLanes(batch: Batch): Uint32Array[] {
  return batch.layout.stored.filter(c => c.info.storage === 'german').map(c => batch.lanes[c.index])
}

function hasLong(batch: Batch, threshold: number | null): boolean {
  if (threshold === null) return false
  for (const lanes of stringLanes(batch)) {
    for (let at = 0; at < batch.length * 4; at += 4) if (lanes[at] > threshold && lanes[at + 3] === 0) return true
  }
  return false
}

/** What is in the heap of the old batch goes to a new heap or to the log, each stretch of bytes once. */
class Mover {
  readonly heap = new Heap()
  /** By offset in the old heap: offset in the new one, and length. */
  private readonly moved = new Map<number, { readonly to: number; readonly length: number }>()

  constructor(
    private readonly from: Heap,
    private readonly separation: Separation,
  ) {
    this.heap.remote = separation.values
  }

  moveAll(lanes: Uint32Array, rows: number): void {
    for (let at = 0; at < rows * 4; at += 4) if (lanes[at] > INLINE_BYTES) this.move(lanes, at)
  }

  private move(lanes: Uint32Array, at: number): void {
    const length = lanes[at]
    const offset = lanes[at + 2]
    const goes = lanes[at + 3] === 0 && length > (this.separation.threshold as number)
    const known = this.moved.get(offset)
    let to = known?.to ?? 0
    if (known?.length !== length) {
      if (lanes[at + 3] !== 0) to = this.heap.append(this.from.bytes, offset, POINTER_BYTES)
      else if (goes) to = this.point(this.from.bytes.subarray(offset, offset + length))
      else to = this.heap.append(this.from.bytes, offset, length)
      this.moved.set(offset, { to, length })
    }
    lanes[at + 2] = to
    if (goes) lanes[at + 3] = REMOTE
  }

  private point(value: Uint8Array): number {
    const { values, tableId } = this.separation
    return appendPointer(this.heap, values, tableId, value)
  }
}

function appendPointer(heap: Heap, values: ValueLog, tableId: TableId, value: Uint8Array): number {
  const pointer = values.append(value, tableId)
  const to = heap.length
  heap.reserve(POINTER_BYTES)
  writePointer(heap.bytes, to, pointer, value)
  heap.length += POINTER_BYTES
  return to
}

/** Copies values out of stale files and turns their pointers, which keep their places. True if there were any. */
function moveStale(batch: Batch, { values, tableId, stale }: Separation): boolean {
  if (stale.size === 0) return false
  const { heap } = batch
  /** By old file and offset. */
  const moved = new Map<string, Pointer>()
  for (const lanes of stringLanes(batch)) {
    for (let at = 0; at < batch.length * 4; at += 4) {
      if (lanes[at] <= INLINE_BYTES || lanes[at + 3] === 0) continue
      // A pointer that was turned already leads to a file that is not stale.
      const { fileId, offset } = readPointer(heap.bytes, lanes[at + 2])
      if (!stale.has(fileId)) continue
      const value = values.read(heap.bytes, lanes[at + 2], lanes[at])
      const pointer = moved.get(`${fileId} ${offset}`) ?? values.append(value, tableId)
      moved.set(`${fileId} ${offset}`, pointer)
      writePointer(heap.bytes, lanes[at + 2], pointer, value)
    }
  }
  return moved.size > 0
}

/**
 * What the cells of a batch refer to: by file, the bytes of the distinct records. Ascending by file; empty if there is
 * nothing, for an entry of a shard.
 */
export function referencesOf(batch: Batch, values: ValueReader): { readonly references?: readonly ValueReference[] } {
  const records = new Map<number, Map<number, number>>()
  for (const lanes of stringLanes(batch)) {
    for (let at = 0; at < batch.length * 4; at += 4) {
      if (lanes[at] <= INLINE_BYTES || lanes[at + 3] === 0) continue
      const { fileId, offset } = readPointer(batch.heap.bytes, lanes[at + 2])
      let offsets = records.get(fileId)
      if (offsets === undefined) {
        offsets = new Map()
        records.set(fileId, offsets)
      }
      if (!offsets.has(offset)) offsets.set(offset, values.recordBytes(fileId, lanes[at]))
    }
  }
  if (records.size === 0) return {}
  const references = [...records.keys()]
    .sort((a, b) => a - b)
    .map(fileId => {
      const bytes = [...(records.get(fileId) as Map<number, number>).values()].reduce((sum, n) => sum + n, 0)
      return { fileId: BigInt(fileId), bytes }
    })
  return { references }
}
