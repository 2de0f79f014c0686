/** `npm start`: three million flights through live views, then corrections, then proof. */
import { GnitzError } from '../src/index.js'
import { livePanels, openDemo, stateOf } from './database.js'
import { readAirports } from './flights.js'
import { integer } from './format.js'
import { type Options, parseOptions, USAGE } from './options.js'
import { correct, read, replay, verify } from './phases.js'
import { sample } from './random.js'
import { LiveScreen, PlainScreen } from './screen.js'
import { Stage } from './stage.js'
import { Store } from './store.js'
import { allAgree, renderSummary, type Summary } from './summary.js'

const CORRECTED = 10_000
const CORRECTED_BATCH = 1_000
const SEED = 20_010_101

async function run(options: Options, stage: Stage, store: Store | null): Promise<Summary> {
  const airports = await readAirports()
  const flights = await read(options.rows, stage)
  const demo = openDemo(airports)
  await store?.addAirports(airports)
  stage.panels = () => livePanels(demo)
  const replayed = await replay(demo, flights, options.batch, stage, store)

  const chosen = sample(Math.min(CORRECTED, flights.rowCount), flights.rowCount, SEED)
  const corrections: { name: string; latencies: Awaited<ReturnType<typeof correct>> }[] = []
  const change = async (kind: 'retract' | 're-insert', batch: number) => {
    const latencies = await correct(demo, flights, chosen, { kind, batch }, stage, store)
    corrections.push({ name: `${kind} ${integer(chosen.length)}, ${integer(batch)} at a time`, latencies })
  }
  await change('retract', 1)
  await change('re-insert', 1)
  await change('retract', CORRECTED_BATCH)
  const marks = new Uint8Array(flights.rowCount).fill(1)
  for (const i of chosen) marks[i] = 0
  const without = await verify(demo, { flights, marks }, airports, stage)
  await change('re-insert', CORRECTED_BATCH)
  const final = await verify(demo, { flights, marks: marks.fill(1) }, airports, stage)

  const state = stateOf(demo)
  demo.db.close()
  return {
    state,
    rowCount: flights.rowCount,
    batch: options.batch,
    compiled: demo.compiled,
    replayed,
    corrected: chosen.length,
    corrections,
    verdicts: { without, final },
  }
}

/** Reads the arguments, opens the directory if there is one, runs the demo; returns the exit code. */
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
  let store: Store | null
  try {
    store = options.data === null ? null : await Store.open(options.data)
  } catch (error) {
    if (!(error instanceof GnitzError)) throw error
    console.error(error.message)
    return 1
  }
  if (store?.before) console.log(store.before)
  try {
    return await show(options, store)
  } finally {
    if (store !== null) console.log(await store.close())
  }
}

/** Runs the demo on the screen until its end or Ctrl-C; returns the exit code. */
async function show(options: Options, store: Store | null): Promise<number> {
  const stop = new AbortController()
  const live = process.stdout.isTTY === true && !options.plain
  const screen = live ? new LiveScreen(process.stdout) : new PlainScreen(process.stdout)
  // A second Ctrl-C does not wait for the step at hand.
  const interrupt = () => (stop.signal.aborted ? process.exit(130) : stop.abort())
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, interrupt)
  process.on('exit', () => screen.close())
  try {
    const stage = new Stage('gnitz · US flights of 2001 through live views', screen, stop.signal)
    const summary = await run(options, stage, store)
    screen.close()
    console.log(renderSummary(summary))
    return allAgree(summary) ? 0 : 1
  } catch (error) {
    screen.close()
    if (!stop.signal.aborted) throw error
    console.log('Stopped.')
    return 130
  }
}

process.exitCode = await main(process.argv.slice(2))
