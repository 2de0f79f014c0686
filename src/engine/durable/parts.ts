/**
 * Which part of which operator's state lies in which table of the directory, and the moving of rows there.
 *
 * The table of a part is found by a name that says what the part is: a hash of the plan the operator computes, so that
 * after a restart a view finds its state exactly if it is still computed in the same way. Rows move from memory to shards
 * at checkpoints, and before that when memory runs short; either way they are part of the directory only with the next
 * manifest.
 */
import type { Layout } from '../../schema/schema.js'
import type { Storage } from '../../storage/storage.js'
import type { Tree } from '../../storage/tree.js'
import type { Kernels } from '../../zset/kernels.js'
import type { Fill } from '../../zset/widen.js'
import type { Operator } from '../operators/operator.js'
import type { SourceOperator } from '../operators/source.js'
import { type StatePart, TracePart } from '../state/part.js'
import { TreeCold } from './cold.js'

interface Bound {
  readonly part: StatePart
  readonly tree: Tree
}

export class Parts {
  private readonly bound = new Map<Operator, readonly Bound[]>()
  /** Operators that change places in the directory, and may be put back: nothing of them is moved meanwhile. */
  private readonly changing = new Set<Operator>()
  /** Views, and indexes, that went on from the state they had, and that began with nothing. */
  restored = 0
  begun = 0

  constructor(
    private readonly storage: Storage,
    private readonly kernelsOf: (layout: Layout) => Kernels,
  ) {}

  /** The rows of a table lie in `tree`; nowhere, if it is a stream. Returns the tree to use from now on. */
  bindTable(operator: SourceOperator, tree: Tree, layout: Layout): Tree {
    const own = this.storage.retype(tree, layout, tree.name)
    this.attach(
      operator,
      operator.parts().map(part => ({ part, tree: own })),
    )
    return own
  }

  /**
   * Binds the state of operators that were just made. If all of it is there, they continue from it, and true is returned;
   * else they begin with nothing, and what there was of it goes.
   */
  bindView(operators: readonly Operator[]): boolean {
    const wanted = operators.map(operator => ({
      operator,
      parts: operator.parts().map(part => ({ part, name: `~${operator.stateName()}/${part.name}` })),
    }))
    const found = wanted.every(({ parts }) => parts.every(({ part, name }) => this.find(part, name) !== null))
    for (const { operator, parts } of wanted) {
      const bound = parts.map(({ part, name }) => {
        if (!found) this.forget(name)
        return { part, tree: (found ? this.find(part, name) : null) ?? this.make(part, name) }
      })
      this.bind(operator, bound)
      if (found) operator.restored()
    }
    if (found) this.restored++
    else this.begun++
    return found
  }

  /** The table of that name, if its rows lie as those of the part. */
  private find(part: StatePart, name: string): Tree | null {
    const tree = this.storage.table(name)
    if (tree === undefined || !this.storage.fits(tree, renamed(part.layout, name))) return null
    return tree
  }

  private make(part: StatePart, name: string): Tree {
    return this.storage.createTable(renamed(part.layout, name), { kind: 'ephemeral', publish: false })
  }

  private forget(name: string): void {
    const tree = this.storage.table(name)
    if (tree !== undefined) this.storage.doom(tree)
  }

  private bind(operator: Operator, parts: readonly Bound[]): void {
    this.attach(
      operator,
      parts.map(({ part, tree }) => ({ part, tree: this.storage.retype(tree, part.layout, tree.name) })),
    )
  }

  private attach(operator: Operator, bound: readonly Bound[]): void {
    for (const { part, tree } of bound) part.attach(new TreeCold(tree), this.kernelsOf(part.layout))
    this.bound.set(operator, bound)
  }

  /** The rows of a table lie in another one from now on; its operator has new parts. Returns what undoes it. */
  rebind(operator: SourceOperator, tree: Tree): () => void {
    const before = this.bound.get(operator) ?? []
    this.changing.add(operator)
    this.attach(
      operator,
      operator.parts().map(part => ({ part, tree })),
    )
    return () => void this.bound.set(operator, before)
  }

  /**
   * An arrangement goes on with the rows of another one, which has fewer columns (`Storage.successor`); one of both is to
   * be called in the end. Throws IoError; then nothing has changed.
   */
  inherit(
    operator: Operator,
    from: Operator,
    columns: readonly number[],
    fills: readonly Fill[],
  ): { readonly undo: () => void; readonly finish: () => void } {
    const { storage, changing } = this
    changing.add(operator).add(from)
    const rows = (this.bound.get(from) ?? []).find(b => b.part instanceof TracePart)
    let finish = () => {}
    let undo = () => {}
    const bound = operator.parts().map(part => {
      const name = `~${operator.stateName()}/${part.name}`
      this.forget(name)
      const tree = this.make(part, name)
      if (rows === undefined || !(part instanceof TracePart))
        return { part, tree: storage.retype(tree, part.layout, name) }
      const wide = storage.successor(rows.tree, tree, part.layout, columns, fills, name)
      finish = () => storage.succeed(wide, rows.tree, tree)
      undo = () => {
        wide.close()
        storage.doom(tree)
      }
      return { part, tree: wide }
    })
    this.attach(operator, bound)
    operator.restored()
    this.restored++
    return { undo, finish }
  }

  /** What has changed places stays there. */
  settle(): void {
    this.changing.clear()
  }

  /** Operators were removed: their state goes with the next checkpoint. */
  release(operators: Iterable<Operator>): void {
    for (const operator of operators) {
      for (const { tree } of this.bound.get(operator) ?? []) this.storage.doom(tree)
      this.bound.delete(operator)
    }
  }

  /** Memory for state that is not in shards. */
  get hotBytes(): number {
    let bytes = 0
    for (const parts of this.bound.values()) for (const { part } of parts) bytes += part.hotBytes
    return bytes
  }

  /** Moves everything to shards. Throws IoError; then what was not moved is still in memory. */
  moveAll(minLsn: bigint, maxLsn: bigint): void {
    for (const parts of this.bound.values()) for (const { part, tree } of parts) move(part, tree, minLsn, maxLsn)
  }

  /** Moves the largest parts until no more than `limitBytes` are left. Throws like `moveAll`. */
  moveSome(limitBytes: number, minLsn: bigint, maxLsn: bigint): void {
    const movable = [...this.bound].flatMap(([operator, parts]) => (this.changing.has(operator) ? [] : parts))
    const all = movable.sort((a, b) => b.part.hotBytes - a.part.hotBytes)
    let left = this.hotBytes
    for (const { part, tree } of all) {
      if (left <= limitBytes) return
      const before = part.hotBytes
      move(part, tree, minLsn, maxLsn)
      part.relieve()
      left -= before - part.hotBytes
    }
  }

  /** Every table of the directory that some part lies in. */
  get trees(): Set<Tree> {
    return new Set([...this.bound.values()].flat().map(b => b.tree))
  }
}

function move(part: StatePart, tree: Tree, minLsn: bigint, maxLsn: bigint): void {
  const rows = part.takeHot()
  if (rows === null) return
  try {
    tree.absorb(rows, minLsn, maxLsn)
  } catch (error) {
    part.putBack(rows)
    throw error
  }
  part.settled()
}

/** Tables of a directory go by the names of their schemas. */
function renamed(layout: Layout, name: string): Layout {
  return { ...layout, schema: { ...layout.schema, name } }
}
