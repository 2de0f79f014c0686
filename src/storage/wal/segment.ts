/**
 * Segments: the files of the log, and how their blocks are read. A `SegmentFile` reads through a window, so that
 * memory follows the largest block and never a number in the file.
 */
import { xxh3At } from '../../base/checksum.js'
import { CorruptionError } from '../../base/errors.js'
import { type Env, type EnvFile, joinPath } from '../../env/env.js'
import { type Lsn, parseFile, type TableId } from '../types.js'
import {
  type BlockHeader,
  bodyBytes,
  claimsSynced,
  HEADER_BYTES,
  hasHeaderCheck,
  MAX_BODY_BYTES,
  parseHeader,
} from './block.js'
import { NOTE_TABLE } from './note.js'

export interface SegmentName {
  /** LSN of its first group. */
  readonly firstLsn: Lsn
  readonly path: string
}

/** The segments in a directory, oldest first. */
export function listSegments(env: Env, dir: string): SegmentName[] {
  const segments: SegmentName[] = []
  for (const name of env.list(dir)) {
    const parsed = parseFile(name)
    if (parsed?.kind === 'wal') segments.push({ firstLsn: parsed.id, path: joinPath(dir, name) })
  }
  return segments.sort((a, b) => (a.firstLsn < b.firstLsn ? -1 : 1))
}

/** A sound block. */
export interface Block {
  readonly header: BlockHeader
  readonly offset: number
  /** First byte after it. */
  readonly end: number
  /** Memory with its body at `bodyAt`; valid until the next block is read. */
  readonly view: DataView
  readonly bodyAt: number
}

/** Why there is no sound block: the file ends here, ends too early, holds zeros where a header would be, or other bytes. */
export interface NoBlock {
  readonly problem: 'end' | 'short' | 'zeros' | 'header' | 'body'
  /** First byte that a block after this one could have. */
  readonly resumeAt: number
}

/** Bytes per packed row of a table; null if it is not known. */
export type StrideOf = (tableId: TableId) => number | null

const WINDOW_BYTES = 4 * 1024 * 1024
/** After another look at a file that grows there is little to read; then twice as much each time. */
const GLANCE_BYTES = 4 * 1024

export class SegmentFile {
  readonly path: string
  /** Bytes in the file when it was last looked at. */
  sizeBytes: number
  private window = new Uint8Array(0)
  private view = new DataView(this.window.buffer)
  /** The part of the file that is in the window. */
  private from = 0
  private to = 0
  /** Bytes to read at once. */
  private stretch: number

  constructor(
    private readonly file: EnvFile,
    private readonly windowBytes = WINDOW_BYTES,
  ) {
    this.path = file.path
    this.sizeBytes = file.size()
    this.stretch = windowBytes
  }

  /** Looks at the file again; true if it has another size than before. */
  refresh(): boolean {
    const before = this.sizeBytes
    this.sizeBytes = this.file.size()
    this.from = 0
    this.to = 0
    this.stretch = Math.min(GLANCE_BYTES, this.windowBytes)
    return this.sizeBytes !== before
  }

  close(): void {
    this.file.close()
  }

  /** A copy of `count` bytes as they are in the file now; fewer at its end. */
  peek(offset: number, count: number): Uint8Array {
    const bytes = new Uint8Array(count)
    return bytes.subarray(0, this.file.read(bytes, offset))
  }

  /**
   * The block at `offset`, or why there is none. Throws CorruptionError if a header whose check holds says what no
   * writer says, and IoError.
   */
  block(offset: number, strideOf: StrideOf): Block | NoBlock {
    const left = this.sizeBytes - offset
    if (left === 0) return { problem: 'end', resumeAt: offset }
    let at = this.load(offset, Math.min(left, HEADER_BYTES))
    if (at >= 0 && this.zeros(at, Math.min(left, HEADER_BYTES))) return { problem: 'zeros', resumeAt: offset + 1 }
    if (at < 0 || left < HEADER_BYTES) return { problem: 'short', resumeAt: this.sizeBytes }
    const header = parseHeader(this.view, at)
    if (header === null) return { problem: 'header', resumeAt: offset + 1 }
    const length = bodyBytes(header, this.strideFor(header, offset, strideOf))
    if (length > MAX_BODY_BYTES) {
      throw new CorruptionError(this.path, offset, `a block of ${length} bytes, but the limit is ${MAX_BODY_BYTES}`)
    }
    const end = offset + HEADER_BYTES + length
    if (end > this.sizeBytes) return { problem: 'short', resumeAt: this.sizeBytes }
    at = this.load(offset, HEADER_BYTES + length)
    if (at < 0) return { problem: 'short', resumeAt: this.sizeBytes }
    const bodyAt = at + HEADER_BYTES
    if (xxh3At(this.view, bodyAt, length) !== header.checksum) {
      return { problem: 'body', resumeAt: end }
    }
    return { header, offset, end, view: this.view, bodyAt }
  }

