/** A property test of a view: random transactions, and after each the view must be what recomputation gives. */
import { date, f64, table, u32, view } from 'gnitz'
import { checkIncremental } from 'gnitz/testing'

const athletes = table('athletes', { id: u32().primaryKey(), club: u32().nullable() })
const results = table('results', { athlete: u32(), day: date(), metres: f64() })

/** The two best throws of each club, athletes without a club included. */
export const best = view('best', q =>
  q
    .from(results)
    .leftJoin(
      athletes,
      (r, a) => r.athlete === a.id,
      (r, a) => ({ club: a.club, athlete: r.athlete, day: r.day, metres: r.metres }),
    )
    .groupBy(r => ({ club: r.club }))
    .top(2, { by: r => r.metres, desc: true }, { by: r => r.day }),
)

checkIncremental(best, { runs: 20, seed: 1 })
console.log('best is what recomputation gives')
