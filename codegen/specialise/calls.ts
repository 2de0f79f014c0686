/** Calls of static values: macros write code, templates marked by `inline` are inserted, the rest stays a call. */
import type { CallExpression, Expression, Identifier, Node, Statement } from 'estree'
import { show } from '../../src/base/errors.js'
import { id, lit, variable } from '../ast.js'
import { applyStatic, callTarget, needStatic } from './evaluate.js'
import { element, expression, known, type Reduced, reduce } from './expressions.js'
import { ends, isAtom, isPrimitive, isPure, isSimple } from './fold.js'
import { type ParsedTemplate, parseTemplate } from './parse.js'
import { bindFresh, emit, fail, type Place, Scope } from './place.js'
import { removeReturns } from './returns.js'
import { functionBody } from './statements.js'
import { innerStatements } from './tree.js'
import { type ExpandContext, isInline, isMacro, type Macro, type MacroArgument, type Template } from './types.js'

const MAX_DEPTH = 64

/** A call; null if it is a macro without a value. */
export function callExpression(place: Place, node: CallExpression): Reduced | null {
  const target = callTarget(place, node)
  if (target !== null) {
    if (isMacro(target.fn)) return expandMacro(place, node, target.fn)
    if (isInline(target.fn)) return inlineValue(place, node, target.fn, null)
    const result = applyStatic(place, node, target)
    if (result !== null) return known(result.value)
  }
  return { ...node, callee: expression(place, node.callee), arguments: node.arguments.map(a => element(place, a)) }
}

/** The template that a call inserts, or null if it is some other expression. */
export function inlineCallee(place: Place, node: Node | null | undefined): Template | null {
  if (node?.type !== 'CallExpression') return null
  const target = callTarget(place, node)
  return target !== null && !isMacro(target.fn) && isInline(target.fn) ? target.fn : null
}

function expandMacro(place: Place, node: CallExpression, macro: Macro): Expression | null {
  const args = node.arguments.map(argument => macroArgument(place, argument))
  const allPure = args.every(arg => arg.type === 'StaticArgument' || isPure(arg))
  const atoms = args.map((arg, n) => {
    if (arg.type === 'StaticArgument' || macro.usesArgumentsOnce === true) return arg
    if (isAtom(arg) && (allPure || isUnchanging(place, arg))) return arg
    if (place.guard !== null && isSimple(arg)) return arg
    return bindFresh(place, node.arguments[n] ?? node, arg, nameFor(arg))
  })
  return macro.expand(atoms, expandContext(place, node))
}

function macroArgument(place: Place, node: CallExpression['arguments'][number]): MacroArgument {
  if (node.type === 'SpreadElement') throw fail(place, node, 'a macro cannot be called with ...')
  const reduced = reduce(place, node)
  return reduced.type === 'StaticArgument' && isPrimitive(reduced.value) ? lit(reduced.value) : reduced
}

/** True for literals and locals that are never reassigned. */
function isUnchanging(place: Place, atom: Expression): boolean {
  return atom.type !== 'Identifier' || place.out.locals.get(atom.name) !== null
}

function nameFor(code: Expression): string {
  if (code.type === 'MemberExpression' && !code.computed && code.property.type === 'Identifier')
    return code.property.name
  if (code.type === 'CallExpression' && code.callee.type !== 'Super') return nameFor(code.callee)
  return code.type === 'Identifier' ? code.name : 'value'
}

function expandContext(place: Place, node: Node): ExpandContext {
  return {
    emit: statement => emit(place, node, statement),
    fresh: hint => {
      const name = id(place.names.fresh(hint))
      place.out.locals.set(name.name, null)
      return name
    },
    hoist: (code, hint) => {
      if (code.type === 'Identifier') return code
      const slot = place.out.slotFor(code, place.top)
      return slot === null ? bindFresh(place, node, code, hint) : place.out.hoist(slot, code, hint, place.names)
    },
    constant: (value, hint) => place.out.constant(value, hint),
  }
}

/**
 * Inserts the body of `callee` before the current statement and returns the value of the call. `into`, if given, is
 * where the value goes if the body returns in several places: it is called once to get a declared local.
 */
