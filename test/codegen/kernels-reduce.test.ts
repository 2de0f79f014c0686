/** Accumulate and settle, generic and specialised, against the aggregates of the oracle. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { WeightOverflowError } from '../../src/base/errors.js'
import { interpret, type ZSet, zsetOf } from '../../src/circuit/interpret.js'
import type { AggregateRel } from '../../src/circuit/rel.js'
import type { Value } from '../../src/schema/types.js'
import { checkIncremental, nodes, rowArb } from '../../src/testing/index.js'
import { batchOf, contents, I64_MAX, I64_MIN, MODES, sumOf, type Weighted, weights } from '../zset/support.js'
import { ARGUMENTS, CASES, col, flat, type Reducer, right, schema, table } from './kernels-reduce-support.js'

/** Few groups; the arguments are what they like. */
const rowsArb: fc.Arbitrary<Weighted[]> = fc.array(
  fc.record({
    row: fc
      .tuple(
        fc.constantFrom(1, 2, -5),
        fc.constantFrom('x', 'a longer name of a group', 'a longer name of a grouq', null),
        fc.constantFrom(Number.NaN, 0, 1.5),
        rowArb(schema),
      )
      .map(([g, h, f, row]): Value[] => [g, h, f, ...row.slice(3).map(v => (v === 0 ? 0 : v))]),
    weight: fc.oneof(weights, fc.constantFrom(1n, 7n, -7n)),
  }),
  { maxLength: 12, size: 'max' },
)

const stepsArb = fc.array(
  fc.record({
    rows: rowsArb,
    negated: fc.boolean(),
    /** Takes back what came before instead of adding. */
    retract: fc.nat(3).map(n => n === 0),
    aborted: fc.nat(3).map(n => n === 0),
  }),
  { minLength: 1, maxLength: 5, size: 'max' },
)

const oracle = (rel: AggregateRel, rows: readonly Weighted[]) => interpret(rel, new Map([[table, zsetOf(rows)]]))
const rowsOf = (zset: ZSet): Map<string, bigint> => sumOf([...zset.values()])

describe.each(CASES)('by $keys, hashes colliding: $collide', ({ rel, make, keys, collide }) => {
  test('the integral of what settle emits is the aggregate of the integral', () => {
    fc.assert(
      fc.property(stepsArb, steps => {
        for (const mode of MODES) {
          const reducer = (make.get(mode) as () => Reducer)()
          let input: Weighted[] = []
          let output: Weighted[] = []
          for (const { rows, negated, retract, aborted } of steps) {
            const delta = retract ? input.map(r => ({ ...r, weight: -r.weight })) : rows
            const given = negated ? delta.map(r => ({ ...r, weight: -r.weight })) : delta
            const before = reducer.state()
            reducer.seed()
            reducer.scan(batchOf(flat, given), negated)
            const emitted = reducer.settle()
            const expected = oracle(rel, [...input, ...delta])
            expect(sumOf(output, emitted)).toEqual(rowsOf(expected.rows))
            // A group that is as it was is not mentioned.
            expect(sumOf(emitted).size).toBe(emitted.length)
            if (aborted) {
              reducer.abort()
              expect(reducer.state()).toEqual(before)
              continue
            }
            reducer.commit()
            input = [...input, ...delta]
            output = [...output, ...emitted]
            const held = contents(reducer.table.allRows()).filter(r => r.weight !== 0n)
            expect(sumOf(held)).toEqual(rowsOf(expected.rows))
          }
        }
      }),
      { numRuns: 25, seed: keys.length + (collide ? 10 : 0) },
    )
  })
})

