/** Filters, maps, and relations as sets and as bags. */
import { i64, open, string, table, u64, view } from 'gnitz'

const visits = table('visits', { id: u64().primaryKey(), person: string(), ms: i64() })
const members = table('members', { person: string().primaryKey() })

// One loop: nothing is kept but the result.
export const slow = view('slow', q =>
  q
    .from(visits)
    .filter(v => v.ms > 1000n)
    .map(v => ({ id: v.id, seconds: v.ms / 1000n })),
)
const people = view('people', q =>
  q
    .from(visits)
    .map(v => ({ person: v.person }))
    .distinct(),
)
const strangers = view('strangers', q => q.from(people).except(members))
// A bag: a member's first visit is taken out, further ones stay.
const again = view('again', q =>
  q
    .from(visits)
    .map(v => ({ person: v.person }))
    .exceptAll(members),
)

const db = open()
const [a, b, c, d] = [slow, people, strangers, again].map(v => db.createView(v))
db.insert(members, [{ person: 'ann' }, { person: 'eve' }])
db.insert(visits, [
  { id: 1, person: 'ann', ms: 2500 },
  { id: 2, person: 'ann', ms: 100 },
  { id: 3, person: 'bob', ms: 4000 },
  { id: 4, person: 'ann', ms: 300 },
])
console.log(a.rows(), b.rows())
console.log(c.rows(), d.entries())

// The last visit of bob goes, and with it bob.
db.deleteKey(visits, 3)
console.log(b.rows(), c.rows(), d.entries())
