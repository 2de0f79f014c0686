/**
 * Loops, labels, switches and jumps. Loops over static values are unrolled; a `continue` of such a loop leaves the
 * labelled block of its copy, a `break` the labelled block around all copies. `tidy` drops labels that turn out to
 * be unnecessary.
 */
import type {
  BreakStatement,
  ContinueStatement,
  Expression,
  ForOfStatement,
  ForStatement,
  Identifier,
  LabeledStatement,
  Statement,
  SwitchCase,
  SwitchStatement,
  VariableDeclaration,
} from 'estree'
import { show } from '../../src/base/errors.js'
import { block, breakStmt, labeled } from '../ast.js'
import { hintPart, NameScope } from '../names.js'
import { needStatic, staticOf } from './evaluate.js'
import { expression, guarded } from './expressions.js'
import { binary, ends, literalOf } from './fold.js'
import { declare, fail, fixed, type JumpTarget, type Place, Scope } from './place.js'
import { nested, statement, statements } from './statements.js'

type Loop = Extract<Statement, { type: 'ForStatement' | 'ForOfStatement' | 'WhileStatement' | 'DoWhileStatement' }>

const MAX_COPIES = 65536

function jumpTarget(kind: JumpTarget['kind'], templateLabels: readonly string[], hint: string): JumpTarget {
  return { kind, templateLabels, out: null, next: null, hint: templateLabels[0] ?? hint }
}

export function loopStatement(place: Place, node: Loop, labels: readonly string[]): void {
  switch (node.type) {
    case 'ForStatement': {
      const counter = staticCounter(node)
      if (counter === null) runtimeFor(place, node, labels)
      else unrollFor(place, node, counter, labels)
      break
    }
    case 'ForOfStatement':
      forOf(place, node, labels)
      break
    default: {
      const test = expression(guarded(place, 'in the test of a loop'), node.test)
      if (node.type === 'WhileStatement' && literalOf(test)?.value === false) return
      const target = jumpTarget('loop', labels, 'loop')
      const body = block(nested({ ...place, jumps: [...place.jumps, target] }, node.body))
      pushLabelled(place, target, { ...node, test, body })
    }
  }
}

function pushLabelled(place: Place, target: JumpTarget, loop: Statement): void {
  place.list.push(target.out === null ? loop : labeled(target.out, loop))
}

function runtimeFor(place: Place, node: ForStatement, labels: readonly string[]): void {
  const header = { ...place, scope: new Scope(place.scope), names: new NameScope(place.names) }
  const init = node.init ? forInit(header, node.init) : null
  const test = node.test ? expression(guarded(header, 'in the test of a loop'), node.test) : null
  const update = node.update ? expression(guarded(header, 'in the update of a loop'), node.update) : null
  const target = jumpTarget('loop', labels, 'loop')
  const body = block(nested({ ...header, jumps: [...place.jumps, target] }, node.body))
  pushLabelled(place, target, { ...node, init, test, update, body })
}

function forInit(header: Place, node: VariableDeclaration | Expression): VariableDeclaration | Expression {
  if (node.type !== 'VariableDeclaration') return expression(header, node)
  if (node.kind !== 'const' && node.kind !== 'let') throw fail(header, node, `expected let, found ${node.kind}`)
  const declarations = node.declarations.map(({ id: target, init }, n) => {
    if (target.type !== 'Identifier' || target.name.startsWith('$')) {
      throw fail(header, target, 'expected a run-time name, or exactly one $-name, in the head of a loop')
    }
    const place = n === 0 ? header : guarded(header, 'after another variable in the head of a loop')
    const code = init ? expression(place, init) : null
    const name = declare(header, target, target.name)
    header.out.locals.set(name.name, null)
    return { type: 'VariableDeclarator' as const, id: name, init: code }
  })
  return { type: 'VariableDeclaration', kind: node.kind, declarations }
}

/** The counter of `for (let $i = …; …; …)`, or null for a loop at run time. */
function staticCounter(node: ForStatement): Identifier | null {
  if (node.init?.type !== 'VariableDeclaration' || node.init.declarations.length !== 1) return null
  const target = node.init.declarations[0]?.id
  return target?.type === 'Identifier' && target.name.startsWith('$') ? target : null
}

