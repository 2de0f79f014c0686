/**
 * State that is cut off behind waterlines. What a bound says is never needed again goes once there is about as much of it
 * as of the rest: a pass reads all rows, so it costs each row that comes in a constant, and what is kept is at most about
 * twice what is needed.
 */
import { readValue } from '../../codegen/expr/plain.js'
import { type Bound, type Limit, printBound, type Signal, signalsOf, thresholdOf } from '../circuit/bounds.js'
import type { Column, RowSchema } from '../schema/schema.js'
import { type Batch, stride } from '../zset/batch.js'
import type { Time, WaterlineOperator } from './operators/waterline.js'

/** A limit with the waterlines that it follows from. */
export interface LiveLimit extends Limit {
  readonly column: number
  /** The least value that is still needed; null if that is not known yet. */
  readonly value: () => Time | null
}

/** Makes a limit of a plan one of a database. */
export function liveLimit(limit: Limit, waterlineOf: (signal: Signal) => WaterlineOperator): LiveLimit {
  const value = threshold(limit.bound, waterlineOf, w => w.value)
  return { ...limit, value }
}

/** A bound by the waterlines of a database, which are looked up now. */
export function threshold(
  bound: Bound,
  waterlineOf: (signal: Signal) => WaterlineOperator,
  readOf: (waterline: WaterlineOperator) => Time | null,
): () => Time | null {
  const found = new Map(signalsOf(bound).map(signal => [signal, waterlineOf(signal)]))
  return () => thresholdOf(bound, signal => readOf(found.get(signal) as WaterlineOperator))
}

/** Fewer rows than this are not worth a pass. */
const LEAST_ROWS = 512

/** What can be cut off. */
export interface Cuttable {
  /** Rows held, as an upper bound. */
  readonly rowCount: number
  /** Lets rows go for which one of the limits holds, with the least values still needed. */
  cut(limits: readonly Threshold[]): void
}

export interface Threshold {
  readonly column: number
  readonly least: Time
  /** As of a limit. */
  readonly rows?: number
  readonly counted?: boolean
}

/** Cuts off one operator's state when it is time. */
export class Cutter {
  private next = LEAST_ROWS
  private last = ''

  constructor(
    readonly limits: readonly LiveLimit[],
    private readonly state: Cuttable,
  ) {}

  get isDue(): boolean {
    return this.state.rowCount >= this.next
  }

  /** REQUIRES: no step runs, and no transaction so far will be taken back. */
  run(): void {
    const thresholds = this.limits.flatMap(({ column, value, rows, counted }): Threshold[] => {
      const least = value()
      return least === null ? [] : [{ column, least, rows, counted }]
    })
    const text = thresholds.map(t => String(t.least)).join()
    if (thresholds.length === 0 || text === this.last) return
    this.last = text
    this.state.cut(thresholds)
    this.next = Math.max(LEAST_ROWS, this.state.rowCount * 2)
  }
}

/** How plans say it: `bounded: windowEnd >= windowStart(waterline(bids.at), 10, 0)`. */
export function describeLimits(limits: readonly Limit[], { columns }: RowSchema): string[] {
  if (limits.length === 0) return []
  const texts = limits.map(({ column, bound, rows, counted }) => {
    const spared =
      rows === undefined ? '' : rows === 1 ? ', or the last row before' : `, or one of the last ${rows} rows before`
    return `${columns[column].name} >= ${printBound(bound)}${spared}${counted === true ? ' (others are counted)' : ''}`
  })
  return [`bounded: ${texts.join(' and ')}`]
}

/** Reads a column of rows of one layout. */
export function timeReader(batch: Batch, column: Column): (row: number) => Time {
  const { stored } = batch.layout
  // In a key, or of more than one word.
  if (!stored.includes(column) || stride(column.info.storage) > 1) return row => readValue(batch, column, row) as Time
  const cells = batch.columns[column.index] as ArrayLike<Time>
  return row => cells[row]
}

/** Tells which rows of a batch lie below a threshold. */
export function goneRows(batch: Batch, thresholds: readonly Threshold[]): (row: number) => boolean {
  const { columns } = batch.layout.schema
  const readers = thresholds.map(({ column, least }) => ({ read: timeReader(batch, columns[column]), least }))
  return row => readers.some(({ read, least }) => read(row) < least)
}
