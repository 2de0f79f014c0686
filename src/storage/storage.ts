/**
 * `Storage`: one directory with its tables, log and manifest, and the only writer of it (specification §9.2).
 *
 * A transaction is one LSN over any number of tables: it is put into the log's buffer, applied to the MemTables, and
 * acknowledged as the durability mode says. If the log cannot be written, the transaction is taken back by adding its
 * negation, which is all it takes for Z-sets. A checkpoint moves everything in memory to shards, publishes them in one
 * manifest at one LSN, and prunes the log. Reads never wait.
 */
import { assert, type GnitzError, quote, UsageError } from '../base/errors.js'
import { joinPath, type Lock } from '../env/env.js'
import { type Layout, layoutFingerprint } from '../schema/schema.js'
import { Keyring } from './crypt/keyring.js'
import type { KeyId } from './crypt/keys.js'
import { checkDelta } from './delta.js'
import { type Commit, StorageLog } from './log.js'
import { type Locked, loadKeys, loadStorage, lockDirectory, type Opened, openDirectory } from './open.js'
import { openReadOnly } from './open-read-only.js'
import type { Change } from './open-transactions.js'
import { type Base, baseOf, checkOptions, notify, type StorageOptions, WAL_BYTES } from './options.js'
import type { Tree } from './tree.js'
import { type Lsn, MANIFEST_FILE } from './types.js'
import type { ValueStats } from './values/log.js'
import { NO_RETENTION } from './wal/retention.js'
import type { Snapshot } from './zstore.js'

export type { Commit } from './log.js'
export type { Change } from './open-transactions.js'
export type { StorageOptions, TableOptions } from './options.js'

/** Rows of compaction per row that is committed, as for traces in memory. */
const FUEL_PER_ROW = 32
const FUEL_SLICE = 4096
/** MemTables' worth of rows that may pile up in memory while nothing can be written. */
const BACKLOG = 4

const nothing = (): void => {}

export class Storage extends StorageLog {
  private readonly lock: Lock | null
  private fuel = 0
  private closing: Promise<void> | null = null
  /** Why the last automatic flush, compaction or checkpoint failed; null once one has succeeded. */
  private trouble: GnitzError | null = null

  private constructor(options: StorageOptions, base: Base, { lock, trees, wal, manifest, recovery }: Opened) {
    super(options, base, trees, wal, manifest, recovery)
    this.lock = lock
    if (wal !== null) wal.onSegment = () => this.announce()
  }

  /**
   * The log goes on in a segment that the manifest is to know of; false if there is nothing to say of it yet. What cannot
   * be written is not tried again: the next manifest says it.
   */
  private announce(): boolean {
    try {
      return this.publication.publishLogEnd()
    } catch (error) {
      this.trouble = error as GnitzError
      return true
    }
  }

  /**
   * Opens a directory, or makes one. Throws LockedError if another process writes to it, CorruptionError and
   * FormatError if its files are not what was written, IoError.
   */
  static async open(given: StorageOptions): Promise<Storage> {
    await loadStorage()
    checkOptions(given)
    const options = { ...given, directory: given.env.resolve(given.directory) }
    if (options.readOnly === true) {
      const base = baseOf(options)
      return Storage.of(options, base, await openReadOnly(options, base.context))
    }
    const locked = lockDirectory(options)
    return Storage.openLocked(options, locked, await loadKeys(options, locked))
  }

  /** The same at once, to write, of a directory without encryption. REQUIRES: `loadStorage` has resolved. */
  static openLoaded(given: StorageOptions): Storage {
    checkOptions(given)
    assert(given.encryption === undefined && given.readOnly !== true, 'keys and readers have to be waited for')
    const options = { ...given, directory: given.env.resolve(given.directory) }
    return Storage.openLocked(options, lockDirectory(options), null)
  }

  private static openLocked(options: StorageOptions, locked: Locked, keys: Keyring | null): Storage {
    const base = baseOf(options)
    return Storage.of(options, base, openDirectory(options, base.context, base.nextFileId, locked, keys))
  }

  private static of(options: StorageOptions, base: Base, opened: Opened): Storage {
    const storage = new Storage(options, base, opened)
    notify(options, { kind: 'recover', ...opened.recovery })
    return storage
  }

  /** Value logs in use, and how much of them is live. */
  get valueStats(): ValueStats {
    return this.context.values.stats(this.shards)
  }

  /** Numbers of the keys that files of the directory may be encrypted with, ascending. */
  get keyIds(): readonly KeyId[] {
    return this.publication.keyIds
  }

