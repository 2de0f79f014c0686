/** Searching runs of thousands of rows, as traces keep them: seek, lookup and probe, generic and specialised. */
import { describe, expect, test } from 'vitest'
import { keyLanesOf } from '../../codegen/expr/plain.js'
import { kernelsOf } from '../../codegen/kernels.js'
import { joinCode } from '../../codegen/steps.js'
import { Pairs, type Probe } from '../../src/engine/operators/join.js'
import { arrangedLayout, type Layout } from '../../src/schema/schema.js'
import type { Value } from '../../src/schema/types.js'
import type { Batch } from '../../src/zset/batch.js'
import { Trace } from '../../src/zset/trace.js'
import { contents, eachMode, MODES, runOf, schemaOf, textOf, type Weighted } from '../zset/support.js'

const ROWS = 6000

/** Keys with gaps; some lie on several rows, one on very many. */
const keyAt = (i: number): number => (i > 2000 && i < 2400 ? 3000 : (i >> 1) * 3)

interface Case {
  readonly name: string
  readonly layout: Layout
  row(key: number, i: number): Value[]
}

const CASES: readonly Case[] = [
  {
    name: 'one word',
    layout: arrangedLayout(schemaOf('long1', 'k:u64', 'v:i32'), [0]),
    row: (key, i) => [BigInt(key) << 20n, i],
  },
  {
    name: 'one word, a few keys far away',
    layout: arrangedLayout(schemaOf('long4', 'k:u64', 'v:i32'), [0]),
    row: (key, i) => [key > 8900 ? BigInt(key) << 48n : BigInt(key), i],
  },
  {
    name: 'two words, the first always the same',
    layout: arrangedLayout(schemaOf('long5', 'a:u64', 'b:u64', 'v:i32'), [0, 1]),
    row: (key, i) => [2n ** 64n - 1n, BigInt(key), i],
  },
  {
    name: 'two words',
    layout: arrangedLayout(schemaOf('long2', 'a:u64', 'b:i64', 'v:i32'), [0, 1]),
    row: (key, i) => [BigInt(key >> 4), BigInt((key & 15) - 8) << 40n, i],
  },
  {
    name: 'hashed',
    layout: arrangedLayout(schemaOf('long3', 'k:string', 'v:i32'), [0]),
    row: (key, i) => [`the key with number ${key}`, i],
  },
]

/** The row numbers lead to what a trace makes of a large delta. */
function longRun({ layout, row }: Case): Batch {
  const rows = Array.from(
    { length: ROWS },
    (_, i): Weighted => ({ row: row(keyAt(i), i), weight: BigInt(1 + (i % 3)) }),
  )
  const trace = new Trace(kernelsOf(layout), 'long')
  const delta = runOf(layout, rows)
  trace.prepare(delta)
  trace.insert(delta, true)
  const run = trace.compact()
  if (run === null || run.length !== ROWS) throw new Error('all rows are there')
  return run
}

/** Some keys that are there, some that are not, below and above all others. */
function probes({ layout, row }: Case): Batch {
  const keys = Array.from({ length: 400 }, (_, n) => (n * 23) % 9050)
  const rows = [...new Set([0, 1, 3000, 3001, 9000, 20_000, ...keys])].flatMap(key => [
    { row: row(key, 7), weight: 1n },
    { row: row(key, 2200), weight: 1n },
  ])
  return runOf(layout, rows)
}

const numberOf = (layout: Layout, row: readonly Value[]): bigint =>
  keyLanesOf(layout, row).reduceRight((all, lane) => (all << 32n) | BigInt(lane), 0n)

const VARIANTS = CASES.flatMap(one => [
  { ...one, directory: false },
  { ...one, name: `${one.name}, with a directory`, directory: true },
])

describe.each(VARIANTS)('$name', one => {
  const { layout } = one
  const run = longRun(one)
  for (let n = 0; one.directory && n < ROWS; n += 100) run.willSearch(100)
  const delta = probes(one)
  const [rows, wanted] = [contents(run), contents(delta)]
  const keys = rows.map(({ row }) => numberOf(layout, row))
  const firsts = wanted.map(({ row }) => {
    const key = numberOf(layout, row)
    const first = keys.findIndex(k => k >= key)
    return first < 0 ? ROWS : first
  })

  test('a directory, if it is wanted', () => {
    expect(run.directory.buckets > 0).toBe(one.directory)
  })

  test('seek, from anywhere before', () => {
    eachMode(layout, kernels => {
      const wrong: string[] = []
      firsts.forEach((first, p) => {
        for (const from of [0, 1, first >> 1, first - 65, first - 64, first - 63, first - 1, first]) {
          if (from < 0 || from > first) continue
          const found = kernels.seek(run, from, delta, p)
          if (found !== first) wrong.push(`probe ${p} from ${from}: expected ${first}, found ${found}`)
        }
      })
      expect(wrong).toEqual([])
    })
  })

  test('lookup', () => {
    const weightOf = new Map(rows.map(({ row, weight }) => [textOf(row), weight]))
    const expected = wanted.map(({ row }) => weightOf.get(textOf(row)) ?? 0n)
    expect(expected.some(w => w > 0n)).toBe(true)
    eachMode(layout, kernels => {
      const sums = new BigInt64Array(delta.length)
      kernels.lookup(delta, run, sums)
      expect([...sums]).toEqual(expected)
    })
  })

  test('probe, both ways round', () => {
    const expected: string[] = []
    firsts.forEach((first, p) => {
      const key = numberOf(layout, wanted[p].row)
      for (let j = first; j < ROWS && keys[j] === key; j++) expected.push(`${p}-${j}`)
    })
    expect(expected.length).toBeGreaterThan(1000)
    for (const mode of MODES) {
      const code = joinCode<Probe>(mode, layout)
      for (const limit of [50, 1 << 20]) {
        for (const slice of [7, ROWS]) expect(search(code.left, delta, run, limit, slice)).toEqual(expected)
        const turned = search(code.left, run, delta, limit, ROWS).map(pair => pair.split('-').reverse().join('-'))
        expect(turned.sort()).toEqual([...expected].sort())
      }
    }
  })
})

function search(probe: Probe, delta: Batch, run: Batch, limit: number, slice: number): string[] {
  const pairs = new Pairs()
  const found: string[] = []
  for (let from = 0; from < delta.length; ) {
    from = probe(delta, from, Math.min(from + slice, delta.length), run, pairs, limit)
    for (let p = 0; p < pairs.count; p++) found.push(`${pairs.left[p]}-${pairs.right[p]}`)
  }
  return found
}
