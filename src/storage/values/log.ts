/**
 * The value log of a directory, as its writer has it: a current file that records are appended to, older files that are
 * only read, and who refers to them.
 *
 * A record is in a file before the shard whose cells point to it is written, and durable before a manifest lists that
 * shard. A file goes when no shard that is listed or held by a reader refers to it and the manifest on disk does not
 * name it. Files are never reused: a directory that is opened again begins a new one.
 */
import { xxh3 } from '../../base/checksum.js'
import { assert, CorruptionError, IoError } from '../../base/errors.js'
import type { Env, EnvFile } from '../../env/env.js'
import type { FileCipher } from '../crypt/keyring.js'
import type { KeyId } from '../crypt/keys.js'
import type { FileId, ShardEntry, TableId, ValueFileEntry, ValueReference } from '../types.js'
import { BLOCK_BYTES, encodeFileHeader, encodeRecord, type Pointer, recordBytes } from './format.js'
import { ValueReader } from './reader.js'
import { scanRecords } from './scan.js'

export interface ValueLogOptions {
  readonly env: Env
  readonly directory: string
  /** Size at which a file is followed by a new one. */
  readonly fileBytes: number
  /** Part of a file that must be referred to; below, what is live is moved. */
  readonly liveRatio: number
  newFileId(): FileId
}

interface ValueFile {
  readonly fileId: number
  /** Open for writing as long as bytes may have to be written or synced. */
  file: EnvFile | null
  /** Bytes that are written. */
  end: number
  syncedEnd: number
  /** A sync has failed. */
  isDoubtful: boolean
  /** For what is appended to it; null: nothing is encrypted. */
  readonly cipher: FileCipher | null
  readonly keyId: KeyId | null
  /** Records that were encrypted, also ones that could not be written. */
  count: bigint
  /** Shards that are open and refer to it. */
  holders: number
  /** Shards that are being made and refer to it. */
  pins: number
  /** To be removed when the last holder lets go. */
  isDiscarded: boolean
}

/** Records wait in memory up to this many bytes, so that many are written at once. */
const STAGE_BYTES = 1024 * 1024

export class ValueLog extends ValueReader {
  private readonly known = new Map<number, ValueFile>()
  private current: ValueFile | null = null
  private stage = new Uint8Array(0)
  private staged = 0

  constructor(private readonly options: ValueLogOptions) {
    super(options.env, options.directory)
  }

  /**
   * Takes over the files of the manifest, and cuts off what is behind their ends; or, if not `cuts`, opens them, since their
   * writer may remove them. Throws CorruptionError if one is shorter than the manifest says, IoError.
   */
  adopt(listed: readonly ValueFileEntry[], cuts = true): void {
    for (const entry of listed) this.adoptFile(Number(entry.fileId), entry.sizeBytes, entry.keyId ?? null, cuts)
  }

  private adoptFile(fileId: number, end: number, keyId: KeyId | null, cuts: boolean): void {
    const path = this.pathOf(fileId)
    const found = this.env.stat(path)?.sizeBytes
    if (found === undefined || found < end) {
      const problem = `expected ${end} bytes, found ${found === undefined ? 'no such file' : `${found} bytes`}`
      throw new CorruptionError(path, found ?? 0, problem)
    }
    if (!cuts) this.open(fileId)
    else if (found > end) this.cut(path, end)
    this.known.set(fileId, { ...newFile(fileId, null, end, null), syncedEnd: end, keyId })
  }

  /** Bytes behind the end were written after the last checkpoint: nothing refers to them. */
  private cut(path: string, end: number): void {
    const file = this.env.open(path, 'write')
    try {
      file.truncate(end)
    } finally {
      file.close()
    }
  }

  /**
   * Appends a value. It can be read once `drain` has returned. Throws IoError; then nothing that was added since the
   * last `drain` is in the log.
   */
  append(value: Uint8Array, tableId: TableId): Pointer {
    // Rather with room for a tag than asking which file it will be.
    const most = recordBytes(value.length, this.keys !== null)
    if (this.staged > 0 && this.staged + most > STAGE_BYTES) this.drain()
    const file = this.fileFor()
    const { cipher } = file
    const offset = file.end + this.staged
    const size = recordBytes(value.length, cipher !== null)
    this.makeRoom(size)
    const seal = cipher === null ? null : { cipher, count: file.count++, offset }
    encodeRecord(this.stage.subarray(this.staged, this.staged + size), value, tableId, seal)
    this.staged += size
    return { fileId: file.fileId, offset, hash: xxh3(value) }
  }

