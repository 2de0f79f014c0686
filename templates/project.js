/** One row, looked at on its own: for the few rows that leave a loop one by one. */

/** Writes the outputs of row i of `input` as row k of `out`, whatever its weight. */
export function projectRow($row, $store, input, i, out, k) {
  const status = $row.evaluate(input, i)
  if (status === 1) $store(out, k)
}

/** Row i as an object of the user's. `$object()` is the object of the outputs. */
export function decodeRow($row, $object, input, i) {
  const status = $row.evaluate(input, i)
  if (status !== 1) return null
  const object = $object()
  return object
}
