/** Aggregates over the frames of a section, by their plans. */
import { readValue } from '../../../../codegen/expr/plain.js'
import type { WalkedRow } from '../../../circuit/aggregates/definition.js'
import { ofBits } from '../../../circuit/aggregates/linear.js'
import { Failure } from '../../../circuit/scalar.js'
import type { Frame } from '../../../circuit/window.js'
import type { Column } from '../../../schema/schema.js'
import type { Value } from '../../../schema/types.js'
import { cellIsNull } from '../../../zset/cells.js'
import type { BitsPlan, ExtremePlan, OrderedPlan, TotalPlan } from './frame-plan.js'
import { CellOutputs, NumberOutputs, type Outputs, ValueOutputs } from './outputs.js'
import type { Pieces } from './pieces.js'
import type { Frames, Section } from './section.js'
import { overFrames } from './sliding.js'
import { type Ranking, Tally } from './tally.js'
import { CountTotal, type Total } from './totals.js'
import { RangeTree } from './tree.js'

/** A section and the frames of its units. */
export interface Framed {
  readonly section: Section
  readonly frames: Frames
  readonly exclude: Frame['exclude']
  /** Of the function, in the rows that come out. */
  readonly out: Column
}

/** `before` and `after`: totals of all rows beside the stretch that the frames hold. REQUIRES: a ranking, if equal rows are one. */
export function totals(
  { section, frames, exclude, out }: Framed,
  { make, columns, value, distinct }: TotalPlan,
  ranking: Ranking | null,
  before: Total | null,
  after: Total | null,
): Outputs {
  const { rows, sequence } = section.stretch
  const total = make()
  if (before !== null) total.plus(before, 1)
  if (after !== null) total.plus(after, 1)
  const tally = distinct === null || ranking === null ? null : new Tally(ranking, true)
  const take = (k: number, times: number): void => {
    const change = tally === null ? times : tally.add(k, times)
    if (change !== 0) total.take(rows, columns, sequence[k], change)
  }
  if (!(total instanceof CountTotal)) return values(section, frames, exclude, out, take, () => value(total))
  const counts = new Float64Array(section.units.length)
  overFrames(section, frames, exclude, take, u => {
    counts[u] = total.count
  })
  return new NumberOutputs(out, counts)
}

/** A value for each unit; it is not computed again for a frame of the same rows. */
function values(
  section: Section,
  frames: Frames,
  exclude: Frame['exclude'],
  out: Column,
  take: (k: number, times: number) => void,
  value: () => Value,
): Outputs {
  const results: (Value | Failure)[] = []
  let stale = true
  let last: Value | Failure = null
  const taking = (k: number, times: number): void => {
    stale = true
    take(k, times)
  }
  overFrames(section, frames, exclude, taking, () => {
    if (stale) last = valueOrFailure(value)
    stale = false
    results.push(last)
  })
  return new ValueOutputs(out, results)
}

function valueOrFailure(value: () => Value): Value | Failure {
  try {
    return value()
  } catch (failure) {
    if (failure instanceof Failure) return failure
    throw failure
  }
}

/** Aggregates that read their rows by rank, or all of them. */
export function ordered({ section, frames, exclude, out }: Framed, plan: OrderedPlan, ranking: Ranking): Outputs {
  const { rows } = section.stretch
  const { columns, detail, read, result, empty } = plan
  const tally = new Tally(ranking, plan.distinct)
  const types = columns.map(c => c.type)
  const known: WalkedRow[] = []
  const rowAt = (rank: number): WalkedRow => {
    known[rank] ??= { values: columns.map(c => readValue(rows, c, ranking.rows[rank])), weight: 1n }
    return known[rank]
  }
  const at = columns.indexOf(plan.value)
  const walked = (): WalkedRow[] => {
    const all: WalkedRow[] = []
    for (let rank = tally.next(0); rank >= 0; rank = tally.next(rank + 1)) {
      const weight = tally.weight(rank)
      all.push(weight === 1 ? rowAt(rank) : { ...rowAt(rank), weight: BigInt(weight) })
    }
    return all
  }
  const value = (): Value => {
    const { total } = tally
    if (total === 0) return empty
    if ('walk' in read) return read.walk(walked(), detail, types, result)
    const found = read.ranks(total, detail).map(n => rowAt(tally.select(n)).values[at])
    return read.finish(found, total, detail)
  }
  return values(section, frames, exclude, out, (k, times) => tally.add(k, times), value)
}

/** The value of the best row of each frame. `beyond`: the places of the best rows beside the stretch. */
export function extremes(
  { section, out }: Framed,
  { preference, last, value }: ExtremePlan,
  pieces: Pieces,
  beyond: readonly (number | null)[],
): Outputs {
  const { rows, sequence } = section.stretch
  const later = last && preference.terms.length === 0
  const better = (a: number, b: number): number => (!later && preference.compare(rows, a, rows, b) <= 0 ? a : b)
  const leaf = (k: number): number | null =>
    section.weight(k) !== 0 && preference.takes(rows, sequence[k]) ? sequence[k] : null
  const tree = new RangeTree<number>(section.length, leaf, better)
  const far = beyond.reduce((a, b) => tree.join(a, b), null)
  const places = new Int32Array(section.units.length)
  for (let u = 0; u < places.length; u++) places[u] = tree.join(far, overPieces(tree, section, pieces, u)) ?? -1
  return new CellOutputs(out, rows, value, null, places)
}

export function bits({ section, out }: Framed, { column, combine }: BitsPlan, pieces: Pieces): Outputs {
  const { rows, sequence } = section.stretch
  const leaf = (k: number): bigint | null =>
    section.weight(k) === 0 || cellIsNull(rows, column, sequence[k])
      ? null
      : BigInt(rows.columns[column.index][sequence[k]])
  const tree = new RangeTree<bigint>(section.length, leaf, combine)
  const results = section.units.map((_, u): Value => {
    const value = overPieces(tree, section, pieces, u)
    return value === null ? null : ofBits(out.type, value)
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
