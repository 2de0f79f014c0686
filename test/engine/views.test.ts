/** Views coming and going: on loaded tables, over each other, in any order, sharing what they can. */
import { describe, expect, it } from 'vitest'
import type { Operator } from '../../src/engine/operators/operator.js'
import {
  bool,
  bytes,
  count,
  type Database,
  date,
  f64,
  i32,
  i64,
  max,
  min,
  open,
  string,
  sum,
  table,
  UsageError,
  u32,
  u64,
  u128,
  uuid,
  type Value,
  type ViewDef,
  view,
} from '../../src/index.js'
import { anyTable, expectError, expectExact, expectRefused, picker } from './support.js'

/** All operators of the views and tables of a database. */
function operators(db: Database, kind?: string): Operator[] {
  const { scheduler } = db.definitions.circuit
  return scheduler.list().filter(o => kind === undefined || o.kind === kind)
}

const t = table('t', { id: i64().primaryKey(), k: i32(), s: string() })
const e = table('e', { k: i32(), w: i32() })
const rows = (count: number, from = 0) =>
  Array.from({ length: count }, (_, i) => ({ id: from + i, k: ((from + i) % 7) - 1, s: `s${((from + i) * 37) % 100}` }))

const a = view('a', q => q.from(t).filter(r => r.k > 0))
const b = view('b', q =>
  q
    .from(a)
    .groupBy(r => ({ k: r.k }))
    .aggregate({ n: count(), hi: max(r => r.s) }),
)
const c = view('c', q =>
  q.from(a).join(
    b,
    (x, y) => x.k === y.k,
    (x, y) => ({ id: x.id, n: y.n, hi: y.hi }),
  ),
)
const d = view('d', q =>
  q.from(b).leftJoin(
    q.from(c).filter(r => r.n > 1n),
    (x, y) => x.n === y.n,
    (x, y) => ({ k: x.k, id: y.id }),
  ),
)
const f = view('f', q =>
  q
    .from(d)
    .map(r => ({ k: r.k }))
    .distinct()
    .except(
      q
        .from(b)
        .map(r => ({ k: r.k }))
        .filter(r => r.k === 2),
    ),
)
const chain: Record<string, ViewDef<unknown>> = { a, b, c, d, f } as never

describe('views over views', () => {
  it.each(['abcdf', 'f', 'fd', 'cab'])('created in the order %s are the same, whenever that is', order => {
    for (const when of [0, 1, 2]) {
      const db = open()
      db.createTable(t)
      const create = (names: string) => {
        for (const name of names) if (!db.views.some(v => v.name === name)) db.createView(chain[name])
      }
      if (when === 0) create(order)
      db.insert(t, rows(50))
      db.delete(t, rows(5, 3))
      if (when === 1) create(order)
      db.insert(t, rows(40, 100))
      db.delete(t, rows(9, 101))
      create(`${order}abcdf`)
      expectExact(db)
      expect(db.view(f).rows()).toEqual([1, 3, 4, 5].map(k => ({ k })))
    }
  })

  it('are dropped from the top only, and leave nothing', () => {
    const db = open()
    const high = db.createView(c)
    const low = db.view(a)
    const middle = db.view(b)
    db.insert(t, rows(20))
    let calls = 0
    high.subscribe(() => calls++)
    expectRefused(db, () => db.dropView(a), 'USAGE', 'read by view "b"')
    expectRefused(db, () => db.dropTable('t'), 'USAGE', 'read by view "a"')
    db.dropView(high)
    for (const use of [
      () => high.rows(),
      () => high.get([1]),
      () => high.subscribe(() => {}),
      () => db.dropView(high),
    ]) {
      expectError(use, 'USAGE')
    }
    db.dropView('b')
    expect(operators(db, 'aggregate')).toEqual([])
    db.insert(t, rows(20, 20))
    db.dropView(low)
    expect([operators(db).length, calls, db.views]).toEqual([1, 0, []])
    expect(db.createView(c).size).toBeGreaterThan(0)
    expectExact(db)
    for (const old of [low, middle, high]) expectError(() => old.rows(), 'USAGE', 'dropped')
  })

  it('go with their tables, which can come back empty', () => {
    const db = open()
    const old = db.createTable(t)
    db.insert(t, rows(3))
    db.dropTable(old)
    for (const use of [() => old.rows(), () => db.insert(old, rows(1)), () => db.table(t), () => db.dropTable(t)]) {
      expectError(use, 'USAGE')
    }
    const again = db.createTable(t)
    expectError(() => db.insert(old, rows(1)), 'USAGE')
    db.insert(t, rows(1))
    expect([again.size, db.tables.length]).toEqual([1, 1])
  })
})

