/** The loops between batches, generic and specialised: arranging, probing, clamping. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Mode } from '../../codegen/build.js'
import { keyLanesOf } from '../../codegen/expr/plain.js'
import { clampCode, joinCode, storeCode } from '../../codegen/steps.js'
import { WeightOverflowError } from '../../src/base/errors.js'
import { allColumns } from '../../src/circuit/substitute.js'
import { ErrorSet } from '../../src/engine/errors.js'
import type { Clamp } from '../../src/engine/operators/clamp.js'
import type { PairsStore, ScanStore } from '../../src/engine/operators/feed.js'
import { Pairs, type Probe } from '../../src/engine/operators/join.js'
import { arrangedLayout, flatLayout, type Layout } from '../../src/schema/schema.js'
import type { Value } from '../../src/schema/types.js'
import { equalValues } from '../../src/schema/values.js'
import { Batch } from '../../src/zset/batch.js'
import {
  batchOf,
  type Collide,
  contents,
  I64_MAX,
  I64_MIN,
  LAYOUTS,
  layoutAndRows,
  MODES,
  rowOf,
  runOf,
  schemaOf,
  sumOf,
  textOf,
  twoHashes,
  type Weighted,
  weights,
} from '../zset/support.js'

const RUNS = { numRuns: 60, seed: 77 }
const contextOf = (mode: Mode) => ({ mode, unit: 'test', provenance: [] })

/** Loops are made once for each layout and mode. */
function memoised<F>(
  make: (mode: Mode, input: Layout, out: Layout) => F,
): (mode: Mode, input: Layout, out: Layout) => F {
  const made = new Map<Mode, Map<Layout, Map<Layout, F>>>(MODES.map(mode => [mode, new Map()]))
  return (mode, input, out) => {
    const byInput = made.get(mode) as Map<Layout, Map<Layout, F>>
    const byOut = byInput.get(input) ?? new Map<Layout, F>()
    byInput.set(input, byOut)
    const fn = byOut.get(out) ?? make(mode, input, out)
    byOut.set(out, fn)
    return fn
  }
}

describe('arranging: the key of a row, packed or hashed', () => {
  const storeLoop = memoised((mode, input, out) => {
    const pipeline = { filter: null, exprs: allColumns(input.schema), schema: out.schema, negate: false }
    return storeCode(contextOf(mode), pipeline, out).scan<ScanStore>(input)
  })
  const flats = new Map(LAYOUTS.map(layout => [layout, flatLayout(layout.schema)]))

  test('flat rows to every layout and back', () => {
    fc.assert(
      fc.property(layoutAndRows(1), ({ layout, lists: [rows] }) => {
        const flat = flats.get(layout) as Layout
        const there = rows.filter(r => r.weight !== 0n)
        const expected = batchOf(layout, there)
        for (const mode of MODES) {
          const errors = new ErrorSet()
          const raw = new Batch(layout, rows.length)
          raw.length = storeLoop(mode, flat, layout)(batchOf(flat, rows), 0, rows.length, raw, errors)
          expect(contents(raw)).toEqual(there)
          const words = layout.key.words * there.length
          expect(raw.keys.slice(0, words)).toEqual(expected.keys.slice(0, words))
          const back = new Batch(flat, rows.length)
          back.length = storeLoop(mode, layout, flat)(raw, 0, raw.length, back, errors)
          expect(contents(back)).toEqual(there)
        }
      }),
      RUNS,
    )
  })

  test('negated rows, and the one weight that has no negative', () => {
    const layout = LAYOUTS[3]
    const flat = flats.get(layout) as Layout
    const pipeline = { filter: null, exprs: allColumns(layout.schema), schema: layout.schema, negate: true }
    const row = [1n, null]
    for (const mode of MODES) {
      const loop = storeCode(contextOf(mode), pipeline, flat).scan<ScanStore>(flat)
      const run = (weight: bigint) => {
        const out = new Batch(flat, 1)
        out.length = loop(batchOf(flat, [{ row, weight }]), 0, 1, out, new ErrorSet())
        return contents(out)
      }
      for (const weight of [1n, -1n, I64_MAX, I64_MIN + 1n]) expect(run(weight)).toEqual([{ row, weight: -weight }])
      expect(() => run(I64_MIN)).toThrow(WeightOverflowError)
    }
  })

  test('hash: equal keys have equal lanes, whatever lies around them; other keys have others', () => {
    const schema = schemaOf('h', 'pad:u8', 'a:string?', 'b:f64?', 'c:u128')
    const flat = flatLayout(schema)
    const layout = arrangedLayout(schema, [1, 2])
    const pool = fc.array(rowOf(schema), { minLength: 2, maxLength: 20, size: 'max' })
    fc.assert(
      fc.property(pool, rows => {
        const lanes = new Set<string>()
        const keys = new Set(rows.map(row => textOf([row[1], row[2]])))
        for (const mode of MODES) {
          const raw = new Batch(layout, rows.length)
          const input = batchOf(
            flat,
            rows.map(row => ({ row, weight: 1n })),
          )
          storeLoop(mode, flat, layout)(input, 0, rows.length, raw, new ErrorSet())
          rows.forEach((row, i) => {
            const own = [...raw.keys32.subarray(i * 4, i * 4 + 4)]
            expect(own).toEqual(keyLanesOf(layout, row))
            lanes.add(own.join())
          })
        }
        expect(lanes.size).toBe(keys.size)
      }),
      RUNS,
    )
  })
})

