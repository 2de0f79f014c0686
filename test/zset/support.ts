/**
 * What the tests of batches and kernels share: layouts, random weighted rows, and the model, which is a plain sorted
 * list of rows that knows nothing of batches.
 */
import fc from 'fast-check'
import { keyLanesOf, readRow, writeRow } from '../../codegen/expr/plain.js'
import { kernelsOf } from '../../codegen/kernels.js'
import { arrangedLayout, type Layout, type RowSchema, rowSchema } from '../../src/schema/schema.js'
import { TYPES, type TypeName, type Value } from '../../src/schema/types.js'
import { compareValues, normalise } from '../../src/schema/values.js'
import { cellArb } from '../../src/testing/index.js'
import { Batch } from '../../src/zset/batch.js'
import type { Kernels } from '../../src/zset/kernels.js'

/** A row and its weight. */
export interface Weighted {
  readonly row: readonly Value[]
  readonly weight: bigint
}

export const MODES = ['generic', 'compiled'] as const

/** A schema from `name:type` and `name:type?` (nullable). */
export function schemaOf(name: string, ...columns: readonly string[]): RowSchema {
  return rowSchema(
    name,
    columns.map(text => {
      const [column, type] = text.split(':')
      return { name: column, type: type.replace('?', '') as TypeName, nullable: type.endsWith('?') }
    }),
  )
}

const ALL_TYPES = Object.keys(TYPES) as TypeName[]
const many = Array.from({ length: 66 }, (_, n) => `n${n}:${n % 7 === 0 ? 'i16' : 'bool'}?`)

/** Packed keys of one and two words, hashed keys, descending columns, every type, two null words. */
export const LAYOUTS: readonly Layout[] = [
  arrangedLayout(schemaOf('one', 'id:u64', 'note:string?', 'x:f64'), [0]),
  arrangedLayout(schemaOf('small', 'a:i8', 'b:u16?', 'c:i64'), [0]),
  arrangedLayout(schemaOf('bool', 'a:bool?', 'b:bool'), [0]),
  arrangedLayout(schemaOf('signed', 'k:i64', 'v:i32?'), [0]),
  arrangedLayout(schemaOf('nullableKey', 'k:i64?', 'v:u8'), [0]),
  arrangedLayout(schemaOf('floats', 'x:f64?', 'y:f32', 'z:f64'), [1, 0]),
  arrangedLayout(schemaOf('pair', 'a:u32', 'b:i64', 'c:string', 'd:bytes?'), [1, 0]),
  arrangedLayout(schemaOf('wide', 'id:uuid', 'big:u128', 'v:timestamp?'), [0]),
  arrangedLayout(schemaOf('whole', 'a:date', 'b:i16'), [0, 1]),
  arrangedLayout(schemaOf('text', 'name:string', 'n:i64'), [0]),
  arrangedLayout(schemaOf('texts', 'a:string?', 'b:bytes', 'c:u64?'), [1, 0]),
  arrangedLayout(schemaOf('long', 'a:u64', 'b:u64', 'c:u8?', 'd:f32?'), [0, 1, 2]),
  arrangedLayout(schemaOf('nothing', 'a:i32', 'b:string'), []),
  arrangedLayout(
    schemaOf('ranked', 'g:i32', 's:string?', 't:f64?', 'u:u128'),
    [0],
    [
      { index: 2, descending: true },
      { index: 1, descending: true },
    ],
  ),
  arrangedLayout(schemaOf('rankedText', 'g:string', 'v:i64?', 'w:u64'), [0], [{ index: 1, descending: true }]),
  arrangedLayout(
    rowSchema(
      'types',
      ALL_TYPES.map(type => ({ name: `${type}$`, type, nullable: type.length > 3 })),
    ),
    [4],
  ),
  arrangedLayout(schemaOf('nulls', ...many), [0]),
]

export const layoutArb = fc.constantFrom(...LAYOUTS)

const LONG_TEXTS = [
  'shared prefix, then a',
  'shared prefix, then b',
  'shared prefix, then',
  `${'x'.repeat(300)}é`,
  'x'.repeat(300),
]

const longText = fc.constantFrom(...LONG_TEXTS)

/** Random canonical rows of a schema: NULLs, extremes, NaN, texts that share prefixes. */
export function rowOf(schema: RowSchema): fc.Arbitrary<Value[]> {
  const cells = schema.columns.map(column => {
    const cell = cellArb(column) as fc.Arbitrary<Value>
    const arb =
      column.type === 'string' ? fc.oneof({ weight: 4, arbitrary: cell }, { weight: 1, arbitrary: longText }) : cell
    return arb.map(value => (value === null ? null : (normalise(column.type, value) as Value)))
  })
  return fc.tuple(...cells)
}

export const weights = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(1n, 1n, -1n) },
  { weight: 1, arbitrary: fc.constantFrom(0n, 2n, -3n, 1n << 31n, -(1n << 33n), 1n << 50n) },
)

