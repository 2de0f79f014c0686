/**
 * A trace: the integral of a stream of deltas, kept as sorted runs.
 *
 * Small deltas are absorbed in place by `head`, a run of at most `HEAD_ROWS` rows; larger ones, and a full head,
 * become runs of their own. Two neighbouring runs of similar size are merged in the background: every insertion
 * pays a bounded amount of that work (fuel), so no single step pays for a large merge. Readers see the rows of
 * `batches()`: a row's weight is the sum over them, and weights of zero may occur (ghosts).
 *
 * The oldest rows may be cold: runs in shards, which the owner puts there (`takeHot`) and which are read like others.
 *
 * Weights cannot overflow unnoticed: `bound` is an upper bound of any row's integrated weight, raised by each
 * delta's weights. Only when it nears the limit of i64 are sums looked at one by one (`prepare`).
 */
import { WeightOverflowError } from '../base/errors.js'
import { Batch } from './batch.js'
import type { Cold } from './cold.js'
import type { Kernels, MergeState } from './kernels.js'

/** Rows that the in-place head may hold. */
export const HEAD_ROWS = 256
/** Rows of background merging per merge and inserted row. */
const FUEL_PER_ROW = 32
/** Fuel is saved up to this before merges are resumed, so that one-row changes do not pay for the resuming. */
const FUEL_SLICE = 1024
/** Strings of up to so many bytes are moved at once to make room for more. */
const MOVED_BYTES = 1 << 24
/** A run whose heap is more than so many times what its rows refer to gets another one. */
const WASTE = 1.5
/** Above this bound weights are checked one by one. */
const SAFE_BOUND = 2 ** 62

interface Merge {
  readonly a: Batch
  readonly b: Batch
  readonly out: Batch
  readonly state: MergeState
}

export class Trace {
  readonly kernels: Kernels
  /** Older and larger runs first. */
  private runs: Batch[] = []
  private readonly head: Batch
  private readonly places: Int32Array
  private merges: Merge[] = []
  private visible: readonly Batch[] | null = null
  private cold: Cold | null = null
  /** Of the cold runs in `visible`. */
  private coldVersion = 0
  private fuel = 0
  private bound = 0
  private exact = false

  constructor(
    kernels: Kernels,
    private readonly name: string,
    /**
     * A run is merged with its older neighbour once it is at least 1/mergeRatio of its size: more means fewer runs to
     * search and more merging.
     */
    private readonly mergeRatio = 4,
    /** Rows that the head may hold; 0 if every delta is to become a run that nothing changes. */
    private readonly headRows = HEAD_ROWS,
  ) {
    this.kernels = kernels
    this.head = new Batch(kernels.layout, headRows)
    this.head.order = 'sorted'
    this.places = new Int32Array(headRows)
  }

  /** Adds rows that lie in shards. REQUIRES: it is done once. */
  attach(cold: Cold): void {
    this.cold = cold
    this.visible = null
  }

  /** The runs that make up the trace, cold ones first and the head last; valid until the next insertion. */
  batches(): readonly Batch[] {
    const { cold } = this
    if (cold !== null && cold.version !== this.coldVersion) this.visible = null
    if (this.visible === null) {
      this.visible = cold === null ? this.hot() : [...cold.runs(), ...this.hot()]
      if (cold !== null) this.coldVersion = cold.version
    }
    return this.visible
  }

  private hot(): Batch[] {
    return this.head.length > 0 ? [...this.runs, this.head] : [...this.runs]
  }

  /** Runs with all rows whose key words are those of row p of `probe`; they may lack others. Valid as `batches` are. */
  batchesAt(probe: Batch, p: number): readonly Batch[] {
    const { cold } = this
    return cold === null ? this.batches() : [...cold.runsAt(probe, p), ...this.hot()]
  }

  /** Upper bound on the number of distinct rows. */
  get rowCount(): number {
    return this.hotRows + (this.cold?.rowCount ?? 0)
  }

  private get hotRows(): number {
    let rows = this.head.length
    for (const run of this.runs) rows += run.length
    return rows
  }

  /** No row's integrated weight is larger than this in absolute value. */
  get weightBound(): number {
    return this.bound + (this.cold?.weightBound ?? 0)
  }

  get usedBytes(): number {
    let bytes = this.head.usedBytes + (this.cold?.sizeBytes ?? 0)
    for (const run of this.runs) bytes += run.usedBytes
    return bytes
  }

  /** Memory of the rows that are not cold. */
  get hotBytes(): number {
    return this.hotRows === 0 ? 0 : this.allocatedBytes
  }

