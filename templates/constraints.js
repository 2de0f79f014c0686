/**
 * Constraints over groups: rows that agree in a key. Groups of a sorted delta are counted in the runs of an arrangement
 * (its own, or another's by a key of the same kind), and judged.
 *
 * `$pairs` lists the key columns that key words do not decide, as { x, y }: of the delta, and of what it is compared
 * with. It is empty where keys are packed whole. `$nullable` lists the delta's key columns that may be NULL where a row
 * with a NULL is in no group (empty if NULLs are values like others).
 */

/** Is one of the key columns of row i NULL? */
export function $isFree($nullable, $nullWords, delta, i) {
  for (const $c of $nullable) {
    if ((delta.nulls32[i * ($nullWords * 2) + ($c.nullBit >> 5)] & (1 << ($c.nullBit & 31))) !== 0) return true
  }
  return false
}

/** Do rows with equal key words agree in the columns of $pairs? */
export function $agree($pairs, $compareCells, $compareStrings, a, i, b, j) {
  for (const $p of $pairs) {
    if ($p.x.nullable || $p.y.nullable) {
      const $xs = $p.xWords * 2
      const $ys = $p.yWords * 2
      const p = $p.x.nullable ? (a.nulls32[i * $xs + ($p.x.nullBit >> 5)] >>> ($p.x.nullBit & 31)) & 1 : 0
      const q = $p.y.nullable ? (b.nulls32[j * $ys + ($p.y.nullBit >> 5)] >>> ($p.y.nullBit & 31)) & 1 : 0
      if (p !== q) return false
    }
    const order = $compareCells($p.x, $p.y, $compareStrings, a, i, b, j)
    if (order !== 0) return false
  }
  return true
}

/**
 * Adds to `sums[i]`, for the first row i of each group of the delta, the weights that `run` gives to the group; and to
 * `own[i]`, if `$payload` is there, for every row, the weight that it gives to exactly that row.
 *
 * REQUIRES: both sorted by key, of the same number of words; `$payload` only if they are of one layout.
 */
