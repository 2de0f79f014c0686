/** `npm start`: three million flights through live views, then corrections, then proof. */
import { GnitzError } from '../src/index.js'
import { CorruptionError, FormatError, LockedError } from '../src/storage/index.js'
import { type Demo, livePanels, openDemo, stateOf, whereItStands } from './database.js'
import { startOver } from './directory.js'
import { type FlightFile, FlightReader, openFlights, readAirports } from './flights.js'
import { integer } from './format.js'
import { ALL_RETRACTED, CORRECTIONS } from './journal.js'
import { type Options, parseOptions, USAGE } from './options.js'
import { correct, present, replay, type Timing, type Verdict, verify } from './phases.js'
import { sample } from './random.js'
import { LiveScreen, PlainScreen } from './screen.js'
import { Stage } from './stage.js'
import { allAgree, renderSummary, type Summary } from './summary.js'

const CORRECTED = 10_000
const SEED = 20_010_101

/** Goes on from where the database stands to the end of a round. */
async function run(demo: Demo, file: FlightFile, batch: number, stage: Stage): Promise<Summary> {
  const { journal } = demo
  const { rows, round } = journal.place
  stage.panels = () => livePanels(demo)
  const airports = await readAirports()
  const source = new FlightReader(file, rows)
  const replayed = await replay(demo, source, batch, stage)

  const chosen = sample(Math.min(CORRECTED, rows), rows, SEED + round)
  const corrections: { name: string; timing: Timing }[] = []
  const step = async (n: number) => {
    const { kind, batch } = CORRECTIONS[n]
    const timing = await correct(demo, chosen, n, stage)
    corrections.push({ name: `${kind} ${integer(timing.rows)}, ${integer(batch)} at a time`, timing })
    return timing
  }
  const judge = async (n: number) => verify(demo, await present(source, chosen, n, stage), airports, stage)
  for (let n = 0; n <= ALL_RETRACTED; n++) await step(n)
  const last = ALL_RETRACTED + 1
  const isBegun = journal.doneOf(last + 1, chosen.length) > 0
  const without: Verdict[] | null = isBegun ? null : await judge(ALL_RETRACTED)
  await step(last)
  const final = await judge(last)

  const state = stateOf(demo)
  await demo.db.transact(tx => journal.move(tx, { round: round + 1, step: 1, done: 0 }))
  return {
    state,
    rowCount: rows,
    batch,
    compiled: demo.compiled,
    directory: demo.directory,
    replayed,
    corrected: chosen.length,
    corrections,
    verdicts: { without, final },
  }
}

/** Reads the arguments, opens the database, runs the demo; returns the exit code. */
async function main(args: readonly string[]): Promise<number> {
  let options: Options
  try {
    options = parseOptions(args)
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\n\n${USAGE}`)
    return 2
  }
  if (options.help) {
    console.log(USAGE)
    return 0
  }
  const file = await openFlights()
  let demo: Demo
  try {
    if (options.fresh && options.directory !== null) startOver(options.directory)
    demo = await openDemo(options, file.rowCount)
  } catch (error) {
    if (!(error instanceof GnitzError)) throw error
    console.error(`${error.message}\n${adviceOn(error)}`)
    return 1
  }
  if (!demo.isNew) console.log(whereItStands(demo))
  try {
    return await show(demo, file, options)
  } finally {
    await demo.db.close()
  }
}

/** What can be done about a directory that cannot be used. */
function adviceOn(error: GnitzError): string {
  if (error instanceof LockedError) return 'End that process, or choose another directory with --data DIR.'
  if (error instanceof CorruptionError || error instanceof FormatError) {
    return 'npx gnitz verify says more; --fresh starts over, --data DIR chooses another directory.'
  }
  return '--fresh starts over, --data DIR chooses another directory.'
}

/** Runs the demo on the screen until its end or Ctrl-C; returns the exit code. */
async function show(demo: Demo, file: FlightFile, options: Options): Promise<number> {
  const stop = new AbortController()
  const live = process.stdout.isTTY === true && !options.plain
  const screen = live ? new LiveScreen(process.stdout) : new PlainScreen(process.stdout)
  // A second Ctrl-C does not wait for the step at hand.
  const interrupt = () => (stop.signal.aborted ? process.exit(130) : stop.abort())
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, interrupt)
  process.on('exit', () => screen.close())
  try {
    const stage = new Stage('gnitz · US flights of 2001 through live views', screen, stop.signal)
    const summary = await run(demo, file, options.batch, stage)
    screen.close()
    console.log(renderSummary(summary))
    return allAgree(summary) ? 0 : 1
  } catch (error) {
    screen.close()
    if (!stop.signal.aborted) throw error
    console.log(
      demo.directory === null ? 'Stopped.' : `Stopped. What is in ${demo.directory} is kept: npm start goes on.`,
    )
    return 130
  }
}

process.exitCode = await main(process.argv.slice(2))
