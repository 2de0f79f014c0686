/**
 * A lock file that binds neither longer than its process lives nor beyond a reboot.
 *
 * The file names its holder (pid, start time, boot) and carries a nonce of its own. It appears complete or not at all:
 * it is written under another name and then linked. A file whose holder no longer lives is stale and may be taken over.
 *
 * Taking over must not race: if two processes find the same stale file, the slower one must not replace the lock of
 * the faster. So whoever takes over the stale file `LOCK` with nonce N first holds the lock `LOCK.N`, acquired in just
 * this way, and then looks again: only if `LOCK` still has nonce N is it replaced, by a rename. Since a nonce is never
 * used again and nobody replaces N without holding `LOCK.N`, nothing else can be replaced.
 *
 * Limits: pids mean something on one machine, in one pid namespace. Two machines, or two containers, that share a
 * directory are not kept apart.
 */
import { randomBytes } from 'node:crypto'
import * as fs from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { IoError, LockedError } from '../base/errors.js'
import type { Lock } from './env.js'
import { attempt, attemptIfThere, errnoOf, failure } from './failure.js'
import { isAlive, ownIdentity, PROC, type ProcessIdentity } from './process-identity.js'

/** What a lock file says. */
interface Claim extends ProcessIdentity {
  /** 16 hexadecimal digits. */
  readonly nonce: string
}

/** A lock file that was found; `holder` is null if it cannot be read as one. */
interface Found {
  readonly nonce: string
  readonly holder: Claim | null
  readonly ageMs: number
}

/** A sound file is far smaller. */
const MAX_FILE_BYTES = 4096

/** A file without a readable claim counts as one still being written until it is this old. */
const UNREADABLE_GRACE_MS = 1000

/** How long to wait for others who are taking over the same stale file. */
const PATIENCE_MS = 10_000

/** Nested takeovers: each level is a process that died in the middle of one. */
const MAX_DEPTH = 8

/** File systems without hard links answer so. */
const NO_LINKS: ReadonlySet<string | null> = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'])

/**
 * Takes the lock file at `path`, whose directory must exist. `proc`: where `/proc` is.
 * Throws LockedError if a living process, this one included, holds it; IoError if the file cannot be made.
 */
export function acquireLock(path: string, proc = PROC): Lock {
  const nonce = acquire(path, proc, 0)
  sweep(path, proc)
  let held = true
  return {
    release() {
      if (held) removeOwn(path, nonce)
      held = false
    },
  }
}

/** Makes the file at `path` ours; returns its nonce. */
function acquire(path: string, proc: string, depth: number): string {
  if (depth > MAX_DEPTH) throw new IoError(path, 'EAGAIN', `${MAX_DEPTH} takeovers of this lock were broken off`)
  const claim: Claim = { ...ownIdentity(proc), nonce: randomBytes(8).toString('hex') }
  const text = `${JSON.stringify(claim)}\n`
  const draft = `${path}.${claim.nonce}.draft`
  attempt(draft, 'cannot write the draft of a lock file', () => fs.writeFileSync(draft, text, { flag: 'wx' }))
  try {
    const deadline = Date.now() + PATIENCE_MS
    while (!create(path, draft, claim.nonce)) {
      const found = look(path)
      if (found === null) continue
      if (found.holder !== null && isAlive(found.holder, proc)) throw new LockedError(path, found.holder.pid)
      const stale = found.holder !== null || found.ageMs >= UNREADABLE_GRACE_MS
      if (stale && takeOver(path, draft, found.nonce, proc, depth)) break
      if (Date.now() > deadline) throw new IoError(path, 'EAGAIN', 'other processes keep taking over this lock')
      sleep(2)
    }
  } finally {
    attemptIfThere(draft, 'cannot remove the draft of a lock file', () => fs.unlinkSync(draft))
  }
  return claim.nonce
}

