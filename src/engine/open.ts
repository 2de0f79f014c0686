/** Opening databases: in memory, or in a directory. */
import { fileURLToPath } from 'node:url'
import { kernelsOf } from '../../codegen/kernels.js'
import { FormatError, quote, show, UsageError } from '../base/errors.js'
import { type Aggregate, isAggregate } from '../circuit/builder/aggregates.js'
import type { Udf } from '../circuit/expr.js'
import { udfOf } from '../circuit/lambda/functions.js'
import type { TableDefinition } from '../circuit/rel.js'
import { isUserAggregate, udfKey } from '../circuit/serialise/circuit.js'
import type { Env } from '../env/env.js'
import { NodeEnv } from '../env/node.js'
import type { Layout } from '../schema/schema.js'
import type { Recovery, StorageEvent } from '../storage/context.js'
import { readManifest } from '../storage/manifest/manifest.js'
import { loadStorage } from '../storage/open.js'
import { Storage, type StorageOptions } from '../storage/storage.js'
import type { Tree } from '../storage/tree.js'
import type { ShardIo } from '../storage/types.js'
import type { WalGroup } from '../storage/wal/groups.js'
import type { Durability as DurabilityMode } from '../storage/wal/wal.js'
import { Database, type OpenOptions } from './database.js'
import type { Definitions } from './definitions.js'
import type { Bookkeeping } from './durable/bookkeeping.js'
import { SYSTEM_TABLES } from './durable/catalog.js'
import { Durability, type DurabilityLimits } from './durable/durability.js'
import { Ledger } from './durable/ledger.js'
import { ReplayQueue, sumOf } from './durable/replay.js'
import { bytesOf, type RetainOptions, retentionOf, segmentBytesOf } from './durable/retention.js'
import { StoredLog } from './durable/stored-log.js'
import { checkDirectoryOptions, checkOpenOptions, checkpointMsOf } from './open-options.js'
import { storeLayout } from './read.js'
import type { TableEntry } from './registry.js'

export interface OpenDirectoryOptions extends OpenOptions {
  /**
   * When a transaction is acknowledged: `commit` (default), when it is durable; `interval`, when it is written, and it is
   * durable within `intervalMs` (100); `none`, when it is written.
   */
  readonly durability?: DurabilityMode
  readonly intervalMs?: number
  /** Memory for rows and state that are not in files yet: bytes, or text like `'512MiB'` (the default). */
  readonly memory?: number | string
  /** Length of the log at which a checkpoint is made: 64 MiB by default. */
  readonly walBytes?: number | string
  /** Time between checkpoints, if there is anything to do: 60,000 by default, from 1 on; Infinity for never. */
  readonly checkpointMs?: number
  /**
   * How much of the log is kept beyond checkpoints, so that `snapshotAt` can go back: bytes at most (`'64MiB'` by default),
   * at least a time (`'1h'`), or an object with several limits; 0 for none.
   */
  readonly retain?: number | string | RetainOptions
  /** Functions made with `udf`, and aggregates made with `linear`, `fold` or `semigroup`, that stored views call. */
  readonly udfs?: readonly (((...args: never[]) => unknown) | Udf | Aggregate<never, unknown, boolean>)[]
  /** Where the keys are with which rows are encrypted; primary keys stay clear. Not encrypted by default. */
  readonly encryption?: StorageOptions['encryption']
  /** Bytes of a string or the like from which on it lies in a value log instead of a shard: 4,096 by default. */
  readonly valueThreshold?: number
  /** Tables that are to become what these definitions say, before anything else: `db.migrate` of all, as one. */
  readonly migrate?: readonly TableDefinition[]
  /**
   * Only reads: takes no lock and writes nothing, so it works beside the process that writes, on a copy, and on a full disk.
   * Tables and views are as the log said when it was opened; what was not in shards then stays in memory. Writing and
   * defining throw UsageError, and there is no time travel.
   */
  readonly readOnly?: boolean
  /** How files are read: mapped into memory, by plain reads, or as it works (the default). */
  readonly io?: ShardIo
  /** Told of seals, flushes, compactions, checkpoints and recovery. It must not call the database: that throws UsageError. */
  readonly onEvent?: (event: StorageEvent) => void
  /** Internal: files, clock and lock. */
  readonly env?: Env
}

/** Opens an empty database in memory. */
export function open(options?: OpenOptions): Database
/**
 * Opens the database of a directory, or makes one: all tables and views are as they were after the last acknowledged
 * transaction. Throws LockedError if another process has it open, CorruptionError and FormatError if its files are not
 * what was written, IoError, and UsageError on options that cannot be.
 */
