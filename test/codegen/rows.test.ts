/** Row programs around expressions: packed and hashed keys, pairs of rows, partial stores, words of values. */

import { describe, expect, it } from 'vitest'
import { keyLanesOf, readRow, writeRow } from '../../codegen/expr/plain.js'
import { load } from '../../codegen/load.js'
import { type RowProgram, rowProgram, type StoreMap } from '../../codegen/rows.js'
import { specialise } from '../../codegen/specialise/index.js'
import type { Failure } from '../../src/circuit/scalar.js'
import { arrangedLayout, flatLayout, type Layout, type RowSchema, rowSchema } from '../../src/schema/schema.js'
import { TYPES, type TypeName, type Value } from '../../src/schema/types.js'
import { compareValues } from '../../src/schema/values.js'
import { Batch } from '../../src/zset/batch.js'
import {
  batchOf,
  bytesOf,
  column,
  compileRun,
  expected,
  generic,
  literal,
  op,
  outcome,
  programOf,
  random,
  randomRows,
  schemaOf,
} from './rows-support.js'

const names = Object.keys(TYPES) as TypeName[]
const fixed = names.filter(t => TYPES[t].keyBits > 0)

const copies = (schema: RowSchema, layout: Layout = flatLayout(schema)): RowProgram =>
  rowProgram({
    inputs: [{ layout, name: 'in' }],
    filter: null,
    outputs: schema.columns.map(c => column(schema, c.name)),
    schema,
  })

interface Stores {
  evaluate: (batch: Batch, i: number) => number
}

/** Rearranges rows: `$store` is a program's storeInto. */
function arrange($row: Stores, $store: (out: Batch, k: number) => void, input: Batch, out: Batch): void {
  for (let i = 0; i < input.length; i++) {
    const status = $row.evaluate(input, i)
    if (status === 1) $store(out, i)
  }
}

/** Gives each row's key lanes. */
function lanesOfRows($row: Stores, $lanes: readonly (() => number)[], input: Batch, out: Uint32Array): void {
  for (let i = 0; i < input.length; i++) {
    const status = $row.evaluate(input, i)
    if (status === 1) {
      for (let $l = 0; $l < $lanes.length; $l++) out[i * $lanes.length + $l] = $lanes[$l]()
    }
  }
}

function compiled<T>(template: unknown, statics: Record<string, unknown>): { fn: T; source: string } {
  const fn = specialise(template as never, statics, { name: 'kernel' })
  return load<T>({ unit: 'test', kernel: 'rows', provenance: [], functions: [fn], exports: 'kernel' })
}

/** Both executions of `arrange` must write the same bytes; gives the batch. */
function arranged(schema: RowSchema, layout: Layout, rows: readonly Value[][]): Batch {
  const input = batchOf(flatLayout(schema), rows)
  const program = copies(schema)
  const store = program.storeInto(layout)
  const slow = new Batch(layout, rows.length)
  arrange(program as never, store as never, input, slow)
  const fast = new Batch(layout, rows.length)
  const { fn, source } = compiled<(input: Batch, out: Batch) => void>(arrange, { $row: program, $store: store })
  fn(input, fast)
  slow.length = fast.length = rows.length
  expect(bytesOf(fast), source).toEqual(bytesOf(slow))
  return fast
}

function compareKeys(a: readonly Value[], b: readonly Value[], layout: Layout): number {
  for (const c of layout.key.columns) {
    const { type } = layout.schema.columns[c]
    const [x, y] = [a[c], b[c]]
    const order = x === null || y === null ? Number(x !== null) - Number(y !== null) : compareValues(type, x, y)
    if (order !== 0) return Math.sign(order)
  }
  return 0
}

function compareLanes(a: readonly number[], b: readonly number[]): number {
  for (let n = a.length - 1; n >= 0; n--) if (a[n] !== b[n]) return a[n] < b[n] ? -1 : 1
  return 0
}

/** Random sets of key columns that fit 128 bits. */
function compositeKeys(count: number): { schema: RowSchema; layout: Layout }[] {
  const next = random(99)
  const found: { schema: RowSchema; layout: Layout }[] = []
  while (found.length < count) {
    const columns = Object.fromEntries(
      Array.from({ length: 1 + next(6) }, (_, n) => [`c${n}`, fixed[next(fixed.length)] + (next(3) === 0 ? '?' : '')]),
    )
    const schema = schemaOf('t', { ...columns, rest: 'string?' })
    const layout = arrangedLayout(
      schema,
      Object.keys(columns)
        .map((_, n) => n)
        .sort(() => next(3) - 1),
    )
    if (layout.key.kind === 'packed') found.push({ schema, layout })
  }
  return found
}

