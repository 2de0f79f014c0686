/** Totals over rows of runs, for frames that begin or end with the partition. */
import type { Batch } from '../../../zset/batch.js'
import { HEAD_ROWS } from '../../../zset/trace.js'
import type { Total } from './totals.js'

const BLOCK_BITS = 6

/** The weight of a row as a double. */
export function weightOf({ weights32 }: Batch, row: number): number {
  return (weights32[row * 2 + 1] | 0) * 4294967296 + weights32[row * 2]
}

/**
 * Totals over rows of a run, from totals of all rows before each block, which are made when a run is first asked; the
 * short head of a trace, which changes in place, has none.
 */
export class RunTotals {
  private readonly blocks = new WeakMap<Batch, Total[]>()

  constructor(
    readonly make: () => Total,
    /** Takes a row of a run into a total, `times` times. */
    private readonly addRow: (total: Total, run: Batch, row: number, times: number) => void,
  ) {}

  /** Adds rows from..to of the run, with their weights, to `total`. */
  add(run: Batch, from: number, to: number, total: Total): void {
    if (run.length <= HEAD_ROWS || to - from <= 1 << BLOCK_BITS) {
      this.addRows(run, from, to, 1, total)
      return
    }
    const blocks = this.blocksOf(run)
    const first = from >> BLOCK_BITS
    const last = to >> BLOCK_BITS
    total.plus(blocks[last], 1)
    total.plus(blocks[first], -1)
    this.addRows(run, first << BLOCK_BITS, from, -1, total)
    this.addRows(run, last << BLOCK_BITS, to, 1, total)
  }

  /** The same, row by row, with weights times `sign`. */
  addRows(run: Batch, from: number, to: number, sign: number, total: Total): void {
    for (let row = from; row < to; row++) {
      const weight = weightOf(run, row)
      if (weight !== 0) this.addRow(total, run, row, sign * weight)
    }
  }

  private blocksOf(run: Batch): Total[] {
    let blocks = this.blocks.get(run)
    if (blocks === undefined) {
      const count = (run.length >> BLOCK_BITS) + 1
      const running = this.make()
      blocks = []
      for (let b = 0; b < count; b++) {
        const total = this.make()
        total.plus(running, 1)
        blocks.push(total)
        if (b + 1 < count) this.addRows(run, b << BLOCK_BITS, (b + 1) << BLOCK_BITS, 1, running)
      }
      this.blocks.set(run, blocks)
    }
    return blocks
  }
}
