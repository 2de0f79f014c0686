/** An `Env` that counts what is asked of another one: which bytes are read, how often files are synced. */
import type { Env, EnvFile, FileInfo, Lock, MappedFile, OpenMode } from './env.js'

/** Bytes `from` to `to`, excluded, of a file were read. */
export interface CountedRead {
  readonly path: string
  readonly from: number
  readonly to: number
}

/** What has been called, and how often. */
export interface CallCounts {
  open: number
  read: number
  write: number
  writeThrough: number
  truncate: number
  sync: number
  syncLater: number
  map: number
  stat: number
  list: number
  rename: number
  remove: number
  makeDirectory: number
  syncDirectory: number
  lock: number
}

function noCalls(): CallCounts {
  return {
    open: 0,
    read: 0,
    write: 0,
    writeThrough: 0,
    truncate: 0,
    sync: 0,
    syncLater: 0,
    map: 0,
    stat: 0,
    list: 0,
    rename: 0,
    remove: 0,
    makeDirectory: 0,
    syncDirectory: 0,
    lock: 0,
  }
}

export class CountingEnv implements Env {
  /** Every read that gave bytes, in order. Reading mapped memory leaves no trace: see `mapping`. */
  reads: CountedRead[] = []
  calls: CallCounts = noCalls()
  writtenBytes = 0

  /** `mapping` 'off': `map` gives null, so that whatever is read is counted. */
  constructor(
    private readonly inner: Env,
    private readonly mapping: 'auto' | 'off' = 'off',
  ) {}

  /** Forgets everything counted so far. */
  reset(): void {
    this.reads = []
    this.calls = noCalls()
    this.writtenBytes = 0
  }

  /** How many different bytes from `from` to `to`, excluded, have been read; without a path, of all files. */
  bytesRead(path?: string, from = 0, to = Infinity): number {
    let sum = 0
    for (const name of path === undefined ? new Set(this.reads.map(read => read.path)) : [path]) {
      const ranges = this.reads.filter(read => read.path === name).sort((a, b) => a.from - b.from)
      let counted = from
      for (const range of ranges) {
        const end = Math.min(range.to, to)
        sum += Math.max(0, end - Math.max(range.from, counted))
        counted = Math.max(counted, end)
      }
    }
    return sum
  }

  resolve(path: string): string {
    return this.inner.resolve(path)
  }

  open(path: string, mode: OpenMode): EnvFile {
    this.calls.open++
    return new CountingFile(this, this.inner.open(path, mode))
  }

  map(path: string): MappedFile | null {
    if (this.mapping === 'off') return null
    this.calls.map++
    return this.inner.map(path)
  }

  stat(path: string): FileInfo | null {
    this.calls.stat++
    return this.inner.stat(path)
  }

  list(path: string): string[] {
    this.calls.list++
    return this.inner.list(path)
  }

  rename(from: string, to: string): void {
    this.calls.rename++
    this.inner.rename(from, to)
  }

  remove(path: string): void {
    this.calls.remove++
    this.inner.remove(path)
  }

  makeDirectory(path: string): void {
    this.calls.makeDirectory++
    this.inner.makeDirectory(path)
  }

  syncDirectory(path: string): void {
    this.calls.syncDirectory++
    this.inner.syncDirectory(path)
  }

  lock(path: string): Lock {
    this.calls.lock++
    return this.inner.lock(path)
  }

  now(): number {
    return this.inner.now()
  }

  after(milliseconds: number, callback: () => void): () => void {
    return this.inner.after(milliseconds, callback)
  }

  soon(callback: () => void): void {
    this.inner.soon(callback)
  }
}

class CountingFile implements EnvFile {
  readonly path: string

  constructor(
    private readonly env: CountingEnv,
    private readonly inner: EnvFile,
  ) {
    this.path = inner.path
  }

  size(): number {
    return this.inner.size()
  }

  read(into: Uint8Array, at: number): number {
    this.env.calls.read++
    const count = this.inner.read(into, at)
    if (count > 0) this.env.reads.push({ path: this.path, from: at, to: at + count })
    return count
  }

  write(bytes: Uint8Array, at: number): void {
    this.env.calls.write++
    this.inner.write(bytes, at)
    this.env.writtenBytes += bytes.length
  }

  writeThrough(bytes: Uint8Array, at: number): void {
    this.env.calls.writeThrough++
    this.inner.writeThrough(bytes, at)
    this.env.writtenBytes += bytes.length
  }

  truncate(sizeBytes: number): void {
    this.env.calls.truncate++
    this.inner.truncate(sizeBytes)
  }

  sync(): void {
    this.env.calls.sync++
    this.inner.sync()
  }

  syncLater(): Promise<void> {
    this.env.calls.syncLater++
    return this.inner.syncLater()
  }

  close(): void {
    this.inner.close()
  }
}
