/** A clock that goes only when told to. */
interface Timer {
  readonly dueMs: number
  readonly callback: () => void
}

export class SimulatedClock {
  private timers: Timer[] = []

  constructor(public nowMs: number) {}

  after(milliseconds: number, callback: () => void): () => void {
    const timer: Timer = { dueMs: this.nowMs + Math.max(0, milliseconds), callback }
    this.timers.push(timer)
    return () => {
      this.timers = this.timers.filter(other => other !== timer)
    }
  }

  /** Calls what falls due, earliest first and at its time; also what the callbacks themselves set up. */
  advance(milliseconds: number): void {
    const endMs = this.nowMs + milliseconds
    for (;;) {
      let first: Timer | null = null
      for (const timer of this.timers) if (first === null || timer.dueMs < first.dueMs) first = timer
      if (first === null || first.dueMs > endMs) break
      const next = first
      this.timers = this.timers.filter(timer => timer !== next)
      this.nowMs = Math.max(this.nowMs, next.dueMs)
      next.callback()
    }
    this.nowMs = Math.max(this.nowMs, endMs)
  }
}
