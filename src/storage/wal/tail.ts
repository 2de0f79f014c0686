/**
 * Reading the log while it is written, in this process or another: `LogReader` step by step, `tail` as it grows,
 * `readGroups` what is there now.
 *
 * A reader takes no lock and holds nobody up. It hands out whole transactions only: what is not whole is not there yet.
 * It sees a transaction when it is written, which is before it is durable; should the writer's disk be full or its
 * machine go down just then, the transaction may be taken back. A reader that has gone past it gets an IoError (ESTALE)
 * when it notices, and must begin anew from a snapshot.
 */
import { CorruptionError, IoError } from '../../base/errors.js'
import type { Env } from '../../env/env.js'
import type { Keyring } from '../crypt/keyring.js'
import type { Lsn, TableId } from '../types.js'
import { HEADER_BYTES } from './block.js'
import {
  type End,
  GroupReader,
  type NextGroup,
  type TableLookup,
  type Torn,
  tornZeros,
  type WalGroup,
} from './groups.js'
import { listSegments, SegmentFile, type SegmentName } from './segment.js'

export interface LogReaderOptions {
  readonly env: Env
  readonly dir: string
  /** Asked once for each table of a segment, so it may look the table up in the manifest then. */
  readonly tableOf: TableLookup
  /** For sealed segments; without, their rows are refused (KeyError). */
  readonly keys?: Keyring | null
  /** The first transaction wanted is the one after this. */
  readonly after: Lsn
  /** Parts of transactions that are wanted; all of them by default. */
  readonly wants?: (tableId: TableId) => boolean
}

/** Bytes at the end of the log. */
export interface LogRest {
  readonly file: string
  readonly offset: number
  readonly sizeBytes: number
}

/** Where the reader is. */
interface Place {
  readonly name: SegmentName
  readonly reader: GroupReader
  /** The last transaction in the segment before, if it came here from there; null if it came by searching. */
  readonly follows: Lsn | null
  /** The segment's first note has been read. */
  opened: boolean
  /** The block header at `seenAt`, which has been read and must stay. */
  seenAt: number
  seen: Uint8Array | null
  /** How often it was looked, in vain, for what comes next since the file had another size. */
  looks: number
}

export class LogReader {
  private lastLsn: Lsn
  private place: Place | null = null

  constructor(private readonly options: LogReaderOptions) {
    this.lastLsn = options.after
  }

  /** The last transaction handed out, or the one to begin after. */
  get lsn(): Lsn {
    return this.lastLsn
  }

  /**
   * The next transaction, or null if there is none yet. Throws CorruptionError and FormatError; IoError with errno
   * ENOENT if transactions that should come next have been pruned, and ESTALE if some that were handed out have been
   * taken back.
   */
  next(): WalGroup | null {
    for (;;) {
      const place = this.place ?? this.begin()
      if (place === null) return null
      let found = this.step(place)
      let after: SegmentName | undefined
      if (found.kind === 'end' || found.kind === 'torn') {
        // What was read may be old. And since the writer ends a segment before it begins the next, what is not there
        // once there is a next one will never be.
        after = this.segmentAfter(place)
        this.lookAgain(place)
        found = this.step(place)
      }
      if (found.kind === 'group') return this.take(place, found)
      if (found.kind === 'skipped') continue
      if (!this.advance(place, found, after)) return null
    }
  }

  /** What is behind the last whole transaction: one that is not whole, or not yet. Null if there is nothing. */
  get rest(): LogRest | null {
    if (this.place === null) return null
    const { segment, offset } = this.place.reader
    const sizeBytes = segment.sizeBytes - offset
    return sizeBytes > 0 ? { file: segment.path, offset, sizeBytes } : null
  }

  private take(place: Place, group: WalGroup): WalGroup {
    this.lastLsn = group.lsn
    place.seenAt = group.offset
    place.seen = place.reader.segment.peek(group.offset, HEADER_BYTES)
    place.looks = 0
    return group
  }

  close(): void {
    this.place?.reader.segment.close()
    this.place = null
  }

  private step(place: Place): NextGroup {
    const { reader } = place
    if (!place.opened) {
      const opening = reader.opening()
      if (opening.kind === 'torn') return opening
      const { previousLsn } = opening
      if (previousLsn > this.lastLsn) {
        const problem = `transactions after ${this.lastLsn}, up to ${previousLsn}, are no longer in the log`
        throw new IoError(place.name.path, 'ENOENT', `${problem}; begin with a snapshot`)
      }
      if (place.follows !== null && previousLsn < place.follows) throw this.takenBack(place)
      place.opened = true
    }
    return reader.next(this.lastLsn)
  }

  /** Finds the segment that has the next transaction; null if there is none yet. */
  private begin(): Place | null {
    for (;;) {
      const segments = listSegments(this.options.env, this.options.dir)
      const name = segments.findLast(s => s.firstLsn <= this.lastLsn + 1n) ?? segments[0]
      if (name === undefined) return null
      const place = this.enter(name, null)
      if (place !== null) return place
    }
  }

  /** Null if the segment has just been pruned. */
  private enter(name: SegmentName, follows: Lsn | null): Place | null {
    this.close()
    try {
      const segment = new SegmentFile(this.options.env.open(name.path, 'read'))
      const { tableOf, keys = null, wants } = this.options
      const reader = new GroupReader(segment, name.firstLsn, tableOf, keys, wants)
      this.place = { name, reader, follows, opened: false, seenAt: 0, seen: null, looks: 0 }
      return this.place
    } catch (error) {
      if (error instanceof IoError && error.errno === 'ENOENT') return null
      throw error
    }
  }

