/**
 * Order statistics over sorted runs: how many rows come before a place, and which row is the k-th.
 *
 * A row of weight n counts as n rows. Sums of weights are kept per run and block of rows, beside the run and not in it:
 * they are made when a run is first asked and go with it. Over several runs counts add up, since the weight of a row
 * is the sum over the runs; so all of this REQUIRES that no row's summed weight is negative (see `positive.ts`).
 * Counts are doubles: exact up to 2^53.
 */
import type { Batch } from './batch.js'
import type { Kernels } from './kernels.js'
import { HEAD_ROWS } from './trace.js'

/** Rows whose weights are summed one by one; a power of 2. */
const BLOCK_ROWS = 64
const BLOCK_BITS = 6

/** Per run: the weight of all rows before each block. Short runs have none: a trace's head changes in place. */
const sums = new WeakMap<Batch, Float64Array>()

function blocksOf(run: Batch): Float64Array {
  let blocks = sums.get(run)
  if (blocks === undefined) {
    blocks = new Float64Array((run.length >> BLOCK_BITS) + 1)
    for (let b = 1; b < blocks.length; b++)
      blocks[b] = blocks[b - 1] + between(run, (b - 1) * BLOCK_ROWS, b * BLOCK_ROWS)
    sums.set(run, blocks)
  }
  return blocks
}

function between(run: Batch, from: number, to: number): number {
  const words = run.weights32
  let sum = 0
  for (let i = from * 2; i < to * 2; i += 2) sum += (words[i + 1] | 0) * 4294967296 + words[i]
  return sum
}

/** The weight of rows from..to of a run, summed. */
export function weightBetween(run: Batch, from: number, to: number): number {
  if (run.length <= HEAD_ROWS || to - from <= BLOCK_ROWS) return between(run, from, to)
  const blocks = blocksOf(run)
  const first = from >> BLOCK_BITS
  const last = to >> BLOCK_BITS
  const whole = blocks[last] - blocks[first]
  return whole - between(run, first * BLOCK_ROWS, from) + between(run, last * BLOCK_ROWS, to)
}

/** The first of rows from..to of `run` that is not before row p of `probe` in the order; `to` if there is none. */
export function lowerRow(kernels: Kernels, run: Batch, from: number, to: number, probe: Batch, p: number): number {
  let low = from
  let high = to
  while (low < high) {
    const middle = (low + high) >>> 1
    if (kernels.compareRows(run, middle, probe, p) < 0) low = middle + 1
    else high = middle
  }
  return low
}

/** The first row of `run` whose key is not before that of row p of `probe`. */
export function groupStart(kernels: Kernels, run: Batch, probe: Batch, p: number): number {
  let low = 0
  let high = run.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (kernels.compareGroups(run, middle, probe, p) < 0) low = middle + 1
    else high = middle
  }
  return low
}

/** The first row of `run` at or after `from` whose key is after that of row p of `probe`. */
export function groupEnd(kernels: Kernels, run: Batch, from: number, probe: Batch, p: number): number {
  let low = from
  let high = run.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (kernels.compareGroups(run, middle, probe, p) <= 0) low = middle + 1
    else high = middle
  }
  return low
}

/** Rows from[r]..to[r] of runs of one layout, taken together: mostly one group. */
export interface RunRanges {
  readonly runs: readonly Batch[]
  readonly from: readonly number[]
  readonly to: readonly number[]
}

/** The rows of the group of row p of `probe`. */
export function groupRanges(kernels: Kernels, runs: readonly Batch[], probe: Batch, p: number): RunRanges {
  const from = runs.map(run => groupStart(kernels, run, probe, p))
  return { runs, from, to: runs.map((run, r) => groupEnd(kernels, run, from[r], probe, p)) }
}

/** How many rows there are. */
export function countOf({ runs, from, to }: RunRanges): number {
  let count = 0
  for (let r = 0; r < runs.length; r++) count += weightBetween(runs[r], from[r], to[r])
  return count
}

/** How many rows come before row p of `probe`. */
export function rankOf(kernels: Kernels, { runs, from, to }: RunRanges, probe: Batch, p: number): number {
  let count = 0
  for (let r = 0; r < runs.length; r++) {
    count += weightBetween(runs[r], from[r], lowerRow(kernels, runs[r], from[r], to[r], probe, p))
  }
  return count
}

/** Where a row is. */
export interface Found {
  readonly run: Batch
  readonly row: number
}

/**
 * The k-th row, counted from 0; null if there are no more than k. Takes the middle of the longest range and leaves
 * out what cannot be, so it looks at O(runs × log² rows) rows.
 */
export function selectRow(kernels: Kernels, ranges: RunRanges, k: number): Found | null {
  const { runs } = ranges
  if (k < 0) return null
  const low = [...ranges.from]
  const high = [...ranges.to]
  const at = new Array<number>(runs.length).fill(0)
  // Rows before `low`, over all runs.
  let passed = 0
  for (;;) {
    let widest = 0
    for (let r = 1; r < runs.length; r++) if (high[r] - low[r] > high[widest] - low[widest]) widest = r
    if (runs.length === 0 || high[widest] === low[widest]) return null
    const run = runs[widest]
    const row = (low[widest] + high[widest]) >>> 1
    let before = passed
    let weight = 0
    for (let r = 0; r < runs.length; r++) {
      at[r] = r === widest ? row : lowerRow(kernels, runs[r], low[r], high[r], run, row)
      before += weightBetween(runs[r], low[r], at[r])
      if (holds(kernels, runs[r], at[r], high[r], run, row)) weight += between(runs[r], at[r], at[r] + 1)
    }
    if (k >= before && k < before + weight) return { run, row }
    if (k < before) for (let r = 0; r < runs.length; r++) high[r] = at[r]
    else {
      for (let r = 0; r < runs.length; r++)
        low[r] = holds(kernels, runs[r], at[r], high[r], run, row) ? at[r] + 1 : at[r]
      passed = before + weight
    }
  }
}

function holds(kernels: Kernels, run: Batch, at: number, end: number, probe: Batch, p: number): boolean {
  return at < end && kernels.compareRows(run, at, probe, p) === 0
}
