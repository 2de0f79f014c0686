/**
 * Four sorted runs merged at once, for compaction: a tournament of two halves whose players are no array but variables, so
 * that a row costs little more than its copy. (Fewer runs: the others are empty.)
 */

/** Does the current row of b come before that of a? A run at its end has the largest key there is, and comes last. */
export function $isSecond($words, $payload, a, i, aEnd, a3, a2, a1, a0, b, j, bEnd, b3, b2, b1, b0) {
  if ($words === 2) {
    if (a3 !== b3) return b3 < a3
    if (a2 !== b2) return b2 < a2
  }
  if (a1 !== b1) return b1 < a1
  if (a0 !== b0) return b0 < a0
  if (j >= bEnd) return false
  if (i >= aEnd) return true
  return $payload(a, i, b, j) > 0
}

/** Lane `$l` of the key of row i; a run at its end has all bits set. */
export function $laneOf($lanes, $l, run, i, end) {
  if ($l >= $lanes) return 0
  return i < end ? run.keys32[i * $lanes + $l] : 0xffffffff
}

/**
 * Appends row i of `run` as row k of `out`, or adds its weight to the row before if that is the same row; returns how many
 * rows there are then. `isRepeated`: its key is that of the row that was taken before it.
 */
export function $take($layout, $payload, $copyRow, $copyString, run, i, isRepeated, out, k) {
  const $lanes = $layout.key.words * 2
  if (isRepeated) {
    // What was taken before may have been cancelled: then another row is the last.
    let same = k > 0
    if (same) {
      for (let $l = 0; $l < $lanes; $l++) {
        if (out.keys32[(k - 1) * $lanes + $l] !== run.keys32[i * $lanes + $l]) same = false
      }
    }
    if (same) {
      const order = $payload(out, k - 1, run, i)
      if (order === 0) {
        const sum = BigInt.asIntN(64, out.weights[k - 1] + run.weights[i])
        out.weights[k - 1] = sum
        return sum === 0n ? k - 1 : k
      }
    }
  }
  $copyRow($layout, $copyString, run, i, out, k)
  out.weights32[k * 2] = run.weights32[i * 2]
  out.weights32[k * 2 + 1] = run.weights32[i * 2 + 1]
  return k + 1
}

/**
 * Appends the merge of rows from[r]..to[r] of four runs to `out`.
 *
 * REQUIRES: every run is consolidated and has no strings; `out` has room for all rows; no row of theirs is in `out`; no
 * sum of weights leaves i64. ENSURES: if `out` was consolidated and below the ranges' rows, it is consolidated.
 */
