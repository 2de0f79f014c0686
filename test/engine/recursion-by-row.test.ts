/** What acts on each row of a recursion by itself: joins with complete relations by any condition, and unnest. */
import { describe, expect, it } from 'vitest'
import type { Query } from '../../src/circuit/builder/query.js'
import { interpret, printZSet, type ZSet } from '../../src/circuit/interpret.js'
import type { Relation } from '../../src/circuit/rel.js'
import { type Database, i64, open, type QueryRoot, table, view } from '../../src/index.js'
import { contents, picker } from './support.js'

const starts = table('starts', { from: i64(), to: i64() })
const roads = table('roads', { from: i64(), to: i64() })
const tolls = table('tolls', { low: i64(), high: i64() })

type Ends = Query<{ node: bigint }>

/** Ways from starts along roads, and, as ways from 0, what `made` makes of where they lead to. */
const ways = (name: string, made: (ends: Ends, q: QueryRoot) => Ends) =>
  view(name, q =>
    q.recursive(starts, way => {
      const own = way.filter(w => w.from > 0n)
      const ends = own.map(w => ({ node: w.to }))
      return own
        .join(
          roads,
          (w, r) => w.to === r.from,
          (w, r) => ({ from: w.from, to: r.to }),
        )
        .unionAll(made(ends, q).map(n => ({ from: 0n, to: n.node })))
    }),
  )

const free = ways('free', ends => ends.antiJoin(tolls, (n, t) => t.low <= n.node && n.node <= t.high))

const views = [
  free,
  ways('left', ends =>
    ends.leftJoin(
      tolls,
      (n, t) => t.low <= n.node && n.node <= t.high,
      (n, t) => ({ node: n.node * 10n + (t.high ?? 0n) }),
    ),
  ),
  ways('right', (ends, q) =>
    q.from(tolls).rightJoin(
      ends,
      (t, n) => t.low === n.node && t.high > n.node + 1n,
      (t, n) => ({ node: n.node * 10n + (t.high ?? 0n) }),
    ),
  ),
  ways('failing', ends => ends.antiJoin(tolls, (n, t) => t.low <= n.node && 12n / (t.high - n.node) > 2n)),
  ways('asOf', ends =>
    ends.asOfLeftJoin(
      tolls,
      (n, t) => t.low <= n.node,
      (n, t) => ({ node: n.node * 10n + (t.high ?? 0n) }),
    ),
  ),
  ways('unnest', ends =>
    ends
      .unnest(n => [n.node * 10n, n.node * 10n + 1n], 'sight', { ordinality: 'number' })
      .map(n => ({ node: n.sight })),
  ),
]

const edge = (text: string) => ({ from: BigInt(text[0]), to: BigInt(text[1]) })
const edges = (text: string) => text.split(' ').map(edge)

describe('an antijoin by ranges within a recursion', () => {
  it('keeps out what is excluded, however it was reached first', () => {
    const db = open()
    const all = db.createView(free)
    const ends = () => all.rows().flatMap(w => (w.from === 0n ? [Number(w.to)] : []))
    db.insert(tolls, { low: 5, high: 6 })
    db.insert(roads, edges('23 34 45'))
    db.insert(starts, edge('12'))
    expect(ends()).toEqual([2, 3, 4])
    // 5 was reached after three roads, and is now a start's end.
    db.insert(starts, edge('95'))
    expect(ends()).toEqual([2, 3, 4])
    db.delete(tolls, { low: 5, high: 6 })
    expect(ends()).toEqual([2, 3, 4, 5])
  })
})

/** Rows, and what failed, as the oracle has them. */
function compare(db: Database, what: string): void {
  const inputs = new Map<Relation, ZSet>(db.tables.map(t => [t.definition, contents(t)]))
  for (const v of db.views) {
    const { rows, errors } = interpret(v.definition.rel, inputs)
    const found = new Map<string, bigint>()
    for (const { message, weight } of v.errors()) found.set(message, (found.get(message) ?? 0n) + weight)
    expect({ rows: found.size > 0 ? '' : printZSet(contents(v)), errors: found }, `${v.name} ${what}`).toEqual({
      rows: errors.size > 0 ? '' : printZSet(rows),
      errors,
    })
  }
}

type AnyChange = readonly [definition: never, row: never]

/** Rows of all tables that come, and go again. */
function run(seed: number, steps: number): void {
  const random = picker(seed)
  const db = open()
  for (const definition of views) db.createView(definition)
  const held: AnyChange[] = []
  for (let step = 0; step < steps; step++) {
    db.transact(tx => {
      for (let n = random(3); n >= 0; n--) {
        if (held.length > 4 && random(5) < 2) tx.delete(...held.splice(random(held.length), 1)[0])
        else {
          const row = anyRow(random)
          held.push(row)
          tx.insert(...row)
        }
      }
    })
    compare(db, `of seed ${seed} after ${step + 1} transactions`)
  }
}

function anyRow(random: (below: number) => number): AnyChange {
  const node = () => BigInt(1 + random(8))
  const at = node()
  const rows = [
    [starts, { from: node(), to: at }],
    // Mostly long ways, so that there is a shorter one to come.
    [roads, { from: at, to: random(5) === 0 ? node() : at + 1n }],
    [tolls, { low: at, high: at + BigInt(random(3)) }],
  ] as const
  const [definition, row] = rows[random(4) % rows.length]
  return [definition as never, row as never]
}

describe('random rows that come and go', () => {
  it.each([1, 2])('seed %s', seed => run(seed, 12))
})

describe('what is not monotone', () => {
  const refused = (step: (way: Query<{ from: bigint; to: bigint }>, q: QueryRoot) => unknown) =>
    expect(() => view('refused', q => q.recursive(starts, way => step(way, q) as never)))

  it('is refused with the cycle', () => {
    const through = (what: string) =>
      `"self" depends on itself through ${what}: self ← unionAll ← ${what} ← filter ← self`
    const some = (way: Query<{ from: bigint; to: bigint }>) => way.filter(w => w.to > 3n)
    const both = (a: { from: bigint | null }, b: { to: bigint | null }) => ({ from: a.from ?? 0n, to: b.to ?? 0n })
    refused((way, q) => q.from(roads).antiJoin(some(way), (r, w) => r.to < w.from)).toThrow(through('antiJoin'))
    refused((way, q) => q.from(roads).leftJoin(some(way), (r, w) => r.to < w.from, both)).toThrow(through('leftJoin'))
    refused(way => some(way).rightJoin(roads, (w, r) => r.to < w.from, both)).toThrow(through('rightJoin'))
    refused(way => some(way).fullJoin(roads, (w, r) => r.to < w.from, both)).toThrow(through('fullJoin'))
    refused((way, q) => q.from(roads).asOfJoin(some(way), (r, w) => w.to <= r.to, both)).toThrow(through('asOfJoin'))
    refused((way, q) => q.from(roads).asOfLeftJoin(some(way), (r, w) => w.to <= r.to, both)).toThrow(
      through('asOfLeftJoin'),
    )
  })
})
