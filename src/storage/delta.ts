/**
 * What is asked of a delta before it is let in. Whatever enters the log is read back under the strict checks of recovery
 * and of shards, so it is held to them while it can still be refused.
 */
import { RowError } from '../base/errors.js'
import type { Column, KeyField } from '../schema/schema.js'
import type { Batch } from '../zset/batch.js'
import type { Kernels } from '../zset/kernels.js'
import { type Fault, findCellFault, findWeightFault, HeapView } from './shard/content.js'
import { fieldProblem, findColumnFault, findNullFault } from './shard/verify.js'

/**
 * Throws RowError, naming table, column and row, unless `delta` is consolidated (rows ascend by `kernels.compareRows`,
 * no weight is zero) and its cells are canonical: bools are 0 or 1, times within a day, a NULL cell and unused bits are
 * zero, strings are UTF-8 that lies in the heap. Costs 10 to 20 ns a row, and as much per column of text.
 */
export function checkDelta(kernels: Kernels, delta: Batch): void {
  const { schema, stored, key } = kernels.layout
  const refuse = (column: Column | null, fault: Fault | null): void => {
    if (fault !== null) throw new RowError(schema.name, column?.name ?? null, fault.row, fault.problem)
  }
  refuse(null, findWeightFault(delta.weights32, delta.length))
  if (schema.nullWords > 0) refuse(null, findNullFault(delta))
  let text: HeapView | null = null
  for (let c = 0; c < stored.length; c++) {
    const column = stored[c]
    const { type, info, nullable, index } = column
    if (nullable || type === 'bool' || type === 'time') refuse(column, findColumnFault(delta, column))
    if (info.storage === 'german') {
      text ??= new HeapView(delta.heap.bytes.subarray(0, delta.heap.length))
      refuse(column, findCellFault(delta.lanes[index], delta.length, text, type === 'string'))
    }
  }
  if (key.kind === 'packed') refuse(null, findKeyFault(kernels, delta))
  refuse(null, findOrderFault(kernels, delta))
}

/** A key whose image no value has. Keys of integers have none. */
function findKeyFault({ layout }: Kernels, delta: Batch): Fault | null {
  const { words, fields } = layout.key
  const total = words * 64
  const unusedBits = fields[0].fromBit - (fields[0].column.nullable ? 1 : 0)
  if (unusedBits === 0 && !fields.some(isFragile)) return null
  const unused = BigInt(unusedBits)
  const fragile = fields.filter(isFragile)
  for (let row = 0; row < delta.length; row++) {
    const image = words === 1 ? delta.keys[row] : (delta.keys[row * 2 + 1] << 64n) | delta.keys[row * 2]
    if (image >> (BigInt(total) - unused) !== 0n) return { row, problem: 'expected zeros in unused bits of the key' }
    for (const field of fragile) {
      const problem = fieldProblem(delta, row, field, image, total)
      if (problem !== null) return { row, problem }
    }
  }
  return null
}

const isFragile = ({ column }: KeyField): boolean => column.nullable || column.type === 'bool'

function findOrderFault(kernels: Kernels, delta: Batch): Fault | null {
  for (let row = 1; row < delta.length; row++) {
    const order = kernels.compareRows(delta, row - 1, delta, row)
    if (order === 0) return { row, problem: `expected a consolidated delta, found row ${row - 1} again` }
    if (order > 0) return { row, problem: `expected rows in order, found one that belongs before row ${row - 1}` }
  }
  return null
}
