/**
 * The search of joins by range (src/circuit/band.ts). Both sides are arranged by keys of four lanes: in the upper two,
 * above the lowest 8 bits, the equal columns; in these 8 bits the level, which is 0 for points; in the lower two lanes
 * the image of the value: of a point, or of where an interval begins.
 *
 * Both find pairs as `probe` does (probe.js), with the same protocol. What they find holds all pairs that match.
 */

/**
 * The points of a sorted run between the ends of the intervals of a sorted delta. `$hi` computes where a row's interval
 * ends: `evaluate(delta, i)`, and then the lanes of the image.
 */
export function probePoints($hi, $lanes, $below, $notAbove, $lowerBound, delta, from, to, run, pairs, limit) {
  const fences = run.fences
  let left = pairs.left
  let right = pairs.right
  let room = left.length
  let count = 0
  let low = 0
  let p3 = 0
  let p2 = 0
  let p1 = 0
  let i = from
  while (i < to && count < limit) {
    const k0 = delta.keys32[i * 4]
    const k1 = delta.keys32[i * 4 + 1]
    const k2 = (delta.keys32[i * 4 + 2] & 0xffffff00) >>> 0
    const k3 = delta.keys32[i * 4 + 3]
    // Rows of another level may begin further to the left.
    if (k3 === p3 && k2 === p2 && k1 <= p1) low = 0
    p3 = k3
    p2 = k2
    p1 = k1
    const status = $hi.evaluate(delta, i)
    const h0 = $lanes[0]()
    const h1 = $lanes[1]()
    const start = $lowerBound(2, $below, run, fences, low, k3, k2, k1, k0)
    const end = status === 1 ? $lowerBound(2, $notAbove, run, fences, start, k3, k2, h1, h0) : start
    low = start
    if ((delta.weights32[i * 2] | delta.weights32[i * 2 + 1]) !== 0) {
      for (let j = start; j < end; j++) {
        if ((run.weights32[j * 2] | run.weights32[j * 2 + 1]) === 0) continue
        if (count === room) {
          pairs.grow()
          left = pairs.left
          right = pairs.right
          room = left.length
        }
        left[count] = i
        right[count] = j
        count++
      }
    }
    i++
  }
  pairs.low = 0
  pairs.count = count
  return i
}

/** The intervals of a sorted run that begin close enough before the points of a sorted delta to hold them, by level. */
export function probeIntervals($below, $notAbove, $lowerBound, delta, from, to, run, pairs, limit) {
  const rows = run.length
  const fences = run.fences
  let left = pairs.left
  let right = pairs.right
  let room = left.length
  let count = 0
  let low = pairs.low
  let i = from
  while (i < to && count < limit) {
    const k0 = delta.keys32[i * 4]
    const k1 = delta.keys32[i * 4 + 1]
    const k2 = delta.keys32[i * 4 + 2]
    const k3 = delta.keys32[i * 4 + 3]
    const first = $lowerBound(2, $below, run, fences, low, k3, k2, 0, 0)
    low = first
    let row = first
    const counts = (delta.weights32[i * 2] | delta.weights32[i * 2 + 1]) !== 0
    while (counts && row < rows) {
      const r2 = run.keys32[row * 4 + 2]
      if (run.keys32[row * 4 + 3] !== k3 || ((r2 ^ k2) & 0xffffff00) !== 0) break
      // An interval of this level that holds the point begins less than 2^level before it.
      const level = r2 & 255
      const m0 = level < 32 ? 2 ** level - 1 : 4294967295
      const m1 = level < 32 ? 0 : 2 ** (level - 32) - 1
      const borrow = k0 < m0 ? 1 : 0
      const d1 = k1 - m1 - borrow
      const l0 = d1 < 0 ? 0 : borrow === 1 ? k0 - m0 + 4294967296 : k0 - m0
      const l1 = d1 < 0 ? 0 : d1
      const start = $lowerBound(2, $below, run, fences, row, k3, r2, l1, l0)
      const end = $lowerBound(2, $notAbove, run, fences, start, k3, r2, k1, k0)
      for (let j = start; j < end; j++) {
        if ((run.weights32[j * 2] | run.weights32[j * 2 + 1]) === 0) continue
        if (count === room) {
          pairs.grow()
          left = pairs.left
          right = pairs.right
          room = left.length
        }
        left[count] = i
        right[count] = j
        count++
      }
      const next = $lowerBound(2, $notAbove, run, fences, end, k3, r2, 4294967295, 4294967295)
      row = next
    }
    i++
  }
  pairs.low = low
  pairs.count = count
  return i
}
