/**
 * Adds to `sums[i]` the weight that `run` gives to row i of `delta`, for every row: the integrated weight of
 * exactly these rows, one run at a time.
 *
 * REQUIRES: both sorted by the same layout, no row twice in either; `sums.length >= delta.length`.
 * Sums that leave i64 call `$overflow()`.
 */
export function lookup($words, $below, $equal, $lowerBound, $search, $bucketOf, $payload, $overflow, delta, run, sums) {
  const rows = run.length
  const n = delta.length
  const fences = run.fences
  const directory = run.directory
  const starts = directory.starts
  let low = 0
  for (let i = 0; i < n && low < rows; i++) {
    const k0 = delta.keys32[i * ($words * 2)]
    const k1 = delta.keys32[i * ($words * 2) + 1]
    const k2 = $words === 1 ? 0 : delta.keys32[i * 4 + 2]
    const k3 = $words === 1 ? 0 : delta.keys32[i * 4 + 3]
    const start = $search($words, $below, $lowerBound, $bucketOf, run, fences, directory, starts, low, k3, k2, k1, k0)
    low = start
    // Gallops to the row itself: there may be any number of rows with this key.
    let j = low
    let high = low
    let step = 1
    for (;;) {
      if (high >= rows) {
        high = rows
        break
      }
      if (!$equal($words, run, high, k3, k2, k1, k0)) break
      const ahead = $payload(run, high, delta, i)
      if (ahead >= 0) break
      j = high + 1
      high += step
      step += step
    }
    while (j < high) {
      const middle = (j + high) >>> 1
      let before = 0
      if ($equal($words, run, middle, k3, k2, k1, k0)) {
        const side = $payload(run, middle, delta, i)
        if (side < 0) before = 1
      }
      if (before === 1) j = middle + 1
      else high = middle
    }
    if (j < rows && $equal($words, run, j, k3, k2, k1, k0)) {
      const order = $payload(run, j, delta, i)
      if (order === 0) {
        const x = sums[i]
        const y = run.weights[j]
        const sum = BigInt.asIntN(64, x + y)
        if (((x ^ sum) & (y ^ sum)) < 0n) $overflow()
        sums[i] = sum
      }
    }
  }
}
