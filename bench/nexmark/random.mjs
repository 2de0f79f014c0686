// Random numbers for one event: a small generator that is seeded anew with every event's id, so that any event can be
// made without those before it. 32 bits of state, mixed as in MurmurHash3's finaliser.
export class EventRandom {
  /** `stream` tells generators of one id apart. */
  seed(id, stream) {
    this.x = mix(Math.imul(id + 1, 0x9e3779b1) ^ mix(Math.floor(id / 2 ** 32) + stream * 0x85ebca6b))
    return this
  }

  next() {
    this.x = (this.x + 0x9e3779b9) | 0
    return mix(this.x) >>> 0
  }

  /** An integer from 0 to n - 1; REQUIRES: 0 < n <= 2^32. */
  below(n) {
    return Math.floor((this.next() * n) / 4294967296)
  }

  /** A number from 0, below 1. */
  unit() {
    return this.next() / 4294967296
  }
}

function mix(h) {
  let x = h | 0
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b)
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35)
  return x ^ (x >>> 16)
}
