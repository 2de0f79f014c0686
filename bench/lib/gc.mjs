// Counts minor collections (scavenges) inside given spans of time.
// Node reports a collection some turns of the event loop later, with the time
// at which it began; that time is what decides whether it is counted.
import { constants, PerformanceObserver } from 'node:perf_hooks'

export class GcCounter {
  #minors = []
  #observer

  constructor() {
    this.#observer = new PerformanceObserver(list => {
      for (const e of list.getEntries()) {
        if (e.detail.kind === constants.NODE_PERFORMANCE_GC_MINOR) this.#minors.push(e.startTime)
      }
    })
    this.#observer.observe({ entryTypes: ['gc'] })
  }

  /** Scavenges that began in one of `spans`, ascending pairs [from, to] of performance.now(). */
  async minors(spans) {
    await new Promise(resolve => setTimeout(resolve, 5))
    return this.#minors.filter(t => inside(spans, t)).length
  }

  close() {
    this.#observer.disconnect()
  }
}

function inside(spans, t) {
  let low = 0
  let high = spans.length
  while (low < high) {
    const mid = (low + high) >> 1
    if (spans[mid][1] < t) low = mid + 1
    else high = mid
  }
  return low < spans.length && spans[low][0] <= t
}
