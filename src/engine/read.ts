/**
 * Reading tables and views: by key, by range, or as a whole. Two kinds of state can be read. A store is a trace:
 * sorted by a packed key, it is walked where it lies. A group table, or a store under a hashed key, has no order
 * that means anything to a user: it is sorted by its key columns when it is read, once per version.
 */

import { keyLanesOf, readValue } from '../../codegen/expr/plain.js'
import type { CompiledKernels } from '../../codegen/kernels.js'
import { kernelsOf } from '../../codegen/kernels.js'
import { arrangedLayout, type Column, flatLayout, type Layout, type RowSchema } from '../schema/schema.js'
import type { Value } from '../schema/types.js'
import { compareValues } from '../schema/values.js'
import { Batch } from '../zset/batch.js'
import type { GroupTable } from '../zset/groups.js'
import type { Store } from '../zset/store.js'
import { MergeWalk } from './operators/walk.js'

/** One row of a Z-set, where it lies. */
export interface RowRef {
  readonly batch: Batch
  readonly row: number
  readonly weight: bigint
}

/** Bounds over the key columns' values; a prefix of them is enough. Inclusive, except `after`. */
export interface Bounds {
  readonly from: readonly Value[] | null
  readonly to: readonly Value[] | null
  readonly after: readonly Value[] | null
  readonly reverse: boolean
}

export const EVERYTHING: Bounds = Object.freeze({ from: null, to: null, after: null, reverse: false })

export interface Reader {
  /** Rows within bounds in key order, net weight not 0. */
  range(bounds: Bounds): Generator<RowRef>
  /** Rows with exactly this key. */
  find(key: readonly Value[]): Generator<RowRef>
  /** Number of distinct rows and sum of weights. */
  size(): { rows: number; weight: bigint }
}

/** Compares a row's key columns with (a prefix of) key values. */
function compareKey(batch: Batch, row: number, columns: readonly Column[], key: readonly Value[]): number {
  for (let k = 0; k < key.length; k++) {
    const order = compareValues(columns[k].type, readValue(batch, columns[k], row), key[k])
    if (order !== 0) return order
  }
  return 0
}

function isBefore(batch: Batch, row: number, columns: readonly Column[], bounds: Bounds): boolean {
  const { from, after, to, reverse } = bounds
  if (reverse) {
    if (to !== null && compareKey(batch, row, columns, to) > 0) return true
    return after !== null && compareKey(batch, row, columns, after) >= 0
  }
  if (from !== null && compareKey(batch, row, columns, from) < 0) return true
  return after !== null && compareKey(batch, row, columns, after) <= 0
}

function isBeyond(batch: Batch, row: number, columns: readonly Column[], bounds: Bounds): boolean {
  const { from, to, reverse } = bounds
  if (reverse) return from !== null && compareKey(batch, row, columns, from) < 0
  return to !== null && compareKey(batch, row, columns, to) > 0
}

/** Position of the first row (in the direction of reading) that is not before the bounds, by bisection. */
function bisect(length: number, before: (at: number) => boolean): number {
  return gallop(length, length >>> 1, before)
}

/** The number of rows that `before` holds for, given that it holds for the first ones alone; looks near `hint` first. */
export function gallop(rows: number, hint: number, before: (row: number) => boolean): number {
  let low = 0
  let high = rows
  if (hint < rows && before(hint)) {
    low = hint + 1
    for (let step = 1; low + step <= rows; step *= 2) {
      if (!before(low + step - 1)) {
        high = low + step - 1
        break
      }
      low += step
    }
  } else {
    high = hint
    for (let step = 1; high - step >= 0; step *= 2) {
      if (before(high - step)) {
        low = high - step + 1
        break
      }
      high -= step
    }
  }
  while (low < high) {
    const middle = (low + high) >>> 1
    if (before(middle)) low = middle + 1
    else high = middle
  }
  return low
}

