/** Kernels of layouts, generic and specialised, against a model of plain rows. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { WeightOverflowError } from '../../src/base/errors.js'
import type { Layout } from '../../src/schema/schema.js'
import { compareValues } from '../../src/schema/values.js'
import { Batch } from '../../src/zset/batch.js'
import type { Kernels } from '../../src/zset/kernels.js'
import { Sorter } from '../../src/zset/sort.js'
import {
  batchOf,
  type Collide,
  compareModel,
  contents,
  eachMode,
  flaw,
  I64_MAX,
  I64_MIN,
  LAYOUTS,
  layoutAndRows,
  rowOf,
  runOf,
  sign,
  sumOf,
  textOf,
  twoHashes,
  type Weighted,
} from '../zset/support.js'

const RUNS = { numRuns: 70, seed: 20251 }
const hashed = fc.constantFrom(...LAYOUTS.filter(l => l.key.kind === 'hash'))

/** Runs a law on random rows of every layout and again on hashed layouts with colliding hashes. */
function law(
  name: string,
  lists: number,
  check: (layout: Layout, lists: Weighted[][], collide: Collide | null) => void,
): void {
  test(name, () => {
    fc.assert(
      fc.property(layoutAndRows(lists), ({ layout, lists: rows }) => check(layout, rows, null)),
      RUNS,
    )
  })
  test(`${name}, hashes colliding`, () => {
    fc.assert(
      fc.property(layoutAndRows(lists, 40, hashed), ({ layout, lists: rows }) => check(layout, rows, twoHashes)),
      { ...RUNS, numRuns: 30 },
    )
  })
}

describe('order', () => {
  law('compareRows, comparePayload and compareGroups are the order of values', 1, (layout, [rows], collide) => {
    const batch = batchOf(layout, rows.slice(0, 12), collide)
    const other = batchOf(layout, [...rows.slice(0, 12)].reverse(), collide)
    const n = batch.length
    eachMode(layout, kernels => {
      const wrong: string[] = []
      const check = (i: number, j: number, what: string, actual: number, expected: number) => {
        if (sign(actual) !== sign(expected)) wrong.push(`${what}(${i}, ${j}): expected ${expected}, found ${actual}`)
      }
      for (let i = 0; i < n; i++) {
        for (let j = 0; j < n; j++) {
          const [a, b] = [rows[i].row, rows[j].row]
          const order = compareModel(layout, a, b, collide)
          check(i, j, 'compareRows', kernels.compareRows(batch, i, batch, j), order)
          check(i, j, 'compareRows of two batches', kernels.compareRows(batch, i, other, n - 1 - j), order)
          const sameKey = layout.key.columns.every(c => compareValues(layout.schema.columns[c].type, a[c], b[c]) === 0)
          const groups = kernels.compareGroups(batch, i, other, n - 1 - j)
          if (sameKey !== (groups === 0)) wrong.push(`compareGroups(${i}, ${j}): found ${groups}`)
          if (!sameKey) check(i, j, 'compareGroups', groups, order)
          else check(i, j, 'comparePayload', kernels.comparePayload(batch, i, other, n - 1 - j), order)
        }
      }
      expect(wrong).toEqual([])
    })
  })

  law('a total order', 1, (layout, [rows], collide) => {
    const batch = batchOf(layout, rows.slice(0, 10), collide)
    const n = batch.length
    eachMode(layout, kernels => {
      const compare = (i: number, j: number) => sign(kernels.compareRows(batch, i, batch, j))
      const wrong: string[] = []
      for (let i = 0; i < n; i++) {
        for (let j = 0; j < n; j++) {
          if (compare(i, j) + compare(j, i) !== 0) wrong.push(`${i} and ${j} are not ordered`)
          const same = textOf(rows[i].row) === textOf(rows[j].row)
          if ((compare(i, j) === 0) !== same) wrong.push(`${i} and ${j}: 0 exactly if equal`)
          for (let k = 0; k < n; k++) {
            if (compare(i, j) <= 0 && compare(j, k) <= 0 && compare(i, k) > 0) wrong.push(`${i} <= ${j} <= ${k}`)
          }
        }
      }
      expect(wrong).toEqual([])
    })
  })
})

