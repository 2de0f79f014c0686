/**
 * Whole databases in a simulated world: random transactions and definitions, checkpoints, state that moves to shards, full
 * disks, failing writes, kills and power cuts at any operation. After every restart tables must hold what a prefix of the
 * commits left that has every acknowledged one in it, views and indexes must be what the tables make of them, and tables
 * of earlier LSNs what they were.
 */
import { GnitzError } from '../../src/base/errors.js'
import { Prng } from '../../src/base/prng.js'
import type { TableDef } from '../../src/circuit/columns.js'
import type { Commit } from '../../src/engine/commit.js'
import type { Database } from '../../src/engine/database.js'
import { open, openLoaded } from '../../src/engine/open.js'
import type { Entry } from '../../src/engine/relation.js'
import { type FaultRates, NO_FAULTS } from '../../src/env/faults.js'
import { SimulatedEnv } from '../../src/env/simulated.js'
import { count, f64, max, min, string, sum, table, u32, u64, view } from '../../src/index.js'

const people = table('people', { id: u64().primaryKey(), team: u32(), name: string().nullable(), score: f64() })
const teams = table('teams', { id: u32().primaryKey(), city: string() })

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
const VIEWS = [
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

type Row = Readonly<Record<string, unknown>>
interface Change {
  readonly table: 'people' | 'teams'
  readonly row: Row
  readonly weight: bigint
}

/** `open`: nobody has been told; `acknowledged`; `lost`: it was taken back. */
interface Transaction {
  readonly changes: readonly Change[]
  lsn: bigint
  state: 'open' | 'acknowledged' | 'lost'
}

export interface DatabaseTally {
  runs: number
  commits: number
  refused: number
  takenBack: number
  definitions: number
  checkpoints: number
  moves: number
  kills: number
  powerCuts: number
  /** Views found with their state, and made anew, over all restarts. */
  restored: number
  rebuilt: number
  /** Earlier states that were looked at. */
  travels: number
}

export const newDatabaseTally = (): DatabaseTally => ({
  runs: 0,
  commits: 0,
  refused: 0,
  takenBack: 0,
  definitions: 0,
  checkpoints: 0,
  moves: 0,
  kills: 0,
  powerCuts: 0,
  restored: 0,
  rebuilt: 0,
  travels: 0,
})

const DIRECTORY = '/db'
/** Tables have been made by then. */
const MADE = 2n
/** How much of the log is kept. */
const RETAIN = [0, 20_000, 60_000, '64MiB'] as const
const MODES = ['commit', 'commit', 'interval', 'none'] as const

const text = (value: unknown): string => JSON.stringify(value, (_, v: unknown) => (typeof v === 'bigint' ? `${v}n` : v))

/** One run. Throws Error with what is wrong. REQUIRES: `loadStorage` has resolved. */
export async function simulateDatabase(seed: number, tally: DatabaseTally): Promise<void> {
  const world = new World(seed, tally)
  await world.run()
  tally.runs++
}

class World {
  private readonly prng: Prng
  private readonly rates: FaultRates
  private readonly durability: (typeof MODES)[number]
  private readonly retain: (typeof RETAIN)[number]
  private env: SimulatedEnv
  private db: Database
  private transactions: Transaction[] = []
  /** What transactions build on: rows that are there. */
  private rows = new Map<string, Change>()
  private nextId = 1
  private views = new Set<string>()
  private hasIndex = false
  /** A change of definitions was cut off: it may have happened or not. */
  private unsure = new Set<string>()

  constructor(
    private readonly seed: number,
    private readonly tally: DatabaseTally,
  ) {
    this.prng = new Prng(seed)
    const faulty = this.prng.below(3) === 0
    const rate = faulty ? 0.004 : 0
    this.rates = { ...NO_FAULTS, writeError: rate, shortWrite: rate, syncError: rate / 4, nameError: rate }
    this.durability = MODES[this.prng.below(MODES.length)]
    this.retain = RETAIN[this.prng.below(RETAIN.length)]
    this.env = new SimulatedEnv({ seed })
    this.db = this.open()
    this.db.createTable(people)
    this.db.createTable(teams)
    this.env.rates = this.rates
  }

  private open(): Database {
    const { env, durability, retain } = this
    return openLoaded(DIRECTORY, { env, durability, retain, checkpointMs: Number.POSITIVE_INFINITY, walBytes: 4000 })
  }

  async run(): Promise<void> {
    const operations = 10 + this.prng.below(50)
    if (this.prng.below(2) === 0)
      this.env.schedule.push({ at: this.env.operations + this.prng.below(400), fault: 'crash' })
    for (let n = 0; n < operations; n++) {
      try {
        await this.operation()
      } catch (error) {
        if (!(error instanceof GnitzError) && !this.env.crashed) throw this.because(error)
      }
      if (this.env.crashed || this.isBroken()) await this.restart('power cut')
    }
    await this.restart(this.prng.below(2) === 0 ? 'kill' : 'power cut')
  }

  /** After a sync that failed, the log takes no more: only opening it again helps. */
  private isBroken(): boolean {
    return this.transactions.some(t => t.state === 'open') && this.prng.below(6) === 0
  }

  private because(cause: unknown): Error {
    const trace = this.env.trace(40)
    return new Error(`seed ${this.seed}: ${cause instanceof Error ? cause.message : cause}\n${trace}`, { cause })
  }

  private async operation(): Promise<void> {
    const kind = this.prng.below(20)
    if (kind < 12) return this.transact()
    if (kind < 14) return this.define()
    if (kind === 14) {
      this.tally.checkpoints++
      this.db.checkpoint()
    } else if (kind === 15) {
      this.tally.moves++
      this.db.durability?.parts.moveSome(0, this.db.lsn, this.db.lsn)
    } else if (kind === 16) await this.restart('kill')
    else if (kind === 17) {
      this.env.capacityBytes = this.env.usedBytes + this.prng.below(3000)
      await this.transact()
      this.env.capacityBytes = Number.POSITIVE_INFINITY
    } else if (kind === 18) {
      this.db.durability?.storage.writeLog()
      // Whoever waits for a transaction that was refused has heard of it then.
      await turns(50)
      this.travel()
    } else await this.settle()
  }

  private async transact(): Promise<void> {
    const changes = this.changes()
    const transaction: Transaction = { changes, lsn: 0n, state: 'open' }
    let commit: Commit
    try {
      commit = this.db.transact(tx => {
        for (const { table: name, row, weight } of changes) tx.add(definitionOf(name), row as never, weight)
      })
    } catch (error) {
      this.tally.refused++
      throw error
    }
    this.tally.commits++
    transaction.lsn = commit.lsn
    this.transactions.push(transaction)
    apply(this.rows, changes)
    const done = commit.then(
      () => {
        transaction.state = 'acknowledged'
      },
      () => {
        if (this.env.crashed || this.db.durability?.storage.failure !== null) return
        this.tally.takenBack++
        transaction.state = 'lost'
        this.rows = this.stateOf(this.transactions.filter(t => t.state !== 'lost'))
      },
    )
    if (this.prng.below(3) === 0) {
      this.env.crashed || this.env.advance(200)
      await Promise.race([done, turns(50)])
    }
  }

  /** Random changes that retract only rows that are there. */
  private changes(): Change[] {
    const { prng } = this
    const there = [...this.rows.values()]
    return Array.from({ length: 1 + prng.below(prng.below(4) === 0 ? 60 : 4) }, (): Change => {
      if (there.length > 0 && prng.below(3) === 0) {
        const [old] = there.splice(prng.below(there.length), 1)
        return { ...old, weight: -old.weight }
      }
      const id = this.nextId++
      if (prng.below(4) === 0) return { table: 'teams', row: { id, city: `city ${prng.below(4)}` }, weight: 1n }
      const name = prng.below(3) === 0 ? null : `a rather long name ${prng.below(9)}`
      const row = { id: BigInt(id), team: prng.below(20), name, score: (prng.below(1000) - 500) / 8 }
      return { table: 'people', row, weight: 1n }
    })
  }

  private define(): void {
    this.tally.definitions++
    if (this.prng.below(4) === 0) return this.defineIndex()
    const definition = VIEWS[this.prng.below(VIEWS.length)]
    const { name } = definition.schema
    this.unsure.add(name)
    if (!this.views.has(name)) {
      this.db.createView(definition)
      this.views.add(name)
      if (definition === VIEWS[1]) this.views.add(byCity.schema.name)
    } else if (!(name === byCity.schema.name && this.views.has(VIEWS[1].schema.name))) {
      this.db.dropView(name)
      this.views.delete(name)
    }
    this.unsure.delete(name)
  }

  private defineIndex(): void {
    this.unsure.add('index')
    if (this.hasIndex) this.db.dropIndex(people, 'by name')
    else this.db.createIndex(people, 'by name', { on: ['name', 'score'] })
    this.hasIndex = !this.hasIndex
    this.unsure.delete('index')
  }

  private async settle(): Promise<void> {
    this.env.advance(500)
    await turns(50)
  }

  private async restart(how: 'kill' | 'power cut'): Promise<void> {
    if (!this.env.crashed && this.prng.below(2) === 0) await this.settle()
    this.env =
      how === 'kill' && !this.env.crashed
        ? this.env.processCrash({ rates: NO_FAULTS })
        : this.env.crash(this.prng, { rates: NO_FAULTS })
    this.env.capacityBytes = Number.POSITIVE_INFINITY
    this.tally[how === 'kill' ? 'kills' : 'powerCuts']++
    // Nobody hears any more of what was on its way.
    const before = this.transactions.map(t => ({ ...t }))
    try {
      this.db = this.open()
      this.check(before)
    } catch (error) {
      throw this.because(error)
    }
    this.tally.restored += this.db.durability?.parts.restored ?? 0
    this.tally.rebuilt += this.db.durability?.parts.begun ?? 0
    this.env.rates = this.rates
  }

  /** Looks at the tables of some earlier LSN. */
  private travel(): void {
    const { db, prng } = this
    const start = db.snapshots.log?.start.lsn ?? db.lsn
    const first = start < MADE ? MADE : start
    if (first > db.lsn) return
    const lsn = first + BigInt(prng.below(Number(db.lsn - first) + 1))
    using past = db.snapshotAt(lsn)
    const found = tablesIn(definition => past.entries(definition))
    const expected = this.stateOf(this.transactions.filter(t => t.state !== 'lost' && t.lsn <= lsn))
    if (keyOf(expected) !== keyOf(found)) {
      const rows = [expected, found].map(state => [...state.keys()].join(' '))
      throw new Error(`tables of transaction ${lsn} (log from ${start}): expected ${rows[0]}, found ${rows[1]}`)
    }
    this.tally.travels++
  }

  /** Compares the database with the prefixes of the commits that it may hold. */
  private check(before: readonly Transaction[]): void {
    const found = tablesIn(definition => this.db.table(definition).entries())
    const kept = before.filter(t => t.state !== 'lost')
    let length = kept.findLastIndex(t => t.state === 'acknowledged') + 1
    // In the other modes what was acknowledged may go with the power.
    if (this.durability !== 'commit') length = 0
    while (length <= kept.length && keyOf(this.stateOf(kept.slice(0, length))) !== keyOf(found)) length++
    if (length > kept.length) {
      const states = kept.map(t => t.state).join(' ')
      throw new Error(`tables hold no prefix of the commits: ${states}; found ${[...found.keys()].join(' ')}`)
    }
    this.transactions = kept.slice(0, length).map(t => ({ ...t, state: 'acknowledged' }))
    this.rows = found
    this.checkViews(found)
    for (let n = 0; n < 2; n++) this.travel()
  }

  private checkViews(rows: ReadonlyMap<string, Change>): void {
    const there = new Set(this.db.views.map(v => v.name))
    for (const { name } of VIEWS.map(v => v.schema)) {
      if (this.unsure.has(name) || (name === byCity.schema.name && this.unsure.has(VIEWS[1].schema.name))) continue
      if (there.has(name) !== this.views.has(name))
        throw new Error(`view ${name} is ${there.has(name) ? '' : 'not '}there`)
    }
    this.views = there
    this.hasIndex = this.db.table(people).indexes.length > 0
    this.unsure.clear()
    const fresh = open()
    fresh.createTable(people)
    fresh.createTable(teams)
    fresh.transact(tx => {
      for (const { table: name, row, weight } of rows.values()) tx.add(definitionOf(name), row as never, weight)
    })
    for (const name of there) {
      const definition = VIEWS.find(v => v.schema.name === name)
      if (definition === undefined) throw new Error(`there is a view ${name}`)
      if (!fresh.views.some(v => v.name === name)) fresh.createView(definition)
      const [expected, found] = [fresh, this.db].map(d => text(d.view(name).entries()))
      if (expected !== found) throw new Error(`view ${name}: expected ${expected}, found ${found}`)
    }
    if (!this.hasIndex) return
    const byName = fresh.createIndex(people, 'by name', { on: ['name', 'score'] })
    const [expected, found] = [byName, this.db.table(people).index('by name')].map(i => text(i.entries()))
    if (expected !== found) throw new Error(`index: expected ${expected}, found ${found}`)
  }

  private stateOf(transactions: readonly Transaction[]): Map<string, Change> {
    const state = new Map<string, Change>()
    for (const { changes } of transactions) apply(state, changes)
    return state
  }
}

const definitionOf = (name: Change['table']): TableDef<object> =>
  (name === 'people' ? people : teams) as unknown as TableDef<object>

/** Rows of all tables. */
function tablesIn(entriesOf: (table: TableDef<object>) => Iterable<Entry<object>>): Map<string, Change> {
  const found = new Map<string, Change>()
  for (const name of ['people', 'teams'] as const) {
    for (const { row, weight } of entriesOf(definitionOf(name))) {
      apply(found, [{ table: name, row: row as Row, weight }])
    }
  }
  return found
}

function apply(state: Map<string, Change>, changes: readonly Change[]): void {
  for (const change of changes) {
    const key = `${change.table} ${text(canonical(change.row))}`
    const weight = (state.get(key)?.weight ?? 0n) + change.weight
    if (weight === 0n) state.delete(key)
    else state.set(key, { ...change, weight })
  }
}

/** Columns in the order of their names. */
const canonical = (row: Row): unknown => Object.entries(row).sort(([a], [b]) => (a < b ? -1 : 1))

const keyOf = (state: ReadonlyMap<string, Change>): string =>
  [...state]
    .map(([key, { weight }]) => `${key} ${weight}`)
    .sort()
    .join('\n')

/** Lets promises go on. */
async function turns(n: number): Promise<void> {
  for (let i = 0; i < n; i++) await null
}
