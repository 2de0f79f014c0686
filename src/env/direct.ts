/**
 * Writes that are durable when they return, past the page cache: one system call where a write and a sync are two, and
 * nothing that the cache would copy, mark and write back. Linux has it (O_DIRECT with O_DSYNC); where the system, the file
 * system or the size does not allow it, `write` says so.
 *
 * The disk takes whole blocks from aligned memory. So the bytes of a block before those that are written are written again,
 * as the page cache would do it, too. They are remembered from one write to the next.
 */
import * as fs from 'node:fs'
import { errnoOf } from './failure.js'

/** Enough for the sectors of any disk that is usual. */
export const BLOCK_BYTES = 4096

const { O_DIRECT, O_DSYNC, O_RDWR } = fs.constants
/** What a file system says that has no such writes. */
const REFUSALS: readonly (string | null)[] = ['EINVAL', 'EOPNOTSUPP', 'ENOTSUP']
/** The only memory in JavaScript whose place is known: it begins at a page. */
const { WebAssembly } = globalThis as unknown as {
  WebAssembly: { Memory: new (size: { initial: number; maximum: number }) => { readonly buffer: ArrayBuffer } }
}
/** Pages of 64 KiB. Longer writes gain nothing. */
const PAGES = 1

/** Shared by all, since each such memory takes gigabytes of addresses. Null: there is none. */
let memory: Uint8Array | null | undefined
/** Whose bytes are in it. */
let owner: DirectWriter | null = null

function sharedMemory(): Uint8Array | null {
  if (memory !== undefined) return memory
  try {
    memory = new Uint8Array(new WebAssembly.Memory({ initial: PAGES, maximum: PAGES }).buffer)
  } catch {
    memory = null
  }
  return memory
}

export class DirectWriter {
  /** If it is the owner, the memory begins with so many bytes of the block at `keptAt`. */
  private kept = 0
  private keptAt = -1

  private constructor(
    private fd: number | null,
    /** The same file, read through the cache. */
    private readonly readFd: number,
    private readonly memory: Uint8Array,
  ) {}

  /** Null if there are no such writes to this file. */
  static of(path: string, readFd: number): DirectWriter | null {
    if (O_DIRECT === undefined || O_DSYNC === undefined) return null
    const aligned = sharedMemory()
    if (aligned === null) return null
    try {
      const fd = fs.openSync(path, O_RDWR | O_DIRECT | O_DSYNC)
      const [opened, known] = [fs.fstatSync(fd), fs.fstatSync(readFd)]
      if (opened.ino === known.ino && opened.dev === known.dev) return new DirectWriter(fd, readFd, aligned)
      fs.closeSync(fd)
    } catch {
      // Whatever it was: the file is written by other means.
    }
    return null
  }

  /**
   * Writes `bytes` at byte `at`, durably. Returns whether that was possible; if not, they are to be written otherwise.
   * REQUIRES: the file reaches to the end of the last block, with zeros behind the bytes. Throws what the system says; then
   * any of the bytes may be in the file.
   */
  write(bytes: Uint8Array, at: number): boolean {
    const { memory } = this
    const first = at - (at % BLOCK_BYTES)
    const end = at - first + bytes.length
    const length = Math.ceil(end / BLOCK_BYTES) * BLOCK_BYTES
    if (this.fd === null || length > memory.length || !this.load(first, at - first)) return false
    memory.set(bytes, at - first)
    memory.fill(0, end, length)
    owner = null
    try {
      if (fs.writeSync(this.fd, memory, 0, length, first) !== length) return false
    } catch (error) {
      if (!REFUSALS.includes(errnoOf(error))) throw error
      this.close()
      return false
    }
    this.keep(first, end)
    return true
  }

  /** Gets the first bytes of a block. Returns whether there are so many. */
  private load(first: number, count: number): boolean {
    if (count === 0 || (owner === this && this.keptAt === first && this.kept === count)) return true
    owner = null
    return fs.readSync(this.readFd, this.memory, 0, count, first) === count
  }

  /** Remembers the last block of what was written, if it is not full. */
  private keep(first: number, end: number): void {
    const from = end - (end % BLOCK_BYTES)
    this.memory.copyWithin(0, from, end)
    this.kept = end - from
    this.keptAt = first + from
    owner = this
  }

  /** The file was written by other means. */
  forget(): void {
    if (owner === this) owner = null
  }

  close(): void {
    this.forget()
    if (this.fd !== null) fs.closeSync(this.fd)
    this.fd = null
  }
}
