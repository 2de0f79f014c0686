/**
 * Searching sorted runs by key words. A key is passed as u32 lanes k3..k0, most significant first; one-word keys
 * use k1 and k0 only.
 */

/** Is the key of row r below the given one? */
export function $below($words, run, r, k3, k2, k1, k0) {
  if ($words === 1) return run.keys32[r * 2 + 1] < k1 || (run.keys32[r * 2 + 1] === k1 && run.keys32[r * 2] < k0)
  return (
    run.keys32[r * 4 + 3] < k3 ||
    (run.keys32[r * 4 + 3] === k3 &&
      (run.keys32[r * 4 + 2] < k2 ||
        (run.keys32[r * 4 + 2] === k2 &&
          (run.keys32[r * 4 + 1] < k1 || (run.keys32[r * 4 + 1] === k1 && run.keys32[r * 4] < k0)))))
  )
}

/** Is the key of row r not above the given one? */
export function $notAbove($words, run, r, k3, k2, k1, k0) {
  if ($words === 1) return run.keys32[r * 2 + 1] < k1 || (run.keys32[r * 2 + 1] === k1 && run.keys32[r * 2] <= k0)
  return (
    run.keys32[r * 4 + 3] < k3 ||
    (run.keys32[r * 4 + 3] === k3 &&
      (run.keys32[r * 4 + 2] < k2 ||
        (run.keys32[r * 4 + 2] === k2 &&
          (run.keys32[r * 4 + 1] < k1 || (run.keys32[r * 4 + 1] === k1 && run.keys32[r * 4] <= k0)))))
  )
}

/** Is the key of row r the given one? */
export function $equal($words, run, r, k3, k2, k1, k0) {
  if ($words === 1) return run.keys32[r * 2] === k0 && run.keys32[r * 2 + 1] === k1
  return (
    run.keys32[r * 4] === k0 &&
    run.keys32[r * 4 + 1] === k1 &&
    run.keys32[r * 4 + 2] === k2 &&
    run.keys32[r * 4 + 3] === k3
  )
}

/** The same of keys that fit into one lane. */
export function $belowLow($words, run, r, k3, k2, k1, k0) {
  return run.keys32[r * 2] < k0
}

export function $notAboveLow($words, run, r, k3, k2, k1, k0) {
  return run.keys32[r * 2] <= k0
}

export function $equalLow($words, run, r, k3, k2, k1, k0) {
  return run.keys32[r * 2] === k0
}

/**
 * The first row at or after `from` whose key is not below the given one; `run.length` if there is none. A long run has
 * fences: the key of every 64th row, side by side, so that the search touches few cache lines. Gallops from `from`,
 * so that a walk with ascending keys costs by the distances.
 */
export function $lowerBound($words, $below, run, fences, from, k3, k2, k1, k0) {
  const rows = run.length
  let low = from
  let high = from
  let step = 1
  if (fences.length > 0) {
    let fence = (from + 63) >>> 6
    let beyond = fence
    while (beyond < fences.length && $below($words, fences, beyond, k3, k2, k1, k0)) {
      fence = beyond + 1
      beyond += step
      step += step
    }
    if (beyond > fences.length) beyond = fences.length
    while (fence < beyond) {
      const middle = (fence + beyond) >>> 1
      if ($below($words, fences, middle, k3, k2, k1, k0)) fence = middle + 1
      else beyond = middle
    }
    // The row of the fence before is below the key, that of this fence is not.
    low = (fence - 1) * 64 + 1
    if (low < from) low = from
    high = fence * 64
    if (high > rows) high = rows
  } else {
    while (high < rows && $below($words, run, high, k3, k2, k1, k0)) {
      low = high + 1
      high += step
      step += step
    }
    if (high > rows) high = rows
  }
  while (low < high) {
    const middle = (low + high) >>> 1
    if ($below($words, run, middle, k3, k2, k1, k0)) low = middle + 1
    else high = middle
  }
  return low
}

/**
 * The bucket of a run's directory (src/zset/directory.ts) that holds a key if the run does. A key as a number: of
 * unequal keys the greater has no smaller number, since every rounding keeps the order.
 */
export function $bucketOf($words, directory, k3, k2, k1, k0) {
  const high = $words === 1 ? 0 : ((k3 * 4294967296 + k2) * 4294967296 + k1) * 4294967296
  const number = $words === 1 ? k1 * 4294967296 + k0 : high + k0
  const place = (number - directory.origin) * directory.scale
  const bucket = place > 0 ? (place < directory.buckets ? place | 0 : directory.buckets) : 0
  return bucket
}

/** The same as `$lowerBound`, with the help of the directory of a run that is searched often. */
export function $search($words, $below, $lowerBound, $bucketOf, run, fences, directory, starts, from, k3, k2, k1, k0) {
  let low = from
  if (directory.buckets > 0) {
    const bucket = $bucketOf($words, directory, k3, k2, k1, k0)
    if (starts[bucket] > from) low = starts[bucket]
    let high = starts[bucket + 1]
    if (high - low <= 64) {
      while (low < high) {
        const middle = (low + high) >>> 1
        if ($below($words, run, middle, k3, k2, k1, k0)) low = middle + 1
        else high = middle
      }
      return low
    }
  }
  const start = low
  const row = $lowerBound($words, $below, run, fences, start, k3, k2, k1, k0)
  return row
}

/**
 * The first row at or after `from` whose key is not below that of row p of `probe`.
 * REQUIRES: no key before `from` is wanted. Key words of both batches are the same in number.
 */
export function seek($words, $below, $lowerBound, $search, $bucketOf, run, from, probe, p) {
  const k0 = probe.keys32[p * ($words * 2)]
  const k1 = probe.keys32[p * ($words * 2) + 1]
  const k2 = $words === 1 ? 0 : probe.keys32[p * 4 + 2]
  const k3 = $words === 1 ? 0 : probe.keys32[p * 4 + 3]
  const fences = run.fences
  const directory = run.directory
  const starts = directory.starts
  const row = $search($words, $below, $lowerBound, $bucketOf, run, fences, directory, starts, from, k3, k2, k1, k0)
  return row
}
