/**
 * A stretch as it was before the step, or is after it: positions of its rows, groups of peers, and the units that get
 * outputs. Positions count from the begin of the stretch; a row of weight n takes n of them.
 */
import { UsageError } from '../../../base/errors.js'
import { type Bound, signOf } from '../../../circuit/window.js'
import type { RangeKey } from './range.js'
import type { Stretch } from './stretch.js'

/** What is known of the partition beside the stretch. */
export interface Surroundings {
  /** Rows before the stretch. */
  base: number
  /** Rows of the partition; only if some function asks for it. */
  size: number
  /** Groups before that of the first row of the core; only if some function asks for it. */
  groupBase: number
}

/** Equal rows that can be told apart by their outputs are written out, so there must not be too many. */
const MOST_COPIES = 1 << 24

export class Section {
  readonly length: number
  readonly positions: Float64Array
  /** Per row: the first of its group, and the first after it. */
  readonly groupFrom: Int32Array
  readonly groupTo: Int32Array
  /** Per row: groups that are there before its own. */
  readonly ordinals: Int32Array
  /** Per group that is there: its positions. */
  readonly groupBegins: number[] = []
  readonly groupEnds: number[] = []
  /** Per unit: its row, its position, how many equal rows it stands for. */
  readonly units: number[] = []
  readonly places: number[] = []
  readonly weights: number[] = []
  /** Per row of the core, from `coreFrom` on: its first unit. */
  readonly firstUnit: Int32Array

  constructor(
    readonly stretch: Stretch,
    readonly weightOf: Float64Array,
    groups: Groups,
    readonly coreFrom: number,
    readonly coreTo: number,
    readonly around: Surroundings,
  ) {
    const { sequence } = stretch
    const n = sequence.length
    this.length = n
    this.positions = new Float64Array(n + 1)
    for (let k = 0; k < n; k++) this.positions[k + 1] = this.positions[k] + weightOf[sequence[k]]
    this.groupFrom = groups.from
    this.groupTo = groups.to
    this.ordinals = new Int32Array(n)
    this.findOrdinals()
    this.firstUnit = new Int32Array(coreTo - coreFrom + 1)
  }

  private findOrdinals(): void {
    for (let k = 0; k < this.length; k = this.groupTo[k]) {
      const to = this.groupTo[k]
      this.ordinals.fill(this.groupBegins.length, k, to)
      if (this.positions[to] > this.positions[k]) {
        this.groupBegins.push(this.positions[k])
        this.groupEnds.push(this.positions[to])
      }
    }
  }

  /** Lists the units of the core; `positional`: each of equal rows is one. */
  listUnits(positional: boolean, view: string): void {
    for (let k = this.coreFrom; k < this.coreTo; k++) {
      this.firstUnit[k - this.coreFrom] = this.units.length
      const weight = this.weight(k)
      if (weight === 0) continue
      const copies = positional ? weight : 1
      if (copies > MOST_COPIES) {
        throw new UsageError(
          `view ${JSON.stringify(view)}: a window that tells equal rows apart takes up to ${MOST_COPIES} of them, found ${weight}`,
        )
      }
      for (let c = 0; c < copies; c++) {
        this.units.push(k)
        this.places.push(this.positions[k] + c)
        this.weights.push(positional ? 1 : weight)
      }
    }
    this.firstUnit[this.coreTo - this.coreFrom] = this.units.length
  }

  weight(k: number): number {
    return this.weightOf[this.stretch.sequence[k]]
  }

  /** Rows in the stretch. */
  get total(): number {
    return this.positions[this.length]
  }

  /** The row at a position. REQUIRES: there is one. */
  rowAt(position: number): number {
    return rowAt(this.positions, position)
  }

  groupBegin(k: number): number {
    return this.positions[this.groupFrom[k]]
  }

  groupEnd(k: number): number {
    return this.positions[this.groupTo[k]]
  }
}

