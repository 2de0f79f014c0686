/**
 * Recursion: the least sets that satisfy definitions of one another, kept up to date.
 *
 * The operator owns the loop's *body*, operators between the variables (filters, maps and joins; `recursion/timed.ts`), and runs it
 * several times in an epoch. What comes out of the body for a variable are *derivations* of its rows, kept by row and
 * iteration. `facts.ts` has the invariant that makes the sets the least ones. An epoch restores it:
 *
 *     1. the body runs once with what has changed outside; supports change
 *     2. iteration by iteration, ascending, for each variable:
 *          rows that came in this iteration and have lost their support go;
 *          rows that are not there, and are supported by derivations up to now, come
 *        and the body runs with what has gone and come
 *     3. the variables' changes go out; iterations are nobody else's business
 *
 * It ends, and is right: what goes or comes in iteration i changes derivations of iteration i and later ones only, so decisions
 * about earlier iterations are final, and a row goes at most once and comes at most once in an epoch. A row that lost its support may
 * have derivations from later iterations. They count once that iteration is reached and they are still there, so rows
 * that support each other in a circle and nothing else all go: each is asked about before the next one's iteration.
 * The work is that of the rows that go or come and of the derivations that change, not of the sets.
 *
 * If rows come in an iteration beyond the limit, everything is computed anew, which gives each row its first iteration;
 * if that too goes beyond the limit, the variables are empty and a failure is recorded. It is tried again with every epoch.
 */
import type { Layout } from '../../schema/schema.js'
import { Batch } from '../../zset/batch.js'
import { ErrorSet, type Failure } from '../errors.js'
import { ErrorPart } from '../state/errors.js'
import { FactsPart } from '../state/facts.js'
import type { StatePart } from '../state/part.js'
import { Agenda } from './agenda.js'
import { Derivations, type Facts } from './facts.js'
import { type Gate, LoopArrange } from './loop.js'
import { type Delta, NO_PARTS, Operator, Producer, type StateSize } from './operator.js'

/** Counts the derivations of a delta (templates/support.js). */
export type CountSupport = (delta: Batch, facts: Facts, agenda: { add(clock: number, slot: number): void }) => void

/** Rows of a variable that go or come in a pass, with their iteration, for the body of the loop. */
export class VariableOperator extends Producer {
  readonly kind = 'variable'
  readonly out: Batch

  constructor(
    readonly name: string,
    readonly layout: Layout,
  ) {
    super()
    this.out = new Batch(layout)
  }

  describe(): string[] {
    return [this.name]
  }

  inputs(): readonly Operator[] {
    return []
  }

  /** A row goes or comes. */
  emit(facts: Facts, slot: number, iteration: number, weight: 1 | -1): void {
    const { out } = this
    const k = facts.copyTo(slot, out)
    out.columns[this.layout.schema.columns.length - 1][k] = iteration
    setWeight(out, k, weight)
  }

  step(): void {
    this.rowsOut += this.out.length
    if (this.out.length > 0) this.wakeConsumers()
  }

  protected current(): Delta | null {
    return this.out.length === 0 ? null : { batch: this.out, from: 0, to: this.out.length }
  }

  contents(): Delta[] {
    return []
  }

  parts(): typeof NO_PARTS {
    return NO_PARTS
  }

  override advance(): void {
    if (this.out.length > 0) this.out.clear()
  }

  commit(): void {
    this.advance()
  }

  abort(): void {
    this.advance()
  }
}

function setWeight(batch: Batch, row: number, weight: number): void {
  batch.weights32[row * 2] = weight
  batch.weights32[row * 2 + 1] = weight >> 31
}

/** A variable with what is known of it. */
export interface SolvedVariable {
  readonly producer: VariableOperator
  readonly derivations: LoopArrange
  readonly facts: Facts
  readonly count: CountSupport
  readonly source: ReadonlyMap<string, string>
  readonly delay: 0 | 1
}

/** A loop as the planner makes it. */
export interface LoopParts {
  /** In an order in which those of the program come first, and no other reads a later one in the same iteration. */
  readonly variables: readonly SolvedVariable[]
  /** Producers before consumers; the arrangements of derivations among them. */
  readonly body: readonly Operator[]
  /** Operators that the body reads. */
  readonly outside: readonly Operator[]
  readonly gate: { -readonly [K in keyof Gate]: Gate[K] }
  /** How many variables are the program's own. */
  readonly own: number
  readonly limit: number
  /** What is recorded if the limit is not enough. */
  readonly failure: Failure
}

export class FixpointOperator extends Operator {
  readonly kind = 'fixpoint'
  readonly errors = new ErrorSet()
  /** By variable of the program: rows that have gone and come in this epoch. */
  readonly outputs: readonly Batch[]
  private readonly factsParts: readonly FactsPart[]
  private readonly agenda: Agenda
  private readonly found = new Derivations()
  private readonly entries: readonly { add(clock: number, slot: number): void }[]
  /** The limit is not enough: the variables are empty. */
  private diverged = false
  private divergedNow = false

