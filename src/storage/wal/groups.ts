/**
 * Groups: all blocks of one LSN, which is one transaction. A `GroupReader` reads the groups of one segment in order
 * and holds them to the grammar of FORMAT.md. It tells two things apart: a group that is not there or not whole,
 * which a crash or a write under way explains (`torn`), and bytes that no writer leaves behind (CorruptionError).
 */
import { CorruptionError, FormatError } from '../../base/errors.js'
import type { Env } from '../../env/env.js'
import type { Batch } from '../../zset/batch.js'
import type { Kernels } from '../../zset/kernels.js'
import { cipherOf, type FileCipher, type Keyring, type Sealing } from '../crypt/keyring.js'
import type { Lsn, TableId } from '../types.js'
import { type BlockHeader, bodyBytes, HEADER_BYTES, MAX_GROUP_BYTES } from './block.js'
import { type Declaration, declarationOf, decodeNote, NOTE_TABLE, type Note } from './note.js'
import type { LogStart } from './retention.js'
import { firstOutOfOrder, slabBatch, unpackRows } from './rows.js'
import { BLOCK_SEAL_BYTES, openBody } from './sealed.js'
import { type Block, type NoBlock, SegmentFile, type SegmentName, type StrideOf } from './segment.js'

/** The kernels of a table, or null if there is no such table. */
export type TableLookup = (tableId: TableId) => Kernels | null

/** One table's part of a transaction. The batch is consolidated, fresh, and the receiver's to keep. */
export interface WalPart {
  readonly tableId: TableId
  readonly batch: Batch
}

/** Somebody who takes rows as they are unpacked. */
export interface RowSink {
  /**
   * A batch with room at its end for so many rows and bytes of long strings, which are this table's part of a sound
   * transaction, consolidated for themselves; null if the part is to be handed out as a batch of its own.
   */
  room(tableId: TableId, lsn: Lsn, rowCount: number, tailBytes: number): Batch | null
}

/** A transaction as the log has it: its parts are the ones that were appended. */
export interface WalGroup {
  readonly lsn: Lsn
  /** Microseconds since 1970 by the writer's clock; null in a log of version 1. */
  readonly time: bigint | null
  readonly parts: readonly WalPart[]
  readonly file: string
  readonly offset: number
  /** First byte after it. */
  readonly end: number
}

export type NextGroup =
  | ({ readonly kind: 'group' } & WalGroup)
  /** Its LSN is not one that was asked for; its checksums hold, its rows were not looked at. */
  | { readonly kind: 'skipped'; readonly lsn: Lsn }
  | End
  | Torn

/** The segment ends here. */
export interface End {
  readonly kind: 'end'
  /** There are zeros here, and perhaps something else behind them. */
  readonly zeros: boolean
}

/** No whole group. */
export interface Torn {
  readonly kind: 'torn'
  /** Where the group begins: what would be cut off. */
  readonly offset: number
  /** Where its first bad block begins. */
  readonly at: number
  /** First byte of which it is not known what it belongs to. */
  readonly resumeAt: number
  readonly reason: string
}

/** Enough for a first note with a few tables. */
const NOTE_WINDOW_BYTES = 512

const REASONS: Readonly<Record<NoBlock['problem'], string>> = {
  end: 'the file ends in the middle of a transaction',
  short: 'the file ends in the middle of a block',
  zeros: 'zeros in the place of a block',
  header: 'no block header with a valid check',
  body: 'a block whose checksum does not hold',
}

/** What an `End` with zeros is if something follows them. */
export function tornZeros(offset: number): Torn {
  return torn({ problem: 'zeros', resumeAt: offset + 1 }, offset, offset)
}

function torn({ problem, resumeAt }: NoBlock, offset: number, at: number): Torn {
  const reason = at === 0 && problem === 'end' ? 'the file is empty' : REASONS[problem]
  return { kind: 'torn', offset, at, resumeAt, reason }
}

