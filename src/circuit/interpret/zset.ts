/**
 * Z-sets as the oracle holds them: a Map from the text of a row to the row and its weight, which is never 0 and
 * not bounded. Slow, obvious, and shared by nothing that is compiled.
 */
import type { Value } from '../../schema/types.js'

export type Row = readonly Value[]

export interface Entry {
  readonly row: Row
  weight: bigint
}

export type ZSet = Map<string, Entry>

/** Text that two rows of one schema share exactly if they are the same row. REQUIRES: canonical values. */
export const rowText = (row: Row): string => row.map(valueText).join(', ')

/** A value as a literal: `null`, `-1.5`, `7n`, `"text"`, `x'00ff'`. */
export function valueText(value: Value): string {
  if (typeof value === 'bigint') return `${value}n`
  if (typeof value === 'string') return JSON.stringify(value)
  if (value instanceof Uint8Array) return `x'${Array.from(value, b => b.toString(16).padStart(2, '0')).join('')}'`
  return String(value)
}

/** Adds `weight` to the row's weight; the row goes when that gives 0. */
export function addRow(zset: ZSet, row: Row, weight: bigint): void {
  if (weight === 0n) return
  const text = rowText(row)
  const entry = zset.get(text)
  if (entry === undefined) zset.set(text, { row, weight })
  else if (entry.weight + weight === 0n) zset.delete(text)
  else entry.weight += weight
}

/** Adds `factor` times `other` to `zset`. */
export function addZSet(zset: ZSet, other: ZSet, factor = 1n): void {
  for (const { row, weight } of other.values()) addRow(zset, row, weight * factor)
}

export function zsetOf(entries: Iterable<{ readonly row: Row; readonly weight: bigint }>): ZSet {
  const zset: ZSet = new Map()
  for (const { row, weight } of entries) addRow(zset, row, weight)
  return zset
}

export const weightOf = (zset: ZSet, row: Row): bigint => zset.get(rowText(row))?.weight ?? 0n

/** What must be added to `actual` to get `expected`. Empty iff they are equal. */
export function difference(expected: ZSet, actual: ZSet): ZSet {
  const result: ZSet = new Map()
  addZSet(result, expected)
  addZSet(result, actual, -1n)
  return result
}

export const sameZSet = (a: ZSet, b: ZSet): boolean => difference(a, b).size === 0

/** One line a row, ordered by text: `+2 (7n, "ann")`. */
export function printZSet(zset: ZSet): string {
  const lines = [...zset].map(([text, { weight }]) => `${weight > 0n ? '+' : ''}${weight} (${text})`)
  return lines.sort().join('\n')
}
