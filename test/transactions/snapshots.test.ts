/** Snapshots: every table and view as it was, whatever happens afterwards; and what is open costs, and nothing else. */
import { describe, expect, it } from 'vitest'
import { Prng } from '../../src/base/prng.js'
import { addRow, interpret, type Row, type ZSet } from '../../src/circuit/interpret.js'
import type { Relation } from '../../src/circuit/rel.js'
import {
  count,
  type Database,
  f64,
  i64,
  max,
  min,
  open,
  type Snapshot,
  string,
  sum,
  table,
  u32,
  u64,
  type Value,
  type ViewDef,
  view,
} from '../../src/index.js'
import { compareValues } from '../../src/schema/values.js'
import { expectError, MAX_I64, MIN_I64 } from '../engine/support.js'

const LONG = 'a text that is longer than its cell'
const sales = table('sales', { id: u64().primaryKey(), shop: string(), amount: i64(), price: f64().nullable() })
const shops = table('shops', { shop: string().primaryKey(), city: string() })
const bag = table('bag', { a: u32(), b: string().nullable() })

const large = view('large', q => q.from(sales).filter(s => s.amount > 20n))
const named = view('named', q => q.from(sales), { key: ['shop', 'id'] })
const perShop = view('perShop', q =>
  q
    .from(sales)
    .groupBy(s => ({ shop: s.shop }))
    .aggregate({ n: count(), total: sum(s => s.amount), mean: sum(s => s.price), low: min(s => s.price) }),
)
const total = view('total', q => q.from(sales).aggregate({ n: count(), top: max(s => s.shop) }))
const located = view('located', q =>
  q.from(sales).join(
    shops,
    (s, h) => s.shop === h.shop,
    (s, h) => ({ id: s.id, city: h.city }),
  ),
)
const best = view('best', q =>
  q
    .from(sales)
    .groupBy(s => ({ shop: s.shop }))
    .top(2, { by: s => s.amount, desc: true }),
)
const cities = view('cities', q =>
  q
    .from(located)
    .groupBy(l => ({ city: l.city }))
    .aggregate({ n: count() }),
)
const distinct = view('distinct', q => q.from(bag).distinct())
const VIEWS = [large, named, perShop, total, located, best, cities, distinct]
const TABLES = [sales, shops, bag]
const ALL = [...TABLES, ...VIEWS] as unknown as ViewDef<Record<string, Value>>[]

/** A state of the database: its tables by definition. */
type Tables = Map<Relation, ZSet>

const entriesOf = (relation: Relation, rows: ZSet) => {
  const { columns } = relation.schema
  const own = relation.kind === 'view' ? relation.key : relation.schema.primaryKey
  const key = own.length > 0 ? own : columns.map(c => c.index)
  const order = [...key, ...columns.map(c => c.index).filter(c => !key.includes(c))]
  const compare = (a: Row, b: Row): number => {
    for (const c of order) {
      const found = compareValues(columns[c].type, a[c], b[c])
      if (found !== 0) return found
    }
    return 0
  }
  return [...rows.values()]
    .filter(e => e.weight !== 0n)
    .sort((a, b) => compare(a.row, b.row))
    .map(({ row, weight }) => ({ row: Object.fromEntries(columns.map(c => [c.name, row[c.index]])), weight }))
}

const rowsAt = (relation: Relation, tables: Tables): ZSet =>
  relation.kind === 'table' ? (tables.get(relation) as ZSet) : interpret(relation.rel, tables).rows

class World {
  readonly db: Database = open()
  tables: Tables = new Map(TABLES.map(t => [t, new Map()]))
  readonly held: { snapshot: Snapshot; tables: Tables }[] = []

  constructor(readonly random: Prng) {
    for (const v of VIEWS) this.db.createView(v)
  }

