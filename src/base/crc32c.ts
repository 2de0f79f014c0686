/**
 * CRC32C (Castagnoli), the checksum of records in the value log. hash-wasm computes 1.4 GB/s of it, tables in JavaScript
 * a third of that.
 */
import { createCRC32 } from 'hash-wasm'
import { GnitzError, UsageError } from './errors.js'

/** The polynomial, its lowest power in the highest bit. */
const CASTAGNOLI = 0x82f63b78
/** Of the digits 1 to 9 (RFC 3720 and every catalogue of checksums). */
const KNOWN_DIGEST = 0xe3069283

type Hasher = Awaited<ReturnType<typeof createCRC32>>
let hasher: Hasher | null = null

/** Part of `loadChecksum`. Throws INTERNAL if the library computes something else. */
export async function loadCrc32c(): Promise<void> {
  const loaded = await createCRC32(CASTAGNOLI)
  hasher = loaded
  const found = crc32c(new TextEncoder().encode('123456789'))
  if (found === KNOWN_DIGEST) return
  hasher = null
  throw new GnitzError('INTERNAL', `CRC32C of 123456789 is ${KNOWN_DIGEST}, but hash-wasm says ${found}`)
}

/** CRC32C of all bytes, a u32. Throws UsageError before `loadChecksum`. */
export function crc32c(bytes: Uint8Array): number {
  if (hasher === null) throw new UsageError('a checksum was asked for before loadChecksum() had resolved')
  const digest = hasher.init().update(bytes).digest('binary')
  return ((digest[0] << 24) | (digest[1] << 16) | (digest[2] << 8) | digest[3]) >>> 0
}
