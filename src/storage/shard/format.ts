/**
 * The bytes of a shard (FORMAT.md, "Shard"): a 64-byte header, the column directory, then one region per vector of the
 * batch, each at the first multiple of 64 after the one before. The offsets follow from the layout, the number of rows
 * and the size of the blob heap, so a directory that says anything else is wrong.
 */
import { CorruptionError, FormatError, quote } from '../../base/errors.js'
import { type Column, type Layout, MAX_COLUMNS } from '../../schema/schema.js'
import type { Sealing } from '../crypt/keyring.js'
import { plainSize, sealedSize } from './sealed.js'

/** The bytes `GNITZ_01` as a little-endian u64. */
export const SHARD_MAGIC = 0x31305f5a54494e47n
/** Without flags: every byte lies in the file, and in the clear. */
export const SHARD_VERSION = 2n
/** With flags. */
export const FLAGGED_VERSION = 3n
/** Flag: cells of strings and bytes may lead to pointers in region B. */
const HAS_POINTERS = 1
/** Flag: null words, columns and region B are sealed. */
const IS_SEALED = 2
export const HEADER_BYTES = 64
/** Bytes of a directory entry: offset, size, checksum. */
export const ENTRY_BYTES = 24
export const REGION_ALIGNMENT = 64
/** Where the flags lie in a header of version 3. */
const FLAGS_AT = 40
const KEY_ID_AT = 44
const SALT_AT = 48
/** With at most 16 bytes a row in a region, every region stays below 4 GiB. */
export const MAX_ROWS = 2 ** 28 - 1
export const MAX_HEAP_BYTES = 2 ** 32 - 1

/** Keys, weights, null words and a heap besides the columns. */
export const MAX_DIRECTORY_END = HEADER_BYTES + ENTRY_BYTES * (MAX_COLUMNS + 4) + REGION_ALIGNMENT

/** What a layout says about one region. */
export interface RegionSpec {
  readonly kind: 'keys' | 'weights' | 'nulls' | 'column' | 'heap'
  /** As in the specification: PK, W, N (null words), C1, C2, …, B. */
  readonly label: string
  readonly column: Column | null
  /** 0 for the heap, whose size does not follow from the number of rows. */
  readonly bytesPerRow: number
}

/** A region of one file. */
export interface Region extends RegionSpec {
  /** From the start of the file. */
  readonly offset: number
  /** In the file. */
  readonly sizeBytes: number
  /** Of what is in it: less than in the file if it is sealed. */
  readonly plainBytes: number
  /** XXH3-64 of its bytes. */
  readonly checksum: bigint
}

/** What the first bytes of a shard say. */
export interface ShardHead {
  readonly rowCount: number
  /** Cells may lead to pointers. */
  readonly hasPointers: boolean
  /** How its regions but keys and weights are encrypted; null: they are in the clear. */
  readonly sealing: Sealing | null
  readonly regions: readonly Region[]
}

/** The regions of a layout, in their order. */
export function regionSpecs({ schema, key, stored }: Layout): RegionSpec[] {
  const specs: RegionSpec[] = [
    { kind: 'keys', label: 'PK', column: null, bytesPerRow: key.words * 8 },
    { kind: 'weights', label: 'W', column: null, bytesPerRow: 8 },
  ]
  if (schema.nullWords > 0) specs.push({ kind: 'nulls', label: 'N', column: null, bytesPerRow: schema.nullWords * 8 })
  stored.forEach((column, c) => {
    specs.push({ kind: 'column', label: `C${c + 1}`, column, bytesPerRow: column.info.sizeBytes })
  })
  specs.push({ kind: 'heap', label: 'B', column: null, bytesPerRow: 0 })
  return specs
}

/** Bytes of header and directory. */
export function headBytes(regionCount: number): number {
  return HEADER_BYTES + regionCount * ENTRY_BYTES
}

/** How many regions a directory up to byte `end` has room for. */
export function countRegions(end: number): number {
  return Math.max(0, Math.floor((end - HEADER_BYTES) / ENTRY_BYTES))
}

export function align(offset: number): number {
  return Math.ceil(offset / REGION_ALIGNMENT) * REGION_ALIGNMENT
}

/** Is a region of that kind encrypted in a sealed shard? Keys and weights stay clear, so that seeks need no key. */
export function isSealed({ sealing }: Pick<ShardHead, 'sealing'>, { kind }: RegionSpec): boolean {
  return sealing !== null && kind !== 'keys' && kind !== 'weights'
}

