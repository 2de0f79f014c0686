/** Gates by definition: the rows whose time compares with the threshold. */
import type { Value } from '../../schema/types.js'
import { compareValues } from '../../schema/values.js'
import { type SignalValue, thresholdOf } from '../bounds.js'
import type { GateRel } from '../rel.js'
import type { Context } from './context.js'
import { addRow, type ZSet } from './zset.js'

const PASSES: Readonly<Record<GateRel['op'], (order: number) => boolean>> = {
  lt: order => order < 0,
  le: order => order <= 0,
  gt: order => order > 0,
  ge: order => order >= 0,
}

/** Before the signal is there, it is less than everything. */
export function interpretGate(rel: GateRel, input: ZSet, signals: SignalValue, context: Context): ZSet {
  const threshold = thresholdOf(rel.threshold, signals)
  const result: ZSet = new Map()
  for (const { row, weight } of input.values()) {
    const key: readonly Value[] | null = context.evaluateAll([rel.key], weight, row)
    if (key === null) continue
    const order = threshold === null ? 1 : compareValues(rel.key.type, key[0], threshold)
    if (PASSES[rel.op](order)) addRow(result, row.slice(0, rel.schema.columns.length), weight)
  }
  return result
}
