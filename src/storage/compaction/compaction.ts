/**
 * One compaction: overlapping shards of a table become guard shards that do not overlap (specification §7). It runs a
 * slice at a time and holds a bounded number of rows: a window of each input, and one guard in the making.
 *
 * A slice merges the rows whose key is below the last key of every window that is not its shard's last, so the parts of
 * one row always meet. Inputs stay as they are; nothing is visible before the caller takes the outputs.
 */
import { assert, IoError } from '../../base/errors.js'
import { type Env, joinPath } from '../../env/env.js'
import { Batch } from '../../zset/batch.js'
import type { Kernels } from '../../zset/kernels.js'
import { compareKeys } from '../../zset/keys.js'
import { weightBound } from '../../zset/trace.js'
import type { Keyring } from '../crypt/keyring.js'
import type { Shard } from '../shard/reader.js'
import { writeShard } from '../shard/writer.js'
import { type FileId, type Lsn, type ShardEntry, shardFile, type TableId, type ValueReference } from '../types.js'
import { referencesOf, type Separation, separate } from '../values/separate.js'
import { Merger } from './merger.js'

export interface CompactionInput {
  readonly entry: ShardEntry
  readonly shard: Shard
}

export interface CompactionOptions {
  readonly env: Env
  readonly directory: string
  readonly kernels: Kernels
  readonly tableId: TableId
  readonly inputs: readonly CompactionInput[]
  /** Level of the outputs. */
  readonly level: number
  newFileId(): FileId
  /** Where long values go. */
  readonly separation: Separation
  /** Encrypt the outputs; null: nothing is encrypted. */
  readonly keys: Keyring | null
  /** Size of a guard shard; 32 MiB by default. */
  readonly guardBytes?: number
  /** Rows of an input that are looked at together; 16,384 by default. */
  readonly windowRows?: number
}

const GUARD_BYTES = 32 * 1024 * 1024
const WINDOW_ROWS = 16384

/** A shard and the part of it at hand. */
interface Source {
  readonly shard: Shard
  window: Batch
  /** Row of the shard where the window begins. */
  windowFrom: number
  /** First row of the shard that is not yet merged. */
  from: number
  /** Rows of the next window; grows where one key has more rows than that. */
  rows: number
}

export class Compaction {
  readonly outputs: ShardEntry[] = []
  private readonly sources: Source[]
  private readonly ranges: Merger
  private readonly out: Batch
  private readonly guardRows: number
  private readonly guardBytes: number
  private readonly minLsn: Lsn
  private readonly maxLsn: Lsn
  /** What outputs refer to in value logs. */
  private pinned: readonly ValueReference[] = []

  constructor(private readonly options: CompactionOptions) {
    const { kernels, inputs } = options
    assert(inputs.length > 0, 'a compaction has inputs')
    this.guardBytes = options.guardBytes ?? GUARD_BYTES
    const total = inputs.reduce((sum, input) => sum + input.entry.rowCount, 0)
    this.guardRows = Math.max(1, Math.min(total, Math.floor(this.guardBytes / rowBytes(kernels))))
    const window = new Batch(kernels.layout)
    this.sources = inputs.map(({ shard }) => ({
      shard: shard.retain(),
      window,
      windowFrom: 0,
      from: 0,
      rows: options.windowRows ?? WINDOW_ROWS,
    }))
    const bound = inputs.reduce((sum, { entry }) => sum + entry.weightBound, 0n)
    this.ranges = new Merger(
      kernels,
      inputs.map(() => window),
      bound < MAX_BOUND,
    )
    this.out = new Batch(kernels.layout)
    // Pointers are copied, not what they lead to.
    this.out.heap.remote = inputs.find(({ shard }) => shard.remote !== null)?.shard.remote ?? null
    this.minLsn = inputs.reduce(
      (least, { entry }) => (entry.minLsn < least ? entry.minLsn : least),
      inputs[0].entry.minLsn,
    )
    this.maxLsn = inputs.reduce((most, { entry }) => (entry.maxLsn > most ? entry.maxLsn : most), 0n)
  }

  /**
   * Merges about `fuelRows` rows; true when all is done. Throws IoError, CorruptionError; then `abort` is the only call
   * that is allowed.
   */
  step(fuelRows: number): boolean {
    for (let fuel = fuelRows; fuel > 0; ) {
      const merged = this.slice()
      if (merged === 0) {
        this.writeGuard()
        this.releaseInputs()
        return true
      }
      fuel -= merged
    }
    return false
  }

