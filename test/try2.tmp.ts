import { nodes as n } from '../src/testing/index.js'
import { open } from '../src/engine/database.js'
const t = n.table('t0', [['a0', 'i64', false]], [])
const r0 = n.source(t)
const v0 = n.view('v0', n.aggregate(r0, [['k0', n.column(r0.schema, 0)]], [['a0', 'count', null]]))
const db = open()
db.createTable(t as never)
if (process.argv[2] === 'early') { const v = db.createView(v0 as never) as any; v.subscribe((d: any) => console.log('delta', d)) }
db.insert(t as never, { a0: 0n })
const v = (db.views[0] ?? db.createView(v0 as never)) as any
if (process.argv[2] !== 'early') v.subscribe((d: any) => console.log('delta', d))
console.log(v.entries())
db.insert(t as never, { a0: 0n })
console.log(v.entries())
