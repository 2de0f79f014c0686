/**
 * Laws of the algebra beneath streams, and of operators on them, for users' own instances and operators. Each function
 * draws random values and throws with the smallest ones that break a law.
 */
import fc from 'fast-check'
import type { Group, Monoid, Ring, Semigroup, Semiring } from '../streams/algebra.js'
import { type Bilinear, Circuit, type GroupStream, type Linear } from '../streams/stream.js'

export interface StreamLawOptions {
  /** How many random cases, default 100. */
  readonly runs?: number
  readonly seed?: number
}

function holds<V extends readonly unknown[]>(
  law: string,
  values: { readonly [K in keyof V]: fc.Arbitrary<V[K]> },
  isTrue: (...values: V) => boolean,
  { runs = 100, seed }: StreamLawOptions,
): void {
  const property = fc.property(fc.tuple(...(values as readonly fc.Arbitrary<unknown>[])), drawn =>
    isTrue(...(drawn as unknown as V)),
  )
  const result = fc.check(property, { numRuns: runs, ...(seed === undefined ? {} : { seed }) })
  if (!result.failed) return
  const found = result.counterexample === null ? '' : ` for ${fc.stringify(result.counterexample[0])}`
  throw new Error(`law broken: ${law}${found}, seed ${result.seed}`, { cause: result.errorInstance })
}

/** (a + b) + c = a + (b + c) */
export function checkSemigroup<T>(s: Semigroup<T>, value: fc.Arbitrary<T>, options: StreamLawOptions = {}): void {
  const isTrue = (a: T, b: T, c: T): boolean => s.equal(s.plus(s.plus(a, b), c), s.plus(a, s.plus(b, c)))
  holds<[T, T, T]>('plus is associative', [value, value, value], isTrue, options)
}

/** … and 0 + a = a = a + 0 */
export function checkMonoid<T>(m: Monoid<T>, value: fc.Arbitrary<T>, options: StreamLawOptions = {}): void {
  checkSemigroup(m, value, options)
  const isTrue = (a: T): boolean => m.equal(m.plus(m.zero, a), a) && m.equal(m.plus(a, m.zero), a)
  holds<[T]>('zero changes nothing', [value], isTrue, options)
}

function checkCommutative<T>(m: Monoid<T>, value: fc.Arbitrary<T>, options: StreamLawOptions): void {
  holds<[T, T]>('plus is commutative', [value, value], (a, b) => m.equal(m.plus(a, b), m.plus(b, a)), options)
}

/** … and a + (-a) = 0, a + b = b + a */
export function checkGroup<T>(g: Group<T>, value: fc.Arbitrary<T>, options: StreamLawOptions = {}): void {
  checkMonoid(g, value, options)
  checkCommutative(g, value, options)
  holds<[T]>('a value and its negation give zero', [value], a => g.equal(g.plus(a, g.neg(a)), g.zero), options)
}

/** A commutative monoid; times is associative with a one, distributes over plus, and zero annihilates. */
export function checkSemiring<T>(r: Semiring<T>, value: fc.Arbitrary<T>, options: StreamLawOptions = {}): void {
  checkMonoid(r, value, options)
  checkCommutative(r, value, options)
  const { plus, times, equal, one, zero } = r
  const three: [fc.Arbitrary<T>, fc.Arbitrary<T>, fc.Arbitrary<T>] = [value, value, value]
  const check = (law: string, isTrue: (a: T, b: T, c: T) => boolean): void =>
    holds<[T, T, T]>(law, three, isTrue, options)
  check('times is associative', (a, b, c) => equal(times(times(a, b), c), times(a, times(b, c))))
  check('one changes nothing', a => equal(times(one, a), a) && equal(times(a, one), a))
  check('times distributes over plus from the left', (a, b, c) =>
    equal(times(a, plus(b, c)), plus(times(a, b), times(a, c))),
  )
  check('times distributes over plus from the right', (a, b, c) =>
    equal(times(plus(a, b), c), plus(times(a, c), times(b, c))),
  )
  check('zero annihilates', a => equal(times(zero, a), zero) && equal(times(a, zero), zero))
}

