/**
 * The manifest's bytes (FORMAT.md, "Manifest"): a header, table records of varying length, shard records of 112 bytes,
 * and an extension about value logs (extension.ts). One checksum covers the whole file, so nothing in it is believed
 * before that has been compared.
 */
import { xxh3 } from '../../base/checksum.js'
import { assert, CorruptionError, FormatError } from '../../base/errors.js'
import type { LogEnd, Manifest, ShardEntry, TableEntry } from '../types.js'
import { canonical, parseDescriptor, schemaHash } from './descriptor.js'
import { checkValues, decodeExtension, encodeExtension } from './extension.js'
import { earlierOf } from './versions.js'

/** `MANIFNGT` as a little-endian u64. */
const MAGIC = 0x54474e46494e414dn
/** The version that is written. */
export const MANIFEST_VERSION = 3
/** Of the header, by version. Up to byte 64 it is the same in all of them. */
const HEADER_BYTES: Readonly<Record<number, number>> = { 1: 64, 2: 96, 3: 96 }
/** The first version with an extension. */
const EXTENDED_VERSION = 3
const MIN_HEADER_BYTES = 64
const TABLE_BYTES = 32
const SHARD_BYTES = 112
/** Where in the header the checksum of the file lies. */
export const CHECKSUM_AT = 56
/** A manifest larger than this is not one: about four million shards. */
const MAX_BYTES = 512 * 1024 * 1024

const KINDS = ['durable', 'ephemeral'] as const
const WORD = (1n << 64n) - 1n

/**
 * In the format of `manifest.version`. ENSURES: `decodeManifest` gives back the same. REQUIRES: table ids ascend, shards
 * name tables that are listed.
 */
export function encodeManifest(manifest: Manifest): Uint8Array {
  checkReferences(manifest, problem => assert(false, problem))
  const headerBytes = HEADER_BYTES[manifest.version]
  const descriptors = manifest.tables.map(t => new TextEncoder().encode(canonical(t.descriptor)))
  const tableBytes = descriptors.reduce((sum, d) => sum + TABLE_BYTES + padded(d.length), 0)
  const extension = manifest.version >= EXTENDED_VERSION ? encodeExtension(manifest) : new Uint8Array(0)
  const shardsEnd = headerBytes + tableBytes + manifest.shards.length * SHARD_BYTES
  const bytes = new Uint8Array(shardsEnd + extension.length)
  const view = new DataView(bytes.buffer)
  view.setBigUint64(0, MAGIC, true)
  view.setBigUint64(8, BigInt(manifest.version), true)
  view.setBigUint64(16, manifest.generation, true)
  view.setBigUint64(24, manifest.globalMaxLsn, true)
  view.setBigUint64(32, manifest.nextFileId, true)
  view.setUint32(40, manifest.tables.length, true)
  view.setUint32(44, manifest.shards.length, true)
  view.setBigUint64(48, BigInt(bytes.length - headerBytes), true)
  if (manifest.version >= 2) writeSecondHeader(view, manifest)
  let at = headerBytes
  manifest.tables.forEach((table, t) => {
    view.setUint32(at, table.tableId, true)
    view.setUint32(at + 4, KINDS.indexOf(table.kind), true)
    view.setBigUint64(at + 8, table.schemaHash, true)
    view.setBigUint64(at + 16, table.flushedLsn, true)
    view.setUint32(at + 24, descriptors[t].length, true)
    bytes.set(descriptors[t], at + TABLE_BYTES)
    at += TABLE_BYTES + padded(descriptors[t].length)
  })
  for (const shard of manifest.shards) {
    writeShardRecord(view, at, shard)
    at += SHARD_BYTES
  }
  bytes.set(extension, shardsEnd)
  view.setBigUint64(CHECKSUM_AT, xxh3(bytes), true)
  return bytes
}

function writeSecondHeader(view: DataView, { logEnd, nextTableId }: Manifest): void {
  view.setBigUint64(64, logEnd?.lsn ?? 0n, true)
  view.setBigUint64(72, logEnd?.segment ?? 0n, true)
  view.setBigUint64(80, BigInt(logEnd?.offset ?? 0), true)
  view.setUint32(88, nextTableId, true)
}

