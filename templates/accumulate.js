/**
 * Grouped aggregation of a delta: finds each row's group, saves it on first touch, and adds the weighted row to
 * the accumulators. `$row` computes the group columns and the arguments. `$g` describes the aggregation: `record` (the
 * layout of a group's record), `key` (macros giving the group's key lanes), `hashed` (the key words are only a hash, so
 * a slot is confirmed by its columns: `compareKeys`), `storeGroup(rows, slot, groupColumns)`, `counts` (do rows count for
 * the existence of their group: `always`, `never`, or `ask` the output `counted`), `guards` (accumulators, by the output
 * that must not be NULL for a row to be added), and the helpers.
 */

/**
 * Adds one row, already evaluated, with weight `w`. Returns 0, having changed nothing, if the table has no room for
 * another group or touched group; else 1. The arrays are the table's own: they do not move until room is made.
 */
export function $addRow($g, table, rows, records, undo, undoRows, index, mask, touched, firstMark, w) {
  const $record = $g.record
  const $keys = $record.keyLanes
  const k0 = $g.key[0]()
  const k1 = $keys > 1 ? $g.key[1]() : 0
  const k2 = $keys > 2 ? $g.key[2]() : 0
  const k3 = $keys > 3 ? $g.key[3]() : 0
  if ($g.hashed) {
    table.scratch.heap.length = 0
    $g.storeGroup(table.scratch, 0, $g.groupColumns)
  }
  const bits = $g.hash(k0, k1, k2, k3)
  let p = bits & mask
  let slot = -1
  for (;;) {
    const entry = index[p]
    if (entry === 0) break
    if (((entry ^ bits) & ~mask) === 0) {
      const own = ((entry & mask) - 1) * $record.lanes
      if (
        records.lanes32[own] === k0 &&
        ($keys < 2 || records.lanes32[own + 1] === k1) &&
        ($keys < 3 || records.lanes32[own + 2] === k2) &&
        ($keys < 4 || records.lanes32[own + 3] === k3)
      ) {
        if (!$g.hashed) {
          slot = (entry & mask) - 1
          break
        }
        const order = $g.compareKeys(table.scratch, 0, rows, (entry & mask) - 1)
        if (order === 0) {
          slot = (entry & mask) - 1
          break
        }
      }
    }
    p = (p + 1) & mask
  }
  if (slot === -1) {
    if (table.size === table.capacity || table.touchedCount === touched.length) return 0
    slot = table.size
    table.size = slot + 1
    rows.length = slot + 1
    index[p] = (bits & ~mask) | (slot + 1)
    records.lanes32[slot * $record.lanes] = k0
    if ($keys > 1) records.lanes32[slot * $record.lanes + 1] = k1
    if ($keys > 2) records.lanes32[slot * $record.lanes + 2] = k2
    if ($keys > 3) records.lanes32[slot * $record.lanes + 3] = k3
    $g.storeGroup(rows, slot, $g.groupColumns)
    for (const $c of $g.extremes.stored) {
      // Until the first value that is not NULL comes, there is no extreme.
      if ($c.nullable) {
        rows.nulls32[slot * ($g.flat.schema.nullWords * 2) + ($c.nullBit >> 5)] |= 1 << ($c.nullBit & 31)
      }
    }
    // A group that is not in the table may lie in a shard.
    if (table.source !== null) table.source.fetch(slot)
  }
  const base = slot * $record.words
  if (records.lanes32[base * 2 + $record.mark] < firstMark) {
    const t = table.touchedCount
    if (t === touched.length) return 0
    touched[t] = slot
    table.touchedCount = t + 1
    records.lanes32[base * 2 + $record.mark] = firstMark + t
    for (let $w = $record.count; $w < $record.words; $w++) undo.ints[t * $record.words + $w] = records.ints[base + $w]
    if ($g.extremes.stored.length > 0) $g.copyRow($g.extremes, $g.moveString, rows, slot, undoRows, t)
  }
  if ($g.counts === 'always') $g.addCount($g, records, base + $record.count, w)
  if ($g.counts === 'ask') {
    const counted = $g.counted.value()
    if (counted) $g.addCount($g, records, base + $record.count, w)
  }
  for (const $n of $g.guards) {
    if ($n.nullable) {
      const missing = $n.test.isNull()
      if (!missing) {
        for (const $a of $n.accumulators) $g.addTo($g, $a, table, records, base, slot, w)
      }
    } else {
      for (const $a of $n.accumulators) $g.addTo($g, $a, table, records, base, slot, w)
    }
  }
  return 1
}

