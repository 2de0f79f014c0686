/**
 * The extension of a manifest (FORMAT.md, "Manifest"): which value logs there are, what shards
 * refer to in them, and which keys files are encrypted with.
 */
import { CorruptionError } from '../../base/errors.js'
import type { FileId, KeyEntry, Manifest, ShardEntry, ValueFileEntry, ValueReference } from '../types.js'

const HEAD_BYTES = 32
const FILE_BYTES = 32
const REFERENCE_BYTES = 24
const KEY_BYTES = 56

export function encodeExtension({ shards, valueFiles = [], keys = [] }: Manifest): Uint8Array {
  const references = shards.flatMap(shard => (shard.references ?? []).map(reference => ({ shard, reference })))
  const bytes = new Uint8Array(sizeOf(valueFiles.length, references.length, keys.length))
  const view = new DataView(bytes.buffer)
  view.setUint32(0, valueFiles.length, true)
  view.setUint32(4, references.length, true)
  view.setUint32(8, keys.length, true)
  let at = HEAD_BYTES
  for (const { fileId, sizeBytes, keyId = 0 } of valueFiles) {
    view.setBigUint64(at, fileId, true)
    view.setBigUint64(at + 8, BigInt(sizeBytes), true)
    view.setUint32(at + 16, keyId, true)
    at += FILE_BYTES
  }
  for (const { shard, reference } of references) {
    view.setBigUint64(at, shard.fileId, true)
    view.setBigUint64(at + 8, reference.fileId, true)
    view.setBigUint64(at + 16, BigInt(reference.bytes), true)
    at += REFERENCE_BYTES
  }
  for (const { id, salt, check } of keys) {
    view.setUint32(at, id, true)
    bytes.set(salt, at + 8)
    bytes.set(check, at + 24)
    at += KEY_BYTES
  }
  return bytes
}

function sizeOf(files: number, references: number, keys: number): number {
  return HEAD_BYTES + files * FILE_BYTES + references * REFERENCE_BYTES + keys * KEY_BYTES
}

/** The manifest with what the extension from byte `at` on says. Throws CorruptionError. */
export function decodeExtension(plain: Manifest, view: DataView, at: number, file: string): Manifest {
  const left = view.byteLength - at
  if (left < HEAD_BYTES) throw new CorruptionError(file, at, `expected an extension, found ${left} bytes`)
  const fileCount = view.getUint32(at, true)
  const referenceCount = view.getUint32(at + 4, true)
  const keyCount = view.getUint32(at + 8, true)
  const expected = sizeOf(fileCount, referenceCount, keyCount)
  if (left !== expected) {
    const what = `${fileCount} value logs, ${referenceCount} references and ${keyCount} keys (${expected} bytes)`
    throw new CorruptionError(file, at, `expected an extension of ${what}, found ${left} bytes`)
  }
  let p = at + HEAD_BYTES
  const valueFiles: ValueFileEntry[] = []
  for (let n = 0; n < fileCount; n++, p += FILE_BYTES) {
    const keyId = view.getUint32(p + 16, true)
    const entry = { fileId: view.getBigUint64(p, true), sizeBytes: small(view, p + 8, file) }
    valueFiles.push(keyId === 0 ? entry : { ...entry, keyId })
  }
  const references = new Map<FileId, ValueReference[]>()
  for (let n = 0; n < referenceCount; n++, p += REFERENCE_BYTES) {
    const shard = view.getBigUint64(p, true)
    const list = references.get(shard) ?? []
    list.push({ fileId: view.getBigUint64(p + 8, true), bytes: small(view, p + 16, file) })
    references.set(shard, list)
  }
  const keys: KeyEntry[] = []
  for (let n = 0; n < keyCount; n++, p += KEY_BYTES) {
    keys.push({ id: view.getUint32(p, true), salt: part(view, p + 8, 16), check: part(view, p + 24, 32) })
  }
  const shards = plain.shards.map(shard => withReferences(shard, references))
  if (references.size > 0) {
    throw new CorruptionError(file, at, `references of shard ${[...references.keys()][0]}, which is not listed`)
  }
  return {
    ...plain,
    shards,
    ...(valueFiles.length > 0 ? { valueFiles } : {}),
    ...(keys.length > 0 ? { keys } : {}),
  }
}

function part({ buffer, byteOffset }: DataView, at: number, length: number): Uint8Array {
  return new Uint8Array(buffer, byteOffset + at, length).slice()
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
  { shards, valueFiles = [], keys = [], nextFileId }: Manifest,
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
  checkKeys(shards, valueFiles, keys, fail)
}

function checkKeys(
  shards: readonly ShardEntry[],
  valueFiles: readonly ValueFileEntry[],
  keys: readonly KeyEntry[],
  fail: (problem: string) => void,
): void {
  let last = 0
  for (const { id } of keys) {
    if (id <= last) fail(`key ${id} is listed after key ${last}`)
    last = id
  }
  const ids = new Set(keys.map(({ id }) => id))
  for (const { fileId, keyId } of [...shards, ...valueFiles]) {
    if (keyId !== undefined && !ids.has(keyId))
      fail(`file ${fileId} is encrypted with key ${keyId}, which is not listed`)
  }
}
