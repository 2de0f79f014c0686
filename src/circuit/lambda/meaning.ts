/**
 * What names and sub-expressions of a lambda mean at compile time, and the scopes that names live in.
 */
import type { Column, RowSchema } from '../../schema/schema.js'
import type { Expr } from '../expr.js'
import { columnOf } from '../substitute.js'

/** A row parameter, or what object rest leaves of one: `columns` are those that it has. */
export interface RowMeaning {
  readonly kind: 'row'
  readonly input: 0 | 1
  readonly schema: RowSchema
  readonly columns: readonly Column[]
}

/** An object literal: fields in order. */
export interface ObjectMeaning {
  readonly kind: 'object'
  readonly fields: ReadonlyMap<string, Expr>
}

/** A value of the ctx object; `path` is how the author reaches it. */
export interface ContextMeaning {
  readonly kind: 'context'
  readonly value: unknown
  readonly path: string
}

export type Meaning =
  | { readonly kind: 'expr'; readonly expr: Expr }
  | RowMeaning
  | ObjectMeaning
  | ContextMeaning
  /** A global that may be used: Math, Number, BigInt, String, Object, or a helper that tools insert. */
  | { readonly kind: 'global'; readonly name: string }

export const exprMeaning = (expr: Expr): Meaning => ({ kind: 'expr', expr })

export function rowMeaning(schema: RowSchema, input: 0 | 1): RowMeaning {
  return { kind: 'row', input, schema, columns: schema.columns }
}

/** The fields of a row or an object, for spreading. */
export function fieldsOf(meaning: RowMeaning | ObjectMeaning): ReadonlyMap<string, Expr> {
  if (meaning.kind === 'object') return meaning.fields
  return new Map(meaning.columns.map(c => [c.name, columnOf(meaning.schema, c.index, meaning.input)]))
}

/**
 * Names in nested blocks. `null` is a variable that was declared and not yet assigned: compilers of TypeScript
 * declare temporaries (`var _a`) and assign them inside an expression.
 */
export class Scope {
  readonly #names = new Map<string, Meaning | null>()
  readonly #parent: Scope | null

  constructor(parent: Scope | null = null) {
    this.#parent = parent
  }

  declare(name: string, meaning: Meaning | null): void {
    this.#names.set(name, meaning)
  }

  /** The meaning, null if not assigned yet, or undefined if there is no such name. */
  lookup(name: string): Meaning | null | undefined {
    return this.#names.has(name) ? this.#names.get(name) : this.#parent?.lookup(name)
  }

  /** Assigns a variable where it was declared. ENSURES: false if it is unknown or has a value already. */
  assign(name: string, meaning: Meaning | null): boolean {
    if (!this.#names.has(name)) return this.#parent?.assign(name, meaning) ?? false
    if (meaning !== null && this.#names.get(name) !== null) return false
    this.#names.set(name, meaning)
    return true
  }
}
