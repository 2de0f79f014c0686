/**
 * Parts of a loop: operators that run several times in an epoch, one pass after the other. What a pass adds to their state
 * is state for the next, and all of it becomes permanent, or is forgotten, with the epoch.
 */
import type { CompiledKernels } from '../../../codegen/kernels.js'
import type { Layout } from '../../schema/schema.js'
import type { Batch } from '../../zset/batch.js'
import { Trace } from '../../zset/trace.js'
import { type StatePart, TracePart } from '../state/part.js'
import { type Arranged, ArrangeOperator } from './arrange.js'
import { type Delta, NO_PARTS, type Operator, Producer } from './operator.js'

/** An arrangement of rows that depend on a variable of the loop. */
export class LoopArrange extends ArrangeOperator {
  /** What this epoch's passes have added. */
  private readonly fresh: Trace
  private added: Batch | null = null

  constructor(kernels: CompiledKernels, name: string) {
    super(kernels, name)
    this.fresh = new Trace(kernels, name)
  }

  /** What lasts of it, in the parts of the loop. */
  tracePart(name: string): StatePart {
    return new TracePart(name, this.kernels.layout, this.trace)
  }

  protected override get receiver(): Trace {
    return this.fresh
  }

  override before(): readonly Batch[] {
    const fresh = this.fresh.batches()
    return fresh.length === 0 ? this.trace.batches() : [...this.trace.batches(), ...fresh]
  }

  override advance(): void {
    if (this.current !== null) this.fresh.insert(this.current, this.current !== this.small)
    this.finish()
  }

  /** To be called after the last pass. Throws WeightOverflowError if a row's weight would leave i64. */
  settle(): void {
    this.added = this.fresh.rowCount > 0 ? this.fresh.takeHot() : null
    if (this.added !== null) this.trace.prepare(this.added)
  }

  override commit(): void {
    if (this.added !== null) this.trace.insert(this.added, true)
    this.added = null
    this.errors.commit()
    this.finish()
  }

  override abort(): void {
    this.fresh.takeHot()
    this.added = null
    super.abort()
  }
}

/** Tells imports whether the epoch's delta from outside is still to be seen, or is state by now. */
export interface Gate {
  readonly isOpen: boolean
}

/** An arrangement outside of the loop: its delta comes in the first pass, and belongs to the state afterwards. */
export class ImportedArrangement implements Arranged {
  constructor(
    private readonly outer: ArrangeOperator,
    private readonly gate: Gate,
  ) {}

  get kernels(): CompiledKernels {
    return this.outer.kernels
  }

  get operator(): Operator {
    return this.outer
  }

  delta(): Batch | null {
    return this.gate.isOpen ? this.outer.delta() : null
  }

  before(): readonly Batch[] {
    const runs = this.outer.before()
    const delta = this.outer.delta()
    return this.gate.isOpen || delta === null ? runs : [...runs, delta]
  }
}

/** A producer outside of the loop: its delta comes in the first pass. */
export class ImportedProducer extends Producer {
  readonly kind = 'import'

  constructor(
    private readonly outer: Producer,
    private readonly gate: Gate,
  ) {
    super()
  }

  override get origin(): Operator {
    return this.outer
  }

  describe(): string[] {
    return []
  }

  inputs(): readonly Operator[] {
    return [this.outer]
  }

  get layout(): Layout {
    return this.outer.layout
  }

  protected current(): Delta | null {
    return this.gate.isOpen ? this.outer.delta() : null
  }

  contents(): Delta[] {
    return []
  }

  parts(): typeof NO_PARTS {
    return NO_PARTS
  }

  step(): void {}
  commit(): void {}
  abort(): void {}
}
