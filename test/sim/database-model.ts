/** What simulated databases consist of, by version of the table `people`, and what they must hold: rows in a Map. */
import type { TableDef } from '../../src/circuit/columns.js'
import { count, f64, i64, max, min, string, sum, table, u32, u64, view } from '../../src/index.js'

/** Columns that `people` gets, one after the other, and what rows hold that were there before. */
export const ADDED = [
  { name: 'note', column: string().nullable(), value: null },
  { name: 'size', column: i64().default(7n), value: 7n },
  {
    name: 'about',
    column: string().default('a default that is too long for a cell'),
    value: 'a default that is too long for a cell',
  },
  { name: 'rate', column: f64().nullable().default(0.5), value: 0.5 },
] as const

export const teams = table('teams', { id: u32().primaryKey({ unique: true }), city: string() })

/** Definitions of a program that knows the first `version` of these columns. */
export interface Definitions {
  readonly people: TableDef<{ id: bigint; team: number; name: string | null; score: number }>
  readonly views: readonly ReturnType<typeof viewsOf>[number][]
}

function peopleOf(version: number) {
  const added = Object.fromEntries(ADDED.slice(0, version).map(({ name, column }) => [name, column]))
  return table(
    'people',
    { id: u64().primaryKey({ unique: true }), team: u32(), name: string().nullable(), score: f64(), ...added },
    { constraints: { score: { check: p => p.score > -60 } } },
  )
}

function viewsOf(people: ReturnType<typeof peopleOf>) {
  const byCity = view('by city', q =>
    q
      .from(people)
      .join(
        teams,
        (p, t) => p.team === t.id,
        (p, t) => ({ city: t.city, score: p.score, name: p.name }),
      )
      .groupBy(r => ({ city: r.city }))
      .aggregate({ people: count(), score: sum(r => r.score), best: max(r => r.score), first: min(r => r.name) }),
  )
  return [
    byCity,
    view('cities', q => q.from(byCity).aggregate({ cities: count(), people: sum(r => r.people) })),
    view('tops', q =>
      q
        .from(people)
        .groupBy(p => ({ team: p.team }))
        .top(2, { by: p => p.score }),
    ),
    view('names', q =>
      q
        .from(people)
        .filter(p => p.name !== null)
        .map(p => ({ name: p.name, team: p.team }))
        .distinct(),
    ),
    view('idle', q => q.from(teams).antiJoin(people, (t, p) => t.id === p.team)),
  ]
}

const made = new Map<number, Definitions>()

/** The same objects every time: a table is known by one definition. */
export function definitionsOf(version: number): Definitions {
  const people = peopleOf(version)
  const definitions = made.get(version) ?? { people: people as never, views: viewsOf(people) }
  made.set(version, definitions)
  return definitions
}

export const VIEW_NAMES = definitionsOf(0).views.map(v => v.schema.name)
/** The first of these is read by the second. */
export const [BY_CITY, CITIES] = VIEW_NAMES

export type Row = Readonly<Record<string, unknown>>
export interface Change {
  readonly table: 'people' | 'teams'
  readonly row: Row
  readonly weight: bigint
}

/** Net rows by what they are. */
export type State = Map<string, Change>

/** What happened: rows, or the next column of `people`. `open`: nobody has been told; `lost`: it was taken back. */
export interface Transaction {
  readonly changes: readonly Change[] | 'column'
  lsn: bigint
  state: 'open' | 'acknowledged' | 'lost'
}

export const text = (value: unknown): string =>
  JSON.stringify(value, (_, v: unknown) => (typeof v === 'bigint' ? `${v}n` : v))

export function apply(state: State, changes: readonly Change[]): void {
  for (const change of changes) {
    const key = `${change.table} ${text(canonical(change.row))}`
    const weight = (state.get(key)?.weight ?? 0n) + change.weight
    if (weight === 0n) state.delete(key)
    else state.set(key, { ...change, weight })
  }
}

/** Columns in the order of their names. */
const canonical = (row: Row): unknown => Object.entries(row).sort(([a], [b]) => (a < b ? -1 : 1))

/** The rows when `people` has got column `version`. */
export function widened(state: State, version: number): State {
  const { name, value } = ADDED[version]
  const wide: State = new Map()
  apply(
    wide,
    [...state.values()].map(c => (c.table === 'people' ? { ...c, row: { ...c.row, [name]: value } } : c)),
  )
  return wide
}

/** What transactions lead to, and how many columns `people` has then. */
export function stateOf(transactions: readonly Transaction[], from: number): { state: State; version: number } {
  let state: State = new Map()
  let version = from
  for (const { changes } of transactions) {
    if (changes === 'column') state = widened(state, version++)
    else apply(state, changes)
  }
  return { state, version }
}

export const keyOf = (state: ReadonlyMap<string, Change>): string =>
  [...state]
    .map(([key, { weight }]) => `${key} ${weight}`)
    .sort()
    .join('\n')

/** Does the state break a constraint? `refers`: people need a team. */
export function isBroken(state: State, refers: boolean): boolean {
  const rows = [...state.values()]
  const ids = { people: new Set<unknown>(), teams: new Set<unknown>() }
  for (const { table: name, row, weight } of rows) {
    if (weight !== 1n || ids[name].has(row.id)) return true
    ids[name].add(row.id)
    if (name === 'people' && !((row.score as number) > -60)) return true
  }
  return refers && rows.some(({ table: name, row }) => name === 'people' && !ids.teams.has(row.team))
}