/** Adds the row to one accumulator. */
export function $addTo($g, $a, table, records, base, slot, w) {
  if ($a.kind === 'count') $g.addCount($g, records, base + $a.at, w)
  if ($a.kind === 'int') $g.addInt($a, table, records, base, slot, w)
  if ($a.kind === 'float') $g.addFloat($a, table, records, base, slot, w)
  if ($a.kind === 'intProduct') $g.addIntProduct($a, table, records, base, slot, w)
  if ($a.kind === 'floatProduct') $g.addFloatProduct($g, $a, table, records, base, slot, w)
  if ($a.kind === 'bits') $g.addBits($g, $a, records, base, w)
  if ($a.kind === 'bins') $g.addBin($g, $a, records, base, w)
  if ($a.kind === 'xor') $g.addXor($a, records, base, w)
}

/** A sum of weights; beyond i64 the step is given up. */
export function $addCount($g, records, at, w) {
  const before = records.ints[at]
  const after = BigInt.asIntN(64, before + w)
  if (((before ^ after) & (w ^ after)) < 0n) $g.overflow()
  records.ints[at] = after
}

/**
 * sum += w * value, exactly: i64 while it fits, a bigint beside it from then on (and for weights other than 1, -1).
 * Values may be `isWide`: of more than 64 bits.
 */
export function $addInt($a, table, records, base, slot, w) {
  const value = $a.first.value()
  const x = $a.isBigInt ? BigInt.asIntN(64, value) : BigInt(value)
  const old = records.ints[base + $a.at]
  const minus = BigInt.asIntN(64, -w)
  if (w === 1n) {
    const sum = BigInt.asIntN(64, old + x)
    if (($a.isUnsigned && x < 0n) || ($a.isWide && x !== value) || ((old ^ sum) & (x ^ sum)) < 0n)
      $a.spill(table, slot, w, value)
    else records.ints[base + $a.at] = sum
  } else if (minus === 1n) {
    const sum = BigInt.asIntN(64, old - x)
    if (($a.isUnsigned && x < 0n) || ($a.isWide && x !== value) || ((old ^ x) & (old ^ sum)) < 0n)
      $a.spill(table, slot, w, value)
    else records.ints[base + $a.at] = sum
  } else $a.spill(table, slot, w, value)
}

/** sum += w * value, exactly: two doubles while they hold it, a bigint beside them for the rest. */
export function $addFloat($a, table, records, base, slot, w) {
  const value = $a.first.value()
  const minus = BigInt.asIntN(64, -w)
  if (w === 1n || minus === 1n) {
    const x = w === 1n ? value : -value
    const high = records.floats[base + $a.at]
    const sum = high + x
    const part = sum - high
    const error = high - (sum - part) + (x - part)
    if (error === 0) records.floats[base + $a.at] = sum
    else {
      const low = records.floats[base + $a.at + 1]
      const rest = low + error
      const piece = rest - low
      const lost = low - (rest - piece) + (error - piece)
      // Also taken when anything is infinite or NaN: then `lost` is NaN.
      if (lost === 0) {
        records.floats[base + $a.at] = sum
        records.floats[base + $a.at + 1] = rest
      } else $a.spill(table, slot, w, value)
    }
  } else $a.spill(table, slot, w, value)
}

