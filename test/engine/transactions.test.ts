/** Transactions and subscribers: all or nothing, whatever happens on the way. */
import { describe, expect, it } from 'vitest'
import {
  count,
  type Database,
  i32,
  i64,
  max,
  open,
  string,
  type Transaction,
  table,
  udf,
  view,
} from '../../src/index.js'
import { expectError, expectExact, expectRefused, MAX_I64, snapshot } from './support.js'

const t = table('t', { id: i64().primaryKey(), s: string() })
const other = table('other', { id: i64(), z: string().nullable() })
const counts = view('counts', q =>
  q
    .from(t)
    .groupBy(r => ({ s: r.s }))
    .aggregate({ n: count(), last: max(r => r.id) }),
)
const pairs = view('pairs', q =>
  q.from(t).join(
    other,
    (a, b) => a.id === b.id,
    (a, b) => ({ id: a.id, z: b.z }),
  ),
)
const LONG = 'a text that is too long for its cell'

function opened(): Database {
  const db = open()
  db.createTable(t)
  db.createTable(other)
  db.createView(counts)
  db.createView(pairs)
  db.transact(tx => {
    tx.insert(t, { id: 1, s: 'a' })
    tx.insert(other, { id: 1, z: 'x' })
  })
  return db
}

/** Everything that a database does not do while it is busy. */
const writes = (db: Database): (() => unknown)[] => [
  () => db.insert(t, { id: 9, s: 'x' }),
  () => db.transact(() => {}),
  () => db.ingest(t, []),
  () => db.createView(view('more', q => q.from(t))),
  () => db.createTable(table('more', { a: i64() })),
  () => db.dropView(pairs),
  () => db.dropTable(other),
  () => db.close(),
]

describe('a transaction', () => {
  it('that throws half way changes nothing, and the next one works', () => {
    const db = opened()
    const half = (tx: Transaction) => {
      tx.insert(t, { id: 2, s: LONG })
      tx.delete(t, { id: 1, s: 'a' })
      throw new RangeError('half way')
    }
    const before = snapshot(db)
    expect(() => db.transact(half)).toThrow(RangeError)
    expect(snapshot(db)).toEqual(before)
    db.insert(t, { id: 3, s: 'b' })
    expect(db.view(counts).rows()).toEqual([
      { s: 'a', n: 1n, last: 1n },
      { s: 'b', n: 1n, last: 3n },
    ])
    expectExact(db)
  })

  it('is given up after a row that was refused, also if the error is caught', () => {
    const db = opened()
    const sloppy = (tx: Transaction) => {
      tx.insert(t, { id: 2, s: 'b' })
      try {
        tx.insert(t, { id: 3, s: 3 } as never)
      } catch {}
    }
    expectRefused(db, () => db.transact(sloppy), 'ROW', '"s"')
  })

  it('needs a function', () => {
    const db = opened()
    expectRefused(db, () => db.transact(undefined as never), 'USAGE', 'function')
    for (const retries of [-1, 1.5, Number.NaN, '1']) {
      expectRefused(db, () => db.transact(async () => {}, { retries: retries as number }), 'USAGE', 'retries')
    }
  })

  it('knows its tables', () => {
    const db = opened()
    const stranger = open()
    const theirs = stranger.createTable(t)
    const row = { id: 2, s: 'b' }
    for (const target of [theirs, table('t', { id: i64() }), 'nope', null, 7, db.view(counts), counts]) {
      expectRefused(db, () => db.insert(target as never, row as never), 'USAGE', 'expected a table of this database')
    }
    const foreign = 'found "t", which is a table of another database'
    expectError(() => db.insert(theirs, row), 'USAGE', foreign)
    expectError(() => db.snapshot().rows(theirs), 'USAGE', foreign)
    let kept: Transaction | undefined
    db.transact(tx => {
      kept = tx
    })
    expectRefused(db, () => kept?.insert(t, row), 'USAGE', 'ended')
  })

  it('has the database to itself', () => {
    const db = opened()
    for (const write of writes(db)) expectRefused(db, () => db.transact(() => void write()), 'USAGE', 'transaction')
    const getter = (tx: Transaction) =>
      tx.insert(t, {
        get id() {
          tx.insert(t, { id: 9, s: 'x' })
          return 5
        },
        s: 'b',
      })
    expectRefused(db, () => db.transact(getter), 'USAGE', 'being read')
  })

  it('may be empty, cancel itself, retract what is not there, or weigh nothing', () => {
    const db = opened()
    const before = db.table(t).entries()
    db.transact(() => {})
    db.transact(tx => {
      tx.insert(t, { id: 5, s: 'q' })
      tx.delete(t, { id: 5, s: 'q' })
      tx.add(t, { id: 6, s: 'q' }, 0)
    })
    expect(db.table(t).entries()).toEqual(before)
    db.delete(t, { id: 7, s: 'absent' })
    expect(db.table(t).entries()[1]).toEqual({ row: { id: 7n, s: 'absent' }, weight: -1n })
    expectError(() => db.table(t).rows(), 'USAGE', 'weight -1')
    expectError(() => db.table(t).get(7), 'USAGE', 'weight -1')
    expectExact(db)
    db.insert(t, { id: 7, s: 'absent' })
    expect([db.table(t).entries(), db.lsn]).toEqual([before, 5n])
  })
})

