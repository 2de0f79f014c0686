/**
 * The positive part of a trace, kept beside it: rows of negative weight do not exist for operators that put rows in
 * order, and counts of rows may only be added up over runs if they are left out.
 *
 * `rows` holds, for each row of negative weight, its weight turned round; so the rows of the trace and these sum to the
 * positive part. It is empty as long as nobody retracts what is not there, and follows from the trace.
 */
import { Batch } from './batch.js'
import type { Kernels } from './kernels.js'
import { HEAD_ROWS, Trace } from './trace.js'

const NOTHING = new BigInt64Array(0)

export class PositivePart {
  readonly rows: Trace
  /** Sums over rows are kept by batch, so only short ones are used again. */
  private readonly small: Batch
  private effective: Batch
  private readonly correction: Batch
  private sums = NOTHING
  private held = NOTHING

  constructor(
    private readonly kernels: Kernels,
    name: string,
  ) {
    this.rows = new Trace(kernels, name)
    this.small = new Batch(kernels.layout)
    this.effective = this.small
    this.correction = new Batch(kernels.layout)
  }

  /**
   * The change of the positive part by `delta`, a consolidated change of the trace that has the runs `before`. It may be
   * `delta` itself, and is valid until `commit` or `abort`. Throws WeightOverflowError.
   */
  change(before: readonly Batch[], delta: Batch): Batch {
    const corrections = this.rows.batches()
    if (corrections.length === 0 && !hasNegative(delta)) return delta
    const n = delta.length
    if (this.sums.length < n) {
      this.sums = new BigInt64Array(n * 2)
      this.held = new BigInt64Array(n * 2)
    } else {
      this.sums.fill(0n, 0, n)
      this.held.fill(0n, 0, n)
    }
    for (const run of before) this.kernels.lookup(delta, run, this.sums)
    for (const run of corrections) this.kernels.lookup(delta, run, this.held)
    if (!this.leavesRange(delta)) return delta
    this.split(delta)
    this.rows.prepare(this.correction)
    return this.effective
  }

  /** Whether the positive part changes otherwise than the trace. */
  private leavesRange({ weights, length }: Batch): boolean {
    for (let i = 0; i < length; i++) if (this.held[i] !== 0n || this.sums[i] + weights[i] < 0n) return true
    return false
  }

  private split(delta: Batch): void {
    const { correction, kernels, sums, held } = this
    const effective = delta.length <= HEAD_ROWS ? this.small : new Batch(kernels.layout)
    this.effective = effective
    effective.reserve(delta.length)
    correction.reserve(delta.length)
    for (let i = 0; i < delta.length; i++) {
      const weight = delta.weights[i]
      const after = sums[i] + weight
      const change = (after > 0n ? after : 0n) - (sums[i] + held[i])
      if (change !== 0n) append(kernels, delta, i, effective, change)
      if (change !== weight) append(kernels, delta, i, correction, change - weight)
    }
    effective.order = 'consolidated'
    correction.order = 'consolidated'
  }

  commit(): void {
    if (this.correction.length > 0) this.rows.insert(this.correction, false)
    this.abort()
  }

  abort(): void {
    this.effective = this.small
    this.small.clear()
    this.correction.clear()
  }
}

function hasNegative({ weights32, length }: Batch): boolean {
  for (let i = 0; i < length; i++) if ((weights32[i * 2 + 1] | 0) < 0) return true
  return false
}

function append(kernels: Kernels, from: Batch, i: number, to: Batch, weight: bigint): void {
  const k = to.length
  kernels.copyRow(from, i, to, k)
  to.weights[k] = weight
  to.length = k + 1
}
