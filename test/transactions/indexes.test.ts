/** Indexes as transactions and snapshots see them, against the rows that they see, sorted and filtered. */
import { expect, it } from 'vitest'
import { Prng } from '../../src/base/prng.js'
import {
  type ConflictError,
  type Database,
  i32,
  open,
  type Snapshot,
  string,
  type Transaction,
  table,
  u32,
} from '../../src/index.js'

const things = table(
  'things',
  { id: u32().primaryKey(), group: i32().nullable(), name: string(), size: i32() },
  {
    indexes: {
      'by group': { on: ['group', { by: 'size', desc: true }] },
      'by length': { on: [{ by: t => t.name.length, desc: true }, 'group'] },
    },
  },
)
type Row = { id: number; group: number | null; name: string; size: number }

const order = (a: number | null, b: number | null): number => (a === b ? 0 : a === null ? -1 : b === null ? 1 : a - b)
const TERMS: Record<string, (a: Row, b: Row) => number> = {
  'by group': (a, b) => order(a.group, b.group) || b.size - a.size,
  'by length': (a, b) => b.name.length - a.name.length || order(a.group, b.group),
}
const keyOf = (name: string, { group, size, name: text }: Row) =>
  name === 'by group' ? [group, size] : [text.length, group]

/** Reads of one index are what they are of the rows. */
function mustAgree(at: Transaction | Snapshot, prng: Prng): void {
  const all = at.rows(things)
  for (const name of Object.keys(TERMS)) {
    const index = at.index(things, name)
    const compare = TERMS[name]
    const text = (rows: readonly Row[]) => rows.map(r => JSON.stringify(r)).sort()
    const rows = index.rows()
    expect(text(rows)).toEqual(text(all))
    for (let i = 1; i < rows.length; i++) expect(compare(rows[i - 1], rows[i])).toBeLessThanOrEqual(0)
    expect(index.entries().reduce((sum, e) => sum + e.weight, 0n)).toBe(BigInt(all.length))
    if (all.length === 0) continue
    const [a, b] = [prng.pick(all), prng.pick(all)].sort(compare)
    const prefix = keyOf(name, a)[0]
    expect(text(index.find(prefix as never))).toEqual(text(all.filter(r => keyOf(name, r)[0] === prefix)))
    expect(text(index.find(keyOf(name, a) as never))).toEqual(text(all.filter(r => compare(r, a) === 0)))
    const [from, to] = [keyOf(name, a), keyOf(name, b)] as never[]
    const within = all.filter(r => compare(r, a) >= 0 && compare(r, b) <= 0)
    expect(text([...index.range({ from, to })])).toEqual(text(within))
    const backwards = [...index.range({ from, to, reverse: true, limit: 3 })]
    expect(backwards).toHaveLength(Math.min(3, within.length))
    for (let i = 1; i < backwards.length; i++) expect(compare(backwards[i - 1], backwards[i])).toBeGreaterThanOrEqual(0)
    expect(text([...index.range({ after: from })])).toEqual(text(all.filter(r => compare(r, a) > 0)))
    expect(text([...index.range({ after: to, reverse: true })])).toEqual(text(all.filter(r => compare(r, b) < 0)))
  }
}

function change(write: (row: Row, weight: number) => void, rows: readonly Row[], prng: Prng, id: () => number): void {
  for (let n = 0; n < 6; n++) {
    if (rows.length > 0 && prng.chance(0.4)) {
      const row = prng.pick(rows)
      write(row, -1)
      rows = rows.filter(r => r !== row)
    } else {
      const group = prng.chance(0.2) ? null : prng.below(4)
      write({ id: id(), group, name: 'x'.repeat(prng.below(5)), size: prng.below(3) }, 1)
    }
  }
}

it('are those of the rows that are seen', () => {
  const prng = new Prng(3)
  const db: Database = open()
  db.createTable(things)
  let last = 0
  const id = () => ++last
  const snapshots: Snapshot[] = []
  for (let n = 0; n < 12; n++) {
    db.transact(tx => {
      const write = (row: Row, weight: number) => tx.add(things, row, weight)
      change(write, db.table(things).rows(), prng, id)
      mustAgree(tx, prng)
    })
    if (prng.chance(0.3)) snapshots.push(db.snapshot())
    if (snapshots.length > 3) snapshots.shift()?.release()
    for (const snapshot of snapshots) mustAgree(snapshot, prng)
    const tx = db.begin()
    change((row, weight) => tx.add(things, row, weight), tx.rows(things), prng, id)
    if (prng.chance(0.5)) change((row, weight) => db.transact(t => t.add(things, row, weight)), [], prng, id)
    mustAgree(tx, prng)
    tx.rollback()
  }
})

it('count as read, as far as they were', () => {
  const db = open()
  db.createTable(things)
  const row = (n: number, group: number): Row => ({ id: n, group, name: '', size: 1 })
  db.insert(things, [row(1, 1), row(2, 2)])
  const attempt = (meanwhile: Row): unknown => {
    const tx = db.begin()
    expect(tx.index(things, 'by group').find(1).length).toBeGreaterThan(0)
    tx.insert(things, row(100 + meanwhile.id, 9))
    db.insert(things, meanwhile)
    try {
      tx.commit()
      return null
    } catch (error) {
      return (error as ConflictError).code
    }
  }
  expect(attempt(row(3, 2))).toBeNull()
  expect(attempt(row(4, 1))).toBe('CONFLICT')
  expect(() => db.snapshot().index(things, 'by size')).toThrow('has no index "by size"; its indexes: "by group"')
  db.dropIndex(things, 'by length')
  expect(() => db.begin().index(things, 'by length')).toThrow('has no index "by length"')
})
