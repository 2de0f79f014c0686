/** Who waits for transactions of the log to be written or durable, and what was refused, for those who ask late. */
import type { Lsn } from '../types.js'

/** This many transactions that were not written are remembered. */
const MAX_REFUSED = 65_536

interface Waiter {
  readonly lsn: Lsn
  readonly durable: boolean
  resolve(): void
  reject(error: Error): void
}

export class Callers {
  private waiters: Waiter[] = []
  private readonly refused = new Map<Lsn, Error>()

  get isEmpty(): boolean {
    return this.waiters.length === 0
  }

  /** Does somebody wait for more than that a transaction is written? */
  get wantDurable(): boolean {
    return this.waiters.some(w => w.durable)
  }

  /** Resolves when `acknowledge` says that the transaction is written, or `durable`; rejects when `reject` is called. */
  wait(lsn: Lsn, durable: boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      this.waiters.push({ lsn, durable, resolve, reject })
    })
  }

  /** Everything up to these transactions is written, and durable. */
  acknowledge(written: Lsn, durable: Lsn): void {
    const { waiters } = this
    if (waiters.length === 0) return
    const isDone = (w: Waiter) => w.lsn <= (w.durable ? durable : written)
    this.waiters = waiters.filter(w => !isDone(w))
    for (const waiter of waiters) if (isDone(waiter)) waiter.resolve()
  }

  /** Rejects all who wait for transactions after this one. */
  reject(after: Lsn, error: Error): void {
    const lost = this.waiters.filter(w => w.lsn > after)
    this.waiters = this.waiters.filter(w => w.lsn <= after)
    for (const waiter of lost) waiter.reject(error)
  }

  /** These transactions are not in the log. */
  refuse(lsns: readonly Lsn[], error: Error): void {
    for (const lsn of lsns) this.refused.set(lsn, error)
    for (const lsn of this.refused.keys()) {
      if (this.refused.size <= MAX_REFUSED) break
      this.refused.delete(lsn)
    }
  }

  /** Why a transaction is not in the log; undefined if it was not refused. */
  refusalOf(lsn: Lsn): Error | undefined {
    return this.refused.get(lsn)
  }

  /** Another transaction has its number. */
  renew(lsn: Lsn): void {
    this.refused.delete(lsn)
  }
}
