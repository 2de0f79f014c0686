/** Arithmetic on weights. */

/**
 * The weight of a pair: the product of its rows' weights. Two 32-bit weights cannot overflow; others are checked by
 * `$checkProduct`, which throws. (The product is a const on purpose: V8 boxes a BigInt that comes out of a branch.)
 */
export function $multiply($checkProduct, left, i, right, j) {
  const x = left.weights[i]
  const y = right.weights[j]
  if (
    left.weights32[i * 2 + 1] !== ((left.weights32[i * 2] | 0) >> 31) >>> 0 ||
    right.weights32[j * 2 + 1] !== ((right.weights32[j * 2] | 0) >> 31) >>> 0
  ) {
    $checkProduct(x, y)
  }
  const product = BigInt.asIntN(64, x * y)
  return product
}
