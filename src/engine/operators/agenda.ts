/** What a recursion has to look at, by iteration and variable: slots of rows, some of them several times. */
export class Agenda {
  /** Iterations with something to do, ascending. */
  private readonly clocks: number[] = []
  private readonly lists: Map<number, number[]>[]

  constructor(variables: number) {
    this.lists = Array.from({ length: variables }, () => new Map())
  }

  /** Enters a row of a variable. */
  add(variable: number, clock: number, slot: number): void {
    const list = this.lists[variable].get(clock)
    if (list !== undefined) list.push(slot)
    else {
      this.lists[variable].set(clock, [slot])
      this.enter(clock)
    }
  }

  private enter(clock: number): void {
    const { clocks } = this
    let low = 0
    let high = clocks.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (clocks[middle] < clock) low = middle + 1
      else high = middle
    }
    if (clocks[low] !== clock) clocks.splice(low, 0, clock)
  }

  /** The first iteration with something to do, or -1. */
  next(): number {
    return this.clocks[0] ?? -1
  }

  /** Takes out what is to be done for a variable in an iteration; null if nothing is. */
  take(variable: number, clock: number): number[] | null {
    const list = this.lists[variable].get(clock)
    if (list === undefined) return null
    this.lists[variable].delete(clock)
    return list
  }

  /** To be called when nothing is left to do in an iteration, the first. */
  done(clock: number): void {
    if (this.clocks[0] === clock) this.clocks.shift()
  }

  clear(): void {
    this.clocks.length = 0
    for (const lists of this.lists) if (lists.size > 0) lists.clear()
  }
}
