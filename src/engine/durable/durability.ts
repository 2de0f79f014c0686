/**
 * What makes a database last: the log of its transactions, and the moving of tables and operators' state to shards
 * (specification §9.2).
 *
 * A transaction is logged once every step has succeeded and before anything of it is committed, so one that cannot be
 * logged has not happened. It is acknowledged (`Commit` resolves) as the durability mode says. Should the log refuse it
 * later, when the disk turns out to be full, it is taken back: an epoch with the negation of its rows.
 *
 * A checkpoint moves all that is in memory to shards and publishes them in one manifest at one LSN; after a restart only
 * the transactions after that LSN run through the circuits again.
 */
import { assert, type GnitzError } from '../../base/errors.js'
import type { Layout } from '../../schema/schema.js'
import type { Change, Storage } from '../../storage/storage.js'
import type { Tree } from '../../storage/tree.js'
import type { Batch } from '../../zset/batch.js'
import type { Kernels } from '../../zset/kernels.js'
import type { StateKeeper } from '../circuit.js'
import type { Operator } from '../operators/operator.js'
import { Parts } from './parts.js'

export interface DurabilityLimits {
  /** Length of the log at which a checkpoint is made. */
  readonly walBytes: number
  /** Time after which a checkpoint is made if there is anything in the log. */
  readonly checkpointMs: number
  /** Memory for state that is not in shards. */
  readonly memoryBytes: number
}

/** What the database does for its durability. */
export interface Owner {
  /** Takes back transactions that were committed: an epoch that adds their negation. */
  takeBack(changes: readonly Change[], lsns: readonly bigint[]): void
  /** Calls a listener of events, which may not call the database. */
  listen(call: () => unknown): unknown
  /** Can an epoch be run, or state be moved? */
  readonly isIdle: boolean
}

const NO_LIMITS: DurabilityLimits = {
  walBytes: Number.POSITIVE_INFINITY,
  checkpointMs: Number.POSITIVE_INFINITY,
  memoryBytes: Number.POSITIVE_INFINITY,
}

/** Rows between two looks at how much memory is in use. */
const ROWS_PER_LOOK = 4096
const EPOCHS_PER_LOOK = 256

export class Durability implements StateKeeper {
  readonly parts: Parts
  /** Transactions are not logged: they come from the log, or are taken back. */
  silent = false
  owner: Owner | null = null
  /** Its files are closed: nothing can be read any more. */
  isClosed = false
  private changes: Change[] = []
  /** Logged transactions that are not acknowledged yet. */
  private readonly open = new Map<bigint, readonly Change[]>()
  private rejected: { lsn: bigint; error: Error }[] = []
  private checkpointLsn: bigint
  private rowsUnseen = 0
  private epochsUnseen = 0
  private isHeld = false
  private timer: ReturnType<typeof setTimeout> | null = null
  /** Why the last checkpoint or move of state failed; null once one has succeeded. */
  private trouble: GnitzError | null = null

  constructor(
    readonly storage: Storage,
    kernelsOf: (layout: Layout) => Kernels,
    private limits: DurabilityLimits,
  ) {
    this.parts = new Parts(storage, kernelsOf)
    // Who only reads keeps in memory what the log adds to the shards.
    if (storage.isReadOnly) this.limits = NO_LIMITS
    this.checkpointLsn = storage.checkpointLsn
  }

  get lsn(): bigint {
    return this.storage.lsn
  }

  /** Rows of the running epoch that are to be logged. */
  add(table: Tree, delta: Batch): void {
    this.changes.push({ table, delta })
  }

  /** Throws why nothing can be written now. */
  mustHaveRoom(): void {
    if (this.trouble === null || this.parts.hotBytes < 2 * this.limits.memoryBytes) return
    const { trouble } = this
    this.attempt(() => this.shrink())
    if (this.trouble !== null) throw trouble
  }

  /** Logs the epoch's rows as transaction `expected`. Throws IoError, UsageError; then it is not logged. */
  log(expected: bigint): Promise<void> {
    const { changes } = this
    this.changes = []
    const { lsn, durable } = this.storage.append(changes)
    assert(lsn === expected, 'a transaction has the number that the log gives it')
    const own = this.rejected.findIndex(r => r.lsn === lsn)
    if (own >= 0) throw this.rejected.splice(own, 1)[0].error
    if (changes.length > 0) {
      this.open.set(lsn, changes)
      const done = () => void this.open.delete(lsn)
      durable.then(done, done)
    }
    return durable
  }

