/** `--data DIR`: what the demo's tables hold, kept in a directory of the storage engine. */
import { writeRow } from '../codegen/expr/plain.js'
import { kernelsOf } from '../codegen/index.js'
import type { TableDef } from '../src/index.js'
import {
  Arranger,
  arrangedLayout,
  Batch,
  encodeString,
  NodeEnv,
  Storage,
  type Tree,
  UsageError,
} from '../src/storage/index.js'
import type { Airport, Flights } from './flights.js'
import { integer, mebibytes } from './format.js'
import { airports, flights } from './views.js'

export class Store {
  private readonly flights: Arranger
  private readonly airports: Arranger

  private constructor(
    private readonly directory: string,
    private readonly storage: Storage,
    /** There may be rows from an earlier run, whole or not. */
    private readonly isContinued: boolean,
  ) {
    this.flights = new Arranger(this.make(flights).kernels)
    this.airports = new Arranger(this.make(airports).kernels)
  }

  /** Opens a directory or makes it. Throws UsageError if it holds something else, and the errors of `Storage.open`. */
  static async open(directory: string): Promise<Store> {
    const env = new NodeEnv()
    const found = env.stat(directory)
    if (found !== null && !found.isDirectory) throw new UsageError(`${directory}: expected a directory, found a file`)
    const names = found === null ? [] : env.list(directory).filter(name => !name.startsWith('LOCK'))
    if (names.length > 0 && !names.some(name => name.startsWith('MANIFEST'))) {
      throw new UsageError(`${directory}: expected no directory, an empty one or one of gnitz, found ${names[0]} in it`)
    }
    const storage = await Storage.open({ env, directory, kernelsOf, durability: 'none' })
    try {
      return new Store(directory, storage, storage.tables.length > 0)
    } catch (error) {
      await storage.close({ checkpoint: false })
      throw error
    }
  }

  private make({ schema }: TableDef<unknown, unknown>): Tree {
    return this.storage.createTable(arrangedLayout(schema, schema.primaryKey))
  }

  /** What is there already, or null. */
  get before(): string | null {
    return this.isContinued ? `Continuing with ${this.describe()}.` : null
  }

  private describe(): string {
    const stats = this.storage.tables.map(table => table.stats())
    const total = (of: (s: (typeof stats)[number]) => number) => stats.reduce((sum, s) => sum + of(s), 0)
    const size = `${integer(total(s => s.shards))} shards, ${mebibytes(total(s => s.diskBytes))}`
    return `${integer(total(s => s.rowCount))} rows in ${this.directory} (${size}), transaction ${this.storage.lsn}`
  }

  /** Puts in the airports that are not there. */
  async addAirports(rows: readonly Airport[]): Promise<void> {
    const fill = (raw: Batch) => {
      rows.forEach(({ iata, name, city, state }, i) => {
        writeRow(raw, i, [iata, name, city, state])
      })
    }
    await this.change(this.airports, rows.length, fill, 1n, true)
  }

  /** Puts in the flights from..to as far as they are not there. */
  async addFlights(data: Flights, from: number, to: number): Promise<void> {
    await this.change(this.flights, to - from, raw => fillFlights(raw, to - from, data, i => from + i), 1n, true)
  }

  /** Retracts or re-inserts the flights `chosen`. */
  async correctFlights(data: Flights, chosen: readonly number[], weight: 1n | -1n): Promise<void> {
    const { length } = chosen
    await this.change(this.flights, length, raw => fillFlights(raw, length, data, i => chosen[i]), weight, false)
  }

  /** One transaction over `count` rows, each with this weight; with `once`, only over those that are not there. */
  private async change(
    arranger: Arranger,
    count: number,
    fill: (raw: Batch) => void,
    weight: bigint,
    once: boolean,
  ): Promise<void> {
    const { raw, kernels } = arranger
    raw.clear()
    raw.reserve(count)
    fill(raw)
    raw.weights.fill(weight, 0, count)
    raw.length = count
    let delta = arrange(arranger)
    const table = this.storage.table(kernels.layout.schema.name) as Tree
    if (once && this.isContinued) {
      // A transaction brings each row to weight 1, so that what an earlier run has put in stays as it is.
      const present = new BigInt64Array(delta.length)
      for (const run of table.runs()) kernels.lookup(delta, run, present)
      raw.clear()
      raw.reserve(delta.length)
      for (let i = 0; i < delta.length; i++) {
        kernels.copyRow(delta, i, raw, i)
        raw.weights[i] -= present[i]
      }
      raw.length = delta.length
      delta = arrange(arranger)
    }
    await this.storage.commit([{ table, delta }]).durable
  }

  /** Makes everything durable; says what is there. */
  async close(): Promise<string> {
    try {
      this.storage.checkpoint()
      return `Kept ${this.describe()}; npx gnitz verify ${this.directory} checks it.`
    } finally {
      await this.storage.close({ checkpoint: false })
    }
  }
}

/** Columns go into the batch as they are; the key of a u64 is the number itself. `flightOf` says which is row i. */
function fillFlights(raw: Batch, count: number, data: Flights, flightOf: (i: number) => number): void {
  for (let i = 0; i < count; i++) raw.keys[i] = data.id[flightOf(i)]
  for (const { index, name } of raw.layout.stored) {
    const source = data[name as Exclude<keyof Flights, 'rowCount'>]
    const target = raw.columns[index]
    if (Array.isArray(source)) {
      for (let i = 0; i < count; i++) encodeString(source[flightOf(i)], raw.lanes[index], i * 4, raw.heap)
    } else {
      for (let i = 0; i < count; i++) target[i] = source[flightOf(i)]
    }
  }
}

function arrange(arranger: Arranger): Batch {
  const delta = new Batch(arranger.kernels.layout)
  arranger.arrange(delta)
  return delta
}
