/** The directory that the demo runs on: what may be opened, and how to start over. */
import { rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { NodeEnv, UsageError } from '../src/storage/index.js'

/** Where `npm start` keeps its database if nothing else is said; git ignores it. */
export const DEFAULT_DIRECTORY = resolve('data/demo')

const isLock = (name: string) => name.startsWith('LOCK')

/** Throws UsageError if `directory` is a file, or holds files that are not gnitz's. */
export function mustBeOurs(directory: string): void {
  const env = new NodeEnv()
  const found = env.stat(directory)
  if (found !== null && !found.isDirectory) throw new UsageError(`${directory}: expected a directory, found a file`)
  const names = found === null ? [] : env.list(directory).filter(name => !isLock(name))
  if (names.length > 0 && !names.some(name => name.startsWith('MANIFEST'))) {
    throw new UsageError(`${directory}: expected no directory, an empty one or one of gnitz, found ${names[0]} in it`)
  }
}

/** Empties the directory. Throws UsageError as above, LockedError if a process has it open, IoError. */
export function startOver(directory: string): void {
  mustBeOurs(directory)
  const env = new NodeEnv()
  if (env.stat(directory) === null) return
  const lock = env.lock(join(directory, 'LOCK'))
  try {
    // The manifest goes last: as long as it is there, the rest is known to be gnitz's.
    const names = env.list(directory).filter(name => !isLock(name))
    const ordered = names.sort((a, b) => Number(a.startsWith('MANIFEST')) - Number(b.startsWith('MANIFEST')))
    for (const name of ordered) rmSync(join(directory, name), { recursive: true, force: true })
  } finally {
    lock.release()
  }
}
