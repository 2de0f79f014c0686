/**
 * Rows of a section by an order of their own, an aggregate's, and how many of each are in a frame: the n-th of them is
 * found, and a row taken in or out, in time O(log n); all of them in time O(n / 32), and O(1) each.
 */
import type { Preference } from './preference.js'
import type { Stretch } from './stretch.js'

/** The ranks of the rows of a stretch: equal ones have the same. */
export interface Ranking {
  /** By place in the sequence; -1 for rows that take no part. */
  readonly ranks: Int32Array
  /** By rank: a row, as its place in the stretch's rows. */
  readonly rows: readonly number[]
}

/** `inPlace`: the order is that of the sequence. */
export function rankingOf({ rows, sequence }: Stretch, preference: Preference, inPlace: boolean): Ranking {
  const ranks = new Int32Array(sequence.length).fill(-1)
  const taking = [...sequence.keys()].filter(k => preference.takes(rows, sequence[k]))
  const compare = (j: number, k: number): number => preference.compare(rows, sequence[j], rows, sequence[k])
  if (!inPlace) taking.sort(compare)
  const first: number[] = []
  for (const [i, k] of taking.entries()) {
    if (inPlace || i === 0 || compare(taking[i - 1], k) !== 0) first.push(sequence[k])
    ranks[k] = first.length - 1
  }
  return { ranks, rows: first }
}

export class Tally {
  /** Rows that are in. */
  total = 0
  /** By rank. */
  private readonly counts: Float64Array
  /** Sums of counts, from 1 on: entry i is that of the ranks before i, as many as the lowest bit of i says (Fenwick). */
  private readonly sums: Float64Array
  private readonly top: number
  /** By rank, a bit: is it in? */
  private readonly bits: Int32Array

  constructor(
    readonly ranking: Ranking,
    /** Rows of a rank count once. */
    private readonly distinct: boolean,
  ) {
    const size = ranking.rows.length
    this.counts = new Float64Array(size)
    this.sums = new Float64Array(size + 1)
    this.top = size === 0 ? 0 : 2 ** (31 - Math.clz32(size))
    this.bits = new Int32Array((size + 31) >>> 5)
  }

  /** Takes row k of the sequence in `times` times more. Returns how many rows that count there are more. */
  add(k: number, times: number): number {
    const rank = this.ranking.ranks[k]
    if (rank < 0) return 0
    const before = this.counts[rank]
    this.counts[rank] = before + times
    if (before > 0 !== before + times > 0) this.bits[rank >>> 5] ^= 1 << (rank & 31)
    const change = this.distinct ? Number(before + times > 0) - Number(before > 0) : times
    if (change === 0) return 0
    this.total += change
    const { sums } = this
    for (let i = rank + 1; i < sums.length; i += i & -i) sums[i] += change
    return change
  }

  /** The rank of the n-th row, from 0. REQUIRES: there is one. */
  select(n: number): number {
    const { sums } = this
    let left = n
    let rank = 0
    for (let step = this.top; step > 0; step >>= 1) {
      const next = rank + step
      if (next >= sums.length || sums[next] > left) continue
      rank = next
      left -= sums[next]
    }
    return rank
  }

  /** The first rank from `rank` on that is in; -1 if there is none. */
  next(rank: number): number {
    const { bits } = this
    let word = rank >>> 5
    if (word >= bits.length) return -1
    let rest = bits[word] & (-1 << (rank & 31))
    while (rest === 0) {
      if (++word === bits.length) return -1
      rest = bits[word]
    }
    return word * 32 + 31 - Math.clz32(rest & -rest)
  }

  /** How often a rank counts. */
  weight(rank: number): number {
    return this.distinct ? 1 : this.counts[rank]
  }
}
