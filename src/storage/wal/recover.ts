/**
 * Recovery: what a crash has left of the log is read, handed out, cut to whole transactions, and made durable.
 *
 * The log is good up to the first block that does not verify, or up to zeros that go on to the end of the file. If a sound block after it says SYNCED, the bad one had
 * been durable, so it was damaged since: CorruptionError. Otherwise it was being written when the machine went down,
 * nobody has been told that it is durable, and it is cut off, with everything behind it. A log that ends before the
 * place at which the manifest says it ended is damaged, too.
 *
 * What lies after the last SYNCED block may exist in the system's memory only; if a sync of it has failed before, it
 * may not even be written again by another one. So it is rewritten as it is and synced, before anything is built on
 * it.
 */
import { CorruptionError } from '../../base/errors.js'
import { type Env, joinPath } from '../../env/env.js'
import type { Keyring } from '../crypt/keyring.js'
import { type LogEnd, type Lsn, type TableId, walFile } from '../types.js'
import {
  GroupReader,
  type Opening,
  type RowSink,
  type TableLookup,
  type Torn,
  tornZeros,
  type WalGroup,
} from './groups.js'
import { type Declaration, WAL_VERSION } from './note.js'
import { listSegments, SegmentFile, type SegmentName, type StrideOf } from './segment.js'

export interface RecoveryProgress {
  readonly bytesDone: number
  readonly bytesTotal: number
}

export interface WalRecovery {
  /** Transactions and rows that were handed out. */
  readonly groups: number
  readonly rows: number
  /** Last transaction in the log, or the one recovery began after if that is later. */
  readonly lastLsn: Lsn
  /** Length of the log up to the first transaction that was handed out. */
  readonly oldBytes: number
  /** What was cut off: its length, where it began, and why. Zero and nulls if the log ended properly. */
  readonly droppedBytes: number
  readonly file: string | null
  readonly offset: number | null
  readonly reason: string | null
}

export interface RecoverOptions {
  readonly env: Env
  readonly dir: string
  /** Kernels of a table by its number, or null if there is no such table. */
  readonly tableOf: TableLookup
  /** Decrypts what is read, and encrypts what is written; null or absent: nothing is encrypted. */
  readonly keys?: Keyring | null
  /** Transactions up to this one are in the shards: they are not replayed. */
  readonly afterLsn: Lsn
  /** Where the log ended when that was last recorded. A log that ends earlier is refused, unless the shards have it all. */
  readonly endsAt?: LogEnd | null
  /** Gets every later transaction, in order. */
  readonly replay: (group: WalGroup) => void
  /** Gets the rows of those transactions that it makes room for; they are not among the parts then. */
  readonly sink?: RowSink
  readonly onProgress?: (progress: RecoveryProgress) => void
}

/** A segment that stays. */
export interface FoundSegment extends SegmentName {
  readonly lastLsn: Lsn
  readonly sizeBytes: number
}

export interface Recovered {
  readonly report: WalRecovery
  readonly segments: readonly FoundSegment[]
  /** The transaction that what is written next says it comes after: if nothing is missing, the last one that was logged. */
  readonly linkLsn: Lsn
  /**
   * What is known of the last segment, if writing can go on in it: it has been read to its end, it is of the version that
   * is written, and nothing that is in the shards is missing after it.
   */
  readonly open: { readonly declared: ReadonlyMap<TableId, Declaration> } | null
}

const PROGRESS_BYTES = 4 * 1024 * 1024
const COPY_BYTES = 1024 * 1024

/**
 * Reads the log in `dir` and hands out every transaction after `afterLsn`.
 * REQUIRES: no other process writes to the log. ENSURES: every transaction handed out is durable on return.
 * Throws CorruptionError and FormatError; then the files are as they were. IoError.
 */
export function recover(options: RecoverOptions): Recovered {
  return new Recoverer(options).run()
}

class Recoverer {
  private readonly all: SegmentName[]
  private readonly kept: FoundSegment[] = []
  private lastLsn: Lsn
  private logLsn: Lsn | null = null
  private groups = 0
  private rows = 0
  private oldBytes = 0
  private bytesDone = 0
  private bytesTotal = 0
  private reported = 0
  /** Everything before this byte of this kept segment is durable. */
  private durable = { segment: 0, offset: 0 }
  private last: GroupReader | null = null
  private dropped: { file: string; torn: Torn; bytes: number } | null = null

  constructor(private readonly options: RecoverOptions) {
    this.all = listSegments(options.env, options.dir)
    this.lastLsn = options.afterLsn
  }

