/**
 * A MemTable: the newest rows of a table, in memory, until they are sealed and written to a shard.
 *
 * Small deltas go into a skip list (specification §6.2), where equal rows are summed at once. Large ones are sorted
 * already, so they become runs as they are. A list that is full becomes a run, too: then its memory, which stays in
 * the processor's cache, serves the next rows. Runs of similar size are merged in the background, so that a lookup
 * sees few. All in all a row's weight is the sum over the list and the runs.
 */
import { assert, quote, UsageError } from '../../base/errors.js'
import { appendRows } from '../../zset/append.js'
import { Batch } from '../../zset/batch.js'
import type { Kernels } from '../../zset/kernels.js'
import { Trace, weightBound } from '../../zset/trace.js'
import type { Lsn } from '../types.js'
import { SkipList } from './skiplist.js'
import { transmute } from './transmute.js'

export interface MemTableOptions {
  /** Occupancy at which it counts as full. */
  readonly capacityBytes?: number
  /** Memory that the skip list may take for nodes, and as much again for their strings. */
  readonly listBytes?: number
}

const DEFAULT_CAPACITY_BYTES = 32 << 20
/**
 * Beyond the processor's cache a search waits for memory. Rows of 44 bytes with random keys enter a table of 300,000,
 * in M rows/s with a list of 128 KiB / 512 KiB / 1 MiB / 2 MiB / 4 MiB / 16 MiB / 64 MiB: one by one 2.0 / 2.5 / 2.5 /
 * 2.6 / 2.3 / 1.3 / 1.1, in batches of 64 2.7 / 3.2 / 3.6 / 3.6 / 3.0 / 1.7 / 1.2.
 */
const LIST_BYTES = 1 << 20
/** A list of more rows is made a run when it is read as one; a shorter one is read again after each change. */
const LIST_READ_ROWS = 256
/** A run is merged with the older one beside it once it is at least half as long. */
const MERGE_RATIO = 2
/** Sums of absolute weights below this cannot overflow an i64. */
const SAFE_BOUND = 2 ** 62

export class MemTable {
  readonly kernels: Kernels
  readonly capacityBytes: number
  sealed = false
  /** LSNs of the first and the last delta; 0 if there are none. */
  minLsn: Lsn = 0n
  maxLsn: Lsn = 0n
  private readonly list: SkipList
  private readonly trace: Trace
  /** Sum of the absolute weights that entered the list. */
  private listBound = 0
  /** Bytes used by the runs. */
  private runBytes = 0
  private current: readonly Batch[] | null = null

  constructor(kernels: Kernels, options: MemTableOptions = {}) {
    assert(kernels.layout.key.words > 0, 'rows of a MemTable have keys')
    this.kernels = kernels
    this.capacityBytes = options.capacityBytes ?? DEFAULT_CAPACITY_BYTES
    this.list = new SkipList(kernels, options.listBytes ?? LIST_BYTES)
    this.trace = new Trace(kernels, `table ${quote(kernels.layout.schema.name)}`, MERGE_RATIO, 0)
  }

  /** Upper bound on the number of distinct rows. */
  get rowCount(): number {
    return this.list.rows + this.trace.rowCount
  }

  /** Upper bound on the absolute weight of any row, and on what a sum over any part of the table can reach. */
  get weightBound(): number {
    return this.trace.weightBound + this.listBound
  }

  /** Bytes that rows and strings take up: what counts against the capacity. */
  get usedBytes(): number {
    return this.list.usedBytes + this.runBytes
  }

  get full(): boolean {
    return this.usedBytes >= this.capacityBytes
  }

  /** Throws WeightOverflowError if, with `delta`, a row's weight in this table would leave i64. Changes nothing seen. */
  prepare(delta: Batch): void {
    if (this.weightBound + weightBound(delta) < SAFE_BOUND) return
    this.spill()
    this.trace.prepare(delta)
  }

  /**
   * Adds a delta. `owned` hands the batch over, so that a large one need not be copied. Throws WeightOverflowError,
   * and UsageError if the table is sealed; then nothing has changed.
   * REQUIRES: `delta` is consolidated; `lsn` is not below that of the delta before. `firstLsn`: if it is the sum of the
   * deltas from there on.
   */
  insert(delta: Batch, lsn: Lsn, owned = false, firstLsn = lsn): void {
    if (this.sealed) throw new UsageError('this MemTable is sealed; rows go to the one that took its place')
    assert(firstLsn > 0n && firstLsn <= lsn && lsn >= this.maxLsn, 'LSNs ascend')
    if (delta.length === 0) return
    assert(delta.order === 'consolidated', 'a MemTable takes consolidated deltas')
    const bound = weightBound(delta)
    const safe = this.weightBound + bound < SAFE_BOUND
    if (!safe) this.prepare(delta)
    if (safe && this.insertIntoList(delta)) this.listBound += bound
    else this.push(owned ? delta : copyOf(delta))
    this.current = null
    if (this.minLsn === 0n) this.minLsn = firstLsn
    this.maxLsn = lsn
  }

  private insertIntoList(delta: Batch): boolean {
    if (!this.list.takes(delta)) return false
    if (this.list.insert(delta)) return true
    this.spill()
    return this.list.insert(delta)
  }

  private push(run: Batch): void {
    this.trace.insert(run, true)
    this.runBytes = this.trace.usedBytes
  }

  /** The list's rows become a run. */
  private spill(): void {
    if (this.list.rows === 0) return
    const run = this.listRun()
    this.list.clear()
    this.listBound = 0
    this.push(run)
    this.current = null
  }

  /** The list's rows, transmuted, without ghosts. */
  private listRun(): Batch {
    const run = new Batch(this.kernels.layout)
    this.list.scan(run)
    run.order = 'consolidated'
    return run
  }

  /** Makes the table read-only. */
  seal(): void {
    this.spill()
    this.sealed = true
  }

  /** All rows as consolidated runs that never change; their sum is the table. The list of runs is valid until `insert`. */
  runs(): readonly Batch[] {
    if (this.current === null) {
      if (this.list.rows > LIST_READ_ROWS) this.spill()
      const run = this.listRun()
      this.current = run.length > 0 ? [...this.trace.batches(), run] : this.trace.batches()
    }
    return this.current
  }

  /**
   * Appends the rows whose key words are those of row p of `probe`, with their weights: a row that lies in several
   * runs is appended several times. REQUIRES: keys of the same number of words.
   */
  lookup(probe: Batch, p: number, out: Batch): void {
    this.list.find(probe, p, out)
    for (const run of this.trace.batches()) appendKey(this.kernels, run, probe, p, out)
  }

  /** One consolidated batch of all rows, which fits exactly, with a heap in which every long string lies once. */
  transmute(): Batch {
    return transmute(this.kernels, this.runs())
  }
}

function copyOf(batch: Batch): Batch {
  const copy = new Batch(batch.layout, batch.length)
  appendRows(batch, 0, batch.length, copy)
  copy.order = batch.order
  return copy
}

/** Appends the rows of a run that have the key of row p of `probe`. */
function appendKey(kernels: Kernels, run: Batch, probe: Batch, p: number, out: Batch): void {
  for (let i = kernels.seek(run, 0, probe, p); i < run.length && sameKey(run, i, probe, p); i++) {
    out.reserve(1)
    kernels.copyRow(run, i, out, out.length)
    out.length++
  }
}

function sameKey(a: Batch, i: number, b: Batch, j: number): boolean {
  const lanes = a.layout.key.words * 2
  for (let l = 0; l < lanes; l++) if (a.keys32[i * lanes + l] !== b.keys32[j * lanes + l]) return false
  return true
}
