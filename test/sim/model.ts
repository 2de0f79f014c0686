/**
 * The model of a directory: every table that ever was, and every transaction with its fate. The state at an LSN is the
 * sum of the transactions up to it.
 */
import type { TableEntry, TableId } from '../../src/storage/types.js'
import { addTo, type Universe, universeOf, type Weights } from './tables.js'

export interface TableModel {
  readonly name: string
  readonly shape: number
  readonly kind: TableEntry['kind']
  readonly nonNegative: boolean
  readonly universe: Universe
  /** Tables made by a call that failed may have any; the number settles which is which after a crash. */
  readonly tableId: TableId
  /** What readers see now. */
  visible: Weights
  /** `maybe`: a call that makes or drops it has failed on the way. */
  state: 'there' | 'maybe' | 'gone'
}

/**
 * `open`: not told yet. `acknowledged`: told that it is as durable as the mode says. `refused`: taken back, never to
 * come again. `unknown`: the log failed meanwhile.
 */
export type Fate = 'open' | 'acknowledged' | 'refused' | 'unknown'

export interface Transaction {
  readonly lsn: bigint
  /** Those of operator state go when a recovery drops them. */
  changes: { readonly table: TableModel; readonly delta: Weights }[]
  fate: Fate
  /** It must be there after any crash, whatever the mode. */
  durable: boolean
}

export class Model {
  tables: TableModel[] = []
  transactions: Transaction[] = []

  newTable(
    tableId: TableId,
    name: string,
    shape: number,
    kind: TableEntry['kind'],
    nonNegative: boolean,
    state: TableModel['state'],
  ): TableModel {
    const universe = universeOf(name, shape)
    const table: TableModel = { tableId, name, shape, kind, nonNegative, universe, visible: new Map(), state }
    this.tables.push(table)
    return table
  }

  /** Tables that can be used. */
  get live(): TableModel[] {
    return this.tables.filter(t => t.state === 'there')
  }

  add(transaction: Transaction): void {
    this.transactions.push(transaction)
    for (const { table, delta } of transaction.changes) addTo(table.visible, delta)
  }

  /** A transaction that was made visible is taken back. */
  takeBack(transaction: Transaction): void {
    for (const { table, delta } of transaction.changes) addTo(table.visible, delta, -1n)
  }

  stateAt(table: TableModel, lsn: bigint): Weights {
    const weights: Weights = new Map()
    for (const transaction of this.transactions) {
      if (transaction.lsn > lsn || transaction.fate === 'refused') continue
      for (const change of transaction.changes) if (change.table === table) addTo(weights, change.delta)
    }
    return weights
  }

  /** Everything up to now is durable. */
  settle(): void {
    for (const t of this.transactions) if (t.fate === 'open' || t.fate === 'acknowledged') t.durable = true
  }

  /** After a recovery: transactions after `lsn` are gone for good, and of operator state those after `flushed`. */
  truncate(lsn: bigint, flushed: bigint): void {
    this.transactions = this.transactions.filter(t => t.lsn <= lsn && t.fate !== 'refused')
    for (const t of this.transactions) {
      t.fate = 'acknowledged'
      t.durable = true
      if (t.lsn > flushed) t.changes = t.changes.filter(({ table }) => table.kind === 'durable')
    }
    for (const table of this.tables) table.visible = this.stateAt(table, lsn)
  }
}

/** Does a transaction leave a trace in the log? */
export function isLogged({ changes }: Transaction): boolean {
  return changes.some(({ table }) => table.kind === 'durable')
}
