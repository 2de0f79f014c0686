/**
 * The best among rows of several runs, by an order of an aggregate, for frames that begin or end with the partition. What a run
 * holds need not be there: another may take it back. So each run offers its best row, which is looked up in all of them;
 * a row that is not there is passed over from then on, until a step changes it.
 */
import type { Batch } from '../../../zset/batch.js'
import type { Kernels } from '../../../zset/kernels.js'
import { lowerRow } from '../../../zset/rank.js'
import { HEAD_ROWS } from '../../../zset/trace.js'
import type { Preference } from './preference.js'
import { weightOf } from './run-totals.js'

/** Rows of runs: from..to of each. */
export interface Pieces {
  readonly runs: readonly Batch[]
  readonly from: readonly number[]
  readonly to: readonly number[]
}

export interface FoundRow {
  readonly run: Batch
  readonly row: number
}

const FAN = 64

/** The best rows of blocks of a run, of blocks of blocks, and so on; -1 where a block has none. */
interface Tree {
  readonly levels: Int32Array[]
  readonly passed: Set<number>
}

export class RunExtremes {
  private readonly trees = new WeakMap<Batch, Tree>()

  constructor(
    private readonly kernels: Kernels,
    /** Over the rows of the runs, in which its columns are stored. */
    private readonly preference: Preference,
  ) {}

  /** Whether two rows are equally good; null: no row. */
  same(a: FoundRow | null, b: FoundRow | null): boolean {
    if (a === null || b === null) return a === b
    return this.preference.compare(a.run, a.row, b.run, b.row) === 0
  }

  /** The best row of the pieces that is there, over all `runs`; null for none. `lasting`: what is not there stays so. */
  best({ runs, from, to }: Pieces, all: readonly Batch[], lasting: boolean): FoundRow | null {
    const passed: FoundRow[] = []
    const offers = runs.map((run, r) => this.bestOf(run, from[r], to[r]))
    let found: FoundRow | null = null
    for (;;) {
      let r = -1
      for (let o = 0; o < offers.length; o++) {
        if (offers[o] < 0) continue
        if (r < 0 || this.preference.compare(runs[o], offers[o], runs[r], offers[r]) < 0) r = o
      }
      if (r < 0) break
      if (this.isThere(runs[r], offers[r], all)) {
        found = { run: runs[r], row: offers[r] }
        break
      }
      passed.push({ run: runs[r], row: offers[r] })
      this.pass(runs[r], offers[r])
      offers[r] = this.bestOf(runs[r], from[r], to[r])
    }
    for (const { run, row } of passed) if (!lasting || run.length <= HEAD_ROWS) this.restore(run, row)
    return found
  }

  private isThere(run: Batch, row: number, all: readonly Batch[]): boolean {
    let weight = 0
    for (const other of all) {
      const at = other === run ? row : lowerRow(this.kernels, other, 0, other.length, run, row)
      if (at < other.length && (other === run || this.kernels.compareRows(other, at, run, row) === 0)) {
        weight += weightOf(other, at)
      }
    }
    return weight > 0
  }

  /** To be called for each row that a step changes, at its end: a row that was not there may come back. */
  touch(runs: readonly Batch[], delta: Batch, row: number): void {
    for (const run of runs) {
      const tree = this.trees.get(run)
      if (tree === undefined || tree.passed.size === 0) continue
      const at = lowerRow(this.kernels, run, 0, run.length, delta, row)
      if (at < run.length && this.kernels.compareRows(run, at, delta, row) === 0) this.restore(run, at)
    }
  }

  private pass(run: Batch, row: number): void {
    const tree = this.treeOf(run)
    tree.passed.add(row)
    this.refresh(run, tree, row)
  }

  private restore(run: Batch, row: number): void {
    const tree = this.treeOf(run)
    if (tree.passed.delete(row)) this.refresh(run, tree, row)
  }

  private treeOf(run: Batch): Tree {
    let tree = this.trees.get(run)
    if (tree === undefined) {
      tree = { levels: [], passed: new Set() }
      this.trees.set(run, tree)
      // A short run may be a trace's head, which changes: its rows are looked at one by one.
      for (let width = run.length; width > HEAD_ROWS; ) {
        const below = tree.levels.length
        width = Math.ceil(width / FAN)
        const level = new Int32Array(width)
        tree.levels.push(level)
        for (let b = 0; b < width; b++) level[b] = this.bestBelow(run, tree, below, b * FAN, (b + 1) * FAN)
      }
    }
    return tree
  }

  private refresh(run: Batch, { levels, passed }: Tree, row: number): void {
    let at = row
    for (let l = 0; l < levels.length; l++) {
      at = Math.floor(at / FAN)
      levels[l][at] = this.bestBelow(run, { levels, passed }, l, at * FAN, (at + 1) * FAN)
    }
  }

  /** The best of entries from..to below level `level`: rows, or blocks of the level below. */
  private bestBelow(run: Batch, { levels, passed }: Tree, level: number, from: number, to: number): number {
    const end = Math.min(to, level === 0 ? run.length : levels[level - 1].length)
    let best = -1
    for (let e = from; e < end; e++) {
      const row = level === 0 ? (passed.has(e) || !this.preference.takes(run, e) ? -1 : e) : levels[level - 1][e]
      best = this.better(run, best, row)
    }
    return best
  }

  private better(run: Batch, a: number, b: number): number {
    if (a < 0) return b
    if (b < 0) return a
    return this.preference.compare(run, a, run, b) <= 0 ? a : b
  }

  private bestOf(run: Batch, from: number, to: number): number {
    const tree = this.treeOf(run)
    let best = -1
    let [low, high] = [from, to]
    for (let level = 0; low < high; level++) {
      const whole = level < tree.levels.length
      const begin = whole ? Math.ceil(low / FAN) : high
      const end = whole ? Math.floor(high / FAN) : high
      if (!whole || begin >= end) return this.better(run, best, this.bestBelow(run, tree, level, low, high))
      best = this.better(run, best, this.bestBelow(run, tree, level, low, begin * FAN))
      best = this.better(run, best, this.bestBelow(run, tree, level, end * FAN, high))
      low = begin
      high = end
    }
    return best
  }
}
