/**
 * Running epochs: the operators with work to do, in order; then all of them commit, or, if one throws, all of them
 * abort.
 */
import type { Cutter } from './bounded.js'
import type { Operator } from './operators/operator.js'

/** Epochs of fewer rows than this are timed one in SAMPLE times: the clock is not free. */
const TIMED_ROWS = 64
const SAMPLE = 64

/** Who is told of an epoch before it is committed. */
export interface Observer {
  published(lsn: bigint): void
}

export class Scheduler {
  /** Producers before consumers. */
  private operators: Operator[] = []
  /** Operators that ran in this epoch: the first `ranCount`. */
  private readonly ran: Operator[] = []
  private ranCount = 0
  /** Of the operators whose state is cut off. */
  cutters: readonly Cutter[] = []
  private nextId = 1
  private epochs = 0

  add(operators: readonly Operator[]): void {
    for (const operator of operators) {
      for (const member of operator.members()) member.id = this.nextId++
      operator.id = this.nextId++
      this.operators.push(operator)
    }
    this.listCutters()
  }

  private listCutters(): void {
    this.cutters = this.operators.flatMap(o => o.cutter ?? [])
  }

  remove(operators: ReadonlySet<Operator>): void {
    this.operators = this.operators.filter(o => !operators.has(o))
    for (const operator of this.operators) removeAll(operator.consumers, operators)
    this.ran.length = 0
    this.listCutters()
  }

  list(): readonly Operator[] {
    return this.operators
  }

  /**
   * Runs all dirty operators; `rows` is the size of the epoch's input. `observer.published` is called when every step has
   * succeeded, before anything is committed: deltas can still be read. If a step or it throws, nothing has happened, and
   * the error is passed on.
   */
  run(rows: number, observer: Observer, lsn: bigint): void {
    if (rows >= TIMED_ROWS) this.steps(this.operators, 1)
    else this.steps(this.operators, this.epochs++ % SAMPLE === 0 ? SAMPLE : 0)
    try {
      observer.published(lsn)
    } catch (error) {
      this.abort()
      throw error
    }
    this.commit()
  }

  private commit(): void {
    const { ran } = this
    for (let r = 0; r < this.ranCount; r++) ran[r].commit()
    this.ranCount = 0
  }

  /** `scale` is 0 if the steps are not timed. */
  private steps(operators: readonly Operator[], scale: number): void {
    try {
      for (let o = 0; o < operators.length; o++) {
        const operator = operators[o]
        if (!operator.dirty) continue
        operator.dirty = false
        this.ran[this.ranCount++] = operator
        if (scale === 0) operator.step()
        else operator.timed(scale)
      }
    } catch (error) {
      this.abort()
      throw error
    }
  }

  /** Makes operators forget what they were offered or have computed: the epoch will not be, or has failed. */
  abort(): void {
    for (const operator of this.operators) {
      if (!operator.dirty) continue
      // A table whose rows were not looked at yet forgets them too.
      operator.dirty = false
      operator.abort()
    }
    for (let r = 0; r < this.ranCount; r++) this.ran[r].abort()
    this.ranCount = 0
  }

  /** One epoch of new operators alone: how a view catches up with loaded tables. */
  runOnly(operators: readonly Operator[]): void {
    for (const operator of operators) operator.dirty = true
    this.steps(operators, 1)
    this.commit()
  }
}

function removeAll(list: Operator[], gone: ReadonlySet<Operator>): void {
  for (let i = list.length - 1; i >= 0; i--) if (gone.has(list[i])) list.splice(i, 1)
}

/** All operators that `root` depends on and itself, producers first. */
export function upstream(root: Operator, stop: (operator: Operator) => boolean = () => false): Operator[] {
  const seen = new Set<Operator>()
  const order: Operator[] = []
  const visit = (operator: Operator): void => {
    if (seen.has(operator)) return
    seen.add(operator)
    if (operator !== root && stop(operator)) return
    for (const input of operator.inputs()) visit(input)
    order.push(operator)
  }
  visit(root)
  return order
}
