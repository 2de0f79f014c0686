/** What lambdas may contain, and how values and functions from outside get into them. */
import { fn, i64, open, string, table, timestamptz, u64, udf, view } from 'gnitz'

const orders = table('orders', { id: u64().primaryKey(), amount: i64(), at: timestamptz(), note: string().nullable() })

/** Any code at all; it must be pure. */
const tax = udf('tax', ['i64', 'f64'], 'i64', (amount, rate) => BigInt(Math.round(Number(amount) * rate)))

const recent = view('recent', q =>
  q
    .from(orders)
    .filter((o, { year, since }) => year(o.at) >= since && o.note !== null, { year: fn.year, since: 2001 })
    .map(
      (o, ctx) => {
        const due = ctx.tax(o.amount, ctx.rate)
        if (o.amount > 1000n) return { id: o.id, due, label: 'large' }
        return { id: o.id, due, label: `${o.note?.trim().toUpperCase() ?? 'none'}, ${o.amount} cents` }
      },
      { tax, rate: 0.19 },
    ),
)

const db = open()
const live = db.createView(recent)
db.insert(orders, [
  { id: 1, amount: 200, at: '2001-03-04T05:06:07Z', note: ' tea ' },
  { id: 2, amount: 5000, at: new Date('2002-02-03'), note: 'a chair' },
  { id: 3, amount: 300, at: '1999-12-31T23:59:59Z', note: 'late' },
  { id: 4, amount: 300, at: '2003-01-01T00:00:00Z' },
])
console.log(live.rows())