  constructor(private readonly loop: LoopParts) {
    super()
    const { variables, own } = loop
    this.agenda = new Agenda(variables.length)
    this.entries = variables.map((_, v) => ({ add: (clock, slot) => this.agenda.add(v, clock, slot) }))
    this.factsParts = variables.map((v, n) => new FactsPart(`${n} variable`, v.producer.layout, v.facts))
    this.outputs = variables.slice(0, own).map(v => new Batch(v.producer.layout))
  }

  describe(): string[] {
    const { variables, own, limit } = this.loop
    const names = variables.slice(0, own).map(v => v.producer.name)
    return [`of ${names.join(', ')}, at most ${limit} iterations`]
  }

  inputs(): readonly Operator[] {
    return this.loop.variables.map(v => v.derivations)
  }

  override waitsFor(): readonly Operator[] {
    return this.loop.outside
  }

  override members(): readonly Operator[] {
    return [...this.loop.variables.map(v => v.producer), ...this.loop.body]
  }

  parts(): StatePart[] {
    const members = this.loop.body.flatMap((member, m) => {
      const trace = member instanceof LoopArrange ? [member.tracePart(`${m} rows`)] : []
      const { errors } = member as { errors?: ErrorSet }
      return errors === undefined ? trace : [...trace, new ErrorPart(`${m} errors`, errors)]
    })
    return [...members, ...this.factsParts, new ErrorPart('errors', this.errors)]
  }

  override restored(): void {
    const nothing = { add(): void {} }
    this.loop.variables.forEach(({ facts, derivations, count }, v) => {
      this.factsParts[v].restore()
      for (const run of derivations.before()) {
        facts.reserve(run.length)
        count(run, facts, nothing)
      }
      facts.commit()
      facts.saved()
    })
    this.diverged = this.errors.size > 0
    this.divergedNow = this.diverged
  }

  step(): void {
    const { gate } = this.loop
    gate.isOpen = true
    this.pass(true)
    gate.isOpen = false
    if (this.diverged) this.beginAgain()
    let solved = this.solve()
    if (!solved && !this.diverged) {
      this.takeBack()
      this.beginAgain()
      solved = this.solve()
    }
    if (!solved) this.takeBack()
    this.divergedNow = !solved
    if (this.divergedNow !== this.diverged) this.errors.add(this.loop.failure, solved ? -1n : 1n)
    for (const member of this.loop.body) if (member instanceof LoopArrange) member.settle()
    this.publish()
  }

  /** Runs the operators of the body that have something to do, and counts the derivations that come out. */
  private pass(all: boolean): void {
    const { body, variables } = this.loop
    for (let o = 0; o < body.length; o++) {
      const part = body[o]
      if (!all && !part.dirty) continue
      part.dirty = false
      part.step()
    }
    for (let v = 0; v < variables.length; v++) {
      const { derivations, facts, count } = variables[v]
      const delta = derivations.delta()
      if (delta === null) continue
      this.rowsIn += delta.length
      facts.reserve(delta.length)
      count(delta, facts, this.entries[v])
    }
    for (let o = 0; o < body.length; o++) body[o].advance()
    for (let v = 0; v < variables.length; v++) variables[v].producer.advance()
  }

  /** Goes through the iterations. Returns false if rows come in one beyond the limit. */
  private solve(): boolean {
    const { agenda } = this
    const { variables, own, limit } = this.loop
    for (let clock = agenda.next(); clock >= 0; clock = agenda.next()) {
      let beyond = false
      for (let v = 0; v < variables.length; v++) {
        const slots = agenda.take(v, clock)
        if (slots === null) continue
        const came = this.decide(v, slots, clock)
        const { producer } = variables[v]
        if (producer.out.length > 0) {
          producer.step()
          this.pass(false)
        }
        if (came && v < own && clock > limit) beyond = true
      }
      agenda.done(clock)
      if (beyond) return false
    }
    return true
  }

  /** Decides about rows of a variable in an iteration. Returns whether any came. */
  private decide(v: number, slots: readonly number[], clock: number): boolean {
    const { facts, producer, delay } = this.loop.variables[v]
    let came = false
    for (const slot of slots) {
      const level = facts.levels[slot]
      if (level === clock + 1 && facts.support[slot] <= 0) {
        facts.touch(slot)
        facts.levels[slot] = 0
        producer.emit(facts, slot, clock, -1)
        this.weigh(v, slot, clock)
      } else if (level === 0) {
        // Mostly all derivations are of earlier iterations, and need not be read.
        const isPlain = facts.latest[slot] <= clock - delay
        const support = isPlain ? facts.support[slot] : this.weigh(v, slot, clock)
        if (support <= 0) continue
        facts.touch(slot)
        facts.levels[slot] = clock + 1
        facts.support[slot] = support
        producer.emit(facts, slot, clock, 1)
        came = true
      }
    }
    return came
  }

