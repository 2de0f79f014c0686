/** Rows in and out: row objects to columns and back, rows to packed bytes and back; generic and specialised. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Mode } from '../../codegen/build.js'
import { type DecodeRow, rowDecoder } from '../../codegen/decode.js'
import { type EncodeRows, rowEncoder } from '../../codegen/encode.js'
import { kernelsOf } from '../../codegen/kernels.js'
import { packedStride } from '../../codegen/packed.js'
import { RowError } from '../../src/base/errors.js'
import { arrangedLayout, flatLayout, type Layout, type RowSchema } from '../../src/schema/schema.js'
import { type PlainTypeName, TYPES, type Value } from '../../src/schema/types.js'
import { normalise, present } from '../../src/schema/values.js'
import { cellArb } from '../../src/testing/index.js'
import { Batch } from '../../src/zset/batch.js'
import { Heap } from '../../src/zset/heap.js'
import { batchOf, contents, eachMode, LAYOUTS, layoutAndRows, MODES, schemaOf } from '../zset/support.js'

const RUNS = { numRuns: 40, seed: 4 }
const HOSTILE = schemaOf('hostile', '__proto__:i32?', 'constructor:string', 'hasOwnProperty:f64?', "a'b\n*/:u64")
const layouts: readonly Layout[] = [...LAYOUTS, arrangedLayout(HOSTILE, [3])]

interface Coder {
  readonly encode: EncodeRows
  readonly decodeFlat: DecodeRow
  readonly decodeArranged: DecodeRow
}

const coders = new Map<string, Coder>()
function coderOf(mode: Mode, layout: Layout): Coder {
  const key = `${mode} ${layout.schema.name}`
  let coder = coders.get(key)
  if (coder === undefined) {
    const context = { mode, unit: layout.schema.name, provenance: [] }
    coder = {
      encode: rowEncoder(layout.schema, mode).fn,
      decodeFlat: rowDecoder(context, flatLayout(layout.schema)),
      decodeArranged: rowDecoder(context, layout),
    }
    coders.set(key, coder)
  }
  return coder
}

/** The row has no such property. */
const ABSENT = Symbol('absent')

/** A row object as users write them: NULL in several ways, values that are not canonical. */
function objectArb(schema: RowSchema): fc.Arbitrary<Record<string, unknown>> {
  const cells = schema.columns.map(column => {
    const cell = cellArb(column) as fc.Arbitrary<unknown>
    const nulls = column.nullable ? [fc.constantFrom<unknown>(undefined, ABSENT)] : []
    const numbers = ['i64', 'u64', 'u128', 'timestamp'].includes(column.type)
      ? [fc.constantFrom(0, 1, 2 ** 53 - 1)]
      : []
    return fc.oneof(cell, cell, ...nulls, ...numbers)
  })
  return fc.tuple(...cells).map(values => {
    const entries = schema.columns.map(({ name }, k): [string, unknown] => [name, values[k]])
    return Object.fromEntries(entries.filter(([, value]) => value !== ABSENT))
  })
}

function canonical(schema: RowSchema, object: Record<string, unknown>): Value[] {
  return schema.columns.map(({ name, type }) => {
    const value = Object.hasOwn(object, name) ? object[name] : null
    return value === null || value === undefined ? null : (normalise(type, value) as Value)
  })
}

