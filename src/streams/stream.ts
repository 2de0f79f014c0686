/**
 * Streams, as DBSP defines them (Budiu, Chajed, McSherry, Ryzhik, Tannen: DBSP, VLDB 2023): a stream has a value at every
 * tick of its circuit's clock. An operator makes streams of streams; all of them are causal, and feedback goes through a delay.
 *
 *     delay         z⁻¹(s)[t] = s[t-1], zero at first         differentiate   D(s)[t] = s[t] - s[t-1]
 *     integrate     I(s)[t] = s[0] + … + s[t]                  delta0          δ₀(v)[0] = v, zero afterwards
 *     apply         ↑f(s)[t] = f(s[t])                         consolidate   of lists: their sum
 *
 * D and I are each other's inverse. The incremental version of a query Q is Q^Δ = D ∘ ↑Q ∘ I. For a linear operator it is
 * the operator itself; for a bilinear one it is a×b + I(a)×b + a×I(b) with the integrals one tick before (`bilinear`).
 *
 * A circuit is built once and then stepped; `Stream.value` is what the last step gave. Nodes are evaluated in the order in
 * which they were made. Nested circuits (`nested.ts`) have a clock of their own, which begins anew at every tick of the outer one.
 */
import { show, UsageError } from '../base/errors.js'
import { type Group, total } from './algebra.js'

/** Computes one stream's value per tick. */
interface Node {
  /** Reads what the inputs have in this tick. */
  tick(): void
  /** After all nodes have ticked: what a delay remembers. */
  tock?(): void
  /** Back to before the first tick. */
  reset(): void
}

export class Circuit {
  private readonly nodes: Node[] = []
  private ticks = 0
  private isTicking = false

  /** Ticks so far. */
  get time(): number {
    return this.ticks
  }

  /** A stream that is fed from outside: zero, unless something was pushed since the last step. */
  input<T>(group: Group<T>): Input<T> {
    return new Input(this, group)
  }

  /** A stream of what `next` gives at each tick. */
  generator<T>(next: (time: number) => T): Stream<T>
  generator<T>(next: (time: number) => T, group: Group<T>): GroupStream<T>
  generator<T>(next: (time: number) => T, group?: Group<T>): Stream<T> {
    return this.derive(() => next(this.ticks), group)
  }

  /** A stream that depends on its own past: `build` gets z⁻¹ of what it returns. */
  feedback<T>(group: Group<T>, build: (past: GroupStream<T>) => GroupStream<T>): GroupStream<T> {
    const delay = new Delay<T>(group.zero)
    const past = new GroupStream<T>(this, group)
    this.add({ tick: () => past.set(delay.value), tock: () => delay.take(), reset: () => delay.reset() })
    const result = build(past)
    this.mustOwn(result)
    group.check?.(result.group.zero, 'feedback')
    delay.source = () => result.value
    return result
  }

  /** Adds streams up. */
  sum<T>(first: GroupStream<T>, ...more: readonly GroupStream<T>[]): GroupStream<T> {
    return more.reduce((a, b) => a.plus(b), first)
  }

  /** The values of any number of streams, put together. */
  applyN<T, U>(streams: readonly Stream<T>[], f: (values: readonly T[]) => U): Stream<U>
  applyN<T, U>(streams: readonly Stream<T>[], f: (values: readonly T[]) => U, group: Group<U>): GroupStream<U>
  applyN<T, U>(streams: readonly Stream<T>[], f: (values: readonly T[]) => U, group?: Group<U>): Stream<U> {
    for (const stream of streams) this.mustOwn(stream)
    return this.derive(() => f(streams.map(s => s.value)), group)
  }

  /** One tick. What an operator throws leaves the circuit in the middle of it, of no more use. */
  step(): void {
    this.mustRest('step')
    this.isTicking = true
    try {
      for (const node of this.nodes) node.tick()
      for (const node of this.nodes) node.tock?.()
      this.ticks++
    } finally {
      this.isTicking = false
    }
  }

