/**
 * Grouped aggregation of a delta: finds each row's group, saves it on first touch, and adds the weighted row to
 * the accumulators. `$row` computes the group columns and the arguments. `$g` describes the aggregation: `words`
 * and `key` (macros giving the group's key lanes), `hashed` (the key words are only a hash, so a slot is confirmed by
 * its columns: `compareKeys`), `storeGroup(rows, slot, groupColumns)`, `aggregates`, and the helpers.
 */

/**
 * Adds one row, already evaluated, with weight `w`. Returns 0, having changed nothing, if the table has no room for
 * another group or touched group; else 1. The arrays are the table's own: they do not move until room is made.
 */
export function $addRow($g, table, rows, undo, index, mask, counts, touched, touchedAt, undoCounts, keep, w) {
  const $words = $g.words
  const k0 = $g.key[0]()
  const k1 = $g.key[1]()
  const k2 = $words === 1 ? 0 : $g.key[2]()
  const k3 = $words === 1 ? 0 : $g.key[3]()
  if ($g.hashed) {
    table.scratch.heap.length = 0
    $g.storeGroup(table.scratch, 0, $g.groupColumns)
  }
  let p = $g.hash(k0, k1, k2, k3) & mask
  let slot = -1
  for (;;) {
    const entry = index[p]
    if (entry === 0) break
    if (
      table.keys32[(entry - 1) * ($words * 2)] === k0 &&
      table.keys32[(entry - 1) * ($words * 2) + 1] === k1 &&
      ($words === 1 || (table.keys32[(entry - 1) * 4 + 2] === k2 && table.keys32[(entry - 1) * 4 + 3] === k3))
    ) {
      if (!$g.hashed) {
        slot = entry - 1
        break
      }
      const order = $g.compareKeys(table.scratch, 0, rows, entry - 1)
      if (order === 0) {
        slot = entry - 1
        break
      }
    }
    p = (p + 1) & mask
  }
  let t = 0
  if (slot === -1) {
    if (table.size === table.capacity || table.touchedCount === touched.length) return 0
    slot = table.size
    table.size = slot + 1
    rows.length = slot + 1
    index[p] = slot + 1
    table.keys32[slot * ($words * 2)] = k0
    table.keys32[slot * ($words * 2) + 1] = k1
    if ($words === 2) {
      table.keys32[slot * 4 + 2] = k2
      table.keys32[slot * 4 + 3] = k3
    }
    $g.storeGroup(rows, slot, $g.groupColumns)
    for (const $a of $g.aggregates) {
      // Until the first value that is not NULL comes, there is no extreme.
      if ($a.kind === 'extreme' && $a.column.nullable) {
        rows.nulls32[slot * ($g.flat.schema.nullWords * 2) + ($a.column.nullBit >> 5)] |= 1 << ($a.column.nullBit & 31)
      }
    }
  } else t = touchedAt[slot]
  if (t === 0) {
    t = table.touchedCount
    if (t === touched.length) return 0
    touched[t] = slot
    table.touchedCount = t + 1
    touchedAt[slot] = t + 1
    undoCounts[t] = counts[slot]
    for (const $a of $g.aggregates) {
      if ($a.counted) table.undoValid[$a.index][t] = table.valid[$a.index][slot]
      if ($a.kind === 'int') table.undoSums[$a.index][t] = table.sums[$a.index][slot]
      if ($a.kind === 'float') {
        table.undoHighs[$a.index][t] = table.highs[$a.index][slot]
        table.undoLows[$a.index][t] = table.lows[$a.index][slot]
      }
    }
    if (keep) {
      $g.copyRow($g.flat, $g.moveString, rows, slot, undo, t)
      undo.weights[t] = rows.weights[slot]
    }
  }
  const before = counts[slot]
  const after = BigInt.asIntN(64, before + w)
  if (((before ^ after) & (w ^ after)) < 0n) $g.overflow()
  counts[slot] = after
  for (const $a of $g.aggregates) {
    if ($a.argument !== null && $a.kind !== 'extreme') {
      if ($a.counted) {
        const missing = $a.argument.isNull()
        if (!missing) {
          const old = table.valid[$a.index][slot]
          const valid = BigInt.asIntN(64, old + w)
          if (((old ^ valid) & (w ^ valid)) < 0n) $g.overflow()
          table.valid[$a.index][slot] = valid
          if ($a.kind === 'int') $g.addInt($a, table, slot, w)
          if ($a.kind === 'float') $g.addFloat($a, table, slot, w)
        }
      } else {
        if ($a.kind === 'int') $g.addInt($a, table, slot, w)
        if ($a.kind === 'float') $g.addFloat($a, table, slot, w)
      }
    }
  }
  return 1
}

