/**
 * Checks a log from end to end, without changing it: every block of every segment, how segments follow each other,
 * and the rows of all transactions that recovery would replay. What recovery would cut off is a note, what it would
 * refuse is a fault.
 */
import type { Env } from '../../env/env.js'
import { joinPath } from '../../env/env.js'
import type { Keyring } from '../crypt/keyring.js'
import { findHashFault } from '../shard/hashed-key.js'
import { type LogEnd, type Lsn, type Manifest, walFile } from '../types.js'
import type { Findings } from '../verify.js'
import type { TableLookup } from './groups.js'
import { type BlockInfo, type GapInfo, scanSegment, type ZerosInfo } from './scan.js'
import { listSegments, type SegmentName } from './segment.js'
import { readGroups } from './tail.js'

export interface LogSummary {
  readonly segments: number
  readonly blocks: number
  readonly sizeBytes: number
  /** Transactions that are not in the shards, and their rows. */
  readonly transactions: number
  readonly rowCount: number
  /** LSN of the last whole transaction; 0 if there is none. */
  readonly lastLsn: Lsn
}

/**
 * `tableOf`: kernels of a table, null if its description cannot be used. `onFile` hears of each segment.
 * Throws what `Findings.guard` throws.
 */
export function verifyLog(
  env: Env,
  directory: string,
  manifest: Manifest,
  tableOf: TableLookup,
  findings: Findings,
  onFile: (file: string) => void,
  keys: Keyring | null,
): LogSummary {
  const scan = new LogScan(env, manifest.globalMaxLsn, findings)
  const segments = listSegments(env, directory)
  for (const segment of segments) {
    onFile(segment.path)
    findings.guard(() => scan.segment(segment))
  }
  const { logEnd } = manifest
  if (logEnd !== null && logEnd.lsn > manifest.globalMaxLsn) scan.mustReach(logEnd, directory)
  scan.end()
  let transactions = 0
  let rowCount = 0
  // Damage that was found by now would only be found again.
  const isLocked = scan.isSealed && keys === null
  if (isLocked)
    findings.note(segments[0].path, null, 'it is encrypted, and no key was given: only checksums are checked')
  if (!scan.isDamaged && !isLocked) {
    findings.guard(() => {
      const options = { env, dir: directory, tableOf, keys, after: manifest.globalMaxLsn }
      for (const { lsn, parts, file, offset } of readGroups(options)) {
        transactions++
        for (const { tableId, batch } of parts) {
          rowCount += batch.length
          const fault = findHashFault(batch)
          if (fault !== null) findings.fault(file, offset, `table ${tableId}, row ${fault.row}: ${fault.problem}`)
        }
        // A writer at work may go on for ever.
        if (lsn >= scan.lastLsn) break
      }
    })
  }
  for (const { path } of segments.slice(0, scan.coveredSegments)) {
    findings.note(path, null, 'all of it is in shards: a checkpoint removes it unless it is kept for snapshotAt')
  }
  const { blocks, sizeBytes, lastLsn } = scan
  return { segments: segments.length, blocks, sizeBytes, transactions, rowCount, lastLsn }
}

/** Bytes that are no whole transaction. */
interface Broken {
  readonly file: string
  readonly offset: number
  readonly problem: string
}

class LogScan {
  blocks = 0
  sizeBytes = 0
  /** The last transaction that is whole, with nothing broken before it. */
  lastLsn: Lsn = 0n
  isDamaged = false
  /** A segment is encrypted. */
  isSealed = false
  /** Segments from the first one on whose transactions are all in the shards. */
  coveredSegments = 0
  private segments = 0
  private broken: Broken | null = null
  /** The end of the last transaction that is whole. */
  private reached: { file: string; offset: number } | null = null

  constructor(
    private readonly env: Env,
    private readonly checkpoint: Lsn,
    private readonly findings: Findings,
  ) {}

  segment(name: SegmentName): void {
    const before = this.blocks
    let end = 0
    let begun: BlockInfo | null = null
    for (const found of scanSegment(this.env, name.path)) {
      if (end === 0) this.opening(name, found)
      if (found.kind === 'block') {
        this.block(found)
        begun = found.more ? (begun ?? found) : null
        if (!found.more && found.tableId !== 0 && this.broken === null) {
          this.lastLsn = found.lsn
          this.reached = { file: found.file, offset: found.offset + found.sizeBytes }
        }
      } else if (found.kind === 'gap') {
        this.breaks(found.file, begun?.offset ?? found.offset, found.fault)
        begun = null
      }
      end = found.offset + found.sizeBytes
    }
    this.sizeBytes += end
    if (this.blocks === before) this.breaks(name.path, 0, 'the file is empty')
    if (begun !== null) this.breaks(name.path, begun.offset, `the file ends in the middle of transaction ${begun.lsn}`)
    this.segments++
    if (this.lastLsn <= this.checkpoint && this.broken === null) this.coveredSegments = this.segments
  }

  /** The first block says what came before. */
  private opening({ path, firstLsn }: SegmentName, found: BlockInfo | GapInfo | ZerosInfo): void {
    if (found.kind !== 'block') return
    if (found.lsn !== firstLsn) this.damage(path, 0, `its name says ${firstLsn}, its first block ${found.lsn}`)
    const previous = found.note?.previousLsn
    if (previous === undefined || !found.more) {
      this.damage(path, 0, 'expected it to begin with a note about the log before it')
      return
    }
    if (this.broken !== null) return
    if (previous < this.lastLsn) {
      this.damage(path, 0, `it follows transaction ${previous}, but the segment before ends with ${this.lastLsn}`)
    } else if (previous > this.lastLsn && previous > this.checkpoint) {
      const from = this.lastLsn > this.checkpoint ? this.lastLsn : this.checkpoint
      const problem = `transactions after ${from}, up to ${previous}, are missing before it`
      if (found.synced) this.damage(path, 0, problem)
      else this.breaks(path, 0, problem)
    }
  }

  private block(found: BlockInfo): void {
    this.blocks++
    if (found.note?.sealing != null) this.isSealed = true
    const { broken } = this
    if (broken !== null && found.synced && found.lsn > this.lastLsn) {
      const where = `${found.file === broken.file ? '' : `in ${found.file} `}at byte ${found.offset}`
      const problem = `${broken.problem}; a sound block ${where} was written when this had been durable`
      this.damage(broken.file, broken.offset, problem)
      this.broken = null
    } else if (found.fault !== null && broken === null) this.damage(found.file, found.offset, found.fault)
  }

  private damage(file: string, offset: number, problem: string): void {
    this.isDamaged = true
    this.findings.fault(file, offset, problem)
  }

  private breaks(file: string, offset: number, problem: string): void {
    this.broken ??= { file, offset, problem }
  }

  /** The log goes on at least to `end`. */
  mustReach(end: LogEnd, directory: string): void {
    if (this.isDamaged || this.lastLsn >= end.lsn) return
    const missing = joinPath(directory, walFile(end.segment))
    const place = this.broken ?? this.reached
    const known = `the manifest says that it goes on to transaction ${end.lsn}, up to byte ${end.offset} of ${missing}`
    const problem = this.broken?.problem ?? 'the log ends here'
    if (this.env.stat(missing) === null || place === null) this.damage(missing, 0, `it is missing; ${known}`)
    else this.damage(place.file, place.offset, `${problem}; ${known}`)
    this.broken = null
  }

  end(): void {
    if (this.broken === null) return
    const { file, offset, problem } = this.broken
    const fate = 'a write is under way, or a crash has left it; the next open cuts the log off here'
    this.findings.note(file, offset, `${problem}: ${fate}`)
  }
}
