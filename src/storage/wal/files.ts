/**
 * The segments that the writer of the log has: which bytes are in them, and which of those are durable.
 *
 * Where each write is followed by a sync, a segment is extended ahead with zeros. A sync after a write into them has
 * only data to make durable; after a write at the end of the file it has its new size, too, which costs a journal as
 * much again as the data. When a segment is left, its zeros are cut off; those that a crash leaves are no transaction.
 */
import { IoError, NoSpaceError } from '../../base/errors.js'
import { BLOCK_BYTES } from '../../env/direct.js'
import { type Env, type EnvFile, joinPath } from '../../env/env.js'
import { type LogEnd, type Lsn, walFile } from '../types.js'
import { openingOf } from './groups.js'
import type { FoundSegment } from './recover.js'
import { type LogStart, MAX_SEGMENTS, PARTS, type Retention } from './retention.js'

interface Segment {
  readonly path: string
  readonly firstLsn: Lsn
  /** Null when nothing is left to write or sync. */
  file: EnvFile | null
  lastLsn: Lsn
  /** Good bytes: there may be others behind them after a failure. */
  sizeBytes: number
  /** Bytes that will be durable when the sync under way has succeeded. */
  coveredBytes: number
  syncedBytes: number
  /** When it has this size it is time to write more zeros. */
  extendAt: number
  /** Where the zeros behind it end. */
  zerosTo: number
  /** Where zeros end that will be durable, likewise. */
  coveredZeros: number
  /** Where zeros end that are durable: in front of it bytes can be written through. */
  syncedZeros: number
  /** What its first note says, once somebody has asked. */
  start: LogStart | null
}

export interface LogSize {
  /** A segment that has reached this size is followed by a new one. */
  readonly segmentBytes: number
  /** Zeros that are written at once; 0: segments are not extended ahead. */
  readonly aheadBytes: number
}

/** A write that failed. */
export interface WriteFailure {
  readonly error: Error
  /** The files are durably what they were before it. */
  readonly undone: boolean
}

export class LogFiles {
  private readonly segments: Segment[]
  /** The last segment, if it is written to. */
  private current: Segment | null = null
  /** A segment's name is not durable yet. */
  private directoryDirty = false

  constructor(
    private readonly env: Env,
    private readonly dir: string,
    private readonly size: LogSize,
    found: readonly FoundSegment[],
    /** Whether writing goes on in the last one. */
    goesOn: boolean,
  ) {
    this.segments = found.map(({ path, firstLsn, lastLsn, sizeBytes }) => {
      return {
        path,
        firstLsn,
        file: null,
        lastLsn,
        sizeBytes,
        coveredBytes: sizeBytes,
        syncedBytes: sizeBytes,
        extendAt: 0,
        zerosTo: 0,
        coveredZeros: 0,
        syncedZeros: 0,
        start: null,
      }
    })
    const last = this.segments.at(-1)
    if (!goesOn || last === undefined || last.sizeBytes >= size.segmentBytes) return
    last.file = env.open(last.path, 'write')
    this.current = last
  }

  get sizeBytes(): number {
    return this.segments.reduce((sum, segment) => sum + segment.sizeBytes, 0)
  }

  /** The next write begins a segment. */
  get isFull(): boolean {
    return this.current === null || this.current.sizeBytes >= this.size.segmentBytes
  }

  /** Every byte is durable. */
  get allSynced(): boolean {
    return !this.directoryDirty && this.segments.every(s => s.syncedBytes === s.sizeBytes)
  }

  /** The last segment; null if there is no log. */
  get newest(): Lsn | null {
    return this.segments.at(-1)?.firstLsn ?? null
  }

  /** Where the log ends, if that is durable; null if it is not, or if there is no log. */
  get end(): LogEnd | null {
    const last = this.segments.at(-1)
    if (last === undefined || !this.allSynced) return null
    return { lsn: last.lastLsn, segment: last.firstLsn, offset: last.sizeBytes }
  }

