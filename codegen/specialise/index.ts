/**
 * The specialiser: partial evaluation of a template.
 *
 * A *template* is an ordinary JavaScript function that also runs as it stands. Names that begin with `$` are known at
 * compile time. `specialise` reads the function's own text, evaluates what is known, and returns a function in which
 * no `$`-name is left. The rules, in the order in which they are applied to each construct:
 *
 * 1. Parameters called `$…` are static: their values come from `statics`, and they vanish from the parameter list.
 *    Statics that are no parameters are seen by the template and by everything inlined into it.
 * 2. An expression in which every name is static is evaluated: operators, conditionals, template strings, array and
 *    object literals, own properties, methods of the value's class, and calls of plain functions, which must be pure.
 *    Its value becomes a literal. A value that is no primitive must not reach the output.
 * 3. `for (const $x of $list)` and `for (let $i = …; …; $i++)` are unrolled. `const $x = …` binds a static local.
 * 4. `if`, `?:`, `&&`, `||`, `??` and `switch` on static values are decided, and what is unreachable is dropped.
 * 5. A call of a `Macro` is replaced by what it expands to; arguments are bound to consts first unless they are names
 *    or literals. Statements that a macro emits come before the statement in which the call stands.
 * 6. A call of a function marked by `inline`, or whose name begins with `$`, is replaced by its body. In an expression
 *    its statements, too, come before the current statement: before everything else in it.
 * 7. Paths from locals that are never reassigned are hoisted: see `paths.ts`. A hoisted path is read when its root is
 *    declared, so it must exist then. After growing a batch, read it through a new const (`const target =
 *    out.reserve(n)`): paths are hoisted from each const separately. Paths from a `let` are never hoisted.
 * 8. Locals are renamed so that names never clash, and named after columns where that is possible: see `names.ts`.
 *
 * In tests and updates of loops, on the right of `&&`, `||`, `??` and in the branches of `?:`, macros and inlined
 * templates must come down to an expression. Templates have no nested functions, patterns, `var`, `try` or `this`.
 */
import type { Statement } from 'estree'
import { assert, CompileError, quote } from '../../src/base/errors.js'
import { id } from '../ast.js'
import { NameScope, safeName } from '../names.js'
import { Output } from './output.js'
import { type ParsedTemplate, parseTemplate, problem } from './parse.js'
import { declare, type Place, Scope } from './place.js'
import { functionBody } from './statements.js'
import { tidy } from './tidy.js'
import type { SpecialisedFunction, SpecialiseOptions, Template } from './types.js'

export * from './types.js'

const MAX_ATTEMPTS = 8

/**
 * Evaluates `template` partially: `statics` holds a value for each of its `$`-names.
 *
 * ENSURES: no name in the result begins with `$`; its parameters are the template's other parameters, in order.
 * Throws CompileError, with line and column in the template, for what cannot be specialised.
 */
export function specialise(
  template: Template,
  statics: Readonly<Record<string, unknown>>,
  options: SpecialiseOptions,
): SpecialisedFunction {
  const parsed = parseTemplate(template)
  checkStatics(parsed, statics)
  let assignedPaths: ReadonlySet<string> = new Set()
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    const out = new Output(assignedPaths, options.reserved ?? [])
    const result = write(out, parsed, statics, options)
    if (!out.hoistedTooMuch()) return result
    assignedPaths = new Set([...assignedPaths, ...out.assignedPaths])
  }
  assert(false, `specialising ${parsed.name} settles on the paths to hoist`)
  throw new Error('unreachable')
}

function checkStatics(template: ParsedTemplate, statics: Readonly<Record<string, unknown>>): void {
  for (const name of Object.keys(statics)) {
    if (name.startsWith('$')) continue
    throw new CompileError(`template ${quote(template.name)}: expected statics that begin with $, found ${quote(name)}`)
  }
  for (const param of template.params) {
    if (!param.name.startsWith('$') || staticKey(template, statics, param.name) !== null) continue
    throw problem(template, param, `no value was given for ${param.name}`)
  }
}

/**
 * The key in `statics` for a template's parameter; null if there is none. Bundlers append a number to a parameter
 * that has the name of a function in its module, and so this looks for the name without it, too.
 */
function staticKey(template: ParsedTemplate, statics: Readonly<Record<string, unknown>>, name: string): string | null {
  if (Object.hasOwn(statics, name)) return name
  const base = name.replace(/[0-9]+$/, '')
  const isOther = template.params.some(param => param.name === base)
  return !isOther && Object.hasOwn(statics, base) ? base : null
}

/** The names of a template's `$` parameters as keys of `statics`, in order: what a generic run must be given first. */
export function staticParameters(template: Template, statics: Readonly<Record<string, unknown>>): string[] {
  const parsed = parseTemplate(template)
  const names = parsed.params.map(param => param.name).filter(name => name.startsWith('$'))
  return names.map(name => staticKey(parsed, statics, name) ?? name)
}

function write(
  out: Output,
  template: ParsedTemplate,
  statics: Readonly<Record<string, unknown>>,
  options: SpecialiseOptions,
): SpecialisedFunction {
  const functionName = safeName(options.name)
  out.names.add(functionName)
  const list: Statement[] = []
  const place = startPlace(out, template, list)
  for (const param of template.params.filter(({ name }) => name.startsWith('$'))) {
    const key = staticKey(template, statics, param.name) ?? param.name
    place.scope.set(param.name, { kind: 'static', value: statics[key] })
  }
  for (const [key, value] of Object.entries(statics)) {
    if (!place.scope.has(key)) place.statics.set(key, { kind: 'static', value })
  }
  const params = template.params.filter(param => !param.name.startsWith('$'))
  const locals = params.map(param => {
    const local = declare(place, param, param.name)
    out.locals.set(local.name, template.assigned.has(param.name) ? null : place.top)
    return local
  })
  functionBody(place, template)
  const body = { type: 'BlockStatement' as const, body: tidy(out, list) }
  return { ast: { type: 'FunctionDeclaration', id: id(functionName), params: locals, body }, constants: out.constants }
}

function startPlace(out: Output, template: ParsedTemplate, list: Statement[]): Place {
  const names = new NameScope(out.names)
  return {
    out,
    template,
    scope: new Scope(null),
    statics: new Scope(null),
    list,
    names,
    top: out.slot(list, names),
    guard: null,
    jumps: [],
    suffix: '',
    depth: 0,
  }
}