function writeShardRecord(view: DataView, at: number, shard: ShardEntry): void {
  view.setBigUint64(at, shard.fileId, true)
  view.setUint32(at + 8, shard.tableId, true)
  view.setUint32(at + 12, shard.level, true)
  view.setBigUint64(at + 16, BigInt(shard.rowCount), true)
  view.setBigUint64(at + 24, BigInt(shard.sizeBytes), true)
  view.setBigUint64(at + 32, shard.minKey & WORD, true)
  view.setBigUint64(at + 40, shard.minKey >> 64n, true)
  view.setBigUint64(at + 48, shard.maxKey & WORD, true)
  view.setBigUint64(at + 56, shard.maxKey >> 64n, true)
  view.setBigUint64(at + 64, shard.minLsn, true)
  view.setBigUint64(at + 72, shard.maxLsn, true)
  view.setBigUint64(at + 80, shard.checksum, true)
  view.setBigUint64(at + 88, shard.weightBound, true)
  view.setUint32(at + 96, shard.keyId ?? 0, true)
}

/** Throws CorruptionError or FormatError; `file` is named in them. */
export function decodeManifest(bytes: Uint8Array, file: string): Manifest {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const checked = checkHeader(bytes, view, file)
  const end = bytes.length
  let at = checked.headerBytes
  const tables: TableEntry[] = []
  for (let t = 0; t < checked.tableCount; t++) {
    if (at + TABLE_BYTES > end) throw new CorruptionError(file, at, `table record ${t} reaches beyond the end`)
    const length = view.getUint32(at + 24, true)
    if (length > end || at + TABLE_BYTES + padded(length) > end) {
      throw new CorruptionError(file, at + 24, `a descriptor of ${length} bytes reaches beyond the end`)
    }
    tables.push(readTable(bytes, view, at, length, file))
    at += TABLE_BYTES + padded(length)
  }
  const shardsEnd = at + checked.shardCount * SHARD_BYTES
  if (checked.version >= EXTENDED_VERSION ? shardsEnd > end : shardsEnd !== end) {
    const expected = `${checked.shardCount} shard records (${checked.shardCount * SHARD_BYTES} bytes)`
    throw new CorruptionError(file, at, `expected ${expected}, found ${end - at} bytes`)
  }
  const shards: ShardEntry[] = []
  for (; at < shardsEnd; at += SHARD_BYTES) shards.push(readShard(view, at, file))
  const isFirst = checked.version === 1
  const plain = {
    version: checked.version,
    generation: view.getBigUint64(16, true),
    globalMaxLsn: view.getBigUint64(24, true),
    nextFileId: view.getBigUint64(32, true),
    nextTableId: isFirst ? (tables.at(-1)?.tableId ?? 0) + 1 : view.getUint32(88, true),
    logEnd: isFirst ? null : readLogEnd(view, file),
    tables,
    shards,
  }
  const manifest = checked.version >= EXTENDED_VERSION ? decodeExtension(plain, view, shardsEnd, file) : plain
  checkReferences(manifest, problem => {
    throw new CorruptionError(file, null, problem)
  })
  return manifest
}

function readLogEnd(view: DataView, file: string): LogEnd | null {
  const [lsn, segment, offset] = [64, 72, 80].map(at => view.getBigUint64(at, true))
  if (lsn === 0n) return null
  if (segment === 0n || segment > lsn || offset === 0n || offset > BigInt(Number.MAX_SAFE_INTEGER)) {
    const place = `byte ${offset} of segment ${segment}`
    throw new CorruptionError(file, 64, `transaction ${lsn} cannot be the last one up to ${place} of the log`)
  }
  return { lsn, segment, offset: Number(offset) }
}

interface Header {
  readonly version: number
  readonly headerBytes: number
  readonly tableCount: number
  readonly shardCount: number
}

function checkHeader(bytes: Uint8Array, view: DataView, file: string): Header {
  const { length } = bytes
  if (length < MIN_HEADER_BYTES) {
    const least = `a manifest of at least ${MIN_HEADER_BYTES} bytes`
    throw new CorruptionError(file, length, `expected ${least}, found ${length}`)
  }
  if (length > MAX_BYTES) throw new CorruptionError(file, null, `${length} bytes are too many for a manifest`)
  if (view.getBigUint64(0, true) !== MAGIC) {
    throw new FormatError(file, 0, 'expected a gnitz manifest (MANIFNGT), found another kind of file')
  }
  const version = view.getBigUint64(8, true)
  if (version === 0n || version > BigInt(MANIFEST_VERSION)) {
    throw new FormatError(file, 8, `expected manifest version 1 to ${MANIFEST_VERSION}, found version ${version}`)
  }
  const headerBytes = HEADER_BYTES[Number(version)]
  if (view.getBigUint64(48, true) !== BigInt(length - headerBytes)) {
    const expected = `${view.getBigUint64(48, true)} bytes after the header`
    throw new CorruptionError(file, 48, `expected ${expected}, found ${length - headerBytes}`)
  }
  const stored = view.getBigUint64(CHECKSUM_AT, true)
  const copy = bytes.slice()
  copy.fill(0, CHECKSUM_AT, CHECKSUM_AT + 8)
  const found = xxh3(copy)
  if (found !== stored) {
    throw new CorruptionError(file, CHECKSUM_AT, `checksum: expected ${hex(stored)}, found ${hex(found)}`)
  }
  const [tableCount, shardCount] = [view.getUint32(40, true), view.getUint32(44, true)]
  return { version: Number(version), headerBytes, tableCount, shardCount }
}

