/** Long comparison of aggregates with PostgreSQL: `npm run fuzz:postgres -- --seed 1 --cases 1000`. */
import { parseArgs } from 'node:util'
import { compareWithPostgres } from './postgres.js'

const { values } = parseArgs({
  options: { seed: { type: 'string', default: '1' }, cases: { type: 'string', default: '100' } },
})
const groups = await compareWithPostgres(Number(values.seed), Number(values.cases))
console.log(`${values.cases} cases from seed ${values.seed}: ${groups} groups agree`)
