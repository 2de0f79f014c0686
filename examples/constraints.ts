import { ConstraintError, fn, i64, open, string, table, u64, withContext } from 'gnitz'

const customers = table(
  'customers',
  { id: u64().primaryKey({ unique: true }), email: string().nullable(), region: string() },
  {
    constraints: {
      email: { unique: ['email'] },
      region: { check: c => c.region !== '' },
    },
  },
)

const orders = table(
  'orders',
  { id: u64().primaryKey({ unique: true }), customer: u64().nullable(), amount: i64(), note: string() },
  {
    indexes: {
      byCustomer: { on: ['customer', { by: 'amount', desc: true }] },
      byNote: { on: [{ by: withContext((o, { lower }) => lower(o.note), { lower: fn.lower }), name: 'note' }] },
    },
    constraints: {
      customer: { foreignKey: ['customer'], references: customers, onDelete: 'cascade', onUpdate: 'cascade' },
      amount: { check: o => o.amount > 0n },
    },
  },
)

const db = open()
const handle = db.createTable(orders) // and customers, which it refers to
db.insert(customers, [
  { id: 1, email: 'ann@example.org', region: 'north' },
  { id: 2, region: 'south' },
])
db.insert(orders, [
  { id: 10, customer: 1, amount: 250, note: 'Tea' },
  { id: 11, customer: 1, amount: 900, note: 'a chair' },
  { id: 12, customer: 2, amount: 75, note: 'tea' },
])

const byCustomer = handle.index('byCustomer')
console.log(Array.from(byCustomer.range({ from: 1, to: 1 }), o => o.amount)) // descending within a customer
console.log(handle.index('byNote').find('tea').length)

function attempt(write: () => unknown): void {
  try {
    write()
  } catch (error) {
    if (!(error instanceof ConstraintError)) throw error
    console.log(error.message)
  }
}
attempt(() => db.insert(orders, { id: 13, customer: 7, amount: 5, note: '' }))
attempt(() => db.insert(customers, { id: 3, email: 'ann@example.org', region: 'west' }))
attempt(() => db.insert(orders, { id: 13, customer: 2, amount: 0, note: '' }))

db.update(customers, 1, { id: 5 }) // its orders follow
console.log(byCustomer.find(5).length)
db.deleteKey(customers, 5) // and go with it
console.log(handle.rows())
