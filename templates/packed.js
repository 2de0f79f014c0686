/**
 * Packed rows: rows of one layout as bytes with a fixed stride, for logs and pages. A row is
 *
 *     [key words | weight, 8 bytes | null words | stored columns in the layout's order]
 *
 * little-endian and without padding, so a field may lie at any address. A string is its 16-byte cell; the bytes of a
 * long one lie in a blob beside the rows, and its cell holds their offset there.
 *
 * `$fields` are the stored columns: `index`, `offset` in the row, `bytes`, `isString`. `$moveLong(from, offset, length,
 * to)` appends bytes to the heap `to` and returns where they begin.
 */

/**
 * Writes rows from..to of `batch` into `view` from byte `at` on; returns the byte after the last. Bytes of long strings
 * are appended to `blob`, a heap. REQUIRES: the rows fit into `view`.
 */
export function encodePacked($layout, $fields, $stride, $moveLong, batch, from, to, view, at, blob) {
  const $words = $layout.key.words * 2
  const $nulls = $layout.schema.nullWords * 2
  let p = at
  for (let i = from; i < to; i++) {
    for (let $l = 0; $l < $words; $l++) view.setUint32(p + $l * 4, batch.keys32[i * $words + $l], true)
    view.setUint32(p + $words * 4, batch.weights32[i * 2], true)
    view.setUint32(p + ($words * 4 + 4), batch.weights32[i * 2 + 1], true)
    for (let $l = 0; $l < $nulls; $l++) {
      view.setUint32(p + ($words * 4 + 8 + $l * 4), batch.nulls32[i * $nulls + $l], true)
    }
    for (const $f of $fields) {
      if ($f.isString) {
        const length = batch.lanes[$f.index][i * 4]
        let rest = batch.lanes[$f.index][i * 4 + 2]
        if (length > 12) rest = $moveLong(batch.heap.bytes, rest, length, blob)
        view.setUint32(p + $f.offset, length, true)
        view.setUint32(p + ($f.offset + 4), batch.lanes[$f.index][i * 4 + 1], true)
        view.setUint32(p + ($f.offset + 8), rest, true)
        view.setUint32(p + ($f.offset + 12), batch.lanes[$f.index][i * 4 + 3], true)
      } else if ($f.bytes === 1) {
        view.setUint8(p + $f.offset, batch.columns[$f.index][i])
      } else if ($f.bytes === 2) {
        view.setUint16(p + $f.offset, batch.columns[$f.index][i], true)
      } else {
        for (let $l = 0; $l < $f.bytes / 4; $l++) {
          view.setUint32(p + ($f.offset + $l * 4), batch.lanes[$f.index][i * ($f.bytes / 4) + $l], true)
        }
      }
    }
    p += $stride
  }
  return p
}

/**
 * Appends `count` rows that lie in `view` from byte `at` on, long strings in `blob`, a byte array, to `batch`.
 * REQUIRES: encodePacked of this layout wrote them; `batch` has room. ENSURES: `batch.order` is left to the caller.
 */
export function decodePacked($layout, $fields, $stride, $moveLong, view, at, count, blob, batch) {
  const $words = $layout.key.words * 2
  const $nulls = $layout.schema.nullWords * 2
  const start = batch.length
  const end = start + count
  let p = at
  for (let k = start; k < end; k++) {
    for (let $l = 0; $l < $words; $l++) batch.keys32[k * $words + $l] = view.getUint32(p + $l * 4, true)
    batch.weights32[k * 2] = view.getUint32(p + $words * 4, true)
    batch.weights32[k * 2 + 1] = view.getUint32(p + ($words * 4 + 4), true)
    for (let $l = 0; $l < $nulls; $l++) {
      batch.nulls32[k * $nulls + $l] = view.getUint32(p + ($words * 4 + 8 + $l * 4), true)
    }
    for (const $f of $fields) {
      if ($f.isString) {
        const length = view.getUint32(p + $f.offset, true)
        let rest = view.getUint32(p + ($f.offset + 8), true)
        if (length > 12) rest = $moveLong(blob, rest, length, batch.heap)
        batch.lanes[$f.index][k * 4] = length
        batch.lanes[$f.index][k * 4 + 1] = view.getUint32(p + ($f.offset + 4), true)
        batch.lanes[$f.index][k * 4 + 2] = rest
        batch.lanes[$f.index][k * 4 + 3] = view.getUint32(p + ($f.offset + 12), true)
      } else if ($f.bytes === 1) {
        batch.columns[$f.index][k] = view.getUint8(p + $f.offset)
      } else if ($f.bytes === 2) {
        batch.columns[$f.index][k] = view.getUint16(p + $f.offset, true)
      } else {
        for (let $l = 0; $l < $f.bytes / 4; $l++) {
          batch.lanes[$f.index][k * ($f.bytes / 4) + $l] = view.getUint32(p + ($f.offset + $l * 4), true)
        }
      }
    }
    p += $stride
  }
  batch.length = end
}
