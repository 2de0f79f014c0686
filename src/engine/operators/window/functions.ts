/** What the functions give for the units of a section. */
import { isOffset, isRank, isValue } from '../../../circuit/window.js'
import type { Column } from '../../../schema/schema.js'
import { cellIsNull } from '../../../zset/cells.js'
import type { FramePlan } from './frame-plan.js'
import { bits, extremes, ordered, totals } from './frames.js'
import { CellOutputs, NumberOutputs, type Outputs } from './outputs.js'
import { Pieces } from './pieces.js'
import type { FunctionPlan } from './plan.js'
import { type Frames, rowAt, type Section } from './section.js'
import type { Ranking } from './tally.js'
import type { Total } from './totals.js'

/** What a function knows of the rows of its frame that are not in the stretch. */
export interface FarRows {
  /** Totals of all rows before the stretch, and after it; null for none. */
  readonly before: Total | null
  readonly after: Total | null
  /** Places in the stretch's rows: the n-th row of the partition, if it is before the stretch, and the last, if after; or -1. */
  readonly first: number
  readonly last: number
  /** The place of the best of all rows before the stretch, and after it, for extremes; null for none. */
  readonly bestBefore: number | null
  readonly bestAfter: number | null
}

/**
 * The outputs of a function for the units of a section. REQUIRES: `frames` are those of the function, if it has one, and
 * `ranking` that of its plan.
 */
export function compute(
  plan: FunctionPlan,
  section: Section,
  frames: Frames | null,
  far: FarRows,
  ranking: Ranking | null,
): Outputs {
  const { fn, frame } = plan.spec
  if (isRank(fn)) return new NumberOutputs(plan.out, ranks(plan, section))
  if (isOffset(fn)) return cells(plan, section, offsets(plan, section))
  const { exclude } = frame
  const framed = { section, frames: frames as Frames, exclude, out: plan.out }
  const pieces = (): Pieces => new Pieces(section, framed.frames, exclude)
  if (isValue(fn)) return cells(plan, section, values(plan, section, pieces(), far))
  const of = plan.frame as FramePlan
  switch (of.kind) {
    case 'total':
      return totals(framed, of, ranking, far.before, far.after)
    case 'extreme':
      return extremes(framed, of, pieces(), [far.bestBefore, far.bestAfter])
    case 'bits':
      return bits(framed, of, pieces())
    case 'ordered':
      return ordered(framed, of, ranking as Ranking)
  }
}

const cells = (plan: FunctionPlan, { stretch }: Section, places: Int32Array): CellOutputs =>
  new CellOutputs(plan.out, stretch.rows, plan.arg as Column, plan.fallback, places)

function ranks({ spec: { fn, n } }: FunctionPlan, section: Section): Float64Array {
  const { units, places, ordinals, coreFrom, around } = section
  const { base, size, groupBase } = around
  const result = new Float64Array(units.length)
  for (let u = 0; u < units.length; u++) {
    const k = units[u]
    switch (fn) {
      case 'rowNumber':
        result[u] = base + places[u] + 1
        break
      case 'rank':
        result[u] = base + section.groupBegin(k) + 1
        break
      case 'denseRank':
        result[u] = groupBase + ordinals[k] - ordinals[coreFrom] + 1
        break
      case 'percentRank':
        result[u] = size === 1 ? 0 : (base + section.groupBegin(k)) / (size - 1)
        break
      case 'cumeDist':
        result[u] = (base + section.groupEnd(k)) / size
        break
      default:
        result[u] = bucketOf(base + places[u], size, n)
    }
  }
  return result
}

/** Buckets of sizes that differ by 1 at most, the larger ones first; from 1. */
function bucketOf(position: number, size: number, buckets: number): number {
  const least = Math.floor(size / buckets)
  const larger = size % buckets
  const inLarger = larger * (least + 1)
  if (position < inLarger) return Math.floor(position / (least + 1)) + 1
  return larger + Math.floor((position - inLarger) / least) + 1
}

/** Rows that count for functions that may ignore NULL: how many there are before each row, and before a position. */
class Counted {
  readonly sums: Float64Array

  constructor(
    private readonly section: Section,
    private readonly ignored: Column | null,
  ) {
    const { positions, length } = section
    if (ignored === null) this.sums = positions
    else {
      this.sums = new Float64Array(length + 1)
      for (let k = 0; k < length; k++) this.sums[k + 1] = this.sums[k] + (this.counts(k) ? section.weight(k) : 0)
    }
  }

  private counts(k: number): boolean {
    const { stretch } = this.section
    return this.ignored === null || !cellIsNull(stretch.rows, this.ignored, stretch.sequence[k])
  }

  before(position: number): number {
    if (this.ignored === null) return position
    const { positions, length } = this.section
    const k = rowAt(positions, position)
    return k === length ? this.sums[k] : this.sums[k] + (this.counts(k) ? position - positions[k] : 0)
  }

  /** The place of the n-th row that counts, from 0; -1 if there is none. */
  place(n: number): number {
    const { length, stretch } = this.section
    return n < 0 || n >= this.sums[length] ? -1 : stretch.sequence[rowAt(this.sums, n)]
  }
}

function offsets(plan: FunctionPlan, section: Section): Int32Array {
  const { fn, n, ignoreNulls } = plan.spec
  const { units, places, stretch } = section
  const counted = new Counted(section, ignoreNulls ? plan.arg : null)
  const result = new Int32Array(units.length)
  for (let u = 0; u < units.length; u++) {
    const own = stretch.sequence[units[u]]
    const at = fn === 'lag' ? counted.before(places[u]) - n : counted.before(places[u] + 1) + n - 1
    const place = n === 0 ? own : counted.place(at)
    result[u] = place === -1 && plan.fallback !== null ? -2 - own : place
  }
  return result
}

function values(plan: FunctionPlan, section: Section, pieces: Pieces, far: FarRows): Int32Array {
  const { fn, n, ignoreNulls, frame } = plan.spec
  const counted = new Counted(section, ignoreNulls ? plan.arg : null)
  const result = new Int32Array(section.units.length)
  const isLast = fn === 'lastValue'
  // Of a frame that begins with the partition, rows before the stretch count.
  const skipped = frame.start === null && !isLast ? section.around.base : 0
  const nth = (fn === 'firstValue' ? 1 : n) - 1 - skipped
  for (let u = 0; u < result.length; u++) {
    if (!isLast && far.first >= 0) result[u] = far.first
    else if (isLast && far.last >= 0) result[u] = far.last
    else {
      pieces.take(u)
      result[u] = isLast ? lastOf(pieces, counted) : nthOf(pieces, counted, nth)
    }
  }
  return result
}

function nthOf({ count, from, to }: Pieces, counted: Counted, n: number): number {
  let left = n
  for (let p = 0; p < count; p++) {
    const first = counted.before(from[p])
    const within = counted.before(to[p]) - first
    if (left < within) return counted.place(first + left)
    left -= within
  }
  return -1
}

function lastOf({ count, from, to }: Pieces, counted: Counted): number {
  for (let p = count - 1; p >= 0; p--) {
    const end = counted.before(to[p])
    if (end > counted.before(from[p])) return counted.place(end - 1)
  }
  return -1
}
