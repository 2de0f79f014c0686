/** Between databases and circuits: the changes of tables and views as streams, and streams written to tables. */
import { UsageError } from '../base/errors.js'
import type { Database } from '../engine/database.js'
import type { TableRef } from '../engine/transactions/reads.js'
import type { Circuit, GroupStream, Input } from './stream.js'
import { type ZSet, ZSets } from './zset.js'

/** What can be followed: a table or a view of a database. */
export interface Followed<R> {
  subscribe(
    subscriber: (delta: { readonly changes: readonly { readonly row: R; readonly weight: bigint }[] }) => void,
    options?: { readonly initial?: boolean },
  ): () => void
}

/**
 * The changes of a table or view, as Z-sets of `group`: a tick gets what was committed since the last one, the first what
 * is there. Its integral is the relation. `end` stops following.
 */
export function changesOf<R>(
  circuit: Circuit,
  relation: Followed<R>,
  group: ZSets<R, R>,
): { readonly stream: Input<ZSet<R>>; readonly end: () => void } {
  const stream = circuit.input<ZSet<R>>(group)
  const end = relation.subscribe(
    ({ changes }) => {
      // One addition for each weight, not for each row.
      const byWeight = new Map<bigint, R[]>()
      for (const { row, weight } of changes) {
        const rows = byWeight.get(weight)
        if (rows === undefined) byWeight.set(weight, [row])
        else rows.push(row)
      }
      for (const [weight, rows] of byWeight) stream.push(group.of(rows, weight))
    },
    { initial: true },
  )
  return { stream, end }
}

/** Writes what a stream of Z-sets has at the last tick to a table, as one transaction. */
export function writeTo<R, I>(db: Database, table: TableRef<R, I>, stream: GroupStream<ZSet<I>>): void {
  const { group, value } = stream
  if (!(group instanceof ZSets)) throw new UsageError('writeTo: expected a stream of Z-sets of `zsets(…)`')
  const entries = (group as ZSets<I>).entries(value)
  if (entries.length === 0) return
  db.transact(tx => {
    for (const { row, weight } of entries) tx.add(table, row, weight)
  })
}
