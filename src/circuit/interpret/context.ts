/** What one interpretation carries along: failed rows, and whether a weight left the i64 range. */
import { TYPES, type Value } from '../../schema/types.js'
import type { SignalValue } from '../bounds.js'
import { evaluate } from '../eval.js'
import type { Expr } from '../expr.js'
import { Failure } from '../scalar.js'
import type { Row, ZSet } from './zset.js'

export class Context {
  /** Message → sum of the weights of the rows (pairs: products) that failed with it. */
  readonly errors = new Map<string, bigint>()
  overflow = false

  constructor(readonly signals: SignalValue = () => null) {}

  /** The values of the expressions in order; or null, and the first failure recorded with `weight`. */
  evaluateAll(exprs: readonly Expr[], weight: bigint, left: Row, right?: Row): Value[] | null {
    try {
      return exprs.map(expr => evaluate(expr, left, right))
    } catch (problem) {
      if (!(problem instanceof Failure)) throw problem
      this.fail(problem.message, weight)
      return null
    }
  }

  /** Whether the predicate is TRUE; a failure is recorded and counts as not. */
  test(predicate: Expr, weight: bigint, left: Row, right?: Row): boolean {
    const result = this.evaluateAll([predicate], weight, left, right)
    return result !== null && result[0] === true
  }

  fail(message: string, weight: bigint): void {
    const sum = (this.errors.get(message) ?? 0n) + weight
    if (sum === 0n) this.errors.delete(message)
    else this.errors.set(message, sum)
  }

  /** Takes over what another interpretation noted. */
  merge(other: Context): void {
    for (const [message, weight] of other.errors) this.fail(message, weight)
    this.overflow ||= other.overflow
  }

  /** Notes weights beyond i64, which no engine can hold. */
  check(zset: ZSet): ZSet {
    for (const { weight } of zset.values()) if (!fitsI64(weight)) this.overflow = true
    return zset
  }
}

export const fitsI64 = (n: bigint): boolean => n >= (TYPES.i64.min ?? 0n) && n <= (TYPES.i64.max ?? 0n)