const poolOf = (schema: RowSchema) => fc.array(rowOf(schema), { minLength: 1, maxLength: 12, size: 'max' })
const picksOf = (maxLength: number) => fc.array(fc.tuple(fc.nat(0xffff), weights), { maxLength, size: 'max' })
const pick = (pool: readonly Value[][], picks: readonly (readonly [number, bigint])[]): Weighted[] =>
  picks.map(([n, weight]) => ({ row: pool[n % pool.length], weight }))

/** Weighted rows with many repetitions. */
export function weightedRows(schema: RowSchema, maxLength = 40): fc.Arbitrary<Weighted[]> {
  return fc.tuple(poolOf(schema), picksOf(maxLength)).map(([pool, picks]) => pick(pool, picks))
}

/** A layout of the list, and lists of weighted rows that have most rows in common. */
export function layoutAndRows(lists: number, maxLength = 40, layouts = layoutArb) {
  return layouts.chain(layout => {
    const picks = fc.array(picksOf(maxLength), { minLength: lists, maxLength: lists })
    return fc
      .tuple(poolOf(layout.schema), picks)
      .map(([pool, all]) => ({ layout, lists: all.map(list => pick(pool, list)) }))
  })
}

/** Replaces the key lanes of a hashed key, so that different keys meet. */
export type Collide = (lanes: readonly number[]) => readonly number[]
/** Two hashes for everything. */
export const twoHashes: Collide = lanes => [lanes[0] & 1, 7, 0, 9]

/** Rows as a raw batch, in the order given. */
export function batchOf(layout: Layout, rows: readonly Weighted[], collide: Collide | null = null): Batch {
  const batch = new Batch(layout, rows.length)
  rows.forEach(({ row, weight }, k) => {
    writeRow(batch, k, row)
    if (collide !== null) batch.keys32.set(collide(keyLanesOf(layout, row)), k * layout.key.words * 2)
    batch.weights[k] = weight
  })
  batch.length = rows.length
  return batch
}

/** What a batch holds, in its order. */
export function contents(batch: Batch): Weighted[] {
  return Array.from({ length: batch.length }, (_, i) => ({ row: readRow(batch, i), weight: batch.weights[i] }))
}

/** Text that two canonical rows share exactly if they are equal. */
export function textOf(row: readonly Value[]): string {
  return JSON.stringify(
    row.map(value => {
      if (value === null || typeof value === 'string' || typeof value === 'boolean') return value
      return value instanceof Uint8Array ? { bytes: [...value] } : { [typeof value]: String(value) }
    }),
  )
}

/** The sum of Z-sets, by text of the row, without zeros. */
export function sumOf(...lists: readonly (readonly Weighted[])[]): Map<string, bigint> {
  const sums = new Map<string, bigint>()
  for (const { row, weight } of lists.flat()) sums.set(textOf(row), (sums.get(textOf(row)) ?? 0n) + weight)
  for (const [text, weight] of sums) if (weight === 0n) sums.delete(text)
  return sums
}

/** The order of a layout, by values; for hashed keys by the hash first. */
export function compareModel(
  layout: Layout,
  a: readonly Value[],
  b: readonly Value[],
  collide: Collide | null = null,
): number {
  const { key, order, schema } = layout
  if (key.kind === 'hash') {
    const [x, y] = [a, b].map(row => keyLanesOf(layout, row)).map(lanes => (collide === null ? lanes : collide(lanes)))
    for (let l = 3; l >= 0; l--) if (x[l] !== y[l]) return x[l] - y[l]
  } else {
    for (const c of key.columns) {
      const order = compareValues(schema.columns[c].type, a[c], b[c])
      if (order !== 0) return order
    }
  }
  for (const { column, descending } of order) {
    const order = compareValues(column.type, a[column.index], b[column.index])
    if (order !== 0) return descending ? -order : order
  }
  return 0
}

/** The consolidated run that these rows make, put together without kernels. */
export function runOf(layout: Layout, rows: readonly Weighted[], collide: Collide | null = null): Batch {
  const sums = sumOf(rows)
  const distinct = new Map(rows.map(({ row }) => [textOf(row), row]))
  const list = [...sums].map(([text, weight]) => ({ row: distinct.get(text) as readonly Value[], weight }))
  list.sort((a, b) => compareModel(layout, a.row, b.row, collide))
  const run = batchOf(layout, list, collide)
  run.order = 'consolidated'
  return run
}

/** What is wrong with a consolidated run; null if nothing is. */
export function flaw(layout: Layout, run: Batch, collide: Collide | null = null): string | null {
  const list = contents(run)
  for (const [i, { row, weight }] of list.entries()) {
    if (weight === 0n) return `row ${i} has weight zero`
    if (i > 0 && compareModel(layout, list[i - 1].row, row, collide) >= 0) return `row ${i} is not after row ${i - 1}`
  }
  return null
}

/** Kernels of a layout both ways: every law is checked on each of them. */
export function eachMode(layout: Layout, check: (kernels: Kernels, mode: string) => void): void {
  for (const mode of MODES) check(kernelsOf(layout, mode), mode)
}

export const sign = (order: number): number => Math.sign(order)
export const I64_MAX = 2n ** 63n - 1n
export const I64_MIN = -(2n ** 63n)