/** sum += w * x * y, exactly: i64 for factors of 32 bits while it fits, a bigint beside it for the rest. */
export function $addIntProduct($a, table, records, base, slot, w) {
  const first = $a.first.value()
  const second = $a.second.value()
  const x = $a.isBigInt ? BigInt.asIntN(64, first) : BigInt(first)
  const y = $a.isSecondBigInt ? BigInt.asIntN(64, second) : BigInt(second)
  const old = records.ints[base + $a.at]
  const minus = BigInt.asIntN(64, -w)
  const isSmall =
    BigInt.asIntN(32, x) === x &&
    BigInt.asIntN(32, y) === y &&
    !($a.isUnsigned && x < 0n) &&
    !($a.isSecondUnsigned && y < 0n)
  const term = BigInt.asIntN(64, x * y)
  if (isSmall && w === 1n) {
    const sum = BigInt.asIntN(64, old + term)
    if (((old ^ sum) & (term ^ sum)) < 0n) $a.spill(table, slot, w, first, second)
    else records.ints[base + $a.at] = sum
  } else if (isSmall && minus === 1n) {
    const sum = BigInt.asIntN(64, old - term)
    if (((old ^ term) & (old ^ sum)) < 0n) $a.spill(table, slot, w, first, second)
    else records.ints[base + $a.at] = sum
  } else $a.spill(table, slot, w, first, second)
}

/**
 * sum += w * x * y, exactly: the rounded product and its error (Dekker 1971) go into four doubles while they hold
 * them. Products so small or large that their error is no double, and whatever is lost, go to a bigint beside them.
 */
export function $addFloatProduct($g, $a, table, records, base, slot, w) {
  const first = $a.first.value()
  const second = $a.second.value()
  const minus = BigInt.asIntN(64, -w)
  const product = first * second
  const size = Math.abs(product)
  const isSplittable = size > 1e-280 && size < 1e290 && Math.abs(first) < 1e290 && Math.abs(second) < 1e290
  if (isSplittable && (w === 1n || minus === 1n)) {
    const wide = 134217729 * first
    const high = wide - (wide - first)
    const low = first - high
    const wide2 = 134217729 * second
    const high2 = wide2 - (wide2 - second)
    const low2 = second - high2
    const error = low * low2 - (product - high * high2 - low * high2 - high * low2)
    const sign = w === 1n ? 1 : -1
    const lost = $g.expand(records.floats, base + $a.at, sign * product, sign * error)
    if (lost !== 0) $a.spill(table, slot, w, first, second)
  } else if (product !== 0 || (first !== 0 && second !== 0)) $a.spill(table, slot, w, first, second)
}

/**
 * Adds two doubles to the four at floats[at…] without an error; returns 0. Or, where they do not hold the sum, leaves
 * them alone and returns another number.
 */
export function $expand(floats, at, a, b) {
  const f0 = floats[at]
  const f1 = floats[at + 1]
  const f2 = floats[at + 2]
  const f3 = floats[at + 3]
  const a0 = f0 + a
  const pa0 = a0 - f0
  const ra0 = f0 - (a0 - pa0) + (a - pa0)
  const a1 = f1 + ra0
  const pa1 = a1 - f1
  const ra1 = f1 - (a1 - pa1) + (ra0 - pa1)
  const a2 = f2 + ra1
  const pa2 = a2 - f2
  const ra2 = f2 - (a2 - pa2) + (ra1 - pa2)
  const a3 = f3 + ra2
  const pa3 = a3 - f3
  const ra3 = f3 - (a3 - pa3) + (ra2 - pa3)
  const b0 = a0 + b
  const pb0 = b0 - a0
  const rb0 = a0 - (b0 - pb0) + (b - pb0)
  const b1 = a1 + rb0
  const pb1 = b1 - a1
  const rb1 = a1 - (b1 - pb1) + (rb0 - pb1)
  const b2 = a2 + rb1
  const pb2 = b2 - a2
  const rb2 = a2 - (b2 - pb2) + (rb1 - pb2)
  const b3 = a3 + rb2
  const pb3 = b3 - a3
  const rb3 = a3 - (b3 - pb3) + (rb2 - pb3)
  // NaN where something became infinite.
  const lost = Math.abs(ra3) + Math.abs(rb3)
  if (lost === 0) {
    floats[at] = b0
    floats[at + 1] = b1
    floats[at + 2] = b2
    floats[at + 3] = b3
  }
  return lost
}

