/** What a table or snapshot gives its readers, against the weights that it should have. */

import { kernelsOf } from '../../codegen/kernels.js'
import type { Prng } from '../../src/base/prng.js'
import type { Cursor, KeyBounds } from '../../src/storage/zstore.js'
import { Batch } from '../../src/zset/batch.js'
import { contents, sumOf } from '../zset/support.js'
import { Violation } from './common.js'
import type { TableModel } from './model.js'
import { compare, type Universe, type Weights } from './tables.js'

/** What tables and snapshots have in common. */
interface Readable {
  runs?(): readonly Batch[]
  get(probe: Batch, p: number, out: Batch): number
  cursor(bounds?: KeyBounds): Cursor
}

function* batchesOf(cursor: Cursor): Generator<Batch, void, void> {
  try {
    for (let batch = cursor.next(); batch !== null; batch = cursor.next()) yield batch
  } finally {
    cursor.close()
  }
}

function refuse(table: TableModel, what: string, problem: string | null): void {
  if (problem !== null)
    throw new Violation(`table ${table.name} (${table.tableId}, ${table.kind}), ${what}: ${problem}`)
}

/** All rows; by a cursor, now and then by one with bounds, now and then by whole runs. */
export function checkStore(store: Readable, table: TableModel, expected: Weights, prng: Prng): void {
  const { universe } = table
  refuse(table, 'by cursor', compare(universe, batchesOf(store.cursor()), expected))
  if (prng.chance(0.3)) checkRange(store, table, expected, prng)
  if (prng.chance(0.1) && store.runs !== undefined) {
    const sums = sumOf(...store.runs().map(contents))
    // Parts may be sums modulo 2^64.
    for (const [text, sum] of sums) if (BigInt.asIntN(64, sum) === 0n) sums.delete(text)
    const isRight = ([row, weight]: [number, bigint]) =>
      BigInt.asIntN(64, sums.get(universe.texts[row]) ?? 0n) === weight
    const whole = sums.size === expected.size && [...expected].every(isRight)
    refuse(table, 'by runs', whole ? null : `expected ${expected.size} rows, found ${sums.size}`)
  }
}

/** A batch with one row of the universe. */
function probeOf(universe: Universe, row: number): Batch {
  const probe = new Batch(universe.layout, 1)
  kernelsOf(universe.layout, 'generic').copyRow(universe.rows, row, probe, 0)
  probe.length = 1
  return probe
}

function checkRange(store: Readable, table: TableModel, expected: Weights, prng: Prng): void {
  const { universe } = table
  const [low, high] = [prng.below(universe.rows.length), prng.below(universe.rows.length)]
  const after = prng.chance(0.5)
  const bounds: KeyBounds = {
    [after ? 'after' : 'from']: probeOf(universe, low),
    ...(prng.chance(0.7) ? { to: probeOf(universe, high) } : {}),
  }
  const first = after ? endOfGroup(universe, low) : universe.group[low]
  const end = bounds.to === undefined ? universe.rows.length : universe.group[high]
  const what = `from row ${first} to ${end}`
  refuse(table, what, compare(universe, batchesOf(store.cursor(bounds)), expected, first, end))
}

function endOfGroup({ group, rows }: Universe, row: number): number {
  let end = row
  while (end < rows.length && group[end] === group[row]) end++
  return end
}

/** A few keys, half of them of rows that are there. */
export function checkGet(store: Readable, table: TableModel, expected: Weights, prng: Prng): void {
  const { universe } = table
  const live = [...expected.keys()]
  const out = new Batch(universe.layout, 1)
  for (let n = 0; n < 6; n++) {
    const row = live.length > 0 && prng.chance(0.6) ? prng.pick(live) : prng.below(universe.rows.length)
    const count = store.get(probeOf(universe, row), 0, out)
    const first = universe.group[row]
    refuse(table, `key of row ${row}`, compare(universe, [out], expected, first, endOfGroup(universe, row)))
    refuse(table, `key of row ${row}`, count === out.length ? null : `said ${count} rows, gave ${out.length}`)
  }
}
