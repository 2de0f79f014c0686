/** Differential privacy: what is released, how often, and with how much noise. */
import { describe, expect, test } from 'vitest'
import * as g from '../../src/index.js'
import { discreteSamples } from './privacy-support.js'

const visits = g.table('visits', { page: g.string(), who: g.i32(), seconds: g.f64() })

function open(options: Partial<g.PrivacyOptions<g.RowType<typeof visits>>> = {}) {
  const definition = g.view('private', q =>
    q
      .from(visits)
      .groupBy(v => ({ page: v.page }))
      .privateAggregate(
        { n: g.noisyCount(), time: g.noisySum(v => v.seconds, { low: 0, high: 100 }) },
        { epsilon: 1, budget: 3, seed: 'a', ...options },
      ),
  )
  const db = g.open()
  return { db, view: db.createView(definition), definition }
}

const visit = (page: string, who: number, seconds = 10) => ({ page, who, seconds })

describe('releases', () => {
  test('a group that does not change keeps its noise; one that does gets new noise', () => {
    const { db, view } = open()
    db.insert(visits, [visit('a', 1), visit('b', 1)])
    const [a, b] = view.rows()
    db.insert(visits, visit('b', 2))
    expect(view.get('a')).toEqual(a)
    expect(view.get('b')).not.toEqual(b)
    // A change that leaves a group as it was is none.
    db.transact(tx => {
      tx.insert(visits, visit('a', 5))
      tx.delete(visits, visit('a', 5))
    })
    expect(view.get('a')).toEqual(a)
  })

  test('the same seed gives the same noise, another one another', () => {
    const rowsOf = (seed: string) => {
      const { db, view } = open({ seed })
      db.insert(visits, [visit('a', 1), visit('a', 2), visit('b', 1)])
      return view.rows()
    }
    expect(rowsOf('x')).toEqual(rowsOf('x'))
    expect(rowsOf('x')).not.toEqual(rowsOf('y'))
  })

  test('a secure source needs no seed', () => {
    const { db, view } = open({ seed: undefined })
    db.insert(visits, visit('a', 1))
    expect(view.rows()).toHaveLength(1)
  })

  test('when the budget is spent the view fails, and a failed transaction costs nothing', () => {
    const { db, view } = open({ budget: 2 })
    db.insert(visits, visit('a', 1))
    const first = view.rows()
    expect(() =>
      db.transact(tx => {
        tx.insert(visits, visit('a', 2))
        throw new Error('no')
      }),
    ).toThrow('no')
    expect(view.rows()).toEqual(first)
    db.insert(visits, visit('a', 2))
    expect(view.rows()).toHaveLength(1)
    db.insert(visits, visit('a', 3))
    expect(() => view.rows()).toThrow('privacy budget')
    expect(view.errors()).toMatchObject([{ weight: 1n, row: { page: 'a' } }])
  })

  test('a view that leaves out all that is released fails too', () => {
    const definition = g.view('none', q => {
      const released = q
        .from(visits)
        .groupBy(v => ({ page: v.page }))
        .privateAggregate({ n: g.noisyCount() }, { epsilon: 1, budget: 1, seed: 'a' })
      return released.filter(() => false)
    })
    const db = g.open()
    const view = db.createView(definition)
    db.insert(visits, visit('a', 1))
    expect(view.rows()).toEqual([])
    db.insert(visits, visit('a', 2))
    expect(() => view.rows()).toThrow('privacy budget')
  })

  test('or it freezes; a group that goes and comes back has not more budget', () => {
    const { db, view } = open({ budget: 2, exhausted: 'freeze' })
    db.insert(visits, visit('a', 1))
    db.delete(visits, visit('a', 1))
    expect(view.rows()).toEqual([])
    db.insert(visits, visit('a', 1))
    const last = view.rows()
    db.insert(visits, visit('a', 2))
    expect(view.rows()).toEqual(last)
    for (let n = 0; n < 2; n++) {
      db.transact(tx => tx.delete(visits, [visit('a', 1), visit('a', 2)]))
      expect(view.rows()).toEqual([])
      db.insert(visits, [visit('a', 1), visit('a', 2)])
      expect(view.rows()).toEqual(last)
    }
  })

  test('loaded tables are released once, views over the view see what was released', () => {
    const { definition } = open()
    const db = g.open()
    db.createTable(visits)
    db.insert(
      visits,
      Array.from({ length: 70_000 }, (_, i) => visit('a', i)),
    )
    const view = db.createView(definition)
    const over = db.createView(g.view('over', q => q.from(definition).filter(r => r.n > 0n)))
    expect(over.rows()).toEqual(view.rows())
    for (let i = 0; i < 2; i++) db.insert(visits, visit('a', -i))
    expect(over.rows()).toEqual(view.rows())
  })
})

