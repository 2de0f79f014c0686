/** Aggregates of ranges for what cannot be taken back (a segment tree): made in O(n), asked in O(log n). */
export class RangeTree<T> {
  private readonly nodes: (T | null)[]
  private readonly size: number

  /** `leaf(k)`: the value of row k, null for none. `combine` is associative. */
  constructor(
    length: number,
    leaf: (k: number) => T | null,
    private readonly combine: (a: T, b: T) => T,
  ) {
    this.size = 1
    while (this.size < length) this.size *= 2
    this.nodes = new Array<T | null>(this.size * 2).fill(null)
    for (let k = 0; k < length; k++) this.nodes[this.size + k] = leaf(k)
    for (let n = this.size - 1; n > 0; n--) this.nodes[n] = this.join(this.nodes[n * 2], this.nodes[n * 2 + 1])
  }

  join(a: T | null, b: T | null): T | null {
    if (a === null) return b
    return b === null ? a : this.combine(a, b)
  }

  /** Over rows from..to. */
  query(from: number, to: number): T | null {
    let left: T | null = null
    let right: T | null = null
    for (let low = from + this.size, high = to + this.size; low < high; low >>= 1, high >>= 1) {
      if (low & 1) left = this.join(left, this.nodes[low++])
      if (high & 1) right = this.join(this.nodes[--high], right)
    }
    return this.join(left, right)
  }
}