/** sum += w * value, exactly: i64 while it fits, a bigint beside it from then on (and for weights other than 1, -1). */
export function $addInt($a, table, slot, w) {
  const value = $a.argument.value()
  const x = $a.isBigInt ? BigInt.asIntN(64, value) : BigInt(value)
  const old = table.sums[$a.index][slot]
  const minus = BigInt.asIntN(64, -w)
  if (w === 1n) {
    const sum = BigInt.asIntN(64, old + x)
    if (($a.isUnsigned && x < 0n) || ((old ^ sum) & (x ^ sum)) < 0n) $a.spill(table, slot, w, value)
    else table.sums[$a.index][slot] = sum
  } else if (minus === 1n) {
    const sum = BigInt.asIntN(64, old - x)
    if (($a.isUnsigned && x < 0n) || ((old ^ x) & (old ^ sum)) < 0n) $a.spill(table, slot, w, value)
    else table.sums[$a.index][slot] = sum
  } else $a.spill(table, slot, w, value)
}

/** sum += w * value, exactly: two doubles while they hold it, a bigint beside them for the rest. */
export function $addFloat($a, table, slot, w) {
  const value = $a.argument.value()
  const minus = BigInt.asIntN(64, -w)
  if (w === 1n || minus === 1n) {
    const x = w === 1n ? value : -value
    const high = table.highs[$a.index][slot]
    const sum = high + x
    const part = sum - high
    const error = high - (sum - part) + (x - part)
    if (error === 0) table.highs[$a.index][slot] = sum
    else {
      const low = table.lows[$a.index][slot]
      const rest = low + error
      const piece = rest - low
      const lost = low - (rest - piece) + (error - piece)
      // Also taken when anything is infinite or NaN: then `lost` is NaN.
      if (lost === 0) {
        table.highs[$a.index][slot] = sum
        table.lows[$a.index][slot] = rest
      } else $a.spill(table, slot, w, value)
    }
  } else $a.spill(table, slot, w, value)
}

/**
 * Adds rows from..to of a flat delta. Returns the first row not added because the table was full (make room and
 * call again), or `to`.
 */
export function scanAccumulate($row, $g, $negate, $checkProduct, $failure, input, from, to, table, errors) {
  const rows = table.rows
  const undo = table.undoRows
  const index = table.index
  const mask = table.mask
  const counts = table.counts
  const touched = table.touched
  const touchedAt = table.touchedAt
  const undoCounts = table.undoCounts
  const keep = table.keepsRows
  for (let i = from; i < to; i++) {
    const weight = input.weights[i]
    if (weight === 0n) continue
    const w = $negate ? BigInt.asIntN(64, -weight) : weight
    if ($negate && weight === -9223372036854775808n) $checkProduct(weight, -1n)
    const status = $row.evaluate(input, i)
    if (status === 1) {
      const added = $g.addRow($g, table, rows, undo, index, mask, counts, touched, touchedAt, undoCounts, keep, w)
      if (added === 0) return i
    } else if (status === 2) {
      const failed = $failure(input, i)
      errors.add(failed, w)
    }
  }
  return to
}

/** The same for pairs from..to of a join: `lefts[p]` and `rights[p]` are the rows, weights multiply. */
export function pairsAccumulate(
  $row,
  $g,
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
  table,
  errors,
) {
  const rows = table.rows
  const undo = table.undoRows
  const index = table.index
  const mask = table.mask
  const counts = table.counts
  const touched = table.touched
  const touchedAt = table.touchedAt
  const undoCounts = table.undoCounts
  const keep = table.keepsRows
  for (let p = from; p < to; p++) {
    const i = lefts[p]
    const j = rights[p]
    const product = $multiply($checkProduct, left, i, right, j)
    const w = $negate ? BigInt.asIntN(64, -product) : product
    if ($negate && product === -9223372036854775808n) $checkProduct(product, -1n)
    const status = $row.evaluate(left, i, right, j)
    if (status === 1) {
      const added = $g.addRow($g, table, rows, undo, index, mask, counts, touched, touchedAt, undoCounts, keep, w)
      if (added === 0) return p
    } else if (status === 2) {
      const failed = $failure(left, i, right, j)
      errors.add(failed, w)
    }
  }
  return to
}
