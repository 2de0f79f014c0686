/**
 * The shard registry: the manifest's shards as an index in memory. It knows which shards may hold a key, and how many
 * overlap there: the read amplification. A table with more than `threshold` on any key is flagged for compaction
 * (specification §4.1, §4.4).
 */
import type { ShardEntry, TableId } from '../types.js'

/** A range of keys (both ends included) that `depth` shards cover. */
export interface KeyRange {
  readonly from: bigint
  readonly to: bigint
  readonly depth: number
}

/** Default for the number of overlapping shards above which a table is compacted. */
export const AMPLIFICATION_THRESHOLD = 4

export class ShardRegistry {
  private readonly tables = new Map<TableId, readonly ShardEntry[]>()

  constructor(readonly threshold = AMPLIFICATION_THRESHOLD) {}

  /** Replaces the shards of a table. */
  set(tableId: TableId, shards: readonly ShardEntry[]): void {
    if (shards.length === 0) this.tables.delete(tableId)
    else this.tables.set(tableId, shards)
  }

  shardsOf(tableId: TableId): readonly ShardEntry[] {
    return this.tables.get(tableId) ?? []
  }

  /** The most shards that overlap on any key of the table. */
  amplification(tableId: TableId): number {
    let most = 0
    for (const { depth } of keyRanges(this.shardsOf(tableId))) most = Math.max(most, depth)
    return most
  }

  /** Tables above the threshold, the worst first. */
  flagged(): TableId[] {
    const depths = [...this.tables.keys()].map(id => ({ id, depth: this.amplification(id) }))
    return depths
      .filter(d => d.depth > this.threshold)
      .sort((a, b) => b.depth - a.depth)
      .map(d => d.id)
  }
}

/** The key space as ranges of equal depth, ascending; ranges that no shard covers are left out. */
export function keyRanges(shards: readonly ShardEntry[]): KeyRange[] {
  const edges = new Map<bigint, number>()
  const change = (key: bigint, by: number) => edges.set(key, (edges.get(key) ?? 0) + by)
  for (const shard of shards) {
    if (shard.rowCount === 0) continue
    change(shard.minKey, 1)
    change(shard.maxKey + 1n, -1)
  }
  const keys = [...edges.keys()].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0))
  const ranges: KeyRange[] = []
  let depth = 0
  keys.forEach((from, i) => {
    depth += edges.get(from) ?? 0
    const last = ranges.at(-1)
    if (depth === 0) return
    const to = keys[i + 1] - 1n
    if (last !== undefined && last.depth === depth && last.to === from - 1n) ranges[ranges.length - 1] = { ...last, to }
    else ranges.push({ from, to, depth })
  })
  return ranges
}
