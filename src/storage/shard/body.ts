/**
 * What is in a shard, as a batch over its file: regions are mapped (or read) and checked when they are first asked for.
 * Keys and weights come first and alone; columns and the blob heap only when somebody wants rows, so that keys that are
 * not there and rows that cancel out cost no more than their keys.
 */
import { xxh3 } from '../../base/checksum.js'
import { assert, CorruptionError, UsageError } from '../../base/errors.js'
import type { Column, Layout } from '../../schema/schema.js'
import { Batch, lanesOf } from '../../zset/batch.js'
import type { RemoteValues } from '../../zset/remote.js'
import type { Widening } from '../../zset/widen.js'
import type { MemoryBudget } from '../crypt/budget.js'
import { cipherOf, type FileCipher, type Keyring, type Sealing } from '../crypt/keyring.js'
import type { FileId, ShardSummary, TableId } from '../types.js'
import { findCellFault, findKeyFault, findWeightFault, HeapView } from './content.js'
import { refuse } from './faults.js'
import { decodeHead, isSealed, type Region } from './format.js'
import { readHead } from './head.js'
import { Probe } from './probe.js'
import { RegionReader } from './regions.js'
import type { Source } from './source.js'
import { columnOver, showRows } from './views.js'
import { WindowReader } from './window.js'

/** Reading a row by itself takes as long as reading ALONE_SHARE rows of a whole shard; a few are always read so. */
const ALONE_SHARE = 256
const ALONE_ROWS = 256

/** What shards may need besides their files. */
export interface ShardContext {
  /** Who reads the values that pointers lead to. */
  readonly values?: RemoteValues
  /** The keys of the directory, if there are any, and the shard's number, to which its own key is bound. */
  readonly keys?: Keyring | null
  readonly fileId?: FileId
  /** Memory for what is decrypted; without one there is no limit. */
  readonly budget?: MemoryBudget
  /** The file is of an earlier version of the table: what makes its rows those of the present one. */
  readonly widening?: Widening | null
}

export class ShardBody {
  /** All regions in their order. */
  readonly regions: readonly Region[]
  readonly rowCount: number
  readonly sizeBytes: number
  /** XXH3-64 of header and directory. */
  readonly checksum: bigint
  /** How it is encrypted; null: it is in the clear. */
  readonly sealing: Sealing | null
  private readonly reader: RegionReader
  /** Bytes of decrypted regions. */
  private openedBytes = 0
  /** The regions of the file. */
  private readonly batch: Batch
  /** What readers see: the same, unless columns have been added since. */
  private readonly shown: Batch
  private isWide = false
  /** By region: verified, and present in `batch`. */
  private readonly present: boolean[]
  private heap: HeapView | null = null
  private probe: Probe | null = null
  private windows: WindowReader | null = null
  /** Batches that show parts of `batch`. */
  private readonly views = new WeakSet<Batch>()
  /** Rows that `rowsNear` has read by themselves. */
  private readAlone = 0
  /** Who reads the values that its pointers lead to; null if it has none. */
  readonly remote: RemoteValues | null

  /**
   * Reads header and directory. Throws FormatError for files of another kind, version, table or schema, CorruptionError if
   * they are not what `expected` says, IoError.
   */
  constructor(
    readonly source: Source,
    tableId: TableId,
    private readonly fileLayout: Layout,
    private readonly expected: ShardSummary | null,
    private readonly context: ShardContext,
  ) {
    const { path, sizeBytes } = source
    const head = readHead(source, tableId, fileLayout, expected)
    const shardHead = decodeHead(head, path, sizeBytes, fileLayout)
    const { rowCount, hasPointers, sealing, regions } = shardHead
    this.sealing = sealing
    this.reader = new RegionReader(source, shardHead, tableId, cipherFor(context, sealing, path))
    this.remote = hasPointers ? remoteOf(context, path) : null
    this.regions = regions
    this.rowCount = rowCount
    this.sizeBytes = sizeBytes
    this.checksum = xxh3(head)
    this.present = regions.map(() => false)
    this.batch = new Batch(fileLayout)
    this.batch.length = rowCount
    this.batch.capacity = rowCount
    this.batch.order = 'consolidated'
    this.batch.heap.remote = this.remote
    const { widening = null } = context
    this.shown = widening === null ? this.batch : new Batch(widening.to)
  }

