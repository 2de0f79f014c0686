/**
 * What the simulation knows about tables without asking the storage: a small universe of rows per table, in order, and
 * weights by the number of a row. Deltas are picked from the universe and what is read is compared with it.
 */
import { kernelsOf } from '../../codegen/kernels.js'
import type { Prng } from '../../src/base/prng.js'
import { arrangedLayout, type Layout } from '../../src/schema/schema.js'
import type { Value } from '../../src/schema/types.js'
import { Batch } from '../../src/zset/batch.js'
import type { Kernels } from '../../src/zset/kernels.js'
import { contents, runOf, schemaOf, textOf } from '../zset/support.js'

export type KernelMode = 'generic' | 'compiled'

interface Shape {
  readonly columns: readonly string[]
  readonly key: readonly number[]
  row(n: number): Value[]
}

const ENDINGS = ['', 'a', 'short text', 'a text that is long enough for the heap, and for a value log if it must be, ']
const text = (n: number) => ENDINGS[n % 4] + (n >> 2)

const SHAPES: readonly Shape[] = [
  {
    columns: ['id:u64', 'v:i32', 'x:f64?'],
    key: [0],
    row: n => [BigInt(n >> 1) << BigInt((n >> 1) % 40), n & 1, n % 3 === 0 ? null : n / 2],
  },
  {
    columns: ['name:string', 'note:string?', 'n:i64'],
    key: [0],
    row: n => [text(n >> 1), n % 5 === 0 ? null : text(n % 11), BigInt(n & 1)],
  },
  {
    columns: ['a:u64', 'b:u64', 's:string'],
    key: [0, 1],
    row: n => [BigInt(n >> 3), BigInt((n >> 1) & 3), text(n & 1)],
  },
  { columns: ['k:i64', 's:string?'], key: [0], row: n => [BigInt(n >> 2) - 15n, n % 4 === 0 ? null : text(n % 4)] },
  {
    columns: ['g:i16', 'u:u128', 'f:bool?'],
    key: [0],
    row: n => [n >> 5, BigInt(n) << 80n, n % 3 === 0 ? null : n % 3 === 1],
  },
]

/** How many shapes a table may have. */
export const SHAPE_COUNT = SHAPES.length
const UNIVERSE_ROWS = 160

/** A layout and all rows that a table of it may have. */
export interface Universe {
  readonly layout: Layout
  /** Every row once, in the layout's order. */
  readonly rows: Batch
  readonly texts: readonly string[]
  /** By row: the first row that has its key. */
  readonly group: readonly number[]
}

const universes = new Map<string, Universe>()

export function universeOf(name: string, shape: number): Universe {
  const id = `${name} ${shape}`
  let universe = universes.get(id)
  if (universe === undefined) {
    const { columns, key, row } = SHAPES[shape]
    const layout = arrangedLayout(schemaOf(name, ...columns), key)
    const all = Array.from({ length: UNIVERSE_ROWS }, (_, n) => row(n))
    const distinct = [...new Map(all.map(values => [textOf(values), values])).values()]
    const rows = runOf(
      layout,
      distinct.map(values => ({ row: values, weight: 1n })),
    )
    const listed = contents(rows)
    const keys = listed.map(r => textOf(key.map(c => r.row[c])))
    universe = { layout, rows, texts: listed.map(r => textOf(r.row)), group: keys.map(k => keys.indexOf(k)) }
    universes.set(id, universe)
  }
  return universe
}

/** Weights by row of the universe; zeros are not kept. */
export type Weights = Map<number, bigint>

export function addTo(weights: Weights, delta: Weights, sign = 1n): void {
  for (const [row, weight] of delta) {
    const sum = (weights.get(row) ?? 0n) + sign * weight
    if (sum === 0n) weights.delete(row)
    else weights.set(row, sum)
  }
}

export const fits = (weight: bigint): boolean => BigInt.asIntN(64, weight) === weight

export interface DeltaStyle {
  /** No row's weight may fall below zero. */
  readonly nonNegative: boolean
  /** Weights near the limits of an i64. */
  readonly heavy: boolean
}

/** A random change of a table that has `live` now. */
export function pickDelta(universe: Universe, live: Weights, prng: Prng, style: DeltaStyle): Weights {
  const total = universe.rows.length
  const size = prng.chance(0.08) ? total >> 1 : 1 + prng.below(12)
  const rows = [...live.keys()]
  const delta: Weights = new Map()
  for (let n = 0; n < size; n++) {
    if (rows.length > 0 && prng.chance(0.45)) {
      const row = prng.pick(rows)
      const weight = live.get(row) as bigint
      const all = style.nonNegative || prng.chance(0.7)
      delta.set(row, all ? -weight : -1n)
    } else {
      const weight = style.heavy && prng.chance(0.3) ? (1n << 62n) + BigInt(prng.below(9)) : 1n + BigInt(prng.below(2))
      const sign = !style.nonNegative && prng.chance(0.3) ? -1n : 1n
      delta.set(prng.below(total), sign * weight)
    }
  }
  for (const [row, weight] of delta) if (!fits(weight) || weight === 0n) delta.delete(row)
  return delta
}

/** The consolidated batch of a change. */
export function batchOf(universe: Universe, layout: Layout, delta: Weights, kernels: Kernels): Batch {
  const batch = new Batch(layout, delta.size)
  for (const row of [...delta.keys()].sort((a, b) => a - b)) {
    kernels.copyRow(universe.rows, row, batch, batch.length)
    batch.weights[batch.length++] = delta.get(row) as bigint
  }
  batch.order = 'consolidated'
  return batch
}

/** What is wrong with rows that should be the sum of `expected`; null if nothing is. `from`…`to`: rows that count. */
export function compare(
  universe: Universe,
  batches: Iterable<Batch>,
  expected: Weights,
  from = 0,
  to = universe.rows.length,
): string | null {
  const kernels = kernelsOf(universe.layout, 'generic')
  const rows = [...expected.keys()].filter(row => row >= from && row < to).sort((a, b) => a - b)
  let at = 0
  for (const batch of batches) {
    for (let i = 0; i < batch.length; i++, at++) {
      const row = rows[at]
      const isRight = at < rows.length && kernels.compareRows(batch, i, universe.rows, row) === 0
      if (isRight && batch.weights[i] === expected.get(row)) continue
      const wanted = at < rows.length ? `${universe.texts[row]} × ${expected.get(row)}` : 'nothing'
      return `expected as row ${at} ${wanted}, found ${textOf(contents(batch)[i].row)} × ${batch.weights[i]}`
    }
  }
  return at === rows.length
    ? null
    : `expected ${rows.length} rows, found ${at}; the next is ${universe.texts[rows[at]]}`
}
