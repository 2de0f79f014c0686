/** What the killed writer writes: transaction n is the same whoever writes it, so the state at an LSN is known. */
import { kernelsOf } from '../../codegen/kernels.js'
import { Prng } from '../../src/base/prng.js'
import { NodeEnv } from '../../src/env/node.js'
import type { Layout } from '../../src/schema/schema.js'
import type { StorageOptions } from '../../src/storage/storage.js'
import { pickDelta, type Universe, universeOf, type Weights } from './tables.js'

export const TABLES: readonly Universe[] = [0, 1, 2].map(shape => universeOf(`k${shape}`, shape))
export const POLICIES = ['write-heavy', 'read-heavy', 'write-heavy'] as const

/** By table, the change of transaction `lsn`. */
export function changesOf(lsn: bigint, seed: number): Weights[] {
  const prng = new Prng(seed * 2 ** 24 + Number(lsn))
  const style = { nonNegative: false, heavy: false }
  const deltas = TABLES.map(universe => (prng.chance(0.7) ? pickDelta(universe, new Map(), prng, style) : new Map()))
  // Empty transactions leave no trace in the log.
  if (deltas.every(delta => delta.size === 0)) deltas[0].set(0, 1n)
  return deltas
}

/** Everything small, so that seals, flushes, checkpoints and compactions happen all the time. */
export function killOptions(directory: string): StorageOptions {
  return {
    ...{ env: new NodeEnv(), directory, kernelsOf: (layout: Layout) => kernelsOf(layout, 'compiled') },
    ...{ durability: 'commit', memTableBytes: 2000, walBytes: 20_000, segmentBytes: 6000 },
    ...{ guardBytes: 3000, windowRows: 20 },
  }
}