  /** Whether there is nothing but zeros from `offset` on. */
  isZeroFrom(offset: number): boolean {
    for (let from = offset; from < this.sizeBytes; ) {
      const at = this.load(from, 1)
      if (at < 0) return true
      if (!this.zeros(at, this.to - from)) return false
      from = this.to
    }
    return true
  }

  /** Whether `count` bytes of the window are zero. */
  private zeros(at: number, count: number): boolean {
    const { window } = this
    for (let i = at; i < at + count; i++) if (window[i] !== 0) return false
    return true
  }

  private strideFor(header: BlockHeader, offset: number, strideOf: StrideOf): number {
    if (header.tableId === NOTE_TABLE) {
      if (header.entryCount === 0) return 0
      throw new CorruptionError(this.path, offset, `a note with ${header.entryCount} entries`)
    }
    const stride = strideOf(header.tableId)
    if (stride !== null) return stride
    throw new CorruptionError(this.path, offset, `a block of table ${header.tableId}, which the log has not declared`)
  }

  /**
   * Offset of the first sound block from `from` on that `accepts`, at any byte; -1 if there is none. With
   * `onlySynced` only blocks with that flag count.
   */
  find(from: number, strideOf: StrideOf, onlySynced: boolean, accepts: (header: BlockHeader) => boolean): number {
    const last = this.sizeBytes - HEADER_BYTES
    for (let offset = from; offset <= last; ) {
      const at = this.load(offset, Math.min(this.windowBytes, this.sizeBytes - offset))
      if (at < 0) return -1
      // The window moves when a candidate is read whole; then this stretch ends early.
      const end = Math.min(last, this.to - HEADER_BYTES)
      let next = offset
      while (next <= end) {
        const p = next - this.from
        if (this.looksLikeHeader(p, strideOf, onlySynced)) {
          if (this.isSound(next, strideOf, accepts)) return next
          next++
          break
        }
        next++
      }
      offset = next
    }
    return -1
  }

  /** Cheap tests first: nearly every offset fails one of them. */
  private looksLikeHeader(at: number, strideOf: StrideOf, onlySynced: boolean): boolean {
    if (onlySynced && !claimsSynced(this.view, at)) return false
    if ((this.view.getUint32(at, true) | this.view.getUint32(at + 4, true)) === 0) return false
    const tableId = this.view.getUint32(at + 8, true)
    if (tableId === NOTE_TABLE ? this.view.getUint32(at + 12, true) !== 0 : strideOf(tableId) === null) return false
    return hasHeaderCheck(this.view, at)
  }

  private isSound(offset: number, strideOf: StrideOf, accepts: (header: BlockHeader) => boolean): boolean {
    const at = this.load(offset, HEADER_BYTES)
    const header = at < 0 ? null : parseHeader(this.view, at)
    if (header === null || !accepts(header)) return false
    const stride = header.tableId === NOTE_TABLE ? 0 : (strideOf(header.tableId) as number)
    if (bodyBytes(header, stride) > MAX_BODY_BYTES) return false
    return !('problem' in this.block(offset, strideOf))
  }

  /** Position in the window of byte `offset` with `count` bytes after it; -1 if the file has become shorter. */
  private load(offset: number, count: number): number {
    if (offset >= this.from && offset + count <= this.to) return offset - this.from
    const want = Math.min(Math.max(count, this.stretch), this.sizeBytes - offset)
    this.stretch = Math.min(this.stretch * 2, this.windowBytes)
    if (this.window.length < want) {
      this.window = new Uint8Array(want)
      this.view = new DataView(this.window.buffer)
    }
    const got = this.file.read(this.window.subarray(0, want), offset)
    this.from = offset
    this.to = offset + got
    return got >= count ? 0 : -1
  }
}
