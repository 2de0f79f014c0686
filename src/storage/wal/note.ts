/**
 * Notes: blocks of table 0, which have no entries and say something about the log in their tail.
 *
 * The first block of every segment is a note. It carries magic and version, links the segment to the one before it,
 * and declares the tables whose blocks follow, with the length and the shape of their rows; a table that comes later
 * is declared by a note in its group. So a segment can be read without any other file, one that is missing is
 * noticed, and blocks of another schema are refused before their bytes are taken for rows. And a note says when: its
 * transaction and those after it, up to the next note, are of its time. A note that stands alone, a mark, is what
 * earlier programs put at the end of a log that was closed.
 */
import { xxh3 } from '../../base/checksum.js'
import { CorruptionError, FormatError } from '../../base/errors.js'
import type { Layout } from '../../schema/schema.js'
import type { Kernels } from '../../zset/kernels.js'
import type { Sealing } from '../crypt/keyring.js'
import type { Lsn, TableId } from '../types.js'

/** Table number of notes. */
export const NOTE_TABLE: TableId = 0
/** The ASCII bytes GNITZWAL. */
export const WAL_MAGIC = 0x4c41575a54494e47n
/** The version that is written in the clear; every other one is read. */
export const WAL_VERSION = 2
/** The version of segments whose blocks are sealed. */
export const SEALED_VERSION = 3

const FIXED_BYTES = 32
/** Key id, four zeros and salt, which a note of a sealed segment has before its declarations. */
const SEALING_BYTES = 24
const SALT_BYTES = 16
const DECLARATION_BYTES = 16

export interface Declaration {
  readonly tableId: TableId
  /** Bytes of a packed row. */
  readonly stride: number
  readonly layoutHash: bigint
}

export interface Note {
  /** Of the segment's format. */
  readonly version: number
  /** LSN of the last group before this block in the log, in whatever segment; 0 if there never was one. */
  readonly previousLsn: Lsn
  /** Microseconds since 1970 by the writer's clock; null in version 1. */
  readonly time: bigint | null
  readonly tables: readonly Declaration[]
  /** How blocks of the segment are encrypted; null: they are not. */
  readonly sealing: Sealing | null
}

const hashes = new WeakMap<Layout, bigint>()

/**
 * A number for the shape of a table's rows: types, nullability, key and order, not names. XXH3-64 of the UTF-8 bytes
 * of a JSON text that FORMAT.md defines.
 */
export function layoutHash(layout: Layout): bigint {
  let hash = hashes.get(layout)
  if (hash === undefined) {
    const columns = layout.schema.columns.map(c => `${c.type}${c.nullable ? '?' : ''}`)
    const order = layout.order.map(o => [o.column.index, o.descending])
    const text = JSON.stringify([columns, layout.key.kind, layout.key.columns, order])
    hash = xxh3(new TextEncoder().encode(text))
    hashes.set(layout, hash)
  }
  return hash
}

export function declarationOf(tableId: TableId, kernels: Kernels): Declaration {
  return { tableId, stride: kernels.packedStride, layoutHash: layoutHash(kernels.layout) }
}

export type NewNote = Omit<Note, 'version'>

/** Bytes of the tail of a note's block, in the version that is written. */
export function noteBytes({ sealing, tables }: NewNote): number {
  return FIXED_BYTES + (sealing === null ? 0 : SEALING_BYTES) + tables.length * DECLARATION_BYTES
}

/** Writes the tail of a note's block. REQUIRES: `noteBytes` bytes are there. */
export function writeNote(note: NewNote, view: DataView, at: number): void {
  const { sealing, tables } = note
  view.setBigUint64(at, WAL_MAGIC, true)
  view.setUint32(at + 8, sealing === null ? WAL_VERSION : SEALED_VERSION, true)
  view.setUint32(at + 12, tables.length, true)
  view.setBigUint64(at + 16, note.previousLsn, true)
  view.setBigUint64(at + 24, note.time ?? 0n, true)
  let next = at + FIXED_BYTES
  if (sealing !== null) {
    view.setUint32(next, sealing.keyId, true)
    view.setUint32(next + 4, 0, true)
    for (let i = 0; i < SALT_BYTES; i++) view.setUint8(next + 8 + i, sealing.salt[i])
    next += SEALING_BYTES
  }
  for (const { tableId, stride, layoutHash } of tables) {
    view.setUint32(next, tableId, true)
    view.setUint32(next + 4, stride, true)
    view.setBigUint64(next + 8, layoutHash, true)
    next += DECLARATION_BYTES
  }
}

/**
 * Reads the tail of a note. `file` and `offset` (of the tail) are for messages. REQUIRES: the block's checksum holds.
 * Throws FormatError on another magic or version, CorruptionError on anything else that no writer writes.
 */
export function decodeNote(view: DataView, at: number, length: number, file: string, offset: number): Note {
  if (length < 12 || view.getBigUint64(at, true) !== WAL_MAGIC) {
    throw new FormatError(file, offset, 'expected a note of a gnitz log, found another magic number')
  }
  const version = view.getUint32(at + 8, true)
  if (version < 1 || version > SEALED_VERSION) {
    throw new FormatError(
      file,
      offset + 8,
      `expected a log of version 1 to ${SEALED_VERSION}, found version ${version}`,
    )
  }
  const fixedBytes = FIXED_BYTES + (version === SEALED_VERSION ? SEALING_BYTES : 0)
  const count = length < fixedBytes ? 0 : view.getUint32(at + 12, true)
  if (length !== fixedBytes + count * DECLARATION_BYTES) {
    throw new CorruptionError(file, offset, `a note of ${count} tables cannot have ${length} bytes`)
  }
  const time = view.getBigUint64(at + 24, true)
  if (version === 1 && time !== 0n) {
    throw new CorruptionError(file, offset + 24, 'expected zero in the reserved bytes of a note')
  }
  const tables: Declaration[] = []
  for (let i = 0; i < count; i++) {
    const from = fixedBytes + i * DECLARATION_BYTES
    const tableId = view.getUint32(at + from, true)
    const stride = view.getUint32(at + from + 4, true)
    if (tableId === NOTE_TABLE || stride < MIN_STRIDE || stride > MAX_STRIDE) {
      throw new CorruptionError(file, offset + from, `table ${tableId} cannot have rows of ${stride} bytes`)
    }
    tables.push({ tableId, stride, layoutHash: view.getBigUint64(at + from + 8, true) })
  }
  const sealing = version === SEALED_VERSION ? readSealing(view, at + FIXED_BYTES, file, offset + FIXED_BYTES) : null
  const previousLsn = view.getBigUint64(at + 16, true)
  return { version, previousLsn, time: version === 1 ? null : time, tables, sealing }
}

function readSealing(view: DataView, at: number, file: string, offset: number): Sealing {
  const keyId = view.getUint32(at, true)
  if (keyId === 0 || view.getUint32(at + 4, true) !== 0) {
    throw new CorruptionError(file, offset, 'expected the id of a key and zeros in a note of a sealed segment')
  }
  const salt = new Uint8Array(view.buffer, view.byteOffset + at + 8, SEALING_BYTES - 8).slice()
  return { keyId, salt }
}

/** One key word and the weight. */
const MIN_STRIDE = 16
/** More than any schema makes: 4,096 columns of 16 bytes, their null bits, key and weight. */
const MAX_STRIDE = 1 << 17