export function tally(
  $words,
  $nullWords,
  $below,
  $equal,
  $lowerBound,
  $search,
  $bucketOf,
  $isFree,
  $agree,
  $agreeWithin,
  $nullable,
  $pairs,
  $payload,
  $overflow,
  delta,
  run,
  sums,
  own,
) {
  const n = delta.length
  const rows = run.length
  const fences = run.fences
  const directory = run.directory
  const starts = directory.starts
  const deltaFences = delta.fences
  if (n === 0 || rows === 0) return
  // Keys that only grow, like numbers and times, lie behind all that is there.
  const f0 = delta.keys32[0]
  const f1 = delta.keys32[1]
  const f2 = $words === 1 ? 0 : delta.keys32[2]
  const f3 = $words === 1 ? 0 : delta.keys32[3]
  if ($below($words, run, rows - 1, f3, f2, f1, f0)) return
  let low = 0
  let i = 0
  while (i < n && low < rows) {
    if ($nullable.length > 0) {
      const free = $isFree($nullable, $nullWords, delta, i)
      if (free) {
        i++
        continue
      }
    }
    const k0 = delta.keys32[i * ($words * 2)]
    const k1 = delta.keys32[i * ($words * 2) + 1]
    const k2 = $words === 1 ? 0 : delta.keys32[i * 4 + 2]
    const k3 = $words === 1 ? 0 : delta.keys32[i * 4 + 3]
    const start = $search($words, $below, $lowerBound, $bucketOf, run, fences, directory, starts, low, k3, k2, k1, k0)
    low = start
    if (start === rows) break
    if (!$equal($words, run, start, k3, k2, k1, k0)) {
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
    let first = i
    let more = 1
    while (more === 1) {
      let free = false
      if ($nullable.length > 0) free = $isFree($nullable, $nullWords, delta, i)
      if ($pairs.length > 0 && i > first) {
        const together = $agreeWithin(delta, i, delta, first)
        if (!together) first = i
      }
      for (let j = start; j < end && !free; j++) {
        if ((run.weights32[j * 2] | run.weights32[j * 2 + 1]) === 0) continue
        if ($pairs.length > 0) {
          const same = $agree(delta, i, run, j)
          if (!same) continue
        }
        if (i === first) {
          const x = sums[i]
          const y = run.weights[j]
          const sum = BigInt.asIntN(64, x + y)
          if (((x ^ sum) & (y ^ sum)) < 0n) $overflow()
          sums[i] = sum
        }
        if ($payload !== null) {
          const order = $payload(run, j, delta, i)
          if (order === 0) own[i] = BigInt.asIntN(64, own[i] + run.weights[j])
        }
      }
      i++
      more = i < n && $equal($words, delta, i, k3, k2, k1, k0) ? 1 : 0
    }
    low = end
  }
}

/**
 * The first row at or after `from` of the first group in which, with the delta added, rows would be there more than
 * once, or less than never, or two of them; -1 if there is none. Adds the delta's weights to `sums` and `own`.
 *
 * REQUIRES: `sums` and `own` as `tally` left them; `from` is the first row of a group. `lanes` and `ownLanes` are their
 * 32-bit words.
 */
export function unique(
  $words,
  $nullWords,
  $equal,
  $isFree,
  $agreeWithin,
  $nullable,
  $pairs,
  delta,
  from,
  sums,
  lanes,
  own,
  ownLanes,
) {
  const n = delta.length
  let i = from
  while (i < n) {
    if ($nullable.length > 0) {
      const free = $isFree($nullable, $nullWords, delta, i)
      if (free) {
        i++
        continue
      }
    }
    const k0 = delta.keys32[i * ($words * 2)]
    const k1 = delta.keys32[i * ($words * 2) + 1]
    const k2 = $words === 1 ? 0 : delta.keys32[i * 4 + 2]
    const k3 = $words === 1 ? 0 : delta.keys32[i * 4 + 3]
    const first = i
    let wrong = 0
    let more = 1
    while (more === 1) {
      sums[first] = BigInt.asIntN(64, sums[first] + delta.weights[i])
      own[i] = BigInt.asIntN(64, own[i] + delta.weights[i])
      if (ownLanes[i * 2] > 1 || ownLanes[i * 2 + 1] !== 0) wrong = 1
      i++
      more = i < n && $equal($words, delta, i, k3, k2, k1, k0) ? 1 : 0
      if ($pairs.length > 0 && more === 1) {
        const together = $agreeWithin(delta, i, delta, first)
        if (!together) more = 0
      }
    }
    if (wrong === 1 || lanes[first * 2] > 1 || lanes[first * 2 + 1] !== 0) return first
  }
  return -1
}

/**
 * Puts the first rows of groups into `out` and returns how many: with `$lost`, of those that lose weight by the delta;
 * without, of those that gain by it and have no weight in `sums`, the counts of what they refer to.
 *
 * REQUIRES: `out` has room for all rows. ENSURES: `totals[i]` is the delta's weight of the group that begins at i.
 */
export function turned(
  $words,
  $nullWords,
  $equal,
  $isFree,
  $agreeWithin,
  $nullable,
  $pairs,
  $lost,
  delta,
  sums,
  totals,
  lanes,
  out,
) {
  const n = delta.length
  let count = 0
  let i = 0
  while (i < n) {
    if ($nullable.length > 0) {
      const free = $isFree($nullable, $nullWords, delta, i)
      if (free) {
        i++
        continue
      }
    }
    const k0 = delta.keys32[i * ($words * 2)]
    const k1 = delta.keys32[i * ($words * 2) + 1]
    const k2 = $words === 1 ? 0 : delta.keys32[i * 4 + 2]
    const k3 = $words === 1 ? 0 : delta.keys32[i * 4 + 3]
    const first = i
    totals[first] = delta.weights[i]
    i++
    let more = i < n && $equal($words, delta, i, k3, k2, k1, k0) ? 1 : 0
    while (more === 1) {
      if ($pairs.length > 0) {
        const together = $agreeWithin(delta, i, delta, first)
        if (!together) break
      }
      totals[first] = BigInt.asIntN(64, totals[first] + delta.weights[i])
      i++
      more = i < n && $equal($words, delta, i, k3, k2, k1, k0) ? 1 : 0
    }
    const high = lanes[first * 2 + 1] | 0
    if ($lost) {
      if (high < 0) {
        out[count] = first
        count++
      }
    } else if (high > 0 || (high === 0 && lanes[first * 2] !== 0)) {
      if (sums[first] <= 0n) {
        out[count] = first
        count++
      }
    }
  }
  return count
}

/** The first of the rows from..to, present with a positive weight, that `$row` keeps or fails on; -1 if none. */
export function violating($row, input, from, to) {
  for (let i = from; i < to; i++) {
    const high = input.weights32[i * 2 + 1] | 0
    if (high < 0 || (high === 0 && input.weights32[i * 2] === 0)) continue
    const status = $row.evaluate(input, i)
    if (status !== 0) return i
  }
  return -1
}
