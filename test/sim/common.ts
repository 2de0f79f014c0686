/** What the parts of the simulation share. */
import { kernelsOf } from '../../codegen/kernels.js'
import type { GnitzError } from '../../src/base/errors.js'
import type { Env } from '../../src/env/env.js'
import type { Layout } from '../../src/schema/schema.js'
import type { KeyProvider } from '../../src/storage/crypt/keys.js'
import type { StorageOptions } from '../../src/storage/storage.js'
import type { Plan } from './plan.js'

export const DIRECTORY = '/data/base'

/** The storage did what it must not. */
export class Violation extends Error {}

/** A disk that lied has lost data, and the storage has said so. */
export class Lost extends Error {
  constructor(readonly reason: GnitzError) {
    super(reason.message)
  }
}

/** What happened in runs. */
export interface Tally {
  runs: number
  operations: number
  commits: number
  refused: number
  powerCuts: number
  kills: number
  openings: number
  failedOpenings: number
  reads: number
  flips: number
  detected: number
  events: Record<string, number>
}

export function newTally(): Tally {
  return {
    ...{ runs: 0, operations: 0, commits: 0, refused: 0, powerCuts: 0, kills: 0, openings: 0, failedOpenings: 0 },
    ...{ reads: 0, flips: 0, detected: 0, events: {} },
  }
}

/** Gives any key; the current one has that number. */
function keysOf(current: () => number): KeyProvider {
  const keyOf = (id: number) => new Uint8Array(32).fill(id)
  return { current: () => ({ id: current(), key: keyOf(current()) }), get: keyOf }
}

export function optionsOf(plan: Plan, env: Env, currentKey = () => 1): StorageOptions {
  return {
    ...plan.tuning,
    env,
    directory: DIRECTORY,
    kernelsOf: (layout: Layout) => kernelsOf(layout, plan.mode),
    intervalMs: 50,
    encryption: plan.encrypted ? keysOf(currentKey) : undefined,
  }
}

/** Resolves when everything that is on its way has been told: a simulated world needs no time. */
export const settled = (): Promise<void> => new Promise(resolve => setImmediate(resolve))
