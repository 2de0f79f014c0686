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
}
