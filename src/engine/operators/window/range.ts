/** The column of the order as numbers, for RANGE frames with offsets. */
import { laterBy } from '../../../circuit/scalar.js'
import { type Bound, signOf } from '../../../circuit/window.js'
import type { Column } from '../../../schema/schema.js'
import { compareNumbers } from '../../../schema/values.js'
import type { Batch } from '../../../zset/batch.js'
import { cellIsNull } from '../../../zset/cells.js'

export class RangeKey {
  constructor(
    private readonly rows: Batch,
    private readonly column: Column,
    private readonly descending: boolean,
  ) {}

  isNull(place: number): boolean {
    return cellIsNull(this.rows, this.column, place)
  }

  /**
   * Where row `other` stands to what lies `bound` on from row `place` in the order: negative, 0 (in the same place) or
   * positive. REQUIRES: neither is NULL.
   */
  compare(place: number, bound: NonNullable<Bound>, other: number): number {
    const from = this.value(place)
    const to = this.value(other)
    if (typeof bound === 'object') {
      const { months, micros } = bound
      const by = this.descending ? { months: -months, micros: -micros } : bound
      const [limit, there] = [laterBy(this.column.type, from, by), BigInt(to)]
      const order = there < limit ? -1 : there > limit ? 1 : 0
      return this.descending ? -order : order
    }
    if (typeof from === 'bigint') {
      const limit = from + (this.descending ? -BigInt(bound) : BigInt(bound))
      const order = to < limit ? -1 : to > limit ? 1 : 0
      return this.descending ? -order : order
    }
    const limit = from + (this.descending ? -Number(bound) : Number(bound))
    const order = compareNumbers(to as number, limit)
    return this.descending ? -order : order
  }

  /** Decimals are stored with an offset, which makes no difference to differences. */
  private value(place: number): number | bigint {
    const { index, info } = this.column
    const values = this.rows.columns[index]
    if (info.storage !== 'w128') return values[place]
    return ((values[place * 2 + 1] as bigint) << 64n) | (values[place * 2] as bigint)
  }

  /** Whether row `other` is not beyond `bound` from row `place`: not after it if positive, not before it if negative. */
  reaches(place: number, bound: NonNullable<Bound>, other: number): boolean {
    if (this.isNull(place) || this.isNull(other)) return false
    const order = this.compare(place, bound, other)
    return signOf(bound) > 0 ? order <= 0 : order >= 0
  }
}
