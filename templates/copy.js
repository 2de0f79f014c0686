/** Moving rows between batches of one layout. Weights are the caller's: they are usually summed on the way. */

/** Copies key, null words and stored columns of row i of `from` to row k of `to`. REQUIRES: `to` has room. */
export function $copyRow($layout, $copyString, from, i, to, k) {
  for (let $w = 0; $w < $layout.key.words; $w++) {
    to.keys[k * $layout.key.words + $w] = from.keys[i * $layout.key.words + $w]
  }
  for (let $w = 0; $w < $layout.schema.nullWords; $w++) {
    to.nulls[k * $layout.schema.nullWords + $w] = from.nulls[i * $layout.schema.nullWords + $w]
  }
  for (const $c of $layout.stored) {
    if ($c.info.storage === 'german') {
      $copyString(from.lanes[$c.index], i * 4, from.heap, to.lanes[$c.index], k * 4, to.heap)
    } else if ($c.info.storage === 'w128') {
      to.columns[$c.index][k * 2] = from.columns[$c.index][i * 2]
      to.columns[$c.index][k * 2 + 1] = from.columns[$c.index][i * 2 + 1]
    } else {
      to.columns[$c.index][k] = from.columns[$c.index][i]
    }
  }
}

/** The same as a function of its own: one row, weight included. */
export function copyRow($layout, $copyRow, $copyString, from, i, to, k) {
  $copyRow($layout, $copyString, from, i, to, k)
  to.weights[k] = from.weights[i]
}

/** Shifts rows from..end of a batch to `to`, as memmove does: what they are moved over is lost. */
export function $moveRows($layout, batch, from, end, to) {
  const $words = $layout.key.words
  const $nulls = $layout.schema.nullWords
  if ($words > 0) batch.keys.copyWithin(to * $words, from * $words, end * $words)
  if ($nulls > 0) batch.nulls.copyWithin(to * $nulls, from * $nulls, end * $nulls)
  for (const $c of $layout.stored) {
    const $stride = $c.info.storage === 'german' ? 4 : $c.info.storage === 'w128' ? 2 : 1
    batch.columns[$c.index].copyWithin(to * $stride, from * $stride, end * $stride)
  }
  batch.weights.copyWithin(to, from, end)
}
