/** The phases of the demo. Only the time inside gnitz is measured; drawing and recomputing are not. */
import type { Demo } from './database.js'
import { type Airport, type Flights, flightColumns, flightRow, readFlights } from './flights.js'
import { Latencies, minute, rate } from './format.js'
import type { Stage } from './stage.js'
import type { Store } from './store.js'
import { difference, type Present, RECOMPUTE } from './verify.js'
import { flights as table } from './views.js'

export async function read(limit: number, stage: Stage): Promise<Flights> {
  const progress = (done: number, total: number) => {
    return { phase: 'read', done, total, position: 'flights-3m.parquet', facts: '' }
  }
  const flights = await readFlights(limit, (done, total) => stage.step(() => progress(done, total)))
  stage.finish(progress(flights.rowCount, flights.rowCount))
  return flights
}

/** Feeds all flights in the order they left, `batch` of them in a transaction. */
export async function replay(
  { db }: Demo,
  flights: Flights,
  batch: number,
  stage: Stage,
  store: Store | null,
): Promise<Latencies> {
  const latencies = new Latencies()
  const progress = (done: number) => ({
    phase: 'replay',
    done,
    total: flights.rowCount,
    position: minute(flights.at[done - 1]),
    facts: `${rate(done, latencies.totalMs)} · ${latencies.summary()} per batch`,
  })
  for (let start = 0; start < flights.rowCount; start += batch) {
    const end = Math.min(start + batch, flights.rowCount)
    const columns = flightColumns(flights, start, end)
    latencies.measure(() => db.ingest(table, { columns }))
    await store?.addFlights(flights, start, end)
    await stage.step(() => progress(end))
  }
  stage.finish(progress(flights.rowCount))
  return latencies
}

/** Retracts or re-inserts the flights `chosen`, `batch` of them in a transaction. */
export async function correct(
  { db }: Demo,
  flights: Flights,
  chosen: readonly number[],
  change: { kind: 'retract' | 're-insert'; batch: number },
  stage: Stage,
  store: Store | null,
): Promise<Latencies> {
  const latencies = new Latencies()
  const progress = (done: number) => ({
    phase: change.kind,
    done,
    total: chosen.length,
    position: change.batch === 1 ? 'one at a time' : `${change.batch} at a time`,
    facts: latencies.summary({ max: true }),
  })
  for (let start = 0; start < chosen.length; start += change.batch) {
    const part = chosen.slice(start, start + change.batch)
    const rows = part.map(i => flightRow(flights, i))
    latencies.measure(() => (change.kind === 'retract' ? db.delete(table, rows) : db.insert(table, rows)))
    await store?.correctFlights(flights, part, change.kind === 'retract' ? -1n : 1n)
    await stage.step(() => progress(Math.min(start + change.batch, chosen.length)))
  }
  stage.finish(progress(chosen.length))
  return latencies
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
