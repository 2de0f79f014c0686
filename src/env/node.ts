/**
 * The real `Env`, on `node:fs`.
 *
 * A failed fsync is final: the operating system may have thrown the unwritten pages away and would report success the
 * next time. So a file whose sync has failed once refuses every later sync with the same error.
 */
import * as fs from 'node:fs'
import { dirname, resolve } from 'node:path'
import { type GnitzError, IoError } from '../base/errors.js'
import { DirectWriter } from './direct.js'
import type { Env, EnvFile, FileInfo, Lock, MappedFile, OpenMode } from './env.js'
import { attempt, attemptIfThere, checkRange, errnoOf, failure } from './failure.js'
import { acquireLock } from './lock.js'
import { mapWhole } from './mmap.js'

export interface NodeEnvOptions {
  /** `auto`: map where `mmap-io` is installed; `off`: never. */
  readonly mapping?: 'auto' | 'off'
}

const FLAGS: Readonly<Record<OpenMode, string>> = { read: 'r', create: 'wx+', write: 'r+' }

/** Bytes per system call; Linux moves at most a little less than 2 GiB in one. */
const MAX_CALL_BYTES = 2 ** 30

export class NodeEnv implements Env {
  private readonly mapping: 'auto' | 'off'

  constructor(options: NodeEnvOptions = {}) {
    this.mapping = options.mapping ?? 'auto'
  }

  resolve(path: string): string {
    return resolve(path)
  }

  open(path: string, mode: OpenMode): EnvFile {
    const fd = attempt(path, `cannot open to ${mode}`, () => fs.openSync(path, FLAGS[mode]))
    return new NodeFile(path, fd)
  }

  map(path: string): MappedFile | null {
    if (this.mapping === 'off') return null
    const fd = attempt(path, 'cannot open to map', () => fs.openSync(path, 'r'))
    try {
      const bytes = attempt(path, 'cannot map', () => mapWhole(fd))
      return bytes === null ? null : { bytes }
    } finally {
      fs.closeSync(fd)
    }
  }

  stat(path: string): FileInfo | null {
    const stats = attemptIfThere(path, 'cannot look up', () => fs.statSync(path))
    return stats === null ? null : { sizeBytes: stats.size, isDirectory: stats.isDirectory() }
  }

  list(path: string): string[] {
    return attempt(path, 'cannot list', () => fs.readdirSync(path)).sort()
  }

  rename(from: string, to: string): void {
    attempt(from, `cannot rename to ${to}`, () => fs.renameSync(from, to))
  }

  remove(path: string): void {
    attemptIfThere(path, 'cannot remove', () => fs.unlinkSync(path))
  }

  makeDirectory(path: string): void {
    if (this.stat(path)?.isDirectory) return
    // Not `recursive`, which never returns where a directory refuses entries by saying that it does not exist.
    const parent = dirname(path)
    if (parent !== path) this.makeDirectory(parent)
    try {
      fs.mkdirSync(path)
    } catch (error) {
      // Another process may have been faster.
      if (errnoOf(error) !== 'EEXIST' || !this.stat(path)?.isDirectory) {
        throw failure(error, path, 'cannot make the directory')
      }
    }
  }

  syncDirectory(path: string): void {
    // Windows has no such call, and makes names durable by itself.
    if (process.platform === 'win32') return
    attempt(path, 'cannot sync the directory', () => {
      const fd = fs.openSync(path, 'r')
      try {
        fs.fsyncSync(fd)
      } finally {
        fs.closeSync(fd)
      }
    })
  }

  lock(path: string): Lock {
    return acquireLock(path)
  }

  now(): number {
    return Date.now()
  }

  after(milliseconds: number, callback: () => void): () => void {
    const timer = setTimeout(callback, milliseconds)
    timer.unref()
    return () => clearTimeout(timer)
  }

  soon(callback: () => void): void {
    setImmediate(callback)
  }
}

class NodeFile implements EnvFile {
  private closed = false
  private syncsUnderWay = 0
  private syncFailure: GnitzError | null = null
  /** Null: there is none for this file. */
  private direct: DirectWriter | null | undefined