describe('tx.ingest', () => {
  it('puts columns of several tables into one epoch', () => {
    const db = opened()
    const seen: unknown[] = []
    db.view(pairs).subscribe(change => seen.push(change))
    db.transact(tx => {
      tx.ingest(t, { columns: { id: BigInt64Array.of(2n), s: [LONG] } })
      tx.ingest(other, { columns: { id: BigInt64Array.of(2n), z: [LONG] } })
    })
    expect(seen).toEqual([{ lsn: 2n, changes: [{ row: { id: 2n, z: LONG }, weight: 1n }] }])
  })

  it('mixes with rows of the same table', () => {
    const db = opened()
    db.transact(tx => {
      tx.insert(t, { id: 2, s: 'b' })
      tx.ingest(t, { columns: { id: [3], s: [LONG] } })
      tx.ingest(t, [{ id: 4, s: 'd' }])
      tx.ingest(other, { columns: { id: [8n], z: [LONG] } })
      tx.ingest(other, { columns: { id: [9n], z: ['x'] }, nulls: { z: Uint8Array.of(1) }, weights: [2] })
      tx.delete(other, { id: 9, z: null })
    })
    expect(
      db
        .table(t)
        .rows()
        .map(r => r.s),
    ).toEqual(['a', 'b', LONG, 'd'])
    expect(
      db
        .table(other)
        .rows()
        .map(r => r.z),
    ).toEqual(['x', LONG, null])
    expectExact(db)
  })

  it('leaves nothing behind when it is refused', () => {
    const db = opened()
    db.transact(tx => tx.add(t, { id: 5, s: LONG }, MAX_I64))
    const columns = { id: [5n, 77n], z: [LONG, null] }
    const bad = (tx: Transaction) => {
      tx.ingest(other, { columns })
      tx.ingest(t, { columns: { id: [77], s: [7] } })
    }
    expectRefused(db, () => db.transact(bad), 'ROW', 'row 0')
    const overflow = [
      (tx: Transaction) => tx.ingest(other, { columns }),
      (tx: Transaction) => tx.add(t, { id: 5, s: LONG }, 1),
    ]
    for (const order of [overflow, [...overflow].reverse()]) {
      expectRefused(db, () => db.transact(tx => order.forEach(f => void f(tx))), 'WEIGHT_OVERFLOW')
      db.insert(t, { id: 77, s: 'c' })
      expect(db.view(pairs).rows()).toHaveLength(1)
    }
  })
})