describe('row objects', () => {
  const cases = fc.constantFrom(...layouts).chain(layout =>
    fc.record({
      layout: fc.constant(layout),
      some: fc.array(objectArb(layout.schema), { maxLength: 8, size: 'max' }),
      // Long strings of many rows are encoded together.
      times: fc.constantFrom(1, 1, 50),
    }),
  )

  test('encodeRows takes what the column takes, decodeRow gives the canonical row', () => {
    fc.assert(
      fc.property(cases, ({ layout, some, times }) => {
        const { schema } = layout
        const objects = Array.from({ length: times }, () => some).flat()
        const flat = flatLayout(schema)
        const rows = objects.map(object => ({ row: canonical(schema, object), weight: -2n }))
        for (const mode of MODES) {
          const { encode, decodeFlat, decodeArranged } = coderOf(mode, layout)
          const batch = new Batch(flat, objects.length + 1)
          batch.nulls.fill(-1n)
          batch.length = encode(objects, batch, -2n)
          expect(contents(batch)).toEqual(rows)
          const arranged = batchOf(layout, rows)
          rows.forEach(({ row }, i) => {
            for (const decoded of [decodeFlat(batch, i), decodeArranged(arranged, i)]) {
              expect(Object.getPrototypeOf(decoded)).toBe(Object.prototype)
              expect(Object.entries(decoded)).toEqual(
                schema.columns.map(({ name }, k) => [name, present(schema.columns[k].type, row[k])]),
              )
            }
          })
        }
      }),
      RUNS,
    )
  })

  test('what does not fit is refused with table, column and row, and nothing is added', () => {
    const wrong: Record<PlainTypeName, unknown> = {
      ...{ bool: 1, i8: 128, i16: -32769, i32: 0.5, i64: 2n ** 63n, u8: -1, u16: 65536, u32: 2 ** 32, u64: -1n },
      ...{ u128: 2n ** 128n, f32: 1e39, f64: '1', uuid: 'no', string: '\ud800', bytes: 'x', date: '2001-02-30' },
      ...{
        time: 86_400_000_000n,
        timestamp: 2n ** 63n,
        timestamptz: 'yesterday',
        interval: '1 fortnight',
        json: (1n << 80n) | 1n,
      },
    }
    for (const type of Object.keys(TYPES) as PlainTypeName[]) {
      const schema = schemaOf('wrong', 'n:i32', `x:${type}`)
      for (const mode of MODES) {
        const { fn } = rowEncoder(schema, mode)
        const batch = new Batch(flatLayout(schema), 4)
        const good = type === 'bool' ? true : null
        for (const bad of [wrong[type], null, undefined, Symbol('s'), {}, Number.NaN]) {
          if (Number.isNaN(bad) && (type === 'f64' || type === 'f32')) continue
          // An object without members is JSON, and an interval of nothing.
          if (TYPES[type].shape !== null && typeof bad === 'object' && bad !== null) continue
          const error = caught(() => fn([{ n: 1, x: bad }], batch, 1n))
          expect(error).toBeInstanceOf(RowError)
          expect(error).toMatchObject({ table: 'wrong', column: 'x', row: 0 })
          expect(batch.length).toBe(0)
        }
        expect(caught(() => fn([{ n: 1, x: good, y: 2 }], batch, 1n))).toBeInstanceOf(RowError)
        for (const row of [null, undefined, 7, 'text', () => 1]) {
          const error = caught(() => fn([row], batch, 1n))
          expect(error).toBeInstanceOf(RowError)
          expect(error).toMatchObject({ column: null, row: 0 })
        }
      }
    }
  })
})

test('strings are what they were, whatever stands beside them, and whoever reads a row', () => {
  const schema = schemaOf('long', 'x:string')
  const { fn } = rowEncoder(schema)
  const inner = new Batch(flatLayout(schema), 100)
  const rows = Array.from({ length: 700 }, (_, i) => ({
    x: i % 90 === 7 ? `größer als zwölf Bytes, ${i} 💥` : 'abcdefghijklm'.repeat((i % 5) * (i === 300 ? 9999 : 1)),
  }))
  const nested = {
    get x() {
      inner.length = fn(rows.slice(0, 20), inner, 1n)
      return 'a getter that encodes rows of its own'
    },
  }
  const all = [...rows.slice(0, 400), nested, ...rows.slice(400)]
  const batch = new Batch(flatLayout(schema), 0)
  for (let part = 0; part < 2; part++) {
    batch.reserve(all.length)
    batch.length = fn(all, batch, 1n)
  }
  const want = [
    ...rows.slice(0, 400).map(r => r.x),
    'a getter that encodes rows of its own',
    ...rows.slice(400).map(r => r.x),
  ]
  expect(contents(batch).map(c => c.row[0])).toEqual([...want, ...want])
  expect(
    contents(inner)
      .slice(-20)
      .map(c => c.row[0]),
  ).toEqual(want.slice(0, 20))
})

function caught(run: () => void): unknown {
  try {
    run()
  } catch (error) {
    return error
  }
  return null
}