describe('moving rows', () => {
  law('copyRow copies row, key and weight', 1, (layout, [rows], collide) => {
    const from = batchOf(layout, rows, collide)
    eachMode(layout, kernels => {
      const to = new Batch(layout, rows.length)
      for (let i = 0; i < rows.length; i++) kernels.copyRow(from, i, to, rows.length - 1 - i)
      to.length = rows.length
      expect(contents(to)).toEqual(contents(batchOf(layout, [...rows].reverse(), collide)))
      expect(to.keys.slice(0, to.length)).toEqual(
        batchOf(layout, [...rows].reverse(), collide).keys.slice(0, to.length),
      )
    })
  })

  law('consolidate sums equal rows', 1, (layout, [rows], collide) => {
    const raw = batchOf(layout, rows, collide)
    eachMode(layout, kernels => {
      const out = consolidated(kernels, raw)
      expect(flaw(layout, out, collide)).toBeNull()
      expect(sumOf(contents(out))).toEqual(sumOf(rows))
    })
  })
})

function consolidated(kernels: Kernels, raw: Batch): Batch {
  const sorter = new Sorter()
  sorter.sort(raw.keys32, kernels.layout.key.words * 2, raw.length, (i, j) => kernels.compareRows(raw, i, raw, j))
  const out = new Batch(kernels.layout, raw.length)
  kernels.consolidate(raw, sorter.permutation, raw.length, out)
  return out
}

describe('merging', () => {
  law('merge, in slices, is the sum', 2, (layout, [a, b], collide) => {
    const [left, right] = [runOf(layout, a, collide), runOf(layout, b, collide)]
    // Ghosts are allowed in what is merged.
    if (left.length > 1) left.weights[1] = 0n
    const expected = sumOf(contents(left), contents(right))
    for (const fuel of [1, 3, 1000]) {
      eachMode(layout, kernels => {
        const out = new Batch(layout, left.length + right.length)
        const state = { i: 0, j: 0 }
        let slices = 0
        while (!kernels.merge(left, right, out, state, fuel)) {
          slices++
          expect(slices).toBeLessThan(200)
        }
        if (fuel === 1000) expect(slices).toBe(0)
        expect(state).toEqual({ i: left.length, j: right.length })
        expect(flaw(layout, out, collide)).toBeNull()
        expect(sumOf(contents(out))).toEqual(expected)
      })
    }
  })

  law('mergeAll is the sum of any number of runs', 5, (layout, lists, collide) => {
    const runs = [...lists.map(list => runOf(layout, list, collide)), new Batch(layout)]
    if (runs[0].length > 0) runs[0].weights[0] = 0n
    eachMode(layout, kernels => {
      const out = new Batch(
        layout,
        runs.reduce((n, run) => n + run.length, 0),
      )
      kernels.mergeAll(runs, out, new Int32Array(runs.length), new Int32Array(runs.length))
      expect(flaw(layout, out, collide)).toBeNull()
      expect(sumOf(contents(out))).toEqual(sumOf(...runs.map(contents)))
    })
  })

  law('absorb adds in place, ghosts included', 4, (layout, lists, collide) => {
    eachMode(layout, kernels => {
      const head = new Batch(layout, 200)
      lists.forEach((list, n) => {
        const delta = runOf(layout, list, collide)
        kernels.absorb(head, delta, new Int32Array(delta.length))
        expect(sumOf(contents(head))).toEqual(sumOf(...lists.slice(0, n + 1)))
        const rows = contents(head).map(({ row }) => ({ row, weight: 1n }))
        expect(flaw(layout, batchOf(layout, rows), collide)).toBeNull()
      })
    })
  })
})

