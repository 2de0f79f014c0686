/** A few of the simulated runs; `npm run sim` does as many as one likes. */
import { describe, expect, test } from 'vitest'
import { Lost, newTally, type Tally } from '../sim/common.js'
import { FAULT_CLASSES, type FaultClass, planOf } from '../sim/plan.js'
import { simulate, traces } from '../sim/run.js'

async function runs(first: number, count: number, faults: readonly FaultClass[]): Promise<Tally> {
  const tally = newTally()
  for (let seed = first; seed < first + count; seed++) {
    const plan = planOf(seed, faults)
    await simulate(plan, tally).catch((error: unknown) => {
      if (error instanceof Lost) return
      const repeat = `npm run sim -- --seed ${seed} --runs 1 --faults ${faults.join(',') || 'none'}`
      throw new Error(`${repeat}\n${traces.get(plan)}`, { cause: error })
    })
  }
  return tally
}

describe('a directory in a simulated world', () => {
  test('without faults', async () => {
    expect((await runs(1, 6, [])).refused).toBe(0)
  })

  test('power cuts and kills', async () => {
    const { powerCuts, kills, failedOpenings } = await runs(1000, 7, ['crash'])
    expect(Math.min(powerCuts, kills, failedOpenings)).toBeGreaterThan(0)
  })

  test('failing and short writes, a full disk', async () => {
    expect((await runs(2000, 7, ['crash', 'io', 'space'])).refused).toBeGreaterThan(0)
  })

  test('damaged files', async () => {
    const { flips, detected } = await runs(3000, 6, ['flips'])
    expect(detected).toBeGreaterThan(flips / 2)
  })

  test('everything at once', async () => {
    const { events } = await runs(4000, 10, FAULT_CLASSES)
    expect(Object.keys(events).sort()).toEqual(['checkpoint', 'compact', 'flush', 'recover', 'seal'])
  })
})
