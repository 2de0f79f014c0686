/**
 * Gathers rows in the order of a permutation, summing the weights of equal rows and dropping those that cancel.
 *
 * REQUIRES: `permutation[0..n)` sorts `input` by the layout's order; `out` is empty and has room for n rows.
 * ENSURES: `out` is consolidated. Calls `$overflow()`, which throws, if a sum leaves i64.
 */
export function consolidate($layout, $compareRows, $copyRow, $copyString, $overflow, input, permutation, n, out) {
  let k = 0
  let p = 0
  while (p < n) {
    const i = permutation[p]
    let weight = input.weights[i]
    p++
    while (p < n) {
      const next = permutation[p]
      if ($compareRows(input, i, input, next) !== 0) break
      const w = input.weights[next]
      const sum = BigInt.asIntN(64, weight + w)
      if (((weight ^ sum) & (w ^ sum)) < 0n) $overflow()
      weight = sum
      p++
    }
    if (weight !== 0n) {
      $copyRow($layout, $copyString, input, i, out, k)
      out.weights[k] = weight
      k++
    }
  }
  out.length = k
}
