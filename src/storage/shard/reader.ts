/**
 * A shard: one file of a directory, with those who hold it. A shard is a consolidated batch on disk, so it is handed out
 * as a `Batch` and every kernel works on it (body.ts).
 *
 * Nothing is believed before it has been checked, and nothing is looked at before it is wanted: `Shard.later` knows a
 * shard from the manifest alone, and opens the file when something of it is first asked for. Then header and directory
 * are checked against the manifest, keys and weights when they are first asked for, columns when somebody wants rows.
 *
 * Shards are counted: whoever keeps one calls `retain` and, in the end, `release`. A shard that was replaced is marked
 * by `discard`, and its file goes when the last holder lets go of it.
 */
import { assert, IoError, UsageError } from '../../base/errors.js'
import type { Env } from '../../env/env.js'
import type { Layout } from '../../schema/schema.js'
import type { Batch } from '../../zset/batch.js'
import type { RemoteValues } from '../../zset/remote.js'
import type { Sealing } from '../crypt/keyring.js'
import type { ShardIo, ShardSummary, TableId } from '../types.js'
import { ShardBody, type ShardContext } from './body.js'
import type { Region } from './format.js'
import { openSource, type Source } from './source.js'

/** What a shard may need, and who is told of its end. */
export interface HeldShardContext extends ShardContext {
  /** Called when the last holder has let go of the shard. */
  readonly onClose?: () => void
}

export class Shard {
  private opened: ShardBody | null = null
  private holders = 1
  private discarded = false

  /** Of what it gives out. */
  readonly layout: Layout

  private constructor(
    private readonly env: Env,
    readonly path: string,
    readonly tableId: TableId,
    private readonly fileLayout: Layout,
    private readonly expected: ShardSummary | null,
    private readonly io: ShardIo,
    private readonly context: HeldShardContext,
  ) {
    assert(fileLayout.key.words > 0, 'a shard has keys')
    this.layout = context.widening?.to ?? fileLayout
  }

  /**
   * Opens a shard and checks its header and directory, with `expected` (what the manifest says) also their checksum.
   * One holder has it then. Throws FormatError for files of another kind, version, table or schema, CorruptionError,
   * IoError. REQUIRES: an arranged layout, the file's; `loadChecksum` resolved.
   */
  static open(
    env: Env,
    path: string,
    tableId: TableId,
    layout: Layout,
    expected: ShardSummary | null,
    io: ShardIo,
    context: HeldShardContext = {},
  ): Shard {
    const shard = new Shard(env, path, tableId, layout, expected, io, context)
    shard.opened = shard.openBody()
    return shard
  }

  /** The same, but the file is opened and checked when something of it is wanted: whatever reads may throw like `open`. */
  static later(
    env: Env,
    path: string,
    tableId: TableId,
    layout: Layout,
    expected: ShardSummary,
    io: ShardIo,
    context: HeldShardContext = {},
  ): Shard {
    return new Shard(env, path, tableId, layout, expected, io, context)
  }

  private openBody(): ShardBody {
    const source = openSource(this.env, this.path, this.io)
    try {
      return new ShardBody(source, this.tableId, this.fileLayout, this.expected, this.context)
    } catch (error) {
      source.close()
      throw error
    }
  }

  private get body(): ShardBody {
    this.checkOpen()
    this.opened ??= this.openBody()
    return this.opened
  }

  /** All regions in their order. */
  get regions(): readonly Region[] {
    return this.body.regions
  }

  get rowCount(): number {
    return this.expected?.rowCount ?? this.body.rowCount
  }

  get sizeBytes(): number {
    return this.expected?.sizeBytes ?? this.body.sizeBytes
  }

  /** XXH3-64 of header and directory. */
  get checksum(): bigint {
    return this.expected?.checksum ?? this.body.checksum
  }

  /** How it is encrypted; null: it is in the clear. */
  get sealing(): Sealing | null {
    return this.body.sealing
  }

  /** Who reads the values that its pointers lead to; null if it has none. */
  get remote(): RemoteValues | null {
    return this.body.remote
  }

  /** Are its rows views of the mapped file? If not, they are read, or decrypted, into memory. */
  get isMapped(): boolean {
    return this.body.isMapped
  }

  /** Do all of its rows lie in memory, or in a mapped file that is not encrypted? */
  get isAtHand(): boolean {
    return this.body.isAtHand
  }

  /** Is it encrypted with a key that was not given? Then keys and weights are all that can be read. */
  get isLocked(): boolean {
    return this.sealing !== null && (this.context.keys ?? null) === null
  }

  /** The smallest key, 0 if there are no rows. May read the keys. */
  get minKey(): bigint {
    return this.expected?.minKey ?? this.body.keyRange.minKey
  }

  /** The largest key, 0 if there are no rows. May read the keys. */
  get maxKey(): bigint {
    return this.expected?.maxKey ?? this.body.keyRange.maxKey
  }

  /** Memory in use: everything that was read, or of a mapped shard what is needed besides it. */
  get allocatedBytes(): number {
    return this.opened?.allocatedBytes ?? 0
  }

  /** Labels of the regions that have been verified and are at hand. */
  get presentRegions(): string[] {
    return this.opened?.presentRegions ?? []
  }

  /**
   * All rows as a consolidated batch of which only keys and weights are there; more appear as they are asked for.
   * Read-only, like every batch of a shard: the memory of a mapped file cannot be written to.
   */
  keys(): Batch {
    return this.body.keys()
  }

  /** The same batch with one column (and its null bits) there. A column of a packed key is there with the keys. */
  column(index: number): Batch {
    return this.body.column(index)
  }

  /** The same batch with everything there. */
  rows(): Batch {
    return this.body.rows()
  }

  /** The first row whose key words are those of row p of `probe`, or -1. Reads no column. */
  find(probe: Batch, p: number): number {
    return this.body.find(probe, p)
  }

  /**
   * Rows from..to as a consolidated batch, for walking through a shard without holding all of it. If the shard is mapped
   * or already present they are views, else copies (strings included) that need memory for these rows alone. `into` is
   * used again if it came from this method of this shard; what it held is then gone.
   */
  readRows(from: number, to: number, into?: Batch): Batch {
    return this.body.readRows(from, to, into)
  }

  /**
   * Rows from..to for somebody who looks up a few: a batch with them, and which of its rows is the first. If the shard is
   * not mapped they are read by themselves, until so many have been that reading all of them would have taken as long;
   * then the shard is brought into memory.
   */
  rowsNear(from: number, to: number): { readonly batch: Batch; readonly first: number } {
    return this.body.rowsNear(from, to)
  }

  retain(): this {
    this.checkOpen()
    this.holders++
    return this
  }

  /** Lets go of the shard; the last holder closes it. Batches it gave out stay valid. */
  release(): void {
    this.checkOpen()
    this.holders--
    if (this.holders > 0) return
    this.opened?.close()
    if (this.discarded) this.removeFile()
    this.context.onClose?.()
  }

  /** The file is to be removed when the last holder lets go. */
  discard(): void {
    this.checkOpen()
    this.discarded = true
  }

  private removeFile(): void {
    try {
      this.env.remove(this.path)
    } catch (error) {
      // Nothing refers to it any more; what is left over is collected when the directory is opened.
      if (!(error instanceof IoError)) throw error
    }
  }

  private checkOpen(): void {
    if (this.holders === 0) throw new UsageError(`${this.path}: this shard was released by its last holder`)
  }

  /**
   * For `verifyShard`, which looks at the file and not at what was read before.
   * @internal
   */
  get file(): Source {
    return this.body.source
  }
}
