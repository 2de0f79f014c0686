/**
 * Ordered aggregates other than MIN and MAX: values of groups that are read off an arrangement by (group, order), by
 * rank or by going through all rows. Only groups whose rows have changed are looked at; a rank is found by order
 * statistics over the runs (`zset/rank.ts`), so its cost does not grow with the group.
 */
import { readValue, writeValue } from '../../../codegen/expr/plain.js'
import type { Ordered, RankReader, WalkedRow, WalkReader } from '../../circuit/aggregates/definition.js'
import type { AggregateDetail } from '../../circuit/rel.js'
import { Failure } from '../../circuit/scalar.js'
import type { Column } from '../../schema/schema.js'
import type { Value } from '../../schema/types.js'
import { Batch } from '../../zset/batch.js'
import { cellIsNull, copyCell, makeNull, sameCell, setCellNull } from '../../zset/cells.js'
import { type GroupTable, NO_SPILL } from '../../zset/groups.js'
import { PositivePart } from '../../zset/positive.js'
import { countOf, groupRanges, type RunRanges, selectRow } from '../../zset/rank.js'
import { HEAD_ROWS } from '../../zset/trace.js'
import type { ArrangeOperator } from './arrange.js'
import { MergeWalk } from './walk.js'

/** One aggregate over an arrangement. */
export interface RankedTarget {
  readonly plan: Ordered
  readonly detail: AggregateDetail
  /** Its columns in the arrangement. */
  readonly columns: readonly Column[]
  /** Where its value goes. */
  readonly target: Column
  /** The accumulator that says why there is no value; -1 if there always is one. */
  readonly tally: number
}

export class Ranked {
  readonly positive: PositivePart
  private readonly packed: boolean

  constructor(
    readonly arrangement: ArrangeOperator,
    private readonly targets: readonly RankedTarget[],
    view: string,
  ) {
    const { kernels } = arrangement
    this.positive = new PositivePart(kernels, `an ordered aggregate of view ${JSON.stringify(view)}`)
    this.packed = kernels.layout.key.kind === 'packed'
  }

  /** Brings the values of all groups up to date whose rows this step changes. */
  step(table: GroupTable): void {
    const { arrangement, positive } = this
    const { kernels } = arrangement
    const delta = arrangement.delta()
    if (delta === null) return
    const before = arrangement.before()
    const changed = settled(positive.change(before, delta), delta, kernels.copyRow)
    const runs = [...before, ...positive.rows.batches(), changed]
    for (let from = 0; from < changed.length; ) {
      let to = from + 1
      while (to < changed.length && kernels.compareGroups(changed, to, changed, from) === 0) to++
      const slot = this.slotOf(table, changed, from)
      if (slot >= 0) this.update(table, slot, groupRanges(kernels, runs, changed, from))
      from = to
    }
  }

  private slotOf(table: GroupTable, rows: Batch, row: number): number {
    const { key, schema } = rows.layout
    const own = table.rows.layout.schema.columns
    const confirm = (slot: number) =>
      key.columns.every(c => sameCell(rows, schema.columns[c], row, table.rows, own[c], slot))
    const slot = table.find(rows.keys32, row * key.words * 2, this.packed ? null : confirm)
    if (slot >= 0 && table.positionOf(slot) < 0) {
      table.makeRoom()
      table.touch(slot)
    }
    return slot
  }

  private update(table: GroupTable, slot: number, ranges: RunRanges): void {
    const n = countOf(ranges)
    for (const target of this.targets) {
      const { plan, tally } = target
      if (n === 0) this.put(table, slot, target, null)
      else if (plan.read === 'first') this.copy(table, slot, target, ranges, 0)
      else if (plan.read === 'last') this.copy(table, slot, target, ranges, n - 1)
      else if ('ranks' in plan.read) this.put(table, slot, target, this.byRank(target, plan.read, ranges, n))
      else this.walk(table, slot, target, plan.read, ranges)
      if (tally >= 0 && n === 0) table.setSpill(tally, slot, undefined)
    }
  }

  private put(table: GroupTable, slot: number, { target }: RankedTarget, value: Value): void {
    if (target.nullable) setCellNull(table.rows, target, slot, false)
    // Where a group has no value but must have one, it has no rows and is not there.
    if (value !== null || target.nullable) writeValue(table.rows, target, slot, value)
  }

  private copy(
    table: GroupTable,
    slot: number,
    { plan, columns, target }: RankedTarget,
    ranges: RunRanges,
    k: number,
  ): void {
    const found = selectRow(this.arrangement.kernels, ranges, k)
    const column = columns[plan.value]
    const isNull = found === null || cellIsNull(found.run, column, found.row)
    if (!isNull) {
      copyCell(found.run, column, found.row, table.rows, target, slot)
      if (target.nullable) setCellNull(table.rows, target, slot, false)
    } else if (target.nullable) makeNull(table.rows, target, slot)
  }

  private byRank({ plan, columns, detail }: RankedTarget, read: RankReader, ranges: RunRanges, n: number): Value {
    const { kernels } = this.arrangement
    const values = read.ranks(n, detail).map(k => {
      const found = selectRow(kernels, ranges, k)
      return found === null ? null : readValue(found.run, columns[plan.value], found.row)
    })
    return read.finish(values, n, detail)
  }

  private walk(table: GroupTable, slot: number, target: RankedTarget, read: WalkReader, ranges: RunRanges): void {
    const { columns, detail, tally } = target
    let message: string | undefined
    try {
      const types = columns.map(c => c.type)
      this.put(table, slot, target, read.walk(this.rowsOf(ranges, columns), detail, types, target.target.type))
    } catch (failure) {
      if (!(failure instanceof Failure)) throw failure
      message = failure.message
    }
    if (tally >= 0) table.setSpill(tally, slot, message === undefined ? undefined : { ...NO_SPILL, message })
  }

  private *rowsOf(ranges: RunRanges, columns: readonly Column[]): Generator<WalkedRow> {
    const walk = new RangesWalk(this.arrangement.kernels, ranges)
    while (walk.next()) {
      const { run, row, weight } = walk
      if (run !== null) yield { values: columns.map(c => readValue(run, c, row)), weight }
    }
  }

  commit(): void {
    this.positive.commit()
  }

  abort(): void {
    this.positive.abort()
  }
}

/** Sums of weights are kept for long runs, so these must not change: a batch that is used again is copied. */
function settled(changed: Batch, delta: Batch, copyRow: (from: Batch, i: number, to: Batch, k: number) => void): Batch {
  if (changed === delta || changed.length <= HEAD_ROWS) return changed
  const copy = new Batch(changed.layout, changed.length)
  for (let i = 0; i < changed.length; i++) copyRow(changed, i, copy, i)
  copy.length = changed.length
  copy.order = changed.order
  return copy
}

/** The rows of ranges in order, weights summed. */
class RangesWalk extends MergeWalk {
  private readonly ends = new Map<Batch, number>()

  constructor(kernels: ConstructorParameters<typeof MergeWalk>[0], { runs, from, to }: RunRanges) {
    super(kernels)
    this.reset(false)
    runs.forEach((run, r) => {
      this.ends.set(run, to[r])
      if (from[r] < to[r]) this.enter(run, from[r])
    })
  }

  protected override inside(run: Batch, row: number): boolean {
    return row < (this.ends.get(run) as number)
  }
}
