/**
 * Relations with weights of any semiring (Green, Karvounarakis, Tannen: Provenance Semirings, PODS 2007): with `booleans`
 * they are sets, with `integers` bags or Z-sets, with `minPlus` the weights are lengths of shortest ways. Evaluated plainly,
 * over Maps; Z-sets with 64-bit weights that have to be fast are `ZSets`.
 */
import type { Monoid, Semiring } from './algebra.js'

export interface WeightedEntry<R, W> {
  readonly row: R
  readonly weight: W
}

/** Weight by row; rows of weight zero are not there. Rows are told apart by `keyOf`. */
export type Weighted<R, W> = ReadonlyMap<string, WeightedEntry<R, W>>

/** The monoid of relations over a semiring, with the operators that all semirings have. */
export class Relations<R, W> implements Monoid<Weighted<R, W>> {
  readonly zero: Weighted<R, W> = new Map()

  constructor(
    readonly weights: Semiring<W>,
    /** Text that two rows share exactly if they are the same. */
    readonly keyOf: (row: R) => string = row => JSON.stringify(row),
  ) {}

  of(entries: Iterable<WeightedEntry<R, W>>): Weighted<R, W> {
    const { weights } = this
    const sums = new Map<string, WeightedEntry<R, W>>()
    for (const { row, weight } of entries) {
      const key = this.keyOf(row)
      sums.set(key, { row, weight: weights.plus(sums.get(key)?.weight ?? weights.zero, weight) })
    }
    for (const [key, { weight }] of sums) if (weights.equal(weight, weights.zero)) sums.delete(key)
    return sums
  }

  plus(a: Weighted<R, W>, b: Weighted<R, W>): Weighted<R, W> {
    return this.of([...a.values(), ...b.values()])
  }

  equal(a: Weighted<R, W>, b: Weighted<R, W>): boolean {
    if (a.size !== b.size) return false
    return [...a].every(([key, { weight }]) => this.weights.equal(weight, b.get(key)?.weight ?? this.weights.zero))
  }

  filter(relation: Weighted<R, W>, predicate: (row: R) => boolean): Weighted<R, W> {
    return this.of([...relation.values()].filter(({ row }) => predicate(row)))
  }

  /** New rows; weights of rows that become one are added. */
  map<S>(relation: Weighted<R, W>, target: Relations<S, W>, make: (row: R) => S): Weighted<S, W> {
    return target.of(Array.from(relation.values(), ({ row, weight }) => ({ row: make(row), weight })))
  }

  /** Pairs for which `pair` gives a row (null where two do not match); weights are multiplied. */
  join<S, T>(
    left: Weighted<R, W>,
    right: Weighted<S, W>,
    target: Relations<T, W>,
    pair: (left: R, right: S) => T | null,
  ): Weighted<T, W> {
    const joined: WeightedEntry<T, W>[] = []
    for (const l of left.values()) {
      for (const r of right.values()) {
        const row = pair(l.row, r.row)
        if (row !== null) joined.push({ row, weight: this.weights.times(l.weight, r.weight) })
      }
    }
    return target.of(joined)
  }
}
