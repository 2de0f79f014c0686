/** Expressions that fail on a row: data, not exceptions. The view says so when it is read, until the row is gone. */
import { describe, expect, it } from 'vitest'
import {
  avg,
  count,
  type Database,
  fn,
  i32,
  i64,
  open,
  string,
  sum,
  type Transaction,
  table,
  u64,
  type ViewHandle,
  view,
} from '../../src/index.js'
import { expectError, expectExact, expectRefused, MAX_I64 } from './support.js'

const t = table('t', { id: i64().primaryKey(), a: i64(), b: i64(), s: string().nullable() })
const quotient = view('quotient', q => q.from(t).filter(r => r.a / r.b > 0n))
const product = view('product', q => q.from(t).map(r => ({ id: r.id, p: r.a * r.b })))
const number = view('number', q => q.from(t).map((r, { i32 }) => ({ id: r.id, n: i32(r.s) }), { i32: fn.i32 }))
const overNumber = view('overNumber', q =>
  q
    .from(number)
    .groupBy(r => ({ n: r.n }))
    .aggregate({ c: count() }),
)
const healthy = view('healthy', q => q.from(t).map(r => ({ id: r.id })))

const good = { id: 1, a: 6, b: 3, s: '5' }
const zero = { id: 2, a: 6, b: 0, s: '7' }
const text = { id: 3, a: 1, b: 1, s: 'seven' }
const large = { id: 4, a: MAX_I64, b: 2, s: null }

function opened(): Database {
  const db = open()
  for (const v of [quotient, product, overNumber, healthy]) db.createView(v as typeof healthy)
  return db
}

const reads = (v: ViewHandle<unknown>): (() => unknown)[] => [
  () => v.rows(),
  () => v.entries(),
  () => v.get(v.name === 'quotient' ? [1n] : 1),
  () => v.getAll([1]),
  () => v.range(),
  () => v.count(),
  () => v.size,
  () => [...v],
  () => v.subscribe(() => {}),
]

describe('a failing row', () => {
  it.each([
    ['divides by zero', zero, ['quotient'], 'division by zero'],
    ['is no number', text, ['number', 'overNumber'], 'seven'],
    ['leaves its type', large, ['product'], 'overflow'],
  ])('%s: the view cannot be read, others can, until it is retracted', (_, bad, failing, message) => {
    const db = opened()
    const seen: unknown[] = []
    db.view(healthy).subscribe(change => seen.push(change))
    db.insert(t, [good, bad])
    for (const v of db.views) {
      if (failing.includes(v.name)) {
        expect(v.errors()).toEqual([expect.objectContaining({ weight: 1n, message: expect.stringMatching(message) })])
        for (const read of reads(v)) expectError(read, 'EXPRESSION', message)
      } else expect([v.name, v.errors(), v.rows().length > 0]).toEqual([v.name, [], true])
    }
    expectExact(db)
    expect([seen.length, db.table(t).size]).toEqual([1, 2])
    db.delete(t, bad)
    expect(db.views.flatMap(v => v.errors())).toEqual([])
    expectExact(db)
  })

  it('counts with its weight, also before it is there', () => {
    const db = opened()
    db.transact(tx => tx.add(t, text, 3))
    db.delete(t, { ...text, id: 9 })
    expect(
      db
        .view(number)
        .errors()
        .map(x => [x.weight, x.row.id]),
    ).toEqual([
      [3n, 3n],
      [-1n, 9n],
    ])
    db.transact(tx => tx.add(t, text, -3))
    expectError(() => db.view(number).rows(), 'EXPRESSION')
    db.insert(t, { ...text, id: 9 })
    expect(db.view(number).rows()).toEqual([])
  })

  it('that comes and goes in one transaction, or in one that is refused, leaves nothing', () => {
    const db = opened()
    db.transact(tx => {
      tx.insert(t, text)
      tx.delete(t, text)
    })
    expect(db.view(number).errors()).toEqual([])
    const refused = (tx: Transaction) => {
      tx.insert(t, text)
      tx.add(t, [good, good], MAX_I64)
    }
    expectRefused(db, () => db.transact(refused), 'WEIGHT_OVERFLOW')
    db.insert(t, good)
    expect(db.view(overNumber).rows()).toEqual([{ n: 5, c: 1n }])
  })

  it('is found by a view that is created later, and by one over the failing view', () => {
    const db = open()
    db.createTable(t)
    db.insert(t, [good, text])
    const low = db.createView(number)
    const high = db.createView(overNumber)
    const highest = db.createView(view('highest', q => q.from(overNumber).filter(r => r.c > 0n)))
    for (const v of [low, high, highest]) expectError(() => v.rows(), 'EXPRESSION', 'seven')
    db.delete(t, text)
    expect(highest.rows()).toEqual([{ n: 5, c: 1n }])
    expectExact(db)
  })
})

describe('a sum beyond i64', () => {
  const x = table('x', { k: i32(), x: i64(), u: u64() })
  const groups = view('groups', q =>
    q
      .from(x)
      .groupBy(r => ({ k: r.k }))
      .aggregate({ s: sum(r => r.x), a: avg(r => r.x) }),
  )
  const over = view('over', q => q.from(groups).filter(r => r.s > 0n))
  const all = view('all', q => q.from(x).aggregate({ s: sum(r => r.x), u: sum(r => r.u), n: count() }))
  const one = { k: 1, x: 1, u: 0 }

  it('fails its group, once, and comes back exactly', () => {
    const db = open()
    for (const v of [over, all]) db.createView(v as typeof over)
    const v = db.view(groups)
    expect(db.view(all).rows()).toEqual([{ s: null, u: null, n: 0n }])
    db.insert(x, [
      { k: 1, x: MAX_I64, u: 0 },
      { k: 2, x: 3, u: 0 },
    ])
    expect(db.view(over).size).toBe(2)
    for (let n = 1; n <= 2; n++) {
      db.insert(x, one)
      expect(v.errors()).toEqual([
        expect.objectContaining({ weight: 1n, message: 'i64 overflow in sum "s"', row: { k: 1 } }),
      ])
      for (const name of ['groups', 'over', 'all']) expectError(() => db.view(name).rows(), 'EXPRESSION', '"s"')
    }
    db.transact(tx => tx.add(x, one, -2))
    expect(
      db
        .view(over)
        .rows()
        .map(r => r.s),
    ).toEqual([MAX_I64, 3n])
    expectError(() => db.view(all).rows(), 'EXPRESSION', '"s"')
    db.delete(x, { k: 2, x: 3, u: 0 })
    db.insert(x, { k: 2, x: -7, u: 2n ** 64n - 1n })
    expectError(() => db.view(all).rows(), 'EXPRESSION', '"u"')
    db.delete(x, { k: 2, x: -7, u: 2n ** 64n - 1n })
    expectExact(db)
    expect(db.view(all).rows()).toEqual([{ s: MAX_I64, u: 0n, n: 1n }])
  })
})