  /** Begins anew: as if nothing had happened. */
  reset(): void {
    this.mustRest('reset')
    this.ticks = 0
    for (const node of this.nodes) node.reset()
  }

  private mustRest(call: string): void {
    if (this.isTicking) throw new UsageError(`${call}: a function of the circuit called it in the middle of a tick`)
  }

  /** Internal: for operators. */
  add(node: Node): void {
    this.nodes.push(node)
  }

  /** Internal: a stream that is computed anew at each tick. */
  derive<T>(compute: () => T, group?: Group<T>): Stream<T> {
    const stream = group === undefined ? new Stream<T>(this) : new GroupStream<T>(this, group)
    this.add({ tick: () => stream.set(compute()), reset() {} })
    return stream
  }

  /** Internal: throws UsageError on a stream of another circuit, nested ones included. */
  mustOwn(stream: Stream<unknown>): void {
    if (!(stream instanceof Stream)) throw new UsageError(`expected a stream, found ${show(stream)}`)
    if (stream.circuit !== this) {
      throw new UsageError('expected a stream of this circuit, found one of another: a nested circuit must import it')
    }
  }
}

/** What z⁻¹ remembers. */
class Delay<T> {
  value: T
  source: (() => T) | null = null
  constructor(private readonly initial: T) {
    this.value = initial
  }
  take(): void {
    if (this.source !== null) this.value = this.source()
  }
  reset(): void {
    this.value = this.initial
  }
}

/** A stream of any values. */
export class Stream<T> {
  private current: T | undefined

  constructor(readonly circuit: Circuit) {}

  /** The value at the last tick. */
  get value(): T {
    return this.current as T
  }

  /** Internal: for the operator that computes the stream. */
  set(value: T): void {
    this.current = value
  }

  /** ↑f: f of every value. With a group, what comes out can be added up. */
  apply<U>(f: (value: T) => U): Stream<U>
  apply<U>(f: (value: T) => U, group: Group<U>): GroupStream<U>
  apply<U>(f: (value: T) => U, group?: Group<U>): Stream<U> {
    return this.circuit.derive(() => f(this.value), group)
  }

  apply2<S, U>(other: Stream<S>, f: (a: T, b: S) => U): Stream<U>
  apply2<S, U>(other: Stream<S>, f: (a: T, b: S) => U, group: Group<U>): GroupStream<U>
  apply2<S, U>(other: Stream<S>, f: (a: T, b: S) => U, group?: Group<U>): Stream<U> {
    this.circuit.mustOwn(other)
    return this.circuit.derive(() => f(this.value, other.value), group)
  }

  /** The same stream; `look` is called with every value. */
  inspect(look: (value: T, time: number) => void): this {
    const { circuit } = this
    circuit.add({ tick: () => look(this.value, circuit.time), reset() {} })
    return this
  }

  /** All values so far folded into one. */
  streamFold<A>(initial: A, f: (folded: A, value: T) => A): Stream<A> {
    const folded = new Stream<A>(this.circuit)
    let state = initial
    this.circuit.add({
      tick: () => {
        state = f(state, this.value)
        folded.set(state)
      },
      reset: () => {
        state = initial
      },
    })
    return folded
  }

  /**
   * Of lists of values, as traces are lists of batches: their sum, one value. What a group's `plus` gives, so every
   * single Z-set, is consolidated anyway.
   */
  consolidate<U>(this: Stream<Iterable<U>>, group: Group<U>): GroupStream<U> {
    return this.apply(parts => {
      if (typeof parts?.[Symbol.iterator] !== 'function') {
        throw new UsageError(`consolidate: expected a list of values to add up, found ${show(parts)}`)
      }
      const list = [...parts]
      for (const part of list) group.check?.(part, 'consolidate')
      return total(group, list)
    }, group)
  }

  /** For `iterate`: holds at the ticks for whose value `holds` does. */
  condition(holds: (value: T) => boolean): Condition {
    return new Condition(this.circuit, () => holds(this.value))
  }
}

