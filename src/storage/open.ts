/**
 * Opening a directory: lock, manifest, leftovers of a crash, tables, replay of the log. The order matters: nothing is
 * removed before the lock is held and the manifest is read, and nothing is replayed before every table is known.
 */
import { loadChecksum } from '../base/checksum.js'
import { CorruptionError } from '../base/errors.js'
import { type Env, joinPath, type Lock } from '../env/env.js'
import type { Recovery, TreeContext } from './context.js'
import { Keyring, lockedError } from './crypt/keyring.js'
import { layoutOf } from './manifest/descriptor.js'
import { MANIFEST_VERSION } from './manifest/format.js'
import { publishManifest, readManifest } from './manifest/manifest.js'
import { shardsOf } from './manifest/versions.js'
import type { StorageOptions } from './options.js'
import { Replayer } from './replay.js'
import { checkSize } from './shard/head.js'
import { loadStringHash } from './strings.js'
import { Tree } from './tree.js'
import {
  type FileId,
  LOCK_FILE,
  MANIFEST_FILE,
  MANIFEST_SWAP,
  type Manifest,
  parseFile,
  shardFile,
  type TableId,
} from './types.js'
import { Wal } from './wal/wal.js'

export interface Opened {
  /** Null if the directory is only read. */
  readonly lock: Lock | null
  readonly manifest: Manifest
  readonly trees: Map<TableId, Tree>
  readonly wal: Wal | null
  readonly recovery: Recovery
}

/** To be waited for before anything of storage is used: hash functions are modules that have to be loaded. */
export async function loadStorage(): Promise<void> {
  await Promise.all([loadChecksum(), loadStringHash()])
}

/** A directory that is ours, of which nothing but the manifest was looked at. */
export interface Locked {
  readonly lock: Lock
  readonly found: Manifest
}

/** The first part of opening. REQUIRES: `loadStorage` has resolved. ENSURES: if it throws, the lock is free again. */
export function lockDirectory({ env, directory }: StorageOptions): Locked {
  makeDirectory(env, directory)
  const lock = env.lock(joinPath(directory, LOCK_FILE))
  try {
    return { lock, found: readManifest(env, directory) ?? firstManifest(env, directory) }
  } catch (error) {
    lock.release()
    throw error
  }
}

/** The keys to a locked directory. ENSURES: if it throws, the lock is free again. */
export async function loadKeys(
  { encryption, directory }: StorageOptions,
  { lock, found }: Locked,
): Promise<Keyring | null> {
  try {
    return await Keyring.load(encryption, found.keys ?? [], joinPath(directory, MANIFEST_FILE))
  } catch (error) {
    lock.release()
    throw error
  }
}

/** The rest of opening; see `Storage.open`. ENSURES: if it throws, the lock is free again. */
export function openDirectory(
  options: StorageOptions,
  context: TreeContext,
  nextFileId: { value: FileId },
  { lock, found }: Locked,
  keys: Keyring | null,
): Opened {
  const { env, directory } = options
  const trees = new Map<TableId, Tree>()
  try {
    nextFileId.value = found.nextFileId
    // A process that was killed may have left a manifest whose name is not durable yet. Nothing that an older one needs
    // may go before it is.
    env.syncDirectory(directory)
    const leftovers = removeLeftovers(env, directory, found)
    const manifest = announceKey(env, directory, found, keys)
    context.keys = keys
    context.values.keys = keys
    context.values.adopt(manifest.valueFiles ?? [])
    checkFiles(env, directory, manifest)
    for (const table of manifest.tables) {
      const layout = layoutOf(table.descriptor, joinPath(directory, MANIFEST_FILE))
      const shards = shardsOf(manifest, table)
      trees.set(table.tableId, new Tree(context, table, options.kernelsOf(layout), shards))
    }
    const { wal, recovery } = replayLog(options, manifest, trees, keys)
    return { lock, manifest, trees, wal, recovery: { ...recovery, leftovers } }
  } catch (error) {
    for (const tree of trees.values()) tree.close()
    context.values.close()
    lock.release()
    throw error
  }
}

