/** What the functions give for the units of a section. */
import { decimalMean } from '../../../circuit/aggregates/sums.js'
import { isOffset, isRank, isValue } from '../../../circuit/window.js'
import type { Column } from '../../../schema/schema.js'
import { isDecimal, TYPES, type Value } from '../../../schema/types.js'
import { cellIsNull, compareCells } from '../../../zset/cells.js'
import { CellOutputs, NumberOutputs, type Outputs, ValueOutputs } from './outputs.js'
import type { FunctionPlan } from './plan.js'
import { type Frames, rowAt, type Section } from './section.js'
import { addCell, BitsTotal, type FloatTotal, type IntegerTotal, type Total } from './totals.js'
import { RangeTree } from './tree.js'

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

/** The outputs of a function for the units of a section. REQUIRES: `frames` are those of the function, if it has one. */
export function compute(plan: FunctionPlan, section: Section, frames: Frames | null, far: FarRows): Outputs {
  const { fn } = plan.spec
  if (isRank(fn)) return new NumberOutputs(plan.out, ranks(plan, section))
  if (isOffset(fn)) return cells(plan, section, offsets(plan, section))
  const pieces = new Pieces(section, frames as Frames, plan.spec.frame.exclude)
  if (isValue(fn)) return cells(plan, section, values(plan, section, pieces, far))
  if (plan.total !== null) return totals(plan, section, pieces, plan.total, far)
  if (fn === 'bitAnd' || fn === 'bitOr') return bits(plan, section, pieces)
  return cells(plan, section, extremes(plan, section, pieces, far))
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

/** The frame of a unit without what is excluded, as up to three pieces in order. */
class Pieces {
  count = 0
  readonly from = new Float64Array(3)
  readonly to = new Float64Array(3)

  constructor(
    readonly section: Section,
    readonly frames: Frames,
    readonly exclude: 'none' | 'current' | 'group' | 'ties',
  ) {}

  /** Whether the unit's own row is part of the frame. */
  holdsCurrent(u: number): boolean {
    const at = this.section.places[u]
    return at >= this.frames.begins[u] && at < this.frames.ends[u]
  }

  take(u: number): void {
    const { section, frames, exclude } = this
    const [begin, end] = [frames.begins[u], frames.ends[u]]
    this.count = 0
    if (exclude === 'none') return this.add(begin, end)
    const k = section.units[u]
    const at = section.places[u]
    const from = exclude === 'current' ? at : section.groupBegin(k)
    const to = exclude === 'current' ? at + 1 : section.groupEnd(k)
    this.add(begin, Math.min(end, from))
    if (exclude === 'ties' && this.holdsCurrent(u)) this.add(at, at + 1)
    this.add(Math.max(begin, to), end)
  }

  private add(from: number, to: number): void {
    if (from >= to) return
    this.from[this.count] = from
    this.to[this.count] = to
    this.count++
  }
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

/** The total of a window over positions; moving on, or back, takes time in proportion to the way. */
class SlidingTotal {
  private begin = 0
  private end = 0
  private beginRow = 0
  private endRow = 0

  constructor(
    private readonly section: Section,
    private readonly arg: Column | null,
    readonly total: Total,
  ) {}

  /** REQUIRES: begin <= end. */
  moveTo(begin: number, end: number): void {
    this.endRow = this.move(this.endRow, this.end, end, 1)
    this.end = end
    this.beginRow = this.move(this.beginRow, this.begin, begin, -1)
    this.begin = begin
  }

  private move(row: number, from: number, to: number, sign: number): number {
    return to < from ? this.passBack(row, from, to, -sign) : this.pass(row, from, to, sign)
  }

  private passBack(row: number, from: number, to: number, sign: number): number {
    const { positions, stretch } = this.section
    let k = row
    let at = from
    while (at > to) {
      while (positions[k] >= at) k--
      const downTo = Math.max(positions[k], to)
      addCell(this.total, stretch.rows, this.arg, stretch.sequence[k], sign * (at - downTo))
      at = downTo
    }
    return k
  }

  private pass(row: number, from: number, to: number, sign: number): number {
    const { positions, stretch } = this.section
    let k = row
    let at = from
    while (at < to) {
      const rowEnd = positions[k + 1]
      if (rowEnd > at) {
        const upTo = Math.min(rowEnd, to)
        addCell(this.total, stretch.rows, this.arg, stretch.sequence[k], sign * (upTo - at))
        at = upTo
      }
      if (rowEnd <= at) k++
    }
    return k
  }
}

function totals(plan: FunctionPlan, section: Section, pieces: Pieces, make: () => Total, far: FarRows): Outputs {
  const { spec, arg, out } = plan
  const { exclude } = spec.frame
  const { units, stretch, places } = section
  const { begins, ends } = pieces.frames
  const main = new SlidingTotal(section, arg, make())
  if (far.before !== null) main.total.plus(far.before, 1)
  if (far.after !== null) main.total.plus(far.after, 1)
  const left = exclude === 'group' || exclude === 'ties' ? new SlidingTotal(section, arg, make()) : null
  const scratch = make()
  const counts = new Float64Array(spec.fn === 'count' ? units.length : 0)
  const results: Value[] = []
  for (let u = 0; u < units.length; u++) {
    const k = units[u]
    main.moveTo(begins[u], ends[u])
    let { total } = main
    if (exclude !== 'none') {
      scratch.clear()
      scratch.plus(total, 1)
      if (left !== null) {
        const from = Math.max(begins[u], section.groupBegin(k))
        left.moveTo(from, Math.max(from, Math.min(ends[u], section.groupEnd(k))))
        scratch.plus(left.total, -1)
      }
      if (exclude !== 'group' && places[u] >= begins[u] && places[u] < ends[u]) {
        addCell(scratch, stretch.rows, arg, stretch.sequence[k], exclude === 'ties' ? 1 : -1)
      }
      total = scratch
    }
    if (spec.fn === 'count') counts[u] = total.count
    else results.push(resultOf(plan, total))
  }
  return spec.fn === 'count' ? new NumberOutputs(out, counts) : new ValueOutputs(out, results)
}

function resultOf({ spec, out }: FunctionPlan, total: Total): Value {
  if (total.count === 0) return null
  if (total instanceof BitsTotal) return typedBits(out, total.bits)
  const { sum } = total as IntegerTotal | FloatTotal
  if (spec.fn !== 'avg') return sum
  const type = spec.arg?.type ?? 'f64'
  return isDecimal(type) ? decimalMean(type, sum as bigint, BigInt(total.count)) : Number(sum) / total.count + 0
}

const typedBits = (out: Column, value: bigint): Value => (TYPES[out.type].js === 'bigint' ? value : Number(value))

/** The place of the least or greatest value of each frame, NULL left out; false is less than true. */
function extremes({ spec: { fn }, arg }: FunctionPlan, section: Section, pieces: Pieces, far: FarRows): Int32Array {
  const column = arg as Column
  const { rows, sequence } = section.stretch
  const sign = fn === 'min' || fn === 'boolAnd' ? 1 : -1
  const better = (a: number, b: number): number => (compareCells(rows, column, a, rows, column, b) * sign <= 0 ? a : b)
  const leaf = (k: number): number | null =>
    section.weight(k) === 0 || cellIsNull(rows, column, sequence[k]) ? null : sequence[k]
  const tree = new RangeTree<number>(section.length, leaf, better)
  const result = new Int32Array(section.units.length)
  const beyond = tree.join(far.bestBefore, far.bestAfter)
  for (let u = 0; u < result.length; u++) result[u] = tree.join(beyond, overPieces(tree, section, pieces, u)) ?? -1
  return result
}

function bits({ spec: { fn }, arg, out }: FunctionPlan, section: Section, pieces: Pieces): Outputs {
  const column = arg as Column
  const { rows, sequence } = section.stretch
  const leaf = (k: number): bigint | null =>
    section.weight(k) === 0 || cellIsNull(rows, column, sequence[k])
      ? null
      : BigInt(rows.columns[column.index][sequence[k]])
  const tree = new RangeTree<bigint>(section.length, leaf, fn === 'bitAnd' ? (a, b) => a & b : (a, b) => a | b)
  const results = section.units.map((_, u): Value => {
    const value = overPieces(tree, section, pieces, u)
    return value === null ? null : typedBits(out, value)
  })
  return new ValueOutputs(out, results)
}

function overPieces<T>(tree: RangeTree<T>, section: Section, pieces: Pieces, u: number): T | null {
  pieces.take(u)
  let result: T | null = null
  for (let p = 0; p < pieces.count; p++) {
    const part = tree.query(section.rowAt(pieces.from[p]), section.rowAt(pieces.to[p] - 1) + 1)
    result = tree.join(result, part)
  }
  return result
}