  /** Are its rows views of the mapped file? If not, they are read, or decrypted, into memory. */
  get isMapped(): boolean {
    return this.source.isMapped && this.sealing === null
  }

  /** Do all rows lie in memory, or in a mapped file? */
  get isAtHand(): boolean {
    return this.isMapped || this.isComplete()
  }

  /** The smallest and the largest key, 0 if there are no rows. Reads the keys. */
  get keyRange(): { readonly minKey: bigint; readonly maxKey: bigint } {
    const { keys } = this.keys()
    const { words } = this.fileLayout.key
    return { minKey: keyAt(keys, words, 0), maxKey: keyAt(keys, words, this.rowCount - 1) }
  }

  /** Memory in use: everything that was read, or of a mapped shard what is needed besides it. */
  get allocatedBytes(): number {
    const { batch } = this
    return (this.isMapped ? batch.fences.keys32.byteLength : batch.allocatedBytes) + (this.probe?.sizeBytes ?? 0)
  }

  /** Labels of the regions that have been verified and are at hand. */
  get presentRegions(): string[] {
    return this.regions.filter((_, r) => this.present[r]).map(region => region.label)
  }

  /**
   * All rows as a consolidated batch of which only keys and weights are there; more appear as they are asked for.
   * Read-only, like every batch of a shard: the memory of a mapped file cannot be written to.
   */
  keys(): Batch {
    if (!this.present[0]) this.bringKeys()
    return this.shown
  }

  /** The same batch with one column (and its null bits) there. A column of a packed key is there with the keys. */
  column(index: number): Batch {
    if (this.shown !== this.batch) return this.rows()
    this.keys()
    const r = this.regions.findIndex(region => region.column?.index === index)
    const { nullable } = this.fileLayout.schema.columns[index]
    if (nullable) this.bring(this.regions.findIndex(region => region.kind === 'nulls'))
    if (r >= 0) this.bring(r)
    return this.batch
  }

  /** The same batch with everything there. */
  rows(): Batch {
    this.keys()
    if (!this.isComplete()) {
      for (let r = 0; r < this.regions.length; r++) this.bring(r)
      if (this.shown !== this.batch) this.context.widening?.showColumns(this.batch, this.shown)
      this.isWide = true
    }
    return this.shown
  }

  /** The first row whose key words are those of row p of `probe`, or -1. Reads no column. */
  find(probe: Batch, p: number): number {
    this.probe ??= new Probe(this.keys())
    return this.probe.find(probe, p)
  }

  /**
   * Rows from..to as a consolidated batch, for walking through a shard without holding all of it. If the shard is mapped
   * or already present they are views, else copies (strings included) that need memory for these rows alone. `into` is
   * used again if it came from this method of this shard; what it held is then gone.
   */
  readRows(from: number, to: number, into?: Batch): Batch {
    assert(0 <= from && from <= to && to <= this.rowCount, `rows ${from} to ${to} lie within ${this.rowCount}`)
    if (this.isMapped || this.isComplete()) return this.viewRows(from, to, into)
    this.windows ??= new WindowReader(this.reader, this.fileLayout, this.regions, this.remote)
    if (this.shown === this.batch) return this.windows.read(from, to, into)
    return this.widened(this.windows.read(from, to, undefined))
  }

  private widened(rows: Batch): Batch {
    const wide = new Batch(this.shown.layout)
    this.context.widening?.showKeys(rows, wide)
    this.context.widening?.showColumns(rows, wide)
    return wide
  }

  /**
   * Rows from..to for somebody who looks up a few: a batch with them, and which of its rows is the first. If the shard is
   * not mapped they are read by themselves, until so many have been that reading all of them would have taken as long;
   * then the shard is brought into memory.
   */
  rowsNear(from: number, to: number): { readonly batch: Batch; readonly first: number } {
    if (!this.isMapped && !this.isComplete()) {
      this.readAlone += to - from
      if (this.isReadAlone()) {
        return { batch: this.readRows(from, to), first: 0 }
      }
    }
    return { batch: this.rows(), first: from }
  }

  /** Are a few rows still read by themselves? */
  private isReadAlone(): boolean {
    if (this.sealing === null) return this.readAlone < Math.max(ALONE_ROWS, this.rowCount / ALONE_SHARE)
    // Chunk by chunk, until all of it could have been decrypted at once.
    return this.reader.opened < this.reader.total || !this.hasRoom()
  }

