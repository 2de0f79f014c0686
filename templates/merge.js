/**
 * Merges two runs, a slice at a time: the sum of two Z-sets as a merge of sorted runs.
 *
 * REQUIRES: `a` and `b` are sorted without repeated rows (zero weights allowed), neither of them is `out`, and
 * `out` has room for all rows of both. `state` holds the positions `i`, `j` of a merge in progress; `out.length`
 * is where it stopped. At most about `limit` rows are looked at.
 * ENSURES: returns true when done; then `out` is consolidated. Sums that leave i64 call `$overflow()`.
 */
export function merge(
  $layout,
  $compareKeys,
  $comparePayload,
  $inlined,
  $compareColumns,
  $compareStrings,
  $payload,
  $copyRow,
  $copyString,
  $overflow,
  a,
  b,
  out,
  state,
  limit,
) {
  let i = state.i
  let j = state.j
  let k = out.length
  const na = a.length
  const nb = b.length
  let left = limit
  while (i < na && j < nb && left > 0) {
    left--
    let order = $compareKeys($layout.key.words, a, i, b, j)
    if (order === 0) order = $comparePayload($layout, $inlined, $compareColumns, $compareStrings, $payload, a, i, b, j)
    if (order < 0) {
      const weight = a.weights[i]
      if (weight !== 0n) {
        $copyRow($layout, $copyString, a, i, out, k)
        out.weights[k] = weight
        k++
      }
      i++
    } else if (order > 0) {
      const weight = b.weights[j]
      if (weight !== 0n) {
        $copyRow($layout, $copyString, b, j, out, k)
        out.weights[k] = weight
        k++
      }
      j++
    } else {
      const x = a.weights[i]
      const y = b.weights[j]
      const sum = BigInt.asIntN(64, x + y)
      if (((x ^ sum) & (y ^ sum)) < 0n) $overflow()
      if (sum !== 0n) {
        $copyRow($layout, $copyString, a, i, out, k)
        out.weights[k] = sum
        k++
      }
      i++
      j++
    }
  }
  if (j === nb) {
    while (i < na && left > 0) {
      left--
      const weight = a.weights[i]
      if (weight !== 0n) {
        $copyRow($layout, $copyString, a, i, out, k)
        out.weights[k] = weight
        k++
      }
      i++
    }
  }
  if (i === na) {
    while (j < nb && left > 0) {
      left--
      const weight = b.weights[j]
      if (weight !== 0n) {
        $copyRow($layout, $copyString, b, j, out, k)
        out.weights[k] = weight
        k++
      }
      j++
    }
  }
  state.i = i
  state.j = j
  out.length = k
  return i === na && j === nb
}
