/**
 * What has been committed since the oldest open snapshot, so that every open snapshot can be read: a relation at an
 * earlier LSN is the relation as it is, less its changes since. Nothing is kept, and nothing done, while no snapshot
 * is open; merging and compaction do not concern it.
 *
 *     snapshots       3            7       9
 *     segments        | 4 5 6 7    | 8 9   | 10 11 …        the changes in each are summed, per relation
 *
 * So a segment holds at most two rows for every row that is not what it was, and a snapshot costs what has changed
 * since. A segment without snapshots joins the one before it; the smaller of the two is put into the larger one, so
 * a change is moved a logarithmic number of times. Changes are kept with the opposite sign, ready to be laid over.
 *
 * Transactions that are open keep snapshots of this kind; as nobody may wait for them for ever, they are given up when
 * more than `limit` rows have changed since.
 */
import { show, UsageError } from '../../base/errors.js'
import type { Batch } from '../../zset/batch.js'
import type { ErrorSet, FailureEntry } from '../errors.js'
import type { Operator, Producer } from '../operators/operator.js'
import type { Reader } from '../read.js'
import { readLayer } from '../read-over.js'
import type { RelationReader } from '../relation.js'
import { Overlay } from './overlay.js'

/** Keeps the state of one LSN readable. */
export interface Pin {
  readonly lsn: bigint
  readonly isTransaction: boolean
  /** Its changes begin here; null once it was released. */
  segment: Segment | null
  /** Released because too much has changed since. */
  expired: boolean
}

/** A relation whose changes are recorded. */
export interface Tracked {
  readonly relation: RelationReader<unknown>
  readonly producer: Producer
  /** Its rows are kept: it is not a stream. */
  readonly kept: boolean
}

interface Recorded {
  overlay: Overlay
  /** The last transaction that changed the relation in this segment. */
  lsn: bigint
}

/** Changes with LSNs above its own, up to that of the next segment. */
class Segment {
  readonly pins = new Set<Pin>()
  readonly recorded = new Map<RelationReader<unknown>, Recorded>()
  /** Failed rows as they were at the segment's LSN, of operators where they changed afterwards. */
  readonly failures = new Map<ErrorSet, readonly FailureEntry[]>()
  /** Rows that came in. */
  rows = 0

  constructor(readonly lsn: bigint) {}

  /** Takes over what the next segment holds. */
  absorb(next: Segment): void {
    for (const [relation, theirs] of next.recorded) {
      const ours = this.recorded.get(relation)
      if (ours === undefined) {
        this.recorded.set(relation, theirs)
        continue
      }
      const [large, small] =
        ours.overlay.rowCount < theirs.overlay.rowCount
          ? [theirs.overlay, ours.overlay]
          : [ours.overlay, theirs.overlay]
      large.absorb(small)
      ours.overlay = large
      ours.lsn = theirs.lsn
    }
    for (const [errors, list] of next.failures) if (!this.failures.has(errors)) this.failures.set(errors, list)
    this.rows += next.rows
  }
}

/** Rows that may change while a transaction is open, unless `open` is told otherwise. */
const HISTORY_ROWS = 1_000_000

export class History {
  /** Oldest first; each has a pin. */
  private segments: Segment[] = []
  private staged: { readonly recorded: Recorded; readonly tailLength: number; readonly lsn: bigint }[] = []
  private stagedRows = 0
  /** Counts what moves recorded rows, other than new changes. */
  version = 0

  /** `opened` is told when the first pin comes and when the last one goes. Throws UsageError on a limit that is none. */
  constructor(
    readonly limit = HISTORY_ROWS,
    private readonly opened: (open: boolean) => void,
  ) {
    if (Number.isSafeInteger(limit) && limit >= 0) return
    throw new UsageError(`open: expected historyRows to be a whole number, found ${show(limit)}`)
  }

  get isOpen(): boolean {
    return this.segments.length > 0
  }

  /** LSNs that can be read, in order. */
  get lsns(): bigint[] {
    return this.segments.map(s => s.lsn)
  }

  get rows(): number {
    return this.segments.reduce((sum, s) => sum + s.rows, 0)
  }

  get bytes(): number {
    let bytes = 0
    for (const { recorded } of this.segments)
      for (const { overlay } of recorded.values()) bytes += overlay.allocatedBytes
    return bytes
  }

  /** Number of pins of one kind. */
  pinned(transactions: boolean): number {
    let count = 0
    for (const { pins } of this.segments) for (const pin of pins) if (pin.isTransaction === transactions) count++
    return count
  }

  /** Keeps the present state, of which `lsn` is the LSN. */
  pin(lsn: bigint, isTransaction: boolean): Pin {
    let segment = this.segments.at(-1)
    if (segment?.lsn !== lsn) {
      segment = new Segment(lsn)
      this.segments.push(segment)
      if (this.segments.length === 1) this.opened(true)
    }
    return enter(segment, isTransaction)
  }