/** Makes the directory with a name that lasts; also that of a directory which an earlier process made and never used. */
function makeDirectory(env: Env, directory: string): void {
  if (env.stat(joinPath(directory, MANIFEST_FILE)) !== null) return
  const parents = [parentOf(directory)]
  while (env.stat(parents[0]) === null) parents.unshift(parentOf(parents[0]))
  env.makeDirectory(directory)
  for (const parent of parents) env.syncDirectory(parent)
}

/** The directory that has this one's name. */
function parentOf(path: string): string {
  const trimmed = path.replace(/\/+$/, '')
  const slash = trimmed.lastIndexOf('/')
  return slash < 0 ? '.' : trimmed.slice(0, slash) || '/'
}

/** A manifest for a directory without one, which must then be new. */
function firstManifest(env: Env, directory: string): Manifest {
  const data = env.list(directory).find(name => parseFile(name) !== null)
  if (data !== undefined) {
    throw new CorruptionError(joinPath(directory, MANIFEST_FILE), null, `it is missing, although ${data} is there`)
  }
  const numbers = { version: MANIFEST_VERSION, generation: 1n, globalMaxLsn: 0n, nextFileId: 1n, nextTableId: 1 }
  const manifest: Manifest = { ...numbers, logEnd: null, tables: [], shards: [] }
  publishManifest(env, directory, manifest, { renamed: false })
  return manifest
}

/** Before anything is written with a key, the key is in the manifest. */
function announceKey(env: Env, directory: string, manifest: Manifest, keys: Keyring | null): Manifest {
  const { keys: listed = [] } = manifest
  if (keys === null && listed.length > 0) {
    throw lockedError(joinPath(directory, MANIFEST_FILE), listed[0].id)
  }
  if (keys === null || listed.some(({ id }) => id === keys.currentId)) return manifest
  const generation = manifest.generation + 1n
  const entries = keys.entries([...listed.map(({ id }) => id), keys.currentId])
  const next = { ...manifest, version: MANIFEST_VERSION, generation, keys: entries }
  publishManifest(env, directory, next, { renamed: false })
  return next
}

/**
 * Is every shard there, and as long as the manifest says? What is in it is checked when it is read. Throws
 * CorruptionError, IoError.
 */
function checkFiles(env: Env, directory: string, { shards }: Manifest): void {
  for (const shard of shards) {
    const path = joinPath(directory, shardFile(shard.fileId))
    const found = env.stat(path)
    if (found === null) throw new CorruptionError(path, null, `the manifest names it, found no such file`)
    checkSize(path, found.sizeBytes, shard)
  }
}

/** Removes what a crash left between writing a file and publishing it. Log segments are the log's business. */
function removeLeftovers(env: Env, directory: string, manifest: Manifest): string[] {
  const known = new Set([...manifest.shards, ...(manifest.valueFiles ?? [])].map(s => s.fileId))
  const removed: string[] = []
  for (const name of env.list(directory)) {
    const file = parseFile(name)
    const isData = file !== null && file.kind !== 'wal'
    if (name !== MANIFEST_SWAP && !(isData && !known.has(file.id))) continue
    env.remove(joinPath(directory, name))
    removed.push(name)
  }
  return removed
}

/** Replays the transactions that are not in the shards, and opens the log for new ones. */
function replayLog(
  { env, directory, durability, intervalMs, segmentBytes, replay }: StorageOptions,
  manifest: Manifest,
  trees: ReadonlyMap<TableId, Tree>,
  keys: Keyring | null,
): { wal: Wal; recovery: Omit<Recovery, 'leftovers'> } {
  const replayer = new Replayer(trees, true)
  const wal = Wal.open({
    env,
    dir: directory,
    tableOf: tableId => trees.get(tableId)?.kernels ?? null,
    keys,
    durability,
    intervalMs,
    segmentBytes,
    afterLsn: manifest.globalMaxLsn,
    endsAt: manifest.logEnd,
    replay: replay ?? (group => replayer.take(group)),
    sink: replay === undefined ? replayer : undefined,
  })
  replayer.finish()
  const { lastLsn, groups, rows, droppedBytes, file, offset } = wal.recovery
  const droppedAt = file === null || offset === null ? null : { file, offset }
  return { wal, recovery: { lsn: lastLsn, groups, rows, droppedBytes, droppedAt } }
}
