/**
 * A directory as the commands see it: its manifest, and the kernels of its tables. They only read, take no lock, and
 * work beside a writer: a file that a checkpoint has replaced in between sends them back to the manifest.
 */
import { statSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import { kernelsOf } from '../../../codegen/kernels.js'
import { loadChecksum } from '../../base/checksum.js'
import { IoError, quote } from '../../base/errors.js'
import { joinPath } from '../../env/env.js'
import { NodeEnv } from '../../env/node.js'
import { Keyring } from '../../storage/crypt/keyring.js'
import { layoutOf } from '../../storage/manifest/descriptor.js'
import { readManifest } from '../../storage/manifest/manifest.js'
import { earlierOf, shardsOf, wideningOf } from '../../storage/manifest/versions.js'
import { Shard } from '../../storage/shard/reader.js'
import {
  MANIFEST_FILE,
  type Manifest,
  type ShardEntry,
  shardFile,
  type TableEntry,
  type TableId,
} from '../../storage/types.js'
import { ValueReader } from '../../storage/values/reader.js'
import type { Kernels } from '../../zset/kernels.js'
import { CliError } from '../cli-error.js'
import { keysFromEnvironment } from './keys.js'

/** Times that a command begins anew because a writer has replaced files. */
const ATTEMPTS = 10

export class Source {
  readonly env = new NodeEnv()
  /** Reads what shards keep in value logs. */
  readonly values: ValueReader
  /** Those that GNITZ_KEYS gives; null: none. */
  keys: Keyring | null = null
  private current: Manifest
  private readonly kernels = new Map<TableId, Kernels>()

  private constructor(readonly directory: string) {
    this.values = new ValueReader(this.env, directory)
    this.current = this.read()
  }

  /** Throws CliError if there is no such directory, or no manifest in it. */
  static async open(directory: string): Promise<Source> {
    await loadChecksum()
    if (kindOf(directory) !== 'directory') throw new CliError(`${directory}: expected a directory, found a file`)
    const source = new Source(directory)
    const given = keysFromEnvironment()
    if (given !== undefined) source.keys = await Keyring.load(given, source.manifest.keys ?? [], source.manifestPath)
    source.values.keys = source.keys
    return source
  }

  get manifest(): Manifest {
    return this.current
  }

  get manifestPath(): string {
    return joinPath(this.directory, MANIFEST_FILE)
  }

  private read(): Manifest {
    const manifest = readManifest(this.env, this.directory)
    if (manifest === null) throw new CliError(`${this.directory}: expected a ${MANIFEST_FILE} in it, found none`)
    return manifest
  }

  /** Looks at the manifest again; true if it is another one. */
  refresh(): boolean {
    const { generation } = this.current
    this.current = this.read()
    return this.current.generation !== generation
  }

  table(tableId: TableId): TableEntry | undefined {
    return this.current.tables.find(t => t.tableId === tableId)
  }

  /** The table of that name. Throws CliError if there is none. */
  tableNamed(name: string): TableEntry {
    const table = this.current.tables.find(t => t.descriptor.name === name)
    if (table !== undefined) return table
    const known = this.current.tables.map(t => t.descriptor.name).join(', ')
    throw new CliError(`${this.directory}: expected a table named ${quote(name)}, found: ${known || 'none'}`)
  }

  /** Tables to show: all, or the one that was asked for. */
  tables(name: string | undefined): readonly TableEntry[] {
    return name === undefined ? this.current.tables : [this.tableNamed(name)]
  }

  nameOf(tableId: TableId): string {
    return this.table(tableId)?.descriptor.name ?? `#${tableId}`
  }

  /** Kernels of a table, or null if the directory has no such table now. */
  kernelsOf(tableId: TableId): Kernels | null {
    let kernels = this.kernels.get(tableId)
    if (kernels !== undefined) return kernels
    let table = this.table(tableId)
    // It may have been made after the manifest was read.
    if (table === undefined && this.refresh()) table = this.table(tableId)
    if (table === undefined) return null
    kernels = kernelsOf(layoutOf(table.descriptor, this.manifestPath))
    this.kernels.set(tableId, kernels)
    return kernels
  }

  /** Kernels of a table of the manifest. */
  kernelsFor(table: TableEntry): Kernels {
    return this.kernelsOf(table.tableId) as Kernels
  }

  shardsOf(tableId: TableId): readonly ShardEntry[] {
    const table = this.table(tableId)
    return table === undefined ? [] : shardsOf(this.current, table)
  }

  /** A shard with all columns that its table has now. */
  openShard(entry: ShardEntry): Shard {
    const isOf = ({ tableId, descriptor }: TableEntry) =>
      tableId === entry.tableId || earlierOf(descriptor).some(e => e.tableId === entry.tableId)
    const table = this.current.tables.find(isOf) as TableEntry
    const { layout } = this.kernelsFor(table)
    const isPresent = table.tableId === entry.tableId
    const widening = isPresent ? null : wideningOf(table, entry.tableId, layout, this.manifestPath)
    const path = joinPath(this.directory, shardFile(entry.fileId))
    return Shard.open(this.env, path, entry.tableId, widening?.from ?? layout, entry, 'auto', {
      values: this.values,
      keys: this.keys,
      fileId: entry.fileId,
      widening,
    })
  }

  /** Does what needs several files at one moment; again if one of them is gone because of a newer manifest. */
  async atOneMoment<T>(work: () => T | Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await work()
      } catch (error) {
        const isGone = error instanceof IoError && (error.errno === 'ENOENT' || error.errno === 'ESTALE')
        if (!isGone || attempt === ATTEMPTS || !this.refresh()) throw error
      }
    }
  }
}

/** Throws CliError if there is nothing of that name. */
export function kindOf(path: string): 'file' | 'directory' {
  const stats = statSync(path, { throwIfNoEntry: false })
  if (stats === undefined) throw new CliError(`${path}: no such file or directory`)
  return stats.isDirectory() ? 'directory' : 'file'
}

/** The directory that a path is, or that its file lies in; and the file's name. */
export function split(path: string): { directory: string; file: string | null } {
  if (kindOf(path) === 'directory') return { directory: path, file: null }
  return { directory: dirname(path), file: basename(path) }
}