describe('packed rows', () => {
  test('round trip, the same bytes both ways', () => {
    fc.assert(
      fc.property(layoutAndRows(1), fc.nat(5), ({ layout, lists: [rows] }, at) => {
        const batch = batchOf(layout, rows)
        const stride = packedStride(layout)
        const images: Uint8Array[] = []
        eachMode(layout, kernels => {
          expect(kernels.packedStride).toBe(stride)
          const bytes = new Uint8Array(at + rows.length * stride + 3)
          const view = new DataView(bytes.buffer)
          const blob = new Heap()
          blob.append(Uint8Array.of(1, 2, 3), 0, 3)
          const half = rows.length >> 1
          const middle = kernels.encodePacked(batch, 0, half, view, at, blob)
          expect(middle).toBe(at + half * stride)
          expect(kernels.encodePacked(batch, half, rows.length, view, middle, blob)).toBe(at + rows.length * stride)
          images.push(bytes, blob.bytes.slice(0, blob.length))
          const back = new Batch(layout, rows.length + 1)
          const written = blob.bytes.subarray(0, blob.length)
          kernels.decodePacked(view, at, half, written, back)
          kernels.decodePacked(view, middle, rows.length - half, written, back)
          expect(contents(back)).toEqual(rows)
          const words = layout.key.words * rows.length
          expect(back.keys.slice(0, words)).toEqual(batch.keys.slice(0, words))
          for (let i = 0; i < rows.length; i++) expect(kernels.compareRows(batch, i, back, i)).toBe(0)
        })
        expect(images[0]).toEqual(images[2])
        expect(images[1]).toEqual(images[3])
      }),
      RUNS,
    )
  })

  test('the format, byte by byte', () => {
    const layout = arrangedLayout(schemaOf('f', 'id:u64', 'ok:bool', 'n:i16?', 't:string', 's:string?', 'u:u128'), [0])
    const long = 'thirteen byte'
    const batch = batchOf(layout, [{ row: [258n, true, -2, long, 'ab', 1n << 64n], weight: -1n }])
    eachMode(layout, kernels => {
      const bytes = new Uint8Array(kernels.packedStride)
      const blob = new Heap()
      blob.append(new Uint8Array(5), 0, 5)
      kernels.encodePacked(batch, 0, 1, new DataView(bytes.buffer), 0, blob)
      const zeros = (n: number) => new Array<number>(n).fill(0)
      expect([...bytes]).toEqual([
        ...[2, 1, ...zeros(6)], // key
        ...new Array<number>(8).fill(255), // weight
        ...zeros(8), // null words
        ...[1, 254, 255], // ok, n
        ...[13, 0, 0, 0, ...Buffer.from('thir'), 5, ...zeros(7)], // t: its bytes are in the blob from 5 on
        ...[2, 0, 0, 0, ...Buffer.from('ab'), ...zeros(10)], // s
        ...[...zeros(8), 1, ...zeros(7)], // u
      ])
      expect(Buffer.from(blob.bytes.subarray(5, blob.length)).toString()).toBe(long)
    })
  })

  test('text outside of the blob is noticed', () => {
    const layout = arrangedLayout(schemaOf('f', 'id:u64', 't:string'), [0])
    const batch = batchOf(layout, [{ row: [1n, 'longer than twelve bytes'], weight: 1n }])
    eachMode(layout, kernels => {
      const view = new DataView(new ArrayBuffer(kernels.packedStride))
      kernels.encodePacked(batch, 0, 1, view, 0, new Heap())
      const back = new Batch(layout, 1)
      expect(() => kernels.decodePacked(view, 0, 1, new Uint8Array(10), back)).toThrow(/24 bytes of text at 0/)
      expect(back.length).toBe(0)
    })
  })

  test('flat rows have no key', () => {
    const layout = flatLayout(schemaOf('f', 'a:u8', 'b:u32'))
    expect(packedStride(layout)).toBe(13)
    const batch = batchOf(layout, [{ row: [7, 8], weight: 9n }])
    const kernels = kernelsOf(layout)
    const view = new DataView(new ArrayBuffer(13))
    kernels.encodePacked(batch, 0, 1, view, 0, new Heap())
    const back = new Batch(layout, 1)
    kernels.decodePacked(view, 0, 1, new Uint8Array(0), back)
    expect(contents(back)).toEqual([{ row: [7, 8], weight: 9n }])
  })
})
