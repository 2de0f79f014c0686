/** What gnitz made of a view: its plan and the JavaScript that runs. */
import { i64, open, string, table, u64, view } from 'gnitz'

const orders = table('orders', { id: u64().primaryKey(), amount: i64(), note: string().nullable() })

export const noted = view('noted', q =>
  q
    .from(orders)
    .filter(o => o.amount > 100n && o.note !== null)
    .map(o => ({ id: o.id, cents: o.amount * 100n })),
)

const db = open()
const live = db.createView(noted)
db.insert(orders, { id: 1, amount: 250, note: 'a gift' })
console.log(live.plan())
console.log(live.source())
