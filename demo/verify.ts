/**
 * Every view of the demo once more, recomputed from the raw columns with loops and Maps that know nothing of gnitz,
 * and compared row by row.
 */
import type { Airport, Flights } from './flights.js'

type Row = Readonly<Record<string, unknown>>

/** What a view should hold: rows by the text of their key columns. */
export interface Expected {
  readonly key: readonly string[]
  readonly rows: Map<string, Row>
}

/** The flights that count: those of the file whose mark is not 0. */
export interface Present {
  readonly flights: Flights
  readonly marks: Uint8Array
}

/** Recomputation of each view, by its name. */
export const RECOMPUTE: Readonly<Record<string, (data: Present, airports: readonly Airport[]) => Expected>> = {
  very_late: data => veryLate(data),
  delays_by_origin: data =>
    grouped(
      data,
      ['origin'],
      ({ origin }, i) => [origin[i]],
      ({ n, total }) => ({
        flights: BigInt(n),
        total,
        mean: total / n,
      }),
    ),
  delays_by_hour: data =>
    grouped(
      data,
      ['hour'],
      ({ at }, i) => [Number(at[i] / 3_600_000_000n) % 24],
      ({ n, total }) => ({
        flights: BigInt(n),
        mean: total / n,
      }),
    ),
  delays_by_route: data =>
    grouped(
      data,
      ['origin', 'destination'],
      ({ origin, destination }, i) => [origin[i], destination[i]],
      group => ({
        flights: BigInt(group.n),
        best: group.least,
        worst: group.most,
        mean: group.total / group.n,
      }),
    ),
  delays_by_state: (data, airports) => {
    const states = new Map(airports.map(airport => [airport.iata, airport.state]))
    return grouped(
      data,
      ['state'],
      ({ origin }, i) => [states.get(origin[i])],
      ({ n, total, miles }) => ({
        flights: BigInt(n),
        miles,
        mean: total / n,
      }),
    )
  },
  routes: data =>
    grouped(
      data,
      ['origin', 'destination'],
      ({ origin, destination }, i) => [origin[i], destination[i]],
      () => ({}),
    ),
  late_share: data => lateShare(data),
  longest_delays: data => longestDelays(data),
}

interface Group {
  readonly key: readonly unknown[]
  n: number
  total: number
  miles: number
  least: number
  most: number
}

/** Groups the present flights by `keyOf`, whose values have the names `key`; an undefined value drops the flight. */
function grouped(
  { flights, marks }: Present,
  key: readonly string[],
  keyOf: (flights: Flights, i: number) => readonly unknown[],
  result: (group: Group) => Row,
): Expected {
  const groups = new Map<string, Group>()
  for (let i = 0; i < flights.rowCount; i++) {
    if (marks[i] === 0) continue
    const values = keyOf(flights, i)
    if (values.includes(undefined)) continue
    const text = values.join('|')
    let group = groups.get(text)
    if (group === undefined) {
      group = { key: values, n: 0, total: 0, miles: 0, least: Infinity, most: -Infinity }
      groups.set(text, group)
    }
    const delay = flights.delay[i]
    group.n++
    group.total += delay
    group.miles += flights.distance[i]
    group.least = Math.min(group.least, delay)
    group.most = Math.max(group.most, delay)
  }
  const rows = new Map<string, Row>()
  for (const [text, group] of groups) {
    const keyColumns = Object.fromEntries(key.map((name, c) => [name, group.key[c]]))
    rows.set(text, { ...keyColumns, ...result(group) })
  }
  return { key, rows }
}

function lateRow(flights: Flights, i: number) {
  return {
    id: flights.id[i],
    at: flights.at[i],
    origin: flights.origin[i],
    destination: flights.destination[i],
    delay: flights.delay[i],
  }
}

function veryLate({ flights, marks }: Present): Expected {
  const rows = new Map<string, Row>()
  for (let i = 0; i < flights.rowCount; i++) {
    if (marks[i] !== 0 && flights.delay[i] > 60) rows.set(String(i), lateRow(flights, i))
  }
  return { key: ['id'], rows }
}

function lateShare({ flights, marks }: Present): Expected {
  const counts = new Map<string, { all: number; late: number }>()
  for (let i = 0; i < flights.rowCount; i++) {
    if (marks[i] === 0) continue
    const entry = counts.get(flights.origin[i]) ?? { all: 0, late: 0 }
    entry.all++
    if (flights.delay[i] > 60) entry.late++
    counts.set(flights.origin[i], entry)
  }
  const rows = new Map<string, Row>()
  for (const [origin, { all, late }] of counts) {
    if (late === 0) continue
    rows.set(origin, { origin, flights: BigInt(all), late: BigInt(late), percent: (100 * late) / all })
  }
  return { key: ['origin'], rows }
}

function longestDelays(data: Present): Expected {
  const late = [...veryLate(data).rows.values()] as ReturnType<typeof lateRow>[]
  late.sort((a, b) => b.delay - a.delay || Number(a.id - b.id))
  return { key: ['id'], rows: new Map(late.slice(0, 10).map(row => [String(row.id), row])) }
}

/** The first difference between what a view holds and what it should hold, in words; null when there is none. */
export function difference(actual: Iterable<Row>, { key, rows }: Expected): string | null {
  const keyText = (row: Row) => key.map(name => row[name]).join('|')
  const seen = new Set<string>()
  for (const row of actual) {
    const text = keyText(row)
    const expected = rows.get(text)
    if (expected === undefined) return `row ${text}: expected none, found ${show(row)}`
    if (seen.has(text)) return `row ${text}: expected once, found again`
    seen.add(text)
    for (const column of new Set([...Object.keys(expected), ...Object.keys(row)])) {
      if (Object.is(row[column], expected[column])) continue
      return `row ${text}, column ${column}: expected ${show(expected[column])}, found ${show(row[column])}`
    }
  }
  for (const text of rows.keys()) {
    if (!seen.has(text)) return `row ${text}: expected ${show(rows.get(text))}, found none`
  }
  return null
}

/** JSON, with integers of 64 bits marked by an `n`. */
function show(value: unknown): string {
  return JSON.stringify(value, (_, part) => (typeof part === 'bigint' ? `${part}n` : part)) ?? String(value)
}
