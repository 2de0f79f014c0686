/** Counts and sums that say little about any one person. */
import { f64, noisyCount, noisySum, open, string, table, u32, view } from 'gnitz'

const visits = table('visits', { page: string(), person: u32(), minutes: f64() })

const published = view('published', q =>
  q
    .from(visits)
    .groupBy(v => ({ page: v.page }))
    .privateAggregate(
      { visits: noisyCount(), minutes: noisySum(v => v.minutes, { low: 0, high: 60 }) },
      { epsilon: 0.5, budget: 1, unit: v => v.person, maxRows: 2, seed: 'only for this example' },
    ),
)

const db = open()
const view_ = db.createView(published)
db.insert(
  visits,
  Array.from({ length: 2000 }, (_, i) => ({ page: i % 2 === 0 ? '/' : '/about', person: i, minutes: i % 60 })),
)
console.log(view_.rows())
db.insert(visits, { page: '/about', person: 5000, minutes: 3 })
console.log(view_.rows()) // new noise for /about only: its second release of two
