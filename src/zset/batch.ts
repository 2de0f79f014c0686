/**
 * `Batch`: rows of a Z-set as columns in typed arrays, with one weight per row.
 *
 * Regions: `keys` (arranged layouts), `weights`, `nulls` (if the schema has nullable columns), one region per
 * stored column, and one blob heap for long strings. `lanes[c]` is a Uint32Array over the same memory as
 * `columns[c]` wherever elements are 32 bits or wider; likewise `keys32`, `weights32`, `nulls32`.
 *
 * The layout ladder: a batch is `raw` (any order, rows may repeat, weights may be zero), `sorted` (by the
 * layout's order) or `consolidated` (sorted, no row twice, no weight zero). Kernels state what they require and
 * what they ensure; nobody sets `order` by hand except the kernel that established it.
 */
import { assert } from '../base/errors.js'
import type { Column, Layout } from '../schema/schema.js'
import type { Storage } from '../schema/types.js'
import { type Directory, DirectoryBuilder, NO_DIRECTORY } from './directory.js'
import { Heap, INLINE_BYTES } from './heap.js'
import { copyString } from './strings.js'
import type { Texts } from './texts.js'

export type ColumnArray =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | Float32Array
  | Float64Array
  | BigInt64Array
  | BigUint64Array

export type Order = 'raw' | 'sorted' | 'consolidated'

/** Elements per row of a column region. */
export function stride(storage: Storage): number {
  return storage === 'german' ? 4 : storage === 'w128' ? 2 : 1
}

/** A new column region for `rows` rows. */
export function allocateColumn(storage: Storage, rows: number): ColumnArray {
  return new REGIONS[storage](rows * stride(storage))
}

/** What a column region is an array of. */
const REGIONS = {
  u8: Uint8Array,
  i8: Int8Array,
  u16: Uint16Array,
  i16: Int16Array,
  u32: Uint32Array,
  i32: Int32Array,
  f32: Float32Array,
  f64: Float64Array,
  i64: BigInt64Array,
  u64: BigUint64Array,
  w128: BigUint64Array,
  german: Uint32Array,
}

/** Shared by all columns without rows. */
const EMPTY: Readonly<Record<Storage, ColumnArray>> = {
  u8: new Uint8Array(0),
  i8: new Int8Array(0),
  u16: new Uint16Array(0),
  i16: new Int16Array(0),
  u32: new Uint32Array(0),
  i32: new Int32Array(0),
  f32: new Float32Array(0),
  f64: new Float64Array(0),
  i64: new BigInt64Array(0),
  u64: new BigUint64Array(0),
  w128: new BigUint64Array(0),
  german: new Uint32Array(0),
}
const NO_LANES = new Uint32Array(0)
const NO_WEIGHTS = new BigInt64Array(0)
const NO_WORDS = new BigUint64Array(0)

/** The 32-bit words of an array's memory; empty if its elements are narrower than 32 bits. */
export function lanesOf(array: ColumnArray): Uint32Array {
  if (array.BYTES_PER_ELEMENT < 4 || array.length === 0) return NO_LANES
  if (array instanceof Uint32Array) return array
  return new Uint32Array(array.buffer, array.byteOffset, array.byteLength >> 2)
}

/** A sample of a run's keys, laid out as in `keys32`. */
export interface Fences {
  readonly keys32: Uint32Array
  readonly length: number
}

const NO_FENCES: Fences = { keys32: new Uint32Array(0), length: 0 }
/** The templates know this number. */
const FENCE_ROWS = 64
/** Shorter runs are searched as they are. */
const FENCED_RUN_ROWS = 2048
/** Batches of so few rows lie in one piece of memory. */
const ONE_PIECE_ROWS = 32
/** Growing batches double up to here, and grow by a quarter from there on. */
const DOUBLED_ROWS = 1 << 15
/** A run gets a directory once more keys have been looked for than a DIRECTORY_SHARE-th of its rows. */
const DIRECTORY_SHARE = 8
/** Rows of it that are made for each further key. */
const ROWS_PER_SEARCH = 16