/** The last entry that is not above `position`, of sums that begin with 0. */
export function rowAt(sums: Float64Array, position: number): number {
  let low = 0
  let high = sums.length - 1
  while (low < high) {
    const middle = (low + high + 1) >>> 1
    if (sums[middle] <= position) low = middle
    else high = middle - 1
  }
  return low
}

/** Groups of peers in a stretch, whatever the weights. */
export interface Groups {
  readonly from: Int32Array
  readonly to: Int32Array
}

export function groupsOf(
  stretch: Stretch,
  peers: (a: Stretch['rows'], i: number, b: Stretch['rows'], j: number) => boolean,
): Groups {
  const { sequence, rows } = stretch
  const n = sequence.length
  const from = new Int32Array(n)
  const to = new Int32Array(n)
  for (let k = 0; k < n; ) {
    let end = k + 1
    while (end < n && peers(rows, sequence[end - 1], rows, sequence[end])) end++
    from.fill(k, k, end)
    to.fill(end, k, end)
    k = end
  }
  return { from, to }
}

/** Frames of all units, as positions: from `begins` to before `ends`, never less than nothing. */
export interface Frames {
  readonly begins: Float64Array
  readonly ends: Float64Array
}

/** Both ascend with the units, but where months end: January 30, 12:00 and a month is later than January 31 and a month. */
export function framesOf(
  section: Section,
  frame: { mode: 'rows' | 'range' | 'groups'; start: Bound; end: Bound },
  range: RangeKey | null,
): Frames {
  const count = section.units.length
  const begins = new Float64Array(count)
  const ends = new Float64Array(count)
  const { start, end } = frame
  const begin = start === null ? null : boundOf(section, frame.mode, start, range, false)
  const finish = end === null ? null : boundOf(section, frame.mode, end, range, true)
  const { total } = section
  for (let u = 0; u < count; u++) {
    begins[u] = begin === null ? 0 : Math.min(Math.max(begin(u), 0), total)
    ends[u] = Math.max(begins[u], finish === null ? total : Math.min(finish(u), total))
  }
  return { begins, ends }
}

/** The position where a frame begins, or ends, by unit; asked of ascending units it takes linear time. */
function boundOf(
  section: Section,
  mode: 'rows' | 'range' | 'groups',
  bound: NonNullable<Bound>,
  range: RangeKey | null,
  isEnd: boolean,
): (unit: number) => number {
  const { units, places, ordinals, groupBegins, groupEnds, total } = section
  // Spans of months are for RANGE.
  const distance = typeof bound === 'object' ? signOf(bound) : Number(bound)
  if (mode === 'rows') return u => places[u] + distance + (isEnd ? 1 : 0)
  if (distance === 0) return u => (isEnd ? section.groupEnd(units[u]) : section.groupBegin(units[u]))
  if (mode === 'groups' || range === null) {
    return u => {
      const group = ordinals[units[u]] + distance
      if (group < 0) return 0
      if (group >= groupBegins.length) return total
      return isEnd ? groupEnds[group] : groupBegins[group]
    }
  }
  return rangeBound(section, bound, range, isEnd)
}

function rangeBound(
  section: Section,
  bound: NonNullable<Bound>,
  range: RangeKey,
  isEnd: boolean,
): (unit: number) => number {
  const { units, stretch, positions, groupFrom } = section
  const { sequence } = stretch
  let at = 0
  /** Is row `other` before the begin of the frame of row k, or not after its end? */
  const passes = (k: number, other: number): boolean => {
    const [place, there] = [sequence[k], sequence[other]]
    if (range.isNull(place) || range.isNull(there)) {
      const order = groupFrom[other] - groupFrom[k]
      return isEnd ? order <= 0 : order < 0
    }
    const order = range.compare(place, bound, there)
    return isEnd ? order <= 0 : order < 0
  }
  return u => {
    while (at > 0 && !passes(units[u], at - 1)) at--
    while (at < section.length && passes(units[u], at)) at++
    return positions[at]
  }
}
