/**
 * Algebra as small interfaces. An instance is a value that knows the operations of a set of values; `gnitz/testing` has
 * the laws of each interface as tests (`checkGroup`, `checkRing`, …).
 *
 *     Semigroup  plus, associative            Group     … and a negation: plus(a, neg(a)) = zero; commutative
 *     Monoid     … with a zero                Semiring  a commutative monoid with times and one, distributive; zero annihilates
 *                                             Ring      a semiring that is a group
 */

export interface Semigroup<T> {
  plus(a: T, b: T): T
  equal(a: T, b: T): boolean
}

export interface Monoid<T> extends Semigroup<T> {
  readonly zero: T
}

/** Commutative, as all streams of changes are. */
export interface Group<T> extends Monoid<T> {
  neg(a: T): T
  /** Throws UsageError on what is no value of this group; `what` names the operator. For types that cannot tell. */
  check?(value: T, what: string): void
}

export interface Semiring<T> extends Monoid<T> {
  readonly one: T
  times(a: T, b: T): T
}

export interface Ring<T> extends Group<T>, Semiring<T> {}

const same = <T>(a: T, b: T): boolean => a === b

/** Integers without bounds. */
export const integers: Ring<bigint> = Object.freeze({
  zero: 0n,
  one: 1n,
  plus: (a: bigint, b: bigint) => a + b,
  neg: (a: bigint) => -a,
  times: (a: bigint, b: bigint) => a * b,
  equal: same<bigint>,
})

/** Integers modulo 2⁶⁴, signed: the ring that weights are computed in. */
export const i64Ring: Ring<bigint> = Object.freeze({
  zero: 0n,
  one: 1n,
  plus: (a: bigint, b: bigint) => BigInt.asIntN(64, a + b),
  neg: (a: bigint) => BigInt.asIntN(64, -a),
  times: (a: bigint, b: bigint) => BigInt.asIntN(64, a * b),
  equal: same<bigint>,
})

/** Truth values with or and and: weights of sets. Nothing can be taken away. */
export const booleans: Semiring<boolean> = Object.freeze({
  zero: false,
  one: true,
  plus: (a: boolean, b: boolean) => a || b,
  times: (a: boolean, b: boolean) => a && b,
  equal: same<boolean>,
})

/** The tropical semiring: minimum as sum, sum as product. Weights are lengths of shortest ways. No NaN. */
export const minPlus: Semiring<number> = Object.freeze({
  zero: Number.POSITIVE_INFINITY,
  one: 0,
  plus: (a: number, b: number) => Math.min(a, b),
  times: (a: number, b: number) => a + b,
  equal: same<number>,
})

/** Pairs, component by component. */
export function pairs<A, B>(a: Group<A>, b: Group<B>): Group<readonly [A, B]> {
  return Object.freeze({
    zero: [a.zero, b.zero] as const,
    plus: (x: readonly [A, B], y: readonly [A, B]) => [a.plus(x[0], y[0]), b.plus(x[1], y[1])] as const,
    neg: (x: readonly [A, B]) => [a.neg(x[0]), b.neg(x[1])] as const,
    equal: (x: readonly [A, B], y: readonly [A, B]) => a.equal(x[0], y[0]) && b.equal(x[1], y[1]),
    check: (x: readonly [A, B], what: string) => {
      a.check?.(x[0], what)
      b.check?.(x[1], what)
    },
  })
}

/** The sum of a list, in pairs of like sizes: n log k for k parts of n rows together. */
export function total<T>(monoid: Monoid<T>, parts: Iterable<T>): T {
  let sums = [...parts]
  while (sums.length > 1) {
    const halves: T[] = []
    for (let i = 0; i < sums.length; i += 2) {
      halves.push(i + 1 < sums.length ? monoid.plus(sums[i], sums[i + 1]) : sums[i])
    }
    sums = halves
  }
  return sums.length === 0 ? monoid.zero : sums[0]
}
