import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { i64, open, string, sum, table, u32, view } from 'gnitz'

const stock = table('stock', { id: u32().primaryKey({ unique: true }), shelf: string(), pieces: i64() })
const shelves = view('shelves', q =>
  q
    .from(stock)
    .groupBy(s => ({ shelf: s.shelf }))
    .aggregate({ pieces: sum(s => s.pieces) }),
)

const directory = mkdtempSync(join(tmpdir(), 'gnitz-'))
let db = await open(directory, { retain: '1h' })
db.createView(shelves)
await db.upsert(stock, [
  { id: 1, shelf: 'left', pieces: 10 },
  { id: 2, shelf: 'right', pieces: 5 },
])
const { lsn } = db
const before = new Date()
await new Promise(resolve => setTimeout(resolve, 2))
await db.update(stock, 1, { pieces: 0 }) // a slip
await db.close()

db = await open(directory, { retain: '1h' })
const past = db.snapshotAt(lsn)
console.log(db.view(shelves).get('left'), past.get(shelves, 'left'))
using same = db.snapshotAt({ time: before })
console.log(same.lsn === lsn, same.rows(shelves))

await db.upsert(stock, past.rows(stock)) // taken back
console.log(db.view(shelves).get('left'))
past.release()
try {
  db.snapshotAt(0).rows(stock)
} catch (error) {
  console.log((error as Error).message)
}
await db.close()
rmSync(directory, { recursive: true })
