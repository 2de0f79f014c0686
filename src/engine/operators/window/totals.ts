/**
 * Totals: aggregates that can be taken back, so that a frame's is that of the frame before with what came in and went
 * out. All are exact: integers as bigints beyond 2^53, floats as sums of two doubles and what these cannot hold apart.
 */
import { readValue } from '../../../../codegen/expr/plain.js'
import { ExactSum } from '../../../base/exact-sum.js'
import type { Column } from '../../../schema/schema.js'
import type { Batch } from '../../../zset/batch.js'
import { cellIsNull } from '../../../zset/cells.js'
import { HEAD_ROWS } from '../../../zset/trace.js'

export abstract class Total {
  /** Values taken in. */
  count = 0

  /** Takes a value in `times` times; negative: out. */
  abstract add(value: number | bigint, times: number): void
  /** Takes in (1) or out (-1) what another total of the same class holds. */
  abstract plus(other: Total, sign: number): void
  abstract clear(): void
  /** Whether nothing is left, or it cancels. */
  abstract get isZero(): boolean
}

export class CountTotal extends Total {
  add(_value: number | bigint, times: number): void {
    this.count += times
  }

  plus(other: Total, sign: number): void {
    this.count += other.count * sign
  }

  clear(): void {
    this.count = 0
  }

  get isZero(): boolean {
    return this.count === 0
  }
}

const SAFE = Number.MAX_SAFE_INTEGER
const SAFE_BIGINT = BigInt(SAFE)

export class IntegerTotal extends Total {
  /** The sum is `low + high`. */
  private low = 0
  private high = 0n

  add(value: number | bigint, times: number): void {
    this.count += times
    if (typeof value === 'number') this.addSafe(value, times)
    else if (value <= SAFE_BIGINT && value >= -SAFE_BIGINT) this.addSafe(Number(value), times)
    else this.high += value * BigInt(times)
  }

  private addSafe(value: number, times: number): void {
    const part = value * times
    const sum = this.low + part
    if (part <= SAFE && part >= -SAFE && sum <= SAFE && sum >= -SAFE) this.low = sum
    else this.high += BigInt(value) * BigInt(times)
  }

  plus(other: IntegerTotal, sign: number): void {
    this.count += other.count * sign
    this.addSafe(other.low, sign)
    if (other.high !== 0n) this.high += sign === 1 ? other.high : -other.high
  }

  clear(): void {
    this.count = 0
    this.low = 0
    this.high = 0n
  }

  get sum(): bigint {
    return this.high === 0n ? BigInt(this.low) : this.high + BigInt(this.low)
  }

  get isZero(): boolean {
    return this.count === 0 && this.sum === 0n
  }
}

export class FloatTotal extends Total {
  /** The sum is `high + low`, both finite, and `rest`. */
  private high = 0
  private low = 0
  private rest: ExactSum | null = null

  add(value: number | bigint, times: number): void {
    const x = value as number
    this.count += times
    if (times === 1 && Number.isFinite(x)) this.addExact(x)
    else if (times === -1 && Number.isFinite(x)) this.addExact(-x)
    else this.spill().add(x, BigInt(times))
  }

  private spill(): ExactSum {
    this.rest ??= new ExactSum()
    return this.rest
  }

  /** Error-free additions; what does not fit in two doubles is kept in full. */
  private addExact(x: number): void {
    const { high, low } = this
    const sum = high + x
    const part = sum - high
    const error = high - (sum - part) + (x - part)
    const rest = low + error
    const piece = rest - low
    const lost = low - (rest - piece) + (error - piece)
    if (lost === 0) {
      this.high = sum
      this.low = rest
    } else this.spill().add(x, 1n)
  }

  plus(other: FloatTotal, sign: number): void {
    this.count += other.count * sign
    this.addExact(sign === 1 ? other.high : -other.high)
    this.addExact(sign === 1 ? other.low : -other.low)
    if (other.rest !== null) this.spill().addSum(other.rest, BigInt(sign))
  }

  clear(): void {
    this.count = 0
    this.high = 0
    this.low = 0
    this.rest = null
  }

  private get exact(): ExactSum {
    const all = new ExactSum()
    all.add(this.high, 1n)
    all.add(this.low, 1n)
    if (this.rest !== null) all.addSum(this.rest, 1n)
    return all
  }

  /** Rounded once; never -0. */
  get sum(): number {
    return this.rest === null ? this.high + this.low + 0 : this.exact.result()
  }

  get isZero(): boolean {
    return this.count === 0 && (this.rest === null ? this.high + this.low === 0 : this.exact.isZero)
  }
}

/** Exclusive or. */
export class BitsTotal extends Total {
  bits = 0n

  add(value: number | bigint, times: number): void {
    this.count += times
    if (times % 2 !== 0) this.bits ^= BigInt(value)
  }

  plus(other: BitsTotal, sign: number): void {
    this.count += other.count * sign
    this.bits ^= other.bits
  }

  clear(): void {
    this.count = 0
    this.bits = 0n
  }

  get isZero(): boolean {
    return this.count === 0 && this.bits === 0n
  }
}

/** Takes the value of a row into a total, unless it is NULL. No column: the row itself counts. */
export function addCell(total: Total, batch: Batch, column: Column | null, row: number, times: number): void {
  if (column === null) total.add(0, times)
  else if (!cellIsNull(batch, column, row)) {
    const isWide = column.info.storage === 'w128'
    total.add(isWide ? (readValue(batch, column, row) as bigint) : batch.columns[column.index][row], times)
  }
}

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