describe('probing: pairs of equal keys', () => {
  /** Layouts on both sides of a join, and where their keys are. */
  const sides: readonly { left: Layout; right: Layout }[] = [
    {
      left: arrangedLayout(schemaOf('l', 'a:u64', 'x:string'), [0]),
      right: arrangedLayout(schemaOf('r', 'y:i8?', 'b:u64'), [1]),
    },
    {
      left: arrangedLayout(schemaOf('l', 'a:i32', 'b:u64', 'x:string'), [1, 0]),
      right: arrangedLayout(schemaOf('r', 'c:u64', 'd:i32'), [0, 1]),
    },
    {
      left: arrangedLayout(schemaOf('l', 'x:f64', 'a:string?', 'b:u8'), [1, 2]),
      right: arrangedLayout(schemaOf('r', 'b:u8', 'a:string?'), [1, 0]),
    },
    {
      left: arrangedLayout(schemaOf('l', 'a:u8'), []),
      right: arrangedLayout(schemaOf('r', 'b:bytes'), []),
    },
    // Keys of one lane.
    {
      left: arrangedLayout(schemaOf('l', 'a:i32', 'x:i8'), [0]),
      right: arrangedLayout(schemaOf('r', 'y:i8?', 'b:i32'), [1]),
    },
    {
      left: arrangedLayout(schemaOf('l', 'a:i32?', 'x:i8'), [0]),
      right: arrangedLayout(schemaOf('r', 'y:i8?', 'b:i32?'), [1]),
    },
  ]
  const codes = new Map(MODES.map(mode => [mode, sides.map(s => joinCode<Probe>(mode, s.left))] as const))

  function keyOf(layout: Layout, row: readonly Value[]): Value[] {
    return layout.key.columns.map(c => row[c])
  }

  /** Rows of both sides; right rows often take their key from a left row. */
  const sidesArb = fc.nat(sides.length - 1).chain(n => {
    const { left, right } = sides[n]
    const list = (layout: Layout) => fc.array(fc.tuple(rowOf(layout.schema), weights), { maxLength: 25, size: 'max' })
    const links = fc.array(fc.nat(99), { minLength: 25, maxLength: 25 })
    return fc.tuple(list(left), list(right), links).map(([a, b, from]) => {
      const lefts = a.map(([row, weight]): Weighted => ({ row, weight }))
      const rights = b.map(([row, weight], k): Weighted => {
        if (a.length === 0 || from[k] > 70) return { row, weight }
        const key = keyOf(left, a[from[k] % a.length][0])
        return {
          row: row.map((v, c) => (right.key.columns.includes(c) ? key[right.key.columns.indexOf(c)] : v)),
          weight,
        }
      })
      return { n, lefts, rights }
    })
  })

  function search(probe: Probe, delta: Batch, run: Batch, limit: number): string[] {
    const pairs = new Pairs()
    pairs.left = new Int32Array(2)
    pairs.right = new Int32Array(2)
    const found: string[] = []
    for (let from = 0; from < delta.length; ) {
      const next = probe(delta, from, delta.length, run, pairs, limit)
      expect(next).toBeGreaterThan(from)
      for (let p = 0; p < pairs.count; p++) found.push(`${pairs.left[p]}-${pairs.right[p]}`)
      from = next
    }
    return found.sort()
  }

  function expected(delta: Batch, run: Batch): string[] {
    const [a, b] = [contents(delta), contents(run)]
    const types = delta.layout.key.columns.map(c => delta.layout.schema.columns[c].type)
    const pairs: string[] = []
    a.forEach((x, i) => {
      b.forEach((y, j) => {
        const [k, l] = [keyOf(delta.layout, x.row), keyOf(run.layout, y.row)]
        if (y.weight !== 0n && types.every((type, t) => equalValues(type, k[t], l[t]))) pairs.push(`${i}-${j}`)
      })
    })
    return pairs.sort()
  }

  test.each([
    ['as they are', null],
    ['hashes colliding', twoHashes],
  ] as const)('both directions, any limit, ghosts left out: %s', (_name, collide: Collide | null) => {
    fc.assert(
      fc.property(sidesArb, fc.constantFrom(1, 4, 1000), ({ n, lefts, rights }, limit) => {
        const { left, right } = sides[n]
        const mixed = left.key.kind === 'hash' ? collide : null
        const [a, b] = [runOf(left, lefts, mixed), runOf(right, rights, mixed)]
        if (b.length > 2) b.weights[1] = 0n
        for (const mode of MODES) {
          const code = (codes.get(mode) as { left: Probe }[])[n]
          expect(search(code.left, a, b, limit)).toEqual(expected(a, b))
          expect(search(code.left, b, a, limit)).toEqual(expected(b, a))
        }
      }),
      { ...RUNS, numRuns: 80 },
    )
  })
})