export function inlineValue(
  place: Place,
  node: CallExpression,
  callee: Template,
  into: (() => Identifier) | null,
): Expression {
  const { body, hint } = inlineBody(place, node, callee)
  const last = body.at(-1)
  const early = body.slice(0, -1)
  if (last?.type === 'ReturnStatement' && !early.some(containsReturn)) {
    for (const statement of early) emitWhole(place, node, statement)
    return last.argument ?? lit(undefined)
  }
  if (!body.some(containsReturn)) {
    for (const statement of body) emitWhole(place, node, statement)
    return lit(undefined)
  }
  if (place.guard !== null) emit(place, node, { type: 'EmptyStatement' })
  const result = into === null ? declareResult(place, node, hint) : into()
  place.list.push(removeReturns(body, place.out.label(hint), result))
  return result
}

function declareResult(place: Place, node: Node, hint: string): Identifier {
  const result = id(place.names.fresh(hint))
  emit(place, node, variable(result))
  return result
}

/** Inserts the body of `callee` as statements; its value is not wanted. */
export function inlineStatement(place: Place, node: CallExpression, callee: Template): void {
  const { body, hint } = inlineBody(place, node, callee)
  if (body.some(containsReturn)) place.list.push(removeReturns(body, place.out.label(hint), null))
  else place.list.push(...body)
}

/** Inserts `return callee(...)`: returns of the callee are returns of the caller. */
export function inlineReturn(place: Place, node: CallExpression, callee: Template): void {
  const { body } = inlineBody(place, node, callee)
  place.list.push(...body)
  if (!ends(body.at(-1))) place.list.push({ type: 'ReturnStatement', argument: null })
}

/** A finished statement with its slot bookkeeping done: only checks that it may stand here. */
function emitWhole(place: Place, node: Node, statement: Statement): void {
  if (place.guard !== null) emit(place, node, statement)
  place.list.push(statement)
}

/** The callee's body, specialised for this call, with its returns still in it. Arguments are bound before. */
function inlineBody(place: Place, node: CallExpression, callee: Template): { body: Statement[]; hint: string } {
  if (place.depth >= MAX_DEPTH) {
    throw fail(place, node, `expected calls of inlined templates at most ${MAX_DEPTH} deep; does it call itself?`)
  }
  const template = parseTemplate(callee)
  const scope = bindParameters(place, node, template)
  const body: Statement[] = []
  const inside = { ...place, template, scope, list: body, jumps: [], depth: place.depth + 1 }
  functionBody(inside, template)
  return { body, hint: template.name.replace(/^\$/, '') }
}

function bindParameters(place: Place, node: CallExpression, template: ParsedTemplate): Scope {
  const scope = new Scope(null)
  const args = node.arguments
  if (args.length !== template.params.length) {
    throw fail(place, node, `expected ${template.params.length} arguments for ${template.name}, found ${args.length}`)
  }
  const codes = args.map((argument, n): Expression | null => {
    const name = template.params[n]?.name ?? ''
    if (argument.type === 'SpreadElement') throw fail(place, argument, 'an inlined template cannot be called with ...')
    if (!name.startsWith('$')) return runtimeArgument(place, argument, name)
    scope.set(name, { kind: 'static', value: needStatic(place, argument, `an argument for ${name}`) })
    return null
  })
  const allPure = codes.every(code => code === null || isPure(code))
  codes.forEach((code, n) => {
    const name = template.params[n]?.name
    if (code === null || name === undefined) return
    scope.set(name, { kind: 'code', code: bindArgument(place, node, template, name, code, allPure) })
  })
  return scope
}

function runtimeArgument(place: Place, argument: Expression, name: string): Expression {
  const reduced = reduce(place, argument)
  if (reduced.type !== 'StaticArgument') return reduced
  if (isPrimitive(reduced.value)) return lit(reduced.value)
  throw fail(
    place,
    argument,
    `expected run-time code for the parameter ${name}, found ${show(reduced.value)}, which exists only at compile time`,
    `call the parameter $${name}`,
  )
}

/** The argument itself if it may stand wherever the parameter does, else a new local. */
function bindArgument(
  place: Place,
  node: Node,
  template: ParsedTemplate,
  name: string,
  code: Expression,
  allPure: boolean,
): Expression {
  if (template.assigned.has(name)) {
    const local = id(place.names.fresh(name))
    emit(place, node, variable(local, code))
    return local
  }
  if (isAtom(code) && (allPure || isUnchanging(place, code))) return code
  if (place.guard !== null && isSimple(code)) return code
  return bindFresh(place, node, code, name)
}

function containsReturn(statement: Statement): boolean {
  return statement.type === 'ReturnStatement' || innerStatements(statement).some(containsReturn)
}
