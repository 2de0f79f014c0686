// What the durable parts share: two tables, six views over them, batches of
// orders, and directories to work in.
import { count, i64, max, min, string, sum, table, u8, u64, view } from '../../dist/src/index.js'
import { Lcg } from '../lib/rng.mjs'

export const BATCH = 10_000
export const CUSTOMERS = 20_000
const REGIONS = 50

export const customers = table('customers', { id: u64().primaryKey(), region: string() })
export const orders = table('orders', { id: u64().primaryKey(), customer: u64(), kind: u8(), amount: i64() })

/** A filter, two group-bys, a join with a group-by, extremes, and what is distinct. */
export const views = [
  view('large', q =>
    q
      .from(orders)
      .filter(o => o.amount > 9_800n)
      .map(o => ({ id: o.id, customer: o.customer, amount: o.amount })),
  ),
  view('by_customer', q =>
    q
      .from(orders)
      .groupBy(o => ({ customer: o.customer }))
      .aggregate({ orders: count(), total: sum(o => o.amount) }),
  ),
  view('by_kind', q =>
    q
      .from(orders)
      .groupBy(o => ({ kind: o.kind }))
      .aggregate({ orders: count(), total: sum(o => o.amount) }),
  ),
  view('by_region', q =>
    q
      .from(orders)
      .join(
        customers,
        (o, c) => o.customer === c.id,
        (o, c) => ({ region: c.region, amount: o.amount }),
      )
      .groupBy(r => ({ region: r.region }))
      .aggregate({ orders: count(), total: sum(r => r.amount) }),
  ),
  view('extremes', q =>
    q
      .from(orders)
      .groupBy(o => ({ kind: o.kind }))
      .aggregate({ least: min(o => o.amount), most: max(o => o.amount) }),
  ),
  view('pairs', q =>
    q
      .from(orders)
      .map(o => ({ customer: o.customer, kind: o.kind }))
      .distinct(),
  ),
]

export const rowsOfCustomers = () =>
  Array.from({ length: CUSTOMERS }, (_, id) => ({ id, region: `region ${id % REGIONS}` }))

/** Makes both tables and `some` of the views, with all customers in it. */
export async function define(db, some = views) {
  db.createTable(customers)
  db.createTable(orders)
  for (const definition of some) db.createView(definition)
  await db.insert(customers, rowsOfCustomers())
}

/** Orders from..to as columns: the same for every run. */
export function ordersOf(from, to) {
  const rng = new Lcg(from + 1)
  const n = to - from
  const columns = {
    id: new BigUint64Array(n),
    customer: new BigUint64Array(n),
    kind: new Uint8Array(n),
    amount: new BigInt64Array(n),
  }
  for (let i = 0; i < n; i++) {
    columns.id[i] = BigInt(from + i)
    columns.customer[i] = BigInt(rng.below(CUSTOMERS))
    columns.kind[i] = rng.below(16)
    columns.amount[i] = BigInt(1 + rng.below(10_000))
  }
  return columns
}

/** Row i of columns as an object. */
export const rowAt = ({ id, customer, kind, amount }, i) => ({
  id: id[i],
  customer: customer[i],
  kind: kind[i],
  amount: amount[i],
})
