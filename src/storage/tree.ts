/**
 * A tree: the rows of one table as an active MemTable, sealed MemTables and shards (specification §2.3, a fragmented
 * log-structured merge tree). A row's net weight is the sum over all of them.
 *
 * Rows move one way: active → sealed → shard → shard of a higher level. Whatever a reader holds is immutable, so moving
 * never disturbs it. What is on disk becomes part of the directory only when the storage publishes a manifest; a file
 * that the last published manifest names is kept until a newer one is durable.
 */
import { assert, IoError, quote, UsageError, WeightOverflowError } from '../base/errors.js'
import { type Env, joinPath } from '../env/env.js'
import type { Layout } from '../schema/schema.js'
import type { Batch } from '../zset/batch.js'
import type { Kernels } from '../zset/kernels.js'
import { weightBound } from '../zset/trace.js'
import type { Widening } from '../zset/widen.js'
import { boundOf, Compaction } from './compaction/compaction.js'
import { type CompactionJob, pickCompaction } from './compaction/policy.js'
import type { MemoryBudget } from './crypt/budget.js'
import type { Keyring } from './crypt/keyring.js'
import { thresholdOf } from './manifest/descriptor.js'
import { keyRanges } from './manifest/registry.js'
import { pruned, wideningOf } from './manifest/versions.js'
import { MemTable } from './memtable/memtable.js'
import { transmute } from './memtable/transmute.js'
import { RunSet } from './runset.js'
import { Shard } from './shard/reader.js'
import { syncShard } from './shard/sync.js'
import { writeShard } from './shard/writer.js'
import {
  type FileId,
  type Lsn,
  MANIFEST_FILE,
  type ShardEntry,
  type ShardIo,
  shardFile,
  type TableEntry,
  type TableId,
  type ValueReference,
} from './types.js'
import type { ValueLog } from './values/log.js'
import { referencesOf, type Separation, separate } from './values/separate.js'
import type { Cursor, KeyBounds, Snapshot, ZStore, ZStoreStats } from './zstore.js'

/**
 * Sums of absolute weights below this cannot overflow an i64. Beyond, parts of a table are summed modulo 2^64: `prepare`
 * keeps every net weight within i64, so it comes out right, though sums of some parts may not be what they seem.
 */
export const SAFE_BOUND = 2 ** 62

const NONE: ReadonlySet<number> = new Set()

/** What a tree shares with the others of its directory. */
export interface TreeContext {
  readonly env: Env
  readonly directory: string
  readonly io: ShardIo
  /** Occupancy at which a MemTable is sealed. */
  readonly memTableBytes: number
  /** Overlapping shards on one key above which compaction is due. */
  readonly amplificationThreshold: number
  readonly guardBytes?: number
  readonly windowRows?: number
  readonly values: ValueLog
  /** Files stay until this process removes them, so they can be opened when something of them is wanted. */
  readonly keepsFiles: boolean
  /** Null: nothing is encrypted. Set when the manifest is read. */
  keys: Keyring | null
  /** Memory for decrypted shards. */
  readonly budget: MemoryBudget
  /** Is a shard to be rewritten with another key? */
  isOutdated: (entry: ShardEntry) => boolean
  newFileId(): FileId
  /** Value logs of which too little is live. */
  staleValues: () => ReadonlySet<number>
  onEvent(event: StorageEvent): void
}

/** What happened, for those who want to know. */
export type StorageEvent =
  | { readonly kind: 'seal'; readonly table: string; readonly rowCount: number }
  | { readonly kind: 'flush'; readonly table: string; readonly rowCount: number; readonly sizeBytes: number }
  | {
      readonly kind: 'compact'
      readonly table: string
      readonly inputs: number
      readonly outputs: number
      readonly rowCount: number
    }
  | { readonly kind: 'checkpoint'; readonly lsn: Lsn; readonly shards: number }
  | ({ readonly kind: 'recover' } & Recovery)

