/**
 * Packed rows as nodes of a skip list (templates/skiplist.js) in an arena. A node lies at a multiple of 16 bytes,
 *
 *     [weight, 8 bytes | height, 1 | zeros, 3 | next offsets, 4 a level | up to a multiple of 16 | key | payload]
 *
 * where the payload is a packed row (templates/packed.js) without key and weight. Offsets count bytes from the start of
 * the arena. A node's key is named by the number of its first word.
 *
 * `$fields` are stored columns and `$order` those of the order: `index`, `at`, the distance from the key in bytes,
 * `bytes`, `storage`, and what is needed to compare. `$parts` are functions that copy further columns, where a schema
 * has too many for one.
 */

/** The first word of a node's key. The height fills its word but for zeros; next offsets begin 12 bytes into a node. */
export function $keyOf(words, node) {
  return (node >>> 2) + ((words[(node >>> 2) + 2] + 6) & ~3)
}

/** The u32 that lies `$at` bytes after the start of a key. */
export function $load($at, words, view, key) {
  if ($at % 4 === 0) return words[key + $at / 4]
  return view.getUint32(key * 4 + $at, true)
}

export function $store($at, words, view, key, value) {
  if ($at % 4 === 0) words[key + $at / 4] = value
  else view.setUint32(key * 4 + $at, value, true)
}

/** Orders the payload of a node against that of row i of `batch`. */
export function $compareFields($layout, $order, $load, $compareStrings, $compareLoose, list, key, batch, i) {
  const words = list.words
  const view = list.view
  for (const $f of $order) {
    const $less = $f.descending ? 1 : -1
    if ($f.nullable) {
      const p = words[key + ($layout.key.words * 2 + ($f.nullBit >> 5))] & (1 << ($f.nullBit & 31))
      const q = batch.nulls32[i * ($layout.schema.nullWords * 2) + ($f.nullBit >> 5)] & (1 << ($f.nullBit & 31))
      if (p !== q) return p !== 0 ? $less : -$less
    }
    if ($f.storage === 'german') {
      if ($f.at % 4 === 0) {
        const order = $compareStrings(words, key + $f.at / 4, list.blob, batch.lanes[$f.index], i * 4, batch.heap)
        if (order !== 0) return $f.descending ? -order : order
      } else {
        const order = $compareLoose(view, key * 4 + $f.at, list.blob, batch.lanes[$f.index], i * 4, batch.heap)
        if (order !== 0) return $f.descending ? -order : order
      }
    } else if ($f.storage === 'f32' || $f.storage === 'f64') {
      const x = $f.bytes === 4 ? view.getFloat32(key * 4 + $f.at, true) : view.getFloat64(key * 4 + $f.at, true)
      const y = batch.columns[$f.index][i]
      if (x < y) return $less
      if (x > y) return -$less
      // Neither: equal, or one of them is NaN, which is the greatest value and equal to itself.
      if (x !== y && (x === x || y === y)) return x === x ? $less : -$less
    } else if ($f.bytes >= 8) {
      const $lanes = $f.bytes / 4
      for (let $l = $lanes - 1; $l >= 0; $l--) {
        const x = $load($f.at + $l * 4, words, view, key)
        const y = batch.lanes[$f.index][i * $lanes + $l]
        if (x !== y) {
          if ($f.storage === 'i64' && $l === 1) return (x | 0) < (y | 0) ? $less : -$less
          return x < y ? $less : -$less
        }
      }
    } else if ($f.bytes === 4) {
      const loaded = $load($f.at, words, view, key)
      const x = $f.storage === 'i32' ? loaded | 0 : loaded
      const y = batch.columns[$f.index][i]
      if (x !== y) return x < y ? $less : -$less
    } else {
      const at = key * 4 + $f.at
      const x =
        $f.storage === 'i8'
          ? view.getInt8(at)
          : $f.storage === 'u8'
            ? view.getUint8(at)
            : $f.storage === 'i16'
              ? view.getInt16(at, true)
              : view.getUint16(at, true)
      const y = batch.columns[$f.index][i]
      if (x !== y) return x < y ? $less : -$less
    }
  }
  return 0
}

/** The order of payloads alone, as a function of its own: called where keys are equal, so rarely. */
export function compareNode(
  $layout,
  $order,
  $compareFields,
  $load,
  $compareStrings,
  $compareLoose,
  list,
  key,
  batch,
  i,
) {
  return $compareFields($layout, $order, $load, $compareStrings, $compareLoose, list, key, batch, i)
}

