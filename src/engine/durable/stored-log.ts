/** The log of a directory as a source of what tables were: their changes, as far back as the log is kept (`retain`). */
import { readRow } from '../../../codegen/expr/plain.js'
import { GnitzError, quote, UsageError } from '../../base/errors.js'
import type { TableDefinition } from '../../circuit/rel.js'
import type { Storage } from '../../storage/storage.js'
import type { WalGroup } from '../../storage/wal/groups.js'
import type { Delta } from '../operators/operator.js'
import type { Registry, TableEntry } from '../registry.js'
import type { DeltaLog, PastState } from '../transactions/past.js'
import { CATALOG } from './catalog.js'

export class StoredLog implements DeltaLog {
  constructor(
    private readonly storage: Storage,
    private readonly registry: Registry,
  ) {}

  get start(): PastState {
    // What is refused only now is not in the present either.
    this.storage.writeLog()
    return this.storage.logStart
  }

  lsnAt(time: bigint): bigint | null {
    const { storage } = this
    if (time > storage.now || this.start.time === null) return null
    const near = storage.logStartBefore(time)
    if (near === null) return null
    let { lsn } = near
    for (const group of storage.readLog(near.lsn, () => false)) {
      if (group.time === null || group.time > time) break
      lsn = group.lsn
    }
    return lsn
  }

  hold(lsn: bigint): () => void {
    return this.storage.holdLog(lsn)
  }

  *deltas(table: TableDefinition, after: bigint, upTo: bigint): Generator<Delta> {
    const entry = this.entryOf(table)
    const catalog = this.entryOf(CATALOG.tables)
    const [own, definitions] = [entry, catalog].map(({ tree }) => tree?.tableId)
    const wants = (tableId: number) => tableId === own || (tableId === definitions && !entry.isSystem)
    for (const group of this.storage.readLog(after, wants)) {
      if (group.lsn > upTo) return
      for (const { tableId, batch } of group.parts) {
        if (tableId === own) yield { batch, from: 0, to: batch.length }
        else mustGoOn(entry, group, after)
      }
    }
  }

  private entryOf(table: TableDefinition): TableEntry {
    const entry = this.registry.find(table)
    if (entry?.kind === 'table') return entry
    throw new GnitzError('INTERNAL', `table ${quote(table.schema.name)} is not there`)
  }
}

/** Throws UsageError if a transaction made the table, or another one of it: before, it was not what it is. */
function mustGoOn({ id, tree, name }: TableEntry, { lsn, parts }: WalGroup, after: bigint): void {
  const stores = new Map<boolean, unknown>()
  for (const { tableId, batch } of parts) {
    if (tableId === tree?.tableId) continue
    for (let i = 0; i < batch.length; i++) {
      const [rowId, , store] = readRow(batch, i)
      if (rowId === id) stores.set(batch.weights[i] > 0n, store)
    }
  }
  if (!stores.has(true) || stores.get(true) === stores.get(false)) return
  const what = stores.has(false) ? 'altered' : 'created'
  throw new UsageError(
    `table ${quote(name)} was ${what} by transaction ${lsn}; a snapshot of transaction ${after} cannot show it`,
  )
}
