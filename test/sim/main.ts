/**
 * The storage engine in a simulated world, as often as one likes: `npm run sim -- --runs 10000`. Run n has seed + n.
 * A failure is made small and comes with the line that repeats it.
 */
import { parseArgs } from 'node:util'
import { loadStorage } from '../../src/storage/open.js'
import { Lost, newTally, type Tally } from './common.js'
import { newDatabaseTally, simulateDatabase } from './database.js'
import { killRounds } from './kill.js'
import { FAULT_CLASSES, type FaultClass, type Plan, planOf } from './plan.js'
import { simulate, traces } from './run.js'
import { shrink } from './shrink.js'

const HELP = `npm run sim -- [options]
  --seed N          first seed, default 1
  --runs M          how many runs, default 1000
  --faults a,b      ${FAULT_CLASSES.join(' ')}, all (default), none
  --keep 1,4,7      only these operations of each run
  --database        whole databases instead: tables, views, indexes, definitions
  --kill K          instead: kill -9 a writing process K times, with a checking reader
  --help`
/** Tries to make a failing run smaller. */
const SHRINK_RUNS = 400

interface Arguments {
  readonly seed: number
  readonly runs: number
  readonly faults: readonly FaultClass[]
  readonly keep: readonly number[] | null
  readonly kill: number
  readonly database: boolean
}

function parse() {
  return parseArgs({
    options: {
      seed: { type: 'string', default: '1' },
      runs: { type: 'string', default: '1000' },
      faults: { type: 'string', default: 'all' },
      keep: { type: 'string' },
      kill: { type: 'string', default: '0' },
      database: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  }).values
}

function readArguments(): Arguments | string | null {
  let values: ReturnType<typeof parse>
  try {
    values = parse()
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
  if (values.help) return null
  const [seed, runs, kill] = [values.seed, values.runs, values.kill].map(Number)
  for (const [name, n] of Object.entries({ seed, runs, kill })) {
    if (!Number.isSafeInteger(n) || n < 0) return `--${name}: expected a whole number`
  }
  const names = values.faults === 'all' ? [...FAULT_CLASSES] : values.faults.split(',').filter(f => f !== 'none')
  const strange = names.find(name => !FAULT_CLASSES.includes(name as FaultClass))
  if (strange !== undefined) return `--faults: expected ${FAULT_CLASSES.join(', ')}, all or none, found ${strange}`
  const keep = values.keep === undefined ? null : values.keep.split(',').filter(Boolean).map(Number)
  return { seed, runs, kill, faults: names as FaultClass[], keep, database: values.database }
}

async function problemOf(plan: Plan, tally?: Tally): Promise<unknown> {
  try {
    await simulate(plan, tally)
    return null
  } catch (error) {
    return error instanceof Lost ? null : error
  }
}

async function report(plan: Plan, problem: unknown, faults: readonly FaultClass[], small: boolean): Promise<void> {
  let numbers = plan.operations.map((_, n) => n)
  let shown = plan
  if (small) {
    numbers = await shrink(plan, async smaller => (await problemOf(smaller)) !== null, SHRINK_RUNS)
    shown = { ...plan, operations: numbers.map(n => plan.operations[n]) }
    problem = (await problemOf(shown)) ?? problem
  }
  console.error(`\nseed ${plan.seed} fails: ${problem instanceof Error ? (problem.stack ?? problem.message) : problem}`)
  if (problem instanceof Error && problem.cause instanceof Error) console.error(`cause: ${problem.cause.stack}`)
  console.error(`\n${traces.get(shown) ?? ''}\n`)
  console.error(`operations: ${shown.operations.map(o => o.kind).join(' ')}`)
  console.error(`${JSON.stringify({ mode: plan.mode, ...plan.tuning })}, faults ${[...plan.faults].join(' ')}`)
  const names = faults.length === FAULT_CLASSES.length ? 'all' : faults.join(',') || 'none'
  const keep = small ? ` --keep ${numbers.join(',') || ','}` : ''
  console.error(`\nnpm run sim -- --seed ${plan.seed} --runs 1 --faults ${names}${keep}`)
}

function summary(tally: Tally, seconds: number): string {
  const { runs, commits, powerCuts, kills, openings, failedOpenings, flips, detected, refused, reads, events } = tally
  return [
    `${runs} runs (${(runs / seconds).toFixed(0)}/s)`,
    `${commits} commits (${refused} refused)`,
    `${powerCuts} power cuts, ${kills} kills`,
    `${openings} openings (${failedOpenings} failed)`,
    `${reads} reads`,
    `${flips} damaged directories (${detected} detected)`,
    Object.entries(events)
      .map(([kind, count]) => `${count} × ${kind}`)
      .join(', '),
  ].join('; ')
}

/** Whole databases; a failure comes with its seed. */
async function runDatabases({ seed, runs }: Arguments): Promise<number> {
  await loadStorage()
  const tally = newDatabaseTally()
  const show = (n: number) =>
    console.log(
      `seeds ${seed}…${n}: ${Object.entries(tally)
        .map(([kind, count]) => `${count} ${kind}`)
        .join(', ')}`,
    )
  let shown = performance.now()
  let stop = false
  process.once('SIGINT', () => {
    stop = true
  })
  for (let n = seed; n < seed + runs && !stop; n++) {
    try {
      await simulateDatabase(n, tally)
    } catch (error) {
      console.error(error instanceof Error ? error.stack : error)
      console.error(`\nnpm run sim -- --database --seed ${n} --runs 1`)
      return 1
    }
    if (performance.now() - shown < 5000) continue
    shown = performance.now()
    show(n)
  }
  console.log(stop ? 'interrupted' : 'no failure')
  show(seed + tally.runs - 1)
  return stop ? 130 : 0
}

async function runAll({ seed, runs, faults, keep }: Arguments): Promise<number> {
  const tally = newTally()
  const started = performance.now()
  let shown = started
  let stop = false
  process.once('SIGINT', () => {
    stop = true
  })
  const seconds = () => (performance.now() - started) / 1000
  for (let n = 0; n < runs && !stop; n++) {
    let plan = planOf(seed + n, faults)
    if (keep !== null) plan = { ...plan, operations: plan.operations.filter((_, o) => keep.includes(o)) }
    const problem = await problemOf(plan, tally)
    if (problem !== null) {
      await report(plan, problem, faults, keep === null)
      return 1
    }
    if (performance.now() - shown < 5000) continue
    shown = performance.now()
    console.log(`seeds ${seed}…${seed + n}: ${summary(tally, seconds())}`)
  }
  console.log(
    `${stop ? 'interrupted' : 'no failure'}, seeds ${seed}…${seed + tally.runs - 1}: ${summary(tally, seconds())}`,
  )
  return stop ? 130 : 0
}

async function main(): Promise<number> {
  const args = readArguments()
  if (args === null || typeof args === 'string') {
    console.log(args === null ? HELP : `${args}\n\n${HELP}`)
    return args === null ? 0 : 2
  }
  if (args.database) return runDatabases(args)
  return args.kill > 0 ? killRounds(args.kill, args.seed) : runAll(args)
}

process.exitCode = await main()
