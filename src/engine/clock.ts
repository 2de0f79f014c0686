/**
 * The clock that `now()` in filters looks at: a table of one row, which comes with the first view that looks at it. It is
 * moved on in steps of which each makes no more than so many rows come or leave, where its resolution allows it.
 */
import { show, UsageError } from '../base/errors.js'
import { mustBeOptions } from '../base/options.js'
import { CLOCK } from '../circuit/clock.js'
import { TYPES } from '../schema/types.js'
import { normalise, Problem } from '../schema/values.js'
import type { Commit } from './commit.js'
import type { Database } from './database.js'
import type { Epochs } from './epochs.js'
import { GateOperator } from './operators/gate.js'
import type { TableEntry } from './registry.js'

export interface AdvanceOptions {
  /**
   * Most rows that come or leave at each filter in one transaction; all that are due unless given. Rows of one microsecond
   * go together.
   */
  readonly maxRows?: number
}

/** A time as the clock has it. Throws UsageError. */
function clockTime(to: unknown): bigint {
  const time = to === null || to === undefined ? new Problem('expected a time') : normalise('timestamptz', to)
  if (typeof time === 'bigint') return time
  throw new UsageError(`advance: expected a time like a Date or microseconds since 1970, found ${show(to)}`)
}

function maxRowsOf({ maxRows = Number.POSITIVE_INFINITY }: AdvanceOptions): number {
  if (maxRows === Number.POSITIVE_INFINITY || (Number.isSafeInteger(maxRows) && maxRows >= 1)) return maxRows
  throw new UsageError(`advance: expected maxRows of 1 or more, found ${show(maxRows)}`)
}

/** What a clock that shows nothing yet is before. */
const BEGINNING = (TYPES.timestamptz.min ?? 0n) - 1n

/**
 * The latest time up to `to` at which no gate passes more than `maxRows` rows; at least a microsecond after `now`, which is
 * null before the first time.
 */
function nextStop(gates: readonly GateOperator[], now: bigint | null, to: bigint, maxRows: number): bigint {
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

/** The clock of a database. */
export class Clock {
  private readonly ticker: Ticker | null

  /** `options`: it goes by itself. Throws UsageError on options that cannot be. */
  constructor(
    private readonly database: Database,
    private readonly epochs: Epochs,
    options: ClockOptions | undefined,
  ) {
    this.ticker = options === undefined ? null : new Ticker(options, (time, o) => this.tick(time, o))
  }

  /** What it shows; null before the first time. */
  get now(): bigint | null {
    return (this.table?.gate?.waterlines[0].value as bigint | null | undefined) ?? null
  }

  private get table(): TableEntry | undefined {
    const found = this.database.definitions.registry.find(CLOCK)
    return found?.kind === 'table' ? found : undefined
  }

  /** See `Database.advance`. */
  advance(to: unknown, options: AdvanceOptions): Commit {
    this.epochs.mustBeWritable('advance')
    const [time, maxRows] = [clockTime(to), maxRowsOf(options)]
    const { now, database } = this
    if (now !== null && time < now) {
      throw new UsageError(`advance: the clock shows ${show(new Date(Number(now / 1000n)))} already`)
    }
    if (this.table === undefined) database.createTable(CLOCK)
    for (;;) {
      const gates = database.definitions.circuit.scheduler.list().filter(o => o instanceof GateOperator && o.isTimed)
      const stop = nextStop(gates as GateOperator[], this.now, time, maxRows)
      const commit = database.insert(CLOCK, { now: stop > time ? time : stop })
      if (stop >= time) return commit
    }
  }

  /** A tick that comes when something else goes on, or before a clock is wanted, is left out. */
  private tick(time: bigint, options: AdvanceOptions): void {
    const { durability } = this.database
    if (this.epochs.state !== 'idle' || durability?.silent === true || this.table === undefined) return
    if (this.now === null || this.now < time) this.advance(time, options)
  }

  /** It does not go by itself any more. */
  stop(): void {
    this.ticker?.stop()
  }
}

/** Moves the clock of a database on to the time of day, again and again. It does not keep a process alive. */
class Ticker {
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
