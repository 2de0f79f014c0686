/**
 * A stretch of a partition: rows side by side, as many as a step needs to look at, with the weights that they had before
 * the step and have after it. Rows lie in a batch in the order in which they were met; `sequence` has their places.
 */
import type { RowSink } from '../../../../codegen/window.js'
import { UsageError } from '../../../base/errors.js'
import { flatLayout, type RowSchema } from '../../../schema/schema.js'
import { Batch } from '../../../zset/batch.js'
import type { GroupWalk } from '../walk.js'

/** Rows that are equal are counted in doubles. */
const MOST_WEIGHT = 2 ** 53

/** Cursors over the runs of a trace and a delta. */
export interface WindowWalk extends Pick<GroupWalk, 'runs' | 'at' | 'sums' | 'lanes'> {
  /** Cursors in play: the first of `runs` and `at`. */
  active: number
}

export class Cursors implements WindowWalk {
  active = 0
  readonly runs: Batch[] = []
  at = new Int32Array(0)
  readonly sums = new BigInt64Array(2)
  readonly lanes = new Uint32Array(this.sums.buffer)

  constructor(private readonly nothing: Batch) {}

  /** Makes room for a cursor per run, and takes all out of play. */
  begin(runs: number): void {
    this.active = 0
    if (runs <= this.at.length) return
    this.at = new Int32Array(runs + 8)
    while (this.runs.length < this.at.length) this.runs.push(this.nothing)
  }

  /** Holds on to no batch that the trace gives up. */
  end(): void {
    this.active = 0
    this.runs.fill(this.nothing)
  }
}

export class Stretch implements RowSink {
  readonly rows: Batch
  /** By place in `rows`: weights before and after the step. */
  before = new Float64Array(16)
  after = new Float64Array(16)
  /** Places in `rows`, in the order of the partition. */
  readonly sequence: number[] = []

  constructor(
    schema: RowSchema,
    private readonly project: (from: Batch, i: number, to: Batch, k: number) => void,
    private readonly view: string,
  ) {
    this.rows = new Batch(flatLayout(schema))
  }

  clear(): void {
    this.rows.clear()
    this.sequence.length = 0
  }

  /** Takes a row in, behind those that are there. */
  append(run: Batch, row: number, before: number, after: number): void {
    if (before > MOST_WEIGHT || after > MOST_WEIGHT) {
      throw new UsageError(`view ${JSON.stringify(this.view)}: a window counts up to 2^53 equal rows, found more`)
    }
    this.sequence.push(this.aside(run, row))
    const at = this.rows.length - 1
    this.before[at] = before
    this.after[at] = after
  }

  /** Takes a row in that is not part of the sequence; its place. */
  aside(run: Batch, row: number): number {
    const { rows } = this
    const at = rows.length
    if (at === rows.capacity || at >= this.before.length) this.grow()
    this.project(run, row, rows, at)
    rows.length = at + 1
    return at
  }

  private grow(): void {
    this.rows.reserve(1)
    const { capacity } = this.rows
    if (this.before.length >= capacity) return
    const { before, after } = this
    this.before = new Float64Array(capacity)
    this.after = new Float64Array(capacity)
    this.before.set(before)
    this.after.set(after)
  }
}
