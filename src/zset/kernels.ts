/**
 * `Kernels`: everything a layer needs to know about one layout as functions over batches. There are two sets with
 * this interface, made by `codegen/kernels.ts`: the templates run as they stand, and the templates specialised to
 * the layout. They are interchangeable, so each is the other's test.
 */
import type { Layout } from '../schema/schema.js'
import type { Batch } from './batch.js'
import type { Heap } from './heap.js'

/** Positions of a merge in progress. */
export interface MergeState {
  i: number
  j: number
}

/**
 * What kernels see of a skip list: an arena of nodes (templates/node.js says how they lie) and a heap of their long
 * strings. `src/storage/memtable/skiplist.ts` makes and guards it.
 */
export interface NodeList {
  /** The arena, three ways. */
  readonly words: Uint32Array
  readonly quads: BigInt64Array
  readonly view: DataView
  readonly blob: Heap
  /** First free byte of the arena. */
  end: number
  /** Levels in use. */
  top: number
  /** Number of nodes, ghosts included. */
  rows: number
  /** By level: the last node before the row that was inserted last. */
  readonly path: Uint32Array
  /** State of the generator that draws the heights; not zero. */
  random: number
}

export interface Kernels {
  readonly layout: Layout
  /** Bytes of one packed row (templates/packed.js). */
  readonly packedStride: number
  /** The total order of rows: negative, 0, positive. */
  compareRows(a: Batch, i: number, b: Batch, j: number): number
  /** The order of rows with equal key words. */
  comparePayload(a: Batch, i: number, b: Batch, j: number): number
  /** The order of keys; a hashed key is told apart by its columns. 0 = the same group. */
  compareGroups(a: Batch, i: number, b: Batch, j: number): number
  /** Copies one row with its weight. */
  copyRow(from: Batch, i: number, to: Batch, k: number): void
  /** REQUIRES: `permutation` sorts `input`. ENSURES: `out` consolidated. */
  consolidate(input: Batch, permutation: Uint32Array, n: number, out: Batch): void
  /** A slice of a two-way merge; true when done. */
  merge(a: Batch, b: Batch, out: Batch, state: MergeState, limit: number): boolean
  /** Merges all runs at once. */
  mergeAll(runs: readonly Batch[], out: Batch, heap: Int32Array, at: Int32Array): void
  /**
   * Appends the merge of rows from[r]..to[r] of four consolidated runs of fixed width to `out` (templates/mergefour.js).
   */
  mergeFour(runs: readonly Batch[], from: Int32Array, to: Int32Array, out: Batch): void
  /**
   * Appends the merge of rows at[r]..ends[r] of every run r to `out`, up to `limit` rows in all; `at` moves on
   * (templates/tournament.js). `heads` and `tree` are scratch.
   */
  tournament(
    runs: readonly Batch[],
    at: Int32Array,
    ends: Int32Array,
    heads: Uint32Array,
    tree: Int32Array,
    out: Batch,
    limit: number,
  ): void
  /** Adds a small delta to a small run in place. */
  absorb(head: Batch, delta: Batch, places: Int32Array): void
  /** First row at or after `from` whose key words are not below those of row p of `probe`. */
  seek(run: Batch, from: number, probe: Batch, p: number): number
  /** Adds the weights `run` gives to delta's rows. */
  lookup(delta: Batch, run: Batch, sums: BigInt64Array): void
  /** Writes rows from..to as packed bytes from `at` on, long strings into `blob`; returns the byte after the last. */
  encodePacked(batch: Batch, from: number, to: number, view: DataView, at: number, blob: Heap): number
  /** Appends `count` packed rows. REQUIRES: `batch` has room for them. */
  decodePacked(view: DataView, at: number, count: number, blob: Uint8Array, batch: Batch): void
  /** Bytes of a skip list's node from its key on. */
  readonly nodeStride: number
  /** The order of a node's payload against that of a row, for equal keys; `key` is the key's word in the arena. */
  compareNode(list: NodeList, key: number, batch: Batch, i: number): number
  /** Adds a consolidated batch to a list. REQUIRES: rows; room in arena and blob for all of it; no weight leaves i64. */
  insertNodes(list: NodeList, batch: Batch): void
  /** Appends the list's rows in order, ghosts left out. REQUIRES: `out` has room for all nodes. */
  scanNodes(list: NodeList, out: Batch): void
  /** Appends the list's rows with the key words of row p of `probe`, ghosts left out. */
  findNodes(list: NodeList, probe: Batch, p: number, out: Batch): void
}
