/** What a storage and its tables can be told, what they do unless told, and what nobody can have meant. */
import { quote, show, UsageError } from '../base/errors.js'
import type { Env } from '../env/env.js'
import type { Layout } from '../schema/schema.js'
import type { Kernels } from '../zset/kernels.js'
import type { StorageEvent, TreeContext } from './context.js'
import { MemoryBudget } from './crypt/budget.js'
import { checkProvider, type KeyProvider } from './crypt/keys.js'
import { AMPLIFICATION_THRESHOLD } from './manifest/registry.js'
import {
  type FileId,
  type Lsn,
  MIN_VALUE_THRESHOLD,
  type PolicyName,
  type ShardIo,
  type TableDescriptor,
  type TableEntry,
  VALUE_THRESHOLD,
} from './types.js'
import { ValueLog, type ValueLogOptions } from './values/log.js'
import type { WalGroup } from './wal/groups.js'
import type { Retention } from './wal/retention.js'
import type { Durability } from './wal/wal.js'

export interface StorageOptions {
  readonly env: Env
  readonly directory: string
  /**
   * Only reads: no lock is taken and nothing is written, so it works beside a writer and on a full disk. What is there is
   * what the writer had written when this was opened, to the last transaction of its log, be it durable or not.
   */
  readonly readOnly?: boolean
  /** The kernels of a layout, generic or compiled. */
  readonly kernelsOf: (layout: Layout) => Kernels
  /** `commit` (default): acknowledged when durable. `interval`: durable within `intervalMs`. `none`: when convenient. */
  readonly durability?: Durability
  readonly intervalMs?: number
  /** Occupancy at which a MemTable is sealed; 16 MiB by default. */
  readonly memTableBytes?: number
  /** Length of the log at which a checkpoint is made; 64 MiB by default. */
  readonly walBytes?: number
  readonly io?: ShardIo
  readonly amplificationThreshold?: number
  /** Length at which a segment of the log is followed by a new one; 64 MiB by default. */
  readonly segmentBytes?: number
  /** How much of the log is kept beyond a checkpoint; nothing by default. */
  readonly retain?: Retention
  /** Size of a guard shard; 32 MiB by default. */
  readonly guardBytes?: number
  /** Tables made from now on: strings and bytes longer than this go to a value log; 4096 by default, Infinity: none do. */
  readonly valueThreshold?: number
  /** Size at which a value log is followed by a new one; 128 MiB by default. */
  readonly valueFileBytes?: number
  /** Part of a value log that must be live, else compaction moves what is; 0.5 by default. */
  readonly valueLiveRatio?: number
  /**
   * Encrypts what is written from now on: shards but for keys and weights, value logs, the log. Keys of tables stay in
   * the clear. A directory with encrypted files cannot be opened without.
   */
  readonly encryption?: KeyProvider
  /** Memory for shards that are decrypted as a whole; beyond it, look-ups decrypt parts; 256 MiB by default. */
  readonly decryptedBytes?: number
  /** Rows of a shard that a compaction looks at together; 16,384 by default. */
  readonly windowRows?: number
  /**
   * Gets the transactions that the log holds beyond the shards, in order, instead of the tables: for an owner who keeps
   * new rows himself (`append`, `Tree.absorb`).
   */
  readonly replay?: (group: WalGroup) => void
  /** Hears of transactions of `append` that are not in the log after all, before the next one is logged. */
  readonly onRejected?: (lsns: readonly Lsn[], error: Error) => void
  /** Told what happens. It must not call the storage; what it throws, or its promise is rejected with, is dropped. */
  readonly onEvent?: (event: StorageEvent) => unknown
}

export interface TableOptions {
  /** False: it enters the manifest with the next checkpoint. For tables that are not logged; true by default. */
  readonly publish?: boolean
  readonly kind?: TableEntry['kind']
  readonly policy?: PolicyName
  readonly weights?: TableDescriptor['weights']
  /** Strings and bytes longer than this go to a value log; Infinity: none do. From 64 on. */
  readonly valueThreshold?: number
}

const MEMTABLE_BYTES = 16 * 1024 * 1024
export const WAL_BYTES = 64 * 1024 * 1024
const VALUE_FILE_BYTES = 128 * 1024 * 1024
const LIVE_RATIO = 0.5
const DECRYPTED_BYTES = 256 * 1024 * 1024
const NO_FILES: ReadonlySet<number> = new Set()