/** The first block of a segment. */
export interface Opening {
  readonly kind: 'opening'
  /** The transaction that this segment follows; 0 if it is the first one ever. */
  readonly previousLsn: Lsn
  /** Microseconds since 1970; null in a log of version 1. */
  readonly time: bigint | null
  /** Everything before this segment was durable when it was begun. */
  readonly synced: boolean
}

export class GroupReader {
  /** Where the next group begins. */
  offset = 0
  /** LSN of the last whole group; before the first one, of the group before this segment. */
  lastLsn: Lsn = 0n
  /** Offset of the last block that says that everything before it was durable; -1 if there was none. */
  syncedAt = -1
  /** Rows that were unpacked. */
  rowCount = 0
  readonly declared = new Map<TableId, Declaration>()
  /** Format of the segment; 0 until `opening` has returned a note. */
  version = 0
  /** How its blocks are encrypted, as its first note says; null: they are not. */
  private sealing: Sealing | null = null
  private cipher: FileCipher | null = null
  /** What the last note says. */
  private time: bigint | null = null
  /** LSN that the next block may have at least. */
  private floor: Lsn = 0n
  /** Declared by the group that is being read. */
  private fresh: TableId[] = []
  private readonly kernels = new Map<TableId, Kernels>()
  private readonly strideOf: StrideOf = tableId => this.declared.get(tableId)?.stride ?? null

  constructor(
    readonly segment: SegmentFile,
    /** What the file's name says. */
    private readonly firstLsn: Lsn,
    private readonly tableOf: TableLookup,
    /** Null: none; then rows of sealed segments cannot be read. */
    private readonly keys: Keyring | null,
    /** Rows of other tables are not looked at, and left out. */
    private readonly wants: (tableId: TableId) => boolean = () => true,
  ) {}

  /**
   * The note that opens the segment, if it is there. Called before the first group; the caller judges whether
   * `previousLsn` fits. Throws CorruptionError and FormatError if the segment begins with something else.
   */
  opening(): Opening | Torn {
    const block = this.segment.block(0, () => null)
    if ('problem' in block) return torn(block, 0, 0)
    const { header } = block
    if (header.lsn !== this.firstLsn) {
      throw this.corrupt(0, `its name says that transaction ${this.firstLsn} comes first, found ${header.lsn}`)
    }
    const note = this.noteOf(block)
    if (!header.more || note.previousLsn >= header.lsn) throw this.corrupt(0, 'this note cannot open a segment')
    this.version = note.version
    this.sealing = note.sealing
    this.lastLsn = note.previousLsn
    this.floor = header.lsn
    return { kind: 'opening', previousLsn: note.previousLsn, time: note.time, synced: header.synced }
  }

  /**
   * The next group, if its LSN is above `after` with its rows. Throws CorruptionError, and FormatError if a table is
   * unknown or has other columns. REQUIRES: `opening` has returned a note.
   */
  next(after: Lsn, sink: RowSink | null = null): NextGroup {
    this.fresh = []
    let start = this.offset
    let at = start
    let lsn: Lsn = 0n
    const blocks: Block[] = []
    for (;;) {
      const block = this.segment.block(at, this.strideOf)
      if ('problem' in block) return this.stop(block, start, at)
      const { header } = block
      if (at === start) lsn = this.firstBlock(header, at)
      else if (header.lsn !== lsn)
        throw this.corrupt(at, `expected the rest of transaction ${lsn}, found ${header.lsn}`)
      const note = header.tableId === NOTE_TABLE
      if (note) this.readNote(block, at === start)
      else if (lsn > after && this.wants(header.tableId)) blocks.push(block)
      if (header.synced) this.syncedAt = at
      at = block.end
      if (at - start > MAX_GROUP_BYTES) {
        throw this.corrupt(start, `transaction ${lsn} has more than ${MAX_GROUP_BYTES} bytes`)
      }
      if (header.more) continue
      this.offset = at
      this.fresh = []
      if (!note) break
      this.floor = lsn
      start = at
    }
    this.lastLsn = lsn
    this.floor = lsn + 1n
    if (lsn <= after) return { kind: 'skipped', lsn }
    const place = { file: this.segment.path, offset: start, end: at }
    return { kind: 'group', lsn, time: this.time, parts: this.unpack(blocks, sink), ...place }
  }

