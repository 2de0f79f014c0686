/**
 * A simulated world: a disk, a storage directory on it and the model of the directory, with its ends (closing, kills,
 * power cuts) and its beginnings (openings, held against the model).
 */
import { GnitzError, IoError, LockedError } from '../../src/base/errors.js'
import { Prng } from '../../src/base/prng.js'
import { NO_FAULTS } from '../../src/env/faults.js'
import { SimulatedCrash, SimulatedEnv } from '../../src/env/simulated.js'
import { decodeManifest } from '../../src/storage/manifest/format.js'
import { Storage, type StorageOptions } from '../../src/storage/storage.js'
import type { Tree } from '../../src/storage/tree.js'
import { verifyDirectory } from '../../src/storage/verify.js'
import type { Wal } from '../../src/storage/wal/wal.js'
import type { Snapshot } from '../../src/storage/zstore.js'
import { checkStore } from './check.js'
import { DIRECTORY, Lost, optionsOf, settled, type Tally, Violation } from './common.js'
import { isLogged, Model, type TableModel, type Transaction } from './model.js'
import type { Plan } from './plan.js'
import type { Weights } from './tables.js'

/** Openings that may fail one after the other before the faults are turned off. */
const PATIENCE = 4

interface Held {
  readonly table: TableModel
  readonly snapshot: Snapshot
  readonly weights: Weights
}

export class World {
  protected readonly prng: Prng
  protected readonly model = new Model()
  protected env: SimulatedEnv
  protected storage!: Storage
  protected snapshots: Held[] = []
  /** Of the key that the provider calls the current one. */
  protected keyNumber = 1
  /** Tables that a failed drop may have removed on disk. */
  protected readonly shaky = new Set<TableModel>()
  /** Whether the disk or the faults have been such that a call may have failed with an IoError. */
  protected faulty = false
  /** The log has refused transactions, of which the model hears a little later. */
  protected stale = false
  /** The disk has lied, and then there was a power cut: anything may be lost, but not unnoticed. */
  private tainted = false
  /** Transactions that were written when the process was killed. */
  private written: readonly Transaction[] = []

  constructor(
    protected readonly plan: Plan,
    protected readonly tally: Tally,
  ) {
    this.prng = new Prng(plan.seed + 0.5)
    this.env = new SimulatedEnv({ seed: plan.seed, mapping: plan.tuning.io !== 'read' })
    this.env.makeDirectory('/data')
    this.env.syncDirectory('/')
  }

  protected options(): StorageOptions {
    return {
      ...optionsOf(this.plan, this.env, () => this.keyNumber),
      onRejected: () => {
        this.stale = true
      },
      onEvent: ({ kind }) => {
        this.tally.events[kind] = (this.tally.events[kind] ?? 0) + 1
      },
    }
  }

  protected get wal(): Wal {
    return (this.storage as unknown as { wal: Wal }).wal
  }

  protected tree(table: TableModel): Tree {
    const tree = this.storage.table(table.name)
    if (tree === undefined) throw new Violation(`table ${table.name} is missing`)
    return tree
  }

  /** Runs a call that may fail if the world is such; false if it did. */
  protected guard(call: () => void): boolean {
    try {
      call()
      return true
    } catch (error) {
      this.mayThrow(error)
      return false
    }
  }

  protected mayThrow(error: unknown): void {
    if (error instanceof SimulatedCrash && this.env.crashed) return
    // After a failure the log passes on what made it fail.
    if (error instanceof IoError && !(error instanceof LockedError) && this.faulty) return
    throw error
  }

  /** Without faults by chance. */
  protected calmly(call: () => void): void {
    const { rates } = this.env
    this.env.rates = NO_FAULTS
    try {
      call()
    } catch (error) {
      if (!(error instanceof SimulatedCrash)) throw error
    }
    this.env.rates = rates
  }

  /** After a checkpoint or a clean close everything is durable, and the manifest says which tables there are. */
  protected durableNow(): void {
    const { model, storage } = this
    model.settle()
    this.shaky.clear()
    for (const table of model.tables) {
      if (table.state !== 'maybe') continue
      table.state = 'gone'
    }
    for (const table of model.live) {
      if (storage.table(table.name)?.tableId !== table.tableId) throw new Violation(`table ${table.name} is missing`)
    }
  }

  protected async reopen(prng: Prng): Promise<void> {
    await settled()
    if (this.env.crashed) return
    for (const { snapshot } of this.snapshots.splice(0)) this.calmly(() => snapshot.release())
    if (this.env.crashed) return
    try {
      await this.storage.close({ checkpoint: prng.chance(0.5) })
      this.model.settle()
      await settled()
    } catch (error) {
      this.mayThrow(error)
      await settled()
    }
    if (this.env.crashed) await this.restart(prng)
    else await this.open(prng)
  }

  /** A power cut or a kill, now or at the crash that has come, and what follows. */
  protected async restart(prng: Prng): Promise<void> {
    const { env, tally } = this
    this.snapshots = []
    const killed = prng.chance(0.35)
    if (killed) {
      tally.kills++
      this.env = env.processCrash()
    } else {
      tally.powerCuts++
      this.env = env.crash(prng)
    }
    const isCut = env.lies > 0 && this.env.lies === 0
    // Promises that were kept before the end may not have been heard of yet.
    await settled()
    this.written = killed ? this.model.transactions.filter(t => t.fate === 'acknowledged' && isLogged(t)) : []
    if (isCut) this.forgetGuarantees()
    await this.open(prng)
  }