/** What is made before a directory is looked at. */
export interface Base {
  readonly context: TreeContext
  readonly nextFileId: { value: FileId }
}

export function baseOf(options: StorageOptions): Base {
  const nextFileId = { value: 1n }
  const context: TreeContext = {
    env: options.env,
    directory: options.directory,
    io: options.io ?? 'auto',
    memTableBytes: options.memTableBytes ?? MEMTABLE_BYTES,
    amplificationThreshold: options.amplificationThreshold ?? AMPLIFICATION_THRESHOLD,
    guardBytes: options.guardBytes,
    windowRows: options.windowRows,
    values: new ValueLog(valuesOf(options, nextFileId)),
    keepsFiles: options.readOnly !== true,
    staleValues: () => NO_FILES,
    keys: null,
    budget: new MemoryBudget(options.decryptedBytes ?? DECRYPTED_BYTES),
    isOutdated: () => false,
    newFileId: () => nextFileId.value++,
    onEvent: event => notify(options, event),
  }
  return { context, nextFileId }
}

/** Timers take no more milliseconds; beyond it they go off at once. */
export const MAX_MS = 2 ** 31 - 1

/** Numbers that must be positive integers where they are given. */
const COUNTS = [
  'intervalMs',
  'memTableBytes',
  'walBytes',
  'amplificationThreshold',
  'segmentBytes',
  'valueFileBytes',
  'decryptedBytes',
  'guardBytes',
  'windowRows',
] as const

/** Throws UsageError on an option that nobody can have meant. */
export function checkOptions(options: StorageOptions): void {
  const { directory, durability = 'commit', io = 'auto' } = options
  if (typeof directory !== 'string' || directory === '') {
    throw new UsageError(`option directory: expected a path, found ${show(directory)}`)
  }
  oneOf('durability', durability, ['commit', 'interval', 'none'])
  oneOf('io', io, ['map', 'read', 'auto'])
  checkThreshold(options.valueThreshold ?? VALUE_THRESHOLD)
  const { valueLiveRatio: ratio = LIVE_RATIO } = options
  if (!(ratio >= 0 && ratio <= 1)) {
    throw new UsageError(`option valueLiveRatio: expected a number from 0 to 1, found ${show(ratio)}`)
  }
  if (options.intervalMs !== undefined && options.intervalMs > MAX_MS) {
    throw new UsageError(`option intervalMs: expected at most ${MAX_MS}, found ${show(options.intervalMs)}`)
  }
  const { onEvent, encryption } = options
  if (onEvent !== undefined && typeof onEvent !== 'function') {
    throw new UsageError(`option onEvent: expected a function, found ${show(onEvent)}`)
  }
  if (encryption !== undefined) checkProvider(encryption)
  for (const name of COUNTS) {
    const value = options[name]
    if (value === undefined || (Number.isSafeInteger(value) && value > 0)) continue
    throw new UsageError(`option ${name}: expected a positive integer, found ${show(value)}`)
  }
}

export function checkThreshold(value: number): void {
  if (value === Number.POSITIVE_INFINITY || (Number.isSafeInteger(value) && value >= MIN_VALUE_THRESHOLD)) return
  const expected = `expected an integer from ${MIN_VALUE_THRESHOLD} on, or Infinity`
  throw new UsageError(`option valueThreshold: ${expected}, found ${show(value)}`)
}

function valuesOf(options: StorageOptions, nextFileId: { value: FileId }): ValueLogOptions {
  return {
    env: options.env,
    directory: options.directory,
    fileBytes: options.valueFileBytes ?? VALUE_FILE_BYTES,
    liveRatio: options.valueLiveRatio ?? LIVE_RATIO,
    newFileId: () => nextFileId.value++,
  }
}

export function oneOf(name: string, value: string, allowed: readonly string[]): void {
  if (allowed.includes(value)) return
  throw new UsageError(`option ${name}: expected ${allowed.map(quote).join(' or ')}, found ${show(value)}`)
}

/** Tells a listener. An error of its own must not leave the storage half-way through something. */
export function notify({ onEvent }: StorageOptions, event: StorageEvent): void {
  try {
    const result: unknown = onEvent?.(event)
    if (result instanceof Promise) result.catch(() => {})
  } catch {
    // Documented: it is the listener's business.
  }
}
