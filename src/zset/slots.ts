/**
 * An open-addressing index from key words to slots 0, 1, 2, …: the hash table behind grouped state. Slots are never
 * freed; what a slot means is its owner's business.
 */

export const MIN_CAPACITY = 16

/** Tells whether slot `slot` really has the key looked for, where the key words are only a hash. */
export type Confirm = ((slot: number) => boolean) | null

export class SlotIndex {
  /** Key words by slot, as u32 lanes, least significant first. */
  keys32 = new Uint32Array(0)
  /** Slots in use. */
  size = 0
  capacity = 0
  /** Open addressing: slot + 1, or 0. */
  index = new Int32Array(MIN_CAPACITY * 2)
  mask = MIN_CAPACITY * 2 - 1

  constructor(readonly keyWords: number) {}

  /** Room for `capacity` slots. */
  protected growKeys(capacity: number): void {
    this.capacity = capacity
    this.keys32 = extend(this.keys32, new Uint32Array(capacity * this.keyWords * 2))
    if (capacity * 4 > this.index.length * 3) this.rehash(capacity)
  }

  private rehash(capacity: number): void {
    let length = this.index.length
    while (length * 3 < capacity * 4) length *= 2
    this.index = new Int32Array(length)
    this.mask = length - 1
    const lanes = this.keyWords * 2
    for (let slot = 0; slot < this.size; slot++) this.index[this.freePlace(this.keys32, slot * lanes)] = slot + 1
  }

  private hashAt(keys: Uint32Array, at: number): number {
    return this.keyWords === 1
      ? hashLanes(keys[at], keys[at + 1], 0, 0)
      : hashLanes(keys[at], keys[at + 1], keys[at + 2], keys[at + 3])
  }

  private freePlace(keys: Uint32Array, at: number): number {
    let p = this.hashAt(keys, at) & this.mask
    while (this.index[p] !== 0) p = (p + 1) & this.mask
    return p
  }

  /** The slot of the key at `keys[at…]`, or -1. */
  find(keys: Uint32Array, at: number, confirm: Confirm): number {
    const lanes = this.keyWords * 2
    const own = this.keys32
    for (let p = this.hashAt(keys, at) & this.mask; ; p = (p + 1) & this.mask) {
      const slot = this.index[p] - 1
      if (slot < 0) return -1
      let same = true
      for (let l = 0; l < lanes; l++) if (own[slot * lanes + l] !== keys[at + l]) same = false
      if (same && (confirm === null || confirm(slot))) return slot
    }
  }

  /** A new slot for a key that has none. REQUIRES: `size < capacity`. */
  add(keys: Uint32Array, at: number): number {
    const lanes = this.keyWords * 2
    const slot = this.size++
    for (let l = 0; l < lanes; l++) this.keys32[slot * lanes + l] = keys[at + l]
    this.index[this.freePlace(keys, at)] = slot + 1
    return slot
  }

  protected get indexBytes(): number {
    return this.keys32.byteLength + this.index.byteLength
  }
}

/** Spreads key words over the table; the templates use this same function. */
export function hashLanes(k0: number, k1: number, k2: number, k3: number): number {
  let h = Math.imul(k0, 0x9e3779b1) ^ Math.imul(k1, 0x85ebca6b) ^ Math.imul(k2, 0xc2b2ae35) ^ Math.imul(k3, 0x27d4eb2f)
  h ^= h >>> 15
  h = Math.imul(h, 0x2c1b3c6d)
  return (h ^ (h >>> 13)) >>> 0
}

/** Moves to longer memory. */
export function extend<T extends Uint32Array | Int32Array | Float64Array | BigInt64Array>(from: T, to: T): T {
  ;(to as { set(source: unknown): void }).set(from)
  return to
}
