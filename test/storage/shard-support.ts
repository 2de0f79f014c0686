/** Shards in tests: both ways of reading them, and an `Env` in memory that says which bytes of a file were read. */
import * as fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { IoError, NoSpaceError } from '../../src/base/errors.js'
import { type Env, type EnvFile, joinPath, type Lock, type MappedFile, type OpenMode } from '../../src/env/env.js'
import { canMap } from '../../src/env/mmap.js'
import { NodeEnv } from '../../src/env/node.js'
import type { Layout } from '../../src/schema/schema.js'
import { Shard } from '../../src/storage/shard/reader.js'
import { writeShard } from '../../src/storage/shard/writer.js'
import type { ShardSummary } from '../../src/storage/types.js'
import type { Batch } from '../../src/zset/batch.js'

/** The ways of reading that work on this machine. */
export const IOS = canMap() ? (['map', 'read'] as const) : (['read'] as const)

/** A directory of the real file system for one test. */
export function withDirectory<T>(use: (env: NodeEnv, directory: string) => T): T {
  const directory = fs.mkdtempSync(join(tmpdir(), 'gnitz-shard-'))
  try {
    return use(new NodeEnv(), directory)
  } finally {
    fs.rmSync(directory, { recursive: true })
  }
}

/** A stretch of a file that was read. */
export interface Read {
  readonly from: number
  readonly to: number
}

/**
 * Files in memory, with a limit on their total size. Mapped, a file is its own bytes: what a reader changed would show.
 */
export class MemoryEnv implements Env {
  readonly files = new Map<string, Uint8Array>()
  readonly reads: Read[] = []
  /** Added to the place in its buffer where a mapped file begins. */
  mapOffset = 0
  roomBytes = Number.POSITIVE_INFINITY
  removals: string[] = []
  syncs = 0
  openFiles = 0
  /** The next removal fails. */
  failRemove = false

  resolve(path: string): string {
    return path
  }

  open(path: string, mode: OpenMode): EnvFile {
    const there = this.files.has(path)
    if (mode === 'create' && there) throw new IoError(path, 'EEXIST', 'there is such a file')
    if (mode !== 'create' && !there) throw new IoError(path, 'ENOENT', 'there is no such file')
    if (mode === 'create') this.files.set(path, new Uint8Array(0))
    this.openFiles++
    return new MemoryFile(this, path)
  }

  map(path: string): MappedFile | null {
    const bytes = this.bytesOf(path)
    const copy = new Uint8Array(bytes.length + this.mapOffset)
    copy.set(bytes, this.mapOffset)
    return { bytes: copy.subarray(this.mapOffset) }
  }

  bytesOf(path: string): Uint8Array {
    const bytes = this.files.get(path)
    if (bytes === undefined) throw new IoError(path, 'ENOENT', 'there is no such file')
    return bytes
  }

  remove(path: string): void {
    if (this.failRemove) throw new IoError(path, 'EIO', 'cannot remove')
    this.removals.push(path)
    this.files.delete(path)
  }

  stat(path: string) {
    const bytes = this.files.get(path)
    return bytes === undefined ? null : { sizeBytes: bytes.length, isDirectory: false }
  }

  list(): string[] {
    return [...this.files.keys()].sort()
  }

  rename(from: string, to: string): void {
    this.files.set(to, this.bytesOf(from))
    this.files.delete(from)
  }

  makeDirectory(): void {}
  syncDirectory(): void {}

  lock(): Lock {
    return { release: () => {} }
  }

  now(): number {
    return 0
  }

  after(): () => void {
    return () => {}
  }

  soon(callback: () => void): void {
    queueMicrotask(callback)
  }
}

class MemoryFile implements EnvFile {
  constructor(
    private readonly env: MemoryEnv,
    readonly path: string,
  ) {}

  size(): number {
    return this.env.bytesOf(this.path).length
  }

  read(into: Uint8Array, at: number): number {
    const part = this.env.bytesOf(this.path).subarray(at, at + into.length)
    into.set(part)
    this.env.reads.push({ from: at, to: at + into.length })
    return part.length
  }

  write(bytes: Uint8Array, at: number): void {
    const used = [...this.env.files.values()].reduce((sum, file) => sum + file.length, 0)
    if (used > this.env.roomBytes) throw new NoSpaceError(this.path, `cannot write ${bytes.length} bytes`)
    if (at + bytes.length > this.size()) this.truncate(at + bytes.length)
    this.env.bytesOf(this.path).set(bytes, at)
  }

  writeThrough(bytes: Uint8Array, at: number): void {
    this.write(bytes, at)
    this.sync()
  }

  truncate(sizeBytes: number): void {
    const cut = new Uint8Array(sizeBytes)
    cut.set(this.env.bytesOf(this.path).subarray(0, sizeBytes))
    this.env.files.set(this.path, cut)
  }

  sync(): void {
    this.env.syncs++
  }

  async syncLater(): Promise<void> {
    this.env.syncs++
  }

  close(): void {
    this.env.openFiles--
  }
}

export const TABLE = 7
export const PATH = joinPath('memory', 'shard')

/** A batch as the bytes of a shard. */
export function shardBytes(batch: Batch, tableId = TABLE): { bytes: Uint8Array; summary: ShardSummary } {
  const env = new MemoryEnv()
  const summary = writeShard(env, PATH, tableId, batch, { sync: false })
  return { bytes: env.bytesOf(PATH), summary }
}

/** Opens bytes as a shard in memory. */
export function openBytes(
  bytes: Uint8Array,
  layout: Layout,
  io: 'map' | 'read',
  expected: ShardSummary | null = null,
  env = new MemoryEnv(),
): Shard {
  env.files.set(PATH, bytes)
  return Shard.open(env, PATH, TABLE, layout, expected, io)
}
