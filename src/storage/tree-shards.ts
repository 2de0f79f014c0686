/**
 * The shards of a tree: written, opened, replaced, made durable, and kept as long as a manifest may name them. What is on
 * disk becomes part of the directory only when the storage publishes a manifest; a file that the last published manifest
 * names is kept until a newer one is durable.
 */
import { IoError } from '../base/errors.js'
import { joinPath } from '../env/env.js'
import type { Batch } from '../zset/batch.js'
import type { Kernels } from '../zset/kernels.js'
import type { Widening } from '../zset/widen.js'
import { boundOf } from './compaction/compaction.js'
import type { TreeContext } from './context.js'
import { thresholdOf } from './manifest/descriptor.js'
import { wideningOf } from './manifest/versions.js'
import { Shard } from './shard/reader.js'
import { syncShard } from './shard/sync.js'
import { writeShard } from './shard/writer.js'
import {
  type FileId,
  type Lsn,
  MANIFEST_FILE,
  type ShardEntry,
  shardFile,
  type TableEntry,
  type TableId,
} from './types.js'
import { referencesOf, type Separation, separate } from './values/separate.js'

const NONE: ReadonlySet<number> = new Set()

export interface OpenShard {
  readonly entry: ShardEntry
  readonly shard: Shard
  /** Are its bytes durable? `doubtful`: making them so has failed. */
  synced: 'no' | 'doubtful' | 'yes'
  /** The manifest on disk may name it. */
  published: boolean
}

export class TreeShards {
  /** In the order of their LSNs. */
  private shards: OpenShard[] = []
  /** Replaced, but named by the manifest on disk. */
  private retired: OpenShard[] = []
  /** Of earlier versions, by the number in their files. */
  private readonly widenings = new Map<TableId, Widening>()

  /** Opens the shards that a manifest lists. Throws IoError, CorruptionError, FormatError; then none is open. */
  constructor(
    private readonly context: TreeContext,
    private readonly table: TableEntry,
    private readonly kernels: Kernels,
    listed: readonly ShardEntry[],
  ) {
    try {
      for (const entry of listed) {
        const shard = this.open(entry, context.keepsFiles ? 'later' : 'now')
        this.shards.push({ entry, shard, synced: 'yes', published: true })
      }
    } catch (error) {
      this.close()
      throw error
    }
  }

  get list(): readonly OpenShard[] {
    return this.shards
  }

  /** As the next manifest will list them. */
  get entries(): readonly ShardEntry[] {
    return this.shards.map(s => s.entry)
  }

  /** Writes rows of these transactions to a new shard, the youngest. Throws IoError; then there is none. */
  add(batch: Batch, minLsn: Lsn, maxLsn: Lsn): ShardEntry {
    const written = this.write(batch, minLsn, maxLsn)
    this.shards.push(written)
    return written.entry
  }

  private write(batch: Batch, minLsn: Lsn, maxLsn: Lsn): OpenShard {
    const { env, directory } = this.context
    separate(batch, this.separation(NONE))
    const references = referencesOf(batch, this.context.values)
    const fileId = this.context.newFileId()
    const cipher = this.context.keys?.create('shard', fileId) ?? null
    const summary = writeShard(env, joinPath(directory, shardFile(fileId)), this.table.tableId, batch, {
      sync: false,
      cipher,
    })
    const bound = boundOf(batch)
    const entry = {
      ...summary,
      fileId,
      tableId: this.table.tableId,
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
  separation(stale: ReadonlySet<number>): Separation {
    const { values } = this.context
    return { values, tableId: this.table.tableId, threshold: thresholdOf(this.table.descriptor), stale }
  }

  /** Puts shards that were just written where others were: the list stays in the order of LSNs. Throws like `add`. */
  replace(inputs: readonly OpenShard[], outputs: readonly ShardEntry[]): void {
    const opened = this.openNew(outputs)
    const at = this.shards.indexOf(inputs[0])
    this.shards.splice(at, 1, ...opened, inputs[0])
    this.shards = this.shards.filter(s => !inputs.includes(s))
    for (const input of inputs) this.retire(input)
  }

  private retire(old: OpenShard): void {
    if (old.published) this.retired.push(old)
    else discard(old)
  }

  /** Makes every shard durable, so that a manifest may name them. Throws IoError. */
  sync(): void {
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

  /**
   * Takes the place of shards of another number, from whose `entries` these were opened: as far as they are in files
   * already, they are these from now on.
   */
  succeed(predecessor: TreeShards): void {
    const before = new Map(predecessor.shards.map(open => [open.entry, open]))
    for (const own of this.shards) {
      const { synced, published } = before.get(own.entry) as OpenShard
      own.synced = synced
      own.published = published
    }
    for (const { shard } of predecessor.shards) shard.release()
    predecessor.shards = []
  }

  /** Removes every file. REQUIRES: no manifest names the table any more. */
  discard(): void {
    for (const { shard } of [...this.shards, ...this.retired]) shard.discard()
  }

  close(): void {
    for (const { shard } of [...this.shards, ...this.retired]) shard.release()
    this.shards = []
    this.retired = []
  }

  /** What makes rows of a shard those of the table; null if they are. */
  private wideningOf(tableId: TableId): Widening | null {
    if (tableId === this.table.tableId) return null
    let widening = this.widenings.get(tableId)
    if (widening === undefined) {
      widening = wideningOf(this.table, tableId, this.kernels.layout, joinPath(this.context.directory, MANIFEST_FILE))
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
      return open(env, path, entry.tableId, widening?.from ?? this.kernels.layout, entry, io, shardContext)
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
