// What checking costs: ingest of a table without constraints against the same
// with a primary key, a foreign key and a unique column. `npm run bench -- constraints`
// has further kinds.
import { median, ratioAtMost } from '../storage/figures.mjs'

const MOST = 2
const RUNS = 3
const KINDS = ['primary key', 'foreign key', 'unique']

export function constraints(quick, _, constraintsApart) {
  const [rows, singles] = quick ? [200_000, 20_000] : [2_000_000, 100_000]
  const runs = new Map(['bare', ...KINDS].map(name => [name, []]))
  for (let n = 0; n < (quick ? 1 : RUNS); n++) {
    for (const [name, list] of runs) list.push(constraintsApart({ name, rows, singles }))
  }
  const of = (name, figure) => median(runs.get(name).map(run => run[figure]))
  return KINDS.flatMap(name => [
    ratioAtMost(
      `${name}, batches`,
      1e9 / of(name, 'nsPerRow'),
      'rows/s',
      of(name, 'nsPerRow') / of('bare', 'nsPerRow'),
      MOST,
      'a table without',
    ),
    ratioAtMost(
      `${name}, one row`,
      1e6 / of(name, 'usPerSingle'),
      'tx/s',
      of(name, 'usPerSingle') / of('bare', 'usPerSingle'),
      MOST,
      'a table without',
    ),
  ])
}
