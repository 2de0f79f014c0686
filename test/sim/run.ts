/**
 * One simulated run: a storage directory on a simulated disk, used as a plan says, through crashes and faults, and held
 * against the model after each operation and each recovery.
 */
import { IoError, NoSpaceError, WeightOverflowError } from '../../src/base/errors.js'
import { Prng } from '../../src/base/prng.js'
import { NO_FAULTS } from '../../src/env/faults.js'
import { SimulatedCrash } from '../../src/env/simulated.js'
import { Storage } from '../../src/storage/storage.js'
import { checkGet, checkStore } from './check.js'
import { newTally, settled, type Tally, Violation } from './common.js'
import { checkDamage } from './flips.js'
import { isLogged, type Transaction } from './model.js'
import type { Operation, Plan } from './plan.js'
import { batchOf, fits, pickDelta, SHAPE_COUNT, universeOf } from './tables.js'
import { World } from './world.js'

const MAX_TABLES = 6
const NAMES = 4

/** Runs a plan. Throws Violation, or whatever the storage throws that it should not. */
export async function simulate(plan: Plan, tally: Tally = newTally()): Promise<void> {
  await new Run(plan, tally).run()
}

/** The last operations on the disk of a run, for people; by run that failed. */
export const traces = new WeakMap<Plan, string>()

class Run extends World {
  private done = ''

  async run(): Promise<void> {
    this.tally.runs++
    try {
      this.storage = await Storage.open(this.options())
      for (let n = 0; n < 2; n++) this.guard(() => this.create(this.prng))
      for (const [n, operation] of this.plan.operations.entries()) {
        this.done = `operation ${n} (${operation.kind})`
        await this.perform(operation)
        this.tally.operations++
      }
      this.done = 'the end'
      await this.finish()
    } catch (error) {
      const state = `durability ${this.plan.tuning.durability}, lsn ${this.storage?.lsn ?? 0n}`
      const fates = this.model.transactions.map(t => `${t.lsn} ${t.fate}${t.durable ? ' durable' : ''}`)
      traces.set(this.plan, `in ${this.done}, ${state}\n${fates.join(', ')}\n${this.env.trace(60)}`)
      throw error
    }
  }

  private async perform({ kind, seed }: Operation): Promise<void> {
    const prng = new Prng(seed)
    await this.dispatch(kind, prng)
    if (prng.chance(0.5)) await settled()
    this.checkTrouble()
    if (this.env.crashed) await this.restart(prng)
    else if (this.wal.failure !== null && prng.chance(0.7)) await this.reopen(prng)
  }

  private async dispatch(kind: Operation['kind'], prng: Prng): Promise<void> {
    const { env, storage } = this
    switch (kind) {
      case 'commit':
        return this.commits(prng)
      case 'read':
      case 'get':
        return this.read(kind, prng)
      case 'snapshot':
        return this.snapshot(prng)
      case 'checkpoint':
        for (let tries = prng.pick([1, 1, 3]); tries > 0; tries--) {
          if (!this.guard(() => storage.checkpoint())) continue
          this.durableNow()
          return
        }
        return
      case 'compact':
        this.guard(() => storage.compact())
        return
      case 'fuel':
        for (const tree of storage.tables) this.guard(() => tree.compact(1 + prng.below(60)))
        return
      case 'create':
        this.guard(() => this.create(prng))
        return
      case 'drop':
        return this.drop(prng)
      case 'advance':
        return this.advance(prng)
      case 'reopen':
        return this.reopen(prng)
      case 'crash':
        if (prng.chance(0.5)) await settled()
        return this.restart(prng)
      case 'arm':
        env.schedule.push({ at: env.operations + 1 + prng.below(40), fault: 'crash' })
        return
      case 'fill':
        env.capacityBytes = env.usedBytes + prng.below(prng.pick([100, 3000]))
        this.faulty = true
        return
      case 'room':
        return this.makeRoom(prng)
      case 'rates':
        this.setRates(prng)
        return
      case 'rekey':
        return this.rekey(prng)
    }
  }

  private async rekey(prng: Prng): Promise<void> {
    await settled()
    if (this.env.crashed) return
    if (prng.chance(0.7)) this.keyNumber++
    try {
      await this.storage.rekey()
      this.durableNow()
    } catch (error) {
      this.mayThrow(error)
      return
    }
    const { keyIds } = this.storage
    if (`${keyIds}` !== `${this.keyNumber}`)
      throw new Violation(`expected key ${this.keyNumber} alone, found ${keyIds}`)
  }

