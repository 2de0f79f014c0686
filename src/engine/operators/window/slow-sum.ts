/** Exact sums of doubles and of their products, of whatever size: what two doubles do not hold (`totals.ts`). */
import * as dyadic from '../../../base/dyadic.js'
import type { Real } from '../../../circuit/aggregates/definition.js'

export class SlowSum {
  private finite = dyadic.ZERO
  /** How often NaN, Infinity and -Infinity have been taken in. */
  private nans = 0
  private rises = 0
  private falls = 0

  add(x: number, times: number): void {
    if (Number.isFinite(x)) this.addFinite(dyadic.ofDouble(x), times)
    else if (x === Infinity) this.rises += times
    else if (x === -Infinity) this.falls += times
    else this.nans += times
  }

  addProduct(x: number, y: number, times: number): void {
    if (!Number.isFinite(x) || !Number.isFinite(y)) this.add(x * y, times)
    else this.addFinite(dyadic.multiply(dyadic.ofDouble(x), dyadic.ofDouble(y)), times)
  }

  private addFinite(x: dyadic.Dyadic, times: number): void {
    this.finite = dyadic.add(this.finite, dyadic.times(x, BigInt(times)))
  }

  addSum(other: SlowSum, times: number): void {
    this.addFinite(other.finite, times)
    this.nans += other.nans * times
    this.rises += other.rises * times
    this.falls += other.falls * times
  }

  get isZero(): boolean {
    return this.finite.m === 0n && this.nans === 0 && this.rises === 0 && this.falls === 0
  }

  get real(): Real {
    const { nans, rises, falls } = this
    if (nans !== 0 || (rises !== 0 && falls !== 0)) return { finite: null, special: Number.NaN }
    if (rises === 0 && falls === 0) return { finite: this.finite, special: null }
    return { finite: null, special: rises !== 0 ? Infinity : -Infinity }
  }
}