describe('searching', () => {
  law('seek finds the first key that is not below', 2, (layout, [a, b], collide) => {
    const [run, probe] = [runOf(layout, a, collide), runOf(layout, b, collide)]
    const keys = (batch: Batch, i: number) =>
      batch.keys.slice(i * layout.key.words, (i + 1) * layout.key.words).reverse()
    const below = (i: number, p: number) => {
      const [x, y] = [keys(run, i), keys(probe, p)]
      return x[0] < y[0] || (x[0] === y[0] && x.length > 1 && x[1] < y[1])
    }
    eachMode(layout, kernels => {
      for (let p = 0; p < probe.length; p++) {
        let expected = 0
        while (expected < run.length && below(expected, p)) expected++
        for (const from of [0, expected >> 1, expected]) expect(kernels.seek(run, from, probe, p)).toBe(expected)
      }
    })
  })

  law('lookup adds the weights of exactly these rows', 3, (layout, [a, b, c], collide) => {
    const delta = runOf(layout, a, collide)
    const runs = [b, c, a].map(list => runOf(layout, list, collide))
    const weightIn = sumOf(b, c, a)
    const expected = contents(delta).map(({ row }) => 5n + (weightIn.get(textOf(row)) ?? 0n))
    eachMode(layout, kernels => {
      const sums = new BigInt64Array(delta.length).fill(5n)
      for (const run of runs) kernels.lookup(delta, run, sums)
      expect([...sums]).toEqual(expected)
    })
  })
})

describe('weights that leave i64', () => {
  const [layout] = LAYOUTS
  const [row] = fc.sample(rowOf(layout.schema), { numRuns: 1, seed: 5 })
  const one = (weight: bigint) => runOf(layout, [{ row, weight }])
  const cases: readonly [bigint, bigint, boolean][] = [
    [I64_MAX, 1n, true],
    [1n, I64_MAX, true],
    [I64_MIN, -1n, true],
    [I64_MIN, I64_MIN, true],
    [I64_MAX, -1n, false],
    [I64_MAX - 1n, 1n, false],
    [I64_MIN, I64_MAX, false],
    [I64_MIN + 1n, -1n, false],
  ]

  test.each(cases)('%s + %s: overflow %s', (x, y, overflows) => {
    eachMode(layout, kernels => {
      const check = (run: () => Batch) => {
        if (overflows) expect(run).toThrow(WeightOverflowError)
        else expect(run().weights[0]).toBe(x + y)
      }
      check(() => {
        const raw = batchOf(
          layout,
          [x, y].map(weight => ({ row, weight })),
        )
        return consolidated(kernels, raw)
      })
      check(() => {
        const out = new Batch(layout, 2)
        kernels.merge(one(x), one(y), out, { i: 0, j: 0 }, 10)
        return out
      })
      check(() => {
        const out = new Batch(layout, 2)
        kernels.mergeAll([one(x), one(y)], out, new Int32Array(2), new Int32Array(2))
        return out
      })
      check(() => {
        const sums = BigInt64Array.of(x)
        kernels.lookup(one(y), one(y), sums)
        const out = one(1n)
        out.weights[0] = sums[0]
        return out
      })
      const head = one(x)
      check(() => {
        kernels.absorb(head, one(y), new Int32Array(1))
        return head
      })
      if (overflows) expect(head.weights[0]).toBe(x)
    })
  })

  test('absorb that overflows has changed nothing', () => {
    const rows = fc.sample(rowOf(layout.schema), { numRuns: 30, seed: 7 })
    eachMode(layout, kernels => {
      const big = runOf(layout, [
        { row: rows[29], weight: I64_MAX },
        ...rows.slice(0, 10).map(r => ({ row: r, weight: 3n })),
      ])
      const head = new Batch(layout, 64)
      kernels.absorb(head, big, new Int32Array(64))
      const before = contents(head)
      const delta = runOf(
        layout,
        [...rows.slice(5, 20), rows[29]].map(r => ({ row: r, weight: 1n })),
      )
      const same = sumOf(before).get(textOf(rows[29])) === I64_MAX
      expect(same).toBe(true)
      expect(() => kernels.absorb(head, delta, new Int32Array(64))).toThrow(WeightOverflowError)
      expect(contents(head)).toEqual(before)
    })
  })
})

describe('generated code', () => {
  test('is made when first called and named after its columns', () => {
    eachMode(LAYOUTS[0], (kernels, mode) => {
      const batch = batchOf(LAYOUTS[0], [{ row: [1n, null, 0.5], weight: 1n }])
      kernels.copyRow(batch, 0, new Batch(LAYOUTS[0], 1), 0)
      const { sources } = kernels as unknown as { sources: ReadonlyMap<string, string> }
      if (mode === 'compiled') expect(sources.get('copyRow')).toContain('to_x[k] = from_x[i]')
      else expect(sources.get('copyRow')).toContain('$layout')
    })
  })
})
