/**
 * The manifest of a directory as it is on disk, and how the next one gets there. It hands out numbers of tables and
 * files, none twice, and knows which keys the files and the log may be encrypted with.
 */

import type { TreeContext } from '../context.js'
import type { KeyId } from '../crypt/keys.js'
import type { FileId, KeyEntry, Manifest, ShardEntry, TableId } from '../types.js'
import type { Wal } from '../wal/wal.js'
import { MANIFEST_VERSION } from './format.js'
import { type Progress, publishManifest } from './manifest.js'

export class Publication {
  private nextTableId: TableId
  /** Keys that earlier parts of the log may be encrypted with. */
  private readonly logKeys: Set<KeyId>

  constructor(
    private readonly context: TreeContext,
    /** What is on disk. */
    private current: Manifest,
    private readonly nextFileId: { readonly value: FileId },
    /** Null if the directory is only read. */
    private readonly wal: Wal | null,
    /** Shards that may be on disk from now on, even if the manifest that names them then failed to be durable. */
    private readonly mayBePublished: (shards: readonly ShardEntry[]) => void,
  ) {
    this.nextTableId = current.nextTableId
    this.logKeys = new Set((current.keys ?? []).map(({ id }) => id))
  }

  get manifest(): Manifest {
    return this.current
  }

  /** Numbers of the keys that files may be encrypted with, ascending. */
  get keyIds(): readonly KeyId[] {
    return (this.current.keys ?? []).map(({ id }) => id)
  }

  /** A number that no table has had. */
  newTableId(): TableId {
    return this.nextTableId++
  }

  /** The log goes on with another key: what is in it has the one that it had. */
  keepLogKey(): void {
    const keyId = this.wal?.keyId ?? null
    if (keyId !== null) this.logKeys.add(keyId)
  }

  /** The log has been emptied. */
  forgetLogKeys(): void {
    this.logKeys.clear()
  }

  /** Shards, and the value logs that they refer to, for a manifest. */
  listing(shards: readonly ShardEntry[]): Pick<Manifest, 'shards' | 'valueFiles'> {
    const valueFiles = this.context.values.listed(shards)
    return { shards, valueFiles: valueFiles.length > 0 ? valueFiles : undefined }
  }

  /** Puts a manifest on disk. If that fails, files that it names may already be looked for there. */
  publish(next: Manifest): void {
    const { env, directory } = this.context
    const progress: Progress = { renamed: false }
    const manifest: Manifest = {
      ...next,
      version: MANIFEST_VERSION,
      generation: this.current.generation + 1n,
      nextFileId: this.nextFileId.value,
      nextTableId: this.nextTableId,
      logEnd: this.wal?.end ?? next.logEnd,
      keys: this.keysOf(next),
    }
    try {
      publishManifest(env, directory, manifest, progress)
    } finally {
      if (progress.renamed) this.mayBePublished(next.shards)
    }
    this.current = manifest
  }

  /** Keys that anything may be encrypted with that is there now: listed, or not yet. */
  keysInUse(shards: readonly ShardEntry[]): readonly KeyEntry[] {
    const { keys, values } = this.context
    if (keys === null) return []
    const files = [...shards.map(({ keyId }) => keyId), ...values.keyIds]
    const ids = [...this.keyIds, ...this.logKeys, this.wal?.keyId, keys.currentId, ...files]
    return keys.entries(ids.flatMap(id => (id == null ? [] : [id])))
  }

  /** Keys that the files of a manifest, and the log, may be encrypted with. */
  private keysOf({ shards, valueFiles = [] }: Manifest): Manifest['keys'] {
    const { keys } = this.context
    if (keys === null) return undefined
    const files = [...shards, ...valueFiles, { keyId: this.wal?.keyId ?? undefined }]
    const ids = files.flatMap(({ keyId }) => (keyId === undefined ? [] : [keyId]))
    return keys.entries([keys.currentId, ...this.logKeys, ...ids])
  }

  /** Says in the manifest where the log ends, so that a log that ends earlier is known to have lost something. */
  publishLogEnd(): boolean {
    const end = this.wal?.end ?? null
    const { globalMaxLsn, logEnd } = this.current
    if (end === null || end.lsn <= globalMaxLsn) return false
    if (logEnd?.lsn !== end.lsn || logEnd.offset !== end.offset) this.publish(this.current)
    return true
  }
}