  /** No block at `at`, which belongs to the group from `start` on. */
  private stop(found: NoBlock, start: number, at: number): NextGroup {
    for (const tableId of this.fresh) this.declared.delete(tableId)
    const { problem } = found
    if (at === start && start > 0 && (problem === 'end' || problem === 'zeros')) {
      return { kind: 'end', zeros: problem === 'zeros' }
    }
    return torn(found, start, at)
  }

  private firstBlock({ lsn }: BlockHeader, at: number): Lsn {
    if (lsn < this.floor) throw this.corrupt(at, `expected transaction ${this.floor} or a later one, found ${lsn}`)
    return lsn
  }

  private readNote(block: Block, first: boolean): void {
    const { header, offset } = block
    const note = this.noteOf(block)
    if (!first) throw this.corrupt(offset, 'a note that is not the first block of its transaction')
    if (note.version !== this.version) {
      throw this.corrupt(offset, `a note of version ${note.version} in a segment of version ${this.version}`)
    }
    if (!sameSealing(note.sealing, this.sealing))
      throw this.corrupt(offset, 'another key or salt than at the beginning')
    if (note.previousLsn !== this.lastLsn) {
      throw this.corrupt(
        offset,
        `expected a note after transaction ${this.lastLsn}, found one after ${note.previousLsn}`,
      )
    }
    if (!header.more && note.tables.length > 0) throw this.corrupt(offset, 'a mark that declares tables')
    this.time = note.time
    for (const table of note.tables) {
      if (this.declared.has(table.tableId)) throw this.corrupt(offset, `table ${table.tableId} is declared twice`)
      this.declared.set(table.tableId, table)
      this.fresh.push(table.tableId)
    }
  }

  private noteOf({ header, view, bodyAt, offset }: Block): Note {
    if (header.tableId !== NOTE_TABLE) throw this.corrupt(offset, `expected a note, found table ${header.tableId}`)
    return decodeNote(view, bodyAt, header.tailBytes, this.segment.path, offset + HEADER_BYTES)
  }

  /** The rows of a group's blocks, which are known to be sound. */
  private unpack(blocks: readonly Block[], sink: RowSink | null): WalPart[] {
    const parts: WalPart[] = []
    const sealBytes = this.sealing === null ? 0 : BLOCK_SEAL_BYTES
    for (let from = 0, to = 0; from < blocks.length; from = to) {
      const { header, offset } = blocks[from]
      const { tableId, lsn } = header
      const before = from === 0 ? 0 : blocks[from - 1].header.tableId
      if (tableId < before) throw this.corrupt(offset, `a block of table ${tableId} after one of table ${before}`)
      const kernels = this.kernelsOf(tableId, offset)
      let rowCount = 0
      let tailBytes = 0
      for (to = from; to < blocks.length && blocks[to].header.tableId === tableId; to++) {
        rowCount += blocks[to].header.entryCount
        tailBytes += Math.max(0, blocks[to].header.tailBytes - sealBytes)
      }
      const shared = sink?.room(tableId, lsn, rowCount, tailBytes) ?? null
      const batch = shared ?? slabBatch(kernels.layout, rowCount, tailBytes)
      const first = batch.length
      // The last block that was read is still in the window.
      const isAtHand = blocks.length === 1 && blocks[0].end === this.offset
      for (let b = from; b < to; b++) this.unpackBlock(kernels, isAtHand ? blocks[b] : this.again(blocks[b]), batch)
      this.checkOrder(kernels, batch, first, tableId, offset)
      if (shared === null) {
        batch.order = 'consolidated'
        parts.push({ tableId, batch })
      }
      this.rowCount += rowCount
    }
    return parts
  }