  /** Makes sure that no transaction will be taken back any more; false if that cannot be, now. */
  isCertain(): boolean {
    if (this.open.size === 0) return this.rejected.length === 0
    try {
      this.storage.sync()
    } catch {
      // The transactions are told, and taken back, when the turn ends.
      return false
    }
    if (this.rejected.length > 0) return false
    this.open.clear()
    return true
  }

  /** May the log still refuse a transaction? */
  isOpen(lsn: bigint): boolean {
    return this.open.has(lsn)
  }

  /** Takes back what the log has refused. */
  settle(): void {
    if (this.rejected.length > 0) this.takeBack()
  }

  /** To be called when an epoch has ended, whether or not it succeeded. */
  afterEpoch(rows: number): void {
    if (this.changes.length > 0) this.changes = []
    this.schedule()
    this.rowsUnseen += rows
    if (this.rowsUnseen < ROWS_PER_LOOK && ++this.epochsUnseen < EPOCHS_PER_LOOK) return
    this.look()
  }

  /** While tables change places in the directory, no checkpoint is made, and nothing of them is moved there. */
  hold(isHeld: boolean): void {
    this.isHeld = isHeld
    if (!isHeld) this.parts.settle()
  }

  private look(): void {
    if (this.isHeld || this.storage.isReadOnly) return
    const { rowsUnseen } = this
    this.rowsUnseen = 0
    this.epochsUnseen = 0
    this.attempt(() => {
      if (this.storage.walBytes >= this.limits.walBytes) this.checkpoint()
      else if (this.parts.hotBytes > this.limits.memoryBytes) this.shrink()
      this.storage.tend(rowsUnseen)
    })
  }

  /** Work that no transaction depends on. */
  private attempt(work: () => void): void {
    try {
      work()
      this.trouble = null
    } catch (error) {
      this.trouble = error as GnitzError
    }
  }

  bind(operators: readonly Operator[]): boolean {
    return this.parts.bindView(operators)
  }

  release(operators: Iterable<Operator>): void {
    this.parts.release(operators)
  }

  relieve(): void {
    if (this.parts.hotBytes > this.limits.memoryBytes) this.shrink()
  }

  /** Moves state to shards until half of the memory is free. */
  shrink(): void {
    this.parts.moveSome(this.limits.memoryBytes / 2, this.minLsn, this.lsn)
  }

  private get minLsn(): bigint {
    return this.checkpointLsn < this.lsn ? this.checkpointLsn + 1n : this.lsn
  }

  /** Moves everything to shards and publishes them. Throws IoError; then nothing is lost. */
  checkpoint(): void {
    // What the log has refused must not become durable.
    this.storage.sync()
    this.parts.moveAll(this.minLsn, this.lsn)
    this.storage.checkpoint()
    this.checkpointLsn = this.lsn
  }

  /** Rewrites the directory with the provider's current key. `prepare` is called when nothing is waited for any more. */
  async rekey(prepare: () => void): Promise<void> {
    await this.storage.rekey(() => {
      prepare()
      this.storage.sync()
      this.parts.moveAll(this.minLsn, this.lsn)
    })
    this.checkpointLsn = this.storage.checkpointLsn
  }

  /** Is there anything that a checkpoint would save a restart from? */
  get isBehind(): boolean {
    return this.checkpointLsn < this.lsn
  }

  private schedule(): void {
    if (this.timer !== null || this.limits.checkpointMs === Number.POSITIVE_INFINITY) return
    this.timer = setTimeout(() => {
      this.timer = null
      if (this.owner?.isIdle === true && this.isBehind) this.attempt(() => this.checkpoint())
    }, this.limits.checkpointMs)
    this.timer.unref()
  }

  /** Called by the storage when transactions are not in the log after all. */
  onRejected(lsns: readonly bigint[], error: Error): void {
    for (const lsn of lsns) this.rejected.push({ lsn, error })
    if (this.owner?.isIdle === true) this.takeBack()
  }

  private takeBack(): void {
    const rejected = this.rejected.splice(0)
    const changes = rejected.flatMap(({ lsn }) => this.open.get(lsn) ?? [])
    for (const { lsn } of rejected) this.open.delete(lsn)
    if (changes.length > 0)
      this.owner?.takeBack(
        changes,
        rejected.map(r => r.lsn),
      )
  }

  /** Makes what was logged durable before it returns. Throws IoError. */
  sync(): void {
    this.storage.sync()
  }

  async close(): Promise<void> {
    if (this.timer !== null) clearTimeout(this.timer)
    this.timer = null
    try {
      if (this.isBehind && !this.storage.isReadOnly) this.checkpoint()
    } finally {
      await this.storage.close({ checkpoint: false })
      this.isClosed = true
    }
  }
}
