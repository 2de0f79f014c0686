import { describe, expect, it } from 'vitest'
import { type Interpretation, interpret, printZSet } from '../../src/circuit/interpret.js'
import { lower } from '../../src/circuit/lower.js'
import { optimise } from '../../src/circuit/optimise.js'
import type { Rel } from '../../src/circuit/rel.js'
import { picker, randomInputs, randomPlan } from './random-plans.js'

const shown = ({ rows, errors }: Interpretation): string =>
  `${printZSet(rows)}\nerrors ${JSON.stringify([...errors].map(([m, w]) => `${m} × ${w}`).sort())}`

const shape = (rel: Rel) => rel.schema.columns.map(c => [c.name, c.type, c.nullable])

describe('optimise', () => {
  it.each([0, 3, 6])('keeps rows and failures of random circuits (risk %i of 10)', risk => {
    const from = Number(process.env.SEED ?? 1)
    for (let seed = from; seed < from + Number(process.env.CASES ?? 700); seed++) {
      const pick = picker(seed * 7919 + risk)
      const plan = randomPlan(1 + pick(3), risk, pick)
      const optimised = optimise(lower(plan))
      expect(shape(optimised), `seed ${seed}`).toEqual(shape(plan))
      for (let i = 0; i < 3; i++) {
        const inputs = randomInputs(pick)
        expect(shown(interpret(optimised, inputs)), `seed ${seed}`).toBe(shown(interpret(plan, inputs)))
      }
    }
  })
})
