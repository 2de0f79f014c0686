/** The database of the demo, its views, and the tables on the screen. */
import { type Database, open } from '../src/index.js'
import { UsageError } from '../src/storage/index.js'
import { mustBeOurs } from './directory.js'
import { readAirports } from './flights.js'
import { duration, integer, Latencies, minute } from './format.js'
import { CORRECTIONS, Journal } from './journal.js'
import type { Panel } from './layout.js'
import {
  airports,
  byHour,
  byOrigin,
  byRoute,
  byState,
  flights,
  lateShare,
  longest,
  progress,
  routes,
  veryLate,
  withdrawn,
} from './views.js'

export interface DemoOptions {
  /** Where the database lies; null: in memory. */
  readonly directory: string | null
  /** How many flights it is to be for; null: as many as it was, or all. */
  readonly rows: number | null
}

export type Demo = Awaited<ReturnType<typeof openDemo>>

/** A short log: what was killed replays no more than that. */
const WAL_BYTES = '16MiB'

/**
 * Opens the database with all views: as it was left, or new with the airports in it. Throws UsageError if the directory
 * holds something else, or a demo of another number of flights, and what `open` throws.
 */
export async function openDemo({ directory, rows }: DemoOptions, allRows: number) {
  if (directory !== null) mustBeOurs(directory)
  const start = performance.now()
  const db = directory === null ? open() : await open(directory, { walBytes: WAL_BYTES })
  try {
    if (directory !== null) mustBeDemo(db, directory)
    const compiled = new Latencies()
    db.createTable(flights)
    db.createTable(withdrawn)
    db.createTable(airports)
    db.createTable(progress)
    const views = createViews(db, compiled)
    const found = Journal.read(db)
    const openMs = performance.now() - start
    if (found !== null && rows !== null && rows !== found.place.rows) {
      const [expected, wanted] = [integer(found.place.rows), integer(rows)]
      throw new UsageError(
        `${directory} holds a demo of ${expected} flights: expected --rows ${expected}, found ${wanted}`,
      )
    }
    const journal = found ?? (await begin(db, Math.min(rows ?? allRows, allRows)))
    return { db, views, compiled, journal, directory, openMs, isNew: found === null }
  } catch (error) {
    await db.close()
    throw error
  }
}

function mustBeDemo(db: Database, directory: string): void {
  const names = db.tables.map(table => table.name)
  if (names.length === 0 || names.includes(progress.schema.name)) return
  throw new UsageError(`${directory}: expected a database of the demo, found one with the tables ${names.join(', ')}`)
}

function createViews(db: Database, compiled: Latencies) {
  return {
    veryLate: compiled.measure(() => db.createView(veryLate)),
    byOrigin: compiled.measure(() => db.createView(byOrigin)),
    byHour: compiled.measure(() => db.createView(byHour)),
    byRoute: compiled.measure(() => db.createView(byRoute)),
    byState: compiled.measure(() => db.createView(byState)),
    routes: compiled.measure(() => db.createView(routes)),
    lateShare: compiled.measure(() => db.createView(lateShare)),
    longest: compiled.measure(() => db.createView(longest)),
  }
}

/** The first transaction: the airports, and that no flight is there yet. */
async function begin(db: Database, rows: number): Promise<Journal> {
  const journal = new Journal({ rows, round: 0, step: 0, done: 0 })
  const rowsOfAirports = await readAirports()
  await db.transact(tx => {
    tx.insert(airports, rowsOfAirports)
    journal.move(tx, {})
  })
  return journal
}

/** Where a database that was there before stands, in words. */
export function whereItStands({ db, journal, openMs, directory }: Demo): string {
  const { rows, round, step, done } = journal.place
  const correction = CORRECTIONS[step - 1]
  const place =
    correction === undefined
      ? `${integer(done)} of ${integer(rows)} flights are loaded`
      : `${integer(rows)} flights are loaded, round ${round + 1} of corrections: ${correction.kind} ${integer(correction.batch)} at a time, ${integer(done)} done`
  return `Going on in ${directory}: ${place} (transaction ${db.lsn}, opened in ${duration(openMs)}).`
}

/** Rows and bytes of all state. Operators that several views share count once. */
export function stateOf({ views }: Demo): { rows: number; bytes: number } {
  const operators = Object.values(views).flatMap(view => view.stats().operators)
  const distinct = [...new Map(operators.map(operator => [operator.id, operator])).values()]
  return {
    rows: distinct.reduce((sum, operator) => sum + operator.stateRows, 0),
    bytes: distinct.reduce((sum, operator) => sum + operator.stateBytes, 0),
  }
}

const PANEL_ROWS = 6
/** An airport or route with fewer flights than this is not worth a place in a ranking. */
const ENOUGH_FLIGHTS = 100n

/** The tables of the moment, read from the views. */
export function livePanels({ views }: Demo): Panel[] {
  const minutes = (value: number) => value.toFixed(1)
  const often = <R extends { flights: bigint }>(rows: readonly R[]) => rows.filter(r => r.flights >= ENOUGH_FLIGHTS)
  const worst = <R extends { mean: number }>(rows: readonly R[]) =>
    [...rows].sort((a, b) => b.mean - a.mean).slice(0, PANEL_ROWS)
  return [
    panel(
      'delay by origin',
      ['<origin', '>flights', '>mean min'],
      worst(often(views.byOrigin.rows())).map(r => [r.origin, integer(r.flights), minutes(r.mean)]),
    ),
    panel(
      'delay by hour',
      ['>hour', '>flights', '>mean min'],
      worst(often(views.byHour.rows())).map(r => [`${r.hour}:00`, integer(r.flights), minutes(r.mean)]),
    ),
    panel(
      'worst routes',
      ['<route', '>flights', '>best', '>worst', '>mean min'],
      worst(often(views.byRoute.rows())).map(r => [
        `${r.origin} ${r.destination}`,
        integer(r.flights),
        String(r.best),
        String(r.worst),
        minutes(r.mean),
      ]),
    ),
    panel(
      'delay by state (join)',
      ['<state', '>flights', '>miles', '>mean min'],
      worst(often(views.byState.rows())).map(r => [r.state, integer(r.flights), integer(r.miles), minutes(r.mean)]),
    ),
    panel(
      'over an hour late (view of views)',
      ['<origin', '>late', '>%'],
      [...often(views.lateShare.rows())]
        .sort((a, b) => b.percent - a.percent)
        .slice(0, PANEL_ROWS)
        .map(r => [r.origin, integer(r.late), r.percent.toFixed(2)]),
    ),
    panel(
      'longest delays (top of a view)',
      ['<departure', '<route', '>minutes'],
      [...views.longest.rows()]
        .sort((a, b) => b.delay - a.delay)
        .slice(0, PANEL_ROWS)
        .map(r => [minute(r.at), `${r.origin} ${r.destination}`, String(r.delay)]),
    ),
    panel(
      'counts',
      ['<view', '>rows'],
      [
        ['very late flights', integer(views.lateShare.rows().reduce((sum, r) => sum + r.late, 0n))],
        ['distinct routes', integer(views.routes.size)],
      ],
    ),
  ]
}

/** A panel; '<name' and '>name' are columns that stand on the left and right. */
function panel(title: string, columns: readonly string[], rows: readonly (readonly string[])[]): Panel {
  return {
    title,
    columns: columns.map(column => ({ name: column.slice(1), align: column.startsWith('>') ? 'right' : 'left' })),
    rows,
  }
}
