/** Everything as it was, page by page, while others write. */
import { count, open, string, table, u32, view } from 'gnitz'

const posts = table('posts', { id: u32().primaryKey(), author: string() })
const authors = view('authors', q =>
  q
    .from(posts)
    .groupBy(p => ({ author: p.author }))
    .aggregate({ posts: count() }),
)

const db = open()
db.createView(authors)
db.insert(
  posts,
  ['ann', 'bob', 'ann', 'eve', 'bob'].map((author, id) => ({ id, author })),
)

const snapshot = db.snapshot({ name: 'report' })
let last = -1
for (let page = 1; page <= 2; page++) {
  const rows = [...snapshot.range(posts, { ...(last >= 0 ? { after: last } : {}), limit: 2 })]
  console.log(page, rows.map(r => r.author).join(' '))
  last = rows[rows.length - 1].id
  db.deleteKey(posts, 3)
  db.upsert(posts, { id: 2, author: 'zoe' })
}
console.log(snapshot.get(authors, 'eve'), db.view(authors).get('eve'))
const again = db.snapshotAt('report') // by name, or by its LSN
console.log(snapshot.lsn, db.lsn, again.size(posts), db.openSnapshots.snapshots)
again.release()
snapshot.release()
