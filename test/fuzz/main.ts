/**
 * Long random runs of the laws, outside the tests: `npm run fuzz -- --seed 1 --cases 10000`.
 *
 * Cases go in rounds of 100, round n with seed + n, so that a failure names the one round to repeat. Round sizes of
 * data vary: every tenth round has large transactions, which reach the sorted-run merging that small ones never see.
 */
import { parseArgs } from 'node:util'
import {
  type Case,
  type CircuitsOptions,
  checkCircuits,
  checkRecursion,
  OPERATOR_KINDS,
  type OperatorKind,
} from '../../src/testing/index.js'
import { KindCounts } from './kinds.js'

const HELP = `npm run fuzz -- [options]
  --seed N          first seed, default: from the clock
  --cases N         how many cases, default 1000
  --minutes N       begin no round after so many minutes
  --kinds a,b,c     only these operators: ${OPERATOR_KINDS.join(' ')}
  --mode M          compiled (default) or generic
  --large           only large transactions
  --waterlines      tables with waterlines, state cut off after every transaction, now of these operators and now of those
  --recursion       recursive programs over graphs, edges coming and going in separate transactions

Ctrl-C ends it after the round under way; a second time, at once. The last line says in how many cases each kind of operator stood, the rarest first. A case counts once for a kind,
however often it has it, and all laws are run on each case.`

const ROUND = 100

interface Arguments {
  readonly seed: number
  readonly cases: number
  readonly minutes: number
  readonly kinds: readonly OperatorKind[]
  readonly mode: 'compiled' | 'generic'
  readonly large: boolean
  readonly recursion: boolean
  readonly waterlines: boolean
}

function readArguments(): Arguments | null {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string', default: String(Date.now() % 1_000_000) },
      cases: { type: 'string', default: '1000' },
      minutes: { type: 'string', default: 'Infinity' },
      kinds: { type: 'string', default: OPERATOR_KINDS.join() },
      mode: { type: 'string', default: 'compiled' },
      large: { type: 'boolean', default: false },
      recursion: { type: 'boolean', default: false },
      waterlines: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  const kinds = OPERATOR_KINDS.filter(kind => values.kinds.split(',').includes(kind))
  const [seed, cases, minutes] = [values.seed, values.cases, values.minutes].map(Number)
  const { mode, large, recursion, waterlines } = values
  const valid =
    Number.isSafeInteger(seed) && Number.isSafeInteger(cases) && cases > 0 && minutes > 0 && kinds.length > 0
  if (values.help || !valid || (mode !== 'compiled' && mode !== 'generic')) return null
  return { seed, cases, minutes, kinds, mode, large, recursion, waterlines }
}

function optionsOf(
  round: number,
  { seed, cases, kinds, mode, large, recursion, waterlines }: Arguments,
): CircuitsOptions {
  if (recursion) return { runs: Math.min(ROUND, cases), seed: seed + round, kinds, open: { mode } }
  const isLarge = large || round % 10 === 9
  const runs = Math.min(isLarge ? ROUND / 10 : ROUND, cases)
  const size = isLarge ? { maxRows: 400, maxChanges: 1500, maxSteps: 4, maxDepth: 2 } : {}
  return { runs, seed: seed + round, kinds, open: { mode }, waterlines, ...size }
}

async function main(): Promise<number> {
  const args = readArguments()
  if (args === null) {
    console.log(HELP)
    return 2
  }
  const kinds = new KindCounts()
  const status = await run(args, kinds)
  console.log(`cases with each operator: ${kinds}`)
  return status
}

async function run(args: Arguments, kinds: KindCounts): Promise<number> {
  let interrupted = false
  process.once('SIGINT', () => {
    interrupted = true
    console.log('stopped')
  })
  const started = performance.now()
  let done = 0
  let seconds = 0
  const onCase = (test: Case): void => {
    done++
    kinds.add(test)
  }
  for (let round = 0; !interrupted && done < args.cases && seconds < args.minutes * 60; round++) {
    try {
      const check = args.recursion ? checkRecursion : checkCircuits
      check({ ...optionsOf(round, args), onCase })
    } catch (problem) {
      console.error(`\nround with seed ${args.seed + round} failed\n\n${(problem as Error).message}`)
      return 1
    }
    seconds = (performance.now() - started) / 1000
    console.log(`${done} cases, seeds ${args.seed}…${args.seed + round}, ${(done / seconds).toFixed(1)} cases/s`)
    // Signals have their turn.
    await new Promise(resolve => setImmediate(resolve))
  }
  return interrupted ? 130 : 0
}

process.exitCode = await main()
