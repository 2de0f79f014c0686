/** Words that every part of storage uses. */

/** Log sequence number: one per transaction, ascending from 1; 0 = nothing yet. u64. */
export type Lsn = bigint

/** Number of a table in its directory: u32, at least 1. */
export type TableId = number

/** Number of a shard file: u64, never used twice in a directory. */
export type FileId = bigint

/** How a shard is read: mapped into memory, or by plain reads; `auto` maps where that works. */
export type ShardIo = 'map' | 'read' | 'auto'

/** What identifies the contents of a shard: checked when it is opened. */
export interface ShardSummary {
  readonly rowCount: number
  readonly sizeBytes: number
  /** Smallest and largest key as unsigned numbers; both 0 if there are no rows. */
  readonly minKey: bigint
  readonly maxKey: bigint
  /** XXH3-64 of header and directory, which hold the checksums of the regions. */
  readonly checksum: bigint
}

/** A shard as the manifest lists it. */
export interface ShardEntry extends ShardSummary {
  readonly fileId: FileId
  readonly tableId: TableId
  /** 0: written from a MemTable. Higher: by compaction. */
  readonly level: number
  readonly minLsn: Lsn
  readonly maxLsn: Lsn
  /** Sum of the absolute weights, at most 2^63: no row's weight is larger. */
  readonly weightBound: bigint
}

/** Which compaction keeps a table in shape (FORMAT.md and compaction/policy.ts). */
export type PolicyName = 'write-heavy' | 'read-heavy'

/** A table as the manifest lists it. */
export interface TableEntry {
  readonly tableId: TableId
  readonly kind: 'durable' | 'ephemeral'
  readonly schemaHash: bigint
  /** Every transaction up to this one is in the table's shards; recovery replays the later ones. */
  readonly flushedLsn: Lsn
  readonly descriptor: TableDescriptor
}

/** Everything needed to read a table's files. */
export interface TableDescriptor {
  readonly name: string
  readonly columns: readonly { readonly name: string; readonly type: string; readonly nullable: boolean }[]
  /** Names of the key columns, in key order. */
  readonly key: readonly string[]
  /** Columns that follow the key in the order of rows; the others come after them in schema order. */
  readonly order: readonly { readonly column: string; readonly descending: boolean }[]
  readonly policy: PolicyName
  /**
   * `nonNegative`: the owner promises that no row's net weight is ever below zero. Then the rows of a key whose weights
   * sum to zero are all ghosts, and their columns are never read (the Ghost Property, specification §5.9).
   */
  readonly weights: 'any' | 'nonNegative'
}

/** Where the log ended, durably, when a manifest was written. */
export interface LogEnd {
  /** Its last transaction. */
  readonly lsn: Lsn
  /** The segment with it: the number in the name. */
  readonly segment: Lsn
  /** First byte after it in the segment. */
  readonly offset: number
}

export interface Manifest {
  /** Of the format that it was read from. */
  readonly version: number
  /** Raised by every publication. */
  readonly generation: bigint
  /** Every transaction up to this one is in the shards. */
  readonly globalMaxLsn: Lsn
  readonly nextFileId: FileId
  /** Above the number of every table that there ever was. */
  readonly nextTableId: TableId
  /** If its transaction is after `globalMaxLsn`, a log that ends earlier has lost something. Null: not known. */
  readonly logEnd: LogEnd | null
  readonly tables: readonly TableEntry[]
  readonly shards: readonly ShardEntry[]
}

const hex16 = (n: bigint) => n.toString(16).padStart(16, '0')

export const MANIFEST_FILE = 'MANIFEST'
export const MANIFEST_SWAP = 'MANIFEST.swap'
export const LOCK_FILE = 'LOCK'

export function shardFile(fileId: FileId): string {
  return `shard-${hex16(fileId)}.gnz`
}

export function walFile(firstLsn: Lsn): string {
  return `wal-${hex16(firstLsn)}.log`
}

/** The number in a shard's or segment's file name, or null if it is neither. */
export function parseFile(name: string): { kind: 'shard' | 'wal'; id: bigint } | null {
  const match = /^(?:shard-([0-9a-f]{16})\.gnz|wal-([0-9a-f]{16})\.log)$/.exec(name)
  if (match === null) return null
  return match[1] !== undefined
    ? { kind: 'shard', id: BigInt(`0x${match[1]}`) }
    : { kind: 'wal', id: BigInt(`0x${match[2]}`) }
}