  constructor(
    readonly path: string,
    private readonly fd: number,
  ) {}

  size(): number {
    return this.run('cannot ask for the size', () => fs.fstatSync(this.fd).size)
  }

  read(into: Uint8Array, at: number): number {
    checkRange(into.length, at)
    return this.run(`cannot read ${into.length} bytes at byte ${at}`, () => {
      let done = 0
      while (done < into.length) {
        const count = Math.min(into.length - done, MAX_CALL_BYTES)
        const got = uninterrupted(() => fs.readSync(this.fd, into, done, count, at + done))
        if (got === 0) break
        done += got
      }
      return done
    })
  }

  write(bytes: Uint8Array, at: number): void {
    this.direct?.forget()
    checkRange(bytes.length, at)
    this.run(`cannot write ${bytes.length} bytes at byte ${at}`, () => {
      let done = 0
      while (done < bytes.length) {
        const count = Math.min(bytes.length - done, MAX_CALL_BYTES)
        const put = uninterrupted(() => fs.writeSync(this.fd, bytes, done, count, at + done))
        if (put === 0)
          throw new IoError(this.path, 'EIO', `nothing more is written after ${done} of ${bytes.length} bytes`)
        done += put
      }
    })
  }

  writeThrough(bytes: Uint8Array, at: number): void {
    checkRange(bytes.length, at)
    if (this.syncFailure !== null) throw this.syncFailure
    const isDone = this.run(`cannot write ${bytes.length} bytes through at byte ${at}`, () => {
      if (this.direct === undefined) this.direct = DirectWriter.of(this.path, this.fd)
      return this.direct?.write(bytes, at) ?? false
    })
    if (isDone) return
    this.write(bytes, at)
    this.sync()
  }

  truncate(sizeBytes: number): void {
    this.direct?.forget()
    checkRange(0, sizeBytes)
    this.run(`cannot set the size to ${sizeBytes} bytes`, () => fs.ftruncateSync(this.fd, sizeBytes))
  }

  sync(): void {
    if (this.syncFailure !== null) throw this.syncFailure
    try {
      this.run('cannot sync', () => fs.fdatasyncSync(this.fd))
    } catch (error) {
      throw this.failSync(error)
    }
  }

  syncLater(): Promise<void> {
    if (this.syncFailure !== null) return Promise.reject(this.syncFailure)
    if (this.closed) return Promise.reject(this.closedError('cannot sync'))
    this.syncsUnderWay++
    return new Promise((resolve, reject) => {
      fs.fdatasync(this.fd, error => {
        this.syncsUnderWay--
        if (this.closed && this.syncsUnderWay === 0) closeQuietly(this.fd)
        if (error === null) resolve()
        else reject(this.failSync(error))
      })
    })
  }

  /** Waits for syncs under way: their descriptor must not become another file's in the meantime. */
  close(): void {
    if (this.closed) return
    this.closed = true
    this.direct?.close()
    if (this.syncsUnderWay === 0) attempt(this.path, 'cannot close', () => fs.closeSync(this.fd))
  }

  private failSync(error: unknown): GnitzError {
    const failed = failure(error, this.path, 'cannot sync')
    if (!this.closed) this.syncFailure ??= failed
    return failed
  }

  private run<T>(problem: string, call: () => T): T {
    if (this.closed) throw this.closedError(problem)
    return attempt(this.path, problem, call)
  }

  private closedError(problem: string): IoError {
    return new IoError(this.path, 'EBADF', `${problem}: the file is closed`)
  }
}

/** Repeats a call that a signal has interrupted. */
function uninterrupted(call: () => number): number {
  for (;;) {
    try {
      return call()
    } catch (error) {
      if (errnoOf(error) !== 'EINTR') throw error
    }
  }
}

/** Where nobody is left to tell: everything was synced, or its failure reported, before. */
function closeQuietly(fd: number): void {
  try {
    fs.closeSync(fd)
  } catch {
    // The descriptor is gone either way.
  }
}