  get allocatedBytes(): number {
    let bytes = this.head.allocatedBytes
    for (const run of this.runs) bytes += run.allocatedBytes
    for (const merge of this.merges) bytes += merge.out.allocatedBytes
    return bytes
  }

  /**
   * Must be called before `insert` of the same delta, while the step can still be given up.
   * Throws WeightOverflowError, and changes nothing that can be seen, if a row's weight would leave i64.
   */
  prepare(delta: Batch): void {
    const added = weightBound(delta)
    if (this.cold === null && this.bound + added < SAFE_BOUND) return
    if (this.weightBound + added < SAFE_BOUND) return
    this.compactHot()
    let largest = 0
    for (const run of this.runs) largest = Math.max(largest, largestWeight(run))
    this.bound = largest
    this.exact = this.weightBound + added >= SAFE_BOUND
    if (!this.exact) return
    // Sums of parts may leave i64 and come back: what is added up modulo 2^64 comes out right.
    const sums = new BigInt64Array(delta.length)
    for (const run of this.batches()) this.kernels.lookup(delta, run, sums)
    for (let i = 0; i < delta.length; i++) {
      const sum = sums[i] + delta.weights[i]
      if (BigInt.asIntN(64, sum) !== sum) throw new WeightOverflowError(this.name)
    }
  }

  /**
   * Adds a consolidated delta. `owned` hands the batch over; otherwise its rows are copied.
   * REQUIRES: `prepare(delta)` was called and did not throw.
   */
  insert(delta: Batch, owned: boolean): void {
    const n = delta.length
    if (n === 0) return
    this.bound += weightBound(delta)
    if (n <= this.headRows >> 2) {
      if (this.head.length + n > this.headRows) this.sealHead()
      const before = this.head.length
      this.kernels.absorb(this.head, delta, this.places)
      if (before === 0 || this.head.length === 0) this.visible = null
    } else {
      this.push(owned ? delta : this.copyOf(delta))
    }
    this.fuel += n * FUEL_PER_ROW
    if (this.fuel >= FUEL_SLICE) {
      this.work(this.fuel)
      this.fuel = 0
    }
    if (this.exact) this.compactHot()
  }

  /** All rows as one consolidated run, null if there are none. What is not cold is merged for good. */
  compact(): Batch | null {
    const hot = this.compactHot()
    const cold = this.cold?.runs() ?? []
    if (cold.length === 0) return hot
    if (cold.length === 1 && hot === null) return cold[0]
    const all = this.mergeAll(hot === null ? cold : [...cold, hot])
    return all.length > 0 ? all : null
  }

  /** Finishes all merging and gives what is not cold, which stays as it is: afterwards there is at most one run that is not cold, consolidated. */
  compactHot(): Batch | null {
    if (this.head.length > 0) this.sealHead()
    if (this.runs.length > 1 || (this.runs.length === 1 && this.runs[0].order !== 'consolidated')) {
      const out = this.mergeAll(this.runs)
      this.runs = out.length > 0 ? [out] : []
      this.merges = []
      this.visible = null
    }
    return this.runs[0] ?? null
  }

  private mergeAll(runs: readonly Batch[]): Batch {
    const out = new Batch(
      this.kernels.layout,
      runs.reduce((rows, run) => rows + run.length, 0),
    )
    out.heap.expected = runs.reduce((bytes, run) => bytes + run.heap.length, 0)
    this.kernels.mergeAll(runs, out, new Int32Array(runs.length), new Int32Array(runs.length))
    out.order = 'consolidated'
    fit(out)
    out.buildFences()
    return out
  }

  /** Takes out all rows that are not cold, as one consolidated run: the caller puts them into shards, or back. */
  takeHot(): Batch | null {
    const hot = this.compactHot()
    // Bytes that no row refers to must not get into shards.
    if (hot !== null && hot.stringBytes() < hot.heap.length) hot.ownHeap()
    this.runs = []
    this.bound = 0
    this.visible = null
    return hot
  }

  /** Puts rows back that could not be written. REQUIRES: consolidated; from `takeHot`. */
  putBack(hot: Batch): void {
    this.bound += weightBound(hot)
    this.push(hot)
  }

  /**
   * Drops rows for good: `select` is given all rows as one consolidated run and tells which. REQUIRES: nobody reads the
   * trace; no row of those will be inserted again.
   */
  cut(select: (rows: Batch) => (row: number) => boolean): void {
    this.reweigh(rows => {
      const isGone = select(rows)
      return row => (isGone(row) ? 0n : rows.weights[row])
    })
  }

