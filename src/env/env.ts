/**
 * `Env`: files, mapping, fsync, rename, lock and clock. It is the only door from storage to the operating system, and
 * it is how the crash tests lie to the code: `NodeEnv` is the real one, `SimulatedEnv` injects faults from a seed.
 *
 * Calls are synchronous unless they say otherwise. Failures throw `IoError` (or its subclasses) that name the path.
 * What is durable: bytes of a file after `sync`, the names in a directory after `syncDirectory`. Everything else may
 * be lost, torn or reordered by a crash.
 */

/** `read`: must exist. `create`: must not exist; read and write. `write`: must exist; read and write. */
export type OpenMode = 'read' | 'create' | 'write'

export interface EnvFile {
  readonly path: string
  /** Bytes in the file now. */
  size(): number
  /** Fills `into` from byte `at` on; returns the bytes read, fewer only at the end of the file. */
  read(into: Uint8Array, at: number): number
  /** Writes all of `bytes` at byte `at`. Throws NoSpaceError, IoError; then any prefix of them may be in the file. */
  write(bytes: Uint8Array, at: number): void
  /**
   * The same, and makes these bytes durable: what `write` and `sync` do, at once where the system can.
   * REQUIRES: the file reaches to the next multiple of 4096 bytes, with zeros behind the bytes. Throws like `write` and `sync`;
   * then nobody knows which of the bytes are in the file, or durable.
   */
  writeThrough(bytes: Uint8Array, at: number): void
  /** Cuts or extends the file with zeros. */
  truncate(sizeBytes: number): void
  /** Makes the file's bytes and size durable (fdatasync). */
  sync(): void
  /** The same without blocking the process. What was written before the call is durable when it resolves. */
  syncLater(): Promise<void>
  close(): void
}

/** A file's bytes, read-only, in memory of the operating system. Valid until nobody refers to `bytes`. */
export interface MappedFile {
  readonly bytes: Uint8Array
}

export interface FileInfo {
  readonly sizeBytes: number
  readonly isDirectory: boolean
}

/** Held until released or until the process ends, whichever is first. */
export interface Lock {
  release(): void
}

export interface Env {
  /** The path in a form that stays the same file when the process changes its working directory. */
  resolve(path: string): string
  open(path: string, mode: OpenMode): EnvFile
  /** Maps a whole file for reading; null where mapping is not available (then read it). Files mapped never change. */
  map(path: string): MappedFile | null
  /** Size and kind, or null if there is nothing of that name. */
  stat(path: string): FileInfo | null
  /** Names in a directory, sorted. */
  list(path: string): string[]
  /** Replaces `to` atomically. Durable after `syncDirectory`. */
  rename(from: string, to: string): void
  /** Deletes a file; nothing happens if it is gone. Readers that have it open or mapped keep it. */
  remove(path: string): void
  /** Makes a directory and its parents; nothing happens if it exists. */
  makeDirectory(path: string): void
  syncDirectory(path: string): void
  /** Takes the lock file at `path`. Throws LockedError, naming the holder's pid, if a living process holds it. */
  lock(path: string): Lock
  /** Milliseconds since 1970. */
  now(): number
  /** Calls back after a while, without keeping the process alive; returns how to call it off. */
  after(milliseconds: number, callback: () => void): () => void
  /** Calls back once whatever else the process has to do now has had its turn. */
  soon(callback: () => void): void
}

/** Joins path segments with `/`; the same for every Env. */
export function joinPath(...segments: readonly string[]): string {
  return segments.join('/').replace(/\/{2,}/g, '/')
}