class RangeWalk extends MergeWalk {
  /** `hintOf`: a row near which a bound lies in a run. */
  constructor(
    kernels: CompiledKernels,
    private readonly columns: readonly Column[],
    private readonly bounds: Bounds,
    runs: readonly Batch[],
    hintOf: (run: Batch, bound: readonly Value[] | null) => number,
  ) {
    super(kernels)
    const { reverse, from, to, after } = bounds
    this.reset(reverse)
    for (const run of runs) {
      const hint = hintOf(run, after ?? (reverse ? to : from))
      const first = reverse
        ? gallop(run.length, hint, row => !isBefore(run, row, columns, bounds)) - 1
        : gallop(run.length, hint, row => isBefore(run, row, columns, bounds))
      if (first >= 0 && first < run.length && this.inside(run, first)) this.enter(run, first)
    }
  }

  protected override inside(run: Batch, row: number): boolean {
    return !isBeyond(run, row, this.columns, this.bounds)
  }
}

export function* walkRows(walk: MergeWalk): Generator<RowRef> {
  while (walk.next()) if (walk.run !== null) yield { batch: walk.run, row: walk.row, weight: walk.weight }
}

type RunsAt = (probe: Batch) => readonly Batch[]

/** Reads runs under a packed key. */
export class StoreReader implements Reader {
  private readonly columns: readonly Column[]
  private readonly probe: Batch

  /** `runsAt` gives runs with all rows that have the key words of a probe. */
  constructor(
    private readonly kernels: CompiledKernels,
    private readonly key: readonly number[],
    private readonly runs: () => readonly Batch[],
    private readonly runsAt: RunsAt,
  ) {
    const { layout } = kernels
    this.columns = key.map(c => layout.schema.columns[c])
    this.probe = new Batch(layout, 1)
  }

  /** Reads the same rows and, added to them, those of other runs of the same layout. */
  with(others: () => readonly Batch[]): StoreReader {
    return new StoreReader(
      this.kernels,
      this.key,
      () => [...this.runs(), ...others()],
      probe => [...this.runsAt(probe), ...others()],
    )
  }

  *range(bounds: Bounds): Generator<RowRef> {
    const { kernels, columns } = this
    yield* walkRows(new RangeWalk(kernels, columns, bounds, this.runs(), (run, bound) => this.hintOf(run, bound)))
  }

  /** The first row that has the key words of a bound, or would come behind them. */
  private hintOf(run: Batch, bound: readonly Value[] | null): number {
    const { kernels, columns, probe } = this
    if (bound === null || bound.length < kernels.layout.key.columns.length) return run.length >>> 1
    probe.keys32.set(keyLanesOf(kernels.layout, rowOf(columns, bound)))
    return kernels.seek(run, 0, probe, 0)
  }

  *find(key: readonly Value[]): Generator<RowRef> {
    const { kernels, columns, probe } = this
    const { layout } = kernels
    const packed = layout.key.columns.length
    const rest = columns.length === packed ? NO_REST : { columns: columns.slice(packed), values: key.slice(packed) }
    probe.keys32.set(keyLanesOf(layout, rowOf(columns, key)))
    yield* walkRows(new KeyWalk(kernels, probe, this.runsAt(probe), rest))
  }

  size(): { rows: number; weight: bigint } {
    return sizeOf(this.range(EVERYTHING))
  }
}

/** The part of a key that is not in the key words: rows are sorted by it next. */
interface RestOfKey {
  readonly columns: readonly Column[]
  readonly values: readonly Value[]
}

const NO_REST: RestOfKey = { columns: [], values: [] }

/** Rows of runs whose key words are those of the probe, and whose other key columns are the rest. */
class KeyWalk extends MergeWalk {
  constructor(
    kernels: CompiledKernels,
    private readonly probe: Batch,
    runs: readonly Batch[],
    private readonly rest: RestOfKey = NO_REST,
  ) {
    super(kernels)
    this.reset(false)
    for (const run of runs) {
      const at = this.startOf(run)
      if (at < run.length && this.inside(run, at)) this.enter(run, at)
    }
  }

  private startOf(run: Batch): number {
    const { columns, values } = this.rest
    const at = this.kernels.seek(run, 0, this.probe, 0)
    if (columns.length === 0) return at
    return gallop(
      run.length,
      at,
      row => row < at || (this.hasWords(run, row) && compareKey(run, row, columns, values) < 0),
    )
  }

