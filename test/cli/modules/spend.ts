/** A module as users write them, for the tests of `gnitz inspect`. */
import { count, i64, string, sum, table, u64, view } from 'gnitz'

export const orders = table('orders', {
  id: u64().primaryKey(),
  customer: u64(),
  amount: i64(),
  note: string().nullable(),
})

export const customers = table('customers', { id: u64().primaryKey(), region: string() })

export const bySpend = view('spend', q =>
  q
    .from(orders)
    .filter(o => o.amount > 100n && o.note !== null)
    .join(
      customers,
      (o, c) => o.customer === c.id,
      (o, c) => ({ region: c.region, amount: o.amount }),
    )
    .groupBy(r => ({ region: r.region }))
    .aggregate({ orders: count(), total: sum(r => r.amount) }),
)

export default view('large/orders', q => q.from(orders).filter((o, { limit }) => o.amount > limit, { limit: 1000n }))
