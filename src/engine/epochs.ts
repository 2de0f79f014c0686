/**
 * Epochs: how what a transaction wrote becomes one step of the circuit, all of it or nothing. The rows are screened by
 * waterlines, judged by constraints, run through the circuit and handed to the log; then the state is that of the next
 * LSN, and subscribers are called. Also the one place that knows what the database is in the middle of.
 */
import { GnitzError, show, UsageError } from '../base/errors.js'
import type { Batch } from '../zset/batch.js'
import { Commit } from './commit.js'
import type { Definitions } from './definitions.js'
import type { Durability } from './durable/durability.js'
import type { Followers } from './followers.js'
import type { Late } from './late.js'
import type { Registry, TableEntry } from './registry.js'
import type { Transaction } from './transaction.js'
import type { History } from './transactions/history.js'

type State = 'idle' | 'transaction' | 'epoch' | 'notifying' | 'listening' | 'building' | 'closed'

const BUSY: Readonly<Record<Exclude<State, 'idle'>, string>> = {
  transaction: 'a transaction is running; use its tx object',
  epoch: 'the database is in the middle of a step',
  notifying: 'a subscriber is being called; it must not write: collect what to write and do it afterwards',
  listening: 'a listener of events (onEvent) is being called; it must not call the database',
  building: 'a view is being created',
  closed: 'the database is closed',
}

export class Epochs {
  state: State = 'idle'
  currentLsn = 0n
  readonly isReadOnly: boolean
  private readonly registry: Registry
  private readonly followers: Followers
  /** Some subscriber is to be called after the running epoch. */
  private captured = false
  /** Tables and views that kept late rows of the running transaction out, and those whose late rows somebody is to be told of. */
  private readonly screened: Late[] = []
  private readonly belated: Late[] = []
  /** When the last transaction is acknowledged; null: it is. */
  durable: Promise<void> | null = null
  /** The same of the transaction whose epoch runs. */
  private logged: Promise<void> | null = null

  constructor(
    private readonly definitions: Definitions,
    private readonly history: History,
    /** Null in memory. */
    private readonly durability: Durability | null,
  ) {
    this.registry = definitions.registry
    this.followers = definitions.followers
    this.isReadOnly = durability?.storage.isReadOnly === true
  }

  /**
   * Hands the rows that a transaction wrote to the circuit, lets constraints judge them, and hands them to the log.
   * Returns how many there are. Throws WeightOverflowError and ConstraintError; then nothing was handed on.
   */
  offer(entries: readonly TableEntry[]): number {
    const { rules, circuit } = this.definitions
    let rows = 0
    try {
      for (let e = 0; e < entries.length; e++) {
        rows += this.offerRows(entries[e])
      }
      if (rules.active.length > 0) rules.enforce(true)
    } catch (error) {
      circuit.scheduler.abort()
      rules.end(false)
      this.endScreening(null)
      throw error
    }
    if (this.durability !== null) rules.log()
    return rows
  }

  /** Offers what a transaction wrote to a table, without rows that are late; returns how many rows are left. */
  private offerRows(entry: TableEntry): number {
    const { rules } = this.definitions
    const { gate, updates } = entry
    const rows = entry.whole ?? entry.pending
    if (gate === null) {
      rules.offer(entry.rules, rows, updates)
      return rows.length
    }
    const kept = gate.screen(entry, rows, updates)
    if (kept.rows !== rows) this.screened.push(gate)
    rules.offer(entry.rules, kept.rows, kept.updates)
    return kept.rows.length
  }

  /** The running transaction's late rows are published, or forgotten with it. */
  private endScreening(lsn: bigint | null): void {
    for (const gate of this.screened.splice(0)) {
      if (lsn === null) gate.forget()
      else if (gate.publish(lsn)) this.belated.push(gate)
    }
  }

  /** Lets constraints that are not deferred judge a transaction that goes on. */
  judge(tx: Transaction): void {
    if (this.state !== 'transaction') this.mustBeIdle('check')
    const { rules, circuit } = this.definitions
    try {
      for (const entry of tx.touched as unknown as readonly TableEntry[]) {
        this.offerRows(entry)
      }
      rules.enforce(false)
    } finally {
      this.endScreening(null)
      circuit.scheduler.abort()
      rules.end(false)
    }
  }

  epoch(rows: number): Commit {
    const commit = this.step(rows)
    if (this.definitions.circuit.isDue) this.cutOff()
    const failure = this.captured || this.belated.length > 0 ? this.notify() : null
    if (failure !== null) throw failure
    return commit
  }

