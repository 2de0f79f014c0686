/** Samples and grouping sets against what they mean; the laws; what is refused. */
import { expect, test } from 'vitest'
import { Prng } from '../../src/base/prng.js'
import * as g from '../../src/index.js'
import { checkIncremental } from '../../src/testing/index.js'

const t = g.table('t', { id: g.i32().primaryKey(), kind: g.string().nullable(), size: g.i32() })
const sample = g.view('sample', q => q.from(t).sample(3, { seed: 7 }))
const perKind = g.view('perKind', q =>
  q
    .from(t)
    .groupBy(r => ({ kind: r.kind }))
    .sample(2),
)
const rolled = g.view('rolled', q =>
  q
    .from(t)
    .groupBy(r => ({ kind: r.kind, size: r.size }))
    .rollup()
    .aggregate({ n: g.count(), total: g.sum(r => r.size), level: g.grouping('kind', 'size') }),
)
const cubed = g.view('cubed', q =>
  q
    .from(t)
    .groupBy(r => ({ kind: r.kind, size: r.size }))
    .cube()
    .aggregate({ least: g.min(r => r.id), level: g.grouping('size') }),
)

test.each([sample, perKind, rolled, cubed])('laws of $schema.name', definition => {
  checkIncremental(definition as g.ViewDef<unknown>, { runs: 2, seed: 3 })
})

test('a sample is of its size, follows from rows and seed, and is about even', () => {
  const counts = new Map<number, number>()
  const rows = Array.from({ length: 40 }, (_, id) => ({ id, kind: 'a', size: id % 4 }))
  for (let seed = 0; seed < 30; seed++) {
    const db = g.open()
    const view = db.createView(g.view('s', q => q.from(t).sample(10, { seed })))
    const random = new Prng(seed)
    const order = random.shuffle([...rows])
    db.insert(t, order.slice(0, 20))
    db.insert(t, order.slice(20))
    expect(view.rows()).toHaveLength(10)
    const [gone] = view.rows()
    db.delete(t, gone)
    expect(view.rows()).toHaveLength(10)
    db.insert(t, gone)
    for (const { id } of view.rows()) counts.set(id, (counts.get(id) ?? 0) + 1)
    db.close()
  }
  // 7.5 times each on average; four deviations are 9.5.
  for (const { id } of rows) expect(counts.get(id) ?? 0).toBeGreaterThan(0)
  for (const { id } of rows) expect(counts.get(id) ?? 0).toBeLessThan(18)
})

test('the empty grouping set has a row without rows', () => {
  const db = g.open()
  const view = db.createView(rolled)
  expect(view.rows()).toEqual([{ kind: null, size: null, n: 0n, total: null, level: 3 }])
})

test('refused', () => {
  const refused = (build: () => unknown) => {
    try {
      build()
    } catch (problem) {
      return (problem as Error).message
    }
    return 'nothing'
  }
  const grouped = (q: g.QueryRoot) => q.from(t).groupBy(r => ({ kind: r.kind }))
  expect(refused(() => g.view('v', q => q.from(t).sample(0)))).toContain('sample: expected a limit from 1')
  expect(refused(() => g.view('v', q => q.from(t).sample(1, { seed: -1 })))).toContain('expected a seed')
  expect(
    refused(() =>
      g.view('v', q =>
        grouped(q)
          .sets(['nope' as never])
          .aggregate({ n: g.count() }),
      ),
    ),
  ).toContain('is not a key')
  expect(refused(() => g.view('v', q => grouped(q).aggregate({ n: g.grouping('kind') })))).toContain(
    'aggregate "n": grouping has a meaning only with rollup, cube or sets',
  )
  expect(refused(() => g.view('v', q => grouped(q).aggregate({ n: g.percentileCont(2, r => r.size) })))).toContain(
    'percentileCont: expected a fraction from 0 to 1, found 2',
  )
  expect(refused(() => g.view('v', q => grouped(q).aggregate({ n: g.median(r => r.kind as never) })))).toContain(
    'aggregate "n": median needs numbers, bigints or decimals, found a string',
  )
  expect(refused(() => g.view('v', q => grouped(q).aggregate({ n: g.distinct(g.count()) })))).toContain(
    'aggregate "n": count: distinct needs an argument',
  )
})

test('a sketch of distinct values is near the exact number and takes retractions back exactly', () => {
  const db = g.open()
  const view = db.createView(
    g.view('d', q =>
      q.from(t).aggregate({ about: g.approxCountDistinct(r => r.id), exact: g.countDistinct(r => r.id) }),
    ),
  )
  const rows = Array.from({ length: 20_000 }, (_, id) => ({ id, kind: null, size: 0 }))
  db.insert(t, rows.slice(0, 5000))
  const [before] = view.rows()
  db.insert(t, rows.slice(5000))
  const [{ about, exact }] = view.rows()
  expect(exact).toBe(20_000n)
  expect(Math.abs(Number(about - exact)) / 20_000).toBeLessThan(0.08)
  db.delete(t, rows.slice(5000))
  expect(view.rows()).toEqual([before])
})
