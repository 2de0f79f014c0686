/**
 * The bilinear inner join of two arrangements: delta(A ⋈ B) = dA ⋈ B + A ⋈ dB + dA ⋈ dB, with A and B as they were
 * before the epoch. It finds pairs of rows with equal keys and hands them to its targets, whose loops do the rest
 * (residual, projection, aggregation), so that no joined row is ever stored in between. A join by range finds its pairs
 * in another way, and holds more of them out to the residual than match; all else is the same.
 */
import { assert } from '../../base/errors.js'
import type { Layout } from '../../schema/schema.js'
import type { Batch } from '../../zset/batch.js'
import type { Arranged } from './arrange.js'
import type { PairSource, Target } from './feed.js'
import { NO_PARTS, Operator } from './operator.js'

/** Pairs found by the probe kernel, as row numbers. */
export class Pairs {
  left = new Int32Array(1024)
  right = new Int32Array(1024)
  count = 0
  /** Where the next search in the run begins. */
  low = 0
  /** Depends on all that was fetched ahead, so that it is not left out. */
  touched = 0

  grow(): void {
    const left = new Int32Array(this.left.length * 2)
    const right = new Int32Array(this.left.length * 2)
    left.set(this.left)
    right.set(this.right)
    this.left = left
    this.right = right
  }

  /** Large arrays are not kept from one epoch to the next. */
  shrink(): void {
    if (this.left.length <= KEPT_PAIRS) return
    this.left = new Int32Array(1024)
    this.right = new Int32Array(1024)
  }
}

const KEPT_PAIRS = 1 << 18
/** Pairs that are found before they are handed on. */
const PAIRS_LIMIT = 1 << 16
/** Rows of a delta that are probed at once: what they meet stays in the cache. */
const SLICE_ROWS = 1 << 10

export type Probe = (delta: Batch, from: number, to: number, run: Batch, pairs: Pairs, limit: number) => number

export interface JoinCode {
  /** Pairs (row of the delta, row of the run): where the delta is the left side, and where it is the right one. */
  readonly left: Probe
  readonly right: Probe
  readonly sources: ReadonlyMap<string, string>
}

const pairs = new Pairs()

const keyText = ({ key, schema }: Layout): string =>
  [key.kind, ...key.columns.map(c => `${schema.columns[c].type}${schema.columns[c].nullable ? '?' : ''}`)].join(' ')

export class JoinOperator extends Operator implements PairSource {
  readonly kind = 'join'
  private readonly targets: Target[] = []

  constructor(
    readonly left: Arranged,
    readonly right: Arranged,
    private readonly code: JoinCode,
    private readonly description: () => string[],
  ) {
    super()
    const [a, b] = [left, right].map(side => keyText(side.kernels.layout))
    assert(a === b, `the keys of a join lie alike: ${a} on the left, ${b} on the right`)
  }

  attach(target: Target): void {
    this.targets.push(target)
  }

  describe(): string[] {
    return this.description()
  }

  inputs(): readonly Operator[] {
    return [this.left.operator, this.right.operator]
  }

  step(): void {
    const left = this.left.delta()
    const right = this.right.delta()
    const before = this.rowsOut
    if (left !== null) {
      this.rowsIn += left.length
      for (const run of this.right.before()) this.probeLeft(left, run)
      if (right !== null) this.probeLeft(left, right)
    }
    if (right !== null) {
      this.rowsIn += right.length
      for (const run of this.left.before()) this.probeRight(right, run)
    }
    if (this.rowsOut !== before) this.wakeConsumers()
  }

  private probeLeft(delta: Batch, run: Batch): void {
    pairs.low = 0
    run.willSearch(delta.length)
    for (let from = 0; from < delta.length; ) {
      const to = Math.min(from + SLICE_ROWS, delta.length)
      from = this.code.left(delta, from, to, run, pairs, PAIRS_LIMIT)
      if (pairs.count === 0) continue
      this.rowsOut += pairs.count
      for (const target of this.targets) target.pairs(delta, run, pairs.left, pairs.right, pairs.count)
    }
    pairs.shrink()
  }

  private probeRight(delta: Batch, run: Batch): void {
    pairs.low = 0
    run.willSearch(delta.length)
    for (let from = 0; from < delta.length; ) {
      const to = Math.min(from + SLICE_ROWS, delta.length)
      from = this.code.right(delta, from, to, run, pairs, PAIRS_LIMIT)
      if (pairs.count === 0) continue
      this.rowsOut += pairs.count
      for (const target of this.targets) target.pairs(run, delta, pairs.right, pairs.left, pairs.count)
    }
    pairs.shrink()
  }

  commit(): void {}

  abort(): void {}

  parts(): typeof NO_PARTS {
    return NO_PARTS
  }

  override sources(): ReadonlyMap<string, string> {
    return this.code.sources
  }
}
