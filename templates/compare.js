/**
 * The total order of rows of one layout: key words, then the stored columns in the layout's order. NULL comes
 * first (last in a descending column); a NULL cell holds zeros, so two NULLs compare equal by value.
 *
 * RETURNS: negative, 0 or positive, as for Array.prototype.sort.
 */

/** Orders two rows by their key words alone. */
export function $compareKeys($words, a, i, b, j) {
  const $lanes = $words * 2
  for (let $l = 0; $l < $lanes; $l++) {
    const x = a.keys32[i * $lanes + ($lanes - 1 - $l)]
    const y = b.keys32[j * $lanes + ($lanes - 1 - $l)]
    if (x !== y) return x < y ? -1 : 1
  }
  return 0
}

/** The same of keys that fit into one lane. */
export function $compareLow($words, a, i, b, j) {
  const x = a.keys32[i * 2]
  const y = b.keys32[j * 2]
  if (x !== y) return x < y ? -1 : 1
  return 0
}

/** Orders two rows of equal key by the listed columns: `$order` is (part of) the layout's order. */
export function $compareColumns($layout, $order, $compareStrings, a, i, b, j) {
  for (const $o of $order) {
    const $c = $o.column
    const $less = $o.descending ? 1 : -1
    if ($c.nullable) {
      const p = a.nulls32[i * ($layout.schema.nullWords * 2) + ($c.nullBit >> 5)] & (1 << ($c.nullBit & 31))
      const q = b.nulls32[j * ($layout.schema.nullWords * 2) + ($c.nullBit >> 5)] & (1 << ($c.nullBit & 31))
      if (p !== q) return p !== 0 ? $less : -$less
    }
    if ($c.info.storage === 'german') {
      const order = $compareStrings(a.lanes[$c.index], i * 4, a.heap, b.lanes[$c.index], j * 4, b.heap)
      if (order !== 0) return $o.descending ? -order : order
    } else if ($c.info.storage === 'f32' || $c.info.storage === 'f64') {
      const x = a.columns[$c.index][i]
      const y = b.columns[$c.index][j]
      if (x < y) return $less
      if (x > y) return -$less
      // Neither: equal, or one of them is NaN, which is the greatest value and equal to itself.
      if (x !== y && (x === x || y === y)) return x === x ? $less : -$less
    } else if ($c.info.storage === 'i64' || $c.info.storage === 'u64') {
      const x = a.lanes[$c.index][i * 2 + 1]
      const y = b.lanes[$c.index][j * 2 + 1]
      if (x !== y) {
        if ($c.info.storage === 'i64') return (x | 0) < (y | 0) ? $less : -$less
        return x < y ? $less : -$less
      }
      const u = a.lanes[$c.index][i * 2]
      const v = b.lanes[$c.index][j * 2]
      if (u !== v) return u < v ? $less : -$less
    } else if ($c.info.storage === 'w128') {
      for (let $l = 0; $l < 4; $l++) {
        const x = a.lanes[$c.index][i * 4 + (3 - $l)]
        const y = b.lanes[$c.index][j * 4 + (3 - $l)]
        if (x !== y) return x < y ? $less : -$less
      }
    } else {
      const x = a.columns[$c.index][i]
      const y = b.columns[$c.index][j]
      if (x !== y) return x < y ? $less : -$less
    }
  }
  return 0
}

/** Payload order alone, as a function of its own: called where keys are equal, so rarely. */
export function comparePayload($layout, $compareColumns, $compareStrings, a, i, b, j) {
  return $compareColumns($layout, $layout.order, $compareStrings, a, i, b, j)
}

/** The whole order. `$payload` is `comparePayload` of the same layout. */
export function compareRows($layout, $compareKeys, $payload, a, i, b, j) {
  const byKey = $compareKeys($layout.key.words, a, i, b, j)
  if (byKey !== 0) return byKey
  return $payload(a, i, b, j)
}

/**
 * Orders by what identifies a key: its words and, for a hashed key, its columns (which lead the layout's order).
 * `$prefix` lists those columns.
 */
export function compareGroups($layout, $compareKeys, $compareColumns, $prefix, $compareStrings, a, i, b, j) {
  const byKey = $compareKeys($layout.key.words, a, i, b, j)
  if (byKey !== 0) return byKey
  return $compareColumns($layout, $prefix, $compareStrings, a, i, b, j)
}

/**
 * The order of rows with equal keys, in place where that is short (`$inlined`), else by a call of `$payload`.
 */
export function $comparePayload($layout, $inlined, $compareColumns, $compareStrings, $payload, a, i, b, j) {
  if ($inlined) {
    const order = $compareColumns($layout, $layout.order, $compareStrings, a, i, b, j)
    return order
  }
  return $payload(a, i, b, j)
}

/** Orders cell i of column $x and cell j of column $y, ascending. REQUIRES: one storage class, neither is NULL. */
export function $compareCells($x, $y, $compareStrings, a, i, b, j) {
  if ($x.info.storage === 'german') {
    return $compareStrings(a.lanes[$x.index], i * 4, a.heap, b.lanes[$y.index], j * 4, b.heap)
  }
  if ($x.info.storage === 'f32' || $x.info.storage === 'f64') {
    const x = a.columns[$x.index][i]
    const y = b.columns[$y.index][j]
    if (x < y) return -1
    if (x > y) return 1
    // NaN is the greatest value and equal to itself.
    if (x === y) return 0
    return x === x ? -1 : y === y ? 1 : 0
  }
  if ($x.info.storage === 'i64' || $x.info.storage === 'u64' || $x.info.storage === 'w128') {
    const $lanes = $x.info.storage === 'w128' ? 4 : 2
    for (let $l = $lanes - 1; $l >= 0; $l--) {
      const x = a.lanes[$x.index][i * $lanes + $l]
      const y = b.lanes[$y.index][j * $lanes + $l]
      if (x !== y) {
        if ($x.info.storage === 'i64' && $l === 1) return (x | 0) < (y | 0) ? -1 : 1
        return x < y ? -1 : 1
      }
    }
    return 0
  }
  const x = a.columns[$x.index][i]
  const y = b.columns[$y.index][j]
  if (x !== y) return x < y ? -1 : 1
  return 0
}
