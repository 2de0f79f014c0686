/**
 * `Wal`: the write-ahead log of one directory, and its only writer.
 *
 * `append` puts a transaction into a buffer. At the end of the current turn everything in the buffer goes out in one
 * write, and in `commit` mode one sync follows, in the background; what is appended meanwhile waits for the next round.
 * So callers that run at the same time share a sync (group commit), and a single caller waits for no one.
 *
 * When a write fails (a full disk, say), the file is cut back to what it was, durably. Then the transactions of that
 * write are not in the log: `committed` rejects with what went wrong, and the log can be used on. If the file cannot be
 * cut back, or if a sync fails, nobody knows what is in the log: `failure` is set, every transaction that was not
 * acknowledged is rejected with it and may or may not be there when the directory is opened again, and the log takes no
 * more.
 * After a failed sync the system may hold pages that look clean and were never written; only recovery, which rewrites
 * what is not known to be durable, may build on them.
 */
import { assert, IoError, UsageError } from '../../base/errors.js'
import type { Env } from '../../env/env.js'
import type { Keyring } from '../crypt/keyring.js'
import type { KeyId } from '../crypt/keys.js'
import type { LogEnd, Lsn } from '../types.js'
import { MAX_LSN } from './block.js'
import { Callers } from './callers.js'
import { LogFiles } from './files.js'
import type { WalPart } from './groups.js'
import { Pending } from './pending.js'
import { type Recovered, type RecoverOptions, recover, type WalRecovery } from './recover.js'
import { type LogStart, NO_RETENTION, type Retention } from './retention.js'
import { Rounds } from './rounds.js'

/**
 * When `committed` resolves: `commit` when the transaction is durable; `interval` when it is written, and it is durable
 * within `intervalMs` or so; `none` when it is written, and it is durable when the system finds the time.
 */
export type Durability = 'commit' | 'interval' | 'none'

export interface WalOptions extends RecoverOptions {
  readonly durability?: Durability
  /** For `interval`; 100 by default. */
  readonly intervalMs?: number
  /** A segment that has reached this size is followed by a new one; 64 MiB by default. */
  readonly segmentBytes?: number
  /** In `commit` mode segments are extended by so many zeros ahead; 512 KiB by default, 0: never. */
  readonly aheadBytes?: number
}

const INTERVAL_MS = 100
const SEGMENT_BYTES = 64 * 1024 * 1024
const AHEAD_BYTES = 512 * 1024
/** More than this does not wait in memory for the end of the turn, nor for a sync. */
const PENDING_BYTES = 8 * 1024 * 1024

const NOW = Promise.resolve()

export class Wal {
  /** What opening found. */
  readonly recovery: WalRecovery
  /** Hears of transactions that are not in the log, before anybody can build on them: `committed` tells later. */
  onRejected: (lsns: readonly Lsn[], error: Error) => void = () => {}
  /**
   * Hears of a segment that was begun or goes on after a checkpoint, when all of the log is durable (`end`). Returns
   * whether that is known now; if not, it hears again. What it throws is not caught.
   */
  onSegment: () => boolean = () => true
  private readonly env: Env
  private readonly mode: Durability
  private readonly intervalMs: number
  private readonly files: LogFiles
  private readonly pending: Pending
  private appended: Lsn
  /** What the first transaction that is appended says it comes after. */
  private readonly linkLsn: Lsn
  private written: Lsn
  private durable: Lsn
  /** What is durable once the sync under way has succeeded. */
  private covered: Lsn
  private syncing: Promise<void> | null = null
  /** Transactions in the last write. */
  private writtenCount = 0
  private readonly rounds = new Rounds()
  private scheduled = false
  private stopTimer: (() => void) | null = null
  private timeIsUp = false
  private readonly callers = new Callers()
  /** The segment that `onSegment` has heard of last. */
  private announced: Lsn | null
  private failed: Error | null = null
  private closed = false
  private readonly turn = (): void => {
    this.scheduled = false
    this.pump()
  }

