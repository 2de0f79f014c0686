/** States from before every open snapshot, from a log of changes; and all of it on a durable database. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { rowEncoder } from '../../codegen/encode.js'
import { Prng } from '../../src/base/prng.js'
import type { TableDefinition } from '../../src/circuit/rel.js'
import type { Delta } from '../../src/engine/operators/operator.js'
import type { DeltaLog } from '../../src/engine/transactions/past.js'
import { ConflictError, count, type Database, i64, max, open, string, sum, table, u32, view } from '../../src/index.js'
import { flatLayout } from '../../src/schema/schema.js'
import { Batch } from '../../src/zset/batch.js'
import { expectError, expectExact, snapshot as stateOf } from '../engine/support.js'

const LONG = 'a text that is longer than its cell'
const items = table('items', { id: u32().primaryKey(), kind: string(), n: i64() })
const kinds = table('kinds', { kind: string().primaryKey(), title: string() })
const ticks = table('ticks', { at: u32() }, { stream: true })
const perKind = view('perKind', q =>
  q
    .from(items)
    .groupBy(i => ({ kind: i.kind }))
    .aggregate({ n: count(), total: sum(i => i.n), top: max(i => i.n) }),
)
const titled = view('titled', q =>
  q.from(perKind).leftJoin(
    kinds,
    (p, k) => p.kind === k.kind,
    (p, k) => ({ kind: p.kind, total: p.total, title: k.title }),
  ),
)
const RELATIONS = [items, kinds, perKind, titled] as const

/** A log in memory: every change of a table with its LSN. */
class MemoryLog implements DeltaLog {
  oldestLsn = 0n
  reads = 0
  private readonly changes: { table: TableDefinition; lsn: bigint; batch: Batch }[] = []

  constructor(db: Database) {
    for (const handle of db.tables) {
      const { definition } = handle
      const encode = rowEncoder(definition.schema).fn
      handle.subscribe(({ lsn, changes }) => {
        const batch = new Batch(flatLayout(definition.schema))
        for (const { row, weight } of changes) {
          batch.reserve(1)
          batch.length = encode([row], batch, weight)
        }
        this.changes.push({ table: definition, lsn, batch })
      })
    }
  }

  *deltas(of: TableDefinition, after: bigint, upTo: bigint): Generator<Delta> {
    this.reads++
    for (const { table, lsn, batch } of this.changes) {
      if (table === of && lsn > after && lsn <= upTo) yield { batch, from: 0, to: batch.length }
    }
  }
}

function write(db: Database, random: Prng): void {
  db.transact(tx => {
    for (let n = random.below(5); n >= 0; n--) {
      const kind = random.pick(['a', 'b', LONG])
      if (random.chance(0.2)) tx.upsert(kinds, { kind, title: `${kind} ${random.below(3)}` })
      else if (random.chance(0.3)) tx.deleteKey(items, random.below(20))
      else tx.upsert(items, { id: random.below(20), kind, n: random.below(100) })
    }
  })
}

const readAll = (from: Pick<Database, 'table' | 'view'>) =>
  RELATIONS.map(r => (r.kind === 'table' ? from.table(r as typeof items) : from.view(r as typeof perKind)).entries())

describe('time travel', () => {
  it('goes back to any LSN of the log, tables and views alike', () => {
    const random = new Prng(1)
    const db = open()
    const handle = db.createTable(items)
    db.createView(titled)
    // A view made of handles is one of this database only.
    const ofHandle = db.createView(view('ofHandle', q => q.from(handle).filter(i => i.n > 50n)))
    const log = new MemoryLog(db)
    db.snapshots.log = log
    const states = [readAll(db)]
    let held = db.snapshot()
    const large: unknown[] = [ofHandle.rows()]
    for (let n = 1; n <= 30; n++) {
      write(db, random)
      states.push(readAll(db))
      large.push(ofHandle.rows())
      if (n === 12) {
        held.release()
        held = db.snapshot()
      }
    }
    for (let n = 0; n < 12; n++) {
      const lsn = random.below(31)
      const past = db.snapshotAt(lsn)
      expect(past.lsn).toBe(BigInt(lsn))
      expect(
        RELATIONS.map(r => past.entries(r as typeof items)),
        `${lsn}`,
      ).toEqual(states[lsn])
      expect(past.rows(ofHandle)).toEqual(large[lsn])
      // What it was goes on being so.
      const rest = past.range(items)
      const first = rest.next()
      write(db, random)
      const rows = [...(first.done ? [] : [first.value]), ...rest]
      expect(rows).toEqual(states[lsn][0].map(e => e.row))
      expect(past.get(perKind, 'a')).toEqual(states[lsn][2].map(e => e.row).find(r => r.kind === 'a'))
      past.release()
      expectError(() => past.rows(perKind), 'USAGE', 'released')
    }
    const before = log.reads
    const near = db.snapshotAt(12)
    near.rows(items)
    expect(log.reads).toBe(before)
    log.oldestLsn = 20n
    expectError(() => db.snapshotAt(5), 'USAGE', 'the log goes back to 20')
    expectError(() => db.snapshotAt(-1), 'USAGE', 'is not kept')
  })

  it('cannot show what was never kept', () => {
    const db = open()
    const counted = db.createView(view('counted', q => q.from(ticks).aggregate({ n: count() })))
    db.createTable(items)
    db.snapshots.log = new MemoryLog(db)
    db.insert(ticks, { at: 1 })
    db.insert(ticks, { at: 2 })
    const past = db.snapshotAt(1)
    expectError(() => past.rows(counted), 'USAGE', 'reads the stream "ticks"')
    expect(past.rows(items)).toEqual([])
    const kept = db.snapshot()
    db.insert(ticks, { at: 3 })
    expect(kept.rows(counted)).toEqual([{ n: 2n }])
  })
})

describe('a durable database', () => {
  it('keeps snapshots and transactions valid across checkpoints', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'gnitz-tx-'))
    try {
      const random = new Prng(2)
      let db = await open(join(dir, 'db'), { durability: 'none', memory: '1MiB' })
      db.createView(titled)
      for (let n = 0; n < 20; n++) write(db, random)
      const before = readAll(db)
      const snapshot = db.snapshot()
      const tx = db.begin()
      const mine = tx.get(items, 3)
      const rest = snapshot.range(items)
      const seen = [rest.next().value]
      for (let n = 0; n < 40; n++) {
        write(db, random)
        if (n % 10 === 5) db.checkpoint()
        if (n % 8 === 0) seen.push(rest.next().value)
      }
      expect([...seen, ...rest]).toEqual(before[0].map(e => e.row))
      expect(RELATIONS.map(r => snapshot.entries(r as typeof items))).toEqual(before)
      expect(tx.get(items, 3)).toEqual(mine)
      db.upsert(items, { id: 3, kind: 'new', n: 1 })
      tx.insert(items, { id: 100, kind: 'tx', n: 1 })
      expect(() => tx.commit()).toThrow(ConflictError)
      db.upsert(items, { id: 101, kind: LONG, n: 1 })
      await db.transact(async again => {
        await null
        again.update(items, 101, old => ({ n: old.n + 1n }))
      })
      snapshot.release()
      expectExact(db)
      const last = stateOf(db)
      await db.close()
      db = await open(join(dir, 'db'))
      db.createView(titled)
      expect(stateOf(db)).toEqual(last)
      expect(db.table(items).get(101)?.n).toBe(2n)
      await db.close()
    } finally {
      rmSync(dir, { recursive: true, force: true })
    }
  })
})
