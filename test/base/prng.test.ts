import { expect, it } from 'vitest'
import { Prng } from '../../src/base/prng.js'

it('repeats itself from a seed and differs between seeds', () => {
  const draw = (seed: number) => {
    const prng = new Prng(seed)
    return Array.from({ length: 8 }, () => prng.next())
  }
  expect(draw(1)).toEqual(draw(1))
  const firsts = Array.from({ length: 1000 }, (_, seed) => new Prng(seed).next())
  expect(new Set(firsts).size).toBe(1000)
  expect(draw(0.5)).not.toEqual(draw(0))
})

it('spreads below(n), chance(p) and pick evenly', () => {
  const prng = new Prng(42)
  const counts = new Array<number>(10).fill(0)
  for (let i = 0; i < 20000; i++) counts[prng.below(10)]++
  for (const count of counts) expect(Math.abs(count - 2000)).toBeLessThan(200)
  let hits = 0
  for (let i = 0; i < 20000; i++) if (prng.chance(0.1)) hits++
  expect(Math.abs(hits - 2000)).toBeLessThan(200)
  expect(prng.chance(0)).toBe(false)
  expect(prng.chance(1)).toBe(true)
  expect(prng.pick(['only'])).toBe('only')
  expect(() => prng.below(0)).toThrow(/from 1 to/)
  expect(() => prng.pick([])).toThrow(/from 1 to/)
})

it('forks without disturbing what is drawn afterwards', () => {
  const [a, b] = [new Prng(5), new Prng(5)]
  const forkOfA = a.fork()
  b.fork()
  for (let i = 0; i < 100; i++) forkOfA.next()
  expect(a.next()).toBe(b.next())
  expect(a.fork().next()).not.toBe(a.fork().next())
})

it('shuffles in place, keeping every item', () => {
  const items = Array.from({ length: 50 }, (_, i) => i)
  const shuffled = new Prng(1).shuffle(items.slice())
  expect(shuffled).not.toEqual(items)
  expect(shuffled.sort((x, y) => x - y)).toEqual(items)
})
