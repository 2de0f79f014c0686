/**
 * How the tests run.
 *
 * Templates are read back with `Function.prototype.toString`, so they must reach the test as they were written:
 * `external` keeps vite's import rewriting away from them and Node loads them itself.
 */
import { defineConfig } from 'vitest/config'

const common = {
  server: { deps: { external: [/\/templates\//] } },
  testTimeout: 60_000,
}

/** Tests that look at what the process has compiled so far, and so need one of their own. */
const ALONE = ['test/codegen/golden.test.ts']

export default defineConfig({
  test: {
    maxWorkers: 2,
    globalSetup: './test/setup.ts',
    projects: [
      { test: { ...common, name: 'alone', include: ALONE } },
      // Loading the engine for each file anew would take as long as the tests.
      { test: { ...common, name: 'shared', include: ['test/**/*.test.ts'], exclude: ALONE, isolate: false } },
    ],
  },
})
