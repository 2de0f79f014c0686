/** The database of the demo, its views, and the tables on the screen. */
import { open } from '../src/index.js'
import type { Airport } from './flights.js'
import { integer, Latencies, minute } from './format.js'
import type { Panel } from './layout.js'
import { airports, byHour, byOrigin, byRoute, byState, flights, lateShare, longest, routes, veryLate } from './views.js'

export type Demo = ReturnType<typeof openDemo>

/** Opens an empty database with all views, and the airports in it. */
export function openDemo(airportRows: readonly Airport[]) {
  const db = open()
  const compiled = new Latencies()
  db.createTable(flights)
  db.createTable(airports)
  const views = {
    veryLate: compiled.measure(() => db.createView(veryLate)),
    byOrigin: compiled.measure(() => db.createView(byOrigin)),
    byHour: compiled.measure(() => db.createView(byHour)),
    byRoute: compiled.measure(() => db.createView(byRoute)),
    byState: compiled.measure(() => db.createView(byState)),
    routes: compiled.measure(() => db.createView(routes)),
    lateShare: compiled.measure(() => db.createView(lateShare)),
    longest: compiled.measure(() => db.createView(longest)),
  }
  db.ingest(airports, airportRows)
  return { db, views, compiled }
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
        ['very late flights', integer(views.veryLate.size)],
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
