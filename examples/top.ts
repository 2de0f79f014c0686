/** The first rows: of all, of each group, with ties, and a page further on. */
import { i64, open, string, table, u64, view } from 'gnitz'

const scores = table('scores', { id: u64().primaryKey(), game: string(), player: string(), points: i64() })

const best = view('best', q =>
  q
    .from(scores)
    .groupBy(s => ({ game: s.game }))
    .top(2, { by: s => s.points, desc: true }, { by: s => s.player }),
)
const winners = view('winners', q => q.from(scores).top({ limit: 1, ties: true }, { by: s => s.points, desc: true }))
const page = view('page', q =>
  q.from(scores).top({ limit: 2, offset: 2 }, { by: s => s.points, desc: true }, { by: s => s.id }),
)

const db = open()
const [a, b, c] = [best, winners, page].map(v => db.createView(v))
const names = () => [a, b, c].map(v => v.rows().map(s => `${s.game} ${s.player} ${s.points}`))
db.insert(scores, [
  { id: 1, game: 'chess', player: 'ann', points: 9 },
  { id: 2, game: 'chess', player: 'bob', points: 7 },
  { id: 3, game: 'chess', player: 'eve', points: 8 },
  { id: 4, game: 'go', player: 'bob', points: 9 },
])
console.log(names())

// The best of chess goes: the third moves up.
db.deleteKey(scores, 1)
console.log(names())
