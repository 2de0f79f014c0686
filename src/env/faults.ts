/** Which faults the simulated `Env` injects, and when. */
import type { Prng } from '../base/prng.js'

/** The power, or the process, goes: half of the operation may have happened. */
export type Fault =
  | 'crash'
  /** EIO. Of a write nothing is in the file; of a sync, part may be durable and the rest is lost for good. */
  | 'error'
  /** Of a write only a prefix is in the file, then EIO. */
  | 'short'
  /** ENOSPC, whatever the capacity. */
  | 'no-space'
  /** A sync that reports success and does nothing. Acknowledged data may then be lost. */
  | 'drop'
  /** A rename that readers see and no power cut will leave, whatever is synced. */
  | 'lose'

/** Probabilities, per operation. */
export interface FaultRates {
  /** `read`, `list`, `map` and opening to read: `error`. */
  readonly readError: number
  /** `write` and `truncate`: `error`. */
  readonly writeError: number
  /** `write`: `short`. */
  readonly shortWrite: number
  /** `sync`, `syncLater` and `syncDirectory`: `error`. */
  readonly syncError: number
  /** The same: `drop`. */
  readonly droppedSync: number
  /** Creating, `rename`, `remove` and `makeDirectory`: `error`. */
  readonly nameError: number
  /** `rename`: `lose`. */
  readonly lostRename: number
}

export const NO_FAULTS: FaultRates = {
  readError: 0,
  writeError: 0,
  shortWrite: 0,
  syncError: 0,
  droppedSync: 0,
  nameError: 0,
  lostRename: 0,
}

/** A fault at operation number `at`, or at the first one after it that it fits. */
export interface ScheduledFault {
  readonly at: number
  readonly fault: Fault
}

/** What an operation does, as far as faults go. */
export type OperationClass = 'read' | 'write' | 'truncate' | 'sync' | 'create' | 'rename' | 'remove' | 'lock'

const FITS: Readonly<Record<OperationClass, readonly Fault[]>> = {
  read: ['crash', 'error'],
  write: ['crash', 'error', 'short', 'no-space'],
  truncate: ['crash', 'error', 'no-space'],
  sync: ['crash', 'error', 'no-space', 'drop'],
  create: ['crash', 'error', 'no-space'],
  rename: ['crash', 'error', 'lose'],
  remove: ['crash', 'error'],
  lock: ['crash'],
}

const RATES: Readonly<Record<OperationClass, readonly (readonly [Fault, keyof FaultRates])[]>> = {
  read: [['error', 'readError']],
  write: [
    ['error', 'writeError'],
    ['short', 'shortWrite'],
  ],
  truncate: [['error', 'writeError']],
  sync: [
    ['error', 'syncError'],
    ['drop', 'droppedSync'],
  ],
  create: [['error', 'nameError']],
  rename: [
    ['error', 'nameError'],
    ['lose', 'lostRename'],
  ],
  remove: [['error', 'nameError']],
  lock: [],
}

/** The fault for operation `number`: one that is due, which is then taken off the schedule, or one by chance. */
export function chooseFault(
  kind: OperationClass,
  number: number,
  schedule: ScheduledFault[],
  rates: FaultRates,
  prng: Prng,
): Fault | null {
  const due = schedule.findIndex(({ at, fault }) => at <= number && FITS[kind].includes(fault))
  if (due >= 0) return schedule.splice(due, 1)[0].fault
  for (const [fault, rate] of RATES[kind]) if (rates[rate] > 0 && prng.chance(rates[rate])) return fault
  return null
}
