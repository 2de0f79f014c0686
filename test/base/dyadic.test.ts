/** Exact arithmetic against what doubles themselves do: one operation of theirs is rounded once, too. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { add, multiply, nearest, ofDouble, ofInteger, subtract, times } from '../../src/base/dyadic.js'

const doubles = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.integer(),
  fc.constantFrom(5e-324, 0.1),
)

test.each([
  ['a + b', add, (x: number, y: number) => x + y],
  ['a - b', subtract, (x: number, y: number) => x - y],
  ['a * b', multiply, (x: number, y: number) => x * y],
] as const)('%s, rounded, is the sum, difference or product of doubles', (_, exact, rounded) => {
  fc.assert(
    fc.property(doubles, doubles, (x, y) => {
      expect(nearest(exact(ofDouble(x), ofDouble(y)))).toBe(rounded(x, y) + 0)
    }),
    { numRuns: 1000, seed: 1 },
  )
})

test('a / b, rounded, is the quotient of doubles, subnormal ones and infinity included', () => {
  fc.assert(
    fc.property(doubles, doubles, (x, y) => {
      if (y !== 0) expect(nearest(ofDouble(x), ofDouble(y))).toBe(x / y + 0)
    }),
    { numRuns: 3000, seed: 1 },
  )
})

test('integers', () => {
  expect(nearest(ofInteger(1n), ofInteger(3n))).toBe(1 / 3)
  expect(nearest(ofInteger(2n ** 53n + 1n))).toBe(2 ** 53)
  expect(nearest(ofInteger(2n ** 53n + 3n))).toBe(2 ** 53 + 4)
  expect(nearest(times(ofDouble(0.1), 10n))).toBe(1)
  expect(nearest(subtract(times(ofDouble(0.1), 10n), ofInteger(1n)))).toBeCloseTo(5.55e-17, 18)
})
