import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { count, i64, kv, open, string, table, view } from 'gnitz'

const sessions = kv('sessions', { key: 'string', value: 'json' })
const logins = table('logins', { user: string(), at: i64() })
const perKey = view('keys', q => q.from(sessions.table).aggregate({ keys: count() }))

const directory = mkdtempSync(join(tmpdir(), 'gnitz-'))
const db = await open(directory)
const live = db.kv(sessions)
const pictures = db.kv('pictures', { key: 'string', value: 'bytes' }) // without a definition, where no view reads it
db.createTable(logins)
db.createView(perKey)

await live.put('ann/1', { page: '/', items: [] })
await live.putAll([
  ['ann/2', { page: '/docs', items: [3] }],
  ['bob/1', null],
])
await pictures.put('logo', new Uint8Array(100_000)) // larger than `valueThreshold`: it goes to a value log
console.log(live.get('ann/2'), live.get('eve/1'), live.has('bob/1'), pictures.get('logo')?.length)
console.log([...live.keys({ prefix: 'ann/' })], [...live.range({ after: 'ann/1', limit: 1 })])
console.log([...live.keys({ prefix: 'ann/', reverse: true })], db.view(perKey).rows())

console.log(live.putIfAbsent('ann/1', {}), live.compareAndSet('bob/1', { page: '/' }, {})) // both are refused
console.log(live.compareAndSet('bob/1', null, { page: '/' })?.lsn)
db.transact(tx => {
  tx.kv(sessions).put('eve/1', { page: '/' })
  tx.kv(sessions).delete('ann/1')
  tx.insert(logins, { user: 'eve', at: 1 })
})
await live.deleteRange({ prefix: 'ann/' })
console.log(Array.from(live, ([key]) => key))
await db.close()
rmSync(directory, { recursive: true })
