/**
 * The skip list of a MemTable: nodes (templates/node.js) in the order of their rows, each on one level or on several; on
 * each level a chain of offsets leads from one node to the next. The head, which has all levels and no row, lies at 0, so
 * the offset 0 also says that nothing follows.
 *
 * `list` holds the arena as `words` (u32), `quads` (i64) and `view` (a DataView, for what is not aligned), `blob`, the
 * heap of the nodes' long strings, `end`, the first free byte, `top`, the levels in use, `rows`, the number of nodes,
 * `path`, on each level the last node before the row that was inserted last, and `random`, the state of a generator.
 */

/**
 * Adds the rows of a batch to the list: to a node's weight where the row is there, else as a new node.
 *
 * `path` is a finger: from the row before, the search climbs only as far as it must to step over the nodes in between,
 * so that rows which lie close together cost little. The first row takes it up if it comes right after the last row of
 * the batch before, else it comes down from the head.
 *
 * REQUIRES: `batch` is consolidated and not empty; the arena has room for a node of `$levels` levels for each of its
 * rows, and the blob for its long strings; no weight leaves i64.
 */
export function insertNodes(
  $layout,
  $fields,
  $parts,
  $levels,
  $stride,
  $words,
  $keyOf,
  $store,
  $compareNode,
  $node,
  $packFields,
  $moveLong,
  $overflow,
  list,
  batch,
) {
  const words = list.words
  const quads = list.quads
  const view = list.view
  const path = list.path
  const $nulls = $layout.schema.nullWords * 2
  const n = batch.length
  let top = list.top
  let end = list.end
  let random = list.random
  let rows = list.rows
  for (let i = 0; i < n; i++) {
    const k0 = batch.keys32[i * ($words * 2)]
    const k1 = batch.keys32[i * ($words * 2) + 1]
    const k2 = $words === 1 ? 0 : batch.keys32[i * 4 + 2]
    const k3 = $words === 1 ? 0 : batch.keys32[i * 4 + 3]
    let climb = i > 0
    const last = path[0]
    if (i === 0 && last !== 0) {
      const follows = $compareNode($words, $keyOf, $node, list, words, last, batch, i, k3, k2, k1, k0)
      if (follows < 0) {
        const next = words[(last >>> 2) + 3]
        if (next === 0) climb = true
        else {
          const precedes = $compareNode($words, $keyOf, $node, list, words, next, batch, i, k3, k2, k1, k0)
          climb = precedes >= 0
        }
      }
    }
    // `node` comes before the row; `beyond`, the first that is known not to, has `order` to it.
    let node = 0
    let beyond = 0
    let order = 1
    let level = top
    if (climb) {
      level = 0
      while (level < top) {
        const next = words[(path[level] >>> 2) + level + 3]
        if (next === 0) break
        const found = $compareNode($words, $keyOf, $node, list, words, next, batch, i, k3, k2, k1, k0)
        if (found >= 0) {
          beyond = next
          order = found
          break
        }
        node = next
        level++
      }
    }
    while (level > 0) {
      const next = words[(node >>> 2) + level + 2]
      if (next !== beyond) {
        const found = $compareNode($words, $keyOf, $node, list, words, next, batch, i, k3, k2, k1, k0)
        if (found < 0) {
          node = next
          continue
        }
        beyond = next
        order = found
      }
      level--
      path[level] = node
    }
    if (order === 0) {
      const x = quads[beyond >>> 3]
      const y = batch.weights[i]
      const sum = BigInt.asIntN(64, x + y)
      if (((x ^ sum) & (y ^ sum)) < 0n) $overflow()
      quads[beyond >>> 3] = sum
      continue
    }
    // A quarter of the nodes of each level are on the next one, too.
    random ^= random << 13
    random ^= random >>> 17
    random ^= random << 5
    let height = (Math.clz32(random) >> 1) + 1
    if (height > $levels) height = $levels
    while (top < height) {
      path[top] = 0
      top++
    }
    const at = end >>> 2
    words[at] = batch.weights32[i * 2]
    words[at + 1] = batch.weights32[i * 2 + 1]
    words[at + 2] = height
    for (let l = 0; l < height; l++) {
      const link = (path[l] >>> 2) + l + 3
      words[at + l + 3] = words[link]
      words[link] = end
      path[l] = end
    }
    const key = $keyOf(words, end)
    for (let $l = 0; $l < $words * 2; $l++) words[key + $l] = batch.keys32[i * ($words * 2) + $l]
    for (let $l = 0; $l < $nulls; $l++) words[key + ($words * 2 + $l)] = batch.nulls32[i * $nulls + $l]
    $packFields($fields, $store, $moveLong, list, words, view, key, batch, i)
    for (const $pack of $parts.pack) $pack(list, key, batch, i)
    end = (key * 4 + ($stride + 15)) & ~15
    rows++
  }
  list.top = top
  list.end = end
  list.random = random
  list.rows = rows
}

/**
 * Appends the rows of the list to `out`, in order, without ghosts.
 * REQUIRES: `out` has room for all nodes. ENSURES: if `out` was empty, it is consolidated.
 */
export function scanNodes($layout, $fields, $parts, $keyOf, $load, $unpackFields, $unpackNode, $moveLong, list, out) {
  const words = list.words
  const view = list.view
  let k = out.length
  let node = words[3]
  while (node !== 0) {
    if ((words[node >>> 2] | words[(node >>> 2) + 1]) !== 0) {
      const key = $keyOf(words, node)
      $unpackNode($layout, $fields, $parts, $unpackFields, $load, $moveLong, list, words, view, node, key, out, k)
      k++
    }
    node = words[(node >>> 2) + 3]
  }
  out.length = k
}

/** Appends the rows whose key words are those of row p of `probe` to `out`, in order, without ghosts. */
export function findNodes(
  $layout,
  $fields,
  $parts,
  $words,
  $keyOf,
  $nodeBelow,
  $load,
  $unpackFields,
  $unpackNode,
  $moveLong,
  list,
  probe,
  p,
  out,
) {
  const words = list.words
  const view = list.view
  const k0 = probe.keys32[p * ($words * 2)]
  const k1 = probe.keys32[p * ($words * 2) + 1]
  const k2 = $words === 1 ? 0 : probe.keys32[p * 4 + 2]
  const k3 = $words === 1 ? 0 : probe.keys32[p * 4 + 3]
  let node = 0
  let beyond = 0
  let level = list.top
  while (level > 0) {
    const next = words[(node >>> 2) + level + 2]
    if (next !== beyond) {
      const key = $keyOf(words, next)
      const below = $nodeBelow($words, words, key, k3, k2, k1, k0)
      if (below) {
        node = next
        continue
      }
      beyond = next
    }
    level--
  }
  node = beyond
  while (node !== 0) {
    const key = $keyOf(words, node)
    if (words[key] !== k0 || words[key + 1] !== k1) break
    if ($words === 2) {
      if (words[key + 2] !== k2 || words[key + 3] !== k3) break
    }
    if ((words[node >>> 2] | words[(node >>> 2) + 1]) !== 0) {
      out.reserve(1)
      // A const made after `reserve`: regions may have moved.
      const target = out
      const k = out.length
      $unpackNode($layout, $fields, $parts, $unpackFields, $load, $moveLong, list, words, view, node, key, target, k)
      out.length = k + 1
    }
    node = words[(node >>> 2) + 3]
  }
}
