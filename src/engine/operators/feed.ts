/**
 * Feeds: the fused linear pipelines between operators. A feed reads what a producer (or a join) hands out, runs the
 * row program (filter, projection, sign) and writes into its target, all in one generated loop.
 *
 * A loop is generated for the layout of the batches it reads; a feed that later sees another layout (a view created
 * on loaded tables reads arranged runs) gets another loop.
 */
import type { Layout } from '../../schema/schema.js'
import type { Batch } from '../../zset/batch.js'
import type { GroupTable } from '../../zset/groups.js'
import type { ErrorSet, SILENT } from '../errors.js'
import type { Delta, Operator, Producer } from './operator.js'

export type Errors = ErrorSet | typeof SILENT

/** Returns the new length of `out`. */
export type ScanStore = (input: Batch, from: number, to: number, out: Batch, errors: Errors) => number
export type ScanAccumulate = (input: Batch, from: number, to: number, table: GroupTable, errors: Errors) => number
/** Brings the groups of rows from..to nearer before they are added. `entries` is its own to write. */
export type FetchGroups = (input: Batch, from: number, to: number, table: GroupTable, entries: Int32Array) => number
export type PairsStore = (
  left: Batch,
  right: Batch,
  lefts: Int32Array,
  rights: Int32Array,
  from: number,
  to: number,
  out: Batch,
  errors: Errors,
) => number
export type PairsAccumulate = (
  left: Batch,
  right: Batch,
  lefts: Int32Array,
  rights: Int32Array,
  from: number,
  to: number,
  table: GroupTable,
  errors: Errors,
) => number

/** Makes the loops of a feed; `source` collects their text. */
export interface FeedCode<Scan, Pairs> {
  scan(input: Layout): Scan
  pairs(left: Layout, right: Layout): Pairs
  readonly sources: ReadonlyMap<string, string>
}

export interface GroupCode extends FeedCode<ScanAccumulate, PairsAccumulate> {
  fetch(input: Layout): FetchGroups | null
}

/** Where a feed's rows go. */
export interface Target {
  /** Makes the loop for a layout (or for pairs of two) before it is needed. */
  prepare(first: Layout, second: Layout | null): void
  scan(input: Batch, from: number, to: number): void
  pairs(left: Batch, right: Batch, lefts: Int32Array, rights: Int32Array, count: number): void
}

/** Remembers the loop of the layout seen last, which is nearly always the same. */
class LoopCache<L> {
  private first: Layout | null = null
  private second: Layout | null = null
  private loop: L | null = null
  private readonly others: { first: Layout; second: Layout | null; loop: L }[] = []

  /** The loop of the last call, if it was for these layouts. */
  last(first: Layout, second: Layout | null): L | null {
    return this.first === first && this.second === second ? this.loop : null
  }

  get(first: Layout, second: Layout | null, make: () => L): L {
    let entry = this.others.find(e => e.first === first && e.second === second)
    if (entry === undefined) {
      entry = { first, second, loop: make() }
      this.others.push(entry)
    }
    this.first = first
    this.second = second
    this.loop = entry.loop
    return entry.loop
  }
}

/** Rows of a join that are evaluated before the target is given a chance to grow again. */
const PAIRS_SLICE = 1 << 16

/** Appends to a batch, flat or raw arranged. */
export class BatchTarget implements Target {
  private readonly scans = new LoopCache<ScanStore>()
  private readonly joins = new LoopCache<PairsStore>()

  constructor(
    private readonly out: Batch,
    private readonly code: FeedCode<ScanStore, PairsStore>,
    private readonly errors: Errors,
  ) {}

  prepare(first: Layout, second: Layout | null): void {
    if (second === null) this.prepareScan(first)
    else this.preparePairs(first, second)
  }

  private prepareScan(input: Layout): ScanStore {
    return this.scans.get(input, null, () => this.code.scan(input))
  }

  private preparePairs(left: Layout, right: Layout): PairsStore {
    return this.joins.get(left, right, () => this.code.pairs(left, right))
  }

  scan(input: Batch, from: number, to: number): void {
    const loop = this.scans.last(input.layout, null) ?? this.prepareScan(input.layout)
    const { out } = this
    out.reserve(to - from)
    out.length = loop(input, from, to, out, this.errors)
  }