export function open(directory: string | URL, options?: OpenDirectoryOptions): Promise<Database>
export function open(
  first: string | URL | OpenOptions = {},
  options?: OpenDirectoryOptions,
): Database | Promise<Database> {
  if (typeof first === 'string' || first instanceof URL) return openDirectory(first, options)
  if (typeof first !== 'object' || first === null) {
    throw new UsageError(`open: expected a directory or options, found ${show(first)}`)
  }
  if (options !== undefined) throw new UsageError(`open: expected a directory before options, found ${show(first)}`)
  checkOpenOptions(first)
  return new Database(first)
}

async function openDirectory(directory: string | URL, options: OpenDirectoryOptions = {}): Promise<Database> {
  checkDirectoryOptions(options)
  const path = typeof directory === 'string' ? directory : pathOf(directory)
  return options.readOnly === true ? openBeside(path, options) : openOnce(path, options)
}

/** Times that opening begins anew because a writer has moved on. */
const ATTEMPTS = 10

/** Opens a directory to read it only. A writer may replace files before they are open: then opening begins anew. */
async function openBeside(directory: string, options: OpenDirectoryOptions): Promise<Database> {
  await loadStorage()
  const { env = new NodeEnv() } = options
  const generation = () => readManifest(env, directory)?.generation
  for (let attempt = 1; ; attempt++) {
    const before = generation()
    try {
      return await openOnce(directory, options)
    } catch (error) {
      if (attempt >= ATTEMPTS || generation() === before) throw error
    }
  }
}

async function openOnce(directory: string, options: OpenDirectoryOptions): Promise<Database> {
  const opening = new Opening(directory, options)
  const storage = await Storage.open(opening.storageOptions)
  try {
    return opening.finish(storage)
  } catch (error) {
    await storage.close({ checkpoint: false }).catch(() => undefined)
    throw error
  }
}

function pathOf(directory: URL): string {
  if (directory.protocol === 'file:') return fileURLToPath(directory)
  throw new UsageError(`open: expected a path or a file: URL, found ${quote(directory.href)}`)
}

/** Opens a directory without encryption at once. REQUIRES: `loadStorage` has resolved. */
export function openLoaded(directory: string, options: OpenDirectoryOptions): Database {
  checkDirectoryOptions(options)
  const opening = new Opening(directory, options)
  return opening.finish(Storage.openLoaded(opening.storageOptions))
}

/** What is known before the directory has been opened. */
class Opening {
  readonly storageOptions: StorageOptions
  private readonly mode: 'compiled' | 'generic'
  private readonly limits: DurabilityLimits
  private readonly udfs: ReadonlyMap<string, Udf>
  private readonly groups: WalGroup[] = []
  private durability: Durability | null = null

  /** Throws UsageError on options that cannot be. REQUIRES: `checkDirectoryOptions`. */
  constructor(
    directory: string,
    private readonly options: OpenDirectoryOptions,
  ) {
    const { mode = 'compiled' } = options
    this.mode = mode
    this.limits = {
      walBytes: bytesOf('walBytes', options.walBytes ?? '64MiB'),
      memoryBytes: bytesOf('memory', options.memory ?? '512MiB'),
      checkpointMs: checkpointMsOf(options),
    }
    this.udfs = udfsOf(options.udfs ?? [])
    const retain = retentionOf(options.retain ?? '64MiB')
    this.storageOptions = {
      env: options.env ?? new NodeEnv(),
      directory,
      readOnly: options.readOnly,
      kernelsOf: layout => kernelsOf(layout, mode),
      durability: options.durability,
      intervalMs: options.intervalMs,
      io: options.io,
      encryption: options.encryption,
      valueThreshold: options.valueThreshold,
      walBytes: this.limits.walBytes,
      retain,
      segmentBytes: segmentBytesOf(retain),
      onEvent: typeof options.onEvent === 'function' ? event => this.tell(event) : options.onEvent,
      replay: group => void this.groups.push(group),
      onRejected: (lsns, error) => this.durability?.onRejected(lsns, error),
    }
  }

  private tell(event: StorageEvent): unknown {
    const call = () => this.options.onEvent?.(event)
    const owner = this.durability?.owner
    return owner ? owner.listen(call) : call()
  }

  finish(storage: Storage): Database {
    const { options, groups, udfs, mode } = this
    this.durability = new Durability(storage, (layout: Layout) => kernelsOf(layout, mode), this.limits)
    const database = restore(new Database(options, this.durability), this.durability, groups, udfs, mode)
    if (options.migrate !== undefined) database.migrateAll(options.migrate)
    return database
  }
}