  private makeRoom(size: number): void {
    const need = this.staged + size
    if (need > this.stage.length) {
      const grown = new Uint8Array(Math.max(need, Math.min(this.stage.length * 2, STAGE_BYTES), BLOCK_BYTES))
      grown.set(this.stage.subarray(0, this.staged))
      this.stage = grown
    }
    this.stage.fill(0, this.staged, need)
  }

  private fileFor(): ValueFile {
    const { current } = this
    if (current !== null && current.end + this.staged < this.options.fileBytes) return current
    this.drain()
    this.current = null
    const fileId = Number(this.options.newFileId())
    const path = this.pathOf(fileId)
    const cipher = this.keys?.create('values', BigInt(fileId)) ?? null
    const file = this.env.open(path, 'create')
    try {
      file.write(encodeFileHeader(fileId, cipher), 0)
    } catch (error) {
      this.tidy(() => {
        file.close()
        this.env.remove(path)
      })
      throw error
    }
    const fresh = newFile(fileId, file, BLOCK_BYTES, cipher)
    this.known.set(fileId, fresh)
    this.current = fresh
    if (current !== null) this.leave(current)
    return fresh
  }

  /** The next record begins a file. Throws IoError. */
  roll(): void {
    this.drain()
    const { current } = this
    this.current = null
    if (current !== null) this.leave(current)
  }

  /** Nothing more is appended to it. */
  private leave(file: ValueFile): void {
    if (file.syncedEnd === file.end) this.closeWriter(file)
  }

  private closeWriter(file: ValueFile): void {
    file.file?.close()
    file.file = null
  }

  /** Writes what was appended. Throws IoError; then none of it is there. */
  drain(): void {
    const { current, staged } = this
    if (staged === 0) return
    this.staged = 0
    assert(current?.file != null, 'values are staged for a file that is open')
    current.file.write(this.stage.subarray(0, staged), current.end)
    current.end += staged
    if (this.stage.length > STAGE_BYTES * 2) this.stage = new Uint8Array(0)
  }

  /** Makes every record durable. Names of files are durable once the directory is synced. Throws IoError, CorruptionError. */
  sync(): void {
    for (const file of this.known.values()) {
      if (file.syncedEnd === file.end || file.file === null) continue
      if (file.isDoubtful) this.writeAgain(file, file.file)
      file.isDoubtful = true
      file.file.sync()
      file.isDoubtful = false
      file.syncedEnd = file.end
      if (file !== this.current) this.closeWriter(file)
    }
  }

  /** After a sync that failed the system may hold pages that look clean and were never written, or have dropped them. */
  private writeAgain({ end, syncedEnd, fileId }: ValueFile, file: EnvFile): void {
    const copy = new Uint8Array(Math.min(STAGE_BYTES, end - syncedEnd))
    for (let at = syncedEnd; at < end; at += STAGE_BYTES) {
      const part = copy.subarray(0, Math.min(STAGE_BYTES, end - at))
      const got = file.read(part, at)
      if (got < part.length) throw new CorruptionError(file.path, at + got, 'the file became shorter')
      file.write(part, at)
    }
    for (const _ of scanRecords(file, fileId, Math.max(syncedEnd, BLOCK_BYTES), end)) {
      // The walk itself checks each record.
    }
  }

  /** A shard that refers to these files is open: they stay until `release`. */
  retain(references: readonly ValueReference[]): void {
    for (const { fileId } of references) {
      const file = this.known.get(Number(fileId))
      if (file === undefined) throw new CorruptionError(this.pathOf(Number(fileId)), null, 'it is not in the manifest')
      file.holders++
    }
  }

  release(references: readonly ValueReference[]): void {
    for (const { fileId } of references) {
      const file = this.known.get(Number(fileId))
      if (file === undefined) continue
      file.holders--
      if (file.holders === 0 && file.isDiscarded) this.remove(file)
    }
  }

