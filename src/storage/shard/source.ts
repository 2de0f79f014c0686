/**
 * Where a shard's bytes come from: the memory a file is mapped into, or reads of the parts that are asked for. Shards
 * never change once they are written, which is what mapping them rests on.
 */
import { Xxh3, xxh3 } from '../../base/checksum.js'
import { CorruptionError, IoError, UsageError } from '../../base/errors.js'
import type { Env, EnvFile } from '../../env/env.js'
import type { ShardIo } from '../types.js'
import { REGION_ALIGNMENT } from './format.js'

export interface Source {
  readonly path: string
  readonly sizeBytes: number
  readonly isMapped: boolean
  /** Part of the file: a view if it is mapped, else read now into memory of its own. Begins at a multiple of 8. */
  take(offset: number, sizeBytes: number): Uint8Array
  /** Fills `into` with the file's bytes from `offset` on. */
  readInto(into: Uint8Array, offset: number): void
  /** XXH3-64 of a part, computed in memory of bounded size. */
  checksum(offset: number, sizeBytes: number): bigint
  close(): void
}

/** Throws IoError; CorruptionError while reading if the file has become shorter. */
export function openSource(env: Env, path: string, io: ShardIo): Source {
  if (io !== 'read') {
    const mapped = env.map(path)
    if (mapped !== null) return new MappedSource(path, mapped.bytes)
    if (io === 'map') throw new IoError(path, 'ENOTSUP', 'this file cannot be mapped into memory here')
  }
  return new FileSource(path, env.open(path, 'read'))
}

class MappedSource implements Source {
  readonly isMapped = true
  readonly sizeBytes: number
  private bytes: Uint8Array | null

  constructor(
    readonly path: string,
    bytes: Uint8Array,
  ) {
    this.bytes = bytes
    this.sizeBytes = bytes.length
  }

  take(offset: number, sizeBytes: number): Uint8Array {
    const { buffer, byteOffset } = this.open()
    const at = byteOffset + offset
    // Mappings begin at pages. Should one not, it costs a copy.
    if (at % REGION_ALIGNMENT !== 0) return new Uint8Array(buffer.slice(at, at + sizeBytes))
    return new Uint8Array(buffer, at, sizeBytes)
  }

  readInto(into: Uint8Array, offset: number): void {
    into.set(this.open().subarray(offset, offset + into.length))
  }

  checksum(offset: number, sizeBytes: number): bigint {
    return xxh3(this.open().subarray(offset, offset + sizeBytes))
  }

  close(): void {
    this.bytes = null
  }

  private open(): Uint8Array {
    if (this.bytes === null) throw closed(this.path)
    return this.bytes
  }
}

/** Bytes per read while only a checksum is wanted. */
const CHUNK_BYTES = 1 << 20

class FileSource implements Source {
  readonly isMapped = false
  readonly sizeBytes: number
  private file: EnvFile | null

  constructor(
    readonly path: string,
    file: EnvFile,
  ) {
    this.file = file
    this.sizeBytes = file.size()
  }

  take(offset: number, sizeBytes: number): Uint8Array {
    const bytes = allocate(this.path, sizeBytes)
    this.readInto(bytes, offset)
    return bytes
  }

  readInto(into: Uint8Array, offset: number): void {
    if (this.file === null) throw closed(this.path)
    if (into.length === 0) return
    const got = this.file.read(into, offset)
    if (got < into.length) {
      throw new CorruptionError(this.path, offset + got, `expected ${into.length - got} more bytes, found the end`)
    }
  }

  checksum(offset: number, sizeBytes: number): bigint {
    if (sizeBytes <= CHUNK_BYTES) return xxh3(this.take(offset, sizeBytes))
    const chunk = allocate(this.path, CHUNK_BYTES)
    const digest = new Xxh3()
    for (let done = 0; done < sizeBytes; done += CHUNK_BYTES) {
      const part = sizeBytes - done < CHUNK_BYTES ? chunk.subarray(0, sizeBytes - done) : chunk
      this.readInto(part, offset + done)
      digest.update(part)
    }
    return digest.digest()
  }

  close(): void {
    const { file } = this
    this.file = null
    file?.close()
  }
}

function closed(path: string): UsageError {
  return new UsageError(`${path}: this shard was released by its last holder`)
}

/** REQUIRES: the file really has that many bytes. Throws IoError if memory does not. */
function allocate(path: string, sizeBytes: number): Uint8Array {
  try {
    return new Uint8Array(sizeBytes)
  } catch (error) {
    throw new IoError(path, 'ENOMEM', `no memory for ${sizeBytes} bytes of it`, 'IO', error)
  }
}
