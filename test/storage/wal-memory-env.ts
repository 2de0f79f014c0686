/** An `Env` in memory, for tests that open thousands of damaged logs, with failures on demand. */
import { IoError, NoSpaceError } from '../../src/base/errors.js'
import type { Env, EnvFile, FileInfo, Lock, MappedFile, OpenMode } from '../../src/env/env.js'

interface Content {
  bytes: Uint8Array
}

export class MemoryEnv implements Env {
  readonly files = new Map<string, Content>()
  /** Bytes that all files together may have. */
  capacity = Infinity
  /** Called before every operation; throws to make it fail. */
  before: (operation: 'create' | 'write' | 'sync' | 'truncate' | 'syncDirectory' | 'remove') => void = () => {}
  private timers: { at: number; callback: () => void }[] = []
  private time = 0

  static of(files: ReadonlyMap<string, Uint8Array>): MemoryEnv {
    const env = new MemoryEnv()
    for (const [path, bytes] of files) env.files.set(path, { bytes: bytes.slice() })
    return env
  }

  /** A copy of everything. */
  image(): Map<string, Uint8Array> {
    return new Map([...this.files].map(([path, { bytes }]) => [path, bytes.slice()]))
  }

  get usedBytes(): number {
    return [...this.files.values()].reduce((sum, { bytes }) => sum + bytes.length, 0)
  }

  resolve(path: string): string {
    return path
  }

  open(path: string, mode: OpenMode): EnvFile {
    if (mode === 'create') {
      this.before('create')
      if (this.files.has(path)) throw new IoError(path, 'EEXIST', 'it exists')
      this.files.set(path, { bytes: new Uint8Array(0) })
    }
    const content = this.files.get(path)
    if (content === undefined) throw new IoError(path, 'ENOENT', 'there is no such file')
    return new MemoryFile(this, path, content)
  }

  map(): MappedFile | null {
    return null
  }

  stat(path: string): FileInfo | null {
    const content = this.files.get(path)
    return content === undefined ? null : { sizeBytes: content.bytes.length, isDirectory: false }
  }

  list(path: string): string[] {
    const names = [...this.files.keys()].filter(p => p.startsWith(`${path}/`)).map(p => p.slice(path.length + 1))
    return names.sort()
  }

  rename(from: string, to: string): void {
    this.files.set(to, this.files.get(from) as Content)
    this.files.delete(from)
  }

  remove(path: string): void {
    this.before('remove')
    this.files.delete(path)
  }

  makeDirectory(): void {}

  syncDirectory(): void {
    this.before('syncDirectory')
  }

  lock(): Lock {
    return { release() {} }
  }

  now(): number {
    return this.time
  }

  after(milliseconds: number, callback: () => void): () => void {
    const timer = { at: this.time + milliseconds, callback }
    this.timers.push(timer)
    return () => {
      this.timers = this.timers.filter(t => t !== timer)
    }
  }

  soon(callback: () => void): void {
    queueMicrotask(callback)
  }

  /** Lets time pass. */
  pass(milliseconds: number): void {
    this.time += milliseconds
    const due = this.timers.filter(t => t.at <= this.time)
    this.timers = this.timers.filter(t => t.at > this.time)
    for (const timer of due) timer.callback()
  }
}

class MemoryFile implements EnvFile {
  constructor(
    private readonly env: MemoryEnv,
    readonly path: string,
    private readonly content: Content,
  ) {}

  size(): number {
    return this.content.bytes.length
  }

  read(into: Uint8Array, at: number): number {
    const part = this.content.bytes.subarray(at, at + into.length)
    into.set(part)
    return part.length
  }

  write(bytes: Uint8Array, at: number): void {
    this.env.before('write')
    const room = this.env.capacity - this.env.usedBytes + Math.max(0, this.size() - at)
    const part = bytes.subarray(0, Math.max(0, Math.min(bytes.length, room)))
    if (at + part.length > this.size()) this.resize(at + part.length)
    this.content.bytes.set(part, at)
    if (part.length < bytes.length) throw new NoSpaceError(this.path, 'no room')
  }

  writeThrough(bytes: Uint8Array, at: number): void {
    this.write(bytes, at)
    this.sync()
  }

  truncate(sizeBytes: number): void {
    this.env.before('truncate')
    this.resize(sizeBytes)
  }

  private resize(sizeBytes: number): void {
    const resized = new Uint8Array(sizeBytes)
    resized.set(this.content.bytes.subarray(0, sizeBytes))
    this.content.bytes = resized
  }

  sync(): void {
    this.env.before('sync')
  }

  async syncLater(): Promise<void> {
    await new Promise(resolve => setTimeout(resolve, 0))
    this.env.before('sync')
  }

  close(): void {}
}