describe('a packed key', () => {
  const singles = fixed.flatMap(type => [type, `${type}?`]).map(type => schemaOf('t', { a: type, z: 'i32?' }))
  const keys = [...singles.map(schema => ({ schema, layout: arrangedLayout(schema, [0]) })), ...compositeKeys(120)]
  const packed = keys.filter(({ layout }) => layout.key.kind === 'packed')

  it('gives back what was put in, to plain reading and to generated code', () => {
    for (const { schema, layout } of packed) {
      const rows = randomRows(schema, 40, layout.key.columns.length)
      const batch = arranged(schema, layout, rows)
      expect(rows.map((_, i) => readRow(batch, i))).toEqual(rows)
      const program = copies(schema, layout)
      const { fn, source } = compileRun(program)
      const read = outcome(program, fn, batch)
      expect(read.rows, source).toEqual(rows)
      expect(bytesOf(read.batch)).toEqual(bytesOf(outcome(program, generic(program), batch).batch))
    }
  })

  it('orders as the values do', () => {
    for (const { schema, layout } of packed) {
      const rows = randomRows(schema, 40, 7 + layout.key.columns.length)
      const lanes = rows.map(row => keyLanesOf(layout, row))
      const wrong = rows.flatMap((a, i) =>
        rows.filter((b, j) => compareLanes(lanes[i], lanes[j]) !== compareKeys(a, b, layout)).map(b => [a, b]),
      )
      expect(wrong).toEqual([])
    }
  })

  it('serves expressions: filters, arithmetic and NULLs', () => {
    const schema = schemaOf('t', { a: 'i32?', b: 'i16', c: 'f32?', d: 'bool?', e: 'f64', f: 'i64?', g: 'u64' })
    for (const key of [[0, 1, 2, 3], [4, 0], [5, 1], [1, 5], [6, 0], [4], [5], [6], [3, 6, 1]]) {
      const layout = arrangedLayout(schema, key)
      expect(layout.key.kind).toBe('packed')
      const rows = randomRows(schema, 200, key.length)
      const col = (name: string) => column(schema, name)
      const outputs = [
        op('add', [col('a'), col('c')], 'f64'),
        op('mul', [col('b'), col('e')], 'f64'),
        op('add', [col('f'), literal('i64', 1n)], 'i64'),
        op('is', [col('a'), literal('i32', 7)], 'bool'),
        op('coalesce', [col('f'), literal('i64', 5n)], 'i64'),
        op('cast', [col('f')], 'f64'),
        op('cast', [col('g')], 'f64'),
        op('and', [col('d'), op('gt', [col('e'), col('c')], 'bool')], 'bool'),
      ]
      const program = programOf(layout, op('ge', [col('b'), literal('f64', -7)], 'bool'), outputs)
      const { fn, source } = compileRun(program)
      const should = expected(program, rows)
      const fast = outcome(program, fn, batchOf(layout, rows))
      expect(fast.rows, source).toEqual(should.rows)
      expect(fast.failures, source).toEqual(should.failures)
    }
  })
})

describe('a hashed key', () => {
  it.each(names)('of %s is the same in both executions, and by value', type => {
    const schema = schemaOf('t', { a: `${type}?`, b: 'string', c: 'u128' })
    const layout = arrangedLayout(schema, [0, 1, 2])
    expect(layout.key.kind).toBe('hash')
    const rows = randomRows(schema, 200, 3)
    const batch = arranged(schema, layout, rows)
    const keys = new Map<string, string>()
    rows.forEach((row, i) => {
      const lanes = Array.from(batch.keys32.subarray(i * 4, i * 4 + 4))
      expect(lanes).toEqual(keyLanesOf(layout, row))
      const text = row.map(v => (v instanceof Uint8Array ? `x${[...v].join()}` : String(v) + typeof v)).join('|')
      const known = keys.get(text)
      if (known !== undefined) expect(lanes.join()).toBe(known)
      keys.set(text, lanes.join())
    })
    expect(new Set(keys.values()).size).toBe(keys.size)
  })

  it('does not depend on whether text is stored or computed, nullable or not', () => {
    const stored = schemaOf('t', { a: 'string', b: 'string?' })
    const rows = randomRows(stored, 100, 4).map(([a]): Value[] => [a, a])
    const layoutOf = (index: number) =>
      arrangedLayout(schemaOf('k', { a: 'string', b: 'string?', c: 'string' }), [index])
    const col = (name: string) => column(stored, name)
    const outputs = [col('a'), col('b'), op('concat', [col('a'), literal('string', '')], 'string')]
    const schema = layoutOf(0).schema
    const program = rowProgram({ inputs: [{ layout: flatLayout(stored), name: 'in' }], filter: null, outputs, schema })
    const all = [0, 1, 2].map(index => {
      const $lanes = program.keyLanes(layoutOf(index))
      const { fn } = compiled<(input: Batch, out: Uint32Array) => void>(lanesOfRows, { $row: program, $lanes })
      const out = new Uint32Array(rows.length * 4)
      fn(batchOf(flatLayout(stored), rows), out)
      return Array.from(out)
    })
    expect(all[1]).toEqual(all[0])
    expect(all[2]).toEqual(all[0])
  })

  it('of nothing is one group', () => {
    const schema = schemaOf('t', { a: 'i64' })
    const batch = arranged(schema, arrangedLayout(schema, []), [[1n], [2n]])
    expect(batch.keys[0]).toBe(batch.keys[2])
    expect(batch.keys[1]).toBe(batch.keys[3])
  })
})

