/**
 * The groups of peers of all partitions, each once: how many come before a row is what denseRank needs, and cannot be
 * told from the runs of the input, which hold parts of the same group.
 */
import { Batch } from '../../../zset/batch.js'
import type { Kernels } from '../../../zset/kernels.js'
import { groupRanges, rankOf } from '../../../zset/rank.js'
import { Trace } from '../../../zset/trace.js'
import type { Partition } from './partition.js'
import type { Stretch } from './stretch.js'

export interface GroupCode {
  /** Of the groups, arranged by partition and order. */
  readonly kernels: Kernels
  /** The group of a row of a stretch. */
  readonly project: (from: Batch, i: number, to: Batch, k: number) => void
}

export class PeerGroups {
  readonly trace: Trace
  /** Groups that came and went in this step, in order. */
  private readonly delta: Batch
  private readonly probe: Batch
  private partition: Partition | null = null
  /** Change of the number of groups before the section at hand. */
  private earlier = 0
  private current = -1
  private before = false
  private after = false
  private changed = false

  constructor(
    private readonly code: GroupCode,
    private readonly stretch: Stretch,
    private readonly peers: (a: Batch, i: number, b: Batch, j: number) => boolean,
  ) {
    this.trace = new Trace(code.kernels, 'groups of peers')
    this.delta = new Batch(code.kernels.layout)
    this.probe = new Batch(code.kernels.layout, 1)
  }

  /** Begins a section of a partition; `rows` of its core have been read already. */
  begin(partition: Partition, rows: readonly number[]): void {
    this.partition = partition
    this.earlier = partition.groupChange
    this.current = -1
    for (const row of rows) this.feed(row)
  }

  /** Takes the next row of the section. */
  feed(row: number): void {
    const { rows, before, after } = this.stretch
    if (this.current >= 0 && !this.peers(rows, this.current, rows, row)) this.close()
    this.current = row
    this.before ||= before[row] > 0
    this.after ||= after[row] > 0
    this.changed ||= before[row] !== after[row]
  }

  /** The group of the last row is complete. */
  close(): void {
    if (this.changed && this.before !== this.after && this.partition !== null) {
      const { delta } = this
      const sign = this.after ? 1 : -1
      delta.reserve(1)
      this.code.project(this.stretch.rows, this.current, delta, delta.length)
      delta.weights[delta.length] = BigInt(sign)
      delta.length++
      this.partition.groupChange += sign
    }
    this.current = -1
    this.before = false
    this.after = false
    this.changed = false
  }

  /** Groups before that of a row of the section's core, before the step and after it. */
  base(row: number): [before: number, after: number] {
    const { probe, code, trace } = this
    probe.clear()
    code.project(this.stretch.rows, row, probe, 0)
    probe.length = 1
    const before = rankOf(code.kernels, groupRanges(code.kernels, trace.batches(), probe, 0), probe, 0)
    return [before, before + this.earlier]
  }

  /** To be called at the end of a step. Throws WeightOverflowError. */
  prepare(): void {
    this.delta.order = 'consolidated'
    this.trace.prepare(this.delta)
  }

  commit(): void {
    if (this.delta.length > 0) this.trace.insert(this.delta, false)
    this.abort()
  }

  abort(): void {
    this.delta.clear()
    this.partition = null
  }
}
