/** Turns what `node:fs` throws into errors that name the file and say what was being done to it. */
import { assert, GnitzError, IoError, NoSpaceError } from '../base/errors.js'

/** The operating system's name for what went wrong, or null if it was not the operating system. */
export function errnoOf(error: unknown): string | null {
  const code: unknown = error instanceof Error ? (error as NodeJS.ErrnoException).code : null
  return typeof code === 'string' && /^E[A-Z0-9]+$/.test(code) ? code : null
}

/** `problem` is what could not be done: "cannot write 512 bytes at byte 0". */
export function failure(error: unknown, path: string, problem: string): GnitzError {
  if (error instanceof GnitzError) return error
  const errno = errnoOf(error)
  const reason = errno === null ? String(error) : `${reasonOf(error as Error)} (${errno})`
  // A quota that is used up is a full disk to whoever writes.
  if (errno === 'ENOSPC' || errno === 'EDQUOT') return new NoSpaceError(path, `${problem}: ${reason}`, error)
  return new IoError(path, errno ?? 'EIO', `${problem}: ${reason}`, 'IO', error)
}

/** Node's messages read "ENOENT: no such file or directory, open 'name'"; the middle is the reason. */
function reasonOf(error: Error): string {
  return /^E[A-Z0-9]+: ([^,]+)/.exec(error.message)?.[1] ?? error.message
}

/** Runs a call of `node:fs`. */
export function attempt<T>(path: string, problem: string, call: () => T): T {
  try {
    return call()
  } catch (error) {
    throw failure(error, path, problem)
  }
}

/** Runs a call of `node:fs`; null if what it is about does not exist. */
export function attemptIfThere<T>(path: string, problem: string, call: () => T): T | null {
  try {
    return call()
  } catch (error) {
    const errno = errnoOf(error)
    if (errno === 'ENOENT' || errno === 'ENOTDIR') return null
    throw failure(error, path, problem)
  }
}

/** A place in a file must be a whole number: what the operating system makes of another one is anybody's guess. */
export function checkRange(lengthBytes: number, at: number): void {
  assert(at >= 0 && Number.isSafeInteger(at + lengthBytes), `a place in a file is a whole number of bytes, found ${at}`)
}