  private forgetGuarantees(): void {
    this.tainted = true
    for (const t of this.model.transactions) t.durable = false
  }

  /** Opens the directory, through more crashes if there are some, and checks what is there. */
  private async open(prng: Prng): Promise<void> {
    const { plan, tally } = this
    for (let attempt = 0; ; attempt++) {
      const { env } = this
      if (attempt >= PATIENCE) {
        env.rates = NO_FAULTS
        env.capacityBytes = Number.POSITIVE_INFINITY
      }
      if (plan.faults.has('crash') && attempt < PATIENCE && prng.chance(0.3)) {
        env.schedule.push({ at: env.operations + 1 + prng.below(25), fault: 'crash' })
      }
      tally.openings++
      try {
        this.storage = await Storage.open(this.options())
      } catch (error) {
        tally.failedOpenings++
        if (this.tainted && error instanceof GnitzError && attempt >= PATIENCE) throw new Lost(error)
        if (!this.tainted || !(error instanceof GnitzError)) this.mayThrow(error)
        if (!env.crashed) continue
        const kill = prng.chance(0.35)
        this.env = kill ? env.processCrash() : env.crash(prng)
        if (!kill) this.written = []
        if (!kill && env.lies > 0) this.forgetGuarantees()
        continue
      }
      if (env.crashed) continue
      this.checkRecovery(prng)
      if (prng.chance(0.25)) await this.verify('after a recovery')
      return
    }
  }

  /** The checker of directories finds nothing wrong. */
  protected async verify(when: string): Promise<void> {
    const { env } = this
    const { rates } = env
    env.rates = NO_FAULTS
    try {
      const { faults, lsn } = await verifyDirectory(optionsOf(this.plan, env))
      if (faults.length > 0) {
        const [{ file, offset, problem }] = faults
        throw new Violation(`verify ${when}: ${file}, byte ${offset}: ${problem}`)
      }
      if (when !== 'at the end') return
      const last = this.model.transactions.filter(isLogged).at(-1)
      if (last !== undefined && lsn < last.lsn) throw new Violation(`verify: expected LSN ${last.lsn}, found ${lsn}`)
    } catch (error) {
      if (!(error instanceof SimulatedCrash)) throw error
    }
    env.rates = rates
  }

  private acknowledged(): Transaction[] {
    return this.model.transactions.filter(t => t.durable && isLogged(t))
  }

  private checkRecovery(prng: Prng): void {
    const { model, storage, env } = this
    const { lsn } = storage.recovery
    if (storage.lsn !== lsn) throw new Violation(`the storage is at ${storage.lsn}, its recovery ended at ${lsn}`)
    const lost = this.acknowledged().filter(t => t.lsn > lsn && t.fate !== 'refused')
    if (lost.length > 0) throw new Violation(`transaction ${lost[0].lsn} was acknowledged; recovery ended at ${lsn}`)
    const unwritten = this.written.find(t => t.lsn > lsn)
    if (unwritten !== undefined)
      throw new Violation(`transaction ${unwritten.lsn} was written; recovery ended at ${lsn}`)
    this.written = []
    const { globalMaxLsn } = decodeManifest(env.contents(`${DIRECTORY}/MANIFEST`), 'MANIFEST')
    model.truncate(lsn, globalMaxLsn)
    this.calmly(() => this.matchTables(prng))
    // A crash in between leaves the question which tables there are to the next opening.
    if (!env.crashed) this.tainted = false
  }

  /** The tables that are there are those that must be, and no others; each has what it must have. */
  private matchTables(prng: Prng): void {
    const { model, storage, tainted } = this
    const found = new Set<TableModel>()
    for (const tree of storage.tables) {
      const candidates = model.tables.filter(
        t =>
          (t.state !== 'gone' || tainted) &&
          t.tableId === tree.tableId &&
          t.name === tree.name &&
          t.kind === tree.table.kind &&
          JSON.stringify(t.universe.layout.schema.columns.map(c => c.type)) ===
            JSON.stringify(tree.layout.schema.columns.map(c => c.type)),
      )
      if (candidates.length === 0) throw new Violation(`there should be no table ${tree.name} (${tree.tableId})`)
      found.add(this.matchOne(tree, candidates, prng))
    }
    for (const table of model.tables) {
      const must = table.state === 'there' && !this.shaky.has(table) && !tainted
      if (must && !found.has(table)) throw new Violation(`table ${table.name} (${table.tableId}) is gone`)
      table.state = found.has(table) ? 'there' : 'gone'
    }
    this.shaky.clear()
  }

  private matchOne(tree: Tree, candidates: readonly TableModel[], prng: Prng): TableModel {
    let problem: unknown = null
    // One that must be there comes before those of calls that failed.
    const byCertainty = candidates.toSorted((a, b) => Number(b.state === 'there') - Number(a.state === 'there'))
    for (const table of byCertainty) {
      try {
        checkStore(tree, table, table.visible, prng)
        return table
      } catch (error) {
        if (this.tainted && error instanceof GnitzError) throw new Lost(error)
        problem ??= error
      }
    }
    throw problem
  }
}
