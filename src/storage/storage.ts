/**
 * `Storage`: one directory with its tables, log and manifest, and the only writer of it (specification §9.2).
 *
 * A transaction is one LSN over any number of tables: it is put into the log's buffer, applied to the MemTables, and
 * acknowledged as the durability mode says. If the log cannot be written, the transaction is taken back by adding its
 * negation, which is all it takes for Z-sets. A checkpoint moves everything in memory to shards, publishes them in one
 * manifest at one LSN, and prunes the log. Reads never wait.
 */
import { assert, FormatError, type GnitzError, quote, UsageError } from '../base/errors.js'
import { joinPath, type Lock } from '../env/env.js'
import { type Layout, layoutFingerprint } from '../schema/schema.js'
import type { Fill } from '../zset/widen.js'
import { Keyring } from './crypt/keyring.js'
import type { KeyId } from './crypt/keys.js'
import { checkDelta } from './delta.js'
import { fits, retyped, widened } from './evolution.js'
import { canonical, describe, present, schemaHash } from './manifest/descriptor.js'
import { Publication } from './manifest/publication.js'
import { ShardRegistry } from './manifest/registry.js'
import { type Locked, loadKeys, loadStorage, lockDirectory, type Opened, openDirectory } from './open.js'
import { openReadOnly } from './open-read-only.js'
import { type Change, OpenTransactions } from './open-transactions.js'
import {
  type Base,
  baseOf,
  checkOptions,
  checkThreshold,
  notify,
  oneOf,
  type StorageOptions,
  type TableOptions,
  WAL_BYTES,
} from './options.js'
import { type Recovery, Tree, type TreeContext } from './tree.js'
import {
  type FileId,
  type Lsn,
  MANIFEST_FILE,
  type Manifest,
  type ShardEntry,
  type TableEntry,
  type TableId,
  VALUE_THRESHOLD,
} from './types.js'
import type { ValueStats } from './values/log.js'
import type { WalGroup } from './wal/groups.js'
import { type LogStart, NO_RETENTION, type Retention } from './wal/retention.js'
import { readGroups } from './wal/tail.js'
import type { Wal } from './wal/wal.js'
import type { Snapshot } from './zstore.js'

export type { Change } from './open-transactions.js'
export type { StorageOptions, TableOptions } from './options.js'

export interface Commit {
  readonly lsn: Lsn
  /** Resolves when the transaction is as durable as the mode promises; rejects when it was taken back. */
  readonly durable: Promise<void>
}

/** Rows of compaction per row that is committed, as for traces in memory. */
const FUEL_PER_ROW = 32
const FUEL_SLICE = 4096
/** MemTables' worth of rows that may pile up in memory while nothing can be written. */
const BACKLOG = 4

const nothing = (): void => {}

export class Storage {
  private lastLsn: Lsn
  private fuel = 0
  /** A drop has failed, so the manifest on disk may lack a table that is open here. */
  private isDropping = false
  private readonly open: OpenTransactions
  private readonly publication: Publication
  /** Bytes of the log that the shards make up for. */
  private oldLogBytes: number
  /** LSNs that somebody goes back to. */
  private readonly held = new Set<{ readonly lsn: Lsn }>()
  /** Tables that go with the next checkpoint. */
  private readonly doomed = new Set<Tree>()
  private state: 'open' | 'closed' = 'open'
  private closing: Promise<void> | null = null
  /** Why the last automatic flush, compaction or checkpoint failed; null once one has succeeded. */
  private trouble: GnitzError | null = null

  private constructor(
    private readonly options: StorageOptions,
    private readonly context: TreeContext,
    private readonly lock: Lock | null,
    private readonly trees: Map<TableId, Tree>,
    /** Null if the directory is only read. */
    private readonly writer: Wal | null,
    manifest: Manifest,
    nextFileId: { value: FileId },
    readonly recovery: Recovery,
  ) {
    this.lastLsn = recovery.lsn
    this.oldLogBytes = writer?.recovery.oldBytes ?? 0
    this.publication = new Publication(context, manifest, nextFileId, writer, shards => {
      for (const tree of trees.values()) tree.mayBePublished(shards)
    })
    this.open = new OpenTransactions({
      wal: writer as Wal,
      isOpen: table => this.state === 'open' && trees.get(table.tableId) === table,
      lastLsn: () => this.lastLsn,
    })
    context.staleValues = () => context.values.stale(this.shards)
    if (writer === null) return
    writer.onRejected = (lsns, error) => {
      for (const lsn of lsns) this.open.takeBack(lsn)
      options.onRejected?.(lsns, error)
    }
    writer.onSegment = () => this.announce()
  }

