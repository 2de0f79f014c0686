/**
 * The parts of a lambda around its expressions: parameters, destructuring, and a body of `const`s, `if`s and returns.
 *
 * Statements are lowered with a continuation, `rest`: what follows a block. An `if` whose branch does not return goes
 * on with it, so that `if (c) return a; return b` is `c ? a : b`.
 */
import type * as acorn from 'acorn'
import { quote } from '../../base/errors.js'
import type { Expr } from '../expr.js'
import type { Lowerer } from './lower.js'
import { type Meaning, Scope } from './meaning.js'
import { UDF_HINT } from './parse.js'

/** Gives the names in a parameter or a declaration their meaning. */
export function bind(l: Lowerer, pattern: acorn.Pattern, meaning: Meaning): void {
  switch (pattern.type) {
    case 'Identifier':
      l.scope.declare(pattern.name, meaning)
      return
    case 'ObjectPattern':
      bindObject(l, pattern, meaning)
      return
    case 'AssignmentPattern':
      return l.fail(pattern, 'a default value cannot be compiled here', 'use x ?? value where x is used')
    case 'RestElement':
      return l.fail(pattern, 'a rest parameter cannot be compiled')
    default:
      return l.fail(pattern, 'only names and { names } can be declared here')
  }
}

function bindObject(l: Lowerer, pattern: acorn.ObjectPattern, meaning: Meaning): void {
  const taken: string[] = []
  for (const property of pattern.properties) {
    if (property.type === 'RestElement') {
      bind(l, property.argument, without(l, property, meaning, taken))
      continue
    }
    const key = property.computed
      ? l.constantKey(property.key)
      : property.key.type === 'Identifier'
        ? property.key.name
        : String((property.key as acorn.Literal).value)
    taken.push(key)
    bind(l, property.value, l.member(meaning, key, property))
  }
}

/** What `...rest` holds. */
function without(l: Lowerer, place: acorn.RestElement, meaning: Meaning, taken: readonly string[]): Meaning {
  switch (meaning.kind) {
    case 'row':
      return { ...meaning, columns: meaning.columns.filter(c => !taken.includes(c.name)) }
    case 'object': {
      const left: [string, Expr][] = [...meaning.fields].filter(([key]) => !taken.includes(key))
      return { kind: 'object', fields: new Map(left) }
    }
    default:
      return l.fail(place, 'only rows and objects can be taken apart with ...')
  }
}

type Rest = () => Meaning

/** The value a body returns. */
export function lowerBody(l: Lowerer, body: acorn.Expression | acorn.BlockStatement): Meaning {
  if (body.type !== 'BlockStatement') return l.meaning(body)
  return lowerBlock(l, body.body, () =>
    l.fail(
      { start: body.end - 1, end: body.end },
      'not every path returns a value',
      'to return an object from an arrow function write row => ({ … }), in parentheses',
    ),
  )
}

function lowerBlock(l: Lowerer, statements: readonly acorn.Statement[], rest: Rest): Meaning {
  const outer = l.scope
  l.scope = new Scope(outer)
  const inner = l.scope
  const leave: Rest = () => {
    l.scope = outer
    try {
      return rest()
    } finally {
      l.scope = inner
    }
  }
  try {
    return lowerFrom(l, statements, 0, leave)
  } finally {
    l.scope = outer
  }
}

function lowerFrom(l: Lowerer, statements: readonly acorn.Statement[], at: number, rest: Rest): Meaning {
  if (at >= statements.length) return rest()
  const node = statements[at]
  const next: Rest = () => lowerFrom(l, statements, at + 1, rest)
  switch (node.type) {
    case 'EmptyStatement':
      return next()
    case 'ExpressionStatement':
      if (node.directive === undefined) l.fail(node, 'a statement without a result cannot be compiled', UDF_HINT)
      return next()
    case 'VariableDeclaration':
      for (const declaration of node.declarations) declare(l, declaration)
      return next()
    case 'ReturnStatement':
      if (!node.argument) return l.fail(node, 'expected a value to return')
      return l.meaning(node.argument)
    case 'BlockStatement':
      return lowerBlock(l, node.body, next)
    case 'IfStatement': {
      const test = l.expr(node.test)
      const then = l.branch(() => lowerBlock(l, [node.consequent], next))
      const otherwise = l.branch(() => (node.alternate ? lowerBlock(l, [node.alternate], next) : next()))
      return l.choose(node, test, then, otherwise)
    }
    case 'LabeledStatement':
      return l.fail(
        node,
        `${quote(node.label.name)} is read as a label`,
        'to return an object write row => ({ … }), in parentheses',
      )
    default:
      return l.fail(node, 'only const, if and return can be compiled here', UDF_HINT)
  }
}

function declare(l: Lowerer, node: acorn.VariableDeclarator): void {
  if (!node.init) {
    if (node.id.type !== 'Identifier') return l.fail(node, 'expected a name')
    l.scope.declare(node.id.name, null)
    return
  }
  bind(l, node.id, l.meaning(node.init))
}