describe('definitions', () => {
  it('that do not fit are refused', () => {
    const db = open()
    db.createTable(t)
    const v = db.createView(a)
    const stranger = open().createTable(e)
    const theirs = view('theirs', q =>
      q.from(t).join(
        stranger,
        (x, y) => x.k === y.k,
        (x, y) => ({ id: x.id, w: y.w }),
      ),
    )
    const refused: [string, () => unknown][] = [
      ['taken', () => db.createTable(t)],
      ['taken', () => db.createTable(table('a', { x: i64() }))],
      ['taken', () => db.createView(a)],
      ['taken', () => db.createView(view('t', q => q.from(t)))],
      ['taken', () => db.createView(view('x', q => q.from(table('t', { id: i64() }))))],
      ['one name', () => db.createView(view('e', q => q.from(e)))],
      ['another database', () => db.createView(theirs)],
      ['expected a table', () => db.createTable(a as never)],
      ['expected a view', () => db.createView(t as never)],
      ['expected a view', () => db.createView(null as never)],
      ['no view "x"', () => db.view('x')],
      ['no view "t"', () => db.view('t')],
      ['no table "a"', () => db.table('a')],
      ['no view', () => db.dropView(t as never)],
      ['no table', () => db.dropTable(v as never)],
      ['no view', () => open().dropView(v)],
    ]
    for (const [message, run] of refused) expectRefused(db, run, 'USAGE', message)
    expect([db.tables.length, db.views.length]).toEqual([1, 1])
  })

  it('are over once the database is closed, reading is not', () => {
    const db = open()
    const v = db.createView(a)
    db.insert(t, rows(9))
    db.close()
    db.close()
    const uses = [() => db.insert(t, []), () => db.transact(() => {}), () => db.createView(b), () => db.dropView(a)]
    uses.push(
      () => v.subscribe(() => {}) as never,
      () => db.table(t).subscribe(() => {}) as never,
    )
    for (const use of uses) expectRefused(db, use, 'USAGE', 'closed')
    expect(v.rows()).toHaveLength(5)
  })
})

describe('a creation that fails', () => {
  const self = view('self', q =>
    q.from(t).join(
      q.from(t),
      (x, y) => x.id === y.id,
      (x, y) => ({ id: x.id, k: y.k }),
    ),
  )
  const heavy = { id: 5, k: 4, s: 's85' }

  it('leaves no operators, no arrangements and no sources behind', () => {
    const db = open()
    db.createTable(t)
    db.insert(t, rows(10))
    db.transact(tx => tx.add(t, heavy, 2n ** 40n))
    const top = view('top', q =>
      q.from(view('inner', r => r.from(e))).join(
        self,
        (x, y) => x.k === y.k,
        (x, y) => ({ w: x.w, id: y.id }),
      ),
    )
    for (const v of [self, top]) expectRefused(db, () => db.createView(v), 'WEIGHT_OVERFLOW')
    expect([operators(db).length, operators(db)[0].consumers, db.tables.length, db.views]).toEqual([1, [], 1, []])
    db.transact(tx => tx.add(t, heavy, -(2n ** 40n)))
    db.createView(top)
    db.insert(t, rows(2, 50))
    db.insert(e, [{ k: 1, w: 1 }])
    expectExact(db)
    expect(db.view(self).size).toBe(12)
  })

  it('also if the progress callback throws or writes', () => {
    const db = open()
    db.createTable(t)
    db.insert(t, rows(10))
    const stop = () => {
      throw new UsageError('stop')
    }
    for (const onProgress of [stop, () => void db.insert(t, rows(1)), () => void db.createView(b)]) {
      expectRefused(db, () => db.createView(a, { onProgress }), 'USAGE')
    }
    expect(operators(db)).toHaveLength(1)
    db.createView(a, { onProgress: () => expect(db.table(t).size).toBe(10) })
    db.insert(t, rows(1, 30))
    expectExact(db)
  })
})

