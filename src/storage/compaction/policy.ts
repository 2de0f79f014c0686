/**
 * Compaction policies (specification §4.4, §13.7): which shards of a table to merge next.
 *
 * `write-heavy` (tiered): shards of one level pile up until the threshold is reached on some key; then the level as a
 * whole becomes one run of the next. A row is written once a level; a key may be in `threshold - 1` shards a level.
 * `read-heavy` (levelled guards): new shards are merged into the guards they overlap as soon as there are two of them,
 * so that a key is in two files at most.
 */
import { keyRanges } from '../manifest/registry.js'
import type { PolicyName, ShardEntry } from '../types.js'

export interface CompactionJob {
  readonly inputs: readonly ShardEntry[]
  /** Level of the outputs. */
  readonly level: number
}

export type CompactionPolicy = (shards: readonly ShardEntry[], threshold: number) => CompactionJob | null

/** New shards that may lie above the guards. */
const READ_HEAVY_NEW = 2

const POLICIES: Readonly<Record<PolicyName, CompactionPolicy>> = { 'write-heavy': tiered, 'read-heavy': levelled }

/**
 * What to do next, or null if the table is in shape. `threshold`: overlapping shards on one key that are allowed; at least
 * 2, since one that is alone would be merged for ever.
 */
export function pickCompaction(
  policy: PolicyName,
  shards: readonly ShardEntry[],
  threshold: number,
): CompactionJob | null {
  return POLICIES[policy](shards, Math.max(2, threshold))
}

function depth(shards: readonly ShardEntry[]): number {
  return keyRanges(shards).reduce((most, range) => Math.max(most, range.depth), 0)
}

/**
 * How many MemTables or compactions these shards came from. The guards of one compaction overlap on a key with many
 * rows, and merging them again would not change that.
 */
function runsOf(shards: readonly ShardEntry[]): number {
  return new Set(shards.map(s => `${s.minLsn} ${s.maxLsn}`)).size
}

function tiered(shards: readonly ShardEntry[], threshold: number): CompactionJob | null {
  if (shards.length < threshold) return null
  for (const level of [...new Set(shards.map(s => s.level))].sort((a, b) => a - b)) {
    const inputs = shards.filter(s => s.level === level)
    if (runsOf(inputs) >= threshold && depth(inputs) >= threshold) return { inputs, level: level + 1 }
  }
  return null
}

function levelled(shards: readonly ShardEntry[], threshold: number): CompactionJob | null {
  const fresh = shards.filter(s => s.level === 0)
  if (fresh.length < Math.min(READ_HEAVY_NEW, threshold)) return null
  const from = fresh.reduce((least, s) => (s.minKey < least ? s.minKey : least), fresh[0].minKey)
  const to = fresh.reduce((most, s) => (s.maxKey > most ? s.maxKey : most), fresh[0].maxKey)
  const guards = shards.filter(s => s.level > 0 && s.minKey <= to && s.maxKey >= from)
  return { inputs: shards.filter(s => fresh.includes(s) || guards.includes(s)), level: 1 }
}
