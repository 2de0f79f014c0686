/**
 * Sorting rows by their key region: an LSD radix sort of a permutation that looks only at key bits which vary,
 * most significant ones first in importance, up to a budget; what the budget leaves undecided (and rows with equal
 * keys) is finished with full-row comparisons inside the groups that remain equal.
 */

export type CompareIndex = (i: number, j: number) => number

/** Groups up to this size are finished by insertion, larger ones by merging. */
const INSERTION_LIMIT = 20
/** Passes spent before comparisons take over; random 128-bit hashes are decided long before their last bit. */
const MAX_PASSES = 4

export class Sorter {
  /** After `sort`: row numbers in order. */
  permutation = new Uint32Array(256)
  private spare = new Uint32Array(256)
  private readonly counts = new Uint32Array(1 << 11)
  private readonly varying = new Uint32Array(4)
  private readonly mask = new Uint32Array(4)

  /**
   * Sorts rows 0..n-1 whose keys are `lanes` u32 words each in `keys32`, least significant word first (0 lanes:
   * no key). `compare` orders rows completely and must agree with the keys.
   * ENSURES: `permutation[0..n)` lists the rows in ascending order. Returns true if they already were in order.
   */
  sort(keys32: Uint32Array, lanes: number, n: number, compare: CompareIndex): boolean {
    this.reserve(n)
    const perm = this.permutation
    for (let i = 0; i < n; i++) perm[i] = i
    const rows = { keys32, lanes, compare }
    if (isSorted(n, rows)) return true
    if (n <= INSERTION_LIMIT) {
      insertionSort(perm, 0, n, rows)
      return false
    }
    this.findVarying(keys32, lanes, n)
    this.radix(keys32, lanes, n)
    this.finish(n, rows)
    return false
  }

  private reserve(n: number): void {
    if (n <= this.permutation.length) return
    this.permutation = new Uint32Array(Math.max(n, this.permutation.length * 2))
    this.spare = new Uint32Array(this.permutation.length)
  }

  private findVarying(keys32: Uint32Array, lanes: number, n: number): void {
    for (let l = 0; l < lanes; l++) {
      const first = keys32[l]
      let diff = 0
      for (let i = 1, at = lanes + l; i < n; i++, at += lanes) diff |= keys32[at] ^ first
      this.varying[l] = diff
    }
  }

  /** Chooses digits over varying bits from the top down, then runs the passes from the lowest chosen digit up. */
  private radix(keys32: Uint32Array, lanes: number, n: number): void {
    const digitBits = n < 4096 ? 8 : 11
    const digits: { lane: number; shift: number; bits: number }[] = []
    this.mask.fill(0)
    for (let l = lanes - 1; l >= 0 && digits.length < MAX_PASSES; l--) {
      let left = this.varying[l]
      while (left !== 0 && digits.length < MAX_PASSES) {
        const top = 31 - Math.clz32(left)
        const shift = Math.max(0, top - digitBits + 1)
        const bits = top - shift + 1
        digits.push({ lane: l, shift, bits })
        const window = bits === 32 ? 0xffffffff : ((1 << bits) - 1) << shift
        this.mask[l] |= window
        left &= ~window
      }
    }
    for (let d = digits.length - 1; d >= 0; d--) {
      const { lane, shift, bits } = digits[d]
      this.pass(keys32, lanes, lane, shift, (1 << bits) - 1, n)
    }
  }

  private pass(keys32: Uint32Array, lanes: number, lane: number, shift: number, digitMask: number, n: number): void {
    const counts = this.counts
    const from = this.permutation
    const to = this.spare
    counts.fill(0, 0, digitMask + 1)
    for (let i = 0, at = lane; i < n; i++, at += lanes) counts[(keys32[at] >>> shift) & digitMask]++
    let sum = 0
    for (let d = 0; d <= digitMask; d++) {
      const c = counts[d]
      counts[d] = sum
      sum += c
    }
    for (let p = 0; p < n; p++) {
      const i = from[p]
      to[counts[(keys32[i * lanes + lane] >>> shift) & digitMask]++] = i
    }
    this.permutation = to
    this.spare = from
  }

  private finish(n: number, rows: Rows): void {
    const { keys32, lanes } = rows
    const perm = this.permutation
    let start = 0
    for (let p = 1; p <= n; p++) {
      if (p < n && this.sameDigits(keys32, lanes, perm[start], perm[p])) continue
      const size = p - start
      if (size > INSERTION_LIMIT) mergeSort(perm, this.spare, start, p, rows)
      else if (size > 1) insertionSort(perm, start, p, rows)
      start = p
    }
  }

  private sameDigits(keys32: Uint32Array, lanes: number, i: number, j: number): boolean {
    const mask = this.mask
    for (let l = 0; l < lanes; l++) {
      if (((keys32[i * lanes + l] ^ keys32[j * lanes + l]) & mask[l]) !== 0) return false
    }
    return true
  }
}

/** What is compared: keys here, where they lie; what they leave open by a call, which costs more. */
interface Rows {
  readonly keys32: Uint32Array
  readonly lanes: number
  readonly compare: CompareIndex
}

function order({ keys32, lanes, compare }: Rows, i: number, j: number): number {
  for (let l = lanes - 1, a = i * lanes + l, b = j * lanes + l; l >= 0; l--, a--, b--) {
    if (keys32[a] !== keys32[b]) return keys32[a] < keys32[b] ? -1 : 1
  }
  return compare(i, j)
}

function isSorted(n: number, rows: Rows): boolean {
  for (let i = 1; i < n; i++) if (order(rows, i - 1, i) > 0) return false
  return true
}

function insertionSort(perm: Uint32Array, from: number, to: number, rows: Rows): void {
  for (let p = from + 1; p < to; p++) {
    const row = perm[p]
    let q = p
    while (q > from && order(rows, perm[q - 1], row) > 0) {
      perm[q] = perm[q - 1]
      q--
    }
    perm[q] = row
  }
}

/** Bottom-up merge sort of perm[from, to); `spare` has room at the same positions. */
function mergeSort(perm: Uint32Array, spare: Uint32Array, from: number, to: number, rows: Rows): void {
  for (let a = from; a < to; a += INSERTION_LIMIT) insertionSort(perm, a, Math.min(a + INSERTION_LIMIT, to), rows)
  for (let width = INSERTION_LIMIT; width < to - from; width *= 2) {
    for (let a = from; a + width < to; a += 2 * width) {
      mergeHalves(perm, spare, a, a + width, Math.min(a + 2 * width, to), rows)
    }
  }
}

function mergeHalves(
  perm: Uint32Array,
  spare: Uint32Array,
  from: number,
  middle: number,
  to: number,
  rows: Rows,
): void {
  if (order(rows, perm[middle - 1], perm[middle]) <= 0) return
  for (let p = from; p < middle; p++) spare[p] = perm[p]
  let a = from
  let b = middle
  let out = from
  while (a < middle && b < to) perm[out++] = order(rows, spare[a], perm[b]) <= 0 ? spare[a++] : perm[b++]
  while (a < middle) perm[out++] = spare[a++]
}