  /** Every transaction up to this one is in the shards of the published manifest. */
  get checkpointLsn(): Lsn {
    return this.manifest.globalMaxLsn
  }

  /** Does the compaction that `rows` new rows pay for. Throws IoError; then nothing is lost. */
  tend(rows: number): void {
    this.fuel += rows * FUEL_PER_ROW
    if (this.fuel < FUEL_SLICE) return
    const { fuel } = this
    this.fuel = 0
    for (const tree of this.trees.values()) tree.compact(fuel)
  }

  /** Removes a table and its files, durably. Throws IoError; then the table is still there. */
  dropTable(table: Tree): void {
    this.mustBeWritable()
    if (this.trees.get(table.tableId) !== table) throw new UsageError(`table ${quote(table.name)} is not open here`)
    // Afterwards the log holds nothing of it.
    this.checkpoint()
    const { tables, shards } = this.manifest
    this.isDropping = true
    this.publish({
      ...this.manifest,
      tables: tables.filter(t => t.tableId !== table.tableId),
      ...this.publication.listing(shards.filter(s => s.tableId !== table.tableId)),
    })
    this.trees.delete(table.tableId)
    table.discard()
    this.context.values.published(this.manifest.valueFiles ?? [])
  }

  /**
   * Applies a transaction; it is visible when this returns, durable when `durable` resolves. Throws WeightOverflowError,
   * UsageError, IoError; then nothing has changed. Changes of ephemeral tables are not logged.
   */
  commit(changes: readonly Change[]): Commit {
    this.mustBeWritable()
    this.mustHaveRoom()
    const parts = changes.filter(c => c.delta.length > 0)
    if (parts.length > 1) parts.sort((a, b) => a.table.tableId - b.table.tableId)
    let rows = 0
    for (let p = 0; p < parts.length; p++) {
      this.mustFit(parts[p])
      const { table, delta } = parts[p]
      if (p > 0 && parts[p - 1].table === table) {
        throw new UsageError(`table ${quote(table.name)} is changed twice in one commit`)
      }
      table.prepare(delta)
      rows += delta.length
    }
    const logged = parts.filter(p => p.table.table.kind === 'durable')
    if (this.isDropping) this.publish(this.manifest)
    const lsn = this.lastLsn + 1n
    const durable = logged.length === 0 ? this.open.follow(lsn, parts) : this.open.log(lsn, parts, logged)
    this.lastLsn = lsn
    // Who does not wait for it must not have the process ended by it.
    durable.catch(nothing)
    this.maintain(rows)
    return { lsn, durable }
  }

  /** Throws UsageError, RowError. */
  private mustFit({ table, delta }: Change): void {
    if (this.trees.get(table.tableId) !== table) throw new UsageError(`table ${quote(table.name)} is not open here`)
    if (!sameLayout(delta.layout, table.layout) || delta.order !== 'consolidated') {
      throw new UsageError(`table ${quote(table.name)}: expected a consolidated delta of the table's layout`)
    }
    checkDelta(table.kernels, delta)
  }

  /** After a commit: flushes what is sealed, makes a checkpoint when the log has grown, compacts a little. */
  private maintain(rows: number): void {
    this.fuel += rows * FUEL_PER_ROW
    this.trouble = null
    // Work that a transaction does not depend on: it is in the log and in memory. Writers learn of it when memory fills.
    try {
      for (const tree of this.trees.values()) if (tree.hasSealed) tree.flush()
      if (this.walBytes >= (this.options.walBytes ?? WAL_BYTES)) this.checkpoint()
    } catch (error) {
      this.trouble = error as GnitzError
    }
    if (this.fuel < FUEL_SLICE) return
    const { fuel } = this
    this.fuel = 0
    try {
      for (const tree of this.trees.values()) tree.compact(fuel)
    } catch (error) {
      this.trouble = error as GnitzError
    }
  }

  /** Refuses writers while nothing can be moved out of memory. */
  private mustHaveRoom(): void {
    if (this.trouble === null) return
    const limit = this.context.memTableBytes * BACKLOG
    if (this.tables.every(t => t.stats().memoryBytes < limit)) return
    this.maintain(0)
    if (this.trouble !== null) throw this.trouble
  }

