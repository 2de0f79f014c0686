/** Operators that are made of others, against what SQL says of them, row by row. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CompileError, i32, open, string, table, u32, view } from '../../src/index.js'
import { checkIncremental } from '../../src/testing/index.js'

const left = table('left', { id: u32(), x: i32().nullable(), s: string() })
const right = table('right', { y: i32().nullable(), z: i32() })

const some = fc.option(fc.integer({ min: 0, max: 3 }), { nil: null, freq: 4 })
const lefts = fc.array(fc.record({ id: fc.nat(9), x: some, s: fc.constantFrom('a', 'b') }), { maxLength: 8 })
const rights = fc.array(fc.record({ y: some, z: fc.integer({ min: 0, max: 3 }) }), { maxLength: 4 })

/** SQL's three-valued x NOT IN (values): null is unknown. */
function notIn(x: number | null, values: readonly (number | null)[]): boolean | null {
  if (values.length === 0) return true
  if (x === null) return null
  if (values.includes(x)) return false
  return values.includes(null) ? null : true
}

const sorted = (rows: readonly object[]): string[] => rows.map(r => JSON.stringify(r)).sort()

describe('notIn', () => {
  const nullable = view('nullable', q => q.from(left).notIn(right, (l, r) => l.x === r.y))
  const known = view('known', q => q.from(left).notIn(right, (l, r) => l.x === r.z))
  const plain = view('plain', q => q.from(left).notIn(right, (l, r) => l.id === r.z + 1))

  it('is what SQL says, while values and NULLs come and go', () => {
    const step = fc.record({ lefts, rights })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 4 }), fc.array(fc.nat(20), { maxLength: 6 }), (steps, gone) => {
        const db = open()
        const views = [nullable, known, plain].map(v => db.createView(v))
        const here = { lefts: [] as object[], rights: [] as object[] }
        const check = () => {
          const ls = here.lefts as { id: number; x: number | null; s: string }[]
          const rs = here.rights as { y: number | null; z: number }[]
          const want = [
            ls.filter(
              l =>
                notIn(
                  l.x,
                  rs.map(r => r.y),
                ) === true,
            ),
            ls.filter(
              l =>
                notIn(
                  l.x,
                  rs.map(r => r.z),
                ) === true,
            ),
            ls.filter(
              l =>
                notIn(
                  l.id,
                  rs.map(r => r.z + 1),
                ) === true,
            ),
          ]
          views.forEach((v, i) => {
            expect(sorted(v.rows())).toEqual(sorted(want[i]))
          })
        }
        for (const { lefts: l, rights: r } of steps) {
          db.transact(tx => {
            tx.insert(left, l)
            tx.insert(right, r)
          })
          here.lefts = [...here.lefts, ...l]
          here.rights = [...here.rights, ...r]
          check()
        }
        for (const at of gone) {
          const [row] = here.rights.splice(at, 1)
          if (row === undefined) continue
          db.delete(right, row as never)
          check()
        }
      }),
      { numRuns: 12, seed: 1 },
    )
  })

  it('obeys the laws', () => {
    for (const definition of [nullable, known, plain]) checkIncremental(definition, { runs: 3, seed: 2 })
  })

  it('takes one equality', () => {
    const make = (on: (l: { x: number | null; id: number }, r: { y: number | null; z: number }) => boolean) => () =>
      view('v', q => q.from(left).notIn(right, on))
    expect(make((l, r) => l.id > r.z)).toThrow(CompileError)
    expect(make((l, r) => l.id === r.z && l.x === r.y)).toThrow(/one equality of values of one type/)
  })
})