  private constructor(options: WalOptions, found: Recovered) {
    const { report, segments, open, linkLsn } = found
    this.linkLsn = linkLsn
    this.recovery = report
    this.env = options.env
    this.mode = options.durability ?? 'commit'
    this.intervalMs = options.intervalMs ?? INTERVAL_MS
    const size = {
      segmentBytes: options.segmentBytes ?? SEGMENT_BYTES,
      aheadBytes: this.mode === 'commit' ? (options.aheadBytes ?? AHEAD_BYTES) : 0,
    }
    this.files = new LogFiles(options.env, options.dir, size, segments, open !== null)
    this.pending = new Pending(options.tableOf, open?.declared.keys() ?? [], options.keys ?? null)
    const { endsAt = null, afterLsn } = options
    this.announced = endsAt !== null && endsAt.lsn > afterLsn ? endsAt.segment : null
    this.appended = report.lastLsn
    this.written = report.lastLsn
    this.durable = report.lastLsn
    this.covered = report.lastLsn
  }

  /**
   * Opens the log in `dir`, or begins one, after replaying what is in it.
   * REQUIRES: the caller holds the directory's lock; `loadChecksum()` has resolved. Throws CorruptionError and
   * FormatError, with file and offset, if the log is not what was written; IoError.
   */
  static open(options: WalOptions): Wal {
    return new Wal(options, recover(options))
  }

  /** The key that new segments are encrypted with; null: none. */
  get keyId(): KeyId | null {
    return this.pending.keys?.currentId ?? null
  }

  /** The last transaction in the log or on its way there. */
  get lastLsn(): Lsn {
    return this.appended
  }

  /** Every transaction up to this one is durable. */
  get durableLsn(): Lsn {
    return this.durable
  }

  /** Where the log ends, if every byte of it is durable; null if not, or if there is no log. */
  get end(): LogEnd | null {
    return this.failed === null ? this.files.end : null
  }

  /** Where the log begins, as written. Throws CorruptionError, FormatError, IoError if its first segment cannot be read. */
  get start(): LogStart {
    return this.files.start ?? { lsn: this.written, time: null }
  }

  /** The last beginning of a segment at or before a time; null if there is none. Throws like `start`. */
  startBefore(time: bigint): LogStart | null {
    return this.files.startBefore(time)
  }

  /** Bytes in the log, with those that wait to be written. */
  get sizeBytes(): number {
    return this.files.sizeBytes + this.pending.sizeBytes
  }

  /** Why the log takes no more; null as long as it does. */
  get failure(): Error | null {
    return this.failed
  }

  /**
   * Adds a transaction. It is written at the end of the turn, or by `sync`; `committed` tells of its fate.
   * REQUIRES: `lsn` is above the last one; at least one part, in ascending order of tables, no table twice; batches are
   * consolidated. They are copied. Throws UsageError if the transaction is too large or the log is closed, and `failure`; then
   * nothing was added.
   */
  append(lsn: Lsn, parts: readonly WalPart[]): void {
    this.mustBeUsable()
    assert(lsn > this.appended && lsn <= MAX_LSN, `transaction ${lsn} comes after ${this.appended}`)
    const previous = this.appended === this.recovery.lastLsn ? this.linkLsn : this.appended
    this.pending.add(lsn, previous, parts, this.files.isFull, this.env.now())
    this.callers.renew(lsn)
    this.appended = lsn
    if (this.pending.sizeBytes >= PENDING_BYTES) this.write()
    else this.schedule()
  }

  /**
   * Resolves when the transaction is acknowledged (see Durability). Rejects if it cannot be: with `failure` itself if
   * the transaction may be in the log, with any other error if it is not.
   */
  committed(lsn: Lsn): Promise<void> {
    return this.reached(lsn, this.mode === 'commit')
  }

  /** Resolves when everything that was appended is durable, whatever the mode. Rejects like `committed`. */
  flush(): Promise<void> {
    return this.reached(this.appended, true)
  }