  /** Appends bytes that end with transaction `lastLsn`; to a new segment of that name if `opens` is a transaction. */
  write(bytes: Uint8Array, lastLsn: Lsn, opens: Lsn | null): WriteFailure | null {
    const path = opens === null ? null : joinPath(this.dir, walFile(opens))
    let created: EnvFile | null = null
    try {
      if (path !== null) created = this.env.open(path, 'create')
      const file = created ?? (this.current?.file as EnvFile)
      const at = created === null ? (this.current as Segment).sizeBytes : 0
      file.write(bytes, at)
    } catch (error) {
      if (!(error instanceof IoError)) return { error: error as Error, undone: false }
      // A file of that name that recovery has not seen is somebody else's.
      const isOurs = created !== null || error.errno !== 'EEXIST'
      return { error, undone: path === null ? this.cutBack() : isOurs && this.uncreate(path, created) }
    }
    if (created !== null) this.begin(created, opens as Lsn)
    const segment = this.current as Segment
    segment.sizeBytes += bytes.length
    segment.lastLsn = lastLsn
    this.extend(segment)
    return null
  }

  /** Can the next so many bytes be written through? Then a sync would have nothing to do but them. */
  canWriteThrough(lengthBytes: number): boolean {
    const { current } = this
    if (current === null || !this.allSynced) return false
    return Math.ceil((current.sizeBytes + lengthBytes) / BLOCK_BYTES) * BLOCK_BYTES <= current.syncedZeros
  }

  /**
   * The same as `write`, in the current segment, and the bytes are durable. REQUIRES: `canWriteThrough`, of the size that
   * they have. What fails otherwise than for lack of space is not undone: nobody knows what the disk has of their block.
   */
  writeThrough(bytes: Uint8Array, lastLsn: Lsn): WriteFailure | null {
    const segment = this.current as Segment
    try {
      ;(segment.file as EnvFile).writeThrough(bytes, segment.sizeBytes)
    } catch (error) {
      return { error: error as Error, undone: error instanceof NoSpaceError && this.cutBack() }
    }
    segment.sizeBytes += bytes.length
    segment.lastLsn = lastLsn
    return null
  }

  /** Writes zeros behind a segment, if it is time. */
  private extend(segment: Segment): void {
    const { sizeBytes } = segment
    const until = Math.min(sizeBytes + this.size.aheadBytes, this.size.segmentBytes)
    if (sizeBytes < segment.extendAt || until <= sizeBytes) return
    segment.extendAt = until
    segment.zerosTo = until
    try {
      ;(segment.file as EnvFile).write(new Uint8Array(until - sizeBytes), sizeBytes)
    } catch (error) {
      if (!(error instanceof IoError)) throw error
      // The transaction is written all the same. What is left of the zeros does no harm, but others may need the room.
      cut(segment)
    }
  }

  private begin(file: EnvFile, firstLsn: Lsn): void {
    this.leave()
    this.current = {
      path: file.path,
      firstLsn,
      file,
      lastLsn: 0n,
      sizeBytes: 0,
      coveredBytes: 0,
      syncedBytes: 0,
      extendAt: 0,
      zerosTo: 0,
      coveredZeros: 0,
      syncedZeros: 0,
      start: null,
    }
    this.segments.push(this.current)
    this.directoryDirty = true
  }

  private cutBack(): boolean {
    const current = this.current as Segment
    const { file, sizeBytes } = current
    current.extendAt = 0
    noZeros(current)
    try {
      file?.truncate(sizeBytes)
      file?.sync()
      return true
    } catch {
      return false
    }
  }

  private uncreate(path: string, file: EnvFile | null): boolean {
    try {
      file?.close()
      this.env.remove(path)
      this.env.syncDirectory(this.dir)
      return true
    } catch {
      return false
    }
  }

  /** Nothing more is written to the current segment. */
  leave(): void {
    const left = this.current
    this.current = null
    if (left !== null) this.closeIfDone(left)
  }

  /** A sync that succeeds from now on makes everything durable that is written now. */
  cover(): void {
    for (const segment of this.segments) {
      segment.coveredBytes = segment.sizeBytes
      segment.coveredZeros = segment.zerosTo
    }
  }

  /** Makes everything written durable before it returns. */
  syncNow(): void {
    for (const segment of this.segments) if (segment.syncedBytes < segment.sizeBytes) segment.file?.sync()
    this.syncNames()
  }

  /** Makes what `cover` has covered durable. */
  async syncLater(): Promise<void> {
    for (const segment of [...this.segments]) {
      if (segment.syncedBytes < segment.coveredBytes) await segment.file?.syncLater()
    }
    this.syncNames()
  }

