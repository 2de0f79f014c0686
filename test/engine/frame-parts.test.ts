/** What aggregates over frames are made of, next to the plainest way to say it. */
import { expect, test } from 'vitest'
import * as dyadic from '../../src/base/dyadic.js'
import { Tally } from '../../src/engine/operators/window/tally.js'
import { FloatTotal } from '../../src/engine/operators/window/totals.js'
import { picker } from './support.js'

const pick = picker(3)

/** Doubles whose products have up to 2200 bits side by side, and such whose products are doubles. */
const FACTORS = [
  0,
  1,
  -3,
  0.1,
  1 / 3,
  2 ** 53 - 1,
  1e-200,
  -1e200,
  5e-324,
  -Number.MAX_VALUE,
  2 ** -400,
  2 ** 400,
  7e150,
]

test('sums of products are exact, whatever comes and goes', () => {
  const total = new FloatTotal()
  const held: (readonly [number, number, number])[] = []
  for (let step = 0; step < 300; step++) {
    const back = held.length > 0 && pick(3) === 0 ? held.splice(pick(held.length), 1)[0] : undefined
    const [x, y, times] = back ?? [FACTORS[pick(FACTORS.length)], FACTORS[pick(FACTORS.length)] / 7, 1 + pick(2)]
    if (back === undefined) held.push([x, y, times])
    total.addProduct(x, y, back === undefined ? times : -times)
    const sum = held.reduce((all, [a, b, n]) => {
      const product = dyadic.multiply(dyadic.ofDouble(a), dyadic.ofDouble(b))
      return dyadic.add(all, dyadic.times(product, BigInt(n)))
    }, dyadic.ZERO)
    const { finite } = total.exact
    expect(dyadic.signOf(dyadic.subtract(finite ?? dyadic.ofInteger(1n), sum))).toBe(0)
  }
  for (const [x, y, times] of held) total.addProduct(x, y, -times)
  expect(total.isZero).toBe(true)
  for (const [x, y] of [
    [Infinity, 0],
    [Infinity, 2],
    [Number.NaN, 1],
  ]) {
    total.addProduct(x, y, 1)
    expect(total.exact.special).toBe(x * y)
    total.addProduct(x, y, -1)
    expect(total.exact.special).toBe(null)
  }
})

test.each([false, true])('a tally finds rows by rank, and all of them (distinct: %s)', distinct => {
  const ranks = Int32Array.from({ length: 200 }, () => pick(91) - 1)
  const rows = Array.from({ length: 90 }, (_, rank) => rank)
  const tally = new Tally({ ranks, rows }, distinct)
  const counts = new Map<number, number>()
  for (let step = 0; step < 600; step++) {
    const k = pick(ranks.length)
    const rank = ranks[k]
    const times = (counts.get(rank) ?? 0) > 0 && pick(2) === 0 ? -1 : 1 + pick(3)
    const before = tally.total
    expect(tally.add(k, times)).toBe(tally.total - before)
    if (rank >= 0) counts.set(rank, (counts.get(rank) ?? 0) + times)
    const present = [...counts].filter(([, count]) => count > 0).sort(([a], [b]) => a - b)
    const listed = present.flatMap(([r, count]) => new Array<number>(distinct ? 1 : count).fill(r))
    expect(tally.total).toBe(listed.length)
    const n = pick(listed.length + 1)
    if (n < listed.length) expect(tally.select(n)).toBe(listed[n])
    const found: number[] = []
    for (let r = tally.next(0); r >= 0; r = tally.next(r + 1)) found.push(r)
    expect(found).toEqual(present.map(([r]) => r))
  }
})
