import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { i64, type NamedChanges, open, string, sum, table, u32, view } from 'gnitz'

const sales = table('sales', { id: u32().primaryKey(), shop: string(), amount: i64() })
const totals = view('totals', q =>
  q
    .from(sales)
    .groupBy(s => ({ shop: s.shop }))
    .aggregate({ amount: sum(s => s.amount) }),
)

const show = ({ from, lsn, reset, changes }: NamedChanges<{ shop: string; amount: bigint | null }>) =>
  console.log(
    `${reset ? 'all' : `${from}`} → ${lsn}`,
    changes.map(c => `${c.weight} ${c.row.shop} ${c.row.amount}`),
  )

const directory = mkdtempSync(join(tmpdir(), 'gnitz-'))
let db = await open(directory)
db.createView(totals)
await db.insert(sales, { id: 1, shop: 'north', amount: 10 })
db.view(totals).subscribe(show, { name: 'board' })
await db.insert(sales, { id: 2, shop: 'south', amount: 5 })
await db.close()

db = await open(directory) // Nobody is subscribed.
await db.insert(sales, { id: 3, shop: 'north', amount: 1 })
await db.insert(sales, { id: 4, shop: 'north', amount: 2 })
db.view(totals).subscribe(show, { name: 'board' })
console.log(db.subscriptions)
db.dropSubscription('board')
await db.close()
rmSync(directory, { recursive: true })
