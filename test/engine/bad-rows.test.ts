/** Rows and columns that do not fit: a typed error that says where, and nothing changed. */
import { describe, expect, it } from 'vitest'
import type { ColumnBuilder } from '../../src/circuit/columns.js'
import {
  bool,
  bytes,
  count,
  date,
  f32,
  f64,
  i8,
  i16,
  i32,
  i64,
  max,
  min,
  open,
  type RowError,
  string,
  table,
  time,
  timestamp,
  timestamptz,
  u8,
  u16,
  u32,
  u64,
  u128,
  uuid,
  type Value,
  view,
} from '../../src/index.js'
import { type AnyRow, anyTable, expectError, expectRefused, MAX_I64, MIN_I64 } from './support.js'

interface TypeCase {
  readonly make: () => ColumnBuilder<unknown, false, unknown>
  readonly good: readonly Value[]
  readonly wrong: readonly unknown[]
}

const types: Record<string, TypeCase> = {
  bool: { make: bool, good: [true, false], wrong: ['true', 2, 1n] },
  i8: { make: i8, good: [-128, 127, 0], wrong: [128, -129, 1.5, 1n, '1', Number.NaN, Infinity] },
  u8: { make: u8, good: [0, 255], wrong: [256, -1, 1n] },
  i16: { make: i16, good: [-32768, 32767], wrong: [32768, -32769] },
  u16: { make: u16, good: [65535, 0], wrong: [65536, -1] },
  i32: { make: i32, good: [-(2 ** 31), 2 ** 31 - 1], wrong: [2 ** 31, -(2 ** 31) - 1] },
  u32: { make: u32, good: [2 ** 32 - 1, 0], wrong: [2 ** 32, -1] },
  i64: { make: i64, good: [MIN_I64, MAX_I64, 0n], wrong: [MAX_I64 + 1n, MIN_I64 - 1n, 2 ** 53, 1.5, '1', Number.NaN] },
  u64: { make: u64, good: [2n ** 64n - 1n, 2n ** 63n, 0n], wrong: [2n ** 64n, -1n, -1, 2 ** 53] },
  u128: { make: u128, good: [2n ** 128n - 1n, 2n ** 64n, 0n], wrong: [2n ** 128n, -1n, 1.5] },
  f32: { make: f32, good: [1.5, Number.NaN, Infinity, -Infinity, 0], wrong: [1e300, '1', 1n] },
  f64: { make: f64, good: [1.5, Number.NaN, Infinity, -Infinity, 0, 5e-324], wrong: ['1', 1n, true] },
  uuid: {
    make: uuid,
    good: ['ffffffff-ffff-ffff-ffff-ffffffffffff', '00000000-0000-0000-0000-000000000000'],
    wrong: ['x', '', 1, '00000000000000000000000000000000'],
  },
  string: {
    make: string,
    good: ['', 'abcdefghijkl', 'abcdefghijklm', '😀😀😀😀', '\u0000', '\uffff'],
    wrong: ['\ud800', 'a\udc00b', '\udc00\ud800', 1, Symbol('x'), {}],
  },
  bytes: {
    make: bytes,
    good: [new Uint8Array(0), Uint8Array.of(1, 2, 3), new Uint8Array(99).fill(9)],
    wrong: [[1], 'x', new Int8Array(2), new ArrayBuffer(4)],
  },
  date: { make: date, good: [-(2 ** 31), 2 ** 31 - 1, 0], wrong: ['2001-02-30', 'x', 2 ** 31, new Date(1), 1n] },
  time: { make: time, good: [0n, 86_399_999_999n], wrong: [86_400_000_000n, -1n, '24:00:00', 1.5] },
  timestamp: { make: timestamp, good: [MIN_I64, MAX_I64], wrong: [2n ** 63n, 'x', new Date(Number.NaN)] },
  timestamptz: { make: timestamptz, good: [0n, 1n], wrong: ['2001-13-01', {}, 1.5] },
}

const NO_ROWS: readonly unknown[] = [5, 'x', [null], [[]], [5], null, undefined, true, Symbol.iterator, {}]