  /**
   * Internal: lets go of state behind waterlines, of all of it or as far as it is due. What the log may still refuse is
   * made durable first: taking it back needs the state.
   */
  cutOff(all = false): void {
    const { durability } = this
    if (durability !== null && !durability.silent && !durability.isCertain()) return
    this.definitions.circuit.cut(all)
  }

  /** One epoch of the rows that were offered. Throws what a step or the log throws; then it has not happened. */
  step(rows: number, lsn = this.nextLsn()): Commit {
    this.state = 'epoch'
    this.captured = false
    this.logged = null
    const { durability } = this
    const { rules, circuit } = this.definitions
    try {
      circuit.scheduler.run(rows, this, lsn)
      this.currentLsn = lsn
      if (rules.active.length > 0) rules.end(true)
      for (const gate of this.registry.screens) {
        if (durability?.silent === true) gate.forget()
        else if (gate.hasDropped) this.screened.push(gate)
      }
      if (this.screened.length > 0) this.endScreening(lsn)
    } catch (error) {
      rules.end(false)
      this.endScreening(null)
      this.captured = false
      this.history.discard()
      for (const follower of this.followers.all) follower.discard()
      throw error
    } finally {
      durability?.afterEpoch(rows)
    }
    if (this.history.isOpen) this.history.confirm()
    this.durable = this.logged
    return new Commit(lsn, this.logged)
  }

  /** Every step of an epoch has succeeded, and nothing is committed yet: deltas can be read. Throws what the log throws. */
  published(lsn: bigint): void {
    this.capture(lsn)
    const { durability } = this
    if (durability !== null && !durability.silent) this.logged = durability.log(lsn)
  }

  /** A transaction that the log refused has used up its number. */
  private nextLsn(): bigint {
    return (this.durability?.lsn ?? this.currentLsn) + 1n
  }

  private capture(lsn: bigint): void {
    const followers = this.followers.all
    for (let f = 0; f < followers.length; f++) {
      const follower = followers[f]
      if (follower.relation.isFollowed && follower.capture(lsn)) this.captured = true
    }
    if (this.history.isOpen) this.history.stage(lsn, followers, this.definitions.circuit.scheduler.list())
  }

  /** Calls the subscribers of what the last epoch changed. Returns the error to throw if one of them throws. */
  notify(): GnitzError | null {
    if (!this.captured && this.belated.length === 0) return null
    this.captured = false
    this.state = 'notifying'
    const failures: unknown[] = []
    for (const follower of this.followers.all) follower.deliver(failures)
    for (const gate of this.belated.splice(0)) gate.late.deliver(failures)
    if (failures.length === 0) return null
    const [cause] = failures
    const text = cause instanceof Error ? cause.message : show(cause)
    const message = `a subscriber threw after transaction ${this.currentLsn} was committed: ${text}`
    return new GnitzError('USAGE', message, { cause })
  }

  mustBeIdle(call: string): void {
    if (this.state !== 'idle') throw new UsageError(`${call}: ${BUSY[this.state]}`)
  }

  /** The same, and throws if nothing is ever to change. */
  mustBeWritable(call: string): void {
    if (this.state !== 'idle') this.mustBeIdle(call)
    if (this.isReadOnly) throw this.refusal(call)
  }

  /** Why nothing is written to a directory that is only read. */
  refusal(call: string): UsageError {
    return new UsageError(`${call}: ${this.durability?.storage.directory} was opened to be read only (readOnly)`)
  }

  /** Internal: throws if there will be no change any more. */
  mustBeOpen(call: string): void {
    if (this.state === 'closed') throw new UsageError(`${call}: ${BUSY.closed}`)
  }

  /** Internal: throws while rows are half way in, or to a shard: only functions of a user that are called then can see that. */
  mustBeReadable(): void {
    const { state } = this
    if (state === 'epoch' || state === 'listening') throw new UsageError(`${BUSY[state]}: nothing can be read now`)
    // One in memory can still be read.
    if (state === 'closed' && this.durability?.isClosed === true) throw new UsageError(BUSY.closed)
  }

  /** Calls a listener of what goes on in the directory, which it is told in the middle of. */
  listen(call: () => unknown): unknown {
    const { state } = this
    this.state = 'listening'
    try {
      return call()
    } finally {
      this.state = state
    }
  }

  /** An epoch of rows that are in the log already. */
  replay(lsn: bigint, parts: readonly (readonly [TableEntry, Batch])[]): void {
    let rows = 0
    for (const [entry, batch] of parts) {
      entry.handle.operator.offer(batch)
      rows += batch.length
    }
    try {
      this.step(rows, lsn)
      if (this.definitions.circuit.isDue) this.cutOff()
    } finally {
      this.state = 'idle'
    }
  }
}
