/** States from before every open snapshot, from a log of changes; and all of it in directories. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { rowEncoder } from '../../codegen/encode.js'
import { Prng } from '../../src/base/prng.js'
import type { TableDefinition } from '../../src/circuit/rel.js'
import { checkDatabase } from '../../src/engine/durable/check.js'
import { openLoaded } from '../../src/engine/open.js'
import type { Delta } from '../../src/engine/operators/operator.js'
import type { DeltaLog, PastState } from '../../src/engine/transactions/past.js'
import { SimulatedEnv } from '../../src/env/simulated.js'
import {
  ConflictError,
  count,
  type Database,
  fn,
  i64,
  max,
  type OpenDirectoryOptions,
  open,
  string,
  sum,
  table,
  timestamptz,
  u32,
  view,
} from '../../src/index.js'
import { flatLayout } from '../../src/schema/schema.js'
import { staticKeys } from '../../src/storage/index.js'
import { loadStorage } from '../../src/storage/open.js'
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
  start: PastState = { lsn: 0n, time: null }
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

  lsnAt = () => null
  hold = () => () => {};

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
    log.start = { lsn: 20n, time: null }
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

describe('time travel in a directory', () => {
  beforeAll(loadStorage)

  class Directory {
    readonly env = new SimulatedEnv({ seed: 7 })
    db: Database

    constructor(private readonly options: OpenDirectoryOptions = {}) {
      this.db = this.open()
    }

    open(more: OpenDirectoryOptions = {}): Database {
      const { env, options } = this
      this.db = openLoaded('/db', { env, checkpointMs: Number.POSITIVE_INFINITY, ...options, ...more })
      return this.db
    }

    async reopen(more: OpenDirectoryOptions = {}): Promise<Database> {
      await this.db.close()
      return this.open(more)
    }
  }

  const stateAt = (db: Database, at: Parameters<Database['snapshotAt']>[0]) => {
    using past = db.snapshotAt(at)
    return RELATIONS.map(r => past.entries(r as typeof items))
  }

  it('shows every LSN, whatever became of the log since', async () => {
    for (let seed = 1; seed <= 2; seed++) {
      const random = new Prng(seed)
      const directory = new Directory({ memory: '64KiB', retain: '4MiB', valueThreshold: 64 })
      let { db } = directory
      db.createTable(items)
      db.createView(titled)
      const states = new Map([[db.lsn, readAll(db)]])
      for (let n = 0; n < 30; n++) {
        if (random.chance(0.1)) db.upsert(items, { id: 50, kind: LONG.repeat(9), n })
        else write(db, random)
        states.set(db.lsn, readAll(db))
        if (random.chance(0.1)) db.checkpoint()
        if (random.chance(0.05)) db.durability?.storage.compact()
        if (random.chance(0.1)) db = await directory.reopen()
      }
      for (const [lsn, state] of states) if (random.chance(0.25)) expect(stateAt(db, lsn), `${lsn}`).toEqual(state)
      expect(db.openSnapshots).toMatchObject({ snapshots: 0, changedRows: 0 })
      const [first] = states.keys()
      using early = db.snapshotAt(first)
      expectError(() => db.snapshotAt(db.lsn + 1n), 'USAGE', `is not kept: the last transaction is ${db.lsn}`)
      expect(early.rows(items)).toEqual([])
      await db.close()
      expectError(() => early.rows(kinds), 'USAGE', 'closed')
    }
  })

  it('shows views of one table that know it by two definitions', async () => {
    const directory = new Directory()
    directory.db.createView(view('stored', q => q.from(items)))
    const { lsn } = directory.db.insert(items, { id: 1, kind: 'a', n: 1 })
    directory.db.insert(items, { id: 2, kind: 'a', n: 2 })
    const db = await directory.reopen()
    db.createView(view('made', q => q.from(items).map(i => ({ id: i.id }))))
    using past = db.snapshotAt(lsn)
    expect(past.rows(db.view('made'))).toEqual([{ id: 1 }])
    expect(past.rows(db.view('stored'))).toEqual([{ id: 1, kind: 'a', n: 1n }])
  })

  it('shows views of one view that know it by two definitions', async () => {
    const directory = new Directory()
    const base = () => view('base', q => q.from(items).filter(i => i.n > 0n))
    directory.db.createView(view('stored', q => q.from(base())))
    const { lsn } = directory.db.insert(items, { id: 1, kind: 'a', n: 1 })
    directory.db.insert(items, { id: 2, kind: 'a', n: 2 })
    const db = await directory.reopen()
    db.createView(view('made', q => q.from(base()).map(i => ({ id: i.id }))))
    using past = db.snapshotAt(lsn)
    expect(past.rows(db.view('stored'))).toEqual([{ id: 1, kind: 'a', n: 1n }])
    expect(past.rows(db.view('made'))).toEqual([{ id: 1 }])
    expect(past.rows(db.view('base'))).toEqual([{ id: 1, kind: 'a', n: 1n }])
  })

  it('shows views of views whose table has got another name', () => {
    const { db } = new Directory()
    db.createView(titled)
    db.insert(items, { id: 1, kind: 'a', n: 1 })
    const things = db.alterTable(items, { name: 'things' })
    const { lsn } = db
    things.insert({ id: 2, kind: 'a', n: 2 })
    using past = db.snapshotAt(lsn)
    expect(past.rows(db.view('titled'))).toEqual([{ kind: 'a', total: 1n, title: null }])
    expect(checkDatabase(db).findings).toEqual([])
  })

  it('shows views that are younger than a state that is kept, where it was asked for by its LSN', async () => {
    const directory = new Directory()
    for (const db of [directory.db, open()]) {
      db.createTable(items)
      db.insert(items, { id: 1, kind: 'a', n: 1 })
      const { lsn } = db
      using kept = db.snapshot({ name: 'kept' })
      using same = db.snapshotAt(lsn)
      db.insert(items, { id: 2, kind: 'a', n: 2 })
      const made = db.createView(perKind)
      using again = db.snapshotAt('kept')
      for (const past of [same, again, same])
        expect(past.rows(made)).toEqual([{ kind: 'a', n: 1n, total: 1n, top: 1n }])
      expectError(() => kept.rows(made), 'USAGE', 'view "perKind" was created after transaction')
    }
  })

  it('does not guess what a view of the clock, or of what is final, showed', async () => {
    const { db } = new Directory()
    const events = table('events', { id: u32(), at: timestamptz().lateness('1 hour') })
    db.createView(view('begun', q => q.from(events).filter((e, { now }) => e.at <= now(), fn)))
    db.createView(view('final', q => q.from(events).emitFinal(e => e.at)))
    db.insert(
      events,
      [5, 9].map(hour => ({ id: hour, at: `2030-01-01T0${hour}:00:00Z` })),
    )
    db.advance('2030-01-01T06:00:00Z')
    const { lsn } = db
    db.delete(events, { id: 9, at: '2030-01-01T09:00:00Z' })
    expect([db.view('begun').rows(), db.view('final').rows()]).toMatchObject([[{ id: 5 }], [{ id: 5 }]])
    using past = db.snapshotAt(lsn)
    expect(past.size(events)).toBe(2)
    expectError(() => past.rows(db.view('begun')), 'USAGE', 'depends on what the clock showed')
    expectError(() => past.rows(db.view('final')), 'USAGE', 'what it holds as final depends on rows')
    expect(checkDatabase(db)).toMatchObject({ findings: [], views: 1, skipped: ['final'] })
  })

  it('goes by time as well', async () => {
    const directory = new Directory()
    let { db } = directory
    db.createTable(items)
    const times: number[] = []
    for (let id = 0; id < 6; id++) {
      directory.env.advance(1000)
      times.push(directory.env.now())
      await db.insert(items, { id, kind: 'a', n: id })
      if (id === 3) db.checkpoint()
    }
    db = await directory.reopen()
    const sizeAt = (time: number) => {
      using past = db.snapshotAt({ time: new Date(time) })
      return past.size(items)
    }
    directory.env.advance(5000)
    expect(times.map(sizeAt)).toEqual([1, 2, 3, 4, 5, 6])
    expect([sizeAt(times[2] + 999), sizeAt(times[3] - 1), sizeAt(directory.env.now())]).toEqual([3, 3, 6])
    const start = new Date(times[0] - 1000).toISOString().slice(0, 19)
    expectError(() => db.snapshotAt({ time: '2001-01-01T00:00:00Z' }), 'USAGE', `the log goes back to 0, of ${start}`)
    const future = new Date(directory.env.now() + 60_000)
    expectError(() => db.snapshotAt({ time: future }), 'USAGE', 'is not kept: the last transaction is')
    expectError(() => db.snapshotAt({ time: 'noon' }), 'USAGE', 'expected a timestamptz')
    expectError(() => open().snapshotAt({ time: future }), 'USAGE', 'there is no log')
  })

  it('says what was made or dropped since', async () => {
    const directory = new Directory()
    let { db } = directory
    db.createTable(kinds)
    db.insert(kinds, { kind: 'a', title: 'A' })
    const { lsn } = db
    db.createView(titled)
    const made = db.lsn
    db.insert(items, { id: 1, kind: 'a', n: 1 })
    const after = db.lsn
    db.dropTable(db.createTable(table('other', { id: u32() })))
    db = await directory.reopen()
    using past = db.snapshotAt(lsn)
    expect(past.rows(kinds)).toHaveLength(1)
    const problem = `table "items" was created by transaction ${made}; a snapshot of transaction ${lsn} cannot show it`
    expectError(() => past.rows(items), 'USAGE', problem)
    expectError(() => past.rows(titled), 'USAGE', problem)
    db.insert(items, { id: 2, kind: 'a', n: 10 })
    using later = db.snapshotAt(after)
    expect(later.rows(titled)).toEqual([{ kind: 'a', total: 1n, title: 'A' }])
    // Dropped and made again, it is another table.
    db.dropView(titled)
    db.dropView(perKind)
    db.dropTable(items)
    db.createTable(items)
    expectError(() => later.rows(items), 'USAGE', 'was created by transaction')
    const old = db.lsn
    db.alterTable(items, { add: { more: i64().default(3) } })
    const altered = db.lsn
    db = await directory.reopen()
    using wide = db.snapshotAt(altered)
    expect(wide.rows(db.table('items'))).toEqual([])
    using narrow = db.snapshotAt(old)
    expectError(() => narrow.rows(db.table('items')), 'USAGE', `table "items" was altered by transaction ${altered}`)
  })

  it('keeps as much of the log as it was asked to', async () => {
    const directory = new Directory({ retain: '256KiB', walBytes: '32KiB' })
    const { db } = directory
    db.createTable(items)
    const oldest = (database: Database) => database.snapshots.log?.start.lsn ?? -1n
    let n = 0
    const fill = async (database: Database, transactions: number) => {
      for (const end = n + transactions; n < end; n++)
        await database.upsert(items, { id: 1, kind: LONG.repeat(150), n })
      database.checkpoint()
    }
    await fill(db, 100)
    const bytes = db.durability?.storage.logBytes ?? 0
    expect(bytes).toBeGreaterThan(128 * 1024)
    expect(bytes).toBeLessThanOrEqual(256 * 1024)
    expect(oldest(db)).toBeGreaterThan(0n)
    expect(db.metrics()).toContain(`gnitz_log_start_lsn ${oldest(db)}\n`)
    const message = `the log goes back to ${oldest(db)}, of `
    expectError(() => db.snapshotAt(oldest(db) - 1n), 'USAGE', message)
    // A snapshot that goes back keeps what it needs until it is released.
    const held = db.snapshotAt(oldest(db))
    await fill(db, 80)
    expect(db.snapshots.log?.start.lsn).toBeLessThanOrEqual(held.lsn)
    expect(held.get(items, 1)?.n).toBe(held.lsn - 2n)
    held.release()
    const { lsn } = db
    const none = await directory.reopen({ retain: 0 })
    none.checkpoint()
    expect([oldest(none), none.durability?.storage.logBytes]).toEqual([lsn, 0])
    const timed = await directory.reopen({ retain: { time: '1h', transactions: 1000 } })
    await fill(timed, 20)
    expect(oldest(timed)).toBe(lsn)
    directory.env.advance(1_800_000)
    await fill(timed, 1)
    const later = await directory.reopen({ retain: '1h' })
    await fill(later, 1)
    expect(oldest(later)).toBe(lsn)
    directory.env.advance(3_700_000)
    await fill(later, 1)
    expect(oldest(later)).toBeGreaterThan(lsn)
    for (const retain of ['much', '3 parsecs', -1, {}, { hours: 1 }, { time: '1MiB' }]) {
      expect(() => directory.open({ retain } as never), String(retain)).toThrow('option retain: expected bytes')
    }
    expect(() => directory.open({ retain: 'foo' })).toThrow(/found the string "foo"$/)
    expect(() => directory.open({ retain: { time: 'foo' } })).toThrow(/\(time\)$/)
  })

  it('reads encrypted logs, and forgets them with their key', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'gnitz-tx-'))
    try {
      const key = (id: number) => ({ id, key: new Uint8Array(32).fill(id) })
      const encryption = staticKeys(key(1))
      let db = await open(join(dir, 'db'), { encryption })
      db.createTable(items)
      db.insert(items, { id: 1, kind: LONG, n: 1 })
      const { lsn } = db
      db.upsert(items, { id: 1, kind: 'b', n: 2 })
      await db.close()
      db = await open(join(dir, 'db'), { encryption })
      const past = db.snapshotAt(lsn)
      expect(past.rows(items)).toEqual([{ id: 1, kind: LONG, n: 1n }])
      await expect(db.rekey()).rejects.toThrow('rekey: 1 open snapshots of earlier states need the log')
      past.release()
      await db.rekey()
      expectError(() => db.snapshotAt(lsn), 'USAGE', 'the log goes back to')
      await db.close()
    } finally {
      rmSync(dir, { recursive: true, force: true })
    }
  })
})