/** Where each region lies, without its checksum. */
export function placeRegions(
  specs: readonly RegionSpec[],
  rowCount: number,
  heapSizeBytes: number,
  sealing: Sealing | null = null,
): Region[] {
  let end = headBytes(specs.length)
  return specs.map(spec => {
    const offset = align(end)
    const plainBytes = spec.kind === 'heap' ? heapSizeBytes : rowCount * spec.bytesPerRow
    const sizeBytes = isSealed({ sealing }, spec) ? sealedSize(plainBytes) : plainBytes
    end = offset + sizeBytes
    return { ...spec, offset, sizeBytes, plainBytes, checksum: 0n }
  })
}

/** A region as it reads in a message. */
export function regionName({ kind, label, column }: RegionSpec): string {
  return column === null ? `region ${label} (${kind})` : `region ${label} (column ${quote(column.name)})`
}

/** Header and directory as bytes. */
export function encodeHead(tableId: number, { rowCount, hasPointers, sealing, regions }: ShardHead): Uint8Array {
  const bytes = new Uint8Array(headBytes(regions.length))
  const view = new DataView(bytes.buffer)
  view.setBigUint64(0, SHARD_MAGIC, true)
  const flags = (hasPointers ? HAS_POINTERS : 0) | (sealing === null ? 0 : IS_SEALED)
  view.setBigUint64(8, flags === 0 ? SHARD_VERSION : FLAGGED_VERSION, true)
  view.setBigUint64(16, BigInt(rowCount), true)
  view.setBigUint64(24, BigInt(HEADER_BYTES), true)
  view.setBigUint64(32, BigInt(tableId), true)
  view.setUint32(FLAGS_AT, flags, true)
  if (sealing !== null) {
    view.setUint32(KEY_ID_AT, sealing.keyId, true)
    bytes.set(sealing.salt, SALT_AT)
  }
  regions.forEach(({ offset, sizeBytes, checksum }, r) => {
    const at = headBytes(r)
    view.setBigUint64(at, BigInt(offset), true)
    view.setBigUint64(at + 8, BigInt(sizeBytes), true)
    view.setBigUint64(at + 16, checksum, true)
  })
  return bytes
}

/** Is this a shard of this version at all? Throws FormatError. REQUIRES: 64 bytes. */
export function checkMagic(bytes: Uint8Array, file: string): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  if (view.getBigUint64(0, true) !== SHARD_MAGIC) {
    throw new FormatError(file, 0, 'expected a gnitz shard (GNITZ_01), found another kind of file')
  }
  const version = view.getBigUint64(8, true)
  if (version !== SHARD_VERSION && version !== FLAGGED_VERSION) {
    const expected = `expected version ${SHARD_VERSION} or ${FLAGGED_VERSION}`
    throw new FormatError(file, 8, `shard format: ${expected}, found ${version}`)
  }
}

/** Whose shard is it? Throws FormatError if not this table's. REQUIRES: 64 bytes. */
export function checkTable(bytes: Uint8Array, file: string, tableId: number): void {
  const found = new DataView(bytes.buffer, bytes.byteOffset, bytes.length).getBigUint64(32, true)
  if (found !== BigInt(tableId)) {
    throw new FormatError(file, 32, `expected a shard of table ${tableId}, found one of table ${found}`)
  }
}

/**
 * Reads header and directory and compares them with what the layout and the size of the file demand. Throws
 * CorruptionError where they contradict themselves, FormatError where they would fit another schema.
 * REQUIRES: `bytes` are the first `headBytes(…)` bytes of the file; `checkMagic` did not throw.
 * ENSURES: regions are aligned, do not overlap, fill the file, and have the sizes that `rowCount` rows need.
 */
export function decodeHead(bytes: Uint8Array, file: string, fileSizeBytes: number, layout: Layout): ShardHead {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const directoryOffset = view.getBigUint64(24, true)
  if (directoryOffset !== BigInt(HEADER_BYTES)) {
    throw new CorruptionError(file, 24, `expected the directory at byte ${HEADER_BYTES}, found ${directoryOffset}`)
  }
  const flags = readFlags(bytes, view, file)
  const rows = view.getBigUint64(16, true)
  if (rows > BigInt(MAX_ROWS)) {
    throw new CorruptionError(file, 16, `expected at most ${MAX_ROWS} rows, found ${rows}`)
  }
  const rowCount = Number(rows)
  const specs = regionSpecs(layout)
  checkRowCount(view, file, rowCount)
  const regions: Region[] = []
  let end = headBytes(specs.length)
  specs.forEach((spec, r) => {
    const region = readEntry(view, headBytes(r), file, spec, { rowCount, ...flags }, end, fileSizeBytes)
    regions.push(region)
    end = region.offset + region.sizeBytes
  })
  if (end !== fileSizeBytes) {
    const problem = `expected the file to end with region B at byte ${end}, found ${fileSizeBytes} bytes`
    throw new CorruptionError(file, Math.min(end, fileSizeBytes), problem)
  }
  return { rowCount, ...flags, regions }
}

