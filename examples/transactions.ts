/** Writing by primary key, and transactions that others come in between. */
import { ConflictError, i64, open, string, sum, table, u32, view } from 'gnitz'

const accounts = table('accounts', { id: u32().primaryKey(), owner: string(), cents: i64() })
const totals = view('totals', q =>
  q
    .from(accounts)
    .groupBy(a => ({ owner: a.owner }))
    .aggregate({ cents: sum(a => a.cents) }),
)

const db = open()
const perOwner = db.createView(totals)
db.upsert(accounts, [
  { id: 1, owner: 'ann', cents: 500 },
  { id: 2, owner: 'bob', cents: 80 },
])
db.update(accounts, 2, old => ({ cents: old.cents + 20n }))
db.putIfAbsent(accounts, { id: 3, owner: 'ann', cents: 0 })
console.log(db.putIfUnchanged(accounts, { id: 3, owner: 'ann', cents: 7 }, { cents: 1 })) // it has 0 cents
console.log(db.deleteKey(accounts, 3)?.lsn, perOwner.rows())

// Reads from a snapshot of the moment it began, and what it has written itself.
const tx = db.begin()
tx.update(accounts, 1, { cents: 0 })
db.update(accounts, 1, { cents: 499 })
console.log(
  tx.get(accounts, 1)?.cents,
  Array.from(tx.range(accounts, { after: 1 }), a => a.owner),
)
try {
  tx.commit()
} catch (error) {
  if (error instanceof ConflictError) console.log(error.table, error.key, error.snapshotLsn, error.conflictingLsn)
}

/** Runs again until nobody has changed in between what it has read. */
const moved = await db.transact(async tx => {
  const from = tx.get(accounts, 1)
  await new Promise(resolve => setTimeout(resolve, 1)) // whatever has to be waited for
  if (from === undefined || from.cents < 100n) throw new Error('not enough')
  tx.update(accounts, 1, { cents: from.cents - 100n })
  tx.update(accounts, 2, old => ({ cents: old.cents + 100n }))
})
console.log(moved, perOwner.rows())
