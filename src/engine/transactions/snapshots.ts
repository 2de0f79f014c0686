/** The open snapshots of a database, and where older states are to be found. */
import { quote, show, UsageError } from '../../base/errors.js'
import { formatTimestamp } from '../../schema/calendar.js'
import { normalise, Problem } from '../../schema/values.js'
import type { TransactionHost } from '../transaction.js'
import type { Pin } from './history.js'
import { type DeltaLog, Past, type Recomputed } from './past.js'
import { Snapshot, type SnapshotOptions } from './snapshot.js'

/** What is open, and what it costs. */
export interface SnapshotStats {
  readonly snapshots: number
  readonly transactions: number
  /** The oldest state that is kept; null if none is. */
  readonly oldestLsn: bigint | null
  /** Rows that have changed since, in tables and views. */
  readonly changedRows: number
  readonly allocatedBytes: number
}

/**
 * An earlier state: by LSN, by the name of an open snapshot, or as it was at a time (a Date, ISO text, or microseconds
 * since 1970): after the last transaction up to then.
 */
export type SnapshotTarget = bigint | number | string | { readonly time: Date | string | bigint }

export class Snapshots {
  /** Where changes from before all open snapshots are found. */
  log: DeltaLog | null = null
  private readonly named = new Map<string, Snapshot>()
  /** Open snapshots that need the log. */
  goingBack = 0

  constructor(
    private readonly host: TransactionHost,
    private readonly recompute: () => Recomputed,
  ) {}

  /** A snapshot of the present state, of which `lsn` is the LSN. */
  open(lsn: bigint, { name }: SnapshotOptions): Snapshot {
    if (name !== undefined && (typeof name !== 'string' || this.named.has(name))) {
      const problem = typeof name === 'string' ? 'is the name of another open snapshot' : 'is no name'
      throw new UsageError(`snapshot: ${typeof name === 'string' ? quote(name) : show(name)} ${problem}`)
    }
    return this.make(this.host.history.pin(lsn, false), lsn, name ?? null, null)
  }

  /** A snapshot of an earlier state; `present` is the LSN of the present one. Throws UsageError if it is not kept. */
  at(present: bigint, at: SnapshotTarget): Snapshot {
    const lsn = this.lsnOf(present, at)
    const { log, recompute } = this
    const { history } = this.host
    const kept = lsn === present ? history.pin(lsn, false) : history.pinAt(lsn)
    if (kept !== null) return this.make(kept, lsn, null, new Past(lsn, recompute, null))
    if (log === null || lsn > present || lsn < log.start.lsn) {
      throw this.unreachable(present, `the state after transaction ${lsn} is not kept`)
    }
    const next = history.lsns.find(kept => kept > lsn)
    const from = (next === undefined ? null : history.pinAt(next)) ?? history.pin(present, false)
    return this.make(from, lsn, null, new Past(lsn, recompute, { log, from: from.lsn }), this.hold(log, lsn))
  }

  private hold(log: DeltaLog, lsn: bigint): () => void {
    const letGo = log.hold(lsn)
    this.goingBack++
    return () => {
      letGo()
      this.goingBack--
    }
  }

  private make(pin: Pin, lsn: bigint, name: string | null, past: Past | null, letGo = () => {}): Snapshot {
    const { named } = this
    const released = () => {
      letGo()
      if (name !== null) named.delete(name)
    }
    const snapshot = new Snapshot(this.host, pin, lsn, name, past, released)
    if (name !== null) named.set(name, snapshot)
    return snapshot
  }

  private lsnOf(present: bigint, at: SnapshotTarget): bigint {
    if (typeof at === 'bigint') return at
    if (typeof at === 'number' && Number.isSafeInteger(at)) return BigInt(at)
    if (typeof at === 'object' && at !== null && 'time' in at) return this.lsnAt(present, microsOf(at.time))
    if (typeof at !== 'string') {
      throw new UsageError(`snapshotAt: expected an LSN, the name of a snapshot or { time }, found ${show(at)}`)
    }
    const found = this.named.get(at)
    if (found !== undefined) return found.lsn
    const known = Array.from(this.named.keys(), quote).join(', ') || 'none'
    throw new UsageError(`snapshotAt: there is no open snapshot with the name ${quote(at)}; there are: ${known}`)
  }

  private lsnAt(present: bigint, time: bigint): bigint {
    const lsn = this.log?.lsnAt(time) ?? null
    if (lsn === null) throw this.unreachable(present, `the state of ${formatTimestamp(time)}Z is not kept`)
    return lsn
  }

  private unreachable(present: bigint, problem: string): UsageError {
    const kept = this.host.history.lsns.join(', ') || 'none'
    return new UsageError(
      `snapshotAt: ${problem}: the last transaction is ${present}; open snapshots and transactions keep: ${kept}; ` +
        this.reach(),
    )
  }

  private reach(): string {
    if (this.log === null) return 'there is no log, or it is not read (in memory, readOnly)'
    const { lsn, time } = this.log.start
    return `the log goes back to ${lsn}${time === null ? '' : `, of ${formatTimestamp(time)}Z`}`
  }

  stats(): SnapshotStats {
    const { history } = this.host
    return {
      snapshots: history.pinned(false),
      transactions: history.pinned(true),
      oldestLsn: history.lsns[0] ?? null,
      changedRows: history.rows,
      allocatedBytes: history.bytes,
    }
  }
}

/** Microseconds since 1970. Throws UsageError if it is no time. */
function microsOf(time: unknown): bigint {
  const micros = normalise('timestamptz', time)
  if (micros instanceof Problem) throw new UsageError(`snapshotAt: time: ${micros.message}`)
  return micros as bigint
}
