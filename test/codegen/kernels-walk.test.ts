/** Walks through groups, generic and specialised: the first row that is there, and what changes among the first k. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Mode } from '../../codegen/build.js'
import { kernelsOf } from '../../codegen/kernels.js'
import { extremeCode, topKCode } from '../../codegen/walk.js'
import type { FindExtreme, ReachExtremes } from '../../src/engine/operators/reduce.js'
import type { TopKCode } from '../../src/engine/operators/topk.js'
import { GroupWalk } from '../../src/engine/operators/walk.js'
import { flatLayout, type Layout } from '../../src/schema/schema.js'
import type { Value } from '../../src/schema/types.js'
import { equalValues } from '../../src/schema/values.js'
import { Batch } from '../../src/zset/batch.js'
import { recordLayout, usedLanes } from '../../src/zset/records.js'
import {
  type Collide,
  compareModel,
  contents,
  LAYOUTS,
  layoutAndRows,
  MODES,
  runOf,
  sumOf,
  textOf,
  twoHashes,
  type Weighted,
} from '../zset/support.js'

const makeCode = (mode: Mode, layout: Layout) => {
  const context = { mode, unit: 'test', provenance: [] }
  const kernels = kernelsOf(layout, mode)
  const { schema } = layout
  const record = recordLayout(usedLanes(layout.key), [])
  const shape = { kernels, value: schema.columns[0], min: null, max: null, schema, record }
  return {
    ...extremeCode<ReachExtremes, FindExtreme>(context, shape),
    rank: topKCode<TopKCode['reached'], TopKCode['rank']>(context, kernels, schema).rank,
  }
}
const codes = new Map(MODES.map(mode => [mode, new Map(LAYOUTS.map(layout => [layout, makeCode(mode, layout)]))]))

/** The rows of a group in order, with weights before and after the delta. */
function modelOf(layout: Layout, before: readonly Weighted[], delta: readonly Weighted[], collide: Collide | null) {
  const rows = new Map([...before, ...delta].map(({ row }) => [textOf(row), row]))
  const [old, now] = [sumOf(before), sumOf([...before, ...delta])]
  const list = [...rows].map(([text, row]) => ({ row, old: old.get(text) ?? 0n, now: now.get(text) ?? 0n }))
  return list.sort((a, b) => compareModel(layout, a.row, b.row, collide))
}

/** How much of each weight is among the first `limit`. */
function firsts(weights: readonly bigint[], limit: bigint): bigint[] {
  let left = limit
  return weights.map(weight => {
    const part = weight <= 0n ? 0n : weight < left ? weight : left
    left -= part
    return part
  })
}

function check(layout: Layout, lists: readonly Weighted[][], limit: number, mixed: Collide | null): void {
  const collide = layout.key.kind === 'hash' ? mixed : null
  const [changes, ...parts] = lists
  const runs = parts.map(rows => runOf(layout, rows, collide)).filter(run => run.length > 0)
  const delta = runOf(layout, changes, collide)
  const { columns } = layout.key
  const sameGroup = (a: readonly Value[], b: readonly Value[]) =>
    columns.every(c => equalValues(layout.schema.columns[c].type, a[c], b[c]))
  const there = contents(delta)
  const starts = there.flatMap(({ row }, i) => (i > 0 && sameGroup(there[i - 1].row, row) ? [] : [i]))
  for (const mode of MODES) {
    const code = codes.get(mode)?.get(layout) as ReturnType<typeof makeCode>
    const walks = [0, 1, 2].map(() => new GroupWalk(new Batch(layout)))
    for (const walk of walks) walk.begin(runs.length)
    starts.forEach((from, s) => {
      const last = (starts[s + 1] ?? there.length) - 1
      const own = (rows: readonly Weighted[]) => rows.filter(({ row }) => sameGroup(row, there[from].row))
      const group = modelOf(layout, own(parts.flat()), own(there), collide)
      for (const whole of [1, 0]) {
        const upTo = (row: readonly Value[]) => whole === 1 || compareModel(layout, row, there[last].row, collide) <= 0
        const since = (row: readonly Value[]) => whole === 1 || compareModel(layout, row, there[from].row, collide) >= 0
        const expected = [
          group.find(r => r.now > 0n && since(r.row)),
          group.filter(r => r.now > 0n && upTo(r.row)).at(-1),
        ]
        const found = [code.first, code.last].map((find, w) => {
          if (find(walks[w], runs, delta, w === 0 ? from : last, whole) === 0) return undefined
          return textOf(contents(walks[w].run)[walks[w].row].row)
        })
        expect(found).toEqual(expected.map(r => (r === undefined ? undefined : textOf(r.row))))
      }
      const out = new Batch(flatLayout(layout.schema))
      const total = code.rank(walks[2], runs, delta, from, limit, limit, out)
      const old = firsts(
        group.map(r => r.old),
        BigInt(limit),
      )
      const now = firsts(
        group.map(r => r.now),
        BigInt(limit),
      )
      const changed = group.map(({ row }, i) => ({ row, weight: now[i] - old[i] }))
      expect(contents(out)).toEqual(changed.filter(({ weight }) => weight !== 0n))
      expect(BigInt(total)).toBe(now.reduce((a, b) => a + b, 0n))
    })
  }
}

describe('walking through the groups of a delta', () => {
  const cases = layoutAndRows(4, 30)
  const limits = fc.constantFrom(1, 2, 3, 7)

  test.each([
    ['as they are', null],
    ['hashes colliding', twoHashes],
  ] as const)('extremes and first rows, of any layout: %s', (_name, collide) => {
    fc.assert(
      fc.property(cases, limits, ({ layout, lists }, limit) => check(layout, lists, limit, collide)),
      { numRuns: 150, seed: 78 },
    )
  })
})