describe('pairs', () => {
  const [left, right, out] = [schemaOf('l', 'a:u8'), schemaOf('r', 'b:string'), schemaOf('o', 'a:u8', 'b:string')]
  const [leftFlat, rightFlat, outFlat] = [left, right, out].map(flatLayout)
  const exprs = [...allColumns(left), ...allColumns(right, 1)]
  const loopOf = (mode: Mode, negate: boolean) =>
    storeCode(contextOf(mode), { filter: null, exprs, schema: out, negate }, outFlat).pairs<PairsStore>(
      leftFlat,
      rightFlat,
    )
  const loops = MODES.flatMap(mode => [false, true].map(negate => ({ negate, loop: loopOf(mode, negate) })))
  const huge = [1n, -1n, 2n, 3n, -(1n << 31n), 1n << 31n, (1n << 31n) - 1n, 1n << 32n, -(1n << 32n), 1n << 62n]
  const all = [...huge, I64_MAX, I64_MIN, I64_MIN + 1n]

  test('rows side by side, weights multiplied; a product that leaves i64 is an error', () => {
    for (const x of all) {
      for (const y of all) {
        const [a, b] = [
          batchOf(leftFlat, [{ row: [5], weight: x }]),
          batchOf(rightFlat, [{ row: ['text'], weight: y }]),
        ]
        for (const { negate, loop } of loops) {
          const result = new Batch(outFlat, 1)
          const run = () => loop(a, b, Int32Array.of(0), Int32Array.of(0), 0, 1, result, new ErrorSet())
          const product = x * y
          const weight = negate ? -product : product
          if ([product, weight].some(w => BigInt.asIntN(64, w) !== w)) {
            // What fits only after negation may be refused.
            if (BigInt.asIntN(64, weight) !== weight) expect(run).toThrow(WeightOverflowError)
            continue
          }
          result.length = run()
          expect(contents(result)).toEqual([{ row: [5, 'text'], weight }])
        }
      }
    }
  })
})

describe('clamping', () => {
  const modes = ['positive', 'one', 'nonzero'] as const
  const clamped: Record<(typeof modes)[number], (w: bigint) => bigint> = {
    positive: w => (w > 0n ? w : 0n),
    one: w => (w > 0n ? 1n : 0n),
    nonzero: w => (w !== 0n ? 1n : 0n),
  }
  const layouts = [LAYOUTS[8], LAYOUTS[9]]
  const loops = new Map(
    MODES.flatMap(mode =>
      layouts.flatMap(layout =>
        modes.map(clamp => [
          `${mode} ${clamp} ${layout.schema.name}`,
          clampCode<Clamp>(contextOf(mode), layout, clamp).fn,
        ]),
      ),
    ) as [string, Clamp][],
  )

  test('emits the change of the clamped weight', () => {
    const layoutArb = fc.constantFrom(...layouts)
    fc.assert(
      fc.property(layoutAndRows(2, 30, layoutArb), fc.constantFrom(...modes), ({ layout, lists: [a, b] }, clamp) => {
        const [delta, before] = [runOf(layout, a), sumOf(b)]
        const f = clamped[clamp]
        const change = contents(delta).map(({ row, weight }) => {
          const old = before.get(textOf(row)) ?? 0n
          return { row, weight: f(old + weight) - f(old) }
        })
        const sums = BigInt64Array.from(contents(delta), ({ row }) => before.get(textOf(row)) ?? 0n)
        for (const mode of MODES) {
          const out = new Batch(layout, delta.length)
          ;(loops.get(`${mode} ${clamp} ${layout.schema.name}`) as Clamp)(delta, sums, out)
          expect(contents(out)).toEqual(change.filter(r => r.weight !== 0n))
        }
      }),
      RUNS,
    )
  })

  test('weights at the ends of i64', () => {
    const layout = layouts[0]
    const cases: [bigint, bigint, bigint | null][] = [
      [I64_MAX, 1n, null],
      [I64_MIN, -1n, null],
      [I64_MIN, I64_MAX, 0n],
      [I64_MAX, I64_MIN, -I64_MAX],
      [0n, I64_MAX, I64_MAX],
    ]
    for (const [old, weight, expected] of cases) {
      const delta = batchOf(layout, [{ row: [3, -1], weight }])
      for (const mode of MODES) {
        const clamp = loops.get(`${mode} positive ${layout.schema.name}`) as Clamp
        const out = new Batch(layout, 1)
        if (expected === null) expect(() => clamp(delta, BigInt64Array.of(old), out)).toThrow(WeightOverflowError)
        else {
          clamp(delta, BigInt64Array.of(old), out)
          expect(contents(out).map(r => r.weight)).toEqual(expected === 0n ? [] : [expected])
        }
      }
    }
  })
})
