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

/** What may go by either of two names. */
const NAMES = {
  people: ['people', 'persons'],
  teams: ['teams', 'groups'],
  /** A column of teams, which is unique. */
  code: ['code', 'sign'],
  /** A view that another one reads. */
  byCity: ['by city', 'per city'],
  index: ['by name', 'by names'],
} as const
export type Named = keyof typeof NAMES
export type Names = Readonly<Record<Named, string>>

export const firstNames = (): Names => ({
  ...{ people: 'people', teams: 'teams', code: 'code' },
  ...{ byCity: 'by city', index: 'by name' },
})

/** The same with another name for one of them. */
export function renamed(names: Names, what: Named): Names {
  const [one, other] = NAMES[what]
  return { ...names, [what]: names[what] === one ? other : one }
}

/** The name of something among those that are there. */
export const nameIn = (there: readonly string[], what: Named, otherwise: string): string =>
  NAMES[what].find(name => there.includes(name)) ?? otherwise

/** Definitions of a program that knows the first `version` of these columns, and these names. */
export interface Definitions {
  readonly people: TableDef<{ id: bigint; team: number; name: string | null; score: number }>
  readonly teams: TableDef<{ id: number; city: string }>
  readonly views: readonly ReturnType<typeof viewsOf>[number][]
}

function peopleOf(version: number, { people }: Names) {
  const added = Object.fromEntries(ADDED.slice(0, version).map(({ name, column }) => [name, column]))
  return table(
    people,
    { id: u64().primaryKey({ unique: true }), team: u32(), name: string().nullable(), score: f64(), ...added },
    { constraints: { score: { check: p => p.score > -60 } } },
  )
}

const teamsOf = ({ teams, code }: Names) =>
  table(
    teams,
    { id: u32().primaryKey({ unique: true }), city: string(), [code as 'code']: string().nullable() },
    { constraints: { codes: { unique: [code as 'code'] } } },
  )

function viewsOf(people: ReturnType<typeof peopleOf>, teams: ReturnType<typeof teamsOf>, names: Names) {
  const byCity = view(names.byCity, q =>
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

const made = new Map<string, unknown>()

/** The same object every time: a table is known by one definition. */
function once<T>(key: readonly unknown[], make: () => T): T {
  const name = text(key)
  if (!made.has(name)) made.set(name, make())
  return made.get(name) as T
}

export function definitionsOf(version: number, names: Names): Definitions {
  const people = once(['people', version, names.people], () => peopleOf(version, names))
  const teams = once(['teams', names.teams, names.code], () => teamsOf(names))
  const views = once([version, names], () => viewsOf(people, teams, names))
  return { people: people as never, teams: teams as never, views }
}

/** Places of views; the first is read by the second. */
export const [BY_CITY, CITIES, TOPS] = [0, 1, 2]

export type Row = Readonly<Record<string, unknown>>
export interface Change {
  readonly table: 'people' | 'teams'
  readonly row: Row
  readonly weight: bigint
}

/** Net rows by what they are. */
export type State = Map<string, Change>

/**
 * What happened: rows, the next column of `people`, or other names for a table or column. `open`: nobody has been told;
 * `lost`: it was taken back.
 */
export interface Transaction {
  readonly changes: readonly Change[] | 'column' | Names
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

/** How the tables are: how many columns `people` has got, and what they are called. */
export interface Shape {
  readonly version: number
  readonly names: Names
}

/** What transactions lead to. */
export function stateOf(transactions: readonly Transaction[], from: Shape): Shape & { readonly state: State } {
  let state: State = new Map()
  let { version, names } = from
  for (const { changes } of transactions) {
    if (changes === 'column') state = widened(state, version++)
    else if ('people' in changes) names = changes
    else apply(state, changes)
  }
  return { state, version, names }
}

/** The table that a transaction has altered; null if it is one of rows. `before`: the names until then. */
export function alteredBy({ changes }: Transaction, before: Names): Change['table'] | null {
  if (changes === 'column') return 'people'
  if (!('people' in changes)) return null
  return changes.people === before.people ? 'teams' : 'people'
}

/** Are the names of tables and columns the same? */
export const sameTables = (a: Names, b: Names): boolean =>
  (['people', 'teams', 'code'] as const).every(what => a[what] === b[what])

export const keyOf = (state: ReadonlyMap<string, Change>): string =>
  [...state]
    .map(([key, { weight }]) => `${key} ${weight}`)
    .sort()
    .join('\n')

/** Does the state break a constraint? `refers`: people need a team; `differ`: nobody has the name and score of another. */
export function isBroken(state: State, { refers, differ }: { refers: boolean; differ: boolean }): boolean {
  const rows = [...state.values()]
  const ids = { people: new Set<unknown>(), teams: new Set<unknown>() }
  const uniques = new Set<string>()
  for (const { table: name, row, weight } of rows) {
    if (weight !== 1n || ids[name].has(row.id)) return true
    ids[name].add(row.id)
    const unique = name === 'teams' ? [row.code] : [row.name, row.score]
    if ((name === 'teams' || differ) && unique[0] !== null) {
      const key = text(unique)
      if (uniques.has(key)) return true
      uniques.add(key)
    }
    if (name === 'people' && !((row.score as number) > -60)) return true
  }
  return refers && rows.some(({ table: name, row }) => name === 'people' && !ids.teams.has(row.team))
}