describe('arrangements', () => {
  const joined = (name: string) =>
    view(name, q =>
      q.from(t).join(
        e,
        (x, y) => x.k === y.k,
        (x, y) => ({ id: x.id, w: y.w }),
      ),
    )

  it('are shared by views that need the same, until the last one goes', () => {
    const db = open()
    const first = db.createView(joined('first'))
    const shared = operators(db, 'arrange')
    db.insert(e, [{ k: 1, w: 1 }])
    db.insert(t, rows(10))
    const second = db.createView(joined('second'))
    expect(operators(db, 'arrange')).toEqual(shared)
    for (const v of [first, second]) expect(shared.every(o => v.plan().includes(`arrange ${o.id}`))).toBe(true)
    db.insert(e, [{ k: 2, w: 5 }])
    expectExact(db)
    db.dropView(first)
    expect(operators(db, 'arrange')).toEqual(shared)
    db.delete(t, rows(3))
    expectExact(db)
    db.dropView(second)
    expect(operators(db, 'arrange')).toEqual([])
  })

  it('of extremes serve a second view of many rows', () => {
    const N = 150_000
    const big = table('big', { id: u32().primaryKey(), g: u32() })
    const db = open()
    db.createTable(big)
    const id = Uint32Array.from({ length: N }, (_, i) => i)
    db.ingest(big, { columns: { id, g: id.map(i => i >> 8) } })
    db.createView(
      view('one', q =>
        q
          .from(big)
          .groupBy(r => ({ g: r.g }))
          .aggregate({ lo: min(r => r.id) }),
      ),
    )
    const two = db.createView(
      view('two', q =>
        q
          .from(big)
          .groupBy(r => ({ g: r.g }))
          .aggregate({ n: count(), lo: min(r => r.id), hi: max(r => r.id) }),
      ),
    )
    expect(operators(db, 'arrange')).toHaveLength(1)
    expect(two.rows().every(r => r.lo === r.g * 256 && (r.hi === r.lo + 255 || r.hi === N - 1))).toBe(true)
  })
})

describe('a view on a loaded table', () => {
  it('catches up in chunks and says how far it is', () => {
    const N = 200_000
    const big = table('big', { id: u32().primaryKey(), k: i32() })
    const db = open()
    db.createTable(big)
    db.insert(e, db.createTable(e) && Array.from({ length: 10 }, (_, k) => ({ k, w: k % 2 })))
    const id = Uint32Array.from({ length: N }, (_, i) => i)
    db.ingest(big, { columns: { id, k: Int32Array.from(id, i => i % 20) } })
    const progress: [number, number][] = []
    const v = db.createView(
      view('v', q =>
        q
          .from(big)
          .join(
            e,
            (x, y) => x.k === y.k,
            (x, y) => ({ w: y.w, id: x.id }),
          )
          .groupBy(r => ({ w: r.w }))
          .aggregate({ n: count(), s: sum(r => r.id), hi: max(r => r.id) }),
      ),
      { onProgress: (done, total) => progress.push([done, total]) },
    )
    expect(progress.map(([done]) => done)).toEqual([65536 + 10, 131072 + 10, 196608 + 10, N + 10])
    expect(progress.every(([, total]) => total === N + 10)).toBe(true)
    expect(v.rows().map(r => [r.w, r.n, r.hi])).toEqual([
      [0, 50_000n, N - 12],
      [1, 50_000n, N - 11],
    ])
    db.ingest(big, { columns: { id, k: Int32Array.from(id, i => i % 20) }, weights: new BigInt64Array(N).fill(-1n) })
    expect([v.size, db.table(big).size]).toEqual([0, 0])
  })
})

