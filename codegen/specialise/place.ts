/**
 * Where the specialiser stands: in the template (names and what they mean) and in the output (the statement list
 * being filled). Places are never changed; going inside something makes a new one.
 */
import type { Expression, Identifier, Node, Statement } from 'estree'
import type { CompileError } from '../../src/base/errors.js'
import { constant, id } from '../ast.js'
import type { NameScope } from '../names.js'
import type { Output, Slot } from './output.js'
import { type ParsedTemplate, problem } from './parse.js'

/** What a name of the template means: a value known now, or an expression of the output. */
export type Binding =
  | { readonly kind: 'static'; readonly value: unknown }
  | { readonly kind: 'code'; readonly code: Expression }

/** Block scopes of the template. */
export class Scope {
  /** Made when there is something to put in: most blocks of a template declare nothing. */
  private bindings: Map<string, Binding> | null = null

  constructor(private readonly parent: Scope | null) {}

  get(name: string): Binding | undefined {
    for (let scope: Scope | null = this; scope !== null; scope = scope.parent) {
      const binding = scope.bindings?.get(name)
      if (binding !== undefined) return binding
    }
    return undefined
  }

  has(name: string): boolean {
    return this.bindings?.has(name) === true
  }

  set(name: string, binding: Binding): void {
    this.bindings ??= new Map()
    this.bindings.set(name, binding)
  }
}

/** Something that `break` and `continue` may refer to. Labels are made when they are needed. */
export interface JumpTarget {
  readonly templateLabels: readonly string[]
  readonly kind: 'loop' | 'switch' | 'block' | 'unrolled' | 'decided'
  /** Labels in the output; null while nothing needed one. Of an unrolled loop `next` ends one copy. */
  out: string | null
  next: string | null
  readonly hint: string
}

export interface Place {
  readonly out: Output
  readonly template: ParsedTemplate
  readonly scope: Scope
  /** Functions and values that a template sees without having them as parameters. */
  readonly statics: Scope
  readonly list: Statement[]
  readonly names: NameScope
  /** The slot of the parameters. */
  readonly top: Slot
  /** Why no statement may be inserted here, or null. */
  readonly guard: string | null
  /** Innermost last. */
  readonly jumps: readonly JumpTarget[]
  /** Part of the names of locals in an unrolled loop: the name of the element, or ''. */
  readonly suffix: string
  readonly depth: number
}

export function fail(place: Place, node: Node, what: string, hint?: string): CompileError {
  return problem(place.template, node, what, hint)
}

/** Appends a statement that comes out of an expression. Throws CompileError where that is impossible. */
export function emit(place: Place, node: Node, statement: Statement): void {
  if (place.guard !== null) {
    throw fail(
      place,
      node,
      `this needs a statement of its own, which cannot be written ${place.guard}`,
      'bind it to a const in a statement before',
    )
  }
  place.list.push(statement)
  if (statement.type !== 'VariableDeclaration') return
  for (const { id: target } of statement.declarations) {
    if (target.type === 'Identifier') fixed(place, target.name, statement.kind === 'const')
  }
}

/** Notes a new local of the output. One that never changes gets a slot right here for what is hoisted from it. */
export function fixed(place: Place, name: string, isFixed: boolean): void {
  place.out.locals.set(name, isFixed ? place.out.slot(place.list, place.names) : null)
}

/** Emits `const hint = expression` and returns its name. */
export function bindFresh(place: Place, node: Node, expression: Expression, hint: string): Identifier {
  if (place.guard !== null) emit(place, node, constant('x', expression))
  const name = id(place.names.fresh(hint))
  emit(place, node, place.out.removableConstant(name, expression))
  return name
}

/** A name in the output for the template's local `name`, with its meaning noted in the scope. */
export function declare(place: Place, node: Node, name: string): Identifier {
  if (place.scope.has(name)) throw fail(place, node, `expected a new name, found ${name}, which is declared above`)
  const local = id(place.names.fresh(place.suffix === '' ? name : `${name}_${place.suffix}`))
  place.scope.set(name, { kind: 'code', code: local })
  return local
}
