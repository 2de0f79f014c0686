/**
 * Finds the pairs (row of a sorted delta, row of a sorted run) with equal keys: the search half of every join.
 * Pairs are row numbers; what becomes of them is another kernel's business. `$confirm(delta, i, run, j)` checks
 * the key columns where the key is only a hash (null where the key words decide).
 *
 * Both sides gallop, so the cost is that of the smaller one times the logarithm of the gaps.
 *
 * Looks at rows from..to of the delta, and at those after them whose key is that of the last.
 *
 * REQUIRES: `delta` and `run` are sorted by key. `pairs.low` is a row of `run` before which no wanted key lies (0 at
 * first).
 * ENSURES: `pairs.left[0..count)`/`pairs.right` hold the pairs, rows of weight zero left out; returns the first
 * delta row not yet done: at least `to`, unless more than `limit` pairs were found.
 */
export function probe(
  $words,
  $below,
  $equal,
  $lowerBound,
  $search,
  $bucketOf,
  $confirm,
  delta,
  from,
  to,
  run,
  pairs,
  limit,
) {
  const n = delta.length
  const rows = run.length
  const fences = run.fences
  const directory = run.directory
  const starts = directory.starts
  const deltaFences = delta.fences
  let left = pairs.left
  let right = pairs.right
  let room = left.length
  let count = 0
  let low = pairs.low
  let i = from
  if (directory.buckets > 0) {
    // Fetches what is needed of the run: without branches between them, the cache misses overlap.
    let touched = 0
    for (let p = from; p < to; p++) {
      const k0 = delta.keys32[p * ($words * 2)]
      const k1 = delta.keys32[p * ($words * 2) + 1]
      const k2 = $words === 1 ? 0 : delta.keys32[p * 4 + 2]
      const k3 = $words === 1 ? 0 : delta.keys32[p * 4 + 3]
      const bucket = $bucketOf($words, directory, k3, k2, k1, k0)
      const row = starts[bucket] < rows ? starts[bucket] : 0
      touched = (touched + run.keys32[row * ($words * 2)] + run.weights32[row * 2]) | 0
    }
    pairs.touched = touched
  }
  while (i < to && low < rows && count < limit) {
    const k0 = delta.keys32[i * ($words * 2)]
    const k1 = delta.keys32[i * ($words * 2) + 1]
    const k2 = $words === 1 ? 0 : delta.keys32[i * 4 + 2]
    const k3 = $words === 1 ? 0 : delta.keys32[i * 4 + 3]
    const start = $search($words, $below, $lowerBound, $bucketOf, run, fences, directory, starts, low, k3, k2, k1, k0)
    low = start
    if (start === rows) break
    if (!$equal($words, run, start, k3, k2, k1, k0)) {
      // Not there: go on with the first delta row that is not below what is.
      const r0 = run.keys32[start * ($words * 2)]
      const r1 = run.keys32[start * ($words * 2) + 1]
      const r2 = $words === 1 ? 0 : run.keys32[start * 4 + 2]
      const r3 = $words === 1 ? 0 : run.keys32[start * 4 + 3]
      const next = $lowerBound($words, $below, delta, deltaFences, i + 1, r3, r2, r1, r0)
      i = next
      continue
    }
    let end = start + 1
    while (end < rows && $equal($words, run, end, k3, k2, k1, k0)) end++
    let more = 1
    while (more === 1) {
      for (let j = start; j < end; j++) {
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
      more = i < n && $equal($words, delta, i, k3, k2, k1, k0) ? 1 : 0
    }
    low = end
  }
  pairs.low = low
  pairs.count = count
  return low >= rows ? n : i
}
