/** A realistic kernel: the merge of two sorted runs with four columns, generic and specialised on random runs. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { load } from '../../codegen/load.js'
import { inline, specialise } from '../../codegen/specialise/index.js'

interface Column {
  readonly name: string
  readonly index: number
  readonly descending: boolean
}

interface Run {
  length: number
  columns: (Float64Array | BigInt64Array | Int32Array)[]
  weights: BigInt64Array
}

const columns: Column[] = [
  { name: 'id', index: 0, descending: false },
  { name: 'a name', index: 1, descending: true },
  { name: 'price', index: 2, descending: false },
  { name: 'class', index: 3, descending: false },
]

const compare = inline(function compare($columns: Column[], a: Run, i: number, b: Run, j: number): number {
  for (const $c of $columns) {
    const x = a.columns[$c.index]![i]!
    const y = b.columns[$c.index]![j]!
    if (x !== y) {
      if ($c.descending) return x < y ? 1 : -1
      return x < y ? -1 : 1
    }
  }
  return 0
})

const copy = inline(function copy(
  $columns: Column[],
  from: Run,
  i: number,
  to: Run,
  k: number,
  weight: bigint,
): number {
  if (weight === 0n) return k
  for (const $c of $columns) to.columns[$c.index]![k] = from.columns[$c.index]![i]!
  to.weights[k] = weight
  return k + 1
})

function merge($columns: Column[], $compare: typeof compare, $copy: typeof copy, a: Run, b: Run, out: Run): number {
  let i = 0
  let j = 0
  let k = 0
  while (i < a.length && j < b.length) {
    const order = $compare($columns, a, i, b, j)
    if (order < 0) {
      k = $copy($columns, a, i, out, k, a.weights[i]!)
      i++
    } else if (order > 0) {
      k = $copy($columns, b, j, out, k, b.weights[j]!)
      j++
    } else {
      k = $copy($columns, a, i, out, k, a.weights[i]! + b.weights[j]!)
      i++
      j++
    }
  }
  for (; i < a.length; i++) k = $copy($columns, a, i, out, k, a.weights[i]!)
  for (; j < b.length; j++) k = $copy($columns, b, j, out, k, b.weights[j]!)
  out.length = k
  return k
}

function empty(rows: number): Run {
  return {
    length: 0,
    columns: [new BigInt64Array(rows), new Int32Array(rows), new Float64Array(rows), new Int32Array(rows)],
    weights: new BigInt64Array(rows),
  }
}

type Row = [bigint, number, number, number, bigint]

function run(rows: Row[]): Run {
  const raw = empty(rows.length)
  rows.forEach((row, k) => {
    raw.columns.forEach((column, c) => {
      column[k] = row[c]!
    })
    raw.weights[k] = row[4]
  })
  const order = rows.map((_, k) => k).sort((p, q) => compare(columns, raw, p, raw, q))
  const sorted = empty(rows.length)
  for (const p of order) {
    const k = sorted.length
    if (k > 0 && compare(columns, sorted, k - 1, raw, p) === 0) continue
    copy(columns, raw, p, sorted, k, raw.weights[p]!)
    sorted.length++
  }
  return sorted
}

const row: fc.Arbitrary<Row> = fc.tuple(
  fc.bigInt({ min: -2n, max: 2n }),
  fc.integer({ min: -1, max: 1 }),
  fc.constantFrom(0, -1.5, 2.5),
  fc.integer({ min: 0, max: 1 }),
  fc.constantFrom(1n, -1n, 2n),
)

test('specialised and generic merges agree', () => {
  const made = specialise(merge, { $columns: columns, $compare: compare, $copy: copy }, { name: 'merge' })
  const { fn, source } = load<(a: Run, b: Run, out: Run) => number>({
    unit: 'orders',
    kernel: 'merge',
    provenance: [],
    functions: [made],
    exports: 'merge',
  })
  expect(source).toContain('const a_price = a.columns[2];')
  expect(source).not.toContain('$')
  fc.assert(
    fc.property(fc.array(row, { maxLength: 30 }), fc.array(row, { maxLength: 30 }), (left, right) => {
      const a = run(left)
      const b = run(right)
      const expected = empty(a.length + b.length)
      const found = empty(a.length + b.length)
      expect(fn(a, b, found)).toBe(merge(columns, compare, copy, a, b, expected))
      expect(found).toEqual(expected)
    }),
    { seed: 7, numRuns: 200 },
  )
})
