import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { i64, open, string, sum, table, u32, view } from 'gnitz'

const directory = mkdtempSync(join(tmpdir(), 'gnitz-'))
const stock = table('stock', { id: u32().primaryKey(), shelf: string(), pieces: i64() })
const shelves = view('shelves', q =>
  q
    .from(stock)
    .groupBy(s => ({ shelf: s.shelf }))
    .aggregate({ pieces: sum(s => s.pieces) }),
)

const db = await open(directory)
db.createView(shelves)
await db.insert(stock, [
  { id: 1, shelf: 'left', pieces: 10 },
  { id: 2, shelf: 'right', pieces: 5 },
])
const altered = db.alterTable(stock, {
  add: { unit: string().default('box'), note: string().nullable() },
  rename: { pieces: 'amount' },
})
await altered.insert({ id: 3, shelf: 'left', amount: 7, note: 'new' })
console.log(altered.rows())
console.log(db.view(shelves).get('left'))
await db.close()

// A later version of the program.
const columns = { id: u32().primaryKey(), shelf: string(), amount: i64(), unit: string().default('box') }
const later = table('stock', { ...columns, note: string().nullable(), checked: u32().default(0) })
const again = await open(directory)
try {
  again.createTable(later)
} catch (error) {
  console.log((error as Error).message)
}
console.log(again.migrate(later).get({ id: 3 }))
await again.close()
rmSync(directory, { recursive: true })
