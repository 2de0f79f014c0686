/**
 * Cryptography of the platform: AES-256 in Galois/counter mode (NIST SP 800-38D), HKDF with SHA-256 (RFC 5869), scrypt
 * (RFC 7914) and random bytes. What is done with them is in storage/crypt.
 */
import {
  type CipherGCMTypes,
  createCipheriv,
  createDecipheriv,
  hkdfSync,
  scryptSync,
  randomBytes as systemRandomBytes,
  timingSafeEqual,
} from 'node:crypto'

const ALGORITHM: CipherGCMTypes = 'aes-256-gcm'
export const KEY_BYTES = 32
export const NONCE_BYTES = 12
export const TAG_BYTES = 16

/**
 * Encrypts `plain` into the first bytes of `out`, and puts the tag right behind them. REQUIRES: room; a nonce that this
 * key has never had; `out` may begin where `plain` does, but must not overlap it otherwise.
 */
export function sealBytes(
  key: Uint8Array,
  nonce: Uint8Array,
  aad: Uint8Array,
  plain: Uint8Array,
  out: Uint8Array,
): void {
  const cipher = createCipheriv(ALGORITHM, key, nonce)
  cipher.setAAD(aad)
  out.set(cipher.update(plain))
  // In counter mode nothing is held back for the end.
  cipher.final()
  out.set(cipher.getAuthTag(), plain.length)
}

/** Decrypts bytes with their tag behind them; null if they were not sealed with this key, nonce and `aad`. */
export function openBytes(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, sealed: Uint8Array): Uint8Array | null {
  const length = sealed.length - TAG_BYTES
  if (length < 0) return null
  const decipher = createDecipheriv(ALGORITHM, key, nonce)
  decipher.setAAD(aad)
  decipher.setAuthTag(sealed.subarray(length))
  const plain = decipher.update(sealed.subarray(0, length))
  try {
    decipher.final()
  } catch {
    return null
  }
  // Not as a Buffer, whose `slice` does not copy.
  return new Uint8Array(plain.buffer, plain.byteOffset, plain.length)
}

/** A key of 32 bytes from a secret, bytes that need not be secret, and what it is for. */
export function deriveKey(secret: Uint8Array, salt: Uint8Array, info: string): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', secret, salt, info, KEY_BYTES))
}

export function randomBytes(count: number): Uint8Array {
  return new Uint8Array(systemRandomBytes(count))
}

/** Compares in a time that does not tell where bytes differ. REQUIRES: equal lengths. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return timingSafeEqual(a, b)
}

/** A key of 32 bytes from a passphrase; takes about 0.1 s and 32 MiB, so that guessing does, too. */
export function stretchPassphrase(passphrase: string, salt: Uint8Array): Uint8Array {
  return new Uint8Array(scryptSync(passphrase.normalize('NFKC'), salt, KEY_BYTES, SCRYPT))
}

const SCRYPT = { N: 2 ** 15, r: 8, p: 1, maxmem: 64 * 1024 * 1024 }
