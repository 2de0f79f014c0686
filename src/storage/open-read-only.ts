/**
 * Opening a directory to read it only: no lock, nothing written, not even what a crash has left tidied up. A writer may
 * be at work; where it has replaced a file in between, opening begins anew from its newer manifest.
 */
import { CorruptionError, FormatError } from '../base/errors.js'
import { joinPath } from '../env/env.js'
import type { Recovery, TreeContext } from './context.js'
import { Keyring } from './crypt/keyring.js'
import { layoutOf } from './manifest/descriptor.js'
import { readManifest } from './manifest/manifest.js'
import { shardsOf } from './manifest/versions.js'
import type { Opened } from './open.js'
import type { StorageOptions } from './options.js'
import { Replayer } from './replay.js'
import { Tree } from './tree.js'
import { MANIFEST_FILE, type Manifest, type TableId, walFile } from './types.js'
import type { WalGroup } from './wal/groups.js'
import { LogReader, type LogRest } from './wal/tail.js'

/** Times that opening begins anew because a writer has moved on. */
const ATTEMPTS = 10

/** See `StorageOptions.readOnly`. REQUIRES: `loadStorage` has resolved. Throws FormatError if there is no manifest, and what opening a directory throws. */
export async function openReadOnly(options: StorageOptions, context: TreeContext): Promise<Opened> {
  const { env, directory } = options
  for (let attempt = 1; ; attempt++) {
    const manifest = readManifest(env, directory)
    if (manifest === null) throw new FormatError(directory, null, `expected a ${MANIFEST_FILE} in it, found none`)
    const trees = new Map<TableId, Tree>()
    try {
      const recovery = await openAt(options, context, manifest, trees)
      return { lock: null, manifest, trees, wal: null, recovery }
    } catch (error) {
      for (const tree of trees.values()) tree.close()
      context.values.close()
      if (attempt >= ATTEMPTS || readManifest(env, directory)?.generation === manifest.generation) throw error
    }
  }
}

async function openAt(
  options: StorageOptions,
  context: TreeContext,
  manifest: Manifest,
  trees: Map<TableId, Tree>,
): Promise<Recovery> {
  const path = joinPath(options.directory, MANIFEST_FILE)
  const keys = await Keyring.load(options.encryption, manifest.keys ?? [], path)
  context.keys = keys
  context.values.keys = keys
  context.values.adopt(manifest.valueFiles ?? [], false)
  for (const table of manifest.tables) {
    const layout = layoutOf(table.descriptor, path)
    const shards = shardsOf(manifest, table)
    trees.set(table.tableId, new Tree(context, table, options.kernelsOf(layout), shards))
  }
  return readLog(options, manifest, trees, keys)
}

/** Brings what is not in shards into memory, and keeps it there. */
function readLog(
  { env, directory, replay }: StorageOptions,
  { globalMaxLsn, logEnd }: Manifest,
  trees: ReadonlyMap<TableId, Tree>,
  keys: Keyring | null,
): Recovery {
  const replayer = new Replayer(trees, false)
  const tableOf = (tableId: TableId) => trees.get(tableId)?.kernels ?? null
  let last = globalMaxLsn
  let groups = 0
  let rows = 0
  // Whoever wants them gets them when all are there: opening may have to begin anew before.
  const wanted: WalGroup[] = []
  const reader = new LogReader({ env, dir: directory, tableOf, keys, after: globalMaxLsn })
  let rest: LogRest | null
  try {
    for (let group = reader.next(); group !== null; group = reader.next()) {
      last = group.lsn
      groups++
      rows += group.parts.reduce((sum, { batch }) => sum + batch.length, 0)
      if (replay !== undefined) wanted.push(group)
      else replayer.take(group)
    }
    rest = reader.rest
  } finally {
    reader.close()
  }
  if (logEnd !== null && last < logEnd.lsn) {
    const problem = `the manifest says that the log goes on to transaction ${logEnd.lsn}, found ${last} to be the last`
    throw new CorruptionError(joinPath(directory, walFile(logEnd.segment)), logEnd.offset, problem)
  }
  if (replay !== undefined) for (const group of wanted) replay(group)
  return { lsn: last, groups, rows, droppedBytes: rest?.sizeBytes ?? 0, droppedAt: rest, leftovers: [] }
}
