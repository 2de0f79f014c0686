/**
 * Totals: aggregates that can be taken back, so that a frame's is that of the frame before with what came in and went
 * out. All are exact: integers as bigints beyond 2^53, floats as sums of two doubles and what these cannot hold apart.
 */
import { readValue } from '../../../../codegen/expr/plain.js'
import { nearest } from '../../../base/dyadic.js'
import type { Real } from '../../../circuit/aggregates/definition.js'
import type { Column } from '../../../schema/schema.js'
import type { Batch } from '../../../zset/batch.js'
import { cellIsNull } from '../../../zset/cells.js'
import { SlowSum } from './slow-sum.js'

export abstract class Total {
  /** Values taken in. */
  count = 0

  /** Takes what `columns` hold in a row in `times` times; negative: out. */
  abstract take(batch: Batch, columns: readonly Column[], row: number, times: number): void
  /** Takes in (1) or out (-1) what another total of the same class holds. */
  abstract plus(other: Total, sign: number): void
  abstract clear(): void
  /** Whether nothing is left, or it cancels. */
  abstract get isZero(): boolean
}

/** Rows, or those where a column is not NULL. */
export class CountTotal extends Total {
  take(batch: Batch, columns: readonly Column[], row: number, times: number): void {
    if (columns.length === 0 || !cellIsNull(batch, columns[0], row)) this.count += times
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

/** A total of the values of one column that are not NULL. */
export abstract class ValueTotal extends Total {
  take(batch: Batch, columns: readonly Column[], row: number, times: number): void {
    const column = columns[0]
    if (!cellIsNull(batch, column, row)) this.add(numberAt(batch, column, row), times)
  }

  abstract add(value: number | bigint, times: number): void
}

/** A number as it is stored; a decimal in its units. */
export const numberAt = (batch: Batch, column: Column, row: number): number | bigint =>
  column.info.storage === 'w128' ? (readValue(batch, column, row) as bigint) : batch.columns[column.index][row]

const SAFE = Number.MAX_SAFE_INTEGER
const SAFE_BIGINT = BigInt(SAFE)

export class IntegerTotal extends ValueTotal {
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

  addProduct(x: number | bigint, y: number | bigint, times: number): void {
    const product = Number(x) * Number(y)
    this.add(product <= SAFE && product >= -SAFE ? product + 0 : BigInt(x) * BigInt(y), times)
  }
}

/** Factors whose product, and what is rounded off it, are doubles. */
const [LEAST_FACTOR, MOST_FACTOR] = [2 ** -400, 2 ** 400]
const isPlainFactor = (x: number): boolean => {
  const size = Math.abs(x)
  return size < MOST_FACTOR && (size > LEAST_FACTOR || size === 0)
}
/** Splits a double into two halves of 26 bits (Dekker). */
const SPLITTER = 2 ** 27 + 1

export class FloatTotal extends ValueTotal {
  /** The sum is `high + low`, both finite, and `rest`. */
  private high = 0
  private low = 0
  private rest: SlowSum | null = null

  add(value: number | bigint, times: number): void {
    const x = value as number
    this.count += times
    if (times === 1 && Number.isFinite(x)) this.addExact(x)
    else if (times === -1 && Number.isFinite(x)) this.addExact(-x)
    else this.spill().add(x, times)
  }

  addProduct(x: number, y: number, times: number): void {
    this.count += times
    if ((times !== 1 && times !== -1) || !isPlainFactor(x) || !isPlainFactor(y)) {
      this.spill().addProduct(x, y, times)
      return
    }
    const product = x * y
    const [a, b] = [x * SPLITTER, y * SPLITTER]
    const [xHigh, yHigh] = [a - (a - x), b - (b - y)]
    const [xLow, yLow] = [x - xHigh, y - yHigh]
    const rounded = xLow * yLow - (product - xHigh * yHigh - xLow * yHigh - xHigh * yLow)
    this.addExact(times * product)
    this.addExact(times * rounded)
  }

  private spill(): SlowSum {
    this.rest ??= new SlowSum()
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
    } else this.spill().add(x, 1)
  }

  plus(other: FloatTotal, sign: number): void {
    this.count += other.count * sign
    this.addExact(sign === 1 ? other.high : -other.high)
    this.addExact(sign === 1 ? other.low : -other.low)
    if (other.rest !== null) this.spill().addSum(other.rest, sign)
  }

  clear(): void {
    this.count = 0
    this.high = 0
    this.low = 0
    this.rest = null
  }

  private get all(): SlowSum {
    const all = new SlowSum()
    all.add(this.high, 1)
    all.add(this.low, 1)
    if (this.rest !== null) all.addSum(this.rest, 1)
    return all
  }

  get exact(): Real {
    return this.all.real
  }

  /** Rounded once; never -0. */
  get sum(): number {
    if (this.rest === null) return this.high + this.low + 0
    const { finite, special } = this.exact
    return finite === null ? special : nearest(finite)
  }

  get isZero(): boolean {
    return this.count === 0 && (this.rest === null ? this.high + this.low === 0 : this.all.isZero)
  }
}

/** Exclusive or. */
export class BitsTotal extends ValueTotal {
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
