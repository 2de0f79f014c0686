/**
 * Time zones: between instants and local time. A zone is `UTC`, an offset like `+02:00`, or a name that Intl knows, like
 * `Europe/Berlin`. Local times that a change of clocks skips or repeats are read as PostgreSQL reads them: both as
 * standard time, that is, with the offset before a gap and the one after a repetition.
 */
import { daysFromCivil, MICROS_PER_DAY, MICROS_PER_SECOND } from '../../schema/calendar.js'
import { fail } from './failure.js'

const OFFSET = /^([+-])(\d\d)(?::?(\d\d))?$/

/** Instants beyond these (in ms) have no date in JavaScript. */
const MAX_MILLIS = 8_640_000_000_000_000n

interface Zone {
  /** µs that local time is ahead of UTC; NULL where there is no date. */
  offsetAt(micros: bigint): bigint | null
}

const zones = new Map<string, Zone | null>()
/** Names come from data: no more are kept than there are zones. */
const MAX_ZONES = 1000

function zoneOf(name: string): Zone | null {
  let zone = zones.get(name)
  if (zone === undefined) {
    zone = makeZone(name)
    if (zones.size < MAX_ZONES) zones.set(name, zone)
  }
  return zone
}

/** Whether there is a zone of this name. */
export const isZone = (name: string): boolean => zoneOf(name) !== null

function makeZone(name: string): Zone | null {
  const fixed = OFFSET.exec(name)
  if (name === 'UTC' || name === 'Z' || fixed !== null) {
    const minutes = fixed === null ? 0 : Number(fixed[2]) * 60 + Number(fixed[3] ?? 0)
    if (minutes > 15 * 60 + 59) return null
    const micros = BigInt(fixed?.[1] === '-' ? -minutes : minutes) * 60n * MICROS_PER_SECOND
    return { offsetAt: () => micros }
  }
  try {
    const numeric = 'numeric' as const
    return new NamedZone(
      new Intl.DateTimeFormat('en-US', {
        ...{ timeZone: name, calendar: 'iso8601', numberingSystem: 'latn', hourCycle: 'h23', era: 'short' },
        ...{ year: numeric, month: numeric, day: numeric, hour: numeric, minute: numeric, second: numeric },
      }),
    )
  } catch (thrown) {
    if (thrown instanceof RangeError) return null
    throw thrown
  }
}

/** Clocks change on the quarter of an hour, if at all (since 1900). */
const QUARTER = 900n * MICROS_PER_SECOND
const MAX_KNOWN = 10_000

class NamedZone implements Zone {
  private readonly known = new Map<bigint, bigint>()
  private readonly format: Intl.DateTimeFormat
  constructor(format: Intl.DateTimeFormat) {
    this.format = format
  }

  offsetAt(micros: bigint): bigint | null {
    const quarter = (micros - (((micros % QUARTER) + QUARTER) % QUARTER)) / QUARTER
    let offset = this.known.get(quarter)
    if (offset === undefined) {
      const found = this.lookUp(micros)
      if (found === null) return null
      offset = found
      if (this.known.size >= MAX_KNOWN) this.known.clear()
      this.known.set(quarter, offset)
    }
    return offset
  }

  private lookUp(micros: bigint): bigint | null {
    const rest = ((micros % MICROS_PER_SECOND) + MICROS_PER_SECOND) % MICROS_PER_SECOND
    const seconds = (micros - rest) / MICROS_PER_SECOND
    if (seconds * 1000n > MAX_MILLIS || seconds * 1000n < -MAX_MILLIS) return null
    const parts = new Map(this.format.formatToParts(Number(seconds * 1000n)).map(p => [p.type, p.value]))
    const [year, month, day, hour, minute, second] = (
      ['year', 'month', 'day', 'hour', 'minute', 'second'] as const
    ).map(p => Number(parts.get(p)))
    const astronomical = parts.get('era')?.startsWith('B') === true ? 1 - year : year
    const local = BigInt(daysFromCivil(astronomical, month, day)) * 86_400n + BigInt(hour * 3600 + minute * 60 + second)
    return (local - seconds) * MICROS_PER_SECOND
  }
}

function known(name: string): Zone {
  return zoneOf(name) ?? fail(`unknown time zone ${JSON.stringify(name.slice(0, 60))}`)
}

const outOfRange = (): never => fail('a time out of the range of time zones')

/** The local time of an instant. Fails on an unknown zone. */
export function toLocal(micros: bigint, name: string): bigint {
  return micros + (known(name).offsetAt(micros) ?? outOfRange())
}

/** The instant of a local time. Fails on an unknown zone. */
export function fromLocal(local: bigint, name: string): bigint {
  const zone = known(name)
  const before = zone.offsetAt(local - MICROS_PER_DAY) ?? outOfRange()
  const after = zone.offsetAt(local + MICROS_PER_DAY) ?? outOfRange()
  if (before === after || zone.offsetAt(local - after) === after) return local - after
  return local - before
}
