/**
 * The skip list of a MemTable: distinct rows in order, each a node in the staging arena, with a weight that is summed
 * in place. Rows whose weight came to zero stay as ghosts, which nobody sees. Long strings lie in the blob arena.
 *
 * This is what guards the arena; how nodes lie is in `templates/node.js`, the loops over them in
 * `templates/skiplist.js`.
 */
import type { Batch } from '../../zset/batch.js'
import { Heap } from '../../zset/heap.js'
import type { Kernels, NodeList } from '../../zset/kernels.js'
import { hasStrings, longBytes } from '../strings.js'
import { Arena } from './arena.js'

/** Levels of the head and of the tallest nodes: 4^13 nodes are more than an arena holds. */
export const MAX_LEVELS = 13

/** Bytes of a node with `levels` levels before its key. */
const headerBytes = (levels: number): number => roundUp(12 + levels * 4)
const roundUp = (bytes: number): number => (bytes + 15) & ~15

/** The head: a header without a row. */
const HEAD_BYTES = headerBytes(MAX_LEVELS)

/** First state of the generator: any number but zero. Equal insertions make equal lists. */
const SEED = 0x2545f491

/**
 * A batch may fill at most this part of the room for nodes or of that for strings; a larger one is better off as a run
 * of its own. Rows of 44 bytes with random keys enter a table of 300,000, in M rows/s through a list of 1 MiB / as runs
 * that are merged: one by one 2.3 / 0.1, in batches of 16 3.3 / 1.2, of 64 3.6 / 1.9, of 256 4.0 / 2.5, of 1,024 4.7 /
 * 3.3, of 2,048 4.6 / 3.9, of 4,096 4.7 / 4.4. A quarter of the room is 2,340 such rows. Rows of 16 and of 61 bytes
 * have their border at the same part.
 */
const BATCH_PART = 4

export class SkipList extends Arena implements NodeList {
  readonly blob = new Heap()
  readonly path = new Uint32Array(MAX_LEVELS)
  top = 0
  rows = 0
  random = SEED
  /** Bytes of a node of the tallest kind. */
  private readonly nodeBytes: number
  private readonly hasStrings: boolean

  constructor(
    readonly kernels: Kernels,
    limitBytes: number,
  ) {
    super(limitBytes)
    this.nodeBytes = roundUp(HEAD_BYTES + kernels.nodeStride)
    this.hasStrings = hasStrings(kernels.layout)
    this.clear()
  }

  /** Is a batch small enough for the list? */
  takes(batch: Batch): boolean {
    const most = this.limitBytes / BATCH_PART
    return batch.length * this.nodeBytes <= most && this.stringBytes(batch) <= most
  }

  /**
   * Adds a consolidated batch; false, and nothing changes, if there is no room left for it.
   * REQUIRES: no weight leaves i64.
   */
  insert(batch: Batch): boolean {
    if (batch.length === 0) return true
    const strings = this.stringBytes(batch)
    if (this.blob.length + strings > this.limitBytes || !this.reserve(batch.length * this.nodeBytes)) return false
    this.blob.reserve(strings)
    this.kernels.insertNodes(this, batch)
    this.check()
    return true
  }

  private stringBytes(batch: Batch): number {
    return this.hasStrings ? longBytes(batch) : 0
  }

  /** Bytes in use, of nodes and strings. */
  get usedBytes(): number {
    return this.end - HEAD_BYTES + this.blob.length
  }

  /** Appends the rows with the key words of row p of `probe`. */
  find(probe: Batch, p: number, out: Batch): void {
    this.kernels.findNodes(this, probe, p, out)
  }

  /** Appends all rows in order. */
  scan(out: Batch): void {
    out.reserve(this.rows, true)
    out.heap.reserve(this.blob.length)
    this.kernels.scanNodes(this, out)
  }

  /** Forgets all rows and keeps the memory. */
  clear(): void {
    this.words.fill(0, 0, HEAD_BYTES / 4)
    this.path.fill(0)
    this.end = HEAD_BYTES
    this.top = 0
    this.rows = 0
    this.blob.clear()
  }
}
