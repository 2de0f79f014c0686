/**
 * The rows of one group in order, over the runs of a trace and a delta: what MIN, MAX and top-k read.
 *
 * `walk` holds cursors: cursor c stands on row `walk.at[c]` of `walk.runs[c]`. The first n are in play, ordered so that
 * the last of them stands on the next row; cursors on equal rows lie side by side. `walk.lows[r]` is where the search in
 * run r ended: groups are walked in ascending order, so the next search goes on there. `$w` describes the layout:
 * `words`, `backwards`, `sameGroup` and `compareGroups` (null unless the key words are only a hash), and the helpers.
 */

/** Is row `at` of `run` of the group of row p of `delta`, whose key lanes are k3..k0? */
export function $inGroup($w, run, at, delta, p, k3, k2, k1, k0) {
  return $w.equal($w.words, run, at, k3, k2, k1, k0) && ($w.sameGroup === null || $w.sameGroup(run, at, delta, p))
}

/** Puts a cursor in its place among the first n. ENSURES: n + 1 are in play. */
export function $enter($w, runs, at, n, run, row) {
  let c = n
  while (c > 0) {
    const other = runs[c - 1]
    const there = at[c - 1]
    const order = $w.comparePayload(
      $w.layout,
      $w.inlined,
      $w.compareColumns,
      $w.compareStrings,
      $w.payload,
      other,
      there,
      run,
      row,
    )
    if ($w.backwards ? order <= 0 : order >= 0) break
    runs[c] = other
    at[c] = there
    c--
  }
  runs[c] = run
  at[c] = row
}

/**
 * Sums the next row over the cursors that stand on it, in `walk.sums`: the whole weight, and what `delta` gives to it.
 * Returns the first of those cursors; the last is n - 1. REQUIRES: n > 0.
 */
export function $take($w, walk, runs, at, n, delta) {
  const sums = walk.sums
  const run = runs[n - 1]
  const row = at[n - 1]
  sums[0] = run.weights[row]
  if (run === delta) sums[1] = run.weights[row]
  else sums[1] = 0n
  let c = n - 1
  while (c > 0) {
    const other = runs[c - 1]
    const there = at[c - 1]
    const order = $w.comparePayload(
      $w.layout,
      $w.inlined,
      $w.compareColumns,
      $w.compareStrings,
      $w.payload,
      other,
      there,
      run,
      row,
    )
    if (order !== 0) break
    sums[0] = BigInt.asIntN(64, sums[0] + other.weights[there])
    if (other === delta) sums[1] = other.weights[there]
    c--
  }
  return c
}

/** Moves cursors first..n-1 to their next rows. Returns how many cursors are in play then. */
export function $advance($w, runs, at, first, n, delta, p, k3, k2, k1, k0) {
  let left = first
  for (let c = first; c < n; c++) {
    const run = runs[c]
    const row = $w.backwards ? at[c] - 1 : at[c] + 1
    if (row >= 0 && row < run.length && $w.inGroup($w, run, row, delta, p, k3, k2, k1, k0)) {
      $w.enter($w, runs, at, left, run, row)
      left++
    }
  }
  return left
}

/** The first row of the group in run r; a row that is not of the group if there is none. */
export function $seekFirst($w, walk, r, run, delta, p, k3, k2, k1, k0) {
  const fences = run.fences
  const low = $w.lowerBound($w.words, $w.below, run, fences, walk.lows[r], k3, k2, k1, k0)
  walk.lows[r] = low
  let at = low
  // Rows whose hash is the same but whose key is smaller come first.
  if ($w.compareGroups !== null) while (at < run.length && $w.compareGroups(run, at, delta, p) < 0) at++
  return at
}

/** The last row of the group in run r; -1 or a row that is not of the group if there is none. */
export function $seekLast($w, walk, r, run, delta, p, k3, k2, k1, k0) {
  const fences = run.fences
  const end = $w.lowerBound($w.words, $w.notAbove, run, fences, walk.lows[r], k3, k2, k1, k0)
  let at = end - 1
  if ($w.compareGroups === null) walk.lows[r] = end
  else while (at >= 0 && $w.compareGroups(run, at, delta, p) > 0) at--
  return at
}

/** The first row at or after `from` that is not before row p of `delta` in the order. Gallops. */
export function $skipUp($compareRows, run, from, delta, p) {
  let low = from
  let high = from
  let step = 1
  while (high < run.length && $compareRows(run, high, delta, p) < 0) {
    low = high + 1
    high += step
    step += step
  }
  if (high > run.length) high = run.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ($compareRows(run, middle, delta, p) < 0) low = middle + 1
    else high = middle
  }
  return low
}

