/** The rows of a table of the directory, as the part of a Z-set that is not in memory. */
import type { Tree } from '../../storage/tree.js'
import type { Batch } from '../../zset/batch.js'
import type { Cold } from '../../zset/cold.js'

export class TreeCold implements Cold {
  private countedAt = -1
  private rows = 0
  private bound = 0
  private bytes = 0

  constructor(private readonly tree: Tree) {}

  get version(): number {
    return this.tree.version
  }

  runs(): readonly Batch[] {
    return this.tree.runs()
  }

  runsAt(probe: Batch, p: number): readonly Batch[] {
    return this.tree.runsAt(probe, p)
  }

  get rowCount(): number {
    this.count()
    return this.rows
  }

  get weightBound(): number {
    this.count()
    return this.bound
  }

  get sizeBytes(): number {
    this.count()
    return this.bytes
  }

  get(probe: Batch, p: number, out: Batch): number {
    return this.tree.get(probe, p, out)
  }

  private count(): void {
    const { version, entries } = this.tree
    if (this.countedAt === version) return
    this.countedAt = version
    this.rows = 0
    this.bound = 0
    this.bytes = 0
    for (const { rowCount, weightBound, sizeBytes } of entries) {
      this.rows += rowCount
      this.bound += Number(weightBound)
      this.bytes += sizeBytes
    }
  }
}
