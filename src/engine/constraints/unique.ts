/**
 * UNIQUE: in every group of rows that agree in the terms there is at most one, and it is there once. Every group that
 * the transaction touches is counted in the runs before it, and its rows are; both counts with the change added must be
 * 0 or 1. What other groups hold was so before.
 */
import { GroupCode, type Tally, type Unique } from '../../../codegen/constraints.js'
import type { ConstraintError } from '../../base/errors.js'
import type { UniqueDefinition } from '../../circuit/rel.js'
import type { Batch } from '../../zset/batch.js'
import type { KeyGroups } from './groups.js'
import type { Scratch } from './scratch.js'
import type { TableRules } from './table-rules.js'

/** A UNIQUE constraint of one table, however it is judged. */
export interface UniqueRule {
  readonly definition: UniqueDefinition
  /** The rows by the constraint's columns; null if they are not kept by them. */
  readonly groups: KeyGroups | null
  /** How many keys the running transaction has touched, as far as they were looked at. */
  readonly touched: number
  /** Why the running transaction is refused, or null. */
  refusal(scratch: Scratch): ConstraintError | null
  /** Forgets what was looked at: the transaction will not be, or is another one. */
  forget(): void
}

/** UNIQUE where rows are kept in groups by its columns. */
export class GroupedRule implements UniqueRule {
  private readonly tally: Tally
  private readonly judge: Unique

  constructor(
    readonly definition: UniqueDefinition,
    readonly groups: KeyGroups,
    private readonly table: TableRules,
  ) {
    const { context } = table
    const shape = groups.shape(!definition.nullsNotDistinct)
    const code = new GroupCode(context, shape)
    this.tally = code.tally(shape, true)
    this.judge = code.unique()
  }

  get touched(): number {
    return this.groups.ahead()?.length ?? 0
  }

  refusal(scratch: Scratch): ConstraintError | null {
    const delta = this.groups.ahead()
    if (delta === null) return null
    const at = this.violated(delta, scratch)
    return at < 0 ? null : this.table.uniqueRefusal(this, delta, at)
  }

  forget(): void {
    this.groups.forget()
  }

  /** The first row of the change whose group breaks the rule, or -1. */
  private violated(delta: Batch, scratch: Scratch): number {
    const n = delta.length
    scratch.clear(n)
    const runs = this.groups.before()
    for (let r = 0; r < runs.length; r++) {
      runs[r].willSearch(n)
      this.tally(delta, runs[r], scratch.sums, scratch.own)
    }
    return this.judge(delta, 0, scratch.sums, scratch.sumLanes, scratch.own, scratch.ownLanes)
  }

  /** First rows of groups in `rows`, which are all there are, that break the rule; `limit` of them. */
  violatedAmong(rows: Batch, limit: number, scratch: Scratch): number[] {
    const found: number[] = []
    scratch.clear(rows.length)
    for (let from = 0; found.length < limit; ) {
      const at = this.judge(rows, from, scratch.sums, scratch.sumLanes, scratch.own, scratch.ownLanes)
      if (at < 0) break
      found.push(at)
      from = at + 1
      while (from < rows.length && this.groups.kernels.compareGroups(rows, at, rows, from) === 0) from++
    }
    return found
  }
}