/** The last row at or before `from` that is not after row p of `delta` in the order, or -1. Gallops. */
export function $skipDown($compareRows, run, from, delta, p) {
  let low = from
  let high = from
  let step = 1
  while (low >= 0 && $compareRows(run, low, delta, p) > 0) {
    high = low - 1
    low -= step
    step += step
  }
  if (low < -1) low = -1
  while (low < high) {
    const middle = (low + high + 1) >>> 1
    if ($compareRows(run, middle, delta, p) > 0) high = middle - 1
    else low = middle
  }
  return low
}

/**
 * Finds the first row (the last, if `$w.backwards`) with a weight above 0 among those of the group of row p of `delta`
 * that are not before (after) it; all rows of the group if `whole`. The weight is the sum over `runs` and `delta`.
 *
 * REQUIRES: `delta` has no row of the group before (after) p. Groups come in ascending order since `walk.lows` was 0.
 * ENSURES: returns 1 and sets `walk.run` and `walk.row`, or returns 0.
 */
export function firstPositive($w, walk, batches, delta, p, whole) {
  const k0 = delta.keys32[p * ($w.words * 2)]
  const k1 = delta.keys32[p * ($w.words * 2) + 1]
  const k2 = $w.words === 1 ? 0 : delta.keys32[p * 4 + 2]
  const k3 = $w.words === 1 ? 0 : delta.keys32[p * 4 + 3]
  const runs = walk.runs
  const at = walk.at
  const lanes = walk.lanes
  const count = batches.length
  runs[0] = delta
  at[0] = p
  let n = 1
  for (let r = 0; r < count; r++) {
    const run = batches[r]
    let row = $w.seek($w, walk, r, run, delta, p, k3, k2, k1, k0)
    if (row < 0 || row >= run.length || !$w.inGroup($w, run, row, delta, p, k3, k2, k1, k0)) continue
    if (whole === 0) {
      row = $w.skip($w.compareRows, run, row, delta, p)
      if (row < 0 || row >= run.length || !$w.inGroup($w, run, row, delta, p, k3, k2, k1, k0)) continue
    }
    $w.enter($w, runs, at, n, run, row)
    n++
  }
  while (n > 0) {
    const first = $w.take($w, walk, runs, at, n, delta)
    const high = lanes[1] | 0
    if (high > 0 || (high === 0 && lanes[0] !== 0)) {
      walk.run = runs[n - 1]
      walk.row = at[n - 1]
      return 1
    }
    const left = $w.advance($w, runs, at, first, n, delta, p, k3, k2, k1, k0)
    n = left
  }
  return 0
}

/** How much of a weight, given as lanes, is among the first, with `left` places to give away. */
export function $cut(low, high, left) {
  let part = 0
  if (high >= 0) {
    part = high * 4294967296 + low
    if (part > left) part = left
  }
  return part
}

/**
 * Compares the first `limit` rows of the group of row p of `delta` before and after the delta: a row's old weight is
 * its new one less the delta's, and each is cut where its own first rows end. What differs goes to `$w.emit`.
 * `oldPlaces` is `limit`, or 0 if there was nothing before.
 *
 * REQUIRES: p is the first row of its group in `delta`. Groups come in ascending order since `walk.lows` was 0.
 * ENSURES: returns the total weight of the new first rows. The last of them, if there is one, is `walk.row` of `walk.run`.
 */
export function rank($w, walk, batches, delta, p, oldPlaces, limit, out) {
  const k0 = delta.keys32[p * ($w.words * 2)]
  const k1 = delta.keys32[p * ($w.words * 2) + 1]
  const k2 = $w.words === 1 ? 0 : delta.keys32[p * 4 + 2]
  const k3 = $w.words === 1 ? 0 : delta.keys32[p * 4 + 3]
  const runs = walk.runs
  const at = walk.at
  const sums = walk.sums
  const lanes = walk.lanes
  const count = batches.length
  runs[0] = delta
  at[0] = p
  let n = 1
  for (let r = 0; r < count; r++) {
    const run = batches[r]
    const row = $w.seek($w, walk, r, run, delta, p, k3, k2, k1, k0)
    if (row === run.length || !$w.inGroup($w, run, row, delta, p, k3, k2, k1, k0)) continue
    $w.enter($w, runs, at, n, run, row)
    n++
  }
  let oldLeft = oldPlaces
  let newLeft = limit
  while (n > 0) {
    const run = runs[n - 1]
    const row = at[n - 1]
    const first = $w.take($w, walk, runs, at, n, delta)
    const after = $w.cut(lanes[0], lanes[1] | 0, newLeft)
    sums[0] = BigInt.asIntN(64, sums[0] - sums[1])
    const before = $w.cut(lanes[0], lanes[1] | 0, oldLeft)
    oldLeft -= before
    newLeft -= after
    if (after > 0) {
      walk.run = run
      walk.row = row
    }
    if (after !== before) $w.emit(run, row, out, after - before)
    if (oldLeft === 0 && newLeft === 0) break
    const left = $w.advance($w, runs, at, first, n, delta, p, k3, k2, k1, k0)
    n = left
  }
  return limit - newLeft
}