describe('a subscriber', () => {
  it('gets consolidated changes, and the contents first if it likes', () => {
    const db = opened()
    const seen: unknown[] = []
    const end = db.view(counts).subscribe(change => seen.push(change), { initial: true })
    db.insert(t, [
      { id: 2, s: 'a' },
      { id: 3, s: 'b' },
    ])
    db.transact(tx => {
      tx.insert(t, { id: 4, s: 'b' })
      tx.delete(t, { id: 4, s: 'b' })
    })
    db.insert(other, { id: 100 })
    end()
    end()
    db.insert(t, { id: 5, s: 'b' })
    expect(seen).toEqual([
      { lsn: 1n, changes: [{ row: { s: 'a', n: 1n, last: 1n }, weight: 1n }] },
      {
        lsn: 2n,
        changes: [
          { row: { s: 'a', n: 1n, last: 1n }, weight: -1n },
          { row: { s: 'a', n: 2n, last: 2n }, weight: 1n },
          { row: { s: 'b', n: 1n, last: 3n }, weight: 1n },
        ],
      },
    ])
  })

  it('cannot write, but sees the new state of everything', () => {
    const db = opened()
    for (const write of writes(db)) {
      const codes: string[] = []
      const end = db.table(t).subscribe(() => {
        codes.push(expectError(write, 'USAGE', 'subscriber').code)
        expectExact(db)
      })
      db.insert(t, { id: 20, s: 'new' })
      end()
      expect(codes).toEqual(['USAGE'])
    }
    expect(db.views.map(v => v.name)).toEqual(['counts', 'pairs'])
  })

  it('that throws does not take the transaction back, nor keep others from being called', () => {
    const db = opened()
    const v = db.view(counts)
    let calls = 0
    const end = v.subscribe(() => {
      throw new Error('mine')
    })
    v.subscribe(() => {
      calls++
    })
    const error = expectError(() => db.insert(t, { id: 2, s: 'b' }), 'USAGE', 'transaction 2 was committed: mine')
    expect([(error.cause as Error).message, calls, db.lsn, v.get('b')?.n]).toEqual(['mine', 1, 2n, 1n])
    end()
    db.insert(t, { id: 3, s: 'b' })
    expect(calls).toBe(2)
  })

  it('can end others, and begin new ones, while it is called', () => {
    const db = opened()
    const v = db.view(counts)
    const calls: string[] = []
    let endSecond = () => {}
    const endFirst = v.subscribe(() => {
      calls.push('first')
      endSecond()
      v.subscribe(() => calls.push('third'))
    })
    endSecond = v.subscribe(() => calls.push('second'))
    db.insert(t, { id: 2, s: 'b' })
    endFirst()
    db.insert(t, { id: 3, s: 'b' })
    expect(calls).toEqual(['first', 'third'])
    expect(() =>
      v.subscribe(
        () => {
          throw new Error('at once')
        },
        { initial: true },
      ),
    ).toThrow('at once')
    db.insert(t, { id: 4, s: 'b' })
    expectError(() => v.subscribe(5 as never), 'USAGE', 'function')
  })

  it('of a stream gets its rows', () => {
    const stream = table('stream', { id: i64() }, { stream: true })
    const db = open()
    const h = db.createTable(stream)
    const seen: unknown[] = []
    const end = h.subscribe(change => seen.push(change))
    db.insert(stream, { id: 7 })
    end()
    db.insert(stream, { id: 8 })
    expect(seen).toEqual([{ lsn: 1n, changes: [{ row: { id: 7n }, weight: 1n }] }])
    for (const read of [
      () => h.rows(),
      () => h.get([7]),
      () => h.size,
      () => h.subscribe(() => {}, { initial: true }),
    ]) {
      expectError(read, 'USAGE', 'stream')
    }
  })
})

describe('a user function in a lambda', () => {
  it('can neither write to nor read the database', () => {
    const db = open()
    const h = db.createTable(t)
    const codes: string[] = []
    const spy = udf('spy', ['i64'], 'i64', (x: bigint) => {
      for (const f of [...writes(db), () => h.rows(), () => h.size]) codes.push(expectError(f, 'USAGE', 'step').code)
      return x
    })
    const v = db.createView(view('v', q => q.from(t).map((r, { spy }) => ({ id: spy(r.id) }), { spy })))
    db.insert(t, { id: 1, s: 'a' })
    expect([v.rows(), codes.length, h.size]).toEqual([[{ id: 1n }], 10, 1])
  })

  it('that throws or returns nonsense fails its row alone', () => {
    const nasty = table('nasty', { id: i32().primaryKey() })
    const db = open()
    db.createTable(nasty)
    const bad = udf('bad', ['i32'], 'i32', (x: number) => {
      if (x === 2) throw new Error('boo')
      return (x === 3 ? 1.5 : x === 4 ? null : x) as number
    })
    const v = db.createView(view('v', q => q.from(nasty).map((r, { bad }) => ({ y: bad(r.id) }), { bad })))
    db.insert(
      nasty,
      [1, 2, 3, 4, 5].map(id => ({ id })),
    )
    expect(v.errors().map(e => e.message)).toEqual([
      expect.stringContaining('boo'),
      expect.stringContaining('1.5'),
      expect.stringContaining('NULL'),
    ])
    db.delete(
      nasty,
      [2, 3, 4].map(id => ({ id })),
    )
    expect(v.rows()).toEqual([{ y: 1 }, { y: 5 }])
  })
})
