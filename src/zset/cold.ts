/**
 * The part of a Z-set that its owner does not hold in memory: rows in shards, which change only when the owner moves rows
 * there, or when shards are compacted. The Z-set is the sum of these runs and of what the owner holds.
 */
import type { Batch } from './batch.js'

export interface Cold {
  /** Raised whenever `runs` would give other batches. */
  readonly version: number
  /** Consolidated, and never changed. */
  runs(): readonly Batch[]
  /** Batches with all rows whose key words are those of row p of `probe`; they may lack others. Consolidated. */
  runsAt(probe: Batch, p: number): readonly Batch[]
  /** Upper bound on the number of distinct rows. */
  readonly rowCount: number
  /** No row's weights, added up over the runs in absolute value, are more than this. */
  readonly weightBound: number
  readonly sizeBytes: number
  /** Replaces `out` by the net rows whose key is that of row p of `probe`; returns how many. All are of one layout. */
  get(probe: Batch, p: number, out: Batch): number
}
