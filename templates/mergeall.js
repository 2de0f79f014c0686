/**
 * Merges any number of runs at once with a binary heap of cursors: used where a trace is read or packed as a
 * whole. `heap[0..size)` holds run numbers, the run with the least current row on top; `at[r]` is run r's position.
 *
 * REQUIRES: every run is sorted without repeated rows; `out` is empty and has room for all rows; `heap` and `at`
 * are at least as long as `runs`.
 * ENSURES: `out` is consolidated. Sums that leave i64 call `$overflow()`.
 */
export function mergeAll($layout, $compareRows, $copyRow, $copyString, $overflow, runs, out, heap, at) {
  let size = 0
  for (let r = 0; r < runs.length; r++) {
    at[r] = 0
    if (runs[r].length === 0) continue
    let c = size
    size++
    while (c > 0) {
      const parent = (c - 1) >> 1
      if ($compareRows(runs[heap[parent]], at[heap[parent]], runs[r], 0) <= 0) break
      heap[c] = heap[parent]
      c = parent
    }
    heap[c] = r
  }
  let k = 0
  let open = 0
  let lastRun = 0
  let lastRow = 0
  while (size > 0 || open === 1) {
    let same = 0
    let r = 0
    if (size > 0) {
      r = heap[0]
      if (open === 1 && $compareRows(runs[lastRun], lastRow, runs[r], at[r]) === 0) same = 1
    }
    if (open === 1 && same === 0) {
      if ((out.weights32[k * 2] | out.weights32[k * 2 + 1]) !== 0) {
        const from = runs[lastRun]
        $copyRow($layout, $copyString, from, lastRow, out, k)
        k++
      }
      open = 0
      if (size === 0) break
    }
    const run = runs[r]
    const w = run.weights[at[r]]
    if (same === 1) {
      const weight = out.weights[k]
      const sum = BigInt.asIntN(64, weight + w)
      if (((weight ^ sum) & (w ^ sum)) < 0n) $overflow()
      out.weights[k] = sum
    } else {
      open = 1
      out.weights[k] = w
      lastRun = r
      lastRow = at[r]
    }
    at[r]++
    let moved = r
    if (at[r] === run.length) {
      size--
      moved = heap[size]
    }
    let c = 0
    for (;;) {
      let child = 2 * c + 1
      if (child >= size) break
      if (child + 1 < size) {
        const a = heap[child]
        const b = heap[child + 1]
        if ($compareRows(runs[b], at[b], runs[a], at[a]) < 0) child++
      }
      const least = heap[child]
      if ($compareRows(runs[moved], at[moved], runs[least], at[least]) <= 0) break
      heap[c] = least
      c = child
    }
    if (size > 0) heap[c] = moved
  }
  out.length = k
}
