/**
 * Nested circuits: a computation that takes ticks of its own within one tick of the circuit around it (DBSP, section 6).
 * The inner clock begins at 0 in every outer tick; what comes in does so at inner tick 0 (δ₀) or stands for all of them, and what
 * goes out is the value of the last one.
 *
 * Each outer tick computes its fixpoint from nothing. For recursion that costs by the change, define a view with
 * `q.recursive`.
 */
import { UsageError } from '../base/errors.js'
import type { Group } from './algebra.js'
import { Circuit, type Condition, GroupStream, type Stream } from './stream.js'

/** Inner ticks unless the caller says otherwise. */
const DEFAULT_LIMIT = 10_000

export class NestedCircuit extends Circuit {
  constructor(private readonly outer: Circuit) {
    super()
  }

  /** δ₀ of an outer stream: its value at inner tick 0, zero afterwards. */
  import<T>(stream: GroupStream<T>): GroupStream<T> {
    this.outer.mustOwn(stream)
    const inner = new GroupStream<T>(this, stream.group)
    this.add({ tick: () => inner.set(this.time === 0 ? stream.value : stream.group.zero), reset() {} })
    return inner
  }

  /** The outer stream's value at every inner tick: the integral of `import`. */
  constant<T>(stream: GroupStream<T>): GroupStream<T> {
    this.outer.mustOwn(stream)
    const inner = new GroupStream<T>(this, stream.group)
    this.add({ tick: () => inner.set(stream.value), reset() {} })
    return inner
  }
}

export interface IterateOptions {
  /** Most inner ticks; one more throws UsageError. Default 10,000. */
  readonly limit?: number
}

/** What a nested circuit computes, and when it is done. */
export interface Iteration<T> {
  readonly until: Condition
  readonly result: Stream<T>
}

/** Ticks the nested circuit until the condition holds, in every tick of `circuit`; gives the result's last value. */
export function iterate<T>(
  circuit: Circuit,
  build: (inner: NestedCircuit) => Iteration<T>,
  options: IterateOptions = {},
): Stream<T> {
  const inner = new NestedCircuit(circuit)
  const { until, result } = build(inner) ?? {}
  inner.mustOwn(result)
  if (until?.circuit !== inner) throw new UsageError('iterate: expected a condition of the nested circuit')
  return circuit.derive(() => {
    run(inner, () => until.holds(), options.limit ?? DEFAULT_LIMIT)
    return result.value
  })
}

/**
 * The fixpoint of `step` from zero: x[0] = step(0), x[n] = step(x[n-1]), until two are equal. `step` gets z⁻¹ of x, and
 * the nested circuit to import outer streams with.
 */
export function recursive<T>(
  circuit: Circuit,
  group: Group<T>,
  step: (inner: NestedCircuit, past: GroupStream<T>) => GroupStream<T>,
  options: IterateOptions = {},
): GroupStream<T> {
  const inner = new NestedCircuit(circuit)
  let before = group.zero
  const result = inner.feedback(group, past => {
    past.inspect(value => {
      before = value
    })
    return step(inner, past)
  })
  return circuit.derive(() => {
    run(inner, () => group.equal(before, result.value), options.limit ?? DEFAULT_LIMIT)
    return result.value
  }, group) as GroupStream<T>
}

function run(inner: NestedCircuit, isDone: () => boolean, limit: number): void {
  inner.reset()
  for (let ticks = 0; ticks < limit; ticks++) {
    inner.step()
    if (isDone()) return
  }
  throw new UsageError(`a nested circuit is not at its end after ${limit} ticks`)
}
