/** What a template may be given at compile time, and what comes out of the specialiser. */
import type { Expression, FunctionDeclaration, Identifier, Statement } from 'estree'
import { call, type StaticArgument } from '../ast.js'

/** A function from `templates/*.js`. */
export type Template = (...args: never[]) => unknown

export type MacroArgument = Expression | StaticArgument

/** A compile-time value that writes code where a template calls it; in generic execution it is called as it is. */
export interface Macro {
  (...args: never[]): unknown
  /**
   * The code that replaces a call. ENSURES for the implementer: every run-time argument is an identifier or a literal
   * (see `lit`), so it may be used any number of times; where nothing can be emitted it may also be arithmetic on
   * those. A static primitive comes as a literal, any other static value as a StaticArgument. Returns null if the
   * call has no value. May be called more than once for one call in a template: keep no state beyond the arguments.
   */
  expand(args: readonly MacroArgument[], ctx: ExpandContext): Expression | null
  /** True if `expand` uses every argument exactly once and in order: then arguments are any expressions, not bound. */
  readonly usesArgumentsOnce?: boolean
}

/** What a macro may do to the function it is expanded in. */
export interface ExpandContext {
  /**
   * Inserts a statement before the one being specialised, in the same block. Throws CompileError where nothing can be
   * inserted: on the right of `&&`, `||`, `??`, in the branches of `?:`, in the test or update of a loop.
   */
  emit(statement: Statement): void
  /** A name for a new local, unique in the output; `hint` may be any text. */
  fresh(hint: string): Identifier
  /**
   * A `const` right after the declaration of the last local that `expression` mentions (at the top of the function if
   * it mentions parameters only); the same expression is hoisted once. If one of them is a `let`, the const is
   * emitted here. REQUIRES: `expression` has no effects and does not change while those locals live.
   */
  hoist(expression: Expression, hint: string): Identifier
  /** A name through which the generated code sees `value` (a function, an object, a typed array). */
  constant(value: unknown, hint: string): Identifier
}

export interface SpecialiseOptions {
  /** Name of the resulting function; reduced to a safe identifier. */
  readonly name: string
  /** Names that no local may take, e.g. of functions in the same module that macros call. */
  readonly reserved?: readonly string[]
}

export interface SpecialisedFunction {
  readonly ast: FunctionDeclaration
  /** Free names of the function and their values; `load` supplies them. */
  readonly constants: ReadonlyMap<string, unknown>
}

const inlined = new WeakSet<object>()

/** Marks a function as a template to be inlined where templates call it. Returns the function itself. */
export function inline<F extends Template>(fn: F): F {
  inlined.add(fn)
  return fn
}

/** True for functions marked by `inline` and for functions whose own name begins with `$`. */
export function isInline(value: unknown): value is Template {
  return typeof value === 'function' && (inlined.has(value) || value.name.startsWith('$'))
}

export function isMacro(value: unknown): value is Macro {
  return typeof value === 'function' && 'expand' in value && typeof value.expand === 'function'
}

/** Builds a macro from its generic behaviour and its expansion. */
export function macro<F extends (...args: never[]) => unknown>(generic: F, expand: Macro['expand']): F & Macro {
  return Object.assign((...args: Parameters<F>): unknown => generic(...args), { expand }) as unknown as F & Macro
}

/** A macro that calls `fn` itself, which the generated code sees as a constant: for helpers on slow paths. */
export function external<F extends (...args: never[]) => unknown>(fn: F, hint: string = fn.name): F & Macro {
  const expand: Macro['expand'] = (args, ctx) =>
    call(ctx.constant(fn, hint), ...args.map(arg => runtimeArgument(arg, ctx)))
  return Object.assign(macro(fn, expand), { usesArgumentsOnce: true })
}

/** A macro's argument as code: a static value that is not a literal becomes a constant. */
export function runtimeArgument(arg: MacroArgument, ctx: ExpandContext, hint = 'value'): Expression {
  return arg.type === 'StaticArgument' ? ctx.constant(arg.value, hint) : arg
}