/** What opening a directory found. */
export interface Recovery {
  /** The last transaction that is there. */
  readonly lsn: Lsn
  /** Transactions and rows that were replayed from the log. */
  readonly groups: number
  readonly rows: number
  /** Bytes of a torn tail that were cut off, or left out by who only reads, and where. */
  readonly droppedBytes: number
  readonly droppedAt: { readonly file: string; readonly offset: number } | null
  /** Files a crash had left behind, now removed. */
  readonly leftovers: readonly string[]
}

interface OpenShard {
  readonly entry: ShardEntry
  readonly shard: Shard
  /** Are its bytes durable? `doubtful`: making them so has failed. */
  synced: 'no' | 'doubtful' | 'yes'
  /** The manifest on disk may name it. */
  published: boolean
}

interface Running {
  readonly inputs: readonly OpenShard[]
  readonly work: Compaction
}

export class Tree implements ZStore {
  private active: MemTable
  private sealed: MemTable[] = []
  private shards: OpenShard[]
  /** Replaced, but named by the manifest on disk. */
  private retired: OpenShard[] = []
  private running: Running | null = null
  private compactionDue: boolean | null = null
  private current: RunSet | null = null
  private memoryBound = 0
  private lastLsn: Lsn
  private isClosed = false
  private changes = 0
  /** Of earlier versions, by the number in their files. */
  private readonly widenings = new Map<TableId, Widening>()

  constructor(
    private readonly context: TreeContext,
    readonly table: TableEntry,
    readonly kernels: Kernels,
    shards: readonly ShardEntry[],
  ) {
    this.lastLsn = table.flushedLsn
    this.active = this.newMemTable()
    this.shards = []
    try {
      for (const entry of shards)
        this.shards.push({
          entry,
          shard: this.open(entry, context.keepsFiles ? 'later' : 'now'),
          synced: 'yes',
          published: true,
        })
    } catch (error) {
      this.close()
      throw error
    }
  }

  get tableId(): number {
    return this.table.tableId
  }

  get name(): string {
    return this.table.descriptor.name
  }

  get layout(): Layout {
    return this.kernels.layout
  }

  /** Shards as the next manifest will list them, oldest first. */
  get entries(): readonly ShardEntry[] {
    return this.shards.map(s => s.entry)
  }

  /** As the next manifest lists it. */
  get listed(): TableEntry {
    const { table } = this
    const descriptor = pruned(table.descriptor, this.entries)
    return descriptor === table.descriptor ? table : { ...table, descriptor }
  }

  /** Are there sealed MemTables to be flushed? */
  get hasSealed(): boolean {
    return this.sealed.length > 0
  }

  /**
   * Finds out whether a delta can be added. Throws WeightOverflowError, and changes nothing, if a row's net weight
   * would leave i64.
   */
  prepare(delta: Batch): void {
    const added = weightBound(delta)
    let bound = this.memoryBound + added
    for (const { entry } of this.shards) bound += Number(entry.weightBound)
    if (bound < SAFE_BOUND) return
    const sums = new BigInt64Array(delta.length)
    const totals = new BigInt64Array(delta.length)
    // Runs add up modulo 2^64, whatever the parts are.
    for (const run of this.runs()) {
      sums.fill(0n)
      this.kernels.lookup(delta, run, sums)
      for (let i = 0; i < totals.length; i++) totals[i] += sums[i]
    }
    for (let i = 0; i < totals.length; i++) {
      const total = totals[i] + delta.weights[i]
      if (BigInt.asIntN(64, total) !== total) throw new WeightOverflowError(`table "${this.name}"`)
    }
  }

  /** `firstLsn`: where `delta` is the sum of several, that of the first. */
  ingest(delta: Batch, lsn: Lsn, firstLsn = lsn): void {
    this.mustBeOpen()
    assert(lsn >= this.lastLsn, 'LSNs of a table do not descend')
    if (delta.length === 0) return
    assert(delta.heap.remote === null, 'values of a delta are at hand')
    const bound = weightBound(delta)
    // A MemTable sums without overflow: large weights come to one of their own.
    if (this.active.weightBound + bound >= SAFE_BOUND) this.seal()
    this.changed()
    this.active.insert(delta, lsn, true, firstLsn)
    this.memoryBound += bound
    this.lastLsn = lsn
    if (this.active.full) this.seal()
  }

