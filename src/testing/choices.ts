/**
 * Generated structures are decoded from a list of numbers, one per decision, where 0 always means the simplest
 * alternative and a list that has run out reads as zeros. So fast-check shrinks a circuit, its schemas and its data
 * by shortening lists and making numbers smaller, and everything it tries on the way is well-formed.
 */
import fc from 'fast-check'

export class Choices {
  private at = 0
  private readonly numbers: readonly number[]
  constructor(numbers: readonly number[]) {
    this.numbers = numbers
  }

  /** A number from 0 to n - 1. REQUIRES: n >= 1. */
  below(n: number): number {
    const number = this.numbers[this.at++] ?? 0
    return number % n
  }

  /** REQUIRES: not empty; simplest first. */
  pick<T>(alternatives: readonly T[]): T {
    return alternatives[this.below(alternatives.length)]
  }

  /** True with a probability of 1 in n, never when the list has run out. */
  oneIn(n: number): boolean {
    return this.below(n) === n - 1
  }
}

/** Lists of decisions, up to `maxLength` of them. */
export const genomeArb = (maxLength: number): fc.Arbitrary<number[]> =>
  fc.array(fc.nat({ max: 0xffff }), { maxLength, size: 'max' })
