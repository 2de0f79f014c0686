/** Counts and row numbers while constraints are judged: one constraint at a time. */
export class Scratch {
  /** Weights per row, and their 32-bit words. */
  sums = new BigInt64Array(256)
  sumLanes = new Uint32Array(this.sums.buffer)
  own = new BigInt64Array(256)
  ownLanes = new Uint32Array(this.own.buffer)
  /** Row numbers. */
  rows = new Int32Array(256)

  /** Makes room for `count` rows; counts are 0. */
  clear(count: number): void {
    if (count > this.rows.length) this.grow(Math.max(count, this.rows.length * 2))
    else if (count === 1) {
      this.sums[0] = 0n
      this.own[0] = 0n
    } else {
      this.sums.fill(0n, 0, count)
      this.own.fill(0n, 0, count)
    }
  }

  private grow(count: number): void {
    this.sums = new BigInt64Array(count)
    this.sumLanes = new Uint32Array(this.sums.buffer)
    this.own = new BigInt64Array(count)
    this.ownLanes = new Uint32Array(this.own.buffer)
    this.rows = new Int32Array(count)
  }
}
