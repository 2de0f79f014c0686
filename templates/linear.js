/**
 * Linear pipelines: filter and map fused into one loop that ends in a batch. `$row` is the fused program of the
 * pipeline; `$store(out, k)` writes its outputs as row k, in flat or in arranged layout.
 *
 * REQUIRES: `out` has room for every row looked at. Failing rows go to `errors` with their weight.
 * ENSURES: returns the new length of `out`, which is the caller's to set. (Nothing but a `return` follows these loops:
 * V8 may compile a loop while it runs for the first time, knows no types of what follows, and gives that code up there;
 * every later call of a row or two would enter and leave it in vain, at two microseconds a time.)
 */

/** Over rows from..to of one delta. */
export function scanStore($row, $store, $negate, $checkProduct, $failure, input, from, to, out, errors) {
  let k = out.length
  for (let i = from; i < to; i++) {
    const weight = input.weights[i]
    if (weight === 0n) continue
    const w = $negate ? BigInt.asIntN(64, -weight) : weight
    if ($negate && weight === -9223372036854775808n) $checkProduct(weight, -1n)
    const status = $row.evaluate(input, i)
    if (status === 1) {
      $store(out, k)
      out.weights[k] = w
      k++
    } else if (status === 2) {
      const failed = $failure(input, i)
      errors.add(failed, w)
    }
  }
  return k
}

/** Over pairs from..to of a join; weights multiply. */
export function pairsStore(
  $row,
  $store,
  $negate,
  $multiply,
  $checkProduct,
  $failure,
  left,
  right,
  lefts,
  rights,
  from,
  to,
  out,
  errors,
) {
  let k = out.length
  for (let p = from; p < to; p++) {
    const i = lefts[p]
    const j = rights[p]
    const product = $multiply($checkProduct, left, i, right, j)
    const w = $negate ? BigInt.asIntN(64, -product) : product
    if ($negate && product === -9223372036854775808n) $checkProduct(product, -1n)
    const status = $row.evaluate(left, i, right, j)
    if (status === 1) {
      $store(out, k)
      out.weights[k] = w
      k++
    } else if (status === 2) {
      const failed = $failure(left, i, right, j)
      errors.add(failed, w)
    }
  }
  return k
}