/** Orders a node against row i of `batch`, whose key words are `k3`..`k0` (`k1`, `k0` if there is one word of 64 bits). */
export function $compareNode($words, $keyOf, $node, list, words, node, batch, i, k3, k2, k1, k0) {
  const key = $keyOf(words, node)
  if ($words === 2) {
    const x3 = words[key + 3]
    if (x3 !== k3) return x3 < k3 ? -1 : 1
    const x2 = words[key + 2]
    if (x2 !== k2) return x2 < k2 ? -1 : 1
  }
  const x1 = words[key + 1]
  if (x1 !== k1) return x1 < k1 ? -1 : 1
  const x0 = words[key]
  if (x0 !== k0) return x0 < k0 ? -1 : 1
  return $node(list, key, batch, i)
}

/** Writes `$fields` of row i of `batch` into the node at `key`. */
export function $packFields($fields, $store, $moveLong, list, words, view, key, batch, i) {
  for (const $f of $fields) {
    if ($f.storage === 'german') {
      const length = batch.lanes[$f.index][i * 4]
      let rest = batch.lanes[$f.index][i * 4 + 2]
      if (length > 12) rest = $moveLong(batch.heap.bytes, rest, length, list.blob)
      $store($f.at, words, view, key, length)
      $store($f.at + 4, words, view, key, batch.lanes[$f.index][i * 4 + 1])
      $store($f.at + 8, words, view, key, rest)
      $store($f.at + 12, words, view, key, batch.lanes[$f.index][i * 4 + 3])
    } else if ($f.bytes === 1) {
      view.setUint8(key * 4 + $f.at, batch.columns[$f.index][i])
    } else if ($f.bytes === 2) {
      view.setUint16(key * 4 + $f.at, batch.columns[$f.index][i], true)
    } else {
      const $lanes = $f.bytes / 4
      for (let $l = 0; $l < $lanes; $l++) {
        $store($f.at + $l * 4, words, view, key, batch.lanes[$f.index][i * $lanes + $l])
      }
    }
  }
}

/** Writes `$fields` of the node at `key` to row k of `out`. */
export function $unpackFields($fields, $load, $moveLong, list, words, view, key, out, k) {
  for (const $f of $fields) {
    if ($f.storage === 'german') {
      const length = $load($f.at, words, view, key)
      let rest = $load($f.at + 8, words, view, key)
      if (length > 12) rest = $moveLong(list.blob.bytes, rest, length, out.heap)
      out.lanes[$f.index][k * 4] = length
      out.lanes[$f.index][k * 4 + 1] = $load($f.at + 4, words, view, key)
      out.lanes[$f.index][k * 4 + 2] = rest
      out.lanes[$f.index][k * 4 + 3] = $load($f.at + 12, words, view, key)
    } else if ($f.bytes === 1) {
      out.columns[$f.index][k] = view.getUint8(key * 4 + $f.at)
    } else if ($f.bytes === 2) {
      out.columns[$f.index][k] = view.getUint16(key * 4 + $f.at, true)
    } else {
      const $lanes = $f.bytes / 4
      for (let $l = 0; $l < $lanes; $l++) {
        out.lanes[$f.index][k * $lanes + $l] = $load($f.at + $l * 4, words, view, key)
      }
    }
  }
}

/** The same two as functions of their own: `$parts` are made of them. */
export function packFields($fields, $packFields, $store, $moveLong, list, key, batch, i) {
  const words = list.words
  const view = list.view
  $packFields($fields, $store, $moveLong, list, words, view, key, batch, i)
}

export function unpackFields($fields, $unpackFields, $load, $moveLong, list, key, out, k) {
  const words = list.words
  const view = list.view
  $unpackFields($fields, $load, $moveLong, list, words, view, key, out, k)
}

/** Writes weight, key, null words and columns of a node to row k of `out`. */
export function $unpackNode(
  $layout,
  $fields,
  $parts,
  $unpackFields,
  $load,
  $moveLong,
  list,
  words,
  view,
  node,
  key,
  out,
  k,
) {
  const $words = $layout.key.words * 2
  const $nulls = $layout.schema.nullWords * 2
  out.weights32[k * 2] = words[node >>> 2]
  out.weights32[k * 2 + 1] = words[(node >>> 2) + 1]
  for (let $l = 0; $l < $words; $l++) out.keys32[k * $words + $l] = words[key + $l]
  for (let $l = 0; $l < $nulls; $l++) out.nulls32[k * $nulls + $l] = words[key + ($words + $l)]
  $unpackFields($fields, $load, $moveLong, list, words, view, key, out, k)
  for (const $unpack of $parts.unpack) $unpack(list, key, out, k)
}

/** Is the key of a node below the given one? */
export function $nodeBelow($words, words, key, k3, k2, k1, k0) {
  if ($words === 1) return words[key + 1] < k1 || (words[key + 1] === k1 && words[key] < k0)
  return (
    words[key + 3] < k3 ||
    (words[key + 3] === k3 &&
      (words[key + 2] < k2 ||
        (words[key + 2] === k2 && (words[key + 1] < k1 || (words[key + 1] === k1 && words[key] < k0)))))
  )
}
