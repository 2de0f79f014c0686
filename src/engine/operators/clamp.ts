import type { Batch } from '../../zset/batch.js'
import type { ArrangeOperator } from './arrange.js'
import { BatchProducer, NO_PARTS, type Operator } from './operator.js'

export type Clamp = (delta: Batch, sums: BigInt64Array, out: Batch) => void

export class ClampOperator extends BatchProducer {
  readonly kind = 'clamp'
  private sums = new BigInt64Array(256)

  constructor(
    private readonly input: ArrangeOperator,
    private readonly clamp: Clamp,
    private readonly text: ReadonlyMap<string, string>,
    private readonly mode: string,
  ) {
    super(input.kernels.layout)
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

  parts(): typeof NO_PARTS {
    return NO_PARTS
  }

  override sources(): ReadonlyMap<string, string> {
    return this.text
  }
}
