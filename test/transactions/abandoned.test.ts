/** Snapshots and transactions that nobody holds any more are let go when they are collected. */
import { setImmediate as soon } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, it } from 'vitest'
import { type Database, open, table, u32 } from '../../src/index.js'

const t = table('t', { id: u32().primaryKey() })

function forget(db: Database): void {
  db.snapshot().rows(t)
  db.begin().insert(t, { id: 1 })
  // A promise that nobody can settle any more.
  void db.transact(() => new Promise(() => {}))
}

it('forgotten snapshots and transactions keep nothing for ever', async () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const db = open()
  db.createTable(t)
  const named = db.snapshot({ name: 'kept' })
  forget(db)
  expect(db.openSnapshots).toMatchObject({ snapshots: 2, transactions: 2 })
  for (let n = 0; n < 200 && db.openSnapshots.snapshots + db.openSnapshots.transactions > 1; n++) {
    db.insert(t, { id: n })
    collect()
    await soon()
  }
  expect(db.openSnapshots).toMatchObject({ snapshots: 1, transactions: 0, oldestLsn: 0n })
  expect([db.snapshotAt('kept').rows(t), named.rows(t)]).toEqual([[], []])
})
