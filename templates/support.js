/**
 * Counts the support of rows of a recursive relation: adds the derivations in `delta` to what `facts` holds of each row, and
 * enters into `agenda` the rows that have to be looked at, with the iteration in which. `$w` as in groups.js;
 * `$w.iteration` is the column with the iteration of a derivation, `$w.delay` the iterations by which a row comes later.
 *
 * Of a row that is there only derivations from earlier iterations count (`src/engine/operators/facts.ts` says why). It is
 * looked at in its own iteration if they are no more than 0. A row that is not there is looked at in the first
 * iteration in which it can be.
 *
 * REQUIRES: `delta` consolidated, arranged by all columns but the iteration and then by that; `facts` has room for as many
 * slots as `delta` has rows.
 */
export function support($w, delta, facts, agenda) {
  const n = delta.length
  const levels = facts.levels
  const sums = facts.support
  const latest = facts.latest
  for (let from = 0; from < n; ) {
    const k0 = delta.keys32[from * ($w.words * 2)]
    const k1 = delta.keys32[from * ($w.words * 2) + 1]
    const k2 = $w.words === 1 ? 0 : delta.keys32[from * 4 + 2]
    const k3 = $w.words === 1 ? 0 : delta.keys32[from * 4 + 3]
    const found = $w.findSlot($w, facts, delta, from, k3, k2, k1, k0)
    let slot = found
    if (slot < 0) slot = facts.addRow(delta, from)
    facts.touch(slot)
    const level = levels[slot]
    let sum = sums[slot]
    let last = latest[slot]
    let earliest = -1
    let i = from
    let more = 1
    while (more === 1) {
      const time = delta.columns[$w.iteration.index][i]
      const weight = (delta.weights32[i * 2 + 1] | 0) * 4294967296 + delta.weights32[i * 2]
      if (level === 0) {
        sum += weight
        if (time > last) last = time
        if (weight > 0 && earliest < 0) earliest = time
      } else if (time + $w.delay < level) sum += weight
      i++
      more = i < n && $w.inGroup($w, delta, i, delta, from, k3, k2, k1, k0) ? 1 : 0
    }
    sums[slot] = sum
    latest[slot] = last
    if (level === 0) {
      if (earliest >= 0) agenda.add(earliest + $w.delay, slot)
    } else if (sum <= 0) agenda.add(level - 1, slot)
    from = i
  }
}
