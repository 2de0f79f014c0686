/** Session windows by definition: the times of each key in order, cut where a step is more than the gap. */
import type { Value } from '../../schema/types.js'
import type { SessionRel } from '../rel.js'
import { sumSaturated } from '../scalar/time-windows.js'
import type { Context } from './context.js'
import { addRow, type Entry, type Row, rowText, type ZSet } from './zset.js'

interface Member {
  readonly entry: Entry
  readonly at: bigint
}

export function interpretSession(rel: SessionRel, input: ZSet, context: Context): ZSet {
  const groups = new Map<string, Member[]>()
  for (const entry of input.values()) {
    const values = context.evaluateAll([...rel.keys, rel.at], entry.weight, entry.row)
    if (values === null) continue
    const key = rowText(values.slice(0, -1))
    const members = groups.get(key) ?? []
    groups.set(key, members)
    members.push({ entry, at: BigInt(values[values.length - 1] as number) })
  }
  const result: ZSet = new Map()
  // In lowered form, columns that are not passed on may stand behind.
  const width = rel.schema.columns.length - 2
  for (const members of groups.values()) {
    for (const { times, first, last } of sessionsOf(rel, members)) {
      const { type } = rel.at
      const window: Row = [sumSaturated(type, first, 0n), sumSaturated(type, last, rel.gap)] satisfies Value[]
      for (const { entry, at } of members) {
        if (times.has(at)) addRow(result, [...entry.row.slice(0, width), ...window], entry.weight)
      }
    }
  }
  return result
}

function sessionsOf(rel: SessionRel, members: readonly Member[]) {
  const weights = new Map<bigint, bigint>()
  for (const { at, entry } of members) weights.set(at, (weights.get(at) ?? 0n) + entry.weight)
  const present = [...weights].filter(([, weight]) => weight > 0n).map(([at]) => at)
  const sessions: { times: Set<bigint>; first: bigint; last: bigint }[] = []
  for (const at of present.sort((a, b) => (a < b ? -1 : 1))) {
    const session = sessions.at(-1)
    if (session === undefined || at - session.last > rel.gap) {
      sessions.push({ times: new Set([at]), first: at, last: at })
    } else {
      session.times.add(at)
      session.last = at
    }
  }
  return sessions
}