interface Bare {
  privateAggregate(aggregates: unknown): never
}

describe('bounds', () => {
  test('values are clamped, rows of a unit are limited', () => {
    const { db, view } = open({ unit: v => v.who, maxRows: 2, epsilon: 1e6, budget: 1e7 })
    db.insert(visits, [
      visit('a', 1, 1000),
      visit('a', 1, 500),
      visit('a', 1, 700),
      visit('a', 2, -5),
      visit('a', 3, NaN),
    ])
    const [{ n, time }] = view.rows()
    expect(n).toBe(4n)
    expect(time).toBeCloseTo(300, 1)
  })

  test('released sums are multiples of the grid', () => {
    const { db, view } = open()
    db.insert(visits, visit('a', 1, 0.1))
    const [{ time }] = view.rows()
    expect(time * 2 ** 20).toBe(Math.round(time * 2 ** 20))
  })

  test.each([
    [{ epsilon: 0 }, 'epsilon above 0'],
    [{ epsilon: 2, budget: 1 }, 'does not pay for one release'],
    [{ maxRows: 3 }, 'maxRows needs a unit'],
    [{ mechanism: 'gaussian' as const }, 'gaussian needs a delta'],
    [{ exhausted: 'other' as never }, 'fail or freeze'],
    [
      { noise: 'gaussian' } as never,
      'unknown option "noise"; the options are epsilon, budget, unit, maxRows, mechanism',
    ],
  ])('%o is refused', (options, message) => {
    expect(() => open(options)).toThrow(message)
  })

  test('so are aggregates that have no bounds', () => {
    const from = (aggregates: unknown) => () =>
      g.view('v', q => q.from(visits).privateAggregate(aggregates as never, { epsilon: 1, budget: 1 }))
    expect(from({ n: g.count() })).toThrow('privateAggregate "n": expected noisyCount() or noisySum(…)')
    expect(from({})).toThrow('expected an object')
    const bare = () => g.view('v', q => (q.from(visits) as never as Bare).privateAggregate({ n: g.noisyCount() }))
    expect(bare).toThrow('privateAggregate: { epsilon, budget }: expected options, found undefined')
    expect(() => (g.noisySum as (arg: unknown) => unknown)(() => 1)).toThrow(
      'noisySum: { low, high }: expected options, found undefined',
    )
    expect(() => g.noisySum(() => 1, { low: 0, hihg: 1 } as never)).toThrow('unknown option "hihg"')
    expect(() => g.noisySum(() => 1, { low: 1, high: 1 })).toThrow('low < high')
    const text = { s: g.noisySum(((v: { page: string }) => v.page) as never, { low: 0, high: 1 }) }
    expect(from(text)).toThrow('privateAggregate "s": noisySum needs numbers or bigints, found a string')
  })
})

test.each(['laplace', 'gaussian'] as const)('%s noise has the mean 0 and the deviation of its scale', mechanism => {
  const samples = discreteSamples(mechanism, 3, 20_000)
  const mean = samples.reduce((a, b) => a + b, 0) / samples.length
  const deviation = Math.sqrt(samples.reduce((sum, x) => sum + (x - mean) ** 2, 0) / samples.length)
  expect(Math.abs(mean)).toBeLessThan(0.15)
  expect(deviation).toBeGreaterThan(mechanism === 'laplace' ? 4.0 : 2.85)
  expect(deviation).toBeLessThan(mechanism === 'laplace' ? 4.45 : 3.15)
})
