/**
 * Windows: the rows of a partition in order, from any place on, forwards or backwards. `$w` and the cursors of `walk`
 * are those of walk.js; `walk.active` cursors are in play.
 */

/** Puts a cursor on a row of `run`, if it is of the partition of row p of `delta`. */
export function placeCursor($w, walk, run, row, delta, p) {
  const k0 = delta.keys32[p * ($w.words * 2)]
  const k1 = delta.keys32[p * ($w.words * 2) + 1]
  const k2 = $w.words === 1 ? 0 : delta.keys32[p * 4 + 2]
  const k3 = $w.words === 1 ? 0 : delta.keys32[p * 4 + 3]
  const n = walk.active
  if (row >= 0 && row < run.length && $w.inGroup($w, run, row, delta, p, k3, k2, k1, k0)) {
    const runs = walk.runs
    const at = walk.at
    $w.enter($w, runs, at, n, run, row)
    walk.active = n + 1
  }
}

/**
 * Hands up to `limit` rows that are there before or after the delta to `$w.append(out, run, row, before, after)`, with
 * both weights, and returns their number. Fewer than `limit` are the last of the partition.
 */
export function gatherRows($w, walk, delta, p, limit, out) {
  const k0 = delta.keys32[p * ($w.words * 2)]
  const k1 = delta.keys32[p * ($w.words * 2) + 1]
  const k2 = $w.words === 1 ? 0 : delta.keys32[p * 4 + 2]
  const k3 = $w.words === 1 ? 0 : delta.keys32[p * 4 + 3]
  const runs = walk.runs
  const at = walk.at
  const sums = walk.sums
  const lanes = walk.lanes
  let n = walk.active
  let left = limit
  while (n > 0 && left > 0) {
    const run = runs[n - 1]
    const row = at[n - 1]
    const first = $w.take($w, walk, runs, at, n, delta)
    const after = (lanes[1] | 0) * 4294967296 + lanes[0]
    sums[0] = BigInt.asIntN(64, sums[0] - sums[1])
    const before = (lanes[1] | 0) * 4294967296 + lanes[0]
    if (before !== 0 || after !== 0) {
      $w.append(out, run, row, before, after)
      left--
    }
    const rest = $w.advance($w, runs, at, first, n, delta, p, k3, k2, k1, k0)
    n = rest
  }
  walk.active = n
  return limit - left
}

/** Are two rows peers: equal in all columns of the order? */
export function samePeers($layout, $order, $compareColumns, $compareStrings, a, i, b, j) {
  const order = $compareColumns($layout, $order, $compareStrings, a, i, b, j)
  return order === 0
}