describe('a column of type', () => {
  it.each(Object.keys(types))('%s takes its values and refuses others, as rows and as columns', name => {
    const { make, good, wrong } = types[name]
    const db = open()
    const t = anyTable('t', { id: make().primaryKey(), n: make().nullable() })
    const h = db.createTable(t)
    const v = db.createView(
      view('v', q =>
        q
          .from(t)
          .groupBy(r => ({ id: r.id }))
          .aggregate({ lo: min(r => r.n), hi: max(r => r.n), c: count(r => r.n) }),
      ),
    )
    for (const x of good) {
      db.insert(t, [{ id: x, n: x }, { id: x } as never])
      db.ingest(t, { columns: { id: [x, x], n: [x, null] } })
    }
    for (const x of good) {
      expect(h.getAll(x)).toHaveLength(4)
      expect(v.get(x)).toEqual({ id: x, lo: x, hi: x, c: 2n })
    }
    expect([h.size, h.count(), v.size]).toEqual([good.length * 2, BigInt(good.length * 4), good.length])
    const fit = { id: good[0] } as never
    for (const x of wrong) {
      expectRefused(db, () => db.insert(t, { id: x } as never), 'ROW', '"id"')
      expectRefused(db, () => db.insert(t, { id: good[0], n: x } as never), 'ROW', '"n"')
      expectRefused(db, () => db.ingest(t, { columns: { id: [good[0], x] } }), 'ROW', 'row 1')
      expectRefused(db, () => db.transact(tx => tx.insert(t, [fit, { id: x }] as never)), 'ROW', 'row 1')
      expectError(() => h.get(x as Value), 'USAGE', '"id"')
    }
    expectRefused(db, () => db.insert(t, { id: null }), 'ROW', 'null')
    for (const x of good) {
      db.delete(t, [
        { id: x, n: x },
        { id: x, n: null },
      ])
      db.ingest(t, { columns: { id: [x, x], n: [x, null] }, weights: Int32Array.of(-1, -1) })
    }
    expect([h.entries(), v.entries(), h.get(good[0]), v.get(good[0])]).toEqual([[], [], undefined, undefined])
  })
})

const t = table('t', { id: i64().primaryKey(), v: i32().nullable(), s: string() })

describe('rows', () => {
  it('that are none are refused', () => {
    const db = open()
    db.createTable(t)
    for (const x of NO_ROWS) expectRefused(db, () => db.insert(t, x as never), 'ROW')
  })

  it('that have to be iterated over are refused, also where every column may be left out', () => {
    const optional = table('optional', { id: i64().primaryKey().default(1), s: string().nullable() })
    const db = open()
    db.createTable(optional)
    for (const rows of [new Set([{ id: 2 }]), [{ id: 2 }].values()]) {
      expectRefused(db, () => db.insert(optional, rows as never), 'ROW', 'Array.from makes an array')
    }
  })

  it('with unknown or missing columns are refused, by name', () => {
    const db = open()
    db.createTable(t)
    expectRefused(db, () => db.insert(t, { id: 1, s: '', nope: 1 } as never), 'ROW', '"nope"')
    expectRefused(db, () => db.insert(t, { id: 1 } as never), 'ROW', 'missing')
    const error = expectError(() => db.insert(t, [{ id: 1, s: '' }, { id: 2, s: 7 } as never]), 'ROW') as RowError
    expect([error.table, error.column, error.row]).toEqual(['t', 's', 1])
  })

  it('may be of any class, without a prototype, or frozen', () => {
    const hostile = table('h', { id: i64().primaryKey(), s: string().nullable(), toString: i32() })
    class Row {
      toString = 5
      constructor(readonly id: number) {}
      get s() {
        return 'from a getter'
      }
    }
    const db = open()
    const h = db.createTable(hostile)
    db.insert(hostile, new Row(1) as never)
    db.insert(hostile, Object.assign(Object.create(null), { id: 2, toString: 6 }))
    db.insert(hostile, Object.freeze({ id: 3, s: undefined, toString: 1 }))
    expectRefused(db, () => db.insert(hostile, { id: 3 } as never), 'ROW', 'missing')
    expectRefused(db, () => db.insert(hostile, { id: 3, toString: null } as never), 'ROW', 'null')
    expect(h.rows().map(r => [r.id, r.s, r.toString])).toEqual([
      [1n, 'from a getter', 5],
      [2n, null, 6],
      [3n, null, 1],
    ])
  })

  it('hold text and bytes up to 2^28 bytes', () => {
    const long = table('long', { id: i32(), b: bytes().nullable(), s: string().nullable() })
    const db = open()
    const h = db.createTable(long)
    expectRefused(db, () => db.insert(long, { id: 1, b: new Uint8Array(2 ** 28 + 1) }), 'ROW', '268435456 bytes')
    const { message } = expectError(() => db.insert(long, { id: 1, s: 'x'.repeat(2 ** 28 + 1) }), 'ROW', '268435456')
    expect(message.length).toBeLessThan(300)
    db.insert(long, { id: 1, s: 'y'.repeat(2 ** 22) })
    expect(h.rows()[0].s).toHaveLength(2 ** 22)
  })

  it('have any number of nullable columns', () => {
    const names = Array.from({ length: 130 }, (_, i) => `c${i}`)
    const wide = anyTable('wide', Object.fromEntries(names.map(n => [n, i64().nullable()])))
    const db = open()
    const h = db.createTable(wide)
    const v = db.createView(view('v', q => q.from(wide).filter(r => r.c129 !== null && r.c63 === null)))
    const row: AnyRow = Object.fromEntries(names.map((n, i) => [n, i % 3 === 0 && i < 129 ? null : BigInt(i)]))
    db.insert(wide, [row, {}])
    expect([v.rows(), h.size]).toEqual([[row], 2])
    db.delete(wide, [row, {}])
    expect(h.size).toBe(0)
  })
})

