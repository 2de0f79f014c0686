/**
 * `ZStore`: a Z-set that may be larger than memory, kept as MemTables and shards. Durable tables and operator state
 * (ephemeral tables) are both one; they differ in who calls `ingest`, and in whether a log stands behind it.
 */
import type { Layout } from '../schema/schema.js'
import type { Batch } from '../zset/batch.js'
import type { Kernels } from '../zset/kernels.js'
import type { Lsn, TableId } from './types.js'

/** Keys in order, both ends optional. Batches hold one row; only their key words count. */
export interface KeyBounds {
  /** First key of the range. */
  readonly from?: Batch
  /** Start after this key instead (for paging). */
  readonly after?: Batch
  /** First key beyond the range. */
  readonly to?: Batch
}

/** Rows of net weight other than zero, in order, a batch at a time. */
export interface Cursor {
  /** The next rows, consolidated, or null at the end. The batch is reused by the next call. */
  next(): Batch | null
  close(): void
}

/** The rows as they were at one LSN; unchanged by writers, flushes and compactions until it is released. */
export interface Snapshot {
  readonly lsn: Lsn
  /** Consolidated runs whose sum is the Z-set; what kernels read. */
  runs(): readonly Batch[]
  /** Replaces `out` by the net rows whose key is that of row p of `probe`; returns how many. */
  get(probe: Batch, p: number, out: Batch): number
  cursor(bounds?: KeyBounds): Cursor
  release(): void
}

export interface ZStoreStats {
  /** Upper bound on the number of distinct rows. */
  readonly rowCount: number
  readonly memoryBytes: number
  readonly diskBytes: number
  readonly shards: number
  /** Most shards that overlap on one key. */
  readonly amplification: number
}

export interface ZStore {
  readonly tableId: TableId
  readonly name: string
  readonly layout: Layout
  readonly kernels: Kernels
  /**
   * Adds a delta that became visible with `lsn`. REQUIRES: consolidated, of this layout; LSNs do not descend.
   * Throws WeightOverflowError; then nothing has changed.
   */
  ingest(delta: Batch, lsn: Lsn): void
  /** Makes what is in memory read-only; the next rows go to a new MemTable. */
  seal(): void
  /** Writes sealed MemTables to a shard. Throws IoError; then they stay in memory. */
  flush(): void
  /** Does up to `fuelRows` rows of compaction that is due; true when none is left. */
  compact(fuelRows?: number): boolean
  get(probe: Batch, p: number, out: Batch): number
  cursor(bounds?: KeyBounds): Cursor
  snapshot(): Snapshot
  stats(): ZStoreStats
}
