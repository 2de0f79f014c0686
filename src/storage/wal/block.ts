/**
 * One block of the log: a 32-byte header, the entries of one table (packed rows of fixed stride), and the tail with
 * the bytes of their long strings. FORMAT.md has the drawing.
 *
 * `BlockBuffer` is where groups are put together before they are written: one growing piece of memory, used again and
 * again. `parseHeader` believes nothing but the header's own check; `bodyBytes` and the checksum come after.
 */
import { xxh3At } from '../../base/checksum.js'
import { assert, UsageError } from '../../base/errors.js'
import type { Column } from '../../schema/schema.js'
import type { Batch } from '../../zset/batch.js'
import { Heap, INLINE_BYTES } from '../../zset/heap.js'
import type { Kernels } from '../../zset/kernels.js'
import { hasStrings } from '../strings.js'
import type { Lsn, TableId } from '../types.js'
import { type NewNote, NOTE_TABLE, noteBytes, writeNote } from './note.js'
import { BLOCK_SEAL_BYTES, type SegmentSealer } from './sealed.js'

export const HEADER_BYTES = 32
/** A block is closed when its body would pass this size; only a row larger than this makes a larger block. */
export const TARGET_BODY_BYTES = 1024 * 1024
/** No body is larger. So a row of a durable table takes at most 1 GiB. */
export const MAX_BODY_BYTES = 2 ** 30
/** So that what encryption adds never makes a body too large. */
const MAX_ROW_BYTES = MAX_BODY_BYTES - 1024
/** All blocks of one LSN together. */
export const MAX_GROUP_BYTES = 2 ** 31
export const MAX_LSN: Lsn = 2n ** 64n - 1n

/** Another block of the same LSN follows. Bit 32 of the reserved word. */
const MORE = 1
/** Everything before this block was durable before it was written. Bit 33. */
const SYNCED = 2
/** Bits 34–63 hold the header's check. */
const FLAG_MASK = 3
const CHECK_MASK = (1n << 30n) - 1n

export interface BlockHeader {
  readonly lsn: Lsn
  readonly tableId: TableId
  readonly entryCount: number
  /** XXH3-64 of the body. */
  readonly checksum: bigint
  readonly tailBytes: number
  readonly more: boolean
  readonly synced: boolean
}

const scratch = new Uint8Array(HEADER_BYTES)
const scratchView = new DataView(scratch.buffer)

/** The 30 bits that protect a header: of XXH3-64 over it, with the place of the check itself zero. */
function headerCheck(view: DataView, at: number): number {
  for (let i = 0; i < HEADER_BYTES; i += 4) scratchView.setUint32(i, view.getUint32(at + i, true), true)
  scratch[28] &= FLAG_MASK
  scratch[29] = 0
  scratch[30] = 0
  scratch[31] = 0
  return Number(xxh3At(scratchView, 0, HEADER_BYTES) & CHECK_MASK)
}

/** Whether bytes from `at` on are a header as this program writes them. REQUIRES: 32 bytes are there. */
export function hasHeaderCheck(view: DataView, at: number): boolean {
  return view.getUint32(at + 28, true) >>> 2 === headerCheck(view, at)
}

/** The header at `at`, or null if its check fails. REQUIRES: 32 bytes are there. */
export function parseHeader(view: DataView, at: number): BlockHeader | null {
  if (!hasHeaderCheck(view, at)) return null
  const flags = view.getUint32(at + 28, true)
  return {
    lsn: view.getBigUint64(at, true),
    tableId: view.getUint32(at + 8, true),
    entryCount: view.getUint32(at + 12, true),
    checksum: view.getBigUint64(at + 16, true),
    tailBytes: view.getUint32(at + 24, true),
    more: (flags & MORE) !== 0,
    synced: (flags & SYNCED) !== 0,
  }
}

/** Whether the block whose header would be at `at` claims SYNCED; its check is not looked at. */
export function claimsSynced(view: DataView, at: number): boolean {
  return (view.getUint8(at + 28) & SYNCED) !== 0
}

/** Bytes after the header: a safe integer whatever the header says. */
export function bodyBytes(header: BlockHeader, stride: number): number {
  return header.entryCount * stride + header.tailBytes
}

/** Memory in which groups wait until they are written. Offsets count from its beginning. */
export class BlockBuffer {
  bytes = new Uint8Array(0)
  length = 0
  private view = new DataView(this.bytes.buffer)
  /** A heap over the place of a block's tail, so that strings are copied once. */
  private readonly tail = new Heap()

  /** What is to be written; `synced`: its first block says SYNCED. Valid until the next change. REQUIRES: not empty. */
  contents(synced = false): Uint8Array {
    const flags = this.view.getUint32(28, true) & MORE
    this.protect(0, synced ? flags | SYNCED : flags)
    return this.bytes.subarray(0, this.length)
  }

  clear(): void {
    this.length = 0
    if (this.bytes.length > KEEP_BYTES) this.allocate(0)
  }

  /** Forgets what was added after the buffer had this length. */
  cut(length: number): void {
    assert(length <= this.length, 'a buffer is cut, not extended')
    this.length = length
  }

