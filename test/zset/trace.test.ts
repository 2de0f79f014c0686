/** A trace is a Map from rows to weights, whatever way its rows came. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { kernelsOf } from '../../codegen/kernels.js'
import { WeightOverflowError } from '../../src/base/errors.js'
import { arrangedLayout, type Layout } from '../../src/schema/schema.js'
import type { Value } from '../../src/schema/types.js'
import { appendRows } from '../../src/zset/append.js'
import { Arranger } from '../../src/zset/arrange.js'
import { Batch } from '../../src/zset/batch.js'
import { HEAD_ROWS, Trace } from '../../src/zset/trace.js'
import {
  batchOf,
  contents,
  flaw,
  I64_MAX,
  I64_MIN,
  LAYOUTS,
  rowOf,
  runOf,
  schemaOf,
  sumOf,
  textOf,
  type Weighted,
  weights,
} from './support.js'

const named = (name: string) => LAYOUTS.find(l => l.schema.name === name) as Layout

/** The integral as anyone may read it: runs that are sorted, whose sums count. */
function read(trace: Trace): Map<string, bigint> {
  for (const run of trace.batches()) {
    const rows = contents(run).map(({ row }) => ({ row, weight: 1n }))
    expect(flaw(run.layout, batchOf(run.layout, rows))).toBeNull()
  }
  return sumOf(...trace.batches().map(contents))
}

function add(trace: Trace, delta: Batch, owned: boolean): void {
  trace.prepare(delta)
  trace.insert(delta, owned)
}

const actions = (layout: Layout) =>
  fc.array(fc.tuple(rowOf(layout.schema), fc.nat(3)), { minLength: 1, maxLength: 60, size: 'max' }).chain(pool => {
    const rows = (min: number, max: number) =>
      fc
        .array(fc.tuple(fc.nat(0xffff), weights), { minLength: min, maxLength: max, size: 'max' })
        .map(picks => picks.map(([n, weight]): Weighted => ({ row: pool[n % pool.length][0], weight })))
    return fc.array(
      fc.oneof(
        { weight: 6, arbitrary: fc.record({ rows: rows(0, 3), owned: fc.boolean() }) },
        { weight: 3, arbitrary: fc.record({ rows: rows(0, 80), owned: fc.boolean() }) },
        { weight: 1, arbitrary: fc.constant('compact' as const) },
        { weight: 1, arbitrary: fc.constant('retract all' as const) },
      ),
      { maxLength: 25, size: 'max' },
    )
  })

describe('equals a Map', () => {
  test.each(['one', 'text', 'ranked', 'wide', 'nothing'])(
    '%s: small and large deltas, owned or not, compacted in between',
    name => {
      const layout = named(name)
      const kernels = kernelsOf(layout)
      fc.assert(
        fc.property(actions(layout), list => {
          const trace = new Trace(kernels, 'trace')
          let all: Weighted[] = []
          for (const action of list) {
            if (action === 'compact') {
              const run = trace.compact()
              if (run !== null) expect(flaw(layout, run)).toBeNull()
              expect(sumOf(run === null ? [] : contents(run))).toEqual(sumOf(all))
              expect(trace.batches().length).toBeLessThanOrEqual(1)
              continue
            }
            const rows = action === 'retract all' ? all.map(r => ({ ...r, weight: -r.weight })) : action.rows
            const delta = runOf(layout, rows)
            const owned = action !== 'retract all' && action.owned
            const given = contents(delta)
            add(trace, delta, owned)
            if (!owned) {
              // The batch stays the caller's, who may change it.
              expect(contents(delta)).toEqual(given)
              delta.weights.fill(77n)
              delta.keys.fill(1n)
            }
            all = [...all, ...given]
            expect(read(trace)).toEqual(sumOf(all))
          }
        }),
        { numRuns: 12, seed: name.length },
      )
    },
  )

  test('ghosts: a row that cancels in the head is not seen, and comes back', () => {
    const layout = named('one')
    const trace = new Trace(kernelsOf(layout), 'trace')
    const row: Value[] = [5n, 'a text longer than twelve bytes', 1]
    for (const weight of [1n, -1n, 1n, -1n, 2n]) {
      add(trace, runOf(layout, [{ row, weight }]), false)
      expect(trace.rowCount).toBe(1)
    }
    expect(read(trace)).toEqual(new Map([[textOf(row), 2n]]))
    add(trace, runOf(layout, [{ row, weight: -2n }]), false)
    expect(trace.compact()).toBeNull()
    expect(trace.rowCount).toBe(0)
  })
})

const layout = arrangedLayout(schemaOf('numbers', 'k:u64', 'v:i32'), [0])
const kernels = kernelsOf(layout)

function rangeOf(from: number, to: number, weight = 1n): Batch {
  return runOf(
    layout,
    Array.from({ length: to - from }, (_, i): Weighted => ({ row: [BigInt(from + i), i & 7], weight })),
  )
}