  /**
   * Adds rows that the owner kept so far, as a shard. REQUIRES: consolidated; nothing is in memory here.
   * Throws IoError; then nothing has changed.
   */
  absorb(rows: Batch, minLsn: Lsn, maxLsn: Lsn): void {
    this.mustBeOpen()
    if (rows.length === 0) return
    const written = this.write(transmute(this.kernels, [rows]), { minLsn, maxLsn })
    this.shards.push(written)
    this.lastLsn = maxLsn
    this.changed()
    const { rowCount, sizeBytes } = written.entry
    this.context.onEvent({ kind: 'flush', table: this.name, rowCount, sizeBytes })
  }

  seal(): void {
    if (this.active.rowCount === 0) return
    this.active.seal()
    const { rowCount } = this.active
    this.sealed.push(this.active)
    this.active = this.newMemTable()
    this.changed()
    this.context.onEvent({ kind: 'seal', table: this.name, rowCount })
  }

  flush(): void {
    while (this.sealed.length > 0) {
      const memTable = this.sealed[0]
      const batch = memTable.transmute()
      const written = batch.length === 0 ? null : this.write(batch, memTable)
      if (written !== null) this.shards.push(written)
      this.sealed.shift()
      this.memoryBound = [...this.sealed, this.active].reduce((sum, m) => sum + m.weightBound, 0)
      this.changed()
      const { rowCount, sizeBytes } = written?.entry ?? { rowCount: 0, sizeBytes: 0 }
      this.context.onEvent({ kind: 'flush', table: this.name, rowCount, sizeBytes })
    }
  }

  private write(batch: Batch, { minLsn, maxLsn }: Pick<MemTable, 'minLsn' | 'maxLsn'>): OpenShard {
    const { env, directory } = this.context
    separate(batch, this.separation(NONE))
    const references = referencesOf(batch, this.context.values)
    const fileId = this.context.newFileId()
    const cipher = this.context.keys?.create('shard', fileId) ?? null
    const summary = writeShard(env, joinPath(directory, shardFile(fileId)), this.tableId, batch, {
      sync: false,
      cipher,
    })
    const bound = boundOf(batch)
    const entry = {
      ...summary,
      fileId,
      tableId: this.tableId,
      level: 0,
      minLsn,
      maxLsn,
      weightBound: bound,
      ...references,
    }
    return this.openNew([entry])[0]
  }

  /** Opens shards that were just written. If one cannot be opened, all their files go. */
  private openNew(entries: readonly ShardEntry[]): OpenShard[] {
    const opened: OpenShard[] = []
    try {
      for (const entry of entries)
        opened.push({ entry, shard: this.open(entry, 'now'), synced: 'no', published: false })
      return opened
    } catch (error) {
      for (const { shard } of opened) shard.release()
      for (const { fileId } of entries) removeShard(this.context, fileId)
      throw error
    }
  }

  /** How long values leave the shards of this table. */
  private separation(stale: ReadonlySet<number>): Separation {
    const { values } = this.context
    return { values, tableId: this.tableId, threshold: thresholdOf(this.table.descriptor), stale }
  }

  compact(fuelRows = Number.POSITIVE_INFINITY): boolean {
    this.running ??= this.nextCompaction()
    while (this.running !== null) {
      const { work, inputs } = this.running
      let done: boolean
      try {
        done = work.step(fuelRows)
      } catch (error) {
        this.abandon()
        throw error
      }
      if (!done) return false
      this.running = null
      try {
        this.replace(inputs, work.outputs)
      } finally {
        work.settle()
      }
      if (fuelRows !== Number.POSITIVE_INFINITY) return !this.isCompactionDue()
      this.running = this.nextCompaction()
    }
    return true
  }

