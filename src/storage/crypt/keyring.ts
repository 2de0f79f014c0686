/**
 * The keys of an open directory, checked against what its manifest says of them, and the ciphers that they make for
 * files.
 *
 * No file is encrypted with a provider's key itself. Each has a key of its own: HKDF-SHA256 of the provider's key, of 16
 * random bytes that the file has in its header, and of the file's kind and number. So nonces need only differ within one
 * file, which they do by counting, and a file in the place of another cannot be decrypted.
 */
import { CorruptionError, KeyError, show } from '../../base/errors.js'
import { deriveKey, NONCE_BYTES, openBytes, randomBytes, sameBytes, sealBytes, TAG_BYTES } from '../../env/crypto.js'
import type { KeyEntry } from '../types.js'
import { checkKey, type EncryptionKey, type KeyId, type KeyProvider } from './keys.js'

export const SALT_BYTES = 16

export type FileKind = 'shard' | 'values' | 'log'

/** A file whose contents are encrypted, as its header says. */
export interface Sealing {
  readonly keyId: KeyId
  /** 16 bytes. */
  readonly salt: Uint8Array
}

export class FileCipher implements Sealing {
  private readonly nonce = new Uint8Array(NONCE_BYTES)
  private readonly nonceView = new DataView(this.nonce.buffer)

  constructor(
    readonly keyId: KeyId,
    readonly salt: Uint8Array,
    private readonly key: Uint8Array,
  ) {}

  /**
   * Encrypts bytes of the place (`part`, `count`), whose bytes and tag go to `out`. REQUIRES: nothing has been sealed with
   * this cipher, nor with one of equal salt, for that place.
   */
  seal(part: number, count: bigint, aad: Uint8Array, plain: Uint8Array, out: Uint8Array): void {
    this.setNonce(part, count)
    sealBytes(this.key, this.nonce, aad, plain, out)
  }

  /** The bytes of a place; null if they are not what was sealed for it. */
  open(part: number, count: bigint, aad: Uint8Array, sealed: Uint8Array): Uint8Array | null {
    this.setNonce(part, count)
    return openBytes(this.key, this.nonce, aad, sealed)
  }

  private setNonce(part: number, count: bigint): void {
    this.nonceView.setUint32(0, part, true)
    this.nonceView.setBigUint64(4, count, true)
  }
}

/** What was sealed takes so many bytes more. */
export const SEAL_BYTES = TAG_BYTES

export class Keyring {
  private constructor(
    private readonly keys: ReadonlyMap<KeyId, Uint8Array>,
    /** The key for new files. */
    readonly currentId: KeyId,
    /** Salt and check of every key, as the manifest keeps them. */
    private readonly checks: ReadonlyMap<KeyId, KeyEntry>,
  ) {}

  /**
   * The keys that a directory needs, and the provider's current one. `file`: the manifest, which lists `needed`. Null if
   * there is neither. Throws KeyError if a key is missing or is not the one that files were encrypted with, UsageError.
   */
  static async load(
    provider: KeyProvider | undefined,
    needed: readonly KeyEntry[],
    file: string,
  ): Promise<Keyring | null> {
    if (provider === undefined) {
      if (needed.length === 0) return null
      throw new KeyError(file, needed[0].id, `it is encrypted with key ${idsOf(needed)}; give option encryption`)
    }
    const current = checkKey(await asked(file, null, () => provider.current()))
    const keys = new Map([[current.id, current.key]])
    const checks = new Map<KeyId, KeyEntry>()
    for (const entry of needed) {
      const { id } = entry
      const key = id === current.id ? current.key : await asked(file, id, () => provider.get(id))
      if (key == null) throw new KeyError(file, id, `key ${id}, with which files are encrypted, is missing`)
      confirm(checkKey({ id, key }), entry, file)
      keys.set(id, key)
      checks.set(id, entry)
    }
    if (!checks.has(current.id)) checks.set(current.id, entryOf(current, randomBytes(SALT_BYTES)))
    return new Keyring(keys, current.id, checks)
  }

  /** How the manifest lists these keys. REQUIRES: they are here. */
  entries(ids: Iterable<KeyId>): KeyEntry[] {
    return [...new Set(ids)].sort((a, b) => a - b).map(id => this.checks.get(id) as KeyEntry)
  }

  /** A cipher for a new file, with the current key. */
  create(kind: FileKind, number: bigint): FileCipher {
    const salt = randomBytes(SALT_BYTES)
    const key = this.keys.get(this.currentId) as Uint8Array
    return new FileCipher(this.currentId, salt, deriveKey(key, salt, infoOf(kind, number)))
  }

  /** The cipher of a file that is there. Throws CorruptionError if the manifest does not list its key. */
  open(kind: FileKind, number: bigint, { keyId, salt }: Sealing, file: string): FileCipher {
    const key = this.keys.get(keyId)
    if (key === undefined) throw new CorruptionError(file, null, `key ${keyId} is not one that the manifest lists`)
    return new FileCipher(keyId, salt, deriveKey(key, salt, infoOf(kind, number)))
  }
}

/** The cipher of a file whose header says that it is encrypted. Throws KeyError if there are no keys. */
export function cipherOf(
  keys: Keyring | null,
  kind: FileKind,
  number: bigint,
  sealing: Sealing,
  file: string,
): FileCipher {
  if (keys === null) throw lockedError(file, sealing.keyId)
  return keys.open(kind, number, sealing, file)
}

export function lockedError(file: string, keyId: KeyId): KeyError {
  return new KeyError(file, keyId, `it is encrypted with key ${keyId}, which was not given`)
}

function infoOf(kind: FileKind, number: bigint): string {
  return `gnitz 1 ${kind} ${number.toString(16).padStart(16, '0')}`
}

/** What a provider answers. Throws KeyError if it fails: `id` is the key that was asked for, null for the current one. */
async function asked<T>(file: string, id: KeyId | null, ask: () => T | Promise<T>): Promise<T> {
  try {
    return await ask()
  } catch (cause) {
    const call = id === null ? 'current()' : `get(${id})`
    const what = cause instanceof Error ? cause.message : show(cause)
    throw new KeyError(file, id, `${call} of the key provider failed: ${what}`, { cause })
  }
}

const CHECK_INFO = 'gnitz 1 check'

function entryOf({ id, key }: EncryptionKey, salt: Uint8Array): KeyEntry {
  return { id, salt, check: deriveKey(key, salt, CHECK_INFO) }
}

function confirm({ id, key }: EncryptionKey, { salt, check }: KeyEntry, file: string): void {
  if (sameBytes(deriveKey(key, salt, CHECK_INFO), check)) return
  throw new KeyError(file, id, `key ${id} is not the one with which files are encrypted`)
}

const idsOf = (entries: readonly KeyEntry[]) => entries.map(({ id }) => id).join(' and ')
