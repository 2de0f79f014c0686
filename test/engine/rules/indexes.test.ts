/** Secondary indexes: scans equal sorted filters of the table's rows, whatever the types, directions and bounds. */
import { describe, expect, it } from 'vitest'
import {
  bool,
  bytes,
  type ColumnBuilder,
  f64,
  fn,
  i32,
  i64,
  open,
  string,
  table,
  u8,
  u16,
  u64,
  u128,
  uuid,
  type Value,
  view,
  withContext,
} from '../../../src/index.js'
import { compareValues } from '../../../src/schema/values.js'
import { type AnyRow, anyTable, expectError, picker } from '../support.js'

const orders = table(
  'orders',
  { id: u64().primaryKey(), region: string(), at: i64(), note: string().nullable() },
  {
    indexes: {
      byRegion: { on: ['region', { by: 'at', desc: true }] },
      byLength: { on: [{ by: o => o.region.length, name: 'length' }] },
      byUpper: { on: [{ by: withContext((o, { upper }) => upper(o.region), { upper: fn.upper }), desc: true }] },
    },
  },
)

const rows = [
  { id: 1n, region: 'north', at: 5n, note: null },
  { id: 2n, region: 'north', at: 9n, note: 'x' },
  { id: 3n, region: 'south', at: 7n, note: 'y' },
  { id: 4n, region: 'a region with a long name', at: -3n, note: null },
  { id: 5n, region: 'a region with a longer name', at: 3n, note: null },
]
const ids = (found: Iterable<{ id: bigint }>) => Array.from(found, r => Number(r.id))

describe('an index', () => {
  const db = open()
  const handle = db.createTable(orders)
  db.insert(orders, rows)

  it('reads in its order, all columns of a row', () => {
    expect(handle.index('byRegion').rows()).toEqual([rows[3], rows[4], rows[1], rows[0], rows[2]])
    expect(ids(handle.index('byUpper').rows())).toEqual([3, 2, 1, 5, 4])
    expect(ids(handle.index('byLength').rows())).toEqual([1, 2, 3, 4, 5])
  })

  it('finds by equality, by prefix and by range', () => {
    const byRegion = handle.index('byRegion')
    expect(ids(byRegion.find('north'))).toEqual([2, 1])
    expect(ids(byRegion.find(['north', 5]))).toEqual([1])
    expect(ids(byRegion.find({ region: 'north', at: 5n }))).toEqual([1])
    expect(byRegion.find('nort')).toEqual([])
    expect(ids(byRegion.range({ from: 'north', to: ['south', 8] }))).toEqual([2, 1])
    expect(ids(byRegion.range({ from: ['north', 6], reverse: true }))).toEqual([3, 1])
    expect(ids(byRegion.range({ after: ['north', 9], limit: 1 }))).toEqual([1])
    expect(ids(byRegion.range({ to: 'a region with a long name' }))).toEqual([4])
    expect(ids(handle.index('byLength').find({ length: 5 }))).toEqual([1, 2, 3])
    expect(ids(handle.index('byUpper').range({ from: 'SOUTH', to: 'NORTH' }))).toEqual([3, 2, 1])
  })

  it('is created on a loaded table, shared with a view, and dropped', () => {
    const lines: (readonly [number, number])[] = []
    const byAt = db.createIndex(orders, 'byAt', { on: ['at'] }, { onProgress: (...done) => void lines.push(done) })
    expect(lines.at(-1)).toEqual([5, 5])
    expect(ids(byAt.rows())).toEqual([4, 5, 1, 3, 2])
    const times = anyTable('times', { at: i64() })
    const joined = db.createView(
      view('joined', q =>
        q.from(orders).join(
          times,
          (o, t) => o.at === t.at,
          o => ({ id: o.id }),
        ),
      ),
    )
    expect(joined.stats().operators.some(o => o.id === byAt.stats().id)).toBe(true)
    db.insert(times, { at: 9n })
    expect(joined.rows()).toEqual([{ id: 2n }])
    db.dropIndex(orders, 'byAt')
    expectError(() => byAt.rows(), 'USAGE', 'index "byAt" of table "orders" was dropped')
    db.insert(times, { at: 7n })
    expect(joined.rows()).toEqual([{ id: 2n }, { id: 3n }])
    db.dropView('joined')
    const again = db.createIndex(orders, 'byAt', { on: ['at'] })
    expect(ids(again.rows())).toEqual([4, 5, 1, 3, 2])
    db.dropIndex('orders', 'byAt')
  })

  it('refuses what cannot be', () => {
    expectError(() => db.createIndex(orders, 'byRegion', { on: ['at'] }), 'USAGE', 'has an index "byRegion" already')
    expectError(
      () => db.createIndex(orders, 'x', { on: [] }),
      'SCHEMA',
      'expected an array of columns or lambdas, found an empty one',
    )
    expectError(() => db.createIndex(orders, 'x', { on: ['at', 'at'] }), 'SCHEMA', '"at" is listed twice')
    // @ts-expect-error there is no such column
    expectError(() => db.createIndex(orders, 'x', { on: ['nowhere'] }), 'SCHEMA', 'there is no column "nowhere"')
    expectError(
      () => db.createIndex<AnyRow, AnyRow>('nowhere', 'x', { on: [] }),
      'USAGE',
      'there is no table "nowhere"',
    )
    expectError(() => db.dropIndex(orders, 'x'), 'USAGE', 'has no index "x"; its indexes: "byRegion"')
    expectError(() => handle.index('byRegion').find([1]), 'USAGE', 'index "byRegion of table orders"')
    const known = 'table orders": range: unknown option "form"; the options are from, to'
    expectError(() => handle.index('byRegion').range({ form: 1 } as never), 'USAGE', known)
    const moving = handle.index('byRegion').range()
    moving.next()
    db.insert(orders, { id: 6, region: 'west', at: 1 })
    expectError(() => moving.next(), 'USAGE', 'changed while it was iterated over')
    db.delete(orders, { id: 6, region: 'west', at: 1 })
  })
})

