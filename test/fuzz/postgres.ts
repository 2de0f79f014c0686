/** Long comparison with PostgreSQL: `npm run fuzz:postgres -- --seed 1 --cases 1000 --what aggregates,joins`. */
import { parseArgs } from 'node:util'
import { compareWithPostgres } from '../aggregates/postgres.js'
import { compareJoins } from '../joins/postgres.js'

const COMPARISONS = { aggregates: compareWithPostgres, joins: compareJoins }

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    cases: { type: 'string', default: '100' },
    what: { type: 'string', default: Object.keys(COMPARISONS).join(',') },
  },
})
for (const what of values.what.split(',')) {
  if (!Object.hasOwn(COMPARISONS, what)) {
    throw new Error(`--what: expected some of ${Object.keys(COMPARISONS).join(', ')}, found ${what}`)
  }
  const compare = COMPARISONS[what as keyof typeof COMPARISONS]
  const rows = await compare(Number(values.seed), Number(values.cases))
  console.log(`${what}: ${values.cases} cases from seed ${values.seed}: ${rows} rows agree`)
}
