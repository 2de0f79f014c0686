/** What the trees of a directory share, and what is told of them. */
import type { Env } from '../env/env.js'
import type { MemoryBudget } from './crypt/budget.js'
import type { Keyring } from './crypt/keyring.js'
import type { FileId, Lsn, ShardEntry, ShardIo } from './types.js'
import type { ValueLog } from './values/log.js'

/** What a tree shares with the others of its directory. */
export interface TreeContext {
  readonly env: Env
  readonly directory: string
  readonly io: ShardIo
  /** Occupancy at which a MemTable is sealed. */
  readonly memTableBytes: number
  /** Overlapping shards on one key above which compaction is due. */
  readonly amplificationThreshold: number
  readonly guardBytes?: number
  readonly windowRows?: number
  readonly values: ValueLog
  /** Files stay until this process removes them, so they can be opened when something of them is wanted. */
  readonly keepsFiles: boolean
  /** Null: nothing is encrypted. Set when the manifest is read. */
  keys: Keyring | null
  /** Memory for decrypted shards. */
  readonly budget: MemoryBudget
  /** Is a shard to be rewritten with another key? */
  isOutdated: (entry: ShardEntry) => boolean
  newFileId(): FileId
  /** Value logs of which too little is live. */
  staleValues: () => ReadonlySet<number>
  onEvent(event: StorageEvent): void
}

/** What happened, for those who want to know. */
export type StorageEvent =
  | { readonly kind: 'seal'; readonly table: string; readonly rowCount: number }
  | { readonly kind: 'flush'; readonly table: string; readonly rowCount: number; readonly sizeBytes: number }
  | {
      readonly kind: 'compact'
      readonly table: string
      readonly inputs: number
      readonly outputs: number
      readonly rowCount: number
    }
  | { readonly kind: 'checkpoint'; readonly lsn: Lsn; readonly shards: number }
  | ({ readonly kind: 'recover' } & Recovery)

/** What opening a directory found. */
export interface Recovery {
  /** The last transaction that is there. */
  readonly lsn: Lsn
  /** Transactions and rows that were replayed from the log. */
  readonly groups: number
  readonly rows: number
  /** Bytes of a torn tail that were cut off, or left out by who only reads, and where. */
  readonly droppedBytes: number
  readonly droppedAt: { readonly file: string; readonly offset: number } | null
  /** Files a crash had left behind, now removed. */
  readonly leftovers: readonly string[]
}