describe('key lanes of computed outputs', () => {
  it('pack and hash values as they are stored', () => {
    const schema = schemaOf('t', { a: 'i64?', b: 'f64', c: 'string', d: 'uuid', e: 'u128', f: 'f32', g: 'i32' })
    const col = (name: string) => column(schema, name)
    const zero = op('mul', [col('b'), literal('f64', -0.0)], 'f64')
    const outputs = [
      op('sub', [col('a'), literal('i64', 1n)], 'i64'),
      zero,
      op('upper', [col('c')], 'string'),
      op(
        'coalesce',
        [op('if', [op('isNull', [col('a')], 'bool'), literal('uuid', null), col('d')], 'uuid'), col('d')],
        'uuid',
      ),
      op('if', [op('isNull', [col('a')], 'bool'), col('e'), literal('u128', 5n)], 'u128'),
      op('cast', [op('math', [col('f')], 'f64', { detail: 'sin' })], 'f32'),
      op('gt', [col('g'), literal('f64', 0)], 'bool'),
    ]
    const out = rowSchema(
      'out',
      outputs.map(({ type, nullable }, n) => ({ name: `o${n}`, type, nullable })),
    )
    const rows = randomRows(schema, 150, 11)
    const input = batchOf(flatLayout(schema), rows)
    const program = rowProgram({
      inputs: [{ layout: flatLayout(schema), name: 'in' }],
      filter: null,
      outputs,
      schema: out,
    })
    for (const key of [[0], [1], [3], [4], [5, 6], [6, 0], [2], [0, 1, 2, 3, 4, 5, 6]]) {
      const layout = arrangedLayout(out, key)
      const $lanes = program.keyLanes(layout)
      const slow = new Uint32Array(rows.length * $lanes.length)
      lanesOfRows(program as never, $lanes as never, input, slow)
      const fast = new Uint32Array(slow.length)
      const { fn, source } = compiled<(input: Batch, out: Uint32Array) => void>(lanesOfRows, { $row: program, $lanes })
      fn(input, fast)
      expect(fast, source).toEqual(slow)
    }
  })
})

/** One line for each pair. */
function pairs(
  $row: {
    evaluate: (l: Batch, i: number, r: Batch, j: number) => number
    store: (out: Batch, k: number) => void
    failure: (l: Batch, i: number, r: Batch, j: number) => Failure
  },
  left: Batch,
  right: Batch,
  out: Batch,
  failures: string[],
): void {
  let k = 0
  for (let i = 0; i < left.length; i++) {
    for (let j = 0; j < right.length; j++) {
      const status = $row.evaluate(left, i, right, j)
      if (status === 1) {
        $row.store(out, k)
        k++
      }
      if (status === 2) failures.push($row.failure(left, i, right, j).message)
    }
  }
  out.length = k
}

describe('pairs of rows', () => {
  it('give columns of both, nullable ones at their own bits', () => {
    const many = Object.fromEntries(Array.from({ length: 70 }, (_, n) => [`n${n}`, 'u8?']))
    const left = schemaOf('l', { id: 'u64', x: 'i64?', ...many, s: 'string' })
    const right = schemaOf('r', { s: 'string?', y: 'i64', id: 'u64', f: 'bool?' })
    const l = left.columns.map(c => column(left, c.name, 0))
    const r = right.columns.map(c => column(right, c.name, 1))
    const outputs = [r[0], r[3], ...l, op('div', [l[1], r[1]], 'i64'), op('concat', [l[l.length - 1], r[0]], 'string')]
    const schema = rowSchema(
      'o',
      outputs.map(({ type, nullable }, n) => ({ name: `o${n}`, type, nullable })),
    )
    const filter = op('isnt', [l[l.length - 1], r[0]], 'bool')
    const layouts = [arrangedLayout(left, [0]), arrangedLayout(right, [2])]
    const program = rowProgram({ inputs: layouts.map(layout => ({ layout, name: 'x' })), filter, outputs, schema })
    const batches = [batchOf(layouts[0], randomRows(left, 30, 1)), batchOf(layouts[1], randomRows(right, 20, 2))]
    const slow = new Batch(flatLayout(schema), 600)
    const fast = new Batch(flatLayout(schema), 600)
    const [slowFailures, fastFailures]: string[][] = [[], []]
    pairs(program as never, batches[0], batches[1], slow, slowFailures)
    const { fn, source } = compiled<(...args: unknown[]) => void>(pairs, { $row: program })
    fn(batches[0], batches[1], fast, fastFailures)
    expect(fast.length).toBe(slow.length)
    expect(fast.length).toBeGreaterThan(300)
    expect(fastFailures).toEqual(slowFailures)
    expect(fastFailures.length).toBeGreaterThan(0)
    expect(bytesOf(fast), source).toEqual(bytesOf(slow))
  })
})

