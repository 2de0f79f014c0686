/** The tables and the live views of the demo. */
import { avg, count, fn, i32, max, min, string, sum, table, timestamp, u32, u64, view } from '../src/index.js'

const flight = () => ({
  id: u64().primaryKey(),
  at: timestamp(),
  delay: i32(),
  distance: i32(),
  origin: string(),
  destination: string(),
})

export const flights = table('flights', flight())

/** Flights that were retracted and are to come back. */
export const withdrawn = table('withdrawn', flight())

/** One row: how far the demo has come (see `journal.ts`). */
export const progress = table('progress', {
  id: u32().primaryKey(),
  rows: i32(),
  round: i32(),
  step: i32(),
  done: i32(),
})

export const airports = table('airports', {
  iata: string().primaryKey(),
  name: string(),
  city: string(),
  state: string(),
})

/** A filter on its own: every flight more than `limit` minutes late. */
export const veryLate = view('very_late', q =>
  q
    .from(flights)
    .filter((f, { limit }) => f.delay > limit, { limit: 60 })
    .map(f => ({ id: f.id, at: f.at, origin: f.origin, destination: f.destination, delay: f.delay })),
)

export const byOrigin = view('delays_by_origin', q =>
  q
    .from(flights)
    .groupBy(f => ({ origin: f.origin }))
    .aggregate({ flights: count(), total: sum(f => f.delay), mean: avg(f => f.delay) }),
)

export const byHour = view('delays_by_hour', q =>
  q
    .from(flights)
    .groupBy((f, { hour }) => ({ hour: hour(f.at) }), { hour: fn.hour })
    .aggregate({ flights: count(), mean: avg(f => f.delay) }),
)

export const byRoute = view('delays_by_route', q =>
  q
    .from(flights)
    .groupBy(f => ({ origin: f.origin, destination: f.destination }))
    .aggregate({ flights: count(), best: min(f => f.delay), worst: max(f => f.delay), mean: avg(f => f.delay) }),
)

export const byState = view('delays_by_state', q =>
  q
    .from(flights)
    .join(
      airports,
      (f, a) => f.origin === a.iata,
      (f, a) => ({ state: a.state, delay: f.delay, distance: f.distance }),
    )
    .groupBy(r => ({ state: r.state }))
    .aggregate({ flights: count(), miles: sum(r => r.distance), mean: avg(r => r.delay) }),
)

export const routes = view('routes', q =>
  q
    .from(flights)
    .map(f => ({ origin: f.origin, destination: f.destination }))
    .distinct(),
)

/** A view over two views: what part of an airport's flights left very late. */
export const lateShare = view('late_share', q => {
  const late = q
    .from(veryLate)
    .groupBy(f => ({ origin: f.origin }))
    .aggregate({ late: count() })
  return q.from(byOrigin).join(
    late,
    (all, l) => all.origin === l.origin,
    (all, l) => ({
      origin: all.origin,
      flights: all.flights,
      late: l.late,
      percent: (100 * Number(l.late)) / Number(all.flights),
    }),
  )
})

/** The ten longest delays, of a view. */
export const longest = view('longest_delays', q =>
  q.from(veryLate).top(10, { by: f => f.delay, desc: true }, { by: f => f.id }),
)
