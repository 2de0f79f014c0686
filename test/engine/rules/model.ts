/**
 * Constraints in the plainest way: tables are maps of rows, every constraint is looked at as a whole after every
 * transaction, and referential actions are repeated until nothing changes. Shares nothing with the engine.
 */
import type { Value } from '../../../src/index.js'
import type { AnyRow } from '../support.js'

export interface ModelUnique {
  readonly kind: 'unique'
  readonly columns: readonly string[]
  readonly nullsNotDistinct: boolean
}
export interface ModelCheck {
  readonly kind: 'check'
  readonly holds: (row: AnyRow) => boolean
}
export interface ModelKey {
  readonly kind: 'foreignKey'
  readonly columns: readonly string[]
  readonly parent: number
  readonly parentColumns: readonly string[]
  readonly onDelete: 'restrict' | 'cascade' | 'setNull'
  readonly onUpdate: 'restrict' | 'cascade' | 'setNull'
}
export interface ModelTable {
  readonly primaryKey: readonly string[]
  readonly isUnique: boolean
  readonly uniques: ModelUnique[]
  readonly checks: ModelCheck[]
  readonly keys: ModelKey[]
}

export interface Weighted {
  readonly row: AnyRow
  weight: number
}
export type State = Map<string, Weighted>

const cellText = (v: Value): string => (v === null ? 'null' : `${typeof v}:${String(v)}`)
export const rowKey = (row: AnyRow): string => Object.values(row).map(cellText).join('|')
const keyText = (row: AnyRow, columns: readonly string[]): string | null =>
  columns.some(c => row[c] === null) ? null : columns.map(c => cellText(row[c])).join('|')

export function addTo(state: State, row: AnyRow, weight: number): void {
  const text = rowKey(row)
  const old = state.get(text)
  const sum = (old?.weight ?? 0) + weight
  if (sum === 0) state.delete(text)
  else state.set(text, { row, weight: sum })
}

const copy = (state: State): State => new Map([...state].map(([k, v]) => [k, { ...v }]))

function counts(state: State, columns: readonly string[]): Map<string, number> {
  const found = new Map<string, number>()
  for (const { row, weight } of state.values()) {
    const key = keyText(row, columns)
    if (key !== null) found.set(key, (found.get(key) ?? 0) + weight)
  }
  return found
}

export class Model {
  states: State[]

  constructor(readonly tables: readonly ModelTable[]) {
    this.states = tables.map(() => new Map())
  }

  /** Applies a transaction; returns what it breaks, and changes nothing then. */
  apply(writes: readonly { table: number; row: AnyRow; weight: number }[]): string | null {
    const after = this.states.map(copy)
    for (const { table, row, weight } of writes) addTo(after[table], row, weight)
    this.act(after)
    const broken = this.broken(after)
    if (broken === null) this.states = after
    return broken
  }

  private get allKeys(): { child: number; key: ModelKey }[] {
    return this.tables.flatMap((t, child) => t.keys.map(key => ({ child, key })))
  }

  /** Referential actions, to a fixed point. */
  private act(states: State[]): void {
    const keys = this.allKeys
    const lost = new Map(keys.map(({ key }) => [key, new Set<string>()]))
    const moves: (readonly [AnyRow, AnyRow])[][] = this.tables.map(() => [])
    const noteLost = (table: number, before: State, after: State) => {
      for (const { key } of keys) {
        if (key.parent !== table) continue
        const now = counts(after, key.parentColumns)
        for (const [text, count] of counts(before, key.parentColumns)) {
          if (count > 0 && (now.get(text) ?? 0) <= 0) lost.get(key)?.add(text)
        }
      }
    }
    this.tables.forEach((table, t) => {
      noteLost(t, this.states[t], states[t])
      if (!table.isUnique) return
      for (const old of this.states[t].values()) {
        if (states[t].has(rowKey(old.row))) continue
        const pk = keyText(old.row, table.primaryKey)
        for (const now of states[t].values()) {
          if (!this.states[t].has(rowKey(now.row)) && keyText(now.row, table.primaryKey) === pk)
            moves[t].push([old.row, now.row])
        }
      }
    })
    for (let changed = true; changed; ) {
      changed = false
      for (const { child, key } of keys) {
        for (const text of lost.get(key) ?? []) {
          if ((counts(states[key.parent], key.parentColumns).get(text) ?? 0) > 0) continue
          const next = successor(states[key.parent], key, text, moves[key.parent])
          const fate = next === null ? key.onDelete : key.onUpdate
          if (fate === 'restrict') continue
          const rows = [...states[child].values()].filter(({ row }) => keyText(row, key.columns) === text)
          if (rows.length === 0) continue
          const before = copy(states[child])
          for (const { row, weight } of rows) {
            addTo(states[child], row, -weight)
            if (fate === 'cascade' && next === null) continue
            const now = { ...row }
            key.columns.forEach((c, n) => {
              now[c] = fate === 'setNull' || next === null ? null : next[key.parentColumns[n]]
            })
            addTo(states[child], now, weight)
            moves[child].push([row, now])
          }
          noteLost(child, before, states[child])
          changed = true
        }
      }
    }
  }

  private broken(states: State[]): string | null {
    for (const [t, table] of this.tables.entries()) {
      const rows = [...states[t].values()]
      for (const check of table.checks) {
        for (const { row, weight } of rows) {
          const before = this.states[t].get(rowKey(row))?.weight ?? 0
          if (weight > before && !check.holds(row)) return `check ${t}`
        }
        // What was owed and is given back is an insertion too.
        for (const { row, weight } of this.states[t].values()) {
          if (weight < 0 && (states[t].get(rowKey(row))?.weight ?? 0) > weight && !check.holds(row)) return `check ${t}`
        }
      }
      const uniques: ModelUnique[] = [...table.uniques]
      if (table.isUnique) uniques.push({ kind: 'unique', columns: table.primaryKey, nullsNotDistinct: false })
      for (const unique of uniques) if (!isUnique(rows, unique)) return `unique ${t} ${unique.columns}`
    }
    for (const { child, key } of this.allKeys) {
      const parents = counts(states[key.parent], key.parentColumns)
      for (const [text, count] of counts(states[child], key.columns)) {
        if (count > 0 && (parents.get(text) ?? 0) <= 0) return `foreign key ${child} ${key.columns}`
      }
    }
    return null
  }
}

function isUnique(rows: readonly Weighted[], { columns, nullsNotDistinct }: ModelUnique): boolean {
  const seen = new Set<string>()
  for (const { row, weight } of rows) {
    if (!nullsNotDistinct && columns.some(c => row[c] === null)) continue
    const text = columns.map(c => cellText(row[c])).join('|')
    if (weight !== 1 || seen.has(text)) return false
    seen.add(text)
  }
  return true
}

function successor(
  parents: State,
  key: ModelKey,
  text: string,
  moves: readonly (readonly [AnyRow, AnyRow])[],
): AnyRow | null {
  const there = counts(parents, key.parentColumns)
  const next = new Map<string, AnyRow>()
  for (const [old, now] of moves) {
    const [from, to] = [keyText(old, key.parentColumns), keyText(now, key.parentColumns)]
    if (from !== null && from !== to) next.set(from, now)
  }
  const seen = new Set<string>()
  for (let at = text; !seen.has(at); ) {
    seen.add(at)
    const row = next.get(at)
    if (row === undefined) return null
    const to = keyText(row, key.parentColumns)
    if (to === null) return null
    if ((there.get(to) ?? 0) > 0) return row
    at = to
  }
  return null
}
