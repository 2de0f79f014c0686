/** The laws hold for databases that are killed, checkpointed and moved to disk between transactions. */
import { beforeAll, expect, it } from 'vitest'
import { loadStorage } from '../../src/storage/open.js'
import { checkCircuits } from '../../src/testing/index.js'
import { durableRunner } from './runner.js'

beforeAll(loadStorage)

it('circuits of all operators survive restarts', () => {
  const counts = { checkpoints: 0, moves: 0, kills: 0, closings: 0, restored: 0 }
  checkCircuits({ runs: 6, seed: 11, maxDepth: 2, runner: durableRunner(5, counts) })
  for (const count of Object.values(counts)) expect(count).toBeGreaterThan(5)
}, 120_000)

it('also with transactions of many changes', () => {
  const counts = { checkpoints: 0, moves: 0, kills: 0, closings: 0, restored: 0 }
  const sizes = { maxRows: 200, maxChanges: 300, maxSteps: 2, maxDepth: 1, maxViews: 1 }
  checkCircuits({ runs: 1, seed: 12, ...sizes, runner: durableRunner(6, counts) })
}, 120_000)