describe('sums', () => {
  const [{ rel, make }] = CASES
  const row = (c: bigint, d: number | null = 0, b: bigint | null = 0n): Value[] => [1, null, 0, 0, b, c, d, 0]
  const value = (reducer: Reducer, name: string): Value => {
    const [held] = contents(reducer.table.allRows())
    return held.weight === 0n ? null : held.row[rel.schema.columns.findIndex(x => x.name === name)]
  }

  /** Adds one list of rows after another; after each the result must be the oracle's. */
  function run(lists: readonly Weighted[][], look: (reducer: Reducer, step: number) => void): void {
    for (const mode of MODES) {
      const reducer = (make.get(mode) as () => Reducer)()
      const input: Weighted[] = []
      lists.forEach((rows, step) => {
        reducer.scan(batchOf(flat, rows), false)
        reducer.settle()
        reducer.commit()
        input.push(...rows)
        const held = contents(reducer.table.allRows()).filter(r => r.weight !== 0n)
        expect(sumOf(held)).toEqual(rowsOf(oracle(rel, input).rows))
        look(reducer, step)
      })
    }
  }

  test('an integer sum beyond i64 is kept exactly, fails its group, and comes back', () => {
    const lists = [
      [{ row: row(I64_MAX), weight: 1n }],
      [{ row: row(1n), weight: 1n }],
      [{ row: row(I64_MAX), weight: 5n }],
      [{ row: row(I64_MAX), weight: -5n }],
      [{ row: row(-1n), weight: 1n }],
      [{ row: row(I64_MIN), weight: 3n }],
      [{ row: row(I64_MIN), weight: -3n }],
    ]
    run(lists, (reducer, step) => {
      const fails = step === 1 || step === 2 || step === 3 || step === 5
      expect(reducer.failed.length > 0).toBe(fails)
      expect(value(reducer, 'sum c')).toBe(fails ? null : I64_MAX)
    })
  })

  test('u64 beyond i64, and the smallest i64 taken away', () => {
    const top = 2n ** 64n - 1n
    const lists = [
      [{ row: row(I64_MIN, 0, top), weight: 1n }],
      [
        { row: row(I64_MIN, 0, 1n), weight: -1n },
        { row: row(7n, 0, null), weight: 3n },
      ],
      [
        { row: row(I64_MIN, 0, top), weight: -1n },
        { row: row(0n, 0, 5n), weight: 1n },
      ],
      [
        { row: row(I64_MIN, 0, 1n), weight: 1n },
        { row: row(7n, 0, null), weight: -3n },
      ],
    ]
    run(lists, (reducer, step) => {
      if (step === 3) expect([value(reducer, 'sum b'), value(reducer, 'sum c')]).toEqual([5n, 0n])
    })
  })

  test('float sums are exact: what was added and taken away leaves no trace', () => {
    const numbers = [1e308, 1e308, 5e-324, 0.1, -1e300, 3, 1e16, 1]
    const lists: Weighted[][] = [[{ row: row(0n, 0.25), weight: 1n }]]
    for (const d of numbers) lists.push([{ row: row(0n, d), weight: 1n }])
    for (const d of [...numbers].reverse()) lists.push([{ row: row(0n, d), weight: -1n }])
    run(lists, (reducer, step) => {
      if (step === lists.length - 1) expect(value(reducer, 'sum d')).toBe(0.25)
    })
  })

  test('NaN and infinities come and go', () => {
    const [nan, plus, minus] = [Number.NaN, Infinity, -Infinity].map(d => row(0n, d))
    const lists = [
      [{ row: row(0n, 2.5), weight: 1n }],
      [{ row: plus, weight: 1n }],
      [{ row: minus, weight: 1n }],
      [{ row: plus, weight: -1n }],
      [{ row: nan, weight: 2n }],
      [{ row: nan, weight: -2n }],
      [{ row: minus, weight: -1n }],
      [{ row: minus, weight: -1n }],
      [{ row: minus, weight: 1n }],
    ]
    const sums = [2.5, Infinity, Number.NaN, -Infinity, Number.NaN, -Infinity, 2.5, Infinity, 2.5]
    run(lists, (reducer, step) => {
      if (contents(reducer.table.allRows())[0].weight !== 0n) expect(value(reducer, 'sum d')).toBe(sums[step])
    })
  })

  test('a count that leaves i64 is an error', () => {
    const cases: Weighted[][] = [
      [
        { row: row(0n), weight: I64_MAX },
        { row: row(1n), weight: 1n },
      ],
      [
        { row: row(0n), weight: I64_MIN },
        { row: row(1n), weight: -2n },
      ],
      // count(b) leaves it although count(*) does not.
      [
        { row: row(0n, 0, null), weight: -I64_MAX },
        { row: row(0n, 0, 1n), weight: I64_MAX },
      ],
    ]
    for (const mode of MODES) {
      for (const rows of cases) {
        const reducer = (make.get(mode) as () => Reducer)()
        reducer.scan(batchOf(flat, [{ row: row(3n), weight: 1n }]), false)
        reducer.settle()
        reducer.commit()
        const before = reducer.state()
        expect(() => reducer.scan(batchOf(flat, rows), false)).toThrow(WeightOverflowError)
        reducer.abort()
        expect(reducer.state()).toEqual(before)
      }
    }
  })
})