  run(): Recovered {
    const start = this.skipOld()
    const sizes = this.all.map(s => this.options.env.stat(s.path)?.sizeBytes ?? 0)
    this.bytesTotal = sizes.slice(start).reduce((sum, bytes) => sum + bytes, 0)
    let i = start
    let torn: Torn | null = null
    while (i < this.all.length && torn === null) torn = this.readSegment(i++)
    this.refuseShort(i - 1, torn)
    if (torn !== null) this.drop(i - 1, torn)
    this.settle()
    const { dropped } = this
    const report: WalRecovery = {
      groups: this.groups,
      rows: this.rows,
      lastLsn: this.lastLsn,
      oldBytes: this.oldBytes,
      droppedBytes: dropped?.bytes ?? 0,
      file: dropped?.file ?? null,
      offset: dropped?.torn.offset ?? null,
      reason: dropped?.torn.reason ?? null,
    }
    // What is encrypted counts from the segment's beginning, and nobody knows how far it came.
    const isClear = this.last?.version === WAL_VERSION && (this.options.keys ?? null) === null
    const goesOn = this.logLsn === this.lastLsn && isClear
    // The last transactions in the shards may have had nothing to be logged.
    const { endsAt = null } = this.options
    const isWhole = this.logLsn !== null && endsAt !== null && this.logLsn >= endsAt.lsn
    const linkLsn = isWhole ? (this.logLsn as Lsn) : this.lastLsn
    return { report, segments: this.kept, linkLsn, open: goesOn ? this.last : null }
  }

  /** Segments whose transactions are all in the shards are kept unread until they are pruned. */
  private skipOld(): number {
    const last = this.all.length - 1
    if (last >= 0 && this.endsInShards(this.all[last])) return this.skip(last + 1, this.options.endsAt?.lsn ?? 0n)
    for (let i = last; i > 0; i--) {
      const { segment, reader } = this.open(i)
      try {
        const opening = reader.opening()
        if (opening.kind === 'torn' || opening.previousLsn > this.options.afterLsn) continue
        return this.skip(i, opening.previousLsn)
      } finally {
        segment.close()
      }
    }
    return 0
  }

  private skip(count: number, lastLsn: Lsn): number {
    for (const old of this.all.slice(0, count)) {
      const sizeBytes = this.options.env.stat(old.path)?.sizeBytes ?? 0
      this.kept.push({ ...old, lastLsn, sizeBytes })
      this.oldBytes += sizeBytes
    }
    this.durable = { segment: count, offset: 0 }
    this.logLsn = lastLsn
    return count
  }

  /** Does the log end, in this segment, where the manifest says, with everything in the shards? */
  private endsInShards({ firstLsn, path }: SegmentName): boolean {
    const { endsAt, afterLsn, env } = this.options
    if (endsAt == null || endsAt.segment !== firstLsn || endsAt.lsn > afterLsn) return false
    return env.stat(path)?.sizeBytes === endsAt.offset
  }

  private open(i: number): { segment: SegmentFile; reader: GroupReader } {
    const { path, firstLsn } = this.all[i]
    const segment = new SegmentFile(this.options.env.open(path, 'read'))
    return { segment, reader: new GroupReader(segment, firstLsn, this.options.tableOf, this.options.keys ?? null) }
  }

  /** Hands out a segment's groups; returns where it breaks off, or null if it ends properly. */
  private readSegment(i: number): Torn | null {
    const { afterLsn, replay, sink = null } = this.options
    const { segment, reader } = this.open(i)
    let oldBytes = 0
    try {
      const opening = reader.opening()
      const lost = opening.kind === 'torn' ? opening : this.judgeLink(i, opening)
      if (lost !== null) return lost
      const previous = this.last
      this.last = reader
      for (;;) {
        let next = reader.next(afterLsn, sink)
        if (next.kind === 'end' && next.zeros && !segment.isZeroFrom(reader.offset)) next = tornZeros(reader.offset)
        if (next.kind === 'end' || next.kind === 'torn') {
          if (reader.offset > 0) this.keep(i, reader)
          else this.last = previous
          return next.kind === 'end' ? null : next
        }
        if (next.kind === 'group') {
          replay(next)
          this.groups++
        } else if (this.groups === 0) oldBytes = reader.offset
        this.progress(reader.offset)
      }
    } finally {
      this.oldBytes += oldBytes
      this.rows += reader.rowCount
      this.bytesDone += segment.sizeBytes
      segment.close()
    }
  }

  private keep(i: number, reader: GroupReader): void {
    if (reader.syncedAt >= 0) this.durable = { segment: this.kept.length, offset: reader.syncedAt }
    this.kept.push({ ...this.all[i], lastLsn: reader.lastLsn, sizeBytes: reader.offset })
    this.logLsn = reader.lastLsn
    if (reader.lastLsn > this.lastLsn) this.lastLsn = reader.lastLsn
  }

  private progress(offset: number): void {
    const bytesDone = this.bytesDone + offset
    if (bytesDone - this.reported < PROGRESS_BYTES) return
    this.reported = bytesDone
    this.options.onProgress?.({ bytesDone, bytesTotal: this.bytesTotal })
  }

