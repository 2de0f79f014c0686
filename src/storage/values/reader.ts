/**
 * Reading a value log: values by their pointers. Whatever is read is checked against its record's checksum and against
 * the hash and first bytes in the pointer, so that neither a damaged record nor another one passes for the value.
 */
import { xxh3 } from '../../base/checksum.js'
import { CorruptionError } from '../../base/errors.js'
import { type Env, type EnvFile, joinPath } from '../../env/env.js'
import { POINTER_PREFIX_AT, PREFIX_BYTES, type RemoteValues } from '../../zset/remote.js'
import { cipherOf, type FileCipher, type Keyring, type Sealing } from '../crypt/keyring.js'
import { valueFile } from '../types.js'
import {
  BLOCK_BYTES,
  checkRecord,
  decodeFileHeader,
  decodeRecordHeader,
  openRecord,
  readPointer,
  recordBytes,
  usedBytes,
} from './format.js'

/** Values that were read last are kept up to this many bytes in all: comparisons ask for the same one again and again. */
const CACHE_BYTES = 8 * 1024 * 1024

interface OpenFile {
  readonly file: EnvFile
  readonly sealing: Sealing | null
  cipher: FileCipher | null
}

export class ValueReader implements RemoteValues {
  private readonly files = new Map<number, OpenFile>()
  /** By file and offset, the one read last at the end. */
  private readonly cache = new Map<string, Uint8Array>()
  private cachedBytes = 0

  constructor(
    protected readonly env: Env,
    protected readonly directory: string,
    /** Null if there are none; then files that are encrypted cannot be read. */
    public keys: Keyring | null = null,
  ) {}

  read(pointers: Uint8Array, at: number, length: number): Uint8Array {
    const { fileId, offset, hash } = readPointer(pointers, at)
    const key = `${fileId} ${offset}`
    let value = this.cache.get(key)
    if (value === undefined || value.length !== length) {
      value = this.readRecord(fileId, offset, length)
      this.keep(key, value)
    }
    const path = this.pathOf(fileId)
    if (xxh3(value) !== hash) throw new CorruptionError(path, offset, 'expected the value of a pointer, found another')
    for (let k = 0; k < PREFIX_BYTES; k++) {
      if (value[k] === pointers[at + POINTER_PREFIX_AT + k]) continue
      throw new CorruptionError(path, offset, `expected the pointer's first bytes, found others at byte ${k}`)
    }
    return value
  }

  private readRecord(fileId: number, offset: number, length: number): Uint8Array {
    const { file, sealing } = this.open(fileId)
    if (offset % BLOCK_BYTES !== 0 || offset < BLOCK_BYTES) {
      throw new CorruptionError(file.path, offset, `a pointer to byte ${offset}, where no record begins`)
    }
    const size = usedBytes(length, sealing !== null)
    // Nothing is allocated on the word of a pointer alone.
    if (offset + size > file.size()) {
      throw new CorruptionError(file.path, offset, `expected a value of ${length} bytes, found the end of the file`)
    }
    const record = new Uint8Array(size)
    const got = file.read(record, offset)
    if (got < size)
      throw new CorruptionError(file.path, offset + got, `expected ${size - got} more bytes, found the end`)
    const header = decodeRecordHeader(record, file.path, offset)
    if (header.length !== length) {
      throw new CorruptionError(file.path, offset, `expected a value of ${length} bytes, found one of ${header.length}`)
    }
    checkRecord(record, file.path, offset)
    return openRecord(record, this.cipherOf(fileId), file.path, offset)
  }

  /** Bytes that the record of a value takes up in its file. Throws CorruptionError, IoError. */
  recordBytes(fileId: number, length: number): number {
    return recordBytes(length, this.open(fileId).sealing !== null)
  }

  private cipherOf(fileId: number): FileCipher | null {
    const open = this.open(fileId)
    const { file, sealing } = open
    if (sealing === null) return null
    open.cipher ??= cipherOf(this.keys, 'values', BigInt(fileId), sealing, file.path)
    return open.cipher
  }

  private keep(key: string, value: Uint8Array): void {
    if (value.length > CACHE_BYTES / 2) return
    this.cachedBytes += value.length - (this.cache.get(key)?.length ?? 0)
    this.cache.delete(key)
    this.cache.set(key, value)
    for (const [oldest, { length }] of this.cache) {
      if (this.cachedBytes <= CACHE_BYTES) return
      this.cache.delete(oldest)
      this.cachedBytes -= length
    }
  }

  /** The file, once its header is known to be right. */
  protected open(fileId: number): OpenFile {
    const known = this.files.get(fileId)
    if (known !== undefined) return known
    const file = this.env.open(this.pathOf(fileId), 'read')
    try {
      const header = new Uint8Array(BLOCK_BYTES)
      const got = file.read(header, 0)
      const sealing = decodeFileHeader(header.subarray(0, got), file.path, fileId)
      const open = { file, sealing, cipher: null }
      this.files.set(fileId, open)
      return open
    } catch (error) {
      file.close()
      throw error
    }
  }

  protected pathOf(fileId: number): string {
    return joinPath(this.directory, valueFile(BigInt(fileId)))
  }

  /** Lets go of one file. */
  protected forget(fileId: number): void {
    this.files.get(fileId)?.file.close()
    this.files.delete(fileId)
    for (const [key, { length }] of this.cache) {
      if (!key.startsWith(`${fileId} `)) continue
      this.cache.delete(key)
      this.cachedBytes -= length
    }
  }

  close(): void {
    for (const fileId of [...this.files.keys()]) this.forget(fileId)
  }
}
