/** Arithmetic on weights. */

/**
 * The weight of a pair: the product of its rows' weights. Two 32-bit weights cannot overflow; others go through
 * `$wide`, which checks.
 */
export function $multiply($wide, left, i, right, j) {
  const x = left.weights[i]
  const y = right.weights[j]
  let product = BigInt.asIntN(64, x * y)
  if (
    left.weights32[i * 2 + 1] !== ((left.weights32[i * 2] | 0) >> 31) >>> 0 ||
    right.weights32[j * 2 + 1] !== ((right.weights32[j * 2] | 0) >> 31) >>> 0
  ) {
    product = $wide(x, y)
  }
  return product
}
