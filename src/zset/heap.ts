/**
 * The blob heap of a batch: bytes of every string longer than 12 bytes, addressed by offset.
 * Strings that fit in 12 bytes live in their column alone and never touch it.
 */
import { assert } from '../base/errors.js'
import type { RemoteValues } from './remote.js'

/** Longest value stored inside its 16-byte column cell. */
export const INLINE_BYTES = 12

/** Up to this many bytes are copied one by one: making a subarray costs more. */
const LOOP_BYTES = 32

/** Shared by all heaps without strings. */
const NO_BYTES = new Uint8Array(0)

export class Heap {
  bytes: Uint8Array
  length = 0
  /** Bytes that are made room for as soon as some are needed: as many as were needed the last time. */
  expected = 0
  /** Set if cells may refer to pointers in this heap instead of bytes: who reads the values (remote.ts). */
  remote: RemoteValues | null = null

  constructor(capacityBytes = 0) {
    this.bytes = capacityBytes > 0 ? new Uint8Array(capacityBytes) : NO_BYTES
  }

  /** Makes room for `count` more bytes. ENSURES: `bytes.length >= length + count`; contents kept. */
  reserve(count: number): void {
    const need = this.length + count
    if (need <= this.bytes.length) return
    assert(need < 2 ** 32, 'a blob heap stays under 4 GiB')
    const grown = new Uint8Array(Math.max(need, Math.ceil(this.bytes.length * 1.5), this.expected, 64))
    grown.set(this.bytes.subarray(0, this.length))
    this.bytes = grown
  }

  /** Appends `count` bytes of `source` from `offset`; returns their offset here. */
  append(source: Uint8Array, offset: number, count: number): number {
    this.reserve(count)
    const at = this.length
    const bytes = this.bytes
    if (count > LOOP_BYTES) bytes.set(source.subarray(offset, offset + count), at)
    else for (let i = 0; i < count; i++) bytes[at + i] = source[offset + i]
    this.length = at + count
    return at
  }

  clear(): void {
    this.length = 0
  }
}