  private segmentAfter({ name }: Place): SegmentName | undefined {
    return listSegments(this.options.env, this.options.dir).find(s => s.firstLsn > name.firstLsn)
  }

  /** Looks at the file again. Throws ESTALE if what has been read is no longer there. */
  private lookAgain(place: Place): void {
    const { segment, offset } = place.reader
    if (segment.refresh()) place.looks = 0
    if (segment.sizeBytes < offset) throw this.takenBack(place)
    if (place.seen !== null && !same(place.seen, segment.peek(place.seenAt, HEADER_BYTES))) throw this.takenBack(place)
  }

  /** At the end of what can be read: true if it is worth while to go on. */
  private advance(place: Place, found: End | Torn, after: SegmentName | undefined): boolean {
    if (found.kind === 'end') {
      if (after !== undefined) {
        if (this.enter(after, place.reader.lastLsn) === null) this.close()
        return true
      }
      if (this.isReplaced(place)) throw this.takenBack(place)
      if (found.zeros) this.refuseDamage(place, tornZeros(place.reader.offset), undefined)
      return false
    }
    this.refuseDamage(place, found, after)
    // A segment that a crash left without a beginning is removed by the writer, and may be begun again.
    if (!place.opened && this.isReplaced(place)) this.close()
    return false
  }

  /** Whether the name belongs to another file by now. */
  private isReplaced(place: Place): boolean {
    const info = this.options.env.stat(place.name.path)
    const { segment } = place.reader
    if (info === null) return !place.opened
    return info.sizeBytes !== segment.sizeBytes && !segment.refresh()
  }

  /** What is not whole will be, unless something later is durable already. It is searched for more and more rarely. */
  private refuseDamage(place: Place, torn: Torn, after: SegmentName | undefined): void {
    const { segment, declared } = place.reader
    const { tableOf, env } = this.options
    const strideOf = (id: number) => declared.get(id)?.stride ?? tableOf(id)?.packedStride ?? null
    place.looks++
    if ((place.looks & (place.looks - 1)) === 0) {
      const found = segment.find(torn.resumeAt, strideOf, true, header => header.lsn > this.lastLsn)
      segment.refresh()
      // It was written when this had been, perhaps after this was read.
      if (found >= 0 && 'problem' in segment.block(torn.at, strideOf)) throw damage(place, torn, `at byte ${found}`)
    }
    if (after === undefined) return
    const next = new SegmentFile(env.open(after.path, 'read'))
    try {
      const opening = new GroupReader(next, after.firstLsn, tableOf, null).opening()
      if (opening.kind === 'opening' && opening.synced) throw damage(place, torn, `in ${after.path}`)
    } finally {
      next.close()
    }
  }

  private takenBack(place: Place): IoError {
    const problem = `the log was cut back: of the transactions up to ${this.lastLsn}, which were read, some are gone`
    return new IoError(place.name.path, 'ESTALE', `${problem}; begin with a snapshot`)
  }
}

function damage(place: Place, torn: Torn, where: string): CorruptionError {
  const problem = `${torn.reason}; a sound block ${where} was written when this had been durable`
  return new CorruptionError(place.name.path, torn.at, problem)
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i])
}

/** The whole transactions after `after` that are in the log now, in order. Throws like `LogReader.next`. */
export function* readGroups(options: LogReaderOptions): Generator<WalGroup, void, void> {
  const reader = new LogReader(options)
  try {
    for (let group = reader.next(); group !== null; group = reader.next()) yield group
  } finally {
    reader.close()
  }
}

export interface TailOptions extends LogReaderOptions {
  /** Longest pause between two looks at a log that does not grow; 20 by default. */
  readonly pollMs?: number
  /** Ends the tail. */
  readonly signal?: AbortSignal
  /** How to wait; by default with a timer, which keeps the process alive. */
  readonly pause?: (milliseconds: number) => Promise<void>
}

const POLL_MS = 20
/** After reading this much at once, others get a turn. */
const TURN_BYTES = 4 * 1024 * 1024

/**
 * The transactions after `after`, for ever, as they are written. Ends when `signal` is aborted or the consumer stops.
 * Throws like `LogReader.next`.
 */
export async function* tail(options: TailOptions): AsyncGenerator<WalGroup, void, void> {
  const { pollMs = POLL_MS, signal, pause = sleep } = options
  const reader = new LogReader(options)
  let wait = 1
  let bytes = 0
  try {
    while (signal?.aborted !== true) {
      const group = reader.next()
      if (group !== null) {
        wait = 1
        bytes += group.end - group.offset
        yield group
        if (bytes < TURN_BYTES) continue
      }
      await unlessAborted(pause(group === null ? wait : 0), signal)
      bytes = 0
      wait = Math.min(wait * 2, pollMs)
    }
  } finally {
    reader.close()
  }
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, milliseconds))
}

function unlessAborted(wait: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) return wait
  return new Promise((resolve, reject) => {
    const done = () => {
      signal.removeEventListener('abort', done)
      resolve()
    }
    signal.addEventListener('abort', done)
    wait.then(done, reject)
  })
}
