/**
 * What a transaction has read of one relation, as keys and ranges over the columns it is read by. If nothing that these
 * cover has changed when the transaction commits, it would have read the same then, and so may be taken to have run at
 * that moment: validation of optimistic transactions (Kung and Robinson, 1981), with predicates instead of objects.
 */
import type { Value } from '../../schema/types.js'
import { type Bounds, EVERYTHING, type Reader, type RowRef } from '../read.js'

/**
 * A transaction that is not known to be one of several at a time remembers so many reads of a relation; after that, the
 * whole of it counts as read.
 */
const MAX_EXCLUSIVE_READS = 1 << 14

export class ReadSet {
  private readonly keys: (readonly Value[])[] = []
  private readonly ranges: Bounds[] = []
  /** Of rows that were looked for otherwise: by an index. */
  private readonly tests: ((ref: RowRef) => boolean)[] = []
  private whole = false

  addKey(key: readonly Value[], exclusive: boolean): void {
    if (this.whole) return
    if (exclusive && this.keys.length === MAX_EXCLUSIVE_READS) this.addEverything()
    else this.keys.push(key)
  }

  /**
   * Adds a range that is about to be read; returns what is to be told, when the reader stops, the key of the last row
   * it has seen, or null if it has seen all.
   */
  addRange(bounds: Bounds, exclusive: boolean): (last: Value[] | null) => void {
    const { ranges } = this
    if (exclusive && ranges.length === MAX_EXCLUSIVE_READS) this.addEverything()
    if (this.whole) return () => {}
    const at = ranges.push(bounds) - 1
    return last => {
      if (last !== null && at < ranges.length) ranges[at] = { ...bounds, [bounds.reverse ? 'from' : 'to']: last }
    }
  }

  /** Adds what an index was asked for: rows for which the test holds. */
  addTest(test: (ref: RowRef) => boolean, exclusive: boolean): void {
    if (this.whole) return
    if (exclusive && this.tests.length === MAX_EXCLUSIVE_READS) this.addEverything()
    else this.tests.push(test)
  }

  addEverything(): void {
    this.whole = true
    this.tests.length = 0
    this.keys.length = 0
    this.ranges.length = 0
  }

  /** The key of a row that was read and is among `changes`, or null. */
  conflict(changes: Reader, keyOf: (ref: RowRef) => Value[]): Value[] | null {
    for (const key of this.keys) if (!changes.find(key).next().done) return [...key]
    for (const bounds of this.whole ? [EVERYTHING] : this.ranges) {
      const { value, done } = changes.range(bounds).next()
      if (!done) return keyOf(value)
    }
    if (this.tests.length > 0) {
      for (const ref of changes.range(EVERYTHING)) if (this.tests.some(test => test(ref))) return keyOf(ref)
    }
    return null
  }
}
