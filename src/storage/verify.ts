/**
 * Checks everything about a directory that can be checked without knowing how its rows came about: every checksum and
 * invariant of manifest, shards and log, and that they fit each other. It takes no lock and changes nothing, so it also
 * works beside a writer; when that one moves on meanwhile, it begins anew.
 */
import { loadChecksum } from '../base/checksum.js'
import { CorruptionError, type FilePlace, FormatError, type GnitzError, IoError, quote } from '../base/errors.js'
import { type Env, joinPath } from '../env/env.js'
import type { Layout } from '../schema/schema.js'
import type { Kernels } from '../zset/kernels.js'
import { boundOf } from './compaction/compaction.js'
import { Keyring } from './crypt/keyring.js'
import type { KeyProvider } from './crypt/keys.js'
import { layoutOf } from './manifest/descriptor.js'
import { CHECKSUM_AT, encodeManifest } from './manifest/format.js'
import { readManifest } from './manifest/manifest.js'
import { shardsOf, wideningOf } from './manifest/versions.js'
import { refuse } from './shard/faults.js'
import { findHashFault } from './shard/hashed-key.js'
import { type HeldShardContext, Shard } from './shard/reader.js'
import { verifyShard } from './shard/verify.js'
import {
  LOCK_FILE,
  type Lsn,
  MANIFEST_FILE,
  MANIFEST_SWAP,
  type Manifest,
  parseFile,
  type ShardEntry,
  type ShardIo,
  shardFile,
  type TableEntry,
  type TableId,
  valueFile,
} from './types.js'
import { ValueReader } from './values/reader.js'
import { checkReferences, type ValueSummary, verifyValues } from './values/verify.js'
import { type LogSummary, verifyLog } from './wal/verify.js'

export interface VerifyOptions {
  readonly env: Env
  readonly directory: string
  /** The kernels of a layout, generic or compiled. */
  readonly kernelsOf: (layout: Layout) => Kernels
  readonly io?: ShardIo
  /** For encrypted files; without, only checksums, keys and weights of them are checked. */
  readonly encryption?: KeyProvider
  /** Hears of each file before it is checked. */
  readonly onFile?: (file: string) => void
}

export interface Finding extends FilePlace {
  readonly problem: string
}

export interface Verification {
  /** What must not be, in the order in which it was found. */
  readonly faults: readonly Finding[]
  /** What a crash or a running writer leaves behind; the next open tidies it up. */
  readonly notes: readonly Finding[]
  /** Of the manifest; 0 if there is none that can be read. */
  readonly generation: bigint
  /** The last transaction that is there. */
  readonly lsn: Lsn
  readonly tables: number
  readonly shards: { readonly count: number; readonly rowCount: number; readonly sizeBytes: number }
  readonly values: ValueSummary
  readonly log: LogSummary
}

/** Collects what is found. */
export class Findings {
  readonly faults: Finding[] = []
  readonly notes: Finding[] = []

  /** `isStill`: no writer is at work, so that a file that is gone is lost. */
  constructor(private readonly isStill: boolean) {}

  fault(file: string, offset: number | null, problem: string): void {
    this.faults.push({ file, offset, problem })
  }

  note(file: string, offset: number | null, problem: string): void {
    this.notes.push({ file, offset, problem })
  }

  /** Runs a check; errors about files become faults. Throws `Moved` for a file a writer may have removed, and others. */
  guard(check: () => void): void {
    try {
      check()
    } catch (error) {
      const finding = findingOf(error)
      if (finding === null) throw error
      if (!this.isStill && error instanceof IoError && GONE.has(error.errno)) throw new Moved(finding.problem)
      this.faults.push(finding)
    }
  }
}

/** ENOENT: the file was there or should be. ESTALE: what was read has been taken back. */
const GONE: ReadonlySet<string> = new Set(['ENOENT', 'ESTALE'])

/** A file is gone, because a writer has removed it or because it is lost. */
class Moved extends Error {}

function findingOf(error: unknown): Finding | null {
  const isPlaced = error instanceof CorruptionError || error instanceof FormatError
  if (!isPlaced && !(error instanceof IoError)) return null
  const { file, offset } = isPlaced ? error : { file: error.path, offset: null }
  const prefix = `${file}${offset === null ? '' : `, byte ${offset}`}: `
  const { message } = error as GnitzError
  return { file, offset, problem: message.startsWith(prefix) ? message.slice(prefix.length) : message }
}