  /** What is on disk. */
  private get manifest(): Manifest {
    return this.publication.manifest
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

  private publish(next: Manifest): void {
    this.publication.publish(next)
    this.isDropping = false
  }

  private get wal(): Wal {
    // Whoever comes here has asked whether the directory can be written to.
    return this.writer as Wal
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

  private static of(options: StorageOptions, { context, nextFileId }: Base, opened: Opened): Storage {
    const { lock, trees, wal, manifest, recovery } = opened
    const storage = new Storage(options, context, lock, trees, wal, manifest, nextFileId, recovery)
    notify(options, { kind: 'recover', ...recovery })
    return storage
  }

  get directory(): string {
    return this.options.directory
  }

  get isReadOnly(): boolean {
    return this.writer === null
  }

  /** The LSN of the last transaction. */
  get lsn(): Lsn {
    return this.lastLsn
  }

  /** Value logs in use, and how much of them is live. */
  get valueStats(): ValueStats {
    return this.context.values.stats(this.shards)
  }

  /** Numbers of the keys that files of the directory may be encrypted with, ascending. */
  get keyIds(): readonly KeyId[] {
    return this.publication.keyIds
  }

  private get shards(): readonly ShardEntry[] {
    return [...this.trees.values()].flatMap(tree => tree.entries)
  }

  get tables(): readonly Tree[] {
    return [...this.trees.values()]
  }

  /** The shards of all tables by key range: how many overlap where, and which tables are above the threshold. */
  get registry(): ShardRegistry {
    const registry = new ShardRegistry(this.context.amplificationThreshold)
    for (const tree of this.trees.values()) registry.set(tree.tableId, tree.entries)
    return registry
  }

  /** The table of that name, or undefined. */
  table(name: string): Tree | undefined {
    return this.tables.find(t => t.name === name && !this.doomed.has(t))
  }

  /**
   * Makes a table, durably; or gives the one of that name. Throws FormatError if that one has another schema, and
   * IoError; then there is no new table.
   */
  createTable(layout: Layout, options: TableOptions = {}): Tree {
    this.mustBeOpen()
    const { kind = 'durable', policy = 'write-heavy', weights = 'any' } = options
    oneOf('kind', kind, ['durable', 'ephemeral'])
    oneOf('policy', policy, ['write-heavy', 'read-heavy'])
    oneOf('weights', weights, ['any', 'nonNegative'])
    if (layout.key.words === 0) throw new UsageError(`table ${quote(layout.schema.name)}: expected an arranged layout`)
    const { valueThreshold = this.options.valueThreshold ?? VALUE_THRESHOLD } = options
    checkThreshold(valueThreshold)
    const threshold = valueThreshold === Number.POSITIVE_INFINITY ? null : valueThreshold
    const descriptor = describe(layout, policy, weights, threshold)
    const hash = schemaHash(descriptor)
    const existing = this.table(descriptor.name)
    if (existing !== undefined) {
      const [expected, found] = [canonical(descriptor), canonical(present(existing.table.descriptor))]
      if (expected === found && existing.table.kind === kind) return existing
      const name = quote(descriptor.name)
      const [wanted, there] = [`${kind} ${expected}`, `${existing.table.kind} ${found}`]
      throw new FormatError(this.options.directory, null, `table ${name}: expected ${wanted}, found ${there}`)
    }
    const { publish = true } = options
    if (publish) this.mustBeWritable()
    // A call that fails uses up a number, too: the table may be on disk.
    const tableId = this.publication.newTableId()
    const entry: TableEntry = { tableId, kind, schemaHash: hash, flushedLsn: 0n, descriptor }
    const tree = new Tree(this.context, entry, this.options.kernelsOf(layout), [])
    // Its blocks may enter the log only when every reader of the directory can know their length.
    if (publish) this.publish({ ...this.manifest, tables: [...this.manifest.tables, entry] })
    this.trees.set(tableId, tree)
    return tree
  }

  /** Do the rows of a table lie as `layout` says? Names do not matter. */
  fits(table: Tree, layout: Layout): boolean {
    return fits(table, layout)
  }

  /**
   * Gives a table another layout object and name. REQUIRES: it was just opened or made, nobody uses it yet.
   * Throws FormatError if rows would lie otherwise in files.
   */
  retype(table: Tree, layout: Layout, name = layout.schema.name): Tree {
    const descriptor = retyped(this.options.directory, table, layout, name)
    const tree = new Tree(this.context, { ...table.table, descriptor }, this.options.kernelsOf(layout), table.entries)
    table.close()
    this.trees.set(tree.tableId, tree)
    return tree
  }

  /**
   * Prepares `table` to go on as `next`, which has more columns: its rows stay in the files they are in. `layout`: of
   * `next`; `columns[i]`: where column i is in it; `fills`: by column, what those hold that are missing. The result, called
   * `name`, takes the place of both with `succeed`, or is closed. Throws IoError, FormatError; then nothing has changed.
   * REQUIRES: `next` is empty, nothing of `table` is in memory here, neither changes before.
   */
  successor(
    table: Tree,
    next: Tree,
    layout: Layout,
    columns: readonly number[],
    fills: readonly Fill[],
    name = table.name,
  ): Tree {
    const entry = widened(table, next, name, columns, fills)
    return new Tree(this.context, entry, this.options.kernelsOf(layout), table.entries)
  }

  /** Lets `successor` take the place of the tables that it was made of. Nobody may use those from now on. */
  succeed(successor: Tree, table: Tree, next: Tree): void {
    successor.succeed(table)
    this.trees.set(successor.tableId, successor)
    next.close()
    this.doom(table)
  }

  /** Removes a table with the next checkpoint: until then the log may hold rows of it. Nobody may use it from now on. */
  doom(table: Tree): void {
    this.doomed.add(table)
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

  /** Every transaction up to this one is in the shards of the published manifest. */
  get checkpointLsn(): Lsn {
    return this.manifest.globalMaxLsn
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

  /** REQUIRES: everything is in shards. */
  private pruneLog(retention: Retention): void {
    // A segment that stays may be gone on with, or there would be a small one for every checkpoint.
    this.wal.retire(this.lastLsn, retention)
    let held = this.lastLsn
    for (const { lsn } of this.held) if (lsn < held) held = lsn
    this.wal.prune(this.lastLsn, retention, held)
    this.oldLogBytes = this.logBytes
    if (this.logBytes === 0) this.publication.forgetLogKeys()
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

  private mustBeWritable(): void {
    this.mustBeOpen()
    if (this.writer === null) throw new UsageError(`${this.options.directory} was opened to be read only`)
  }

  private mustBeOpen(): void {
    if (this.state === 'closed') throw new UsageError(`${this.options.directory} is closed`)
  }
}

function sameLayout(a: Layout, b: Layout): boolean {
  return a === b || layoutFingerprint(a) === layoutFingerprint(b)
}
