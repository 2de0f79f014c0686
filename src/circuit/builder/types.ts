/** The types of the builder: rows, the ctx object, and what a query may be made from. */
import type { INSERT, ROW, Simplify, TableDef } from '../columns.js'
import type { Relation, ViewDefinition } from '../rel.js'
import type { Query } from './query.js'

/** `object`: arrays, maps, structs, intervals, json. */
export type Scalar = boolean | number | bigint | string | Uint8Array | object | null

/** What a lambda may return for a column; undefined (from `?.`) is NULL. */
export type Cell = Scalar | undefined
export type Cells = { readonly [column: string]: Cell }

type WidenCell<T> = T extends boolean
  ? boolean
  : T extends number
    ? number
    : T extends bigint
      ? bigint
      : T extends string
        ? string
        : T extends undefined
          ? null
          : T

/** The row that a lambda's object makes: literal types widened, undefined as null. */
export type RowFrom<S> = { -readonly [K in keyof S]-?: WidenCell<S[K]> } & {}

/** The columns of a side that may be absent. */
export type Nullable<R> = { [K in keyof R]: R[K] | null }

/** Both rows; only for rows without a common name (checked when the query is built). */
export type Both<L, R> = Simplify<L & R>

/** Rows that may meet `R` in a set operation: the same columns, NULL allowed or not. */
export type Alike<R> = { [K in keyof R]: R[K] | null }

/** The rows of a set operation: a column may be NULL if it may be in either side. */
export type Joined<R, S> = { [K in keyof R]: R[K] | (K extends keyof S ? S[K] : never) } & {}

/** A ctx object: parameters, functions of `fn` and `udf`, and objects of them. */
export type Context = { readonly [name: string]: ContextValue }
export type ContextValue = Scalar | Date | ((...args: never[]) => unknown) | { readonly [name: string]: ContextValue }

type ParameterOf<T> = T extends (...args: never[]) => unknown
  ? T
  : T extends Date
    ? bigint
    : T extends Scalar
      ? WidenCell<T>
      : { readonly [K in keyof T]: ParameterOf<T[K]> }

/** The ctx object as a lambda sees it: a Date is a timestamptz, in µs. */
export type Ctx<C> = { readonly [K in keyof C]: ParameterOf<C[K]> }

/** No ctx object given. */
export type NoContext = Record<never, never>

/** A view definition that knows its row type. */
export interface ViewDef<R> extends ViewDefinition {
  readonly [ROW]: R
}

/** A table or view of a database, as `createTable` and `createView` return it. */
export interface Handle<R> {
  readonly definition: (TableDef<R, unknown> | ViewDef<R>) & Relation
  readonly database: object
}

/** What can be read: a query, a table or view definition, or a handle of one. */
export type Source<R> = Query<R> | TableDef<R, unknown> | ViewDef<R> | Handle<R>

/** The row type of a definition, query or handle. */
export type RowType<T> = T extends { readonly [ROW]: infer R }
  ? R
  : T extends { readonly definition: { readonly [ROW]: infer R } }
    ? R
    : never

/** The row type that a table takes on insertion. */
export type InsertType<T> = T extends { readonly [INSERT]: infer I }
  ? I
  : T extends { readonly definition: { readonly [INSERT]: infer I } }
    ? I
    : never
