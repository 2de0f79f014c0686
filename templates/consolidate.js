/**
 * Gathers rows in the order of a permutation, summing the weights of equal rows and dropping those that cancel.
 *
 * REQUIRES: `permutation[0..n)` sorts `input` by the layout's order; `out` is empty and has room for n rows.
 * ENSURES: `out` is consolidated. Calls `$overflow()`, which throws, if a sum leaves i64.
 */
export function consolidate(
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
  input,
  permutation,
  n,
  out,
) {
  let k = 0
  let p = 0
  while (p < n) {
    const i = permutation[p]
    // Summed in place: V8 boxes a BigInt that is carried round a loop.
    out.weights[k] = input.weights[i]
    p++
    while (p < n) {
      const next = permutation[p]
      let order = $compareKeys($layout.key.words, input, i, input, next)
      if (order === 0) {
        order = $comparePayload($layout, $inlined, $compareColumns, $compareStrings, $payload, input, i, input, next)
      }
      if (order !== 0) break
      const weight = out.weights[k]
      const w = input.weights[next]
      const sum = BigInt.asIntN(64, weight + w)
      if (((weight ^ sum) & (w ^ sum)) < 0n) $overflow()
      out.weights[k] = sum
      p++
    }
    if ((out.weights32[k * 2] | out.weights32[k * 2 + 1]) !== 0) {
      $copyRow($layout, $copyString, input, i, out, k)
      k++
    }
  }
  out.length = k
}