function unrollFor(place: Place, node: ForStatement, counter: Identifier, labels: readonly string[]): void {
  const init = node.init?.type === 'VariableDeclaration' ? node.init.declarations[0]?.init : null
  if (!init || !node.test || !node.update)
    throw fail(place, node, `expected a start, a test and a step for ${counter.name}`)
  const { test, update } = node
  const copies = function* (): Generator<unknown> {
    let value = needStatic(place, init, `a start for ${counter.name}`)
    for (;;) {
      const inside = { ...place, scope: new Scope(place.scope) }
      inside.scope.set(counter.name, { kind: 'static', value })
      if (!needStatic(inside, test, 'a loop test')) return
      yield value
      value = step(inside, update, counter.name, value)
    }
  }
  unroll(place, node, counter.name, copies(), labels)
}

function step(place: Place, update: Expression, name: string, value: unknown): unknown {
  if (update.type === 'UpdateExpression' && update.argument.type === 'Identifier' && update.argument.name === name) {
    return binary(update.operator === '++' ? '+' : '-', value, typeof value === 'bigint' ? 1n : 1)
  }
  if (update.type === 'AssignmentExpression' && update.left.type === 'Identifier' && update.left.name === name) {
    const by = needStatic(place, update.right, 'a step')
    if (update.operator === '=') return by
    if (update.operator === '+=' || update.operator === '-=')
      return binary(update.operator === '+=' ? '+' : '-', value, by)
  }
  throw fail(place, update, `expected ${name}++, ${name}--, ${name} += …, ${name} -= … or ${name} = … as step`)
}

function forOf(place: Place, node: ForOfStatement, labels: readonly string[]): void {
  if (node.await) throw fail(place, node, 'templates cannot contain for await')
  const target = node.left.type === 'VariableDeclaration' ? node.left.declarations[0]?.id : null
  if (node.left.type !== 'VariableDeclaration' || node.left.kind !== 'const' || target?.type !== 'Identifier') {
    throw fail(place, node.left, 'expected for (const name of …)')
  }
  const known = staticOf(place, node.right)
  if (target.name.startsWith('$')) {
    const values = known?.value
    if (!isIterable(values)) {
      const found = known === null ? 'run-time code' : show(values)
      throw fail(place, node.right, `expected a list that is known at compile time, found ${found}`)
    }
    unroll(place, node, target.name, values, labels)
    return
  }
  if (known !== null) throw fail(place, target, `a static list is unrolled, so expected $${target.name} as name`)
  const right = expression(place, node.right)
  const jumps = [...place.jumps, jumpTarget('loop', labels, 'loop')]
  const header = { ...place, scope: new Scope(place.scope), names: new NameScope(place.names), jumps }
  const name = declare(header, target, target.name)
  const body = block(nested(header, node.body, inside => fixed(inside, name.name, true)))
  const left = { ...node.left, declarations: [{ type: 'VariableDeclarator' as const, id: name }] }
  pushLabelled(place, jumps.at(-1) as JumpTarget, { ...node, left, right, body })
}

function isIterable(value: unknown): value is Iterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.iterator in value
}

function unroll(
  place: Place,
  node: ForStatement | ForOfStatement,
  name: string,
  values: Iterable<unknown>,
  labels: readonly string[],
): void {
  const target = jumpTarget('unrolled', labels, 'search')
  const copies: Statement[] = []
  let count = 0
  for (const value of values) {
    if (++count > MAX_COPIES) throw fail(place, node, `expected at most ${MAX_COPIES} copies of an unrolled loop`)
    target.next = null
    const list: Statement[] = []
    const scope = new Scope(place.scope)
    scope.set(name, { kind: 'static', value })
    const suffix = elementName(value) || place.suffix
    statement({ ...place, list, scope, suffix, jumps: [...place.jumps, target] }, node.body)
    const stops = ends(list.at(-1)) && target.next === null
    // Narrowing does not see that a jump inside the copy may have set it.
    const next = target.next as string | null
    copies.push(...(next === null ? list : [labeled(next, block(list))]))
    if (stops) break
  }
  place.list.push(...(target.out === null ? copies : [labeled(target.out, block(copies))]))
}