function readTable(bytes: Uint8Array, view: DataView, at: number, length: number, file: string): TableEntry {
  const kind = KINDS[view.getUint32(at + 4, true)]
  if (kind === undefined)
    throw new CorruptionError(file, at + 4, `unknown kind of table ${view.getUint32(at + 4, true)}`)
  const from = at + TABLE_BYTES
  const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes.subarray(from, from + length))
  const descriptor = parseDescriptor(text, file, from)
  const hash = view.getBigUint64(at + 8, true)
  if (hash !== schemaHash(descriptor)) {
    throw new CorruptionError(file, at + 8, `expected schema hash ${hex(schemaHash(descriptor))}, found ${hex(hash)}`)
  }
  const flushedLsn = view.getBigUint64(at + 16, true)
  return { tableId: view.getUint32(at, true), kind, schemaHash: hash, flushedLsn, descriptor }
}

function readShard(view: DataView, at: number, file: string): ShardEntry {
  const small = (offset: number, what: string): number => {
    const value = view.getBigUint64(at + offset, true)
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new CorruptionError(file, at + offset, `${what} ${value}`)
    return Number(value)
  }
  const wide = (offset: number) =>
    view.getBigUint64(at + offset, true) | (view.getBigUint64(at + offset + 8, true) << 64n)
  const keyId = view.getUint32(at + 96, true)
  return {
    fileId: view.getBigUint64(at, true),
    tableId: view.getUint32(at + 8, true),
    level: view.getUint32(at + 12, true),
    rowCount: small(16, 'an impossible number of rows:'),
    sizeBytes: small(24, 'an impossible size:'),
    minKey: wide(32),
    maxKey: wide(48),
    minLsn: view.getBigUint64(at + 64, true),
    maxLsn: view.getBigUint64(at + 72, true),
    checksum: view.getBigUint64(at + 80, true),
    weightBound: view.getBigUint64(at + 88, true),
    ...(keyId === 0 ? {} : { keyId }),
  }
}

/** What holds for every manifest, before it is written and after it is read. */
function checkReferences(manifest: Manifest, fail: (problem: string) => void): void {
  let last = 0
  for (const { tableId } of manifest.tables) {
    if (tableId <= last) fail(`table ${tableId} is listed after table ${last}`)
    last = tableId
  }
  if (last >= manifest.nextTableId) fail(`table ${last} is not below the next table, ${manifest.nextTableId}`)
  const tables = new Set(manifest.tables.map(t => t.tableId))
  for (const { tableId, descriptor } of manifest.tables) {
    for (const version of earlierOf(descriptor)) {
      if (version.tableId >= tableId) fail(`table ${tableId} was table ${version.tableId} before`)
      if (tables.has(version.tableId)) fail(`table ${version.tableId} is listed, and an earlier version of ${tableId}`)
      tables.add(version.tableId)
    }
  }
  const files = new Set<bigint>()
  for (const shard of manifest.shards) {
    const name = `shard ${shard.fileId}`
    if (!tables.has(shard.tableId)) fail(`${name} belongs to table ${shard.tableId}, which is not listed`)
    if (files.has(shard.fileId)) fail(`${name} is listed twice`)
    if (shard.fileId >= manifest.nextFileId) fail(`${name} is not below the next file, ${manifest.nextFileId}`)
    if (shard.minKey > shard.maxKey) fail(`${name} has a smallest key above its largest`)
    if (shard.minLsn > shard.maxLsn) fail(`${name} has a first LSN above its last`)
    files.add(shard.fileId)
  }
  checkValues(manifest, files, fail)
}

function padded(bytes: number): number {
  return (bytes + 7) & ~7
}

function hex(value: bigint): string {
  return `0x${value.toString(16).padStart(16, '0')}`
}
