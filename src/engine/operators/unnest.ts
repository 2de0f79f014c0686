/**
 * Lateral unnest: linear and without state. A feed brings rows with their arrays; each goes out once for every element.
 */
import type { ProjectRow } from '../../../codegen/decode.js'
import { writeValue } from '../../../codegen/expr/plain.js'
import { elementsOf } from '../../schema/nested.js'
import type { Column, RowSchema } from '../../schema/schema.js'
import { flatLayout } from '../../schema/schema.js'
import type { Value } from '../../schema/types.js'
import { Batch } from '../../zset/batch.js'
import { decodeBytes } from '../../zset/strings.js'
import { runFeeds } from './feed.js'
import { LinearOperator } from './linear.js'

export interface UnnestShape {
  /** Of the rows that come in; the first columns of `schema` are the first of these. */
  readonly input: RowSchema
  readonly array: Column
  readonly schema: RowSchema
  readonly ordinality: boolean
  readonly outer: boolean
}

export class UnnestOperator extends LinearOperator {
  override readonly kind = 'unnest'
  /** Rows with arrays, before they are taken apart. */
  readonly raw: Batch
  private readonly element: Column
  private readonly number: Column | null

  constructor(
    private readonly shape: UnnestShape,
    private readonly project: ProjectRow,
    private readonly text: ReadonlyMap<string, string>,
  ) {
    super(shape.schema)
    this.raw = new Batch(flatLayout(shape.input))
    const { columns } = shape.schema
    const at = columns.length - (shape.ordinality ? 2 : 1)
    this.element = columns[at]
    this.number = shape.ordinality ? columns[at + 1] : null
  }

  override describe(): string[] {
    const { array, outer, ordinality } = this.shape
    return [`${outer ? 'outer, ' : ''}${array.name}${ordinality ? ' with ordinality' : ''}`, ...super.describe()]
  }

  override step(): void {
    this.rowsIn += runFeeds(this.feeds)
    for (let i = 0; i < this.raw.length; i++) if (this.raw.weights[i] !== 0n) this.takeApart(i)
    this.rowsOut += this.out.length
    if (this.out.length > 0) this.wakeConsumers()
  }

  private takeApart(i: number): void {
    const { raw, out } = this
    const { array, outer } = this.shape
    const isNull = array.nullable && (raw.nulls32[this.nullAt(i)] & (1 << (array.nullBit & 31))) !== 0
    const bytes = isNull ? null : decodeBytes(raw.lanes[array.index], i * 4, raw.heap)
    const elements: readonly Value[] = bytes === null ? [] : elementsOf(array.type, bytes)
    out.reserve(Math.max(1, elements.length))
    for (let n = 0; n < elements.length; n++) this.put(i, elements[n], n + 1)
    if (elements.length === 0 && outer) this.put(i, null, null)
  }

  private nullAt(i: number): number {
    return i * this.shape.input.nullWords * 2 + (this.shape.array.nullBit >> 5)
  }

  private put(i: number, element: Value, number: number | null): void {
    const { raw, out } = this
    const k = out.length
    this.project(raw, i, out, k)
    writeValue(out, this.element, k, element)
    if (this.number !== null) writeValue(out, this.number, k, number)
    out.weights[k] = raw.weights[i]
    out.length = k + 1
  }

  override advance(): void {
    super.advance()
    this.raw.clear()
  }

  override commit(): void {
    super.commit()
    this.raw.clear()
  }

  override abort(): void {
    super.abort()
    this.raw.clear()
  }

  override sources(): ReadonlyMap<string, string> {
    return new Map([...super.sources(), ...this.text])
  }
}
