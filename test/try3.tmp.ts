import { nodes as n } from '../src/testing/index.js'
import { open } from '../src/engine/database.js'
const t = n.table('t0', [['a0', 'i64', false]], [])
const r0 = n.source(t)
const v0 = n.view('v0', n.aggregate(r0, [['k0', n.column(r0.schema, 0)]], [['a0', 'count', null]]))
const db = open()
const v = db.createView(v0 as never) as any; v.subscribe((d: any) => console.log('delta', d))
db.insert(t as never, { a0: 0n })
db.insert(t as never, { a0: 0n })
const d = v.root.delta()
console.log(d.batch?.length ?? d, [...(d.batch ?? d).columns[0].slice(0, 3)], [...(d.batch??d).columns[1].slice(0, 3)], [...(d.batch??d).weights.slice(0, 3)])
console.log(v.source().slice(0, 6000))