/** When a nested circuit has come to its end. */
export class Condition {
  constructor(
    readonly circuit: Circuit,
    readonly holds: () => boolean,
  ) {}
}

/** A stream of values that can be added and taken away. */
export class GroupStream<T> extends Stream<T> {
  constructor(
    circuit: Circuit,
    readonly group: Group<T>,
  ) {
    super(circuit)
    this.set(group.zero)
  }

  private like(compute: () => T): GroupStream<T> {
    return this.circuit.derive(compute, this.group) as GroupStream<T>
  }

  /** z⁻¹: the value of the tick before; zero at first. */
  delay(): GroupStream<T> {
    const delay = new Delay<T>(this.group.zero)
    delay.source = () => this.value
    const stream = this.like(() => delay.value)
    this.circuit.add({ tick() {}, tock: () => delay.take(), reset: () => delay.reset() })
    return stream
  }

  /** I: the sum of all values so far. */
  integrate(): GroupStream<T> {
    const { group, circuit } = this
    let sum = group.zero
    const stream = this.like(() => {
      sum = group.plus(sum, this.value)
      return sum
    })
    circuit.add({
      tick() {},
      reset: () => {
        sum = group.zero
      },
    })
    return stream
  }

  /** D: what has changed since the tick before. */
  differentiate(): GroupStream<T> {
    return this.minus(this.delay())
  }

  private mustFit(other: GroupStream<T>, what: string): void {
    this.circuit.mustOwn(other)
    this.group.check?.(other.group.zero, what)
  }

  plus(other: GroupStream<T>): GroupStream<T> {
    this.mustFit(other, 'plus')
    return this.like(() => this.group.plus(this.value, other.value))
  }

  minus(other: GroupStream<T>): GroupStream<T> {
    this.mustFit(other, 'minus')
    return this.like(() => this.group.plus(this.value, this.group.neg(other.value)))
  }

  neg(): GroupStream<T> {
    return this.like(() => this.group.neg(this.value))
  }

  /** δ₀: the first value, and zero afterwards. */
  delta0(): GroupStream<T> {
    return this.like(() => (this.circuit.time === 0 ? this.value : this.group.zero))
  }

  /** A linear operator on changes is the operator itself. */
  linear<U>(operator: Linear<T, U>): GroupStream<U> {
    return this.apply(operator.apply, operator.group)
  }

  /**
   * A bilinear operator on changes: the change of I(a) × I(b), which is a×b + I(a)×b + a×I(b), integrals before
   * this tick. Costs what the operator costs on a change and an integral.
   */
  bilinear<S, U>(other: GroupStream<S>, operator: Bilinear<T, S, U>): GroupStream<U> {
    const { group } = operator
    const [a, b] = [this.integrate(), other.integrate().delay()]
    // I(a) × b with this tick's a, and a × I(b) before it: the three terms in two.
    return a.apply2(other, operator.apply, group).plus(this.apply2(b, operator.apply, group))
  }
}

/** A stream that is fed by `push`. */
export class Input<T> extends GroupStream<T> {
  private pending: T

  constructor(circuit: Circuit, group: Group<T>) {
    super(circuit, group)
    this.pending = group.zero
    circuit.add({
      tick: () => {
        this.set(this.pending)
        this.pending = group.zero
      },
      reset: () => {
        this.pending = group.zero
      },
    })
  }

  /** Adds to the value that the stream will have at the next tick. */
  push(value: T): void {
    this.group.check?.(value, 'push')
    this.pending = this.group.plus(this.pending, value)
  }
}

/** An operator with f(a + b) = f(a) + f(b): `checkLinear` tests it. */
export interface Linear<A, B> {
  readonly name: string
  readonly group: Group<B>
  readonly apply: (value: A) => B
}

/** An operator that is linear in each argument: `checkBilinear` tests it. */
export interface Bilinear<A, B, C> {
  readonly name: string
  readonly group: Group<C>
  readonly apply: (a: A, b: B) => C
}