test('fetching groups reads the same in both executions, and changes nothing', () => {
  const [{ make }, byText] = CASES
  const groups = Array.from({ length: 200 }, (_, g) => ({ row: [g * 37, null, 0, g, null, 5n, 0.5, 0], weight: 1n }))
  const some = batchOf(flat, [...groups.slice(20, 90), { row: [-1, null, 0, 0, null, 0n, 0, 0], weight: 1n }])
  const seen = MODES.map(mode => {
    const reducer = (make.get(mode) as () => Reducer)()
    expect(reducer.fetch(some)).toBe(0)
    reducer.scan(batchOf(flat, groups), false)
    reducer.settle()
    reducer.commit()
    const before = reducer.state()
    const read = reducer.fetch(some)
    expect(reducer.state()).toEqual(before)
    return read
  })
  expect(seen[0]).not.toBe(0)
  expect(seen[1]).toBe(seen[0])
  // Text is hashed: not worth computing twice.
  expect((byText.make.get('compiled') as () => Reducer)().fetch(some)).toBe(null)
})

test('pairs of a join: weights multiply', () => {
  const { rel, make } = CASES[1]
  const pairList = fc.array(fc.tuple(fc.nat(99), fc.nat(99)), { maxLength: 30, size: 'max' })
  fc.assert(
    fc.property(rowsArb, fc.array(weights, { minLength: 1, maxLength: 4 }), pairList, (lefts, rights, picks) => {
      if (lefts.length === 0) return
      const pairs = picks.map(([i, j]): [number, number] => [i % lefts.length, j % rights.length])
      const joined = pairs.map(([i, j]) => ({ row: lefts[i].row, weight: lefts[i].weight * rights[j] }))
      if (joined.some(r => BigInt.asIntN(64, r.weight) !== r.weight)) return
      const expected = oracle(rel, joined)
      if (expected.overflow) return
      for (const mode of MODES) {
        const reducer = (make.get(mode) as () => Reducer)()
        const other = batchOf(
          right,
          rights.map(weight => ({ row: [1], weight })),
        )
        const [is, js] = [0, 1].map(n => Int32Array.from(pairs, p => p[n]))
        try {
          reducer.pairs(batchOf(flat, lefts), other, is, js)
        } catch (error) {
          // A sum of weights may leave i64 on the way although it would come back.
          expect(error).toBeInstanceOf(WeightOverflowError)
          continue
        }
        expect(sumOf(reducer.settle())).toEqual(rowsOf(expected.rows))
      }
    }),
    { numRuns: 60, seed: 3 },
  )
})

test('min and max follow retractions', () => {
  const rel = nodes.aggregate(
    nodes.source(table),
    [['h', col('h')]],
    ARGUMENTS.flatMap(name => [[`min ${name}`, 'min', col(name)] as const, [`max ${name}`, 'max', col(name)] as const]),
  )
  checkIncremental(rel, { runs: 6, seed: 6, maxSteps: 5, maxChanges: 8 })
})