export function checkRing<T>(r: Ring<T>, value: fc.Arbitrary<T>, options: StreamLawOptions = {}): void {
  checkGroup(r, value, options)
  checkSemiring(r, value, options)
}

/** f(a + b) = f(a) + f(b), and f(0) = 0. `from` is the group of the argument. */
export function checkLinear<A, B>(
  { name, apply, group }: Linear<A, B>,
  from: Group<A>,
  value: fc.Arbitrary<A>,
  options: StreamLawOptions = {},
): void {
  const isTrue = (a: A, b: A): boolean => group.equal(apply(from.plus(a, b)), group.plus(apply(a), apply(b)))
  holds<[A, A]>(`${name} is linear`, [value, value], isTrue, options)
  holds<[]>(`${name} of zero is zero`, [], () => group.equal(apply(from.zero), group.zero), options)
}

/** Linear in each argument. */
export function checkBilinear<A, B, C>(
  { name, apply, group }: Bilinear<A, B, C>,
  left: { readonly group: Group<A>; readonly value: fc.Arbitrary<A> },
  right: { readonly group: Group<B>; readonly value: fc.Arbitrary<B> },
  options: StreamLawOptions = {},
): void {
  holds<[B]>(
    `${name} by a value on the right is linear`,
    [right.value],
    b => {
      checkLinear({ name, group, apply: a => apply(a, b) }, left.group, left.value, { ...options, runs: 5 })
      return true
    },
    options,
  )
  holds<[A]>(
    `${name} by a value on the left is linear`,
    [left.value],
    a => {
      checkLinear({ name, group, apply: b => apply(a, b) }, right.group, right.value, { ...options, runs: 5 })
      return true
    },
    options,
  )
}

/** An operator on streams, as a function that builds it. */
export type StreamOperator<A, B> = (input: GroupStream<A>) => GroupStream<B>

/** What the operator makes of a stream with these values. */
export function runStream<A, B>(operator: StreamOperator<A, B>, group: Group<A>, values: readonly A[]): B[] {
  const circuit = new Circuit()
  const input = circuit.input(group)
  const output = operator(input)
  return values.map(value => {
    input.push(value)
    circuit.step()
    return output.value
  })
}

function sameStreams<T>(group: Group<T>, a: readonly T[], b: readonly T[]): boolean {
  return a.length === b.length && a.every((value, t) => group.equal(value, b[t]))
}

/** The operator of a delayed stream is the delayed stream of the operator: S(z⁻¹ s) = z⁻¹ S(s). */
export function checkTimeInvariant<A, B>(
  operator: StreamOperator<A, B>,
  from: Group<A>,
  to: Group<B>,
  value: fc.Arbitrary<A>,
  options: StreamLawOptions = {},
): void {
  const isTrue = (values: A[]): boolean =>
    sameStreams(to, runStream(operator, from, [from.zero, ...values]), [to.zero, ...runStream(operator, from, values)])
  holds<[A[]]>('the operator is time-invariant', [fc.array(value, { maxLength: 8 })], isTrue, options)
}

/** The operator on changes is the change of the operator on what they add up to: S = D ∘ ↑f ∘ I. */
export function checkIncrementalOf<A, B>(
  operator: StreamOperator<A, B>,
  query: (value: A) => B,
  from: Group<A>,
  to: Group<B>,
  value: fc.Arbitrary<A>,
  options: StreamLawOptions = {},
): void {
  const naive: StreamOperator<A, B> = s => s.integrate().apply(query, to).differentiate()
  const isTrue = (values: A[]): boolean =>
    sameStreams(to, runStream(operator, from, values), runStream(naive, from, values))
  holds<[A[]]>('the operator is the incremental version', [fc.array(value, { maxLength: 8 })], isTrue, options)
}
