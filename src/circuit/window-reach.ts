/** How far windows reach behind a row that changes, for what is known of the rows that still change (`bounds.ts`). */
import { isFloat, TYPES, type TypeName } from '../schema/types.js'
import type { WindowRel } from './rel.js'
import {
  type Bound,
  distancesOf,
  type Frame,
  isOffset,
  isRank,
  signOf,
  type WindowFn,
  type WindowOrder,
  type WindowSpec,
} from './window.js'

/** How far it is from a row to another one before it: a difference of the order column, and so many rows more. */
export interface Reach {
  readonly range: bigint
  readonly rows: bigint
}

/** Where functions look from a row, in the direction in which time goes; null is all the way. */
interface Ends {
  readonly mode: Frame['mode']
  readonly start: bigint | null
  readonly end: bigint | null
  /** Of what lies further back than `end` it is enough to know the earliest row and how many there are. */
  readonly counted: boolean
}

/**
 * How far back from a row that changes others change with it, and how far back those that change read. A row that one
 * function changes is read for all of them. Null where there is no end to it.
 */
export function windowReach({ order, functions }: WindowRel): {
  readonly changed: Reach | null
  /** `counted`: and of each partition the earliest row, and how many there are. */
  readonly needed: (Reach & { readonly counted: boolean }) | null
} {
  const ends = order.length === 0 ? [EVERYTHING] : functions.map(spec => endsOf(spec, order[0]))
  const changed = furthest(ends.map(({ mode, end }) => ({ mode, distance: end })))
  const read = furthest(ends.map(({ mode, start, end, counted }) => ({ mode, distance: back(counted ? end : start) })))
  // What lies so many rows before a row is at any time, and so is what lies some time before that.
  if (changed === null || read === null || (changed.rows > 0n && read.range > 0n)) return { changed, needed: null }
  const counted = ends.some(e => e.counted)
  // Of rows before that the number is not known any more, but none of them changes.
  if (counted && (changed.rows > 0n || changed.range > 0n)) return { changed, needed: null }
  return { changed, needed: { range: changed.range + read.range, rows: changed.rows + read.rows, counted } }
}

const back = (distance: bigint | null): bigint | null => distance && -distance

const EVERYTHING: Ends = { mode: 'rows', start: null, end: null, counted: false }
/** Of the rows before it, and perhaps its peers. */
const BEFORE: readonly WindowFn[] = ['rowNumber', 'rank', 'denseRank']

function endsOf(spec: WindowSpec, { expr, descending }: WindowOrder): Ends {
  const { mode, start, end } = forwards(spec, expr.type)
  const ends = descending ? { mode, start: back(end), end: back(start) } : { mode, start, end }
  return { ...ends, counted: ends.start === null && ends.end !== null && isCounted(spec, descending) }
}

function isCounted({ fn, arg, aggregate, ignoreNulls, frame }: WindowSpec, descending: boolean): boolean {
  if (fn === 'rowNumber' || fn === 'rank') return true
  if (frame.exclude !== 'none') return false
  return (
    (fn === 'count' && arg === null && aggregate === undefined) || (fn === 'firstValue' && !ignoreNulls && !descending)
  )
}

/** In the direction of the order. */
function forwards({ fn, n, ignoreNulls, frame }: WindowSpec, type: TypeName): Omit<Ends, 'counted'> {
  if (isRank(fn)) return BEFORE.includes(fn) ? { ...EVERYTHING, end: 0n } : EVERYTHING
  if (isOffset(fn)) {
    const distance = ignoreNulls ? null : BigInt(n)
    return {
      mode: 'rows',
      ...(fn === 'lag' ? { start: distance && -distance, end: 0n } : { start: 0n, end: distance }),
    }
  }
  const { mode, start, end } = frame
  const distances = (bound: Bound, at: 0 | 1): bigint | null => {
    if (bound === null) return null
    if (signOf(bound) === 0) return 0n
    if (mode === 'range') return isWhole(type) && !isFloat(type) ? distancesOf(bound, type)[at] : null
    return BigInt(bound as number)
  }
  return { mode, start: distances(start, 0), end: distances(end, 1) }
}

/** The furthest of all, counting nothing that lies on the other side. */
function furthest(all: readonly { readonly mode: Frame['mode']; readonly distance: bigint | null }[]): Reach | null {
  const reach = { range: 0n, rows: 0n }
  for (const { mode, distance } of all) {
    // Of groups it is known only that the peers of a row are at its time.
    if (distance === null || (mode === 'groups' && distance > 0n)) return null
    const unit = mode === 'range' ? 'range' : 'rows'
    if (distance > reach[unit]) reach[unit] = distance
  }
  return reach
}

/** Whole and other numbers, dates and times of day and all. */
export const isWhole = (type: TypeName): boolean => {
  const { js, shape } = TYPES[type]
  return (js === 'number' || js === 'bigint') && shape === null && type !== 'time'
}
