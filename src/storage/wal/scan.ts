/** Listing the blocks of a segment for people and tools: what is there, where, and what is wrong with it. */

import { CorruptionError, GnitzError } from '../../base/errors.js'
import type { Env } from '../../env/env.js'
import type { Lsn, TableId } from '../types.js'
import { HEADER_BYTES } from './block.js'
import { decodeNote, NOTE_TABLE, type Note } from './note.js'
import { SegmentFile, type StrideOf } from './segment.js'

export interface BlockInfo {
  readonly kind: 'block'
  readonly file: string
  readonly offset: number
  /** Header, entries and tail. */
  readonly sizeBytes: number
  readonly lsn: Lsn
  /** 0 for a note. */
  readonly tableId: TableId
  readonly entryCount: number
  readonly tailBytes: number
  readonly checksum: bigint
  /** Another block of the same LSN follows. */
  readonly more: boolean
  readonly synced: boolean
  /** What a note says; null for other blocks. */
  readonly note: Note | null
  /** What is wrong with this block by itself, or in its place; null if nothing is. */
  readonly fault: string | null
}

/** Bytes that are no block. */
export interface GapInfo {
  readonly kind: 'gap'
  readonly file: string
  readonly offset: number
  readonly sizeBytes: number
  readonly fault: string
}

/** Zeros that a segment ends with. */
export interface ZerosInfo {
  readonly kind: 'zeros'
  readonly file: string
  readonly offset: number
  readonly sizeBytes: number
  readonly fault: null
}

const FAULTS = {
  zeros: 'zeros in the place of a block',
  short: 'ends too early',
  header: 'no valid block header',
  body: 'checksum does not hold',
  end: '',
}

/**
 * Everything in one segment, in order: blocks, the gaps between them if it is damaged, zeros at its end. It needs no schema, since a
 * segment declares the length of its rows; so it looks at headers, checksums and LSNs, not into rows.
 * Throws IoError.
 */
export function* scanSegment(env: Env, path: string): Generator<BlockInfo | GapInfo | ZerosInfo, void, void> {
  const segment = new SegmentFile(env.open(path, 'read'))
  const strides = new Map<TableId, number>()
  const strideOf: StrideOf = tableId => strides.get(tableId) ?? null
  let group: { lsn: Lsn; more: boolean } = { lsn: 0n, more: false }
  try {
    for (let offset = 0; offset < segment.sizeBytes; ) {
      const found = scanBlock(segment, offset, strideOf, group)
      if (found.kind === 'block') {
        for (const table of found.note?.tables ?? []) strides.set(table.tableId, table.stride)
        // A mark stands alone and has the LSN that comes next.
        const isMark = found.tableId === NOTE_TABLE && !found.more
        group = { lsn: isMark ? found.lsn - 1n : found.lsn, more: found.more }
      }
      yield found
      offset += found.sizeBytes
    }
  } finally {
    segment.close()
  }
}

function scanBlock(
  segment: SegmentFile,
  offset: number,
  strideOf: StrideOf,
  group: { lsn: Lsn; more: boolean },
): BlockInfo | GapInfo | ZerosInfo {
  const file = segment.path
  let fault: string
  let resumeAt = offset + 1
  try {
    const block = segment.block(offset, strideOf)
    if (!('problem' in block)) {
      const { header, end } = block
      const inPlace = group.more ? header.lsn === group.lsn : header.lsn > group.lsn
      const order = group.more ? `expected the rest of ${group.lsn}` : `expected a transaction after ${group.lsn}`
      const note =
        header.tableId === NOTE_TABLE ? noteOf(block.view, block.bodyAt, header.tailBytes, file, offset) : null
      fault = inPlace ? '' : order
      if (typeof note === 'string') fault = note
      return {
        ...{ kind: 'block', file, offset, sizeBytes: end - offset, ...header },
        ...{ note: typeof note === 'string' ? null : note, fault: fault === '' ? null : fault },
      }
    }
    if (block.problem === 'zeros' && segment.isZeroFrom(offset)) {
      return { kind: 'zeros', file, offset, sizeBytes: segment.sizeBytes - offset, fault: null }
    }
    fault = FAULTS[block.problem]
    resumeAt = block.resumeAt
  } catch (error) {
    if (!(error instanceof CorruptionError)) throw error
    fault = error.message
  }
  const next = segment.find(resumeAt, strideOf, false, () => true)
  const end = next < 0 ? segment.sizeBytes : next
  return { kind: 'gap', file, offset, sizeBytes: end - offset, fault }
}

/** What a note says, or what is wrong with it. */
function noteOf(view: DataView, at: number, length: number, file: string, offset: number): Note | string {
  try {
    return decodeNote(view, at, length, file, offset + HEADER_BYTES)
  } catch (error) {
    if (!(error instanceof GnitzError)) throw error
    return error.message
  }
}
