/** Weights: what a row that is there several times looks like, and what becomes of it in views. */
import { open, string, table, u32, view } from 'gnitz'

const visits = table('visits', { page: string(), user: u32() }) // no primary key: rows may repeat
const pages = view('pages', q => q.from(visits).map(v => ({ page: v.page })))
const seen = view('seen', q => q.from(pages).distinct())

const db = open()
const perPage = db.createView(pages)
const distinct = db.createView(seen)
distinct.subscribe(({ lsn, changes }) => console.log(`seen, transaction ${lsn}:`, changes))

db.insert(visits, [
  { page: '/', user: 1 },
  { page: '/', user: 2 },
  { page: '/about', user: 1 },
])
db.delete(visits, { page: '/', user: 1 }) // one visit of two: `seen` does not change
db.transact(tx => tx.add(visits, { page: '/about', user: 1 }, -1)) // the same as delete
console.log(perPage.entries(), perPage.rows())
