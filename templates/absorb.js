/**
 * Adds a small consolidated delta to a small sorted run in place: how one-row changes enter a trace without
 * allocating. Rows that cancel stay as ghosts of weight zero until the next merge drops them.
 *
 * `$moveRows` shifts rows within the batch: string cells move alone, their bytes stay in the heap.
 * REQUIRES: `head` sorted without repeated rows, with room for `delta.length` more; `places` as long as `delta`.
 * ENSURES: `head` is sorted and holds the sum. Sums that leave i64 call `$overflow()` before anything is moved.
 */
export function absorb(
  $layout,
  $compareKeys,
  $comparePayload,
  $inlined,
  $compareColumns,
  $compareStrings,
  $payload,
  $copyRow,
  $copyString,
  $moveRows,
  $overflow,
  head,
  delta,
  places,
) {
  const n = delta.length
  const m = head.length
  let fresh = 0
  let low = 0
  for (let d = 0; d < n; d++) {
    let high = m
    let found = 0
    while (low < high) {
      const middle = (low + high) >>> 1
      let order = $compareKeys($layout.key.words, head, middle, delta, d)
      if (order === 0)
        order = $comparePayload($layout, $inlined, $compareColumns, $compareStrings, $payload, head, middle, delta, d)
      if (order < 0) low = middle + 1
      else {
        high = middle
        if (order === 0) found = 1
      }
    }
    if (found === 1) {
      const x = head.weights[low]
      const y = delta.weights[d]
      const sum = BigInt.asIntN(64, x + y)
      if (((x ^ sum) & (y ^ sum)) < 0n) $overflow()
      places[d] = -1 - low
    } else {
      places[d] = low
      fresh++
    }
  }
  let end = m
  let shift = fresh
  for (let d = n - 1; d >= 0; d--) {
    const place = places[d]
    if (place < 0) {
      // Not moved yet: rows from here down have not been shifted.
      const at = -1 - place
      head.weights[at] = BigInt.asIntN(64, head.weights[at] + delta.weights[d])
      continue
    }
    if (place < end) $moveRows($layout, head, place, end, place + shift)
    shift--
    $copyRow($layout, $copyString, delta, d, head, place + shift)
    head.weights[place + shift] = delta.weights[d]
    end = place
  }
  head.length = m + fresh
}
