/**
 * Records of fixed size side by side: what a group's state is made of. All fields of one group lie within one or two
 * cache lines, so that a change of a group that has not been looked at lately waits for memory once or twice and not
 * once per field.
 *
 *     [key lanes …, mark] [count] [words of each accumulator …]
 *
 * Key lanes and mark are 32 bits, everything else 64. Lanes of a packed key that are always zero are not stored.
 */
import type { Key } from '../schema/schema.js'

/**
 * What is summed over the rows with a value, each with its weight:
 * `count`: 1. `int`: an integer. `float`: a double, exactly. `intProduct`, `floatProduct`: the product of two. `bits`:
 * each bit of an integer on its own. `bins`: each value of a number 0, 1, 2 … on its own. `xor`: all bits of an integer, modulo 2. `tally`: nothing; somebody else counts.
 */
export type AccumulatorKind =
  | 'count'
  | 'int'
  | 'float'
  | 'intProduct'
  | 'floatProduct'
  | 'bits'
  | 'bins'
  | 'xor'
  | 'tally'

export interface AccumulatorSpec {
  readonly kind: AccumulatorKind
  /** For `bits` and `bins`: how many. */
  readonly bits: number
}

/** 64-bit words of an accumulator; sums of doubles are sums of so many doubles. */
export function wordsOf({ kind, bits }: AccumulatorSpec): number {
  return kind === 'bits' || kind === 'bins' ? bits : kind === 'float' ? 2 : kind === 'floatProduct' ? 4 : 1
}

export interface RecordLayout {
  readonly keyLanes: number
  /** The lane of the mark. */
  readonly mark: number
  /** The word that holds the sum of weights. All that a step changes, but for the mark, lies from here on. */
  readonly count: number
  /** Where each accumulator begins. */
  readonly fields: readonly number[]
  /** Length of a record in 64-bit words, and in 32-bit lanes. */
  readonly words: number
  readonly lanes: number
}

export function recordLayout(keyLanes: number, accumulators: readonly AccumulatorSpec[]): RecordLayout {
  const count = Math.ceil((keyLanes + 1) / 2)
  let words = count + 1
  const fields = accumulators.map(accumulator => {
    const at = words
    words += wordsOf(accumulator)
    return at
  })
  return Object.freeze({ keyLanes, mark: keyLanes, count, fields, words, lanes: words * 2 })
}

/** How many of a key's 32-bit lanes can be other than zero. */
export function usedLanes({ kind, words, fields }: Key): number {
  if (kind !== 'packed') return words * 2
  const [{ fromBit, column }] = fields
  return Math.ceil((words * 64 - fromBit + (column.nullable ? 1 : 0)) / 32)
}

/** Memory for `capacity` records, seen in three ways. */
export class Records {
  readonly lanes32: Uint32Array
  readonly ints: BigInt64Array
  readonly floats: Float64Array

  /** Takes over what `from` holds. */
  constructor(
    readonly layout: RecordLayout,
    readonly capacity: number,
    from: Records | null = null,
  ) {
    this.floats = new Float64Array(capacity * layout.words)
    const { buffer } = this.floats
    this.lanes32 = new Uint32Array(buffer)
    this.ints = new BigInt64Array(buffer)
    if (from !== null) this.lanes32.set(from.lanes32)
  }

  /** Copies what a step changes of record i to record k of `to`. */
  copyState(i: number, to: Records, k: number): void {
    const { lanes, count } = this.layout
    for (let l = count * 2; l < lanes; l++) to.lanes32[k * lanes + l] = this.lanes32[i * lanes + l]
  }

  get bytes(): number {
    return this.lanes32.byteLength
  }
}