describe('columns', () => {
  const ok = { id: [1], s: ['a'] }
  const bad: Record<string, unknown> = {
    'different lengths': { columns: { id: [1, 2], s: ['a'] } },
    'a missing column': { columns: { id: [1] } },
    'an unknown column': { columns: { ...ok, nope: [1] } },
    'null flags where NULL is not allowed': { columns: ok, nulls: { s: Uint8Array.of(1) } },
    'too many null flags': { columns: ok, nulls: { v: Uint8Array.of(1, 1) } },
    'null flags that are no Uint8Array': { columns: ok, nulls: { v: [1] } },
    'null flags of an unknown column': { columns: ok, nulls: { nope: Uint8Array.of(1) } },
    'a flag that says there is a value, and none': { columns: ok, nulls: { v: Uint8Array.of(0) } },
    'too many weights': { columns: ok, weights: [1, 2] },
    'weights that are text': { columns: ok, weights: 'a' },
    'weights that are a number': { columns: ok, weights: 7 },
    'weights that are null': { columns: ok, weights: null },
    'a fraction as weight': { columns: ok, weights: [1.5] },
    'a column that is a number': { columns: { id: 1, s: ['a'] } },
    'a column that is undefined': { columns: { id: undefined, s: ['a'] } },
    'a column that is a Set': { columns: { id: new Set([1]), s: ['a'] } },
    'a column that is a DataView': { columns: { id: new DataView(new ArrayBuffer(8)), s: ['a'] } },
    'columns that are null': { columns: null },
    'columns that are an array': { columns: [1] },
    'columns that are a Map': { columns: new Map() },
    'no columns': {},
    'fractions for integers': { columns: { id: Float64Array.of(1.5), s: ['a'] } },
    'a u64 beyond i64': { columns: { id: BigUint64Array.of(2n ** 63n), s: ['a'] } },
    'a number': 5,
    text: 'x',
    null: null,
    undefined: undefined,
  }
  it.each(Object.keys(bad))('are refused: %s', what => {
    const db = open()
    db.createTable(t)
    expectRefused(db, () => db.ingest(t, bad[what] as never), 'ROW')
    db.insert(t, { id: 1, s: '' })
    expect(db.table(t).size).toBe(1)
  })

  it('of other classes are converted, views into buffers taken', () => {
    const db = open()
    const h = db.createTable(t)
    const ids = BigInt64Array.from([100n, 101n, 102n, 103n])
    db.ingest(t, {
      columns: { id: Float64Array.of(-1, 5), v: Int8Array.of(1, -1), s: ['a', 'b'] },
      weights: Int32Array.of(-1, 2),
      nulls: { v: Uint8Array.of(255, 0) },
    })
    db.ingest(t, { columns: { id: ids.subarray(1, 3), v: new Int32Array(new ArrayBuffer(64), 12, 2), s: ['', ''] } })
    expect(h.entries()).toEqual([
      { row: { id: -1n, v: null, s: 'a' }, weight: -1n },
      { row: { id: 5n, v: -1, s: 'b' }, weight: 2n },
      { row: { id: 101n, v: 0, s: '' }, weight: 1n },
      { row: { id: 102n, v: 0, s: '' }, weight: 1n },
    ])
  })

  it('may be empty', () => {
    const db = open()
    const h = db.createTable(t)
    db.ingest(t, { columns: { id: [], s: [] } })
    db.ingest(t, { columns: { id: new BigInt64Array(0), v: new Int32Array(0), s: [] }, weights: new BigInt64Array(0) })
    db.ingest(t, [])
    expect([db.lsn, h.size]).toEqual([3n, 0])
  })

  it('of floats become canonical: one NaN, one zero', () => {
    const floats = table('f', { k: f64(), g: f32() })
    const db = open()
    const h = db.createTable(floats)
    const v = db.createView(
      view('v', q =>
        q
          .from(floats)
          .groupBy(r => ({ k: r.k }))
          .aggregate({ n: count() }),
      ),
    )
    const k = new Float64Array(
      BigUint64Array.of(0x7ff8000000000001n, 0xfff8000000000000n, 0x8000000000000000n, 0n).buffer,
    )
    const g = new Float32Array(Uint32Array.of(0x7fc00001, 0xffc00000, 0x80000000, 0).buffer)
    db.ingest(floats, { columns: { k, g } })
    expect(v.rows()).toEqual([
      { k: 0, n: 2n },
      { k: Number.NaN, n: 2n },
    ])
    expect([v.get(-0)?.n, v.get(Number.NaN)?.n, h.entries().map(e => e.weight)]).toEqual([2n, 2n, [2n, 2n]])
    const zero = { k: -0, g: -0 }
    const nan = { k: Number.NaN, g: Number.NaN }
    db.delete(floats, [zero, { k: 0, g: 0 }, nan, nan])
    expect([h.entries(), v.entries()]).toEqual([[], []])
  })

  it('of floats become canonical wherever they stand', () => {
    const floats = table('floats', { k: f64() })
    for (let n = 1; n < 10; n++) {
      for (let at = 0; at < n; at++) {
        for (const [odd, kept] of [
          [-0, 0],
          [Number.NaN, Number.NaN],
          [-5e-324, -5e-324],
        ]) {
          const db = open()
          const h = db.createTable(floats)
          db.ingest(floats, { columns: { k: new Float64Array(n).fill(7).fill(odd, at, at + 1) } })
          expect(h.rows()).toContainEqual({ k: kept })
          expect(h.rows()).not.toContainEqual({ k: -0 })
        }
      }
    }
  })

  it('are read in place and belong to the caller again afterwards', () => {
    const db = open()
    const h = db.createTable(t)
    const byV = db.createView(
      view('v', q =>
        q
          .from(t)
          .groupBy(r => ({ v: r.v }))
          .aggregate({ lo: min(r => r.id) }),
      ),
    )
    const id = BigInt64Array.of(1n, 2n)
    const v = Int32Array.of(1, 2)
    const weights = BigInt64Array.of(1n, 1n)
    db.ingest(t, { columns: { id, v, s: ['a', 'b'] }, weights })
    id.fill(9n)
    v.fill(9)
    weights.fill(9n)
    expect(h.rows().map(r => r.id)).toEqual([1n, 2n])
    expect(byV.rows()).toEqual([
      { v: 1, lo: 1n },
      { v: 2, lo: 2n },
    ])
  })
})
