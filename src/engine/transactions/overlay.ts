/**
 * A small Z-set that is laid over a relation when that is read: what a transaction has written, or, negated, what has
 * been committed since a snapshot. Like a store it takes rows unsorted and arranges them when somebody reads.
 *
 * Weights are sums modulo 2^64, unlike a store's: an overlay alone may leave 64 bits (a row that went from -2^63 to
 * 2^63 - 1), but what it makes of the relation it is laid over is a state that was, and that fits.
 */
import { type CompiledKernels, kernelsOf } from '../../../codegen/kernels.js'
import type { CodeContext } from '../../../codegen/steps.js'
import { flatLayout, type Layout, type RowSchema } from '../../schema/schema.js'
import { appendRows } from '../../zset/append.js'
import { Arranger } from '../../zset/arrange.js'
import { Batch } from '../../zset/batch.js'
import { type ArrangeRows, TAIL_ROWS } from '../../zset/store.js'
import { Trace } from '../../zset/trace.js'
import { arrangeRowsOf } from '../arranging.js'
import { storeLayout } from '../read.js'

/** What all overlays of one relation share. */
export class OverlayShape {
  readonly layout: Layout
  readonly flat: Layout
  readonly kernels: CompiledKernels
  readonly arranger: Arranger
  readonly arrangeRows: ArrangeRows
  private copyFlat: ArrangeRows | null = null

  /** `key`: the columns that the relation is read by. */
  constructor(
    private readonly schema: RowSchema,
    readonly key: readonly number[],
    private readonly context: CodeContext,
  ) {
    this.layout = storeLayout(schema, key)
    this.flat = flatLayout(schema)
    this.kernels = kernelsOf(this.layout, context.mode, 'wrapping')
    this.arranger = new Arranger(this.kernels)
    this.arrangeRows = arrangeRowsOf(schema, this.layout, context)
  }

  /** Appends rows that lie in another layout to flat ones. */
  flatten(batch: Batch, from: number, to: number, flat: Batch): void {
    this.copyFlat ??= arrangeRowsOf(this.schema, this.flat, this.context)
    flat.reserve(to - from)
    this.copyFlat(batch, from, to, flat)
  }
}

export class Overlay {
  private readonly trace: Trace
  private readonly tail: Batch

  constructor(private readonly shape: OverlayShape) {
    this.trace = new Trace(shape.kernels, 'overlay')
    this.tail = new Batch(shape.flat)
  }

  /** Upper bound on the number of distinct rows. */
  get rowCount(): number {
    return this.trace.rowCount + this.tail.length
  }

  get allocatedBytes(): number {
    return this.trace.allocatedBytes + this.tail.allocatedBytes
  }

  /** Rows that are not arranged yet: what `truncate` can take back. */
  get tailLength(): number {
    return this.tail.length
  }

  /** Copies rows from..to of a batch of any layout, with their weights or (`negate`) the opposite. */
  append(batch: Batch, from: number, to: number, negate: boolean): void {
    const { tail } = this
    const at = tail.length
    if (batch.layout.key.kind === 'none') appendRows(batch, from, to, tail)
    else this.shape.flatten(batch, from, to, tail)
    if (!negate) return
    const { weights } = tail
    for (let i = at; i < tail.length; i++) weights[i] = BigInt.asIntN(64, -weights[i])
  }

  /** Forgets the rows that were appended last. REQUIRES: nobody has read since. */
  truncate(tailLength: number): void {
    if (this.tail.length > tailLength) this.tail.length = tailLength
  }

  /** Arranges what has come in if it is much. */
  settle(): void {
    if (this.tail.length >= TAIL_ROWS) this.flush()
  }

  private flush(): void {
    const { tail } = this
    if (tail.length === 0) return
    const { arranger, arrangeRows, layout } = this.shape
    const { raw } = arranger
    const run = new Batch(layout)
    try {
      raw.reserve(tail.length)
      arrangeRows(tail, 0, tail.length, raw)
      arranger.arrange(run)
      this.trace.insert(run, true)
      tail.clear()
    } finally {
      raw.clear()
      if (raw.capacity > TAIL_ROWS) raw.resize(0)
    }
  }

  /** The rows, arranged: runs whose sum they are; valid until the next change. */
  runs(): readonly Batch[] {
    this.flush()
    return this.trace.batches()
  }

  /** Takes over all rows of another overlay of the same relation, which is of no use afterwards. */
  absorb(other: Overlay): void {
    other.flush()
    const rest = other.trace.compact()
    this.flush()
    if (rest !== null) this.trace.insert(rest, true)
  }
}