describe('stays small', () => {
  /** Room for the runs that are being merged, and for the head. */
  const bound = (rows: number) => 3 * rows * 28 + 4 * HEAD_ROWS * 28

  test.each([1, 40, 100, 1000])('deltas of %i rows: O(log n) runs', size => {
    const trace = new Trace(kernels, 'trace')
    const total = size === 1 ? 3000 : 60 * size
    let most = 0
    for (let from = 0; from < total; from += size) {
      // Keys come in no order.
      const at = (from * 7919) % 1_000_003
      add(trace, rangeOf(at, at + size), true)
      const count = trace.batches().length
      const log = Math.log2(1 + (from + size) / Math.max(size, HEAD_ROWS / 4))
      most = Math.max(most, count - 2 * log)
      expect(trace.allocatedBytes).toBeLessThan(bound(trace.rowCount) + 64 * size)
    }
    expect(most).toBeLessThan(6)
    expect(trace.usedBytes).toBeLessThanOrEqual(trace.allocatedBytes)
  })

  test('a row that comes and goes leaves nothing', () => {
    const trace = new Trace(kernels, 'trace')
    add(trace, rangeOf(0, 1000), true)
    for (let round = 0; round < 300; round++) {
      add(trace, rangeOf(5000 + round, 5010 + round), false)
      add(trace, rangeOf(5000 + round, 5010 + round, -1n), false)
      expect(trace.allocatedBytes).toBeLessThan(200_000)
    }
    expect(trace.compact()?.length).toBe(1000)
  })

  test('large deltas that cancel, too', () => {
    const trace = new Trace(kernels, 'trace')
    for (let round = 0; round < 60; round++) {
      add(trace, rangeOf(0, 500), true)
      add(trace, rangeOf(0, 500, -1n), true)
      expect(trace.rowCount).toBeLessThan(16 * 500)
    }
    expect(trace.compact()).toBeNull()
  })
})

describe('weights near the ends of i64', () => {
  const one = (weight: bigint, k = 1n) => runOf(layout, [{ row: [k, 0], weight }])

  test('what fits is taken, what does not is refused and changes nothing', () => {
    const huge = fc.constantFrom(I64_MAX, I64_MIN, I64_MAX - 1n, 1n, -1n, 1n << 62n, -(1n << 62n), -I64_MAX)
    fc.assert(
      fc.property(fc.array(fc.tuple(huge, fc.nat(2), fc.boolean()), { maxLength: 14, size: 'max' }), list => {
        const trace = new Trace(kernels, 'trace')
        const sums = new Map<string, bigint>()
        list.forEach(([weight, k, owned]) => {
          const delta = one(weight, BigInt(k))
          const key = textOf([BigInt(k), 0])
          const sum = (sums.get(key) ?? 0n) + weight
          if (BigInt.asIntN(64, sum) !== sum) {
            expect(() => trace.prepare(delta)).toThrow(WeightOverflowError)
          } else {
            add(trace, delta, owned)
            sums.set(key, sum)
            if (sum === 0n) sums.delete(key)
          }
          expect(read(trace)).toEqual(sums)
        })
      }),
      { numRuns: 60, seed: 8 },
    )
  })

  test('large deltas are checked row by row', () => {
    const trace = new Trace(kernels, 'trace')
    const rows = (weight: bigint) => Array.from({ length: 300 }, (_, i): Weighted => ({ row: [BigInt(i), 0], weight }))
    add(trace, runOf(layout, rows(1n << 61n)), true)
    add(trace, runOf(layout, rows(1n << 61n)), false)
    add(trace, runOf(layout, rows((1n << 62n) - 1n)), true)
    const before = read(trace)
    expect(new Set(before.values())).toEqual(new Set([I64_MAX]))
    const bad = runOf(layout, [...rows(-1n).slice(0, 299), { row: [299n, 0], weight: 1n }])
    expect(() => trace.prepare(bad)).toThrow(WeightOverflowError)
    expect(read(trace)).toEqual(before)
    add(trace, runOf(layout, rows(-I64_MAX)), true)
    expect(trace.compact()).toBeNull()
    // Afterwards the bound is low again.
    add(trace, rangeOf(0, 500), true)
    expect(trace.rowCount).toBe(500)
  })
})

describe('long strings', () => {
  const layout = arrangedLayout(schemaOf('long', 'id:u32', 'text:string'), [0])
  const kernels = kernelsOf(layout)
  const text = (id: number) => `${id} is a number, and this is a text that does not fit a cell`
  const rows = (from: number, to: number, weight: bigint): Weighted[] =>
    Array.from({ length: to - from }, (_, i) => ({ row: [from + i, text(from + i)], weight }))

  /** Raw rows, arranged as operators do it. */
  function arranged(list: readonly Weighted[], raw: Arranger['raw'], arranger: Arranger): Batch {
    appendRows(batchOf(layout, list), 0, list.length, raw)
    const out = new Batch(layout)
    arranger.arrange(out)
    raw.clear()
    return out
  }

  test('are the same whoever shares a heap, and do not pile up', () => {
    const trace = new Trace(kernels, 'trace')
    const arranger = new Arranger(kernels)
    const { raw } = arranger
    const first = arranged(rows(0, 600, 1n), raw, arranger)
    for (let part = 1; part < 8; part++)
      add(trace, arranged(rows(part * 600, (part + 1) * 600, 1n), raw, arranger), true)
    // What was handed out stays readable after the memory it shared was used again.
    expect(contents(first)).toEqual(rows(0, 600, 1n))
    add(trace, first, true)
    expect(read(trace)).toEqual(sumOf(rows(0, 4800, 1n)))
    for (let part = 0; part < 7; part++)
      add(trace, arranged(rows(part * 600, (part + 1) * 600, -1n), raw, arranger), true)
    expect(sumOf(...trace.batches().map(contents))).toEqual(sumOf(rows(4200, 4800, 1n)))
    const hot = trace.takeHot() as Batch
    expect(contents(hot)).toEqual(rows(4200, 4800, 1n))
    expect(hot.heap.length).toBe(hot.stringBytes())
  })
})
