/**
 * Finds the pairs (row of a sorted delta, row of a sorted run) with equal keys: the search half of every join.
 * Pairs are row numbers; what becomes of them is another kernel's business. `$confirm(delta, i, run, j)` checks
 * the key columns where the key is only a hash (null where the key words decide).
 *
 * REQUIRES: rows from..to of `delta` and all of `run` are sorted by key. `pairs.low` is a row of `run` before
 * which no wanted key lies (0 at first).
 * ENSURES: `pairs.left[0..count)`/`pairs.right` hold the pairs, rows of weight zero left out; returns the first
 * delta row not yet done: `to`, unless more than `limit` pairs were found.
 */
export function probe($words, $below, $equal, $confirm, delta, from, to, run, pairs, limit) {
  const rows = run.length
  let left = pairs.left
  let right = pairs.right
  let room = left.length
  let count = 0
  let low = pairs.low
  let i = from
  while (i < to && low < rows && count < limit) {
    const k0 = delta.keys32[i * ($words * 2)]
    const k1 = delta.keys32[i * ($words * 2) + 1]
    const k2 = $words === 1 ? 0 : delta.keys32[i * 4 + 2]
    const k3 = $words === 1 ? 0 : delta.keys32[i * 4 + 3]
    let high = low
    let step = 1
    while (high < rows && $below($words, run, high, k3, k2, k1, k0)) {
      low = high + 1
      high += step
      step += step
    }
    if (high > rows) high = rows
    while (low < high) {
      const middle = (low + high) >>> 1
      if ($below($words, run, middle, k3, k2, k1, k0)) low = middle + 1
      else high = middle
    }
    let end = low
    while (end < rows && $equal($words, run, end, k3, k2, k1, k0)) end++
    let more = 1
    while (more === 1) {
      for (let j = low; j < end; j++) {
        if ((run.weights32[j * 2] | run.weights32[j * 2 + 1]) === 0) continue
        if ($confirm !== null) {
          const same = $confirm(delta, i, run, j)
          if (same !== true) continue
        }
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
      i++
      more = i < to && $equal($words, delta, i, k3, k2, k1, k0) ? 1 : 0
    }
    low = end
  }
  pairs.low = low
  pairs.count = count
  return low >= rows ? to : i
}