  private hasWords(run: Batch, row: number): boolean {
    const lanes = this.kernels.layout.key.words * 2
    for (let l = 0; l < lanes; l++) if (run.keys32[row * lanes + l] !== this.probe.keys32[l]) return false
    return true
  }

  protected override inside(run: Batch, row: number): boolean {
    return this.hasWords(run, row) && compareKey(run, row, this.rest.columns, this.rest.values) === 0
  }
}

/** Reads one batch through a permutation that sorts it by key columns, made anew for each version. */
class SortedReader implements Reader {
  private order = new Uint32Array(0)
  private batch: Batch | null = null
  private version = -1

  constructor(
    private readonly columns: readonly Column[],
    private readonly snapshot: () => Batch | null,
    private readonly currentVersion: () => number,
  ) {}

  private refresh(): Batch | null {
    const version = this.currentVersion()
    if (version === this.version) return this.batch
    const batch = this.snapshot()
    this.batch = batch
    this.version = version
    if (batch === null) {
      this.order = new Uint32Array(0)
      return null
    }
    const live: number[] = []
    for (let i = 0; i < batch.length; i++) if (batch.weights[i] !== 0n) live.push(i)
    const keys = this.columns.map(column => live.map(i => readValue(batch, column, i)))
    const positions = live.map((_, p) => p)
    positions.sort((p, q) => {
      for (let k = 0; k < keys.length; k++) {
        const order = compareValues(this.columns[k].type, keys[k][p], keys[k][q])
        if (order !== 0) return order
      }
      return p - q
    })
    this.order = Uint32Array.from(positions, p => live[p])
    return batch
  }

  *range(bounds: Bounds): Generator<RowRef> {
    const batch = this.refresh()
    if (batch === null) return
    const { order, columns } = this
    const n = order.length
    const at = (p: number) => order[bounds.reverse ? n - 1 - p : p]
    for (let p = bisect(n, q => isBefore(batch, at(q), columns, bounds)); p < n; p++) {
      if (isBeyond(batch, at(p), columns, bounds)) return
      yield { batch, row: at(p), weight: batch.weights[at(p)] }
    }
  }

  find(key: readonly Value[]): Generator<RowRef> {
    return this.range({ from: key, to: key, after: null, reverse: false })
  }

  size(): { rows: number; weight: bigint } {
    return sizeOf(this.range(EVERYTHING))
  }
}

/** Reads runs under a hashed key: single keys by their hash. */
class HashedReader extends SortedReader {
  private readonly probe: Batch

  constructor(
    private readonly kernels: CompiledKernels,
    private readonly keys: readonly Column[],
    private readonly runsAt: RunsAt,
    whole: () => Batch | null,
    version: () => number,
  ) {
    super(keyColumns(kernels.layout.schema, keys), whole, version)
    this.probe = new Batch(kernels.layout, 1)
  }

  override *find(key: readonly Value[]): Generator<RowRef> {
    this.probe.keys32.set(keyLanesOf(this.kernels.layout, rowOf(this.keys, key)))
    for (const ref of walkRows(new KeyWalk(this.kernels, this.probe, this.runsAt(this.probe)))) {
      if (compareKey(ref.batch, ref.row, this.keys, key) === 0) yield ref
    }
  }
}

/** Reads group rows whose key is the group's: single groups by the table's own index. */
class GroupReader extends SortedReader {
  private readonly layout: Layout

  constructor(
    private readonly table: GroupTable,
    private readonly keys: readonly Column[],
    version: () => number,
  ) {
    const { schema } = table.rows.layout
    super(keyColumns(schema, keys), () => table.allRows(), version)
    const { groupColumns } = table
    this.layout = arrangedLayout(
      schema,
      Array.from({ length: groupColumns }, (_, c) => c),
    )
  }

  override *find(key: readonly Value[]): Generator<RowRef> {
    const { table, keys } = this
    const lanes = Uint32Array.from(keyLanesOf(this.layout, rowOf(keys, key)))
    let row = table.find(lanes, 0, slot => compareKey(table.rows, slot, keys, key) === 0)
    if (row < 0 && table.source !== null) row = table.source.lookup(rowOf(keys, key))
    if (row < 0) return
    const batch = table.rowOf(row)
    if (batch.weights[row] !== 0n) yield { batch, row, weight: batch.weights[row] }
  }
}