  private syncNames(): void {
    if (!this.directoryDirty) return
    this.env.syncDirectory(this.dir)
    this.directoryDirty = false
  }

  /** What was covered is durable. */
  settle(): void {
    for (const segment of this.segments) {
      segment.syncedBytes = segment.coveredBytes
      segment.syncedZeros = segment.coveredZeros
      if (segment !== this.current) this.closeIfDone(segment)
    }
  }

  private closeIfDone(segment: Segment): void {
    if (segment.file === null || segment.syncedBytes < segment.sizeBytes) return
    finish(segment)
  }

  /** Where the log begins; null if it is empty. Throws CorruptionError, FormatError, IoError. */
  get start(): LogStart | null {
    return this.segments.length === 0 ? null : this.startOf(this.segments[0])
  }

  /** The last beginning of a segment at or before a time (microseconds since 1970); null if there is none. */
  startBefore(time: bigint): LogStart | null {
    let found: LogStart | null = null
    for (const segment of this.segments) {
      const start = this.startOf(segment)
      if (start.time === null || start.time > time) break
      found = start
    }
    return found
  }

  /**
   * Removes segments up to `upTo`, oldest first, that `retention` does not keep and nobody needs who goes back to `held`;
   * not the current one, and none that a sync under way may be about.
   */
  prune(upTo: Lsn, isSyncing: boolean, retention: Retention, held: Lsn): void {
    for (let removed = 0; this.segments.length > 0; removed++) {
      const segment = this.segments[0]
      if (segment === this.current || segment.lastLsn > upTo || (isSyncing && segment.file !== null)) return
      if (this.isKept(upTo, retention, held)) return
      // If a crash brings names back, none before one that stays gone: the log must have no gap.
      if (removed > 0) this.env.syncDirectory(this.dir)
      segment.extendAt = 0
      finish(segment)
      this.env.remove(segment.path)
      this.segments.shift()
    }
  }

  /** Is the first segment kept? */
  private isKept(upTo: Lsn, retention: Retention, held: Lsn): boolean {
    if (held >= upTo && retention.bytes === 0) return false
    const next = this.segments.length > 1 ? this.startOf(this.segments[1]) : null
    const lastLsn = next?.lsn ?? this.segments[0].lastLsn
    if (lastLsn > held) return true
    if (this.sizeBytes > retention.bytes || this.segments.length > MAX_SEGMENTS) return false
    if (lastLsn + BigInt(Math.min(retention.transactions, Number.MAX_SAFE_INTEGER)) <= upTo) return false
    // What comes next began when this had ended.
    const endedAt = next === null ? null : next.time
    return endedAt === null || Number(endedAt) / 1000 + retention.milliseconds > this.env.now()
  }

  /** Is the current segment so long that, as one, it would be kept much longer than asked? */
  isLong(upTo: Lsn, { bytes, transactions, milliseconds }: Retention): boolean {
    const { current } = this
    if (current === null) return false
    if (bytes === 0) return true
    const { lsn, time } = this.startOf(current)
    if (Number(upTo - lsn) >= transactions / PARTS) return true
    return time !== null && this.env.now() - Number(time) / 1000 >= milliseconds / PARTS
  }

  private startOf(segment: Segment): LogStart {
    segment.start ??= openingOf(this.env, segment)
    return segment.start
  }

  close(): void {
    for (const segment of this.segments) finish(segment)
    this.current = null
  }
}

function noZeros(segment: Segment): void {
  segment.zerosTo = 0
  segment.coveredZeros = 0
  segment.syncedZeros = 0
}

/** Cuts off what is behind the bytes of a segment. It does no harm if that fails: there are at most zeros. */
function cut(segment: Segment): void {
  noZeros(segment)
  try {
    segment.file?.truncate(segment.sizeBytes)
  } catch (error) {
    if (!(error instanceof IoError)) throw error
  }
}

/** Closes a segment's file, without the zeros at its end. */
function finish(segment: Segment): void {
  const { file } = segment
  try {
    if (segment.extendAt > segment.sizeBytes) cut(segment)
  } finally {
    segment.file = null
    file?.close()
  }
}
