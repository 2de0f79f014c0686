/** Every operator obeys every law, alone and in random circuits of all of them. Longer runs: `npm run fuzz`. */
import { describe, expect, it } from 'vitest'
import { checkCircuits, OPERATOR_KINDS } from '../../src/testing/index.js'

const TIMEOUT_MS = 120_000

describe('each operator', () => {
  it.each(OPERATOR_KINDS)(
    '%s',
    kind => {
      checkCircuits({ kinds: [kind], maxDepth: 2, maxViews: 1, runs: 5, seed: 1 })
    },
    TIMEOUT_MS,
  )
})

describe('circuits of all operators', () => {
  it(
    'two views at a time',
    () => {
      checkCircuits({ runs: 8, seed: 2 })
    },
    TIMEOUT_MS,
  )

  it(
    'with transactions of many changes',
    () => {
      checkCircuits({ runs: 2, seed: 3, maxRows: 300, maxChanges: 1000, maxSteps: 3, maxDepth: 2 })
    },
    TIMEOUT_MS,
  )

  it(
    'run generically',
    () => {
      checkCircuits({ runs: 4, seed: 4, open: { mode: 'generic' } })
    },
    TIMEOUT_MS,
  )

  it('fail loudly where they fail', () => {
    expect(() =>
      checkCircuits({
        runs: 1,
        seed: 1,
        runner: () => {
          throw new Error('no database')
        },
      }),
    ).toThrow('no database')
  })
})
