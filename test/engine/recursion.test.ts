/** Recursive views through the public face: what they compute, what they refuse, what they say when they cannot. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { count, type Database, i64, min, open, type QueryRoot, string, table, u32, view } from '../../src/index.js'
import { picker } from './support.js'

const edges = table('edges', { from: u32(), to: u32() })
const blocked = table('blocked', { node: u32() })

const paths = view('paths', q =>
  q.recursive(edges, path =>
    path.join(
      edges,
      (p, e) => p.to === e.from,
      (p, e) => ({ from: p.from, to: e.to }),
    ),
  ),
)

const squared = view('squared', q =>
  q.recursive(edges, path =>
    path.join(
      path,
      (p, r) => p.to === r.from,
      (p, r) => ({ from: p.from, to: r.to }),
    ),
  ),
)

type Edge = { from: number; to: number }
const edge = (text: string) => ({ from: Number(text[0]), to: Number(text[1]) })
const edgesOf = (text: string) => text.split(' ').map(edge)
const textOf = (rows: readonly { from: number; to: number }[]) => rows.map(r => `${r.from}${r.to}`).join(' ')

describe.each([
  ['linear', paths],
  ['non-linear', squared],
])('a %s closure', (_, definition) => {
  it('follows edges that come and go', () => {
    const db = open()
    const closure = db.createView(definition)
    db.insert(edges, edgesOf('12 23 34'))
    expect(textOf(closure.rows())).toBe('12 13 14 23 24 34')
    db.insert(edges, edge('13'))
    db.delete(edges, edge('12'))
    expect(textOf(closure.rows())).toBe('13 14 23 24 34')
    db.delete(edges, edge('13'))
    expect(textOf(closure.rows())).toBe('23 24 34')
  })

  it('does not keep circles alive that nothing supports', () => {
    const db = open()
    const closure = db.createView(definition)
    db.insert(edges, edgesOf('01 12 23 31'))
    expect(closure.size).toBe(12)
    db.delete(edges, edge('01'))
    expect(textOf(closure.rows())).toBe('11 12 13 21 22 23 31 32 33')
    db.delete(edges, edge('23'))
    expect(textOf(closure.rows())).toBe('12 31 32')
    db.delete(edges, edgesOf('12 31'))
    expect(closure.rows()).toEqual([])
  })

  it('publishes changes and not the work', () => {
    const db = open()
    const closure = db.createView(definition)
    db.insert(edges, edgesOf('12 23 13'))
    const seen: unknown[] = []
    closure.subscribe(({ changes }) => seen.push(changes))
    // 1 → 3 goes on, by way of 2.
    db.delete(edges, edge('13'))
    expect(seen).toEqual([])
    db.delete(edges, edge('23'))
    expect(seen).toEqual([
      [
        { row: edge('13'), weight: -1n },
        { row: edge('23'), weight: -1n },
      ],
    ])
  })

  it('catches up with what is there, shares what it reads, and can be dropped', () => {
    const db = open()
    db.createTable(edges)
    db.insert(edges, edgesOf('12 23 34'))
    const closure = db.createView(definition)
    expect(textOf(closure.rows())).toBe('12 13 14 23 24 34')
    db.dropView(closure)
    db.insert(edges, edge('45'))
    expect(textOf(db.createView(definition).rows())).toBe('12 13 14 15 23 24 25 34 35 45')
  })

  it('is shown in plans', () => {
    const db = open()
    const closure = db.createView(definition)
    db.insert(edges, edgesOf('12 23'))
    const plan = closure.plan()
    expect(plan).toMatch(/fixpoint/)
    expect(plan).toMatch(/variable/)
    expect(closure.plan({ format: 'dot' })).toMatch(/fixpoint/)
    expect(closure.plan({ format: 'svg' })).toMatch(/fixpoint/)
    expect(closure.source()).toMatch(/function support/)
    expect(closure.stats().stateRows).toBeGreaterThan(0)
  })
})

describe('mutual recursion', () => {
  const parity = view('parity', q => {
    const { odd, even } = q.recursive({ odd: edges, even: q.empty({ from: u32(), to: u32() }) }, ({ odd, even }) => ({
      odd: even.join(
        edges,
        (p, e) => p.to === e.from,
        (p, e) => ({ from: p.from, to: e.to }),
      ),
      even: odd.join(
        edges,
        (p, e) => p.to === e.from,
        (p, e) => ({ from: p.from, to: e.to }),
      ),
    }))
    return odd.map(p => ({ ...p, isEven: false })).unionAll(even.map(p => ({ ...p, isEven: true })))
  })

  it('solves relations together', () => {
    const db = open()
    const all = db.createView(parity)
    const even = () => textOf(all.rows().filter(r => r.isEven))
    db.insert(edges, edgesOf('12 23 34 45'))
    expect(even()).toBe('13 15 24 35')
    // A circle of three edges.
    db.insert(edges, edge('53'))
    expect(even()).toBe('13 14 15 23 24 25 33 34 35 43 44 45 53 54 55')
    db.delete(edges, edge('53'))
    expect(even()).toBe('13 15 24 35')
  })
})

describe('inside of a recursion', () => {
  it('rows may be excluded by what does not depend on it, and what reads it may count', () => {
    const db = open()
    const open_ = (q: QueryRoot) =>
      q.recursive(edges, path =>
        path
          .antiJoin(blocked, (p, b) => p.to === b.node)
          .join(
            edges,
            (p, e) => p.to === e.from,
            (p, e) => ({ from: p.from, to: e.to }),
          ),
      )
    const reach = db.createView(
      view('reach', q =>
        open_(q)
          .groupBy(p => ({ from: p.from }))
          .aggregate({ nodes: count(), first: min(p => p.to) }),
      ),
    )
    db.insert(edges, edgesOf('12 23 34'))
    expect(reach.get({ from: 1 })).toEqual({ from: 1, nodes: 3n, first: 2 })
    db.insert(blocked, { node: 3 })
    expect(reach.get({ from: 1 })).toEqual({ from: 1, nodes: 2n, first: 2 })
    db.delete(blocked, { node: 3 })
    expect(reach.get({ from: 1 })).toEqual({ from: 1, nodes: 3n, first: 2 })
  })

  it('weights below 1 do not count, and those above count once', () => {
    const db = open()
    const closure = db.createView(paths)
    db.insert(edges, edgesOf('12 12 23'))
    expect(closure.entries().map(e => e.weight)).toEqual([1n, 1n, 1n])
    db.delete(edges, edgesOf('23 23'))
    expect(textOf(closure.rows())).toBe('12')
    db.insert(edges, edge('23'))
    expect(textOf(closure.rows())).toBe('12')
    db.insert(edges, edge('23'))
    expect(textOf(closure.rows())).toBe('12 13 23')
  })

  it('a relation of the program that depends on no other, or is complete before, is an ordinary one', () => {
    const db = open()
    const unreached = db.createView(
      view('unreached', q => {
        const nodes = q.from(edges).map(e => ({ node: e.to }))
        return q.recursive({ path: edges, none: q.empty({ node: u32() }) }, ({ path }) => ({
          path: path.join(
            edges,
            (p, e) => p.to === e.from,
            (p, e) => ({ from: p.from, to: e.to }),
          ),
          none: nodes.antiJoin(
            path.filter(p => p.from === 1),
            (n, p) => n.node === p.to,
          ),
        })).none
      }),
    )
    db.insert(edges, edgesOf('12 23 45'))
    expect(unreached.rows()).toEqual([{ node: 5 }])
    db.insert(edges, edge('34'))
    expect(unreached.rows()).toEqual([])
  })

  it('an expression that fails on a row is data, and the row takes no further part', () => {
    const steps = table('steps', { from: i64(), by: i64() })
    const db = open()
    const reached = db.createView(
      view('reached', q =>
        q.recursive(
          q.from(steps).map(s => ({ at: s.from })),
          self =>
            self.join(
              steps,
              (r, s) => r.at === s.from,
              (r, s) => ({ at: (12n / s.by) * (r.at - r.at) + r.at + s.by }),
            ),
        ),
      ),
    )
    db.insert(steps, [
      { from: 1, by: 1 },
      { from: 2, by: 0 },
    ])
    expect(reached.errors().map(e => [e.message, e.weight])).toEqual([['division by zero', 1n]])
    db.delete(steps, { from: 1, by: 1 })
    expect(reached.errors()).toHaveLength(1)
    db.delete(steps, { from: 2, by: 0 })
    db.insert(steps, { from: 1, by: 1 })
    expect(reached.rows()).toEqual([{ at: 1n }, { at: 2n }])
  })
})

describe('a recursion without an end', () => {
  const words = table('words', { word: string() })
  const growing = view('growing', q =>
    q.recursive(words, self => self.filter(w => w.word !== 'b').map(w => ({ word: `${w.word}a` })), { limit: 20 }),
  )

  it('fails as data, and the view is right when the data recover', () => {
    const db = open()
    const all = db.createView(growing)
    db.insert(words, { word: 'b' })
    expect(all.rows()).toEqual([{ word: 'b' }])
    db.insert(words, { word: 'a' })
    expect(() => all.rows()).toThrow('the recursion of "self" is not at its end after 20 iterations')
    db.insert(words, { word: 'c' })
    db.delete(words, { word: 'b' })
    expect(all.errors()).toHaveLength(1)
    db.delete(words, [{ word: 'a' }, { word: 'c' }])
    db.insert(words, { word: 'b' })
    expect(all.errors()).toEqual([])
    expect(all.rows()).toEqual([{ word: 'b' }])
  })

  it('counts the iterations from nothing, however the rows came', () => {
    const db = open()
    const short = db.createView(
      view('short', q =>
        q.recursive(
          edges,
          path =>
            path.join(
              edges,
              (p, e) => p.to === e.from,
              (p, e) => ({ from: p.from, to: e.to }),
            ),
          { limit: 3 },
        ),
      ),
    )
    for (const text of ['12', '34', '23']) db.insert(edges, edge(text))
    expect(textOf(short.rows())).toBe('12 13 14 23 24 34')
    db.insert(edges, edge('45'))
    expect(short.errors()).toHaveLength(1)
    // A shorter way: three edges from 1 to 5, as before.
    db.insert(edges, edge('24'))
    expect(textOf(short.rows())).toBe('12 13 14 15 23 24 25 34 35 45')
  })
})

describe('a transaction that fails', () => {
  it('leaves a recursion as it was', () => {
    const wide = table('wide', { key: u32() })
    const db = open()
    const closure = db.createView(paths)
    // Weights of 2⁶² multiply to more than an i64 holds.
    db.createView(
      view('product', q =>
        q.from(wide).join(
          q.from(wide),
          (a, b) => a.key === b.key,
          (a, b) => ({ a: a.key, b: b.key }),
        ),
      ),
    )
    db.insert(edges, edgesOf('12 23 31'))
    const before = closure.rows()
    const fail = (write: () => void) => expect(write).toThrow(/64 bits|i64|weight/)
    fail(() =>
      db.transact(tx => {
        tx.delete(edges, edge('23'))
        tx.insert(edges, edge('34'))
        tx.add(wide, { key: 1 }, 2n ** 61n)
      }),
    )
    expect(closure.rows()).toEqual(before)
    db.delete(edges, edge('31'))
    expect(textOf(closure.rows())).toBe('12 13 23')
  })
})

describe('in a directory', () => {
  const words = table('words', { word: string() })
  const growing = view('growing', q =>
    q.recursive(words, self => self.filter(w => w.word !== 'b').map(w => ({ word: `${w.word}a` })), { limit: 20 }),
  )

  it.each([
    ['linear', paths],
    ['non-linear', squared],
  ])('a %s recursion goes on where it was', async (_, definition) => {
    const dir = mkdtempSync(join(tmpdir(), 'gnitz-recursion-'))
    const random = picker(3)
    const expected = new Map<string, number>()
    const change = (db: Database) =>
      db.transact(tx => {
        for (let i = 0; i < 4; i++) {
          const text = `${random(6)}${random(6)}`
          const weight = (expected.get(text) ?? 0) > 0 && random(2) === 0 ? -1 : 1
          expected.set(text, (expected.get(text) ?? 0) + weight)
          tx.add(edges, edge(text), weight)
        }
      })
    try {
      for (let round = 0; round < 4; round++) {
        const db = await open(dir)
        const closure = round === 0 ? db.createView(definition) : db.view<Edge>(definition.schema.name)
        const compare = () => {
          const now = [...expected].flatMap(([text, weight]) => (weight > 0 ? [edge(text)] : []))
          const fresh = open()
          const again = fresh.createView(definition)
          fresh.insert(edges, now)
          expect(textOf(closure.rows())).toBe(textOf(again.rows()))
        }
        if (round > 0) compare()
        for (let n = 0; n < 6; n++) {
          change(db)
          compare()
          if (n === 2) db.checkpoint()
        }
        await db.close()
      }
    } finally {
      rmSync(dir, { recursive: true })
    }
  })

  it('one without an end is still without one', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'gnitz-recursion-'))
    try {
      const db = await open(dir)
      db.createView(growing)
      db.insert(words, [{ word: 'a' }, { word: 'b' }])
      await db.close()
      const again = await open(dir)
      const all = again.view(growing.schema.name)
      expect(() => all.rows()).toThrow('is not at its end after 20 iterations')
      again.delete(words, { word: 'a' })
      expect(all.rows()).toEqual([{ word: 'b' }])
      await again.close()
    } finally {
      rmSync(dir, { recursive: true })
    }
  })
})

describe('what is not stratified', () => {
  const build = (make: (q: QueryRoot) => unknown) => () => view('bad', make as never)
  const step = (q: QueryRoot) => q.from(edges)

  it('is refused, with the cycle', () => {
    expect(
      build(q =>
        q.recursive(edges, self =>
          step(q).antiJoin(
            self.filter(s => s.to > 3),
            (e, s) => e.to === s.from,
          ),
        ),
      ),
    ).toThrow('"self" depends on itself through antiJoin: self ← unionAll ← antiJoin ← filter ← self')
    expect(
      build(q => q.recursive(edges, self => self.groupBy(s => ({ from: s.from })).aggregate({ to: min(s => s.to) }))),
    ).toThrow('depends on itself through aggregate: self ← unionAll ← aggregate ← self')
    expect(build(q => q.recursive(edges, self => self.top(3, { by: s => s.to })))).toThrow('through top')
    expect(build(q => q.recursive(edges, self => step(q).minus(self)))).toThrow('through negate')
    expect(build(q => q.recursive(edges, self => step(q).except(self)))).toThrow('through except')
    expect(build(q => q.recursive(edges, self => self.intersectAll(edges)))).toThrow('has no duplicates to count')
  })

  it('names the way through other relations', () => {
    expect(
      build(
        q =>
          q.recursive({ a: edges, b: edges, c: edges }, ({ a, b, c }) => ({
            a: b.filter(r => r.to > 1),
            b: step(q).antiJoin(c, (e, r) => e.to === r.from),
            c: a,
          })).a,
      ),
    ).toThrow(
      '"b" depends on itself through antiJoin: b ← unionAll ← antiJoin ← c ← unionAll ← a ← unionAll ← filter ← b',
    )
  })

  it('says what it expects', () => {
    expect(build(q => q.recursive(edges, 5 as never))).toThrow('expected a function self => …, found 5')
    expect(build(q => q.recursive(edges, s => s, { limit: 0 }))).toThrow('expected a limit from 1')
    expect(build(q => q.recursive({} as never, s => s as never))).toThrow('a table or a view to begin with')
    expect(build(q => q.recursive({ a: edges }, () => ({ a: edges, b: edges }) as never))).toThrow('has no base')
    expect(
      build(q =>
        q.recursive(
          edges,
          s =>
            s.leftJoin(
              edges,
              (p, e) => p.to === e.from,
              (p, e) => ({ from: p.from, to: e.to }),
            ) as never,
        ),
      ),
    ).toThrow('column "to" may be NULL in what follows')
  })
})
