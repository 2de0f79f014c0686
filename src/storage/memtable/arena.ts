/**
 * The staging arena: one block of memory that is handed out from front to back and given back as a whole.
 *
 * Offsets are bytes from its start and fit into a u32. Whoever writes asks once for all the room that may be needed
 * (`reserve`) and then writes through the views without further questions; afterwards `check` confirms that nothing
 * went beyond. The views of a typed array would drop such writes silently.
 */
import { assert } from '../../base/errors.js'

/** No arena is larger: offsets must fit into a u32 with room to spare. */
export const MAX_ARENA_BYTES = 1 << 30

const FIRST_BYTES = 1 << 14

export class Arena {
  /** The same memory three ways; replaced when it grows. */
  words: Uint32Array
  quads: BigInt64Array
  view: DataView
  /** First free byte. */
  end = 0

  /** Grows up to `limitBytes`, which are not taken before they are needed. */
  constructor(readonly limitBytes: number) {
    assert(limitBytes > 0 && limitBytes <= MAX_ARENA_BYTES && limitBytes % 16 === 0, 'a sane limit for an arena')
    const buffer = new ArrayBuffer(Math.min(FIRST_BYTES, limitBytes))
    this.words = new Uint32Array(buffer)
    this.quads = new BigInt64Array(buffer)
    this.view = new DataView(buffer)
  }

  get capacityBytes(): number {
    return this.view.byteLength
  }

  /** Makes room for `count` more bytes; false, and nothing changes, if the limit does not allow it. */
  reserve(count: number): boolean {
    const need = this.end + count
    if (need <= this.view.byteLength) return true
    if (need > this.limitBytes) return false
    let bytes = this.view.byteLength
    while (bytes < need) bytes = Math.min(bytes * 2, this.limitBytes)
    const buffer = new ArrayBuffer(bytes)
    const words = new Uint32Array(buffer)
    words.set(this.words)
    this.words = words
    this.quads = new BigInt64Array(buffer)
    this.view = new DataView(buffer)
    return true
  }

  /** Confirms that what was written lies within the arena. */
  check(): void {
    assert(this.end <= this.view.byteLength && this.end % 16 === 0, 'an arena is written within its bounds')
  }
}