// ---- against sorted filters

const TEXTS = [
  '',
  'a',
  'ab',
  'abcdefg',
  'abcdefgh',
  'abcdefghi',
  'abcdefghz',
  'https://example.org/a',
  'https://example.org/b',
  '\u{1f600}',
  'é',
]
const pick = <T>(next: (n: number) => number, values: readonly T[]): T => values[next(values.length)]

interface Kind {
  readonly make: () => ColumnBuilder<unknown, boolean, unknown>
  readonly value: (next: (n: number) => number) => Value
}

const KINDS: readonly Kind[] = [
  { make: u8, value: n => n(4) },
  { make: i32, value: n => pick(n, [-(2 ** 31), -1, 0, 1, 2 ** 31 - 1]) },
  { make: i64, value: n => pick(n, [-(2n ** 63n), -1n, 0n, 1n, 2n ** 63n - 1n]) },
  { make: u64, value: n => pick(n, [0n, 1n, 2n ** 32n, 2n ** 64n - 1n]) },
  { make: u128, value: n => pick(n, [0n, 1n, 2n ** 64n, 2n ** 64n + 1n, 2n ** 128n - 1n]) },
  { make: f64, value: n => pick(n, [Number.NaN, -Infinity, -1.5, 0, 3, Infinity]) },
  { make: bool, value: n => n(2) === 1 },
  { make: string, value: n => pick(n, TEXTS) },
  { make: bytes, value: n => Uint8Array.from({ length: n(12) }, () => n(2) * 255) },
  { make: uuid, value: n => `0000000${n(2)}-0000-0000-0000-00000000000${n(3)}` },
]

describe('scans of random indexes', () => {
  it('equal sorted filters of the rows', () => {
    const next = picker(7)
    for (let round = 0; round < 12; round++) oneRound(next, round)
  })
})

function oneRound(next: (n: number) => number, round: number): void {
  const kinds = Array.from({ length: 4 }, () => pick(next, KINDS))
  const nullable = kinds.map(() => next(2) === 1)
  const columns = Object.fromEntries(
    kinds.map((kind, c) => [`c${c}`, nullable[c] ? kind.make().nullable() : kind.make()]),
  )
  const random = anyTable(`random${round}`, { ...columns, n: u16() })
  const terms = Array.from({ length: 1 + next(4) }, (_, c) => ({ by: `c${c}`, desc: next(2) === 1 }))
  const db = open(round % 10 === 0 ? { mode: 'generic' } : {})
  const handle = db.createTable(random)
  const cellOf = (c: number) => (nullable[c] && next(4) === 0 ? null : kinds[c].value(next))
  const live = new Map<number, AnyRow>()
  if (next(2) === 0) db.createIndex(handle, 'i', { on: terms })
  for (let step = 0; step < 3; step++) {
    db.transact(tx => {
      for (let k = next(step === 0 ? 200 : 10); k > 0; k--) {
        const n = next(150)
        const old = live.get(n)
        if (old !== undefined) tx.delete(random, old)
        const row: AnyRow = { ...Object.fromEntries(kinds.map((_, c) => [`c${c}`, cellOf(c)])), n }
        if (old === undefined || next(2) === 0) {
          tx.insert(random, row)
          live.set(n, row)
        } else live.delete(n)
      }
    })
    if (handle.indexes.length === 0) db.createIndex(handle, 'i', { on: terms })
    expectScans([...live.values()])
  }

  function compareTo(row: AnyRow, values: readonly Value[]): number {
    for (let k = 0; k < values.length; k++) {
      const type = random.schema.columns[k].type
      const order = compareValues(type, row[`c${k}`], values[k])
      if (order !== 0) return terms[k].desc ? -order : order
    }
    return 0
  }

  function expectScans(rows: readonly AnyRow[]): void {
    const index = handle.index('i')
    const termsOf = (row: AnyRow) => terms.map(t => row[t.by])
    const sorted = [...rows].sort((a, b) => compareTo(a, termsOf(b)))
    const shape = (found: readonly AnyRow[]) => found.map(row => termsOf(row).map(String).join('|')).join('\n')
    const numbers = (found: readonly AnyRow[]) => Array.from(found, r => Number(r.n)).sort((a, b) => a - b)
    const same = (found: readonly AnyRow[], wanted: readonly AnyRow[]) => {
      expect(shape(found)).toBe(shape(wanted))
      expect(numbers(found).join()).toBe(numbers(wanted).join())
    }
    same(index.rows(), sorted)
    for (let k = 0; k < 4; k++) {
      const bound = () => Array.from({ length: 1 + next(terms.length) }, (_, c) => cellOf(c))
      const [from, to, after] = [bound(), bound(), bound()]
      same(
        index.find(from),
        sorted.filter(r => compareTo(r, from) === 0),
      )
      const within = sorted.filter(r => compareTo(r, from) >= 0 && compareTo(r, to) <= 0)
      same([...index.range({ from, to })], within)
      same([...index.range({ from, to, reverse: true })], [...within].reverse())
      same(
        [...index.range({ after })],
        sorted.filter(r => compareTo(r, after) > 0),
      )
      const back = sorted.filter(r => compareTo(r, after) < 0).reverse()
      same([...index.range({ after, reverse: true })], back)
      expect(shape([...index.range({ after, reverse: true, limit: 2 })])).toBe(shape(back.slice(0, 2)))
    }
  }
}
