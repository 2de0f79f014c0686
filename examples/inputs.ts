/** How rows enter: as a Z-set, by key, only ever added, passing through, and too late. */
import { count, i64, open, string, sum, table, timestamp, u64, view } from 'gnitz'

const lines = table('lines', { id: u64(), text: string() })
const prices = table('prices', { item: string().primaryKey(), price: i64() }, { upsert: true })
const log = table('log', { id: u64().primaryKey(), text: string() }, { appendOnly: true })
const clicks = table('clicks', { page: string() }, { stream: true })
const readings = table('readings', { id: u64().primaryKey(), at: timestamp().lateness('1 minute'), value: i64() })

const total = view('total', q => q.from(prices).aggregate({ items: count(), sum: sum(p => p.price) }))
const pages = view('pages', q =>
  q
    .from(clicks)
    .groupBy(c => ({ page: c.page }))
    .aggregate({ clicks: count() }),
)

const db = open()
const [sums, perPage] = [db.createView(total), db.createView(pages)]
db.createTable(lines)
db.createTable(log)
db.createTable(readings)

// A Z-set: any weights, also below zero until the row comes.
db.transact(tx => tx.add(lines, { id: 1, text: 'twice' }, 2))
db.delete(lines, { id: 2, text: 'to come' })
console.log(db.table(lines).entries())

// By key: what is there makes way.
db.insert(prices, [
  { item: 'tea', price: 3 },
  { item: 'jam', price: 5 },
])
db.insert(prices, { item: 'tea', price: 4 })
console.log(sums.rows())

db.insert(log, { id: 1, text: 'started' })
try {
  db.delete(log, { id: 1, text: 'started' })
} catch (error) {
  console.log((error as Error).message)
}

// Rows of a stream pass through and are not kept.
db.insert(clicks, [{ page: '/' }, { page: '/' }, { page: '/docs' }])
console.log(perPage.rows())

// Behind the waterline, a minute before the latest row, rows are dropped and told of.
db.table(readings).late.subscribe(({ changes }) => console.log('late:', changes))
db.insert(readings, { id: 1, at: '2024-01-01T10:05:00', value: 1 })
db.insert(readings, { id: 2, at: '2024-01-01T10:03:00', value: 2 })
console.log(db.table(readings).size)
