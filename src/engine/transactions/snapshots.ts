/** The open snapshots of a database, and where older states are to be found. */
import { quote, show, UsageError } from '../../base/errors.js'
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

export class Snapshots {
  /** Where changes from before all open snapshots are found. */
  log: DeltaLog | null = null
  private readonly named = new Map<string, Snapshot>()

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
  at(present: bigint, at: bigint | number | string): Snapshot {
    const lsn = this.lsnOf(at)
    const { history } = this.host
    if (lsn === present) return this.make(history.pin(lsn, false), lsn, null, null)
    const pin = history.pinAt(lsn)
    if (pin !== null) return this.make(pin, lsn, null, null)
    const { log } = this
    if (log === null || lsn < log.oldestLsn || lsn > present) throw this.unreachable(present, lsn)
    const next = history.lsns.find(kept => kept > lsn)
    const from = (next === undefined ? null : history.pinAt(next)) ?? history.pin(present, false)
    return this.make(from, lsn, null, new Past(log, lsn, from.lsn, this.recompute))
  }

  private make(pin: Pin, lsn: bigint, name: string | null, past: Past | null): Snapshot {
    const { named } = this
    const released = () => {
      if (name !== null) named.delete(name)
    }
    const snapshot = new Snapshot(this.host, pin, lsn, name, past, released)
    if (name !== null) named.set(name, snapshot)
    return snapshot
  }

  private lsnOf(at: unknown): bigint {
    if (typeof at === 'bigint') return at
    if (typeof at === 'number' && Number.isSafeInteger(at)) return BigInt(at)
    if (typeof at !== 'string') {
      throw new UsageError(`snapshotAt: expected an LSN or the name of a snapshot, found ${show(at)}`)
    }
    const found = this.named.get(at)
    if (found !== undefined) return found.lsn
    const known = Array.from(this.named.keys(), quote).join(', ') || 'none'
    throw new UsageError(`snapshotAt: there is no open snapshot with the name ${quote(at)}; there are: ${known}`)
  }

  private unreachable(present: bigint, lsn: bigint): UsageError {
    const kept = this.host.history.lsns.join(', ') || 'none'
    const log = this.log === null ? 'there is no log' : `the log goes back to ${this.log.oldestLsn}`
    return new UsageError(
      `snapshotAt: the state after transaction ${lsn} is not kept: the last transaction is ${present}; open snapshots ` +
        `and transactions keep: ${kept}; ${log}`,
    )
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
