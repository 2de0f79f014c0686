/**
 * Replaces the integrated weight w of a row by f(w) and emits the change f(old + delta) - f(old). `$mode` names f:
 * `positive` max(w, 0), `one` 1 if w > 0 else 0, `nonzero` 1 if w is not 0 else 0.
 *
 * REQUIRES: `sums[i]` is the weight of row i of `delta` before this step; `delta` consolidated; `out` has room.
 * ENSURES: appends the rows whose clamped weight changes to `out`, a batch of the same layout.
 */
export function clamp($layout, $mode, $copyRow, $copyString, $overflow, delta, sums, out) {
  const n = delta.length
  let k = out.length
  for (let i = 0; i < n; i++) {
    const old = sums[i]
    const w = delta.weights[i]
    const now = BigInt.asIntN(64, old + w)
    if (((old ^ now) & (w ^ now)) < 0n) $overflow()
    let change = 0n
    if ($mode === 'positive') change = BigInt.asIntN(64, (now > 0n ? now : 0n) - (old > 0n ? old : 0n))
    else if ($mode === 'one') change = BigInt.asIntN(64, (now > 0n ? 1n : 0n) - (old > 0n ? 1n : 0n))
    else change = BigInt.asIntN(64, (now !== 0n ? 1n : 0n) - (old !== 0n ? 1n : 0n))
    if (change !== 0n) {
      $copyRow($layout, $copyString, delta, i, out, k)
      out.weights[k] = change
      k++
    }
  }
  out.length = k
}
