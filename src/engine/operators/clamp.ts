/**
 * Clamp: replaces every row's integrated weight by a function of it (distinct, set operations, presence in semi and
 * outer joins). The rows are arranged by all their columns; a step looks up the weights its rows had before.
 */
import type { Layout } from '../../schema/schema.js'
import { Batch } from '../../zset/batch.js'
import type { ArrangeOperator } from './arrange.js'
import { type Delta, NO_PARTS, type Operator, Producer } from './operator.js'

export type Clamp = (delta: Batch, sums: BigInt64Array, out: Batch) => void

export class ClampOperator extends Producer {
  readonly kind = 'clamp'
  private readonly out: Batch
  private sums = new BigInt64Array(256)

  constructor(
    private readonly input: ArrangeOperator,
    private readonly clamp: Clamp,
    private readonly text: ReadonlyMap<string, string>,
    private readonly mode: string,
  ) {
    super()
    this.out = new Batch(input.kernels.layout)
  }

  describe(): string[] {
    return [this.mode]
  }

  inputs(): readonly Operator[] {
    return [this.input]
  }

  step(): void {
    const delta = this.input.delta()
    if (delta === null) return
    const n = delta.length
    this.rowsIn += n
    if (this.sums.length < n) this.sums = new BigInt64Array(n * 2)
    else this.sums.fill(0n, 0, n)
    for (const run of this.input.before()) this.input.kernels.lookup(delta, run, this.sums)
    this.out.reserve(n)
    this.clamp(delta, this.sums, this.out)
    this.rowsOut += this.out.length
    if (this.out.length > 0) this.wakeConsumers()
  }

  get layout(): Layout {
    return this.out.layout
  }

  protected current(): Delta | null {
    return this.out.length === 0 ? null : { batch: this.out, from: 0, to: this.out.length }
  }

  contents(): Delta[] {
    return []
  }

  commit(): void {
    this.out.clear()
  }

  abort(): void {
    this.out.clear()
  }

  parts(): typeof NO_PARTS {
    return NO_PARTS
  }

  override sources(): ReadonlyMap<string, string> {
    return this.text
  }
}
