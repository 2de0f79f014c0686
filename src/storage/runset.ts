/**
 * A run set: the parts whose sum is a table at one moment, and reading them as one. Shards are looked up by key first,
 * and their columns are touched only for keys that are there (materialisation barrier, specification §8.4).
 */
import { UsageError } from '../base/errors.js'
import { Arranger } from '../zset/arrange.js'
import { Batch } from '../zset/batch.js'
import type { Kernels } from '../zset/kernels.js'
import { sameKey } from '../zset/keys.js'
import type { RemoteValues } from '../zset/remote.js'
import { weightBound } from '../zset/trace.js'
import { boundsIn, MergeCursor, WindowCursor } from './compaction/cursor.js'
import type { Shard } from './shard/reader.js'
import { showRows } from './shard/views.js'
import type { Lsn } from './types.js'
import type { Cursor, KeyBounds, Snapshot } from './zstore.js'

/** Sums of absolute weights below this cannot overflow an i64. */
const SAFE_BOUND = 2 ** 62

/** More rows under one key are not looked up by themselves. */
const FEW_ROWS = 64

/** Rows in memory: a MemTable, or what it was at some moment. */
export interface MemoryPart {
  /** Appends the rows whose key words are those of row p of `probe`, with their weights. */
  lookup(probe: Batch, p: number, out: Batch): void
  /** All rows as consolidated runs that never change. */
  runs(): readonly Batch[]
}

/** Runs that never change, kept for a snapshot. */
class Frozen implements MemoryPart {
  private readonly all: readonly Batch[]

  constructor(
    private readonly kernels: Kernels,
    parts: readonly MemoryPart[],
  ) {
    this.all = parts.flatMap(part => part.runs())
  }

  runs(): readonly Batch[] {
    return this.all
  }

  lookup(probe: Batch, p: number, out: Batch): void {
    for (const run of this.all) {
      for (let i = this.kernels.seek(run, 0, probe, p); i < run.length && sameKey(run, i, probe, p); i++) {
        out.reserve(1)
        this.kernels.copyRow(run, i, out, out.length++)
      }
    }
  }
}

export class RunSet {
  private readonly arranger: Arranger
  private readonly hits: { shard: Shard; row: number }[] = []
  private found: { readonly remote: RemoteValues | null } | null = null
  private released = false

  constructor(
    private readonly kernels: Kernels,
    private readonly nonNegative: boolean,
    private readonly shards: readonly Shard[],
    private readonly memory: readonly MemoryPart[],
  ) {
    for (const shard of shards) shard.retain()
    this.arranger = new Arranger(kernels)
  }

  /** Who reads the values that pointers lead to; null if there are none. Opens the shards. */
  private get remote(): RemoteValues | null {
    this.found ??= { remote: this.shards.find(s => s.remote !== null)?.remote ?? null }
    return this.found.remote
  }

  runs(): readonly Batch[] {
    return [...this.shards.map(s => s.rows()), ...this.memory.flatMap(m => m.runs())]
  }

  /**
   * Batches with all rows whose key words are those of row p of `probe`. Shards that cannot have them are not opened, and
   * of those that have few of them only these are read.
   */
  runsAt(probe: Batch, p: number): readonly Batch[] {
    const key = keyNumber(probe, p)
    const runs: Batch[] = []
    for (const shard of this.shards) {
      if (shard.rowCount === 0 || key < shard.minKey || key > shard.maxKey) continue
      const row = shard.find(probe, p)
      if (row < 0) continue
      const end = endOfKey(shard.keys(), row, probe, p)
      runs.push(end - row > FEW_ROWS ? shard.rows() : shard.rowsNear(row, end).batch)
    }
    for (const part of this.memory) runs.push(...part.runs())
    return runs
  }

  /** The same rows for a reader that stays: nothing a writer does changes them. */
  snapshot(lsn: Lsn): Snapshot {
    const { kernels } = this
    const pinned = new RunSet(kernels, this.nonNegative, this.shards, [new Frozen(kernels, this.memory)])
    return {
      lsn,
      runs: () => pinned.open().runs(),
      get: (probe, p, out) => pinned.open().get(probe, p, out),
      cursor: bounds => pinned.open().cursor(bounds),
      release: () => pinned.release(),
    }
  }

  /** Replaces `out` by the net rows of one key; returns how many. REQUIRES: `probe` and `out` have the same layout. */
  get(probe: Batch, p: number, out: Batch): number {
    const { arranger, kernels, hits } = this
    const { raw } = arranger
    out.clear()
    raw.clear()
    // Rows that cancel out never have their values read.
    raw.heap.remote = this.remote
    hits.length = 0
    for (const part of this.memory) part.lookup(probe, p, raw)
    for (const shard of this.shards) {
      const row = shard.find(probe, p)
      if (row >= 0) hits.push({ shard, row })
    }
    if (this.nonNegative && hits.length > 0 && this.isGhost(probe, p)) return 0
    for (const { shard, row } of hits) copyRows(kernels, shard, row, endOfKey(shard.keys(), row, probe, p), raw)
    if (weightBound(raw) < SAFE_BOUND) arranger.arrange(out)
    else sumModulo(kernels, raw, out)
    if (kernels.layout.key.kind === 'hash') keepGroup(kernels, out, probe, p)
    return out.length
  }