/** Key values by column index. */
function rowOf(columns: readonly Column[], key: readonly Value[]): Value[] {
  const values: Value[] = []
  columns.forEach((column, k) => {
    values[column.index] = key[k]
  })
  return values
}

export function sizeOf(rows: Iterable<RowRef>): { rows: number; weight: bigint } {
  let count = 0
  let sum = 0n
  for (const { weight } of rows) {
    count++
    sum += weight
  }
  return { rows: count, weight: sum }
}

/**
 * The layout of a store that is read by `key`: as many of its first columns as fit a packed key, the rest of the key
 * next in the order. A key that begins with text is hashed.
 */
export function storeLayout(schema: RowSchema, key: readonly number[]): Layout {
  let packed = 0
  for (let n = 1; n <= key.length; n++) {
    if (arrangedLayout(schema, key.slice(0, n)).key.kind !== 'packed') break
    packed = n
  }
  if (packed === 0) return arrangedLayout(schema, key)
  return arrangedLayout(
    schema,
    key.slice(0, packed),
    key.slice(packed).map(index => ({ index, descending: false })),
  )
}

/**
 * A reader by `key` of rows that are the sum of runs: `runs` gives them, `whole` the same as one batch, `runsAt` at least
 * the rows that have the key words of a probe. All are asked again by every reading; `version` counts changes.
 */
export function runsReader(
  kernels: CompiledKernels,
  key: readonly number[],
  runs: () => readonly Batch[],
  whole: () => Batch | null,
  version: () => number,
  runsAt: RunsAt = runs,
): Reader {
  const { layout } = kernels
  if (layout.key.kind === 'packed') return new StoreReader(kernels, key, runs, runsAt)
  const columns = key.map(c => layout.schema.columns[c])
  return new HashedReader(kernels, columns, runsAt, whole, version)
}

/** A reader of a store by `key`; `version` counts its changes, `flushed` is told when its tail was arranged. */
export function storeReader(
  store: Store,
  kernels: CompiledKernels,
  key: readonly number[],
  version: () => number,
  flushed: () => void,
): Reader {
  const flush = () => {
    store.flush()
    flushed()
    return store.trace
  }
  return runsReader(
    kernels,
    key,
    () => flush().batches(),
    () => flush().compact(),
    version,
    probe => flush().batchesAt(probe, 0),
  )
}

/** A reader of group rows. */
export function groupReader(table: GroupTable, key: readonly number[], version: () => number): Reader {
  const { schema } = table.rows.layout
  const keys = key.map(c => schema.columns[c])
  const { groupColumns } = table
  const isGroup = keys.length === groupColumns && keys.every(column => column.index < groupColumns)
  if (isGroup && groupColumns > 0) return new GroupReader(table, keys, version)
  return new SortedReader(keyColumns(schema, keys), () => table.allRows(), version)
}

/** Key columns first, then the others: with a short key, rows still come in a fixed order. */
export function keyColumns(schema: RowSchema, keys: readonly Column[]): Column[] {
  return [...keys, ...schema.columns.filter(column => !keys.includes(column))]
}

/** Sorts and consolidates the rows of a delta by all columns: what subscribers see. */
export function consolidated(layout: Layout, batch: Batch, from: number, to: number): RowRef[] {
  const flat = flatLayout(layout.schema)
  const compare = kernelsOf({
    ...flat,
    order: flat.schema.columns.map(column => ({ column, descending: false })),
  }).comparePayload
  const rows = Array.from({ length: to - from }, (_, i) => from + i).sort((i, j) => compare(batch, i, batch, j))
  const out: { batch: Batch; row: number; weight: bigint }[] = []
  for (const row of rows) {
    const last = out[out.length - 1]
    if (last !== undefined && compare(batch, last.row, batch, row) === 0) last.weight += batch.weights[row]
    else out.push({ batch, row, weight: batch.weights[row] })
  }
  return out.filter(ref => ref.weight !== 0n)
}
