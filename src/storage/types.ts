/** Words that every part of storage uses. */

/** Log sequence number: one per transaction, ascending from 1; 0 = nothing yet. u64. */
export type Lsn = bigint

/** Number of a table in its directory: u32, at least 1. */
export type TableId = number

/** Number of a shard or value log: u64, never used twice in a directory. */
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
  /** The key that it is encrypted with; absent: it is in the clear. */
  readonly keyId?: number
}

/** Bytes of a value log that cells of a shard refer to. */
export interface ValueReference {
  /** Number of the value log. */
  readonly fileId: FileId
  /** Of the records, headers and padding included, each counted once. */
  readonly bytes: number
}

/** A key as the manifest lists it: enough to tell whether one that is offered is right. */
export interface KeyEntry {
  readonly id: number
  /** 16 random bytes. */
  readonly salt: Uint8Array
  /** 32 bytes, derived from key and salt. */
  readonly check: Uint8Array
}

/** A value log as the manifest lists it. */
export interface ValueFileEntry {
  readonly fileId: FileId
  /** Bytes in use; there may be others behind them. */
  readonly sizeBytes: number
  /** The key that it is encrypted with; absent: it is in the clear. */
  readonly keyId?: number
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
  /** Value logs that its cells refer to, by ascending number; absent if there are none. */
  readonly references?: readonly ValueReference[]
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

export interface ColumnDescriptor {
  readonly name: string
  readonly type: string
  readonly nullable: boolean
  /**
   * What the column holds in files of earlier versions that lack it: the bytes of its cell, of strings and the like those
   * of the value, in hexadecimal; absent: NULL.
   */
  readonly fill?: string
}

/** Columns were added to a table: how files lie that were written before. */
export interface EarlierVersion {
  /** The number of the table in those files. */
  readonly tableId: TableId
  /** The columns they have, by index in the table; the others have their `fill`. */
  readonly columns: readonly number[]
}

/** Everything needed to read a table's files. */
export interface TableDescriptor {
  readonly name: string
  readonly columns: readonly ColumnDescriptor[]
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
  /**
   * Strings and bytes of more bytes than this go to a value log; null: none do; absent: `VALUE_THRESHOLD`.
   * At least `MIN_VALUE_THRESHOLD`.
   */
  readonly valueThreshold?: number | null
  /** Versions that some files are of; absent if there are none. */
  readonly earlier?: readonly EarlierVersion[]
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
/** A table's value threshold if nothing else is said. */
export const VALUE_THRESHOLD = 4096
/** A value must be longer than its pointer's prefix, and a pointer should not be longer than what it replaces. */
export const MIN_VALUE_THRESHOLD = 64

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
  /** Value logs that shards refer to, by ascending number; absent if there are none. */
  readonly valueFiles?: readonly ValueFileEntry[]
  /** Keys that files may be encrypted with, by ascending number; absent if there are none. */
  readonly keys?: readonly KeyEntry[]
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

export function valueFile(fileId: FileId): string {
  return `vlog-${hex16(fileId)}.gnv`
}

/** The number in the name of a shard, a value log or a segment of the log, or null if it is none of them. */
export function parseFile(name: string): { kind: 'shard' | 'values' | 'wal'; id: bigint } | null {
  const match = /^(shard|vlog|wal)-([0-9a-f]{16})\.(gnz|gnv|log)$/.exec(name)
  const kind = match === null ? undefined : KINDS[`${match[1]}.${match[3]}`]
  return match === null || kind === undefined ? null : { kind, id: BigInt(`0x${match[2]}`) }
}

const KINDS: Readonly<Record<string, 'shard' | 'values' | 'wal'>> = {
  'shard.gnz': 'shard',
  'vlog.gnv': 'values',
  'wal.log': 'wal',
}
