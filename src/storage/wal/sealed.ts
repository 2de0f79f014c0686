/**
 * Sealed segments: bodies of blocks are encrypted, each with its tag and a count behind it, which are the last bytes of
 * the block's tail. Headers and notes are in the clear, so everything that finds blocks and checks them works without a
 * key.
 */
import { type FileCipher, SEAL_BYTES } from '../crypt/keyring.js'
import type { BlockHeader } from './block.js'

/** Tag and count. */
export const BLOCK_SEAL_BYTES = SEAL_BYTES + 8

type Bound = Pick<BlockHeader, 'lsn' | 'tableId' | 'entryCount' | 'tailBytes' | 'more'>

const bound = new Uint8Array(24)
const boundView = new DataView(bound.buffer)

/** What a body is bound to: all that the header says, but for checks and SYNCED, which come later. */
function boundBytes({ lsn, tableId, entryCount, tailBytes, more }: Bound): Uint8Array {
  boundView.setBigUint64(0, lsn, true)
  boundView.setUint32(8, tableId, true)
  boundView.setUint32(12, entryCount, true)
  boundView.setUint32(16, tailBytes, true)
  boundView.setUint32(20, more ? 1 : 0, true)
  return bound
}

/** Encrypts the blocks of one segment, whether they are written in the end or not. */
export class SegmentSealer {
  private count = 0n

  constructor(readonly cipher: FileCipher) {}

  /** Encrypts entries and tail in place. REQUIRES: `BLOCK_SEAL_BYTES` at the end of `body`, counted by the header. */
  seal(header: Bound, body: Uint8Array): void {
    const plain = body.subarray(0, body.length - BLOCK_SEAL_BYTES)
    this.cipher.seal(0, this.count, boundBytes(header), plain, body)
    new DataView(body.buffer, body.byteOffset, body.length).setBigUint64(body.length - 8, this.count, true)
    this.count++
  }
}

/** Entries and tail of a sealed body; null if they are not what was sealed for this block. */
export function openBody(cipher: FileCipher, header: BlockHeader, body: Uint8Array): Uint8Array | null {
  if (header.tailBytes < BLOCK_SEAL_BYTES) return null
  const count = new DataView(body.buffer, body.byteOffset, body.length).getBigUint64(body.length - 8, true)
  return cipher.open(0, count, boundBytes(header), body.subarray(0, body.length - 8))
}