export class Batch {
  readonly layout: Layout
  /** Rows in use. */
  length = 0
  /** Rows that fit without growing. */
  capacity: number
  order: Order = 'raw'
  keys: BigUint64Array = NO_WORDS
  keys32: Uint32Array = NO_LANES
  weights: BigInt64Array
  weights32: Uint32Array
  nulls: BigUint64Array = NO_WORDS
  nulls32: Uint32Array = NO_LANES
  /** By column index; an empty array where the column is not stored. */
  readonly columns: ColumnArray[]
  /** By column index: 32-bit words of the column's memory. */
  readonly lanes: Uint32Array[]
  /** Keys of every FENCE_ROWS-th row, for searching a long run; empty unless `buildFences` was called. */
  fences: Fences = NO_FENCES
  /** For searching a long run that is searched often. */
  directory: Directory = NO_DIRECTORY
  /** Keys looked for so far, while there is no directory. */
  private searched = 0
  private builder: DirectoryBuilder | null = null
  /** Replaced only to share another batch's heap. */
  heap: Heap
  /** Long strings that are not in their cells yet; null if all are. */
  texts: Texts | null = null
  /** Cells of another batch refer to the heap, too. */
  private isShared = false

  constructor(layout: Layout, capacity = 0) {
    this.layout = layout
    this.capacity = capacity
    const { columns } = layout.schema
    this.weights = NO_WEIGHTS
    this.weights32 = NO_LANES
    this.columns = columns.map(c => EMPTY[c.info.storage])
    this.lanes = columns.map(() => NO_LANES)
    this.heap = new Heap()
    if (capacity > 0) this.resize(capacity)
  }

  /**
   * Makes room for `count` more rows; regions move when they grow, so read them again afterwards.
   * `exact` grows to just what is asked (for state that stays), else by at least a quarter.
   */
  reserve(count: number, exact = false): void {
    const need = this.length + count
    if (need <= this.capacity) return
    const grown = this.capacity < DOUBLED_ROWS ? this.capacity * 2 : Math.ceil(this.capacity * 1.25)
    this.resize(exact ? need : Math.max(need, grown, 16))
  }

  /** Moves every region to new memory of exactly `capacity` rows. REQUIRES: `capacity >= length`. */
  resize(capacity: number): void {
    assert(capacity >= this.length, 'a batch is not cut by resizing')
    if (this.length === 0 && capacity > 0 && capacity <= ONE_PIECE_ROWS) {
      this.layOut(capacity, 0)
      return
    }
    const { key, stored } = this.layout
    this.capacity = capacity
    if (key.words > 0) {
      this.keys = regrown(this.keys, new BigUint64Array(capacity * key.words), this.length * key.words)
      this.keys32 = lanesOf(this.keys)
    }
    this.setWeights(regrown(this.weights, new BigInt64Array(capacity), this.length))
    this.resizeNulls(capacity)
    for (const c of stored) this.resizeColumn(c, capacity)
  }

  /**
   * Puts all regions, and room for `heapBytes` of long strings unless that is 0, into one new piece of memory: most
   * transactions are small, and making the arrays one by one would take longer than filling them. REQUIRES: no rows.
   */
  layOut(rows: number, heapBytes: number): void {
    const { key, schema, stored } = this.layout
    // Regions that are viewed as 64-bit words come first, so that all are aligned.
    const wide = rows * (key.words + 1 + schema.nullWords) * 8
    let bytes = wide + heapBytes
    for (const { info } of stored) bytes += aligned(rows * info.sizeBytes)
    const memory = new ArrayBuffer(bytes)
    this.capacity = rows
    let at = rows * key.words * 8
    if (key.words > 0) {
      this.keys = new BigUint64Array(memory, 0, rows * key.words)
      this.keys32 = new Uint32Array(memory, 0, rows * key.words * 2)
    }
    this.weights = new BigInt64Array(memory, at, rows)
    this.weights32 = new Uint32Array(memory, at, rows * 2)
    at += rows * 8
    if (schema.nullWords > 0) {
      this.nulls = new BigUint64Array(memory, at, rows * schema.nullWords)
      this.nulls32 = new Uint32Array(memory, at, rows * schema.nullWords * 2)
      at = wide
    }
    for (const { index, info } of stored) {
      this.columns[index] = new REGIONS[info.storage](memory, at, rows * stride(info.storage))
      if (info.sizeBytes >= 4) this.lanes[index] = new Uint32Array(memory, at, (rows * info.sizeBytes) / 4)
      at += aligned(rows * info.sizeBytes)
    }
    if (heapBytes > 0) this.heap.bytes = new Uint8Array(memory, at, heapBytes)
  }

  /** One region alone: for an owner that does without some of them. */
  resizeNulls(capacity: number): void {
    const { nullWords } = this.layout.schema
    if (nullWords === 0) return
    this.nulls = regrown(this.nulls, new BigUint64Array(capacity * nullWords), this.length * nullWords)
    this.nulls32 = lanesOf(this.nulls)
  }