  /**
   * Adds up the derivations of a row that is not there. Returns the weight of those that count in iteration `clock`; if
   * that is not enough, enters the row for the first iteration in which, as things are, it will be.
   */
  private weigh(v: number, slot: number, clock: number): number {
    const { facts, derivations, delay } = this.loop.variables[v]
    const { found } = this
    found.read(facts, slot, derivations.kernels, derivations.before())
    const { length, times, weights } = found
    let total = 0
    let now = 0
    let later = -1
    for (let d = 0; d < length; d++) {
      total += weights[d]
      if (times[d] <= clock - delay) now = total
    }
    let sum = 0
    for (let d = 0; d < length && now <= 0; d++) {
      sum += weights[d]
      const last = d + 1 === length || times[d + 1] !== times[d]
      if (last && sum > 0 && times[d] > clock - delay) {
        later = times[d]
        break
      }
    }
    facts.touch(slot)
    facts.support[slot] = total
    facts.latest[slot] = length === 0 ? 0 : times[length - 1]
    if (later >= 0) this.agenda.add(v, later + delay, slot)
    return now
  }

  /** All rows of all variables go. */
  private takeBack(): void {
    const { variables } = this.loop
    for (const { facts, producer } of variables) {
      for (let slot = 0; slot < facts.size; slot++) {
        if (facts.levels[slot] === 0) continue
        facts.touch(slot)
        producer.emit(facts, slot, facts.levels[slot] - 1, -1)
        facts.levels[slot] = 0
      }
      producer.step()
    }
    this.pass(false)
    this.agenda.clear()
  }

  /** Counts all derivations anew. REQUIRES: no row is there, so derivations are those from outside. */
  private beginAgain(): void {
    this.agenda.clear()
    this.loop.variables.forEach(({ facts, derivations, count }, v) => {
      for (let slot = 0; slot < facts.size; slot++) {
        facts.touch(slot)
        facts.support[slot] = 0
        facts.latest[slot] = 0
      }
      const runs = derivations.before()
      if (runs.length === 0) return
      const all = new Batch(
        derivations.kernels.layout,
        runs.reduce((n, run) => n + run.length, 0),
      )
      derivations.kernels.mergeAll(runs, all, new Int32Array(runs.length), new Int32Array(runs.length))
      facts.reserve(all.length)
      count(all, facts, this.entries[v])
    })
  }

  private publish(): void {
    const before = this.rowsOut
    this.outputs.forEach((out, v) => {
      const { facts } = this.loop.variables[v]
      for (let t = 0; t < facts.touched.length; t++) {
        const change = facts.change(t)
        if (change !== 0) setWeight(out, facts.copyTo(facts.touched[t], out), change)
      }
      this.rowsOut += out.length
    })
    if (this.rowsOut !== before) this.wakeConsumers()
  }

  commit(): void {
    for (const part of this.loop.body) part.commit()
    for (const { facts } of this.loop.variables) facts.commit()
    this.diverged = this.divergedNow
    this.errors.commit()
    this.finish()
  }

  abort(): void {
    for (const part of this.loop.body) {
      part.dirty = false
      part.abort()
    }
    for (const { facts, producer } of this.loop.variables) {
      facts.abort()
      producer.abort()
    }
    this.loop.gate.isOpen = false
    this.agenda.clear()
    this.divergedNow = this.diverged
    this.errors.abort()
    this.finish()
  }

  private finish(): void {
    for (const out of this.outputs) if (out.length > 0) out.clear()
  }

  override sources(): ReadonlyMap<string, string> {
    return new Map(this.loop.variables.flatMap(v => [...v.source]))
  }

  override state(): StateSize {
    const tables = this.loop.variables.map(v => v.facts)
    const rows = tables.reduce((sum, facts) => sum + facts.size, 0)
    const bytes = tables.reduce((sum, facts) => sum + facts.bytes, 0)
    return { rows, usedBytes: bytes, allocatedBytes: bytes }
  }
}

/** One relation of a recursion, as others read it. */
export class ResultOperator extends Producer {
  readonly kind = 'recursive'

  constructor(
    private readonly fixpoint: FixpointOperator,
    private readonly index: number,
    private readonly name: string,
  ) {
    super()
  }

  describe(): string[] {
    return [this.name]
  }

  inputs(): readonly Operator[] {
    return [this.fixpoint]
  }

  get layout(): Layout {
    return this.fixpoint.outputs[this.index].layout
  }

  step(): void {
    const rows = this.fixpoint.outputs[this.index].length
    this.rowsOut += rows
    if (rows > 0) this.wakeConsumers()
  }

  protected current(): Delta | null {
    const batch = this.fixpoint.outputs[this.index]
    return batch.length === 0 ? null : { batch, from: 0, to: batch.length }
  }

  contents(): Delta[] {
    return []
  }

  parts(): typeof NO_PARTS {
    return NO_PARTS
  }

  commit(): void {}
  abort(): void {}
}
