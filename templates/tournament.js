/**
 * The tournament: any number of sorted runs merged a range at a time, for range reads and for compaction
 * (specification §7.2). A tree of losers finds the least row with one comparison per level; keys of the runs' current
 * rows lie side by side in `heads`, so that a comparison touches a run's own memory only where keys are equal.
 */

/** Is the current row of run a before that of run b? A run that has reached its end comes after all others. */
export function $before($lanes, $payload, runs, at, ends, heads, a, b) {
  if (at[a] >= ends[a]) return false
  if (at[b] >= ends[b]) return true
  for (let $l = 0; $l < $lanes; $l++) {
    const x = heads[a * $lanes + ($lanes - 1 - $l)]
    const y = heads[b * $lanes + ($lanes - 1 - $l)]
    if (x !== y) return x < y
  }
  return $payload(runs[a], at[a], runs[b], at[b]) < 0
}

/**
 * Appends the merged rows at[r]..ends[r] of every run r to `out`, until the ranges are used up or `out` has `limit` rows;
 * `at` says how far it came. Rows that are in several runs become one, with the sum of their weights; a row is written
 * when its sum is known and not zero.
 *
 * REQUIRES: every run is sorted without repeated rows; `out` has room for `limit` rows and `out.weights` for one more;
 * `heads` holds as many key lanes per run as `$lanes`, `tree` one number per run.
 * ENSURES: if `out` was consolidated and below the ranges' rows, it is consolidated. A row's parts are never split
 * between two calls. Sums are taken modulo 2^64: parts of a weight may leave i64 on the way to a sum within it.
 */
export function tournament($layout, $before, $payload, $copyRow, $copyString, runs, at, ends, heads, tree, out, limit) {
  const $lanes = $layout.key.words * 2
  const n = runs.length
  for (let r = 0; r < n; r++) {
    tree[r] = -1
    if (at[r] < ends[r]) {
      const keys32 = runs[r].keys32
      for (let $l = 0; $l < $lanes; $l++) heads[r * $lanes + $l] = keys32[at[r] * $lanes + $l]
    }
  }
  for (let r = 0; r < n; r++) {
    let champion = r
    let place = (r + n) >> 1
    while (place > 0) {
      const waiting = tree[place]
      if (waiting < 0) {
        tree[place] = champion
        champion = -1
        break
      }
      const wins = $before($lanes, $payload, runs, at, ends, heads, waiting, champion)
      if (wins) {
        tree[place] = champion
        champion = waiting
      }
      place >>= 1
    }
    if (champion >= 0) tree[0] = champion
  }
  let k = out.length
  let open = 0
  let lastRun = 0
  let lastRow = 0
  for (;;) {
    const r = tree[0]
    const row = at[r]
    const more = row < ends[r]
    let same = 0
    if (open === 1 && more) {
      same = 1
      const keys32 = runs[lastRun].keys32
      for (let $l = 0; $l < $lanes; $l++) {
        if (heads[r * $lanes + $l] !== keys32[lastRow * $lanes + $l]) same = 0
      }
      if (same === 1 && $payload(runs[lastRun], lastRow, runs[r], row) !== 0) same = 0
    }
    if (open === 1 && same === 0) {
      if ((out.weights32[k * 2] | out.weights32[k * 2 + 1]) !== 0) {
        const from = runs[lastRun]
        $copyRow($layout, $copyString, from, lastRow, out, k)
        k++
      }
      open = 0
    }
    if (!more || (same === 0 && k >= limit)) break
    const run = runs[r]
    const weight = run.weights[row]
    if (same === 1) {
      out.weights[k] = BigInt.asIntN(64, out.weights[k] + weight)
    } else {
      open = 1
      out.weights[k] = weight
      lastRun = r
      lastRow = row
    }
    const next = row + 1
    at[r] = next
    if (next < ends[r]) {
      for (let $l = 0; $l < $lanes; $l++) heads[r * $lanes + $l] = run.keys32[next * $lanes + $l]
    }
    let champion = r
    let place = (r + n) >> 1
    while (place > 0) {
      const waiting = tree[place]
      const wins = $before($lanes, $payload, runs, at, ends, heads, waiting, champion)
      if (wins) {
        tree[place] = champion
        champion = waiting
      }
      place >>= 1
    }
    tree[0] = champion
  }
  out.length = k
}
