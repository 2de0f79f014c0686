/** A few random tables; `npm run fuzz:postgres -- --seed N --cases M` compares any number. */
import { expect, test } from 'vitest'
import { compareWithPostgres } from './postgres.js'

test('aggregates agree with PostgreSQL', async () => {
  expect(await compareWithPostgres(1, 1, 2)).toBeGreaterThan(10)
}, 240_000)
