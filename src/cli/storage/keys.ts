/**
 * Keys for encrypted directories, from the environment: `GNITZ_KEYS=1:<64 hexadecimal digits>,2:…`, the current one first.
 * Not from the command line, which others on the machine can see.
 */
import { type EncryptionKey, type KeyProvider, staticKeys } from '../../storage/crypt/keys.js'
import { CliError } from '../cli-error.js'

const VARIABLE = 'GNITZ_KEYS'

/** Undefined if the variable is not set. Throws CliError if it is not a list of keys; what it says is not repeated. */
export function keysFromEnvironment(): KeyProvider | undefined {
  const text = process.env[VARIABLE]
  if (text === undefined || text === '') return undefined
  const keys = text.split(',').map((part): EncryptionKey => {
    const match = /^(\d+):([0-9a-fA-F]{64})$/.exec(part.trim())
    if (match === null) throw new CliError(`${VARIABLE}: expected ID:KEY, a number and 64 hexadecimal digits`)
    return { id: Number(match[1]), key: new Uint8Array(Buffer.from(match[2], 'hex')) }
  })
  return staticKeys(keys[0], ...keys.slice(1))
}
