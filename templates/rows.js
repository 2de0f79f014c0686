/**
 * Row objects to columns: the first thing that happens to a user's row. Every value is checked on the way; a row
 * that does not fit is handed to `$reject(rows, i)`, which finds out what is wrong and throws; one that only looks
 * odd, to `$check(rows, i)`, which throws if something is wrong.
 *
 * REQUIRES: `batch` is flat and has room for all rows.
 * ENSURES: on return all rows are in, with weight `weight`. Returns the new length of the batch, which is the caller's
 * to set (see linear.js for why).
 */
export function encodeRows(
  $columns,
  $nullWords,
  $ownProperty,
  $putString,
  $putOther,
  $putDefault,
  $countNames,
  $check,
  $reject,
  rows,
  batch,
  weight,
) {
  const n = rows.length
  let k = batch.length
  for (let i = 0; i < n; i++) {
    // Before the row has a name: what is read from that may be read where it is declared.
    if (typeof rows[i] !== 'object' || rows[i] === null) $reject(rows, i)
    const row = rows[i]
    let found = 0
    for (let $w = 0; $w < $nullWords; $w++) {
      batch.nulls32[k * ($nullWords * 2) + $w * 2] = 0
      batch.nulls32[k * ($nullWords * 2) + ($w * 2 + 1)] = 0
    }
    for (const $c of $columns) {
      const value = $c.inherited ? $ownProperty(row, $c.name) : row[$c.name]
      if (value !== undefined) found++
      if ($c.hasDefault && value === undefined) $putDefault(batch, $c.index, k)
      else if ($c.nullable) {
        if (value === null || value === undefined) {
          batch.nulls32[k * ($nullWords * 2) + ($c.nullBit >> 5)] |= 1 << ($c.nullBit & 31)
          if ($c.storage === 'german' || $c.storage === 'w128') {
            batch.lanes[$c.index][k * 4] = 0
            batch.lanes[$c.index][k * 4 + 1] = 0
            batch.lanes[$c.index][k * 4 + 2] = 0
            batch.lanes[$c.index][k * 4 + 3] = 0
          } else if ($c.storage === 'i64' || $c.storage === 'u64') {
            batch.lanes[$c.index][k * 2] = 0
            batch.lanes[$c.index][k * 2 + 1] = 0
          } else batch.columns[$c.index][k] = 0
        } else {
          const fits = $c.put($c, $putString, $putOther, value, batch, k)
          if (fits === 0) $reject(rows, i)
        }
      } else {
        const fits = $c.put($c, $putString, $putOther, value, batch, k)
        if (fits === 0) $reject(rows, i)
      }
    }
    // Names that the table does not have would go unnoticed otherwise.
    const names = $countNames(row)
    if (names !== found) $check(rows, i)
    batch.weights[k] = weight
    k++
  }
  return k
}

/** Stores one value that is there. Returns 0 if it does not fit its column, else 1. */
export function $put($c, $putString, $putOther, value, batch, k) {
  let fits = 1
  if ($c.type === 'bool') {
    if (value === true) batch.columns[$c.index][k] = 1
    else if (value === false) batch.columns[$c.index][k] = 0
    else fits = 0
  } else if ($c.type === 'f64') {
    if (typeof value === 'number') batch.columns[$c.index][k] = value === value ? value + 0 : NaN
    else fits = 0
  } else if ($c.isSmallInteger) {
    if (typeof value === 'number' && value >= $c.min && value <= $c.max && Math.floor(value) === value) {
      batch.columns[$c.index][k] = value
    } else fits = 0
  } else if ($c.type === 'i64' || $c.type === 'u64' || $c.isTimestamp) {
    if (typeof value === 'number') {
      if (Number.isSafeInteger(value) && ($c.type !== 'u64' || value >= 0)) {
        batch.lanes[$c.index][k * 2] = value
        batch.lanes[$c.index][k * 2 + 1] = Math.floor(value / 4294967296)
      } else fits = 0
    } else if (typeof value === 'bigint') {
      const whole = $c.type === 'u64' ? BigInt.asUintN(64, value) : BigInt.asIntN(64, value)
      if (whole === value) batch.columns[$c.index][k] = whole
      else fits = 0
    } else if ($c.isTimestamp) fits = $putOther($c.type, value, batch, $c.index, k)
    else fits = 0
  } else if ($c.type === 'string') {
    fits = $putString(value, batch, $c.index, k)
  } else {
    fits = $putOther($c.type, value, batch, $c.index, k)
  }
  return fits
}
