/** Histories of random concurrent transactions are serialisable; without validation they are not, and that is noticed. */
import { afterEach, describe, expect, it, vi } from 'vitest'
import { Transaction } from '../../src/engine/transaction.js'
import { anomalies } from './elle.js'
import { World } from './random.js'

const SEEDS = 16

afterEach(() => {
  vi.restoreAllMocks()
  vi.useRealTimers()
})

describe('concurrent transactions', () => {
  it('that are stepped through at random are serialisable', () => {
    let conflicts = 0
    let committed = 0
    for (let seed = 1; seed <= SEEDS; seed++) {
      const world = new World(seed)
      world.interleave(25, 2 + (seed % 5))
      world.readAll()
      expect(anomalies(world.history), `seed ${seed}`).toEqual([])
      expect(world.db.openSnapshots.transactions).toBe(0)
      conflicts += world.conflicts
      committed += world.history.filter(t => !t.aborted).length
    }
    // Neither of the two is rare, or nothing was tested.
    expect(conflicts).toBeGreaterThan(SEEDS)
    expect(committed).toBeGreaterThan(conflicts)
  })

  it('would not be without validation', () => {
    vi.spyOn(Transaction.prototype, 'validate').mockImplementation(() => {})
    let wrong = 0
    for (let seed = 1; seed <= 10; seed++) {
      const world = new World(seed)
      try {
        world.interleave(25, 5)
      } catch {
        // A row was retracted by two.
        wrong++
        continue
      }
      if (anomalies(world.history).length > 0) wrong++
    }
    expect(wrong).toBeGreaterThan(5)
  })

  it('of async functions are serialisable, and run again after conflicts', async () => {
    let conflicts = 0
    for (let seed = 1; seed <= 10; seed++) conflicts += await asyncWorld(seed)
    expect(conflicts).toBeGreaterThan(10)
  })
})

/** Async functions that wait between any two steps; who goes on is drawn from the seed. Returns the number of conflicts. */
async function asyncWorld(seed: number): Promise<number> {
  const world = new World(seed)
  const { random, db } = world
  vi.useFakeTimers({ toFake: ['setTimeout'] })
  vi.spyOn(Math, 'random').mockImplementation(() => random.next() / 2 ** 32)
  const waiting: (() => void)[] = []
  const turn = () => new Promise<void>(resolve => waiting.push(resolve))
  let conflicts = 0
  let running = 0
  const worker = async (): Promise<void> => {
    running++
    let recorder = world.recorder()
    let runs = 0
    const steps = 1 + random.below(4)
    const { lsn } = await db.transact(
      async tx => {
        if (runs++ > 0) {
          conflicts++
          world.history.push(recorder.record(null, true, world.tick()))
          recorder = world.recorder()
        }
        for (let s = 0; s < steps; s++) {
          recorder.step(tx, random)
          await turn()
        }
      },
      { retries: 100 },
    )
    world.history.push(recorder.record(lsn, false, world.tick()))
    running--
  }
  for (let n = 0; n < 12; n++) void worker()
  while (running > 0) {
    const [go] = waiting.splice(random.below(Math.max(1, waiting.length)), 1)
    if (go === undefined) vi.advanceTimersByTime(10)
    else go()
    // What follows the promise runs before the next one is drawn.
    await new Promise(resolve => setImmediate(resolve))
  }
  world.readAll()
  expect(anomalies(world.history), `seed ${seed}`).toEqual([])
  return conflicts
}