  row(relation: Relation): Row {
    const { random } = this
    const shop = random.pick(['', 'a', 'b', LONG, `${LONG} 2`])
    if (relation === (sales as Relation)) {
      return [
        BigInt(random.below(300)),
        shop,
        BigInt(random.below(60)),
        random.chance(0.2) ? null : random.below(9) / 2,
      ]
    }
    if (relation === (shops as Relation)) return [shop, random.pick(['Bergen', 'Tartu', LONG])]
    return [random.below(20), random.chance(0.3) ? null : random.pick(['x', LONG])]
  }

  /** A transaction of some insertions and retractions. */
  write(rows: number): void {
    const { random } = this
    this.tables = new Map([...this.tables].map(([t, z]) => [t, new Map([...z].map(([k, e]) => [k, { ...e }]))]))
    this.db.transact(tx => {
      for (let n = 0; n < rows; n++) {
        const relation = random.pick([sales, sales, sales, shops, bag]) as unknown as typeof sales
        const zset = this.tables.get(relation) as ZSet
        const present = [...zset.values()].filter(e => e.weight > 0n)
        const retract = present.length > 0 && random.chance(0.45)
        const row = retract ? random.pick(present).row : this.row(relation)
        const object = Object.fromEntries(relation.schema.columns.map(c => [c.name, row[c.index]]))
        tx.add(relation, object as never, retract ? -1 : 1)
        addRow(zset, row, retract ? -1n : 1n)
      }
    })
  }

  hold(): void {
    this.held.push({ snapshot: this.db.snapshot(), tables: this.tables })
  }

  release(at: number): void {
    const [{ snapshot }] = this.held.splice(at, 1)
    snapshot.release()
    snapshot.release()
    expectError(() => snapshot.rows(sales), 'USAGE', 'released')
  }

  /** Reads one relation in one snapshot in every way. */
  check({ snapshot, tables }: { snapshot: Snapshot; tables: Tables }, relation: ViewDef<Record<string, Value>>): void {
    const { random } = this
    const wanted = entriesOf(relation as Relation, rowsAt(relation as Relation, tables))
    expect(snapshot.entries(relation), relation.schema.name).toEqual(wanted)
    expect(snapshot.size(relation)).toBe(wanted.length)
    const rows = wanted.flatMap(({ row, weight }) => Array.from({ length: Number(weight) }, () => row))
    if (rows.length === 0) return
    const [reader] = [this.db.views, this.db.tables].flat().filter(h => h.name === relation.schema.name)
    const key = reader.relation.key.map(k => relation.schema.columns[k].name)
    const keyOf = (row: Record<string, Value>) => Object.fromEntries(key.map(name => [name, row[name]]))
    const sought = random.pick(rows)
    const same = rows.filter(row => key.every(name => row[name] === sought[name]))
    expect(snapshot.getAll(relation, keyOf(sought))).toEqual(same)
    expect(snapshot.get(relation, keyOf(sought))).toEqual(same[0])
    const last = rows.lastIndexOf(same[same.length - 1])
    expect([...snapshot.range(relation, { after: keyOf(sought), limit: 5 })]).toEqual(rows.slice(last + 1, last + 6))
    const before = rows.slice(0, rows.indexOf(same[0]))
    expect([...snapshot.range(relation, { after: keyOf(sought), reverse: true })]).toEqual(before.reverse())
  }
}