const extremes: Record<string, [() => Parameters<typeof anyTable>[1][string], readonly Value[]]> = {
  string: [string, ['b', 'abcdefghijklmnop', '', '😀', '\uffff', 'abcdefghijklmnoq']],
  bytes: [bytes, [Uint8Array.of(5), new Uint8Array(20).fill(1), new Uint8Array(0)]],
  bool: [bool, [true, false]],
  uuid: [uuid, ['ffffffff-ffff-ffff-ffff-ffffffffffff', '00000000-0000-0000-0000-000000000000']],
  u128: [u128, [5n, 2n ** 127n, 0n]],
  f64: [f64, [Number.NaN, -Infinity, 0, 5]],
  date: [date, [-5, 0, 7]],
  i64: [i64, [-(2n ** 63n), 5n, 2n ** 63n - 1n]],
  u64: [u64, [0n, 2n ** 64n - 1n, 2n ** 63n]],
}

describe('MIN and MAX', () => {
  it.each(Object.keys(extremes))('of %s, nullable or not, in groups and of all', type => {
    const [make, values] = extremes[type]
    for (const nullable of [false, true]) {
      const pick = picker(17)
      const source = anyTable('t', { k: string(), x: nullable ? make().nullable() : make() })
      const db = open()
      db.createView(
        view('groups', q =>
          q
            .from(source)
            .groupBy(r => ({ k: r.k }))
            .aggregate({ lo: min(r => r.x), hi: max(r => r.x), n: count(r => r.x) }),
        ),
      )
      db.createView(view('all', q => q.from(source).aggregate({ lo: min(r => r.x), hi: max(r => r.x), n: count() })))
      expectExact(db)
      const live: { k: string; x: Value }[] = []
      for (let n = 0; n < 14; n++) {
        db.transact(tx => {
          for (let m = 0; m < 2; m++) {
            if (live.length > 0 && pick(5) > 2) tx.delete(source, live.splice(pick(live.length), 1))
            else {
              const x = nullable && pick(3) === 0 ? null : values[pick(values.length)]
              live.push({ k: ['g', 'a group with a long name'][pick(2)], x })
              tx.insert(source, live[live.length - 1])
            }
          }
        })
        expectExact(db)
      }
      db.delete(source, live)
      expectExact(db)
      expect(db.view('all').rows()).toEqual([{ lo: null, hi: null, n: 0n }])
    }
  })
})

describe('a table joined with itself', () => {
  const p = table('p', { id: i32(), up: i32().nullable() })
  it('twice, three times, with outer sides and conditions', () => {
    const db = open()
    db.createView(
      view('inner', q => {
        const same = q.from(p)
        return same.join(
          same,
          (x, y) => x.up === y.id,
          (x, y) => ({ a: x.id, b: y.id }),
        )
      }),
    )
    db.createView(
      view('left', q =>
        q.from(p).leftJoin(
          q.from(p),
          (x, y) => x.up === y.up,
          (x, y) => ({ a: x.id, b: y.id }),
        ),
      ),
    )
    db.createView(
      view('full', q =>
        q.from(p).fullJoin(
          q.from(p),
          (x, y) => x.up === y.id && x.id < y.id,
          (x, y) => ({ a: x.id, b: y.id }),
        ),
      ),
    )
    db.createView(
      view('third', q =>
        q
          .from(p)
          .join(
            q.from(p),
            (x, y) => x.up === y.id,
            (x, y) => ({ a: x.id, up: y.up }),
          )
          .semiJoin(p, (x, y) => x.up === y.id),
      ),
    )
    const pick = picker(5)
    const live: { id: number; up: number | null }[] = []
    for (let n = 0; n < 25; n++) {
      db.transact(tx => {
        for (let m = 0; m < 3; m++) {
          if (live.length > 0 && pick(3) === 0) tx.delete(p, live.splice(pick(live.length), 1))
          else {
            live.push({ id: pick(6), up: pick(5) === 0 ? null : pick(6) })
            tx.insert(p, live[live.length - 1])
          }
        }
      })
      expectExact(db)
    }
  })
})