/** Builds what the catalog lists as of the last checkpoint, then runs the rest of the log through it. */
function restore(
  database: Database,
  durability: Durability,
  groups: readonly WalGroup[],
  udfs: ReadonlyMap<string, Udf>,
  mode: 'compiled' | 'generic',
): Database {
  const { storage } = durability
  const { definitions } = database
  if (storage.table(SYSTEM_TABLES[0].schema.name) === undefined)
    for (const tree of storage.tables) refuse(storage, tree)
  durability.silent = true
  for (const [n, definition] of SYSTEM_TABLES.entries()) {
    const { schema } = definition
    const publish = !storage.isReadOnly
    const tree = storage.table(schema.name) ?? storage.createTable(storeLayout(schema, schema.primaryKey), { publish })
    definitions.addSystemTable(definition, n - SYSTEM_TABLES.length, tree)
  }
  const ledger = new Ledger(definitions, storage, udfs)
  const books = database.books as Bookkeeping
  books.ledger = ledger
  durability.owner = books
  ledger.follow()
  for (const tree of strangers(storage, ledger)) if (tree.entries.length > 0) refuse(storage, tree)
  // Before the log goes on: what it makes must not take state for its own that something dropped has left.
  forgetState(durability)
  replay(books, definitions, ledger, groups, mode)
  forgetTables(durability, ledger)
  books.goOnFrom(storage.lsn)
  if (!storage.isReadOnly) database.snapshots.log = new StoredLog(storage, definitions.registry)
  durability.silent = false
  return database
}

function replay(
  books: Bookkeeping,
  definitions: Definitions,
  ledger: Ledger,
  groups: readonly WalGroup[],
  mode: 'compiled' | 'generic',
): void {
  const queue = new ReplayQueue()
  const run = (): void => {
    if (queue.isEmpty) return
    const parts = queue.take().flatMap(({ tableId, batches }) => {
      const entry = ledger.entryOf(tableId)
      // A table that was dropped later, and whose directory entry has gone already.
      if (entry?.gate) for (const batch of batches) entry.gate.witness(batch)
      return entry === undefined ? [] : [[entry, sumOf(entry.layout, mode, batches)] as const]
    })
    books.replay(
      queue.lsn,
      parts.filter(([, batch]) => batch.length > 0),
    )
  }
  for (const group of groups) {
    const defines = group.parts.some(part => ledger.isCatalog(part.tableId))
    // Rows that came before a definition go into what was there before it.
    if (defines) run()
    queue.add(group)
    // What a view drops for being late depends on what came in earlier transactions.
    if (!defines && !queue.isFull && definitions.registry.screens.length === 0) continue
    run()
    if (defines) ledger.follow()
  }
  run()
}

/** State of views and indexes that were dropped, while the checkpoint at hand was made. */
function forgetState({ storage, parts }: Durability): void {
  const used = new Set<Tree>(parts.trees)
  for (const tree of storage.tables) if (tree.table.kind === 'ephemeral' && !used.has(tree)) storage.doom(tree)
}

/** Tables that a crash left between their making and the catalog. */
function forgetTables({ storage }: Durability, ledger: Ledger): void {
  for (const tree of strangers(storage, ledger)) storage.doom(tree)
}

/** Durable tables that the catalog does not know. */
const strangers = (storage: Storage, ledger: Ledger): Tree[] =>
  storage.tables.filter(t => t.table.kind === 'durable' && ledger.entryOf(t.tableId) === undefined)

/** What a checkpoint has left in shards is in the catalog of that checkpoint; else a database has not made it. */
function refuse({ directory }: Storage, { name }: Tree): never {
  const problem = `table ${quote(name)} is in no catalog: it was made with gnitz/storage, which goes on reading it`
  throw new FormatError(directory, null, `${problem}; give open another directory`)
}

function udfsOf(functions: readonly unknown[]): Map<string, Udf> {
  const udfs = new Map<string, Udf>()
  for (const given of functions) {
    const udf = udfOf(given) ?? definitionOf(given)
    if (udf === undefined) {
      throw new UsageError(`open: expected functions made with udf(…), or aggregates of your own, found ${show(given)}`)
    }
    udfs.set(udfKey(udf), udf)
  }
  return udfs
}

function definitionOf(given: unknown): Udf | undefined {
  if (isAggregate(given)) return isUserAggregate(given.detail) ? given.detail : undefined
  if (typeof given !== 'object' || given === null) return undefined
  const { name, fn } = given as { name?: unknown; fn?: unknown }
  return typeof name === 'string' && typeof fn === 'function' ? (given as Udf) : undefined
}

export type { Recovery, StorageEvent, TableEntry }
