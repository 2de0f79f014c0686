/** The README's first example: two tables, a view that joins and groups them, and what a transaction does to it. */
import { count, i64, open, string, sum, table, u64, view } from 'gnitz'

const customers = table('customers', { id: u64().primaryKey(), region: string() })

const orders = table('orders', {
  id: u64().primaryKey(),
  customer: u64(),
  amount: i64(),
  note: string().nullable(),
})

export const spend = view('spend', q =>
  q
    .from(orders)
    .filter(o => o.amount >= 10n)
    .join(
      customers,
      (o, c) => o.customer === c.id,
      (o, c) => ({ region: c.region, amount: o.amount }),
    )
    .groupBy(r => ({ region: r.region }))
    .aggregate({ orders: count(), total: sum(r => r.amount) }),
)

const db = open()
const spending = db.createView(spend) // makes the tables that it reads, too

db.transact(tx => {
  tx.insert(customers, [
    { id: 1, region: 'north' },
    { id: 2, region: 'south' },
  ])
  tx.insert(orders, [
    { id: 100, customer: 1, amount: 250 },
    { id: 101, customer: 1, amount: 40, note: 'a gift' },
    { id: 102, customer: 2, amount: 9 },
  ])
})
console.log(spending.rows())

spending.subscribe(({ lsn, changes }) => console.log(lsn, changes))
db.transact(tx => {
  tx.delete(orders, { id: 100, customer: 1, amount: 250 })
  tx.insert(orders, { id: 103, customer: 2, amount: 75 })
})
console.log(spending.get('north'), spending.get({ region: 'south' }))