  /** Keeps an earlier state that is kept already, or returns null. */
  pinAt(lsn: bigint): Pin | null {
    const segment = this.segments.find(s => s.lsn === lsn)
    return segment === undefined ? null : enter(segment, false)
  }

  release(pin: Pin): void {
    const { segment } = pin
    if (segment === null) return
    pin.segment = null
    segment.pins.delete(pin)
    if (segment.pins.size > 0) return
    const at = this.segments.indexOf(segment)
    this.segments.splice(at, 1)
    if (at > 0) {
      this.segments[at - 1].absorb(segment)
      this.version++
    }
    if (this.segments.length === 0) this.opened(false)
  }

  /** Records the changes of an epoch that is about to be committed; `confirm` or `discard` must follow. */
  stage(lsn: bigint, tracked: readonly Tracked[], operators: readonly Operator[]): void {
    const segment = this.segments[this.segments.length - 1]
    for (const { relation, producer, kept } of tracked) {
      const delta = kept ? producer.delta() : null
      if (delta === null) continue
      let recorded = segment.recorded.get(relation)
      if (recorded === undefined) {
        recorded = { overlay: new Overlay(relation.shape), lsn }
        segment.recorded.set(relation, recorded)
      }
      this.staged.push({ recorded, tailLength: recorded.overlay.tailLength, lsn: recorded.lsn })
      recorded.overlay.append(delta.batch, delta.from, delta.to, true)
      recorded.lsn = lsn
      this.stagedRows += delta.to - delta.from
    }
    for (const operator of operators) {
      const { errors } = operator as { errors?: ErrorSet }
      // What is right before this epoch stays right if it is given up.
      if (errors?.changing && !segment.failures.has(errors)) segment.failures.set(errors, errors.list())
    }
  }

  /** The epoch was committed. */
  confirm(): void {
    const { staged } = this
    for (let s = 0; s < staged.length; s++) staged[s].recorded.overlay.settle()
    this.segments[this.segments.length - 1].rows += this.stagedRows
    staged.length = 0
    this.stagedRows = 0
    this.enforceLimit()
  }

  /** The epoch was given up. */
  discard(): void {
    for (const { recorded, tailLength, lsn } of this.staged) {
      recorded.overlay.truncate(tailLength)
      recorded.lsn = lsn
    }
    this.staged.length = 0
    this.stagedRows = 0
  }

  private enforceLimit(): void {
    for (let rows = 0, s = this.segments.length - 1; s >= 0; s--) {
      const segment = this.segments[s]
      rows += segment.rows
      if (rows <= this.limit) continue
      for (const pin of [...segment.pins]) {
        if (!pin.isTransaction) continue
        pin.expired = true
        this.release(pin)
      }
    }
  }

  /** The relation was dropped. */
  forget(relation: RelationReader<unknown>): void {
    for (const { recorded } of this.segments) recorded.delete(relation)
  }

  /** What has to be laid over a relation to see it as it was. REQUIRES: the pin was not released. */
  runs(pin: Pin, relation: RelationReader<unknown>): Batch[] {
    const runs: Batch[] = []
    for (const { overlay } of this.since(pin, relation)) runs.push(...overlay.runs())
    return runs
  }

  private since({ segment }: Pin, relation: RelationReader<unknown>): Recorded[] {
    const found: Recorded[] = []
    if (segment === null) return found
    for (let s = this.segments.indexOf(segment); s < this.segments.length; s++) {
      const recorded = this.segments[s].recorded.get(relation)
      if (recorded !== undefined) found.push(recorded)
    }
    return found
  }

  /** The changes of a relation since, for validation, and the last transaction that made one; null if there are none. */
  changes(pin: Pin, relation: RelationReader<unknown>): { reader: Reader; lsn: bigint } | null {
    const found = this.since(pin, relation)
    if (found.length === 0) return null
    const { kernels, key } = relation.shape
    const version = () => relation.version() + this.version
    const reader = readLayer({ kernels, key, version, written: false, runs: () => this.runs(pin, relation) })
    return { reader, lsn: found[found.length - 1].lsn }
  }

  /** Failed rows as they were. */
  failures({ segment }: Pin, errors: ErrorSet): readonly FailureEntry[] {
    for (let s = segment === null ? 0 : this.segments.indexOf(segment); s < this.segments.length; s++) {
      const list = this.segments[s].failures.get(errors)
      if (list !== undefined) return list
    }
    return errors.list()
  }
}

function enter(segment: Segment, isTransaction: boolean): Pin {
  const pin: Pin = { lsn: segment.lsn, isTransaction, segment, expired: false }
  segment.pins.add(pin)
  return pin
}
