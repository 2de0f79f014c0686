/** Recursive programs obey every law. Longer runs: `npm run fuzz -- --recursion`. */
import { it } from 'vitest'
import { checkRecursion } from '../../src/testing/index.js'

it('linear, non-linear and mutual programs, edges coming and going', () => {
  checkRecursion({ runs: 12, seed: 1 })
}, 120_000)

it('run generically', () => {
  checkRecursion({ runs: 3, seed: 2, open: { mode: 'generic' } })
}, 120_000)
