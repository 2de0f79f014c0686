/**
 * Where keys come from. A program gives a `KeyProvider`; everything else about encryption is storage's business. The id of
 * a key is in the clear in every file that the key is for, so that old files can be read after the key has changed.
 */
import { show, UsageError } from '../../base/errors.js'
import { KEY_BYTES, stretchPassphrase } from '../../env/crypto.js'

/** Number of a key: u32, at least 1. */
export type KeyId = number

export interface EncryptionKey {
  readonly id: KeyId
  /** 32 secret bytes. */
  readonly key: Uint8Array
}

/** Asked when a directory is opened, and by `rekey`. */
export interface KeyProvider {
  /** The key for what is written from now on. */
  current(): EncryptionKey | Promise<EncryptionKey>
  /** The key of that number, null if it is not known (any more). */
  get(id: KeyId): Uint8Array | null | Promise<Uint8Array | null>
}

/** Throws UsageError unless it is a provider. */
export function checkProvider(given: unknown): void {
  const { current, get } = (given ?? {}) as Partial<Record<keyof KeyProvider, unknown>>
  if (typeof current === 'function' && typeof get === 'function') return
  const expected = 'expected a key provider, staticKeys(…) or an object with functions current and get'
  throw new UsageError(`option encryption: ${expected}, found ${show(given)}`)
}

/** One key, and earlier ones that files may still be encrypted with. Throws UsageError unless they are keys. */
export function staticKeys(current: EncryptionKey, ...earlier: readonly EncryptionKey[]): KeyProvider {
  for (const key of [current, ...earlier]) checkKey(key)
  const keys = new Map([...earlier, current].map(({ id, key }) => [id, key]))
  return { current: () => current, get: id => keys.get(id) ?? null }
}

const MIN_SALT_BYTES = 16

/**
 * A key from a passphrase, by scrypt (N = 2^15, r = 8, p = 1). `salt`: at least 16 bytes that the program keeps and that
 * no other program has; they need not be secret. Throws UsageError.
 */
export function passphraseKey(passphrase: string, salt: Uint8Array, id: KeyId = 1): EncryptionKey {
  if (typeof passphrase !== 'string') {
    throw new UsageError(`passphraseKey: expected a passphrase, found ${show(passphrase)}`)
  }
  if (passphrase === '') throw new UsageError('passphraseKey: expected a passphrase, found an empty one')
  if (!(salt instanceof Uint8Array)) {
    throw new UsageError(`passphraseKey: expected a salt, a Uint8Array, found ${show(salt)}`)
  }
  if (salt.length < MIN_SALT_BYTES) {
    throw new UsageError(`passphraseKey: expected a salt of at least ${MIN_SALT_BYTES} bytes, found ${salt.length}`)
  }
  return checkKey({ id, key: stretchPassphrase(passphrase, salt) })
}

/** Throws UsageError on a key that no provider can have meant. */
export function checkKey(found: EncryptionKey): EncryptionKey {
  if (typeof found !== 'object' || found === null) {
    throw new UsageError(`encryption: expected a key { id, key }, found ${show(found)}`)
  }
  const { id, key } = found
  if (!Number.isInteger(id) || id < 1 || id > 2 ** 32 - 1) {
    throw new UsageError(`encryption: expected the id of a key to be an integer from 1 to 2^32 - 1, found ${show(id)}`)
  }
  if (key instanceof Uint8Array && key.length === KEY_BYTES) return found
  const what = key instanceof Uint8Array ? `${key.length} bytes` : show(key)
  throw new UsageError(`encryption: expected key ${id} to have ${KEY_BYTES} bytes, found ${what}`)
}
