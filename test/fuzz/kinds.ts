/**
 * Which operators a case has, as the generator names them: found in its circuits, views under
 * views included. What stands in the bodies of a recursive program is `recursive`.
 */
import { nodesOf } from '../../src/circuit/nodes.js'
import type { Rel } from '../../src/circuit/rel.js'
import { type Case, OPERATOR_KINDS, type OperatorKind } from '../../src/testing/index.js'

/** In how many cases each kind of operator stood. */
export class KindCounts {
  private readonly cases = new Map<OperatorKind, number>(OPERATOR_KINDS.map(kind => [kind, 0]))

  add({ views }: Case): void {
    const found = new Set<OperatorKind>()
    const seen = new Set<Rel>()
    for (const { rel } of views) collect(rel, found, seen)
    for (const kind of found) this.cases.set(kind, (this.cases.get(kind) ?? 0) + 1)
  }

  /** One line, the rarest first. */
  toString(): string {
    const rarestFirst = [...this.cases].sort(([, a], [, b]) => a - b)
    return rarestFirst.map(([kind, count]) => `${kind} ${count}`).join(', ')
  }
}

function collect(root: Rel, found: Set<OperatorKind>, seen: Set<Rel>): void {
  for (const rel of nodesOf(root)) {
    if (seen.has(rel)) continue
    seen.add(rel)
    const kind = kindOf(rel)
    if (kind !== null) found.add(kind)
    if (rel.kind === 'source' && rel.relation.kind === 'view') collect(rel.relation.rel, found, seen)
  }
}

function kindOf(rel: Rel): OperatorKind | null {
  switch (rel.kind) {
    case 'source':
      return rel.relation.kind === 'view' ? 'view' : null
    case 'join':
      return rel.type
    case 'set':
      return rel.op
    case 'aggregate':
      return rel.keys.length === 0 ? 'global' : 'aggregate'
    default:
      return OPERATOR_KINDS.find(kind => kind === rel.kind) ?? null
  }
}
