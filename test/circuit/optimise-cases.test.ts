/** Lowering and optimising on the circuits of `gnitz/testing`: every type, extreme values, views over views. */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { type Interpretation, interpret, printZSet } from '../../src/circuit/interpret.js'
import { lower } from '../../src/circuit/lower.js'
import { optimise } from '../../src/circuit/optimise.js'
import { printRel } from '../../src/circuit/print.js'
import { caseArb } from '../../src/testing/index.js'
import { Tables } from '../../src/testing/runner.js'

const shown = ({ rows, errors }: Interpretation): string =>
  `${printZSet(rows)}\nerrors ${JSON.stringify([...errors].map(([m, w]) => `${m} × ${w}`).sort())}`

it('keeps rows and failures after every step', () => {
  const test = fc.property(caseArb(), ({ views, steps }) => {
    const plans = views.map(({ rel }) => ({ rel, lowered: lower(rel), optimised: optimise(lower(rel)) }))
    const tables = new Tables()
    for (const step of steps) {
      tables.apply(step)
      for (const { rel, lowered, optimised } of plans) {
        const expected = interpret(rel, tables.contents)
        if (expected.overflow) continue
        expect(shown(interpret(lowered, tables.contents)), printRel(lowered)).toBe(shown(expected))
        expect(shown(interpret(optimised, tables.contents)), printRel(optimised)).toBe(shown(expected))
      }
    }
  })
  fc.assert(test, { seed: Number(process.env.SEED ?? 7), numRuns: Number(process.env.RUNS ?? 60) })
})
