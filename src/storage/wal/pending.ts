/** Transactions that wait to be written, as the bytes that will be. */
import { assert, quote, UsageError } from '../../base/errors.js'
import type { Kernels } from '../../zset/kernels.js'
import type { Keyring } from '../crypt/keyring.js'
import type { Lsn, TableId } from '../types.js'
import { BlockBuffer, blockFrom, MAX_GROUP_BYTES } from './block.js'
import type { TableLookup, WalPart } from './groups.js'
import { type Declaration, declarationOf, NOTE_TABLE } from './note.js'
import { SegmentSealer } from './sealed.js'

const MAX_TABLE_ID = 2 ** 32 - 1
const NONE: readonly Declaration[] = []

export class Pending {
  /** Transactions in the buffer, in order. */
  lsns: Lsn[] = []
  /** Whether the buffer begins a segment. */
  opens = false
  private readonly buffer = new BlockBuffer()
  /** What the last note of the segment says, in milliseconds; NaN if that is not known. */
  private time = Number.NaN
  /** Tables that the current segment declares: on disk, and in the buffer. */
  private declared: Set<TableId>
  private readonly declaring = new Set<TableId>()
  /** Encrypts blocks of the segment that the buffer goes to; null: they stay clear. */
  private sealer: SegmentSealer | null = null

  /** `keys`: null if nothing is encrypted. May be replaced when a segment ends. */
  constructor(
    private readonly tableOf: TableLookup,
    declared: Iterable<TableId>,
    public keys: Keyring | null = null,
  ) {
    this.declared = new Set(declared)
  }

  get sizeBytes(): number {
    return this.buffer.length
  }

  /**
   * Adds a transaction of the time `now` (milliseconds); `opens` says whether the buffer, if this is its first, begins a
   * segment. Throws UsageError if it is too large or of an unknown table; then nothing was added.
   */
  add(lsn: Lsn, previousLsn: Lsn, parts: readonly WalPart[], opens: boolean, now: number): void {
    const before = this.buffer.length
    if (before === 0) {
      this.opens = opens
      if (opens) this.sealer = this.keys === null ? null : new SegmentSealer(this.keys.create('log', lsn))
    }
    const fresh = this.undeclared(parts)
    try {
      if (fresh.length > 0 || (before === 0 && opens) || now !== this.time) {
        const tables = fresh.length === 0 ? NONE : fresh.map(tableId => declarationOf(tableId, this.kernelsOf(tableId)))
        const time = BigInt(Math.trunc(now)) * 1000n
        this.buffer.addNote(lsn, { previousLsn, time, tables, sealing: this.sealer?.cipher ?? null }, true)
      }
      this.addParts(lsn, parts, before)
    } catch (error) {
      this.buffer.cut(before)
      throw error
    }
    this.time = now
    for (const tableId of fresh) this.declaring.add(tableId)
    this.lsns.push(lsn)
  }

  /** What is to be written. `synced`: everything before it is durable. */
  contents(synced: boolean): Uint8Array {
    return this.buffer.contents(synced)
  }

  /** The buffer was written: it is empty again. */
  taken(): void {
    if (this.opens) this.declared.clear()
    for (const tableId of this.declaring) this.declared.add(tableId)
    this.empty()
  }

  /** The buffer will not be written. */
  discard(): void {
    this.time = Number.NaN
    this.empty()
  }

  private empty(): void {
    // Clearing an empty set makes a new table for it.
    if (this.declaring.size > 0) this.declaring.clear()
    this.buffer.clear()
    // Another one, for somebody may be told of those that were not written.
    this.lsns = []
  }

  private addParts(lsn: Lsn, parts: readonly WalPart[], before: number): void {
    for (let p = 0; p < parts.length; p++) {
      const { tableId, batch } = parts[p]
      const kernels = this.kernelsOf(tableId)
      let from = 0
      do {
        const block = blockFrom(tableId, kernels, batch, from)
        from = block.to
        this.buffer.addRows(lsn, block, p < parts.length - 1 || from < batch.length, this.sealer)
        if (this.buffer.length - before > MAX_GROUP_BYTES) {
          throw new UsageError(`transaction ${lsn}: expected at most ${MAX_GROUP_BYTES} bytes in the log`)
        }
      } while (from < batch.length)
    }
  }

  /** Tables of a transaction that the segment does not declare yet. */
  private undeclared(parts: readonly WalPart[]): TableId[] {
    assert(parts.length > 0, 'a transaction in the log has a part')
    const fresh: TableId[] = []
    for (let p = 0; p < parts.length; p++) {
      const { tableId, batch } = parts[p]
      const isNumber = Number.isInteger(tableId) && tableId > NOTE_TABLE && tableId <= MAX_TABLE_ID
      assert(isNumber, `${tableId} is the number of a table`)
      assert(batch.order === 'consolidated', 'batches are consolidated before they are logged')
      assert(batch.heap.remote === null, 'values that are logged are at hand')
      assert(p === 0 || parts[p - 1].tableId < tableId, 'the parts of a transaction are in the order of their tables')
      if (this.declaring.has(tableId) || (!this.opens && this.declared.has(tableId))) continue
      fresh.push(tableId)
    }
    return fresh
  }

  private kernelsOf(tableId: TableId): Kernels {
    const kernels = this.tableOf(tableId)
    if (kernels === null) throw new UsageError(`the log has been given no table ${quote(String(tableId))}`)
    return kernels
  }
}
