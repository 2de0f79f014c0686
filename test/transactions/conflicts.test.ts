/** Interactive transactions: what conflicts and what does not, and how they end. */
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it, vi } from 'vitest'
import {
  ConflictError,
  count,
  type Database,
  GnitzError,
  i64,
  open,
  string,
  sum,
  type Transaction,
  table,
  u32,
  view,
} from '../../src/index.js'
import { expectError, expectExact } from '../engine/support.js'

const accounts = table('accounts', { id: u32().primaryKey(), owner: string(), balance: i64() })
const log = table('log', { text: string(), n: u32() })
const perOwner = view('perOwner', q =>
  q
    .from(accounts)
    .groupBy(a => ({ owner: a.owner }))
    .aggregate({ n: count(), total: sum(a => a.balance) }),
)
const rich = view('rich', q => q.from(accounts).filter(a => a.balance > 100n))

function opened(options = {}): Database {
  const db = open(options)
  db.createTable(log)
  db.createView(perOwner)
  db.createView(rich)
  db.insert(
    accounts,
    [1, 2, 3, 4, 5, 6].map(id => ({ id, owner: id % 2 === 0 ? 'ann' : 'bob', balance: id * 10 })),
  )
  return db
}

type Action = (tx: Transaction) => unknown

/** Begins, reads, lets another one write, writes, commits; returns the conflict if there is one. */
function race(read: Action, others: Action, write: Action): ConflictError | null {
  const db = opened()
  const tx = db.begin()
  read(tx)
  db.transact(other => void others(other))
  write(tx)
  try {
    tx.commit()
    return null
  } catch (error) {
    if (!(error instanceof ConflictError)) throw error
    return error
  } finally {
    expect(db.openSnapshots.transactions).toBe(0)
    expectExact(db)
  }
}

const note: Action = tx => tx.insert(log, { text: 'x', n: 1 })
const pay =
  (id: number, amount = 1): Action =>
  tx =>
    tx.update(accounts, id, old => ({ balance: old.balance + BigInt(amount) }))
const add: Action = tx => tx.insert(accounts, { id: 9, owner: 'eve', balance: 500 })

describe('a transaction conflicts with one that comes in between', () => {
  it.each<[string, Action, Action, Action]>([
    ['and changed a row it has read', tx => tx.get(accounts, 3), pay(3), note],
    ['and changed a row it has updated', pay(3), pay(3), () => {}],
    ['and wrote a key it has written blindly', () => {}, add, add],
    ['and deleted a row it has read', tx => tx.getAll(accounts, 3), tx => tx.deleteKey(accounts, 3), note],
    ['and made the row it has not found', tx => tx.get(accounts, 9), add, note],
    ['and made the row it was to make', tx => tx.putIfAbsent(accounts, { id: 9, owner: 'x', balance: 1 }), add, note],
    ['and put a row into a range it has read', tx => [...tx.range(accounts, { from: 5 })], add, note],
    ['and put a row into a range that was empty', tx => [...tx.range(accounts, { after: 7, to: 20 })], add, note],
    ['and changed a row that a limited range has seen', tx => [...tx.range(accounts, { limit: 3 })], pay(3), note],
    ['and changed a row of a backward range', tx => [...tx.range(accounts, { reverse: true, limit: 2 })], pay(5), note],
    ['and added a row to a table it has counted', tx => tx.size(accounts), add, note],
    ['and changed a table it has listed', tx => tx.entries(accounts), pay(6), note],
    ['and changed a group it has read', tx => tx.get(perOwner, 'ann'), pay(2), note],
    ['and made a group it has not found', tx => tx.get(perOwner, 'eve'), add, note],
    ['and put a row into a view it has read', tx => tx.rows(rich), add, note],
    [
      'and changed a row it had a condition on',
      tx => tx.putIfUnchanged(accounts, { id: 1, owner: 'x', balance: 0 }, { balance: 99 }),
      pay(1),
      note,
    ],
    ['and changed what it reads after that', () => {}, pay(3), tx => [tx.get(accounts, 3), note(tx)]],
  ])('%s', (_, read, others, write) => {
    expect(race(read, others, write)).toBeInstanceOf(ConflictError)
  })

  it.each<[string, Action, Action, Action]>([
    ['other rows', tx => tx.get(accounts, 3), pay(4), pay(3)],
    ['rows beyond its range', tx => [...tx.range(accounts, { from: 2, to: 4 })], pay(5), note],
    ['rows that a limit kept it from', tx => [...tx.range(accounts, { limit: 2 })], pay(3), note],
    [
      'rows that it stopped before',
      tx => {
        for (const row of tx.range(accounts)) if (row.id === 2) break
      },
      pay(3),
      note,
    ],
    ['no row in the end', tx => tx.get(accounts, 3), tx => [pay(3)(tx), pay(3, -1)(tx)], pay(3)],
    ['rows that are not in the view', tx => tx.rows(rich), pay(3), note],
    ['other groups', tx => tx.get(perOwner, 'ann'), pay(3), note],
    ['another table', tx => tx.rows(accounts), note, pay(3)],
    ['a table without a key, as it does', () => {}, note, note],
    ['what it has read, if it writes nothing', tx => tx.rows(accounts), add, () => {}],
    ['what it has not read at all', tx => [...tx.range(accounts, { limit: 0 })], add, note],
  ])('but not if that changed %s', (_, read, others, write) => {
    expect(race(read, others, write)).toBe(null)
  })

  it('and the error says where', () => {
    const error = race(
      tx => tx.get(accounts, 3),
      tx => [pay(4)(tx), pay(3)(tx)],
      note,
    )
    expect(error).toMatchObject({
      code: 'CONFLICT',
      table: 'accounts',
      key: { id: 3 },
      snapshotLsn: 1n,
      conflictingLsn: 2n,
      message: expect.stringContaining('the transaction read the key "id" = 3 as of transaction 1'),
    })
    expect(race(() => {}, add, add)?.message).toContain('wrote the key "id" = 9')
    const group = race(tx => tx.get(perOwner, 'bob'), pay(3), note)
    expect([group?.table, group?.key]).toEqual(['perOwner', { owner: 'bob' }])
  })
})