  /** The block once more, since the window has moved on. */
  private again({ offset }: Block): Block {
    const block = this.segment.block(offset, this.strideOf)
    if ('problem' in block) throw this.corrupt(offset, 'the block changed while it was read')
    return block
  }

  private unpackBlock(kernels: Kernels, block: Block, batch: Batch): void {
    const { entryCount: count, tailBytes } = block.header
    const place = { file: this.segment.path, offset: block.offset + HEADER_BYTES }
    if (this.sealing === null) {
      unpackRows(kernels, { view: block.view, at: block.bodyAt, count, tailBytes, ...place }, batch)
    } else {
      const plain = this.unseal(block, this.sealing, bodyBytes(block.header, kernels.packedStride))
      const view = new DataView(plain.buffer, plain.byteOffset, plain.length)
      unpackRows(kernels, { view, at: 0, count, tailBytes: tailBytes - BLOCK_SEAL_BYTES, ...place }, batch)
    }
  }

  /** Entries and tail of a sealed block. */
  private unseal({ header, offset, view, bodyAt }: Block, sealing: Sealing, length: number): Uint8Array {
    const { path } = this.segment
    this.cipher ??= cipherOf(this.keys, 'log', this.firstLsn, sealing, path)
    const plain = openBody(this.cipher, header, new Uint8Array(view.buffer, view.byteOffset + bodyAt, length))
    if (plain !== null) return plain
    throw this.corrupt(offset, `this is not the block that was encrypted with key ${sealing.keyId} for this place`)
  }

  /** The kernels of a declared table, once it is sure that they are made for these bytes. */
  private kernelsOf(tableId: TableId, offset: number): Kernels {
    let kernels = this.kernels.get(tableId)
    if (kernels !== undefined) return kernels
    const found = this.tableOf(tableId)
    if (found === null) throw new FormatError(this.segment.path, offset, `there is no table ${tableId}`)
    kernels = found
    const ours = declarationOf(tableId, kernels)
    const theirs = this.declared.get(tableId)
    if (theirs === undefined || ours.stride !== theirs.stride || ours.layoutHash !== theirs.layoutHash) {
      const name = JSON.stringify(kernels.layout.schema.name)
      const shape = theirs === undefined ? 'none' : `rows of ${theirs.stride} bytes, shape ${hex(theirs.layoutHash)}`
      const expected = `rows of ${ours.stride} bytes, shape ${hex(ours.layoutHash)}`
      const problem = `table ${tableId} (${name}): expected ${expected}, found ${shape}`
      throw new FormatError(this.segment.path, offset, problem)
    }
    this.kernels.set(tableId, kernels)
    return kernels
  }

  private checkOrder(kernels: Kernels, batch: Batch, first: number, tableId: TableId, offset: number): void {
    const row = firstOutOfOrder(kernels, batch, first)
    if (row >= 0) {
      const problem = `row ${row - first} of table ${tableId} is out of order or has weight zero`
      throw this.corrupt(offset, `the checksums hold, but ${problem}`)
    }
  }

  private corrupt(offset: number, problem: string): CorruptionError {
    return new CorruptionError(this.segment.path, offset, problem)
  }
}

/** Where a segment takes up the log. Throws CorruptionError, FormatError, IoError. */
export function openingOf(env: Env, { path, firstLsn }: SegmentName): LogStart {
  const segment = new SegmentFile(env.open(path, 'read'), NOTE_WINDOW_BYTES)
  try {
    const opening = new GroupReader(segment, firstLsn, () => null, null).opening()
    if (opening.kind === 'torn') throw new CorruptionError(path, 0, opening.reason)
    return { lsn: opening.previousLsn, time: opening.time }
  } finally {
    segment.close()
  }
}

function sameSealing(a: Sealing | null, b: Sealing | null): boolean {
  if (a === null || b === null) return a === b
  return a.keyId === b.keyId && a.salt.every((byte, k) => byte === b.salt[k])
}

const hex = (n: bigint) => n.toString(16).padStart(16, '0')
