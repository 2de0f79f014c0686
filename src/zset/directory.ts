/**
 * Finding keys in a long run with few cache misses: a table of where keys begin, by interpolation.
 *
 * A key's *place* is its number (as a double) scaled to the buckets between the run's least and greatest key; places
 * never decrease with keys. `starts` has the first row of each bucket, so a search is one look into `starts` and one
 * into the few rows of a bucket. Where keys lie unevenly, a bucket may hold many rows; they are searched as they would
 * be without a directory.
 */
import type { Batch } from './batch.js'

/** What searches of a run use; the templates know these fields. */
export interface Directory {
  /** 0 where there is none. */
  readonly buckets: number
  /** The least key as a number. */
  readonly origin: number
  readonly scale: number
  /** First row of each bucket; two more entries say where the rows end. */
  readonly starts: Uint32Array
}

/** Fractions, so that V8 keeps the fields as doubles from the beginning. */
export const NO_DIRECTORY: Directory = { buckets: 0, origin: 0.5, scale: 0.5, starts: new Uint32Array(0) }

/** Fewer cost more memory, and a search looks at one or two cache lines anyway. */
const ROWS_PER_BUCKET = 2

/** The key of a row as a number: of unequal keys the greater has no smaller number. As `$numberOf` in the templates. */
function numberOf(keys32: Uint32Array, lanes: number, at: number): number {
  if (lanes === 2) return keys32[at + 1] * 4294967296 + keys32[at]
  const high = keys32[at + 3] * 4294967296 + keys32[at + 2]
  return (high * 4294967296 + keys32[at + 1]) * 4294967296 + keys32[at]
}

/** Makes the directory of a run, some rows at a time. */
export class DirectoryBuilder {
  private readonly buckets: number
  private readonly origin: number
  private readonly scale: number
  private readonly starts: Uint32Array
  /** Rows taken in. */
  private rows = 0

  /** REQUIRES: the run is sorted, not empty, and does not change any more. */
  constructor(private readonly run: Batch) {
    const { keys32, length, layout } = run
    const lanes = layout.key.words * 2
    this.buckets = Math.ceil(length / ROWS_PER_BUCKET)
    this.starts = new Uint32Array(this.buckets + 2)
    this.origin = numberOf(keys32, lanes, 0)
    const range = numberOf(keys32, lanes, (length - 1) * lanes) - this.origin
    this.scale = range > 0 ? this.buckets / range : 0
  }

  get allocatedBytes(): number {
    return this.starts.byteLength
  }

  /** Takes in up to `limit` more rows; the directory, when that were all. */
  work(limit: number): Directory | null {
    const { run, starts, buckets, origin, scale } = this
    const lanes = run.layout.key.words * 2
    const { keys32 } = run
    const end = Math.min(run.length, this.rows + limit)
    // Where a bucket ends: its last row writes last.
    for (let row = this.rows; row < end; ) {
      const place = (numberOf(keys32, lanes, row * lanes) - origin) * scale
      starts[(place < buckets ? place | 0 : buckets) + 1] = ++row
    }
    this.rows = end
    if (end < run.length) return null
    for (let b = 1; b < starts.length; b++) if (starts[b] === 0) starts[b] = starts[b - 1]
    return { buckets, origin, scale, starts }
  }
}