  /** Do the weights of the key add up to zero: of what was found in memory, and of the shards that were hit? */
  private isGhost(probe: Batch, p: number): boolean {
    const { raw } = this.arranger
    let sum = 0n
    let bound = weightBound(raw)
    for (let i = 0; i < raw.length; i++) sum += raw.weights[i]
    for (const { shard, row } of this.hits) {
      const keys = shard.keys()
      const end = endOfKey(keys, row, probe, p)
      for (let i = row; i < end; i++) sum += keys.weights[i]
      bound += weightBound(keys, row, end)
    }
    // Weights that large may be sums modulo 2^64.
    return sum === 0n && bound < SAFE_BOUND
  }

  cursor(bounds: KeyBounds = {}): Cursor {
    for (const shard of this.shards) shard.retain()
    const shards = [...this.shards]
    const cursor = this.begin(bounds)
    return {
      next: () => cursor.next(),
      close: () => {
        for (const shard of shards.splice(0)) shard.release()
      },
    }
  }

  private begin(bounds: KeyBounds): Cursor {
    const { kernels, shards, memory } = this
    // Which rows of one hash come first their columns say, so these are needed.
    if (kernels.layout.key.kind === 'hash' || shards.every(s => s.rowCount === 0 || s.isAtHand)) {
      return new MergeCursor(kernels, this.runs(), bounds, this.remote)
    }
    const parts = [
      ...shards.map(shard => ({ keys: shard.keys(), near: (from: number, to: number) => shard.rowsNear(from, to) })),
      ...memory.flatMap(m => m.runs()).map(run => ({ keys: run, near: (first: number) => ({ batch: run, first }) })),
    ]
    const inputs = parts.map(({ keys, near }) => ({
      ...boundsIn(kernels, keys, bounds),
      readRows: (from: number, to: number) => {
        const { batch, first } = near(from, to)
        if (first === 0 && batch.length === to - from) return batch
        const view = new Batch(batch.layout)
        showRows(batch, first, first + to - from, view)
        return view
      },
    }))
    return new WindowCursor(
      kernels,
      inputs.filter(({ from, to }) => from < to),
      this.remote,
    )
  }

  private open(): this {
    if (this.released) throw new UsageError('a snapshot was read after its release')
    return this
  }

  release(): void {
    if (this.released) return
    this.released = true
    for (const shard of this.shards) shard.release()
  }
}

/** The key words of a row as a number. */
function keyNumber({ keys, layout }: Batch, row: number): bigint {
  return layout.key.words === 1 ? keys[row] : (keys[row * 2 + 1] << 64n) | keys[row * 2]
}

/** First row after `row` that has another key than row p of `probe`. REQUIRES: row `row` has that key. */
function endOfKey(run: Batch, row: number, probe: Batch, p: number): number {
  let end = row + 1
  while (end < run.length && sameKey(run, end, probe, p)) end++
  return end
}

/** Appends rows from..to of a shard. */
function copyRows(kernels: Kernels, shard: Shard, from: number, to: number, out: Batch): void {
  const { batch, first } = shard.rowsNear(from, to)
  out.reserve(to - from)
  for (let i = 0; i < to - from; i++) kernels.copyRow(batch, first + i, out, out.length++)
}

/** Sums equal rows modulo 2^64, as the tournament does. REQUIRES: `out` is empty. */
function sumModulo(kernels: Kernels, raw: Batch, out: Batch): void {
  const rows = Array.from({ length: raw.length }, (_, i) => i)
  rows.sort((i, j) => kernels.compareRows(raw, i, raw, j))
  out.reserve(rows.length)
  for (let n = 0, end = 0; n < rows.length; n = end) {
    let sum = 0n
    for (; end < rows.length && kernels.compareRows(raw, rows[n], raw, rows[end]) === 0; end++) {
      sum += raw.weights[rows[end]]
    }
    if (BigInt.asIntN(64, sum) === 0n) continue
    kernels.copyRow(raw, rows[n], out, out.length)
    out.weights[out.length++] = sum
  }
  out.order = 'consolidated'
}

/** Drops rows that share only the hash with the key that was asked for. */
function keepGroup(kernels: Kernels, out: Batch, probe: Batch, p: number): void {
  let kept = 0
  for (let i = 0; i < out.length; i++) {
    if (kernels.compareGroups(out, i, probe, p) !== 0) continue
    if (kept !== i) kernels.copyRow(out, i, out, kept)
    kept++
  }
  out.length = kept
}