  /** The same with new weights for all rows, 0 for those that go. Of what lies in shards the difference is inserted. */
  reweigh(select: (rows: Batch) => (row: number) => bigint): void {
    const all = this.compact()
    if (all === null) return
    const weightOf = select(all)
    const inMemory = (this.cold?.rowCount ?? 0) === 0
    const out = new Batch(this.kernels.layout)
    let isSame = true
    for (let row = 0; row < all.length; row++) {
      const weight = weightOf(row)
      if (weight !== all.weights[row]) isSame = false
      const put = inMemory ? weight : weight - all.weights[row]
      if (put === 0n) continue
      out.reserve(1)
      this.kernels.copyRow(all, row, out, out.length)
      out.weights[out.length++] = put
    }
    out.order = 'consolidated'
    if (inMemory) {
      if (isSame) return
      this.bound = Math.max(this.bound, largestWeight(out))
      fit(out)
      out.buildFences()
      this.runs = out.length > 0 ? [out] : []
      this.merges = []
      this.visible = null
    } else if (out.length > 0) {
      this.prepare(out)
      this.insert(out, true)
    }
  }

  private copyOf(batch: Batch): Batch {
    const copy = new Batch(batch.layout, batch.length)
    for (let i = 0; i < batch.length; i++) this.kernels.copyRow(batch, i, copy, i)
    copy.length = batch.length
    copy.order = batch.order
    return copy
  }

  /** The head's rows become a run (ghosts and all: the next merge drops them). */
  private sealHead(): void {
    const run = this.copyOf(this.head)
    run.order = 'sorted'
    this.head.clear()
    this.head.order = 'sorted'
    this.push(run)
  }

  private push(run: Batch): void {
    run.buildFences()
    this.runs.push(run)
    this.visible = null
    this.startMerges()
  }

  /** Starts a merge of every two idle neighbours of which the newer is not much smaller than the older. */
  private startMerges(): void {
    const runs = this.runs
    for (let r = runs.length - 1; r > 0; r--) {
      const a = runs[r - 1]
      const b = runs[r]
      if (b.length * this.mergeRatio < a.length || this.merging(a) || this.merging(b)) continue
      const out = new Batch(this.kernels.layout, a.length + b.length)
      placeStrings(a, b, out)
      this.merges.push({ a, b, out, state: { i: 0, j: 0 } })
      r--
    }
  }

  private merging(run: Batch): boolean {
    for (const merge of this.merges) if (merge.a === run || merge.b === run) return true
    return false
  }

  private work(fuel: number): void {
    if (this.merges.length === 0) return
    let finished = false
    for (const merge of this.merges) {
      if (this.kernels.merge(merge.a, merge.b, merge.out, merge.state, fuel)) finished = true
    }
    if (!finished) return
    for (const merge of this.merges.filter(isDone)) this.replace(merge)
    this.merges = this.merges.filter(merge => !isDone(merge))
    this.startMerges()
  }

  private replace(merge: Merge): void {
    const { a, b, out } = merge
    out.order = 'consolidated'
    fit(out)
    if (out.length < a.length + b.length && out.stringBytes() * WASTE < out.heap.length) out.ownHeap()
    out.buildFences()
    const at = this.runs.indexOf(a)
    this.runs.splice(at, 2, ...(out.length > 0 ? [out] : []))
    this.visible = null
  }
}

/**
 * Strings of the longer run stay where they are, and those of the other come to them, if there is room or little to move.
 * Otherwise the merge copies all of them, bit by bit, and leaves room for later merges.
 */
function placeStrings(a: Batch, b: Batch, out: Batch): void {
  const bytes = a.heap.length + b.heap.length
  if (bytes === 0) return
  if (a.heap.length > 0 && (bytes <= a.heap.bytes.length || bytes <= MOVED_BYTES)) out.shareHeap(a)
  else out.heap.expected = Math.ceil(bytes * 1.5)
}

function isDone(merge: Merge): boolean {
  return merge.state.i === merge.a.length && merge.state.j === merge.b.length
}

/** Gives memory back when much of what was reserved is not used. */
function fit(run: Batch): void {
  if (run.length < run.capacity * 0.85) run.resize(run.length)
}

/** Sum of the absolute weights of rows from..to (all by default), as a double. */
export function weightBound(batch: Batch, from = 0, to = batch.length): number {
  const words = batch.weights32
  let sum = 0
  for (let i = from, at = from * 2; i < to; i++, at += 2) {
    sum += Math.abs((words[at + 1] | 0) * 4294967296 + words[at])
  }
  return sum
}

function largestWeight(batch: Batch): number {
  const words = batch.weights32
  let largest = 0
  for (let i = 0, at = 0; i < batch.length; i++, at += 2) {
    largest = Math.max(largest, Math.abs((words[at + 1] | 0) * 4294967296 + words[at]))
  }
  return largest
}