/** Adds the weight to the count of each bit that is set. */
export function $addBits($g, $a, records, base, w) {
  const value = $a.first.value()
  let rest = BigInt.asUintN($a.bits, $a.isBigInt ? value : BigInt(value))
  let at = base + $a.at
  while (rest !== 0n) {
    if ((rest & 1n) === 1n) $g.addCount($g, records, at, w)
    rest >>= 1n
    at++
  }
}

/** Adds the weight to the count of the value, a whole number less than `$a.bits`. */
export function $addBin($g, $a, records, base, w) {
  const bin = $a.first.value()
  $g.addCount($g, records, base + $a.at + bin, w)
}

/** Weights count modulo 2. */
export function $addXor($a, records, base, w) {
  const value = $a.first.value()
  if ((w & 1n) === 1n) {
    const old = records.ints[base + $a.at]
    records.ints[base + $a.at] = BigInt.asIntN(64, old ^ ($a.isBigInt ? value : BigInt(value)))
  }
}

/**
 * Looks at what adding rows from..to will look at: their places in the index, then the records found there (they are
 * not compared, so some are not the right ones). These loads do not wait for each other as those of `scanAccumulate`
 * do, and what they bring is in the cache when it comes by. Returns a number without a meaning.
 * REQUIRES: `entries` has `to - from` elements; `$row` only computes the group columns and does not fail.
 */
export function fetchGroups($row, $g, input, from, to, table, entries) {
  const $record = $g.record
  const $keys = $record.keyLanes
  const index = table.index
  const mask = table.mask
  const records = table.records
  for (let i = from; i < to; i++) {
    const status = $row.evaluate(input, i)
    const k0 = $g.key[0]()
    const k1 = $keys > 1 ? $g.key[1]() : 0
    const k2 = $keys > 2 ? $g.key[2]() : 0
    const k3 = $keys > 3 ? $g.key[3]() : 0
    entries[i - from] = status === 1 ? index[$g.hash(k0, k1, k2, k3) & mask] & mask : 0
  }
  let seen = 0
  for (let n = to - from - 1; n >= 0; n--) {
    const entry = entries[n]
    if (entry !== 0) seen ^= records.lanes32[(entry - 1) * $record.lanes]
  }
  return seen
}

/**
 * Adds rows from..to of a flat delta. Returns the first row not added because the table was full (make room and
 * call again), or `to`.
 */
export function scanAccumulate($row, $g, $negate, $checkProduct, $failure, input, from, to, table, errors) {
  const rows = table.rows
  const records = table.records
  const undo = table.undo
  const undoRows = table.undoRows
  const index = table.index
  const mask = table.mask
  const touched = table.touched
  const firstMark = table.firstMark
  for (let i = from; i < to; i++) {
    const weight = input.weights[i]
    if (weight === 0n) continue
    const w = $negate ? BigInt.asIntN(64, -weight) : weight
    if ($negate && weight === -9223372036854775808n) $checkProduct(weight, -1n)
    const status = $row.evaluate(input, i)
    if (status === 1) {
      const added = $g.addRow($g, table, rows, records, undo, undoRows, index, mask, touched, firstMark, w)
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
  const records = table.records
  const undo = table.undo
  const undoRows = table.undoRows
  const index = table.index
  const mask = table.mask
  const touched = table.touched
  const firstMark = table.firstMark
  for (let p = from; p < to; p++) {
    const i = lefts[p]
    const j = rights[p]
    const product = $multiply($checkProduct, left, i, right, j)
    const w = $negate ? BigInt.asIntN(64, -product) : product
    if ($negate && product === -9223372036854775808n) $checkProduct(product, -1n)
    const status = $row.evaluate(left, i, right, j)
    if (status === 1) {
      const added = $g.addRow($g, table, rows, records, undo, undoRows, index, mask, touched, firstMark, w)
      if (added === 0) return p
    } else if (status === 2) {
      const failed = $failure(left, i, right, j)
      errors.add(failed, w)
    }
  }
  return to
}