describe('joinAll', () => {
  const star = view('star', q =>
    q.joinAll(
      [left, right, left],
      [l => ({ k: l.x }), r => ({ k: r.y }), m => ({ k: m.x })],
      (l, r, m, { more }) => ({ a: l.id, z: r.z + more, b: m.id }),
      { more: 10 },
    ),
  )
  const computed = view('computed', q =>
    q.joinAll(
      [left, q.from(right).filter(r => r.z > 0), right],
      [l => ({ k: l.id % 4, s: l.s }), r => ({ s: 'a', k: r.z }), r => ({ k: r.z + 0, s: 'a' })],
      (l, r, t) => ({ id: l.id, y: r.y, u: t.y }),
    ),
  )

  it('is all rows that agree, NULL with NULL', () => {
    fc.assert(
      fc.property(fc.array(fc.record({ lefts, rights }), { maxLength: 3 }), steps => {
        const db = open()
        const views = [star, computed].map(v => db.createView(v as typeof star))
        const ls = steps.flatMap(s => s.lefts)
        const rs = steps.flatMap(s => s.rights)
        for (const s of steps) {
          db.insert(right, s.rights)
          db.insert(left, s.lefts)
        }
        const triples = ls.flatMap(l =>
          rs.filter(r => r.y === l.x).flatMap(r => ls.filter(m => m.x === l.x).map(m => ({ l, r, m }))),
        )
        expect(sorted(views[0].rows())).toEqual(
          sorted(triples.map(({ l, r, m }) => ({ a: l.id, z: r.z + 10, b: m.id }))),
        )
        const others = ls.flatMap(l => {
          const same = rs.filter(r => l.s === 'a' && r.z === l.id % 4)
          return same.filter(r => r.z > 0).flatMap(r => same.map(t => ({ id: l.id, y: r.y, u: t.y })))
        })
        expect(sorted(views[1].rows())).toEqual(sorted(others))
      }),
      { numRuns: 15, seed: 5 },
    )
  })

  it('obeys the laws', () => {
    for (const definition of [star, computed]) checkIncremental(definition, { runs: 5, seed: 6 })
  })

  it('says what is wrong with keys', () => {
    const make = (keys: unknown) => () =>
      view('v', q => q.joinAll([left, right], keys as never, (l, r) => ({ a: l.id, z: r.z })))
    expect(make([(l: { id: number }) => ({ k: l.id })])).toThrow(/expected 2 lambdas for the keys/)
    expect(make([(l: { id: number }) => ({ k: l.id }), (r: { z: number }) => ({ other: r.z })])).toThrow(
      /expected the key "k" of relation 2, found "other"/,
    )
    expect(make([(l: { id: number }) => ({ k: l.id }), (r: { z: number }) => ({ k: 'text' + String(r.z) })])).toThrow(
      CompileError,
    )
    expect(() => view('v', q => q.joinAll([left], [l => ({ k: l.id })], l => ({ a: l.id })))).toThrow(
      /two relations or more/,
    )
  })
})

describe('top with an offset, and with ties', () => {
  const order = { by: (l: { x: number | null }) => l.x, desc: true } as const
  const page = view('page', q => q.from(left).top({ limit: 2, offset: 3 }, order))
  const ties = view('ties', q => q.from(left).top({ limit: 2, ties: true }, order))
  const both = view('both', q =>
    q
      .from(left)
      .groupBy(l => ({ s: l.s }))
      .top({ limit: 1, offset: 1, ties: true }, order),
  )

  it('are the rows of these places', () => {
    const value = (l: { x: number | null }) => l.x ?? -1
    fc.assert(
      fc.property(fc.array(lefts, { maxLength: 4 }), fc.nat(20), (steps, at) => {
        const db = open()
        const views = [page, ties, both].map(v => db.createView(v))
        let all: { id: number; x: number | null; s: string }[] = []
        const check = () => {
          // Descending by x, NULL last; what is equal there goes by all columns.
          const inOrder = [...all].sort((a, b) => value(b) - value(a) || a.id - b.id || (a.s < b.s ? -1 : 1))
          const withTies = (rows: typeof all, limit: number) =>
            rows.filter(l => rows.filter(m => value(m) > value(l)).length < limit)
          const groups = ['a', 'b'].map(s => inOrder.filter(l => l.s === s))
          const want = [inOrder.slice(3, 5), withTies(inOrder, 2), groups.flatMap(rows => withTies(rows, 2).slice(1))]
          views.forEach((v, i) => {
            expect(sorted(v.rows())).toEqual(sorted(want[i]))
          })
        }
        for (const rows of steps) {
          db.insert(left, rows)
          all = [...all, ...rows]
          check()
        }
        if (all.length === 0) return
        const [row] = all.splice(at % all.length, 1)
        db.delete(left, row)
        check()
      }),
      { numRuns: 20, seed: 3 },
    )
  })

  it('obey the laws', () => {
    for (const definition of [page, ties, both]) checkIncremental(definition, { runs: 6, seed: 4 })
  })

  it('refuse what makes no sense', () => {
    const make = (options: object) => () => view('v', q => q.from(left).top(options as never, order))
    expect(make({ limit: 0 })).toThrow(/expected a limit from 1/)
    expect(make({ limit: 1, offset: -1 })).toThrow(/expected an offset from 0, found -1/)
    expect(make({ limit: 1, offset: 2 ** 40 })).toThrow(/expected a limit from 1/)
    expect(make({ limit: 1, ties: 'yes' })).toThrow(/expected ties: true or false/)
    expect(() => view('v', q => q.from(left).top({ limit: 1, ties: true }))).toThrow(/all rows are ties/)
  })
})
