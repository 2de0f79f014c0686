/**
 * The extension of a manifest (FORMAT.md, "Manifest"): which value logs there are, and what shards refer to in them.
 */
import { CorruptionError } from '../../base/errors.js'
import type { FileId, Manifest, ShardEntry, ValueFileEntry, ValueReference } from '../types.js'

const HEAD_BYTES = 32
const FILE_BYTES = 32
const REFERENCE_BYTES = 24

export function encodeExtension({ shards, valueFiles = [] }: Manifest): Uint8Array {
  const references = shards.flatMap(shard => (shard.references ?? []).map(reference => ({ shard, reference })))
  const bytes = new Uint8Array(HEAD_BYTES + valueFiles.length * FILE_BYTES + references.length * REFERENCE_BYTES)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, valueFiles.length, true)
  view.setUint32(4, references.length, true)
  let at = HEAD_BYTES
  for (const { fileId, sizeBytes } of valueFiles) {
    view.setBigUint64(at, fileId, true)
    view.setBigUint64(at + 8, BigInt(sizeBytes), true)
    at += FILE_BYTES
  }
  for (const { shard, reference } of references) {
    view.setBigUint64(at, shard.fileId, true)
    view.setBigUint64(at + 8, reference.fileId, true)
    view.setBigUint64(at + 16, BigInt(reference.bytes), true)
    at += REFERENCE_BYTES
  }
  return bytes
}

/** The manifest with what the extension from byte `at` on says. Throws CorruptionError. */
export function decodeExtension(plain: Manifest, view: DataView, at: number, file: string): Manifest {
  const left = view.byteLength - at
  if (left < HEAD_BYTES) throw new CorruptionError(file, at, `expected an extension, found ${left} bytes`)
  const fileCount = view.getUint32(at, true)
  const referenceCount = view.getUint32(at + 4, true)
  const expected = HEAD_BYTES + fileCount * FILE_BYTES + referenceCount * REFERENCE_BYTES
  if (left !== expected) {
    const what = `${fileCount} value logs and ${referenceCount} references (${expected} bytes)`
    throw new CorruptionError(file, at, `expected an extension of ${what}, found ${left} bytes`)
  }
  let p = at + HEAD_BYTES
  const valueFiles: ValueFileEntry[] = []
  for (let n = 0; n < fileCount; n++, p += FILE_BYTES) {
    valueFiles.push({ fileId: view.getBigUint64(p, true), sizeBytes: small(view, p + 8, file) })
  }
  const references = new Map<FileId, ValueReference[]>()
  for (let n = 0; n < referenceCount; n++, p += REFERENCE_BYTES) {
    const shard = view.getBigUint64(p, true)
    const list = references.get(shard) ?? []
    list.push({ fileId: view.getBigUint64(p + 8, true), bytes: small(view, p + 16, file) })
    references.set(shard, list)
  }
  const shards = plain.shards.map(shard => withReferences(shard, references))
  if (references.size > 0) {
    throw new CorruptionError(file, at, `references of shard ${[...references.keys()][0]}, which is not listed`)
  }
  return { ...plain, shards, ...(valueFiles.length > 0 ? { valueFiles } : {}) }
}

/** Takes the references of a shard out of the map. */
function withReferences(shard: ShardEntry, references: Map<FileId, ValueReference[]>): ShardEntry {
  const list = references.get(shard.fileId)
  if (list === undefined) return shard
  references.delete(shard.fileId)
  return { ...shard, references: list }
}

function small(view: DataView, at: number, file: string): number {
  const value = view.getBigUint64(at, true)
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new CorruptionError(file, at, `an impossible size: ${value}`)
  return Number(value)
}

/** What holds for the value logs of every manifest. `shards`: numbers of the shard files. */
export function checkValues(
  { shards, valueFiles = [], nextFileId }: Manifest,
  shardFiles: ReadonlySet<FileId>,
  fail: (problem: string) => void,
): void {
  const sizes = new Map<FileId, number>()
  let last = 0n
  for (const { fileId, sizeBytes } of valueFiles) {
    const name = `value log ${fileId}`
    if (fileId <= last) fail(`${name} is listed after value log ${last}`)
    if (fileId >= nextFileId) fail(`${name} is not below the next file, ${nextFileId}`)
    if (fileId > BigInt(Number.MAX_SAFE_INTEGER)) fail(`${name} has a number that no file reaches`)
    if (shardFiles.has(fileId)) fail(`${name} has the number of a shard`)
    sizes.set(fileId, sizeBytes)
    last = fileId
  }
  const unused = new Set(sizes.keys())
  for (const { fileId, references = [] } of shards) {
    let previous = 0n
    for (const reference of references) {
      const name = `shard ${fileId} refers to value log ${reference.fileId}`
      const size = sizes.get(reference.fileId)
      if (size === undefined) fail(`${name}, which is not listed`)
      else if (reference.bytes > size) fail(`${name} in ${reference.bytes} bytes, but it has ${size}`)
      if (reference.fileId <= previous) fail(`${name} after value log ${previous}`)
      previous = reference.fileId
      unused.delete(reference.fileId)
    }
  }
  for (const fileId of unused) fail(`no shard refers to value log ${fileId}`)
}