/** Times that checking begins anew because a writer has moved on. */
const ATTEMPTS = 10

/** Throws IoError if the directory cannot be listed; what is wrong inside it is in the result. */
export async function verifyDirectory(options: VerifyOptions): Promise<Verification> {
  await loadChecksum()
  let isStill = false
  for (let attempt = 1; ; attempt++) {
    const before = stateOf(options)
    try {
      const found = new Verifier(options, isStill, await keysFor(options)).run()
      // Parts of the log that a checkpoint has removed meanwhile look like ones that are missing.
      if (found.faults.length === 0 || attempt >= ATTEMPTS || stateOf(options) === before) return found
    } catch (error) {
      if (!(error instanceof Moved)) throw error
      isStill = attempt >= ATTEMPTS || stateOf(options) === before
    }
  }
}

/** The keys that files are encrypted with, if they were given. Throws KeyError if one is missing or wrong. */
async function keysFor({ env, directory, encryption }: VerifyOptions): Promise<Keyring | null> {
  if (encryption === undefined) return null
  let keys: Manifest['keys']
  try {
    keys = readManifest(env, directory)?.keys
  } catch (error) {
    // It is found again, and said, when everything is checked.
    if (findingOf(error) === null) throw error
  }
  return await Keyring.load(encryption, keys ?? [], joinPath(directory, MANIFEST_FILE))
}

/** Text that changes when a writer publishes something or when files come and go. */
function stateOf({ env, directory }: VerifyOptions): string {
  const names = env.list(directory).join()
  try {
    return `${readManifest(env, directory)?.generation} ${names}`
  } catch (error) {
    if (findingOf(error) === null) throw error
    return names
  }
}

class Verifier {
  private readonly findings: Findings
  private manifest: Manifest | null = null
  private readonly kernels = new Map<TableId, Kernels>()
  private readonly reader: ValueReader
  private values: ValueSummary = { files: 0, records: 0, sizeBytes: 0 }
  private readonly shards = { count: 0, rowCount: 0, sizeBytes: 0 }
  private log: LogSummary = { segments: 0, blocks: 0, sizeBytes: 0, transactions: 0, rowCount: 0, lastLsn: 0n }

  constructor(
    private readonly options: VerifyOptions,
    isStill: boolean,
    private readonly keys: Keyring | null,
  ) {
    this.findings = new Findings(isStill)
    this.reader = new ValueReader(options.env, options.directory, keys)
  }

  run(): Verification {
    try {
      return this.check()
    } finally {
      this.reader.close()
    }
  }

  private check(): Verification {
    const { env, directory } = this.options
    const path = joinPath(directory, MANIFEST_FILE)
    this.findings.guard(() => this.readManifest(path))
    const { manifest } = this
    if (manifest === null) return this.report()
    for (const table of manifest.tables) this.checkTable(manifest, table, path)
    const { valueFiles = [] } = manifest
    this.values = verifyValues(env, directory, valueFiles, this.findings, file => this.options.onFile?.(file))
    this.log = verifyLog(
      env,
      directory,
      manifest,
      id => this.kernels.get(id) ?? null,
      this.findings,
      file => this.options.onFile?.(file),
      this.keys,
    )
    this.noteOthers(manifest)
    return this.report()
  }

  private report(): Verification {
    const { manifest, shards, values, log } = this
    const { faults, notes } = this.findings
    const checkpoint = manifest?.globalMaxLsn ?? 0n
    return {
      faults,
      notes,
      generation: manifest?.generation ?? 0n,
      lsn: log.lastLsn > checkpoint ? log.lastLsn : checkpoint,
      tables: manifest?.tables.length ?? 0,
      shards,
      values,
      log,
    }
  }

  private readManifest(path: string): void {
    const { env, directory, onFile } = this.options
    onFile?.(path)
    const manifest = readManifest(env, directory)
    if (manifest === null) throw new CorruptionError(path, null, 'it is missing: this is no directory of gnitz')
    this.manifest = manifest
    // Whatever the decoder leaves out (padding, reserved bytes, the form of the JSON) shows in the bytes.
    const expected = encodeManifest(manifest)
    const file = env.open(path, 'read')
    try {
      const found = new Uint8Array(expected.length)
      file.read(found, 0)
      const isChecksum = (at: number) => at >= CHECKSUM_AT && at < CHECKSUM_AT + 8
      const at = expected.findIndex((byte, i) => byte !== found[i] && !isChecksum(i))
      if (at < 0) return
      // Another manifest may have taken the place of the one that was read.
      if (readManifest(env, directory)?.generation !== manifest.generation)
        throw new IoError(path, 'ESTALE', 'replaced')
      throw new CorruptionError(path, at, `expected ${expected[at]}, found ${found[at]}: no writer puts it like this`)
    } finally {
      file.close()
    }
  }

