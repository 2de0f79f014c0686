/**
 * How the tests run.
 *
 * Templates are read back with `Function.prototype.toString`, so they must reach the test as they were written:
 * `external` keeps vite's import rewriting away from them and Node loads them itself.
 */
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    server: { deps: { external: [/\/templates\//] } },
    testTimeout: 30_000,
    maxWorkers: 2,
  },
})
