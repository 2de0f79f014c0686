/**
 * An open-addressing index from key words to slots 0, 1, 2, …: the hash table behind grouped state. Slots are never
 * freed; what a slot means is its owner's business.
 *
 * An entry of the index is `slot + 1` in the bits of `mask` and the key's hash in the bits above, or 0. So a key is
 * looked at only if it is very probably the right one: what collides is told apart without leaving the index.
 */

export const MIN_CAPACITY = 16

/** Tells whether slot `slot` really has the key looked for, where the key words are only a hash. */
export type Confirm = ((slot: number) => boolean) | null

export class SlotIndex {
  /** Key lanes by slot, `keyStride` lanes from one to the next; least significant first. */
  keys32: Uint32Array = new Uint32Array(0)
  /** Slots in use. */
  size = 0
  capacity = 0
  index = new Int32Array(MIN_CAPACITY * 2)
  mask = MIN_CAPACITY * 2 - 1

  /** `keyLanes`: 32-bit lanes of a key that are stored; those above are always zero. */
  constructor(
    readonly keyWords: number,
    readonly keyLanes = keyWords * 2,
    private readonly keyStride = keyLanes,
  ) {}

  /** Room for `capacity` slots in `keys32`, which begins with the keys there are. */
  protected growKeys(capacity: number, keys32: Uint32Array): void {
    this.capacity = capacity
    this.keys32 = keys32
    if (capacity * 4 > this.index.length * 3) this.rehash(capacity)
  }

  private rehash(capacity: number): void {
    let length = this.index.length
    while (length * 3 < capacity * 4) length *= 2
    this.index = new Int32Array(length)
    this.mask = length - 1
    for (let slot = 0; slot < this.size; slot++) this.enter(this.hashAt(this.keys32, slot * this.keyStride), slot)
  }

  private hashAt(keys: Uint32Array, at: number): number {
    switch (this.keyLanes) {
      case 1:
        return hashLanes(keys[at], 0, 0, 0)
      case 2:
        return hashLanes(keys[at], keys[at + 1], 0, 0)
      case 3:
        return hashLanes(keys[at], keys[at + 1], keys[at + 2], 0)
      default:
        return hashLanes(keys[at], keys[at + 1], keys[at + 2], keys[at + 3])
    }
  }

  private enter(hash: number, slot: number): void {
    const { index, mask } = this
    let p = hash & mask
    while (index[p] !== 0) p = (p + 1) & mask
    index[p] = (hash & ~mask) | (slot + 1)
  }

  /** The slot of the key at `keys[at…]`, or -1. */
  find(keys: Uint32Array, at: number, confirm: Confirm): number {
    const { index, mask, keyLanes, keyStride } = this
    const own = this.keys32
    const hash = this.hashAt(keys, at)
    for (let p = hash & mask; ; p = (p + 1) & mask) {
      const entry = index[p]
      if (entry === 0) return -1
      if (((entry ^ hash) & ~mask) !== 0) continue
      const slot = (entry & mask) - 1
      let same = true
      for (let l = 0; l < keyLanes; l++) if (own[slot * keyStride + l] !== keys[at + l]) same = false
      if (same && (confirm === null || confirm(slot))) return slot
    }
  }

  /** A new slot for a key that has none. REQUIRES: `size < capacity`. */
  add(keys: Uint32Array, at: number): number {
    const { keyLanes, keyStride } = this
    const slot = this.size++
    for (let l = 0; l < keyLanes; l++) this.keys32[slot * keyStride + l] = keys[at + l]
    this.enter(this.hashAt(keys, at), slot)
    return slot
  }
}

/** Spreads key words over the table; the templates use this same function. */
export function hashLanes(k0: number, k1: number, k2: number, k3: number): number {
  let h = Math.imul(k0, 0x9e3779b1) ^ Math.imul(k1, 0x85ebca6b) ^ Math.imul(k2, 0xc2b2ae35) ^ Math.imul(k3, 0x27d4eb2f)
  h ^= h >>> 15
  h = Math.imul(h, 0x2c1b3c6d)
  return h ^ (h >>> 13)
}

/** Moves to longer memory. */
export function extend<T extends Uint32Array | Int32Array | Float64Array | BigInt64Array>(from: T, to: T): T {
  ;(to as { set(source: unknown): void }).set(from)
  return to
}
