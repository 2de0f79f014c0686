/** Totals of linear aggregates: of all the accumulators that the definition asks for, side by side. */
import { GnitzError } from '../../../base/errors.js'
import type { Accumulated, Accumulator, Real } from '../../../circuit/aggregates/definition.js'
import type { Column } from '../../../schema/schema.js'
import type { Batch } from '../../../zset/batch.js'
import { cellIsNull } from '../../../zset/cells.js'
import { BitsTotal, FloatTotal, IntegerTotal, numberAt, Total, ValueTotal } from './totals.js'

/** How many rows have each of the values 0, 1, 2 … */
class BinsTotal extends ValueTotal {
  readonly bins: Float64Array

  constructor(size: number) {
    super()
    this.bins = new Float64Array(size)
  }

  add(value: number | bigint, times: number): void {
    this.bins[Number(value)] += times
  }

  plus({ bins }: BinsTotal, sign: number): void {
    for (let b = 0; b < bins.length; b++) this.bins[b] += sign * bins[b]
  }

  clear(): void {
    this.bins.fill(0)
  }

  get isZero(): boolean {
    return this.bins.every(n => n === 0)
  }
}

function partOf({ kind, size = 0 }: Accumulator): ValueTotal {
  switch (kind) {
    case 'int':
    case 'intProduct':
      return new IntegerTotal()
    case 'float':
    case 'floatProduct':
      return new FloatTotal()
    case 'xor':
      return new BitsTotal()
    case 'bins':
      return new BinsTotal(size)
    default:
      // Booleans and bits are looked for in other ways.
      throw new GnitzError('INTERNAL', `no totals of frames are made of accumulators of kind ${kind}`)
  }
}

export class LinearTotal extends Total implements Accumulated {
  private readonly parts: readonly ValueTotal[]

  constructor(private readonly accumulators: readonly Accumulator[]) {
    super()
    this.parts = accumulators.map(partOf)
  }

  /** A row takes no part where the first column is NULL. */
  take(batch: Batch, columns: readonly Column[], row: number, times: number): void {
    if (cellIsNull(batch, columns[0], row)) return
    this.count += times
    for (let p = 0; p < this.parts.length; p++) {
      const part = this.parts[p]
      const { kind, at } = this.accumulators[p]
      const x = numberAt(batch, columns[at[0]], row)
      if (kind === 'intProduct') (part as IntegerTotal).addProduct(x, numberAt(batch, columns[at[1]], row), times)
      else if (kind === 'floatProduct') {
        const y = numberAt(batch, columns[at[1]], row) as number
        ;(part as FloatTotal).addProduct(x as number, y, times)
      } else part.add(x, times)
    }
  }

  plus(other: LinearTotal, sign: number): void {
    this.count += other.count * sign
    for (let p = 0; p < this.parts.length; p++) this.parts[p].plus(other.parts[p], sign)
  }

  clear(): void {
    this.count = 0
    for (const part of this.parts) part.clear()
  }

  get isZero(): boolean {
    return this.count === 0 && this.parts.every(part => part.isZero)
  }

  get n(): bigint {
    return BigInt(this.count)
  }

  int(accumulator: number): bigint {
    const part = this.parts[accumulator]
    return part instanceof BitsTotal ? part.bits : (part as IntegerTotal).sum
  }

  real(accumulator: number): Real {
    return (this.parts[accumulator] as FloatTotal).exact
  }

  bit(accumulator: number, bit: number): bigint {
    return BigInt((this.parts[accumulator] as BinsTotal).bins[bit])
  }
}