  /** The same for a column. */
  resizeColumn({ index, info: { storage } }: Column, capacity: number): void {
    this.setColumn(
      index,
      regrown(this.columns[index], allocateColumn(storage, capacity), this.length * stride(storage)),
    )
  }

  /** Puts a region in place of a column's: how a user's typed array enters without a copy. */
  setColumn(index: number, array: ColumnArray): void {
    this.columns[index] = array
    this.lanes[index] = lanesOf(array)
  }

  setWeights(weights: BigInt64Array): void {
    this.weights = weights
    this.weights32 = lanesOf(weights)
  }

  /** Samples the keys of a long run. REQUIRES: sorted, and never changed again. */
  buildFences(): void {
    if (this.length < FENCED_RUN_ROWS) return
    const lanes = this.layout.key.words * 2
    const count = Math.ceil(this.length / FENCE_ROWS)
    const keys32 = new Uint32Array(count * lanes)
    for (let f = 0; f < count; f++) {
      for (let l = 0; l < lanes; l++) keys32[f * lanes + l] = this.keys32[f * FENCE_ROWS * lanes + l]
    }
    this.fences = { keys32, length: count }
  }

  /**
   * To be called before `count` keys are looked for: a run that is searched for long gets a directory, and the searches
   * pay for it in proportion to their number. REQUIRES: as for `buildFences`.
   */
  willSearch(count: number): void {
    if (this.fences.length === 0 || this.directory.buckets > 0) return
    this.searched += count
    if (this.searched * DIRECTORY_SHARE < this.length) return
    this.builder ??= new DirectoryBuilder(this)
    const directory = this.builder.work(count * ROWS_PER_SEARCH)
    if (directory === null) return
    this.directory = directory
    this.builder = null
  }

  /**
   * Puts long strings where those of `other` are, so that cells copied from there stay as they are. The heap then belongs
   * to both, and only grows. REQUIRES: no rows.
   */
  shareHeap(other: Batch): void {
    this.heap = other.heap
    this.isShared = true
    other.isShared = true
  }

  /** Gives the rows a heap of their own, with nothing in it but their strings. */
  ownHeap(): void {
    const fresh = new Heap(this.stringBytes())
    for (const lanes of this.stringLanes()) {
      for (let i = 0; i < this.length; i++) copyString(lanes, i * 4, this.heap, lanes, i * 4, fresh)
    }
    this.heap = fresh
    this.isShared = false
  }

  /** Bytes in the heap that the rows refer to. */
  stringBytes(): number {
    let bytes = 0
    for (const lanes of this.stringLanes()) {
      for (let i = 0, at = 0; i < this.length; i++, at += 4) if (lanes[at] > INLINE_BYTES) bytes += lanes[at]
    }
    return bytes
  }

  private stringLanes(): Uint32Array[] {
    return this.layout.stored.filter(c => c.info.storage === 'german').map(c => this.lanes[c.index])
  }

  /** Forgets the rows, keeps the memory that is its own. */
  clear(): void {
    this.length = 0
    this.order = 'raw'
    if (this.texts !== null) this.texts.clear()
    if (!this.isShared) {
      if (this.heap.length > 0) this.heap.clear()
      return
    }
    const { length } = this.heap
    this.heap = new Heap()
    this.heap.expected = length
    this.isShared = false
  }

  /** Forgets the rows and gives the memory back. */
  release(): void {
    this.clear()
    this.resize(0)
    this.heap.bytes = new Uint8Array(0)
  }

  /** Bytes of memory held by the regions and the heap. */
  get allocatedBytes(): number {
    let bytes = this.keys.byteLength + this.weights.byteLength + this.nulls.byteLength + this.heap.bytes.byteLength
    bytes += this.fences.keys32.byteLength + this.directory.starts.byteLength + (this.builder?.allocatedBytes ?? 0)
    for (const c of this.columns) bytes += c.byteLength
    return bytes
  }

  /** Bytes of the rows in use: what the data themselves need. */
  get usedBytes(): number {
    const { schema, key, stored } = this.layout
    let perRow = key.words * 8 + 8 + schema.nullWords * 8
    for (const c of stored) perRow += c.info.sizeBytes
    return perRow * this.length + this.heap.length
  }
}

/** Rounded up to whole 64-bit words. */
function aligned(bytes: number): number {
  return Math.ceil(bytes / 8) * 8
}

function regrown<T extends ColumnArray>(from: T, to: T, elements: number): T {
  // `set` of a whole array of the same kind is a memory copy.
  ;(to as { set(source: unknown): void }).set(from.length === elements ? from : from.subarray(0, elements))
  return to
}
