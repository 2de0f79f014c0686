/** Order statistics over runs against a plain sorted list of the rows that are there. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readRow } from '../../codegen/expr/plain.js'
import { kernelsOf } from '../../codegen/kernels.js'
import { arrangedLayout, type Layout } from '../../src/schema/schema.js'
import { PositivePart } from '../../src/zset/positive.js'
import { countOf, groupRanges, rankOf, selectRow } from '../../src/zset/rank.js'
import { Trace } from '../../src/zset/trace.js'
import {
  compareModel,
  contents,
  LAYOUTS,
  runOf,
  schemaOf,
  sumOf,
  textOf,
  type Weighted,
  weightedRows,
} from './support.js'

const named = (name: string) => LAYOUTS.find(l => l.schema.name === name) as Layout
const LONG = arrangedLayout(schemaOf('long', 'g:u8', 'v:u32'), [0])

/** A trace and its positive part after the deltas, next to the sum of both as a sorted list without zeros. */
function build(layout: Layout, deltas: readonly (readonly Weighted[])[], fuel = 1) {
  const kernels = kernelsOf(layout)
  const trace = new Trace(kernels, 'trace')
  const positive = new PositivePart(kernels, 'positive part')
  const all: Weighted[] = []
  let effective: Weighted[] = []
  for (const rows of deltas) {
    const delta = runOf(layout, rows)
    all.push(...rows)
    trace.prepare(delta)
    effective = [...effective, ...contents(positive.change(trace.batches(), delta))]
    trace.insert(delta, rows.length % 2 === fuel)
    positive.commit()
  }
  return { kernels, runs: [...trace.batches(), ...positive.rows.batches()], all, effective }
}

function present(layout: Layout, rows: readonly Weighted[]): Weighted[] {
  const sums = sumOf(rows)
  const distinct = new Map(rows.map(({ row }) => [textOf(row), row]))
  return [...sums]
    .map(([text, weight]) => ({ row: distinct.get(text) as Weighted['row'], weight }))
    .filter(({ weight }) => weight > 0n)
    .sort((a, b) => compareModel(layout, a.row, b.row))
}

function check(layout: Layout, deltas: readonly (readonly Weighted[])[]): void {
  const { kernels, runs, all, effective } = build(layout, deltas)
  const rows = present(layout, all)
  expect(sumOf(...runs.map(contents))).toEqual(sumOf(rows))
  expect(sumOf(effective)).toEqual(sumOf(rows))
  for (const { row } of all) {
    const probe = runOf(layout, [{ row, weight: 1n }])
    const key = layout.key.columns
    const group = rows.filter(r => textOf(key.map(c => r.row[c])) === textOf(key.map(c => row[c])))
    const ranges = groupRanges(kernels, runs, probe, 0)
    const count = group.reduce((sum, r) => sum + Number(r.weight), 0)
    expect(countOf(ranges)).toBe(count)
    const before = group.filter(r => compareModel(layout, r.row, row) < 0)
    expect(rankOf(kernels, ranges, probe, 0)).toBe(before.reduce((sum, r) => sum + Number(r.weight), 0))
    let at = 0
    for (const r of group) {
      for (const k of [at, at + Number(r.weight) - 1]) {
        const found = selectRow(kernels, ranges, k)
        expect(found === null ? null : textOf(readRow(found.run, found.row))).toBe(textOf(r.row))
      }
      at += Number(r.weight)
    }
    expect(selectRow(kernels, ranges, count)).toBeNull()
    expect(selectRow(kernels, ranges, -1)).toBeNull()
  }
}

describe('counts, ranks and selection over the positive part of a trace', () => {
  test.each(['ranked', 'text', 'nothing', 'floats'])('%s, in small deltas', name => {
    const layout = named(name)
    const deltas = fc.array(weightedRows(layout.schema, 6), { maxLength: 8 })
    fc.assert(
      fc.property(deltas, lists => check(layout, lists)),
      { numRuns: 25 },
    )
  })

  test('long runs, some of them still being merged', () => {
    const rows = (n: number, step: number): Weighted[] =>
      Array.from({ length: n }, (_, i) => ({ row: [i % 3, i * step], weight: BigInt(1 + (i % 2)) }))
    const deltas = [rows(1500, 3), rows(700, 5), rows(300, 7).map(r => ({ ...r, weight: -r.weight })), rows(20, 1)]
    const { kernels, runs, all } = build(LONG, deltas)
    expect(runs.length).toBeGreaterThan(1)
    const group = present(LONG, all).filter(r => r.row[0] === 1)
    const ranges = groupRanges(kernels, runs, runOf(LONG, [group[0]]), 0)
    let at = 0
    for (const [i, { row, weight }] of group.entries()) {
      if (i % 17 === 0) {
        const found = selectRow(kernels, ranges, at)
        expect(found === null ? null : readRow(found.run, found.row)).toEqual(row)
        expect(rankOf(kernels, ranges, runOf(LONG, [{ row, weight: 1n }]), 0)).toBe(at)
      }
      at += Number(weight)
    }
    expect(countOf(ranges)).toBe(at)
  })
})

test('a correction that is not committed leaves nothing', () => {
  const layout = named('signed')
  const positive = new PositivePart(kernelsOf(layout), 'positive part')
  const delta = runOf(layout, [{ row: [1n, 2], weight: -3n }])
  expect(positive.change([], delta).length).toBe(0)
  positive.abort()
  expect(positive.rows.rowCount).toBe(0)
  positive.change([], delta)
  positive.commit()
  expect(positive.rows.batches().flatMap(contents)).toEqual([{ row: [1n, 2], weight: 3n }])
})