  private nextCompaction(): Running | null {
    const { env, directory, guardBytes, windowRows } = this.context
    const stale = this.context.staleValues()
    const job = this.pickJob(stale)
    this.compactionDue = job !== null
    if (job === null) return null
    const inputs = this.shards.filter(s => job.inputs.includes(s.entry))
    const work = new Compaction({
      env,
      directory,
      kernels: this.kernels,
      tableId: this.tableId,
      inputs: inputs.map(s => ({ entry: s.entry, shard: s.shard })),
      level: job.level,
      guardBytes,
      windowRows,
      separation: this.separation(stale),
      keys: this.context.keys,
      newFileId: () => this.context.newFileId(),
    })
    return { inputs, work }
  }

  /**
   * What the policy wants, or else a shard by itself: one that refers to a value log of which too little is live, or that
   * is to have another key.
   */
  private pickJob(stale: ReadonlySet<number>): CompactionJob | null {
    const { amplificationThreshold, isOutdated } = this.context
    const job = pickCompaction(this.table.descriptor.policy, this.entries, amplificationThreshold)
    if (job !== null) return job
    const isStale = ({ fileId }: ValueReference) => stale.has(Number(fileId))
    const shard = this.entries.find(entry => (entry.references ?? []).some(isStale) || isOutdated(entry))
    return shard === undefined ? null : { inputs: [shard], level: shard.level }
  }

  private isCompactionDue(): boolean {
    this.compactionDue ??= this.pickJob(this.context.staleValues()) !== null
    return this.running !== null || this.compactionDue
  }

  /** Puts the outputs where the inputs were: the list stays in the order of LSNs. */
  private replace(inputs: readonly OpenShard[], outputs: readonly ShardEntry[]): void {
    const opened = this.openNew(outputs)
    const at = this.shards.indexOf(inputs[0])
    this.shards.splice(at, 1, ...opened, inputs[0])
    this.shards = this.shards.filter(s => !inputs.includes(s))
    this.changed()
    for (const input of inputs) this.retire(input)
    const rowCount = outputs.reduce((sum, o) => sum + o.rowCount, 0)
    this.context.onEvent({
      kind: 'compact',
      table: this.name,
      inputs: inputs.length,
      outputs: outputs.length,
      rowCount,
    })
  }

  private retire(old: OpenShard): void {
    if (old.published) this.retired.push(old)
    else discard(old)
  }

  /** Gives up a compaction that runs; its inputs stay. */
  abandon(): void {
    this.running?.work.abort()
    this.running = null
  }

  /** Makes every shard durable, so that a manifest may name them. REQUIRES: nothing is left in memory. */
  sync(): void {
    assert(this.sealed.length === 0 && this.active.rowCount === 0, 'a table is flushed before it is published')
    for (const open of this.shards) {
      if (open.synced === 'yes') continue
      const again = open.synced === 'doubtful'
      open.synced = 'doubtful'
      syncShard(this.context.env, open.shard, again)
      open.synced = 'yes'
    }
  }

  /** A manifest with these entries may be on disk now: their files must stay. */
  mayBePublished(entries: readonly ShardEntry[]): void {
    for (const open of this.shards) if (entries.includes(open.entry)) open.published = true
  }

  /** The manifest with `entries` is the one on disk: files that only older ones name may go. */
  published(): void {
    for (const old of this.retired.splice(0)) discard(old)
  }

  get(probe: Batch, p: number, out: Batch): number {
    return this.pin().get(probe, p, out)
  }

  cursor(bounds: KeyBounds = {}): Cursor {
    return this.pin().cursor(bounds)
  }

  /** Runs whose sum is the table; valid until the next change. */
  runs(): readonly Batch[] {
    return this.pin().runs()
  }

  /** Batches with all rows whose key words are those of row p of `probe`; valid until the next change. */
  runsAt(probe: Batch, p: number): readonly Batch[] {
    return this.pin().runsAt(probe, p)
  }

  /** `lsn`: that of the storage, where other tables have gone on since this one changed. */
  snapshot(lsn: Lsn = this.lastLsn): Snapshot {
    return this.pin().snapshot(lsn)
  }

