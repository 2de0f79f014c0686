/** What follows tables and views: the changes of an epoch go to their subscribers, and to open snapshots. */
import { type Entry, producerOf } from './registry.js'
import type { Tracked } from './transactions/history.js'

/** How the subscribers of a relation are served, and its changes recorded. */
export interface Follower extends Tracked {
  readonly entry: Entry
  capture(lsn: bigint): boolean
  /** Forgets what was captured. */
  discard(): void
  deliver(failures: unknown[]): void
}

export class Followers {
  all: Follower[] = []

  /** A table or view is followed, as its handle reads it now. */
  add(entry: Entry): void {
    const producer = producerOf(entry)
    const { relation } = entry.handle
    this.all.push({
      entry,
      relation,
      producer,
      kept: entry.kind === 'view' || !entry.definition.stream,
      capture: lsn => relation.capture(producer.delta(), lsn),
      discard: () => relation.discard(),
      deliver: failures => relation.deliver(failures),
    })
  }

  remove(entry: Entry): void {
    this.all = this.all.filter(f => f.entry !== entry)
  }

  /** Its handle reads it in another way from now on. */
  renew(entry: Entry): void {
    this.remove(entry)
    this.add(entry)
  }
}
