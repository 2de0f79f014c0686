/** The phases of the demo. Only the time inside gnitz is measured; drawing and recomputing are not. */
import type { Demo } from './database.js'
import { type Airport, type FlightReader, flightColumns } from './flights.js'
import { Latencies, minute, rate } from './format.js'
import { ALL_RETRACTED, CORRECTIONS, Pipeline } from './journal.js'
import type { Stage } from './stage.js'
import { difference, type Present, RECOMPUTE } from './verify.js'
import { flights as flightTable, withdrawn } from './views.js'

/** What a phase took: until every view was current, and until the disk had it. */
export interface Timing {
  /** Flights that this run has put in or corrected. */
  readonly rows: number
  readonly latencies: Latencies
  readonly durable: Latencies
  /** From the first transaction to the last acknowledgement, what is not gnitz's apart. */
  readonly totalMs: number
}

/** Transactions that may wait for the disk at a time. */
const LOADS = 4
const CORRECTIONS_AT_A_TIME = 64

/** Feeds the flights that are missing in the order they left, `batch` of them in a transaction. */
export async function replay(
  { db, journal }: Demo,
  source: FlightReader,
  batch: number,
  stage: Stage,
): Promise<Timing> {
  const flights = source.columns
  const { rowCount } = flights
  const first = journal.doneOf(0, rowCount)
  const latencies = new Latencies()
  const pipeline = new Pipeline(LOADS, first)
  let totalMs = 0
  const progress = () => ({
    phase: 'replay',
    done: pipeline.acknowledged,
    total: rowCount,
    position: minute(flights.at[Math.max(0, pipeline.acknowledged - 1)]),
    facts: `${rate(pipeline.acknowledged - first, totalMs)} · ${latencies.summary()} per batch`,
  })
  for (let start = first; start < rowCount; start += batch) {
    const end = Math.min(start + batch, rowCount)
    await source.need(start, end)
    const columns = flightColumns(flights, start, end)
    const began = performance.now()
    const commit = latencies.measure(() =>
      db.transact(tx => {
        tx.ingest(flightTable, { columns })
        journal.move(tx, { step: 0, done: end })
      }),
    )
    await pipeline.add(commit, end)
    totalMs += performance.now() - began
    await stage.step(progress)
  }
  const began = performance.now()
  await pipeline.drain()
  totalMs += performance.now() - began
  if (first < rowCount) stage.finish(progress())
  return { rows: rowCount - first, latencies, durable: pipeline.latencies, totalMs }
}

/** Does the nth of `CORRECTIONS` to those of the flights `chosen` that it has not been done to. */
export async function correct(
  { db, journal }: Demo,
  chosen: readonly number[],
  n: number,
  stage: Stage,
): Promise<Timing> {
  const step = n + 1
  const { kind, batch } = CORRECTIONS[n]
  const first = journal.doneOf(step, chosen.length)
  const [from, to] = kind === 'retract' ? [flightTable, withdrawn] : [withdrawn, flightTable]
  const source = db.table(from)
  const latencies = new Latencies()
  const pipeline = new Pipeline(CORRECTIONS_AT_A_TIME, first)
  const progress = () => ({
    phase: kind,
    done: pipeline.acknowledged,
    total: chosen.length,
    position: batch === 1 ? 'one at a time' : `${batch} at a time`,
    facts: latencies.summary({ max: true }),
  })
  const began = performance.now()
  for (let start = first; start < chosen.length; start += batch) {
    const end = Math.min(start + batch, chosen.length)
    const rows = chosen.slice(start, end).map(id => {
      const row = source.get(BigInt(id))
      if (row === undefined) throw new Error(`flight ${id}: expected in ${from.schema.name}, found nowhere`)
      return row
    })
    const commit = latencies.measure(() =>
      db.transact(tx => {
        tx.delete(from, rows)
        tx.insert(to, rows)
        journal.move(tx, { step, done: end })
      }),
    )
    await pipeline.add(commit, end)
    await stage.step(progress)
  }
  await pipeline.drain()
  if (first < chosen.length) stage.finish(progress())
  return { rows: chosen.length - first, latencies, durable: pipeline.latencies, totalMs: performance.now() - began }
}

/** What of the file is there after the nth of `CORRECTIONS`; the rest of it is read now. */
export async function present(
  source: FlightReader,
  chosen: readonly number[],
  n: number,
  stage: Stage,
): Promise<Present> {
  const { columns: flights } = source
  const progress = (done: number) => {
    return { phase: 'read', done, total: flights.rowCount, position: 'flights-3m.parquet', facts: '' }
  }
  await source.need(0, flights.rowCount, end => stage.step(() => progress(end)))
  const marks = new Uint8Array(flights.rowCount).fill(1)
  if (n === ALL_RETRACTED) for (const i of chosen) marks[i] = 0
  return { flights, marks }
}

/** What came of comparing one view with its recomputation. */
export interface Verdict {
  readonly view: string
  readonly rowCount: number
  /** The first difference, or null. */
  readonly problem: string | null
}

/** Recomputes and compares every view. */
export async function verify(
  { views }: Demo,
  present: Present,
  airports: readonly Airport[],
  stage: Stage,
): Promise<Verdict[]> {
  const verdicts: Verdict[] = []
  const handles = Object.values(views)
  const progress = (position: string) => {
    const agreed = verdicts.filter(verdict => verdict.problem === null).length
    return { phase: 'verify', done: verdicts.length, total: handles.length, position, facts: `${agreed} views agree` }
  }
  for (const handle of handles) {
    await stage.step(() => progress(handle.name))
    const expected = RECOMPUTE[handle.name](present, airports)
    const rows = handle.rows()
    verdicts.push({ view: handle.name, rowCount: rows.length, problem: difference(rows, expected) })
  }
  stage.finish(progress('against a recomputation from the raw columns'))
  return verdicts
}