  /** Lets go of the file. Batches that were given out stay valid. */
  close(): void {
    this.source.close()
    this.context.budget?.give(this.openedBytes)
  }

  private isComplete(): boolean {
    return !this.present.includes(false) && (this.isWide || this.shown === this.batch)
  }

  private bringKeys(): void {
    const [keyRegion, weightRegion] = this.regions
    const { batch, rowCount, expected } = this
    const { words } = this.fileLayout.key
    const keys = columnOver('u64', this.verified(keyRegion)) as BigUint64Array
    refuse(this.source.path, keyRegion, findKeyFault(lanesOf(keys), words, rowCount))
    const first = keyAt(keys, words, 0)
    const last = keyAt(keys, words, rowCount - 1)
    if (expected !== null && (first !== expected.minKey || last !== expected.maxKey)) {
      const problem = `expected keys from ${expected.minKey} to ${expected.maxKey}, found ${first} to ${last}`
      throw new CorruptionError(this.source.path, keyRegion.offset, problem)
    }
    const weights = columnOver('i64', this.verified(weightRegion)) as BigInt64Array
    refuse(this.source.path, weightRegion, findWeightFault(lanesOf(weights), rowCount))
    batch.keys = keys
    batch.keys32 = lanesOf(keys)
    batch.setWeights(weights)
    batch.buildFences()
    if (this.shown !== batch) this.context.widening?.showKeys(batch, this.shown)
    this.present[0] = true
    this.present[1] = true
  }

  /** Makes region r present. REQUIRES: keys and weights are. */
  private bring(r: number): void {
    if (this.present[r]) return
    const { batch } = this
    const region = this.regions[r]
    switch (region.kind) {
      case 'nulls':
        batch.nulls = columnOver('u64', this.verified(region)) as BigUint64Array
        batch.nulls32 = lanesOf(batch.nulls)
        break
      case 'heap': {
        const bytes = this.verified(region)
        batch.heap.bytes = bytes
        batch.heap.length = bytes.length
        break
      }
      case 'column':
        this.bringColumn(region, region.column as Column)
        break
      default:
        break
    }
    this.present[r] = true
    // Only cells that are still to be checked ask for it.
    if (!this.present.includes(false)) this.heap = null
  }

  private bringColumn(region: Region, { index, type, info }: Column): void {
    const { batch } = this
    const column = columnOver(info.storage, this.verified(region))
    if (info.storage === 'german') {
      this.bring(this.regions.length - 1)
      this.heap ??= new HeapView(batch.heap.bytes, this.remote !== null)
      refuse(this.source.path, region, findCellFault(lanesOf(column), this.rowCount, this.heap, type === 'string'))
    }
    batch.setColumn(index, column)
  }

  /** A region's bytes. Throws CorruptionError if they are not those that were written. */
  private verified(region: Region): Uint8Array {
    const bytes = this.reader.take(region)
    if (isSealed(this, region)) {
      this.openedBytes += bytes.length
      this.context.budget?.take(bytes.length)
    }
    return bytes
  }

  /** May all of a sealed shard be decrypted into memory? */
  private hasRoom(): boolean {
    const { budget } = this.context
    if (this.sealing === null || budget === undefined) return true
    return budget.hasRoom(this.regions.reduce((sum, region) => sum + region.plainBytes, 0))
  }

  private viewRows(from: number, to: number, into: Batch | undefined): Batch {
    const rows = this.rows()
    const view = into !== undefined && this.views.has(into) ? into : new Batch(this.shown.layout)
    this.views.add(view)
    showRows(rows, from, to, view)
    return view
  }
}

/** The cipher of a sealed shard, if its key was given. */
function cipherFor({ keys = null, fileId }: ShardContext, sealing: Sealing | null, path: string): FileCipher | null {
  if (sealing === null || keys === null) return null
  assert(fileId !== undefined, 'the number of a sealed shard is known')
  return cipherOf(keys, 'shard', fileId, sealing, path)
}

function remoteOf({ values }: ShardContext, path: string): RemoteValues {
  if (values !== undefined) return values
  throw new UsageError(`${path}: it has pointers into a value log, which must be opened with it`)
}

/** The key of a row as a number; 0 if there is no such row. */
function keyAt(keys: BigUint64Array, words: number, row: number): bigint {
  if (row < 0 || row * words >= keys.length) return 0n
  return words === 1 ? keys[row] : (keys[row * 2 + 1] << 64n) | keys[row * 2]
}
