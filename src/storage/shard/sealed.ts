/**
 * Sealed regions: the bytes of a region cut into chunks of 64 KiB, each encrypted by itself with its tag behind it, so
 * that a look-up decrypts a chunk and not a region.
 */
import { CorruptionError } from '../../base/errors.js'
import { type FileCipher, SEAL_BYTES } from '../crypt/keyring.js'
import type { TableId } from '../types.js'
import type { Region } from './format.js'

/** Bytes of a chunk before it is encrypted; the last one of a region may have fewer. */
export const CHUNK_BYTES = 1 << 16
const SEALED_CHUNK_BYTES = CHUNK_BYTES + SEAL_BYTES

/** Bytes in the file of a sealed region with that many bytes. */
export function sealedSize(plainBytes: number): number {
  return plainBytes + Math.ceil(plainBytes / CHUNK_BYTES) * SEAL_BYTES
}

/** Bytes that a sealed region of that size in the file has; -1 if none has that size. */
export function plainSize(sizeBytes: number): number {
  const rest = sizeBytes % SEALED_CHUNK_BYTES
  if (rest > 0 && rest <= SEAL_BYTES) return -1
  return Math.floor(sizeBytes / SEALED_CHUNK_BYTES) * CHUNK_BYTES + Math.max(0, rest - SEAL_BYTES)
}

/** What a chunk is bound to, besides the file that its key is for: table, region and its size. */
function placeOf(tableId: TableId, number: number, plainBytes: number): Uint8Array {
  const place = new Uint8Array(16)
  const view = new DataView(place.buffer)
  view.setUint32(0, tableId, true)
  view.setUint32(4, number, true)
  view.setBigUint64(8, BigInt(plainBytes), true)
  return place
}

/** A region as it lies in the file. `number`: its place in the directory. */
export function sealRegion(cipher: FileCipher, tableId: TableId, number: number, plain: Uint8Array): Uint8Array {
  const sealed = new Uint8Array(sealedSize(plain.length))
  const place = placeOf(tableId, number, plain.length)
  for (let from = 0, at = 0, c = 0n; from < plain.length; from += CHUNK_BYTES, at += SEALED_CHUNK_BYTES, c++) {
    cipher.seal(number, c, place, plain.subarray(from, from + CHUNK_BYTES), sealed.subarray(at))
  }
  return sealed
}

/** Opens the chunks of one region. */
export class ChunkOpener {
  private readonly place: Uint8Array

  constructor(
    private readonly cipher: FileCipher,
    tableId: TableId,
    private readonly number: number,
    readonly region: Region,
    private readonly path: string,
  ) {
    this.place = placeOf(tableId, number, region.plainBytes)
  }

  /** Where a chunk lies in the file, and how many bytes it has there. */
  placeInFile(chunk: number): { readonly offset: number; readonly sizeBytes: number } {
    const at = chunk * SEALED_CHUNK_BYTES
    const { offset, sizeBytes } = this.region
    return { offset: offset + at, sizeBytes: Math.min(SEALED_CHUNK_BYTES, sizeBytes - at) }
  }

  open(chunk: number, sealed: Uint8Array): Uint8Array {
    const plain = this.cipher.open(this.number, BigInt(chunk), this.place, sealed)
    if (plain !== null) return plain
    const problem = `${this.region.label}: this is not what was encrypted with key ${this.cipher.keyId} for this place`
    throw new CorruptionError(this.path, this.placeInFile(chunk).offset, problem)
  }
}