  /** Merges one slice; returns how many rows of the inputs it used up, 0 at the end. */
  private slice(): number {
    const { ranges, sources, out } = this
    for (const source of sources) refill(source)
    for (let bounding = this.setRanges(); !this.hasRange(); bounding = this.setRanges()) {
      if (bounding === null) return 0
      // The window that bounds the others holds rows of a single key.
      bounding.rows *= 2
      refill(bounding)
    }
    if (out.capacity < this.guardRows) out.reserve(this.guardRows, true)
    ranges.mergeInto(out, this.guardRows)
    let used = 0
    for (const [s, source] of sources.entries()) {
      const from = source.windowFrom + ranges.at[s]
      used += from - source.from
      source.from = from
    }
    if (out.length >= this.guardRows || out.heap.length >= this.guardBytes) this.writeGuard()
    return used
  }

  /** Sets the ranges that can be merged now; returns the source whose window bounds them, if one does. */
  private setRanges(): Source | null {
    const { ranges, sources } = this
    let bounding: Source | null = null
    for (const source of sources) {
      if (isLast(source)) continue
      const last = source.window.length - 1
      if (bounding === null || compareKeys(source.window, last, bounding.window, bounding.window.length - 1) < 0) {
        bounding = source
      }
    }
    for (const [s, { window, windowFrom, from }] of sources.entries()) {
      ranges.runs[s] = window
      ranges.at[s] = from - windowFrom
      ranges.ends[s] =
        bounding === null
          ? window.length
          : this.options.kernels.seek(window, ranges.at[s], bounding.window, bounding.window.length - 1)
    }
    return bounding
  }

  private hasRange(): boolean {
    return this.ranges.at.some((at, s) => at < this.ranges.ends[s])
  }

  private writeGuard(): void {
    const { out } = this
    if (out.length === 0) return
    const { env, directory, tableId, level, separation } = this.options
    const { heap } = out
    separate(out, separation)
    const references = referencesOf(out, separation.values)
    separation.values.pin(references.references ?? [])
    this.pinned = [...this.pinned, ...(references.references ?? [])]
    const fileId = this.options.newFileId()
    const cipher = this.options.keys?.create('shard', fileId) ?? null
    const summary = writeShard(env, joinPath(directory, shardFile(fileId)), tableId, out, { sync: false, cipher })
    const { minLsn, maxLsn } = this
    this.outputs.push({ ...summary, fileId, tableId, level, minLsn, maxLsn, weightBound: boundOf(out), ...references })
    out.heap = heap
    out.clear()
  }

  private releaseInputs(): void {
    for (const { shard } of this.sources.splice(0)) shard.release()
    this.out.release()
  }

  /** To be called when the outputs are open, or are not wanted after all. */
  settle(): void {
    this.options.separation.values.unpin(this.pinned)
    this.pinned = []
  }

  /** Gives up: lets go of the inputs and removes the outputs. */
  abort(): void {
    const { env, directory } = this.options
    this.releaseInputs()
    this.settle()
    for (const { fileId } of this.outputs.splice(0)) {
      try {
        env.remove(joinPath(directory, shardFile(fileId)))
      } catch (error) {
        // What is left over is collected when the directory is opened.
        if (!(error instanceof IoError)) throw error
      }
    }
  }
}

function isLast({ shard, window, windowFrom }: Source): boolean {
  return windowFrom + window.length === shard.rowCount
}

/** Reads on when less than half a window is left. ENSURES: the window is not empty while rows are left. */
function refill(source: Source): void {
  const { shard, window, windowFrom, from, rows } = source
  if (windowFrom + window.length - from > rows / 2 || (isLast(source) && window.length > 0)) return
  source.window = shard.readRows(from, Math.min(shard.rowCount, from + rows))
  source.windowFrom = from
}

/** Bytes of a row in its regions, long strings left out. */
function rowBytes({ layout }: Kernels): number {
  const fixed = layout.key.words * 8 + 8 + layout.schema.nullWords * 8
  return layout.stored.reduce((bytes, column) => bytes + column.info.sizeBytes, fixed)
}

const MAX_BOUND = 1n << 63n

/** Sum of the absolute weights, as the manifest keeps it. */
export function boundOf(batch: Batch): bigint {
  const bound = BigInt(weightBound(batch))
  return bound < MAX_BOUND ? bound : MAX_BOUND
}
