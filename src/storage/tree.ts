/**
 * A tree: the rows of one table as an active MemTable, sealed MemTables and shards (specification §2.3, a fragmented
 * log-structured merge tree). A row's net weight is the sum over all of them.
 *
 * Rows move one way: active → sealed → shard → shard of a higher level. Whatever a reader holds is immutable, so moving
 * never disturbs it.
 */
import { assert, quote, UsageError, WeightOverflowError } from '../base/errors.js'
import type { Layout } from '../schema/schema.js'
import type { Batch } from '../zset/batch.js'
import type { Kernels } from '../zset/kernels.js'
import { weightBound } from '../zset/trace.js'
import { Compaction } from './compaction/compaction.js'
import { type CompactionJob, pickCompaction } from './compaction/policy.js'
import type { TreeContext } from './context.js'
import { keyRanges } from './manifest/registry.js'
import { pruned } from './manifest/versions.js'
import { MemTable } from './memtable/memtable.js'
import { transmute } from './memtable/transmute.js'
import { RunSet } from './runset.js'
import { type OpenShard, TreeShards } from './tree-shards.js'
import type { Lsn, ShardEntry, TableEntry, ValueReference } from './types.js'
import type { Cursor, KeyBounds, Snapshot, ZStore, ZStoreStats } from './zstore.js'

/**
 * Sums of absolute weights below this cannot overflow an i64. Beyond, parts of a table are summed modulo 2^64: `prepare`
 * keeps every net weight within i64, so it comes out right, though sums of some parts may not be what they seem.
 */
export const SAFE_BOUND = 2 ** 62

interface Running {
  readonly inputs: readonly OpenShard[]
  readonly work: Compaction
}

export class Tree implements ZStore {
  private active: MemTable
  private sealed: MemTable[] = []
  private readonly shards: TreeShards
  private running: Running | null = null
  private compactionDue: boolean | null = null
  private current: RunSet | null = null
  private memoryBound = 0
  private lastLsn: Lsn
  private isClosed = false
  private changes = 0

  constructor(
    private readonly context: TreeContext,
    readonly table: TableEntry,
    readonly kernels: Kernels,
    shards: readonly ShardEntry[],
  ) {
    this.lastLsn = table.flushedLsn
    this.active = this.newMemTable()
    this.shards = new TreeShards(context, table, kernels, shards)
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
    return this.shards.entries
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
    for (const { entry } of this.shards.list) bound += Number(entry.weightBound)
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
    const { rowCount, sizeBytes } = this.shards.add(transmute(this.kernels, [rows]), minLsn, maxLsn)
    this.lastLsn = maxLsn
    this.changed()
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
      const { minLsn, maxLsn } = memTable
      const written = batch.length === 0 ? null : this.shards.add(batch, minLsn, maxLsn)
      this.sealed.shift()
      this.memoryBound = [...this.sealed, this.active].reduce((sum, m) => sum + m.weightBound, 0)
      this.changed()
      const { rowCount, sizeBytes } = written ?? { rowCount: 0, sizeBytes: 0 }
      this.context.onEvent({ kind: 'flush', table: this.name, rowCount, sizeBytes })
    }
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
    const inputs = this.shards.list.filter(s => job.inputs.includes(s.entry))
    const work = new Compaction({
      env,
      directory,
      kernels: this.kernels,
      tableId: this.tableId,
      inputs: inputs.map(s => ({ entry: s.entry, shard: s.shard })),
      level: job.level,
      guardBytes,
      windowRows,
      separation: this.shards.separation(stale),
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

  private replace(inputs: readonly OpenShard[], outputs: readonly ShardEntry[]): void {
    this.shards.replace(inputs, outputs)
    this.changed()
    const rowCount = outputs.reduce((sum, o) => sum + o.rowCount, 0)
    this.context.onEvent({
      kind: 'compact',
      table: this.name,
      inputs: inputs.length,
      outputs: outputs.length,
      rowCount,
    })
  }

  /** Gives up a compaction that runs; its inputs stay. */
  abandon(): void {
    this.running?.work.abort()
    this.running = null
  }

  /** Makes every shard durable, so that a manifest may name them. REQUIRES: nothing is left in memory. Throws IoError. */
  sync(): void {
    assert(this.sealed.length === 0 && this.active.rowCount === 0, 'a table is flushed before it is published')
    this.shards.sync()
  }

  /** A manifest with these entries may be on disk now: their files must stay. */
  mayBePublished(entries: readonly ShardEntry[]): void {
    this.shards.mayBePublished(entries)
  }

  /** The manifest with `entries` is the one on disk: files that only older ones name may go. */
  published(): void {
    this.shards.published()
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
    this.shards.discard()
    this.close()
  }

  /** Lets go of every file. What was not flushed is forgotten. */
  close(): void {
    this.abandon()
    this.changed()
    this.shards.close()
    this.sealed = []
    this.isClosed = true
  }

  /**
   * Takes the place of a tree that goes on under another number: the shards, as far as they are in files already, are
   * this one's from now on. REQUIRES: `predecessor` has nothing in memory, and this tree was made of its `entries`.
   */
  succeed(predecessor: Tree): void {
    predecessor.abandon()
    this.shards.succeed(predecessor.shards)
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
      const shards = this.shards.list.map(s => s.shard)
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
}
