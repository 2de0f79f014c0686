/** A random pair of tables; `npm run fuzz:postgres -- --what joins --cases N` compares any number. */
import { expect, test } from 'vitest'
import { compareJoins } from './postgres.js'

test('joins agree with PostgreSQL', async () => {
  expect(await compareJoins(1, 1, 14)).toBeGreaterThan(300)
}, 240_000)
