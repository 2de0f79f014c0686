/**
 * Is a history of transactions serialisable? In the manner of Elle (Kingsbury and Alvaro, 2020): every write has a value
 * of its own, so that a read tells whose write it saw; from what was read and the order of the versions of each key
 * follow dependencies between transactions,
 *
 *     ww  wrote the version before      wr  wrote what the other read      rw  read what the other replaced
 *
 * and, with those of real time (rt: had ended before the other began), they must have no cycle (Adya, 1999). A range
 * is read as every key in it, those that are not there included; so phantoms are rw dependencies like others.
 */

/** A read or write of one key; `value` is null where there is no row. */
export type Op =
  | { readonly kind: 'read'; readonly key: number; readonly value: string | null; readonly committed?: boolean }
  | { readonly kind: 'write'; readonly key: number; readonly value: string | null }

/** A read is `committed` if it does not see what its own transaction has written. */
export interface Recorded {
  readonly id: string
  readonly ops: readonly Op[]
  /** The order of commits: of versions of one key; null if it was given up, or has written nothing. */
  readonly lsn: number | null
  readonly aborted: boolean
  /** When it began and when it had ended: any clock. */
  readonly began: number
  readonly ended: number
}

interface Version {
  readonly writer: Recorded | null
  readonly value: string | null
}

interface Edge {
  readonly to: Recorded
  readonly why: string
}

/** What is wrong with a history, in words; nothing if it is strictly serialisable. */
export function anomalies(history: readonly Recorded[]): string[] {
  const checker = new Checker(history)
  checker.run()
  return checker.found
}

class Checker {
  readonly found: string[] = []
  private readonly versions = new Map<number, Version[]>()
  private readonly edges = new Map<Recorded, Edge[]>()
  private readonly committed: readonly Recorded[]

  constructor(private readonly history: readonly Recorded[]) {
    this.committed = history.filter(t => !t.aborted)
    for (const t of this.committed) this.edges.set(t, [])
  }

  run(): void {
    this.orderVersions()
    for (const t of this.committed) this.read(t)
    for (const list of this.versions.values()) {
      for (let v = 1; v < list.length; v++) this.edge(list[v - 1].writer, list[v].writer, `ww ${list[v].value}`)
    }
    for (const a of this.committed) for (const b of this.committed) if (a.ended < b.began) this.edge(a, b, 'rt')
    const cycle = this.cycle()
    if (cycle !== null) this.found.push(`cycle: ${cycle}`)
  }

  private orderVersions(): void {
    const writers = this.committed.filter(t => t.lsn !== null).sort((a, b) => Number(a.lsn) - Number(b.lsn))
    for (const t of writers) for (const [key, value] of finalWrites(t)) this.of(key).push({ writer: t, value })
  }

  /** The versions of a key, the state before all transactions first. */
  private of(key: number): Version[] {
    let list = this.versions.get(key)
    if (list === undefined) {
      list = [{ writer: null, value: null }]
      this.versions.set(key, list)
    }
    return list
  }

  private edge(from: Recorded | null, to: Recorded | null, why: string): void {
    if (from !== null && to !== null && from !== to) this.edges.get(from)?.push({ to, why })
  }

  private read(t: Recorded): void {
    const own = new Map<number, string | null>()
    for (const op of t.ops) {
      if (op.kind === 'write') own.set(op.key, op.value)
      else if (own.has(op.key) && op.committed !== true) {
        if (own.get(op.key) !== op.value)
          this.found.push(`${t.id} does not see its own write of ${op.key}: ${op.value}`)
      } else this.readCommitted(t, op.key, op.value)
    }
  }

  private readCommitted(t: Recorded, key: number, value: string | null): void {
    const list = this.of(key)
    const at = this.versionOf(t, list, value)
    if (at >= 0) {
      this.edge(list[at].writer, t, `wr ${key}`)
      if (at + 1 < list.length) this.edge(t, list[at + 1].writer, `rw ${key}`)
      return
    }
    const writer = this.history.find(w => w.ops.some(op => op.kind === 'write' && op.key === key && op.value === value))
    const what =
      writer === undefined ? 'nobody wrote' : writer.aborted ? `${writer.id} gave up` : `${writer.id} replaced`
    this.found.push(`${t.id} read ${value} of ${key}, which ${what}`)
  }

  /**
   * The position of what was read. No row may stand for several versions: then it is the last one before the first that
   * was written after the reader began; any other would be older still.
   */
  private versionOf(t: Recorded, list: readonly Version[], value: string | null): number {
    if (value !== null) return list.findIndex(v => v.value === value)
    let last = -1
    for (const [at, version] of list.entries()) {
      if (version.value === null && (at === 0 || (version.writer?.ended ?? 0) < t.began)) last = at
    }
    return last
  }

  /** A cycle of dependencies as text, or null. */
  private cycle(): string | null {
    const done = new Set<Recorded>()
    const path: { node: Recorded; why: string }[] = []
    const visit = (node: Recorded, why: string): string | null => {
      const at = path.findIndex(p => p.node === node)
      if (at >= 0)
        return [...path.slice(at + 1), { node, why }].reduce((s, p) => `${s} -${p.why}-> ${p.node.id}`, node.id)
      if (done.has(node)) return null
      path.push({ node, why })
      for (const edge of this.edges.get(node) ?? []) {
        const found = visit(edge.to, edge.why)
        if (found !== null) return found
      }
      path.pop()
      done.add(node)
      return null
    }
    for (const t of this.committed) {
      const found = visit(t, '')
      if (found !== null) return found
    }
    return null
  }
}

/** What a transaction left of each key that it wrote. */
function finalWrites(t: Recorded): Map<number, string | null> {
  const writes = new Map<number, string | null>()
  for (const op of t.ops) if (op.kind === 'write') writes.set(op.key, op.value)
  return writes
}
