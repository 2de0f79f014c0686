/** How key words are compared: many keys, such as a 32-bit id, fit into the lowest lane, and the others are zero. */
import type { Layout } from '../src/schema/schema.js'
import { usedLanes } from '../src/zset/records.js'
import { $compareKeys, $compareLow } from '../templates/compare.js'
import { $below, $belowLow, $equal, $equalLow, $notAbove, $notAboveLow } from '../templates/seek.js'

/** Do the keys of rows of these layouts fit into one lane? */
export const areLow = (...layouts: readonly Layout[]): boolean =>
  layouts.every(({ key }) => key.kind === 'packed' && usedLanes(key) === 1)

/** Comparisons of key words, between rows of these layouts. */
export function keyStatics(...layouts: readonly Layout[]) {
  return areLow(...layouts)
    ? { $below: $belowLow, $notAbove: $notAboveLow, $equal: $equalLow, $compareKeys: $compareLow }
    : { $below, $notAbove, $equal, $compareKeys }
}
