/** A seeded choice, so that two runs of the demo correct the same flights. */

/** `n` different integers of [0, limit), in random order. REQUIRES: n <= limit < 2^32. */
export function sample(n: number, limit: number, seed: number): number[] {
  // A 32-bit xorshift: more than good enough to pick rows.
  let state = seed >>> 0 || 1
  const next = () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return state >>> 0
  }
  const chosen = new Set<number>()
  while (chosen.size < n) chosen.add(next() % limit)
  return [...chosen]
}