/** What to call the copy for `value`: after its name if it has one. */
function elementName(value: unknown): string {
  if (typeof value === 'string' || typeof value === 'number') return hintPart(String(value))
  if (typeof value !== 'object' || value === null) return ''
  if ('name' in value && typeof value.name === 'string') return hintPart(value.name)
  return 'column' in value ? elementName(value.column) : ''
}

/** `break` and `continue`. */
export function jump(place: Place, node: BreakStatement | ContinueStatement): void {
  const isBreak = node.type === 'BreakStatement'
  const found = place.jumps.findLast(target =>
    node.label ? target.templateLabels.includes(node.label.name) : isUnlabelledTarget(target, isBreak),
  )
  if (found === undefined) throw fail(place, node, `no loop or label for this ${isBreak ? 'break' : 'continue'}`)
  if (found.kind === 'unrolled' && !isBreak) {
    found.next ??= place.out.label(place.suffix === '' ? 'next' : `next_${place.suffix}`)
    place.list.push(breakStmt(found.next))
    return
  }
  const innermost = place.jumps.findLast(t => t.kind === 'loop' || (t.kind === 'switch' && isBreak))
  if (found !== innermost) found.out ??= place.out.label(found.hint)
  const label = found === innermost || found.out === null ? null : { type: 'Identifier' as const, name: found.out }
  place.list.push(isBreak ? { type: 'BreakStatement', label } : { type: 'ContinueStatement', label })
}

function isUnlabelledTarget(target: JumpTarget, isBreak: boolean): boolean {
  if (target.kind === 'loop' || target.kind === 'unrolled') return true
  return isBreak && (target.kind === 'switch' || target.kind === 'decided')
}

export function labelledStatement(place: Place, node: LabeledStatement): void {
  const labels: string[] = []
  let body: Statement = node
  for (; body.type === 'LabeledStatement'; body = body.body) labels.push(body.label.name)
  switch (body.type) {
    case 'ForStatement':
    case 'ForOfStatement':
    case 'WhileStatement':
    case 'DoWhileStatement':
      loopStatement(place, body, labels)
      break
    default: {
      const inner = body
      withExit(place, jumpTarget('block', labels, 'block'), inside => statement(inside, inner))
    }
  }
}

/** Statements that a jump may leave: in a labelled block if one does, else in the list itself. */
function withExit(place: Place, target: JumpTarget, write: (inside: Place) => void): void {
  const list: Statement[] = []
  write({ ...place, list, jumps: [...place.jumps, target] })
  place.list.push(...(target.out === null ? list : [labeled(target.out, block(list))]))
}

export function switchStatement(place: Place, node: SwitchStatement): void {
  const known = staticOf(place, node.discriminant)
  if (known !== null) {
    decidedSwitch(place, node, known.value)
    return
  }
  const discriminant = expression(place, node.discriminant)
  const target = jumpTarget('switch', [], 'choice')
  const inside = {
    ...place,
    scope: new Scope(place.scope),
    names: new NameScope(place.names),
    jumps: [...place.jumps, target],
  }
  const cases = node.cases.map((one): SwitchCase => {
    const test = one.test ? expression(guarded(inside, 'in a case'), one.test) : null
    const list: Statement[] = []
    statements({ ...inside, list }, one.consequent)
    return { ...one, test, consequent: list }
  })
  pushLabelled(place, target, { ...node, discriminant, cases })
}

/** A switch on a static value: the cases from the one that matches, up to a break. */
function decidedSwitch(place: Place, node: SwitchStatement, value: unknown): void {
  const match = node.cases.findIndex(one => one.test && needStatic(place, one.test, 'a case') === value)
  const from = match >= 0 ? match : node.cases.findIndex(one => !one.test)
  if (from < 0) return
  const body = node.cases.slice(from).flatMap(one => one.consequent)
  const scoped = { ...place, scope: new Scope(place.scope) }
  withExit(scoped, jumpTarget('decided', [], 'choice'), inside => statements(inside, body))
}
