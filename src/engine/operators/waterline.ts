/**
 * The waterline of a column: the greatest value that was ever inserted, less the lateness. It never goes back, and it
 * lasts. What it is in an epoch follows from the rows that were accepted, so replaying these gives the same.
 */
import { readRow, readValue, writeRow } from '../../../codegen/expr/plain.js'
import type { CompiledKernels } from '../../../codegen/kernels.js'
import { addRow, type ZSet } from '../../circuit/interpret/zset.js'
import { Batch } from '../../zset/batch.js'
import { Trace } from '../../zset/trace.js'
import { type StatePart, TracePart } from '../state/part.js'
import { type Delta, Operator, type Producer } from './operator.js'

/** A whole number, as the column has it. */
export type Time = number | bigint

export class WaterlineOperator extends Operator {
  readonly kind = 'waterline'
  private seen: Time | null = null
  private ahead: Time | null = null
  /** One row at most: the greatest value. */
  private readonly trace: Trace

  constructor(
    private readonly source: Producer,
    /** What the source is called. */
    private readonly name: string,
    /** Which column of the source. */
    readonly column: number,
    readonly lateness: bigint,
    /** Of a row with the value alone. */
    private readonly kernels: CompiledKernels,
  ) {
    super()
    this.trace = new Trace(kernels, 'a waterline')
  }

  describe(): string[] {
    const { name } = this.source.layout.schema.columns[this.column]
    return [`${this.name}.${name}, ${this.lateness} behind`]
  }

  inputs(): readonly Operator[] {
    return [this.source]
  }

  step(): void {
    const delta = this.source.delta()
    if (delta !== null) {
      this.rowsIn += delta.to - delta.from
      this.look(delta)
    }
    if (this.ahead !== null && this.ahead !== this.seen) this.wakeConsumers()
  }

  /** Takes note of rows of the coming epoch that it may not see, since they cancel. */
  witness(batch: Batch): void {
    this.dirty = true
    this.look({ batch, from: 0, to: batch.length })
  }

  private look({ batch, from, to }: Delta): void {
    const column = batch.layout.schema.columns[this.column]
    const cells = batch.layout.stored.includes(column) ? batch.columns[column.index] : null
    const timeAt = (i: number): Time => (cells === null ? (readValue(batch, column, i) as Time) : cells[i])
    const known = this.ahead ?? this.seen
    const isRetracted = (i: number): boolean => batch.weights32[i * 2 + 1] >>> 31 === 1
    let greatest = known
    let retracts = false
    for (let i = from; i < to; i++) {
      const value = timeAt(i)
      if (known !== null && value <= known) continue
      if (isRetracted(i)) retracts = true
      else if ((greatest === null || value > greatest) && batch.weights[i] !== 0n) greatest = value
    }
    this.ahead = retracts ? this.netGreatest(batch, from, to, timeAt) : greatest
  }

  /** What a transaction inserts and retracts again has not been there. */
  private netGreatest(batch: Batch, from: number, to: number, timeAt: (i: number) => Time): Time | null {
    const known = this.ahead ?? this.seen
    const net: ZSet = new Map()
    for (let i = from; i < to; i++) {
      if (known === null || timeAt(i) > known) addRow(net, [timeAt(i), ...readRow(batch, i)], batch.weights[i])
    }
    return [...net.values()].reduce<Time | null>((greatest, { row: [value], weight }) => {
      return weight > 0n && (greatest === null || (value as Time) > greatest) ? (value as Time) : greatest
    }, known)
  }

  /** The waterline before the running epoch; null before the first row. */
  get value(): Time | null {
    return this.behind(this.seen)
  }

  /** The waterline with the rows of the running epoch. */
  get next(): Time | null {
    return this.behind(this.ahead ?? this.seen)
  }

  private behind(value: Time | null): Time | null {
    if (value === null) return null
    return typeof value === 'number' ? value - Number(this.lateness) : value - this.lateness
  }

  commit(): void {
    const { seen, ahead } = this
    this.ahead = null
    if (ahead === null || ahead === seen) return
    const change = new Batch(this.kernels.layout, 2)
    for (const [value, weight] of [
      [seen, -1n],
      [ahead, 1n],
    ] as const) {
      if (value === null) continue
      writeRow(change, change.length, [value])
      change.weights[change.length++] = weight
    }
    change.order = 'consolidated'
    this.trace.prepare(change)
    this.trace.insert(change, true)
    this.seen = ahead
  }

  abort(): void {
    this.ahead = null
  }

  parts(): StatePart[] {
    return [new TracePart('greatest', this.kernels.layout, this.trace)]
  }

  override restored(): void {
    const rows = this.trace.compact()
    if (rows === null) return
    this.seen = readValue(rows, this.kernels.layout.schema.columns[0], 0) as Time
  }
}
