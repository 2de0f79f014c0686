/**
 * What comes out of a grouped aggregation. `settle` ends a step: for every touched group, the row that follows from its
 * record as it was and the row that follows from it as it is are written to `out`, and stay there, with weights -1 and
 * +1, if they differ. `present` writes the rows of groups for readers.
 *
 * `$g.aggregates` as in accumulate.js; `$g.always` keeps the one group of a global aggregate alive. What
 * ordered aggregates (MIN, MAX …) found is in the table's rows already. An aggregate whose value may not exist says so
 * by `problem`: `check` it always, or only where something has `spilled`.
 */

/**
 * Returns the new length of `out`; it is the caller's to set, so that this loop is left by nothing but a return (code
 * that V8 has replaced in the middle of a loop knows nothing of what follows it, and would be thrown out there).
 * `failures` learns of groups where a value does not exist, and why; they have no row. Rows go out only if `emit`.
 * REQUIRES: `out` then has room for two rows per touched group; same flat layout as `table.rows`.
 */
export function settle($g, table, out, emit, failures) {
  const $record = $g.record
  const rows = table.rows
  const undoRows = table.undoRows
  const records = table.records
  const undo = table.undo
  const n = table.touchedCount
  const touched = table.touched
  const spilled = table.spilled
  let k = out.length
  for (let t = 0; t < n; t++) {
    const slot = touched[t]
    const base = slot * $record.words
    const old = t * $record.words
    let exists = $g.always || records.ints[base + $record.count] > 0n
    for (const $a of $g.aggregates) {
      if ($a.check !== 'never') {
        if (exists && ($a.check === 'always' || spilled)) {
          const problem = $a.problem(table, records, base, slot, false)
          if (problem !== null) {
            exists = false
            failures.add(slot, problem)
          }
        }
      }
    }
    if (emit) {
      let existed = $g.always ? table.seeded : undo.ints[old + $record.count] > 0n
      for (const $a of $g.aggregates) {
        if ($a.check !== 'never') {
          if (existed && ($a.check === 'always' || spilled)) {
            const trouble = $a.problem(table, undo, old, slot, true)
            if (trouble !== null) existed = false
          }
        }
      }
      if (existed) {
        $g.copyRow($g.group, $g.copyString, rows, slot, out, k)
        if ($g.extremes.stored.length > 0) $g.copyRow($g.extremes, $g.copyString, undoRows, t, out, k)
        for (const $a of $g.aggregates) $g.write($g, $a, table, undo, old, slot, true, spilled, out, k)
        out.weights32[k * 2] = 0xffffffff
        out.weights32[k * 2 + 1] = 0xffffffff
        k++
      }
      if (exists) {
        $g.copyRow($g.group, $g.copyString, rows, slot, out, k)
        if ($g.extremes.stored.length > 0) $g.copyRow($g.extremes, $g.copyString, rows, slot, out, k)
        for (const $a of $g.aggregates) $g.write($g, $a, table, records, base, slot, false, spilled, out, k)
        out.weights32[k * 2] = 1
        out.weights32[k * 2 + 1] = 0
        k++
        if (existed) {
          const same = $g.sameRow(out, k - 2, out, k - 1)
          if (same === 1) k -= 2
        }
      }
    }
  }
  return k
}

/** Completes rows from..to of the table: the columns that follow from the records, and 1 or 0 as weight. */
export function present($g, table, from, to) {
  const $record = $g.record
  const rows = table.rows
  const records = table.records
  const spilled = table.spilled
  for (let slot = from; slot < to; slot++) {
    const base = slot * $record.words
    let exists = $g.always ? table.seeded : records.ints[base + $record.count] > 0n
    for (const $a of $g.aggregates) {
      if ($a.check !== 'never') {
        if (exists && ($a.check === 'always' || spilled)) {
          const problem = $a.problem(table, records, base, slot, false)
          if (problem !== null) exists = false
        }
      }
    }
    if (exists) {
      for (const $a of $g.aggregates) $g.write($g, $a, table, records, base, slot, false, spilled, rows, slot)
    }
    rows.weights32[slot * 2] = exists ? 1 : 0
    rows.weights32[slot * 2 + 1] = 0
  }
}

/**
 * Writes the value of one aggregate into row k of `out`. `records[base…]` is the group's record, now or (`old`) as it was
 * before the step. REQUIRES: the group exists then.
 */
export function $write($g, $a, table, records, base, slot, old, spilled, out, k) {
  if ($a.kind === 'count') {
    out.columns[$a.column.index][k] = records.ints[base + $a.values]
  } else if ($a.kind === 'linear') {
    $a.result(table, records, base, slot, old, out, k)
  } else if ($a.kind !== 'stored') {
    let missing = 0
    if ($a.counted || $g.always) {
      if (records.ints[base + $a.values] === 0n) missing = 1
    }
    if ($a.column.nullable) {
      const bit = 1 << ($a.column.nullBit & 31)
      const at = k * ($g.flat.schema.nullWords * 2) + ($a.column.nullBit >> 5)
      if (missing === 1) out.nulls32[at] |= bit
      else out.nulls32[at] &= ~bit
    }
    if (missing === 1) {
      if ($a.kind === 'int' && $a.fn === 'sum') out.columns[$a.column.index][k] = 0n
      else out.columns[$a.column.index][k] = 0
    } else if (spilled || $a.fn === 'avg') {
      $a.result(table, records, base, slot, old, out, k)
    } else if ($a.kind === 'int') {
      out.columns[$a.column.index][k] = records.ints[base + $a.at]
    } else {
      out.columns[$a.column.index][k] = records.floats[base + $a.at] + records.floats[base + $a.at + 1]
    }
  }
}
