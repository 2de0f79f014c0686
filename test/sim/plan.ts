/**
 * What one simulated run does, drawn from its seed: how the storage is set up, which faults there are, and a list of
 * operations. An operation brings its own seed, so that leaving out others does not change what it does.
 */
import { Prng } from '../../src/base/prng.js'
import type { StorageOptions } from '../../src/storage/storage.js'
import type { KernelMode } from './tables.js'

export const FAULT_CLASSES = ['crash', 'io', 'space', 'lies', 'flips'] as const
/**
 * `crash`: power cuts and kills. `io`: EIO and short writes. `space`: a full disk. `lies`: syncs dropped, renames lost.
 * `flips`: flipped bytes in files at rest.
 */
export type FaultClass = (typeof FAULT_CLASSES)[number]

export const OPERATIONS = [
  'commit',
  'read',
  'get',
  'snapshot',
  'checkpoint',
  'compact',
  'fuel',
  'create',
  'drop',
  'advance',
  'reopen',
  'crash',
  'arm',
  'fill',
  'room',
  'rates',
  'rekey',
] as const
export type OperationKind = (typeof OPERATIONS)[number]

export interface Operation {
  readonly kind: OperationKind
  readonly seed: number
}

export type Tuning = Pick<
  StorageOptions,
  | 'durability'
  | 'memTableBytes'
  | 'walBytes'
  | 'segmentBytes'
  | 'guardBytes'
  | 'windowRows'
  | 'valueThreshold'
  | 'valueFileBytes'
  | 'valueLiveRatio'
  | 'decryptedBytes'
  | 'amplificationThreshold'
  | 'io'
>

export interface Plan {
  readonly seed: number
  readonly faults: ReadonlySet<FaultClass>
  readonly mode: KernelMode
  readonly tuning: Tuning
  /** Weights near the limits of an i64 occur. */
  readonly heavy: boolean
  readonly encrypted: boolean
  readonly operations: readonly Operation[]
}

const COMMON: Readonly<Partial<Record<OperationKind, number>>> = {
  commit: 50,
  read: 8,
  get: 5,
  snapshot: 7,
  checkpoint: 4,
  compact: 2,
  fuel: 4,
  create: 3,
  drop: 2,
  advance: 4,
  reopen: 3,
}
const FAULTY: Readonly<Partial<Record<FaultClass, Partial<Record<OperationKind, number>>>>> = {
  crash: { crash: 4, arm: 5 },
  io: { rates: 12 },
  space: { fill: 4, room: 5 },
  lies: { rates: 5, crash: 2 },
}

/** The plan of a run. `allowed`: faults that may occur; every run has some of them, now and then none. */
export function planOf(seed: number, allowed: readonly FaultClass[], length?: number): Plan {
  const prng = new Prng(seed)
  const odds: Readonly<Record<FaultClass, number>> = { crash: 0.8, io: 0.4, space: 0.3, lies: 0.08, flips: 1 }
  const drawn = FAULT_CLASSES.filter(f => prng.chance(odds[f]))
  const faults = new Set(drawn.filter(f => allowed.includes(f)))
  const mode = prng.chance(0.25) ? 'generic' : 'compiled'
  const mapped = prng.chance(0.5)
  const tuning: Tuning = {
    durability: prng.pick(['commit', 'commit', 'interval', 'none'] as const),
    memTableBytes: prng.pick([600, 2000, 8000]),
    walBytes: prng.pick([2000, 10_000, 1 << 20]),
    segmentBytes: prng.pick([800, 4000, 1 << 20]),
    guardBytes: prng.pick([500, 3000, 1 << 20]),
    windowRows: prng.pick([2, 10, 1000]),
    amplificationThreshold: prng.pick([2, 3, 4]),
    valueThreshold: prng.pick([64, 64, Number.POSITIVE_INFINITY]),
    valueFileBytes: prng.pick([9000, 40_000, 1 << 20]),
    valueLiveRatio: prng.pick([0.5, 0.9, 1]),
    decryptedBytes: prng.pick([1, 3000, 1 << 20]),
    io: mapped ? prng.pick(['map', 'auto'] as const) : 'read',
  }
  const heavy = prng.chance(0.06)
  const encrypted = prng.chance(0.5)
  const bag = bagOf(faults, encrypted)
  const count = length ?? 10 + prng.below(50)
  const operations = Array.from({ length: count }, () => ({ kind: prng.pick(bag), seed: prng.next() }))
  return { seed, faults, mode, tuning, heavy, encrypted, operations }
}

function bagOf(faults: ReadonlySet<FaultClass>, encrypted: boolean): OperationKind[] {
  const bag: OperationKind[] = encrypted ? ['rekey', 'rekey'] : []
  for (const share of [COMMON, ...[...faults].map(f => FAULTY[f] ?? {})]) {
    for (const kind of OPERATIONS) bag.push(...Array.from({ length: share[kind] ?? 0 }, () => kind))
  }
  return bag
}