  /**
   * Makes everything that was appended durable before it returns. Throws if some of it could not be written
   * (`committed` tells which transactions), and `failure`.
   */
  sync(): void {
    this.mustBeUsable()
    const problem = this.write()
    if (this.failed !== null) throw this.failed
    if (this.durable < this.written) this.syncNow()
    if (problem !== null) throw problem
  }

  /** The next transaction begins a new segment, encrypted with the current one of these keys. Throws like `sync`. */
  rekey(keys: Keyring): void {
    this.rotate()
    this.pending.keys = keys
  }

  /** The next transaction begins a new segment. Throws like `sync`. */
  rotate(): void {
    this.writeNow()
    this.files.leave()
  }

  /** Rotates if nothing of the current segment is kept, or if it is long for what is kept. Throws like `sync`. */
  retire(upTo: Lsn, retention: Retention): void {
    this.writeNow()
    if (this.files.isLong(upTo, retention)) this.files.leave()
    // Of a segment whose transactions are all in the shards nobody would miss any: what comes next is news.
    else this.announced = null
  }

  /** Writes what waits, without making it durable. Throws if some of it could not be written, and `failure`. */
  writeNow(): void {
    this.mustBeUsable()
    const problem = this.write()
    if (problem !== null) throw this.failed ?? problem
  }

  /**
   * Removes segments all of whose transactions are up to `upTo`; never the one that is written to. Those stay that
   * `retention` keeps, or that have transactions after `held`.
   */
  prune(upTo: Lsn, retention: Retention = NO_RETENTION, held: Lsn = upTo): void {
    this.mustBeUsable()
    this.files.prune(upTo, this.syncing !== null, retention, held)
  }

  /**
   * Makes everything durable and closes the files of the log. Rejects if something could not be made
   * durable; closed it is nevertheless.
   */
  async close(): Promise<void> {
    if (this.closed) return
    try {
      while (this.durable < this.appended) await this.flush()
    } finally {
      await this.syncing
      this.stopTimer?.()
      this.closed = true
      if (!this.callers.isEmpty) this.fail(new UsageError('the log was closed'))
      this.files.close()
    }
  }

  private mustBeUsable(): void {
    if (this.closed) throw new UsageError('the log is closed')
    if (this.failed !== null) throw this.failed
  }

  private reached(lsn: Lsn, durable: boolean): Promise<void> {
    const refusal = this.callers.refusalOf(lsn)
    if (refusal !== undefined) return Promise.reject(refusal)
    if (lsn <= (durable ? this.durable : this.written)) return Promise.resolve()
    if (this.failed !== null) return Promise.reject(this.failed)
    if (lsn > this.appended || this.closed) {
      const state = this.closed ? 'it is closed' : `its last one is ${this.appended}`
      return Promise.reject(new UsageError(`the log was asked for transaction ${lsn}, but ${state}`))
    }
    this.schedule()
    return this.callers.wait(lsn, durable)
  }

  /** Writes at the end of the turn: what other callers of this turn append goes along. */
  private schedule(): void {
    if (this.scheduled) return
    this.scheduled = true
    // Not `queueMicrotask`, which in Node makes a resource of every call, as dear as the rest of a small transaction.
    NOW.then(this.turn)
  }

  /** What nobody called for: an error cannot be thrown to anybody, so it makes the log fail. */
  private guarded(run: () => void): void {
    if (this.failed !== null || this.closed) return
    try {
      run()
    } catch (error) {
      this.fail(error as Error)
    }
  }

  private pump(): void {
    this.guarded(() => {
      // One write, one sync: whoever comes meanwhile shares the next round.
      if (this.syncing !== null && this.mode === 'commit') return
      if (this.rounds.oweOthers) {
        this.yieldTurn()
        return
      }
      if (this.mode === 'commit' && this.rounds.mayBlock(this.pending.lsns.length)) {
        this.writeAlone()
        return
      }
      this.write()
      if (this.failed === null && this.syncing === null && this.wantsSync()) this.startSync()
    })
  }