describe('an interactive transaction', () => {
  it('reads its snapshot and its own writes, which nobody else sees before it commits', () => {
    const db = opened()
    const seen: bigint[] = []
    db.table(accounts).subscribe(({ lsn }) => seen.push(lsn))
    const tx = db.begin()
    expect([tx.lsn, db.openSnapshots.transactions]).toEqual([1n, 1])
    tx.insert(accounts, { id: 7, owner: 'ann', balance: 70 })
    tx.ingest(accounts, { columns: { id: Uint32Array.of(8), owner: ['ann'], balance: BigInt64Array.of(80n) } })
    db.deleteKey(accounts, 1)
    pay(2, 1000)(db as unknown as Transaction)
    expect(Array.from(tx.range(accounts), r => r.id)).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
    expect([tx.get(accounts, 2)?.balance, tx.get(perOwner, 'ann')?.total, tx.rows(rich)]).toEqual([20n, 120n, []])
    expect([db.table(accounts).get(7), db.view(perOwner).get('ann')?.total]).toEqual([undefined, 1120n])
    tx.rollback()
    tx.rollback()
    expect([db.table(accounts).size, db.openSnapshots.changedRows, seen]).toEqual([5, 0, [2n, 3n]])
    const again = db.begin()
    again.insert(accounts, { id: 7, owner: 'ann', balance: 70 })
    expect([again.commit().lsn, db.view(perOwner).get('ann')?.total]).toEqual([4n, 1190n])
    const reader = db.begin()
    db.insert(log, { text: 'later', n: 1 })
    expect([reader.size(log), reader.commit().lsn, db.lsn]).toEqual([0, 4n, 5n])
    expectExact(db)
  })

  it('copies columns, which may change while it waits', () => {
    const db = opened()
    const ids = Uint32Array.of(70)
    const tx = db.begin()
    tx.ingest(accounts, { columns: { id: ids, owner: ['x'], balance: [1] } })
    ids[0] = 71
    tx.commit()
    expect(db.table(accounts).get(70)?.owner).toBe('x')
  })

  it('is of no use once it has ended', () => {
    const db = opened()
    const ended: [string, () => ReturnType<Database['begin']>][] = [
      [
        'has ended',
        () => {
          const tx = db.begin()
          tx.commit()
          return tx
        },
      ],
      [
        'was rolled back',
        () => {
          const tx = db.begin()
          tx.rollback()
          return tx
        },
      ],
      [
        'was rolled back',
        () => {
          const tx = db.begin()
          tx[Symbol.dispose]()
          return tx
        },
      ],
      [
        'has ended',
        () => {
          const tx = db.begin()
          pay(1)(tx)
          pay(1)(db as unknown as Transaction)
          expect(() => tx.commit()).toThrow(ConflictError)
          return tx
        },
      ],
    ]
    for (const [text, end] of ended) {
      const tx = end()
      const uses = [
        () => tx.get(accounts, 1),
        () => tx.range(accounts),
        () => note(tx),
        () => pay(1)(tx),
        () => tx.commit(),
      ]
      for (const use of uses) expectError(use, 'USAGE', `this transaction ${text}`)
      tx.rollback()
    }
    const tx = db.begin()
    const rest = tx.range(accounts)
    rest.next()
    tx.commit()
    expectError(() => rest.next(), 'USAGE', 'has ended')
  })

  it('is given up after a row that was refused, and leaves nothing', () => {
    const db = opened()
    const tx = db.begin()
    note(tx)
    expectError(() => tx.insert(accounts, { id: 'x' } as never), 'ROW', '"id"')
    expect(tx.get(accounts, 1)?.balance).toBe(10n)
    expectError(() => tx.commit(), 'ROW', '"id"')
    expect([db.lsn, db.table(log).size, tx.hasEnded]).toEqual([1n, 0, true])
    const large = db.begin()
    large.add(log, { text: 'x', n: 1 }, 2n ** 63n - 1n)
    note(large)
    expectError(() => large.commit(), 'WEIGHT_OVERFLOW')
    expect([db.lsn, db.table(log).size, db.openSnapshots.transactions]).toEqual([1n, 0, 0])
  })

  it('does not commit in the middle of something else, and stays open then', () => {
    const db = opened()
    const tx = db.begin()
    note(tx)
    db.transact(() => {
      expectError(() => tx.commit(), 'USAGE', 'a transaction is running')
      expectError(() => db.begin(), 'USAGE', 'begin: a transaction is running')
      expectError(() => db.transact(async () => {}), 'USAGE', 'a transaction is running')
    })
    const end = db.table(accounts).subscribe(() => {
      expectError(() => tx.commit(), 'USAGE', 'a subscriber is being called')
      expect([tx.size(log), db.snapshot().lsn]).toEqual([1, db.lsn])
    })
    pay(1)(db as unknown as Transaction)
    end()
    expect(tx.hasEnded).toBe(false)
    tx.commit()
    expect(db.table(log).size).toBe(1)
    void db.close()
    expectError(() => db.begin(), 'USAGE', 'closed')
  })

  it('notices that a table is gone, or a view is new', () => {
    const db = opened()
    const [a, b] = [db.begin(), db.begin()]
    note(a)
    b.rows(log)
    pay(1)(b)
    pay(2)(db as unknown as Transaction)
    const young = db.createView(view('young', q => q.from(log)))
    expectError(() => b.rows(young), 'USAGE', 'was created after transaction 2')
    expect(db.begin().rows(young)).toEqual([])
    db.dropView(young)
    db.dropTable(log)
    expectError(() => a.commit(), 'USAGE', 'expected a table of this database')
    b.commit()
    expect(db.table(accounts).get(1)?.balance).toBe(11n)
    const c = db.begin()
    db.createTable(log)
    note(c)
    db.dropTable(log)
    db.createTable(log)
    expectError(() => c.commit(), 'USAGE', 'was dropped')
  })

  it('is too old when more has changed than is kept for it', () => {
    const db = opened({ historyRows: 50 })
    const [old, idle, young] = [db.begin(), db.begin(), db.snapshot()]
    note(old)
    const rows = old.range(accounts)
    rows.next()
    for (let n = 0; n < 60; n++) pay(1)(db as unknown as Transaction)
    for (const use of [() => old.get(accounts, 1), () => rows.next(), () => note(old), () => old.commit()]) {
      const error = expectError(use, 'TOO_OLD', 'snapshot too old: the transaction that began at transaction 1')
      expect(error.message).toContain('more than 50 rows')
    }
    idle.rollback()
    // Read-only snapshots are kept until they are released.
    expect([db.openSnapshots.transactions, young.get(accounts, 1)?.balance]).toEqual([0, 10n])
    const fresh = db.begin()
    pay(1)(fresh)
    fresh.commit()
    expect(db.table(accounts).get(1)?.balance).toBe(71n)
    expectError(() => open({ historyRows: -1 }), 'USAGE', 'historyRows')
  })
})