  private setRates(prng: Prng): void {
    const { faults } = this.plan
    const rate = (is: boolean) => (is && prng.chance(0.5) ? prng.pick([0.02, 0.1, 0.4]) : 0)
    const io = faults.has('io') && prng.chance(0.75)
    const lies = faults.has('lies')
    if (io) this.faulty = true
    this.env.rates = {
      readError: rate(io),
      writeError: rate(io),
      shortWrite: rate(io),
      syncError: rate(io),
      nameError: rate(io),
      droppedSync: rate(lies),
      lostRename: rate(lies),
    }
  }

  private async commits(prng: Prng): Promise<void> {
    for (let n = prng.pick([1, 1, 2, 5]); n > 0; n--) {
      // A writer knows what is there: rows that were taken back are not taken away.
      if (this.stale) await settled()
      this.stale = false
      if (this.env.crashed) return
      this.commit(prng)
      if (prng.chance(0.3)) await settled()
      if (this.env.crashed) return
    }
  }

  private commit(prng: Prng): void {
    const { storage, model, plan } = this
    const changes = model.live
      .filter(() => prng.chance(0.6))
      .map(table => {
        const { universe, visible, nonNegative } = table
        return { table, delta: pickDelta(universe, visible, prng, { nonNegative, heavy: plan.heavy }) }
      })
    const overflows = changes.some(({ table, delta }) =>
      [...delta].some(([row, weight]) => !fits((table.visible.get(row) ?? 0n) + weight)),
    )
    const transaction: Transaction = { lsn: storage.lsn + 1n, changes, fate: 'open', durable: false }
    const parts = changes.map(({ table, delta }) => {
      const tree = this.tree(table)
      return { table: tree, delta: batchOf(table.universe, tree.layout, delta, tree.kernels) }
    })
    this.tally.commits++
    try {
      const { lsn, durable } = storage.commit(parts)
      if (lsn !== transaction.lsn) throw new Violation(`expected LSN ${transaction.lsn}, found ${lsn}`)
      model.add(transaction)
      void this.follow(transaction, durable)
    } catch (error) {
      if (error instanceof SimulatedCrash) {
        transaction.fate = 'unknown'
        model.add(transaction)
        return
      }
      if (overflows && error instanceof WeightOverflowError) return
      this.mayThrow(error)
      this.tally.refused++
      return
    }
    if (overflows) throw new Violation('expected a WeightOverflowError')
  }

  private async follow(transaction: Transaction, durable: Promise<void>): Promise<void> {
    const { model, wal, env } = this
    try {
      await durable
      transaction.fate = 'acknowledged'
      if (this.plan.tuning.durability !== 'commit') return
      transaction.durable = isLogged(transaction)
      for (const { table } of transaction.changes) this.shaky.delete(table)
    } catch (error) {
      if (env.crashed && !(error instanceof IoError)) return
      // A log that has failed since may have refused it before.
      transaction.fate = error === wal.failure ? 'unknown' : 'refused'
      this.tally.refused++
      model.takeBack(transaction)
    }
  }

  private async read(kind: 'read' | 'get', prng: Prng): Promise<void> {
    await settled()
    if (this.env.crashed || this.model.live.length === 0) return
    const table = prng.pick(this.model.live)
    const tree = this.tree(table)
    const check = (random: Prng) => {
      if (kind === 'read') checkStore(tree, table, table.visible, random)
      else checkGet(tree, table, table.visible, random)
    }
    this.tally.reads++
    const again = prng.fork()
    try {
      check(prng)
    } catch (error) {
      if (!(error instanceof IoError) || this.env.rates.readError === 0) {
        if (!(error instanceof SimulatedCrash)) throw error
        return
      }
      this.calmly(() => check(again))
    }
  }

  private async snapshot(prng: Prng): Promise<void> {
    await settled()
    if (this.env.crashed || this.model.live.length === 0) return
    if (this.snapshots.length < 3) {
      const table = prng.pick(this.model.live)
      const snapshot = this.tree(table).snapshot()
      this.snapshots.push({ table, snapshot, weights: new Map(table.visible) })
    }
    if (prng.chance(0.6)) this.checkSnapshots(prng, prng.below(this.snapshots.length + 1))
  }

  private checkSnapshots(prng: Prng, releases: number): void {
    this.calmly(() => {
      for (const { table, snapshot, weights } of this.snapshots) {
        checkStore(snapshot, table, weights, prng)
        checkGet(snapshot, table, weights, prng)
      }
      for (const { snapshot } of this.snapshots.splice(0, releases)) snapshot.release()
    })
  }