  /** Whether a segment follows on the ones before it: null, or where the log breaks off. */
  private judgeLink(i: number, { previousLsn: previous, synced }: Opening): Torn | null {
    const { path } = this.all[i]
    const { afterLsn } = this.options
    const before = this.logLsn
    if (before !== null && previous < before) {
      throw new CorruptionError(
        path,
        0,
        `it follows transaction ${previous}, but the segment before ends with ${before}`,
      )
    }
    if (previous === before || previous <= afterLsn) return null
    const from = before === null ? afterLsn : before
    const reason = `the log before it is missing: transactions after ${from}, up to ${previous}`
    // Without SYNCED the files before may never have reached the disk.
    if (synced) throw new CorruptionError(path, 0, reason)
    return { kind: 'torn', offset: 0, at: 0, resumeAt: 0, reason }
  }

  /** Throws CorruptionError if the log breaks off in segment i, or ends, before it had ended once. */
  private refuseShort(i: number, torn: Torn | null): void {
    const { endsAt, afterLsn, dir } = this.options
    if (endsAt === null || endsAt === undefined || endsAt.lsn <= afterLsn) return
    const known = `the manifest says that it goes on to transaction ${endsAt.lsn}, up to byte ${endsAt.offset}`
    const e = this.all.findIndex(s => s.firstLsn === endsAt.segment)
    if (e < 0) throw new CorruptionError(joinPath(dir, walFile(endsAt.segment)), 0, `it is missing; ${known}`)
    if (torn !== null && (i < e || (i === e && torn.offset < endsAt.offset))) {
      const place = i === e ? '' : ` of ${this.all[e].path}`
      throw new CorruptionError(this.all[i].path, torn.at, `${torn.reason}; ${known}${place}`)
    }
    const sizeBytes = this.kept.find(s => s.firstLsn === endsAt.segment)?.sizeBytes ?? 0
    if (sizeBytes >= endsAt.offset && this.lastLsn >= endsAt.lsn) return
    throw new CorruptionError(this.all[e].path, sizeBytes, `it ends here; ${known}`)
  }

  /** Cuts off the log from `torn` in segment i on. Throws CorruptionError if that had been durable. */
  private drop(i: number, torn: Torn): void {
    const { env, dir } = this.options
    this.refuseDamage(i, torn)
    let bytes = 0
    // From the end, so that a crash meanwhile leaves a log that ends earlier, not one with a gap.
    for (let j = this.all.length - 1; j > i || (j === i && torn.offset === 0); j--) {
      bytes += env.stat(this.all[j].path)?.sizeBytes ?? 0
      env.remove(this.all[j].path)
    }
    if (torn.offset > 0) {
      const file = env.open(this.all[i].path, 'write')
      try {
        bytes += file.size() - torn.offset
        file.truncate(torn.offset)
        file.sync()
      } finally {
        file.close()
      }
    }
    env.syncDirectory(dir)
    this.dropped = { file: this.all[i].path, torn, bytes }
  }

  private refuseDamage(i: number, torn: Torn): void {
    const { tableOf } = this.options
    const declared = this.last?.declared
    const strideOf: StrideOf = id => declared?.get(id)?.stride ?? tableOf(id)?.packedStride ?? null
    const logLsn = this.logLsn ?? 0n
    for (let j = i; j < this.all.length; j++) {
      const { segment } = this.open(j)
      try {
        const found = segment.find(j === i ? torn.resumeAt : 0, strideOf, true, header => header.lsn > logLsn)
        if (found < 0) continue
        const place = j === i ? `at byte ${found}` : `in ${segment.path} at byte ${found}`
        const problem = `${torn.reason}; a sound block ${place} was written when this had been durable`
        throw new CorruptionError(this.all[i].path, torn.at, problem)
      } finally {
        segment.close()
      }
    }
  }

  /** Writes again, and syncs, what is not known to be durable. */
  private settle(): void {
    const { env, dir } = this.options
    if (this.kept.length === 0) return
    const longest = this.kept.reduce((bytes, segment) => Math.max(bytes, segment.sizeBytes), 0)
    const copy = new Uint8Array(Math.min(longest, COPY_BYTES))
    for (let s = this.durable.segment; s < this.kept.length; s++) {
      const { path, sizeBytes } = this.kept[s]
      const file = env.open(path, 'write')
      try {
        for (let at = s === this.durable.segment ? this.durable.offset : 0; at < sizeBytes; at += COPY_BYTES) {
          const part = copy.subarray(0, Math.min(COPY_BYTES, sizeBytes - at))
          if (file.read(part, at) !== part.length) throw new CorruptionError(path, at, 'the file became shorter')
          file.write(part, at)
        }
        // Likewise a cut whose sync has failed: bytes behind it may still be on the disk.
        file.truncate(sizeBytes)
        file.sync()
      } finally {
        file.close()
      }
    }
    env.syncDirectory(dir)
  }
}
