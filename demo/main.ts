/** `npm start`: three million flights through live views, then corrections, then proof. */
import { GnitzError } from '../src/index.js'
import { CorruptionError, FormatError, LockedError } from '../src/storage/index.js'
import { type Demo, openDemo, whereItStands } from './database.js'
import { startOver } from './directory.js'
import { type FlightFile, openFlights } from './flights.js'
import { type Options, parseOptions, USAGE } from './options.js'
import { run } from './run.js'
import { LiveScreen, PlainScreen } from './screen.js'
import { Stage } from './stage.js'
import { allAgree, renderSummary } from './summary.js'

const SAME_SIGNAL_MS = 1000

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
  // A second Ctrl-C does not wait for the step at hand. npm hands on a signal that the terminal has sent already: that is one.
  let exitsFrom = Number.POSITIVE_INFINITY
  const interrupt = () => {
    if (performance.now() > exitsFrom) process.exit(130)
    if (stop.signal.aborted) return
    exitsFrom = performance.now() + SAME_SIGNAL_MS
    stop.abort()
  }
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