/** Versions 2 and 3 differ in that one has no flags and the other has some. */
function readFlags(bytes: Uint8Array, view: DataView, file: string): Pick<ShardHead, 'hasPointers' | 'sealing'> {
  const isFlagged = view.getBigUint64(8, true) === FLAGGED_VERSION
  const flags = isFlagged ? view.getUint32(FLAGS_AT, true) : 0
  if (isFlagged && (flags === 0 || flags > (HAS_POINTERS | IS_SEALED))) {
    throw new CorruptionError(file, FLAGS_AT, `expected flags that a writer sets, found ${flags}`)
  }
  const hasPointers = (flags & HAS_POINTERS) !== 0
  if ((flags & IS_SEALED) !== 0) {
    const keyId = view.getUint32(KEY_ID_AT, true)
    if (keyId === 0) throw new CorruptionError(file, KEY_ID_AT, 'expected the id of a key, found 0')
    return { hasPointers, sealing: { keyId, salt: bytes.slice(SALT_AT, HEADER_BYTES) } }
  }
  for (let at = isFlagged ? FLAGS_AT + 4 : FLAGS_AT; at < HEADER_BYTES; at++) {
    if (bytes[at] !== 0) throw new CorruptionError(file, at, `expected zero in a reserved byte, found ${bytes[at]}`)
  }
  return { hasPointers, sealing: null }
}

/** The weights need eight bytes a row in every schema, so they tell a wrong count from another schema. */
function checkRowCount(view: DataView, file: string, rowCount: number): void {
  const weights = view.getBigUint64(headBytes(1) + 8, true)
  if (weights !== BigInt(rowCount * 8)) {
    throw new CorruptionError(file, 16, `expected ${weights} bytes of weights to be those of ${rowCount} rows`)
  }
}

function readEntry(
  view: DataView,
  at: number,
  file: string,
  spec: RegionSpec,
  { rowCount, sealing }: Pick<ShardHead, 'rowCount' | 'sealing'>,
  previousEnd: number,
  fileSizeBytes: number,
): Region {
  const name = regionName(spec)
  const offset = view.getBigUint64(at, true)
  const size = view.getBigUint64(at + 8, true)
  const isInChunks = isSealed({ sealing }, spec)
  const plainBytes = isInChunks && size < BigInt(2 ** 52) ? plainSize(Number(size)) : Number(size)
  const wanted = isInChunks ? sealedSize(rowCount * spec.bytesPerRow) : rowCount * spec.bytesPerRow
  if (spec.kind !== 'heap' && size !== BigInt(wanted)) {
    const expected = `${wanted} bytes for ${rowCount} rows`
    throw new FormatError(file, at + 8, `${name}: expected ${expected}, found ${size}: not a shard of this schema`)
  }
  if (plainBytes < 0) throw new CorruptionError(file, at + 8, `${name}: no chunks have ${size} bytes`)
  if (plainBytes > MAX_HEAP_BYTES) {
    throw new CorruptionError(file, at + 8, `${name}: expected at most ${MAX_HEAP_BYTES} bytes, found ${size}`)
  }
  if (offset % BigInt(REGION_ALIGNMENT) !== 0n) {
    throw new CorruptionError(file, at, `${name}: expected a multiple of ${REGION_ALIGNMENT}, found byte ${offset}`)
  }
  if (offset + size > BigInt(fileSizeBytes)) {
    const reach = `reaches from byte ${offset} to ${offset + size}`
    throw new CorruptionError(file, at, `${name}: ${reach}, beyond the end of the file at ${fileSizeBytes}`)
  }
  const expected = align(previousEnd)
  if (offset !== BigInt(expected)) {
    // The first region's place tells how many entries the directory has.
    if (spec.kind === 'keys') {
      const problem = `expected the first region at byte ${expected}, found ${offset}: not a shard of this schema`
      throw new FormatError(file, at, problem)
    }
    throw new CorruptionError(file, at, `${name}: expected it at byte ${expected}, found ${offset}`)
  }
  const checksum = view.getBigUint64(at + 16, true)
  return { ...spec, offset: expected, sizeBytes: Number(size), plainBytes, checksum }
}
