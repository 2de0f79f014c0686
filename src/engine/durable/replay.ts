/**
 * Transactions of the log on their way back into the circuits. Several go in one epoch: what views hold after it does not
 * depend on how their rows are divided, unless a view drops what is late.
 */

import type { Mode } from '../../../codegen/build.js'
import { kernelsOf } from '../../../codegen/kernels.js'
import type { Layout } from '../../schema/schema.js'
import { showRows } from '../../storage/shard/views.js'
import type { WalGroup } from '../../storage/wal/groups.js'
import { Batch } from '../../zset/batch.js'

/** Rows of one epoch. */
const EPOCH_ROWS = 1 << 14

export class ReplayQueue {
  private readonly byTable = new Map<number, Batch[]>()
  private rows = 0
  /** That of the last transaction. */
  lsn = 0n

  add({ lsn, parts }: WalGroup): void {
    for (const { tableId, batch } of parts) {
      const list = this.byTable.get(tableId)
      if (list === undefined) this.byTable.set(tableId, [batch])
      else list.push(batch)
      this.rows += batch.length
    }
    this.lsn = lsn
  }

  get isEmpty(): boolean {
    return this.rows === 0
  }

  get isFull(): boolean {
    return this.rows >= EPOCH_ROWS
  }

  take(): { readonly tableId: number; readonly batches: readonly Batch[] }[] {
    const taken = [...this.byTable].map(([tableId, batches]) => ({ tableId, batches }))
    this.byTable.clear()
    this.rows = 0
    return taken
  }
}

/** The sum of consolidated runs, in a layout that is the same but for its object. */
export function sumOf(layout: Layout, mode: Mode, runs: readonly Batch[]): Batch {
  const own = runs.map(run => {
    const view = new Batch(layout)
    showRows(run, 0, run.length, view)
    return view
  })
  if (own.length === 1) return own[0]
  const out = new Batch(
    layout,
    own.reduce((rows, run) => rows + run.length, 0),
  )
  kernelsOf(layout, mode).mergeAll(own, out, new Int32Array(own.length), new Int32Array(own.length))
  out.order = 'consolidated'
  return out
}