  stats(): ZStoreStats {
    const entries = this.entries
    const tables = [...this.sealed, this.active]
    return {
      rowCount: tables.reduce((n, m) => n + m.rowCount, 0) + entries.reduce((n, e) => n + e.rowCount, 0),
      memoryBytes: tables.reduce((n, m) => n + m.usedBytes, 0),
      diskBytes: entries.reduce((n, e) => n + e.sizeBytes, 0),
      shards: entries.length,
      amplification: keyRanges(entries).reduce((most, r) => Math.max(most, r.depth), 0),
    }
  }

  /** Lets go of every file and removes it. REQUIRES: no manifest names the table any more. */
  discard(): void {
    for (const { shard } of [...this.shards, ...this.retired]) shard.discard()
    this.close()
  }

  /** Lets go of every file. What was not flushed is forgotten. */
  close(): void {
    this.abandon()
    this.changed()
    for (const { shard } of [...this.shards, ...this.retired]) shard.release()
    this.shards = []
    this.retired = []
    this.sealed = []
    this.isClosed = true
  }

  /**
   * Takes the place of a tree that goes on under another number: the shards, as far as they are in files already, are
   * this one's from now on. REQUIRES: `predecessor` has nothing in memory, and this tree was made of its `entries`.
   */
  succeed(predecessor: Tree): void {
    predecessor.abandon()
    const before = new Map(predecessor.shards.map(open => [open.entry, open]))
    for (const own of this.shards) {
      const { synced, published } = before.get(own.entry) as OpenShard
      own.synced = synced
      own.published = published
    }
    for (const { shard } of predecessor.shards) shard.release()
    predecessor.shards = []
    predecessor.changed()
  }

  private mustBeOpen(): void {
    if (this.isClosed) throw new UsageError(`table ${quote(this.name)} was closed or dropped`)
  }

  /** What a reader sees now. */
  private pin(): RunSet {
    this.mustBeOpen()
    if (this.current === null) {
      const memory = [...this.sealed, this.active].filter(m => m.rowCount > 0)
      const shards = this.shards.map(s => s.shard)
      this.current = new RunSet(this.kernels, this.table.descriptor.weights === 'nonNegative', shards, memory)
    }
    return this.current
  }

  /** Counts the changes of what `runs` gives. */
  get version(): number {
    return this.changes
  }

  private changed(): void {
    this.changes++
    this.current?.release()
    this.current = null
    this.compactionDue = null
  }

  private newMemTable(): MemTable {
    return new MemTable(this.kernels, { capacityBytes: this.context.memTableBytes })
  }

  /** What makes rows of a shard those of the table; null if they are. */
  private wideningOf(tableId: TableId): Widening | null {
    if (tableId === this.tableId) return null
    let widening = this.widenings.get(tableId)
    if (widening === undefined) {
      widening = wideningOf(this.table, tableId, this.layout, joinPath(this.context.directory, MANIFEST_FILE))
      this.widenings.set(tableId, widening)
    }
    return widening
  }

  private open(entry: ShardEntry, when: 'now' | 'later'): Shard {
    const { env, directory, io, values, keys, budget } = this.context
    const path = joinPath(directory, shardFile(entry.fileId))
    const { references = [], fileId } = entry
    const widening = this.wideningOf(entry.tableId)
    values.retain(references)
    try {
      const onClose = () => values.release(references)
      const shardContext = { values, onClose, keys, fileId, budget, widening }
      const open = when === 'now' ? Shard.open : Shard.later
      return open(env, path, entry.tableId, widening?.from ?? this.layout, entry, io, shardContext)
    } catch (error) {
      values.release(references)
      throw error
    }
  }
}

/** Removes a file that nothing refers to; what cannot be removed is collected when the directory is opened. */
function removeShard({ env, directory }: TreeContext, fileId: FileId): void {
  try {
    env.remove(joinPath(directory, shardFile(fileId)))
  } catch (error) {
    if (!(error instanceof IoError)) throw error
  }
}

function discard({ shard }: OpenShard): void {
  shard.discard()
  shard.release()
}
