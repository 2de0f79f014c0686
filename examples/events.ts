import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { open, type StorageEvent, string, table, u32 } from 'gnitz'

const users = table(
  'users',
  { id: u32().primaryKey({ unique: true }), mail: string() },
  { indexes: { mail: { on: ['mail'] } } },
)

const onEvent = (event: StorageEvent) => {
  if (event.kind === 'recover')
    console.log(`recover: ${event.groups} transactions, ${event.droppedBytes} bytes cut off`)
  if (event.kind === 'flush' && event.table === 'users') console.log(`flush: ${event.rowCount} rows`)
  if (event.kind === 'compact' && event.table === 'users') console.log(`compact: ${event.inputs} to ${event.outputs}`)
  if (event.kind === 'checkpoint') console.log(`checkpoint: transaction ${event.lsn}`)
}

const directory = mkdtempSync(join(tmpdir(), 'gnitz-'))
let db = await open(directory, { onEvent })
db.createTable(users)
for (let id = 0; id < 3; id++) await db.insert(users, { id, mail: `${id}@example.org` })
db.checkpoint()
await db.close()

db = await open(directory, { onEvent })
const end = db.trace({ constraints: true }, event => console.log(event))
db.table(users).index('mail').find('1@example.org')
await db.insert(users, { id: 3, mail: '3@example.org' })
end()
console.log(
  db
    .metrics()
    .split('\n')
    .filter(line => line.startsWith('gnitz_lsn ') || line.startsWith('gnitz_table_rows')),
)
await db.close()
rmSync(directory, { recursive: true })
