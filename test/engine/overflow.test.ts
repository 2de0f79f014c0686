/** Weights that leave i64: in tables, streams, joins, unions, groups. The transaction is refused, nothing changed. */
import { describe, expect, it } from 'vitest'
import { count, i32, i64, open, string, sum, type Transaction, table, view } from '../../src/index.js'
import { expectError, expectExact, expectRefused, MAX_I64, MIN_I64 } from './support.js'

const t = table('t', { id: i64().primaryKey(), v: i32().nullable(), s: string() })
const e = table('e', { id: i64() })
const row = (id: number) => ({ id, v: 1, s: 'a text that is too long for its cell' })

describe('a weight beyond i64', () => {
  it('is refused as such', () => {
    const db = open()
    db.createTable(t)
    for (const w of [1.5, Number.NaN, Infinity, MAX_I64 + 1n, MIN_I64 - 1n, '1', null, undefined, 2 ** 53]) {
      expectRefused(db, () => db.transact(tx => tx.add(t, row(1), w as number)), 'ROW', 'weight')
      expectRefused(db, () => db.ingest(t, { columns: { id: [1], s: [''] }, weights: [w as number] }), 'ROW', 'row 0')
    }
  })

  it.each([
    ['in a table', []],
    ['in one transaction', [row(1)]],
  ])('%s', (_, first) => {
    const db = open()
    const h = db.createTable(t)
    db.insert(t, row(9))
    const fill = (tx: Transaction) => tx.add(t, row(1), MAX_I64)
    if (first.length === 0) db.transact(fill)
    const overflow = (tx: Transaction) => {
      tx.insert(t, row(2))
      if (first.length > 0) fill(tx)
      tx.insert(t, [row(3), row(1)])
    }
    expectRefused(db, () => db.transact(overflow), 'WEIGHT_OVERFLOW')
    db.delete(t, row(9))
    db.transact(tx => tx.add(t, row(4), MAX_I64))
    expect(h.entries().map(x => [x.row.id, x.weight])).toEqual(
      first.length === 0
        ? [
            [1n, MAX_I64],
            [4n, MAX_I64],
          ]
        : [[4n, MAX_I64]],
    )
  })

  it('in a join, its groups, and a self-join', () => {
    const db = open()
    db.createTable(t)
    const joined = view('joined', q =>
      q.from(t).join(
        e,
        (a, b) => a.id === b.id,
        (a, b) => ({ id: a.id, other: b.id }),
      ),
    )
    db.createView(joined)
    db.createView(
      view('grouped', q =>
        q
          .from(joined)
          .groupBy(r => ({ id: r.id }))
          .aggregate({ n: count() }),
      ),
    )
    db.createView(
      view('self', q =>
        q.from(t).join(
          q.from(t),
          (a, b) => a.id === b.id,
          (a, b) => ({ id: a.id, s: b.s }),
        ),
      ),
    )
    db.transact(tx => tx.add(t, row(1), 2n ** 31n))
    const left = (tx: Transaction) => tx.add(t, row(1), 2n ** 40n)
    const right = (tx: Transaction) => {
      tx.insert(t, row(9))
      tx.add(e, { id: 1 }, 2n ** 33n)
    }
    for (const write of [left, right]) expectRefused(db, () => db.transact(write), 'WEIGHT_OVERFLOW')
    db.transact(tx => {
      tx.insert(t, row(9))
      tx.add(e, { id: 1 }, -2)
    })
    expectExact(db)
    expect(
      db
        .view('self')
        .entries()
        .map(x => x.weight),
    ).toEqual([2n ** 62n, 1n])
  })

  it.each([
    ['a union', view('v', q => q.from(t).unionAll(q.from(t)))],
    ['a difference', view('v', q => q.from(t).minus(q.from(t).negate()))],
    ['a projection', view('v', q => q.from(t).map(r => ({ s: r.s })))],
    [
      'a distinct projection',
      view('v', q =>
        q
          .from(t)
          .map(r => ({ s: r.s }))
          .distinct(),
      ),
    ],
    [
      'the count of a group',
      view('v', q =>
        q
          .from(t)
          .groupBy(r => ({ s: r.s }))
          .aggregate({ n: count() }),
      ),
    ],
    ['the count of values', view('v', q => q.from(t).aggregate({ n: count(r => r.v), s: sum(r => r.id) }))],
  ])('in %s, while it runs and when it is created', (_, definition) => {
    const write = (tx: Transaction) => {
      tx.insert(t, row(7))
      tx.add(t, row(2), MAX_I64 - 1n)
    }
    const running = open()
    running.createTable(t)
    running.createView(definition as never)
    running.transact(tx => tx.add(t, row(1), 5))
    expectRefused(running, () => running.transact(write), 'WEIGHT_OVERFLOW')
    running.insert(t, row(3))
    expectExact(running)

    const late = open()
    late.createTable(t)
    late.transact(write)
    late.transact(tx => tx.add(t, row(1), 5))
    expectRefused(late, () => late.createView(definition as never), 'WEIGHT_OVERFLOW')
    late.transact(tx => tx.add(t, row(2), -MAX_I64))
    late.createView(definition as never)
    late.insert(t, row(3))
    expectExact(late)
  })

  it('in the number of values of a group, though not in that of its rows', () => {
    const db = open()
    db.createTable(t)
    const v = db.createView(
      view('v', q =>
        q
          .from(t)
          .groupBy(r => ({ s: r.s }))
          .aggregate({ n: count(r => r.v) }),
      ),
    )
    db.transact(tx => tx.add(t, row(1), MAX_I64))
    db.transact(tx => tx.add(t, { ...row(2), v: null }, -MAX_I64))
    expectRefused(db, () => db.transact(tx => tx.add(t, row(3), 2)), 'WEIGHT_OVERFLOW')
    db.transact(tx => tx.add(t, row(1), -MAX_I64 + 5n))
    db.transact(tx => tx.add(t, { ...row(2), v: null }, MAX_I64))
    expect(v.rows().map(r => r.n)).toEqual([5n])
  })

  it('by negation of the least one', () => {
    const db = open()
    db.createTable(t)
    db.createView(view('flat', q => q.from(t).negate()))
    const twice = view('twice', q => q.from(t).minus(q.from(t).map(r => ({ ...r, s: '' }))))
    db.createView(twice)
    const groups = view('groups', q =>
      q
        .from(t)
        .negate()
        .groupBy(r => ({ v: r.v }))
        .aggregate({ n: count() }),
    )
    db.createView(groups)
    expectRefused(db, () => db.transact(tx => tx.add(t, row(1), MIN_I64)), 'WEIGHT_OVERFLOW')
    db.dropView('flat')
    expectRefused(db, () => db.transact(tx => tx.add(t, row(1), MIN_I64)), 'WEIGHT_OVERFLOW')
    db.dropView('twice')
    expectRefused(db, () => db.transact(tx => tx.add(t, row(1), MIN_I64)), 'WEIGHT_OVERFLOW')
    db.transact(tx => tx.add(t, row(1), -5))
    expect(db.view(groups).rows()).toEqual([{ v: 1, n: 5n }])
    expectExact(db)
  })

  it('in a stream', () => {
    const s = table('s', { id: i64() }, { stream: true })
    const db = open()
    db.createTable(s)
    const v = db.createView(
      view('v', q =>
        q
          .from(s)
          .groupBy(r => ({ id: r.id }))
          .aggregate({ n: count() }),
      ),
    )
    db.transact(tx => tx.add(s, { id: 1 }, MAX_I64))
    const write = (tx: Transaction) => tx.insert(s, [{ id: 2 }, { id: 1 }])
    expectRefused(db, () => db.transact(write), 'WEIGHT_OVERFLOW')
    db.insert(s, { id: 2 })
    expect(v.rows().map(r => r.n)).toEqual([MAX_I64, 1n])
  })
})

describe('rows that weigh a lot', () => {
  it('are counted and summed exactly', () => {
    const db = open()
    db.createTable(t)
    const v = db.createView(view('v', q => q.from(t).aggregate({ n: count(), s: sum(r => r.id) })))
    db.transact(tx => {
      tx.add(t, row(3), 2n ** 61n)
      tx.add(t, row(-2), 2n ** 61n)
    })
    expect(v.rows()).toEqual([{ n: 2n ** 62n, s: 2n ** 61n }])
    expectExact(db)
  })

  it('are not listed as more objects than an array holds', () => {
    const db = open()
    const h = db.createTable(t)
    db.transact(tx => tx.add(t, row(1), 2n ** 40n))
    for (const read of [() => h.rows(), () => h.getAll(1)]) expectError(read, 'USAGE', 'entries()')
    expect([h.get(1)?.id, h.count(), h.size, [...h.range({ limit: 3 })].length]).toEqual([1n, 2n ** 40n, 1, 3])
  })
})
