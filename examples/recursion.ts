/** Who can be reached from whom, while roads open and close. */
import { open, string, table, view } from 'gnitz'

const roads = table('roads', { from: string(), to: string() })
const closed = table('closed', { town: string() })

const ways = view('ways', q =>
  q.recursive(roads, way =>
    way
      .antiJoin(closed, (w, c) => w.to === c.town) // no way goes on from a closed town
      .join(
        roads,
        (w, r) => w.to === r.from,
        (w, r) => ({ from: w.from, to: r.to }),
      ),
  ),
)

const db = open()
const reachable = db.createView(ways)
const text = () => Array.from(reachable.rows(), w => `${w.from}→${w.to}`).join(' ')

db.insert(roads, [
  { from: 'A', to: 'B' },
  { from: 'B', to: 'C' },
  { from: 'C', to: 'A' },
])
console.log(text())

db.insert(closed, { town: 'B' })
console.log(text())

reachable.subscribe(({ changes }) => console.log(changes.map(c => `${c.weight} ${c.row.from}→${c.row.to}`)))
db.delete(roads, { from: 'C', to: 'A' })

try {
  view('wrong', q =>
    q.recursive(roads, way =>
      q.from(roads).antiJoin(
        way.filter(w => w.from === 'A'),
        (r, w) => r.from === w.to,
      ),
    ),
  )
} catch (error) {
  console.log((error as Error).message)
}