  private checkTable(manifest: Manifest, table: TableEntry, path: string): void {
    const { findings } = this
    const { tableId, descriptor, flushedLsn } = table
    const name = `table ${quote(descriptor.name)}`
    if (manifest.tables.some(t => t.tableId < tableId && t.descriptor.name === descriptor.name)) {
      findings.fault(path, null, `${name} is there twice`)
    }
    if (flushedLsn > manifest.globalMaxLsn) {
      findings.fault(path, null, `${name} is flushed up to ${flushedLsn}, beyond ${manifest.globalMaxLsn}`)
    }
    findings.guard(() => this.kernels.set(tableId, this.options.kernelsOf(layoutOf(descriptor, path))))
    const kernels = this.kernels.get(tableId)
    if (kernels === undefined) return
    for (const entry of shardsOf(manifest, table)) {
      if (entry.minLsn === 0n || entry.maxLsn > flushedLsn) {
        const range = `transactions ${entry.minLsn} to ${entry.maxLsn}`
        findings.fault(path, null, `${shardFile(entry.fileId)} has ${range}, but its table those up to ${flushedLsn}`)
      }
      findings.guard(() => this.checkShard(entry, fileLayout(entry, table, kernels.layout, path), path))
    }
  }

  private checkShard(entry: ShardEntry, layout: Layout, manifestPath: string): void {
    const { env, directory, io = 'auto', onFile } = this.options
    const path = joinPath(directory, shardFile(entry.fileId))
    onFile?.(path)
    const shard = Shard.open(env, path, entry.tableId, layout, entry, io, this.contextOf(entry))
    try {
      verifyShard(shard)
      if (shard.isLocked) {
        this.findings.note(path, null, `key ${entry.keyId} was not given: only keys and checksums are checked`)
      } else {
        refuse(path, shard.regions[0], findHashFault(shard.rows()))
        checkReferences(entry, shard.rows(), this.reader, manifestPath)
      }
      if (shard.sealing?.keyId !== entry.keyId) {
        const found = `key ${shard.sealing?.keyId ?? 'none'}`
        throw new CorruptionError(
          path,
          null,
          `expected it to be encrypted with key ${entry.keyId ?? 'none'}, found ${found}`,
        )
      }
      const bound = boundOf(shard.keys())
      if (entry.weightBound < bound) {
        const problem = `${shardFile(entry.fileId)} has weights of ${bound} in all, more than ${entry.weightBound}`
        throw new CorruptionError(manifestPath, null, problem)
      }
    } finally {
      shard.release()
    }
    this.shards.count++
    this.shards.rowCount += entry.rowCount
    this.shards.sizeBytes += entry.sizeBytes
  }

  private contextOf({ fileId }: ShardEntry): HeldShardContext {
    return { values: this.reader, keys: this.keys, fileId }
  }

  /** Files that the manifest does not know. */
  private noteOthers(manifest: Manifest): void {
    const { env, directory } = this.options
    const values = (manifest.valueFiles ?? []).map(f => valueFile(f.fileId))
    const known = new Set([...manifest.shards.map(s => shardFile(s.fileId)), ...values])
    for (const name of env.list(directory)) {
      const path = joinPath(directory, name)
      const kind = parseFile(name)?.kind
      if (name === MANIFEST_FILE || name.startsWith(LOCK_FILE) || kind === 'wal' || known.has(name)) continue
      const left = 'a writer is at work on it, or a crash has left it'
      if (name === MANIFEST_SWAP || kind !== undefined) this.findings.note(path, null, `not in the manifest: ${left}`)
      else this.findings.note(path, null, 'this is no file of gnitz')
    }
  }
}

/** How the file of a shard lies: as its table does, or did when the shard was written. */
function fileLayout(entry: ShardEntry, table: TableEntry, layout: Layout, manifestPath: string): Layout {
  return entry.tableId === table.tableId ? layout : wideningOf(table, entry.tableId, layout, manifestPath).from
}