export function mergeFour($layout, $isSecond, $laneOf, $take, $payload, $copyRow, $copyString, runs, from, to, out) {
  const $words = $layout.key.words
  const $lanes = $words * 2
  const a = runs[0]
  const b = runs[1]
  const c = runs[2]
  const d = runs[3]
  const aEnd = to[0]
  const bEnd = to[1]
  const cEnd = to[2]
  const dEnd = to[3]
  let aRow = from[0]
  let bRow = from[1]
  let cRow = from[2]
  let dRow = from[3]
  let left = aEnd - aRow + bEnd - bRow + cEnd - cRow + dEnd - dRow
  let k = out.length
  let a0 = $laneOf($lanes, 0, a, aRow, aEnd)
  let a1 = $laneOf($lanes, 1, a, aRow, aEnd)
  let a2 = $laneOf($lanes, 2, a, aRow, aEnd)
  let a3 = $laneOf($lanes, 3, a, aRow, aEnd)
  let b0 = $laneOf($lanes, 0, b, bRow, bEnd)
  let b1 = $laneOf($lanes, 1, b, bRow, bEnd)
  let b2 = $laneOf($lanes, 2, b, bRow, bEnd)
  let b3 = $laneOf($lanes, 3, b, bRow, bEnd)
  let c0 = $laneOf($lanes, 0, c, cRow, cEnd)
  let c1 = $laneOf($lanes, 1, c, cRow, cEnd)
  let c2 = $laneOf($lanes, 2, c, cRow, cEnd)
  let c3 = $laneOf($lanes, 3, c, cRow, cEnd)
  let d0 = $laneOf($lanes, 0, d, dRow, dEnd)
  let d1 = $laneOf($lanes, 1, d, dRow, dEnd)
  let d2 = $laneOf($lanes, 2, d, dRow, dEnd)
  let d3 = $laneOf($lanes, 3, d, dRow, dEnd)
  let isB = $isSecond($words, $payload, a, aRow, aEnd, a3, a2, a1, a0, b, bRow, bEnd, b3, b2, b1, b0)
  let isD = $isSecond($words, $payload, c, cRow, cEnd, c3, c2, c1, c0, d, dRow, dEnd, d3, d2, d1, d0)
  // The key that was taken last.
  let p0 = 0
  let p1 = 0
  let p2 = 0
  let p3 = 0
  let isFirst = true
  for (; left > 0; left--) {
    // The better of each half.
    const l0 = isB ? b0 : a0
    const l1 = isB ? b1 : a1
    const l2 = isB ? b2 : a2
    const l3 = isB ? b3 : a3
    const r0 = isD ? d0 : c0
    const r1 = isD ? d1 : c1
    const r2 = isD ? d2 : c2
    const r3 = isD ? d3 : c3
    let isRight = r3 !== l3 ? r3 < l3 : r2 !== l2 ? r2 < l2 : r1 !== l1 ? r1 < l1 : r0 < l0
    if (r0 === l0 && r1 === l1 && r2 === l2 && r3 === l3) {
      const lRow = isB ? bRow : aRow
      const rRow = isD ? dRow : cRow
      const lEnds = lRow >= (isB ? bEnd : aEnd)
      const rEnds = rRow >= (isD ? dEnd : cEnd)
      if (lEnds || rEnds) isRight = lEnds
      else {
        const order = $payload(isB ? b : a, lRow, isD ? d : c, rRow)
        isRight = order > 0
      }
    }
    if (isRight) {
      const isRepeated = !isFirst && r0 === p0 && r1 === p1 && r2 === p2 && r3 === p3
      p0 = r0
      p1 = r1
      p2 = r2
      p3 = r3
      if (isD) {
        k = $take($layout, $payload, $copyRow, $copyString, d, dRow, isRepeated, out, k)
        dRow++
        d0 = $laneOf($lanes, 0, d, dRow, dEnd)
        d1 = $laneOf($lanes, 1, d, dRow, dEnd)
        d2 = $laneOf($lanes, 2, d, dRow, dEnd)
        d3 = $laneOf($lanes, 3, d, dRow, dEnd)
      } else {
        k = $take($layout, $payload, $copyRow, $copyString, c, cRow, isRepeated, out, k)
        cRow++
        c0 = $laneOf($lanes, 0, c, cRow, cEnd)
        c1 = $laneOf($lanes, 1, c, cRow, cEnd)
        c2 = $laneOf($lanes, 2, c, cRow, cEnd)
        c3 = $laneOf($lanes, 3, c, cRow, cEnd)
      }
      isD = $isSecond($words, $payload, c, cRow, cEnd, c3, c2, c1, c0, d, dRow, dEnd, d3, d2, d1, d0)
    } else {
      const isRepeated = !isFirst && l0 === p0 && l1 === p1 && l2 === p2 && l3 === p3
      p0 = l0
      p1 = l1
      p2 = l2
      p3 = l3
      if (isB) {
        k = $take($layout, $payload, $copyRow, $copyString, b, bRow, isRepeated, out, k)
        bRow++
        b0 = $laneOf($lanes, 0, b, bRow, bEnd)
        b1 = $laneOf($lanes, 1, b, bRow, bEnd)
        b2 = $laneOf($lanes, 2, b, bRow, bEnd)
        b3 = $laneOf($lanes, 3, b, bRow, bEnd)
      } else {
        k = $take($layout, $payload, $copyRow, $copyString, a, aRow, isRepeated, out, k)
        aRow++
        a0 = $laneOf($lanes, 0, a, aRow, aEnd)
        a1 = $laneOf($lanes, 1, a, aRow, aEnd)
        a2 = $laneOf($lanes, 2, a, aRow, aEnd)
        a3 = $laneOf($lanes, 3, a, aRow, aEnd)
      }
      isB = $isSecond($words, $payload, a, aRow, aEnd, a3, a2, a1, a0, b, bRow, bEnd, b3, b2, b1, b0)
    }
    isFirst = false
  }
  out.length = k
}
