/**
 * One compaction: overlapping shards of a table become guard shards that do not overlap (specification §7). It runs a
 * slice at a time (windows.ts) and holds a bounded number of rows: a window of each input, and one guard in the making.
 * Inputs stay as they are; nothing is visible before the caller takes the outputs.
 */
import { assert, IoError } from '../../base/errors.js'
import { type Env, joinPath } from '../../env/env.js'
import { Batch } from '../../zset/batch.js'
import type { Kernels } from '../../zset/kernels.js'
import { weightBound } from '../../zset/trace.js'
import type { Keyring } from '../crypt/keyring.js'
import type { Shard } from '../shard/reader.js'
import { writeShard } from '../shard/writer.js'
import { type FileId, type Lsn, type ShardEntry, shardFile, type TableId, type ValueReference } from '../types.js'
import { referencesOf, type Separation, separate } from '../values/separate.js'
import { Merger } from './merger.js'
import { WindowMerge } from './windows.js'

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

export class Compaction {
  readonly outputs: ShardEntry[] = []
  private readonly shards: Shard[]
  private readonly merge: WindowMerge
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
    this.shards = inputs.map(({ shard }) => shard.retain())
    const bound = inputs.reduce((sum, { entry }) => sum + entry.weightBound, 0n)
    this.merge = new WindowMerge(
      kernels,
      this.shards.map(shard => ({ readRows: (from, to) => shard.readRows(from, to), from: 0, to: shard.rowCount })),
      options.windowRows ?? WINDOW_ROWS,
      runs => new Merger(kernels, runs, bound < MAX_BOUND),
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
    const { out } = this
    if (out.capacity < this.guardRows) out.reserve(this.guardRows, true)
    const used = this.merge.slice(out, this.guardRows)
    if (used > 0 && (out.length >= this.guardRows || out.heap.length >= this.guardBytes)) this.writeGuard()
    return used
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
    for (const shard of this.shards.splice(0)) shard.release()
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
