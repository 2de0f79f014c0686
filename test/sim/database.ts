/**
 * Whole databases in a simulated world: random transactions and definitions, checkpoints, state that moves to shards, full
 * disks, failing writes, kills and power cuts at any operation. Constraints refuse exactly what breaks them, a table gets
 * columns, and tables, columns, views and indexes other names; subscribers with a name keep what they are told. After every restart tables must hold what a prefix of the commits left that has every acknowledged one in
 * it, views, indexes and constraints must be what the tables make of them, and tables of earlier LSNs what they were.
 */
import { ConstraintError, GnitzError } from '../../src/base/errors.js'
import { Prng } from '../../src/base/prng.js'
import type { TableDef } from '../../src/circuit/columns.js'
import type { Commit } from '../../src/engine/commit.js'
import type { Database } from '../../src/engine/database.js'
import { checkDatabase } from '../../src/engine/durable/check.js'
import { open, openLoaded } from '../../src/engine/open.js'
import type { Entry } from '../../src/engine/relation.js'
import { type FaultRates, NO_FAULTS } from '../../src/env/faults.js'
import { SimulatedEnv } from '../../src/env/simulated.js'
import { Consumer } from './consumer.js'
import {
  ADDED,
  alteredBy,
  apply,
  BY_CITY,
  type Change,
  CITIES,
  type Definitions,
  definitionsOf,
  firstNames,
  isBroken,
  keyOf,
  type Named,
  type Names,
  nameIn,
  type Row,
  renamed,
  type Shape,
  type State,
  sameTables,
  stateOf,
  TOPS,
  type Transaction,
  text,
  widened,
} from './database-model.js'

export interface DatabaseTally {
  runs: number
  commits: number
  refused: number
  takenBack: number
  /** Transactions that a constraint refused. */
  violations: number
  definitions: number
  /** Columns that were added. */
  alterations: number
  renames: number
  /** Events of subscribers, and how many of them began anew. */
  told: number
  resets: number
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
  violations: 0,
  definitions: 0,
  alterations: 0,
  renames: 0,
  told: 0,
  resets: 0,
  checkpoints: 0,
  moves: 0,
  kills: 0,
  powerCuts: 0,
  restored: 0,
  rebuilt: 0,
  travels: 0,
})

/** The LSN of a transaction that was cut off, and may have happened. */
const UNKNOWN = 1n << 62n

