/**
 * Keys as a program gives them. What a table's definition says of its key columns is checked by TypeScript; at run
 * time every key is checked by `RelationReader`.
 */
import type { Value } from '../schema/types.js'

/** A key: the value of a single key column, or the values by name or in order. A range may give a prefix. */
export type KeyInput = Value | readonly unknown[] | Readonly<Record<string, unknown>> | Date

/** The value of a key of one column; never for a key of several. */
type Alone<K> = { [N in keyof K]: [Exclude<keyof K, N>] extends [never] ? K[N] : never }[keyof K]

/** What finds a row by primary key, given the key columns `K`: never where there are none. */
export type PrimaryKey<K> = string extends keyof K
  ? KeyInput
  : [keyof K] extends [never]
    ? never
    : Readonly<K> | readonly K[keyof K][] | Alone<K>

/** What finds a row of a table: its primary key, or all columns where it has none. */
export type TableKey<K> = [keyof K] extends [never] ? KeyInput : PrimaryKey<K>

/** A bound of a range: a key, or the first columns of one. */
export type TableBound<K> = string extends keyof K
  ? KeyInput
  : [keyof K] extends [never]
    ? KeyInput
    : Readonly<Partial<K>> | readonly K[keyof K][] | K[keyof K]

export interface RangeOptions<Bound = KeyInput> {
  /** Inclusive bounds. */
  readonly from?: Bound
  readonly to?: Bound
  /** Exclusive lower bound in the direction of reading: where the last page ended. */
  readonly after?: Bound
  readonly reverse?: boolean
  readonly limit?: number
}

export const RANGE_OPTIONS: readonly (keyof RangeOptions)[] = ['from', 'to', 'after', 'reverse', 'limit']
