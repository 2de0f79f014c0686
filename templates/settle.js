/**
 * Ends a step of a grouped aggregation: every touched group's new output row is computed in place, compared with
 * what it was, and, if it changed, the change is emitted: the old row with weight -1, the new one with +1.
 *
 * `$g.aggregates` as in accumulate.js; `$g.always` keeps the one group of a global aggregate alive. MIN and MAX
 * columns have been brought up to date before. `result(table, slot)` of an aggregate turns spilled sums into a
 * value: it returns false if the sum does not fit (then the group has failed).
 * The change is emitted only if `emit`.
 * REQUIRES: `out` then has room for two rows per touched group; same flat layout as `table.rows`.
 */
export function settle($g, table, out, emit, failures) {
  const rows = table.rows
  const undo = table.undoRows
  const n = table.touchedCount
  const touched = table.touched
  const counts = table.counts
  let k = out.length
  for (let t = 0; t < n; t++) {
    const slot = touched[t]
    const existed = rows.weights32[slot * 2] !== 0
    let exists = $g.always || counts[slot] > 0n
    if (exists) {
      for (const $a of $g.aggregates) {
        const fits = $g.write($g, $a, table, rows, slot)
        if (fits === 0) {
          exists = false
          failures.add($a.index, slot)
        }
      }
    }
    rows.weights32[slot * 2] = exists ? 1 : 0
    rows.weights32[slot * 2 + 1] = 0
    if (emit && (existed || exists)) {
      let change = 1
      if (existed && exists) {
        const order = $g.compare(undo, t, rows, slot)
        if (order === 0) change = 0
      }
      if (change === 1) {
        if (existed) {
          $g.copyRow($g.flat, $g.copyString, undo, t, out, k)
          out.weights32[k * 2] = 0xffffffff
          out.weights32[k * 2 + 1] = 0xffffffff
          k++
        }
        if (exists) {
          $g.copyRow($g.flat, $g.copyString, rows, slot, out, k)
          out.weights32[k * 2] = 1
          out.weights32[k * 2 + 1] = 0
          k++
        }
      }
    }
  }
  out.length = k
}

/** Writes the value of one aggregate into the group's row. Returns 0 if it does not fit its type, else 1. */
export function $write($g, $a, table, rows, slot) {
  let fits = 1
  if ($a.kind === 'count') {
    rows.columns[$a.column.index][slot] = $a.counted ? table.valid[$a.index][slot] : table.counts[slot]
  } else if ($a.kind !== 'extreme') {
    let missing = 0
    if ($a.counted || $g.always) {
      const valid = $a.counted ? table.valid[$a.index][slot] : table.counts[slot]
      if (valid === 0n) missing = 1
    }
    if ($a.column.nullable) {
      const bit = 1 << ($a.column.nullBit & 31)
      const at = slot * ($g.flat.schema.nullWords * 2) + ($a.column.nullBit >> 5)
      if (missing === 1) rows.nulls32[at] |= bit
      else rows.nulls32[at] &= ~bit
    }
    if (missing === 1) {
      if ($a.kind === 'int' && $a.fn === 'sum') rows.columns[$a.column.index][slot] = 0n
      else rows.columns[$a.column.index][slot] = 0
    } else if (table.spillCounts[$a.index] > 0) {
      fits = $a.result(table, rows, slot)
    } else if ($a.fn === 'avg') {
      $a.average(table, rows, slot)
    } else if ($a.kind === 'int') {
      rows.columns[$a.column.index][slot] = table.sums[$a.index][slot]
    } else {
      rows.columns[$a.column.index][slot] = table.highs[$a.index][slot] + table.lows[$a.index][slot]
    }
  }
  return fits
}
