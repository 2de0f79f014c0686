/**
 * Which groups of a sorted delta have to be walked: the others are decided by what is remembered of each group.
 * `$w` as in walk.js; `$w.confirm(delta, i, rows, slot)` tells groups apart where the key words are only a hash.
 */

/**
 * The slot of row i of `delta`, whose key lanes are k3..k0, in a table of slots, or -1. `$w.slotLanes` of them are kept
 * for each slot, `$w.slotStride` lanes apart.
 */
export function $findSlot($w, table, delta, i, k3, k2, k1, k0) {
  const index = table.index
  const mask = table.mask
  const bits = $w.hash(k0, k1, k2, k3)
  let slot = -1
  let p = bits & mask
  for (;;) {
    const entry = index[p]
    if (entry === 0) break
    if (((entry ^ bits) & ~mask) === 0) {
      const own = ((entry & mask) - 1) * $w.slotStride
      if (
        table.keys32[own] === k0 &&
        ($w.slotLanes < 2 || table.keys32[own + 1] === k1) &&
        ($w.slotLanes < 3 || table.keys32[own + 2] === k2) &&
        ($w.slotLanes < 4 || table.keys32[own + 3] === k3)
      ) {
        if ($w.confirm === null) {
          slot = (entry & mask) - 1
          break
        }
        const same = $w.confirm(delta, i, table.rows, (entry & mask) - 1)
        if (same === true) {
          slot = (entry & mask) - 1
          break
        }
      }
    }
    p = (p + 1) & mask
  }
  return slot
}

/**
 * Top-k: lists in `found` the groups whose first k rows may change, with their first row in the delta and their slot
 * (-1: a new group). A delta that is all behind the boundary of a full group changes nothing.
 */
export function reachedGroups($w, delta, table, limit, found) {
  const totals = table.totals
  const boundaries = table.rows
  const n = delta.length
  let count = 0
  for (let from = 0; from < n; ) {
    const k0 = delta.keys32[from * ($w.words * 2)]
    const k1 = delta.keys32[from * ($w.words * 2) + 1]
    const k2 = $w.words === 1 ? 0 : delta.keys32[from * 4 + 2]
    const k3 = $w.words === 1 ? 0 : delta.keys32[from * 4 + 3]
    let to = from + 1
    while (to < n && $w.inGroup($w, delta, to, delta, from, k3, k2, k1, k0)) to++
    const slot = $w.findSlot($w, table, delta, from, k3, k2, k1, k0)
    let reached = 1
    if (slot >= 0 && totals[slot] === limit) {
      const order = $w.comparePayload(
        $w.layout,
        $w.inlined,
        $w.compareColumns,
        $w.compareStrings,
        $w.payload,
        delta,
        from,
        boundaries,
        slot,
      )
      if (order > 0) reached = 0
    }
    if (reached === 1) {
      found.rows[count] = from
      found.slots[count] = slot
      count++
    }
    from = to
  }
  found.count = count
}

/**
 * MIN and MAX: lists in `mins` and `maxs` the groups whose extreme may move, each with its slot and the row of the delta
 * from which on (backwards for a maximum) the new one is to be looked for; `whole` is 1 where that is the whole group.
 * REQUIRES: the table has been given the rows of `delta` in this step.
 */
export function reachedExtremes($w, delta, table, mins, maxs) {
  const rows = table.rows
  const n = delta.length
  let minCount = 0
  let maxCount = 0
  for (let from = 0; from < n; ) {
    const k0 = delta.keys32[from * ($w.words * 2)]
    const k1 = delta.keys32[from * ($w.words * 2) + 1]
    const k2 = $w.words === 1 ? 0 : delta.keys32[from * 4 + 2]
    const k3 = $w.words === 1 ? 0 : delta.keys32[from * 4 + 3]
    let to = from + 1
    while (to < n && $w.inGroup($w, delta, to, delta, from, k3, k2, k1, k0)) to++
    const slot = $w.findSlot($w, table, delta, from, k3, k2, k1, k0)
    if (slot >= 0) {
      // Of a group that was not there nothing is known.
      const whole = table.hadRows(slot) ? 0 : 1
      if ($w.min !== null) {
        const at = $w.reach($w, $w.min, 1, delta, from, to, rows, slot, whole)
        if (at >= 0) {
          mins.rows[minCount] = at
          mins.slots[minCount] = slot
          mins.whole[minCount] = whole
          minCount++
        }
      }
      if ($w.max !== null) {
        const at = $w.reach($w, $w.max, -1, delta, from, to, rows, slot, whole)
        if (at >= 0) {
          maxs.rows[maxCount] = at
          maxs.slots[maxCount] = slot
          maxs.whole[maxCount] = whole
          maxCount++
        }
      }
    }
    from = to
  }
  mins.count = minCount
  maxs.count = maxCount
}

/**
 * The first of rows from..to of the delta (the last, if $sign is -1) that can move an extreme, or -1. The extreme is the
 * first row with a weight above 0: it stays if it is not retracted, and nothing but retractions comes before it.
 */
export function $reach($w, $column, $sign, delta, from, to, rows, slot, whole) {
  let i = $sign === 1 ? from : to - 1
  if (whole === 0 && !$w.isNull($w.nullWords, $column, rows, slot)) {
    let found = -1
    while (i >= from && i < to) {
      const order = $w.compareCells($w.value, $column, $w.compareStrings, delta, i, rows, slot)
      // Below 0: before the extreme.
      const place = order * $sign
      const retracts = delta.weights32[i * 2 + 1] >>> 31
      if (place > 0) break
      if (place === 0 ? retracts === 1 : retracts === 0) {
        found = i
        break
      }
      if (place === 0) break
      i += $sign
    }
    i = found
  }
  return i
}

/** Is the cell of column $c NULL in row i? */
export function $isNull($nullWords, $c, batch, i) {
  return $c.nullable && (batch.nulls32[i * ($nullWords * 2) + ($c.nullBit >> 5)] & (1 << ($c.nullBit & 31))) !== 0
}