/** Puts the draft in place if there is no lock file. */
function create(path: string, draft: string, nonce: string): boolean {
  try {
    fs.linkSync(draft, path)
    return true
  } catch (error) {
    const errno = errnoOf(error)
    if (errno === 'EEXIST') return false
    if (NO_LINKS.has(errno)) return createWithoutLink(path, draft, nonce)
    throw failure(error, path, 'cannot create the lock file')
  }
}

/** The file is incomplete for a moment; the grace for unreadable files covers it. */
function createWithoutLink(path: string, draft: string, nonce: string): boolean {
  try {
    fs.copyFileSync(draft, path, fs.constants.COPYFILE_EXCL)
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return false
    throw failure(error, path, 'cannot create the lock file')
  }
  return look(path)?.nonce === nonce
}

/** Replaces the stale lock with this nonce by the draft; false if somebody else is at it or has done it. */
function takeOver(path: string, draft: string, nonce: string, proc: string, depth: number): boolean {
  const innerPath = `${path}.${nonce}`
  let innerNonce: string
  try {
    innerNonce = acquire(innerPath, proc, depth + 1)
  } catch (error) {
    if (error instanceof LockedError) return false
    throw error
  }
  try {
    if (look(path)?.nonce !== nonce) return false
    attempt(path, 'cannot take over the lock file', () => fs.renameSync(draft, path))
    return true
  } finally {
    removeOwn(innerPath, innerNonce)
  }
}

/** Reads a lock file; null if there is none. */
function look(path: string): Found | null {
  const problem = 'cannot read the lock file'
  const fd = attemptIfThere(path, problem, () => fs.openSync(path, 'r'))
  if (fd === null) return null
  try {
    return attempt(path, problem, () => {
      const stats = fs.fstatSync(fd)
      const bytes = Buffer.alloc(MAX_FILE_BYTES)
      const holder = parse(bytes.toString('utf8', 0, fs.readSync(fd, bytes, 0, MAX_FILE_BYTES, 0)))
      const mtimeMs = Math.trunc(stats.mtimeMs)
      // Off by an age in either direction: the clock may have been set back since.
      return { nonce: holder?.nonce ?? `x${stats.ino}-${mtimeMs}`, holder, ageMs: Math.abs(Date.now() - mtimeMs) }
    })
  } finally {
    fs.closeSync(fd)
  }
}

/** The claim in a lock file's text, or null if that is not what it is. */
function parse(text: string): Claim | null {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return null
  }
  if (typeof value !== 'object' || value === null) return null
  const { pid, started, boot, nonce } = value as Record<string, unknown>
  if (!Number.isInteger(pid) || (pid as number) < 1) return null
  if (typeof started !== 'string' || typeof boot !== 'string' || typeof nonce !== 'string') return null
  // The nonce becomes part of a file name.
  return /^[0-9a-f]{16}$/.test(nonce) ? { pid: pid as number, started, boot, nonce } : null
}

function removeOwn(path: string, nonce: string): void {
  if (look(path)?.nonce !== nonce) return
  attemptIfThere(path, 'cannot remove the lock file', () => fs.unlinkSync(path))
}

/**
 * Removes what processes left that died while they acquired the lock. REQUIRES: the lock is held, so that no takeover
 * that is still under way can succeed.
 */
function sweep(path: string, proc: string): void {
  const prefix = `${basename(path)}.`
  for (const name of attempt(dirname(path), 'cannot list', () => fs.readdirSync(dirname(path)))) {
    if (!name.startsWith(prefix)) continue
    const leftover = join(dirname(path), name)
    const found = look(leftover)
    if (found === null || found.ageMs < UNREADABLE_GRACE_MS) continue
    if (found.holder !== null && isAlive(found.holder, proc)) continue
    attemptIfThere(leftover, 'cannot remove a leftover of the lock', () => fs.unlinkSync(leftover))
  }
}

/** Blocks: taking a lock is synchronous. */
function sleep(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds)
}