  /** A round that holds up the process: through to the disk at once, or where that is not possible in two steps. */
  private writeAlone(): void {
    const start = this.env.now()
    const isThrough = this.files.canWriteThrough(this.pending.sizeBytes)
    if (this.write(isThrough) !== null) return
    if (!isThrough) this.syncNow()
    this.rounds.hasBlocked(this.env.now() - start)
  }

  /** Lets others have their turn before the next round; what they append goes along. */
  private yieldTurn(): void {
    this.rounds.yielded()
    this.scheduled = true
    this.env.soon(this.turn)
  }

  private wantsSync(): boolean {
    if (this.written <= this.durable) return false
    return this.mode === 'commit' || this.timeIsUp || this.callers.wantDurable
  }

  /** Writes what is pending; `isThrough`: and it is durable. Returns why it could not be written, or null. */
  private write(isThrough = false): Error | null {
    const { pending, files } = this
    if (pending.lsns.length === 0) return null
    const last = pending.lsns[pending.lsns.length - 1]
    const bytes = pending.contents(this.syncing === null && files.allSynced)
    const failure = isThrough
      ? files.writeThrough(bytes, last)
      : files.write(bytes, last, pending.opens ? pending.lsns[0] : null)
    if (failure === null) {
      this.writtenCount = pending.lsns.length
      pending.taken()
      this.written = last
      if (isThrough) this.allIsDurable()
      else this.callers.acknowledge(this.written, this.durable)
      this.startTimer()
      return null
    }
    if (!failure.undone) return this.fail(failure.error)
    this.rejectPending(failure.error)
    return failure.error
  }

  private rejectPending(error: Error): void {
    const { lsns } = this.pending
    this.callers.refuse(lsns, error)
    this.pending.discard()
    this.appended = this.written
    this.onRejected(lsns, error)
    this.callers.reject(this.written, error)
  }

  private startTimer(): void {
    if (this.mode !== 'interval' || this.stopTimer !== null || this.written <= this.durable) return
    this.stopTimer = this.env.after(this.intervalMs, () => {
      this.stopTimer = null
      this.timeIsUp = true
      this.pump()
    })
  }

  private startSync(): void {
    this.timeIsUp = false
    this.covered = this.written
    this.files.cover()
    const start = this.env.now()
    this.syncing = this.files.syncLater().then(
      () => {
        this.syncing = null
        const isAlone = this.writtenCount === 1 && this.pending.lsns.length === 0
        this.guarded(() => {
          this.rounds.wasInBackground(this.env.now() - start, isAlone)
          this.settle()
        })
        this.schedule()
      },
      (error: Error) => {
        this.syncing = null
        this.fail(error)
      },
    )
  }

  private syncNow(): void {
    try {
      this.files.syncNow()
    } catch (error) {
      throw this.fail(error as Error)
    }
    this.allIsDurable()
  }

  private allIsDurable(): void {
    this.covered = this.written
    this.files.cover()
    // Of an error only one of two syncs may hear. So while another one is under way, its end decides.
    if (this.syncing === null) this.settle()
  }

  private settle(): void {
    this.durable = this.covered
    this.files.settle()
    this.announce()
    this.callers.acknowledge(this.written, this.durable)
    this.startTimer()
  }

  /** Before anybody is told that something in a segment is durable. */
  private announce(): void {
    const { newest } = this.files
    if (newest === this.announced || this.files.end === null) return
    if (this.onSegment()) this.announced = newest
  }

  /** Nobody knows any more what is in the log. Returns what everybody is told from now on. */
  private fail(error: Error): Error {
    if (this.failed !== null) return this.failed
    this.failed = this.explained(error)
    this.pending.discard()
    this.stopTimer?.()
    this.callers.reject(-1n, this.failed)
    return this.failed
  }

  private explained(error: Error): Error {
    if (!(error instanceof IoError)) return error
    const { path, errno } = error
    const fate = `transactions after ${this.durable} may or may not be in the log; open the directory again to find out`
    return new IoError(path, errno, `${error.message.slice(path.length + 2)}; ${fate}`, 'IO', error)
  }
}