  private create(prng: Prng): void {
    const { storage, model } = this
    if (model.live.length >= MAX_TABLES) return
    const name = `t${prng.below(NAMES)}`
    const shape = prng.below(SHAPE_COUNT)
    const kind = prng.chance(0.25) ? 'ephemeral' : 'durable'
    const nonNegative = prng.chance(0.3)
    if (storage.table(name) !== undefined) return
    const policy = prng.pick(['write-heavy', 'read-heavy'] as const)
    const weights = nonNegative ? 'nonNegative' : 'any'
    const id = (storage as unknown as { publication: { nextTableId: number } }).publication.nextTableId
    const table = model.newTable(id, name, shape, kind, nonNegative, 'maybe')
    const tree = storage.createTable(universeOf(name, shape).layout, { kind, policy, weights })
    if (tree.tableId !== id) throw new Violation(`expected table ${id}, found ${tree.tableId}`)
    table.state = 'there'
  }

  private async drop(prng: Prng): Promise<void> {
    await settled()
    if (this.env.crashed || this.model.live.length === 0) return
    const table = prng.pick(this.model.live)
    try {
      this.storage.dropTable(this.tree(table))
      table.state = 'gone'
      this.durableNow()
    } catch (error) {
      this.mayThrow(error)
      this.shaky.add(table)
    }
  }

  private async advance(prng: Prng): Promise<void> {
    await settled()
    if (this.env.crashed) return
    const everything = this.model.transactions.filter(t => t.fate === 'acknowledged' && isLogged(t))
    const long = prng.chance(0.7)
    this.env.advance(long ? 60 : prng.below(60))
    await settled()
    if (this.env.crashed || this.wal.failure !== null) return
    // What was written before the time was up is durable now.
    if (long && this.plan.tuning.durability === 'interval') for (const t of everything) t.durable = true
  }

  private async makeRoom(prng: Prng): Promise<void> {
    const { env } = this
    const full = env.capacityBytes !== Number.POSITIVE_INFINITY
    env.capacityBytes = Number.POSITIVE_INFINITY
    if (!full || this.plan.faults.has('io') || env.schedule.length > 0) return
    await settled()
    // A disk that was full, and nothing else: writing goes on as if nothing had been.
    if (this.wal.failure !== null) throw new Violation(`a full disk broke the log: ${this.wal.failure.message}`)
    this.faulty = false
    const before = this.model.transactions.at(-1)
    this.commit(prng)
    await settled()
    if (this.env.crashed) return
    const last = this.model.transactions.at(-1)
    // There is none if its weights were too large.
    if (last !== undefined && last !== before && last.fate === 'refused')
      throw new Violation('a commit failed although there is room')
  }

  /** Automatic work may fail as the world does, and in no other way. */
  private checkTrouble(): void {
    if (this.env.crashed) return
    const { trouble } = this.storage as unknown as { trouble: unknown }
    if (trouble === null || (trouble instanceof IoError && this.faulty)) return
    if (trouble instanceof NoSpaceError || trouble instanceof SimulatedCrash) return
    throw trouble
  }

  /** The world becomes calm; then everything works, and the files at rest are put to the test. */
  private async finish(): Promise<void> {
    const { env, prng } = this
    env.rates = NO_FAULTS
    env.capacityBytes = Number.POSITIVE_INFINITY
    env.schedule = []
    await settled()
    if (env.crashed || prng.chance(0.5)) await this.restart(prng)
    else await this.reopen(prng)
    while (this.env.schedule.length > 0 || this.env.crashed || this.wal.failure !== null) {
      this.env.schedule = []
      if (this.env.crashed) await this.restart(prng)
      else await this.reopen(prng)
    }
    this.env.rates = NO_FAULTS
    this.env.capacityBytes = Number.POSITIVE_INFINITY
    this.faulty = false
    this.commit(prng)
    await settled()
    this.checkTrouble()
    for (const table of this.model.live) checkStore(this.tree(table), table, table.visible, prng)
    const checkpoint = prng.chance(0.4)
    const power = prng.chance(0.3)
    if (!power) await this.storage.close({ checkpoint })
    this.model.settle()
    await settled()
    await this.verify('at the end')
    if (this.plan.faults.has('flips')) await checkDamage(this.plan, this.env, this.model, this.tally, prng, !power)
  }
}
