/** A writing process is killed; `npm run sim -- --kill 200` does it more often. */
import { expect, test } from 'vitest'
import { killWriter } from '../sim/kill.js'

test('after kill -9 everything acknowledged is there, and a reader beside the writer finds nothing wrong', async () => {
  const { kills, acknowledged, checks } = await killWriter(2, 1, () => true)
  expect(kills).toBe(2)
  expect(checks).toBe(2)
  expect(acknowledged).toBeGreaterThan(0n)
}, 60_000)
