/**
 * Moving the clock on: in steps of which each makes no more than so many rows come or leave, where the clock's resolution
 * allows it.
 */
import { show, UsageError } from '../base/errors.js'
import { mustBeOptions } from '../base/options.js'
import { TYPES } from '../schema/types.js'
import { normalise, Problem } from '../schema/values.js'
import type { GateOperator } from './operators/gate.js'

export interface AdvanceOptions {
  /**
   * Most rows that come or leave at each filter in one transaction; all that are due unless given. Rows of one microsecond
   * go together.
   */
  readonly maxRows?: number
}

/** A time as the clock has it. Throws UsageError. */
export function clockTime(to: unknown): bigint {
  const time = to === null || to === undefined ? new Problem('expected a time') : normalise('timestamptz', to)
  if (typeof time === 'bigint') return time
  throw new UsageError(`advance: expected a time like a Date or microseconds since 1970, found ${show(to)}`)
}

export function maxRowsOf({ maxRows = Number.POSITIVE_INFINITY }: AdvanceOptions): number {
  if (maxRows === Number.POSITIVE_INFINITY || (Number.isSafeInteger(maxRows) && maxRows >= 1)) return maxRows
  throw new UsageError(`advance: expected maxRows of 1 or more, found ${show(maxRows)}`)
}

/** What a clock that shows nothing yet is before. */
const BEGINNING = (TYPES.timestamptz.min ?? 0n) - 1n

/**
 * The latest time up to `to` at which no gate passes more than `maxRows` rows; at least a microsecond after `now`, which is
 * null before the first time.
 */
export function nextStop(gates: readonly GateOperator[], now: bigint | null, to: bigint, maxRows: number): bigint {
  let stop = to
  if (maxRows === Number.POSITIVE_INFINITY) return stop
  const from = now ?? BEGINNING
  for (const gate of gates) {
    const key = gate.keyAhead(maxRows)
    if (key === null || !gate.reaches(key, stop)) continue
    let [low, high] = [from, stop]
    // `low` does not reach the row, `high` does.
    while (high - low > 1n) {
      const middle = (low + high) >> 1n
      if (gate.reaches(key, middle)) high = middle
      else low = middle
    }
    stop = low
  }
  return stop > from ? stop : from + 1n
}

/** A clock that goes by itself. */
export interface ClockOptions extends AdvanceOptions {
  /** Milliseconds from one tick to the next: 1 or more. */
  readonly everyMs: number
}

/** Moves the clock of a database on to the time of day, again and again. It does not keep a process alive. */
export class Ticker {
  private readonly timer: ReturnType<typeof setInterval>

  /** `tick` is called with the time. Throws UsageError on options that cannot be. */
  constructor(options: ClockOptions, tick: (time: bigint, options: AdvanceOptions) => void) {
    mustBeOptions('option clock', options, ['everyMs', 'maxRows'])
    const { everyMs } = options
    if (typeof everyMs !== 'number' || !(everyMs >= 1 && everyMs < 2 ** 31)) {
      throw new UsageError(`option clock: expected { everyMs: 1000 }, found everyMs of ${show(everyMs)}`)
    }
    maxRowsOf(options)
    this.timer = setInterval(() => tick(BigInt(Date.now()) * 1000n, options), options.everyMs)
    this.timer.unref()
  }

  stop(): void {
    clearInterval(this.timer)
  }
}
