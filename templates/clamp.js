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
    // Each case stores for itself: V8 boxes a BigInt that comes out of a branch.
    let changed = 0
    if ($mode === 'positive') {
      if (now > 0n) {
        changed = w === 0n ? 0 : 1
        if (old > 0n) out.weights[k] = w
        else out.weights[k] = now
      } else if (old > 0n) {
        changed = 1
        out.weights[k] = BigInt.asIntN(64, -old)
      }
    } else {
      let change = 0
      if ($mode === 'one') change = (now > 0n ? 1 : 0) - (old > 0n ? 1 : 0)
      else change = (now !== 0n ? 1 : 0) - (old !== 0n ? 1 : 0)
      if (change !== 0) {
        changed = 1
        out.weights32[k * 2] = change
        out.weights32[k * 2 + 1] = change >> 31
      }
    }
    if (changed === 1) {
      $copyRow($layout, $copyString, delta, i, out, k)
      k++
    }
  }
  out.length = k
}
