/** What the demo does with a database, from where it stands to the end of a round. */
import { type Demo, livePanels, stateOf } from './database.js'
import { type FlightFile, FlightReader, readAirports } from './flights.js'
import { duration, integer } from './format.js'
import { ALL_RETRACTED, CORRECTIONS } from './journal.js'
import { correct, present, replay, type Timing, type Verdict, verify } from './phases.js'
import { sample } from './random.js'
import type { Progress, Stage } from './stage.js'
import type { Summary } from './summary.js'

const CORRECTED = 10_000
const SEED = 20_010_101

/** `batch`: flights in a transaction of the load. Throws the signal's reason when the demo is to stop. */
export async function run(demo: Demo, file: FlightFile, batch: number, stage: Stage): Promise<Summary> {
  const { journal } = demo
  const { rows, round } = journal.place
  stage.panels = () => livePanels(demo)
  // What an earlier run has left is seen before anything goes on.
  if (!demo.isNew) stage.finish(found(demo))
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

function found({ db, journal, openMs }: Demo): Progress {
  const { rows } = journal.place
  const position = `transaction ${db.lsn}`
  return { phase: 'open', done: journal.doneOf(0, rows), total: rows, position, facts: `in ${duration(openMs)}` }
}
