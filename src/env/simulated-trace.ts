/** The last operations of a simulation, as lines that can be read. */
interface TraceEntry {
  readonly number: number
  readonly verb: string
  readonly path: string
  readonly detail: string
  /** The fault or error that struck it, or null. */
  outcome: string | null
}

/** Older operations are forgotten. */
const KEPT = 400

export class Trace {
  private readonly entries: TraceEntry[] = []

  add(number: number, verb: string, path: string, detail: string): TraceEntry {
    const entry: TraceEntry = { number, verb, path, detail, outcome: null }
    if (this.entries.push(entry) >= 2 * KEPT) this.entries.splice(0, KEPT)
    return entry
  }

  text(last = 40): string {
    return this.entries
      .slice(-last)
      .map(({ number, verb, path, detail, outcome }) => {
        const words = [`#${number}`, verb, path, detail, outcome === null ? '' : `→ ${outcome}`]
        return words.filter(word => word !== '').join(' ')
      })
      .join('\n')
  }
}
