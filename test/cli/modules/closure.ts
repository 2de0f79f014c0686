/** A view that does not compile: its lambda reads a variable of its surroundings. */
import { i64, table, u64, view } from 'gnitz'

const limit = 100n
const orders = table('orders', { id: u64().primaryKey(), amount: i64() })

export const large = view('large', q => q.from(orders).filter(o => o.amount > limit))
