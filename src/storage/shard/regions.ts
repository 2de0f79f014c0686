/**
 * Reading regions, whole or in part, and checking them on the way. A checksum covers a whole region, so a region in the
 * clear is read through once, in pieces, before parts of it are used. A sealed one (sealed.ts) has a tag in every chunk:
 * what is decrypted is what was written.
 */
import { xxh3 } from '../../base/checksum.js'
import { IoError } from '../../base/errors.js'
import { type FileCipher, lockedError } from '../crypt/keyring.js'
import type { TableId } from '../types.js'
import { compareChecksums } from './faults.js'
import { isSealed, type Region, type ShardHead } from './format.js'
import { CHUNK_BYTES, ChunkOpener } from './sealed.js'
import type { Source } from './source.js'

/** Chunks that are kept decrypted, at least; two for each region of a shard of many. */
const KEPT_CHUNKS = 16

export class RegionReader {
  private readonly verified = new Set<Region>()
  private readonly openers = new Map<Region, ChunkOpener>()
  /** By region and chunk, the one used last at the end. */
  private readonly chunks = new Map<string, Uint8Array>()
  private readonly keptChunks: number
  /** Chunks that were decrypted, and how many there are. */
  opened = 0
  readonly total: number

  /** `cipher`: null if nothing is sealed, or if there is no key; then sealed regions cannot be read. */
  constructor(
    private readonly source: Source,
    private readonly head: ShardHead,
    private readonly tableId: TableId,
    private readonly cipher: FileCipher | null,
  ) {
    this.keptChunks = Math.max(KEPT_CHUNKS, head.regions.length * 2)
    const sealed = head.regions.filter(region => isSealed(head, region))
    this.total = sealed.reduce((sum, region) => sum + Math.ceil(region.plainBytes / CHUNK_BYTES), 0)
  }

  get path(): string {
    return this.source.path
  }

  /** All bytes of a region. Throws CorruptionError if they are not those that were written, KeyError, IoError. */
  take(region: Region): Uint8Array {
    if (!isSealed(this.head, region)) {
      const bytes = this.source.take(region.offset, region.sizeBytes)
      compareChecksums(this.path, region, xxh3(bytes))
      return bytes
    }
    const bytes = allocate(this.path, region.plainBytes)
    const opener = this.opener(region)
    for (let at = 0; at < bytes.length; at += CHUNK_BYTES) bytes.set(this.read(opener, at / CHUNK_BYTES), at)
    return bytes
  }

  /** Fills `into` with the bytes of a region from `at` on. Throws like `take`. */
  readInto(into: Uint8Array, region: Region, at: number): void {
    if (into.length === 0) return
    if (!isSealed(this.head, region)) {
      this.verify(region)
      this.source.readInto(into, region.offset + at)
      return
    }
    const opener = this.opener(region)
    for (let done = 0; done < into.length; ) {
      const chunk = this.chunk(opener, Math.floor((at + done) / CHUNK_BYTES))
      const within = (at + done) % CHUNK_BYTES
      const part = chunk.subarray(within, within + into.length - done)
      into.set(part, done)
      done += part.length
    }
  }

  /** Throws CorruptionError if a region in the clear is not what was written; reads it once. */
  verify(region: Region): void {
    if (isSealed(this.head, region) || this.verified.has(region)) return
    compareChecksums(this.path, region, this.source.checksum(region.offset, region.sizeBytes))
    this.verified.add(region)
  }

  private opener(region: Region): ChunkOpener {
    let opener = this.openers.get(region)
    if (opener === undefined) {
      const { sealing, regions } = this.head
      if (this.cipher === null) throw lockedError(this.path, sealing?.keyId ?? 0)
      opener = new ChunkOpener(this.cipher, this.tableId, regions.indexOf(region), region, this.path)
      this.openers.set(region, opener)
    }
    return opener
  }

  private read(opener: ChunkOpener, number: number): Uint8Array {
    this.opened++
    const { offset, sizeBytes } = opener.placeInFile(number)
    return opener.open(number, this.source.take(offset, sizeBytes))
  }

  private chunk(opener: ChunkOpener, number: number): Uint8Array {
    const key = `${opener.region.label} ${number}`
    const chunk = this.chunks.get(key) ?? this.read(opener, number)
    this.chunks.delete(key)
    this.chunks.set(key, chunk)
    if (this.chunks.size > this.keptChunks) this.chunks.delete(this.chunks.keys().next().value as string)
    return chunk
  }
}

function allocate(path: string, sizeBytes: number): Uint8Array {
  try {
    return new Uint8Array(sizeBytes)
  } catch (error) {
    throw new IoError(path, 'ENOMEM', `no memory for ${sizeBytes} bytes of it`, 'IO', error)
  }
}
