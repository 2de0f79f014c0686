/**
 * The manifest on disk: read at open, replaced by swap file and rename. Before a publication returns, the new manifest
 * is durable; if it throws, either the old or the new one is, and `renamed` of the error tells whether the new one
 * can be.
 */
import type { Env } from '../../env/env.js'
import { joinPath } from '../../env/env.js'
import { MANIFEST_FILE, MANIFEST_SWAP, type Manifest } from '../types.js'
import { decodeManifest, encodeManifest } from './format.js'

/** The manifest of a directory, or null if it has none. Throws CorruptionError, FormatError, IoError. */
export function readManifest(env: Env, directory: string): Manifest | null {
  const path = joinPath(directory, MANIFEST_FILE)
  if (env.stat(path) === null) return null
  const file = env.open(path, 'read')
  try {
    const bytes = new Uint8Array(file.size())
    const read = file.read(bytes, 0)
    return decodeManifest(bytes.subarray(0, read), path)
  } finally {
    file.close()
  }
}

/** How far a publication came. */
export interface Progress {
  /** The new manifest may be the one that is found after a crash: files it names must not be removed. */
  renamed: boolean
}

/**
 * Replaces the manifest. REQUIRES: the files it names are durable; their names need not be.
 * ENSURES: when it returns, the new manifest is what any reader and any crash will find.
 */
export function publishManifest(env: Env, directory: string, manifest: Manifest, progress: Progress): void {
  const swap = joinPath(directory, MANIFEST_SWAP)
  env.remove(swap)
  const file = env.open(swap, 'create')
  try {
    file.write(encodeManifest(manifest), 0)
    file.sync()
  } finally {
    file.close()
  }
  // The names of new shards must not come later than a manifest that lists them.
  env.syncDirectory(directory)
  progress.renamed = true
  env.rename(swap, joinPath(directory, MANIFEST_FILE))
  env.syncDirectory(directory)
}
