/** A store is a Map from rows to weights; a step that is given up leaves it as it was. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { kernelsOf } from '../../codegen/kernels.js'
import { storeCode } from '../../codegen/steps.js'
import { WeightOverflowError } from '../../src/base/errors.js'
import { allColumns } from '../../src/circuit/substitute.js'
import { SILENT } from '../../src/engine/errors.js'
import type { ScanStore } from '../../src/engine/operators/feed.js'
import { flatLayout, type Layout } from '../../src/schema/schema.js'
import { Store, TAIL_ROWS } from '../../src/zset/store.js'
import { batchOf, contents, I64_MAX, I64_MIN, LAYOUTS, sumOf, textOf, type Weighted, weightedRows } from './support.js'

/** New stores of a layout. */
function storesOf(layout: Layout): () => Store {
  const context = { mode: 'compiled' as const, unit: 'store', provenance: [] }
  const pipeline = { filter: null, exprs: allColumns(layout.schema), schema: layout.schema, negate: false }
  const arrange = storeCode(context, pipeline, layout).scan<ScanStore>(flatLayout(layout.schema))
  const kernels = kernelsOf(layout)
  return () =>
    new Store(
      kernels,
      (flat, from, to, raw) => {
        raw.length = arrange(flat, from, to, raw, SILENT)
      },
      'store',
    )
}

function read(store: Store): Map<string, bigint> {
  return sumOf(contents(store.tail), ...store.trace.batches().map(contents))
}

/** One step: rows are appended and checked, then kept or given up. */
function step(store: Store, rows: readonly Weighted[], keep: boolean): void {
  let from = store.tail.length
  store.append(batchOf(flatLayout(store.layout.schema), rows), 0, rows.length)
  try {
    from = store.prepare(from)
  } catch (error) {
    store.truncate(from)
    throw error
  }
  if (keep) store.commit()
  else store.truncate(from)
}

const stepsArb = (layout: Layout) =>
  fc.array(
    fc.record({
      rows: weightedRows(layout.schema, 12),
      keep: fc.nat(3).map(n => n > 0),
      flush: fc.nat(3).map(n => n === 0),
    }),
    { maxLength: 8, size: 'max' },
  )

describe('equals a Map', () => {
  test.each(['one', 'texts', 'types', 'nulls'])('%s', name => {
    const layout = LAYOUTS.find(l => l.schema.name === name) as Layout
    const make = storesOf(layout)
    fc.assert(
      fc.property(stepsArb(layout), steps => {
        const store = make()
        let all: Weighted[] = []
        for (const { rows, keep, flush } of steps) {
          step(store, rows, keep)
          if (keep) all = [...all, ...rows]
          if (flush) {
            store.flush()
            expect(store.tail.length).toBe(0)
          }
          expect(read(store)).toEqual(sumOf(all))
        }
        expect(store.usedBytes).toBeLessThanOrEqual(store.allocatedBytes)
      }),
      { numRuns: 25, seed: 3 },
    )
  })

  test('a long tail is arranged by a commit, and its memory is used again', () => {
    const layout = LAYOUTS[3]
    const store = storesOf(layout)()
    const rows = Array.from({ length: 1000 }, (_, i): Weighted => ({ row: [BigInt(i), null], weight: 1n }))
    for (let n = 0; n < 20; n++) {
      step(store, rows, true)
      expect(store.tail.length).toBeLessThan(TAIL_ROWS)
    }
    expect(new Set(read(store).values())).toEqual(new Set([20n]))
    store.flush()
    expect(store.trace.compact()?.length).toBe(1000)
  })
})

describe('weights near the ends of i64', () => {
  const layout = LAYOUTS[3]
  const make = storesOf(layout)
  const huge = fc.constantFrom(I64_MAX, I64_MIN, 1n, -1n, 1n << 62n, -(1n << 62n), 1n << 61n, -I64_MAX)
  const rowsArb = fc.array(fc.tuple(fc.nat(1), huge), { maxLength: 3, size: 'max' })

  /** Does a weight leave i64, in the step alone or in the sum? */
  const leaves = (sums: Map<string, bigint>) => [...sums.values()].some(w => BigInt.asIntN(64, w) !== w)

  test('a step whose sums fit is taken, another is refused and changes nothing', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(rowsArb, fc.boolean()), { maxLength: 8, size: 'max' }), steps => {
        const store = make()
        let all: Weighted[] = []
        for (const [picks, keep] of steps) {
          const rows = picks.map(([k, weight]): Weighted => ({ row: [BigInt(k), 7], weight }))
          const before = read(store)
          if (leaves(sumOf(rows)) || leaves(sumOf(all, rows))) {
            expect(() => step(store, rows, keep)).toThrow(WeightOverflowError)
            expect(read(store)).toEqual(before)
            continue
          }
          // A sum that fits but leaves i64 on the way may be refused, too.
          if (rows.some((_, n) => leaves(sumOf(rows.slice(0, n))))) continue
          step(store, rows, keep)
          if (keep) all = [...all, ...rows]
          expect(read(store)).toEqual(sumOf(all))
        }
        store.flush()
        expect(read(store)).toEqual(sumOf(all))
      }),
      { numRuns: 150, seed: 1 },
    )
  })

  test('the refused row is said to have left i64', () => {
    const store = make()
    step(store, [{ row: [1n, null], weight: I64_MAX }], true)
    expect(() => step(store, [{ row: [1n, null], weight: 1n }], true)).toThrow(/nothing was applied/)
    expect(read(store)).toEqual(new Map([[textOf([1n, null]), I64_MAX]]))
  })
})