  /**
   * Moves everything in memory to shards, publishes them in one manifest, and prunes the log.
   * Throws IoError; then the directory is as it was, and nothing in memory is lost.
   */
  checkpoint(): void {
    this.mustBeWritable()
    this.wal.sync()
    const trees = [...this.trees.values()].filter(t => !this.doomed.has(t)).sort((a, b) => a.tableId - b.tableId)
    for (const tree of trees) {
      tree.seal()
      tree.flush()
      tree.sync()
    }
    this.context.values.sync()
    this.publish({
      ...this.manifest,
      globalMaxLsn: this.lastLsn,
      tables: trees.map(tree => ({ ...tree.listed, flushedLsn: this.lastLsn })),
      ...this.publication.listing(trees.flatMap(tree => tree.entries)),
    })
    for (const tree of trees) tree.published()
    this.context.values.published(this.manifest.valueFiles ?? [])
    this.pruneLog(this.options.retain ?? NO_RETENTION)
    for (const tree of this.doomed) {
      this.trees.delete(tree.tableId)
      tree.discard()
    }
    this.doomed.clear()
    this.context.onEvent({ kind: 'checkpoint', lsn: this.lastLsn, shards: this.manifest.shards.length })
  }

  /**
   * Asks the provider for its current key and rewrites every file that is encrypted with another one or in the clear.
   * Afterwards earlier keys are not needed any more (`keyIds`), and the log is empty. An owner who keeps rows himself
   * (`append`) moves them to tables in `prepare`, after which nothing is waited for. Throws IoError, KeyError, UsageError, and
   * what `prepare` throws; then the directory is as good as before, and some of its files have the new key.
   */
  async rekey(prepare: () => void = () => {}): Promise<void> {
    this.mustBeWritable()
    const { context, options } = this
    const path = joinPath(options.directory, MANIFEST_FILE)
    const keys = await Keyring.load(options.encryption, this.publication.keysInUse(this.shards), path)
    // A sync under way would keep parts of the log.
    await this.wal.flush()
    this.mustBeWritable()
    if (keys === null) throw new UsageError('rekey: expected a directory that was opened with option encryption')
    prepare()
    if (this.held.size > 0) throw new UsageError('rekey: somebody goes back in the log, which has earlier keys')
    context.keys = keys
    context.values.keys = keys
    // Before anything is written with a key, the key is in the manifest.
    if (!this.keyIds.includes(keys.currentId)) this.publish(this.manifest)
    this.publication.keepLogKey()
    this.wal.rekey(keys)
    context.values.roll()
    const isCurrent = (keyId: KeyId | undefined) => keyId === keys.currentId
    context.isOutdated = entry => !isCurrent(entry.keyId)
    context.staleValues = () => context.values.stale(this.shards, true)
    try {
      this.checkpoint()
      // What is kept of the log has the earlier key.
      this.pruneLog(NO_RETENTION)
      this.compact()
      this.checkpoint()
    } finally {
      context.isOutdated = () => false
      context.staleValues = () => context.values.stale(this.shards)
    }
    // Only a manifest that is written after the log was pruned can do without the keys of the log.
    this.publish(this.manifest)
  }

  /** Rows of one LSN across tables, for readers that stay. */
  snapshot(tables: readonly Tree[] = this.tables): Map<Tree, Snapshot> {
    this.mustBeOpen()
    return new Map(tables.map(table => [table, table.snapshot(this.lastLsn)]))
  }

  /** Finishes all compaction that is due. */
  compact(): void {
    this.mustBeWritable()
    for (const tree of this.trees.values()) tree.compact()
  }

  /**
   * Makes everything durable and lets go of the directory; with `checkpoint` (default) the next open has nothing to
   * replay. Throws IoError if that fails; the directory is let go of nevertheless, and what was acknowledged is safe.
   */
  close(options: { readonly checkpoint?: boolean } = {}): Promise<void> {
    this.closing ??= this.letGo(options)
    return this.closing
  }

  private async letGo(options: { readonly checkpoint?: boolean }): Promise<void> {
    try {
      try {
        if (this.writer !== null) {
          if (options.checkpoint ?? true) this.checkpoint()
          else this.writer.sync()
        }
      } finally {
        this.state = 'closed'
      }
      await this.writer?.close()
      this.publication.publishLogEnd()
    } finally {
      try {
        await this.writer?.close()
      } finally {
        for (const tree of this.trees.values()) tree.close()
        this.context.values.close()
        this.lock?.release()
      }
    }
  }
}

function sameLayout(a: Layout, b: Layout): boolean {
  return a === b || layoutFingerprint(a) === layoutFingerprint(b)
}
