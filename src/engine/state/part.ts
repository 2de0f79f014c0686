/**
 * State that lasts: what an operator remembers, as Z-sets. A part is one of them. In a durable database it has a table of
 * its own in the directory; rows that are not in that table yet are *hot*. A checkpoint moves all hot rows there, and a
 * restart finds them as *cold* runs. What an operator keeps besides must follow from its parts.
 */
import type { Layout } from '../../schema/schema.js'
import type { Batch } from '../../zset/batch.js'
import type { Cold } from '../../zset/cold.js'
import type { Kernels } from '../../zset/kernels.js'
import type { Store } from '../../zset/store.js'
import type { Trace } from '../../zset/trace.js'

export interface StatePart {
  /** Tells the parts of one operator apart. */
  readonly name: string
  readonly layout: Layout
  /** Memory for what is not cold. */
  readonly hotBytes: number
  /** Adds the rows that lie in shards. REQUIRES: called once, before anything is stepped. */
  attach(cold: Cold, kernels: Kernels): void
  /**
   * What has to be added to the cold rows so that they are the whole state, consolidated; null if nothing. `settled` or
   * `putBack` follows before anything else. REQUIRES: no step runs.
   */
  takeHot(): Batch | null
  /** The cold rows have it. */
  settled(): void
  /** It could not be written. */
  putBack(rows: Batch): void
  /** Gives up memory that only saves time. REQUIRES: everything is settled. */
  relieve(): void
}

/** The rows of a trace, or of a store, which has one. */
export class TracePart implements StatePart {
  constructor(
    readonly name: string,
    readonly layout: Layout,
    private readonly trace: Trace,
    private readonly owner: Pick<Store, 'takeHot' | 'hotBytes'> = trace,
    /** Told when rows have moved. */
    private readonly moved: () => void = () => {},
  ) {}

  get hotBytes(): number {
    return this.owner.hotBytes
  }

  attach(cold: Cold): void {
    this.trace.attach(cold)
  }

  takeHot(): Batch | null {
    const hot = this.owner.takeHot()
    this.moved()
    return hot
  }

  settled(): void {}

  putBack(rows: Batch): void {
    this.trace.putBack(rows)
  }

  relieve(): void {}
}

export const storePart = (name: string, store: Store, moved: () => void): TracePart =>
  new TracePart(name, store.layout, store.trace, store, moved)
