/**
 * The rows of a recursion's variable that lasts: each with the iteration in which it came. The rest of what is known of them
 * follows from their derivations. The table in memory stays complete; what has changed is written as a difference.
 */
import { Arranger } from '../../zset/arrange.js'
import { Batch } from '../../zset/batch.js'
import type { Cold } from '../../zset/cold.js'
import type { Kernels } from '../../zset/kernels.js'
import type { Facts } from '../operators/facts.js'
import type { StatePart } from './part.js'

export class FactsPart implements StatePart {
  private cold: Cold | null = null
  private kernels: Kernels | null = null

  constructor(
    readonly name: string,
    readonly layout: Batch['layout'],
    private readonly facts: Facts,
  ) {}

  /** Nothing would become less by moving it. */
  get hotBytes(): number {
    return 0
  }

  attach(cold: Cold, kernels: Kernels): void {
    this.cold = cold
    this.kernels = kernels
    this.facts.track()
  }

  takeHot(): Batch | null {
    const { facts, kernels } = this
    if (kernels === null) return null
    const arranger = new Arranger(kernels)
    const { raw } = arranger
    for (const { slot, level } of facts.unsaved()) {
      raw.reserve(2)
      if (level > 0) this.put(slot, level, -1n, raw)
      if (facts.levels[slot] > 0) this.put(slot, facts.levels[slot], 1n, raw)
    }
    if (raw.length === 0) return null
    const delta = new Batch(this.layout, raw.length)
    arranger.arrange(delta)
    return delta.length > 0 ? delta : null
  }

  private put(slot: number, level: number, weight: bigint, raw: Batch): void {
    const k = this.facts.copyTo(slot, raw)
    raw.columns[this.layout.schema.columns.length - 1][k] = level - 1
    raw.weights[k] = weight
  }

  settled(): void {
    this.facts.saved()
  }

  putBack(): void {}

  relieve(): void {}

  /** Puts the rows that were found into the table. Returns how many. */
  restore(): number {
    const { cold, facts } = this
    if (cold === null || cold.rowCount === 0) return 0
    for (const run of cold.runs()) facts.restore(run)
    return cold.rowCount
  }
}