describe('a snapshot', () => {
  it('shows every table and view as it was, under random writes', () => {
    for (let seed = 1; seed <= 3; seed++) {
      const random = new Prng(seed)
      const world = new World(random)
      for (let step = 0; step < 40; step++) {
        const roll = random.below(10)
        if (roll < 5) world.write(random.chance(0.15) ? 120 : 1 + random.below(6))
        else if (roll < 7) world.hold()
        else if (roll < 8 && world.held.length > 0) world.release(random.below(world.held.length))
        else if (world.held.length > 0) world.check(random.pick(world.held), random.pick(ALL))
      }
      for (const held of world.held) for (const relation of ALL) world.check(held, relation)
      while (world.held.length > 0) world.release(random.below(world.held.length))
      expect(world.db.openSnapshots).toEqual({
        snapshots: 0,
        transactions: 0,
        oldestLsn: null,
        changedRows: 0,
        allocatedBytes: 0,
      })
    }
  })

  it('goes on being iterated over while others write, and snapshots come and go', () => {
    const random = new Prng(7)
    const world = new World(random)
    for (let n = 0; n < 10; n++) world.write(30)
    world.hold()
    const [{ snapshot, tables }] = world.held
    for (const relation of ALL) {
      for (const reverse of [false, true]) {
        const wanted = entriesOf(relation as Relation, rowsAt(relation as Relation, tables))
        const rows = wanted.flatMap(({ row, weight }) => Array.from({ length: Number(weight) }, () => row))
        if (reverse) rows.reverse()
        const seen: unknown[] = []
        for (const row of snapshot.range(relation, { reverse })) {
          seen.push({ ...row })
          if (random.chance(0.2)) world.write(random.chance(0.1) ? 300 : 3)
          if (random.chance(0.1)) world.hold()
          if (random.chance(0.1) && world.held.length > 1) world.release(1 + random.below(world.held.length - 1))
        }
        expect(seen, relation.schema.name).toEqual(rows)
      }
    }
    const rest = snapshot.range(sales)
    rest.next()
    snapshot.release()
    expectError(() => rest.next(), 'USAGE', 'released')
  })

  it('counts what has changed, not what is there', () => {
    const { db, random } = new World(new Prng(8))
    db.insert(
      sales,
      Array.from({ length: 1000 }, (_, id) => ({ id, shop: LONG, amount: id })),
    )
    const snapshot = db.snapshot()
    expect(db.openSnapshots).toMatchObject({ snapshots: 1, oldestLsn: 1n, changedRows: 0, allocatedBytes: 0 })
    for (let n = 0; n < 200; n++) db.update(sales, 17, { amount: random.below(1000) })
    const rows = snapshot.rows(sales)
    expect([rows.length, rows[17].amount, snapshot.get(perShop, LONG)?.total]).toEqual([1000, 17n, 499500n])
    // Two hundred changes of a row in seven relations are a few rows of difference.
    expect(db.openSnapshots.allocatedBytes).toBeLessThan(2_000_000)
    snapshot.release()
  })

  it('shows failed rows as they were', () => {
    const t = table('t', { id: u32().primaryKey(), d: i64() })
    const quotients = view('quotients', q => q.from(t).map(r => ({ id: r.id, q: 100n / r.d })))
    const sums = view('sums', q => q.from(quotients).aggregate({ s: sum(r => r.q) }))
    const db = open()
    db.createView(sums)
    db.insert(t, { id: 1, d: 5 })
    const good = db.snapshot()
    db.insert(t, { id: 2, d: 0 })
    const bad = db.snapshot()
    db.insert(t, { id: 3, d: 0 })
    db.deleteKey(t, 2)
    db.deleteKey(t, 3)
    const again = db.snapshot()
    db.upsert(t, { id: 1, d: 0 })
    expect([good.get(quotients, 1)?.q, again.rows(sums)[0].s, bad.size(t)]).toEqual([20n, 20n, 2])
    for (const read of [() => bad.rows(quotients), () => bad.get(sums, 20n), () => db.view(sums).rows()]) {
      expectError(read, 'EXPRESSION', 'division by zero')
    }
    good.release()
    expectError(() => bad.rows(sums), 'EXPRESSION', '"sums" holds failed rows')
    bad.release()
    expect(again.rows(quotients)).toEqual([{ id: 1, q: 20n }])
  })

  it('survives weights at the edge of 64 bits', () => {
    const db = open()
    db.createTable(bag)
    db.transact(tx => tx.add(bag, { a: 1, b: 'x' }, MIN_I64))
    const low = db.snapshot()
    db.transact(tx => tx.add(bag, { a: 1, b: 'x' }, MAX_I64))
    db.transact(tx => tx.add(bag, { a: 1, b: 'x' }, 1))
    const none = db.snapshot()
    db.transact(tx => tx.add(bag, { a: 1, b: 'x' }, MAX_I64))
    const row = { a: 1, b: 'x' }
    expect([low, none].map(s => s.entries(bag))).toEqual([[{ row, weight: MIN_I64 }], []])
    expect(low.count(bag)).toBe(MIN_I64)
  })

  it('survives weights that jump from edge to edge while snapshots come and go', () => {
    for (let seed = 0; seed < 5; seed++) {
      const random = new Prng(seed)
      const db = open()
      db.createTable(bag)
      const weights = [0n, 0n, 0n]
      const kept: { snapshot: Snapshot; weights: bigint[] }[] = []
      const near = (edge: bigint) => edge + BigInt(random.below(3)) * (edge < 0n ? 1n : -1n)
      for (let step = 0; step < 40; step++) {
        const a = random.below(3)
        const goal = [near(MIN_I64), near(MAX_I64), 0n, 1n][random.below(4)]
        while (weights[a] !== goal) {
          const difference = goal - weights[a]
          const change = difference > MAX_I64 ? MAX_I64 : difference < MIN_I64 ? MIN_I64 : difference
          db.transact(tx => tx.add(bag, { a, b: null }, change))
          weights[a] += change
        }
        kept.push({ snapshot: db.snapshot(), weights: [...weights] })
        if (random.below(2) === 0) kept.splice(random.below(kept.length), 1)[0].snapshot.release()
        for (const { snapshot, weights } of kept)
          expect(snapshot.entries(bag), `seed ${seed}, step ${step}`).toEqual(
            weights.flatMap((weight, a) => (weight === 0n ? [] : [{ row: { a, b: null }, weight }])),
          )
      }
    }
  })

  it('that is given up leaves no trace of what it did not commit', () => {
    const db = open()
    db.createTable(bag)
    db.insert(bag, { a: 1, b: LONG })
    const snapshot = db.snapshot()
    const overflow = () =>
      db.transact(tx => {
        tx.insert(bag, { a: 2, b: LONG })
        tx.add(bag, { a: 1, b: LONG }, MAX_I64)
      })
    expectError(overflow, 'WEIGHT_OVERFLOW')
    const end = db.table(bag).subscribe(() => {
      throw new Error('mine')
    })
    expectError(() => db.insert(bag, { a: 3, b: LONG }), 'USAGE', 'mine')
    end()
    expect(snapshot.rows(bag)).toEqual([{ a: 1, b: LONG }])
  })

  it('has a name, an LSN, and shows nothing that was created later', () => {
    const db = open()
    db.createTable(bag)
    db.insert(bag, { a: 1, b: 'one' })
    const kept = db.snapshot({ name: 'before' })
    db.insert(bag, { a: 2, b: 'two' })
    db.createView(distinct)
    const shown = db.createTable(shops)
    expect([kept.lsn, kept.name, db.snapshotAt('before').size(bag), db.snapshotAt(1).size(bag)]).toEqual([
      1n,
      'before',
      1,
      1,
    ])
    expect([db.snapshotAt(2n).size(bag), kept.rows(shown)]).toEqual([2, []])
    expectError(() => kept.rows(distinct), 'USAGE', 'view "distinct" was created after transaction 2')
    expectError(() => db.snapshot({ name: 'before' }), 'USAGE', 'another open snapshot')
    expectError(() => db.snapshot({ name: 5 as never }), 'USAGE', 'is no name')
    expectError(() => db.snapshotAt(0), 'USAGE', 'keep: 1, 2; there is no log')
    expectError(() => db.snapshotAt(99n), 'USAGE', 'the last transaction is 2')
    expectError(() => db.snapshotAt('nope'), 'USAGE', 'there are: "before"')
    expectError(() => db.snapshotAt(1.5), 'USAGE', 'expected an LSN')
    db.dropView(distinct)
    db.dropTable(bag)
    expectError(() => kept.rows(bag), 'USAGE', 'expected a table or view of this database')
    kept[Symbol.dispose]()
    expect(kept.released).toBe(true)
    expectError(() => db.snapshotAt('before'), 'USAGE', 'there are: none')
  })
})
