/**
 * How far the demo has come. It is a row of a table like others, and moves in the transaction whose rows it counts: a
 * demo that was killed finds both or neither, and goes on after the last batch that the disk has.
 */
import type { Database, Transaction } from '../src/index.js'
import { Latencies } from './format.js'
import { progress } from './views.js'

export interface Place {
  /** How many flights this database is for. */
  readonly rows: number
  /** Rounds of corrections that are over. */
  readonly round: number
  /** 0: the load; n: the nth of `CORRECTIONS`. */
  readonly step: number
  /** Flights of the step that are done. */
  readonly done: number
}

export interface Correction {
  readonly kind: 'retract' | 're-insert'
  /** Flights in a transaction. */
  readonly batch: number
}

/** What is done to some flights in every round. After the third they are gone, after the last all of them are back. */
export const CORRECTIONS: readonly Correction[] = [
  { kind: 'retract', batch: 1 },
  { kind: 're-insert', batch: 1 },
  { kind: 'retract', batch: 1000 },
  { kind: 're-insert', batch: 1000 },
]
/** The correction after which the flights are gone and the views are to be verified. */
export const ALL_RETRACTED = 2

export class Journal {
  constructor(private last: Place) {}

  /** Where the database stands, or null if nothing was ever written. */
  static read(db: Database): Journal | null {
    const row = db.table(progress).get(0)
    return row === undefined ? null : new Journal(row)
  }

  get place(): Place {
    return this.last
  }

  /** How much of a step is done: 0 if it has not begun. */
  doneOf(step: number, total: number): number {
    const { last } = this
    return step < last.step ? total : step > last.step ? 0 : last.done
  }

  /** Moves with the transaction. If that throws, the demo ends. */
  move(tx: Transaction, change: Partial<Place>): void {
    this.last = { ...this.last, ...change }
    tx.upsert(progress, { id: 0, ...this.last })
  }
}

/** Transactions that are on their way to the disk: so many may be at a time, and share what a sync costs. */
export class Pipeline {
  /** From the transaction to its acknowledgement. */
  readonly latencies = new Latencies()
  private readonly open: Promise<void>[] = []

  constructor(
    private readonly limit: number,
    /** What the latest transaction that is on the disk has completed. */
    public acknowledged: number,
  ) {}

  /** Adds a transaction; waits if there are too many. Throws why one could not be made durable. */
  async add(commit: PromiseLike<unknown>, done: number): Promise<void> {
    const start = performance.now()
    const settled = Promise.resolve(commit).then(() => {
      this.acknowledged = done
      this.latencies.add(performance.now() - start)
    })
    // Whoever waits for it hears of it.
    settled.catch(() => undefined)
    this.open.push(settled)
    if (this.open.length >= this.limit) await this.open.shift()
  }

  /** Waits for all of them. */
  async drain(): Promise<void> {
    for (const commit of this.open.splice(0)) await commit
  }
}