function partly(
  $row: Stores & {
    storeColumns: (out: Batch, k: number, map: StoreMap) => void
    outputs: readonly { isNull: () => boolean; value: () => number; words: readonly (() => number)[] }[]
  },
  $map: StoreMap,
  input: Batch,
  out: Batch,
  words: Int32Array,
  values: unknown[],
): void {
  for (let i = 0; i < input.length; i++) {
    const status = $row.evaluate(input, i)
    if (status === 1) {
      $row.storeColumns(out, i, $map)
      for (let $n = 0; $n < $row.outputs.length; $n++) {
        for (let $w = 0; $w < $row.outputs[$n].words.length; $w++) {
          const isNull = $row.outputs[$n].isNull()
          if (!isNull) words[i * 64 + $n * 4 + $w] = $row.outputs[$n].words[$w]()
        }
        const gone = $row.outputs[$n].isNull()
        if (gone) values.push(null)
        else values.push($row.outputs[$n].value())
      }
    }
  }
}

describe('outputs one by one', () => {
  it('as values, as words, and stored where a map says', () => {
    const schema = schemaOf('t', {
      a: 'i64?',
      b: 'f64',
      c: 'string?',
      d: 'uuid',
      e: 'u128',
      f: 'f32',
      g: 'i32',
      h: 'bool?',
      i: 'bytes',
    })
    const program = copies(schema)
    const col = (name: string) => column(schema, name)
    const computed = programOf(flatLayout(schema), null, [
      op('add', [col('a'), literal('i64', 1n)], 'i64'),
      op('mul', [col('b'), literal('f64', 0)], 'f64'),
      op('lower', [col('c')], 'string'),
      op('cast', [op('upper', [op('cast', [col('d')], 'string')], 'string')], 'uuid'),
      op('cast', [col('g')], 'i64'),
      op('not', [col('h')], 'bool'),
    ])
    const rows = randomRows(schema, 120, 21)
    const input = batchOf(flatLayout(schema), rows)
    for (const one of [program, computed]) {
      const target = schemaOf(
        'target',
        Object.fromEntries(one.spec.schema.columns.map(c => [`t${c.index}`, `${c.type}?`])),
      )
      const layout = arrangedLayout(target, [0])
      const $map: StoreMap = { layout, columns: [0, 2, 3, 5].map(n => ({ output: n, target: n })) }
      const run = (fn: (...args: unknown[]) => void) => {
        const out = new Batch(layout, rows.length)
        out.length = rows.length
        const words = new Int32Array(rows.length * 64)
        const values: unknown[] = []
        fn(input, out, words, values)
        return { bytes: bytesOf(out), words, values }
      }
      const slow = run((...args) => partly(one as never, $map, ...(args as [Batch, Batch, Int32Array, unknown[]])))
      const { fn, source } = compiled<(...args: unknown[]) => void>(partly, { $row: one, $map })
      expect(run(fn), source).toEqual(slow)
    }
  })

  it('are refused before evaluate', () => {
    const program = copies(schemaOf('t', { a: 'i64' }))
    const early = ($row: { store: (out: Batch, k: number) => void }, out: Batch): void => {
      $row.store(out, 0)
    }
    expect(() => specialise(early as never, { $row: program }, { name: 'early' })).toThrow(/before evaluate/)
  })
})

it('rows written plainly are read plainly', () => {
  const schema = schemaOf('t', Object.fromEntries(names.map(n => [n, `${n}?`])))
  const batch = new Batch(flatLayout(schema), 1)
  for (const row of randomRows(schema, 50, 8)) {
    writeRow(batch, 0, row)
    expect(readRow(batch, 0)).toEqual(row)
  }
})
