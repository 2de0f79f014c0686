/**
 * Replaying the log into tables. Small transactions of a table are put side by side and enter it together, sorted and
 * summed: a table is the sum of its deltas, so nobody can tell, and a transaction of one row needs neither a batch nor a
 * search of its own. Large ones enter it as they are.
 */
import { appendRows } from '../zset/append.js'
import { Arranger } from '../zset/arrange.js'
import { Batch } from '../zset/batch.js'
import { weightBound } from '../zset/trace.js'
import { SAFE_BOUND, type Tree } from './tree.js'
import type { Lsn, TableId } from './types.js'
import type { RowSink, WalGroup } from './wal/groups.js'

/** A transaction with more rows of a table is a delta of its own. */
const SMALL_ROWS = 256
/** Rows, and bytes of long strings, that wait at most. */
const WAITING_ROWS = 8192
const WAITING_BYTES = 1 << 20

/** Rows of one table that are not in it yet. */
interface Waiting {
  readonly tree: Tree
  readonly arranger: Arranger
  /** The transactions: where the rows of each begin, and its LSN. */
  readonly starts: number[]
  readonly lsns: Lsn[]
}

export class Replayer implements RowSink {
  private readonly waiting = new Map<TableId, Waiting>()

  /** `flushes`: MemTables that are full become shards meanwhile. */
  constructor(
    private readonly trees: ReadonlyMap<TableId, Tree>,
    private readonly flushes: boolean,
  ) {}

  room(tableId: TableId, lsn: Lsn, rowCount: number, tailBytes: number): Batch | null {
    if (rowCount > SMALL_ROWS || tailBytes > WAITING_BYTES) return null
    const waiting = this.waiting.get(tableId) ?? this.begin(tableId, lsn)
    if (waiting === null) return null
    const { raw } = waiting.arranger
    if (raw.length + rowCount > WAITING_ROWS || raw.heap.length + tailBytes > WAITING_BYTES) this.ingest(waiting)
    waiting.starts.push(raw.length)
    waiting.lsns.push(lsn)
    raw.reserve(rowCount)
    raw.heap.reserve(tailBytes)
    return raw
  }

  /** Null if the transaction is not for the table: that is gone, or has it already. */
  private begin(tableId: TableId, lsn: Lsn): Waiting | null {
    const tree = this.trees.get(tableId)
    if (tree === undefined || lsn <= tree.table.flushedLsn) return null
    const waiting = { tree, arranger: new Arranger(tree.kernels), starts: [], lsns: [] }
    this.waiting.set(tableId, waiting)
    return waiting
  }

  /** Takes what `room` has refused. */
  take({ lsn, parts }: WalGroup): void {
    for (const { tableId, batch } of parts) {
      const tree = this.trees.get(tableId)
      if (tree === undefined || lsn <= tree.table.flushedLsn) continue
      const before = this.waiting.get(tableId)
      if (before !== undefined) this.ingest(before)
      this.ingestInto(tree, batch, lsn, lsn)
    }
  }

  /** Everything is in its table when this returns. */
  finish(): void {
    for (const waiting of this.waiting.values()) this.ingest(waiting)
    this.waiting.clear()
  }

  private ingest({ tree, arranger, starts, lsns }: Waiting): void {
    const { raw } = arranger
    if (raw.length > 0 && weightBound(raw) < SAFE_BOUND) {
      const delta = new Batch(raw.layout)
      arranger.arrange(delta)
      this.ingestInto(tree, delta, lsns[0], lsns[lsns.length - 1])
    } else {
      // Their sums might leave 64 bits on the way.
      for (const [t, start] of starts.entries()) {
        const end = starts[t + 1] ?? raw.length
        const delta = new Batch(raw.layout, end - start)
        appendRows(raw, start, end, delta)
        delta.order = 'consolidated'
        this.ingestInto(tree, delta, lsns[t], lsns[t])
      }
    }
    raw.clear()
    starts.length = 0
    lsns.length = 0
  }

  private ingestInto(tree: Tree, delta: Batch, firstLsn: Lsn, lsn: Lsn): void {
    tree.ingest(delta, lsn, firstLsn)
    if (this.flushes && tree.hasSealed) tree.flush()
  }
}
