/**
 * Foreign keys: where rows of the child refer to a key, rows of the parent have it. A key is there if the weights of
 * the rows that have it add up to more than 0, on either side; a row with a NULL in the key refers to nothing.
 *
 * Only two things can break that: a key that gains references and has no row, and a key that lost its row and has
 * references. Each is found from the change of one side and counted in the other, before and with the transaction.
 */
import { GroupCode, type Tally, type Turned } from '../../../codegen/constraints.js'
import type { CodeContext } from '../../../codegen/steps.js'
import type { ForeignKeyDefinition } from '../../circuit/rel.js'
import type { Batch } from '../../zset/batch.js'
import type { Trace } from '../../zset/trace.js'
import { CountedGroups, type KeyGroups } from './groups.js'
import type { Scratch } from './scratch.js'

/** A group that breaks the rule: a row of the batch that stands for it. */
export interface Dangling {
  readonly batch: Batch
  readonly row: number
}

export class ForeignKeyRule {
  /** Counts groups of the child in the parent, of the parent in the child, and of each in itself. */
  private readonly toParent: Tally
  private readonly toChild: Tally
  private readonly inChild: Tally
  private readonly inParent: Tally
  private readonly missing: Turned
  private readonly lost: Turned

  constructor(
    readonly definition: ForeignKeyDefinition,
    readonly child: KeyGroups,
    readonly parent: KeyGroups,
    context: CodeContext,
  ) {
    const [below, above] = [child.shape(true), parent.shape(true)]
    const fromChild = new GroupCode(context, below)
    const fromParent = new GroupCode(context, above)
    this.toParent = fromChild.tally(above, false)
    this.inChild = fromChild.tally(below, false)
    this.toChild = fromParent.tally(below, false)
    this.inParent = fromParent.tally(above, false)
    this.missing = fromChild.turned(false)
    this.lost = fromParent.turned(true)
  }

  /** A key that gains references without a row, or null. */
  orphan(scratch: Scratch): Dangling | null {
    const { parent, child } = this
    if (child instanceof CountedGroups) return this.orphanOf(child, scratch)
    const delta = child.ahead()
    if (delta === null) return null
    scratch.clear(delta.length)
    count(this.toParent, delta, parent.before(), scratch.sums, scratch.own)
    countOne(this.toParent, delta, parent.ahead(), scratch.sums, scratch.own)
    const found = this.missing(delta, scratch.sums, scratch.own, scratch.ownLanes, scratch.rows)
    if (found === 0) return null
    // With weights below zero, a group may gain and still not be there.
    const rows = scratch.rows.slice(0, found)
    scratch.clear(delta.length)
    count(this.inChild, delta, this.child.before(), scratch.sums, scratch.own)
    countOne(this.inChild, delta, delta, scratch.sums, scratch.own)
    const row = rows.find(r => scratch.sums[r] > 0n)
    return row === undefined ? null : { batch: delta, row }
  }

  /** A key that has references had its row, unless the transaction takes rows away. */
  private orphanOf(child: CountedGroups, scratch: Scratch): Dangling | null {
    const { parent } = this
    const change = parent.ahead()
    const delta = child.touched(change !== null && hasRetractions(change))
    if (delta === null) return null
    scratch.clear(delta.length)
    count(this.toParent, delta, parent.before(), scratch.sums, scratch.own)
    countOne(this.toParent, delta, change, scratch.sums, scratch.own)
    for (let row = 0; row < delta.length; row++) if (scratch.sums[row] <= 0n) return { batch: delta, row }
    return null
  }

  /** A key that lost its row and has references still, or null. REQUIRES: the parent's key is unique. */
  abandoned(scratch: Scratch): Dangling | null {
    const delta = this.parent.ahead()
    if (delta === null || !hasRetractions(delta)) return null
    scratch.clear(delta.length)
    const found = this.lost(delta, scratch.sums, scratch.own, scratch.ownLanes, scratch.rows)
    if (found === 0) return null
    const { child } = this
    if (child instanceof CountedGroups) {
      for (let f = 0; f < found; f++) {
        const row = scratch.rows[f]
        if (child.countAt(delta, row, this.parent.columns) > 0n) return { batch: delta, row }
      }
      return null
    }
    count(this.toChild, delta, child.before(), scratch.sums, scratch.own)
    countOne(this.toChild, delta, child.ahead(), scratch.sums, scratch.own)
    for (let f = 0; f < found; f++) {
      const row = scratch.rows[f]
      if (scratch.sums[row] > 0n) return { batch: delta, row }
    }
    return null
  }

  /** First rows of groups in `rows`, all rows of the child, that refer to nothing in `parents`; `limit` of them. */
  orphansAmong(rows: Batch, parents: Batch | null, limit: number, scratch: Scratch): number[] {
    scratch.clear(rows.length)
    countOne(this.toParent, rows, parents, scratch.sums, scratch.own)
    const found = this.missing(rows, scratch.sums, scratch.own, scratch.ownLanes, scratch.rows)
    return [...scratch.rows.subarray(0, Math.min(found, limit))]
  }

  /** The weight of the only row's key in the parent, with `overlay` on top of the state before. */
  parentCount(probe: Batch, overlay: Trace, scratch: Scratch): bigint {
    scratch.clear(1)
    count(this.inParent, probe, this.parent.before(), scratch.sums, scratch.own)
    count(this.inParent, probe, overlay.batches(), scratch.sums, scratch.own)
    return scratch.sums[0]
  }

  /**
   * The first rows of the groups of `delta`, a change of the parent on top of `overlay` and the state before, that are
   * there no more and were.
   */
  lostKeys(delta: Batch, overlay: Trace | null, scratch: Scratch): number[] {
    if (!hasRetractions(delta)) return []
    scratch.clear(delta.length)
    const found = this.lost(delta, scratch.sums, scratch.own, scratch.ownLanes, scratch.rows)
    if (found === 0) return []
    const totals = scratch.own.slice(0, delta.length)
    count(this.inParent, delta, this.parent.before(), scratch.sums, scratch.own)
    if (overlay !== null) count(this.inParent, delta, overlay.batches(), scratch.sums, scratch.own)
    return [...scratch.rows.subarray(0, found)].filter(
      row => scratch.sums[row] > 0n && scratch.sums[row] + totals[row] <= 0n,
    )
  }
}

function count(tally: Tally, delta: Batch, runs: readonly Batch[], sums: BigInt64Array, own: BigInt64Array): void {
  for (let r = 0; r < runs.length; r++) {
    runs[r].willSearch(delta.length)
    tally(delta, runs[r], sums, own)
  }
}

function countOne(tally: Tally, delta: Batch, run: Batch | null, sums: BigInt64Array, own: BigInt64Array): void {
  if (run !== null) tally(delta, run, sums, own)
}

/** Does any row of the change go? */
export function hasRetractions({ weights32, length }: Batch): boolean {
  for (let i = 0; i < length; i++) if ((weights32[i * 2 + 1] | 0) < 0) return true
  return false
}