describe('transact of an async function', () => {
  it('commits when it is done, and gives what a commit gives', async () => {
    const db = opened()
    const done = db.transact(async tx => {
      note(tx)
      await sleep(1)
      pay(3)(tx)
    })
    expect([db.table(log).size, db.openSnapshots.transactions]).toEqual([0, 1])
    expect(await done).toEqual({ lsn: 2n })
    expect([db.table(log).size, db.table(accounts).get(3)?.balance]).toEqual([1, 31n])
    expect(await db.transact(async tx => tx.get(accounts, 1))).toEqual({ lsn: 2n })
  })

  it('runs it again after a conflict, also one with what it did before it waited first', async () => {
    const db = opened()
    let runs = 0
    // Not an async function, but one that returns a promise.
    const transfer = (tx: Transaction): Promise<void> => {
      runs++
      const from = tx.get(accounts, 1)?.balance ?? 0n
      tx.update(accounts, 1, { balance: from - 5n })
      return sleep(1).then(() => {
        if (runs < 3) pay(1, 100)(db as unknown as Transaction)
        pay(2, 5)(tx)
      })
    }
    await db.transact(transfer)
    expect([runs, db.table(accounts).get(1)?.balance, db.table(accounts).get(2)?.balance]).toEqual([3, 205n, 25n])
    await Promise.all(
      Array.from({ length: 10 }, () =>
        db.transact(
          async tx => {
            const old = tx.get(accounts, 5)
            await null
            tx.update(accounts, 5, { balance: (old?.balance ?? 0n) + 1n })
          },
          { retries: 50 },
        ),
      ),
    )
    expect(db.table(accounts).get(5)?.balance).toBe(60n)
    expectExact(db)
  })

  it('gives up after as many conflicts as it was told', async () => {
    const db = opened()
    vi.spyOn(Math, 'random').mockReturnValue(0)
    let runs = 0
    const unlucky = async (tx: Transaction) => {
      runs++
      pay(1)(tx)
      await null
      pay(1)(db as unknown as Transaction)
    }
    await expect(db.transact(unlucky, { retries: 2 })).rejects.toBeInstanceOf(ConflictError)
    await expect(db.transact(unlucky, { retries: 0 })).rejects.toThrow('"id" = 1')
    vi.restoreAllMocks()
    expect([runs, db.table(accounts).get(1)?.balance, db.openSnapshots.transactions]).toEqual([4, 14n, 0])
  })

  it('passes on what it throws, and nothing has happened', async () => {
    const db = opened()
    const later = async (tx: Transaction) => {
      note(tx)
      await null
      throw new RangeError('mine')
    }
    await expect(db.transact(later)).rejects.toThrow('mine')
    let runs = 0
    const secondRun = (tx: Transaction): Promise<void> => {
      if (runs++ > 0) throw new RangeError('second run')
      pay(1)(tx)
      return sleep(1)
        .then(() => pay(1)(db as unknown as Transaction))
        .then(() => {})
    }
    await expect(db.transact(secondRun)).rejects.toThrow('second run')
    const stray = db.transact(async tx => {
      void sleep(5).then(() => expectError(() => note(tx), 'USAGE', 'has ended'))
    })
    await stray
    await sleep(10)
    expect([db.table(log).size, db.lsn, db.openSnapshots.transactions]).toEqual([0, 2n, 0])
    const failed = db.transact(async tx => {
      try {
        tx.insert(log, {} as never)
      } catch {}
    })
    await expect(failed).rejects.toBeInstanceOf(GnitzError)
  })

  it('is not confused by a promise of another database', () => {
    const db = opened()
    const other = opened()
    expect(
      db.transact(tx => {
        note(tx)
        return other.insert(log, { text: 'x', n: 1 }) as unknown as undefined
      }).lsn,
    ).toBe(2n)
  })
})
