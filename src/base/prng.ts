/**
 * A small seeded generator of pseudo-random numbers (sfc32): whatever is drawn from a seed is drawn again from it.
 * For tests, simulation and skip list heights; never for secrets.
 */
import { assert } from './errors.js'

const TWO_32 = 2 ** 32

export class Prng {
  private a: number
  private b: number
  private c: number
  private counter = 1

  /** `seed`: any number; numbers that differ as doubles give different sequences. */
  constructor(seed: number) {
    const [low, high] = new Uint32Array(new Float64Array([seed]).buffer)
    this.a = low | 0
    this.b = high | 0
    this.c = 0x9e3779b9 | 0
    // The state starts close to the seed; this many steps spread it over all bits.
    for (let i = 0; i < 15; i++) this.next()
  }

  /** The next 32 bits, as an unsigned number. */
  next(): number {
    const sum = (((this.a + this.b) | 0) + this.counter) | 0
    this.counter = (this.counter + 1) | 0
    this.a = this.b ^ (this.b >>> 9)
    this.b = (this.c + (this.c << 3)) | 0
    this.c = (((this.c << 21) | (this.c >>> 11)) + sum) | 0
    return sum >>> 0
  }

  /** A whole number from 0 to n − 1. REQUIRES: 1 ≤ n ≤ 2^32. */
  below(n: number): number {
    assert(Number.isInteger(n) && n >= 1 && n <= TWO_32, `below(n) takes a whole number from 1 to 2^32, found ${n}`)
    return Math.floor((this.next() / TWO_32) * n)
  }

  /** True with probability p; 0 is never, 1 is always. Draws one number whatever p is. */
  chance(p: number): boolean {
    return this.next() < p * TWO_32
  }

  /** One of the items. REQUIRES: there is one. */
  pick<T>(items: ArrayLike<T>): T {
    return items[this.below(items.length)]
  }

  /** Puts the items in random order, in place; returns them. */
  shuffle<T>(items: T[]): T[] {
    for (let i = items.length - 1; i > 0; i--) {
      const j = this.below(i + 1)
      const kept = items[i]
      items[i] = items[j]
      items[j] = kept
    }
    return items
  }

  /** A generator of its own, so that what one part draws does not shift what another draws. */
  fork(): Prng {
    return new Prng(this.next() * 2 ** 20 + (this.next() >>> 12))
  }
}