  /**
   * Appends rows from..to of a batch as one block, encrypted if there is a sealer. REQUIRES: their long strings have
   * `tailBytes` bytes.
   */
  addRows(lsn: Lsn, part: BlockRows, more: boolean, sealer: SegmentSealer | null = null): void {
    const { tableId, kernels, batch, from, to, tailBytes } = part
    const sealBytes = sealer === null ? 0 : BLOCK_SEAL_BYTES
    const entries = (to - from) * kernels.packedStride
    assert(entries + tailBytes + sealBytes <= MAX_BODY_BYTES, 'a block keeps to its limit')
    const at = this.extend(HEADER_BYTES + entries + tailBytes + sealBytes)
    const tailAt = at + HEADER_BYTES + entries
    this.tail.bytes = tailBytes > 0 ? this.bytes.subarray(tailAt, tailAt + tailBytes) : NO_BYTES
    this.tail.length = 0
    const end = kernels.encodePacked(batch, from, to, this.view, at + HEADER_BYTES, this.tail)
    assert(end === tailAt && this.tail.length === tailBytes, 'rows take the room that was computed for them')
    const header = { lsn, tableId, entryCount: to - from, tailBytes: tailBytes + sealBytes, more }
    sealer?.seal(header, this.bytes.subarray(at + HEADER_BYTES, this.length))
    this.seal(at, header)
  }

  /** Appends the block of a note, which has no entries. */
  addNote(lsn: Lsn, note: NewNote, more: boolean): void {
    const tailBytes = noteBytes(note)
    const at = this.extend(HEADER_BYTES + tailBytes)
    writeNote(note, this.view, at + HEADER_BYTES)
    this.seal(at, { lsn, tableId: NOTE_TABLE, entryCount: 0, tailBytes, more })
  }

  private seal(at: number, header: Omit<BlockHeader, 'checksum' | 'synced'>): void {
    const { view } = this
    view.setBigUint64(at, header.lsn, true)
    view.setUint32(at + 8, header.tableId, true)
    view.setUint32(at + 12, header.entryCount, true)
    view.setBigUint64(at + 16, xxh3At(view, at + HEADER_BYTES, this.length - at - HEADER_BYTES), true)
    view.setUint32(at + 24, header.tailBytes, true)
    const flags = header.more ? MORE : 0
    // What the first block says is known when all is written.
    if (at === 0) view.setUint32(28, flags, true)
    else this.protect(at, flags)
  }

  private protect(at: number, flags: number): void {
    this.view.setUint32(at + 28, flags, true)
    this.view.setUint32(at + 28, ((headerCheck(this.view, at) << 2) | flags) >>> 0, true)
  }

  /** Makes room at the end and takes it; returns where it begins. */
  private extend(count: number): number {
    const at = this.length
    const need = at + count
    if (need > this.bytes.length) this.allocate(Math.max(need, Math.ceil(this.bytes.length * 1.5), MIN_BYTES))
    this.length = need
    return at
  }

  private allocate(capacity: number): void {
    const grown = new Uint8Array(capacity)
    grown.set(this.bytes.subarray(0, this.length))
    this.bytes = grown
    this.view = new DataView(grown.buffer)
    this.tail.bytes = grown.subarray(0, 0)
  }
}

const NO_BYTES = new Uint8Array(0)
const MIN_BYTES = 64 * 1024
/** A larger buffer is not kept after it was written. */
const KEEP_BYTES = 32 * 1024 * 1024

/** A range of rows that makes one block. */
export interface BlockRows {
  readonly tableId: TableId
  readonly kernels: Kernels
  readonly batch: Batch
  readonly from: number
  readonly to: number
  /** Bytes of the long strings in these rows. */
  readonly tailBytes: number
}

/**
 * The block of a batch that begins at row `from`: as many rows as keep its body to `targetBytes`, at least one; none if
 * there is none. A batch is cut into the blocks that follow each other. Throws UsageError if a single row passes
 * MAX_ROW_BYTES.
 */
export function blockFrom(
  tableId: TableId,
  kernels: Kernels,
  batch: Batch,
  from: number,
  targetBytes = TARGET_BODY_BYTES,
): BlockRows {
  const stride = kernels.packedStride
  const { stored } = kernels.layout
  const n = batch.length
  // Without long strings; those are counted row by row.
  let to = Math.min(n, from + Math.max(1, Math.floor(targetBytes / stride)))
  let tailBytes = 0
  if (hasStrings(kernels.layout)) {
    const strings = stored.filter(isString).map(c => batch.lanes[c.index])
    const most = to
    for (to = from; to < most; to++) {
      const more = longBytes(strings, to)
      if (to > from && (to + 1 - from) * stride + tailBytes + more > targetBytes) break
      tailBytes += more
    }
  }
  if ((to - from) * stride + tailBytes > MAX_ROW_BYTES) {
    const bytes = stride + tailBytes
    const name = JSON.stringify(kernels.layout.schema.name)
    throw new UsageError(`table ${name}, row ${from}: expected at most ${MAX_ROW_BYTES} bytes, found ${bytes}`)
  }
  return { tableId, kernels, batch, from, to, tailBytes }
}

const isString = ({ info }: Column): boolean => info.storage === 'german'

function longBytes(strings: readonly Uint32Array[], row: number): number {
  let bytes = 0
  for (const lanes of strings) if (lanes[row * 4] > INLINE_BYTES) bytes += lanes[row * 4]
  return bytes
}
