/**
 * A contender for a lock, run as a process of its own: tries once for every line of input and says `held` or
 * `refused <pid>`; releases what it holds when its input ends.
 */
import { LockedError } from '../../src/base/errors.js'
import type { Lock } from '../../src/env/env.js'
import { acquireLock } from '../../src/env/lock.js'

let lock: Lock | null = null

function attempt(): string {
  try {
    lock = acquireLock(process.argv[2])
    return 'held'
  } catch (error) {
    return error instanceof LockedError ? `refused ${error.pid}` : `failed ${String(error)}`
  }
}

process.stdin.on('data', () => process.stdout.write(`${attempt()}\n`))
process.stdin.once('end', () => lock?.release())
process.stdout.write('ready\n')
