import fc from 'fast-check'
import { expect, it } from 'vitest'
import { ExactSum, fromUnits, toUnits } from '../../src/base/exact-sum.js'

const extremes = fc.constantFrom(0, 5e-324, -5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 1e16, 1, 0.1)
const finite = fc.oneof(extremes, fc.double({ noNaN: true, noDefaultInfinity: true }))
const any = fc.oneof(finite, fc.constantFrom(Infinity, -Infinity, NaN))

it('converts every finite double to units and back', () => {
  fc.assert(
    fc.property(finite, x => {
      expect(fromUnits(toUnits(x))).toBe(x + 0)
    }),
    { seed: 1, numRuns: 1000 },
  )
})

it('rounds as division of integers does, ties to even', () => {
  const unit = toUnits(1)
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 900n), max: 2n ** 900n }), n => {
      // Number(bigint) rounds to nearest even by the language's own definition.
      expect(fromUnits(n * unit)).toBe(Number(n))
    }),
    { seed: 1, numRuns: 1000 },
  )
  expect(fromUnits((2n ** 53n + 1n) * unit)).toBe(2 ** 53)
  expect(fromUnits((2n ** 53n + 3n) * unit)).toBe(2 ** 53 + 4)
  expect(fromUnits(toUnits(Number.MAX_VALUE) * 2n)).toBe(Infinity)
  expect(fromUnits(toUnits(Number.MAX_VALUE) + (toUnits(2 ** 970) - 1n))).toBe(Number.MAX_VALUE)
  expect(fromUnits(-toUnits(Number.MAX_VALUE) - toUnits(2 ** 970))).toBe(-Infinity)
})

it('adds two doubles exactly as the processor does', () => {
  fc.assert(
    fc.property(finite, finite, (a, b) => {
      const sum = new ExactSum()
      sum.add(a, 1n)
      sum.add(b, 1n)
      expect(sum.result()).toBe(a + b + 0)
    }),
    { seed: 1, numRuns: 1000 },
  )
})

it('does not depend on order, and forgets what is taken away', () => {
  const term = fc.tuple(any, fc.bigInt({ min: -3n, max: 2n ** 63n - 1n }))
  fc.assert(
    fc.property(fc.array(term), fc.array(term), (terms, noise) => {
      const plain = new ExactSum()
      for (const [x, w] of terms) plain.add(x, w)
      const disturbed = new ExactSum()
      for (const [x, w] of noise) disturbed.add(x, w)
      for (const [x, w] of terms.toReversed()) disturbed.add(x, w)
      for (const [x, w] of noise) disturbed.add(x, -w)
      expect(disturbed).toEqual(plain)
      expect(disturbed.result()).toBe(plain.result())
    }),
    { seed: 1 },
  )
})

it('knows infinities and NaN', () => {
  const of = (...terms: [number, bigint][]): number => {
    const sum = new ExactSum()
    for (const [x, w] of terms) sum.add(x, w)
    return sum.result()
  }
  expect(of([Infinity, 1n], [1, 1n])).toBe(Infinity)
  expect(of([Infinity, 1n], [-Infinity, 1n])).toBeNaN()
  expect(of([Infinity, 1n], [-Infinity, 1n], [Infinity, -1n])).toBe(-Infinity)
  expect(of([Infinity, -1n])).toBe(-Infinity)
  expect(of([NaN, 1n], [NaN, -1n], [2, 3n])).toBe(6)
})