  pairs(left: Batch, right: Batch, lefts: Int32Array, rights: Int32Array, count: number): void {
    const { out } = this
    const loop = this.joins.last(left.layout, right.layout) ?? this.preparePairs(left.layout, right.layout)
    for (let from = 0; from < count; from += PAIRS_SLICE) {
      const to = Math.min(count, from + PAIRS_SLICE)
      out.reserve(to - from)
      out.length = loop(left, right, lefts, rights, from, to, out, this.errors)
    }
  }
}

/** A table of so many bytes is no longer in the cache. */
const FAR_BYTES = 1 << 23
/** How many rows' groups are fetched at once. */
const FETCHED_ROWS = 256
const entries = new Int32Array(FETCHED_ROWS)

/** Adds to a group table. */
export class GroupTarget implements Target {
  private readonly scans = new LoopCache<ScanAccumulate>()
  private readonly joins = new LoopCache<PairsAccumulate>()
  private readonly fetches = new LoopCache<FetchGroups | null>()

  constructor(
    private readonly table: GroupTable,
    private readonly code: GroupCode,
    private readonly errors: Errors,
  ) {}

  prepare(first: Layout, second: Layout | null): void {
    if (second === null) this.prepareScan(first)
    else this.preparePairs(first, second)
  }

  private prepareScan(input: Layout): ScanAccumulate {
    return this.scans.get(input, null, () => this.code.scan(input))
  }

  private preparePairs(left: Layout, right: Layout): PairsAccumulate {
    return this.joins.get(left, right, () => this.code.pairs(left, right))
  }

  scan(input: Batch, from: number, to: number): void {
    const loop = this.scans.last(input.layout, null) ?? this.prepareScan(input.layout)
    const { table } = this
    const isFar = to - from > 1 && table.records.bytes >= FAR_BYTES
    const fetch = isFar ? this.fetches.get(input.layout, null, () => this.code.fetch(input.layout)) : null
    for (let next = from; ; ) {
      const end = fetch === null ? to : Math.min(next + FETCHED_ROWS, to)
      if (fetch !== null) fetch(input, next, end, table, entries)
      next = loop(input, next, end, table, this.errors)
      if (next === to) return
      if (next < end) table.makeRoom()
    }
  }

  pairs(left: Batch, right: Batch, lefts: Int32Array, rights: Int32Array, count: number): void {
    const loop = this.joins.last(left.layout, right.layout) ?? this.preparePairs(left.layout, right.layout)
    for (let next = 0; ; ) {
      next = loop(left, right, lefts, rights, next, count, this.table, this.errors)
      if (next === count) return
      this.table.makeRoom()
    }
  }
}

/** A join as a source of pairs: it calls the targets itself. */
export interface PairSource extends Operator {
  attach(target: Target): void
}

/** One input of an operator: a producer that is scanned, or a join that pushes. */
export interface Feed {
  readonly producer: Producer | null
  readonly join: PairSource | null
  readonly target: Target
  readonly code: FeedCode<unknown, unknown>
  /** The producer's columns that it reads; null for all: a row that fails is told as a whole. */
  readonly columns: Iterable<number> | null
  /** What it does, a few words a line. */
  describe(): string[]
}

/** Runs every scanning feed over its producer's delta; returns the number of rows read. */
export function runFeeds(feeds: readonly Feed[]): number {
  let rows = 0
  for (let f = 0; f < feeds.length; f++) {
    const { producer, target } = feeds[f]
    const delta: Delta | null = producer === null ? null : producer.delta()
    if (delta === null || delta.from === delta.to) continue
    target.scan(delta.batch, delta.from, delta.to)
    rows += delta.to - delta.from
  }
  return rows
}

export function feedInputs(feeds: readonly Feed[]): Operator[] {
  return feeds.map(feed => (feed.producer?.origin ?? feed.join) as Operator)
}

export function feedSources(feeds: readonly Feed[]): Map<string, string> {
  const sources = new Map<string, string>()
  for (const feed of feeds) for (const [name, text] of feed.code.sources) sources.set(name, text)
  return sources
}
