/**
 * A durable database as a runner of laws, which it is made to live through: checkpoints, state that moves to shards, kills
 * and reopenings happen between transactions, and nobody may notice.
 */
import { Prng } from '../../src/base/prng.js'
import type { ViewDef } from '../../src/circuit/builder/types.js'
import type { TableDef } from '../../src/circuit/columns.js'
import { addRow, type ZSet, zsetOf } from '../../src/circuit/interpret.js'
import type { TableDefinition, ViewDefinition } from '../../src/circuit/rel.js'
import { udfsIn } from '../../src/circuit/serialise/circuit.js'
import type { Database } from '../../src/engine/database.js'
import type { ViewHandle } from '../../src/engine/handles/view.js'
import { openLoaded } from '../../src/engine/open.js'
import { SimulatedEnv } from '../../src/env/simulated.js'
import type { Value } from '../../src/schema/types.js'
import { objectOf, rowOf } from '../../src/testing/engine-runner.js'
import { type Runner, type RunnerFactory, type RunningView, summed } from '../../src/testing/runner.js'

type RowObject = Readonly<Record<string, Value>>
type Step = Parameters<Runner['apply']>[0]

const DIRECTORY = '/data'

/** What happened to the databases of a run, to see that something did. */
export interface Mischief {
  checkpoints: number
  moves: number
  kills: number
  closings: number
  /** Views that were found as they had been left. */
  restored: number
}

export function durableRunner(seed: number, counts: Mischief): RunnerFactory {
  const prng = new Prng(seed)
  return tables => new DurableRunner(tables, new Prng(prng.next()), counts)
}

class DurableRunner implements Runner {
  env = new SimulatedEnv({ seed: 1 })
  database: Database
  private readonly views = new Set<DurableView>()

  constructor(
    tables: readonly TableDefinition[],
    private readonly prng: Prng,
    private readonly counts: Mischief,
  ) {
    this.database = this.open()
    for (const table of tables) this.database.createTable(table as TableDef<RowObject>)
  }

  private open(): Database {
    const udfs = [...this.views].flatMap(view => [...udfsIn(view.definition.rel).values()])
    const options = { env: this.env, checkpointMs: Number.POSITIVE_INFINITY, udfs }
    return openLoaded(DIRECTORY, options)
  }

  apply(step: Step): void {
    this.database.transact(tx => {
      for (const { table, row, weight } of step) {
        tx.add(table as TableDef<RowObject>, objectOf(table.schema, row), weight)
      }
    })
    this.database.durability?.sync()
    this.database.cutOff(true)
    this.disturb()
  }

  createView(definition: ViewDefinition): RunningView {
    const known = this.database.views.find(v => v.name === definition.schema.name)
    if (known === undefined) this.database.createView(definition as ViewDef<RowObject>)
    const view = new DurableView(this, definition)
    this.views.add(view)
    this.disturb()
    return view
  }

  /** Does something, or nothing, that must not change what views hold. */
  private disturb(): void {
    const { durability } = this.database
    if (durability === null) return
    durability.sync()
    switch (this.prng.below(6)) {
      case 0:
        this.counts.checkpoints++
        this.database.checkpoint()
        break
      case 1:
        this.counts.moves++
        durability.parts.moveSome(0, 1n, this.database.lsn)
        break
      case 2:
        this.counts.kills++
        this.reopen()
        break
      case 3:
        this.counts.closings++
        this.database.checkpoint()
        this.reopen()
        break
      default:
    }
  }

  private reopen(): void {
    const { lsn } = this.database
    this.env = this.env.processCrash()
    this.database = this.open()
    // Transactions without rows are not logged.
    if (this.database.lsn > lsn)
      throw new Error(`expected transaction ${lsn} to be the last, found ${this.database.lsn}`)
    this.counts.restored += this.database.durability?.parts.restored ?? 0
    for (const view of this.views) view.follow()
  }

  forget(view: DurableView): void {
    this.views.delete(view)
  }

  close(): void {}
}

class DurableView implements RunningView {
  private readonly received: ZSet
  private unsubscribe: () => void = () => {}

  constructor(
    private readonly runner: DurableRunner,
    readonly definition: ViewDefinition,
  ) {
    this.follow()
    this.received = this.entries()
  }

  private get handle(): ViewHandle<RowObject> {
    return this.runner.database.view<RowObject>(this.definition.schema.name)
  }

  follow(): void {
    const { handle } = this
    if ('observed' in handle.root) handle.root.observed = true
    this.unsubscribe = handle.relation.subscribe(({ changes }) => {
      for (const { row, weight } of changes) addRow(this.received, rowOf(handle.schema, row), weight)
    })
  }

  entries(): ZSet {
    const { schema, relation } = this.handle
    return zsetOf(Array.from(relation.entries(), ({ row, weight }) => ({ row: rowOf(schema, row), weight })))
  }

  integral(): ZSet {
    return this.received
  }

  errors(): ReadonlyMap<string, bigint> {
    const others = new Set<unknown>(this.runner.database.views.filter(v => v !== this.handle).map(v => v.root))
    const own = this.handle.ownErrors(operator => others.has(operator))
    return summed(own.map(({ message, weight }) => [message, weight] as const))
  }

  drop(): void {
    this.unsubscribe()
    this.runner.forget(this)
    this.runner.database.dropView(this.definition.schema.name)
  }
}
