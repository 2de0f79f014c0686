/**
 * The physical circuit: operators connected by deltas.
 *
 * One epoch runs every operator that has something to do, in topological order: `step` computes the operator's
 * delta from the deltas of its producers and from state as it was before the epoch; nothing of that state changes
 * until all steps have succeeded. Then every operator commits; if a step throws, every operator that ran aborts, and
 * the epoch has not happened.
 */
import { GnitzError } from '../../base/errors.js'
import type { Layout } from '../../schema/schema.js'
import { Batch } from '../../zset/batch.js'
import type { Cutter } from '../bounded.js'
import type { StatePart } from '../state/part.js'

/** Rows from..to of a batch: what an operator hands to its consumers in one epoch. */
export interface Delta {
  readonly batch: Batch
  readonly from: number
  readonly to: number
}

export interface OperatorStats {
  readonly id: number
  readonly operator: string
  readonly detail: string
  /** Weighted rows taken in and given out since creation. */
  readonly rowsIn: number
  readonly rowsOut: number
  /** Time spent in steps; of epochs with a few rows only a sample is timed. */
  readonly milliseconds: number
  readonly stateRows: number
  /** Bytes the state's rows need, and bytes held for them. */
  readonly stateBytes: number
  readonly allocatedBytes: number
}

export interface StateSize {
  readonly rows: number
  readonly usedBytes: number
  readonly allocatedBytes: number
}

export const NO_STATE: StateSize = Object.freeze({ rows: 0, usedBytes: 0, allocatedBytes: 0 })

/** The name of state that nobody has named. */
export const UNNAMED = (): string => {
  throw new GnitzError('INTERNAL', 'an operator has no name to find its state by')
}

export abstract class Operator {
  /** Position in the database's order: producers come before consumers. */
  id = 0
  /** Set by producers that have a delta for this operator in the running epoch. */
  dirty = false
  readonly consumers: Operator[] = []
  rowsIn = 0
  rowsOut = 0
  milliseconds = 0

  /** What it is, in one word, as plans and statistics show it. */
  abstract readonly kind: string

  /** What it does, for plans: a few words a line. */
  abstract describe(): string[]

  /** Operators whose deltas this one reads. */
  abstract inputs(): readonly Operator[]

  /** Operators that must have run before this one: `inputs`, unless those are members of itself. */
  waitsFor(): readonly Operator[] {
    return this.inputs()
  }

  /** Operators that this one runs itself, several times in an epoch. */
  members(): readonly Operator[] {
    return NO_OPERATORS
  }

  /** Computes this epoch's delta. May throw; then `abort` is called. */
  abstract step(): void

  /** For members: ends one of the runs of an epoch; what was its delta becomes state, which an abort still takes back. */
  advance(): void {}

  /** Makes the step's changes permanent. Must not throw. */
  abstract commit(): void

  /** Forgets the step. Called also on operators whose `step` threw half way. */
  abstract abort(): void

  /**
   * What the operator remembers from one epoch to the next: all of it, but for what follows from these parts and is made
   * again when it is needed. In a durable database they last; in another they are not asked for.
   */
  abstract parts(): readonly StatePart[]

  /**
   * Names what the operator computes, the same in every process: by it a durable database finds the parts again. The
   * planner sets it.
   */
  stateName: () => string = UNNAMED

  /** Called once the parts have been attached to what was found of them, before the first step. */
  restored(): void {}

  /** Generated code of this operator, by kernel name. */
  sources(): ReadonlyMap<string, string> {
    return NO_SOURCES
  }

  state(): StateSize {
    return NO_STATE
  }

  /** Runs the step on the clock; its time counts `scale` times, for the steps that are not timed. */
  timed(scale: number): void {
    const started = performance.now()
    this.step()
    this.milliseconds += (performance.now() - started) * scale
  }

  /** Marks all consumers as having work. */
  protected wakeConsumers(): void {
    const { consumers } = this
    for (let c = 0; c < consumers.length; c++) consumers[c].dirty = true
  }

  /** Cuts off what is never needed again, where something is. */
  cutter: Cutter | null = null
  /** How far its state grows, for plans. */
  boundedness: readonly string[] = NO_TEXTS

  /** All that plans say of it. */
  details(): string[] {
    return [...this.describe(), ...this.boundedness]
  }

  stats(): OperatorStats {
    const state = this.state()
    return {
      id: this.id,
      operator: this.kind,
      detail: this.details().join('; '),
      rowsIn: this.rowsIn,
      rowsOut: this.rowsOut,
      milliseconds: this.milliseconds,
      stateRows: state.rows,
      stateBytes: state.usedBytes,
      allocatedBytes: state.allocatedBytes,
    }
  }
}

/** Of an operator that remembers nothing. */
export const NO_PARTS: readonly StatePart[] = Object.freeze([])

const NO_OPERATORS: readonly Operator[] = []
const NO_TEXTS: readonly string[] = Object.freeze([])
const NO_SOURCES: ReadonlyMap<string, string> = new Map()

/** An operator whose delta others can scan. */
export abstract class Producer extends Operator {
  /** While a new view catches up: the chunk of contents that stands for this epoch's delta; else undefined. */
  replay: Delta | null | undefined = undefined

  /** The delta of the running epoch; null if there is none. Valid until commit or abort. */
  delta(): Delta | null {
    return this.replay === undefined ? this.current() : this.replay
  }

  protected abstract current(): Delta | null

  /** What plans show as the producer. */
  get origin(): Operator {
    return this
  }

  /** Layout of the batches that deltas are in. */
  abstract get layout(): Layout

  /**
   * Everything this operator has put out so far, as batches whose sum it is (one at most if `whole`): how a view that
   * is created later catches up. Rows of weight zero may occur.
   */
  abstract contents(whole: boolean): Delta[]
}

/** A producer that fills a batch of its own in every epoch, and keeps nothing of what it has put out. */
export abstract class BatchProducer extends Producer {
  readonly out: Batch

  constructor(layout: Layout) {
    super()
    this.out = new Batch(layout)
  }

  get layout(): Layout {
    return this.out.layout
  }

  protected current(): Delta | null {
    return this.out.length === 0 ? null : { batch: this.out, from: 0, to: this.out.length }
  }

  contents(_whole: boolean): Delta[] {
    return []
  }

  override advance(): void {
    this.out.clear()
  }

  commit(): void {
    this.out.clear()
  }

  abort(): void {
    this.out.clear()
  }
}