describe('a group-by with more groups than fit the cache', () => {
  it('adds, retracts and finds the right ones', () => {
    const groups = 280_000
    const big = table('big', { g: u32(), x: f64() }, { stream: true })
    const db = open()
    db.createTable(big)
    const def = view('perGroup', q =>
      q
        .from(big)
        .groupBy(r => ({ g: r.g }))
        .aggregate({ n: count(), total: sum(r => r.x) }),
    )
    const v = db.createView(def)
    const expected = new Map<number, { n: number; total: number }>()
    const change = (keys: number[], weight: bigint) => {
      const columns = { g: Uint32Array.from(keys), x: Float64Array.from(keys, k => k % 1000) }
      db.ingest(big, { columns, weights: new BigInt64Array(keys.length).fill(weight) })
      for (const k of keys) {
        const { n, total } = expected.get(k) ?? { n: 0, total: 0 }
        expected.set(k, { n: n + Number(weight), total: total + Number(weight) * (k % 1000) })
      }
    }
    const all = Array.from({ length: groups }, (_, k) => k)
    change(all, 1n)
    change([...all.filter(k => k % 7 === 0), 5, 5, groups + 1], 1n)
    change([groups + 1, ...all.filter(k => k % 11 === 0)], -1n)
    const held = new Map(v.entries().map(({ row }) => [row.g, { n: Number(row.n), total: row.total }]))
    for (const [g, { n }] of expected) if (n === 0) expected.delete(g)
    expect(held).toEqual(expected)
  })
})

describe('streams with columns that nobody reads', () => {
  const text = (id: number, what: string) => `${what} of row ${id}, long enough for the heap ${id % 9 === 0 ? 'ä' : ''}`
  const rowsFrom = (from: number) =>
    Array.from({ length: 40 }, (_, i) => ({ id: from + i, a: text(from + i, 'a'), b: text(from + i, 'b') }))
  const stream = table('stream', { id: u32().primaryKey(), a: string(), b: string() }, { stream: true })
  const only = (name: string, column: 'a' | 'b') =>
    column === 'a'
      ? view(name, q => q.from(stream).map(r => ({ id: r.id, text: r.a })))
      : view(name, q => q.from(stream).map(r => ({ id: r.id, text: r.b })))
  const want = (from: number, what: 'a' | 'b') => rowsFrom(from).map(r => ({ id: r.id, text: r[what] }))

  it('give whole rows to whoever comes later', async () => {
    const db = open()
    const first = db.createView(only('first', 'a'))
    db.insert(stream, rowsFrom(0))
    const second = db.createView(only('second', 'b'))
    db.insert(stream, rowsFrom(40))
    expect(first.rows()).toEqual([...want(0, 'a'), ...want(40, 'a')])
    expect(second.rows()).toEqual(want(40, 'b'))
    db.dropView('second')
    const seen: unknown[] = []
    const end = db.table(stream).subscribe(({ changes }) => seen.push(...changes.map(c => c.row)))
    db.insert(stream, rowsFrom(80))
    expect(seen).toEqual(rowsFrom(80))
    end()
    // Rows of transactions that others come in between.
    const tx = db.begin()
    tx.insert(stream, rowsFrom(120))
    const third = db.createView(only('third', 'b'))
    tx.commit()
    expect(third.rows()).toEqual(want(120, 'b'))
    let wait = () => {}
    const committed = db.transact(async own => {
      own.insert(stream, rowsFrom(160))
      await new Promise<void>(resolve => {
        wait = resolve
      })
    })
    const fourth = db.createView(only('fourth', 'b'))
    wait()
    await committed
    expect(fourth.rows()).toEqual(want(160, 'b'))
    expect(third.rows()).toEqual([...want(120, 'b'), ...want(160, 'b')])
  })

  it('are checked, and failing rows are told as a whole', () => {
    const db = open()
    const failing = view('failing', q => q.from(stream).map(r => ({ id: r.id, n: 10n / BigInt(r.id) })))
    const live = db.createView(failing)
    db.insert(stream, rowsFrom(0))
    expect(live.errors().map(e => e.row)).toEqual([{ id: 0, a: text(0, 'a'), b: text(0, 'b') }])
    expect(() => db.insert(stream, [...rowsFrom(0), { id: 1, a: '', b: `${'x'.repeat(20)}\ud800` }])).toThrow(
      /surrogate/,
    )
    db.addConstraint(stream, 'b', { check: r => r.b.startsWith('b of row') })
    db.insert(stream, rowsFrom(200))
    expect(() =>
      db.insert(
        stream,
        rowsFrom(240).map(r => ({ ...r, b: r.a })),
      ),
    ).toThrow(/constraint "b"/)
  })
})
