/** The log of a directory as those see it who keep rows themselves, go back in it or follow it. What `Storage` is built on. */

import type { Recovery } from './context.js'
import { type Change, OpenTransactions } from './open-transactions.js'
import type { Base, StorageOptions } from './options.js'
import { StorageTables } from './tables.js'
import type { Tree } from './tree.js'
import type { Lsn, Manifest, TableId } from './types.js'
import type { WalGroup } from './wal/groups.js'
import type { LogStart, Retention } from './wal/retention.js'
import { readGroups } from './wal/tail.js'
import type { Wal } from './wal/wal.js'

export interface Commit {
  readonly lsn: Lsn
  /** Resolves when the transaction is as durable as the mode promises; rejects when it was taken back. */
  readonly durable: Promise<void>
}

const nothing = (): void => {}

export abstract class StorageLog extends StorageTables {
  protected lastLsn: Lsn
  protected readonly open: OpenTransactions
  /** LSNs that somebody goes back to. */
  protected readonly held = new Set<{ readonly lsn: Lsn }>()
  /** Bytes of the log that the shards make up for. */
  private oldLogBytes: number

  protected constructor(
    options: StorageOptions,
    base: Base,
    trees: Map<TableId, Tree>,
    writer: Wal | null,
    manifest: Manifest,
    readonly recovery: Recovery,
  ) {
    super(options, base, trees, writer, manifest)
    this.lastLsn = recovery.lsn
    this.oldLogBytes = writer?.recovery.oldBytes ?? 0
    this.open = new OpenTransactions({
      wal: writer as Wal,
      isOpen: table => this.state === 'open' && trees.get(table.tableId) === table,
      lastLsn: () => this.lastLsn,
    })
    if (writer === null) return
    writer.onRejected = (lsns, error) => {
      for (const lsn of lsns) this.open.takeBack(lsn)
      options.onRejected?.(lsns, error)
    }
  }

  protected get wal(): Wal {
    // Whoever comes here has asked whether the directory can be written to.
    return this.writer as Wal
  }

  /** The LSN of the last transaction. */
  get lsn(): Lsn {
    return this.lastLsn
  }

  /**
   * Logs a transaction whose rows stay with the caller for now. Throws UsageError, IoError; then it is not logged. If the
   * log refuses it later, `onRejected` hears of it first, then `durable` rejects.
   */
  append(changes: readonly Change[]): Commit {
    this.mustBeWritable()
    if (this.isDropping) this.publish(this.manifest)
    const lsn = this.lastLsn + 1n
    const parts = changes.length === 1 ? [changes[0]] : [...changes].sort((a, b) => a.table.tableId - b.table.tableId)
    if (parts.length === 0) {
      this.lastLsn = lsn
      return { lsn, durable: Promise.resolve() }
    }
    const durable = this.open.log(lsn, [], parts)
    this.lastLsn = lsn
    durable.catch(nothing)
    return { lsn, durable }
  }

  /** Makes every transaction of the log durable before it returns. Throws IoError; `onRejected` hears which are lost. */
  sync(): void {
    this.mustBeWritable()
    this.wal.sync()
  }

  /** Why the log takes no more until the directory is opened again; null as long as it does. */
  get failure(): Error | null {
    return this.writer?.failure ?? null
  }

  /** The time by the clock of the directory, in microseconds since 1970. */
  get now(): bigint {
    return BigInt(Math.trunc(this.options.env.now())) * 1000n
  }

  /** Bytes of the log since the last checkpoint: what a restart reads. */
  get walBytes(): number {
    return this.logBytes - this.oldLogBytes
  }

  /** Bytes of the log, with what is kept of it beyond the last checkpoint. */
  get logBytes(): number {
    return this.writer?.sizeBytes ?? 0
  }

  /** Where the log begins. Throws CorruptionError, FormatError, IoError if it cannot be read. */
  get logStart(): LogStart {
    this.mustBeWritable()
    return this.wal.start
  }

  /** Writes what was appended, so that readers of the log find it. Throws IoError; `onRejected` hears which is lost. */
  writeLog(): void {
    this.mustBeWritable()
    this.wal.writeNow()
  }

  /** A place in the log at or before a time (microseconds since 1970), and near it; null if the log begins later. */
  logStartBefore(time: bigint): LogStart | null {
    this.mustBeWritable()
    return this.wal.startBefore(time)
  }

  /**
   * Transactions after `after` that are written to the log, in order, with those of their parts that are wanted. Throws
   * CorruptionError, FormatError, IoError.
   */
  *readLog(after: Lsn, wants: (tableId: TableId) => boolean): Generator<WalGroup, void, void> {
    this.mustBeWritable()
    const tableOf = (tableId: TableId) => this.trees.get(tableId)?.kernels ?? null
    const { env, directory: dir } = this.options
    yield* readGroups({ env, dir, tableOf, keys: this.context.keys, after, wants })
  }

  /** Keeps the log after a transaction, which is in it, until what this returns is called. */
  holdLog(lsn: Lsn): () => void {
    const hold = { lsn }
    this.held.add(hold)
    return () => void this.held.delete(hold)
  }

  /** REQUIRES: everything is in shards. */
  protected pruneLog(retention: Retention): void {
    // A segment that stays may be gone on with, or there would be a small one for every checkpoint.
    this.wal.retire(this.lastLsn, retention)
    let held = this.lastLsn
    for (const { lsn } of this.held) if (lsn < held) held = lsn
    this.wal.prune(this.lastLsn, retention, held)
    this.oldLogBytes = this.logBytes
    if (this.logBytes === 0) this.publication.forgetLogKeys()
  }
}