const DIRECTORY = '/db'
/** Tables have been made by then. */
const MADE = 2n
/** How much of the log is kept. */
const RETAIN = [0, 20_000, 60_000, '64MiB'] as const
const MODES = ['commit', 'commit', 'interval', 'none'] as const

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
  private rows: State = new Map()
  private nextId = 1
  private views = new Set<number>()
  private hasIndex = false
  /** Constraints that come and go: people need a team, and nobody has the name and score of another. */
  private rules = { refers: false, differ: false }
  /** Columns that `people` has got, and names, now and before the transactions that are remembered. */
  private version = 0
  private names = firstNames()
  private readonly first: Shape = { version: 0, names: firstNames() }
  /** A change of definitions was cut off: it may have happened or not. */
  private unsure = new Set<number | Named>()
  private readonly consumers: readonly Consumer[]

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
    this.db.createTable(this.known.people)
    this.db.createTable(this.known.teams)
    // What was acknowledged and goes with the power has been told, too: only who knows where he is notices.
    const isSafe = this.durability === 'commit'
    this.consumers = ['people', 'cities'].map(name => new Consumer(name, isSafe && this.prng.below(2) === 0))
    this.env.rates = this.rates
  }

  /** What the program says. */
  private get known(): Definitions {
    return definitionsOf(this.version, this.names)
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
    const kind = this.prng.below(23)
    if (kind < 11) return this.transact()
    if (kind < 13) return this.define()
    if (kind === 20) return this.rename()
    if (kind > 20) return this.subscribe()
    if (kind === 13) return this.prng.below(2) === 0 ? this.alter() : this.define()
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
    // Of what was taken back, everybody has heard: constraints judge what is there.
    await turns(5)
    const changes = this.changes()
    const transaction: Transaction = { changes, lsn: 0n, state: 'open' }
    const after: State = new Map(this.rows)
    apply(after, changes)
    const broken = isBroken(after, this.rules)
    let commit: Commit
    try {
      commit = this.db.transact(tx => {
        for (const { table: name, row, weight } of changes)
          tx.add(this.definitionOf(name), this.given(name, row), weight)
      })
    } catch (error) {
      if (error instanceof ConstraintError) {
        this.tally.violations++
        if (!broken) throw new Error(`refused although nothing is broken: ${error.message}`)
      } else this.tally.refused++
      throw error
    }
    if (broken) throw new Error(`a constraint was broken: ${text(changes)}`)
    this.tally.commits++
    transaction.lsn = commit.lsn
    this.transactions.push(transaction)
    this.rows = after
    const done = commit.then(
      () => {
        transaction.state = 'acknowledged'
      },
      () => {
        if (this.env.crashed || this.db.durability?.storage.failure !== null) return
        this.tally.takenBack++
        transaction.state = 'lost'
        this.rows = stateOf(
          this.transactions.filter(t => t.state !== 'lost'),
          this.first,
        ).state
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
      const known = there.filter(c => c.table === 'teams').map(c => c.row.id as number)
      if (prng.below(known.length < 4 ? 2 : 5) === 0) {
        const code = prng.below(3) === 0 ? null : `code ${prng.below(3) === 0 ? prng.below(id) : id}`
        return { table: 'teams', row: { id, city: `city ${prng.below(4)}`, code }, weight: 1n }
      }
      const name = prng.below(3) === 0 ? null : `a rather long name ${prng.below(9)}`
      const team = known.length > 0 && prng.below(20) > 0 ? known[prng.below(known.length)] : prng.below(20)
      // Now and then one that is there already.
      const own = prng.below(60) === 0 ? 1 + prng.below(id) : id
      const row: Record<string, unknown> = { id: BigInt(own), team, name, score: (prng.below(1000) - 490) / 8 }
      for (const added of ADDED.slice(0, this.version)) row[added.name] = prng.below(2) === 0 ? added.value : null
      if (row.size === null) row.size = 8n
      if (row.about === null) row.about = `about ${id}`
      return { table: 'people', row, weight: 1n }
    })
  }

  /** The row, here and there without what is its default anyhow. */
  private given(name: Change['table'], row: Row): never {
    if (name === 'teams') return this.outwards(row) as never
    const given = { ...row }
    for (const { name, value } of ADDED) if (given[name] === value && this.prng.below(2) === 0) delete given[name]
    return given as never
  }

  /** A row of teams as it is called now, and what is called so. */
  private outwards({ code, ...row }: Row): Row {
    return { ...row, [this.names.code]: code }
  }

  private inwards(name: Change['table'], row: Row): Row {
    if (name === 'people') return row
    const { [this.names.code]: code, ...rest } = row
    return { ...rest, code }
  }

  private definitionOf(name: Change['table']): TableDef<object> {
    return this.known[name] as unknown as TableDef<object>
  }

  /** The next column for people, or two of them. */
  private async alter(): Promise<void> {
    await turns(5)
    if (this.version === ADDED.length) return
    const { name, column } = ADDED[this.version]
    const next = definitionsOf(this.version + 1, this.names)
    const { people } = this.names
    this.altering('column', () => {
      if (this.prng.below(2) === 0) this.db.migrateAll([next.people, next.teams])
      else this.db.alterTable(people, { add: { [name]: column } } as never)
    })
    this.tally.alterations++
    this.rows = widened(this.rows, this.version++)
  }

  /** Should it be cut off, it has happened or not. */
  private altering(changes: 'column' | Names, alter: () => void): void {
    const transaction: Transaction = { changes, lsn: UNKNOWN, state: 'open' }
    try {
      alter()
    } catch (error) {
      if (this.env.crashed || this.db.durability?.storage.failure !== null) this.transactions.push(transaction)
      throw error
    }
    this.transactions.push({ ...transaction, lsn: this.db.lsn, state: 'acknowledged' })
    // It has made everything before it durable.
    for (const before of this.transactions) if (before.state === 'open') before.state = 'acknowledged'
  }

  /** Another name for a table, a column, a view or the index. */
  private async rename(): Promise<void> {
    await turns(5)
    const { db, names } = this
    const what = (['people', 'teams', 'code', 'byCity', 'index'] as const)[this.prng.below(5)]
    const next = renamed(names, what)
    if (what === 'byCity' || what === 'index') {
      if (what === 'byCity' ? !this.views.has(BY_CITY) : !this.hasIndex) return
      this.unsure.add(what)
      if (what === 'byCity') db.renameView(names.byCity, next.byCity)
      else db.renameIndex(names.people, names.index, next.index)
      this.unsure.delete(what)
    } else {
      this.altering(next, () => {
        if (what === 'code') db.alterTable(names.teams, { rename: { [names.code]: next.code } } as never)
        else db.alterTable(names[what], { name: next[what] } as never)
      })
    }
    this.tally.renames++
    this.names = next
  }

  private async define(): Promise<void> {
    await turns(5)
    this.tally.definitions++
    const what = this.prng.below(9)
    if (what < 2) return this.defineIndex()
    if (what === 2) return this.defineRule('refers')
    if (what === 3) return this.defineRule('differ')
    const { views } = this.known
    const view = this.prng.below(views.length)
    const { name } = views[view].schema
    this.unsure.add(view)
    if (!this.views.has(view)) {
      this.db.createView(views[view] as never)
      this.views.add(view)
      if (view === CITIES) this.views.add(BY_CITY)
    } else if (!(view === BY_CITY && this.views.has(CITIES))) {
      this.db.dropView(name)
      this.views.delete(view)
      if (view === BY_CITY) this.consumers[1].end()
    }
    this.unsure.delete(view)
  }

  private defineIndex(): void {
    const { people, index } = this.names
    this.unsure.add('index')
    if (this.hasIndex) this.db.dropIndex(people, index)
    else this.db.createIndex(this.known.people, index, { on: ['name', 'score'] })
    this.hasIndex = !this.hasIndex
    this.unsure.delete('index')
  }

  private defineRule(rule: 'refers' | 'differ'): void {
    const { people, teams } = this.known
    const next = { ...this.rules, [rule]: !this.rules[rule] }
    if (this.rules[rule]) this.db.dropConstraint(this.names.people, rule)
    else {
      const broken = isBroken(this.rows, next)
      try {
        if (rule === 'differ') this.db.addConstraint(people, rule, { unique: ['name', 'score'] })
        else this.db.addConstraint(people, rule, { foreignKey: ['team'], references: teams })
      } catch (error) {
        if (error instanceof ConstraintError && !broken) throw new Error(`refused: ${error.message}`)
        throw error
      }
      if (broken) throw new Error('a constraint was added that is broken')
    }
    this.rules = next
  }

  // ---- subscribers

  /** Somebody subscribes, or does not any more, or is forgotten. */
  private async subscribe(): Promise<void> {
    await turns(5)
    const consumer = this.prng.pick(this.consumers)
    if (!consumer.isAttached) this.attach(consumer)
    else if (this.prng.below(3) > 0) consumer.end()
    else {
      consumer.end()
      this.db.dropSubscription(consumer.name)
    }
  }

  private attach(consumer: Consumer): void {
    const handle = consumer.name === 'people' ? this.db.table(this.names.people) : this.viewOf(BY_CITY)
    if (handle === null) return
    const known = this.db.subscriptions.find(s => s.name === consumer.name)?.acknowledged
    consumer.attach(handle as never, known, this.tally)
    consumer.check()
  }

  /** After a restart. Only the first to come may be ahead of the database: then transactions get numbers again. */
  private attachAgain(): void {
    const { lsn } = this.db
    for (const [n, consumer] of this.consumers.entries()) {
      if (n > 0) consumer.rewind(lsn)
      if (this.prng.below(4) > 0) this.attach(consumer)
      if (!consumer.isAttached) consumer.rewind(lsn)
    }
  }

  private viewOf(view: number) {
    return this.views.has(view) ? this.db.view<Row>(this.known.views[view].schema.name) : null
  }

  /** What has been acknowledged has been told, and nothing else. */
  private checkConsumers(): void {
    if (this.durability !== 'commit' || this.env.crashed || this.db.durability?.storage.failure !== null) return
    if (this.transactions.some(t => t.state === 'open')) return
    for (const consumer of this.consumers) if (consumer.isAttached) consumer.check()
  }

  private async settle(): Promise<void> {
    this.env.advance(500)
    await turns(50)
    this.checkConsumers()
  }

  private async restart(how: 'kill' | 'power cut'): Promise<void> {
    if (!this.env.crashed && this.prng.below(2) === 0) await this.settle()
    this.env =
      how === 'kill' && !this.env.crashed
        ? this.env.processCrash({ rates: NO_FAULTS })
        : this.env.crash(this.prng, { rates: NO_FAULTS })
    this.env.capacityBytes = Number.POSITIVE_INFINITY
    this.tally[how === 'kill' ? 'kills' : 'powerCuts']++
    for (const consumer of this.consumers) consumer.lose()
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

  /** A table that was altered cannot be read as it was before. */
  private mustBeAltered(read: () => unknown): void {
    try {
      read()
    } catch (error) {
      if (error instanceof GnitzError && error.message.includes('was altered')) return
      throw error
    }
    if (this.transactions.every(t => t.lsn !== UNKNOWN))
      throw new Error('a table is shown as it was before it was altered')
  }

  /** Looks at the tables of some earlier LSN. */
  private travel(): void {
    const { db, prng } = this
    const start = db.snapshots.log?.start.lsn ?? db.lsn
    const first = start < MADE ? MADE : start
    if (first > db.lsn) return
    const lsn = first + BigInt(prng.below(Number(db.lsn - first) + 1))
    using past = db.snapshotAt(lsn)
    const there = this.transactions.filter(t => t.state !== 'lost')
    const altered = this.alteredSince(there, lsn)
    if (altered !== null) {
      this.mustBeAltered(() => past.entries(this.definitionOf(altered)))
      return
    }
    const found = this.tablesIn(definition => past.entries(definition))
    const expected = stateOf(
      there.filter(t => t.lsn <= lsn),
      this.first,
    ).state
    if (keyOf(expected) !== keyOf(found)) {
      const rows = [expected, found].map(state => [...state.keys()].join(' '))
      throw new Error(`tables of transaction ${lsn} (log from ${start}): expected ${rows[0]}, found ${rows[1]}`)
    }
    this.tally.travels++
  }

  /** A table that was altered after a transaction; null if none was. */
  private alteredSince(transactions: readonly Transaction[], lsn: bigint): Change['table'] | null {
    let { names } = this.first
    for (const transaction of transactions) {
      const altered = alteredBy(transaction, names)
      if (altered !== null && transaction.lsn > lsn) return altered
      names = stateOf([transaction], { version: 0, names }).names
    }
    return null
  }

  /** Reads how things are called. */
  private readNames(): void {
    const { db, names } = this
    const of = (what: Named, there: readonly string[]) => ({ [what]: nameIn(there, what, names[what]) })
    const tables = db.tables.map(t => t.name)
    const found = { ...names, ...of('people', tables), ...of('teams', tables) }
    const { schema, indexes } = { schema: db.table(found.teams).schema, indexes: db.table(found.people).indexes }
    const code = of(
      'code',
      schema.columns.map(c => c.name),
    )
    const byCity = of(
      'byCity',
      db.views.map(v => v.name),
    )
    const index = of(
      'index',
      indexes.map(i => i.definition.name),
    )
    for (const [what, now] of [
      ['byCity', byCity],
      ['index', index],
    ] as const) {
      if (!this.unsure.has(what) && now[what] !== names[what]) throw new Error(`${what} is called ${now[what]}`)
    }
    this.names = { ...found, ...code, ...byCity, ...index }
    this.version = db.table(found.people).schema.columns.length - 4
  }

  /** Compares the database with the prefixes of the commits that it may hold. */
  private check(before: readonly Transaction[]): void {
    this.readNames()
    const found = this.tablesIn(definition => this.db.table(definition).entries())
    const kept = before.filter(t => t.state !== 'lost')
    let length = kept.findLastIndex(t => t.state === 'acknowledged') + 1
    // In the other modes what was acknowledged may go with the power.
    if (this.durability !== 'commit') length = 0
    const holds = (n: number): boolean => {
      const { state, version, names } = stateOf(kept.slice(0, n), this.first)
      return version === this.version && sameTables(names, this.names) && keyOf(state) === keyOf(found)
    }
    while (length <= kept.length && !holds(length)) length++
    // Transactions that add up to nothing are there if their numbers are.
    const isThere = ({ lsn }: Transaction) => lsn === UNKNOWN || lsn <= this.db.lsn
    for (let n = length + 1; n <= kept.length && isThere(kept[n - 1]); n++) if (holds(n)) length = n
    if (length > kept.length) {
      const states = kept.map(t => t.state).join(' ')
      throw new Error(`tables hold no prefix of the commits: ${states}; found ${[...found.keys()].join(' ')}`)
    }
    this.transactions = kept.slice(0, length).map(t => ({ ...t, state: 'acknowledged' }))
    this.rows = found
    this.checkDefinitions(found)
    for (let n = 0; n < 2; n++) this.travel()
    this.attachAgain()
  }

  private checkDefinitions(rows: State): void {
    const { views } = this.known
    const there = new Set(this.db.views.map(v => views.findIndex(known => known.schema.name === v.name)))
    for (const [view, { schema }] of views.entries()) {
      if (this.unsure.has(view) || (view === BY_CITY && this.unsure.has(CITIES))) continue
      if (there.has(view) !== this.views.has(view))
        throw new Error(`view ${schema.name} is ${there.has(view) ? '' : 'not '}there`)
    }
    this.views = there
    this.hasIndex = this.db.table(this.names.people).indexes.length > 0
    const entry = this.db.definitions.registry.named(this.names.people)
    const rules = entry?.kind === 'table' ? entry.rules.definitions.map(d => d.name) : []
    this.rules = { refers: rules.includes('refers'), differ: rules.includes('differ') }
    this.unsure.clear()
    const { findings } = checkDatabase(this.db)
    if (findings.length > 0) throw new Error(text(findings))
    if (isBroken(rows, this.rules)) throw new Error('a constraint is broken')
    const fresh = open()
    fresh.createTable(this.known.people)
    fresh.createTable(this.known.teams)
    fresh.transact(tx => {
      for (const { table: name, row, weight } of rows.values())
        tx.add(this.definitionOf(name), (name === 'teams' ? this.outwards(row) : row) as never, weight)
    })
    for (const view of there) this.checkView(fresh, view)
    if (!this.hasIndex) return
    const { people, index } = this.names
    const byName = fresh.createIndex(this.known.people, index, { on: ['name', 'score'] })
    const [expected, found] = [byName, this.db.table(people).index(index)].map(i => text(i.entries()))
    if (expected !== found) throw new Error(`index: expected ${expected}, found ${found}`)
  }

  /** Against the same view of a new database; columns go by their places, one that was made before the last came lacks it. */
  private checkView(fresh: Database, view: number): void {
    const definition = this.known.views[view]
    if (definition === undefined) throw new Error('there is a view of another name')
    const { name } = definition.schema
    if (!fresh.views.some(v => v.name === name)) fresh.createView(definition as never)
    const [whole, own] = [fresh, this.db].map(d => d.view<Row>(name))
    const count = own.schema.columns.length
    const entries = (of: typeof own) => {
      const names = of.schema.columns.slice(0, count).map(c => c.name)
      return of.entries().map(e => [names.map(n => e.row[n]), e.weight])
    }
    // Top rows that tie are told apart by all columns.
    if (whole.schema.columns.length !== count && view === TOPS) return
    const [expected, found] = [whole, own].map(v => text(entries(v)))
    if (expected !== found) throw new Error(`view ${name}: expected ${expected}, found ${found}`)
  }

  /** Rows of all tables. */
  private tablesIn(entriesOf: (table: TableDef<object>) => Iterable<Entry<object>>): State {
    const found: State = new Map()
    for (const name of ['people', 'teams'] as const) {
      for (const { row, weight } of entriesOf(this.definitionOf(name))) {
        apply(found, [{ table: name, row: this.inwards(name, row as Row), weight }])
      }
    }
    return found
  }
}

/** Lets promises go on. */
async function turns(n: number): Promise<void> {
  for (let i = 0; i < n; i++) await null
}