  /** Keys that its files are encrypted with. */
  get keyIds(): readonly KeyId[] {
    return [...this.known.values()].flatMap(({ keyId }) => (keyId === null ? [] : [keyId]))
  }

  /** Shards that are being made refer to these files: no manifest lists them yet, and they stay until `unpin`. */
  pin(references: readonly ValueReference[]): void {
    this.retain(references)
    for (const { fileId } of references) (this.known.get(Number(fileId)) as ValueFile).pins++
  }

  unpin(references: readonly ValueReference[]): void {
    for (const { fileId } of references) {
      const file = this.known.get(Number(fileId))
      if (file !== undefined) file.pins--
    }
    this.release(references)
  }

  /** The files that these shards refer to, as a manifest lists them. */
  listed(shards: readonly ShardEntry[]): ValueFileEntry[] {
    return [...liveBytes(shards).keys()]
      .sort((a, b) => a - b)
      .map(id => {
        const { end, keyId } = this.known.get(id) as ValueFile
        return { fileId: BigInt(id), sizeBytes: end, ...(keyId === null ? {} : { keyId }) }
      })
  }

  /** The manifest on disk lists these files: others may go, but the current one, and those that are pinned. */
  published(listed: readonly ValueFileEntry[]): void {
    const live = new Set(listed.map(f => Number(f.fileId)))
    for (const file of [...this.known.values()]) {
      if (live.has(file.fileId) || file === this.current || file.pins > 0) continue
      file.isDiscarded = true
      if (file.holders === 0) this.remove(file)
    }
  }

  private remove(file: ValueFile): void {
    this.known.delete(file.fileId)
    this.forget(file.fileId)
    this.tidy(() => {
      this.closeWriter(file)
      this.env.remove(this.pathOf(file.fileId))
    })
  }

  /** What cannot be removed is collected when the directory is opened. */
  private tidy(work: () => void): void {
    try {
      work()
    } catch (error) {
      if (!(error instanceof IoError)) throw error
    }
  }

  /** Files of which too little is live, by what the shards of all tables refer to; with `rekeying` those of other keys. */
  stale(shards: readonly ShardEntry[], rekeying = false): ReadonlySet<number> {
    const live = liveBytes(shards)
    const stale = new Set<number>()
    for (const file of this.known.values()) {
      if (rekeying && file.keyId !== (this.keys?.currentId ?? null)) stale.add(file.fileId)
      if (file === this.current || file.isDiscarded) continue
      const bytes = live.get(file.fileId) ?? 0
      if (bytes > 0 && bytes < (file.end - BLOCK_BYTES) * this.options.liveRatio) stale.add(file.fileId)
    }
    return stale
  }

  stats(shards: readonly ShardEntry[]): ValueStats {
    const live = liveBytes(shards)
    let diskBytes = 0
    for (const file of this.known.values()) diskBytes += file.end
    return { files: this.known.size, diskBytes, liveBytes: [...live.values()].reduce((sum, n) => sum + n, 0) }
  }

  override close(): void {
    for (const file of this.known.values()) this.closeWriter(file)
    this.known.clear()
    this.current = null
    this.staged = 0
    super.close()
  }
}

function newFile(fileId: number, file: EnvFile | null, end: number, cipher: FileCipher | null): ValueFile {
  const counts = { syncedEnd: 0, isDoubtful: false, count: 0n, holders: 0, pins: 0, isDiscarded: false }
  return { fileId, file, end, cipher, keyId: cipher?.keyId ?? null, ...counts }
}

export interface ValueStats {
  readonly files: number
  readonly diskBytes: number
  /** Bytes of records that shards refer to; a record that several shards refer to counts several times. */
  readonly liveBytes: number
}

/** By file: bytes that shards refer to. */
function liveBytes(shards: readonly ShardEntry[]): Map<number, number> {
  const live = new Map<number, number>()
  for (const { references = [] } of shards) {
    for (const { fileId, bytes } of references) live.set(Number(fileId), (live.get(Number(fileId)) ?? 0) + bytes)
  }
  return live
}
