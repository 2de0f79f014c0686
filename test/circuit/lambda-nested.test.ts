/** Arrays, maps and json in lambdas: compiled views, next to what JavaScript says of the same values. */
import { describe, expect, test } from 'vitest'
import { array, decimal, fn, i32, i64, json, map, open, string, table, u64, view } from '../../src/index.js'

const t = table('t', {
  id: u64().primaryKey(),
  tags: array(string().nullable()).nullable(),
  tag: string().nullable(),
  at: i32(),
  sizes: array(i32()),
  costs: array(decimal(6, 2)),
  stock: map(string(), i64()),
  doc: json<number[]>(),
})

type Row = { id: bigint; tags: (string | null)[] | null; tag: string | null; at: number }
const ROWS: readonly Row[] = [
  { id: 1n, tags: ['a', null, 'b'], tag: null, at: -1 },
  { id: 2n, tags: ['a', 'b'], tag: null, at: 1 },
  { id: 3n, tags: ['b', 'a', 'b'], tag: 'b', at: -3 },
  { id: 4n, tags: [], tag: 'b', at: 0 },
  { id: 5n, tags: null, tag: null, at: 0 },
]

function opened() {
  const db = open()
  db.createTable(t)
  db.insert(
    t,
    ROWS.map(r => ({ ...r, sizes: [1, 2], costs: ['1.50'], stock: { a: 1n }, doc: [1, 2] })),
  )
  return db
}

describe('arrays', () => {
  test('an index does not count from the end, .at does', () => {
    const v = view('v', q =>
      q.from(t).map(
        (r, { fn }) => ({
          ...{ id: r.id, last: r.tags?.[-1], there: r.tags?.[r.at], end: r.tags?.at(-1), at: r.tags?.at(r.at) },
          ...{ member: r.doc[-1], element: fn.get(r.doc, -1), second: r.doc[1] },
        }),
        { fn },
      ),
    )
    expect(opened().createView(v).rows()).toEqual(
      ROWS.map(({ id, tags, at }) => ({
        ...{ id, last: null, there: tags?.[at] ?? null, end: tags?.at(-1) ?? null, at: tags?.at(at) ?? null },
        ...{ member: null, element: 2, second: 2 },
      })),
    )
  })

  test('NULL finds elements that are NULL', () => {
    const v = view('v', q =>
      q.from(t).map(r => ({
        ...{ id: r.id, has: r.tags?.includes(r.tag), first: r.tags?.indexOf(r.tag) },
        ...{ none: r.tags?.includes(null), at: r.tags?.indexOf(null) },
      })),
    )
    expect(opened().createView(v).rows()).toEqual(
      ROWS.map(({ id, tags, tag }) => ({
        ...{ id, has: tags?.includes(tag) ?? null, first: tags?.indexOf(tag) ?? null },
        ...{ none: tags?.includes(null) ?? null, at: tags?.indexOf(null) ?? null },
      })),
    )
  })

  test('numbers are found as === compares them', () => {
    const v = view('v', q =>
      q.from(t).map(r => ({
        ...{ half: r.sizes.includes(1.5), two: r.sizes.indexOf(2), cost: r.costs.includes('1.5') },
      })),
    )
    expect(opened().createView(v).rows()[0]).toEqual({ half: false, two: 1, cost: true })
  })
})

test('keys and elements of another type are refused', () => {
  const making = (map: (r: never) => object) => () => view('v', q => q.from(t).map(map as never))
  // @ts-expect-error keys are text
  const key = () => view('v', q => q.from(t).map(r => ({ x: r.stock.get(5) })))
  expect(key).toThrow('.get of a map(string,i64): expected a string, found an f64')
  const computed = (r: { stock: Map<unknown, bigint>; at: number }) => ({ x: r.stock.has(r.at) })
  expect(making(computed)).toThrow('.has of a map(string,i64): expected a string, found an i32')
  const element = (r: { sizes: unknown[] }) => ({ x: r.sizes.includes('1') })
  expect(making(element)).toThrow('.includes of an array(i32): expected an i32, found a string')
})
