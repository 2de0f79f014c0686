/** A range read is the sorted list of rows between two keys, whatever runs they lie in. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { kernelsOf } from '../../codegen/kernels.js'
import { arrangedLayout, type Layout } from '../../src/schema/schema.js'
import { MergeCursor } from '../../src/storage/compaction/cursor.js'
import type { KeyBounds } from '../../src/storage/zstore.js'
import type { Batch } from '../../src/zset/batch.js'
import {
  batchOf,
  compareModel,
  contents,
  flaw,
  layoutAndRows,
  MODES,
  runOf,
  schemaOf,
  sumOf,
  type Weighted,
} from '../zset/support.js'

function read(layout: Layout, runs: readonly Batch[], bounds: KeyBounds, mode: 'generic' | 'compiled'): Weighted[] {
  const cursor = new MergeCursor(kernelsOf(layout, mode), runs, bounds)
  const rows: Weighted[] = []
  for (let batch = cursor.next(); batch !== null; batch = cursor.next()) {
    expect(flaw(layout, batch)).toBeNull()
    rows.push(...contents(batch))
  }
  expect(cursor.next()).toBeNull()
  return rows
}

/** Orders keys alone: rows of one key are equal. */
function compareKeyOf(layout: Layout, kernels: ReturnType<typeof kernelsOf>, a: Weighted, b: Weighted): number {
  return kernels.compareGroups(batchOf(layout, [a]), 0, batchOf(layout, [b]), 0)
}

describe.each(MODES)('%s', mode => {
  test('all rows of 1 to 6 runs, consolidated', () => {
    fc.assert(
      fc.property(layoutAndRows(6), fc.integer({ min: 0, max: 6 }), ({ layout, lists }, count) => {
        const used = lists.slice(0, count)
        const rows = read(
          layout,
          used.map(list => runOf(layout, list)),
          {},
          mode,
        )
        expect(sumOf(rows)).toEqual(sumOf(...used))
        for (let i = 1; i < rows.length; i++) expect(compareModel(layout, rows[i - 1].row, rows[i].row)).toBeLessThan(0)
      }),
      { numRuns: mode === 'compiled' ? 150 : 60 },
    )
  })

  test('ranges by key', () => {
    fc.assert(
      fc.property(
        layoutAndRows(4),
        fc.tuple(fc.nat(), fc.nat(), fc.nat()),
        fc.tuple(fc.boolean(), fc.boolean(), fc.boolean()),
        ({ layout, lists }, picks, uses) => {
          const all = lists[0]
          if (all.length === 0) return
          const kernels = kernelsOf(layout, 'generic')
          const [from, after, to] = picks.map((n, b) => (uses[b] ? all[n % all.length] : null))
          const probe = (row: Weighted | null) => (row === null ? undefined : batchOf(layout, [row]))
          const found = read(
            layout,
            lists.map(list => runOf(layout, list)),
            { from: probe(from), after: probe(after), to: probe(to) },
            mode,
          )
          const expected = [...lists.flat()].filter(
            row =>
              (from === null || compareKeyOf(layout, kernels, row, from) >= 0) &&
              (after === null || compareKeyOf(layout, kernels, row, after) > 0) &&
              (to === null || compareKeyOf(layout, kernels, row, to) < 0),
          )
          expect(sumOf(found)).toEqual(sumOf(expected))
        },
      ),
      { numRuns: mode === 'compiled' ? 150 : 60 },
    )
  })

  test('a batch ends between rows, never within one', () => {
    const layout = arrangedLayout(schemaOf('plain', 'id:u64', 'v:i32'), [0])
    const list = (weight: bigint): Weighted[] =>
      Array.from({ length: 2500 }, (_, n) => ({ row: [BigInt(n), n % 7], weight }))
    const runs = [runOf(layout, list(1n)), runOf(layout, list(2n)), runOf(layout, list(-3n).slice(0, 1500))]
    const rows = read(layout, runs, {}, mode)
    expect(rows).toHaveLength(1000)
    expect(rows[0]).toEqual({ row: [1500n, 1500 % 7], weight: 3n })
  })
})
